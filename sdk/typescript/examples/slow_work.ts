/**
 * Work that takes longer than an answer may: `slow_work FILE`.
 *
 * At the end of a session a job is written down, and the end is ACCEPTED. A worker goes through the jobs one by one, also
 * through those that an earlier process left.
 */

import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";

import { ACCEPTED, leave, Plugin } from "@hookwire/sdk";
import { DatabaseSync } from "@photostructure/sqlite"; // node:sqlite, for Node 20 too

const [file] = process.argv.slice(2);
if (file === undefined) throw new Error("usage: slow_work FILE");
const database = new DatabaseSync(file);
database.exec(`
  PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
  CREATE TABLE IF NOT EXISTS jobs (event_id TEXT PRIMARY KEY, session_id TEXT, done INTEGER NOT NULL) STRICT`);

const insert = database.prepare("INSERT OR IGNORE INTO jobs VALUES (?, ?, 0)");
const next = database.prepare("SELECT event_id, session_id FROM jobs WHERE NOT done ORDER BY rowid LIMIT 1");
const finish = database.prepare("UPDATE jobs SET done = 1 WHERE event_id = ?");

const plugin = new Plugin("slow-work");
const jobs = new EventTarget();

// Keyed on the event's id: one that comes twice is one job.
plugin.on("session_end", (event) => {
  insert.run(event.id, event.session?.id ?? "");
  jobs.dispatchEvent(new Event("job"));
  return ACCEPTED;
});

const stopped = new AbortController();
const worker = work(stopped.signal);
await plugin.run().catch(leave);
stopped.abort();
await worker;
database.close();

/** A job that is not finished is there for the next process. */
async function work(stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    const job = next.get() as { event_id: string; session_id: string } | undefined;
    if (job === undefined) {
      await once(jobs, "job", { signal: stop }).catch(() => {}); // told to stop
    } else {
      await summarise(job.session_id);
      finish.run(job.event_id);
      console.log(`finished ${job.session_id}`);
    }
  }
}

/** Stands for what takes its time. */
async function summarise(_session: string): Promise<void> {
  await sleep(200);
}
