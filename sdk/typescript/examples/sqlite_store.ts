/** What was settled, in SQLite: a process that was killed before its Ack went out does not handle the event again. */

import { ACCEPTED, type Answer, OK, Reject, type Store } from "@hookwire/sdk";
import type { DatabaseSync } from "@photostructure/sqlite"; // node:sqlite, for Node 20 too

/** A {@link Store} in a file, or beside your own tables. */
export class SqliteStore implements Store {
  readonly #get;
  readonly #put;
  readonly #forget;

  constructor(database: InstanceType<typeof DatabaseSync>) {
    database.exec(`CREATE TABLE IF NOT EXISTS hookwire_answers (
      event_id TEXT PRIMARY KEY, status TEXT, code TEXT, ledger_id TEXT, stream_epoch INTEGER) STRICT`);
    this.#get = database.prepare("SELECT status, code FROM hookwire_answers WHERE event_id = ?");
    this.#put = database.prepare("INSERT OR REPLACE INTO hookwire_answers VALUES (?, ?, ?, ?, ?)");
    this.#forget = database.prepare("DELETE FROM hookwire_answers WHERE ledger_id <> ? OR stream_epoch < ?");
  }

  get(eventId: string): Answer | undefined {
    const row = this.#get.get(eventId) as { status: string; code: string } | undefined;
    if (row === undefined) return undefined;
    if (row.status === "REJECT") return new Reject(row.code);
    return row.status === "ACCEPTED" ? ACCEPTED : OK;
  }

  put(eventId: string, answer: Answer, ledgerId: string, streamEpoch: bigint): void {
    const code = answer.status === "REJECT" ? answer.code : "";
    this.#put.run(eventId, answer.status, code, ledgerId, streamEpoch);
  }

  forget(ledgerId: string, streamEpoch: bigint): void {
    this.#forget.run(ledgerId, streamEpoch);
  }
}
