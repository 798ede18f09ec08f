"""In order inside one session, side by side across sessions. Without I/O.

A lane is one session, or the gateway for what belongs to none. At most one turn of a lane is out at a time. A turn that is
`after_all` waits besides until every earlier turn of every lane is done.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar


class Turn:
    """One item's place in its lane. What is to be done in it is for subclasses to say."""

    __slots__ = ("after_all", "ahead", "arrival", "behind", "lane")

    def __init__(self, lane: str | None, *, after_all: bool = False) -> None:
        self.lane = lane
        self.after_all = after_all
        self.arrival = 0
        self.ahead = 0
        """For one that is `after_all`: how many earlier turns are not done."""
        self.behind: Turn | None = None
        """The next one of the lane."""


T = TypeVar("T", bound=Turn)


class Lanes(Generic[T]):
    """Turns on their way."""

    def __init__(self) -> None:
        self._arrivals = 0
        self._outstanding = 0
        self._last: dict[str | None, Turn] = {}  # a lane is here while it holds a turn
        self._barriers: list[T] = []  # those that are after all, and for which it is too early
        self._ready: deque[T] = deque()

    def __len__(self) -> int:
        """How many turns are not done, those out included."""
        return self._outstanding

    def push(self, turn: T) -> None:
        """Puts a turn at the end of its lane."""
        self._arrivals += 1
        turn.arrival = self._arrivals
        last = self._last.get(turn.lane)
        self._last[turn.lane] = turn
        if last is not None:
            last.behind = turn
        if turn.after_all and self._outstanding > 0:
            turn.ahead = self._outstanding
            self._barriers.append(turn)
        elif last is None:
            self._ready.append(turn)
        self._outstanding += 1

    def has_ready(self) -> bool:
        """Whether there is something whose turn it is."""
        return bool(self._ready)

    def pop(self) -> T | None:
        """The next one whose turn it is."""
        return self._ready.popleft() if self._ready else None

    def done(self, turn: T) -> None:
        """A turn is over: whoever waited for it steps up."""
        self._outstanding -= 1
        behind = turn.behind
        if behind is None:
            del self._last[turn.lane]
        elif not behind.after_all:
            self._ready.append(behind)  # type: ignore[arg-type]  # what is pushed is T
        if self._barriers:
            self._lower_barriers(turn.arrival)

    def _lower_barriers(self, arrival: int) -> None:
        for barrier in self._barriers:
            if arrival < barrier.arrival:
                barrier.ahead -= 1
        # What is ahead of nothing else is the first of its lane, too.
        self._ready.extend(barrier for barrier in self._barriers if barrier.ahead == 0)
        self._barriers = [barrier for barrier in self._barriers if barrier.ahead > 0]
