/**
 * What the plugin has in hand: received, and not yet answered.
 *
 * It outlives a stream. A handler that runs while the stream breaks goes on; when its event is delivered again, that
 * delivery waits for the same answer instead of starting the handler twice.
 */

import type { Acks } from "./acks.js";
import { type Answer, OK } from "./answer.js";
import { begin, type Job, type Surroundings } from "./begin.js";
import { type DrainNotice, type Event, isLifecycle, type StreamFacts } from "./event.js";
import { type After, type Lane, Lanes, type Ticket } from "./lanes.js";
import { inFull } from "./log.js";
import { isPromise, type Maybe, whenThere } from "./maybe.js";
import type { Routes } from "./routes.js";
import type { Sweep } from "./sweep.js";
import { Condition } from "./wait.js";

/**
 * How much may be in hand before the stream is left unread. Starts and ends know no window: without this, a plugin that
 * is slow to handle them would hold them all in memory.
 */
const IN_HAND = 8_192;

/** The lane of what belongs to no session and no gateway. */
const CAUGHT_UP = Symbol("caught up");

/** What has its turn. It never throws. */
type Turn = () => Maybe<void>;

/** What work needs beside the author's code. */
export interface WorkSettings extends Surroundings {
  /** How many handlers run at once. */
  readonly concurrency: number;
  /** Any event may come again, not only starts and ends. */
  readonly rememberAll: boolean;
}

/** All that is in hand. */
export class Work {
  readonly #lanes = new Lanes<Turn>();
  readonly #inHand = new Map<string, Job>();
  readonly #condition = new Condition();
  /** How many turns are taken that wait for something. */
  #running = 0;
  /** How many drain notices the author's code is busy with. */
  #notices = 0;
  /** The stream whose sweep is due, and whether it has begun: nothing is read until it is over. */
  #sweep: { readonly stream: StreamFacts; begun: boolean } | undefined;

  constructor(
    readonly routes: Routes,
    private readonly settings: WorkSettings,
  ) {}

  /** How much is in hand. */
  get size(): number {
    return this.#lanes.size + this.#notices;
  }

  /** Whether more may be taken in. */
  get hasRoom(): boolean {
    const sweeps = this.#sweep !== undefined && (this.#sweep.begun || !this.#sweep.stream.isOver);
    return this.size < IN_HAND && !sweeps;
  }

  /** Waits until something holds that {@link size} or {@link hasRoom} depends on. */
  until(holds: () => boolean): Promise<void> {
    return this.#condition.until(holds);
  }

  /** Waits until all that is in hand is finished. */
  finish(): Promise<void> {
    return this.until(() => this.size === 0);
  }

  /** Has those who wait look again. */
  changed(): void {
    this.#condition.changed();
  }

  /** Takes one delivery in: it joins the one in hand, is begun, or waits for its turn. */
  take(event: Event, seq: number, acks: Acks): void {
    // Ordinary events do not come again, and a Map through which all of them went would be most of the work.
    const remember = this.settings.rememberAll || isLifecycle(event.wire);
    const inHand = remember ? this.#inHand.get(event.id) : undefined;
    if (inHand !== undefined) {
      inHand.deliveries.push({ event, seq, acks });
      return;
    }
    const handler = this.routes.find(event.hook);
    // A plugin that listens to ends alone is sent the starts, too: they go together.
    if (handler === undefined) {
      acks.answer(seq, OK);
      return;
    }
    const job = { event, handler, remember, deliveries: [{ event, seq, acks }] };
    const lane = laneOf(event);
    const after = afterOf(event);
    if (this.#running < this.settings.concurrency && this.#lanes.isFree(lane, after)) {
      this.#beginAtOnce(job, lane);
    } else {
      this.#hold(job);
      this.#lanes.push(lane, after, () => this.#handle(job));
    }
  }

  /** One that is done at once was never in hand. */
  #beginAtOnce(job: Job, lane: Lane): void {
    const answer = begin(job, this.settings);
    if (isPromise(answer)) {
      this.#hold(job);
      const handled = answer.then((answer) => this.#settle(job, answer));
      const ticket = this.#lanes.enter(lane, () => handled);
      this.#wait(ticket, handled);
    } else {
      this.#settle(job, answer);
    }
  }

  #handle(job: Job): Maybe<void> {
    return whenThere(begin(job, this.settings), (answer) => this.#settle(job, answer));
  }

  #hold(job: Job): void {
    if (job.remember) this.#inHand.set(job.event.id, job);
  }

  #settle(job: Job, answer: Answer): void {
    if (job.remember) this.#inHand.delete(job.event.id);
    for (const { seq, acks } of job.deliveries) acks.answer(seq, answer);
  }

  /** A gateway begins to stop: the author is told at once, whatever is in hand. */
  drainNotice(notice: DrainNotice): void {
    const { onDrain } = this.routes;
    if (onDrain === undefined) return;
    this.#notices += 1;
    void this.#attempt("onDrain", () => onDrain(notice)).then(() => {
      this.#notices -= 1;
      this.changed();
    });
  }

  /** Replay is over. When all that came before is done, the store lets go of what cannot come again; then the sweep. */
  caughtUp(stream: StreamFacts, sweep: Sweep | undefined): void {
    if (sweep !== undefined) this.#sweep = { stream, begun: false };
    this.#lanes.push(CAUGHT_UP, "all", () => this.#catchUp(stream, sweep));
    this.#start();
  }

  async #catchUp(stream: StreamFacts, sweep: Sweep | undefined): Promise<void> {
    if (stream.isOver) return; // the next stream names what is owed
    if (this.#sweep !== undefined) this.#sweep.begun = true;
    const { store } = this.settings;
    await this.#attempt("the store", () => store.forget(stream.ledgerId, stream.streamEpoch));
    if (sweep !== undefined) await this.#attempt("onSweep", () => this.routes.onSweep?.(sweep));
    this.#sweep = undefined;
  }

  /** Runs what no event waits for: an error is logged, no more. */
  async #attempt(what: string, run: () => unknown): Promise<void> {
    try {
      await run();
    } catch (error) {
      this.settings.log.error(`${what} failed: ${inFull(error)}`);
    }
  }

  /** Begins whatever has its turn, up to the bound. */
  #start(): void {
    while (this.#running < this.settings.concurrency) {
      const ticket = this.#lanes.pop();
      if (ticket === undefined) return;
      const done = ticket.item?.();
      if (isPromise(done)) {
        this.#wait(ticket, done);
      } else {
        this.#lanes.done(ticket);
      }
    }
  }

  #wait(ticket: Ticket<Turn>, done: PromiseLike<void>): void {
    this.#running += 1;
    void done.then(() => {
      this.#running -= 1;
      this.#lanes.done(ticket);
      this.#start();
      this.changed();
    });
  }
}

/** Where an event belongs. Events without a session keep their order among themselves. */
function laneOf({ wire: { session } }: Event): Lane {
  return session === undefined ? "" : session.id || session.key;
}

/** A gateway's stop comes after all that came before it: handlers close databases there. */
function afterOf({ hook }: Event): After {
  return hook === "gateway_stop" ? "all" : "lane";
}
