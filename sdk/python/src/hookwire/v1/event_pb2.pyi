from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SessionEndReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SESSION_END_REASON_UNSPECIFIED: _ClassVar[SessionEndReason]
    SESSION_END_REASON_NEW: _ClassVar[SessionEndReason]
    SESSION_END_REASON_RESET: _ClassVar[SessionEndReason]
    SESSION_END_REASON_IDLE: _ClassVar[SessionEndReason]
    SESSION_END_REASON_DAILY: _ClassVar[SessionEndReason]
    SESSION_END_REASON_DELETED: _ClassVar[SessionEndReason]
    SESSION_END_REASON_COMPACTION: _ClassVar[SessionEndReason]
    SESSION_END_REASON_SHUTDOWN: _ClassVar[SessionEndReason]
    SESSION_END_REASON_RESTART: _ClassVar[SessionEndReason]
    SESSION_END_REASON_UNKNOWN: _ClassVar[SessionEndReason]
    SESSION_END_REASON_LOST: _ClassVar[SessionEndReason]

class Disposition(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DISPOSITION_UNSPECIFIED: _ClassVar[Disposition]
    DISPOSITION_ENDED: _ClassVar[Disposition]
    DISPOSITION_MOVED: _ClassVar[Disposition]
    DISPOSITION_SUSPENDED: _ClassVar[Disposition]
    DISPOSITION_UNKNOWN: _ClassVar[Disposition]

class StopReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STOP_REASON_UNSPECIFIED: _ClassVar[StopReason]
    STOP_REASON_SHUTDOWN: _ClassVar[StopReason]
    STOP_REASON_RESTART: _ClassVar[StopReason]
SESSION_END_REASON_UNSPECIFIED: SessionEndReason
SESSION_END_REASON_NEW: SessionEndReason
SESSION_END_REASON_RESET: SessionEndReason
SESSION_END_REASON_IDLE: SessionEndReason
SESSION_END_REASON_DAILY: SessionEndReason
SESSION_END_REASON_DELETED: SessionEndReason
SESSION_END_REASON_COMPACTION: SessionEndReason
SESSION_END_REASON_SHUTDOWN: SessionEndReason
SESSION_END_REASON_RESTART: SessionEndReason
SESSION_END_REASON_UNKNOWN: SessionEndReason
SESSION_END_REASON_LOST: SessionEndReason
DISPOSITION_UNSPECIFIED: Disposition
DISPOSITION_ENDED: Disposition
DISPOSITION_MOVED: Disposition
DISPOSITION_SUSPENDED: Disposition
DISPOSITION_UNKNOWN: Disposition
STOP_REASON_UNSPECIFIED: StopReason
STOP_REASON_SHUTDOWN: StopReason
STOP_REASON_RESTART: StopReason

class Event(_message.Message):
    __slots__ = ("id", "hook", "gateway_id", "boot_id", "session", "session_seq", "time_unix_nano", "traceparent", "synthetic", "late", "json", "session_start", "session_end", "gateway_start", "gateway_stop")
    ID_FIELD_NUMBER: _ClassVar[int]
    HOOK_FIELD_NUMBER: _ClassVar[int]
    GATEWAY_ID_FIELD_NUMBER: _ClassVar[int]
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    SESSION_SEQ_FIELD_NUMBER: _ClassVar[int]
    TIME_UNIX_NANO_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    SYNTHETIC_FIELD_NUMBER: _ClassVar[int]
    LATE_FIELD_NUMBER: _ClassVar[int]
    JSON_FIELD_NUMBER: _ClassVar[int]
    SESSION_START_FIELD_NUMBER: _ClassVar[int]
    SESSION_END_FIELD_NUMBER: _ClassVar[int]
    GATEWAY_START_FIELD_NUMBER: _ClassVar[int]
    GATEWAY_STOP_FIELD_NUMBER: _ClassVar[int]
    id: str
    hook: str
    gateway_id: str
    boot_id: str
    session: Session
    session_seq: int
    time_unix_nano: int
    traceparent: str
    synthetic: bool
    late: bool
    json: bytes
    session_start: SessionStart
    session_end: SessionEnd
    gateway_start: GatewayStart
    gateway_stop: GatewayStop
    def __init__(self, id: _Optional[str] = ..., hook: _Optional[str] = ..., gateway_id: _Optional[str] = ..., boot_id: _Optional[str] = ..., session: _Optional[_Union[Session, _Mapping]] = ..., session_seq: _Optional[int] = ..., time_unix_nano: _Optional[int] = ..., traceparent: _Optional[str] = ..., synthetic: bool = ..., late: bool = ..., json: _Optional[bytes] = ..., session_start: _Optional[_Union[SessionStart, _Mapping]] = ..., session_end: _Optional[_Union[SessionEnd, _Mapping]] = ..., gateway_start: _Optional[_Union[GatewayStart, _Mapping]] = ..., gateway_stop: _Optional[_Union[GatewayStop, _Mapping]] = ...) -> None: ...

class Session(_message.Message):
    __slots__ = ("id", "key", "agent_id", "incarnation")
    ID_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    id: str
    key: str
    agent_id: str
    incarnation: int
    def __init__(self, id: _Optional[str] = ..., key: _Optional[str] = ..., agent_id: _Optional[str] = ..., incarnation: _Optional[int] = ...) -> None: ...

class SessionStart(_message.Message):
    __slots__ = ("resumed_from", "previous_incarnation", "previous_reason", "session_file")
    RESUMED_FROM_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_INCARNATION_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_REASON_FIELD_NUMBER: _ClassVar[int]
    SESSION_FILE_FIELD_NUMBER: _ClassVar[int]
    resumed_from: str
    previous_incarnation: int
    previous_reason: SessionEndReason
    session_file: str
    def __init__(self, resumed_from: _Optional[str] = ..., previous_incarnation: _Optional[int] = ..., previous_reason: _Optional[_Union[SessionEndReason, str]] = ..., session_file: _Optional[str] = ...) -> None: ...

class SessionEnd(_message.Message):
    __slots__ = ("reason", "disposition", "next_session_id", "next_session_key", "last_session_seq", "last_activity_unix_nano", "session_file")
    REASON_FIELD_NUMBER: _ClassVar[int]
    DISPOSITION_FIELD_NUMBER: _ClassVar[int]
    NEXT_SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    NEXT_SESSION_KEY_FIELD_NUMBER: _ClassVar[int]
    LAST_SESSION_SEQ_FIELD_NUMBER: _ClassVar[int]
    LAST_ACTIVITY_UNIX_NANO_FIELD_NUMBER: _ClassVar[int]
    SESSION_FILE_FIELD_NUMBER: _ClassVar[int]
    reason: SessionEndReason
    disposition: Disposition
    next_session_id: str
    next_session_key: str
    last_session_seq: int
    last_activity_unix_nano: int
    session_file: str
    def __init__(self, reason: _Optional[_Union[SessionEndReason, str]] = ..., disposition: _Optional[_Union[Disposition, str]] = ..., next_session_id: _Optional[str] = ..., next_session_key: _Optional[str] = ..., last_session_seq: _Optional[int] = ..., last_activity_unix_nano: _Optional[int] = ..., session_file: _Optional[str] = ...) -> None: ...

class GatewayStart(_message.Message):
    __slots__ = ("port",)
    PORT_FIELD_NUMBER: _ClassVar[int]
    port: int
    def __init__(self, port: _Optional[int] = ...) -> None: ...

class GatewayStop(_message.Message):
    __slots__ = ("reason", "text")
    REASON_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    reason: StopReason
    text: str
    def __init__(self, reason: _Optional[_Union[StopReason, str]] = ..., text: _Optional[str] = ...) -> None: ...
