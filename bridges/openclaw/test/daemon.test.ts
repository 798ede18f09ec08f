/** A dispatcher that the gateway starts itself. */

import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
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

  it("starts one of its own when the one that it used is gone", async (t) => {
    const stateDir = folder(t);
    mkdirSync(join(stateDir, "hookwire"));
    const address = `unix:${join(stateDir, "hookwire/hookwire.sock")}`;
    const survivor = await Dispatcher.serve(t, "--listen", address);
    const gateway = await Gateway.boot(t, { spawn: true, command: HOOKWIRE }, stateDir);
    await until(() => gateway.said(/hookwire: attached/) === 1);
    survivor.process.kill("SIGKILL");
    await until(() => gateway.said(/hookwire: attached/) === 2);
    assert.equal(gateway.said(/hookwire: started/), 1);
    await gateway.stop("shutdown");
  });

  it("waits for the one before when the command is another", async (t) => {
    const other = join(folder(t), "other");
    symlinkSync(HOOKWIRE, other);
    const gateway = await Gateway.boot(t, { spawn: true, command: HOOKWIRE });
    await until(() => gateway.said(/hookwire: attached/) === 1);
    const pid = pidOf(gateway);
    await gateway.replace({ spawn: true, command: other });
    await until(() => gateway.said(/hookwire: attached/) === 2);
    assert.ok(!isAlive(pid));
    assert.equal(gateway.said(/already|has ended/), 0, gateway.logged.join("\n"));
    await gateway.stop("shutdown");
  });

  it("stops the one of a gateway that was refused", async (t) => {
    const gateway = await Gateway.boot(t, { spawn: true, command: HOOKWIRE, gatewayId: "x".repeat(200) });
    await until(() => gateway.said(/refused by/) === 1);
    await gateway.stop("shutdown");
    await until(() => !isAlive(pidOf(gateway)));
  });

  it("stops the one of a plugin that does not come back", async (t) => {
    const gateway = await Gateway.boot(t, { spawn: true, command: HOOKWIRE });
    await until(() => gateway.said(/hookwire: attached/) === 1);
    gateway.fire("gateway_stop", { reason: "plugin replacement" });
    t.mock.timers.enable({ apis: ["setTimeout"] });
    await gateway.unload();
    t.mock.timers.tick(10_000);
    t.mock.timers.reset();
    await until(() => !isAlive(pidOf(gateway)));
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
    writeFileSync(other, '#!/bin/sh\necho hello; echo >>"$0".runs; exit 3\n', { mode: 0o700 });
    const gateway = await Gateway.boot(t, { spawn: true, command: "no-such-program" });
    await until(() => gateway.said(/ENOENT/) === 1);
    await gateway.replace({ spawn: true, command: other });
    await until(() => existsSync(`${other}.runs`) && readFileSync(`${other}.runs`).length > 3);
    await gateway.stop("shutdown");
    assert.equal(gateway.said(/has ended with 3/), 1, "once, however often it is tried");
    assert.equal(gateway.said(/hookwire: started/), 0);
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
