/** A plugin's life over many streams. */

import assert from "node:assert/strict";
import { it } from "node:test";

import { type Logger, Plugin } from "@hookwire/sdk";

import type { Call } from "../src/call.js";
import type { SubscribeResponse } from "../src/gen/hookwire/v1/hook_service.js";
import { welcome } from "../src/testing_call.js";

/** A stream on which so much is said before it breaks. */
function briefCall(...messages: Array<SubscribeResponse["message"]>): Call {
  return {
    async receive() {
      if (messages.length === 0) throw new Error("broken");
      return { message: messages.shift() };
    },
    send: () => true,
    onDrain() {},
    halfClose() {},
    cancel() {},
  };
}

it("warns of an outage once, and says when it is over", async () => {
  const said: string[] = [];
  const note = (level: string) => (line: string) => void said.push(`${level} ${line.split(":", 1)}`);
  const logger: Logger = {
    debug: note("debug"),
    info: note("info"),
    warn: note("warn"),
    error: note("error"),
  };
  const plugin = new Plugin("test", { logger }).on("*", () => {});
  const stop = new AbortController();
  const nobody = () => briefCall();
  const somebody = () => briefCall(welcome("ledger", 1n, false));
  const dials = [nobody, nobody, nobody, somebody, nobody, somebody];
  const dial = () => {
    const next = dials.shift();
    if (next === undefined) stop.abort();
    return (next ?? nobody)();
  };
  plugin.transport = { dial, dice: () => 0 };
  await plugin.run({ signal: stop.signal });
  const outage = (length: number) => ["warn no stream", ...Array(length - 1).fill("debug no stream")];
  assert.deepEqual(said, [...outage(3), "info welcome", ...outage(2), "info welcome", ...outage(1)]);
});
