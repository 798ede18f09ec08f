/** What leaves the gateway, and what does not. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { HOOKS } from "../src/hooks.js";
import type { Content } from "../src/pick.js";
import { translate } from "../src/translate.js";

/** What may be nowhere outside. */
const CANARY = "sk-canary-1f7c";

/** The JSON of an event that is no lifecycle hook. */
function said(hook: string, event: object, ctx: object, content: Content): Record<string, unknown> {
  const translated = translate(hook, event, ctx, 0, content);
  assert.equal(translated?.payload?.$case, "json");
  return JSON.parse(Buffer.from(translated.payload.value as Uint8Array).toString());
}

const MESSAGE = {
  role: "assistant",
  content: [
    { type: "text", text: CANARY },
    { type: "toolCall", id: "t1", name: "exec", arguments: { command: CANARY } },
    { type: "image", data: CANARY, mimeType: "image/png" },
  ],
  timestamp: 1,
  secret: CANARY,
};

describe("a field", () => {
  it("of a conversation leaves when that is asked for", () => {
    const event = {
      prompt: "hello",
      messages: [{ role: "user", content: "hello" }],
      runId: "r",
      success: true,
    };
    assert.deepEqual(said("agent_end", event, {}, "none"), {
      messages: [{ role: "user" }],
      runId: "r",
      success: true,
    });
    assert.deepEqual(said("before_prompt_build", event, {}, "metadata"), {
      prompt: { length: 5 },
      messages: [{ role: "user", content: { length: 5 } }],
    });
    assert.deepEqual(said("before_prompt_build", event, {}, "full"), {
      prompt: "hello",
      messages: [{ role: "user", content: "hello" }],
    });
  });

  it("with a long history leaves with the end of it, and with how long it is", () => {
    const messages = Array.from({ length: 1_000 }, (_, id) => ({ role: "user", id, content: "hello" }));
    for (const content of ["none", "metadata"] as const) {
      const { messages: some, ...rest } = said("before_reset", { messages }, {}, content);
      const ids = (some as { id: number }[]).map(({ id }) => id);
      assert.deepEqual([ids.length, ids[0], ids.at(-1), rest], [50, 950, 999, { messagesCount: 1_000 }]);
    }
    assert.deepEqual(said("before_reset", { messages }, {}, "full"), { messages });
  });

  it("that is not allowed stays, at every depth", () => {
    const event = { messages: [MESSAGE], apiKey: CANARY, success: true };
    for (const content of ["none", "metadata"] as const) {
      assert.ok(!JSON.stringify(said("agent_end", event, {}, content)).includes(CANARY), content);
    }
    const full = said("agent_end", event, {}, "full");
    assert.deepEqual(full, {
      messages: [
        {
          role: "assistant",
          content: [
            { type: "text", text: CANARY },
            { type: "toolCall", id: "t1", name: "exec", arguments: { command: CANARY } },
            { type: "image", mimeType: "image/png" },
          ],
          timestamp: 1,
        },
      ],
      success: true,
    });
  });

  it("of ctx leaves only where it is listed and plain", () => {
    const ctx = {
      config: { key: CANARY },
      getCron: () => CANARY,
      abortSignal: new AbortController().signal,
      channelContext: { sender: { token: CANARY } },
      toolName: { nested: CANARY },
      runId: "r",
      agentId: "main",
    };
    assert.deepEqual(said("before_agent_reply", {}, ctx, "full"), { ctx: { agentId: "main", runId: "r" } });
  });
});

describe("a canary", () => {
  /** An object that answers to every name, five levels deep. */
  function everywhere(depth: number): unknown {
    const target: Record<string, unknown> = {};
    const names = new Set(JSON.stringify(HOOKS).match(/\w+/g));
    for (const name of [...names, "config", "apiKey", "token", "ctx"]) {
      target[name] = depth === 0 ? CANARY.repeat(400) : everywhere(depth - 1);
    }
    return target;
  }

  it("in a place where an object or a long text has no business leaves nothing of any hook", () => {
    const event = everywhere(1) as object;
    for (const hook of Object.keys(HOOKS)) {
      for (const content of ["none", "metadata"] as const) {
        const translated = translate(hook, event, event, 0, content);
        const payload = translated?.payload;
        const text =
          payload?.$case === "json"
            ? Buffer.from(payload.value).toString()
            : JSON.stringify(payload?.value, bigint);
        assert.ok(!text?.includes(CANARY), `${hook} ${content}: ${text}`);
      }
    }
  });

  it("in a credential, a command, an error or a name that somebody made up leaves nothing", () => {
    const job = {
      id: "j",
      name: CANARY,
      schedule: { kind: "on-exit", command: CANARY, cwd: CANARY },
      payload: { message: CANARY },
    };
    const events: [string, object][] = [
      ["cron_changed", { action: "added", job, error: CANARY, summary: CANARY }],
      ["before_tool_call", { toolName: "exec", params: { env: { KEY: CANARY } }, derivedPaths: [CANARY] }],
      ["after_tool_call", { toolName: "exec", result: CANARY, error: CANARY }],
      ["message_received", { content: CANARY, metadata: { authorization: CANARY, senderId: "s" } }],
      [
        "llm_input",
        { systemPrompt: CANARY, prompt: CANARY, historyMessages: [MESSAGE], tools: [{ name: CANARY }] },
      ],
      ["llm_output", { assistantTexts: [CANARY], lastAssistant: MESSAGE }],
      ["message_sent", { content: CANARY, error: CANARY }],
      ["llm_output", { lastAssistant: { role: "assistant", content: [{ type: "file", name: CANARY }] } }],
      ["subagent_spawned", { childSessionKey: "k", label: CANARY }],
      ["skill_proposal_changed", { proposal: { id: "p", skillName: CANARY, skillKey: CANARY } }],
      ["reply_payload_sending", { payload: { text: CANARY, mediaUrl: CANARY } }],
    ];
    for (const [hook, event] of events) {
      for (const content of ["none", "metadata"] as const) {
        assert.ok(!JSON.stringify(said(hook, event, {}, content)).includes(CANARY), `${hook} ${content}`);
      }
    }
    assert.ok(JSON.stringify(said("llm_output", { assistantTexts: [CANARY] }, {}, "full")).includes(CANARY));
  });
});

describe("plain data", () => {
  it("is copied, and what is no data is left out", () => {
    const params = {
      path: "/tmp/x",
      list: [1, null, () => CANARY, { deep: true }],
      when: new Date(),
      signal: new AbortController().signal,
      self: {},
    };
    params.self = params;
    const { params: copy } = said("before_tool_call", { params }, {}, "full") as {
      params: Record<string, unknown>;
    };
    assert.deepEqual(
      [copy.path, copy.list, copy.when, copy.signal],
      ["/tmp/x", [1, null, { deep: true }], undefined, undefined],
    );
  });
});

describe("data that refers to itself twice", () => {
  it("comes to an end", () => {
    const params: Record<string, unknown> = {};
    Object.assign(params, { left: params, right: params });
    assert.ok(JSON.stringify(said("before_tool_call", { params }, {}, "full")).length < 10_000_000);
  });
});

function bigint(_: string, value: unknown): unknown {
  return typeof value === "bigint" ? Number(value) : value;
}
