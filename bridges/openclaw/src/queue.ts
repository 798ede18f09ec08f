/**
 * What was published and has no receipt yet: numbered, bounded, and sent again after a break. Pure.
 *
 * While the dispatcher is away, what starts and ends sessions is kept longest. Where some of that has to go, what is
 * alive is listed at the next Hello instead.
 */

import type { Alive, Life } from "./alive.js";

/** A number of events, and of their bytes. */
export interface Size {
  readonly events: number;
  readonly bytes: number;
}

/** A batch is what is ready, up to this. One event may be larger. */
const LARGEST_BATCH: Size = { events: 256, bytes: 64 << 10 };

/** What may be on its way without a receipt: beyond it, sending waits. */
const MOST_SENT: Size = { events: 4096, bytes: 8 << 20 };

/** What is kept of starts and ends. */
const MOST_KEPT: Size = { events: 65_536, bytes: 32 << 20 };

interface Pending {
  readonly seq: number;
  readonly event: Uint8Array;
  /** It starts or ends a session, or is of the gateway itself. */
  readonly kept: boolean;
  readonly life: Life | undefined;
}

/** Events with consecutive numbers. */
export interface Batch {
  readonly firstSeq: number;
  readonly events: readonly Uint8Array[];
}

/** Counts what is pending. */
class Tally {
  events = 0;
  bytes = 0;

  count({ event }: Pending, sign: 1 | -1): void {
    this.events += sign;
    this.bytes += sign * event.length;
  }

  isBelow(limit: Size): boolean {
    return this.events < limit.events && this.bytes < limit.bytes;
  }
}

/** The events of one emitter that have no receipt: first those that were sent, then the others. */
export class Queue {
  #pending: Pending[] = [];
  /** How many of them were sent on the present stream. */
  #sent = 0;
  #sentBytes = 0;
  #lastSeq = 0;
  /** The last that was ever sent: up to here nobody knows what was taken in. */
  #everSent = 0;
  readonly #ordinary = new Tally();
  readonly #kept = new Tally();
  /** Beyond this, room is made for starts and ends: not for each anew, where there is little to let go of. */
  #shedBeyond: Size;
  #shed = 0;

  constructor(
    private readonly alive: Alive,
    private readonly mostOrdinary: () => Size,
    private readonly mostKept: Size = MOST_KEPT,
  ) {
    this.#shedBeyond = mostKept;
  }

  /** The number of the next event. */
  get nextSeq(): number {
    return this.#lastSeq + 1;
  }

  /** How many events are held. */
  get held(): number {
    return this.#pending.length;
  }

  /** How often starts or ends had to go. */
  get shed(): number {
    return this.#shed;
  }

  /** The last number that will be sent, 0 where nothing waits. */
  get behind(): number {
    return this.#pending.at(-1)?.seq ?? 0;
  }

  /** There is room for one more event that need not be kept. */
  get hasRoom(): boolean {
    return this.#ordinary.isBelow(this.mostOrdinary());
  }

  /** Takes an event under the next number, and says how many were lost: this one, or older ones for its sake. */
  push(event: Uint8Array, kept: boolean, life: Life | undefined): number {
    if (!kept && !this.hasRoom) return 1;
    this.#lastSeq += 1;
    const pending = { seq: this.#lastSeq, event, kept, life };
    this.#pending.push(pending);
    this.#tallyOf(pending).count(pending, 1);
    return this.#kept.isBelow(this.#shedBeyond) ? 0 : this.#makeRoom();
  }

  /** What is told of lives that are over goes. What was sent may have been taken in: it stays. */
  #makeRoom(): number {
    const isNeeded = ({ seq, kept, life }: Pending) =>
      !kept || seq <= this.#everSent || life === undefined || this.alive.leansOn(seq, life);
    const gone = this.#pending.filter((pending) => !isNeeded(pending));
    this.#pending = this.#pending.filter(isNeeded);
    for (const pending of gone) this.#kept.count(pending, -1);
    if (gone.length > 0) this.#shed += 1;
    this.#shedBeyond = this.#eighthMore();
    return gone.length;
  }

  /** What may be kept where so much had to stay. */
  #eighthMore(): Size {
    const [most, { events, bytes }] = [this.mostKept, this.#kept];
    return {
      events: Math.max(most.events, Math.ceil(events * 1.125)),
      bytes: Math.max(most.bytes, Math.ceil(bytes * 1.125)),
    };
  }

  /** What is to be sent next, if anything; from now on it counts as sent. */
  nextBatch(): Batch | undefined {
    const firstSeq = this.#pending[this.#sent]?.seq;
    if (firstSeq === undefined) return undefined;
    if (this.#sent >= MOST_SENT.events || this.#sentBytes >= MOST_SENT.bytes) return undefined;
    const events: Uint8Array[] = [];
    for (let bytes = 0; events.length < LARGEST_BATCH.events; this.#sent += 1) {
      const next = this.#pending[this.#sent];
      // A gap is where something had to go.
      if (next === undefined || next.seq !== firstSeq + events.length) break;
      bytes += next.event.length;
      if (events.length > 0 && bytes > LARGEST_BATCH.bytes) break;
      events.push(next.event);
      this.#sentBytes += next.event.length;
      this.#everSent = Math.max(this.#everSent, next.seq);
    }
    return { firstSeq, events };
  }

  /** Lets go of what a receipt covers. */
  settle(through: number): void {
    let settled = this.#pending.findIndex(({ seq }) => seq > through);
    if (settled === -1) settled = this.#pending.length;
    for (const [at, pending] of this.#pending.splice(0, settled).entries()) {
      this.#tallyOf(pending).count(pending, -1);
      if (at < this.#sent) this.#sentBytes -= pending.event.length;
    }
    this.#sent = Math.max(0, this.#sent - settled);
  }

  /** Lets go of what is larger than so many bytes, and says how many that were. */
  dropLarger(bytes: number): number {
    const gone = this.#pending.filter(({ event }) => event.length > bytes);
    if (gone.length === 0) return 0;
    this.#pending = this.#pending.filter(({ event }) => event.length <= bytes);
    for (const pending of gone) this.#tallyOf(pending).count(pending, -1);
    return gone.length;
  }

  /** Starts over on a new stream: what the dispatcher has is settled, everything else was never sent. */
  rewind(resumeAfter: number): void {
    this.settle(resumeAfter);
    this.#sent = 0;
    this.#sentBytes = 0;
    // No more than before, and no less than there is: each time that something has to go costs a stream.
    const [before, now] = [this.#shedBeyond, this.#eighthMore()];
    this.#shedBeyond = {
      events: Math.min(before.events, now.events),
      bytes: Math.min(before.bytes, now.bytes),
    };
  }

  #tallyOf({ kept }: Pending): Tally {
    return kept ? this.#kept : this.#ordinary;
  }
}
