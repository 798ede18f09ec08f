/** What is in the tables at the end, and whether it is what happened. */

import { existsSync, readFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";

import type { Table } from "./dispatcher.ts";
import type { Life } from "./life.ts";

export interface Row extends Life {
  readonly active: boolean;
}

/** The rows of a `session_table`, or of the plugin in the gateway; none where there is no table yet. */
export function rowsOf(file: string): Row[] {
  if (!existsSync(file)) return [];
  const database = new DatabaseSync(file, { readOnly: true, timeout: 5000 });
  try {
    const rows = database.prepare("SELECT key, status, reason FROM sessions").all();
    return rows.map(({ key, status, reason }) => ({
      key: String(key),
      active: status === "active",
      reason: String(reason ?? "")
        .replace("SESSION_END_REASON_", "")
        .toUpperCase(),
    }));
  } finally {
    database.close();
  }
}

/** Whether a plugin in the gateway was handed the config. */
export function configWithinReach(file: string): boolean {
  const database = new DatabaseSync(file, { readOnly: true, timeout: 5000 });
  try {
    return database.prepare("SELECT hook FROM within_reach").get() !== undefined;
  } finally {
    database.close();
  }
}

export function active(rows: readonly Row[]): Row[] {
  return rows.filter((row) => row.active);
}

/** Each line says how a table is not what happened. The lives in `unseen` may be missing. */
export function faults({ file, effects }: Table, lives: readonly Life[], unseen: readonly Life[]): string[] {
  const rows = rowsOf(file);
  const left = lives.map(named);
  const strange: string[] = [];
  for (const row of rows) {
    const at = left.indexOf(named(row));
    if (at < 0) strange.push(row.active ? `${row.key} is still active` : `${named(row)} did not happen`);
    else left.splice(at, 1);
  }
  const may = unseen.map(named);
  const missing = left.filter((life) => !may.includes(life)).map((life) => `${life} is missing`);
  return [...strange, ...missing, ...notOnce(effects)];
}

const named = ({ key, reason }: Life) => `${key} ${reason}`;

/** A life has one start and one end: one event each, however often it came, and one change each. */
function notOnce(effects: string): string[] {
  const ids = new Map<string, Set<string>>();
  const changes = new Map<string, number>();
  for (const line of readFileSync(effects, "utf8").split("\n").filter(Boolean)) {
    const { hook = "", event_id, ledger_id, incarnation, changed } = JSON.parse(line);
    if (!hook.startsWith("session_") || incarnation === 0) continue;
    const which = `${hook} of ${ledger_id}/${incarnation}`;
    ids.set(which, (ids.get(which) ?? new Set()).add(event_id));
    changes.set(which, (changes.get(which) ?? 0) + Number(changed));
  }
  return [...changes].flatMap(([which, count]) => {
    const events = ids.get(which)?.size ?? 0;
    return count === 1 && events === 1 ? [] : [`${which}: ${count} changes, ${events} events`];
  });
}
