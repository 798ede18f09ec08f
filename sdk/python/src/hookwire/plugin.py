"""What a plugin is made of."""

from __future__ import annotations

import asyncio
import math
import signal
import sys
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, TypeAlias, TypeVar

from hookwire.address import resolve
from hookwire.errors import HookwireError
from hookwire.link import Dial, dialer
from hookwire.routes import Author, DrainHandler, Handler, Routes, SweepHandler
from hookwire.run import Life
from hookwire.store import MemoryStore, Store
from hookwire.v1 import hook_service_pb2 as wire
from hookwire.v1.hook_service_pb2 import SubscribeRequest
from hookwire.version import VERSION
from hookwire.work import Work

CONCURRENCY = 256
"""How many handlers run at once, unless the author says otherwise."""

GRACE = 10.0
"""Seconds that a plugin which was told to stop works on, unless the author says otherwise."""

WhenFull: TypeAlias = Literal["DROP_OLDEST", "DROP_NEWEST", "DISCONNECT"]
"""What is lost when a plugin is too slow: the oldest events, the newest, or the stream. Never a start or an end."""

H = TypeVar("H", bound=Handler)
D = TypeVar("D", bound=DrainHandler)
S = TypeVar("S", bound=SweepHandler)


@dataclass(frozen=True)
class Retention:
    """What is kept while the plugin is away or does not answer. The dispatcher grants no more than it keeps itself."""

    kind: Literal["OWED", "ALL"] = "OWED"
    """OWED: starts and ends; ALL: every event."""
    max_age: float | timedelta | None = None
    """For how long, in seconds; None leaves it to the dispatcher."""
    max_bytes: int | None = None
    """How much of it; None leaves it to the dispatcher."""


class Plugin:
    """A plugin of this durable name, 1 to 128 bytes: what it is owed is kept under it.

    Handlers first, with `on`; then `run`, or `serve` where there is an event loop already.

    address: `host:port` or `unix:/path`; otherwise `HOOKWIRE_ADDR` says where the dispatcher listens, else it is
        `127.0.0.1:7400`.
    announce: whether sessions that are alive when the plugin comes are named to it, as starts. Otherwise it sees only what
        starts while it is there, and its owed past.
    agents, keys: only sessions of these agents, or with these keys; names or globs.
    max_in_flight: how many events other than starts and ends may be unanswered at once; 0 is the dispatcher's default.
    retention: what is kept while the plugin is away.
    when_full: what is lost when the plugin is too slow.
    instance_id: this process, at most 128 bytes; random by default, and kept over reconnects.
    concurrency: how many handlers may run at once.
    grace: seconds that a plugin which was told to stop may go on with what it has in hand.
    store: what remembers answers; a MemoryStore by default.
    """

    def __init__(
        self,
        name: str,
        *,
        address: str | None = None,
        announce: bool = False,
        agents: Iterable[str] = (),
        keys: Iterable[str] = (),
        max_in_flight: int = 0,
        retention: Retention | None = None,
        when_full: WhenFull = "DROP_OLDEST",
        instance_id: str | None = None,
        concurrency: int = CONCURRENCY,
        grace: float | timedelta = GRACE,
        store: Store | None = None,
    ) -> None:
        if concurrency < 1:
            raise ValueError("concurrency is at least 1")
        self.name = name
        self.address = address
        self._routes = Routes()
        self._concurrency = concurrency
        self._grace = _seconds(grace)
        self._store = MemoryStore() if store is None else store
        self._life: Life | None = None
        self._remember_all = retention is not None and retention.kind == "ALL"
        self._hello = SubscribeRequest.Hello(
            subscriber_id=name,
            instance_id=instance_id or str(uuid.uuid4()),
            announce=announce,
            filter=wire.Filter(agents=agents, keys=keys),
            max_in_flight=max_in_flight,
            retention=None if retention is None else _retention(retention),
            when_full=f"WHEN_FULL_{when_full}",
            client_name="hookwire-sdk-python",
            client_version=VERSION,
        )

    def on(self, *globs: str) -> Callable[[H], H]:
        """Subscribes a handler to the hooks that a glob (`*` and `?`) matches. Gives back the handler as it was.

        The first handler that matches gets the event. Starts and ends come together: without a handler for one of them, it
        is answered OK. Handlers of one session run one after the other, in order; those of different sessions at the same
        time. Events without a session keep their order among themselves, and a `gateway_stop` waits for all that came
        before it.

        An `async def` runs on the event loop. A plain `def` runs in a thread, so that it may block.

        What a handler returns or raises is the answer: None or OK, ACCEPTED, Retry, Reject. Any other exception is logged,
        and a Retry for a start or an end; for another event, a Reject.
        """
        if not globs:
            raise TypeError("on() needs a hook's name or a glob: @plugin.on('session_*')")

        def add(handler: H) -> H:
            author = Author.of(handler)
            for glob in globs:
                self._routes.add(glob, author)
            return handler

        return add

    def on_drain(self, handler: D) -> D:
        """Has this called with the notice at once when a gateway begins to stop, beside whatever is in hand.

        An exception is logged, no more.
        """
        self._routes.drain = Author.of(handler)
        return handler

    def on_sweep(self, handler: S) -> S:
        """Has this called with a Sweep once on each stream, when all that came from before it has been handled.

        What comes behind is not handled before it returns, so it sees a store at rest. An exception is logged, no more.
        """
        self._routes.sweep = Author.of(handler)
        return handler

    def run(self) -> None:
        """The whole of a program: `serve`, until SIGTERM or SIGINT.

        Displaced and Refused end the program with status 76, InvalidAddress with 1, and a line on stderr. Only in the
        main thread.
        """
        try:
            asyncio.run(self._run())
        except HookwireError as error:
            print(f"{self.name}: {error}", file=sys.stderr)  # noqa: T201 - a program's last words
            raise SystemExit(error.exit_code) from None

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        await self.serve()

    async def serve(self) -> None:
        """Serves until `stop` is called, or the task is cancelled.

        Then it takes nothing more, finishes what is in hand within the grace, acknowledges it and says Goodbye; what it is
        owed is kept. A second cancellation cuts that short. A lost connection is dialled again, with jitter, for as long
        as it takes.

        Raises InvalidAddress; Refused, when the dispatcher does not want the plugin as it is; Displaced, when another
        process of its name takes its place.
        """
        await self._live(self.life(dialer(resolve(self.address))))

    async def _live(self, life: Life) -> None:
        if self._life is not None:
            raise RuntimeError("the plugin is being served already")
        self._life = life
        try:
            await life.run()
        finally:
            self._life = None

    def life(self, dial: Dial) -> Life:
        """A life over a transport of one's own, for `hookwire.testing`. Raises RuntimeError where there is no handler."""
        if not self._routes.globs:
            raise RuntimeError("no handler: call on() at least once")
        self._hello.hooks[:] = self._routes.globs
        work = Work(self._routes, self._store, concurrency=self._concurrency, remember_all=self._remember_all)
        return Life(dial, self._hello, work, self._grace)

    def stop(self) -> None:
        """Has `serve` stop. To be called where the event loop runs; nothing happens while nothing is served."""
        if self._life is not None:
            self._life.stop()


def _seconds(duration: float | timedelta) -> float:
    return duration.total_seconds() if isinstance(duration, timedelta) else duration


def _retention(retention: Retention) -> wire.Retention:
    age = 0.0 if retention.max_age is None else _seconds(retention.max_age)
    return wire.Retention(
        kind=f"RETENTION_KIND_{retention.kind}",
        max_age_ms=math.ceil(age * 1000),
        max_bytes=retention.max_bytes or 0,
    )
