"""Which deliveries of one stream are answered, and the next Ack. Without I/O.

seq      1  2  3  4  5  6  7  8
answer   ok ok ok    ok    rj        prefix = 3: 4 is still in hand
Ack      through_seq 3, exceptions 5 OK, 7 REJECT: nobody waits for 4
"""

from __future__ import annotations

from bisect import bisect_right

from hookwire.answer import OK, Answer, to_exception
from hookwire.v1.hook_service_pb2 import Ack

EXCEPTIONS = 256
"""How many exceptions go into one Ack: with the longest words, half of the 256 KiB that a dispatcher reads."""


class Acks:
    """The answers of one stream. A new stream begins with a new one: answers count only where the delivery came."""

    def __init__(self) -> None:
        self._prefix = 0  # everything up to here is answered
        self._through = 0  # what through_seq has said so far
        # Answered beyond the prefix: runs, by their first numbers and their last. As many as there are gaps between them,
        # that is no more than what is in hand, however long one that hangs is waited for.
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        # To be sent as exceptions: answers that are not OK, and those that are, but stand beyond the prefix.
        self._unsent: dict[int, Answer] = {}

    def answer(self, seq: int, answer: Answer) -> None:
        """Takes down the answer to one delivery. The first one counts; 0 is no delivery."""
        if seq == self._prefix + 1 and not self._firsts:
            self._prefix = seq
            if answer is not OK:
                self._unsent[seq] = answer
        else:
            self._answer_ahead(seq, answer)

    def _answer_ahead(self, seq: int, answer: Answer) -> None:
        at = bisect_right(self._firsts, seq)
        if seq <= self._prefix or (at > 0 and seq <= self._lasts[at - 1]):
            return
        if seq != self._prefix + 1 or answer is not OK:
            self._unsent[seq] = answer
        self._insert(at, seq)
        if self._firsts[0] == self._prefix + 1:
            del self._firsts[0]
            self._prefix = self._lasts.pop(0)

    def _insert(self, at: int, seq: int) -> None:
        """Adds a number to the runs: at `at` stands the first run that begins behind it."""
        follows = at > 0 and self._lasts[at - 1] == seq - 1
        leads = at < len(self._firsts) and self._firsts[at] == seq + 1
        if follows and leads:
            self._lasts[at - 1] = self._lasts[at]
            del self._firsts[at], self._lasts[at]
        elif follows:
            self._lasts[at - 1] = seq
        elif leads:
            self._firsts[at] = seq
        else:
            self._firsts.insert(at, seq)
            self._lasts.insert(at, seq)

    def pending(self) -> bool:
        """Whether there is something to say."""
        return self._prefix > self._through or bool(self._unsent)

    def exceptions(self) -> int:
        """How many single answers wait to be sent."""
        return len(self._unsent)

    def take(self) -> Ack:
        """The next Ack. What does not fit is left for another."""
        # What the prefix has reached in time needs no word of its own.
        self._unsent = {seq: it for seq, it in self._unsent.items() if seq > self._prefix or it is not OK}
        now = sorted(self._unsent)
        left = now[EXCEPTIONS:]
        del now[EXCEPTIONS:]
        # An exception that is left for later must not be called OK by the prefix.
        through = min(self._prefix, left[0] - 1) if left else self._prefix
        moved = through > self._through
        self._through = through
        return Ack(
            through_seq=through if moved else 0,
            exceptions=[to_exception(seq, self._unsent.pop(seq)) for seq in now],
        )
