/** OpenClaw's hooks on the wire, as `hookwire publish` reads them from recorded lines. Pure. */

import {
  Disposition,
  type SessionEnd,
  SessionEndReason,
  type SessionStart,
  StopReason,
} from "../../../sdk/typescript/src/gen/hookwire/v1/event.js";
import type {
  GatewayEvent,
  SessionRef,
} from "../../../sdk/typescript/src/gen/hookwire/v1/gateway_service.js";
import { CTX_FIELDS, HOOKS } from "./hooks.js";
import { type Content, isObject, pick } from "./pick.js";

/** An event, its session's name or a trace: an object that somebody else filled. */
type Given = Readonly<Record<string, unknown>>;

const CTX_RULES = Object.fromEntries(CTX_FIELDS.map((field) => [field, "value" as const]));

/** One firing as an event; `undefined` for a hook that is not observed. */
export function translate(
  hook: string,
  event: unknown,
  ctx: unknown,
  time: number,
  content: Content,
): GatewayEvent | undefined {
  const rules = Object.hasOwn(HOOKS, hook) ? HOOKS[hook] : undefined;
  if (rules === undefined) return undefined;
  const [about, around] = [isObject(event) ? event : {}, isObject(ctx) ? ctx : {}];
  const allowed = pick(about, rules, content);
  return {
    hook,
    session: sessionOf(about, around),
    timeUnixNano: BigInt(time) * 1_000_000n,
    traceparent: traceparent(around.trace),
    payload: payloadOf(hook, allowed, around),
  };
}

function payloadOf(hook: string, event: Given, ctx: Given): GatewayEvent["payload"] {
  switch (hook) {
    case "session_start":
      return { $case: "sessionStart", value: sessionStart(event) };
    case "session_end":
      return { $case: "sessionEnd", value: sessionEnd(event) };
    case "gateway_start":
      return { $case: "gatewayStart", value: { port: portOf(event.port) } };
    case "gateway_stop": {
      const said = text(event, "reason");
      return { $case: "gatewayStop", value: { reason: stopReason(said), text: said } };
    }
    default:
      return { $case: "json", value: json(event, ctx) };
  }
}

function sessionStart(event: Given): SessionStart {
  return {
    resumedFrom: text(event, "resumedFrom"),
    sessionFile: text(event, "sessionFile"),
    previousIncarnation: 0n,
    previousReason: SessionEndReason.UNSPECIFIED,
  };
}

function sessionEnd(event: Given): SessionEnd {
  return {
    reason: endReason(text(event, "reason")),
    disposition: Disposition.UNSPECIFIED,
    nextSessionId: text(event, "nextSessionId"),
    nextSessionKey: text(event, "nextSessionKey"),
    sessionFile: text(event, "sessionFile"),
    lastSessionSeq: 0n,
    lastActivityUnixNano: 0n,
  };
}

/** The reasons that a gateway may give. That a gateway vanished, only the dispatcher can say. */
const END_REASONS: Readonly<Record<string, SessionEndReason>> = {
  new: SessionEndReason.NEW,
  reset: SessionEndReason.RESET,
  idle: SessionEndReason.IDLE,
  daily: SessionEndReason.DAILY,
  deleted: SessionEndReason.DELETED,
  compaction: SessionEndReason.COMPACTION,
  shutdown: SessionEndReason.SHUTDOWN,
  restart: SessionEndReason.RESTART,
};

function endReason(word: string): SessionEndReason {
  return (Object.hasOwn(END_REASONS, word) ? END_REASONS[word] : undefined) ?? SessionEndReason.UNKNOWN;
}

/** "gateway restarting" is a restart, everything else a shutdown. */
export function stopReason(said: string): StopReason {
  return said.includes("restart") ? StopReason.RESTART : StopReason.SHUTDOWN;
}

function portOf(port: unknown): number {
  return Number.isInteger(port) && Number(port) >= 0 && Number(port) <= 65_535 ? Number(port) : 0;
}

/** The session that the event names, or else its `ctx`. An agent alone names none. */
function sessionOf(event: Given, ctx: Given): SessionRef | undefined {
  const named = (field: string) => [event[field], ctx[field]].find((value) => typeof value === "string");
  const [id, key, agentId] = ["sessionId", "sessionKey", "agentId"].map(named) as (string | undefined)[];
  if (id === undefined && (key ?? "") === "") return undefined;
  return { id, key: key ?? "", agentId: agentId ?? "" };
}

/** The event's allowed fields, and behind them those of its `ctx`. */
function json(event: Given, ctx: Given): Uint8Array {
  const allowed = pick(ctx, CTX_RULES, "none");
  const inOrder = CTX_FIELDS.filter((field) => field in allowed).map((field) => [field, allowed[field]]);
  const around = inOrder.length === 0 ? {} : { ctx: Object.fromEntries(inOrder) };
  return Buffer.from(JSON.stringify({ ...event, ...around }));
}

/** W3C's header, or nothing where a part is missing or malformed. */
function traceparent(trace: unknown): string {
  if (!isObject(trace)) return "";
  const { traceId, spanId, traceFlags } = trace;
  const header = `00-${traceId}-${spanId}-${traceFlags}`;
  const isSound = /^00-(?!0{32})[\da-f]{32}-(?!0{16})[\da-f]{16}-[\da-f]{2}$/.test(header);
  return isSound ? header : "";
}

function text(event: Given, field: string): string {
  const value = event[field];
  return typeof value === "string" ? value : "";
}
