"""A context for each handler's call: what it sets in a `ContextVar` is its own, and its trace is the event's."""

from __future__ import annotations

import contextvars
import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar

try:
    from opentelemetry import context as _otel_context
    from opentelemetry.trace.propagation import tracecontext as _tracecontext
except ImportError:
    enter_trace: Callable[[str], object] | None = None
else:
    _propagator = _tracecontext.TraceContextTextMapPropagator()

    def _enter_trace(traceparent: str) -> None:
        _otel_context.attach(_propagator.extract({"traceparent": traceparent}))

    enter_trace = _enter_trace
"""Makes an event's `traceparent` the current trace; None where OpenTelemetry's API is not installed."""

T = TypeVar("T")


@types.coroutine
def run_in(context: contextvars.Context, coroutine: Coroutine[Any, Any, T]) -> Generator[Any, Any, T]:
    """Awaits a coroutine in a context of its own, without the task that this otherwise takes."""
    try:
        waits_for = context.run(coroutine.send, None)
        while True:
            try:
                value = yield waits_for
            except BaseException as error:  # noqa: BLE001, PERF203 - whatever it is, it is the coroutine's
                waits_for = context.run(coroutine.throw, error)
            else:
                waits_for = context.run(coroutine.send, value)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
