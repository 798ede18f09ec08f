"""A plugin driven from memory: order, answers, dedupe, drains, sweeps, the stop."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest
from opentelemetry import trace

import hookwire
from hookwire import ACCEPTED, OK, Event, Kind, Plugin, Reject, Retention, Retry, SqliteStore
from hookwire.answer import read_answer
from hookwire.event import Batch, StreamFacts
from hookwire.routes import Author, Routes
from hookwire.testing import Dispatcher
from hookwire.v1 import hook_service_pb2 as wire
from hookwire.v1.event_pb2 import Event as WireEvent
from hookwire.v1.hook_service_pb2 import SubscribeResponse
from hookwire.work import IN_HAND, UNSENT, Work

PATIENCE = 20.0


T = TypeVar("T")


async def within(waiting: Awaitable[T]) -> T:
    return await asyncio.wait_for(waiting, PATIENCE)


class Gate:
    """A handler that takes down what it is begun with, and waits to be let through."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.running = 0
        self.most = 0
        self._open = asyncio.Semaphore(0)
        self._news = asyncio.Event()

    async def __call__(self, event: Event) -> None:
        self.begun.append(f"{event.hook} {event.session.id if event.session else '-'}")
        self.running += 1
        self.most = max(self.most, self.running)
        self._news.set()
        try:
            await self._open.acquire()
        finally:
            self.running -= 1

    def let(self, number: int = 1) -> None:
        for _ in range(number):
            self._open.release()

    async def has_begun(self, number: int) -> list[str]:
        while len(self.begun) < number:
            self._news.clear()
            await within(self._news.wait())
        return self.begun


async def settled() -> None:
    """Lets everything run that waits for nothing."""
    for _ in range(50):
        await asyncio.sleep(0)


def task(waiting: Awaitable[Any]) -> asyncio.Future[Any]:
    return asyncio.ensure_future(waiting)


async def test_in_order_inside_a_session_side_by_side_across_them_and_a_stop_behind_all() -> None:
    plugin, gate = Plugin("p"), Gate()
    plugin.on("*")(gate)
    async with Dispatcher(plugin) as dispatcher:
        starting = [task(dispatcher.start(session)) for session in "ab"]
        await gate.has_begun(2)
        gate.let(2)
        await within(asyncio.gather(*starting))
        firing = [task(dispatcher.event(hook, session)) for hook, session in [("m1", "a"), ("m2", "a"), ("m3", "b")]]
        stopping = task(dispatcher.deliver(WireEvent(id="stop", hook="gateway_stop")))
        await gate.has_begun(4)
        await settled()
        assert gate.begun[2:] == ["m1 a", "m3 b"]
        gate.let()
        assert (await gate.has_begun(5))[4:] == ["m2 a"]
        gate.let(2)
        assert (await gate.has_begun(6))[5:] == ["gateway_stop -"]
        gate.let()
        assert await within(asyncio.gather(*firing, stopping)) == [OK] * 4


async def test_no_more_than_concurrency_at_once() -> None:
    plugin, gate = Plugin("p", concurrency=3), Gate()
    plugin.on("*")(gate)
    async with Dispatcher(plugin) as dispatcher:
        starting = [task(dispatcher.start(f"s-{number}")) for number in range(10)]
        await gate.has_begun(3)
        await settled()
        assert len(gate.begun) == 3
        gate.let(10)
        await within(asyncio.gather(*starting))
        assert gate.most == 3


async def test_what_is_returned_or_raised_is_the_answer(caplog: pytest.LogCaptureFixture) -> None:
    plugin = Plugin("p")
    says: list[Callable[[], Any]] = []

    def fail(error: BaseException) -> Any:
        raise error

    @plugin.on("*")
    async def handler(event: Event) -> hookwire.Answer | None:
        return says.pop()()  # type: ignore[no-any-return]

    async def answers(say: Callable[[], Any], *, lifecycle: bool = False) -> hookwire.Answer:
        says.append(say)
        return await within(dispatcher.start(str(len(says))) if lifecycle else dispatcher.event("m"))

    plain: list[hookwire.Answer] = [OK, ACCEPTED, Reject("code", "text"), Retry("text", after=2.0)]
    async with Dispatcher(plugin) as dispatcher:
        for answer in plain:
            assert await answers(partial(read_answer, answer)) == answer
        assert await answers(lambda: fail(Reject("code", "text"))) == Reject("code", "text")
        assert await answers(lambda: fail(Retry("text"))) == Retry("text")
        assert await answers(lambda: None) == OK
        assert not caplog.records

        assert await answers(lambda: fail(KeyError("x"))) == Reject("exception", "KeyError: 'x'")
        assert isinstance(await answers(lambda: "done"), Reject)
        assert await answers(lambda: fail(asyncio.CancelledError()), lifecycle=True) == Retry("CancelledError")
        record = caplog.records[-1]
        assert record.levelno == logging.ERROR
        assert "session_start testing-start-1" in record.getMessage()


