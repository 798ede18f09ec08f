//! What a drain takes on this machine, as a Markdown table: `HOOKWIRE_MEASURE=1 cargo test --release -p hookwire --test
//! process figures -- --nocapture`. Without the variable there is nothing to do.

use std::time::Duration;

use crate::drain_is_bounded::{BUDGET, Peer, stop_with};

/// Medians of so many.
const RUNS: usize = 5;

/// What one stop took, in milliseconds.
struct Figures {
    elapsed: u64,
    last_ack: Option<u64>,
    exit: u64,
}

#[tokio::test]
async fn figures() {
    if std::env::var_os("HOOKWIRE_MEASURE").is_none() {
        return;
    }
    println!(
        "| with | the drain waits for | elapsed_ms | elapsed_ms - last_ack_ms | exit after the signal |"
    );
    println!("|---|---|---|---|---|");
    for (peer, name) in Peer::ALL {
        let mut runs = Vec::new();
        for _ in 0..RUNS {
            runs.push(measure(peer).await);
        }
        println!("{}", row(peer, name, &runs));
    }
}

async fn measure(peer: Peer) -> Figures {
    let stopped = stop_with(peer).await;
    Figures {
        elapsed: stopped.number("elapsed_ms"),
        last_ack: stopped.report["last_ack_ms"].as_u64(),
        exit: millis(stopped.took),
    }
}

fn row(peer: Peer, name: &str, runs: &[Figures]) -> String {
    let elapsed = median(runs.iter().map(|run| run.elapsed));
    let exit = median(runs.iter().map(|run| run.exit));
    let budget = millis(BUDGET);
    if peer.owes() {
        return format!("| {name} | its budget, {budget} ms | {elapsed} ms | | {exit} ms |");
    }
    let rest = median(runs.iter().filter_map(|run| Some(run.elapsed - run.last_ack?)));
    format!("| {name} | the last answer | {elapsed} ms | {rest} ms | {exit} ms |")
}

fn median(values: impl Iterator<Item = u64>) -> u64 {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable();
    values[values.len() / 2]
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap()
}
