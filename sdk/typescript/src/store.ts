/** What became of events that are settled, by event id, so that one that comes again is answered the same. */

import type { Answer } from "./answer.js";
import type { Maybe } from "./maybe.js";

/**
 * Remembers answers. The SDK asks for starts and ends, and for every event with a retention of ALL; it never remembers a
 * Retry. What throws counts as if the handler had.
 *
 * The way of an event is: handler, then `put`, then the Ack. A crash between the handler and `put` applies it again, so
 * an effect that must happen once is keyed on (`event.ledgerId`, `session.incarnation`) or `event.id` in your own store.
 */
export interface Store {
  /** What became of this event; `undefined` where it is not known. */
  get(eventId: string): Maybe<Answer | undefined>;
  /** Remembers it, in place of what was there. What it returns is waited for before the event is acknowledged. */
  put(eventId: string, answer: Answer, ledgerId: string, streamEpoch: bigint): Maybe<void>;
  /** Drops what is of another ledger, or of an earlier stream: none of it can come again. */
  forget(ledgerId: string, streamEpoch: bigint): Maybe<void>;
}

/** How many answers a {@link MemoryStore} holds: some 20 MB where it comes to that. */
const REMEMBERED = 100_000;

interface Remembered {
  readonly answer: Answer;
  readonly ledgerId: string;
  readonly streamEpoch: bigint;
}

/** The newest answers, for as long as the process lives; the oldest is forgotten first. */
export class MemoryStore implements Store {
  /** The oldest first: a Map keeps the order in which keys came. */
  readonly #answers = new Map<string, Remembered>();
  /** Stands before the oldest. One that is kept does not pass again what was deleted before it. */
  #oldest = this.#answers.keys();

  /** @param capacity How many answers it holds at most. */
  constructor(private readonly capacity = REMEMBERED) {}

  get(eventId: string): Answer | undefined {
    return this.#answers.get(eventId)?.answer;
  }

  put(eventId: string, answer: Answer, ledgerId: string, streamEpoch: bigint): void {
    this.#answers.delete(eventId);
    this.#answers.set(eventId, { answer, ledgerId, streamEpoch });
    while (this.#answers.size > this.capacity) this.#forgetOldest();
  }

  #forgetOldest(): void {
    const { value, done } = this.#oldest.next();
    if (done) {
      this.#oldest = this.#answers.keys();
    } else {
      this.#answers.delete(value);
    }
  }

  forget(ledgerId: string, streamEpoch: bigint): void {
    for (const [eventId, remembered] of this.#answers) {
      if (remembered.ledgerId !== ledgerId || remembered.streamEpoch < streamEpoch)
        this.#answers.delete(eventId);
    }
  }
}