async def test_the_first_glob_gets_it_and_what_has_no_handler_is_ok() -> None:
    plugin, got = Plugin("p"), list[str]()

    @plugin.on("session_end")
    async def ends(event: Event) -> None:
        got.append(f"end {event.session_end.reason if event.session_end else None}")

    @plugin.on("*_end", "m?")
    async def others(event: Event) -> None:
        got.append(event.hook)

    async with Dispatcher(plugin) as dispatcher:
        assert await within(dispatcher.start("s")) == OK
        assert await within(dispatcher.event("m1", "s")) == OK
        assert await within(dispatcher.event("hook_of_tomorrow", "s")) == OK
        assert await within(dispatcher.end("s", "RESET")) == OK
    assert got == ["m1", f"end {hookwire.SessionEndReason.SESSION_END_REASON_RESET}"]


async def test_a_plain_def_may_block_and_keeps_the_order() -> None:
    plugin, got, release = Plugin("p"), list[str](), threading.Event()
    mine = threading.get_ident()

    @plugin.on("*")
    def handler(event: Event) -> hookwire.Answer:
        assert threading.get_ident() != mine
        assert release.wait(PATIENCE)
        got.append(event.hook)
        if event.hook == "bad":
            raise Reject("bad")
        return ACCEPTED

    async with Dispatcher(plugin) as dispatcher:
        starting = task(dispatcher.start("s"))
        firing = task(dispatcher.event("m1", "s")), task(dispatcher.event("bad", "s"))
        await settled()
        assert not starting.done()
        release.set()
        assert list(await within(asyncio.gather(starting, *firing))) == [ACCEPTED, ACCEPTED, Reject("bad")]
    assert got == ["session_start", "m1", "bad"]


async def test_each_event_has_a_context_of_its_own_and_its_trace() -> None:
    plugin, mine = Plugin("p"), contextvars.ContextVar("mine", default="none")
    traces: list[str] = []

    async def handler(event: Event) -> None:
        assert mine.get() == "none"
        mine.set(event.id)
        await asyncio.sleep(0)
        assert mine.get() == event.id
        traces.append(f"{trace.get_current_span().get_span_context().trace_id:032x}")

    def in_a_thread(event: Event) -> None:
        traces.append(f"{trace.get_current_span().get_span_context().trace_id:032x}")

    plugin.on("a*")(handler)
    plugin.on("b*")(in_a_thread)
    async with Dispatcher(plugin) as dispatcher:
        for hook in ("a1", "a2", "b"):
            traceparent = f"00-{hook.encode().hex():0>32}-00f067aa0ba902b7-01"
            assert await within(dispatcher.deliver(WireEvent(id=hook, hook=hook, traceparent=traceparent))) == OK
        assert await within(dispatcher.deliver(WireEvent(id="a3", hook="a3", traceparent="nonsense"))) == OK
    assert traces == [*(f"{hook.encode().hex():0>32}" for hook in ("a1", "a2", "b")), "0" * 32]


