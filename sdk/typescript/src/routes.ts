/** The plugin author's code, and which of it gets an event. */

import type { Answer } from "./answer.js";
import type { DrainNotice, Event } from "./event.js";
import type { Sweep } from "./sweep.js";

/**
 * What gets events. It returns the answer, or nothing for OK; it may throw a Retry or a Reject, too. Any other error has
 * a start or an end come again, and rejects any other event with the code `exception`.
 */
// biome-ignore lint/suspicious/noConfusingVoidType: an async function without a return is a Promise<void>
export type Handler = (event: Event) => Answer | void | PromiseLike<Answer | void>;

/** How many hooks' names are remembered: gateways have tens, but what they send is no bound. */
const NAMES = 1_024;

/** All of the author's code. */
export class Routes {
  /** Called when a gateway begins to stop. */
  onDrain: ((notice: DrainNotice) => unknown) | undefined;
  /** Called when all from before the stream is handled. */
  onSweep: ((sweep: Sweep) => unknown) | undefined;
  readonly #hooks: Array<{ glob: string; matches: RegExp; handler: Handler }> = [];
  readonly #known = new Map<string, Handler | undefined>();

  /** The globs, in the order in which they were given. */
  get globs(): string[] {
    return this.#hooks.map(({ glob }) => glob);
  }

  /** One more glob, behind those that are there. */
  add(glob: string, handler: Handler): void {
    this.#hooks.push({ glob, matches: regExpOf(glob), handler });
    this.#known.clear();
  }

  /** The first handler whose glob matches the hook. A name is matched once, and then known. */
  find(hook: string): Handler | undefined {
    const known = this.#known.get(hook);
    if (known !== undefined || this.#known.has(hook)) return known;
    const found = this.#hooks.find(({ matches }) => matches.test(hook))?.handler;
    if (this.#known.size < NAMES) this.#known.set(hook, found);
    return found;
  }
}

/** `*` is any text, `?` any one character; all else is itself. */
function regExpOf(glob: string): RegExp {
  const literal = glob.replace(/[\\^$.+()[\]{}|/]/g, "\\$&");
  return new RegExp(`^${literal.replace(/\*+/g, ".*").replaceAll("?", ".")}$`, "su");
}
