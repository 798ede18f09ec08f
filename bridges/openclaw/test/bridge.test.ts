/** The plugin in a gateway, against a real dispatcher. */

import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";

import { Dispatcher, hookwire } from "../../../sdk/typescript/test/cast.js";
import { Gateway, lives, Tail, until } from "./openclaw.js";
import { Stub } from "./stub.js";

async function scene(t: TestContext, config: Record<string, unknown> = {}, ...flags: string[]) {
  const dispatcher = await Dispatcher.serve(t);
  const tail = await new Tail(t, dispatcher.address, "tail", ...flags).ready();
  const gateway = await Gateway.boot(t, { address: dispatcher.address, ...config });
  return { dispatcher, tail, gateway };
}

describe("a process", () => {
  it("has one connection and one boot, whichever copy of the module a hook fires from", async (t) => {
    const { dispatcher, tail, gateway } = await scene(t);
    gateway.fire("session_start", { sessionId: "a", sessionKey: "k" });
    gateway.fire("llm_input", { sessionId: "a" }, { sessionKey: "k" });
    await tail.seen(3);
    const status = JSON.parse(await hookwire("status", "--to", dispatcher.address, "--json"));
    assert.equal(status.gateways.length, 1);
    assert.equal(gateway.said(/hookwire: attached/), 1);
    await gateway.stop("shutdown");
    const seen = await tail.stopped();
    assert.equal(new Set(seen.map(({ boot }) => boot)).size, 1);
  });

  it("is a new boot after each restart, and ends what OpenClaw forgot", async (t) => {
    const { tail, gateway } = await scene(t);
    gateway.fire("session_start", { sessionId: "a" });
    await gateway.stop("restart", ["a"]);
    await gateway.load();
    await until(() => gateway.said(/hookwire: attached/) === 2); // the service is up before gateway_start fires
    gateway.fire("gateway_start", { port: 18_999 });
    gateway.fire("llm_output", { sessionId: "a" }); // it goes on: OpenClaw says no start, and will say no end
    await gateway.stop("shutdown");
    const seen = await tail.stopped(2);
    assert.deepEqual(lives(seen), ["start a#1", "end a#1 restart", "start a#2", "end a#2 shutdown"]);
    const last = seen.filter(({ hook }) => hook === "gateway_stop").map(({ reason }) => reason);
    assert.deepEqual(last, ["restart", "shutdown"]);
    assert.equal(new Set(seen.map(({ boot }) => boot)).size, 2);
  });

  it("goes on in the same boot when only the plugin is replaced", async (t) => {
    const { tail, gateway } = await scene(t);
    gateway.fire("session_start", { sessionId: "a" });
    gateway.fire("gateway_stop", { reason: "plugin replacement" });
    await gateway.unload();
    gateway.fire("message_received", { sessionId: "a" }, { sessionId: "a" }); // an event of the time between
    await gateway.start();
    gateway.fire("session_end", { sessionId: "a", reason: "idle" });
    await gateway.stop("shutdown");
    const seen = await tail.stopped();
    assert.deepEqual(lives(seen), ["start a#1", "end a#1 idle"]);
    assert.deepEqual(
      seen.filter(({ hook }) => hook !== "cron_changed").length,
      5,
      "one gateway_start, one gateway_stop",
    );
  });
});

