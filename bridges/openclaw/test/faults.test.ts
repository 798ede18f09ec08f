/** The dispatcher is absent, dies, hangs, or does not want this gateway. */

import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";

import { isWithin } from "../../../sdk/typescript/src/wait.js";
import { Dispatcher, folder, hookwire, PATIENCE } from "../../../sdk/typescript/test/cast.js";
import { Boot } from "../src/boot.js";
import { Link } from "../src/link.js";
import { Losses } from "../src/losses.js";
import { DEFAULTS } from "../src/settings.js";
import { Gateway, lives, type Seen, Tail, until } from "./openclaw.js";
import { Stub } from "./stub.js";

/** A place where dispatchers come and go. */
class Place {
  readonly address: string;
  readonly #home: string;

  constructor(private readonly t: TestContext) {
    this.#home = folder(t);
    this.address = `unix:${join(this.#home, "s.sock")}`;
  }

  serve(...flags: string[]): Promise<Dispatcher> {
    return Dispatcher.serve(this.t, "--listen", this.address, ...flags);
  }

  /** One with a journal. */
  serveAgain(): Promise<Dispatcher> {
    return this.serve("--data-dir", join(this.#home, "journal"));
  }

  async kill({ process }: Dispatcher): Promise<void> {
    process.kill("SIGKILL");
    await process.end(null);
    rmSync(join(this.#home, "s.sock"), { force: true });
  }
}

describe("a dispatcher", () => {
  it("that is absent at boot is told everything when it comes", async (t) => {
    const place = new Place(t);
    const gateway = await Gateway.boot(t, { address: place.address });
    gateway.fire("session_start", { sessionId: "a" });
    await gateway.fire("session_end", { sessionId: "a", reason: "idle" });
    gateway.fire("session_start", { sessionId: "b" });
    await until(() => gateway.said(/no dispatcher at/) === 1);
    await place.serve();
    const tail = await new Tail(t, place.address, "tail", "--announce").ready();
    await gateway.stop("shutdown");
    assert.ok(lives(await tail.stopped()).includes("end b#2 shutdown"));
    assert.equal(gateway.said(/no dispatcher at/), 1, "one line for many attempts");
  });

  it("that is killed and comes back with its journal goes on with every session", async (t) => {
    const place = new Place(t);
    const first = await place.serveAgain();
    const gateway = await Gateway.boot(t, { address: place.address });
    const tail = await new Tail(t, place.address, "tail", "--announce").ready();
    for (const id of ["a", "b"]) gateway.fire("session_start", { sessionId: id });
    await tail.sees((seen) => lives(seen).length === 2);
    await place.kill(first);
    await gateway.fire("session_end", { sessionId: "a", reason: "reset" }); // the stream is broken: at once
    gateway.fire("session_start", { sessionId: "a", resumedFrom: "a" });
    await place.serveAgain();
    await tail.sees((seen) => lives(seen).includes("start a#3"));
    await gateway.stop("shutdown");
    const ends = lives(await tail.stopped()).filter((line) => line.startsWith("end"));
    assert.deepEqual(ends, ["end a#1 reset", "end b#2 shutdown", "end a#3 shutdown"]);
  });

  it("that lost its ledger is told which sessions are alive", async (t) => {
    const place = new Place(t);
    const first = await place.serve();
    const gateway = await Gateway.boot(t, { address: place.address });
    await settled(gateway, 1);
    for (const id of ["a", "b", "c"])
      gateway.fire("session_start", { sessionId: id, sessionKey: `key-${id}` });
    await gateway.fire("session_end", { sessionId: "b", reason: "idle" });
    await place.kill(first);
    await place.serve();
    await settled(gateway, 2);
    const tail = await new Tail(t, place.address, "tail", "--announce").ready();
    const began = lives(await tail.seen(2)).map((line) => line.split("#")[0]);
    assert.deepEqual(began.sort(), ["start a", "start c"]);
    await gateway.stop("shutdown");
    assert.equal(lives(await tail.stopped()).length, 4);
  });

  it("that gives no receipt is waited for once, and what is lost with the gateway is counted", async (t) => {
    const stub = await Stub.serve(t);
    const gateway = await Gateway.boot(t, { address: stub.address, sessionEndWaitMs: 100, stopWaitMs: 100 });
    await settled(gateway, 1);
    await gateway.fire("session_end", { sessionId: "z" }); // all is taken in
    stub.silent = true;
    await gateway.fire("session_end", { sessionId: "a" }); // as long as is configured
    const next = new Promise((resolve) => setImmediate(resolve, "waited"));
    assert.equal(await Promise.race([gateway.fire("session_end", { sessionId: "b" }), next]), undefined);
    await gateway.stop("shutdown");
    assert.equal(gateway.said(/nobody there: 3/), 1, "two ends and the gateway_stop");
  });

  it("that gives no receipt gets the drain, and does not hold up the stop", async (t) => {
    const stub = await Stub.serve(t);
    const long = { sessionEndWaitMs: 200, stopWaitMs: 10 * PATIENCE };
    const gateway = await Gateway.boot(t, { address: stub.address, ...long });
    await settled(gateway, 1);
    stub.silent = true;
    await gateway.fire("session_end", { sessionId: "a" });
    assert.ok(await isWithin(PATIENCE, gateway.stop("shutdown")));
    assert.equal(stub.drains.length, 1);
  });

  it("that goes away is waited for no more", async (t) => {
    const stub = await Stub.serve(t);
    const gateway = await Gateway.boot(t, { address: stub.address, sessionEndWaitMs: 10 * PATIENCE });
    await settled(gateway, 1);
    stub.silent = true;
    const end = gateway.fire("session_end", { sessionId: "a" });
    stub.break();
    assert.ok(await isWithin(PATIENCE, Promise.resolve(end)));
    stub.silent = false;
    await gateway.stop("shutdown");
  });

  it("that hangs holds nobody up for longer than is configured", async (t) => {
    const place = new Place(t);
    const hanging = await place.serve();
    const gateway = await Gateway.boot(t, { address: place.address, sessionEndWaitMs: 200, stopWaitMs: 300 });
    gateway.fire("session_start", { sessionId: "a" });
    await gateway.fire("session_end", { sessionId: "a" });
    await settled(gateway, 1);
    hanging.process.kill("SIGSTOP"); // it takes effect when it does: nothing below leans on how soon
    for (const id of ["b", "c"]) gateway.fire("session_start", { sessionId: id });
    assert.ok(await isWithin(PATIENCE, gateway.stop("shutdown", ["b", "c"])));
    hanging.process.kill("SIGCONT");
  });

  it("that is dead when the gateway stops is not waited for", async (t) => {
    const place = new Place(t);
    const dead = await place.serve();
    const gateway = await Gateway.boot(t, { address: place.address, stopWaitMs: 10 * PATIENCE });
    gateway.fire("session_start", { sessionId: "a" });
    await settled(gateway, 1);
    await place.kill(dead);
    assert.ok(await isWithin(PATIENCE, gateway.stop("shutdown", ["a"])));
    assert.equal(gateway.said(/nobody there/), 1);
  });

  it("that is told to drain a gateway which runs on has it as a new boot, with what is alive", async (t) => {
    const place = new Place(t);
    const first = await place.serveAgain();
    const gateway = await Gateway.boot(t, { address: place.address });
    const tail = await new Tail(t, place.address).ready();
    gateway.fire("session_start", { sessionId: "a" });
    await tail.sees((seen) => lives(seen).length === 1);
    const drain = () =>
      hookwire("drain", "--to", place.address, "--gateway", "openclaw", "--reason", "restart");
    await drain();
    gateway.fire("session_start", { sessionId: "b" }); // refused
    await tail.sees((seen) => lives(seen).length === 4);
    await drain();
    await tail.sees((seen) => lives(seen).length === 6);
    await place.kill(first);
    await place.serveAgain(); // it refuses the boot's Hello
    await tail.sees((seen) => seen.filter(({ hook }) => hook === "session_start").length === 5);
    await gateway.stop("shutdown");
    const seen = await tail.stopped(3);
    assert.deepEqual(of("a", seen), ["start", "end", "start", "end", "start", "end"]);
    assert.deepEqual(of("b", seen), ["start", "end", "start", "end"]);
  });

  it("that says Goodbye is dialled again", async (t) => {
    const place = new Place(t);
    const first = await place.serveAgain();
    const gateway = await Gateway.boot(t, { address: place.address });
    await settled(gateway, 1);
    await first.stop();
    await place.serveAgain();
    await settled(gateway, 2);
    await gateway.stop("shutdown");
  });

  it("with a newer boot of the same name has this one displaced, for good, in one line", async (t) => {
    const place = new Place(t);
    const dispatcher = await place.serve();
    const gateway = await Gateway.boot(t, { address: place.address });
    await settled(gateway, 1);
    const other = new (await import("../../../sdk/typescript/test/cast.js")).Gateway(
      t,
      dispatcher,
      "openclaw",
    );
    other.start("x");
    await until(() => gateway.said(/displaced by a newer boot/) === 1);
    gateway.fire("session_start", { sessionId: "a" });
    await gateway.stop("shutdown");
    assert.equal(gateway.said(/displaced|no dispatcher/), 1, gateway.logged.join("\n"));
    assert.equal(gateway.said(/hookwire: attached/), 1);
  });
});

describe("a gateway", () => {
  it("that is refused says so once, in the dispatcher's words, and dials no more", async (t) => {
    const place = new Place(t);
    await place.serve();
    const gateway = await Gateway.boot(t, { address: place.address, gatewayId: "x".repeat(200) });
    await until(() => gateway.said(/refused by the dispatcher: INVALID_ARGUMENT: .*gateway_id/) === 1);
    gateway.fire("session_start", { sessionId: "a" });
    assert.equal(gateway.fire("session_end", { sessionId: "a" }), undefined);
    await gateway.stop("shutdown");
    assert.equal(gateway.said(/refused by/), 1);
  });

  it("with an address that is none runs on, and says what is wrong", async (t) => {
    const gateway = await Gateway.boot(t, { address: "somewhere" });
    gateway.fire("session_start", { sessionId: "a" });
    await gateway.fire("session_end", { sessionId: "a" });
    await gateway.stop("shutdown");
    assert.equal(gateway.said(/"somewhere" is no address/), 1);
  });
});

describe("what is alive", () => {
  it("is said where nobody knows what became of it, behind what is still to be sent, and else nothing is said", async (t) => {
    const stub = await Stub.serve(t);
    const gateway = await Gateway.boot(t, { address: stub.address });
    gateway.fire("session_start", { sessionId: "a", sessionKey: "k" }, { agentId: "main" });
    await gateway.fire("session_end", { sessionId: "b" });
    await until(() => stub.events.length === 3);
    stub.silent = true;
    gateway.fire("session_start", { sessionId: "c" });
    await until(() => stub.events.length === 4);
    stub.break();
    await until(() => stub.hellos.length === 2);
    const [first, second] = stub.hellos;
    assert.equal(first?.liveSessions, undefined, "absent is not empty");
    assert.deepEqual(second?.liveSessions?.sessions, [
      { id: "a", key: "k", agentId: "main" },
      { id: "c", key: "", agentId: "" },
    ]);
    assert.equal(second?.resendThrough, 4n);
    assert.equal(second?.emitterId, first?.emitterId);
    await until(() => stub.events.length > 4); // the stub remembers nothing: all without a receipt comes again
    assert.ok(stub.events.slice(4).some(({ session }) => session?.id === "c"));
    stub.silent = false;
    await gateway.stop("shutdown");
  });
});

describe("an end that had to go while the stream was open", () => {
  it("is made good by a Hello that lists what is alive", async (t) => {
    const stub = await Stub.serve(t);
    const gateway = await Gateway.boot(t, { address: stub.address, sessionEndWaitMs: 0 });
    for (const id of ["victim", "b"]) gateway.fire("session_start", { sessionId: id });
    await until(() => stub.events.length === 3);
    stub.silent = true;
    const ends = (from: number, to: number) => {
      for (let id = from; id < to; id += 1) gateway.fire("session_end", { sessionId: `${id}` });
    };
    ends(0, 10_000); // more than may be on its way
    gateway.fire("session_end", { sessionId: "victim", reason: "reset" });
    ends(10_000, 70_000); // more than is kept
    await until(() => stub.hellos.length === 2);
    stub.silent = false;
    assert.deepEqual(
      stub.hellos[1]?.liveSessions?.sessions.map(({ id }) => id),
      ["b"],
    );
    await gateway.stop("shutdown");
    assert.equal(stub.hellos.length, 2, "once is enough");
  });
});

describe("a Hello", () => {
  it("is not made for a dispatcher that is away", async (t) => {
    const boot = new Boot(() => ({ events: 1, bytes: 1 }));
    let [hellos, lost] = [0, 0];
    const onLost = () => {
      lost += 1;
    };
    boot.hello = () => {
      hellos += 1;
      throw new Error("it was made");
    };
    const way = { ...DEFAULTS, address: new Place(t).address };
    const say = () => undefined;
    const log = { info: say, warn: say, error: say };
    const link = new Link(boot, way, log, new Losses(() => log), onLost);
    link.dial();
    await until(() => lost > 2);
    link.close();
    assert.equal(hellos, 0);
  });
});

describe("the queue", () => {
  it("loses what starts and ends no session first, and counts it", async (t) => {
    const place = new Place(t);
    const gateway = await Gateway.boot(t, { address: place.address, queueEvents: 10 });
    gateway.fire("session_start", { sessionId: "a", sessionKey: "k" });
    for (let count = 0; count < 25; count += 1) gateway.fire("message_received", { sessionKey: "k" });
    gateway.fire("session_start", { sessionId: "b" });
    await until(() => gateway.said(/no dispatcher at/) === 1);
    await place.serve();
    const tail = await new Tail(t, place.address, "tail", "--announce").ready();
    await gateway.stop("shutdown");
    assert.deepEqual(
      lives(await tail.stopped()).filter((line) => line.startsWith("end")),
      ["end a#1 shutdown", "end b#2 shutdown"],
    );
    assert.equal(gateway.said(/no room: 15/), 1, gateway.logged.join("\n"));
  });
});

/** Which starts and ends came of a session, but for what came twice. */
function of(id: string, seen: readonly Seen[]): (string | undefined)[] {
  const its = [...new Set(lives(seen))].filter((line) => line.split(" ")[1]?.startsWith(`${id}#`));
  return its.map((line) => line.split(" ")[0]);
}

/** Waits until the gateway has attached so often. */
async function settled(gateway: Gateway, times: number): Promise<void> {
  await until(() => gateway.said(/hookwire: attached/) >= times);
}
