//! A plugin that is driven from memory goes the same way, below the transport.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use hookwire_sdk::{
    BoxError, Event, MemoryStore, Outcome, Plugin, PluginBuilder, Store, Sweep,
    testing::Driven,
    wire::{Session, SessionEndReason},
};

fn plugin() -> PluginBuilder {
    Plugin::builder("test")
}

#[tokio::test(start_paused = true)]
async fn each_step_has_its_answer() {
    let mut driven = Driven::new(plugin().on("*", |event: Event| async move {
        match event.hook() {
            "session_start" => Outcome::accepted(),
            "session_end" if event.draining() => Outcome::retry("no time"),
            "session_end" => Outcome::ok(),
            _ => Outcome::reject("quota", event.json().map_or(String::new(), |json| json["n"].to_string())),
        }
    }));
    assert_eq!(driven.start("a").await, Outcome::Accepted);
    assert_eq!(driven.event("message", "a", r#"{"n":7}"#).await, Outcome::reject("quota", "7"));
    assert_eq!(driven.end("a", SessionEndReason::Idle).await, Outcome::Ok);
    driven.start("b").await;
    driven.drain(Duration::from_millis(200)).await;
    assert_eq!(driven.end("b", SessionEndReason::Shutdown).await, Outcome::retry("no time"));
    driven.drained();
    assert_eq!(driven.reconnect().await, [("end-2".to_owned(), Outcome::Ok)]);
    assert_eq!(driven.reconnect().await, []);
}

#[tokio::test(start_paused = true)]
async fn a_life_that_was_named_is_owed() {
    let (seen, kept) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
    let (sweeps, starts) = (seen.clone(), kept.clone());
    let plugin = plugin()
        .announce(true)
        .on("*", move |_| {
            starts.fetch_add(1, Ordering::Relaxed);
            async {}
        })
        .on_sweep(move |sweep: Sweep| {
            let owed = [1, 2].map(|life| sweep.is_owed(sweep.ledger_id(), life));
            sweeps.lock().expect("no panic").push((sweep.known(), owed));
            async {}
        });
    let mut driven = Driven::new(plugin);
    driven.start_as(Session { id: "a".into(), key: "k".into(), ..Default::default() }).await;
    driven.caught_up().await;
    driven.end("a", SessionEndReason::Reset).await;
    driven.start("a").await;
    driven.reconnect().await;
    driven.caught_up().await;
    assert_eq!(*seen.lock().expect("no panic"), [(false, [true, false]), (true, [false, true])]);
    assert_eq!(kept.load(Ordering::Relaxed), 3, "what is announced again is answered from memory");
}

/// A store that is looked into.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<MemoryStore>>);

impl Store for Shared {
    fn get(&mut self, event_id: &str) -> Result<Option<Outcome>, BoxError> {
        self.0.lock().expect("no panic").get(event_id)
    }

    fn put(&mut self, id: &str, answer: &Outcome, ledger: &str, stream: u64) -> Result<(), BoxError> {
        self.0.lock().expect("no panic").put(id, answer, ledger, stream)
    }

    fn forget(&mut self, ledger_id: &str, stream_epoch: u64) -> Result<(), BoxError> {
        self.0.lock().expect("no panic").forget(ledger_id, stream_epoch)
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_outlives_the_plugin_and_forgets_when_it_has_caught_up() {
    let mut store = Shared::default();
    let mut first = Driven::new(plugin().store(store.clone()).on("*", |_| async { Outcome::accepted() }));
    first.start("a").await;
    drop(first);

    let never = |_| async { Outcome::reject("again", "it was handled again") };
    let mut second = Driven::new(plugin().store(store.clone()).on("*", never));
    assert_eq!(second.start("a").await, Outcome::Accepted, "answered by the store");
    second.reconnect().await;
    assert!(store.get("start-1").expect("memory").is_some());
    second.caught_up().await;
    assert!(store.get("start-1").expect("memory").is_none());
}
