//! A handler runs in the trace that its event brings along. With the feature `opentelemetry` only.

use std::sync::{Arc, Mutex};

use hookwire_sdk::{
    Outcome, Plugin,
    testing::Driven,
    wire::{self, BatchKind},
};
use opentelemetry::{
    Context,
    trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState},
};
use tokio::task::yield_now;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

fn traced(id: &str, traceparent: &str) -> wire::Event {
    wire::Event {
        id: id.to_owned(),
        hook: "message_received".to_owned(),
        traceparent: traceparent.to_owned(),
        ..Default::default()
    }
}

fn sent(sampled: bool) -> SpanContext {
    let trace = TraceId::from_hex(TRACE).expect("32 digits");
    let span = SpanId::from_hex(SPAN).expect("16 digits");
    SpanContext::new(trace, span, TraceFlags::default().with_sampled(sampled), true, TraceState::NONE)
}

/// The span that whoever begins one here would make its parent.
fn parent() -> SpanContext {
    Context::map_current(|context| context.span().span_context().clone())
}

/// What a handler is in, for each `traceparent`: before there is a future, at its first poll, and at a later one.
async fn seen(traceparents: &[String]) -> Vec<[SpanContext; 3]> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sees = seen.clone();
    let mut driven = Driven::new(Plugin::builder("test").on("*", move |_| {
        let (sees, at_once) = (sees.clone(), parent());
        async move {
            let first = parent();
            yield_now().await;
            sees.lock().expect("no panic").push([at_once, first, parent()]);
        }
    }));
    for (n, traceparent) in traceparents.iter().enumerate() {
        let event = traced(&n.to_string(), traceparent);
        assert_eq!(driven.deliver(event, BatchKind::Live).await, Outcome::Ok);
        assert_eq!(parent(), SpanContext::NONE, "{traceparent:?} outlives its handler");
    }
    std::mem::take(&mut *seen.lock().expect("no panic"))
}

/// Each in three places, in order.
fn everywhere(spans: impl IntoIterator<Item = SpanContext>) -> Vec<[SpanContext; 3]> {
    spans.into_iter().map(|span| [span.clone(), span.clone(), span]).collect()
}

/// Begun where the stream is read, or in a task from the beginning.
fn on_both_runtimes(test: impl AsyncFn()) {
    let current_thread = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    current_thread.block_on(test());
    let multi_thread = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build();
    multi_thread.expect("a runtime").block_on(test());
}

#[test]
fn a_handler_runs_in_the_trace_of_its_event() {
    on_both_runtimes(async || {
        let traceparents = [
            format!("00-{TRACE}-{SPAN}-01"),
            format!("00-{TRACE}-{SPAN}-00"),
            format!("00-{TRACE}-{SPAN}-ff"), // flags that have no meaning yet
            format!("01-{TRACE}-{SPAN}-01"),
            format!("cc-{TRACE}-{SPAN}-01-what a later version says"),
        ];
        let sampled = [true, false, true, true, true];
        assert_eq!(seen(&traceparents).await, everywhere(sampled.map(sent)));
    });
}

#[test]
fn what_is_no_traceparent_is_ignored() {
    on_both_runtimes(async || {
        let (no_trace, no_span) = ("0".repeat(32), "0".repeat(16));
        let traceparents = [
            String::new(),
            "é".to_owned(),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-1"),
            format!("00-{TRACE}-{SPAN}-+1"),
            format!("00-{TRACE}-{SPAN}-01-"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{no_trace}-{SPAN}-01"),
            format!("00-{TRACE}-{no_span}-01"),
            format!("00-{TRACE}0-{SPAN}-01"),
            format!("0-{TRACE}-{SPAN}-01"),
            format!("ff-{TRACE}-{SPAN}-01"),
        ];
        let none = traceparents.iter().map(|_| SpanContext::NONE);
        assert_eq!(seen(&traceparents).await, everywhere(none));
    });
}
