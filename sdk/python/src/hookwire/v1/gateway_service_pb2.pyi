from hookwire.v1 import event_pb2 as _event_pb2
from hookwire.v1 import hook_service_pb2 as _hook_service_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RefusalCode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REFUSAL_CODE_UNSPECIFIED: _ClassVar[RefusalCode]
    REFUSAL_CODE_INVALID: _ClassVar[RefusalCode]
    REFUSAL_CODE_TOO_LARGE: _ClassVar[RefusalCode]
    REFUSAL_CODE_BOOT_OVER: _ClassVar[RefusalCode]
REFUSAL_CODE_UNSPECIFIED: RefusalCode
REFUSAL_CODE_INVALID: RefusalCode
REFUSAL_CODE_TOO_LARGE: RefusalCode
REFUSAL_CODE_BOOT_OVER: RefusalCode

class AttachRequest(_message.Message):
    __slots__ = ("hello", "publish")
    class Hello(_message.Message):
        __slots__ = ("gateway_id", "boot_id", "emitter_id", "live_sessions", "resend_through", "client_name", "client_version")
        GATEWAY_ID_FIELD_NUMBER: _ClassVar[int]
        BOOT_ID_FIELD_NUMBER: _ClassVar[int]
        EMITTER_ID_FIELD_NUMBER: _ClassVar[int]
        LIVE_SESSIONS_FIELD_NUMBER: _ClassVar[int]
        RESEND_THROUGH_FIELD_NUMBER: _ClassVar[int]
        CLIENT_NAME_FIELD_NUMBER: _ClassVar[int]
        CLIENT_VERSION_FIELD_NUMBER: _ClassVar[int]
        gateway_id: str
        boot_id: str
        emitter_id: str
        live_sessions: LiveSessions
        resend_through: int
        client_name: str
        client_version: str
        def __init__(self, gateway_id: _Optional[str] = ..., boot_id: _Optional[str] = ..., emitter_id: _Optional[str] = ..., live_sessions: _Optional[_Union[LiveSessions, _Mapping]] = ..., resend_through: _Optional[int] = ..., client_name: _Optional[str] = ..., client_version: _Optional[str] = ...) -> None: ...
    HELLO_FIELD_NUMBER: _ClassVar[int]
    PUBLISH_FIELD_NUMBER: _ClassVar[int]
    hello: AttachRequest.Hello
    publish: Publish
    def __init__(self, hello: _Optional[_Union[AttachRequest.Hello, _Mapping]] = ..., publish: _Optional[_Union[Publish, _Mapping]] = ...) -> None: ...

class LiveSessions(_message.Message):
    __slots__ = ("sessions",)
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    sessions: _containers.RepeatedCompositeFieldContainer[SessionRef]
    def __init__(self, sessions: _Optional[_Iterable[_Union[SessionRef, _Mapping]]] = ...) -> None: ...

class Publish(_message.Message):
    __slots__ = ("first_publish_seq", "events")
    FIRST_PUBLISH_SEQ_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    first_publish_seq: int
    events: _containers.RepeatedCompositeFieldContainer[GatewayEvent]
    def __init__(self, first_publish_seq: _Optional[int] = ..., events: _Optional[_Iterable[_Union[GatewayEvent, _Mapping]]] = ...) -> None: ...

class GatewayEvent(_message.Message):
    __slots__ = ("hook", "session", "time_unix_nano", "traceparent", "json", "session_start", "session_end", "gateway_start", "gateway_stop")
    HOOK_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    TIME_UNIX_NANO_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    JSON_FIELD_NUMBER: _ClassVar[int]
    SESSION_START_FIELD_NUMBER: _ClassVar[int]
    SESSION_END_FIELD_NUMBER: _ClassVar[int]
    GATEWAY_START_FIELD_NUMBER: _ClassVar[int]
    GATEWAY_STOP_FIELD_NUMBER: _ClassVar[int]
    hook: str
    session: SessionRef
    time_unix_nano: int
    traceparent: str
    json: bytes
    session_start: _event_pb2.SessionStart
    session_end: _event_pb2.SessionEnd
    gateway_start: _event_pb2.GatewayStart
    gateway_stop: _event_pb2.GatewayStop
    def __init__(self, hook: _Optional[str] = ..., session: _Optional[_Union[SessionRef, _Mapping]] = ..., time_unix_nano: _Optional[int] = ..., traceparent: _Optional[str] = ..., json: _Optional[bytes] = ..., session_start: _Optional[_Union[_event_pb2.SessionStart, _Mapping]] = ..., session_end: _Optional[_Union[_event_pb2.SessionEnd, _Mapping]] = ..., gateway_start: _Optional[_Union[_event_pb2.GatewayStart, _Mapping]] = ..., gateway_stop: _Optional[_Union[_event_pb2.GatewayStop, _Mapping]] = ...) -> None: ...

