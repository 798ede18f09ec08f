/** What a handler gets. */

import type { Disposition, SessionEndReason, Event as WireEvent } from "./gen/hookwire/v1/event.js";
import type { BatchKind, DrainNotice as WireDrainNotice } from "./gen/hookwire/v1/hook_service.js";

/** One session of the gateway's. */
export interface Session {
  /** The gateway's own id. A reset may keep it, so one id can live many times. */
  readonly id: string;
  /** The gateway's routing key, such as `agent:main:telegram:42`. Never an identity. */
  readonly key: string;
  /** The agent that owns it, empty where the gateway names none. */
  readonly agentId: string;
  /**
   * One life of this session. With `event.ledgerId` it is the identity to key a row on. 0 where the event belongs to no
   * life.
   */
  readonly incarnation: number;
}

/** A session began, or showed itself for the first time. */
export interface SessionStart {
  /** The session that this one continues, as the gateway said; may be its own id. */
  readonly resumedFrom: string;
  /** The incarnation in which the same id lived before, 0 where none is known any more. */
  readonly previousIncarnation: number;
  /** How that previous incarnation ended. */
  readonly previousReason: SessionEndReason;
  /** Where the gateway keeps the transcript; opaque, empty where it did not say. */
  readonly sessionFile: string;
}

/** A session ended. */
export interface SessionEnd {
  /** Why it ended. */
  readonly reason: SessionEndReason;
  /** What the reason means for the conversation. */
  readonly disposition: Disposition;
  /** The session that follows it, as the gateway said; may be its own id. */
  readonly nextSessionId: string;
  /** The routing key of that session, where the gateway said it. */
  readonly nextSessionKey: string;
  /** The `sessionSeq` of the last event before this end. */
  readonly lastSessionSeq: number;
  /** When that last event fired. */
  readonly lastActivity: Date;
  /** Where the gateway keeps the transcript; opaque, empty where it did not say. */
  readonly sessionFile: string;
}

/** A gateway is about to stop: finish, and answer the ends that follow. Times are in milliseconds. */
export interface DrainNotice extends Readonly<Omit<WireDrainNotice, "endsOwed">> {
  /** How many ends this plugin is owed. */
  readonly endsOwed: number;
}

/**
 * What is true of everything on one stream.
 *
 * @internal
 */
export interface StreamFacts {
  readonly ledgerId: string;
  readonly streamEpoch: bigint;
  /** Whether the dispatcher remembers this plugin. */
  readonly known: boolean;
  /** The drains that are in force, by gateway: when they are out of time, on the monotonic clock. */
  readonly drains: Map<string, number>;
  /** Whether the stream has ended. */
  isOver: boolean;
}

/**
 * What is true of all the events that came together.
 *
 * @internal
 */
export interface BatchFacts {
  readonly stream: StreamFacts;
  readonly kind: BatchKind;
  /** When their time is over, on the monotonic clock. */
  readonly deadline: number;
}

/**
 * One event on its way to a handler. To make an effect happen once, key it on ({@link ledgerId},
 * {@link Session.incarnation}) or on {@link id}: after a crash the same event may come again.
 *
 * Numbers that count from 1 are numbers: at a million a second they are exact for 285 years, and the getter throws a
 * RangeError rather than hand out one that is not. What uses all of its 64 bits is a bigint.
 */
export class Event {
  /** The event as it came over the wire. */
  readonly wire: WireEvent;
  /** @internal */
  readonly batch: BatchFacts;
  #session: Session | undefined;

  /** @internal */
  constructor(wire: WireEvent, batch: BatchFacts) {
    this.wire = wire;
    this.batch = batch;
  }

  /** The same whenever and however often it is delivered. */
  get id(): string {
    return this.wire.id;
  }

  /** The hook's name, such as `session_start`. */
  get hook(): string {
    return this.wire.hook;
  }

  /** The session it belongs to; `undefined` where the hook names none. */
  get session(): Session | undefined {
    const { session } = this.wire;
    if (session !== undefined) {
      this.#session ??= { ...session, incarnation: exact(session.incarnation) };
    }
    return this.#session;
  }

