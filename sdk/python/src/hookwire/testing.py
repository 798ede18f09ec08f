"""Drives a plugin from memory: no server, no sockets, and the same code from the stream to the Ack.

async def test_a_session() -> None:
    async with Dispatcher(plugin) as dispatcher:
        assert await dispatcher.start("s-1") == hookwire.OK
        assert await dispatcher.event("message_received", "s-1", {"text": "hello"}) == hookwire.OK
        assert await dispatcher.end("s-1", "RESET") == hookwire.OK
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TypeVar

from hookwire.answer import ACCEPTED, OK, Answer, Reject, Retry
from hookwire.errors import Lost
from hookwire.plugin import Plugin
from hookwire.run import Life
from hookwire.v1 import event_pb2
from hookwire.v1 import hook_service_pb2 as wire
from hookwire.v1.event_pb2 import Event as WireEvent
from hookwire.v1.hook_service_pb2 import SubscribeRequest, SubscribeResponse

T = TypeVar("T")

GATEWAY = "testing"
"""The `gateway_id` of all events."""

BUDGET = 30.0
"""Seconds that events have, unless it is said otherwise."""


class MemoryLink:
    """A transport between two queues. See hookwire.link.Link."""

    def __init__(self) -> None:
        self.requests: asyncio.Queue[SubscribeRequest | None] = asyncio.Queue()
        self.responses: asyncio.Queue[SubscribeResponse | None] = asyncio.Queue()

    async def write(self, request: SubscribeRequest) -> None:
        """Sends."""
        self.requests.put_nowait(request)

    async def read(self) -> SubscribeResponse:
        """What comes next. Raises Lost at the end."""
        response = await self.responses.get()
        self.responses.task_done()
        if response is None:
            raise Lost("closed without a goodbye")
        return response

    async def done_writing(self) -> None:
        """Closes this side."""
        self.requests.put_nowait(None)

    async def close(self) -> None:
        """Hangs up."""
        self.requests.put_nowait(None)


@dataclass(eq=False)
class _Owed:
    """A start or an end."""

    event: WireEvent
    settled_on: int | None = None
    """The stream on which it was."""


@dataclass(eq=False)
class _Life:
    session: event_pb2.Session
    start: _Owed
    rejected: bool = False
    end: _Owed | None = None


class Dispatcher:
    """What a dispatcher with one gateway is to the plugin, in memory.

    It is to be entered with `async with`; leaving it stops the plugin as SIGTERM would. If the plugin raises, what waits for
    its answer raises the same. `known`: whether the first Welcome says that the plugin is remembered.
    """

    def __init__(self, plugin: Plugin, *, ledger_id: str = "testing", known: bool = False) -> None:
        self.ledger_id = ledger_id
        self.stream_epoch = 0
        """That of the present stream; 1 is the first."""
        self._plugin = plugin
        self._known = known
        self._incarnations = 0
        self._published = 0
        self._session_seq = 0
        self._lives: list[_Life] = []
        self._answers: dict[str, asyncio.Future[Answer]] = {}  # by event id: what is waited for
        self._seq = 0
        self._delivered: dict[int, str] = {}  # by number on this stream: the event's id
        self._link = MemoryLink()
        self._welcomed = asyncio.Event()
        self._life: Life | None = None
        self._living: asyncio.Task[None] | None = None
        self._hearing: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Dispatcher:
        self._life = self._plugin.life(self._dial)
        self._living = asyncio.create_task(self._life.run())
        await self._unless_it_dies(self._welcomed.wait())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        life, living = self._running()
        life.stop()
        if error is None:
            await living
        else:
            await asyncio.wait({living})
        for hearing in self._hearing:
            hearing.cancel()

    # What a gateway does.

    async def start(self, session_id: str, *, key: str = "", agent_id: str = "") -> Answer:
        """Starts a session, and gives the plugin's answer. Raises ValueError where it is alive."""
        if self._find(session_id) is not None:
            raise ValueError(f"{session_id} is alive already")
        self._incarnations += 1
        session = event_pb2.Session(id=session_id, key=key, agent_id=agent_id, incarnation=self._incarnations)
        event = self._event("session_start", session, f"start-{self._incarnations}")
        event.session_start.SetInParent()
        life = _Life(session, _Owed(event))
        self._lives.append(life)
        return await self._settle(life, life.start, wire.BATCH_KIND_LIVE)

    async def event(self, hook: str, session_id: str | None = None, fields: Any = None) -> Answer:
        """Fires any other hook, with its fields as JSON, and gives the plugin's answer.

        Raises ValueError where the session is not alive, ConnectionError where the stream breaks under it.
        """
        session = None if session_id is None else self._alive(session_id).session
        self._published += 1
        event = self._event(hook, session, f"event-{self._published}")
        event.json = json.dumps({} if fields is None else fields).encode()
        return await self.deliver(event)

    async def end(self, session_id: str, reason: str = "NEW") -> Answer:
        """Ends a session, and gives the plugin's answer. `reason` is a SessionEndReason, such as RESET.

        Raises ValueError where the plugin is owed no end: the session is not alive, its start was rejected, or not settled.
        """
        life = self._alive(session_id)
        if life.rejected or life.start.settled_on is None:
            raise ValueError(f"no end of {session_id} is owed: its start was not acknowledged")
        return await self._settle(life, self._end(life, reason), wire.BATCH_KIND_LIVE)

    async def drain(self, budget: float = 2.0) -> dict[str, Answer]:
        """Stops the gateway: a notice, all ends, `gateway_stop`, the summary. `budget` is in seconds.

        Gives the answers to the ends, by session; what is missing was not answered in time, and is carried over.
        """
        deadline = time.monotonic() + budget
        owed = [life for life in self._lives if not life.rejected and life.end is None and life.start.settled_on is not None]
        notice = wire.DrainNotice(gateway_id=GATEWAY, boot_id="boot", budget_ms=int(budget * 1000), ends_owed=len(owed))
        self.send(SubscribeResponse(drain_notice=notice))
        ends = {
            life.session.id: asyncio.ensure_future(
                self._settle(life, self._end(life, "SHUTDOWN"), wire.BATCH_KIND_LIVE, budget)
            )
            for life in owed
        }
        if ends:
            await asyncio.wait(ends.values(), timeout=budget)
        answers = {session: end.result() for session, end in ends.items() if end.done()}
        stop = self._event("gateway_stop", None, "gateway-stop")
        stop.gateway_stop.SetInParent()
        with suppress(asyncio.TimeoutError):  # it is awaited within the budget, and never owed
            await asyncio.wait_for(self.deliver(stop, budget=budget), max(0.0, deadline - time.monotonic()))
        summary = wire.DrainSummary(gateway_id=GATEWAY, owed=len(owed), carried_over=len(owed) - len(answers))
        self.send(SubscribeResponse(drain_summary=summary))
        return answers

    # What happens to streams.

    async def reconnect(self, *, acks_lost: bool = False) -> list[Answer]:
        """Breaks the stream, waits for the plugin to come back, and delivers again what was not settled.

        With `acks_lost`, also what was settled on the stream that breaks, as if its Acks had not arrived. Gives the answers
        in order.
        """
        self._break(acks_lost)
        await self._unless_it_dies(self._welcomed.wait())
        answers = []
        for life in self._lives:
            for owed in (life.start, life.end):
                if owed is not None and owed.settled_on is None and not life.rejected:
                    answers.append(await self._settle(life, owed, wire.BATCH_KIND_REDELIVERED))
                if owed is not None and owed.settled_on is None:
                    break  # an end is written only when its start is settled
        return answers

    async def caught_up(self, announce: Iterable[str] = ()) -> None:
        """Says that replay is over, behind the starts of these sessions; returns when the plugin has swept."""
        life, _ = self._running()
        for session_id in announce:
            alive = self._alive(session_id)
            await self._settle(alive, alive.start, wire.BATCH_KIND_ANNOUNCED)
        self.send(SubscribeResponse(caught_up=wire.CaughtUp()))
        await self._unless_it_dies(self._link.responses.join())
        await self._unless_it_dies(life.work.until(life.work.is_caught_up))

    async def deliver(
        self, event: WireEvent, kind: wire.BatchKind = wire.BATCH_KIND_LIVE, *, budget: float = BUDGET
    ) -> Answer:
        """Delivers any event whatever, and gives the plugin's answer."""
        answer = self._answers.setdefault(event.id, asyncio.get_running_loop().create_future())
        self._seq += 1
        self._delivered[self._seq] = event.id
        batch = wire.EventBatch(first_seq=self._seq, kind=kind, budget_ms=int(budget * 1000), events=[event])
        self.send(SubscribeResponse(events=batch))
        return await self._unless_it_dies(asyncio.shield(answer))

    # Inside.

    def _running(self) -> tuple[Life, asyncio.Task[None]]:
        if self._life is None or self._living is None:
            raise RuntimeError("use it with async with")
        return self._life, self._living

    async def _unless_it_dies(self, waiting: Awaitable[T]) -> T:
        _, living = self._running()
        waited = asyncio.ensure_future(waiting)
        await asyncio.wait({waited, living}, return_when=asyncio.FIRST_COMPLETED)
        if not waited.done():
            waited.cancel()
            living.result()  # raises what it died of
            raise ConnectionError("the plugin has stopped")
        return waited.result()

    async def _settle(self, life: _Life, owed: _Owed, kind: wire.BatchKind, budget: float = BUDGET) -> Answer:
        answer = await self.deliver(owed.event, kind, budget=budget)
        if not isinstance(answer, Retry):
            owed.settled_on = self.stream_epoch
        if isinstance(answer, Reject) and owed is life.start:
            life.rejected = True
        return answer

    def _find(self, session_id: str) -> _Life | None:
        return next((it for it in self._lives if it.session.id == session_id and it.end is None), None)

    def _alive(self, session_id: str) -> _Life:
        life = self._find(session_id)
        if life is None:
            raise ValueError(f"{session_id} is not alive")
        return life

    def _end(self, life: _Life, reason: str) -> _Owed:
        event = self._event("session_end", life.session, f"end-{life.session.incarnation}")
        event.session_end.MergeFrom(event_pb2.SessionEnd(reason=f"SESSION_END_REASON_{reason}"))
        life.end = _Owed(event)
        return life.end

    def _event(self, hook: str, session: event_pb2.Session | None, name: str) -> WireEvent:
        self._session_seq += 1
        return WireEvent(
            id=f"{self.ledger_id}-{name}",
            hook=hook,
            gateway_id=GATEWAY,
            boot_id="boot",
            session=session,
            session_seq=self._session_seq,
            time_unix_nano=time.time_ns(),
        )

    def send(self, response: SubscribeResponse) -> None:
        """Sends the plugin any message whatever."""
        self._link.responses.put_nowait(response)

    async def _dial(self) -> MemoryLink:
        self._link = MemoryLink()
        hearing = asyncio.create_task(self._hear(self._link))
        self._hearing.add(hearing)
        return self._link

    async def _hear(self, link: MemoryLink) -> None:
        while (request := await link.requests.get()) is not None and link is self._link:
            if request.HasField("hello"):
                self._welcome()
            elif request.HasField("ack"):
                self._take(request.ack)
            else:
                bye = SubscribeResponse.Goodbye(reason=wire.GOODBYE_REASON_BYE)
                link.responses.put_nowait(SubscribeResponse(goodbye=bye))

    def _welcome(self) -> None:
        self.stream_epoch += 1
        known = self._known or self.stream_epoch > 1
        welcome = SubscribeResponse.Welcome(ledger_id=self.ledger_id, stream_epoch=self.stream_epoch, known=known)
        self.send(SubscribeResponse(welcome=welcome))
        self._welcomed.set()

    def _take(self, ack: wire.Ack) -> None:
        for exception in ack.exceptions:
            self._answered(exception.seq, _read(exception))
        for seq in [seq for seq in self._delivered if seq <= ack.through_seq]:
            self._answered(seq, OK)

    def _answered(self, seq: int, answer: Answer) -> None:
        waiting = self._answers.pop(self._delivered.pop(seq, ""), None)
        if waiting is not None:
            waiting.set_result(answer)

    def _break(self, acks_lost: bool) -> None:
        self._welcomed.clear()
        for life in self._lives:
            for owed in (life.start, life.end):
                if acks_lost and owed is not None and owed.settled_on == self.stream_epoch:
                    owed.settled_on = None
                    life.rejected = False
        lifecycle = {owed.event.id for life in self._lives for owed in (life.start, life.end) if owed is not None}
        for event_id in self._answers.keys() - lifecycle:
            self._answers.pop(event_id).set_exception(ConnectionError("the stream broke, and this does not come again"))
        self._seq = 0
        self._delivered.clear()
        self._link.responses.put_nowait(None)


def _read(exception: wire.AckException) -> Answer:
    if exception.status == wire.ACK_STATUS_RETRY:
        return Retry(exception.text, after=exception.retry_after_ms / 1000 or None)
    if exception.status == wire.ACK_STATUS_REJECT:
        return Reject(exception.code, exception.text)
    return ACCEPTED if exception.status == wire.ACK_STATUS_ACCEPTED else OK