class SessionRef(_message.Message):
    __slots__ = ("id", "key", "agent_id")
    ID_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    key: str
    agent_id: str
    def __init__(self, id: _Optional[str] = ..., key: _Optional[str] = ..., agent_id: _Optional[str] = ...) -> None: ...

class AttachResponse(_message.Message):
    __slots__ = ("welcome", "receipt", "goodbye")
    class Welcome(_message.Message):
        __slots__ = ("ledger_id", "resume_after", "max_event_bytes", "drain_budget_ms", "server_version")
        LEDGER_ID_FIELD_NUMBER: _ClassVar[int]
        RESUME_AFTER_FIELD_NUMBER: _ClassVar[int]
        MAX_EVENT_BYTES_FIELD_NUMBER: _ClassVar[int]
        DRAIN_BUDGET_MS_FIELD_NUMBER: _ClassVar[int]
        SERVER_VERSION_FIELD_NUMBER: _ClassVar[int]
        ledger_id: str
        resume_after: int
        max_event_bytes: int
        drain_budget_ms: int
        server_version: str
        def __init__(self, ledger_id: _Optional[str] = ..., resume_after: _Optional[int] = ..., max_event_bytes: _Optional[int] = ..., drain_budget_ms: _Optional[int] = ..., server_version: _Optional[str] = ...) -> None: ...
    class Goodbye(_message.Message):
        __slots__ = ("reason", "reconnect_after_ms", "text")
        REASON_FIELD_NUMBER: _ClassVar[int]
        RECONNECT_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
        TEXT_FIELD_NUMBER: _ClassVar[int]
        reason: _hook_service_pb2.GoodbyeReason
        reconnect_after_ms: int
        text: str
        def __init__(self, reason: _Optional[_Union[_hook_service_pb2.GoodbyeReason, str]] = ..., reconnect_after_ms: _Optional[int] = ..., text: _Optional[str] = ...) -> None: ...
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    GOODBYE_FIELD_NUMBER: _ClassVar[int]
    welcome: AttachResponse.Welcome
    receipt: Receipt
    goodbye: AttachResponse.Goodbye
    def __init__(self, welcome: _Optional[_Union[AttachResponse.Welcome, _Mapping]] = ..., receipt: _Optional[_Union[Receipt, _Mapping]] = ..., goodbye: _Optional[_Union[AttachResponse.Goodbye, _Mapping]] = ...) -> None: ...

class Receipt(_message.Message):
    __slots__ = ("through_publish_seq", "refused")
    THROUGH_PUBLISH_SEQ_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    through_publish_seq: int
    refused: _containers.RepeatedCompositeFieldContainer[Refusal]
    def __init__(self, through_publish_seq: _Optional[int] = ..., refused: _Optional[_Iterable[_Union[Refusal, _Mapping]]] = ...) -> None: ...

class Refusal(_message.Message):
    __slots__ = ("publish_seq", "code", "text")
    PUBLISH_SEQ_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    publish_seq: int
    code: RefusalCode
    text: str
    def __init__(self, publish_seq: _Optional[int] = ..., code: _Optional[_Union[RefusalCode, str]] = ..., text: _Optional[str] = ...) -> None: ...

class DrainRequest(_message.Message):
    __slots__ = ("gateway_id", "boot_id", "reason", "budget_ms", "restart_expected_ms")
    GATEWAY_ID_FIELD_NUMBER: _ClassVar[int]
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    BUDGET_MS_FIELD_NUMBER: _ClassVar[int]
    RESTART_EXPECTED_MS_FIELD_NUMBER: _ClassVar[int]
    gateway_id: str
    boot_id: str
    reason: _event_pb2.StopReason
    budget_ms: int
    restart_expected_ms: int
    def __init__(self, gateway_id: _Optional[str] = ..., boot_id: _Optional[str] = ..., reason: _Optional[_Union[_event_pb2.StopReason, str]] = ..., budget_ms: _Optional[int] = ..., restart_expected_ms: _Optional[int] = ...) -> None: ...

