"""Threads for handlers that are not `async`."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class Threads:
    """Up to so many threads, begun as they are needed.

    They are daemons, other than those of `concurrent.futures`: a handler that hangs does not keep the process from its end.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._begun = 0
        self._busy = 0
        self._calls: queue.SimpleQueue[tuple[Callable[[], Any], asyncio.Future[Any]] | None] = queue.SimpleQueue()
        self._results: deque[tuple[asyncio.Future[Any], Any, BaseException | None]] = deque()
        self._told = False

    async def run(self, call: Callable[[], T]) -> T:
        """Calls it in a thread, as soon as one is free, and gives or raises what that does."""
        loop = asyncio.get_running_loop()
        self._busy += 1
        try:
            if self._busy > self._begun and self._begun < self._most:
                self._begun += 1
                name = f"hookwire-{self._begun}"
                threading.Thread(target=self._work, args=[loop], name=name, daemon=True).start()
            answer: asyncio.Future[T] = loop.create_future()
            self._calls.put((call, answer))
            return await answer
        finally:
            self._busy -= 1

    def close(self) -> None:
        """Lets every thread end, once it is free."""
        for _ in range(self._begun):
            self._calls.put(None)
        self._begun = 0

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        while (job := self._calls.get()) is not None:
            call, answer = job
            self._results.append((answer, *_outcome(call)))
            del job, call, answer  # what a handler was given does not stay while the thread is idle
            # To wake the loop costs more than all the rest: once is enough for all that is there when it wakes.
            if not self._told:
                self._told = True
                try:
                    loop.call_soon_threadsafe(self._hand_over)
                except RuntimeError:
                    return  # the loop is closed: nobody waits any more

    def _hand_over(self) -> None:
        self._told = False  # before it looks: who comes behind that, tells again
        while self._results:
            answer, result, error = self._results.popleft()
            if answer.done():
                continue
            if error is None:
                answer.set_result(result)
            else:
                answer.set_exception(error)


def _outcome(call: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    try:
        return call(), None
    except StopIteration as error:
        return None, RuntimeError(f"a handler raised {error!r}")  # no future takes it as it is
    except BaseException as error:  # noqa: BLE001 - whatever it is, who waits for it gets it
        return None, error
