/** The examples against a real dispatcher. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";

import { DatabaseSync } from "@photostructure/sqlite";

import { Dispatcher, example, folder, Gateway, hookwire, jsonLines, PACKAGE, type Process } from "./cast.js";

/** A session_table, with its files. */
class Table {
  readonly file: string;
  readonly log: string;

  constructor(private readonly t: TestContext) {
    const path = folder(t);
    this.file = join(path, "sessions.db");
    this.log = join(path, "effects.jsonl");
  }

  run({ address }: Pick<Dispatcher, "address">, env: NodeJS.ProcessEnv = {}): Process {
    const names = { HOOKWIRE_ADDR: address, HOOKWIRE_VERIFY_LOG: this.log };
    return example(this.t, "session_table", [this.file], { ...names, ...env });
  }

  rows(): Array<Record<string, unknown>> {
    const table = new DatabaseSync(this.file);
    const select = "SELECT id, status, reason, events FROM sessions ORDER BY ledger_id, incarnation";
    const rows = table.prepare(select).all();
    table.close();
    return rows.map((row) => ({ ...row }));
  }

  /** Effects that changed something, or were no event. */
  effects(): Array<Record<string, unknown>> {
    return jsonLines(this.log).filter(({ changed }) => changed !== false);
  }
}

describe("hello", () => {
  it("has no more than 15 lines", () => {
    assert.ok(readFileSync(join(PACKAGE, "examples/hello.ts"), "utf8").trim().split("\n").length <= 15);
  });

  for (const unix of [false, true]) {
    it(`prints what happens to sessions, over ${unix ? "a Unix socket" : "TCP"}`, async (t) => {
      const listen = unix ? `unix:${folder(t)}/hookwire.sock` : "127.0.0.1:0";
      const dispatcher = await Dispatcher.serve(t, "--listen", listen);
      const hello = example(t, "hello", [], { HOOKWIRE_ADDR: dispatcher.address });
      await hello.lines("hookwire: welcome");
      const gateway = new Gateway(t, dispatcher);
      gateway.start("s1");
      gateway.end("s1", "reset");
      await hello.lines("session_end s1 #1");
      assert.deepEqual(hello.stdout, ["session_start s1 #1", "session_end s1 #1"]);
      await dispatcher.stop();
      hello.kill("SIGTERM");
      await hello.end(0);
    });
  }

  it("makes way for another of its name", async (t) => {
    const dispatcher = await Dispatcher.serve(t);
    const older = example(t, "hello", [], { HOOKWIRE_ADDR: dispatcher.address });
    await older.lines("hookwire: welcome");
    const newer = example(t, "hello", [], { HOOKWIRE_ADDR: dispatcher.address });
    await older.end(76);
    assert.match(older.stderr.at(-1) ?? "", /^hookwire: displaced by another process of the same name/);
    await dispatcher.subscriber("hello", ({ connected }) => connected);
    newer.kill("SIGTERM");
    await newer.end(0);
  });

  it("comes back when the dispatcher does", async (t) => {
    const socket = `unix:${folder(t)}/hookwire.sock`;
    const hello = example(t, "hello", [], { HOOKWIRE_ADDR: socket });
    await hello.lines("hookwire: no stream");
    const first = await Dispatcher.serve(t, "--listen", socket);
    await hello.lines("hookwire: welcome");
    first.process.kill("SIGKILL");
    await first.process.end(null);
    const second = await Dispatcher.serve(t, "--listen", socket);
    await hello.lines("hookwire: welcome", 2);
    new Gateway(t, second).start("s1");
    await hello.lines("session_start s1");
  });

  it("says clearly what is no address", async (t) => {
    const hello = example(t, "hello", [], { HOOKWIRE_ADDR: "nowhere" });
    await hello.end(1);
    assert.match(hello.stderr.join("\n"), /^hookwire: "nowhere" is no address: write host:port/m);
  });
});

