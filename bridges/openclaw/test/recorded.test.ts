/** A real gateway's recorded hooks, through the bridge and through `hookwire publish`: plugins see the same. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";

import { Dispatcher, hookwire } from "../../../sdk/typescript/test/cast.js";
import { Gateway, lives, PROJECT, recorded, type Seen, Tail } from "./openclaw.js";

/** Without what differs from boot to boot, and from ledger to ledger. */
function essence({ hook, session, reason, synthetic, late, payload }: Seen): unknown {
  const { last_activity_unix_nano: _, ...rest } = payload;
  return { hook, session, reason, synthetic, late, payload: rest };
}

/** Plays a recorded life to the bridge: the service stops where the recorded gateway went away. */
async function play(gateway: Gateway, file: string): Promise<void> {
  let started = 0;
  for (const { hook, event, ctx } of recorded(file)) {
    if (hook === "gateway_start") {
      started += 1;
      if (started > 1) {
        await gateway.unload();
        await gateway.load();
      }
    }
    gateway.fire(hook, event, ctx);
  }
  await gateway.unload();
}

async function published(t: TestContext, file: string, stops: number): Promise<Seen[]> {
  const dispatcher = await Dispatcher.serve(t);
  const tail = await new Tail(t, dispatcher.address).ready();
  const path = join(PROJECT, "tests/data/openclaw", file);
  await hookwire("publish", "--to", dispatcher.address, "--gateway", "openclaw", path);
  return tail.stopped(stops);
}

async function bridged(t: TestContext, file: string, stops: number, content: string): Promise<Tail> {
  const dispatcher = await Dispatcher.serve(t);
  const tail = await new Tail(t, dispatcher.address).ready();
  const gateway = await Gateway.boot(t, { address: dispatcher.address, content });
  await gateway.stop("shutdown"); // an empty boot: the recorded one begins with its own gateway_start
  await tail.stopped(1);
  await gateway.load();
  await play(gateway, file);
  if (stops > 0) await tail.stopped(1 + stops);
  return tail;
}

describe("a recorded restart and stop", () => {
  const FILE = "restart-then-stop.jsonl";

  it("is to plugins what it is when hookwire publish plays it", async (t) => {
    const expected = await published(t, FILE, 2);
    const tail = await bridged(t, FILE, 2, "full");
    const came = (await tail.stopped(3)).slice(2); // without the empty boot
    assert.deepEqual(came.map(essence), expected.map(essence));
  });

  it("ends every life that began, and says nothing of what was said", async (t) => {
    const tail = await bridged(t, FILE, 2, "none");
    const all = lives(await tail.stopped(3));
    const began = all.filter((line) => line.startsWith("start ")).map((line) => line.split(" ")[1]);
    const ended = all.filter((line) => line.startsWith("end ")).map((line) => line.split(" ")[1]);
    assert.ok(began.length > 5);
    assert.deepEqual([...ended].sort(), [...began].sort(), "each once");
    assert.ok(!tail.printed.includes("hello"), "neither prompts nor replies");
    assert.ok(!tail.printed.includes("Skill Workshop"), "nor a job's message");
  });
});

describe("a recorded kill", () => {
  it("is to plugins what it is when hookwire publish plays it, until nobody says anything", async (t) => {
    const dispatcher = await Dispatcher.serve(t);
    const tail = await new Tail(t, dispatcher.address).ready();
    const path = join(PROJECT, "tests/data/openclaw/killed.jsonl");
    await hookwire("publish", "--to", dispatcher.address, "--gateway", "openclaw", path);
    const [count] = [recorded("killed.jsonl").length];
    const expected = (await tail.seen(count)).map(essence);

    const other = await Dispatcher.serve(t);
    const otherTail = await new Tail(t, other.address).ready();
    const gateway = await Gateway.boot(t, { address: other.address, content: "full" });
    await gateway.stop("shutdown");
    await gateway.load();
    await play(gateway, "killed.jsonl");
    const came = (await otherTail.seen(2 + expected.length)).slice(2).map(essence);
    assert.deepEqual(came, expected);
  });
});
