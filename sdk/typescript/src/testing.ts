/**
 * A dispatcher in memory, to test a plugin with: no server, no socket, and the same code below the transport.
 *
 * ```ts
 * const dispatcher = await TestDispatcher.of(plugin);
 * const start = await dispatcher.start({ id: "s1" });
 * assert.equal(start.status, "OK");
 * await dispatcher.stop();
 * ```
 *
 * @module
 */

import type { Call } from "./call.js";
import {
  Disposition,
  type Event,
  type Session,
  SessionEndReason,
  StopReason,
} from "./gen/hookwire/v1/event.js";
import { BatchKind, GoodbyeReason, RetentionKind } from "./gen/hookwire/v1/hook_service.js";
import type { Plugin } from "./plugin.js";
import { goodbye, Owed, type TestAnswer, TestCall, welcome } from "./testing_call.js";
import { Condition } from "./wait.js";

export type { TestAnswer } from "./testing_call.js";

/** A session, as a test names it. */
export interface TestSession {
  readonly id: string;
  readonly key?: string;
  readonly agentId?: string;
}

/** How the next stream begins. */
export interface Reconnect {
  /** Whether the dispatcher remembers the plugin: yes by default. */
  readonly known?: boolean;
  /** Another ledger than before: nothing of the older one is alive or owed. */
  readonly ledgerId?: string;
}

/** The gateway whose sessions these are. */
const GATEWAY = { gatewayId: "gateway", bootId: "boot" };

/** A dispatcher in memory, with one gateway and one plugin. */
export class TestDispatcher {
  readonly #condition = new Condition();
  readonly #stop = new AbortController();
  readonly #ended: Promise<void>;
  #call: TestCall | undefined;
  #ledgerId = "ledger";
  #streams = 0n;
  #lives = 0n;
  #events = 0n;
  /** The starts of sessions that are alive, by id. */
  readonly #alive = new Map<string, Owed>();
  /** In order: what comes again on the next stream, if it is not settled. */
  #owed: Owed[] = [];