  /** What a `session_start` says; `undefined` for any other hook. */
  get sessionStart(): SessionStart | undefined {
    const { payload } = this.wire;
    if (payload?.$case !== "sessionStart") return undefined;
    return { ...payload.value, previousIncarnation: exact(payload.value.previousIncarnation) };
  }

  /** What a `session_end` says; `undefined` for any other hook. */
  get sessionEnd(): SessionEnd | undefined {
    const { payload } = this.wire;
    if (payload?.$case !== "sessionEnd") return undefined;
    const { lastSessionSeq, lastActivityUnixNano, ...said } = payload.value;
    return { ...said, lastSessionSeq: exact(lastSessionSeq), lastActivity: dateOf(lastActivityUnixNano) };
  }

  /**
   * The hook's own fields, parsed. Numbers beyond 2^53 lose digits, as always in JavaScript: {@link raw} has them.
   *
   * @throws SyntaxError when they are no JSON; so for the four hooks that are typed, which carry none.
   */
  json(): unknown {
    const { buffer, byteOffset, byteLength } = this.raw;
    return JSON.parse(Buffer.from(buffer, byteOffset, byteLength).toString());
  }

  /** The hook's own fields as bytes, as the gateway wrote them; empty for the four hooks that are typed. */
  get raw(): Uint8Array {
    const { payload } = this.wire;
    return payload?.$case === "json" ? payload.value : NO_BYTES;
  }

  /** Whether it just happened, was announced, or is delivered again. */
  get kind(): BatchKind {
    return this.batch.kind;
  }

  /** The ledger in which {@link Session.incarnation} counts. */
  get ledgerId(): string {
    return this.batch.stream.ledgerId;
  }

  /** Larger for every stream of this ledger: a fencing token to check in your own store. */
  get streamEpoch(): bigint {
    return this.batch.stream.streamEpoch;
  }

  /** Increases within one incarnation; it may jump, and is 0 where there is no incarnation and on a late event. */
  get sessionSeq(): number {
    return exact(this.wire.sessionSeq);
  }

  /** When it fired, by the gateway's clock. `wire.timeUnixNano` has the nanoseconds. */
  get time(): Date {
    return dateOf(this.wire.timeUnixNano);
  }

  /** The dispatcher made this event; the gateway did not fire it. */
  get synthetic(): boolean {
    return this.wire.synthetic;
  }

  /** It came after its session's end. */
  get late(): boolean {
    return this.wire.late;
  }

  /** The durable name of the gateway that fired it. */
  get gatewayId(): string {
    return this.wire.gatewayId;
  }

  /** The gateway's process. */
  get bootId(): string {
    return this.wire.bootId;
  }

  /** W3C trace context, empty where the gateway gave none. */
  get traceparent(): string {
    return this.wire.traceparent;
  }

  /** Whether its gateway is stopping: a drain notice is in force. Ask again later, and it may have become so. */
  get draining(): boolean {
    return this.batch.stream.drains.has(this.gatewayId);
  }

  /**
   * What is left of the time that the dispatcher gave for it, in milliseconds from its receipt; during a drain no more
   * than the drain leaves. Advice, not a fence: a later answer still counts.
   */
  timeLeft(): number {
    const drained = this.batch.stream.drains.get(this.gatewayId) ?? Number.POSITIVE_INFINITY;
    return Math.max(Math.min(this.batch.deadline, drained) - performance.now(), 0);
  }
}

const NO_BYTES = new Uint8Array();

/** Starts and ends: what the dispatcher owes, and delivers until it is settled. */
export function isLifecycle({ payload }: WireEvent): boolean {
  return payload?.$case === "sessionStart" || payload?.$case === "sessionEnd";
}

function exact(count: bigint): number {
  const number = Number(count);
  if (!Number.isSafeInteger(number))
    throw new RangeError(`${count} is too large for a number: see event.wire`);
  return number;
}

function dateOf(unixNano: bigint): Date {
  return new Date(Number(unixNano / 1_000_000n));
}
