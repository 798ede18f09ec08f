/**
 * Fires hooks at a steady rate through the gateway's own hook runner, and takes the time until each call of it has returned:
 * all handlers of all plugins. Its report is a file of those times, in milliseconds.
 */

import { renameSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

import { getGlobalHookRunner } from "openclaw/plugin-sdk/plugin-runtime";

/** The gateway is still busy with its own start when it says gateway_start. */
const SETTLE_MS = 5000;
const SESSIONS = 50;
const TEXT = "a line of a conversation ".repeat(40);

/** What a turn of a conversation fires; each takes the number of the call. */
const TURN = [
  (runner, at) => runner.runMessageReceived({ from: "load", content: TEXT, messageId: `m${at}` }, context(at)),
  (runner, at) => runner.runLlmInput({ ...model(at), prompt: TEXT, historyMessages: [], imagesCount: 0 }, context(at)),
  (runner, at) => runner.runModelCallStarted({ ...model(at), callId: `c${at}` }, context(at)),
  (runner, at) => runner.runModelCallEnded({ ...model(at), callId: `c${at}`, outcome: "completed" }, context(at)),
  (runner, at) => runner.runLlmOutput({ ...model(at), assistantTexts: [TEXT] }, context(at)),
  (runner, at) => runner.runAfterToolCall({ toolName: "read", params: { path: "/etc/hosts" } }, context(at)),
  (runner, at) => runner.runAgentEnd({ messages: [{ role: "user", content: TEXT }], success: true }, context(at)),
  (runner, at) => runner.runMessageSent({ to: "load", content: TEXT, success: true }, context(at)),
];

const context = (at) => ({
  agentId: "main",
  sessionId: `load-${at % SESSIONS}`,
  sessionKey: `agent:main:load:${at % SESSIONS}`,
  runId: `r${at}`,
  channelId: "load",
});

const model = (at) => ({
  runId: `r${at}`,
  sessionId: `load-${at % SESSIONS}`,
  provider: "stand-in",
  model: "stand-in",
});

async function fire({ report, rate, seconds }) {
  await sleep(SETTLE_MS);
  const runner = getGlobalHookRunner();
  const times = [];
  const began = performance.now();
  for (let at = 0; at < rate * seconds; ) {
    const due = Math.min(((performance.now() - began) / 1000) * rate, rate * seconds);
    for (; at < due; at += 1) {
      const before = performance.now();
      await TURN[at % TURN.length](runner, at);
      times.push(performance.now() - before);
    }
    await sleep(1);
  }
  const took = (performance.now() - began) / 1000;
  writeFileSync(`${report}.part`, JSON.stringify({ rate: times.length / took, times }));
  renameSync(`${report}.part`, report);
}

export default {
  id: "load",
  name: "Load",
  description: "Fires hooks at a steady rate",
  register(api) {
    api.on("gateway_start", () => {
      fire(api.pluginConfig).catch((error) => console.error("load:", error));
    });
  },
};
