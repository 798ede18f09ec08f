//! A connection as the bench's plugins and gateway use it: wide windows, nothing in between.

use std::time::Duration;

use hookwire_sdk::Address;
use tonic::transport::{Channel, Endpoint};

use crate::cli::{Exit, Failure, client::innermost};

/// What may be sent to it beyond what it has read, in bytes: less holds a fast dispatcher up.
const WINDOW: u32 = 4 << 20;

/// The largest HTTP/2 frame that is taken, in bytes: a whole batch. With the stock 16 KiB the dispatcher needs a third
/// more CPU.
const FRAME: u32 = 64 << 10;

/// How long a dispatcher may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Dials a dispatcher.
///
/// # Errors
/// When nobody answers.
pub(super) async fn dial(address: &Address) -> Result<Channel, Failure> {
    let uri = match address {
        Address::Tcp(host_and_port) => format!("http://{host_and_port}"),
        Address::Unix(_) => address.to_string(),
    };
    let nobody = |error: tonic::transport::Error| {
        Exit::Unavailable.because(format!("nobody answers at {address}: {}", innermost(&error)))
    };
    Endpoint::from_shared(uri)
        .map_err(nobody)?
        .connect_timeout(PATIENCE)
        .tcp_nodelay(true)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_frame_size(FRAME)
        .connect()
        .await
        .map_err(nobody)
}
