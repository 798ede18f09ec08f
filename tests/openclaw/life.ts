/** What happens to the sessions of a gateway in a run, and what must be in every table after it. */

import type { Gateway } from "./gateway.ts";

/** A line of a table: a session's key and why its life ended. */
export interface Life {
  readonly key: string;
  readonly reason: string;
}

const key = (name: string) => `agent:main:${name}`;

const [TELEGRAM, DISCORD, SLACK] = [key("telegram:42"), key("discord:guild-7"), key("slack:t1")];
const [ONE, TWO, PARENT] = [key("web:one"), key("web:two"), key("parent")];
const [CHILD_1, CHILD_2, NEW] = [key("child1"), key("child2"), key("irc:new")];

/** Five conversations begin. */
export async function open(gateway: Gateway, text: string): Promise<void> {
  for (const session of [TELEGRAM, DISCORD, SLACK, ONE, TWO]) await gateway.chat(session, text);
}

/** One conversation, and no more. */
export async function say(gateway: Gateway, text: string): Promise<void> {
  await gateway.chat(TELEGRAM, text);
}

/** The one life of a run that says something and stops. */
export const SAID: readonly Life[] = [{ key: TELEGRAM, reason: "SHUTDOWN" }];

/** One has children, of which the second succeeds it; one is reset and keeps its id; two are deleted; two go on. */
export async function change(gateway: Gateway, text: string): Promise<void> {
  await gateway.call("sessions.create", { key: PARENT });
  const child = { parentSessionKey: PARENT, emitCommandHooks: true };
  await gateway.call("sessions.create", { ...child, key: CHILD_1, succeedsParent: false });
  await gateway.call("sessions.create", { ...child, key: CHILD_2, succeedsParent: true });
  await gateway.call("sessions.reset", { key: DISCORD, reason: "reset" });
  for (const session of [CHILD_1, TWO]) await gateway.call("sessions.delete", { key: session });
  for (const session of [TELEGRAM, SLACK]) await gateway.chat(session, text);
}

/** After a restart, an old conversation goes on, for which OpenClaw says no start, and a new one begins. */
export async function goOn(gateway: Gateway, text: string): Promise<void> {
  for (const session of [TELEGRAM, NEW]) await gateway.chat(session, text);
}

/** The lives that begin and end within `change`: a plugin that is not connected then never hears of them. */
export const BRIEF: readonly Life[] = [
  { key: PARENT, reason: "NEW" },
  { key: CHILD_1, reason: "DELETED" },
];

const OVER: readonly Life[] = [...BRIEF, { key: DISCORD, reason: "RESET" }, { key: TWO, reason: "DELETED" }];

/** What is alive when `open` and `change` are over. */
const ALIVE = [TELEGRAM, DISCORD, SLACK, ONE, CHILD_2];

/** The lives of a run that restarts and then stops. */
export const RESTARTED: readonly Life[] = [
  ...OVER,
  ...ALIVE.map((session) => ({ key: session, reason: "RESTART" })),
  ...[TELEGRAM, NEW].map((session) => ({ key: session, reason: "SHUTDOWN" })),
];

/** The lives of a run that is killed. */
export const KILLED: readonly Life[] = [...OVER, ...ALIVE.map((session) => ({ key: session, reason: "LOST" }))];
