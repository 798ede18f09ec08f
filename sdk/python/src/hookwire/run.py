"""A plugin's life: stream after stream, until it is told to stop or turned away."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine
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


class Life:
    """One life: from the first dial to the last Goodbye. `grace` is in seconds."""

    def __init__(self, dial: Dial, hello: SubscribeRequest.Hello, work: Work, grace: float) -> None:
        self.work = work
        self._dial = dial
        self._hello = hello
        self._grace = grace
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """Has it end: it finishes what is in hand first, within the grace."""
        self._stop.set()

    async def run(self) -> None:
        """Lives until it is stopped or cancelled, which is the same; a second cancellation cuts it short.

        Raises Refused or Displaced when coming back would not help. Then, too, what is in hand is finished first.
        """
        living = asyncio.create_task(self._live())
        try:
            await asyncio.shield(living)
        except asyncio.CancelledError:
            self.stop()
            await living
            raise
        finally:
            self.work.cut_off()  # what is left, if it was cut short

    async def _live(self) -> None:
        backoff = Backoff()
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                await self._one_stream()
            except Lost as lost:
                if time.monotonic() - began > _LIVED:
                    backoff.reset()
                wait = lost.wait + backoff.next_wait()
                # Once for each outage it is worth a person's while.
                level = logging.WARNING if backoff.attempts == 1 else logging.DEBUG
                logger.log(level, "no stream, dialling again in %.1f s: %s", wait, lost)
                await self._unless_stopped(asyncio.sleep(wait))
            except HookwireError:
                await self.work.finish(self._grace)
                raise
        await self.work.finish(self._grace)

    async def _one_stream(self) -> None:
        stream = await self._unless_stopped(open_stream(self._dial, self._hello, self.work))
        if stream is not None:
            await stream.serve(self._stop, self._grace)

    async def _unless_stopped(self, other: Coroutine[Any, Any, T]) -> T | None:
        """Waits for something, and gives it up when it is time to stop."""
        stopping, doing = asyncio.create_task(self._stop.wait()), asyncio.create_task(other)
        try:
            await asyncio.wait({stopping, doing}, return_when=asyncio.FIRST_COMPLETED)
            return doing.result() if doing.done() else None
        finally:
            stopping.cancel()
            if not doing.done():
                doing.cancel()
                await asyncio.wait({doing})