describe("an observer", () => {
  it("returns nothing, but for a session's end: that is taken in when its promise settles", async (t) => {
    const { tail, gateway } = await scene(t);
    await tail.seen(1); // attached
    assert.equal(gateway.fire("session_start", { sessionId: "a" }), undefined);
    assert.equal(gateway.fire("before_agent_reply", { cleanedBody: "hi" }), undefined);
    assert.equal(gateway.fire("before_tool_call", { toolName: "exec" }), undefined);
    const taken = gateway.fire("session_end", { sessionId: "a", reason: "reset" });
    assert.ok(taken instanceof Promise);
    assert.equal(await taken, undefined);
    await gateway.stop("shutdown");
  });

  it("throws nothing, whatever it is handed", async (t) => {
    const { tail, gateway } = await scene(t);
    const hostile = {
      get sessionId(): string {
        throw new Error("not for you");
      },
    };
    for (const event of [
      hostile,
      null,
      undefined,
      5,
      "text",
      [],
      new Proxy({}, { ownKeys: () => ["a", "a"] }),
    ]) {
      gateway.fire("message_received", event, event);
      gateway.fire("gateway_stop", hostile);
    }
    gateway.fire("session_start", { sessionId: "a" });
    await gateway.stop("shutdown");
    assert.deepEqual(lives(await tail.stopped()), ["start a#1", "end a#1 shutdown"]);
    assert.equal(gateway.said(/not forwarded so far: unreadable: \d/), 1);
  });

  it("has what is refused counted, and said once with the dispatcher's words", async (t) => {
    const { tail, gateway } = await scene(t);
    gateway.fire("message_received", { sessionKey: "k".repeat(2_000) });
    gateway.fire("session_start", { sessionId: "a" });
    await gateway.fire("session_end", { sessionId: "a" });
    await gateway.stop("shutdown");
    await tail.stopped();
    assert.equal(gateway.said(/refused: 1 \(session.key: it has 2000 bytes/), 1, gateway.logged.join("\n"));
  });

  it("sends less of what is too large", async (t) => {
    const { tail, gateway } = await scene(t, { content: "full" });
    gateway.fire("message_received", { content: "x".repeat(4 << 20), messageId: "m" });
    gateway.fire("message_received", { content: "small" });
    const seen = await tail.seen(3);
    assert.deepEqual(
      seen.slice(1).map(({ payload }) => payload),
      [{ content: { length: 4 << 20 }, messageId: "m" }, { content: "small" }],
    );
    await gateway.stop("shutdown");
  });
});

describe("a canary", () => {
  /** What left a gateway that met canaries wherever it could, byte for byte. */
  async function left(t: TestContext, content: string): Promise<string> {
    const stub = await Stub.serve(t);
    const gateway = await Gateway.boot(t, { address: stub.address, content });
    const ctx = {
      sessionId: "a",
      config: { gateway: { auth: { token: "canary-config" } } },
      apiKey: "canary-key",
    };
    gateway.fire("message_received", { content: "canary-body", authorization: "canary-key" }, ctx);
    gateway.fire("before_tool_call", { toolName: "exec", params: { command: "canary-body" } }, ctx);
    gateway.fire("llm_input", { prompt: "canary-body", credentials: { key: "canary-key" } }, ctx);
    gateway.fire("cron_changed", { action: "added", job: { payload: { message: "canary-body" } } }, ctx);
    gateway.fire("session_end", { sessionId: "a", reason: "canary-body", apiKey: "canary-key" }, ctx);
    await gateway.stop("shutdown");
    assert.equal(stub.events.length, 7);
    return Buffer.concat(stub.bytes).toString("latin1");
  }

  it("in the config, a credential or a body leaves in nothing with the default settings", async (t) => {
    for (const content of ["none", "metadata"]) {
      assert.deepEqual((await left(t, content)).match(/canary-\w+/g), null, content);
    }
  });

  it("leaves in a body, and nowhere else, when that is asked for", async (t) => {
    const found = (await left(t, "full")).match(/canary-\w+/g);
    assert.deepEqual([...new Set(found)], ["canary-body"]);
    assert.equal(found?.length, 4);
  });
});

describe("the stop", () => {
  it("does not wait for a plugin that never answers, and its end is still owed", async (t) => {
    const { dispatcher, tail, gateway } = await scene(t, {}, "--ack", "never");
    gateway.fire("session_start", { sessionId: "a" });
    await tail.seen(2);
    await gateway.stop("shutdown");
    assert.equal(gateway.said(/the dispatcher goes on without this gateway/), 1);
    await tail.stopped(); // the dispatcher's own budget is over
    const { owed } = await dispatcher.subscriber("tail", () => true);
    assert.equal(owed, 1);
  });

  it("takes nothing more in, and says so", async (t) => {
    const { tail, gateway } = await scene(t);
    await gateway.stop("shutdown");
    gateway.fire("message_received", { content: "late" });
    assert.equal((await tail.stopped()).length, 2);
    await until(() => gateway.said(/nobody there: 1/) === 1);
  });
});
