//! `hookwire publish`: is a gateway, from recorded or live JSON lines.
//!
//! ```text
//! input ── openclaw ──▶ boot { resend ──▶ line ──▶ attach } ──▶ drain
//! ```
//!
//! Beside them, `tally` counts, `alive` knows what to list, and `setback` says when to try again.

mod alive;
pub(super) mod attach;
mod boot;
mod drain;
mod input;
mod line;
pub(super) mod openclaw;
mod resend;
pub(super) mod setback;
mod tally;
#[cfg(test)]
mod tests;

use std::{
    io::{self, Write},
    mem,
    path::PathBuf,
    time::Duration,
};

use clap::ValueEnum;
use hookwire_protocol::hook;
use hookwire_sdk::Address;
use tokio::{
    runtime,
    signal::unix::{Signal, SignalKind, signal},
    time::timeout,
};

use self::{
    boot::{Boot, hello},
    input::{Entry, Input},
    line::Step,
    openclaw::Fired,
    setback::Setback,
    tally::Tally,
};
use super::{Exit, Failure, Target};

/// How long receipts are waited for when the process is told to stop amid its input.
const SETTLE_WITHIN: Duration = Duration::from_secs(5);

/// Be a gateway: send hooks from JSON lines {"time","hook","event","ctx"}, one event a line, or from what record wrote
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    target: Target,
    /// The gateway's durable name
    #[arg(long, value_name = "NAME")]
    gateway: String,
    /// The first boot's id [default: a random one]; each later one has a random id. A boot begins where the lines name another,
    /// or at a gateway_start
    #[arg(long, value_name = "ID")]
    boot: Option<String>,
    /// Whether to drain a boot whose gateway_stop was read, before the next boot or the end
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = Drain::Auto)]
    drain: Drain,
    /// Stay attached after the last line, until stopped
    #[arg(long)]
    hold: bool,
    /// Keep the gaps between the times of the lines
    #[arg(long)]
    recorded_speed: bool,
    /// End at the first line that is not valid JSON or has no hook, with exit code 65
    #[arg(long)]
    strict: bool,
    /// The lines; - is standard input. While the dispatcher is away a file waits, a pipe is read on: what does not fit is lost
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Drain {
    /// With `restart` if the gateway_stop says so, else with `shutdown`
    Auto,
    /// Leave it to others
    Never,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let runtime =
        runtime::Builder::new_current_thread().enable_all().build().map_err(|e| Exit::Fault.because(e))?;
    let outcome = runtime.block_on(publish(args));
    // A read from standard input cannot be cancelled: do not wait for it.
    runtime.shutdown_background();
    outcome
}

async fn publish(args: Args) -> Result<(), Failure> {
    let unreadable = |error| Exit::Data.because(format_args!("{}: {error}", args.file.display()));
    let (source, live) = input::open(&args.file).await.map_err(unreadable)?;
    let input = Input::new(source, live, args.recorded_speed);
    let mut publisher = Publisher::attach(&args).await.map_err(Setback::into_failure)?;
    let mut stop = Stop::listen().map_err(|error| Exit::Fault.because(error))?;
    let holds = tokio::select! {
        played = publisher.play(input) => played.map(|()| args.hold),
        () = stop.asked() => {
            publisher.settle().await;
            Ok(false)
        }
    };
    print(&publisher.tally)?;
    if holds? {
        publisher.hold(stop).await?;
    }
    publisher.boot.close().await;
    Ok(())
}

fn print(tally: &Tally) -> Result<(), Failure> {
    let line = serde_json::to_string(tally).map_err(|error| Exit::Fault.because(error))?;
    writeln!(io::stdout(), "{line}").map_err(|error| Exit::Fault.because(error))
}

/// The gateway that is played, one boot after the other.
struct Publisher {
    address: Address,
    gateway: String,
    drains: bool,
    strict: bool,
    boot: Boot,
    /// The boot has had its gateway_start.
    started: bool,
    /// The boot that its lines were recorded in, where they say it, and the one before.
    recorded: Option<String>,
    earlier: Option<String>,
    tally: Tally,
}

impl Publisher {
    /// Attaches the first boot, in a single try.
    async fn attach(args: &Args) -> Result<Self, Setback> {
        let Target { to: address } = args.target.clone();
        let boot = Boot::open(&address, hello(&args.gateway, args.boot.clone())).await?;
        Ok(Self {
            address,
            gateway: args.gateway.clone(),
            drains: args.drain == Drain::Auto,
            strict: args.strict,
            boot,
            started: false,
            recorded: None,
            earlier: None,
            tally: Tally::default(),
        })
    }