async def test_what_an_event_says() -> None:
    plugin, events = Plugin("p"), list[Event]()

    @plugin.on("*")
    async def handler(event: Event) -> None:
        events.append(event)

    async with Dispatcher(plugin, ledger_id="here") as dispatcher:
        await within(dispatcher.start("s", key="k", agent_id="a"))
        await within(dispatcher.event("m", "s", {"text": "hi"}))
        await within(dispatcher.deliver(WireEvent(id="odd", hook="m"), 99))  # type: ignore[arg-type]
    start, message, odd = events
    assert (start.session.id, start.session.key, start.session.agent_id) == ("s", "k", "a")
    assert start.session.incarnation == 1
    assert start.session_start is not None
    assert (start.session_end, start.raw) == (None, b"")
    assert (message.json(), message.raw) == ({"text": "hi"}, b'{"text": "hi"}')
    assert (message.session_start, message.ledger_id, message.stream_epoch, message.kind) == (None, "here", 1, Kind.LIVE)
    assert abs(message.time.timestamp() - time.time()) < 3_600
    assert 0 < message.time_left() <= 30
    assert (odd.session, odd.kind) == (None, Kind.UNKNOWN)
    assert "odd" in repr(odd)


async def test_what_is_settled_is_answered_as_before_and_a_retry_is_not() -> None:
    plugin, calls = Plugin("p"), list[str]()
    answers: list[hookwire.Answer] = [ACCEPTED, Retry("later"), Reject("no", "never")]

    @plugin.on("session_*")
    async def handler(event: Event) -> hookwire.Answer:
        calls.append(f"{event.hook} {event.kind.value}")
        return answers.pop(0)

    async with Dispatcher(plugin) as dispatcher:
        assert await within(dispatcher.start("s")) == ACCEPTED
        assert await within(dispatcher.end("s")) == Retry("later")
        assert await within(dispatcher.reconnect(acks_lost=True)) == [ACCEPTED, Reject("no", "never")]
        assert await within(dispatcher.reconnect(acks_lost=True)) == [ACCEPTED, Reject("no", "never")]
    assert calls == ["session_start LIVE", "session_end LIVE", "session_end REDELIVERED"]


async def test_what_is_in_hand_and_comes_again_joins() -> None:
    plugin, gate = Plugin("p"), Gate()
    plugin.on("*")(gate)
    async with Dispatcher(plugin) as dispatcher:
        starting, firing = task(dispatcher.start("s")), task(dispatcher.event("m"))
        await gate.has_begun(2)
        coming_back = task(dispatcher.reconnect())
        with pytest.raises(ConnectionError):
            await within(firing)
        await settled()
        gate.let(2)
        assert await within(coming_back) == [OK]
        assert await within(starting) == OK
    assert gate.begun == ["session_start s", "m -"]


async def test_who_joins_gets_the_same_retry() -> None:
    plugin, gate, calls = Plugin("p"), Gate(), list[str]()

    @plugin.on("*")
    async def handler(event: Event) -> None:
        calls.append(event.hook)
        await gate(event)
        raise Retry("later")

    async with Dispatcher(plugin) as dispatcher:
        starting = task(dispatcher.start("s"))
        await gate.has_begun(1)
        coming_back = task(dispatcher.reconnect())
        await within(asyncio.wait({coming_back}, timeout=0.2))
        gate.let(2)
        assert await within(coming_back) == [Retry("later")]
        assert await within(starting) == Retry("later")
    assert calls == ["session_start"]


async def test_an_answer_of_an_earlier_stream_is_none_on_this_one() -> None:
    plugin, gate = Plugin("p"), Gate()
    plugin.on("*")(gate)
    async with Dispatcher(plugin) as dispatcher:
        lost = task(dispatcher.event("first on the old stream"))
        await gate.has_begun(1)
        await within(dispatcher.reconnect())
        with pytest.raises(ConnectionError):
            await lost
        other = WireEvent(id="other", hook="first on the new stream")
        other.session.id = "s"
        firing = task(dispatcher.deliver(other))
        await gate.has_begun(2)
        gate.let()
        await settled()
        assert gate.running == 1
        assert not firing.done()
        gate.let()
        assert await within(firing) == OK


