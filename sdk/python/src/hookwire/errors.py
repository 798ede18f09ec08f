"""Why a plugin cannot go on."""

from __future__ import annotations

import grpc


class HookwireError(Exception):
    """Any of the errors below. A lost connection is none: that one is dialled again."""

    exit_code = 1
    """What a program ends with for it."""


class InvalidAddress(HookwireError, ValueError):
    """A text that is no address."""

    def __init__(self, text: str, where: str = "") -> None:
        super().__init__(f"{where}{text!r} is no address: write host:port, [v6]:port or unix:/path")


class Refused(HookwireError):
    """The dispatcher does not want this plugin as it is; asking again would not help."""

    exit_code = 76
    """`EX_PROTOCOL`, so that a supervisor can tell it from a crash."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"refused by the dispatcher: {code}: {text}")
        self.code = code
        self.text = text


class Displaced(HookwireError):
    """Another process runs under this plugin's name now. Coming back would displace it in turn."""

    exit_code = 76
    """`EX_PROTOCOL`, as for Refused."""

    def __init__(self, text: str = "") -> None:
        super().__init__(f"displaced by another process of the same name{': ' if text else ''}{text}")
        self.text = text


class Lost(Exception):
    """A stream ended, and is worth another attempt, after `wait` seconds and some jitter. For the SDK alone."""

    def __init__(self, why: str, wait: float = 0.0) -> None:
        super().__init__(why)
        self.wait = wait


# A dispatcher understood, and said no. Any other status is one of a transport, or of a dispatcher that is not there now.
_REFUSALS = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.UNAUTHENTICATED,
    }
)


def of_status(code: grpc.StatusCode, text: str) -> Lost | Refused | Displaced:
    """What a status that is not OK means."""
    if code is grpc.StatusCode.ALREADY_EXISTS:
        return Displaced(text)
    if code in _REFUSALS:
        return Refused(code.name, text)
    return Lost(f"{code.name}: {text}")
