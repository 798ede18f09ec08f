"""Work that takes longer than a gateway should wait: slow_work.py FILE.

A job is in the table, and so survives a crash, before it is answered ACCEPTED; a worker finishes it later, also after a
restart.
"""

import os
import sqlite3
import sys
import threading
import time

import hookwire

TABLE = "CREATE TABLE IF NOT EXISTS jobs (event_id TEXT PRIMARY KEY, session_id TEXT, done INTEGER DEFAULT 0)"


def open_table() -> sqlite3.Connection:
    """The table, for the thread that asks."""
    table = sqlite3.connect(sys.argv[1], isolation_level=None)
    table.execute("PRAGMA journal_mode = WAL")
    table.execute("PRAGMA synchronous = NORMAL")
    table.execute(TABLE)
    return table


plugin = hookwire.Plugin(os.environ.get("HOOKWIRE_SUBSCRIBER", "slow-work"))
table = open_table()
there_is_work = threading.Event()


@plugin.on("session_end")
async def take_on(event: hookwire.Event) -> hookwire.Answer:
    """The event's id is the job's: delivered again, it is the same job."""
    if event.session_end is None:
        return hookwire.OK  # starts and ends come together
    table.execute("INSERT OR IGNORE INTO jobs (event_id, session_id) VALUES (?, ?)", (event.id, event.session.id))
    there_is_work.set()
    return hookwire.ACCEPTED


def work() -> None:
    """Goes through the table, what an earlier process has left first."""
    table = open_table()
    while True:
        there_is_work.clear()
        for event_id, session_id in table.execute("SELECT event_id, session_id FROM jobs WHERE NOT done").fetchall():
            time.sleep(0.05)  # what takes so long: a summary, a call to somebody else's service
            table.execute("UPDATE jobs SET done = 1 WHERE event_id = ?", (event_id,))
            print("done", session_id, flush=True)
        there_is_work.wait()


threading.Thread(target=work, daemon=True).start()
plugin.run()