async def test_a_store_outlives_the_process_and_forgets_at_caught_up(tmp_path: Path) -> None:
    calls, stores = list[str](), list[SqliteStore]()

    def plugin() -> Plugin:
        stores.append(SqliteStore(tmp_path / "answers.db"))
        plugin = Plugin("p", store=stores[-1])

        @plugin.on("*")
        async def handler(event: Event) -> None:
            calls.append(event.id)

        return plugin

    async with Dispatcher(plugin()) as dispatcher:
        await within(dispatcher.start("s"))
    again = WireEvent(id="testing-start-1", hook="session_start")
    again.session_start.SetInParent()
    async with Dispatcher(plugin()) as dispatcher:
        dispatcher.stream_epoch = 7
        assert await within(dispatcher.reconnect()) == []
        assert await within(dispatcher.deliver(again, wire.BATCH_KIND_REDELIVERED)) == OK
        assert calls == ["testing-start-1"]
        await within(dispatcher.caught_up())
        assert await within(dispatcher.deliver(again, wire.BATCH_KIND_REDELIVERED)) == OK
        assert calls == ["testing-start-1"], "put again under this stream, it is kept"
        await within(dispatcher.reconnect())
        await within(dispatcher.caught_up())
        await within(dispatcher.deliver(again, wire.BATCH_KIND_REDELIVERED))
        assert calls == ["testing-start-1"] * 2, "nothing of an earlier stream comes behind CaughtUp"
    for store in stores:
        store.close()


async def test_ordinary_events_are_remembered_where_all_are_kept() -> None:
    for retention, expected in [(None, 2), (Retention("ALL"), 1)]:
        plugin, calls = Plugin("p", retention=retention), list[str]()

        @plugin.on("*")
        async def handler(event: Event, calls: list[str] = calls) -> None:
            calls.append(event.id)

        async with Dispatcher(plugin) as dispatcher:
            for _ in range(2):
                assert await within(dispatcher.deliver(WireEvent(id="m-1", hook="m"))) == OK
        assert len(calls) == expected


class BrokenStore(hookwire.MemoryStore):
    async def get(self, event_id: str) -> hookwire.Answer | None:
        if "unreadable" in event_id:
            raise OSError("disk")
        return None

    async def put(self, event_id: str, answer: hookwire.Answer, ledger_id: str, stream_epoch: int) -> None:
        raise OSError("disk full")

    async def forget(self, ledger_id: str, stream_epoch: int) -> None:
        raise OSError("disk full")


async def test_a_store_that_fails_is_said_and_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    plugin = Plugin("p", store=BrokenStore(), retention=Retention("ALL"))

    @plugin.on("*")
    async def handler(event: Event) -> None:
        pass

    async with Dispatcher(plugin) as dispatcher:
        assert await within(dispatcher.start("s")) == OK
        await within(dispatcher.caught_up())
        assert [it.message for it in caplog.records] == [
            "the store failed: testing-start-1 may be applied again",
            "the store failed to forget",
        ]
        answer = await within(dispatcher.deliver(WireEvent(id="unreadable", hook="m")))
        assert answer == Reject("exception", "OSError: disk")


async def test_it_sweeps_between_what_was_and_what_comes() -> None:
    plugin, gate, sweeps = Plugin("p", announce=True), Gate(), list[list[bool]]()
    plugin.on("*")(gate)

    @plugin.on_sweep
    def sweep(sweep: hookwire.Sweep) -> None:
        sweeps.append([sweep.is_owed("testing", life) for life in (1, 2)] + [sweep.is_owed("elsewhere", 1)])

    async with Dispatcher(plugin) as dispatcher:
        starting = task(dispatcher.start("slow"))
        await gate.has_begun(1)
        catching_up = task(dispatcher.caught_up())
        await settled()
        later = task(dispatcher.start("later"))
        await settled()
        assert (sweeps, gate.begun) == ([], ["session_start slow"])
        gate.let()
        await within(asyncio.gather(starting, catching_up))
        assert sweeps == [[True, False, False]]
        gate.let()
        await within(later)


async def test_each_stream_has_one_sweep_and_a_break_shows_behind_it() -> None:
    plugin, gate, sweeps = Plugin("p", announce=True), Gate(), list[int]()
    plugin.on("*")(gate)

    @plugin.on_sweep
    async def sweep(sweep: hookwire.Sweep) -> None:
        sweeps.append(sweep.stream.stream_epoch)

    async with Dispatcher(plugin) as dispatcher:
        task(dispatcher.start("slow"))
        await gate.has_begun(1)
        first = task(dispatcher.caught_up())
        await settled()
        again = task(dispatcher.reconnect())
        await settled()
        gate.let()
        await within(asyncio.gather(first, again))
        await within(dispatcher.caught_up())
        assert sweeps == [1, 2]


