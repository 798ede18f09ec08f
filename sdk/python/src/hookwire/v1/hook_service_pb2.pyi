from hookwire.v1 import event_pb2 as _event_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RetentionKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RETENTION_KIND_UNSPECIFIED: _ClassVar[RetentionKind]
    RETENTION_KIND_OWED: _ClassVar[RetentionKind]
    RETENTION_KIND_ALL: _ClassVar[RetentionKind]

class WhenFull(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WHEN_FULL_UNSPECIFIED: _ClassVar[WhenFull]
    WHEN_FULL_DROP_OLDEST: _ClassVar[WhenFull]
    WHEN_FULL_DROP_NEWEST: _ClassVar[WhenFull]
    WHEN_FULL_DISCONNECT: _ClassVar[WhenFull]

class BatchKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BATCH_KIND_UNSPECIFIED: _ClassVar[BatchKind]
    BATCH_KIND_LIVE: _ClassVar[BatchKind]
    BATCH_KIND_ANNOUNCED: _ClassVar[BatchKind]
    BATCH_KIND_REDELIVERED: _ClassVar[BatchKind]

class AckStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ACK_STATUS_UNSPECIFIED: _ClassVar[AckStatus]
    ACK_STATUS_OK: _ClassVar[AckStatus]
    ACK_STATUS_ACCEPTED: _ClassVar[AckStatus]
    ACK_STATUS_RETRY: _ClassVar[AckStatus]
    ACK_STATUS_REJECT: _ClassVar[AckStatus]

class GapCause(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    GAP_CAUSE_UNSPECIFIED: _ClassVar[GapCause]
    GAP_CAUSE_QUEUE_FULL: _ClassVar[GapCause]
    GAP_CAUSE_AWAY: _ClassVar[GapCause]
    GAP_CAUSE_DRAIN: _ClassVar[GapCause]
    GAP_CAUSE_EXPIRED: _ClassVar[GapCause]
    GAP_CAUSE_EMITTER_FULL: _ClassVar[GapCause]
    GAP_CAUSE_EVENTS_EXPIRED: _ClassVar[GapCause]

class GoodbyeReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    GOODBYE_REASON_UNSPECIFIED: _ClassVar[GoodbyeReason]
    GOODBYE_REASON_STOPPING: _ClassVar[GoodbyeReason]
    GOODBYE_REASON_DISPLACED: _ClassVar[GoodbyeReason]
    GOODBYE_REASON_HANDOVER: _ClassVar[GoodbyeReason]
    GOODBYE_REASON_SLOW: _ClassVar[GoodbyeReason]
    GOODBYE_REASON_BYE: _ClassVar[GoodbyeReason]
RETENTION_KIND_UNSPECIFIED: RetentionKind
RETENTION_KIND_OWED: RetentionKind
RETENTION_KIND_ALL: RetentionKind
WHEN_FULL_UNSPECIFIED: WhenFull
WHEN_FULL_DROP_OLDEST: WhenFull
WHEN_FULL_DROP_NEWEST: WhenFull
WHEN_FULL_DISCONNECT: WhenFull
BATCH_KIND_UNSPECIFIED: BatchKind
BATCH_KIND_LIVE: BatchKind
BATCH_KIND_ANNOUNCED: BatchKind
BATCH_KIND_REDELIVERED: BatchKind
ACK_STATUS_UNSPECIFIED: AckStatus
ACK_STATUS_OK: AckStatus
ACK_STATUS_ACCEPTED: AckStatus
ACK_STATUS_RETRY: AckStatus
ACK_STATUS_REJECT: AckStatus
GAP_CAUSE_UNSPECIFIED: GapCause
GAP_CAUSE_QUEUE_FULL: GapCause
GAP_CAUSE_AWAY: GapCause
GAP_CAUSE_DRAIN: GapCause
GAP_CAUSE_EXPIRED: GapCause
GAP_CAUSE_EMITTER_FULL: GapCause
GAP_CAUSE_EVENTS_EXPIRED: GapCause
GOODBYE_REASON_UNSPECIFIED: GoodbyeReason
GOODBYE_REASON_STOPPING: GoodbyeReason
GOODBYE_REASON_DISPLACED: GoodbyeReason
GOODBYE_REASON_HANDOVER: GoodbyeReason
GOODBYE_REASON_SLOW: GoodbyeReason
GOODBYE_REASON_BYE: GoodbyeReason

class SubscribeRequest(_message.Message):
    __slots__ = ("hello", "ack", "goodbye")
    class Hello(_message.Message):
        __slots__ = ("subscriber_id", "instance_id", "hooks", "filter", "announce", "max_in_flight", "retention", "when_full", "client_name", "client_version")
        SUBSCRIBER_ID_FIELD_NUMBER: _ClassVar[int]
        INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
        HOOKS_FIELD_NUMBER: _ClassVar[int]
        FILTER_FIELD_NUMBER: _ClassVar[int]
        ANNOUNCE_FIELD_NUMBER: _ClassVar[int]
        MAX_IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
        RETENTION_FIELD_NUMBER: _ClassVar[int]
        WHEN_FULL_FIELD_NUMBER: _ClassVar[int]
        CLIENT_NAME_FIELD_NUMBER: _ClassVar[int]
        CLIENT_VERSION_FIELD_NUMBER: _ClassVar[int]
        subscriber_id: str
        instance_id: str
        hooks: _containers.RepeatedScalarFieldContainer[str]
        filter: Filter
        announce: bool
        max_in_flight: int
        retention: Retention
        when_full: WhenFull
        client_name: str
        client_version: str
        def __init__(self, subscriber_id: _Optional[str] = ..., instance_id: _Optional[str] = ..., hooks: _Optional[_Iterable[str]] = ..., filter: _Optional[_Union[Filter, _Mapping]] = ..., announce: bool = ..., max_in_flight: _Optional[int] = ..., retention: _Optional[_Union[Retention, _Mapping]] = ..., when_full: _Optional[_Union[WhenFull, str]] = ..., client_name: _Optional[str] = ..., client_version: _Optional[str] = ...) -> None: ...
    class Goodbye(_message.Message):
        __slots__ = ("release",)
        RELEASE_FIELD_NUMBER: _ClassVar[int]
        release: bool
        def __init__(self, release: bool = ...) -> None: ...
    HELLO_FIELD_NUMBER: _ClassVar[int]
    ACK_FIELD_NUMBER: _ClassVar[int]
    GOODBYE_FIELD_NUMBER: _ClassVar[int]
    hello: SubscribeRequest.Hello
    ack: Ack
    goodbye: SubscribeRequest.Goodbye
    def __init__(self, hello: _Optional[_Union[SubscribeRequest.Hello, _Mapping]] = ..., ack: _Optional[_Union[Ack, _Mapping]] = ..., goodbye: _Optional[_Union[SubscribeRequest.Goodbye, _Mapping]] = ...) -> None: ...

class SubscribeResponse(_message.Message):
    __slots__ = ("welcome", "events", "caught_up", "gap", "drain_notice", "drain_summary", "goodbye")
    class Welcome(_message.Message):
        __slots__ = ("ledger_id", "dispatcher_epoch", "stream_epoch", "known", "ends_owed", "starts_to_replay", "expired", "granted_hooks", "unknown_hooks", "filter", "max_in_flight", "when_full", "retention", "ack_timeout_ms", "drain_budget_ms", "max_message_bytes", "server_version")
        LEDGER_ID_FIELD_NUMBER: _ClassVar[int]
        DISPATCHER_EPOCH_FIELD_NUMBER: _ClassVar[int]
        STREAM_EPOCH_FIELD_NUMBER: _ClassVar[int]
        KNOWN_FIELD_NUMBER: _ClassVar[int]
        ENDS_OWED_FIELD_NUMBER: _ClassVar[int]
        STARTS_TO_REPLAY_FIELD_NUMBER: _ClassVar[int]
        EXPIRED_FIELD_NUMBER: _ClassVar[int]
        GRANTED_HOOKS_FIELD_NUMBER: _ClassVar[int]
        UNKNOWN_HOOKS_FIELD_NUMBER: _ClassVar[int]
        FILTER_FIELD_NUMBER: _ClassVar[int]
        MAX_IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
        WHEN_FULL_FIELD_NUMBER: _ClassVar[int]
        RETENTION_FIELD_NUMBER: _ClassVar[int]
        ACK_TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
        DRAIN_BUDGET_MS_FIELD_NUMBER: _ClassVar[int]
        MAX_MESSAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
        SERVER_VERSION_FIELD_NUMBER: _ClassVar[int]
        ledger_id: str
        dispatcher_epoch: int
        stream_epoch: int
        known: bool
        ends_owed: int
        starts_to_replay: int
        expired: Expired
        granted_hooks: _containers.RepeatedScalarFieldContainer[str]
        unknown_hooks: _containers.RepeatedScalarFieldContainer[str]
        filter: Filter
        max_in_flight: int
        when_full: WhenFull
        retention: Retention
        ack_timeout_ms: int
        drain_budget_ms: int
        max_message_bytes: int
        server_version: str
        def __init__(self, ledger_id: _Optional[str] = ..., dispatcher_epoch: _Optional[int] = ..., stream_epoch: _Optional[int] = ..., known: bool = ..., ends_owed: _Optional[int] = ..., starts_to_replay: _Optional[int] = ..., expired: _Optional[_Union[Expired, _Mapping]] = ..., granted_hooks: _Optional[_Iterable[str]] = ..., unknown_hooks: _Optional[_Iterable[str]] = ..., filter: _Optional[_Union[Filter, _Mapping]] = ..., max_in_flight: _Optional[int] = ..., when_full: _Optional[_Union[WhenFull, str]] = ..., retention: _Optional[_Union[Retention, _Mapping]] = ..., ack_timeout_ms: _Optional[int] = ..., drain_budget_ms: _Optional[int] = ..., max_message_bytes: _Optional[int] = ..., server_version: _Optional[str] = ...) -> None: ...
    class Goodbye(_message.Message):
        __slots__ = ("reason", "reconnect_after_ms", "text")
        REASON_FIELD_NUMBER: _ClassVar[int]
        RECONNECT_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
        TEXT_FIELD_NUMBER: _ClassVar[int]
        reason: GoodbyeReason
        reconnect_after_ms: int
        text: str
        def __init__(self, reason: _Optional[_Union[GoodbyeReason, str]] = ..., reconnect_after_ms: _Optional[int] = ..., text: _Optional[str] = ...) -> None: ...
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    CAUGHT_UP_FIELD_NUMBER: _ClassVar[int]
    GAP_FIELD_NUMBER: _ClassVar[int]
    DRAIN_NOTICE_FIELD_NUMBER: _ClassVar[int]
    DRAIN_SUMMARY_FIELD_NUMBER: _ClassVar[int]
    GOODBYE_FIELD_NUMBER: _ClassVar[int]
    welcome: SubscribeResponse.Welcome
    events: EventBatch
    caught_up: CaughtUp
    gap: Gap
    drain_notice: DrainNotice
    drain_summary: DrainSummary
    goodbye: SubscribeResponse.Goodbye
    def __init__(self, welcome: _Optional[_Union[SubscribeResponse.Welcome, _Mapping]] = ..., events: _Optional[_Union[EventBatch, _Mapping]] = ..., caught_up: _Optional[_Union[CaughtUp, _Mapping]] = ..., gap: _Optional[_Union[Gap, _Mapping]] = ..., drain_notice: _Optional[_Union[DrainNotice, _Mapping]] = ..., drain_summary: _Optional[_Union[DrainSummary, _Mapping]] = ..., goodbye: _Optional[_Union[SubscribeResponse.Goodbye, _Mapping]] = ...) -> None: ...

class Filter(_message.Message):
    __slots__ = ("agents", "keys")
    AGENTS_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    agents: _containers.RepeatedScalarFieldContainer[str]
    keys: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, agents: _Optional[_Iterable[str]] = ..., keys: _Optional[_Iterable[str]] = ...) -> None: ...

class Retention(_message.Message):
    __slots__ = ("kind", "max_age_ms", "max_bytes")
    KIND_FIELD_NUMBER: _ClassVar[int]
    MAX_AGE_MS_FIELD_NUMBER: _ClassVar[int]
    MAX_BYTES_FIELD_NUMBER: _ClassVar[int]
    kind: RetentionKind
    max_age_ms: int
    max_bytes: int
    def __init__(self, kind: _Optional[_Union[RetentionKind, str]] = ..., max_age_ms: _Optional[int] = ..., max_bytes: _Optional[int] = ...) -> None: ...

class Expired(_message.Message):
    __slots__ = ("entries", "events", "bytes")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    entries: int
    events: int
    bytes: int
    def __init__(self, entries: _Optional[int] = ..., events: _Optional[int] = ..., bytes: _Optional[int] = ...) -> None: ...

class EventBatch(_message.Message):
    __slots__ = ("first_seq", "kind", "budget_ms", "events")
    FIRST_SEQ_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    BUDGET_MS_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    first_seq: int
    kind: BatchKind
    budget_ms: int
    events: _containers.RepeatedCompositeFieldContainer[_event_pb2.Event]
    def __init__(self, first_seq: _Optional[int] = ..., kind: _Optional[_Union[BatchKind, str]] = ..., budget_ms: _Optional[int] = ..., events: _Optional[_Iterable[_Union[_event_pb2.Event, _Mapping]]] = ...) -> None: ...

class CaughtUp(_message.Message):
    __slots__ = ("replayed", "announced")
    REPLAYED_FIELD_NUMBER: _ClassVar[int]
    ANNOUNCED_FIELD_NUMBER: _ClassVar[int]
    replayed: int
    announced: int
    def __init__(self, replayed: _Optional[int] = ..., announced: _Optional[int] = ...) -> None: ...

class Ack(_message.Message):
    __slots__ = ("through_seq", "exceptions")
    THROUGH_SEQ_FIELD_NUMBER: _ClassVar[int]
    EXCEPTIONS_FIELD_NUMBER: _ClassVar[int]
    through_seq: int
    exceptions: _containers.RepeatedCompositeFieldContainer[AckException]
    def __init__(self, through_seq: _Optional[int] = ..., exceptions: _Optional[_Iterable[_Union[AckException, _Mapping]]] = ...) -> None: ...

class AckException(_message.Message):
    __slots__ = ("seq", "status", "retry_after_ms", "code", "text")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    seq: int
    status: AckStatus
    retry_after_ms: int
    code: str
    text: str
    def __init__(self, seq: _Optional[int] = ..., status: _Optional[_Union[AckStatus, str]] = ..., retry_after_ms: _Optional[int] = ..., code: _Optional[str] = ..., text: _Optional[str] = ...) -> None: ...

class Gap(_message.Message):
    __slots__ = ("count", "bytes", "cause")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    count: int
    bytes: int
    cause: GapCause
    def __init__(self, count: _Optional[int] = ..., bytes: _Optional[int] = ..., cause: _Optional[_Union[GapCause, str]] = ...) -> None: ...

class DrainNotice(_message.Message):
    __slots__ = ("gateway_id", "boot_id", "reason", "budget_ms", "ends_owed", "restart_expected_ms")
    GATEWAY_ID_FIELD_NUMBER: _ClassVar[int]
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    BUDGET_MS_FIELD_NUMBER: _ClassVar[int]
    ENDS_OWED_FIELD_NUMBER: _ClassVar[int]
    RESTART_EXPECTED_MS_FIELD_NUMBER: _ClassVar[int]
    gateway_id: str
    boot_id: str
    reason: _event_pb2.StopReason
    budget_ms: int
    ends_owed: int
    restart_expected_ms: int
    def __init__(self, gateway_id: _Optional[str] = ..., boot_id: _Optional[str] = ..., reason: _Optional[_Union[_event_pb2.StopReason, str]] = ..., budget_ms: _Optional[int] = ..., ends_owed: _Optional[int] = ..., restart_expected_ms: _Optional[int] = ...) -> None: ...

class DrainSummary(_message.Message):
    __slots__ = ("gateway_id", "boot_id", "owed", "acked", "accepted", "rejected", "timed_out", "unreachable", "retried", "carried_over", "elapsed_ms")
    GATEWAY_ID_FIELD_NUMBER: _ClassVar[int]
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    OWED_FIELD_NUMBER: _ClassVar[int]
    ACKED_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    TIMED_OUT_FIELD_NUMBER: _ClassVar[int]
    UNREACHABLE_FIELD_NUMBER: _ClassVar[int]
    RETRIED_FIELD_NUMBER: _ClassVar[int]
    CARRIED_OVER_FIELD_NUMBER: _ClassVar[int]
    ELAPSED_MS_FIELD_NUMBER: _ClassVar[int]
    gateway_id: str
    boot_id: str
    owed: int
    acked: int
    accepted: int
    rejected: int
    timed_out: int
    unreachable: int
    retried: int
    carried_over: int
    elapsed_ms: int
    def __init__(self, gateway_id: _Optional[str] = ..., boot_id: _Optional[str] = ..., owed: _Optional[int] = ..., acked: _Optional[int] = ..., accepted: _Optional[int] = ..., rejected: _Optional[int] = ..., timed_out: _Optional[int] = ..., unreachable: _Optional[int] = ..., retried: _Optional[int] = ..., carried_over: _Optional[int] = ..., elapsed_ms: _Optional[int] = ...) -> None: ...
