//! Who looks at the dispatcher from outside: an operator, and a plugin that comes once to see what lives.

use std::{cell::RefCell, rc::Rc};

use hookwire_protocol::v1::{
    Ack, Event, GetStatusRequest, GetStatusResponse, SubscribeRequest,
    admin_service_client::AdminServiceClient,
    hook_service_client::HookServiceClient,
    subscribe_request::{Goodbye, Hello, Message as Request},
    subscribe_response::Message,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

use crate::network::dial;

/// The starts of all that lives.
pub(crate) type Announced = Vec<Event>;

/// The witness's name.
pub(crate) const WITNESS: &str = "witness";

/// Asks how the dispatcher is.
///
/// # Errors
/// It does not say.
pub(crate) async fn status(slot: Rc<RefCell<Option<GetStatusResponse>>>) -> turmoil::Result {
    let status = AdminServiceClient::new(channel().await?).get_status(GetStatusRequest {}).await?;
    slot.replace(Some(status.into_inner()));
    Ok(())
}

/// Has every live session named, and lets go of all of them again.
///
/// # Errors
/// The stream breaks before that.
pub(crate) async fn witness(slot: Rc<RefCell<Option<Announced>>>) -> turmoil::Result {
    let (requests, outbound) = mpsc::channel(4);
    let say = async |message| requests.send(SubscribeRequest { message: Some(message) }).await;
    say(Request::Hello(Hello {
        subscriber_id: WITNESS.to_owned(),
        instance_id: WITNESS.to_owned(),
        hooks: vec!["session_*".to_owned()],
        announce: true,
        ..Hello::default()
    }))
    .await?;
    let call = HookServiceClient::new(channel().await?).subscribe(ReceiverStream::new(outbound)).await;
    let (mut responses, mut announced) = (call?.into_inner(), Announced::new());
    while let Some(response) = responses.message().await? {
        match response.message {
            Some(Message::Events(batch)) => {
                let through_seq = batch.first_seq + batch.events.len() as u64 - 1;
                announced.extend(batch.events);
                say(Request::Ack(Ack { through_seq, exceptions: Vec::new() })).await?;
            }
            Some(Message::CaughtUp(_)) => say(Request::Goodbye(Goodbye { release: true })).await?,
            Some(Message::Goodbye(_)) => break,
            _ => {}
        }
    }
    slot.replace(Some(announced));
    Ok(())
}

async fn channel() -> Result<Channel, &'static str> {
    dial().await.ok_or("nobody answers")
}
