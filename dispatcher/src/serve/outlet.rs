//! Where the worker's frames leave for a transport: a few at a time, and only while there is room.

use std::{
    collections::{HashMap, VecDeque},
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame as BodyFrame;
use tokio::sync::mpsc::{self, error::TrySendError};
use tonic::Status;

use super::{frame::Frame, stream::StreamId};

/// Frames between the worker and a transport: one that is written, one that is next.
const FRAMES: usize = 2;

/// What a stream's response is made of.
#[derive(Debug)]
pub(crate) enum Outgoing {
    Frame(Frame),
    /// The stream ends with this status.
    End(Status),
}

/// The worker's end of one stream.
#[derive(Debug)]
pub(crate) struct Outlet {
    frames: mpsc::Sender<Outgoing>,
    starved: Starved,
}

/// The transport's end of one stream: an HTTP body.
#[derive(Debug)]
pub(crate) struct Outflow {
    frames: mpsc::Receiver<Outgoing>,
    starved: Starved,
    stream: StreamId,
    ready: mpsc::UnboundedSender<StreamId>,
    /// Pieces of the frame that is being written.
    pieces: VecDeque<Bytes>,
    /// How the stream ends, once its last piece is written.
    status: Option<Status>,
    ended: bool,
}

/// Both ends of a stream. The sender of the third part lets whoever reads the stream end it with a status.
pub(crate) fn outlet(
    stream: StreamId,
    ready: mpsc::UnboundedSender<StreamId>,
) -> (Outlet, Outflow, mpsc::Sender<Outgoing>) {
    let (sender, frames) = mpsc::channel(FRAMES);
    let starved = Starved::default();
    let outflow = Outflow {
        frames,
        starved: starved.clone(),
        stream,
        ready,
        pieces: VecDeque::new(),
        status: None,
        ended: false,
    };
    (Outlet { frames: sender.clone(), starved }, outflow, sender)
}

/// All streams that the worker serves.
#[derive(Debug, Default)]
pub(crate) struct Outlets {
    open: HashMap<StreamId, Outlet>,
    /// Streams that are over but for the last of them.
    closing: HashMap<StreamId, (Outlet, Outgoing)>,
}

impl Outlets {
    pub(crate) fn insert(&mut self, stream: StreamId, outlet: Outlet) {
        self.open.insert(stream, outlet);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty() && self.closing.is_empty()
    }

    /// Nothing follows this.
    pub(crate) fn finish(&mut self, stream: StreamId, last: Outgoing) {
        if let Some(outlet) = self.open.remove(&stream) {
            self.close(stream, outlet, last);
        }
    }

    /// Ends all of them.
    pub(crate) fn finish_all(&mut self, last: impl Fn() -> Outgoing) {
        for stream in self.open.keys().copied().collect::<Vec<_>>() {
            self.finish(stream, last());
        }
    }

    /// Room for one more frame of this stream.
    pub(crate) fn room(&mut self, stream: StreamId) -> Room {
        if let Some((outlet, last)) = self.closing.remove(&stream) {
            self.close(stream, outlet, last);
        }
        self.open.get(&stream).map_or(Room::None, Outlet::room)
    }

    /// The stream is over: its last frame has its place, or its transport is gone.
    pub(crate) fn forget(&mut self, stream: StreamId) {
        self.open.remove(&stream);
    }

    fn close(&mut self, stream: StreamId, outlet: Outlet, last: Outgoing) {
        let full = match outlet.room() {
            Room::None => true,
            Room::Closed => false,
            Room::For(permit) => return permit.fill(last),
        };
        if full {
            self.closing.insert(stream, (outlet, last));
        }
    }
}

/// Whether a stream takes another frame.
#[derive(Debug)]
pub(crate) enum Room {
    For(Place),
    /// The body says when there is some again.
    None,
    /// The transport is gone.
    Closed,
}

/// A frame's place on its way to a transport: the frame may come later, and those behind it stand behind it.
#[derive(Debug)]
pub(crate) struct Place(mpsc::OwnedPermit<Outgoing>);

impl Place {
    /// What was to come has come.
    pub(crate) fn fill(self, outgoing: Outgoing) {
        self.0.send(outgoing);
    }
}

impl Outlet {
    fn room(&self) -> Room {
        let reserve = || self.frames.clone().try_reserve_owned();
        let mut permit = reserve();
        if matches!(permit, Err(TrySendError::Full(_))) {
            self.starved.set();
            // It may have made room just before it could see that somebody waits.
            permit = reserve();
        }
        match permit {
            Ok(permit) => Room::For(Place(permit)),
            Err(TrySendError::Full(_)) => Room::None,
            Err(TrySendError::Closed(_)) => Room::Closed,
        }
    }
}

/// Shared between the worker and a stream's body: the worker had more than there was room for.
#[derive(Clone, Debug, Default)]
struct Starved(Arc<AtomicBool>);

impl Starved {
    fn set(&self) {
        self.0.store(true, Ordering::SeqCst); // before the worker looks for room once more
    }

    fn take(&self) -> bool {
        self.0.swap(false, Ordering::SeqCst) // after the body has made room
    }
}

impl http_body::Body for Outflow {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<BodyFrame<Bytes>, Infallible>>> {
        loop {
            if let Some(piece) = self.pieces.pop_front() {
                return Poll::Ready(Some(Ok(BodyFrame::data(piece))));
            }
            if self.ended {
                return Poll::Ready(None);
            }
            if let Some(status) = self.status.take() {
                self.ended = true;
                return Poll::Ready(Some(Ok(BodyFrame::trailers(trailers(&status)))));
            }
            let next = ready!(self.frames.poll_recv(cx));
            if self.starved.take() {
                // The worker outlives its streams only at the very end, when nothing is left to write.
                let _ = self.ready.send(self.stream);
            }
            match next {
                Some(Outgoing::Frame(frame)) => {
                    self.pieces.extend(frame.pieces);
                    self.status = frame.last.then(|| Status::ok(""));
                }
                Some(Outgoing::End(status)) => self.status = Some(status),
                None => self.status = Some(Status::ok("")),
            }
        }
    }
}

impl Drop for Outflow {
    /// The transport is gone: what the worker still keeps for it would be kept for ever.
    fn drop(&mut self) {
        self.frames.close(); // first: the worker looks for room as soon as it is told
        if self.starved.take() {
            let _ = self.ready.send(self.stream); // without a worker there is nothing to let go of
        }
    }
}

fn trailers(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    // Fails only for a text that no header can hold, and then the code alone must do.
    if status.add_header(&mut trailers).is_err() {
        let _ = Status::new(status.code(), "").add_header(&mut trailers);
    }
    trailers
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: StreamId = StreamId(1);

    fn frame() -> Frame {
        Frame { pieces: vec![Bytes::from_static(b"x")], last: false }
    }

    #[test]
    fn the_last_frame_for_a_peer_that_never_reads_is_let_go_of_with_its_transport() {
        let (ready, mut wakes) = mpsc::unbounded_channel();
        let (outlet, outflow, _reader) = outlet(STREAM, ready);
        let mut outlets = Outlets::default();
        outlets.insert(STREAM, outlet);
        while let Room::For(place) = outlets.room(STREAM) {
            place.fill(Outgoing::Frame(frame()));
        }
        outlets.finish(STREAM, Outgoing::End(Status::ok("")));
        assert!(!outlets.is_empty(), "the last frame waits");
        drop(outflow);
        assert_eq!(wakes.try_recv(), Ok(STREAM));
        assert!(matches!(outlets.room(STREAM), Room::None));
        assert!(outlets.is_empty());
    }
}
