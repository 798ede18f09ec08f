"""One stream: from the Hello to the last word."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress

from hookwire.errors import Displaced, Lost
from hookwire.event import Batch, StreamFacts, read_kind
from hookwire.link import Dial, Link
from hookwire.losses import Losses, name
from hookwire.sweep import Sweep
from hookwire.v1 import hook_service_pb2 as wire
from hookwire.v1.hook_service_pb2 import SubscribeRequest, SubscribeResponse
from hookwire.work import Work

logger = logging.getLogger("hookwire")

HANDSHAKE = 10.0
"""Seconds that dialling, Hello and Welcome may take together."""

_PARTING = 2.0  # seconds that the last words may take
_LAST_SEQ = (1 << 64) - 1


async def open_stream(dial: Dial, hello: SubscribeRequest.Hello, work: Work) -> Stream:
    """Dials, says Hello and waits for the Welcome. Raises Lost, Refused or Displaced."""
    link = await dial()
    try:
        welcome = await asyncio.wait_for(_shake_hands(link, hello), HANDSHAKE)
    except asyncio.TimeoutError:
        await link.close()
        raise Lost("no Welcome in time") from None
    except BaseException:
        await link.close()
        raise
    _greet(welcome)
    return Stream(link, welcome, work, announced=hello.announce)


async def _shake_hands(link: Link, hello: SubscribeRequest.Hello) -> SubscribeResponse.Welcome:
    with suppress(Lost):  # reading says why
        await link.write(SubscribeRequest(hello=hello))
    first = await link.read()
    if first.HasField("goodbye"):
        raise by_goodbye(first.goodbye)
    if not first.HasField("welcome"):
        raise Lost("it did not begin with a Welcome")
    return first.welcome


def _greet(welcome: SubscribeResponse.Welcome) -> None:
    logger.info(
        "welcome: ledger %s, stream %d, %s, %d ends owed",
        welcome.ledger_id,
        welcome.stream_epoch,
        "known" if welcome.known else "not known",
        welcome.ends_owed,
    )
    if welcome.unknown_hooks:
        logger.warning("no such hooks there, so far: %s", ", ".join(welcome.unknown_hooks))
    expired = welcome.expired
    if expired.entries or expired.events:
        logger.warning("expired while away: %d sessions, %d events", expired.entries, expired.events)


def by_goodbye(goodbye: SubscribeResponse.Goodbye) -> Lost | Displaced:
    """What a dispatcher's Goodbye means."""
    if goodbye.reason == wire.GOODBYE_REASON_DISPLACED:
        return Displaced(goodbye.text)
    why = f"goodbye: {name(wire.GoodbyeReason, goodbye.reason)} {goodbye.text}".rstrip()
    return Lost(why, wait=goodbye.reconnect_after_ms / 1000)


class Stream:
    """A stream that was welcomed."""

    def __init__(self, link: Link, welcome: SubscribeResponse.Welcome, work: Work, *, announced: bool) -> None:
        self._link = link
        self._work = work
        self._facts = StreamFacts(welcome.ledger_id, welcome.stream_epoch)
        self._known = welcome.known
        self._announced = announced
        # Lives that were named so far: until CaughtUp.
        self._named: set[int] | None = set()
        self._losses = Losses()
        self._leaving = False
        self._finished = False

    async def serve(self, stop: asyncio.Event, grace: float) -> None:
        """Takes in what comes and answers it, until the stream ends, or `stop` is set and what is in hand is finished.

        Raises Lost, Refused or Displaced in the first case.
        """
        self._work.begin_stream(self._facts)
        reading = asyncio.create_task(self._read())
        writing = asyncio.create_task(self._write())
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({reading, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                reading.result()  # raises
            await self._leave(reading, grace)
        finally:
            self._losses.tell()
            self._work.end_stream()
            await _cancel(reading, writing, stopping)
            await self._link.close()

    async def _leave(self, reading: asyncio.Task[None], grace: float) -> None:
        """Takes nothing more, finishes what is in hand, acknowledges it, says Goodbye and waits for the answer."""
        self._leaving = True
        self._work.changed()
        await self._work.finish(grace)
        self._finished = True
        self._work.changed()
        # Until the dispatcher has answered, the last Ack may still be on its way out of this process.
        await asyncio.wait({reading}, timeout=_PARTING)

    async def _read(self) -> None:
        while True:
            await self._work.until(self._may_read)
            message = await self._link.read()
            if message.HasField("goodbye"):
                raise by_goodbye(message.goodbye)
            # What comes when we leave was never answered: it comes again.
            if not self._leaving:
                self._take(message)

    def _may_read(self) -> bool:
        return self._leaving or self._work.has_room()

    async def _write(self) -> None:
        """Sends what is answered, as fast as the transport takes it: what it does not take yet is merged."""
        try:
            while True:
                await self._work.until(self._may_write)
                if self._work.has_answers():
                    await self._link.write(SubscribeRequest(ack=self._work.take_ack()))
                else:
                    await self._link.write(SubscribeRequest(goodbye=SubscribeRequest.Goodbye(release=False)))
                    await self._link.done_writing()
                    return
        except Lost as broken:
            # What has arrived is still worth reading; what it would have answered comes again.
            logger.debug("%s", broken)

    def _may_write(self) -> bool:
        return self._finished or self._work.has_answers()

    def _take(self, message: SubscribeResponse) -> None:
        kind = message.WhichOneof("message")
        if kind == "events":
            self._take_batch(message.events)
        elif kind == "caught_up":
            self._catch_up(message.caught_up)
        elif kind == "drain_notice":
            self._drain(message.drain_notice)
        elif kind == "drain_summary":
            summary = message.drain_summary
            self._facts.drains.pop(summary.gateway_id, None)
            logger.info("drained: %s, %d owed, %d carried over", summary.gateway_id, summary.owed, summary.carried_over)
        elif kind == "gap":
            self._losses.warn_of(message.gap)
        elif kind == "welcome":
            logger.warning("a second Welcome, ignored")

    def _take_batch(self, events: wire.EventBatch) -> None:
        if events.first_seq + len(events.events) > _LAST_SEQ:
            raise Lost("it counts beyond 64 bits")
        if self._named is not None:
            self._named.update(event.session.incarnation for event in events.events)
        deadline = time.monotonic() + events.budget_ms / 1000
        self._work.take_batch(events.first_seq, Batch(self._facts, read_kind(events.kind), deadline), events.events)

    def _catch_up(self, caught_up: wire.CaughtUp) -> None:
        logger.debug("caught up: %d replayed, %d announced", caught_up.replayed, caught_up.announced)
        if self._named is not None:
            named, self._named = self._named, None
            self._work.caught_up(Sweep(self._facts, self._known, self._announced, named))

    def _drain(self, notice: wire.DrainNotice) -> None:
        logger.info("drain: %s, %d ends owed, %d ms", notice.gateway_id, notice.ends_owed, notice.budget_ms)
        self._facts.drains[notice.gateway_id] = time.monotonic() + notice.budget_ms / 1000
        self._work.drain_notice(notice)


async def _cancel(*tasks: asyncio.Task[object]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
