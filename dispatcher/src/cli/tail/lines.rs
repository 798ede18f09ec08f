//! Where a tail's lines go: written and flushed before anything of them is acknowledged.

use std::io;

use hookwire_protocol::v1::subscribe_response::Message;
use tokio::io::{AsyncWrite, AsyncWriteExt, Stdout};

use super::{eyes, json};

/// Where what comes goes, before it is answered.
pub(in crate::cli) trait Show {
    /// Takes a message over: behind this, a kill loses nothing of it.
    ///
    /// # Errors
    /// What the place says; of [`io::ErrorKind::BrokenPipe`] when nobody reads any more.
    async fn show(&mut self, message: &Message) -> io::Result<()>;

    /// What that place is called.
    fn place(&self) -> &str;
}

/// How a message becomes text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One JSON line a delivery.
    Json,
    /// For eyes, with colours.
    Coloured,
    /// For eyes, where colours would be noise.
    Plain,
}

/// A place for lines.
#[derive(Debug)]
pub(super) struct Lines<W> {
    form: Form,
    out: W,
}

impl Lines<Stdout> {
    /// To stdout; for eyes, coloured where it is a terminal and nothing forbids it.
    pub(super) fn to_stdout(json: bool) -> Self {
        let form = match anstream::AutoStream::choice(&io::stdout()) {
            _ if json => Form::Json,
            anstream::ColorChoice::Never => Form::Plain,
            _ => Form::Coloured,
        };
        Self::new(form, tokio::io::stdout())
    }
}

impl<W> Lines<W> {
    /// To any writer.
    pub(super) fn new(form: Form, out: W) -> Self {
        Self { form, out }
    }
}

impl<W: AsyncWrite + Unpin> Show for Lines<W> {
    async fn show(&mut self, message: &Message) -> io::Result<()> {
        let text = match self.form {
            Form::Json => json::lines(message),
            Form::Coloured => eyes::lines(message),
            Form::Plain => anstream::adapter::strip_str(&eyes::lines(message)).to_string(),
        };
        self.out.write_all(text.as_bytes()).await?;
        self.out.flush().await
    }

    fn place(&self) -> &str {
        "stdout"
    }
}
