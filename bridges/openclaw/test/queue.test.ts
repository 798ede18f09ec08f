/** What is kept, what goes, and what is alive. Pure. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { GatewayEvent } from "../../../sdk/typescript/src/gen/hookwire/v1/gateway_service.js";
import { Alive } from "../src/alive.js";
import { Boot } from "../src/boot.js";
import { Queue, type Size } from "../src/queue.js";
import { translate } from "../src/translate.js";

/** So many bytes, of no matter what. */
const bytes = (count: number) => new Uint8Array(count);

/** What follows the lives of its events, as a boot does. */
class Told {
  readonly alive = new Alive();
  readonly queue: Queue;

  constructor(room: Size = { events: 10, bytes: 1_000 }, kept?: Size) {
    this.queue = new Queue(this.alive, () => room, kept);
  }

  /** Says how many were lost. */
  tell(hook: string, id: string | undefined, key = "", size = 10): number {
    const session: GatewayEvent["session"] = { id, key, agentId: "" };
    const life = this.alive.follow(this.queue.nextSeq, hook, session);
    return this.queue.push(bytes(size), life !== undefined, life);
  }

  start(id: string, key?: string): number {
    return this.tell("session_start", id, key);
  }

  end(id: string): number {
    return this.tell("session_end", id);
  }

  get listed(): (string | undefined)[] | undefined {
    return this.alive
      .list()
      ?.sessions.map(({ id }) => id)
      .sort();
  }

  /** The numbers of all batches. */
  get sent(): number[][] {
    const batches: number[][] = [];
    for (let batch = this.queue.nextBatch(); batch !== undefined; batch = this.queue.nextBatch()) {
      const { firstSeq } = batch;
      batches.push(batch.events.map((_, at) => firstSeq + at));
    }
    return batches;
  }
}

