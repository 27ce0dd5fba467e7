//! The gate: the last moment at which a message can still be stopped.
//!
//! A request body that asks a closure when the HTTP client first polls it, that
//! is once a connection stands and the request is about to be written to it.
//! Over HTTP/1 the client writes the request's head into the same buffer in the
//! same step, so a gate that says no leaves the socket untouched.
//!
//! The body and the sender share one state under a lock. That lock is what makes
//! "never posted" true: when the sender gives up (a timeout, say) while the
//! connection's own task is about to poll the body, one of the two comes first,
//! and a gate the sender has closed can no longer open. The closure is moved out
//! as it is called, so that it runs at most once whatever the client does.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

enum State<G> {
    /// Not asked yet.
    Waiting(G),
    /// Being asked; stays so only if the closure panicked.
    Asking,
    /// It said yes: the bytes are the client's.
    Opened,
    /// It said no: the bytes never left.
    Refused,
    /// The sender gave up before it was asked.
    Abandoned,
}

/// What became of the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passage {
    /// It was never asked, and cannot be any more.
    Never,
    /// It said no.
    Refused,
    /// It said yes, or nobody knows what it would have said: the message may be
    /// out.
    Opened,
}

/// The sender's end. Dropping it closes the gate for good.
pub(crate) struct Gate<G>(Arc<Mutex<State<G>>>);

/// The HTTP client's end.
pub(crate) struct GatedBody<G> {
    state: Arc<Mutex<State<G>>>,
    bytes: Bytes,
    done: bool,
}

/// The error that makes the client drop the request.
#[derive(Debug, thiserror::Error)]
#[error("the message was stopped before it left")]
pub(crate) struct Stopped;

impl<G: FnOnce() -> bool> Gate<G> {
    pub(crate) fn new(ask: G) -> Self {
        Self(Arc::new(Mutex::new(State::Waiting(ask))))
    }

    pub(crate) fn body(&self, bytes: Bytes) -> GatedBody<G> {
        GatedBody { state: Arc::clone(&self.0), bytes, done: false }
    }
}

impl<G> Gate<G> {
    /// Closes the gate if nobody asked it yet, and says what became of it.
    pub(crate) fn close(&self) -> Passage {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match *state {
            State::Waiting(_) => {
                *state = State::Abandoned;
                Passage::Never
            }
            State::Abandoned => Passage::Never,
            State::Refused => Passage::Refused,
            State::Opened | State::Asking => Passage::Opened,
        }
    }
}

impl<G> Drop for Gate<G> {
    fn drop(&mut self) {
        self.close();
    }
}

impl<G: FnOnce() -> bool> GatedBody<G> {
    fn pass(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *state, State::Asking) {
            State::Waiting(ask) => {
                let yes = ask();
                *state = if yes { State::Opened } else { State::Refused };
                yes
            }
            earlier => {
                *state = earlier;
                false
            }
        }
    }
}

impl<G: FnOnce() -> bool> Body for GatedBody<G> {
    type Data = Bytes;
    type Error = Stopped;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Stopped>>> {
        if self.done {
            return Poll::Ready(None);
        }
        self.done = true;
        let bytes = std::mem::take(&mut self.bytes);
        Poll::Ready(Some(if self.pass() { Ok(Frame::data(bytes)) } else { Err(Stopped) }))
    }

    fn is_end_stream(&self) -> bool {
        self.done
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::Waker;

    use super::*;

    fn poll<G: FnOnce() -> bool>(body: &mut GatedBody<G>) -> Option<Result<Bytes, Stopped>> {
        match Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(frame) => frame.map(|frame| frame.map(|frame| frame.into_data().expect("only data frames"))),
            Poll::Pending => unreachable!("a gated body is always ready"),
        }
    }

    #[test]
    fn an_open_gate_hands_over_the_bytes_once() {
        let asked = AtomicU32::new(0);
        let gate = Gate::new(|| {
            asked.fetch_add(1, Ordering::SeqCst);
            true
        });
        let mut body = gate.body(Bytes::from_static(b"hello"));
        assert_eq!(body.size_hint().exact(), Some(5));
        assert!(!body.is_end_stream());
        assert_eq!(poll(&mut body).expect("a frame").expect("passed"), "hello");
        assert!(body.is_end_stream());
        assert!(poll(&mut body).is_none());
        assert_eq!(gate.close(), Passage::Opened);
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_second_body_of_the_same_gate_gets_nothing() {
        let gate = Gate::new(|| true);
        let mut first = gate.body(Bytes::from_static(b"hello"));
        let mut second = gate.body(Bytes::from_static(b"hello"));
        assert!(poll(&mut first).expect("a frame").is_ok());
        assert!(poll(&mut second).expect("a frame").is_err());
        assert_eq!(gate.close(), Passage::Opened);
    }

    #[test]
    fn a_gate_that_says_no_keeps_the_bytes() {
        let gate = Gate::new(|| false);
        let mut body = gate.body(Bytes::from_static(b"hello"));
        assert!(poll(&mut body).expect("a frame").is_err());
        assert_eq!(gate.close(), Passage::Refused);
    }

    #[test]
    fn a_gate_that_was_closed_or_dropped_can_no_longer_open() {
        let asked = AtomicU32::new(0);
        let ask = || {
            asked.fetch_add(1, Ordering::SeqCst);
            true
        };
        let gate = Gate::new(ask);
        let mut body = gate.body(Bytes::from_static(b"hello"));
        assert_eq!(gate.close(), Passage::Never);
        assert!(poll(&mut body).expect("a frame").is_err());
        assert_eq!(gate.close(), Passage::Never);

        let gate = Gate::new(ask);
        let mut body = gate.body(Bytes::from_static(b"hello"));
        drop(gate);
        assert!(poll(&mut body).expect("a frame").is_err());
        assert_eq!(asked.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn a_gate_that_panicked_counts_as_opened() {
        let gate = Gate::new(|| std::panic::resume_unwind(Box::new("gate")));
        let mut body = gate.body(Bytes::from_static(b"hello"));
        let polled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| poll(&mut body)));
        assert!(polled.is_err());
        assert_eq!(gate.close(), Passage::Opened);
    }
}
