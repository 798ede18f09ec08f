/** A whole plugin, driven from memory. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import {
  ACCEPTED,
  type Answer,
  BatchKind,
  Displaced,
  type Event,
  type Logger,
  MemoryStore,
  NoHandler,
  Plugin,
  type PluginOptions,
  Reject,
  Retry,
  type Sweep,
} from "@hookwire/sdk";
import { TestDispatcher } from "@hookwire/sdk/testing";

const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };

function pluginOf(options: PluginOptions = {}): Plugin {
  return new Plugin("test", { logger: silent, ...options });
}

/** Something that a handler waits for. */
function gate(): { opened: Promise<void>; open: () => void } {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

/** Waits until it holds: only a fault takes so long that it gives up. */
async function eventually(holds: () => boolean): Promise<void> {
  const began = Date.now();
  while (!holds() && Date.now() - began < 30_000) await new Promise((resolve) => setImmediate(resolve));
  assert.ok(holds());
}

/** Turns of the event loop, in which what must not happen would. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 200; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

describe("what a handler returns or throws", () => {
  const answers: Array<[string, (event: Event) => unknown, string, string]> = [
    ["nothing", () => {}, "OK", "OK"],
    ["a promise of nothing", async () => {}, "OK", "OK"],
    ["ACCEPTED", () => ACCEPTED, "ACCEPTED", "ACCEPTED"],
    ["a Retry", async () => new Retry({ after: 5, text: "busy" }), "RETRY", "RETRY"],
    [
      "a thrown Reject",
      () => {
        throw new Reject("bad", "no");
      },
      "REJECT",
      "REJECT",
    ],
    [
      "a Reject thrown later",
      async () => {
        throw new Reject("bad", "no");
      },
      "REJECT",
      "REJECT",
    ],
    [
      "a mistake",
      () => {
        throw new Error("oh");
      },
      "RETRY",
      "REJECT",
    ],
    [
      "a mistake later",
      async () => {
        throw new Error("oh");
      },
      "RETRY",
      "REJECT",
    ],
    ["what is no answer", () => "RETRY", "RETRY", "REJECT"],
  ];
  for (const [what, handler, toStart, toOther] of answers) {
    it(`is the answer: ${what}`, async () => {
      const plugin = pluginOf().on("*", handler as () => Answer);
      const dispatcher = await TestDispatcher.of(plugin);
      assert.equal((await dispatcher.event("message")).status, toOther);
      assert.equal((await dispatcher.start({ id: "s1" })).status, toStart);
      await dispatcher.stop();
    });
  }

  it("comes with its words", async () => {
    const plugin = pluginOf()
      .on("retry", () => new Retry({ after: 5, text: "busy" }))
      .on("reject", () => new Reject("bad", "no"))
      .on("mistake", () => {
        throw new Error("oh");
      });
    const dispatcher = await TestDispatcher.of(plugin);
    assert.deepEqual(await dispatcher.event("retry"), { status: "RETRY", after: 5, code: "", text: "busy" });
    assert.deepEqual(await dispatcher.event("reject"), {
      status: "REJECT",
      after: 0,
      code: "bad",
      text: "no",
    });
    const mistake = { status: "REJECT", after: 0, code: "exception", text: "Error: oh" };
    assert.deepEqual(await dispatcher.event("mistake"), mistake);
    await dispatcher.stop();
  });

  it("is logged with the event's id and hook where it is a mistake", async () => {
    const lines: string[] = [];
    const logger = { ...silent, error: (line: string) => lines.push(line) };
    const plugin = pluginOf({ logger }).on("message", () => {
      throw new Error("oh");
    });
    const dispatcher = await TestDispatcher.of(plugin);
    await dispatcher.event("message");
    assert.match(lines.join(), /event=event-1 hook=message answer=REJECT: Error: oh\n +at/);
    await dispatcher.stop();
  });
});

describe("an event", () => {
  it("says what the wire says", async () => {
    const seen: Event[] = [];
    const plugin = pluginOf().on("*", (event) => {
      seen.push(event);
    });
    const dispatcher = await TestDispatcher.of(plugin);
    await dispatcher.start({ id: "s1", key: "k1", agentId: "main" });
    await dispatcher.event("message", { id: "s1" }, { text: "hé" });
    await dispatcher.end({ id: "s1" }, "IDLE");
    const [start, message, end] = seen;
    assert.deepEqual(start?.session, { id: "s1", key: "k1", agentId: "main", incarnation: 1 });
    assert.equal(start?.sessionStart?.previousIncarnation, 0);
    assert.equal(start?.sessionEnd, undefined);
    assert.equal(start?.raw.length, 0);
    assert.deepEqual(message?.json(), { text: "hé" });
    assert.equal(message?.kind, BatchKind.LIVE);
    assert.ok((message?.timeLeft() ?? 0) > 0);
    assert.equal(message?.streamEpoch, (1n << 32n) + 1n);
    assert.equal(end?.sessionEnd?.reason, "SESSION_END_REASON_IDLE");
    await dispatcher.stop();
  });

  it("hands out no number that is not exact", async () => {
    const seen: Event[] = [];
    const plugin = pluginOf().on("message", (event) => {
      seen.push(event);
    });
    const dispatcher = await TestDispatcher.of(plugin);
    await dispatcher.event("message");
    const [event] = seen;
    assert.ok(event);
    event.wire.sessionSeq = 2n ** 53n;
    assert.throws(() => event.sessionSeq, RangeError);
    await dispatcher.stop();
  });
});

describe("order", () => {
  it("is kept inside a session, and sessions run side by side", async () => {
    const log: string[] = [];
    const { opened, open } = gate();
    const plugin = pluginOf().on("*", async (event) => {
      if (event.session?.id === "slow" && event.hook === "session_start") await opened;
      log.push(`${event.session?.id} ${event.hook}`);
    });
    const dispatcher = await TestDispatcher.of(plugin);
    const start = dispatcher.start({ id: "slow" });
    const message = dispatcher.event("message", { id: "slow" });
    await dispatcher.start({ id: "quick" });
    assert.deepEqual(log, ["quick session_start"]);
    open();
    await Promise.all([start, message]);
    assert.deepEqual(log.slice(1), ["slow session_start", "slow message"]);
    await dispatcher.stop();
  });

  it("has a gateway_stop wait for all that came before it", async () => {
    const log: string[] = [];
    const { opened, open } = gate();
    const plugin = pluginOf().on("*", async (event) => {
      if (event.hook === "message") await opened;
      log.push(event.hook);
    });
    const dispatcher = await TestDispatcher.of(plugin);
    await dispatcher.start({ id: "s1" });
    const slow = dispatcher.event("message", { id: "s1" });
    const stop = dispatcher.event("gateway_stop");
    await turns();
    assert.deepEqual(log, ["session_start"]);
    open();
    await Promise.all([slow, stop]);
    assert.deepEqual(log, ["session_start", "message", "gateway_stop"]);
    await dispatcher.stop();
  });

  it("lets no more handlers run at once than wanted", async () => {
    let running = 0;
    let most = 0;
    const { opened, open } = gate();
    const plugin = pluginOf({ concurrency: 2 }).on("*", async () => {
      running += 1;
      most = Math.max(most, running);
      await opened;
      running -= 1;
    });
    const dispatcher = await TestDispatcher.of(plugin);
    const started = Promise.all(Array.from({ length: 20 }, (_, n) => dispatcher.start({ id: `s${n}` })));
    await eventually(() => running === 2);
    await dispatcher.delivered();
    await turns();
    open();
    await started;
    assert.equal(most, 2);
    await dispatcher.stop();
  });
});

describe("what comes again", () => {
  it("is answered the same, and not handled twice", async () => {
    let handled = 0;
    const store = new MemoryStore();
    const plugin = pluginOf({ store }).on("*", () => {
      handled += 1;
    });
    const dispatcher = await TestDispatcher.of(plugin);
    // As a process left it that was killed before its Ack went out.
    store.put("ledger-1-start", new Reject("known"), "ledger", 1n);
    const { status, code } = await dispatcher.start({ id: "s1" });
    assert.deepEqual([status, code, handled], ["REJECT", "known", 0]);
    await dispatcher.stop();
  });

  it("waits for the handler that is at it, and gets its answer", async () => {
    let handled = 0;
    const { opened, open } = gate();
    const plugin = pluginOf().on("*", async () => {
      handled += 1;
      await opened;
      return new Retry(); // which no store remembers
    });
    const dispatcher = await TestDispatcher.of(plugin);
    const first = dispatcher.start({ id: "s1" });
    await eventually(() => handled === 1);
    const again = dispatcher.reconnect();
    await dispatcher.delivered();
    open();
    const [answer] = await again;
    assert.deepEqual([answer?.status, (await first).status, handled], ["RETRY", "RETRY", 1]);
    await dispatcher.stop();
  });

  it("is handled again after a Retry", async () => {
    const answers: Answer[] = [new Retry(), ACCEPTED];
    const plugin = pluginOf().on("*", () => answers.shift());
    const dispatcher = await TestDispatcher.of(plugin);
    assert.equal((await dispatcher.start({ id: "s1" })).status, "RETRY");
    assert.deepEqual(
      (await dispatcher.reconnect()).map(({ status }) => status),
      ["ACCEPTED"],
    );
    assert.deepEqual(await dispatcher.reconnect(), []);
    await dispatcher.stop();
  });

  it("is forgotten once nothing of an earlier stream can come", async () => {
    const log: string[] = [];
    const inner = new MemoryStore();
    const store = {
      get: (id: string) => inner.get(id),
      put: (id: string, answer: Answer, ledger: string, epoch: bigint) => {
        log.push(`put ${id} ${epoch & 0xffn}`);
        inner.put(id, answer, ledger, epoch);
      },
      forget: async (ledger: string, epoch: bigint) => {
        log.push(`forget ${ledger} ${epoch & 0xffn}`);
        inner.forget(ledger, epoch);
      },
    };
    const { opened, open } = gate();
    const plugin = pluginOf({ store }).on("*", () => opened);
    const dispatcher = await TestDispatcher.of(plugin);
    void dispatcher.start({ id: "s1" });
    await eventually(() => log.includes("forget ledger 1"));
    const again = dispatcher.reconnect();
    await dispatcher.delivered();
    open();
    await again;
    await eventually(() => log.includes("forget ledger 2"));
    assert.deepEqual(log, ["forget ledger 1", "put ledger-1-start 2", "forget ledger 2"]);
    assert.ok(inner.get("ledger-1-start"));
    await dispatcher.stop();
  });

  it("comes again where the store fails", async () => {
    const fails = () => {
      throw new Error("disk full");
    };
    for (const broken of [{ get: fails }, { put: async () => fails() }]) {
      const store = Object.assign(new MemoryStore(), broken);
      const dispatcher = await TestDispatcher.of(pluginOf({ store }).on("*", () => {}));
      assert.equal((await dispatcher.start({ id: "s1" })).status, "RETRY");
      assert.equal((await dispatcher.event("message")).status, "OK", "an ordinary event is not asked for");
      await dispatcher.stop();
    }
  });

  it("may be any event with a retention of ALL", async () => {
    let handled = 0;
    const { opened, open } = gate();
    const plugin = pluginOf({ retention: { kind: "ALL" } }).on("message", () => {
      handled += 1;
      return opened;
    });
    const dispatcher = await TestDispatcher.of(plugin);
    const first = dispatcher.event("message");
    await eventually(() => handled === 1);
    const again = dispatcher.reconnect();
    open();
    assert.deepEqual([(await again).length, (await first).status, handled], [1, "OK", 1]);
    await dispatcher.stop();
  });
});

describe("the sweep", () => {
  it("comes once a stream, behind what is handled and before what comes then", async () => {
    const log: string[] = [];
    const { opened, open } = gate();
    const swept = gate();
    const plugin = pluginOf({ announce: true })
      .on("*", async (event) => {
        if (event.kind === BatchKind.REDELIVERED) await opened;
        log.push(`${event.hook} ${event.session?.id}`);
        if (event.session?.id === "s1" && event.kind === BatchKind.LIVE) throw new Retry();
      })
      .onSweep(async (sweep) => {
        log.push(`sweep ${sweep.known} ${sweep.isOwed("ledger", 1)} ${sweep.isOwed("ledger", 2)}`);
        if (sweep.known) await swept.opened;
      });
    const dispatcher = await TestDispatcher.of(plugin);
    await dispatcher.start({ id: "s1" });
    const again = dispatcher.reconnect();
    await dispatcher.delivered();
    await turns();
    assert.ok(!log.includes("sweep true true false"), "what came before it is not handled");
    open();
    await eventually(() => log.includes("sweep true true false"));
    const behind = dispatcher.start({ id: "s2" });
    await turns();
    assert.ok(!log.includes("session_start s2"), "the sweep is not over");
    swept.open();
    await Promise.all([again, behind]);
    assert.deepEqual(log, [
      "sweep false false false",
      "session_start s1",
      "session_start s1",
      "sweep true true false",
      "session_start s2",
    ]);
    await dispatcher.stop();
  });

  it("is told of another ledger, and of what was announced", async () => {
    const sweeps: Sweep[] = [];
    const plugin = pluginOf({ announce: true })
      .on("*", () => {})
      .onSweep((sweep) => {
        sweeps.push(sweep);
      });
    const dispatcher = await TestDispatcher.of(plugin);
    await dispatcher.start({ id: "s1" });
    await dispatcher.reconnect();
    await dispatcher.reconnect({ ledgerId: "another", known: false });
    const [first, announced, another] = sweeps.map((sweep) => [
      sweep.ledgerId,
      sweep.known,
      sweep.isOwed("ledger", 1),
      sweep.isOwed("another", 1),
    ]);
    assert.deepEqual(first, ["ledger", false, false, false]);
    assert.deepEqual(announced, ["ledger", true, true, false]);
    assert.deepEqual(another, ["another", false, false, false]);
    await dispatcher.stop();
  });
});

describe("a drain", () => {
  it("is told, and seen by handlers until it is over", async () => {
    const log: string[] = [];
    const events: Event[] = [];
    const plugin = pluginOf()
      .on("*", (event) => {
        events.push(event);
        if (event.hook === "session_end") log.push(`end ${event.draining} ${event.timeLeft() <= 1_000}`);
      })
      .onDrain((notice) => {
        log.push(`drain ${notice.gatewayId} ${notice.budgetMs} ${notice.endsOwed}`);
      });
    const dispatcher = await TestDispatcher.of(plugin);
    await dispatcher.start({ id: "s1" });
    assert.equal(events[0]?.draining, false);
    assert.deepEqual(
      (await dispatcher.drain(1_000)).map(({ status }) => status),
      ["OK"],
    );
    assert.deepEqual(log, ["drain gateway 1000 1", "end true true"]);
    await eventually(() => events[0]?.draining === false);
    await dispatcher.stop();
  });
});

describe("the end of a plugin", () => {
  it("comes with a stop, when what is in hand is finished and answered", async () => {
    const { opened, open } = gate();
    let began = false;
    const plugin = pluginOf().on("*", () => {
      began = true;
      return opened;
    });
    const dispatcher = await TestDispatcher.of(plugin);
    const start = dispatcher.start({ id: "s1" });
    await eventually(() => began);
    const stopped = dispatcher.stop();
    await turns();
    open();
    await stopped;
    assert.equal((await start).status, "OK");
  });

  it("does not wait longer than the grace", async () => {
    const plugin = pluginOf({ grace: 1 }).on("*", () => new Promise(() => {}));
    const dispatcher = await TestDispatcher.of(plugin);
    void dispatcher.start({ id: "s1" });
    await dispatcher.stop();
  });

  it("comes when it is displaced", async () => {
    const dispatcher = await TestDispatcher.of(pluginOf().on("*", () => {}));
    await assert.rejects(dispatcher.displace(), Displaced);
  });

  it("comes at once where nothing is subscribed to", async () => {
    await assert.rejects(pluginOf().run(), NoHandler);
  });
});

describe("a loop over events", () => {
  it("answers each when it asks for the next", async () => {
    const plugin = pluginOf();
    const seen: string[] = [];
    const dispatcher = await TestDispatcher.of(plugin, async (signal) => {
      for await (const event of plugin.events(["session_*", "message"], { signal })) {
        seen.push(event.hook);
        if (event.hook === "message") event.reject("bad", "no");
        if (event.hook === "session_end") event.accept();
      }
    });
    assert.equal((await dispatcher.start({ id: "s1" })).status, "OK");
    assert.deepEqual(await dispatcher.event("message"), {
      status: "REJECT",
      after: 0,
      code: "bad",
      text: "no",
    });
    assert.equal((await dispatcher.end({ id: "s1" })).status, "ACCEPTED");
    assert.deepEqual(seen, ["session_start", "message", "session_end"]);
    await dispatcher.stop();
  });

  it("is handed one at a time, and none is lost", async () => {
    const plugin = pluginOf();
    let inLoop = 0;
    const dispatcher = await TestDispatcher.of(plugin, async (signal) => {
      for await (const event of plugin.events("*", { signal })) {
        inLoop += 1;
        assert.equal(inLoop, 1);
        await new Promise((resolve) => setImmediate(resolve));
        inLoop -= 1;
        if (event.session?.id === "s7") event.retry({ after: 7 });
      }
    });
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, n) => dispatcher.start({ id: `s${n}` })),
    );
    assert.deepEqual(
      answers.map(({ status, after }) => `${status}${after}`),
      Array.from({ length: 20 }, (_, n) => (n === 7 ? "RETRY7" : "OK0")),
    );
    await dispatcher.stop();
  });

  it("stops the plugin when it is left, and what it was at comes again", async () => {
    for (const how of ["break", "throw"]) {
      const plugin = pluginOf();
      let left = false;
      const dispatcher = await TestDispatcher.of(plugin, async (signal) => {
        for await (const event of plugin.events("*", { signal })) {
          left = event.hook === "session_start";
          if (how === "break") break;
          throw new Error("the loop's own");
        }
      });
      const answer = await dispatcher.start({ id: "s1" });
      assert.deepEqual([answer.status, left], ["RETRY", true]);
      const stopped = dispatcher.stop();
      await (how === "break" ? stopped : assert.rejects(stopped, /the loop's own/));
    }
  });

  it("throws what ends the plugin when it asks for more, not before", async () => {
    const plugin = pluginOf();
    const { opened, open } = gate();
    const dispatcher = await TestDispatcher.of(plugin, async (signal) => {
      for await (const _ of plugin.events("*", { signal })) await opened;
    });
    void dispatcher.start({ id: "s1" });
    const displaced = dispatcher.displace();
    await turns();
    open();
    await assert.rejects(displaced, Displaced);
  });

  it("ends with what ends the plugin", async () => {
    const plugin = pluginOf();
    const dispatcher = await TestDispatcher.of(plugin, async (signal) => {
      for await (const _ of plugin.events("*", { signal }));
    });
    await assert.rejects(dispatcher.displace(), Displaced);
  });
});
