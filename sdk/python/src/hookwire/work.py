"""What the plugin has in hand: received, and not yet answered.

It outlives a stream. A handler that runs while the stream breaks goes on; when its event is delivered again, that delivery
waits for the same answer instead of calling the handler twice.

A task is not made for each event: tasks called workers take turn after turn from the lanes, and there are only as many as
handlers wait for something at the same time. One that is about to call a handler has another begun, in case it has to wait.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from collections.abc import Callable, Iterable
from functools import partial

from hookwire.acks import Acks
from hookwire.answer import OK, Answer, Reject, Retry, of_exception, read_answer
from hookwire.context import enter_trace, run_in
from hookwire.event import Batch, Event, StreamFacts, is_lifecycle
from hookwire.lanes import Lanes, Turn
from hookwire.routes import Author, Routes
from hookwire.store import Store
from hookwire.sweep import Sweep
from hookwire.threads import Threads
from hookwire.v1.event_pb2 import Event as WireEvent
from hookwire.v1.hook_service_pb2 import Ack, DrainNotice

logger = logging.getLogger("hookwire")

IN_HAND = 8_192
"""How much may be in hand before the stream is left unread. Starts and ends know no window: without this, a plugin that is
slow to handle them would hold them all in memory."""

UNSENT = 512
"""How many single answers may wait to be sent before the stream is left unread."""

THREADS = 64
"""How many handlers that are not `async` run at once, at most."""

_SLICE = 0.005  # seconds after which a worker lets others have the event loop, though no handler waited for anything

_CUT_OFF = 1.0  # seconds that handlers which are out of time have for their last words


class Delivery(Turn):
    """An event that is in hand."""

    __slots__ = ("author", "event", "id", "remember", "seqs")

    def __init__(self, seq: int, event: Event, author: Author, *, remember: bool) -> None:
        session = event.wire.session
        # Events without a session keep their order among themselves. A gateway's stop comes after all that came before
        # it: handlers close databases there.
        super().__init__(session.id or session.key, after_all=event.wire.hook == "gateway_stop")
        self.id = event.wire.id
        self.event = event
        self.author = author
        self.remember = remember
        """Whether it can be delivered again once it is settled."""
        self.seqs: tuple[int, ...] = (seq,)
        """The numbers on the current stream that its answer answers."""


class CaughtUp(Turn):
    """The end of what came from before the stream: it waits for all of that."""

    __slots__ = ("runs", "sweep")

    def __init__(self, sweep: Sweep) -> None:
        super().__init__(None, after_all=True)
        self.sweep = sweep
        self.runs = False


class Work:
    """All that is in hand. At most `concurrency` handlers run at once.

    `remember_all`: any event may come again, not only starts and ends.
    """

    def __init__(self, routes: Routes, store: Store, *, concurrency: int, remember_all: bool) -> None:
        self._routes = routes
        self._store = store
        self._concurrency = concurrency
        self._remember_all = remember_all
        self._stream = StreamFacts(ledger_id="", stream_epoch=0)  # the last one
        self._lanes: Lanes[Delivery | CaughtUp] = Lanes()
        self._in_hand: dict[str, Delivery] = {}
        self._acks = Acks()
        self._workers: set[asyncio.Task[None]] = set()
        self._beginning = False  # there is a worker that has not begun yet
        self._beside: set[asyncio.Task[None]] = set()  # the author's code for drains
        self._caught_up: CaughtUp | None = None  # due, or running
        self._cut_off = False
        self._threads = Threads(min(concurrency, THREADS))
        self._context = contextvars.copy_context()
        self._changed = asyncio.Event()

    # What the stream tells.

    def begin_stream(self, stream: StreamFacts) -> None:
        """A stream was welcomed."""
        self._stream = stream

    def end_stream(self) -> None:
        """The stream is over: its numbers mean nothing any more, nor does its CaughtUp, nor its drains."""
        self._acks = Acks()
        for delivery in self._in_hand.values():
            delivery.seqs = ()
        self._stream.over = True
        self._stream.drains.clear()
        if self._caught_up is not None and not self._caught_up.runs:
            self._caught_up = None

    def take_batch(self, first_seq: int, batch: Batch, events: Iterable[WireEvent]) -> None:
        """Takes events in that came together, with consecutive numbers."""
        for seq, wire in enumerate(events, first_seq):
            in_hand = self._in_hand.get(wire.id)
            if in_hand is not None:
                in_hand.seqs += (seq,)
                continue
            author = self._routes.find(wire.hook)
            if author is None:
                # A plugin that listens to ends alone is sent the starts, too: they go together.
                self._acks.answer(seq, OK)
                continue
            remember = self._remember_all or is_lifecycle(wire)
            delivery = Delivery(seq, Event(wire, batch), author, remember=remember)
            self._in_hand[delivery.id] = delivery
            self._lanes.push(delivery)
        self._have_worker()
        self._changed.set()

    def caught_up(self, sweep: Sweep) -> None:
        """Replay is over: the store forgets and the author sweeps, when all that came before is done."""
        self._caught_up = CaughtUp(sweep)
        self._lanes.push(self._caught_up)
        self._have_worker()

    def drain_notice(self, notice: DrainNotice) -> None:
        """A gateway is about to stop: the author is told at once, whatever is in hand."""
        if self._routes.drain is not None:
            telling = asyncio.create_task(self._tell("on_drain", self._routes.drain, notice))
            self._beside.add(telling)
            telling.add_done_callback(self._beside.discard)
            telling.add_done_callback(lambda _: self._changed.set())

    # What the stream asks.

    def has_room(self) -> bool:
        """Whether more may be read. Nothing behind a sweep is, before that is over."""
        in_hand = len(self._lanes) + len(self._beside)
        sweeping = self._routes.sweep is not None and not self.is_caught_up()
        return in_hand < IN_HAND and self._acks.exceptions() < UNSENT and not sweeping

    def is_caught_up(self) -> bool:
        """Whether no CaughtUp is waited for."""
        return self._caught_up is None

    def has_answers(self) -> bool:
        """Whether an Ack is due."""
        return self._acks.pending()

    def take_ack(self) -> Ack:
        """The Ack that is due."""
        return self._acks.take()

    def is_idle(self) -> bool:
        """Whether nothing is in hand."""
        return len(self._lanes) == 0 and not self._beside

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits for a condition that depends on what is in hand."""
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    def changed(self) -> None:
        """Has every `until` look again."""
        self._changed.set()

    async def finish(self, grace: float) -> None:
        """Finishes all that is in hand, within so many seconds. Who is out of time is cancelled."""
        if self._cut_off:
            return
        try:
            await asyncio.wait_for(self.until(self.is_idle), grace)
        except asyncio.TimeoutError:
            logger.warning("out of time: what is in hand (%d) will be delivered again", len(self._lanes))
            self.cut_off()
            if tasks := self._workers | self._beside:
                await asyncio.wait(tasks, timeout=_CUT_OFF)
        self._threads.close()

    def cut_off(self) -> None:
        """Cancels whatever is in hand."""
        self._cut_off = True
        for task in self._workers | self._beside:
            task.cancel()

    # The workers.

    def _have_worker(self) -> None:
        """Begins a worker, if there is something to do and none is about to begin."""
        if self._lanes.has_ready() and not self._beginning and len(self._workers) < self._concurrency:
            self._beginning = True
            worker = asyncio.create_task(self._work())
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)

    async def _work(self) -> None:
        self._beginning = False
        began = time.monotonic()
        while (turn := self._lanes.pop()) is not None:
            self._have_worker()  # for what is ready beside it, should this one wait
            if isinstance(turn, CaughtUp):
                await self._catch_up(turn)
            else:
                self._settle(turn, await (self._recall_or_handle(turn) if turn.remember else self._handle(turn)))
            self._lanes.done(turn)
            self._changed.set()
            if time.monotonic() - began > _SLICE:
                await asyncio.sleep(0)
                began = time.monotonic()

    def _settle(self, delivery: Delivery, answer: Answer) -> None:
        del self._in_hand[delivery.id]
        for seq in delivery.seqs:
            self._acks.answer(seq, answer)

    async def _recall_or_handle(self, delivery: Delivery) -> Answer:
        try:
            answer = await self._store.get(delivery.id)
        except Exception as error:  # noqa: BLE001 - as a handler's
            return self._failed(delivery.event, error)
        if answer is None:
            answer = await self._handle(delivery)
        else:
            logger.debug("delivered again, answered as before: %s", delivery.id)
        if not isinstance(answer, Retry):
            await self._remember(delivery, answer)
        return answer

    async def _remember(self, delivery: Delivery, answer: Answer) -> None:
        # What is redelivered belongs to the stream that it came on last.
        ledger_id, stream_epoch = self._stream.ledger_id, self._stream.stream_epoch
        try:
            await self._store.put(delivery.id, answer, ledger_id, stream_epoch)
        except Exception:
            logger.exception("the store failed: %s may be applied again", delivery.id)

    async def _handle(self, delivery: Delivery) -> Answer:
        event = delivery.event
        context = self._context.copy()
        if enter_trace is not None and event.wire.traceparent:
            context.run(enter_trace, event.wire.traceparent)
        author = delivery.author
        try:
            if author.in_thread:
                return read_answer(await self._threads.run(partial(context.run, author.call, event)))
            return read_answer(await run_in(context, author.call(event)))
        except (SystemExit, KeyboardInterrupt, GeneratorExit):
            raise
        except asyncio.CancelledError as error:
            if self._cut_off:
                raise
            return self._failed(event, error)  # of something that the handler has waited for
        except BaseException as error:  # noqa: BLE001 - whatever it is, the event gets its answer
            return self._failed(event, error)

    def _failed(self, event: Event, error: BaseException) -> Answer:
        if isinstance(error, (Retry, Reject)):
            return read_answer(error)
        logger.error("the handler failed: %s %s", event.hook, event.id, exc_info=error)
        return of_exception(error, lifecycle=is_lifecycle(event.wire))

    async def _catch_up(self, caught_up: CaughtUp) -> None:
        sweep = caught_up.sweep
        if sweep.stream.over:
            return
        caught_up.runs = True
        try:
            await self._store.forget(sweep.ledger_id, sweep.stream.stream_epoch)
        except Exception:
            logger.exception("the store failed to forget")
        if self._routes.sweep is not None:
            await self._tell("on_sweep", self._routes.sweep, sweep)
        if self._caught_up is caught_up:
            self._caught_up = None

    async def _tell(self, what: str, author: Author, news: DrainNotice | Sweep) -> None:
        """Calls what is no handler of an event: nobody waits for its answer."""
        try:
            if author.in_thread:
                await self._threads.run(partial(author.call, news))
            else:
                await author.call(news)
        except Exception:
            logger.exception("%s failed", what)
