/** One stream: from the dial to the last word. */

import { Acks } from "./acks.js";
import type { Call, Dial } from "./call.js";
import { Displaced, type HookwireError, refusal } from "./errors.js";
import { type BatchFacts, Event, type StreamFacts } from "./event.js";
import {
  type DrainNotice,
  type EventBatch,
  type Gap,
  GapCause,
  type SubscribeResponse_Goodbye as Goodbye,
  GoodbyeReason,
  type SubscribeRequest_Hello as Hello,
  type SubscribeResponse,
  type SubscribeResponse_Welcome as Welcome,
} from "./gen/hookwire/v1/hook_service.js";
import type { Logger } from "./log.js";
import { Sweep } from "./sweep.js";
import { isWithin, onAbort, within } from "./wait.js";
import type { Work } from "./work.js";

/** How long dialling, Hello and Welcome may take together, in milliseconds. */
const HANDSHAKE = 10_000;

/** How long the dispatcher may take to answer our Goodbye, in milliseconds. */
const PARTING = 2_000;

/** How many answers may wait before they are sent although the input has not run dry. */
const UNSENT = 512;

/** How long handlers that do not wait may go on in one turn of the event loop, in milliseconds. */
const TURN = 10;

/** How many events are taken in before that is looked at. */
const AT_ONCE = 16;

/** How a stream ended. */
export type Ended =
  /** We were told to stop, and what was in hand is finished or out of time. */
  | { readonly how: "stopped" }
  /** Dialling again would not help. */
  | { readonly how: "for good"; readonly error: HookwireError }
  /** Dial again, after so many milliseconds and some jitter. */
  | { readonly how: "lost"; readonly why: string; readonly wait: number };

const STOPPED: Ended = { how: "stopped" };

function lost(why: string, wait = 0): Ended {
  return { how: "lost", why, wait };
}

function endedByStatus(error: unknown): Ended {
  const { code, details, message } = error as { code?: number; details?: string; message?: string };
  const final = refusal(code ?? -1, details ?? "");
  return final === undefined ? lost(String(message ?? error)) : { how: "for good", error: final };
}

function endedByGoodbye({ reason, text, reconnectAfterMs }: Goodbye): Ended {
  if (reason === GoodbyeReason.DISPLACED) return { how: "for good", error: new Displaced(text) };
  return lost(`${reason} ${text}`.trimEnd(), reconnectAfterMs);
}

/** What a plugin's life needs beside its work. */
export interface StreamSettings {
  readonly hello: Hello;
  /** How long what is in hand may take to finish once we are told to stop, in milliseconds. */
  readonly grace: number;
  readonly log: Logger;
  /** The jitter's: a number from 0 to 1. */
  readonly dice: () => number;
}

/** One stream. A new one begins with new numbers: an answer counts only where its delivery came. */
export class Stream {
  readonly #call: Call;
  readonly #acks = new Acks(() => this.#answered());
  /** Lives that were named so far: until CaughtUp, and where the author wants to know. */
  #named: Set<bigint> | undefined;
  #welcomedAt: number | undefined;
  #turnBegan = performance.now();
  /** We were told to stop: nothing more is taken in. */
  #leaving = false;
  /** Our Goodbye is said: what still comes is read, for the dispatcher's. */
  #parting = false;
  /** The transport takes more. */
  #writable = true;
  /** An Ack goes out when this turn of the event loop has read what there is. */
  #flushing = false;

  constructor(
    dial: Dial,
    private readonly settings: StreamSettings,
    private readonly work: Work,
  ) {
    this.#call = dial();
    this.#call.onDrain(() => this.#drained());
    if (work.routes.onSweep !== undefined) this.#named = new Set();
  }

  /** Whether the dispatcher has welcomed us. */
  get isWelcomed(): boolean {
    return this.#welcomedAt !== undefined;
  }

  /** For how long we have been welcome, in milliseconds. */
  get lived(): number {
    return this.#welcomedAt === undefined ? 0 : performance.now() - this.#welcomedAt;
  }

