"""The plugin author's code, and which of it gets an event."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from hookwire.answer import Answer
from hookwire.event import Event
from hookwire.sweep import Sweep
from hookwire.v1.hook_service_pb2 import DrainNotice

Handler: TypeAlias = Callable[[Event], Answer | Awaitable[Answer | None] | None]
DrainHandler: TypeAlias = Callable[[DrainNotice], Awaitable[object] | object]
SweepHandler: TypeAlias = Callable[[Sweep], Awaitable[object] | object]

_NAMES = 1_024  # hooks' names that are remembered: gateways have tens, but what they send is no bound


@dataclass(frozen=True, slots=True)
class Author:
    """One function of the author's."""

    call: Callable[[Any], Any]
    in_thread: bool
    """A plain `def` may block: it is called in a thread."""

    @classmethod
    def of(cls, function: Callable[[Any], Any]) -> Author:
        """Looks whether it is `async def`, also under a `functools.partial` or as an object's `__call__`."""
        inner: Any = function
        while isinstance(inner, functools.partial):
            inner = inner.func
        is_async = inspect.iscoroutinefunction(inner) or inspect.iscoroutinefunction(
            getattr(inner, "__call__", None)  # noqa: B004 - not whether it can be called, but how
        )
        return cls(function, in_thread=not is_async)


class Routes:
    """All of the author's code."""

    def __init__(self) -> None:
        self.globs: list[str] = []
        self.drain: Author | None = None
        self.sweep: Author | None = None
        self._hooks: list[tuple[re.Pattern[str], Author]] = []
        self._known: dict[str, Author | None] = {}

    def add(self, glob: str, author: Author) -> None:
        """One more glob, behind those that are there."""
        self.globs.append(glob)
        self._hooks.append((_pattern(glob), author))
        self._known.clear()

    def find(self, hook: str) -> Author | None:
        """The first whose glob matches the hook. A name is matched once, and then known."""
        try:
            return self._known[hook]
        except KeyError:
            author = next((author for glob, author in self._hooks if glob.fullmatch(hook)), None)
            if len(self._known) < _NAMES:
                self._known[hook] = author
            return author


def _pattern(glob: str) -> re.Pattern[str]:
    """Only `*` and `?` mean anything, as at the dispatcher."""
    return re.compile(re.escape(glob).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)
