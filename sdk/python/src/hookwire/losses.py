"""What did not come, for the log."""

from __future__ import annotations

import logging
import time
from collections import Counter

from hookwire.v1 import hook_service_pb2 as wire

logger = logging.getLogger("hookwire")

_PAUSE = 5.0  # seconds between two lines: a plugin that is too slow is not to be made slower by its log


def name(enum: type[wire.GoodbyeReason] | type[wire.GapCause], value: int) -> str:
    """The name of an enum's value; its number, where that is not known here."""
    return enum.Name(value) if value in enum.values() else str(value)


class Losses:
    """The gaps of one stream, added up by their cause."""

    def __init__(self) -> None:
        self._lost: Counter[int] = Counter()
        self._told = -_PAUSE

    def warn_of(self, gap: wire.Gap) -> None:
        """Takes a gap down, and tells it if the last line was some time ago."""
        self._lost[gap.cause] += gap.count
        if time.monotonic() - self._told > _PAUSE:
            self.tell()

    def tell(self) -> None:
        """Tells what was not told so far."""
        for cause, count in self._lost.items():
            if cause == wire.GAP_CAUSE_EXPIRED:
                logger.warning("expired: the ends of %d sessions will not come", count)
            else:
                logger.warning("events lost: %d, %s", count, name(wire.GapCause, cause))
        self._lost.clear()
        self._told = time.monotonic()
