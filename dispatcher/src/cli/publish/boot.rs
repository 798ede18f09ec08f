//! One boot of the gateway: an emitter that outlives its streams.

use std::time::Duration;

use hookwire_protocol::v1::{
    DrainRequest, GatewayEvent, SessionEndReason, StopReason, attach_request::Hello,
    attach_response::Welcome, gateway_event::Payload,
};
use hookwire_sdk::Address;
use prost::Message;
use tokio::time::{Instant, sleep_until};

use super::{
    Tally,
    attach::Link,
    drain::drain,
    line::{Line, Step},
    resend::Resend,
    setback::{Patience, Setback},
};
use crate::cli::Failure;

/// How long a dispatcher may keep an event without a receipt before its stream counts as lost.
const RECEIPT_WITHIN: Duration = Duration::from_secs(30);
/// A stream that carried nothing counts as a success when it lasted this long.
const STEADY_AFTER: Duration = Duration::from_secs(5);

/// A boot that is attached.
#[derive(Debug)]
pub(super) struct Boot {
    address: Address,
    hello: Hello,
    line: Line,
    welcome: Welcome,
    resend: Resend,
    patience: Patience,
    /// When something was receipted last, or first waited for it.
    heard: Instant,
    /// What its gateway_stop said, once that was read.
    stop: Option<StopReason>,
    /// What was passed over last is an end of a gateway that had vanished.
    lost: bool,
    over: bool,
}

/// A Hello of a new emitter; without a name, the boot gets a random one.
pub(super) fn hello(gateway: &str, boot: Option<String>) -> Hello {
    let random = || uuid::Uuid::new_v4().to_string();
    Hello {
        gateway_id: gateway.to_owned(),
        boot_id: boot.unwrap_or_else(random),
        emitter_id: random(),
        client_name: "hookwire publish".to_owned(),
        client_version: env!("CARGO_PKG_VERSION").to_owned(),
        ..Hello::default()
    }
}

impl Boot {
    /// Attaches, in a single try.
    ///
    /// # Errors
    /// As [`Link::open`].
    pub(super) async fn open(address: &Address, hello: Hello) -> Result<Self, Setback> {
        let (link, welcome) = Link::open(address, hello.clone()).await?;
        Ok(Self {
            address: address.clone(),
            hello,
            line: Line::Open(Box::new(link)),
            welcome,
            resend: Resend::default(),
            patience: Patience::default(),
            heard: Instant::now(),
            stop: None,
            lost: false,
            over: false,
        })
    }

    /// Attaches, in as many tries as it takes.
    ///
    /// # Errors
    /// When it is refused, or nobody answers for 30 seconds.
    pub(super) async fn open_patiently(address: &Address, hello: Hello) -> Result<Self, Failure> {
        let mut patience = Patience::default();
        loop {
            match Self::open(address, hello.clone()).await {
                Ok(boot) => return Ok(boot),
                Err(setback) => patience.wait_out(setback).await?,
            }
        }
    }

    /// Nobody takes anything in at the moment.
    pub(super) fn is_away(&self) -> bool {
        !self.line.is_open()
    }

    /// Whether another event may be published without any being lost.
    pub(super) fn has_room(&self) -> bool {
        self.resend.has_room()
    }

    /// Takes over an event that was read from this line; it is on its way with the next steps.
    pub(super) fn publish(&mut self, line: u64, event: GatewayEvent, tally: &mut Tally) {
        self.lost = false;
        if let Some(Payload::GatewayStop(stop)) = &event.payload {
            self.stop = Some(stop.reason());
        }
        let (bytes, max) = (event.encoded_len(), self.welcome.max_event_bytes as usize);
        if max > 0 && bytes > max {
            tally.reject(line, format_args!("an event of {bytes} bytes; {max} are taken in at most"));
        } else {
            tally.lose(self.resend.push(line, event));
        }
    }

    /// Takes note of what a dispatcher made: a gateway_stop of its own tells of a drain, unless the boot was lost.
    pub(super) fn pass_over(&mut self, event: &GatewayEvent) {
        match &event.payload {
            Some(Payload::SessionEnd(end)) => self.lost = end.reason() == SessionEndReason::Lost,
            Some(Payload::GatewayStop(stop)) if !self.lost => self.stop = Some(stop.reason()),
            _ => {}
        }
    }