  /** Says Hello, then takes in what comes and answers it, until the stream ends or `stop` says so. */
  async live(stop: AbortSignal): Promise<Ended> {
    const forget = onAbort(stop, () => this.#call.cancel());
    try {
      // Before anything is received: other servers send their headers only with their first message.
      this.#call.send({ $case: "hello", value: this.settings.hello });
      const first = (await within(HANDSHAKE, this.#call.receive()))?.message;
      if (first?.$case === "goodbye") return endedByGoodbye(first.value);
      if (first?.$case !== "welcome") return lost("no Welcome came");
      forget();
      return await this.#serve(first.value, stop);
    } catch (error) {
      return endedByStatus(error);
    } finally {
      forget();
      this.#call.cancel();
    }
  }

  async #serve(welcome: Welcome, stop: AbortSignal): Promise<Ended> {
    greet(welcome, this.settings.log);
    this.#welcomedAt = performance.now();
    const { ledgerId, streamEpoch, known } = welcome;
    const facts: StreamFacts = { ledgerId, streamEpoch, known, drains: new Map(), isOver: false };
    const reading = this.#read(facts).catch(endedByStatus);
    let forget = () => {};
    const told = new Promise<undefined>((resolve) => {
      forget = onAbort(stop, () => resolve(undefined));
    });
    const ended = (await Promise.race([reading, told])) ?? (await this.#leave(reading));
    forget();
    facts.isOver = true;
    this.work.changed();
    return ended;
  }

  async #read(facts: StreamFacts): Promise<Ended> {
    for (;;) {
      await this.work.until(() => this.#mayRead());
      const response = await this.#call.receive();
      if (response === undefined) return lost("closed without a goodbye");
      const { message } = response;
      if (message?.$case === "goodbye") return endedByGoodbye(message.value);
      await this.#take(message, facts);
      if (this.work.size > 0 || this.#isLong()) await this.#breathe();
    }
  }

  /** Whether the others have waited long. */
  #isLong(): boolean {
    return performance.now() - this.#turnBegan > TURN;
  }

  /** Has Acks, pings and signals seen to, and what is in hand: whoever reads on and on would hold them all up. */
  async #breathe(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.#turnBegan = performance.now();
  }

  #mayRead(): boolean {
    return this.#parting || (!this.#leaving && this.work.hasRoom && this.#acks.pending < UNSENT);
  }

  async #take(message: SubscribeResponse["message"], facts: StreamFacts): Promise<void> {
    const { log } = this.settings;
    if (this.#leaving) return;
    switch (message?.$case) {
      case "events":
        await this.#takeBatch(message.value, facts);
        break;
      case "caughtUp":
        this.#catchUp(facts);
        break;
      case "gap":
        log.warn(inWords(message.value));
        break;
      case "drainNotice":
        this.#takeNotice(message.value, facts);
        break;
      case "drainSummary": {
        const { gatewayId, owed, carriedOver } = message.value;
        facts.drains.delete(gatewayId);
        log.info(`drained: gateway=${gatewayId} owed=${owed} carried_over=${carriedOver}`);
        break;
      }
      default: // a second Welcome, or what only a newer dispatcher says
        log.debug(`ignored: ${message?.$case ?? "an unknown message"}`);
    }
  }

  async #takeBatch({ firstSeq, kind, budgetMs, events }: EventBatch, stream: StreamFacts): Promise<void> {
    const batch: BatchFacts = { stream, kind, deadline: performance.now() + budgetMs };
    const first = Number(firstSeq);
    for (const [at, event] of events.entries()) {
      if ((at + 1) % AT_ONCE === 0 && this.#isLong()) await this.#breathe();
      if (this.#leaving) return;
      if (event.session !== undefined) this.#named?.add(event.session.incarnation);
      this.work.take(new Event(event, batch), first + at, this.#acks);
    }
  }

  #catchUp(facts: StreamFacts): void {
    const { ledgerId, known } = facts;
    const named = this.#named;
    this.#named = undefined;
    const sweep = named && new Sweep(ledgerId, known, this.settings.hello.announce, named);
    this.work.caughtUp(facts, sweep);
  }

  #takeNotice(notice: DrainNotice, { drains }: StreamFacts): void {
    const { gatewayId, budgetMs, endsOwed } = notice;
    this.settings.log.info(`drain: gateway=${gatewayId} owed=${endsOwed} budget_ms=${budgetMs}`);
    drains.set(gatewayId, performance.now() + budgetMs);
    this.work.drainNotice({ ...notice, endsOwed: Number(endsOwed) });
  }

  /** Takes nothing more, finishes what is in hand, acknowledges it, says Goodbye and hangs up. */
  async #leave(reading: Promise<unknown>): Promise<Ended> {
    const { grace, log } = this.settings;
    this.#leaving = true;
    log.info(`stopping: ${this.work.size} in hand`);
    if (!(await isWithin(grace, this.work.finish()))) {
      log.warn(`out of time: ${this.work.size} in hand will be delivered again`);
    }
    // Until the dispatcher has answered, the last Ack may still be on its way out of this process.
    await isWithin(PARTING, Promise.race([reading, this.#sayGoodbye().then(() => reading)]));
    return STOPPED;
  }

  async #sayGoodbye(): Promise<void> {
    this.#flush();
    await this.work.until(() => this.#acks.pending === 0);
    this.#call.send({ $case: "goodbye", value: { release: false } });
    this.#call.halfClose();
    this.#parting = true;
    this.work.changed();
  }

  /** Never a timer: what has been read in this turn is answered together, and at once if it is much. */
  #answered(): void {
    if (this.#acks.pending >= UNSENT) {
      this.#flush();
    } else if (!this.#flushing) {
      this.#flushing = true;
      setImmediate(() => {
        this.#flushing = false;
        this.#flush();
      });
    }
  }

  #drained(): void {
    this.#writable = true;
    this.#flush();
  }

  /** Sends what the transport takes; what it does not take yet is better merged into the next Ack. */
  #flush(): void {
    while (this.#writable && !this.#parting) {
      const ack = this.#acks.take();
      if (ack === undefined) break;
      this.#writable = this.#call.send({ $case: "ack", value: ack });
    }
    this.work.changed();
  }
}

function greet(welcome: Welcome, log: Logger): void {
  const { ledgerId, streamEpoch, known, endsOwed, unknownHooks, expired } = welcome;
  log.info(`welcome: ledger=${ledgerId} stream_epoch=${streamEpoch} known=${known} ends_owed=${endsOwed}`);
  if (unknownHooks.length > 0) log.warn(`no such hooks there, so far: ${unknownHooks.join(" ")}`);
  if (expired !== undefined && expired.entries + expired.events > 0n) {
    log.warn(`expired while away: sessions=${expired.entries} events=${expired.events}`);
  }
}

function inWords({ cause, count, bytes }: Gap): string {
  return cause === GapCause.EXPIRED
    ? `expired: the ends of ${count} sessions will not come`
    : `events lost: count=${count} bytes=${bytes} cause=${cause}`;
}
