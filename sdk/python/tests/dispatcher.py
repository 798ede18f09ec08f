"""Real processes: `hookwire serve`, plugins, and what they print."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import Any

PYTHON = Path(__file__).parent.parent
ROOT = PYTHON.parent.parent
HOOKWIRE = os.environ.get("HOOKWIRE", str(ROOT / "target" / "release" / "hookwire"))
PATIENCE = 60.0  # seconds that anything may take: only a fault takes so long


class Process:
    """A process of ours whose lines are read as they come, and which ends with us."""

    def __init__(self, *command: str | Path, env: dict[str, str] | None = None) -> None:
        environment = {**os.environ, **(env or {})}
        self.errors = list[str]()
        self.lines = list[str]()
        self._unread: queue.Queue[str | None] = queue.Queue()
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self._threads = [
            threading.Thread(target=self._read, args=[self.process.stdout], daemon=True),
            threading.Thread(target=self._read_errors, args=[self.process.stderr], daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _read(self, lines: Any) -> None:
        for line in lines:
            self._unread.put(line.rstrip("\n"))
        self._unread.put(None)

    def _read_errors(self, lines: Any) -> None:
        self.errors.extend(lines)

    def until(self, start: str) -> str:
        """The next line that begins with this; it must come."""
        while (line := self._unread.get(timeout=PATIENCE)) is not None:
            self.lines.append(line)
            if line.startswith(start):
                return line
        raise AssertionError(f"{self.process.args!r} ended without a line {start!r}: {self.lines} {self.errors}")

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> int:
        """Waits for the end, and returns the exit status."""
        while (line := self._unread.get(timeout=PATIENCE)) is not None:
            self.lines.append(line)
        status = self.process.wait(PATIENCE)
        for thread in self._threads:
            thread.join(PATIENCE)
        return status

    def __enter__(self) -> Any:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        for thread in self._threads:
            thread.join(PATIENCE)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


class Dispatcher(Process):
    """`hookwire serve`, and a gateway for it."""

    def __init__(self, listen: str = "127.0.0.1:0", *flags: str | Path) -> None:
        super().__init__(HOOKWIRE, "serve", "--listen", listen, *(flags or ["--in-memory"]), env={"HOOKWIRE_LOG": "warn"})
        self.address: str = json.loads(self.until("{"))["listening"][0]

    def command(self, *words: str, lines: str | None = None) -> str:
        """Runs another of its commands against it."""
        return subprocess.run(
            [HOOKWIRE, words[0], "--to", self.address, *words[1:]],
            input=lines,
            capture_output=True,
            text=True,
            check=True,
            timeout=PATIENCE,
        ).stdout

    def publish(self, *events: dict[str, Any], gateway: str = "g", boot: str = "boot") -> None:
        """Fires events, of one boot."""
        lines = "".join(json.dumps({"time": "2026-01-02T03:04:05.678Z", **event}) + "\n" for event in events)
        self.command("publish", "--gateway", gateway, "--boot", boot, "--drain", "never", lines=lines)

    def drain(self, budget: str = "10s") -> dict[str, Any]:
        """Stops the gateway, and gives the report."""
        return json.loads(self.command("drain", "--gateway", "g", "--reason", "shutdown", "--budget", budget, "--json"))  # type: ignore[no-any-return]

    def status(self, subscriber: str) -> dict[str, Any]:
        """What it knows of a subscriber."""
        subscribers = json.loads(self.command("status", "--json"))["subscribers"]
        return next((it for it in subscribers if it["id"] == subscriber), {})

    def stop(self) -> dict[str, Any]:
        """Stops it, and gives its report."""
        self.signal(signal.SIGTERM)
        assert self.end() == 0, self.errors
        return json.loads(self.lines[-1])  # type: ignore[no-any-return]


def start(session: str, **ctx: str) -> dict[str, Any]:
    return {"hook": "session_start", "event": {"sessionId": session}, "ctx": {"sessionId": session, **ctx}}


def end(session: str, reason: str = "new") -> dict[str, Any]:
    return {"hook": "session_end", "event": {"sessionId": session, "reason": reason}, "ctx": {"sessionId": session}}


def message(session: str, text: str = "hi") -> dict[str, Any]:
    return {"hook": "message_received", "event": {"content": text}, "ctx": {"sessionId": session}}


def plugin(script: Path, *words: str | Path, address: str, env: dict[str, str] | None = None) -> Process:
    """A plugin's process."""
    return Process(sys.executable, script, *words, env={"HOOKWIRE_ADDR": address, **(env or {})})


def until(condition: Callable[[], Any]) -> Any:
    """Waits for what a process does."""
    deadline = monotonic() + PATIENCE
    while not (seen := condition()):
        assert monotonic() < deadline, "it never happened"
        sleep(0.02)
    return seen
