/** A plugin's life: stream after stream, until it is told to stop or turned away. */

import { Backoff } from "./backoff.js";
import type { Dial } from "./call.js";
import { Stream, type StreamSettings } from "./stream.js";
import { isWithin, pause } from "./wait.js";
import type { Work } from "./work.js";

/** How long a stream must have lasted for the next attempt to be as quick as the first, in milliseconds. */
const LIVED = 1_000;

/**
 * Lives until `stop` says so, or coming back would not help. Either way what is in hand is finished first, within the
 * grace.
 *
 * @throws HookwireError when coming back would not help.
 */
export async function run(
  dial: Dial,
  settings: StreamSettings,
  work: Work,
  stop: AbortSignal,
): Promise<void> {
  const backoff = new Backoff(settings.dice);
  let level: "warn" | "debug" = "warn";
  while (!stop.aborted) {
    const stream = new Stream(dial, settings, work);
    const ended = await stream.live(stop);
    if (ended.how === "stopped") return;
    if (ended.how === "for good") {
      await finish(work, settings);
      throw ended.error;
    }
    if (stop.aborted) break;
    if (stream.lived > LIVED) backoff.reset();
    if (stream.isWelcomed) level = "warn";
    const wait = ended.wait + backoff.nextWait();
    settings.log[level](`no stream: ${ended.why}: dialling again in ${Math.ceil(wait)} ms`);
    level = "debug"; // once for each outage it is worth a person's while
    await pause(wait, stop);
  }
  await finish(work, settings);
}

/** Without a stream nothing can be acknowledged, but a handler that has begun is not cut off in the middle. */
async function finish(work: Work, { grace, log }: StreamSettings): Promise<void> {
  if (!(await isWithin(grace, work.finish()))) log.warn(`out of time: ${work.size} in hand`);
}

/**
 * What was given; otherwise a signal that the first SIGTERM or SIGINT aborts, and a second one ends the process. Undo it
 * when nobody listens any more.
 */
export function stopSignal(given: AbortSignal | undefined): { signal: AbortSignal; undo: () => void } {
  if (given !== undefined) return { signal: given, undo() {} };
  const controller = new AbortController();
  const undo = () => {
    process.off("SIGTERM", stop);
    process.off("SIGINT", stop);
  };
  const stop = () => {
    undo();
    controller.abort();
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  return { signal: controller.signal, undo };
}
