"""Stream after stream: when it comes back, and when it does not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import grpc
import pytest

import hookwire
from hookwire import run
from hookwire.backoff import Backoff
from hookwire.errors import Lost, of_status
from hookwire.plugin import Plugin
from hookwire.testing import MemoryLink
from hookwire.v1 import hook_service_pb2 as wire
from hookwire.v1.event_pb2 import Event
from hookwire.v1.hook_service_pb2 import SubscribeResponse

WELCOME = SubscribeResponse(welcome=SubscribeResponse.Welcome(ledger_id="ledger", stream_epoch=1))
END = None


def goodbye(reason: wire.GoodbyeReason, after_ms: int = 0) -> SubscribeResponse:
    return SubscribeResponse(goodbye=SubscribeResponse.Goodbye(reason=reason, reconnect_after_ms=after_ms, text="why"))


async def play(*streams: list[SubscribeResponse | None]) -> tuple[list[float], BaseException | None]:
    """Lives through these streams, and is displaced in the end. Gives the times of its dialling, and what it raised."""
    plugin, dialled = Plugin("p"), list[float]()
    plugin.on("*")(print)
    last: list[SubscribeResponse | None] = [WELCOME, goodbye(wire.GOODBYE_REASON_DISPLACED)]
    scripts = iter([*streams, last])

    async def dial() -> MemoryLink:
        dialled.append(time.monotonic())
        link = MemoryLink()
        for response in next(scripts):
            link.responses.put_nowait(response)
        return link

    try:
        await asyncio.wait_for(plugin.life(dial).run(), 20.0)
    except hookwire.HookwireError as error:
        return dialled, error
    return dialled, None


@pytest.fixture
def bounds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Has it come back at once, and takes down within which bound it would have."""
    bounds = list[float]()
    next_wait: Callable[[Backoff], float] = Backoff.next_wait

    def at_once(backoff: Backoff) -> float:
        bounds.append(backoff.bound)
        next_wait(backoff)
        return 0.0

    monkeypatch.setattr(Backoff, "next_wait", at_once)
    return bounds


async def test_streams_that_do_not_live_make_it_wait_longer_and_longer(bounds: list[float]) -> None:
    dialled, error = await play([END], [WELCOME, END], [goodbye(wire.GOODBYE_REASON_STOPPING)], [WELCOME, WELCOME, END])
    assert bounds == [0.1, 0.2, 0.4, 0.4]
    assert len(dialled) == 5
    assert isinstance(error, hookwire.Displaced)
    assert str(error) == "displaced by another process of the same name: why"


async def test_a_stream_that_lived_begins_anew(bounds: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "_LIVED", -1.0)
    await play([WELCOME, END], [WELCOME, END])
    assert bounds == [0.1, 0.1]


async def test_it_does_not_come_back_before_it_is_asked_to(bounds: list[float]) -> None:
    dialled, _ = await play([WELCOME, goodbye(wire.GOODBYE_REASON_HANDOVER, 150)])
    assert dialled[1] - dialled[0] >= 0.15


async def test_numbers_that_cannot_be_end_the_stream_and_not_the_plugin(bounds: list[float]) -> None:
    batch = wire.EventBatch(first_seq=(1 << 64) - 1, events=[Event()])
    _, error = await play([WELCOME, SubscribeResponse(events=batch)])
    assert isinstance(error, hookwire.Displaced)
    assert len(bounds) == 1


async def test_a_stop_while_nobody_is_there_is_at_once() -> None:
    plugin = Plugin("p")
    plugin.on("*")(print)
    dialled = asyncio.Event()

    async def dial() -> MemoryLink:
        dialled.set()
        return MemoryLink()

    life = plugin.life(dial)
    running = asyncio.create_task(life.run())
    await dialled.wait()
    life.stop()
    await asyncio.wait_for(running, 5.0)  # half of what a handshake may take


def test_a_status_is_a_no_or_nobody_there() -> None:
    assert isinstance(of_status(grpc.StatusCode.ALREADY_EXISTS, "x"), hookwire.Displaced)
    for code in ("INVALID_ARGUMENT", "FAILED_PRECONDITION", "OUT_OF_RANGE", "UNIMPLEMENTED"):
        refused = of_status(grpc.StatusCode[code], "no")
        assert isinstance(refused, hookwire.Refused)
        assert (refused.code, refused.text) == (code, "no")
    for code in ("UNAVAILABLE", "UNKNOWN", "INTERNAL", "CANCELLED", "RESOURCE_EXHAUSTED"):
        assert isinstance(of_status(grpc.StatusCode[code], "x"), Lost)