describe("the queue", () => {
  it("sends everything once, and again from where the dispatcher wants it", () => {
    const told = new Told();
    for (const id of ["a", "b", "c", "d"]) told.start(id);
    assert.deepEqual(told.sent, [[1, 2, 3, 4]]);
    assert.deepEqual(told.sent, []);
    told.queue.settle(1);
    assert.equal(told.queue.held, 3);
    told.queue.rewind(2);
    told.start("e");
    assert.deepEqual(told.sent, [[3, 4, 5]]);
    told.queue.settle(5);
    assert.deepEqual([told.queue.held, told.queue.behind], [0, 0]);
    told.start("f");
    assert.deepEqual(told.sent, [[6]]);
  });

  it("bounds a batch, and what is on its way", () => {
    const told = new Told({ events: 100_000, bytes: 1 << 30 });
    told.tell("llm_output", undefined, "k", 100 << 10);
    told.tell("llm_output", undefined, "k", 40 << 10);
    told.tell("llm_output", undefined, "k", 40 << 10);
    assert.deepEqual(told.sent, [[1], [2], [3]]);
    for (let count = 0; count < 10_000; count += 1) told.tell("llm_output", undefined, "k");
    const sent = told.sent.flat().length;
    assert.ok(sent < 5_000, `${sent}`);
    told.queue.settle(3 + sent);
    assert.ok(told.sent.flat().length > 0, "a receipt makes room");
  });

  it("takes no more than its bound of what starts and ends nothing, by number or by bytes", () => {
    const told = new Told({ events: 2, bytes: 100 });
    assert.deepEqual(
      [1, 2, 3].map(() => told.tell("llm_output", undefined, "k")),
      [0, 0, 1],
    );
    assert.equal(told.start("a"), 0, "a start is kept beside them");
    told.queue.settle(1);
    assert.equal(told.tell("llm_output", undefined, "k", 200), 0, "one event may be larger");
    told.queue.settle(2);
    assert.equal(told.tell("llm_output", undefined, "k"), 1, "but then nothing more");
  });

  it("keeps what begins a life, although it is no session_start", () => {
    const told = new Told({ events: 0, bytes: 0 });
    assert.deepEqual([told.tell("llm_output", "a"), told.tell("llm_output", "a")], [0, 1]);
  });

  it("keeps without its text what begins a life, where there is no room for more", () => {
    const boot = new Boot(() => ({ events: 1, bytes: 1_000_000 }));
    const [long, short] = [bytes(1_000), bytes(10)];
    for (const id of ["a", "b", "b"]) {
      const event = translate("before_agent_run", { prompt: "x" }, { sessionId: id }, 0, "full");
      assert.ok(event);
      boot.publish(event, long, () => short);
    }
    assert.deepEqual(boot.queue.nextBatch()?.events, [long, short]);
  });

  it("lets go of lives that are over first, and keeps what holds two lives apart", () => {
    const told = new Told(undefined, { events: 6, bytes: 1_000_000 });
    told.start("goes on"); // 1
    told.start("reset"); // 2
    told.end("reset"); // 3
    told.start("reset"); // 4
    told.start("over"); // 5
    assert.equal(told.end("over"), 3); // the first start of what was reset, and what is over
    assert.equal(told.queue.shed, 1);
    assert.deepEqual(told.sent, [[1], [3, 4]]);
    assert.deepEqual(told.listed, ["goes on", "reset"]);
  });

  it("keeps what was sent, for it may have been taken in", () => {
    const told = new Told(undefined, { events: 2, bytes: 1_000_000 });
    told.start("a");
    assert.deepEqual(told.sent, [[1]]);
    told.queue.rewind(0);
    assert.equal(told.end("a"), 1, "the end alone");
    assert.deepEqual(told.sent, [[1]]);
  });

  it("does not look for room at each event when there is none to be made", () => {
    const told = new Told(undefined, { events: 100, bytes: 1_000_000 });
    for (let count = 0; count < 10_000; count += 1) assert.equal(told.start(`${count}`), 0);
    assert.equal(told.queue.held, 10_000, "what is alive is not let go of");
    assert.equal(told.queue.shed, 0);
  });

  it("has as much room behind a break as before it", () => {
    const told = new Told(undefined, { events: 100, bytes: 1_000_000 });
    for (let count = 0; count < 100; count += 1) told.start(`${count}`);
    told.queue.rewind(0);
    assert.equal(told.end("never was"), 0);
    for (let count = 0; count < 11; count += 1) told.start(`more ${count}`);
    told.queue.rewind(0);
    assert.equal(told.start("last"), 1, "but no more than that, however often it breaks");
  });

  it("lets go of what a dispatcher does not take", () => {
    const told = new Told();
    told.start("a");
    told.tell("llm_output", undefined, "k", 500);
    told.start("b");
    assert.equal(told.queue.dropLarger(100), 1);
    assert.deepEqual(told.sent, [[1], [3]]);
  });
});

describe("what is alive", () => {
  it("is what started, or showed itself, and did not end", () => {
    const told = new Told();
    told.start("a", "k");
    told.start("b", "k");
    told.tell("llm_output", "goes on since before");
    told.tell("session_end", undefined, "k"); // of b: it began last
    told.end("never was");
    told.tell("llm_output", "b"); // straggling
    told.tell("llm_output", undefined, "k");
    told.tell("session_start", undefined, "k");
    told.start("x".repeat(2_000));
    told.start("");
    assert.deepEqual(told.listed, ["a", "goes on since before"]);
  });

  it("is not listed where it is too much", () => {
    const few = new Told();
    for (let count = 0; count < 2_000; count += 1) few.start(`${count}`, "k".repeat(1_000));
    assert.equal(few.listed, undefined, "more bytes than a message has");
    for (let count = 1; count < 2_000; count += 1) few.end(`${count}`);
    assert.deepEqual(few.listed, ["0"]);
    const many = new Told();
    for (let count = 0; count <= 100_000; count += 1) many.start(`${count}`);
    assert.equal(many.listed, undefined, "more than a dispatcher reads");
  });

  it("does not grow with what is over", () => {
    const told = new Told({ events: 0, bytes: 0 });
    for (let count = 0; count <= 100_000; count += 1)
      told.alive.follow(count + 1, "session_end", named(`${count}`));
    told.alive.follow(200_000, "llm_output", named("5"));
    assert.deepEqual(told.listed, ["5"], "what was forgotten begins anew");
  });
});

function named(id: string): NonNullable<GatewayEvent["session"]> {
  return { id, key: "", agentId: "" };
}