    /// What happens next. Dropping the future loses nothing.
    pub(super) async fn step(&mut self) -> Step {
        let awaits_receipt = self.line.is_open() && self.resend.awaits_receipt();
        tokio::select! {
            biased; // A receipt that came in time counts, however late it is looked at.
            step = self.line.step(self.resend.has_unsent()) => step,
            () = sleep_until(self.heard + RECEIPT_WITHIN), if awaits_receipt => {
                Step::Lost(Setback::Lost("the dispatcher gives no receipts".to_owned()))
            }
        }
    }

    /// Does what the step asks for.
    ///
    /// # Errors
    /// After a loss, when attaching again is refused, or nothing has worked for 30 seconds.
    pub(super) fn take(&mut self, step: Step, tally: &mut Tally) -> Result<(), Failure> {
        match step {
            Step::Room => self.send(),
            Step::Receipt(receipt) => {
                self.heard = Instant::now();
                self.patience.renew();
                tally.count(self.resend.settle(receipt));
            }
            Step::Lost(setback) => self.wait(setback)?,
            Step::Dial => self.dial(),
            Step::Welcome(link, welcome) => self.go_on(link, welcome, tally),
        }
        Ok(())
    }

    fn send(&mut self) {
        if !self.resend.awaits_receipt() {
            self.heard = Instant::now();
        }
        if let Line::Open(link) = &self.line
            && let Some(batch) = self.resend.next_batch()
        {
            link.send(batch);
        }
    }

    fn wait(&mut self, setback: Setback) -> Result<(), Failure> {
        // A dispatcher that welcomes and then breaks, again and again, must not be tried for ever.
        if !self.resend.awaits_receipt() && self.line.age() > STEADY_AFTER {
            self.patience.renew();
        }
        self.line = Line::Waiting(Instant::now() + self.patience.bear(setback)?);
        Ok(())
    }

    /// Says Hello as the same emitter of the same boot. Where starts or ends had to go, it lists what is alive.
    fn dial(&mut self) {
        let owed = self.resend.owes_list();
        let list = self.resend.list();
        if owed && list.is_none() {
            anstream::eprintln!(
                "hookwire: too many sessions are alive to be listed: ends that were lost come with the boot's end"
            );
        }
        let (live_sessions, resend_through) = list.unzip();
        let resend_through = resend_through.unwrap_or_default();
        self.line = Line::dial(&self.address, Hello { live_sessions, resend_through, ..self.hello.clone() });
    }

    fn go_on(&mut self, link: Box<Link>, welcome: Welcome, tally: &mut Tally) {
        let settled = self.resend.rewind(welcome.resume_after);
        if let Some(away) = self.patience.failing_for() {
            let (away, held) = (away.as_secs_f32(), self.resend.held());
            anstream::eprintln!("hookwire: attached again after {away:.1} s; {held} events wait to be sent");
        }
        if settled.taken > 0 {
            self.patience.renew();
        }
        tally.count(settled);
        self.welcome = welcome;
        if self.resend.owes_list() {
            self.dial(); // more had to go since that Hello
        } else {
            self.line = Line::Open(link);
        }
    }

    /// Waits for all receipts; with `drains`, then drains the boot if its gateway_stop was read.
    ///
    /// # Errors
    /// As [`Boot::take`].
    pub(super) async fn end(&mut self, drains: bool, tally: &mut Tally) -> Result<(), Failure> {
        while !self.resend.is_settled() {
            let step = self.step().await;
            self.take(step, tally)?;
        }
        if let Some(reason) = self.stop.filter(|_| drains) {
            self.over = true;
            let request = DrainRequest {
                gateway_id: self.hello.gateway_id.clone(),
                boot_id: self.hello.boot_id.clone(),
                reason: reason.into(),
                ..DrainRequest::default()
            };
            drain(&self.address, request, Duration::from_millis(self.welcome.drain_budget_ms.into())).await?;
        }
        Ok(())
    }

    /// Stays attached, for ever.
    ///
    /// # Errors
    /// As [`Boot::take`].
    pub(super) async fn stay(&mut self, tally: &mut Tally) -> Result<(), Failure> {
        loop {
            match self.step().await {
                // Nobody may come back in a boot that is over.
                Step::Lost(_) if self.over => return std::future::pending().await,
                step => self.take(step, tally)?,
            }
        }
    }

    /// Ends the stream in order.
    pub(super) async fn close(&mut self) {
        if let Line::Open(link) = &mut self.line {
            link.close().await;
        }
    }
}
