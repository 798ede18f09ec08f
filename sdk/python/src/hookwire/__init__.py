"""Write a Hookwire plugin.

A plugin says which hooks it wants, and gets each event with its session and the time that is left for it. What its handler
returns is the answer. Every session that it saw start, it sees end.

    import hookwire

    plugin = hookwire.Plugin("hello")


    @plugin.on("session_*")
    async def hello(event: hookwire.Event) -> None:
        print(event.hook, event.session.id, event.session.incarnation)


    plugin.run()

The way of an event:

               dispatcher
        EventBatch │  ▲ Ack
     ┌─────────────▼──┴────────────┐  run      stream after stream, backoff between them
     │        link, stream         │           Hello … Goodbye
     ├─────────────────────────────┤
     │ routes   whose code is it?  │
     │ work     in hand already?   ├──► the same answer, when it is there
     │ lanes    one per session    │
     │ store    settled before?    ├──► the same answer
     │   your handler → answer     │
     │ acks     what to say next   │
     └─────────────────────────────┘
"""

from hookwire.address import ADDRESS_VARIABLE, DEFAULT_ADDRESS
from hookwire.answer import ACCEPTED, OK, Answer, Reject, Retry
from hookwire.errors import Displaced, HookwireError, InvalidAddress, Refused
from hookwire.event import Event, Kind
from hookwire.plugin import Plugin, Retention
from hookwire.sqlite_store import SqliteStore
from hookwire.store import MemoryStore, Store
from hookwire.sweep import Sweep
from hookwire.v1.event_pb2 import Disposition, Session, SessionEnd, SessionEndReason, SessionStart
from hookwire.v1.hook_service_pb2 import DrainNotice

__all__ = [
    "ACCEPTED",
    "ADDRESS_VARIABLE",
    "DEFAULT_ADDRESS",
    "OK",
    "Answer",
    "Displaced",
    "Disposition",
    "DrainNotice",
    "Event",
    "HookwireError",
    "InvalidAddress",
    "Kind",
    "MemoryStore",
    "Plugin",
    "Refused",
    "Reject",
    "Retention",
    "Retry",
    "Session",
    "SessionEnd",
    "SessionEndReason",
    "SessionStart",
    "SqliteStore",
    "Store",
    "Sweep",
]
