//! `GatewayService`'s two calls, routed by hand instead of generated: what is published is left unread until the worker
//! takes it in.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use hookwire_protocol::{
    codec::OnePiece,
    v1::{AttachResponse, DrainRequest, DrainResponse, attach_request, gateway_service_server},
};
use http::{Request, Response};
use tonic::{
    Status, Streaming,
    body::Body,
    server::{Grpc, NamedService, ServerStreamingService, StreamingService},
};
use tower::Service;

use super::service::{GatewayService, Responses};

const ATTACH: &str = "/hookwire.v1.GatewayService/Attach";
const DRAIN: &str = "/hookwire.v1.GatewayService/Drain";

/// `AttachRequest` with its Publish as bytes. Parts of one, behind one another, are one.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Said {
    #[prost(message, optional, tag = "1")]
    hello: Option<attach_request::Hello>,
    #[prost(bytes = "bytes", repeated, tag = "2")]
    publish: Vec<Bytes>,
}

/// What a gateway said.
pub(super) enum Message {
    Hello(attach_request::Hello),
    Publish(Bytes),
    /// Which of them is meant, nobody can tell.
    Both,
}

impl Said {
    /// `None` for a kind of message that only a later version knows.
    pub(super) fn message(mut self) -> Option<Message> {
        match (self.hello, self.publish.len()) {
            (Some(hello), 0) => Some(Message::Hello(hello)),
            (None, 1) => self.publish.pop().map(Message::Publish),
            (None, 2..) => Some(Message::Publish(self.publish.concat().into())),
            (Some(_), 1..) => Some(Message::Both),
            (None, 0) => None,
        }
    }
}

type Answer<T> = Pin<Box<dyn Future<Output = Result<T, Status>> + Send>>;

impl NamedService for GatewayService {
    const NAME: &'static str = gateway_service_server::SERVICE_NAME;
}

impl Service<Request<Body>> for GatewayService {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (service, largest) = (self.clone(), self.max_request_bytes);
        Box::pin(async move {
            Ok(match request.uri().path() {
                ATTACH => {
                    let codec = OnePiece::<AttachResponse, Said>::default();
                    let mut grpc = Grpc::new(codec).max_decoding_message_size(largest);
                    grpc.streaming(Attach(service), request).await
                }
                DRAIN => {
                    let codec = OnePiece::<DrainResponse, DrainRequest>::default();
                    Grpc::new(codec).server_streaming(Drain(service), request).await
                }
                other => Status::unimplemented(format!("GatewayService has no {other}")).into_http(),
            })
        })
    }
}

struct Attach(GatewayService);

impl StreamingService<Said> for Attach {
    type Response = AttachResponse;
    type ResponseStream = Responses<AttachResponse>;
    type Future = Answer<tonic::Response<Self::ResponseStream>>;

    fn call(&mut self, request: tonic::Request<Streaming<Said>>) -> Self::Future {
        let responses = self.0.attach(request.into_inner());
        Box::pin(async { Ok(tonic::Response::new(responses)) })
    }
}

struct Drain(GatewayService);

impl ServerStreamingService<DrainRequest> for Drain {
    type Response = DrainResponse;
    type ResponseStream = Responses<DrainResponse>;
    type Future = Answer<tonic::Response<Self::ResponseStream>>;

    fn call(&mut self, request: tonic::Request<DrainRequest>) -> Self::Future {
        let service = self.0.clone();
        Box::pin(async move { service.drain(request.into_inner()).await.map(tonic::Response::new) })
    }
}
