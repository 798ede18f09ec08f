//! The command line: `cargo bench -p hookwire-bench -- --rounds 1 latency/`.

use std::{env, io, path::PathBuf};

use clap::Parser;

use crate::{case::Bench, load, results::Settings};

/// Hookwire beside what a user would pick instead, and beside the limit
#[derive(Debug, Parser)]
#[command(name = "compare")]
pub struct Args {
    /// Only rows whose name has one of these in it, such as "throughput/", "unary" or "drain/hookwire daemon/32"
    only: Vec<String>,

    /// How often everything is measured
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: u32,

    /// Sizes are multiplied by this
    #[arg(long, default_value_t = 1.0, value_parser = scale)]
    scale: f64,

    /// Print the rows' names, and measure nothing
    #[arg(long)]
    pub list: bool,

    /// Where the results go, as JSON [default: bench/results.json in the target folder]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// The folder that benchmarks.md and its charts are written to [default: they are not]
    #[arg(long, value_name = "FOLDER")]
    pub docs: Option<PathBuf>,

    /// Measure nothing: these are the results
    #[arg(long, value_name = "FILE", conflicts_with_all = ["only", "out"])]
    pub from: Option<PathBuf>,

    /// The release binary that plays Hookwire's daemon and plugins [default: the one in the target folder]
    #[arg(long, value_name = "FILE")]
    hookwire: Option<PathBuf>,

    /// `cargo bench` adds it
    #[arg(long, hide = true)]
    bench: bool,
}

impl Args {
    /// What every case is given.
    ///
    /// # Errors
    /// The program does not know where it is.
    pub fn bench(&self) -> io::Result<Bench> {
        let settings = Settings {
            rounds: self.rounds,
            scale: self.scale,
            only: self.only.clone(),
            event_bytes: load::EVENT_BYTES,
        };
        let hookwire = match &self.hookwire {
            Some(path) => path.clone(),
            None => release()?.join("hookwire"),
        };
        Ok(Bench { settings, hookwire })
    }

    /// Where the results go.
    ///
    /// # Errors
    /// The program does not know where it is.
    pub fn out(&self) -> io::Result<PathBuf> {
        match &self.out {
            Some(path) => Ok(path.clone()),
            None => Ok(release()?.with_file_name("bench").join("results.json")),
        }
    }
}

/// `target/release`: this program is in its `deps`.
fn release() -> io::Result<PathBuf> {
    let program = env::current_exe()?;
    let release = program.ancestors().nth(2).map(PathBuf::from);
    release.ok_or_else(|| io::Error::other("this program is not in a target folder"))
}

fn scale(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(scale) if scale > 0.0 && scale <= 1e3 => Ok(scale),
        _ => Err("a number above 0, and 1000 at most".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn what_cargo_adds_is_taken() {
        let args = Args::parse_from(["compare", "--scale", "0.5", "unary", "--bench"]);
        assert_eq!(args.bench().unwrap().settings.only, ["unary"]);
        Args::command().debug_assert();
    }

    #[test]
    fn a_scale_is_above_nothing() {
        assert!(scale("0.01").is_ok());
        assert!(["0", "-1", "NaN", "inf", "1e9", "x"].into_iter().all(|text| scale(text).is_err()));
    }
}
