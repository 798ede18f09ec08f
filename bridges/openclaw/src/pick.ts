/** What of an object may leave: an allow-list, read from the outside in. Pure. */

/** How much of a conversation leaves the gateway. */
export type Content =
  /** None of it. */
  | "none"
  /** How long its texts are, who said them, and their ids. */
  | "metadata"
  /** All of it. */
  | "full";

/** What a field may hold, and what of that leaves. */
export type Rule =
  /** A name, an id, a path, a measure: text of at most 4,096 characters, a number, or a boolean. */
  | "value"
  /** A part of a conversation: text. */
  | "text"
  /** A part of a conversation that has a shape of its own, such as a tool's parameters: plain data. */
  | "data"
  /** As the inner one, and only where `content` is "full". */
  | { readonly inFull: Rule }
  /** A list of it. */
  | { readonly each: Rule }
  /** An object with these fields, at most. */
  | { readonly fields: Fields };

/** The fields of an object. */
export interface Fields {
  readonly [field: string]: Rule;
}

/** The longest name, id or path. */
const LONGEST_VALUE = 4096;

/** How deep plain data may be nested. */
const DEEPEST = 32;

/** Of how many values plain data may consist: what refers to itself has no end. */
const MOST_VALUES = 100_000;

/** How many of a list leave without their texts, the last ones: a hook must not take as long as its history is. */
const MOST_LISTED = 50;

/** The allowed fields of an object, in the object's order; `messagesCount` beside the last of many `messages`. */
export function pick(from: object, fields: Fields, content: Content): Record<string, unknown> {
  const picked: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(from)) {
    const rule = Object.hasOwn(fields, name) ? fields[name] : undefined;
    const allowed = rule && read(value, rule, content);
    if (allowed === undefined) continue;
    picked[name] = allowed;
    if (Array.isArray(value) && isCut(value, content)) {
      picked[`${name}Count`] = value.length;
    }
  }
  return picked;
}

/** What leaves of a value; `undefined` where nothing does. */
function read(value: unknown, rule: Rule, content: Content): unknown {
  if (rule === "value") return isScalar(value) && !isLong(value) ? value : undefined;
  if (rule === "text") return spoken(value, content);
  if (rule === "data") return content === "full" ? plain(value, DEEPEST, { left: MOST_VALUES }) : undefined;
  if ("inFull" in rule) return content === "full" ? read(value, rule.inFull, content) : undefined;
  if ("each" in rule) return eachOf(value, rule.each, content);
  return isObject(value) ? pick(value, rule.fields, content) : spoken(value, content);
}

/** A text that stands where a list or an object of a conversation is expected is a part of the conversation. */
function spoken(value: unknown, content: Content): unknown {
  if (typeof value !== "string" || content === "none") return undefined;
  return content === "full" ? value : { length: value.length };
}

function eachOf(value: unknown, rule: Rule, content: Content): unknown {
  if (!Array.isArray(value)) return spoken(value, content);
  const listed = isCut(value, content) ? value.slice(-MOST_LISTED) : value;
  return listed.map((one) => read(one, rule, content)).filter((one) => one !== undefined);
}

function isCut(list: unknown[], content: Content): boolean {
  return content !== "full" && list.length > MOST_LISTED;
}

function isScalar(value: unknown): value is string | number | boolean {
  return typeof value === "string" || typeof value === "boolean" || Number.isFinite(value);
}

function isLong(value: unknown): boolean {
  return typeof value === "string" && value.length > LONGEST_VALUE;
}

/** An object that is nothing else: no list, no Date, no AbortSignal. */
export function isObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype || isForeign(prototype);
}

/** The `Object.prototype` of another realm: a gateway may run its plugins in one. */
function isForeign(prototype: object): boolean {
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, "hasOwnProperty");
}

/** Data and nothing else: what is a function, an instance of a class, nested too deep or too much is left out. */
function plain(value: unknown, deepest: number, budget: { left: number }): unknown {
  if (value === null || isScalar(value)) return value;
  budget.left -= 1;
  if (deepest === 0 || budget.left < 0) return undefined;
  if (Array.isArray(value)) {
    return value.map((one) => plain(one, deepest - 1, budget)).filter((one) => one !== undefined);
  }
  if (!isObject(value)) return undefined;
  const copy = Object.entries(value).map(([name, one]) => [name, plain(one, deepest - 1, budget)]);
  return Object.fromEntries(copy.filter(([, one]) => one !== undefined));
}
