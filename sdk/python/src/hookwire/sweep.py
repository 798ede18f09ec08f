"""The moment at which a plugin knows what it is owed."""

from __future__ import annotations

from dataclasses import dataclass, field

from hookwire.event import StreamFacts


@dataclass(slots=True)
class Sweep:
    """Everything from before this stream has been handled.

    What the plugin's own store holds open and is owed no end is a ghost: close it now.
    """

    stream: StreamFacts = field(repr=False)
    known: bool
    """Whether the dispatcher remembers this plugin. If not, only what this stream named is owed an end."""
    announced: bool = field(repr=False)
    named: set[int] = field(repr=False)

    @property
    def ledger_id(self) -> str:
        """The ledger that this stream belongs to."""
        return self.stream.ledger_id

    def is_owed(self, ledger_id: str, incarnation: int) -> bool:
        """Whether the end of this life is still to come, or came on this stream.

        Exact with `announce`; without it, a life that a dispatcher which remembers this plugin did not name counts as owed.
        """
        return ledger_id == self.ledger_id and (incarnation in self.named or (self.known and not self.announced))
