"""Where a dispatcher listens."""

from __future__ import annotations

import os
import re

from hookwire.errors import InvalidAddress

ADDRESS_VARIABLE = "HOOKWIRE_ADDR"
"""The environment variable that names the dispatcher's address."""

DEFAULT_ADDRESS = "127.0.0.1:7400"
"""Where a dispatcher listens when nobody says otherwise."""

_HOST_AND_PORT = re.compile(r"(?:[^\s:/\[\]]+|\[[0-9A-Fa-f:.%]+\]):(?P<port>[0-9]{1,5})")
_LAST_PORT = 65_535


def resolve(given: str | None) -> str:
    """The address to dial: the one that is given, else what `HOOKWIRE_ADDR` says, else the default one.

    Raises InvalidAddress.
    """
    if given:
        return parse(given)
    return parse(os.environ.get(ADDRESS_VARIABLE) or DEFAULT_ADDRESS, f"{ADDRESS_VARIABLE}: ")


def parse(text: str, where: str = "") -> str:
    """Checks an address, `host:port` or `unix:/path`, that stands there. Raises InvalidAddress."""
    if text.startswith("unix:"):
        if text == "unix:":
            raise InvalidAddress(text, where)
        return text
    match = _HOST_AND_PORT.fullmatch(text)
    if match is None or int(match["port"]) > _LAST_PORT:
        raise InvalidAddress(text, where)
    return text