    /// Publishes the input, to the last receipt and the last boot's drain.
    async fn play(&mut self, input: Input) -> Result<(), Failure> {
        let spoiled = self.publish_all(input).await?;
        self.boot.end(self.drains, &mut self.tally).await?;
        spoiled.map_or(Ok(()), Err)
    }

    /// Publishes the input up to its end, or to what spoils it: that is returned, for what came before still counts.
    async fn publish_all(&mut self, mut input: Input) -> Result<Option<Failure>, Failure> {
        loop {
            match self.next(&mut input).await {
                Next::Entry(Ok(Some(entry))) => {
                    if let Some(failure) = self.publish(entry).await? {
                        return Ok(Some(failure));
                    }
                }
                Next::Entry(Ok(None)) => return Ok(None),
                Next::Entry(Err(error)) => {
                    return Ok(Some(Exit::Data.because(format_args!("the input breaks off: {error}"))));
                }
                Next::Step(step) => self.boot.take(step, &mut self.tally)?,
            }
        }
    }

    /// A dispatcher that is away holds a file up, and no live gateway: what does not fit is lost.
    async fn next(&mut self, input: &mut Input) -> Next {
        let (has_room, live) = (self.boot.has_room(), input.is_live());
        if self.boot.is_away() {
            tokio::select! {
                biased; // Nothing that is read holds up the way back.
                step = self.boot.step() => Next::Step(step),
                entry = input.next(), if has_room || live => Next::Entry(entry),
            }
        } else {
            tokio::select! {
                biased; // What is ready goes into one batch.
                entry = input.next(), if has_room => Next::Entry(entry),
                step = self.boot.step() => Next::Step(step),
            }
        }
    }

    /// Publishes one line. Returned is what spoils the input: a line that cannot be used, where that is strict.
    async fn publish(&mut self, Entry { number, fired }: Entry) -> Result<Option<Failure>, Failure> {
        match fired {
            Ok(Fired { event, boot, synthetic: true }) => {
                if boot.is_none() || boot == self.recorded {
                    self.boot.pass_over(&event); // of another boot, it says nothing about this one
                }
                self.tally.synthetic += 1;
                Ok(None)
            }
            Ok(Fired { event, boot, .. }) => {
                if self.enter(boot, event.hook == hook::GATEWAY_START) {
                    self.boot_again().await?;
                }
                self.boot.publish(number, event, &mut self.tally);
                Ok(None)
            }
            Err(unusable) => {
                self.tally.reject(number, &unusable);
                Ok(self.strict.then(|| Exit::Data.because(format_args!("line {number} cannot be used"))))
            }
        }
    }

    /// Whether a line is another boot's: it says so, or where that or the line before says nothing, it is another gateway_start.
    fn enter(&mut self, boot: Option<String>, starts: bool) -> bool {
        let is_another = match (&self.recorded, &boot) {
            (Some(recorded), Some(boot)) => {
                // What straggles from the boot before does not bring it back.
                recorded != boot && self.earlier.as_ref() != Some(boot)
            }
            _ => starts && self.started,
        };
        if is_another {
            self.earlier = mem::replace(&mut self.recorded, boot);
            self.started = starts;
        } else {
            self.recorded = self.recorded.take().or(boot);
            self.started |= starts;
        }
        is_another
    }

    /// Ends the boot and opens the next.
    async fn boot_again(&mut self) -> Result<(), Failure> {
        self.boot.end(self.drains, &mut self.tally).await?;
        self.boot.close().await; // as a process that went away
        self.boot = Boot::open_patiently(&self.address, hello(&self.gateway, None)).await?;
        Ok(())
    }

    /// Waits a little for the receipts of what is in hand; what comes of it shows in the tally.
    async fn settle(&mut self) {
        let _ = timeout(SETTLE_WITHIN, self.boot.end(false, &mut self.tally)).await;
    }

    /// Stays attached until the process is told to stop.
    async fn hold(&mut self, mut stop: Stop) -> Result<(), Failure> {
        tokio::select! {
            () = stop.asked() => Ok(()),
            stayed = self.boot.stay(&mut self.tally) => stayed,
        }
    }
}

/// What a publisher does next.
enum Next {
    Entry(io::Result<Option<Entry>>),
    Step(Step),
}

/// SIGTERM and SIGINT.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => (),
            _ = self.interrupt.recv() => (),
        }
    }
}
