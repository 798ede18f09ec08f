//! The plugin author's code, and which of it gets an event.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
};

use hookwire_protocol::v1::DrainNotice;
use wildmatch::WildMatch;

use crate::{
    caught_up::CaughtUp,
    delivery::Delivery,
    outcome::{IntoOutcome, Outcome},
};

/// The author's code for one kind of input.
pub(crate) type Handler<I> = Arc<dyn Fn(I) -> Pin<Box<dyn Future<Output = Outcome> + Send>> + Send + Sync>;

/// All of the author's code.
#[derive(Clone, Default)]
pub(crate) struct Routes {
    pub(crate) hooks: Vec<(WildMatch, Handler<Delivery>)>,
    pub(crate) drain: Option<Handler<DrainNotice>>,
    pub(crate) caught_up: Option<Handler<CaughtUp>>,
}

impl Routes {
    /// The first handler whose glob matches the hook.
    pub(crate) fn find(&self, hook: &str) -> Option<Handler<Delivery>> {
        self.hooks.iter().find(|(glob, _)| glob.matches(hook)).map(|(_, handler)| handler.clone())
    }
}

/// Makes one shape of every author's function.
pub(crate) fn handler<I, F, R>(author: impl Fn(I) -> F + Send + Sync + 'static) -> Handler<I>
where
    F: Future<Output = R> + Send + 'static,
    R: IntoOutcome,
{
    Arc::new(move |input| {
        let answer = author(input);
        Box::pin(async move { answer.await.into_outcome() })
    })
}

/// Runs it to its end. A panic is the author's mistake with this input, not the end of the plugin: a retry.
pub(crate) async fn outcome_of<I>(handler: Handler<I>, input: I) -> Outcome {
    let mut answer = pin!(async move { handler(input).await });
    std::future::poll_fn(|context| {
        // What a panic leaves half done is the author's own state; ours is only `answer`, not polled again.
        match catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(context))) {
            Ok(poll) => poll,
            Err(_) => Poll::Ready(Outcome::retry("the handler panicked")),
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_a_retry() {
        let at_once = handler(|()| -> std::future::Ready<()> { panic!("at once") });
        assert_eq!(outcome_of(at_once, ()).await, Outcome::retry("the handler panicked"));

        let later = handler(|late: bool| async move {
            tokio::task::yield_now().await;
            assert!(!late, "later");
        });
        assert_eq!(outcome_of(later, true).await, Outcome::retry("the handler panicked"));
    }
}
