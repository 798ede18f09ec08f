"""Keeps a table of sessions in SQLite, active until ended: session_table.py FILE.

A row is keyed on (ledger_id, incarnation), so that an event that comes twice changes nothing. `HOOKWIRE_SUBSCRIBER` names
the plugin, where a dispatcher has more than one. `HOOKWIRE_VERIFY_LOG` names a file that gets a line for each effect.
"""

import json
import os
import sqlite3
import sys
from typing import Any

import hookwire

TABLE = """CREATE TABLE IF NOT EXISTS sessions (
    ledger_id TEXT, incarnation INTEGER, id TEXT, key TEXT, agent_id TEXT, status TEXT, reason TEXT,
    events INTEGER DEFAULT 0, last_seq INTEGER DEFAULT 0, PRIMARY KEY (ledger_id, incarnation))"""

START = "INSERT OR IGNORE INTO sessions (ledger_id, incarnation, id, key, agent_id, status) VALUES (?, ?, ?, ?, ?, 'active')"

CLOSE = """UPDATE sessions SET status = 'ended', reason = ?
    WHERE ledger_id = ? AND incarnation = ? AND status = 'active'"""

COUNT = """UPDATE sessions SET events = events + 1, last_seq = ?
    WHERE ledger_id = ? AND incarnation = ? AND last_seq < ?"""

plugin = hookwire.Plugin(os.environ.get("HOOKWIRE_SUBSCRIBER", "session-table"), announce=True)
# A statement is a transaction of its own, and takes less than a millisecond: no need for a thread.
table = sqlite3.connect(sys.argv[1], isolation_level=None)
table.execute("PRAGMA journal_mode = WAL")
table.execute("PRAGMA synchronous = NORMAL")
table.execute(TABLE)
effects = open(path, "ab", buffering=0) if (path := os.environ.get("HOOKWIRE_VERIFY_LOG")) else None  # noqa: PTH123, SIM115


@plugin.on("*")
async def apply(event: hookwire.Event) -> None:
    """A row that exists stays as it is, ended or not; an end without a row closes nothing and is not remembered."""
    log(
        event_id=event.id,
        hook=event.hook,
        ledger_id=event.ledger_id,
        incarnation=event.session.incarnation if event.session else 0,
        session_id=event.session.id if event.session else "",
        session_seq=event.session_seq,
        changed=change(event),
        draining=event.draining,
    )


def change(event: hookwire.Event) -> bool:
    """Applies an event; whether that has changed the table."""
    session = event.session
    if session is None or session.incarnation == 0:
        return False
    life = (event.ledger_id, session.incarnation)
    if event.session_start:
        cursor = table.execute(START, (*life, session.id, session.key, session.agent_id))
    elif event.session_end:
        cursor = table.execute(CLOSE, (reason_of(event.session_end), *life))
    else:
        cursor = table.execute(COUNT, (event.session_seq, *life, event.session_seq))
    return cursor.rowcount > 0


def reason_of(end: hookwire.SessionEnd) -> str:
    """The reason's name; its number where that is newer than this program."""
    known = hookwire.SessionEndReason
    return known.Name(end.reason) if end.reason in known.values() else str(end.reason)


@plugin.on_sweep
async def sweep(sweep: hookwire.Sweep) -> None:
    """Closes what is open and owed no end: it would stay open for ever."""
    active = table.execute("SELECT ledger_id, incarnation FROM sessions WHERE status = 'active'").fetchall()
    for ledger_id, incarnation in active:
        if not sweep.is_owed(ledger_id, incarnation):
            table.execute(CLOSE, ("SWEPT", ledger_id, incarnation))
            log(swept=incarnation, ledger_id=ledger_id)


@plugin.on_drain
async def drain(notice: hookwire.DrainNotice) -> None:
    """Nothing to hurry here: each event is done when it is answered."""
    log(drain=notice.gateway_id, boot_id=notice.boot_id, budget_ms=notice.budget_ms)


def log(**effect: Any) -> None:
    """Appends one line, in one write, so that lines of several processes do not mix."""
    if effects is not None:
        effects.write(json.dumps({**effect, "pid": os.getpid()}).encode() + b"\n")


plugin.run()