describe("session_table", () => {
  it("keeps a row for each life, also where a reset keeps the id", async (t) => {
    const dispatcher = await Dispatcher.serve(t);
    const table = new Table(t);
    const plugin = table.run(dispatcher);
    await plugin.lines("hookwire: welcome");
    const gateway = new Gateway(t, dispatcher);
    gateway.start("s1");
    gateway.message("s1");
    gateway.message("s1");
    gateway.end("s1", "reset");
    gateway.start("s1");
    gateway.message("s1");
    await dispatcher.subscriber("session-table", ({ acked }) => acked >= 6);
    const report = await dispatcher.stop();
    assert.deepEqual([report.subscribers[0]?.owed, report.subscribers[0]?.carried_over], [1, 0]);
    assert.deepEqual(table.rows(), [
      { id: "s1", status: "ended", reason: "RESET", events: 2 },
      { id: "s1", status: "ended", reason: "SHUTDOWN", events: 1 },
    ]);
    const drains = table.effects().filter(({ drain }) => drain === "gateway");
    assert.equal(drains.length, 1);
    const end = table.effects().find(({ hook, incarnation }) => hook === "session_end" && incarnation === 2);
    assert.equal(end?.draining, true);
    plugin.kill("SIGTERM");
    await plugin.end(0);
  });

  it("applies everything once although it is killed and the dispatcher delivers again", async (t) => {
    const dispatcher = await Dispatcher.serve(t, "--data-dir", folder(t));
    const table = new Table(t);
    const gateway = new Gateway(t, dispatcher);
    for (let life = 0; life < 5; life += 1) {
      const plugin = table.run(dispatcher);
      await plugin.lines("hookwire: welcome");
      for (let n = 0; n < 200; n += 1) {
        gateway.start(`s${life}-${n}`);
        gateway.end(`s${life}-${n}`, "idle");
      }
      await dispatcher.subscriber("session-table", ({ acked }) => acked > life * 50);
      plugin.kill("SIGKILL");
      await plugin.end(null);
    }
    const plugin = table.run(dispatcher);
    gateway.start("last");
    gateway.end("last", "idle");
    await dispatcher.subscriber("session-table", ({ owed, connected }) => connected && owed === 0);
    await dispatcher.stop();
    plugin.kill("SIGTERM");
    await plugin.end(0);
    assert.ok(table.rows().every(({ status }) => status === "ended"));
    const lives = new Map<unknown, number>();
    for (const { hook, incarnation } of table.effects()) {
      const effect = `${hook} ${incarnation}`;
      lives.set(effect, (lives.get(effect) ?? 0) + 1);
    }
    assert.deepEqual(
      [...lives].filter(([, times]) => times > 1),
      [],
    );
  });

  it("sweeps what a dispatcher that lost its ledger will not end", async (t) => {
    const table = new Table(t);
    const socket = `unix:${folder(t)}/hookwire.sock`;
    const first = await Dispatcher.serve(t, "--listen", socket);
    const plugin = table.run(first);
    await plugin.lines("hookwire: welcome");
    new Gateway(t, first).start("s1");
    await first.subscriber("session-table", ({ acked }) => acked >= 1);
    first.process.kill("SIGKILL");
    await first.process.end(null);
    const second = await Dispatcher.serve(t, "--listen", socket);
    await second.subscriber("session-table", ({ connected }) => connected);
    await plugin.lines("hookwire: welcome", 2);
    // The gateway is still there, and its session begins anew in the new ledger.
    plugin.kill("SIGTERM");
    await plugin.end(0);
    const [row] = table.rows();
    assert.deepEqual(row, { id: "s1", status: "ended", reason: "SWEPT", events: 0 });
    assert.ok(table.effects().some(({ swept }) => swept === 1));
  });

  it("finishes what is in hand at SIGTERM, and acknowledges it", async (t) => {
    const dispatcher = await Dispatcher.serve(t, "--data-dir", folder(t));
    const table = new Table(t);
    const plugin = table.run(dispatcher);
    await plugin.lines("hookwire: welcome");
    const gateway = new Gateway(t, dispatcher);
    for (let n = 0; n < 2_000; n += 1) gateway.start(`s${n}`);
    await dispatcher.subscriber("session-table", ({ acked }) => acked > 0);
    plugin.kill("SIGTERM");
    await plugin.end(0);
    const handled = jsonLines(table.log).length;
    const status = await dispatcher.subscriber("session-table", ({ connected }) => !connected);
    assert.equal(status.acked, handled, "all that was handled is acknowledged");
    const next = table.run(dispatcher);
    await dispatcher.subscriber("session-table", ({ connected, in_flight }) => connected && in_flight === 0);
    const report = JSON.parse(
      await hookwire("drain", "--to", dispatcher.address, "--reason", "shutdown", "--json"),
    );
    assert.equal(report.subscribers[0]?.carried_over, 0);
    assert.ok(table.rows().every(({ status }) => status === "ended"));
    next.kill("SIGTERM");
    await next.end(0);
  });
});

describe("slow_work", () => {
  it("accepts, and finishes what an earlier process left", async (t) => {
    const dispatcher = await Dispatcher.serve(t);
    const file = join(folder(t), "jobs.db");
    const first = example(t, "slow_work", [file], { HOOKWIRE_ADDR: dispatcher.address });
    await first.lines("hookwire: welcome");
    const gateway = new Gateway(t, dispatcher);
    for (const id of ["s1", "s2", "s3"]) {
      gateway.start(id);
      gateway.end(id, "idle");
    }
    await dispatcher.subscriber("slow-work", ({ acked }) => acked >= 6);
    first.kill("SIGKILL");
    await first.end(null);
    const second = example(t, "slow_work", [file], { HOOKWIRE_ADDR: dispatcher.address });
    const finished = new Set(first.stdout.filter((line) => line.startsWith("finished")));
    for (const line of await second.lines("finished", 3 - finished.size)) finished.add(line);
    assert.deepEqual([...finished].sort(), ["finished s1", "finished s2", "finished s3"]);
    second.kill("SIGTERM");
    await second.end(0);
  });
});
