"""A plugin's life: stream after stream, until it is told to stop or turned away."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from hookwire.backoff import Backoff
from hookwire.errors import HookwireError, Lost
from hookwire.link import Dial
from hookwire.stream import open_stream
from hookwire.v1.hook_service_pb2 import SubscribeRequest
from hookwire.work import Work

logger = logging.getLogger("hookwire")

_LIVED = 1.0  # seconds after which a stream was one, and the next attempt is a first one

T = TypeVar("T")


@dataclass(slots=True)
class Settings:
    """What a plugin's life needs beside its work."""

    dial: Dial
    hello: SubscribeRequest.Hello
    grace: float


async def live(settings: Settings, work: Work, stop: asyncio.Event) -> None:
    """Lives until `stop` is set. Either way what is in hand is finished first, within the grace.

    Raises Refused or Displaced when coming back would not help.
    """
    backoff = Backoff()
    while not stop.is_set():
        began = time.monotonic()
        try:
            await _one_stream(settings, work, stop)
        except Lost as lost:
            if time.monotonic() - began > _LIVED:
                backoff.reset()
            wait = lost.wait + backoff.next_wait()
            # Once for each outage it is worth a person's while.
            level = logging.WARNING if backoff.attempts == 1 else logging.INFO
            logger.log(level, "no stream, dialling again in %.1f s: %s", wait, lost)
            await _unless(stop, asyncio.sleep(wait))
        except HookwireError:
            await work.finish(settings.grace)
            raise
        else:
            return
    await work.finish(settings.grace)


async def _one_stream(settings: Settings, work: Work, stop: asyncio.Event) -> None:
    stream = await _unless(stop, open_stream(settings.dial, settings.hello, work))
    if stream is None:
        await work.finish(settings.grace)
    else:
        await stream.serve(stop, settings.grace)


async def _unless(stop: asyncio.Event, other: Coroutine[Any, Any, T]) -> T | None:
    """Waits for something else, and gives it up where `stop` is set first."""
    stopping, doing = asyncio.create_task(stop.wait()), asyncio.create_task(other)
    try:
        await asyncio.wait({stopping, doing}, return_when=asyncio.FIRST_COMPLETED)
        return doing.result() if doing.done() else None
    finally:
        stopping.cancel()
        if not doing.done():
            doing.cancel()
            await asyncio.wait({doing})
