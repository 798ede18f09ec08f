/**
 * Write a Hookwire plugin.
 *
 * A plugin says which hooks it wants, and gets each event with its session and the time that is left for it. What its
 * handler returns is the answer. Every session that it saw start, it sees end.
 *
 * ```text
 *            dispatcher
 *     EventBatch │  ▲ Ack
 *  ┌─────────────▼──┴────────────┐  run      stream after stream, backoff between them
 *  │       call, stream          │           Hello … Goodbye
 *  ├─────────────────────────────┤
 *  │ work     in hand already?   ├──► the same answer, when it is there
 *  │ routes   whose code is it?  │
 *  │ lanes    one per session    │
 *  │ store    settled before?    ├──► the same answer
 *  │ begin                       │
 *  │   your handler → answer     │
 *  │ acks     what to say next   │
 *  └─────────────────────────────┘
 * ```
 *
 * @module
 */

export { ADDRESS_VARIABLE, DEFAULT_ADDRESS } from "./address.js";
export {
  ACCEPTED,
  type Accepted,
  type Answer,
  OK,
  type Ok,
  Reject,
  Retry,
  type RetryOptions,
} from "./answer.js";
export { Displaced, HookwireError, InvalidAddress, leave, NoHandler, Refused } from "./errors.js";
export { type DrainNotice, Event, type Session, type SessionEnd, type SessionStart } from "./event.js";
export { Disposition, SessionEndReason, StopReason } from "./gen/hookwire/v1/event.js";
export { BatchKind } from "./gen/hookwire/v1/hook_service.js";
export type { Logger } from "./log.js";
export type { Maybe } from "./maybe.js";
export { Plugin, type PluginOptions, type Retention, type RunOptions } from "./plugin.js";
export { Pulled } from "./pull.js";
export type { Handler } from "./routes.js";
export { MemoryStore, type Store } from "./store.js";
export { Sweep } from "./sweep.js";

/** The wire's own types. */
export type * as wire from "./wire.js";
