/** What was not forwarded, by reason: counted always, said now and then. */

import type { Log } from "./openclaw.js";

/** How often losses are said, in milliseconds. */
const SAID_EVERY = 60_000;

/** Why an event was not forwarded. */
export type Cause =
  /** The queue was full. */
  | "no room"
  /** The dispatcher did not take it in. */
  | "refused"
  /** It is larger than the dispatcher takes in, even without its texts. */
  | "too large"
  /** Nobody takes it: between a stop and the next start, or this gateway was displaced or refused. */
  | "nobody there"
  /** It could not be read. */
  | "unreadable";

/** Counts losses. */
export class Losses {
  readonly #counts = new Map<Cause, number>();
  #unsaid = false;
  #timer: NodeJS.Timeout | undefined;
  #detail = "";

  constructor(private readonly log: () => Log) {}

  /** So many events were lost; `detail` is for a person, and is of the latest. */
  count(cause: Cause, events = 1, detail = ""): void {
    if (events === 0) return;
    this.#counts.set(cause, (this.#counts.get(cause) ?? 0) + events);
    this.#unsaid = true;
    this.#detail = detail || this.#detail;
    if (this.#timer !== undefined) return;
    // The first at once, as soon as the handler has returned; others a minute later, together.
    setImmediate(() => this.say()).unref();
    this.#timer = setTimeout(() => this.#later(), SAID_EVERY).unref();
  }

  /** Says what was not said yet. */
  say(): void {
    if (!this.#unsaid) return;
    this.#unsaid = false;
    const counts = [...this.#counts].map(([cause, events]) => `${cause}: ${events}`).join(", ");
    const detail = this.#detail === "" ? "" : ` (${this.#detail})`;
    this.log().warn(`hookwire: events not forwarded so far: ${counts}${detail}`);
  }

  #later(): void {
    this.#timer = undefined;
    this.say();
  }
}
