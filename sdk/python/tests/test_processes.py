"""The examples, as processes of their own, against the real `hookwire serve`."""

from __future__ import annotations

import json
import signal
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from dispatcher import PYTHON, Dispatcher, Process, end, message, plugin, start, until

HELLO = PYTHON / "examples" / "hello.py"
SESSION_TABLE = PYTHON / "examples" / "session_table.py"
SLOW_WORK = PYTHON / "examples" / "slow_work.py"


class Table:
    """A `session_table`, its file and its effects."""

    def __init__(self, folder: Path, name: str = "table") -> None:
        self.file = folder / f"{name}.db"
        self.log = folder / f"{name}.jsonl"

    def run(self, dispatcher: Dispatcher) -> Process:
        env = {"HOOKWIRE_SUBSCRIBER": "table", "HOOKWIRE_VERIFY_LOG": str(self.log)}
        process = plugin(SESSION_TABLE, self.file, address=dispatcher.address, env=env)
        until(lambda: process.process.poll() is not None or dispatcher.status("table").get("connected"))
        return process

    def rows(self) -> list[tuple[Any, ...]]:
        database = sqlite3.connect(self.file)
        try:
            query = "SELECT id, status, reason, events FROM sessions ORDER BY rowid"
            return database.execute(query).fetchall()
        finally:
            database.close()

    def effects(self) -> list[dict[str, Any]]:
        """All lines that are whole: one may be on its way."""
        return [json.loads(line) for line in self.log.read_text().split("\n")[:-1]]


def is_settled(dispatcher: Dispatcher, name: str = "table") -> bool:
    status = dispatcher.status(name)
    return status["in_flight"] == status["queued"] == 0  # type: ignore[no-any-return]


def reason(name: str) -> str:
    return f"SESSION_END_REASON_{name}"


def test_hello_in_fifteen_lines() -> None:
    assert len(HELLO.read_text().splitlines()) <= 15
    with Dispatcher() as dispatcher, plugin(HELLO, address=dispatcher.address) as hello:
        until(lambda: dispatcher.status("hello").get("connected"))
        dispatcher.publish(start("s-1"), message("s-1"), end("s-1"), start("s-2"))
        assert hello.until("session_end") == "session_end s-1 1"
        until(lambda: is_settled(dispatcher, "hello"))
        report = dispatcher.drain()
        assert (report["subscribers"][0]["owed"], report["subscribers"][0]["acked"]) == (1, 1)
        hello.signal(signal.SIGTERM)
        assert hello.end() == 0
        assert hello.lines[-1] == "session_end s-2 2"
        assert hello.errors == []


def test_a_reset_keeps_the_id_and_a_drain_is_told(tmp_path: Path) -> None:
    table = Table(tmp_path)
    with Dispatcher() as dispatcher, table.run(dispatcher) as process:
        dispatcher.publish(start("s"), message("s"), message("s"), end("s", "reset"), start("s"), message("s"))
        until(lambda: table.rows() == [("s", "ended", reason("RESET"), 2), ("s", "active", None, 1)])
        report = dispatcher.drain()["subscribers"][0]
        assert (report["owed"], report["acked"], report["carried_over"]) == (1, 1, 0)
        process.signal(signal.SIGINT)
        assert process.end() == 0
    assert table.rows() == [("s", "ended", reason("RESET"), 2), ("s", "ended", reason("SHUTDOWN"), 1)]
    effects = table.effects()
    ends = [(it["changed"], it["draining"]) for it in effects if it.get("hook") == "session_end"]
    assert ends == [(True, False), (True, True)]
    assert [it["drain"] for it in effects if "drain" in it] == ["g"]
    assert all(it["pid"] == process.process.pid for it in effects)


def test_what_is_owed_while_it_was_killed_comes_when_it_is_back(tmp_path: Path) -> None:
    table = Table(tmp_path)
    with Dispatcher() as dispatcher:
        with table.run(dispatcher) as process:
            dispatcher.publish(start("s"), message("s"))
            until(lambda: table.rows() == [("s", "active", None, 1)])
            until(lambda: is_settled(dispatcher))
            process.signal(signal.SIGKILL)
            process.end()
        until(lambda: not dispatcher.status("table")["connected"])
        assert dispatcher.drain("100ms")["subscribers"][0]["carried_over"] == 1
        with table.run(dispatcher):
            until(lambda: table.rows() == [("s", "ended", reason("SHUTDOWN"), 1)])


def test_killed_between_delivery_and_ack(tmp_path: Path) -> None:
    """The events' effects are there once, whichever the answer was that the dispatcher did not get."""
    table = Table(tmp_path)
    with Dispatcher() as dispatcher:
        for round_ in range(3):
            with table.run(dispatcher) as process:
                dispatcher.publish(*(start(f"s-{round_}-{number}") for number in range(200)))
                until(table.effects)
                process.signal(signal.SIGKILL)
                process.end()
        with table.run(dispatcher):
            dispatcher.drain()
            until(lambda: is_settled(dispatcher))
    changes = [(it["hook"], it["incarnation"]) for it in table.effects() if it.get("changed")]
    rows = table.rows()
    assert {row[1:] for row in rows} == {("ended", reason("SHUTDOWN"), 0)}
    assert len(rows) == 600
    assert len(set(changes)) == len(changes)


