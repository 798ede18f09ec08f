/** A dispatcher that the gateway starts itself. */

import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";

import { Dispatcher, folder, HOOKWIRE } from "../../../sdk/typescript/test/cast.js";
import { Gateway, lives, Tail, until } from "./openclaw.js";

describe("spawn", () => {
  it("starts a dispatcher, and stops it behind the drain", async (t) => {
    const gateway = await Gateway.boot(t, { spawn: true, command: HOOKWIRE });
    gateway.fire("session_start", { sessionId: "a" }); // before it listens
    await until(() => gateway.said(/hookwire: attached/) === 1);
    const address = `unix:${join(gateway.stateDir, "hookwire/hookwire.sock")}`;
    const tail = await new Tail(t, address, "tail", "--announce").ready();
    await tail.sees((seen) => lives(seen).length === 1);
    const pid = pidOf(gateway);
    await gateway.stop("shutdown", ["a"]);
    assert.deepEqual(lives(await tail.stopped()), ["start a#1", "end a#1 shutdown"]);
    await until(() => !isAlive(pid));
  });

  it("uses one that survived a crash of the gateway, and leaves it running", async (t) => {
    const stateDir = folder(t);
    mkdirSync(join(stateDir, "hookwire"));
    const survivor = await Dispatcher.serve(
      t,
      "--listen",
      `unix:${join(stateDir, "hookwire/hookwire.sock")}`,
    );
    const gateway = await Gateway.boot(t, { spawn: true, command: "no-such-program" }, stateDir);
    await until(() => gateway.said(/hookwire: attached/) === 1);
    assert.equal(gateway.said(/listens on .* already/), 1);
    await gateway.stop("shutdown");
    await survivor.stop();
  });

  it("starts it anew when it dies", async (t) => {
    const gateway = await Gateway.boot(t, { spawn: true, command: HOOKWIRE });
    gateway.fire("session_start", { sessionId: "a" });
    await until(() => gateway.said(/hookwire: attached/) === 1);
    process.kill(pidOf(gateway), "SIGKILL");
    await until(() => gateway.said(/hookwire: attached/) === 2);
    await gateway.stop("shutdown");
  });

  it("says what is wrong with a program that is not there, or is another", async (t) => {
    const other = join(folder(t), "other");
    writeFileSync(other, "#!/bin/sh\nexit 3\n", { mode: 0o700 });
    for (const [command, why] of [
      ["no-such-program", /ENOENT/],
      [other, /has ended with 3/],
    ] as const) {
      const gateway = await Gateway.boot(t, { spawn: true, command });
      await until(() => gateway.said(why) > 0);
      await gateway.stop("shutdown");
    }
  });
});

function pidOf(gateway: Gateway): number {
  const [, pid] = /pid (\d+)/.exec(gateway.logged.join("\n")) ?? [];
  assert.ok(pid, gateway.logged.join("\n"));
  return Number(pid);
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
