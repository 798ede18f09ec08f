/**
 * Keeps a table of sessions in SQLite, active until ended: `session_table FILE`.
 *
 * A row is keyed on (ledger_id, incarnation), so that an event that comes twice changes nothing. `HOOKWIRE_SUBSCRIBER`
 * names the plugin; `HOOKWIRE_VERIFY_LOG` names a file that gets a JSON line for each effect.
 */

import { openSync, writeSync } from "node:fs";

import { type Event, leave, Plugin, type SessionEnd } from "@hookwire/sdk";
import { DatabaseSync } from "@photostructure/sqlite"; // node:sqlite, for Node 20 too

const [file] = process.argv.slice(2);
if (file === undefined) throw new Error("usage: session_table FILE");
const table = new DatabaseSync(file);
table.exec(`
  PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 5000;
  CREATE TABLE IF NOT EXISTS sessions (
    ledger_id TEXT, incarnation INTEGER, id TEXT, key TEXT, agent_id TEXT, status TEXT, reason TEXT,
    events INTEGER, last_seq INTEGER, PRIMARY KEY (ledger_id, incarnation)) STRICT`);

const insert = table.prepare("INSERT OR IGNORE INTO sessions VALUES (?, ?, ?, ?, ?, 'active', NULL, 0, 0)");
const close = table.prepare(
  `UPDATE sessions SET status = 'ended', reason = ?
    WHERE ledger_id = ? AND incarnation = ? AND status = 'active'`,
);
const count = table.prepare(
  `UPDATE sessions SET events = events + 1, last_seq = ?1
    WHERE ledger_id = ?2 AND incarnation = ?3 AND last_seq < ?1`,
);
const open = table.prepare("SELECT ledger_id, incarnation FROM sessions WHERE status = 'active'");

const { HOOKWIRE_SUBSCRIBER: name = "session-table", HOOKWIRE_VERIFY_LOG: effects } = process.env;
const log = effects === undefined ? undefined : openSync(effects, "a");
const plugin = new Plugin(name, { announce: true });

plugin.on("*", (event) => {
  const changed = apply(event);
  const { id: event_id, hook, ledgerId: ledger_id, session, draining } = event;
  const { incarnation = 0, id: session_id = "" } = session ?? {};
  note({
    event_id,
    hook,
    ledger_id,
    incarnation,
    session_id,
    session_seq: event.sessionSeq,
    changed,
    draining,
  });
});

plugin.onDrain((notice) => {
  note({ drain: notice.gatewayId, boot_id: notice.bootId, budget_ms: notice.budgetMs });
});

// What is open and not owed an end would stay open for ever: its dispatcher has lost its ledger.
plugin.onSweep((sweep) => {
  for (const row of open.all() as Array<{ ledger_id: string; incarnation: number }>) {
    if (sweep.isOwed(row.ledger_id, row.incarnation)) continue;
    close.run("SWEPT", row.ledger_id, row.incarnation);
    note({ swept: row.incarnation, ledger_id: row.ledger_id });
  }
});

await plugin.run().catch(leave);
table.close();

/** A row that exists stays as it is, ended or not; an end without a row closes nothing and is not remembered. */
function apply({ ledgerId, session, sessionEnd, sessionStart, sessionSeq }: Event): boolean {
  if (session === undefined || session.incarnation === 0) return false;
  const { incarnation, id, key, agentId } = session;
  if (sessionStart !== undefined) return insert.run(ledgerId, incarnation, id, key, agentId).changes > 0;
  if (sessionEnd !== undefined) return close.run(reasonOf(sessionEnd), ledgerId, incarnation).changes > 0;
  return count.run(sessionSeq, ledgerId, incarnation).changes > 0;
}

function reasonOf({ reason }: SessionEnd): string {
  return reason.replace("SESSION_END_REASON_", "");
}

/** After the commit and before the answer, in one write. */
function note(effect: Record<string, string | number | boolean>): void {
  if (log !== undefined) writeSync(log, `${JSON.stringify({ ...effect, pid: process.pid })}\n`);
}
