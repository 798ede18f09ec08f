#!/usr/bin/env python3
"""Runs plugin.py against a real dispatcher, over TCP and over a Unix socket: check.py [path/to/hookwire]

Makes a virtual environment and the generated code in target/python. Exits with 0 if the plugin saw every session that it
saw start, end; was told of the stop; came back to the next dispatcher; and left when another instance took its place. Exits with
69 where there is no way to install grpcio.
"""

import json
import os
import pathlib
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import venv

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
WORK = ROOT / "target" / "python"
HOOKS = ROOT / "tests" / "data" / "openclaw" / "restart-then-stop.jsonl"
PATIENCE = 60  # seconds that anything may take: only a fault takes so long


def prepare():
    """Returns a Python that has grpcio and the generated code."""
    python, installed = WORK / "venv" / "bin" / "python", WORK / "installed.txt"
    generated = WORK / "generated"
    generated.mkdir(parents=True, exist_ok=True)
    wanted = (HERE / "requirements.txt").read_text()
    if not installed.exists() or installed.read_text() != wanted:
        try:
            venv.create(WORK / "venv", clear=True, with_pip=True)
            pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, "--requirement", HERE / "requirements.txt"], check=True)
        except subprocess.CalledProcessError as error:
            print(f"cannot install grpcio: {error}", file=sys.stderr)
            sys.exit(69)
        installed.write_text(wanted)
    protos = sorted((ROOT / "proto").rglob("*.proto"))
    protoc = [python, "-m", "grpc_tools.protoc", f"-I{ROOT / 'proto'}"]
    subprocess.run([*protoc, f"--python_out={generated}", f"--grpc_python_out={generated}", *protos], check=True)
    os.environ["PYTHONPATH"] = str(generated)
    return python


class Process:
    """A process of ours whose lines are read as they come, and which ends with us."""

    def __init__(self, *command, **environment):
        environment = os.environ | environment
        self.lines, self.unread = [], queue.Queue()
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.unread.put(line.rstrip("\n"))
        self.unread.put(None)

    def until(self, start):
        """The next line that begins with this; it must come."""
        while (line := self.unread.get(timeout=PATIENCE)) is not None:
            self.lines.append(line)
            if line.startswith(start):
                return line
        raise AssertionError(f"{self.process.args} ended without a line {start!r}: {self.lines}")

    def end(self):
        """Waits for the end, and returns the exit code."""
        while (line := self.unread.get(timeout=PATIENCE)) is not None:
            self.lines.append(line)
        return self.process.wait(PATIENCE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def serve(hookwire, address):
    """A dispatcher, and where it listens."""
    dispatcher = Process(hookwire, "serve", "--listen", address, "--in-memory", HOOKWIRE_LOG="warn")
    return dispatcher, json.loads(dispatcher.until("{"))["listening"][0]


def stop(dispatcher):
    """Stops a dispatcher with SIGTERM, and returns its report."""
    dispatcher.process.send_signal(signal.SIGTERM)
    assert dispatcher.end() == 0, "the dispatcher failed"
    return json.loads(dispatcher.lines[-1])


def check(hookwire, python, listen):
    dispatcher, address = serve(hookwire, listen)
    with dispatcher, Process(python, HERE / "plugin.py", HOOKWIRE_ADDR=address) as plugin:
        plugin.until("welcome")
        # The second boot of the recording is left to the dispatcher's own stop.
        publish = [hookwire, "publish", "--to", address, "--gateway", "openclaw", "--drain", "never", HOOKS]
        subprocess.run(publish, check=True, timeout=PATIENCE)
        report = stop(dispatcher)
        plugin.until("goodbye GOODBYE_REASON_STOPPING")
        started, ended = check_lines(plugin.lines), report["subscribers"][0]
        assert ended["owed"] == ended["acked"] > 0 and ended["carried_over"] == 0, report

        again, _ = serve(hookwire, address)
        with again:
            plugin.until("welcome")
            with Process(python, HERE / "plugin.py", HOOKWIRE_ADDR=address) as other:
                other.until("welcome")
                plugin.until("goodbye GOODBYE_REASON_DISPLACED")
                assert plugin.end() == 1, "a displaced plugin leaves"
            stop(again)
    print(f"{address}: {started} lives started and ended, {ended['acked']} of them at the stop")


def check_lines(lines):
    """Holds what the plugin printed against the promise. Returns how many lives it saw."""
    events = [line.split() for line in lines if line.startswith(("session_", "gateway_stop"))]
    starts = [event[2] for event in events if event[0] == "session_start"]
    ends = [event[2] for event in events if event[0] == "session_end"]
    assert starts and sorted(starts) == sorted(set(ends)) == sorted(ends), lines
    assert events[-1][0] == "gateway_stop", "gateway_stop comes last"
    return len(starts)


def main():
    hookwire = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "target" / "release" / "hookwire").resolve()
    if not hookwire.exists():
        sys.exit(f"{hookwire} is not there: cargo build --release, or name another")
    python = prepare()
    with tempfile.TemporaryDirectory() as folder:
        for listen in ["127.0.0.1:0", f"unix:{folder}/hookwire.sock"]:
            check(hookwire, python, listen)


main()