def test_the_older_of_two_leaves_with_76_and_a_line(tmp_path: Path) -> None:
    table = Table(tmp_path)
    with Dispatcher() as dispatcher, table.run(dispatcher) as older:
        instance = dispatcher.status("table")["instance_id"]
        with table.run(dispatcher) as newer:
            assert older.end() == 76
            assert older.errors[-1].startswith("table: displaced by another process of the same name")
            assert "Traceback" not in "".join(older.errors)
            status = dispatcher.status("table")
            assert status["connected"]
            assert status["instance_id"] != instance
            newer.signal(signal.SIGTERM)
            assert newer.end() == 0


def test_sigterm_in_mid_burst_answers_what_was_begun(tmp_path: Path) -> None:
    table = Table(tmp_path)
    with Dispatcher() as dispatcher, table.run(dispatcher) as process:
        dispatcher.publish(start("s"), *(message("s") for _ in range(5_000)))
        until(lambda: len(table.effects()) > 100)
        process.signal(signal.SIGTERM)
        assert process.end() == 0
        assert process.errors == []
        handled = len(table.effects())
        until(lambda: not dispatcher.status("table")["connected"])
        assert dispatcher.status("table")["acked"] == handled


@pytest.mark.parametrize("journal", [True, False])
def test_it_comes_back_to_the_next_dispatcher(tmp_path: Path, journal: bool) -> None:
    """With a journal what was open is ended by the next one; without, it is a ghost, and swept."""
    table = Table(tmp_path)
    flags = ("--data-dir", tmp_path / "data", "--gateway-grace", "200ms") if journal else ()
    with Dispatcher("127.0.0.1:0", *flags) as dispatcher, table.run(dispatcher):
        dispatcher.publish(start("s"))
        until(lambda: table.rows() == [("s", "active", None, 0)])
        until(lambda: is_settled(dispatcher))
        dispatcher.signal(signal.SIGKILL)
        dispatcher.end()
        with Dispatcher(dispatcher.address, *flags) as successor:
            until(lambda: successor.status("table").get("connected"))
            expected = reason("LOST") if journal else "SWEPT"
            until(lambda: table.rows() == [("s", "ended", expected, 0)])
            successor.publish(start("t"), boot="another")
            until(lambda: len(table.rows()) == 2)
    assert [it["swept"] for it in table.effects() if "swept" in it] == ([] if journal else [1])


def test_over_a_unix_socket(tmp_path: Path) -> None:
    table = Table(tmp_path)
    with Dispatcher(f"unix:{tmp_path}/hookwire.sock") as dispatcher, table.run(dispatcher) as process:
        dispatcher.publish(start("s"), end("s", "idle"))
        until(lambda: table.rows() == [("s", "ended", reason("IDLE"), 0)])
        assert dispatcher.stop()["subscribers"][0]["carried_over"] == 0
        process.signal(signal.SIGTERM)
        assert process.end() == 0


def test_slow_work_is_accepted_and_finished_by_the_next_process(tmp_path: Path) -> None:
    file = tmp_path / "jobs.db"
    with Dispatcher() as dispatcher:
        with plugin(SLOW_WORK, file, address=dispatcher.address) as process:
            until(lambda: dispatcher.status("slow-work").get("connected"))
            sessions = [f"s-{number}" for number in range(20)]
            dispatcher.publish(*map(start, sessions))
            report = dispatcher.drain()["subscribers"][0]
            assert (report["owed"], report["accepted"]) == (20, 20)
            process.signal(signal.SIGKILL)
            process.end()
        with plugin(SLOW_WORK, file, address=dispatcher.address) as successor:
            successor.until("done s-19")
            assert {line.removeprefix("done ") for line in process.lines + successor.lines} == set(sessions)


def test_refused_is_an_error_and_nobody_there_a_line(tmp_path: Path) -> None:
    script = tmp_path / "bad.py"
    script.write_text('import hookwire\nplugin = hookwire.Plugin("x" * 200)\nplugin.on("*")(print)\nplugin.run()\n')
    with Dispatcher() as dispatcher, plugin(script, address=dispatcher.address) as refused:
        assert refused.end() == 76
        assert ": refused by the dispatcher: INVALID_ARGUMENT: " in refused.errors[-1]
        dispatcher.stop()
        with plugin(HELLO, address=dispatcher.address) as alone:
            until(lambda: alone.errors)
            assert alone.errors[0].startswith("no stream, dialling again in 0.")
            alone.signal(signal.SIGTERM)
            assert alone.end() == 0
            assert len(alone.errors) == 1


def test_a_dispatcher_that_stands_still_is_noticed(tmp_path: Path) -> None:
    script = tmp_path / "impatient.py"
    script.write_text("import hookwire.link\nhookwire.link.KEEPALIVE = 0.5\n" + HELLO.read_text())
    with Dispatcher() as dispatcher, plugin(script, address=dispatcher.address) as process:
        until(lambda: dispatcher.status("hello").get("connected"))
        dispatcher.signal(signal.SIGSTOP)
        until(lambda: process.errors)
        dispatcher.signal(signal.SIGCONT)
        assert "ping timeout" in process.errors[0]
        until(lambda: dispatcher.status("hello")["connected"])


def test_a_message_larger_than_grpc_takes_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOKWIRE_MAX_EVENT_BYTES", "8MiB")
    table = Table(tmp_path)
    with Dispatcher() as dispatcher, table.run(dispatcher):
        dispatcher.publish(start("s"), message("s", "x" * (6 << 20)))
        until(lambda: table.rows() == [("s", "active", None, 1)])
