/**
 * In order inside one session, side by side across sessions. Pure.
 *
 * A lane is one session, or the gateway for what belongs to none. At most one item of a lane is out at a time. An item
 * that comes after all waits besides until every earlier item of every lane is done.
 */

/** A lane's name. */
export type Lane = string | symbol;

/** What an item waits for: what came before it in its lane, or all that came before it in any lane. */
export type After = "lane" | "all";

/** An item on its way. Hand it back when the item is done. */
export interface Ticket<T> {
  /** Until it is done. */
  item: T | undefined;
  readonly lane: Lane;
  readonly arrival: number;
  /** How many others it still waits for, apart from its lane; counted for those only that come after all. */
  before: number;
  /** At the head of its lane. */
  isFirst: boolean;
  /** What waits behind it in its lane. */
  behind: Ticket<T> | undefined;
}

/** Items on their way. */
export class Lanes<T> {
  #arrivals = 0;
  #size = 0;
  /** The last of each lane that holds an item. */
  readonly #tails = new Map<Lane, Ticket<T>>();
  /** Those that still wait for all before them. */
  #held: Ticket<T>[] = [];
  readonly #ready: Ticket<T>[] = [];

  /** How many items are not done, those out included. */
  get size(): number {
    return this.#size;
  }

  /** Whether an item would wait for nothing. */
  isFree(lane: Lane, after: After): boolean {
    return after === "lane" ? !this.#tails.has(lane) : this.#size === 0;
  }

  /** Takes down that an item is out that waits for nothing: see {@link isFree}. */
  enter(lane: Lane, item: T): Ticket<T> {
    const ticket = this.#ticket(lane, item);
    this.#tails.set(lane, ticket);
    return ticket;
  }

  /** Puts an item at the end of its lane. */
  push(lane: Lane, after: After, item: T): void {
    const before = after === "all" ? this.#size : 0;
    const ticket = this.#ticket(lane, item);
    ticket.before = before;
    if (before > 0) this.#held.push(ticket);
    const tail = this.#tails.get(lane);
    this.#tails.set(lane, ticket);
    if (tail === undefined) {
      this.#stepUp(ticket);
    } else {
      tail.behind = ticket;
    }
  }

  #ticket(lane: Lane, item: T): Ticket<T> {
    this.#arrivals += 1;
    this.#size += 1;
    return { item, lane, arrival: this.#arrivals, before: 0, isFirst: false, behind: undefined };
  }

  /** The next item whose turn it is. */
  pop(): Ticket<T> | undefined {
    return this.#ready.shift();
  }

  /** An item is done: whoever waited for it steps up. */
  done(ticket: Ticket<T>): void {
    const { behind } = ticket;
    this.#size -= 1;
    // Or a ticket that is not collected yet would keep in memory what is.
    ticket.item = undefined;
    ticket.behind = undefined;
    if (behind === undefined) {
      this.#tails.delete(ticket.lane);
    } else {
      this.#stepUp(behind);
    }
    if (this.#held.length > 0) this.#release(ticket.arrival);
  }

  #stepUp(ticket: Ticket<T>): void {
    ticket.isFirst = true;
    if (ticket.before === 0) this.#ready.push(ticket);
  }

  #release(arrival: number): void {
    for (const held of this.#held) {
      if (held.arrival < arrival) continue;
      held.before -= 1;
      if (held.before === 0 && held.isFirst) this.#ready.push(held);
    }
    this.#held = this.#held.filter((held) => held.before > 0);
  }
}
