//! Dispatcher, gateways and plugins are killed, stopped and cut off at random moments, and nothing is lost.
//!
//! `HOOKWIRE_CRASH_RUNS` says how many runs there are, `HOOKWIRE_CRASH_SEED` plays one again: the same happenings, at
//! moments that are the machine's own.

mod check;
mod party;
mod plan;
mod world;

use std::{collections::HashMap, env, fmt::Display, io::Write as _, str::FromStr, time::Instant};

use tokio::task::{JoinSet, LocalSet};

use self::{plan::Plan, world::World};

/// Runs, unless somebody asks for more.
const RUNS: u32 = 50;

/// Runs side by side: most of each is waiting.
const AT_ONCE: usize = 4;

/// Seeds that found something once.
const FOUND: [u32; 0] = [];

#[tokio::test]
async fn nothing_is_lost() {
    let began = Instant::now();
    let seeds = seeds();
    let played = format!("{} runs, their seeds up to {:?}", seeds.len(), seeds.last());
    let failed = LocalSet::new().run_until(play_all(seeds)).await;
    // Not println!: a passing test's output is captured, and this is to be seen.
    let _ = writeln!(std::io::stderr(), "{played}, in {:?}", began.elapsed());
    assert!(failed.is_empty(), "HOOKWIRE_CRASH_SEED={failed:?}: see the panics above");
}

/// The seeds of those that failed.
async fn play_all(seeds: Vec<u32>) -> Vec<u32> {
    let (mut seeds, mut failed) = (seeds.into_iter(), Vec::new());
    let (mut under_way, mut ids) = (JoinSet::new(), HashMap::new());
    loop {
        while under_way.len() < AT_ONCE
            && let Some(seed) = seeds.next()
        {
            ids.insert(under_way.spawn_local(play(seed)).id(), seed);
        }
        match under_way.join_next().await {
            None => return failed,
            Some(Ok(())) => {}
            Some(Err(error)) => {
                eprintln!("HOOKWIRE_CRASH_SEED={} failed", ids[&error.id()]);
                failed.push(ids[&error.id()]);
            }
        }
    }
}

fn seeds() -> Vec<u32> {
    match given("HOOKWIRE_CRASH_SEED") {
        Some(seed) => vec![seed],
        None => {
            let (first, runs): (u32, u32) = (rand::random(), given("HOOKWIRE_CRASH_RUNS").unwrap_or(RUNS));
            FOUND.into_iter().chain((0..runs).map(|run| first.wrapping_add(run))).collect()
        }
    }
}

fn given<T: FromStr<Err: Display>>(name: &str) -> Option<T> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|error| panic!("{name}: {error}")))
}

async fn play(seed: u32) {
    let plan = Plan::new(seed);
    let mut world = World::new(&plan).await;
    for phase in &plan.phases {
        for happening in phase {
            world.happens(happening).await;
        }
        world.heals().await;
    }
    world.ends().await;
}
