from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class BootState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BOOT_STATE_UNSPECIFIED: _ClassVar[BootState]
    BOOT_STATE_ATTACHED: _ClassVar[BootState]
    BOOT_STATE_DETACHED: _ClassVar[BootState]
    BOOT_STATE_DRAINING: _ClassVar[BootState]
    BOOT_STATE_OVER: _ClassVar[BootState]
BOOT_STATE_UNSPECIFIED: BootState
BOOT_STATE_ATTACHED: BootState
BOOT_STATE_DETACHED: BootState
BOOT_STATE_DRAINING: BootState
BOOT_STATE_OVER: BootState

class HandOverRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class HandOverResponse(_message.Message):
    __slots__ = ("ledger_id", "live_sessions", "ends_owed")
    LEDGER_ID_FIELD_NUMBER: _ClassVar[int]
    LIVE_SESSIONS_FIELD_NUMBER: _ClassVar[int]
    ENDS_OWED_FIELD_NUMBER: _ClassVar[int]
    ledger_id: str
    live_sessions: int
    ends_owed: int
    def __init__(self, ledger_id: _Optional[str] = ..., live_sessions: _Optional[int] = ..., ends_owed: _Optional[int] = ...) -> None: ...

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStatusResponse(_message.Message):
    __slots__ = ("server_version", "ledger_id", "durable", "uptime_ms", "live_sessions", "gateways", "subscribers", "counters", "journal_failure")
    class CountersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    SERVER_VERSION_FIELD_NUMBER: _ClassVar[int]
    LEDGER_ID_FIELD_NUMBER: _ClassVar[int]
    DURABLE_FIELD_NUMBER: _ClassVar[int]
    UPTIME_MS_FIELD_NUMBER: _ClassVar[int]
    LIVE_SESSIONS_FIELD_NUMBER: _ClassVar[int]
    GATEWAYS_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIBERS_FIELD_NUMBER: _ClassVar[int]
    COUNTERS_FIELD_NUMBER: _ClassVar[int]
    JOURNAL_FAILURE_FIELD_NUMBER: _ClassVar[int]
    server_version: str
    ledger_id: str
    durable: bool
    uptime_ms: int
    live_sessions: int
    gateways: _containers.RepeatedCompositeFieldContainer[GatewayStatus]
    subscribers: _containers.RepeatedCompositeFieldContainer[SubscriberStatus]
    counters: _containers.ScalarMap[str, int]
    journal_failure: str
    def __init__(self, server_version: _Optional[str] = ..., ledger_id: _Optional[str] = ..., durable: bool = ..., uptime_ms: _Optional[int] = ..., live_sessions: _Optional[int] = ..., gateways: _Optional[_Iterable[_Union[GatewayStatus, _Mapping]]] = ..., subscribers: _Optional[_Iterable[_Union[SubscriberStatus, _Mapping]]] = ..., counters: _Optional[_Mapping[str, int]] = ..., journal_failure: _Optional[str] = ...) -> None: ...

class GatewayStatus(_message.Message):
    __slots__ = ("id", "boot_id", "state", "streams", "live_sessions")
    ID_FIELD_NUMBER: _ClassVar[int]
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    STREAMS_FIELD_NUMBER: _ClassVar[int]
    LIVE_SESSIONS_FIELD_NUMBER: _ClassVar[int]
    id: str
    boot_id: str
    state: BootState
    streams: int
    live_sessions: int
    def __init__(self, id: _Optional[str] = ..., boot_id: _Optional[str] = ..., state: _Optional[_Union[BootState, str]] = ..., streams: _Optional[int] = ..., live_sessions: _Optional[int] = ...) -> None: ...

class SubscriberStatus(_message.Message):
    __slots__ = ("id", "connected", "instance_id", "in_flight", "queued", "queued_bytes", "open", "owed", "last_ack_ms", "acked", "lost", "timed_out", "retrying", "expired", "away_ms")
    ID_FIELD_NUMBER: _ClassVar[int]
    CONNECTED_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    QUEUED_BYTES_FIELD_NUMBER: _ClassVar[int]
    OPEN_FIELD_NUMBER: _ClassVar[int]
    OWED_FIELD_NUMBER: _ClassVar[int]
    LAST_ACK_MS_FIELD_NUMBER: _ClassVar[int]
    ACKED_FIELD_NUMBER: _ClassVar[int]
    LOST_FIELD_NUMBER: _ClassVar[int]
    TIMED_OUT_FIELD_NUMBER: _ClassVar[int]
    RETRYING_FIELD_NUMBER: _ClassVar[int]
    EXPIRED_FIELD_NUMBER: _ClassVar[int]
    AWAY_MS_FIELD_NUMBER: _ClassVar[int]
    id: str
    connected: bool
    instance_id: str
    in_flight: int
    queued: int
    queued_bytes: int
    open: int
    owed: int
    last_ack_ms: int
    acked: int
    lost: int
    timed_out: int
    retrying: int
    expired: int
    away_ms: int
    def __init__(self, id: _Optional[str] = ..., connected: bool = ..., instance_id: _Optional[str] = ..., in_flight: _Optional[int] = ..., queued: _Optional[int] = ..., queued_bytes: _Optional[int] = ..., open: _Optional[int] = ..., owed: _Optional[int] = ..., last_ack_ms: _Optional[int] = ..., acked: _Optional[int] = ..., lost: _Optional[int] = ..., timed_out: _Optional[int] = ..., retrying: _Optional[int] = ..., expired: _Optional[int] = ..., away_ms: _Optional[int] = ...) -> None: ...

class ForgetSubscriberRequest(_message.Message):
    __slots__ = ("subscriber_id",)
    SUBSCRIBER_ID_FIELD_NUMBER: _ClassVar[int]
    subscriber_id: str
    def __init__(self, subscriber_id: _Optional[str] = ...) -> None: ...

class ForgetSubscriberResponse(_message.Message):
    __slots__ = ("entries_released", "ends_owed")
    ENTRIES_RELEASED_FIELD_NUMBER: _ClassVar[int]
    ENDS_OWED_FIELD_NUMBER: _ClassVar[int]
    entries_released: int
    ends_owed: int
    def __init__(self, entries_released: _Optional[int] = ..., ends_owed: _Optional[int] = ...) -> None: ...