class DrainResponse(_message.Message):
    __slots__ = ("progress", "report")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    progress: DrainProgress
    report: DrainReport
    def __init__(self, progress: _Optional[_Union[DrainProgress, _Mapping]] = ..., report: _Optional[_Union[DrainReport, _Mapping]] = ...) -> None: ...

class DrainProgress(_message.Message):
    __slots__ = ("owed", "settled", "waiting_for", "left_ms")
    OWED_FIELD_NUMBER: _ClassVar[int]
    SETTLED_FIELD_NUMBER: _ClassVar[int]
    WAITING_FOR_FIELD_NUMBER: _ClassVar[int]
    LEFT_MS_FIELD_NUMBER: _ClassVar[int]
    owed: int
    settled: int
    waiting_for: _containers.RepeatedScalarFieldContainer[str]
    left_ms: int
    def __init__(self, owed: _Optional[int] = ..., settled: _Optional[int] = ..., waiting_for: _Optional[_Iterable[str]] = ..., left_ms: _Optional[int] = ...) -> None: ...

class DrainReport(_message.Message):
    __slots__ = ("reason", "scope", "durable", "budget_ms", "elapsed_ms", "last_ack_ms", "sessions_ended", "subscribers")
    REASON_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    DURABLE_FIELD_NUMBER: _ClassVar[int]
    BUDGET_MS_FIELD_NUMBER: _ClassVar[int]
    ELAPSED_MS_FIELD_NUMBER: _ClassVar[int]
    LAST_ACK_MS_FIELD_NUMBER: _ClassVar[int]
    SESSIONS_ENDED_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIBERS_FIELD_NUMBER: _ClassVar[int]
    reason: _event_pb2.StopReason
    scope: str
    durable: bool
    budget_ms: int
    elapsed_ms: int
    last_ack_ms: int
    sessions_ended: int
    subscribers: _containers.RepeatedCompositeFieldContainer[SubscriberReport]
    def __init__(self, reason: _Optional[_Union[_event_pb2.StopReason, str]] = ..., scope: _Optional[str] = ..., durable: bool = ..., budget_ms: _Optional[int] = ..., elapsed_ms: _Optional[int] = ..., last_ack_ms: _Optional[int] = ..., sessions_ended: _Optional[int] = ..., subscribers: _Optional[_Iterable[_Union[SubscriberReport, _Mapping]]] = ...) -> None: ...

class SubscriberReport(_message.Message):
    __slots__ = ("id", "owed", "acked", "accepted", "rejected", "timed_out", "unreachable", "retried", "carried_over", "slowest")
    ID_FIELD_NUMBER: _ClassVar[int]
    OWED_FIELD_NUMBER: _ClassVar[int]
    ACKED_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    TIMED_OUT_FIELD_NUMBER: _ClassVar[int]
    UNREACHABLE_FIELD_NUMBER: _ClassVar[int]
    RETRIED_FIELD_NUMBER: _ClassVar[int]
    CARRIED_OVER_FIELD_NUMBER: _ClassVar[int]
    SLOWEST_FIELD_NUMBER: _ClassVar[int]
    id: str
    owed: int
    acked: int
    accepted: int
    rejected: int
    timed_out: int
    unreachable: int
    retried: int
    carried_over: int
    slowest: SlowestEnd
    def __init__(self, id: _Optional[str] = ..., owed: _Optional[int] = ..., acked: _Optional[int] = ..., accepted: _Optional[int] = ..., rejected: _Optional[int] = ..., timed_out: _Optional[int] = ..., unreachable: _Optional[int] = ..., retried: _Optional[int] = ..., carried_over: _Optional[int] = ..., slowest: _Optional[_Union[SlowestEnd, _Mapping]] = ...) -> None: ...

class SlowestEnd(_message.Message):
    __slots__ = ("session", "ms")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    MS_FIELD_NUMBER: _ClassVar[int]
    session: str
    ms: int
    def __init__(self, session: _Optional[str] = ..., ms: _Optional[int] = ...) -> None: ...
