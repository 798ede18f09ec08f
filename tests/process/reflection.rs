//! Reflection is told on request only.

use prost::Message as _;
use tokio_stream::once;
use tonic::Code;
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use crate::cast::daemon::Daemon;

async fn ask(daemon: &Daemon, question: MessageRequest) -> Result<MessageResponse, tonic::Status> {
    let mut client = ServerReflectionClient::new(daemon.address().connect().await.unwrap());
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(question) };
    let mut answers = client.server_reflection_info(once(request)).await?.into_inner();
    Ok(answers.message().await?.unwrap().message_response.unwrap())
}

#[tokio::test]
async fn it_tells_services_and_messages() {
    let daemon = Daemon::start(&["--reflection"]).await;
    let services = ask(&daemon, MessageRequest::ListServices(String::new())).await.unwrap();
    let MessageResponse::ListServicesResponse(services) = services else { panic!("{services:?}") };
    let names: Vec<_> = services.service.iter().map(|service| service.name.as_str()).collect();
    for name in ["HookService", "GatewayService", "AdminService"] {
        assert!(names.contains(&format!("hookwire.v1.{name}").as_str()), "{names:?}");
    }
    assert!(names.contains(&"grpc.health.v1.Health"), "{names:?}");

    let event = MessageRequest::FileContainingSymbol("hookwire.v1.Event".to_owned());
    let MessageResponse::FileDescriptorResponse(files) = ask(&daemon, event).await.unwrap() else {
        panic!("no file")
    };
    // A file's first field is its name.
    let name = String::decode(&*files.file_descriptor_proto[0]);
    assert_eq!(name.unwrap(), "hookwire/v1/event.proto");
}

#[tokio::test]
async fn otherwise_there_is_no_such_service() {
    let daemon = Daemon::start(&[]).await;
    let refused = ask(&daemon, MessageRequest::ListServices(String::new())).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
}
