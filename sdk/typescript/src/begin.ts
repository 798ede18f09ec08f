/** How an event in hand gets its answer: from the store, or from the author's code. */

import type { Acks } from "./acks.js";
import { type Answer, answerIn, answerOf, answerToMistake } from "./answer.js";
import { type Event, isLifecycle } from "./event.js";
import { inFull, type Logger } from "./log.js";
import { isPromise, type Maybe, whenThere } from "./maybe.js";
import type { Handler } from "./routes.js";
import type { Store } from "./store.js";
import type { InContext } from "./trace.js";

/** An event in hand. */
export interface Job {
  readonly event: Event;
  readonly handler: Handler;
  /** Whether it can be delivered again once it is settled. */
  readonly remember: boolean;
  /** Where the answer goes: more than once, if the event was delivered again meanwhile. */
  readonly deliveries: Array<{ readonly event: Event; readonly seq: number; readonly acks: Acks }>;
}

/** What the way to an answer needs. */
export interface Surroundings {
  readonly store: Store;
  readonly log: Logger;
  readonly inContext: InContext | undefined;
}

/** Finds the answer. It never throws, whatever the store or the author's code do. */
export function begin(job: Job, around: Surroundings): Maybe<Answer> {
  if (!job.remember) return ask(job, around);
  const failed = (error: unknown) => mistake(job, error, around);
  try {
    const answer = once(job, around);
    return isPromise(answer) ? answer.then(undefined, failed) : answer;
  } catch (error) {
    return failed(error);
  }
}

/** What was settled before is answered the same, and is remembered anew, for as long as this stream lasts. */
function once(job: Job, around: Surroundings): Maybe<Answer> {
  return whenThere(around.store.get(job.event.id), (known) => {
    if (known !== undefined) return remember(job, known, around);
    return whenThere(ask(job, around), (answer) => remember(job, answer, around));
  });
}

function remember(job: Job, answer: Answer, { store }: Surroundings): Maybe<Answer> {
  if (answer.status === "RETRY") return answer;
  const { id, ledgerId, streamEpoch } = job.deliveries.at(-1)?.event ?? job.event;
  return whenThere(store.put(id, answer, ledgerId, streamEpoch), () => answer);
}

function ask(job: Job, around: Surroundings): Maybe<Answer> {
  const failed = (error: unknown) => thrown(job, error, around);
  try {
    const returned = call(job, around);
    return isPromise(returned)
      ? returned.then((value) => read(job, value, around), failed)
      : read(job, returned, around);
  } catch (error) {
    return failed(error);
  }
}

function call({ handler, event }: Job, { inContext }: Surroundings): Maybe<unknown> {
  if (inContext === undefined || event.traceparent === "") return handler(event);
  return inContext(event.traceparent, () => handler(event));
}

function read(job: Job, returned: unknown, around: Surroundings): Answer {
  const answer = answerOf(returned);
  if (answer === undefined) {
    const text = `${String(returned)} is no answer: return nothing, OK, ACCEPTED, a Retry or a Reject`;
    return mistake(job, new TypeError(text), around);
  }
  return answer instanceof Error ? notDone(job, answer, around) : answer;
}

function thrown(job: Job, error: unknown, around: Surroundings): Answer {
  const answer = answerIn(error);
  return answer === undefined ? mistake(job, error, around) : notDone(job, answer, around);
}

function notDone<T extends Answer & Error>({ event }: Job, answer: T, { log }: Surroundings): T {
  log.warn(`not done: event=${event.id} hook=${event.hook} answer=${answer.status}: ${answer.message}`);
  return answer;
}

function mistake({ event }: Job, error: unknown, { log }: Surroundings): Answer {
  const answer = answerToMistake(error, isLifecycle(event.wire));
  log.error(
    `a handler failed: event=${event.id} hook=${event.hook} answer=${answer.status}: ${inFull(error)}`,
  );
  return answer;
}