async def test_a_drain_is_told_seen_and_shortens_the_time() -> None:
    plugin, told, seen = Plugin("p"), list[str](), list[tuple[str, bool, bool]]()

    @plugin.on_drain
    async def drain(notice: hookwire.DrainNotice) -> None:
        told.append(f"{notice.gateway_id} {notice.budget_ms} {notice.ends_owed}")

    @plugin.on("*")
    async def handler(event: Event) -> None:
        seen.append((event.hook, event.draining, event.time_left() <= 2))

    async with Dispatcher(plugin) as dispatcher:
        await within(dispatcher.start("s"))
        assert await within(dispatcher.drain(2.0)) == {"s": OK}
        await settled()
        await within(dispatcher.event("m"))
    assert told == ["testing 2000 1"]
    assert seen == [
        ("session_start", False, False),
        ("session_end", True, True),
        ("gateway_stop", True, True),
        ("m", False, False),
    ]


async def test_who_is_not_done_is_carried_over_and_a_failing_on_drain_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    plugin, gate = Plugin("p"), Gate()
    plugin.on("session_end")(gate)

    @plugin.on_drain
    def drain(notice: hookwire.DrainNotice) -> None:
        raise KeyError("oh")

    async with Dispatcher(plugin) as dispatcher:
        await within(dispatcher.start("s"))
        assert await within(dispatcher.drain(0.05)) == {}
        assert "on_drain failed" in caplog.text
        gate.let()


async def test_a_stop_finishes_what_is_in_hand_and_acknowledges_it() -> None:
    plugin, gate = Plugin("p"), Gate()
    plugin.on("*")(gate)
    async with Dispatcher(plugin) as dispatcher:
        starting = task(dispatcher.start("s"))
        await gate.has_begun(1)
        dispatcher._running()[0].stop()
        await settled()
        never = task(dispatcher.start("too late"))
        await settled()
        gate.let()
        assert await within(starting) == OK
        with pytest.raises(ConnectionError):
            await within(never)
    assert gate.begun == ["session_start s"]


@pytest.mark.parametrize("blocking", [False, True])
async def test_who_is_out_of_grace_is_cut_off_and_not_answered(blocking: bool, caplog: pytest.LogCaptureFixture) -> None:
    plugin, begun, release = Plugin("p", grace=0.05), asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def hangs(event: Event) -> None:
        loop.call_soon_threadsafe(begun.set)
        release.wait(PATIENCE)

    async def waits(event: Event) -> None:
        begun.set()
        await asyncio.sleep(PATIENCE)

    plugin.on("*")(hangs if blocking else waits)
    dispatcher = Dispatcher(plugin)
    async with dispatcher:
        starting = task(dispatcher.start("s"))
        await within(begun.wait())
    release.set()
    with pytest.raises(ConnectionError):
        await within(starting)
    assert "will be delivered again" in caplog.text


async def test_cancelling_serve_is_a_stop() -> None:
    plugin, gate = Plugin("p"), Gate()
    plugin.on("*")(gate)
    async with Dispatcher(plugin) as dispatcher:
        starting = task(dispatcher.start("s"))
        await gate.has_begun(1)
        living = dispatcher._running()[1]
        living.cancel()
        await settled()
        gate.let()
        assert await within(starting) == OK
        await within(asyncio.wait({living}))
        assert living.cancelled()
        dispatcher._living = task(asyncio.sleep(0))  # type: ignore[assignment]


async def test_a_second_cancellation_cuts_it_short() -> None:
    plugin, gate = Plugin("p"), Gate()
    plugin.on("*")(gate)
    dispatcher = Dispatcher(plugin)
    await dispatcher.__aenter__()
    starting = [task(dispatcher.start(session)) for session in "abc"]
    await gate.has_begun(3)
    living = dispatcher._running()[1]
    for _ in range(2):
        living.cancel()
        await settled()
    await within(asyncio.wait({living}))
    await settled()
    assert (living.cancelled(), gate.running) == (True, 0)
    for cut in starting:
        with pytest.raises(asyncio.CancelledError):
            await within(cut)


