//! How a handler is begun: on a current-thread runtime at once, where the stream is read; one that waits goes on in a
//! task of its own.
//!
//! Most handlers answer without waiting, and a task costs more than all the rest of a delivery. But one that blocks its
//! thread would hold up the stream and the stop signal: where there are other threads, each has a task from the beginning.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, Waker},
};

use tokio::runtime::{Handle, RuntimeFlavor};

use crate::{
    outcome::{IntoOutcome, Outcome},
    routes::Handler,
};

/// What a handler is about to say: its future, whatever that returns.
pub(crate) type Answer = Pin<Box<dyn Answering>>;

/// A future, asked for its outcome: one that is wrapped to return it would be copied once more.
pub(crate) trait Answering: Send {
    fn poll_outcome(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome>;
}

impl<F: Future<Output: IntoOutcome> + Send> Answering for F {
    fn poll_outcome(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        self.poll(context).map(IntoOutcome::into_outcome)
    }
}

/// How many are begun at once in one turn: behind them the stream, its Acks and the signal are looked after.
const AT_ONCE: u32 = 512;

/// A handler that was begun.
pub(crate) enum Begun {
    /// It has answered.
    Done(Outcome),
    /// It waits for something, or has a task to itself: see [`finish`].
    Waits(Answer),
}

/// Where the next handler is begun.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// Whether the runtime has this thread alone; `None` until it is known.
    alone: Option<bool>,
    /// How many more may be begun at once in this turn.
    at_once: u32,
}

impl Pace {
    /// A turn begins.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub(crate) fn turn(&mut self) {
        let alone = || Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread;
        self.at_once = if *self.alone.get_or_insert_with(alone) { AT_ONCE } else { 0 };
    }

    /// Begins one. It never panics, whatever the author's code does.
    pub(crate) fn begin<I: Send + 'static>(&mut self, handler: &Handler<I>, input: I) -> Begun {
        let Some(left) = self.at_once.checked_sub(1) else {
            return Begun::Waits(Box::pin(outcome_of(handler.clone(), input)));
        };
        self.at_once = left;
        begin(handler, input)
    }
}

/// Runs it from beginning to end.
pub(crate) async fn outcome_of<I>(handler: Handler<I>, input: I) -> Outcome {
    match begin(&handler, input) {
        Begun::Done(outcome) => outcome,
        Begun::Waits(answer) => finish(answer).await,
    }
}

/// Runs one that was begun to its end.
pub(crate) async fn finish(mut answer: Answer) -> Outcome {
    std::future::poll_fn(|context| {
        caught(|| answer.as_mut().poll_outcome(context)).unwrap_or_else(Poll::Ready)
    })
    .await
}

/// Polls it once. Nobody is woken by this poll: a task polls it again at once.
fn begin<I>(handler: &Handler<I>, input: I) -> Begun {
    let begun = caught(|| {
        let mut answer = handler(input);
        match answer.as_mut().poll_outcome(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => Begun::Done(outcome),
            Poll::Pending => Begun::Waits(answer),
        }
    });
    begun.unwrap_or_else(Begun::Done)
}

/// A panic is the author's mistake with this input, not the end of the plugin.
fn caught<T>(author: impl FnOnce() -> T) -> Result<T, Outcome> {
    // What a panic leaves half done is the author's own state; ours is not touched again.
    catch_unwind(AssertUnwindSafe(author)).map_err(|_| Outcome::failed("the handler panicked"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::handler;

    fn is_done(begun: &Begun) -> bool {
        matches!(begun, Begun::Done(_))
    }

    #[tokio::test]
    async fn a_panic_is_a_failure() {
        let panicked = Outcome::failed("the handler panicked");
        let at_once = handler(|()| -> std::future::Ready<()> { panic!("at once") });
        assert_eq!(outcome_of(at_once, ()).await, panicked);

        let later = handler(|late: bool| async move {
            tokio::task::yield_now().await;
            assert!(!late, "later");
        });
        assert_eq!(outcome_of(later, true).await, panicked);

        struct Mine;
        impl Drop for Mine {
            fn drop(&mut self) {
                panic!("when all is done");
            }
        }
        let at_last = handler(|mine: Mine| async move { drop(mine) });
        assert_eq!(outcome_of(at_last, Mine).await, panicked);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_waits_goes_on_in_a_task() {
        let waits = handler(|()| async { tokio::time::sleep(std::time::Duration::from_secs(1)).await });
        let mut pace = Pace::default();
        pace.turn();
        let Begun::Waits(answer) = pace.begin(&waits, ()) else { panic!("it sleeps") };
        assert_eq!(tokio::spawn(finish(answer)).await.expect("no panic"), Outcome::Ok);
    }

    #[tokio::test]
    async fn a_turn_ends() {
        let quick = handler(|()| std::future::ready(()));
        let mut pace = Pace::default();
        for _ in 0..2 {
            pace.turn();
            for _ in 0..AT_ONCE {
                assert!(is_done(&pace.begin(&quick, ())));
            }
            assert!(!is_done(&pace.begin(&quick, ())));
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn where_there_are_other_threads_none_holds_up_the_stream() {
        let mut pace = Pace::default();
        pace.turn();
        assert!(!is_done(&pace.begin(&handler(|()| std::future::ready(())), ())));
    }
}
