//! The promise on a network that fails: real tonic clients and a real dispatcher on simulated hosts, in virtual time.
//!
//! Each seed is a schedule of partitions, held and delayed messages, broken connections, reconnect storms, crashes and
//! plugins that hang; then all is well again, and what both sides wrote down is held against the contract. The same
//! seed gives the same world, to the letter:
//!
//! ```text
//! cargo test --test sim                                  500 seeds, and those that failed once
//! HOOKWIRE_SIM_SEEDS=20000 cargo test --test sim         more of them
//! HOOKWIRE_SIM_SEED=7 cargo test --test sim -- --nocapture   one, line by line
//! ```

mod check;
mod daemon;
mod dice;
mod disk;
mod gateway;
mod network;
mod operator;
mod party;
mod plan;
mod plugin;
mod records;
mod seeds;
mod world;

#[test]
fn every_seed_keeps_the_promise() {
    seeds::play_all();
}

#[test]
fn a_seed_gives_the_same_world_again() {
    for seed in 0..3 {
        let (once, again) = (seeds::play(seed).story, seeds::play(seed).story);
        let differ = once.iter().zip(&again).position(|(once, again)| once != again);
        if let Some(line) = differ {
            panic!("seed {seed}, line {line}:\n{}\n{}", once[line], again[line]);
        }
        assert_eq!(once.len(), again.len(), "seed {seed}");
        assert!(!once.is_empty(), "seed {seed} tells nothing");
    }
}
