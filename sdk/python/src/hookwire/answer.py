"""What a handler says about one event."""

from __future__ import annotations

import enum
import math
from datetime import timedelta
from typing import Final, TypeAlias

from hookwire.v1 import hook_service_pb2 as wire

_LONGEST_TEXT = 256
_LONGEST_DELAY_MS = (1 << 32) - 1


class Done(enum.Enum):
    """The two answers that need no words. Both are promises: it survives this process's crash."""

    OK = "OK"
    """Done."""
    ACCEPTED = "ACCEPTED"
    """Persisted, and finished later."""


OK: Final = Done.OK
ACCEPTED: Final = Done.ACCEPTED


class Retry(Exception):
    """Not now: deliver it again. To be raised or returned.

    Only a `session_start` or a `session_end` is delivered again. **On any other event the dispatcher counts this as a
    `Reject`**: it does not come again.

    `text` is for a person to read; the wire takes 256 bytes of it. `after` is in seconds, an hour at most, rounded up to
    whole milliseconds; without it the dispatcher chooses, longer each time.
    """

    def __init__(self, text: str = "", *, after: float | timedelta | None = None) -> None:
        if isinstance(after, timedelta):
            after = after.total_seconds()
        if after is not None and math.isnan(after):
            raise ValueError("after is not a number")
        super().__init__(text)
        self.text = text
        self.after = after

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Retry) and (self.text, self.after) == (other.text, other.after)

    def __hash__(self) -> int:
        return hash((self.text, self.after))


class Reject(Exception):
    """Never again. To be raised or returned. A session whose start is rejected gets no end.

    `code` is short, for machines; `text` is for a person to read. The wire takes 256 bytes of each.
    """

    def __init__(self, code: str, text: str = "") -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text

    def __str__(self) -> str:
        return f"{self.code}: {self.text}" if self.text else self.code

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reject) and (self.code, self.text) == (other.code, other.text)

    def __hash__(self) -> int:
        return hash((self.code, self.text))


Answer: TypeAlias = Done | Retry | Reject
"""What became of one event."""


def read_answer(said: object) -> Answer:
    """Reads what a handler returned, or an answer that it raised; None is OK. Raises TypeError where it is no answer."""
    if said is None:
        return OK
    if isinstance(said, Done):
        return said
    # Made anew: an exception that was raised holds on to the frames that it went through.
    if isinstance(said, Retry):
        return Retry(said.text, after=said.after)
    if isinstance(said, Reject):
        return Reject(said.code, said.text)
    raise TypeError(f"a handler returned {said!r}: an answer is None, OK, ACCEPTED, a Retry or a Reject")


def of_exception(error: BaseException, *, lifecycle: bool) -> Answer:
    """What any exception says that is no answer itself: a start or an end comes again, another event does not."""
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return Retry(text) if lifecycle else Reject("exception", text)


def to_exception(seq: int, answer: Answer) -> wire.AckException:
    """The wire's form of it."""
    if isinstance(answer, Retry):
        delay = 0 if answer.after is None else _whole_millis(answer.after)
        return wire.AckException(seq=seq, status=wire.ACK_STATUS_RETRY, retry_after_ms=delay, text=_cut(answer.text))
    if isinstance(answer, Reject):
        return wire.AckException(seq=seq, status=wire.ACK_STATUS_REJECT, code=_cut(answer.code), text=_cut(answer.text))
    status = wire.ACK_STATUS_OK if answer is OK else wire.ACK_STATUS_ACCEPTED
    return wire.AckException(seq=seq, status=status)


def _whole_millis(seconds: float) -> int:
    """Rounded up, because 0 would leave the delay to the dispatcher."""
    return max(1, math.ceil(min(seconds * 1000, _LONGEST_DELAY_MS)))


def _cut(text: str) -> str:
    """An answer is a line, not a log: an Ack is full of them."""
    # A lone surrogate is no character that the wire could carry.
    return text.encode(errors="replace")[:_LONGEST_TEXT].decode(errors="ignore")
