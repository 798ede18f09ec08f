//! Which seeds are played, and how a failure is told.

use std::{
    cell::RefCell,
    io::Write as _,
    panic::{self, AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex, Once, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use crate::{
    plan::Plan,
    world::{self, Outcome},
};

/// Seeds that failed once: they are always played.
const REGRESSIONS: &str = include_str!("regressions.txt");

/// Worlds that are played side by side.
const THREADS: usize = 2;

/// How many are played where nobody says.
const BY_DEFAULT: u64 = 500;

/// What is kept of a seed that was played.
#[derive(Debug)]
struct Played {
    seed: u64,
    /// Of its story.
    digest: u64,
    complaints: Vec<String>,
}

thread_local! {
    /// What this thread's world has panicked of. Tasks swallow their panics: a dispatcher that lost its worker would only
    /// fall silent.
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Plays one seed; a panic on any of its hosts is a complaint, too.
pub(crate) fn play(seed: u64) -> Outcome {
    static LISTENING: Once = Once::new();
    LISTENING.call_once(listen_for_panics);
    let played = catch_unwind(AssertUnwindSafe(|| world::play(Plan::of(seed))));
    let mut outcome = played.unwrap_or_default();
    outcome.complaints.extend(PANICS.take());
    outcome
}

fn listen_for_panics() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        PANICS.with_borrow_mut(|panics| panics.push(panic.to_string()));
        before(panic);
    }));
}

/// Plays all that the environment asks for.
///
/// # Panics
/// Where any of them breaks the promise; says which, and how to see it again.
pub(crate) fn play_all() {
    if let Some(seed) = number("HOOKWIRE_SIM_SEED") {
        return play_one(seed);
    }
    let count = number("HOOKWIRE_SIM_SEEDS").unwrap_or(BY_DEFAULT);
    let mut seeds = regressions();
    seeds.extend(0..count);
    let played = play_side_by_side(&seeds);
    let traces = played.iter().fold(0_u64, |all, it| all.rotate_left(1) ^ it.digest);
    let failed: Vec<_> = played.iter().filter(|it| !it.complaints.is_empty()).collect();
    // Not println!: a passing test's output is captured, and this is to be seen.
    let _ = writeln!(
        std::io::stderr(),
        "{} schedules were played, {} broke the promise (traces: {traces:016x})",
        seeds.len(),
        failed.len()
    );
    for Played { seed, complaints, .. } in &failed {
        println!("\nseed {seed} (HOOKWIRE_SIM_SEED={seed} cargo test --test sim replays it):");
        complaints.iter().for_each(|complaint| println!("    {complaint}"));
    }
    assert!(
        failed.is_empty(),
        "{} of {} seeds failed: keep them in tests/sim/regressions.txt",
        failed.len(),
        seeds.len()
    );
}

fn play_one(seed: u64) {
    let outcome = play(seed);
    outcome.story.iter().for_each(|line| println!("{line}"));
    println!("seed {seed}: {:#?}", outcome.complaints);
    assert!(outcome.complaints.is_empty(), "seed {seed} failed");
}

fn play_side_by_side(seeds: &[u64]) -> Vec<Played> {
    let (next, played) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let Outcome { story, complaints } = play(*seed);
                    let digest = digest(&story); // a soak's stories would fill the memory
                    played.lock().unwrap_or_else(PoisonError::into_inner).push(Played {
                        seed: *seed,
                        digest,
                        complaints,
                    });
                }
            });
        }
    });
    let mut played = played.into_inner().unwrap_or_else(PoisonError::into_inner);
    played.sort_by_key(|it| it.seed);
    played
}

/// One number for a whole story: the same story, the same number.
fn digest(story: &[String]) -> u64 {
    story
        .iter()
        .flat_map(|line| line.bytes())
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn regressions() -> Vec<u64> {
    let seeds = REGRESSIONS.lines().filter_map(|line| line.split('#').next()).map(str::trim);
    seeds
        .filter(|seed| !seed.is_empty())
        .map(|seed| seed.parse().expect("a line begins with a seed"))
        .collect()
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {text:?}")))
}
