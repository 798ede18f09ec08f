/** Events one by one, for a `for await` loop. */

import { ACCEPTED, type Answer, OK, Reject, Retry, type RetryOptions } from "./answer.js";
import { Event } from "./event.js";
import type { Plugin } from "./plugin.js";

/** An event whose answer is said before the next one is asked for. What is said last counts. */
export class Pulled extends Event {
  /** @internal */
  answer: Answer = OK;

  /** Persisted, and finished later. */
  accept(): void {
    this.answer = ACCEPTED;
  }

  /** Not now: deliver it again. Only a start or an end is; any other event counts as rejected. */
  retry(options?: RetryOptions): void {
    this.answer = new Retry(options);
  }

  /** Never again. A rejected start gets no end. */
  reject(code: string, text?: string): void {
    this.answer = new Reject(code, text);
  }
}

/** An event that waits for the loop to come round. */
interface Offer {
  readonly event: Pulled;
  readonly settle: (answer: Answer) => void;
}

/** See `Plugin.events`. */
export async function* pull(
  plugin: Plugin,
  globs: readonly string[],
  signal: AbortSignal,
): AsyncGenerator<Pulled, void, undefined> {
  const offers: Offer[] = [];
  const left = new AbortController();
  const leftBehind = new Retry({ text: "the loop over events was left" });
  let wake = () => {};
  let over = false;
  const offer = ({ wire, batch }: Event) => {
    if (left.signal.aborted) return leftBehind;
    return new Promise<Answer>((settle) => {
      offers.push({ event: new Pulled(wire, batch), settle });
      wake();
    });
  };
  for (const glob of globs) plugin.on(glob, offer);
  const running = plugin.run({ signal: AbortSignal.any([signal, left.signal]) }).finally(() => {
    over = true;
    wake();
  });
  running.catch(() => {}); // thrown below, once the loop asks for more
  try {
    for (;;) {
      while (offers.length === 0 && !over) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      const next = offers[0];
      if (next === undefined || over) break;
      yield next.event;
      next.settle(next.event.answer);
      offers.shift();
    }
  } finally {
    left.abort();
    for (const { settle } of offers) settle(leftBehind);
    await running;
  }
}
