//! `cargo bench -p hookwire-bench`: the comparison. `cargo test --all-targets` starts it too, and it does nothing.

use std::{env, error::Error, fs};

use clap::Parser as _;
use hookwire_bench::{
    args::Args, case::Bench, report, results::Results, role, runner, runs, rust_plugin, summary,
};
use mimalloc::MiMalloc;

/// The `hookwire` binary's own, in every process of every contender.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<_> = env::args().skip(1).collect();
    match words.as_slice() {
        [first, json] if first == role::ARGUMENT => role::play(json),
        [first, plugin @ ..] if first == rust_plugin::ARGUMENT => rust_plugin::play(plugin),
        words if words.iter().any(|word| word == "--bench") => compare(&Args::parse()),
        _ => Ok(()),
    }
}

fn compare(args: &Args) -> Result<(), Box<dyn Error>> {
    let bench = args.bench()?;
    if args.list {
        runs::cases(&bench).iter().for_each(|case| println!("{}", runs::name(&case.row())));
        return Ok(());
    }
    let results = match &args.from {
        Some(file) => Results::read(file)?,
        None => measured(args, &bench)?,
    };
    if let Some(docs) = &args.docs {
        report::write(&results, docs)?;
    }
    verdict(&results)
}

fn measured(args: &Args, bench: &Bench) -> Result<Results, Box<dyn Error>> {
    let out = args.out()?;
    let results = runner::run(bench);
    if let Some(folder) = out.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(&out, serde_json::to_vec_pretty(&results)?)?;
    println!("{}\n\n{}", summary::of(&results), out.display());
    Ok(results)
}

/// A row in error fails the run; what is not installed does not.
fn verdict(results: &Results) -> Result<(), Box<dyn Error>> {
    match results.rows.iter().filter(|row| row.error.is_some()).count() {
        0 => Ok(()),
        wrong => Err(format!("{wrong} of {} rows came out wrong", results.rows.len()).into()),
    }
}
