/** How long to wait before the next attempt to connect. Pure, but for the dice. */

/** Where the bound begins: the longest first wait, in milliseconds. */
const FIRST = 100;

/** Where the bound stays at first: a dispatcher that is being upgraded is back in seconds, and so are its plugins. */
const SOON = 400;

/** For so many attempts: about five seconds. */
const EAGER = 25;

/** Where the bound stops growing. */
const LONGEST = 10_000;

/**
 * Full jitter: each wait is anything from nothing to a bound that doubles. A dispatcher that comes back then meets its
 * plugins one by one, not all at once.
 */
export class Backoff {
  #bound = FIRST;
  #attempts = 0;

  /** @param dice A number from 0 to 1. */
  constructor(private readonly dice: () => number) {}

  /** The next wait, in milliseconds. */
  nextWait(): number {
    const wait = this.dice() * this.#bound;
    this.#attempts += 1;
    this.#bound = Math.min(this.#bound * 2, this.#attempts < EAGER ? SOON : LONGEST);
    return wait;
  }

  /** After a success: begin anew. */
  reset(): void {
    this.#bound = FIRST;
    this.#attempts = 0;
  }
}