  private constructor(plugin: Plugin, run: (signal: AbortSignal) => Promise<void>) {
    plugin.transport = { dial: () => this.#dialled(), dice: () => 0 };
    this.#ended = run(this.#stop.signal);
    this.#ended.catch(() => {}); // stop() tells
  }

  /**
   * Runs the plugin, and returns when it has caught up.
   *
   * @param run How it is run: by `plugin.run()`, unless it is a loop over `plugin.events()`.
   */
  static async of(
    plugin: Plugin,
    run: (signal: AbortSignal) => Promise<void> = (signal) => plugin.run({ signal }),
  ): Promise<TestDispatcher> {
    const dispatcher = new TestDispatcher(plugin, run);
    await dispatcher.#welcome(false);
    return dispatcher;
  }

  /** A session begins. One of this id that is alive ends first, as at a reset. */
  async start(session: TestSession): Promise<TestAnswer> {
    if (this.#alive.has(session.id)) await this.end(session);
    this.#lives += 1n;
    const { id, key = "", agentId = "" } = session;
    const owed = new Owed({
      ...this.#blank("session_start", { id, key, agentId, incarnation: this.#lives }),
      id: `${this.#ledgerId}-${this.#lives}-start`,
      payload: {
        $case: "sessionStart",
        value: {
          resumedFrom: "",
          previousIncarnation: 0n,
          previousReason: SessionEndReason.UNSPECIFIED,
          sessionFile: "",
        },
      },
    });
    this.#alive.set(id, owed);
    return this.#deliverOwed(owed);
  }

  /** Any other hook fires, of a session that is alive or of none. */
  event(hook: string, session?: TestSession, json: unknown = {}): Promise<TestAnswer> {
    const life = session && this.#life(session).event.session;
    this.#events += 1n;
    const owed = new Owed({
      ...this.#blank(hook, life),
      id: `event-${this.#events}`,
      sessionSeq: life === undefined ? 0n : this.#events,
      payload: { $case: "json", value: Buffer.from(JSON.stringify(json)) },
    });
    const all = this.#stream.hello?.retention?.kind === RetentionKind.ALL;
    if (all) return this.#deliverOwed(owed);
    return this.#deliver(owed);
  }

  /** A session ends. It is delivered once the start is settled; a start that was rejected is owed no end. */
  async end(session: TestSession, reason: keyof typeof SessionEndReason = "RESET"): Promise<TestAnswer> {
    const start = this.#life(session);
    this.#alive.delete(session.id);
    await this.#condition.until(() => start.isSettled);
    if (start.answer?.status === "REJECT") throw new Error(`the start of ${session.id} was rejected: no end`);
    const life = start.event.session;
    return this.#deliverOwed(
      new Owed({
        ...this.#blank("session_end", life),
        id: `${this.#ledgerId}-${life?.incarnation}-end`,
        payload: {
          $case: "sessionEnd",
          value: {
            reason: SessionEndReason[reason],
            disposition: reason === "SHUTDOWN" ? Disposition.SUSPENDED : Disposition.ENDED,
            nextSessionId: "",
            nextSessionKey: "",
            lastSessionSeq: 0n,
            lastActivityUnixNano: 0n,
            sessionFile: "",
          },
        },
      }),
    );
  }

  /**
   * The gateway stops: a notice, the end of every session that is alive, `gateway_stop`, a summary. Returns the answers
   * to the ends.
   */
  async drain(budgetMs = 2_000): Promise<TestAnswer[]> {
    const ids = [...this.#alive.keys()];
    const reason = StopReason.SHUTDOWN;
    this.#stream.tell({
      $case: "drainNotice",
      value: { ...GATEWAY, reason, budgetMs, endsOwed: BigInt(ids.length), restartExpectedMs: 0 },
    });
    const answers = await Promise.all(ids.map((id) => this.end({ id }, "SHUTDOWN")));
    const stop: Event = { ...this.#blank("gateway_stop", undefined), id: "gateway-stop" };
    const owed = new Owed({ ...stop, payload: { $case: "gatewayStop", value: { reason, text: "" } } });
    await this.#deliver(owed);
    this.#stream.tell({
      $case: "drainSummary",
      value: { ...GATEWAY, ...NO_FIGURES, owed: BigInt(ids.length) },
    });
    return answers;
  }

  /**
   * The stream breaks, and the plugin is back. What was not settled is delivered again; returns the answers to that, in
   * order.
   */
  async reconnect({ known = true, ledgerId }: Reconnect = {}): Promise<TestAnswer[]> {
    const broken = this.#stream;
    this.#call = undefined;
    if (ledgerId !== undefined && ledgerId !== this.#ledgerId) {
      this.#ledgerId = ledgerId;
      this.#owed = [];
      this.#alive.clear();
    }
    for (const owed of broken.unanswered.values()) if (!this.#owed.includes(owed)) owed.lose();
    broken.cancel();
    return this.#welcome(known);
  }

  /** Waits until the plugin has read all that was delivered, answered or not; after `reconnect()`, on the next stream. */
  async delivered(): Promise<void> {
    await this.#condition.until(() => this.#call?.isDelivered ?? false);
    await new Promise((resolve) => setImmediate(resolve)); // in which it is taken in
  }

  /** Another process of the plugin's name takes its place: what the plugin's `run()` would throw is thrown here. */
  displace(): Promise<void> {
    this.#stream.tell(goodbye(GoodbyeReason.DISPLACED));
    return this.#ended;
  }

  /** Tells the plugin to stop, as SIGTERM would, and waits for its end. */
  stop(): Promise<void> {
    this.#stop.abort();
    return this.#ended;
  }

  get #stream(): TestCall {
    if (this.#call === undefined) throw new Error("the plugin is not connected");
    return this.#call;
  }

  #life({ id }: TestSession): Owed {
    const start = this.#alive.get(id);
    if (start === undefined) throw new Error(`no session ${id} is alive: start() it`);
    return start;
  }

  #dialled(): Call {
    const call = new TestCall(this.#condition, () => this.#condition.changed());
    this.#call = call;
    return call;
  }

  async #welcome(known: boolean): Promise<TestAnswer[]> {
    const connected = this.#condition.until(() => this.#call?.hello !== undefined);
    await Promise.race([connected, this.#ended]);
    const stream = this.#stream;
    this.#streams += 1n;
    stream.tell(welcome(this.#ledgerId, this.#streams, known));
    this.#owed = this.#owed.filter((owed) => !owed.isSettled);
    const again = this.#owed;
    const answered = again.map((owed) => owed.answered());
    for (const owed of again) stream.deliver(owed, BatchKind.REDELIVERED);
    const announced = stream.hello?.announce
      ? [...this.#alive.values()].filter((start) => start.isSettled)
      : [];
    for (const { event } of announced) stream.deliver(new Owed(event), BatchKind.ANNOUNCED);
    stream.tell({
      $case: "caughtUp",
      value: { replayed: BigInt(again.length), announced: BigInt(announced.length) },
    });
    stream.isCaughtUp = true;
    const answers = await Promise.all(answered);
    await this.#condition.until(() => stream.isIdle);
    return answers;
  }

  #deliver(owed: Owed): Promise<TestAnswer> {
    const answered = owed.answered();
    this.#stream.deliver(owed, BatchKind.LIVE);
    return answered;
  }

  #deliverOwed(owed: Owed): Promise<TestAnswer> {
    this.#owed.push(owed);
    return this.#deliver(owed);
  }

  #blank(hook: string, session: Session | undefined): Event {
    return {
      ...GATEWAY,
      id: "",
      hook,
      session,
      sessionSeq: 0n,
      timeUnixNano: BigInt(Date.now()) * 1_000_000n,
      traceparent: "",
      synthetic: false,
      late: false,
      payload: undefined,
    };
  }
}

const NO_FIGURES = {
  owed: 0n,
  acked: 0n,
  accepted: 0n,
  rejected: 0n,
  timedOut: 0n,
  unreachable: 0n,
  retried: 0n,
  carriedOver: 0n,
  elapsedMs: 0,
};
