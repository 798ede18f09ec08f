"""A store that outlives the process."""

from __future__ import annotations

import os
import sqlite3

from hookwire.answer import ACCEPTED, OK, Answer, Reject, Retry

_MIDDLE = 1 << 63
"""An epoch has 64 bits without a sign, an SQLite integer has one: this keeps their order."""

_TABLE = """CREATE TABLE IF NOT EXISTS hookwire_answers (
    event_id TEXT PRIMARY KEY, status TEXT NOT NULL, code TEXT NOT NULL,
    ledger_id TEXT NOT NULL, stream_epoch INTEGER NOT NULL) WITHOUT ROWID"""


class SqliteStore:
    """Answers in a table `hookwire_answers` of an SQLite file: a restarted plugin does not apply again what it has answered.

    It survives a crash of the process, not of the machine (WAL, `synchronous=NORMAL`). A statement takes well under a
    millisecond and runs on the event loop. Of a Reject it keeps the code, not the text. Raises sqlite3.Error.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")
        self._database.execute(_TABLE)

    async def get(self, event_id: str) -> Answer | None:
        """See Store.get."""
        row = self._database.execute("SELECT status, code FROM hookwire_answers WHERE event_id = ?", [event_id]).fetchone()
        if row is None:
            return None
        status, code = row
        if status == "REJECT":
            return Reject(code)
        return ACCEPTED if status == "ACCEPTED" else OK

    async def put(self, event_id: str, answer: Answer, ledger_id: str, stream_epoch: int) -> None:
        """See Store.put."""
        if isinstance(answer, Retry):
            return  # it does not settle anything
        status, code = ("REJECT", answer.code) if isinstance(answer, Reject) else (answer.value, "")
        self._database.execute(
            "INSERT OR REPLACE INTO hookwire_answers VALUES (?, ?, ?, ?, ?)",
            [event_id, status, code, ledger_id, stream_epoch - _MIDDLE],
        )

    async def forget(self, ledger_id: str, stream_epoch: int) -> None:
        """See Store.forget."""
        self._database.execute(
            "DELETE FROM hookwire_answers WHERE ledger_id <> ? OR stream_epoch < ?",
            [ledger_id, stream_epoch - _MIDDLE],
        )

    def close(self) -> None:
        """Closes the file."""
        self._database.close()
