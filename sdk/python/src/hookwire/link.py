"""The transport: one call over one connection."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias

import grpc
import grpc.aio

from hookwire.errors import Lost, of_status
from hookwire.v1.hook_service_pb2 import SubscribeRequest, SubscribeResponse

MAX_MESSAGE_BYTES = 64 << 20
"""The largest message that is taken in: gRPC stops at 4 MiB by itself, and an operator may have raised what is sent."""

KEEPALIVE = 10.0
"""Seconds of silence after which the dispatcher is asked whether it is there, and that it has to answer."""


def _options() -> list[tuple[str, str | int]]:
    keepalive_ms = int(KEEPALIVE * 1000)
    return [
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.keepalive_time_ms", keepalive_ms),
        ("grpc.keepalive_timeout_ms", keepalive_ms),
        ("grpc.http2.ping_timeout_ms", keepalive_ms),  # or else it is a minute, whatever the line above says
        ("grpc.http2.max_pings_without_data", 0),  # or else it stops asking on a stream on which nothing happens
        # When to dial again is for us to say: each attempt has a connection of its own.
        ("grpc.use_local_subchannel_pool", 1),
        # A proxy is for what the plugin itself fetches.
        ("grpc.enable_http_proxy", 0),
    ]


class Link(Protocol):
    """A call that has begun."""

    async def write(self, request: SubscribeRequest) -> None:
        """Sends, as soon as the transport takes more. Raises Lost where it never will."""

    async def read(self) -> SubscribeResponse:
        """What comes next. Raises Lost, Refused or Displaced at the end."""

    async def done_writing(self) -> None:
        """Closes this side. Raises Lost."""

    async def close(self) -> None:
        """Hangs up."""


Dial: TypeAlias = Callable[[], Awaitable[Link]]
"""Begins a call. Whether anybody answers shows later."""


def dialer(address: str) -> Dial:
    """Dials an address, `host:port` or `unix:/path`."""

    async def dial() -> Link:
        return GrpcLink(address)

    return dial


class GrpcLink:
    """A `Subscribe` call."""

    def __init__(self, address: str) -> None:
        if address.startswith("unix:"):
            # Otherwise gRPC would send the path, which no HTTP/2 server takes.
            target, options = address, [*_options(), ("grpc.default_authority", "localhost")]
        else:
            target, options = f"dns:///{address}", _options()
        self._channel = grpc.aio.insecure_channel(target, options)
        call: grpc.aio.StreamStreamMultiCallable[SubscribeRequest, SubscribeResponse]
        call = self._channel.stream_stream(
            "/hookwire.v1.HookService/Subscribe",
            request_serializer=SubscribeRequest.SerializeToString,
            response_deserializer=SubscribeResponse.FromString,
        )
        self._call = call()
        # As an iterator it hands out what has arrived even where a write has failed; `call.read()` would not.
        self._incoming = aiter(self._call)

    async def write(self, request: SubscribeRequest) -> None:
        """See Link.write."""
        try:
            await self._call.write(request)
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError) as error:
            raise Lost("the stream broke under a message") from error

    async def read(self) -> SubscribeResponse:
        """See Link.read."""
        try:
            message = await anext(self._incoming, None)
        except grpc.aio.AioRpcError as error:
            raise of_status(error.code(), error.details() or "") from None
        if message is None:
            raise Lost("closed without a goodbye")
        return message

    async def done_writing(self) -> None:
        """See Link.done_writing."""
        try:
            await self._call.done_writing()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError) as error:
            raise Lost("the stream broke under the goodbye") from error

    async def close(self) -> None:
        """See Link.close."""
        self._call.cancel()
        await self._channel.close()
