"""Threads for handlers that are not `async`."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Threads(Generic[T]):
    """Up to so many threads, begun as they are needed.

    They are daemons, other than those of `concurrent.futures`: a handler that hangs does not keep the process from its end.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._begun = 0
        self._busy = 0
        self._calls: queue.SimpleQueue[tuple[Callable[[], T], asyncio.Future[T]] | None] = queue.SimpleQueue()

    async def run(self, call: Callable[[], T]) -> T:
        """Calls it in a thread, as soon as one is free. It must not raise."""
        self._busy += 1
        try:
            if self._busy > self._begun and self._begun < self._most:
                self._begun += 1
                threading.Thread(target=self._work, name=f"hookwire-{self._begun}", daemon=True).start()
            answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
            self._calls.put((call, answer))
            return await answer
        finally:
            self._busy -= 1

    def close(self) -> None:
        """Lets every thread end, once it is free."""
        for _ in range(self._begun):
            self._calls.put(None)
        self._begun = 0

    def _work(self) -> None:
        while (job := self._calls.get()) is not None:
            call, answer = job
            result = call()
            try:
                answer.get_loop().call_soon_threadsafe(_set, answer, result)
            except RuntimeError:
                return  # the loop is closed: nobody waits any more
            del job, call, answer, result  # what a handler was given does not stay while the thread is idle


def _set(answer: asyncio.Future[T], result: T) -> None:
    if not answer.done():
        answer.set_result(result)
