"""What became of events that are settled, by their id: what comes again is answered as before, and not applied twice.

The order is: handler, `put`, ack. So a process that dies between handler and `put` applies the event again when it is back;
an effect that must happen once is keyed on (`ledger_id`, `incarnation`) or on the event's id, in the same transaction.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Protocol

from hookwire.answer import Answer

REMEMBERED = 100_000
"""How many answers a MemoryStore holds: some 30 MB where it comes to that."""


class Store(Protocol):
    """What a plugin remembers. It is asked for starts and ends; with a retention of ALL, for every event.

    An exception out of `get` counts as one of the handler's. One out of `put` or `forget` is logged, no more.
    """

    async def get(self, event_id: str) -> Answer | None:
        """What was put for this event, None where nothing was, or it is forgotten."""

    async def put(self, event_id: str, answer: Answer, ledger_id: str, stream_epoch: int) -> None:
        """Keeps an answer: OK, ACCEPTED or Reject. Put again under a later stream, it belongs to that one."""

    async def forget(self, ledger_id: str, stream_epoch: int) -> None:
        """Drops what is of another ledger, or of an earlier stream of this one: it does not come again."""


class MemoryStore:
    """The newest answers, for as long as the process lives; the oldest is dropped first."""

    def __init__(self, capacity: int = REMEMBERED) -> None:
        self._capacity = capacity
        self._answers: OrderedDict[str, tuple[Answer, str, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._answers)

    async def get(self, event_id: str) -> Answer | None:
        """See Store.get."""
        found = self._answers.get(event_id)
        return found[0] if found else None

    async def put(self, event_id: str, answer: Answer, ledger_id: str, stream_epoch: int) -> None:
        """See Store.put."""
        self._answers[event_id] = (answer, ledger_id, stream_epoch)
        self._answers.move_to_end(event_id)
        if len(self._answers) > self._capacity:
            self._answers.popitem(last=False)

    async def forget(self, ledger_id: str, stream_epoch: int) -> None:
        """See Store.forget."""
        self._answers = OrderedDict(
            (event_id, (answer, ledger, epoch))
            for event_id, (answer, ledger, epoch) in self._answers.items()
            if ledger == ledger_id and epoch >= stream_epoch
        )
