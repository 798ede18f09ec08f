"""What a handler gets."""

from __future__ import annotations

import enum
import json
import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from hookwire.v1 import hook_service_pb2
from hookwire.v1.event_pb2 import Event as WireEvent
from hookwire.v1.event_pb2 import Session, SessionEnd, SessionStart

_NANOS = 1_000_000_000


class Kind(enum.Enum):
    """Where an event comes from."""

    LIVE = "LIVE"
    """It just happened."""
    ANNOUNCED = "ANNOUNCED"
    """The start of a session that was alive when the plugin came."""
    REDELIVERED = "REDELIVERED"
    """Owed from an earlier stream, or delivered again after a `Retry`."""
    UNKNOWN = "UNKNOWN"
    """The dispatcher is newer than this package."""


_KINDS = {
    hook_service_pb2.BATCH_KIND_LIVE: Kind.LIVE,
    hook_service_pb2.BATCH_KIND_ANNOUNCED: Kind.ANNOUNCED,
    hook_service_pb2.BATCH_KIND_REDELIVERED: Kind.REDELIVERED,
}


def read_kind(kind: hook_service_pb2.BatchKind) -> Kind:
    """Reads the wire's kind."""
    return _KINDS.get(kind, Kind.UNKNOWN)


@dataclass(slots=True)
class StreamFacts:
    """What is true of everything on one stream."""

    ledger_id: str
    stream_epoch: int
    drains: dict[str, float] = field(default_factory=dict)
    """The gateways that are about to stop, and until when they wait: monotonic seconds."""
    over: bool = False


@dataclass(slots=True)
class Batch:
    """What is true of events that came together."""

    stream: StreamFacts
    kind: Kind
    deadline: float
    """Until when their answers are waited for: monotonic seconds."""


class Event:
    """One event on its way to a handler.

    To make an effect happen once, key it on (`ledger_id`, `session.incarnation`) or on `id`: after a crash the same event
    may come again.
    """

    __slots__ = ("_batch", "wire")

    def __init__(self, wire: WireEvent, batch: Batch) -> None:
        self.wire = wire
        """The message as it came: fields that this class does not know are there, too."""
        self._batch = batch

    def __repr__(self) -> str:
        return f"<Event {self.hook} {self.id}>"

    @property
    def id(self) -> str:
        """The same whenever and however often the event is delivered."""
        return self.wire.id

    @property
    def hook(self) -> str:
        """The hook's name, such as `session_start`."""
        return self.wire.hook

    @property
    def session(self) -> Session | Any:
        """The session it belongs to: `id`, `key`, `agent_id`, `incarnation`. None where the hook names none.

        A handler knows which hooks have one, so that the type does not ask for a check.
        """
        return self.wire.session if self.wire.HasField("session") else None

    @property
    def session_start(self) -> SessionStart | None:
        """What a `session_start` says; None for any other hook."""
        return self.wire.session_start if self.wire.HasField("session_start") else None

    @property
    def session_end(self) -> SessionEnd | None:
        """What a `session_end` says; None for any other hook."""
        return self.wire.session_end if self.wire.HasField("session_end") else None

    @property
    def raw(self) -> bytes:
        """The hook's own fields, as the gateway wrote them; empty for the four hooks that are typed."""
        return self.wire.json

    def json(self) -> Any:
        """The hook's own fields, parsed.

        Raises json.JSONDecodeError where they are no JSON; so for the four hooks that are typed, which carry none.
        """
        return json.loads(self.wire.json)

    @property
    def kind(self) -> Kind:
        """Whether it just happened, was announced, or is delivered again."""
        return self._batch.kind

    @property
    def ledger_id(self) -> str:
        """The ledger in which `session.incarnation` counts."""
        return self._batch.stream.ledger_id

    @property
    def stream_epoch(self) -> int:
        """Larger for every stream of this ledger: a fencing token to check in your own store."""
        return self._batch.stream.stream_epoch

    @property
    def session_seq(self) -> int:
        """Increases within one incarnation, and may jump; 0 where there is none, and on a late event."""
        return self.wire.session_seq

    @property
    def time(self) -> datetime:
        """When it fired, by the gateway's clock; `wire.time_unix_nano` has the nanoseconds."""
        seconds, nanos = divmod(self.wire.time_unix_nano, _NANOS)
        return datetime.fromtimestamp(seconds, timezone.utc).replace(microsecond=nanos // 1_000)

    @property
    def synthetic(self) -> bool:
        """Whether the dispatcher made it; the gateway did not fire it."""
        return self.wire.synthetic

    @property
    def late(self) -> bool:
        """Whether it came after its session's end. Nothing that is not late follows an end."""
        return self.wire.late

    @property
    def gateway_id(self) -> str:
        """The durable name of the gateway that fired it."""
        return self.wire.gateway_id

    @property
    def boot_id(self) -> str:
        """The gateway's process."""
        return self.wire.boot_id

    @property
    def traceparent(self) -> str:
        """W3C trace context; empty where the gateway gave none."""
        return self.wire.traceparent

    @property
    def draining(self) -> bool:
        """Whether its gateway is about to stop: a drain notice is in force."""
        return self.wire.gateway_id in self._batch.stream.drains

    def time_left(self) -> float:
        """What is left of the time that it has, in seconds, 0 at least; during a drain, no more than that leaves.

        Advice, not a fence: a later answer still counts.
        """
        drained = self._batch.stream.drains.get(self.wire.gateway_id, self._batch.deadline)
        return max(0.0, min(self._batch.deadline, drained) - time.monotonic())


def is_lifecycle(event: WireEvent) -> bool:
    """Starts and ends: what the dispatcher owes, and delivers until it is settled."""
    return event.HasField("session_start") or event.HasField("session_end")
