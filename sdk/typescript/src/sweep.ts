/** The moment at which a plugin knows what it is owed. */

/**
 * Everything from before this stream has been handled. What the plugin's own store holds open and is
 * {@link isOwed | owed} no end is a ghost: close it now.
 */
export class Sweep {
  /** @internal */
  constructor(
    /** The ledger that this stream belongs to. */
    readonly ledgerId: string,
    /** Whether the dispatcher remembers this plugin. If not, only what this stream named is owed an end. */
    readonly known: boolean,
    private readonly announced: boolean,
    private readonly named: ReadonlySet<bigint>,
  ) {}

  /**
   * Whether the end of this life is still to come, or came on this stream. Exact with the setting `announce`; without it,
   * a life that a dispatcher which remembers this plugin did not name counts as owed.
   */
  isOwed(ledgerId: string, incarnation: number | bigint): boolean {
    if (ledgerId !== this.ledgerId) return false;
    return this.named.has(BigInt(incarnation)) || (this.known && !this.announced);
  }
}
