/** What a handler says about one event. */

import { type AckException, AckStatus } from "./gen/hookwire/v1/hook_service.js";

/** Done; it survives this process's crash. What returning nothing means, too. */
export interface Ok {
  readonly status: "OK";
}

/** Persisted, so that it survives a crash; the work itself is done later. */
export interface Accepted {
  readonly status: "ACCEPTED";
}

/** See {@link Ok}. */
export const OK: Ok = Object.freeze({ status: "OK" });

/** See {@link Accepted}. */
export const ACCEPTED: Accepted = Object.freeze({ status: "ACCEPTED" });

/** How a {@link Retry} is wanted. */
export interface RetryOptions {
  /** Not before this many milliseconds; what is absent is left to the dispatcher. An hour at most. */
  after?: number;
  /** For a person to read; cut to 256 bytes. */
  text?: string;
}

/**
 * Not now: deliver it again. Return it or throw it. Only a start or an end is delivered again; on any other event the
 * dispatcher counts it as a rejection.
 */
export class Retry extends Error {
  readonly status = "RETRY";
  readonly after: number | undefined;
  readonly text: string;

  /** @throws RangeError for a delay that is negative or no number. */
  constructor({ after, text = "" }: RetryOptions = {}) {
    super(text === "" ? "retry" : text);
    if (after !== undefined && !(after >= 0)) throw new RangeError(`${after} is no delay in milliseconds`);
    this.after = after;
    this.text = text;
  }
}

/** Never again. Return it or throw it. A rejected start gets no end. */
export class Reject extends Error {
  readonly status = "REJECT";

  constructor(
    /** Short, for machines; cut to 256 bytes. */
    readonly code: string,
    /** For a person to read; cut to 256 bytes. */
    readonly text = "",
  ) {
    super(text === "" ? code : `${code}: ${text}`);
  }
}

/** What became of one event. All but a {@link Retry} settle it. */
export type Answer = Ok | Accepted | Retry | Reject;

/** What a handler returned, as an answer; `undefined` where it is none. */
export function answerOf(returned: unknown): Answer | undefined {
  if (returned === undefined) return OK;
  if (returned instanceof Retry || returned instanceof Reject) return returned;
  return returned === OK || returned === ACCEPTED ? (returned as Answer) : undefined;
}

/** The answer that an error carries, itself or as a cause; `undefined` where it is a mistake. */
export function answerIn(error: unknown): Retry | Reject | undefined {
  if (error instanceof Retry || error instanceof Reject) return error;
  return error instanceof Error ? answerIn(error.cause) : undefined;
}

/** The answer to an event whose handler made a mistake: a start or an end comes again, anything else never does. */
export function answerToMistake(error: unknown, lifecycle: boolean): Retry | Reject {
  const text = String(error);
  return lifecycle ? new Retry({ text }) : new Reject("exception", text);
}

/** The wire's form of it. */
export function exceptionOf(seq: number, answer: Answer): AckException {
  const exception = {
    seq: BigInt(seq),
    status: AckStatus[answer.status],
    retryAfterMs: 0,
    code: "",
    text: "",
  };
  if (answer.status === "RETRY") {
    exception.retryAfterMs = wholeMillis(answer.after);
    exception.text = cut(answer.text);
  } else if (answer.status === "REJECT") {
    exception.code = cut(answer.code);
    exception.text = cut(answer.text);
  }
  return exception;
}

/** Rounded up, because 0 would leave the delay to the dispatcher. */
function wholeMillis(after: number | undefined): number {
  return after === undefined ? 0 : Math.min(Math.max(Math.ceil(after), 1), 0xffff_ffff);
}

/** The longest code or text, in bytes: an answer is a line, not a log. */
const LONGEST = 256;

/** Cuts between two characters. */
function cut(text: string): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= LONGEST) return text;
  let end = LONGEST;
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.toString("utf8", 0, end);
}
