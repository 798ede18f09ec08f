/**
 * Which deliveries of one stream are answered, and the next Ack. Pure.
 *
 * ```text
 * seq      1  2  3  4  5  6  7  8
 * answer   ok ok ok    ok    rj        prefix = 3: 4 is still in hand
 * Ack      through_seq 3, exceptions 5 OK, 7 REJECT: nobody waits for 4
 * ```
 */

import { type Answer, exceptionOf } from "./answer.js";
import type { Ack } from "./gen/hookwire/v1/hook_service.js";

/** How many exceptions go into one Ack: with the longest words, half of the 256 KiB that a dispatcher reads. */
const EXCEPTIONS = 256;

/** The answers of one stream. A new stream begins with a new one: answers count only where the delivery came. */
export class Acks {
  /** Everything up to here is answered. */
  #prefix = 0;
  /** What `through_seq` has said so far. */
  #through = 0;
  /**
   * Answered beyond the prefix: runs, by their first number and by their last. As many as there are gaps between them,
   * that is no more than what is in hand, however long one that hangs is waited for.
   */
  readonly #lastOf = new Map<number, number>();
  readonly #firstOf = new Map<number, number>();
  /** To be sent as exceptions: answers that are not OK, and those that are, but stood beyond the prefix. */
  #unsent = new Map<number, Answer>();

  /** @param onAnswer Called at each answer. */
  constructor(private readonly onAnswer: () => void = () => {}) {}

  /** Takes down the answer to one delivery; each has one. */
  answer(seq: number, answer: Answer): void {
    const next = seq === this.#prefix + 1;
    if (!next || answer.status !== "OK") this.#unsent.set(seq, answer);
    if (next) {
      this.#prefix = this.#endOfRun(seq);
    } else {
      this.#addToRuns(seq);
    }
    this.onAnswer();
  }

  /** The last of the run that begins behind this number, which is the prefix's then. */
  #endOfRun(seq: number): number {
    const last = this.#lastOf.get(seq + 1);
    if (last === undefined) return seq;
    this.#lastOf.delete(seq + 1);
    this.#firstOf.delete(last);
    return last;
  }

  #addToRuns(seq: number): void {
    const first = this.#firstOf.get(seq - 1) ?? seq;
    const last = this.#lastOf.get(seq + 1) ?? seq;
    this.#firstOf.delete(seq - 1);
    this.#lastOf.delete(seq + 1);
    this.#lastOf.set(first, last);
    this.#firstOf.set(last, first);
  }

  /** How many answers wait to be sent. One that was given ahead of its turn counts twice once the prefix has reached it. */
  get pending(): number {
    return this.#prefix - this.#through + this.#unsent.size;
  }

  /** The next Ack, `undefined` where there is nothing to say. What does not fit is left for another. */
  take(): Ack | undefined {
    if (this.pending === 0) return undefined;
    const unsent = [...this.#unsent].filter(([seq, answer]) => seq > this.#prefix || answer.status !== "OK");
    unsent.sort(([a], [b]) => a - b);
    const left = unsent.splice(EXCEPTIONS);
    this.#unsent = new Map(left);
    // An exception left for later must not be called OK by the prefix.
    const through = Math.min(this.#prefix, (left[0]?.[0] ?? Number.POSITIVE_INFINITY) - 1);
    const moved = through > this.#through;
    this.#through = through;
    return {
      throughSeq: moved ? BigInt(through) : 0n,
      exceptions: unsent.map(([seq, answer]) => exceptionOf(seq, answer)),
    };
  }
}
