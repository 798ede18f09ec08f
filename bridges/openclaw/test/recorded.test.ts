/** A real gateway's recorded hooks, through the bridge and through `hookwire publish`: a dispatcher is told the same. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import type { GatewayEvent } from "../../../sdk/typescript/src/gen/hookwire/v1/gateway_service.js";
import { Dispatcher, hookwire } from "../../../sdk/typescript/test/cast.js";
import { Gateway, lives, PROJECT, recorded, Tail } from "./openclaw.js";
import { Stub } from "./stub.js";

/** An event without its time, which is that of its firing; its JSON as text, in the order of its fields. */
function essence({ timeUnixNano: _, payload, ...rest }: GatewayEvent): object {
  const json = payload?.$case === "json" ? rewritten(payload.value) : undefined;
  return { ...rest, payload: json ?? payload };
}

/** What was recorded has an escape where JavaScript writes none. */
function rewritten(json: Uint8Array): string {
  return JSON.stringify(JSON.parse(Buffer.from(json).toString()));
}

/** Plays a recorded life to the bridge: the service stops where the recorded gateway went away. */
async function play(t: TestContext, file: string, config: Record<string, unknown>): Promise<Gateway> {
  const gateway = Gateway.of(t, config);
  for (const { hook, event, ctx } of recorded(file)) {
    if (hook === "gateway_start") {
      await gateway.unload();
      await gateway.load();
    }
    gateway.fire(hook, event, ctx);
  }
  await gateway.unload();
  return gateway;
}

describe("what was recorded", () => {
  for (const file of ["restart-then-stop.jsonl", "killed.jsonl"]) {
    it(`in ${file} is published as hookwire publish does it`, async (t) => {
      const [expected, came] = [await Stub.serve(t), await Stub.serve(t)];
      const path = join(PROJECT, "tests/data/openclaw", file);
      await hookwire("publish", "--to", expected.address, "--gateway", "openclaw", path);
      await play(t, file, { address: came.address, content: "full", skip: [] });
      assert.deepEqual(came.events.map(essence), expected.events.map(essence));
      assert.equal(came.events.length, recorded(file).length);
      assert.deepEqual(
        came.drains.map(({ reason }) => reason),
        expected.drains.map(({ reason }) => reason),
      );
      assert.equal(new Set(came.hellos.map(({ bootId }) => bootId)).size, expected.hellos.length);
    });
  }

  it("leaves no word of what was said with the default settings", async (t) => {
    const stub = await Stub.serve(t);
    await play(t, "restart-then-stop.jsonl", { address: stub.address, skip: [] });
    const bytes = Buffer.concat(stub.bytes).toString("latin1");
    assert.equal(stub.events.length, recorded("restart-then-stop.jsonl").length, "every hook is told");
    for (const said of ["hello", "Skill Workshop", "elided"]) assert.ok(!bytes.includes(said), said);
    assert.ok(bytes.includes("agent:main:telegram:42"), "it is the text that is looked for, not nothing");
  });

  it("leaves no life open", async (t) => {
    const dispatcher = await Dispatcher.serve(t);
    const tail = await new Tail(t, dispatcher.address).ready();
    await play(t, "restart-then-stop.jsonl", { address: dispatcher.address });
    const all = lives(await tail.stopped(2));
    const of = (what: string) =>
      all.filter((line) => line.startsWith(what)).map((line) => line.split(" ")[1]);
    assert.ok(of("start ").length > 5);
    assert.deepEqual(of("end ").sort(), of("start ").sort(), "each ends once");
  });
});
