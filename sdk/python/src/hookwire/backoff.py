"""How long to wait before the next attempt to connect."""

from __future__ import annotations

import random

_FIRST = 0.1
_SOON = 0.4  # a dispatcher that is being upgraded is back in seconds, and so are its plugins
_EAGER = 25  # attempts for which the bound stays there: about five seconds
_LONGEST = 10.0


class Backoff:
    """Full jitter: each wait is anything from nothing to a bound that doubles, 100 ms at first and 10 s in the end.

    A dispatcher that comes back then meets its plugins one by one, not all at once.
    """

    def __init__(self) -> None:
        self.bound = _FIRST
        self.attempts = 0

    def next_wait(self) -> float:
        """The next wait, in seconds."""
        bound = self.bound
        self.attempts += 1
        self.bound = min(bound * 2, _SOON if self.attempts < _EAGER else _LONGEST)
        return random.uniform(0, bound)  # jitter is no secret

    def reset(self) -> None:
        """After a success: begin anew."""
        self.bound = _FIRST
        self.attempts = 0