async def test_displaced_ends_it_and_an_unknown_message_does_not() -> None:
    plugin = Plugin("p")

    @plugin.on("*")
    async def handler(event: Event) -> None:
        pass

    async def scene() -> None:
        async with Dispatcher(plugin) as dispatcher:
            dispatcher.send(SubscribeResponse.FromString(b"\xfa\x3e\x00"))
            dispatcher.send(SubscribeResponse(welcome=SubscribeResponse.Welcome()))
            dispatcher.send(SubscribeResponse(gap=wire.Gap(count=3, cause=77)))  # type: ignore[arg-type]
            assert await within(dispatcher.start("s")) == OK
            bye = SubscribeResponse.Goodbye(reason=wire.GOODBYE_REASON_DISPLACED, text="a newer one")
            dispatcher.send(SubscribeResponse(goodbye=bye))
            await within(dispatcher.start("t"))

    with pytest.raises(hookwire.Displaced, match="a newer one"):
        await scene()


async def test_a_burst_is_not_a_burst_of_acks_and_lets_others_run() -> None:
    plugin = Plugin("p")

    @plugin.on("*")
    async def handler(event: Event) -> None:
        pass

    acks = list[wire.Ack]()

    class Listening(Dispatcher):
        def _take(self, ack: wire.Ack) -> None:
            acks.append(ack)
            super()._take(ack)

    async with Listening(plugin) as dispatcher:
        firing = [task(dispatcher.event("m")) for _ in range(1_000)]
        await within(asyncio.gather(*firing))
    assert sum(len(ack.exceptions) for ack in acks) == 0
    assert acks[-1].through_seq == 1_000


async def test_handlers_that_wait_for_nothing_let_others_run() -> None:
    plugin, turns, seen = Plugin("p"), 0, list[int]()

    @plugin.on("*")
    async def handler(event: Event) -> None:
        seen.append(turns)
        time.sleep(0.002)

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with Dispatcher(plugin) as dispatcher:
        ticking = task(others())
        await within(asyncio.gather(*(dispatcher.event("m") for _ in range(20))))
        ticking.cancel()
    assert len(set(seen)) > 2


async def test_threads_end_with_the_plugin() -> None:
    def threads() -> set[threading.Thread]:
        return {thread for thread in threading.enumerate() if thread.name.startswith("hookwire-")}

    plugin, before = Plugin("p"), threads()
    plugin.on("*")(lambda event: None)
    async with Dispatcher(plugin) as dispatcher:
        await within(dispatcher.event("m"))
        mine = threads() - before
        assert mine
    for thread in mine:
        await within(asyncio.to_thread(thread.join, PATIENCE))
        assert not thread.is_alive()


async def test_the_stream_is_left_unread_where_too_much_is_in_hand_or_unsent() -> None:
    routes = Routes()
    routes.add("slow", Author.of(Gate()))
    work = Work(routes, hookwire.MemoryStore(), concurrency=1, remember_all=False)
    batch = Batch(StreamFacts("ledger", 1), Kind.LIVE, 0.0)
    try:
        work.take_batch(1, batch, [WireEvent(id=str(number), hook="slow") for number in range(IN_HAND - 1)])
        assert work.has_room()
        # Ahead of the first, each is an exception of its own.
        work.take_batch(IN_HAND, batch, [WireEvent(id=f"x-{number}", hook="unrouted") for number in range(UNSENT - 1)])
        assert work.has_room()
        work.take_batch(IN_HAND + UNSENT, batch, [WireEvent(id="y", hook="unrouted")])
        assert not work.has_room()
        work.take_ack()
        assert work.has_room()
        work.take_batch(IN_HAND + UNSENT + 1, batch, [WireEvent(id="z", hook="slow")])
        assert not work.has_room()
    finally:
        await within(work.finish(0.0))


async def test_what_cannot_be_begun_is_said() -> None:
    with pytest.raises(RuntimeError, match="no handler"):
        await Plugin("p").serve()
    with pytest.raises(TypeError, match="glob"):
        Plugin("p").on()
    with pytest.raises(ValueError, match="at least 1"):
        Plugin("p", concurrency=0)
    plugin = Plugin("p", address="nonsense")
    plugin.on("*")(print)
    with pytest.raises(hookwire.InvalidAddress, match="nonsense"):
        await plugin.serve()
