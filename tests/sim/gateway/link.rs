//! A gateway's stream, as often as it takes.

use std::{rc::Rc, time::Duration};

use hookwire_protocol::v1::{
    AttachRequest, AttachResponse, Publish,
    attach_request::{self, Hello},
    attach_response::Message,
    gateway_service_client::GatewayServiceClient,
};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use super::{
    Gateway, STREAM,
    process::{List, Process},
};
use crate::{
    dice::Dice,
    network::{PATIENCE, dial},
};

/// Requests that may wait to be sent.
const REQUESTS: usize = 64;

impl Gateway {
    /// Attaches again whenever the stream breaks. Returns when this boot is over.
    pub(super) async fn stay_attached(&self, process: &Rc<Process>, dice: &mut Dice) {
        loop {
            let outcome = tokio::select! {
                biased; // a cut that is due comes before what was heard meanwhile
                () = self.party.cut.notified() => Err(Status::cancelled("cut")),
                outcome = self.attach(process) => outcome,
            };
            self.party.disconnect(STREAM);
            let why = outcome.err().map_or(Code::Ok, |status| status.code());
            self.party.say(format_args!("is detached: {why:?}"));
            if why == Code::FailedPrecondition {
                return;
            }
            sleep(dice.ms(5, 300)).await;
        }
    }

    /// One stream, until it breaks.
    async fn attach(&self, process: &Process) -> Result<(), Status> {
        let list = process.owes_list();
        let Opened { requests, mut responses, resume_after } = self.open(process, list.as_ref()).await?;
        self.party.say(format_args!("is attached, resumes after {resume_after}"));
        self.party.connect(STREAM);
        // What was taken in and is sent all the same has no second effect.
        let through = if self.plan.sends_all_again { 0 } else { resume_after };
        self.publish(process, &requests, &mut responses, Sent { through, list }).await
    }

    /// A process of a boot that is over, of whom nobody knew that it is still there.
    pub(super) async fn straggle(self: Rc<Self>, process: Rc<Process>, after: Duration) {
        sleep(after).await;
        if self.open(&process, None).await.is_ok() {
            self.party.records.complain(format!("{} is over, and was welcomed", process.boot));
        }
    }

    async fn open(&self, process: &Process, list: Option<&List>) -> Result<Opened, Status> {
        let channel = dial().await.ok_or_else(|| Status::unavailable("nobody answers"))?;
        let (requests, outbound) = mpsc::channel(REQUESTS);
        let hello = Hello {
            gateway_id: self.party.name.clone(),
            boot_id: process.boot.clone(),
            emitter_id: process.emitter.clone(),
            resend_through: list.map_or(0, |list| list.behind),
            live_sessions: list.map(|list| list.live.clone()),
            ..Hello::default()
        };
        self.list(process, &hello);
        say(&requests, attach_request::Message::Hello(hello)).await;
        let mut client = GatewayServiceClient::new(channel);
        let call = timeout(PATIENCE, client.attach(ReceiverStream::new(outbound)));
        let mut responses = call.await.map_err(|_| Status::deadline_exceeded("no headers"))??.into_inner();
        let first = timeout(PATIENCE, responses.message()).await;
        let first = first.map_err(|_| Status::deadline_exceeded("no welcome"))??;
        match first.and_then(|it| it.message) {
            Some(Message::Welcome(welcome)) => {
                Ok(Opened { requests, responses, resume_after: welcome.resume_after })
            }
            _ => Err(Status::internal("no welcome")),
        }
    }

    fn list(&self, process: &Process, hello: &Hello) {
        let Some(list) = &hello.live_sessions else { return };
        let sessions: Vec<_> = list.sessions.iter().map(|session| session.id().to_owned()).collect();
        self.party.say(format_args!("lists {sessions:?} behind #{}", hello.resend_through));
        self.party.records.list(&process.boot, sessions);
    }

    async fn publish(
        &self,
        process: &Process,
        requests: &mpsc::Sender<AttachRequest>,
        responses: &mut Streaming<AttachResponse>,
        mut sent: Sent,
    ) -> Result<(), Status> {
        sent.are_taken_in(process, sent.through);
        while !process.has_lost_more(sent.list.as_ref()) {
            sent.through = send_behind(process, requests, sent.through).await;
            tokio::select! {
                biased; // receipts first: they make room
                response = responses.message() => match response?.and_then(|it| it.message) {
                    Some(Message::Receipt(receipt)) => {
                        self.party.say(format_args!("receipt to #{}", receipt.through_publish_seq));
                        sent.are_taken_in(process, receipt.through_publish_seq);
                    }
                    Some(Message::Goodbye(_)) | None => return Ok(()),
                    Some(Message::Welcome(_)) => return Err(Status::internal("welcomed twice")),
                },
                () = process.more.notified() => {}
            }
        }
        Ok(()) // and says at the next Hello what lives
    }
}

/// A stream that was welcomed.
struct Opened {
    requests: mpsc::Sender<AttachRequest>,
    responses: Streaming<AttachResponse>,
    resume_after: u64,
}

/// What one stream has said.
struct Sent {
    /// The last publish_seq.
    through: u64,
    /// In its Hello.
    list: Option<List>,
}

impl Sent {
    fn are_taken_in(&self, process: &Process, through: u64) {
        process.taken_in(through);
        if let Some(list) = self.list.as_ref().filter(|list| list.behind <= through) {
            process.is_reconciled(list);
        }
    }
}

/// Sends what is buffered behind this number; the last number that was sent.
async fn send_behind(process: &Process, requests: &mpsc::Sender<AttachRequest>, sent: u64) -> u64 {
    let waiting = process.behind(sent);
    let last = waiting.last().map_or(sent, |(last, _)| *last);
    // What had to go leaves holes between them.
    for run in waiting.chunk_by(|(one, _), (next, _)| one + 1 == *next) {
        let (first_publish_seq, _) = run[0];
        let events = run.iter().map(|(_, event)| event.clone()).collect();
        say(requests, attach_request::Message::Publish(Publish { first_publish_seq, events })).await;
    }
    last
}

async fn say(requests: &mpsc::Sender<AttachRequest>, message: attach_request::Message) {
    // Fails where the stream has ended, which is heard in a moment.
    let _ = requests.send(AttachRequest { message: Some(message) }).await;
}
