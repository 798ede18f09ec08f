"""A plugin in fifteen lines: prints what happens to sessions."""

import hookwire

plugin = hookwire.Plugin("hello")


@plugin.on("session_*")
async def hello(event: hookwire.Event) -> None:
    """Its return is the answer: OK."""
    print(event.hook, event.session.id, event.session.incarnation, flush=True)


plugin.run()
