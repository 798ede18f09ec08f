"""What the README says is so: its code runs, its commands work, its links lead somewhere."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from dispatcher import HOOKWIRE, PATIENCE, PYTHON, ROOT, Dispatcher, Process, until

import hookwire
from hookwire.testing import Dispatcher as InMemory

README = (PYTHON / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def block(name: str) -> dict[str, Any]:
    """Runs the block that defines this, and gives what it has defined."""
    (source,) = [source for source in blocks("python") if f'Plugin("{name}"' in source]
    scope: dict[str, Any] = {"__name__": "readme"}
    exec(compile(source, f"README.md: {name}", "exec"), scope)
    return scope


def test_the_first_plugin_is_the_example() -> None:
    assert blocks("python")[0] == (PYTHON / "examples" / "hello.py").read_text()


def test_every_block_is_looked_at() -> None:
    names = [match[1] for source in blocks("python") if (match := re.search(r'Plugin\("([a-z]+)"', source))]
    assert names == ["hello", "answers", "billing", "tidy", "echo"]
    commands = [line.split()[0] for source in blocks("sh") for line in source.splitlines()]
    assert commands == ["python3", "venv/bin/pip", "venv/bin/python", "hookwire", "./check", "./generate"]


def test_the_first_plugin_is_installed_runs_and_prints(tmp_path: Path) -> None:
    """The commands as they stand, in a copy of this folder, save that nothing is downloaded."""
    folder = tmp_path / "sdk" / "python"
    folder.mkdir(parents=True)
    for name in ("pyproject.toml", "README.md", "src"):
        (folder / name).symlink_to(PYTHON / name)
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    (folder / "hello.py").write_text(blocks("python")[0])

    make, install = (line.split() for line in blocks("sh")[0].splitlines())
    run(folder, sys.executable, *make[1:])
    lend_packages(folder / "venv")
    run(folder, *install, "--no-index", "--no-deps", "--no-build-isolation")
    python, script = (folder / word for word in blocks("sh")[1].split())
    with Dispatcher() as dispatcher, Process(python, script, env={"HOOKWIRE_ADDR": dispatcher.address}) as hello:
        until(lambda: dispatcher.status("hello").get("connected"))
        run(folder, HOOKWIRE, *blocks("sh")[2].split()[1:], HOOKWIRE_ADDR=dispatcher.address)
        hello.until("session_end")


def lend_packages(venv: Path) -> None:
    """What pip would have to download, it finds where this test found it."""
    (site,) = venv.glob("lib/*/site-packages")
    (site / "lent.pth").write_text(str(Path(pytest.__file__).parent.parent))


def run(folder: Path, *command: str, **env: str) -> None:
    subprocess.run(command, cwd=folder, check=True, timeout=PATIENCE, capture_output=True, env={**os.environ, **env})


async def test_the_answers_are_what_the_table_says(capsys: pytest.CaptureFixture[str]) -> None:
    async with InMemory(block("answers")["plugin"]) as dispatcher:
        assert await dispatcher.start("a") == hookwire.OK
        assert await dispatcher.event("message_sent", "a", {"x": 1}) == hookwire.OK
        assert await dispatcher.end("a") == hookwire.Reject("no-key", "such sessions are not ours")
        await dispatcher.start("b", key="k")
        assert await dispatcher.end("b") == hookwire.Retry("the database is away", after=2.0)
        await dispatcher.start("c", key="k")
        assert (await dispatcher.drain(0.09))["c"] == hookwire.ACCEPTED
    assert "{'x': 1}" in capsys.readouterr().out


def test_the_store_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    block("billing")["plugin"]._store.close()
    assert (tmp_path / "billing-answers.db").exists()


async def test_the_drain_is_told_and_the_ghost_swept(capsys: pytest.CaptureFixture[str]) -> None:
    scope = block("tidy")
    async with InMemory(scope["plugin"]) as dispatcher:
        scope["open_lives"].add(("testing", 99))
        await dispatcher.start("s")
        await dispatcher.caught_up()
        assert scope["open_lives"] == {("testing", 1)}
        await dispatcher.drain()
        await asyncio.sleep(0)
    assert scope["open_lives"] == set()
    assert capsys.readouterr().out == "testing stops in 2000 ms; 1 ends follow\n"


async def test_the_test_passes() -> None:
    await block("echo")["test_a_session"]()


def test_every_setting_is_there_and_every_name() -> None:
    settings = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", README.partition("## Settings")[2], re.MULTILINE)
    named = [name for row in settings for name in re.findall(r"\w+", row)]
    assert named == list(hookwire.Plugin.__init__.__kwdefaults__ or ())
    fields = README.partition("What an event has: ")[2].partition("Where `open")[0]
    for field in re.findall(r"`(\w+)(?:\(\))?`", fields):
        assert hasattr(hookwire.Event, field) or field in {"key", "agent_id", "incarnation"}, field


def test_every_link_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)", README)
    assert links
    for link in links:
        assert (PYTHON / link).exists(), link
