//! OpenTelemetry, where the feature is on: a handler runs in the context that its event brings along.
//!
//! That takes no more than the API. What spans are made of, and where they go, is the author's.

use std::{future::Future, sync::Arc};

use opentelemetry::{
    Context,
    context::FutureExt,
    trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState},
};

use crate::{event::Event, outcome::IntoOutcome, routes::Handler};

/// As [`routes::handler`](crate::routes::handler), inside of what the event's `traceparent` names.
pub(crate) fn handler<F, R>(author: impl Fn(Event) -> F + Send + Sync + 'static) -> Handler<Event>
where
    F: Future<Output = R> + Send + 'static,
    R: IntoOutcome,
{
    Arc::new(move |event| {
        let Some(span) = remote_span(event.traceparent()) else { return Box::pin(author(event)) };
        // From an empty one: a task of the runtime's has no other, and where a handler is begun is no author's matter.
        let context = Context::new().with_remote_span_context(span);
        let _inside = context.clone().attach(); // for what the author does before there is a future
        Box::pin(author(event).with_context(context))
    })
}

/// The span that a [W3C `traceparent`](https://www.w3.org/TR/trace-context/#traceparent-header) names; `None` where it is none.
fn remote_span(traceparent: &str) -> Option<SpanContext> {
    let mut fields = traceparent.split('-');
    let mut field = |digits| fields.next().filter(|field| is_hex(field, digits));
    let (version, trace, span, flags) = (field(2)?, field(32)?, field(16)?, field(2)?);
    let is_readable = match version {
        "00" => fields.next().is_none(),
        "ff" => false,
        _ => true, // a later one may say more, behind what is the same in all of them
    };
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?) & TraceFlags::SAMPLED;
    let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    let context = SpanContext::new(trace, span, flags, true, TraceState::NONE);
    (is_readable && context.is_valid()).then_some(context)
}

/// Whether it is so many hexadecimal digits; capital ones are not allowed.
fn is_hex(field: &str, digits: usize) -> bool {
    field.len() == digits && field.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}
