//! Connections: each is served under a limit of how long a request's head may take to come, how long a connection may
//! stand idle between two requests, and how many stand at once. Whoever drips the bytes of a head holds a place for
//! [`HEAD`] and no longer, and nobody else waits for them.
//!
//! Bodies have limits of their own where they are read, and answers may take as long as they like: `/api/v1/events`
//! never ends.

use std::future::Future;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::Request;
use axum::serve::Listener;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// A request's head is here so long after its first byte, the first one's so long after the connection stands.
const HEAD: Duration = Duration::from_secs(15);
/// A connection that says nothing after an answer is kept for so long: longer than proxies keep theirs (60 s in most),
/// so that none of them sends a request into a connection that is just being closed.
const IDLE: Duration = Duration::from_secs(75);
/// Connections at once; whoever comes then waits in the kernel's queue until one ends.
const CONNECTIONS: usize = 4_096;

/// How connections of a listener are kept within bounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Doorman {
    head: Duration,
    idle: Duration,
    connections: usize,
}

impl Default for Doorman {
    fn default() -> Self {
        Self { head: HEAD, idle: IDLE, connections: CONNECTIONS }
    }
}

impl Doorman {
    /// Serves a router until `stop`, and then until the requests under way are answered. Each request carries what
    /// `info` says of its connection as an extension.
    pub(super) async fn serve<L, I>(
        self,
        mut listener: L,
        router: Router,
        info: impl Fn(&L::Io, &L::Addr) -> I,
        stop: CancellationToken,
    ) where
        L: Listener,
        I: Clone + Send + Sync + 'static,
    {
        let places = Arc::new(Semaphore::new(self.connections));
        let mut open = JoinSet::new();
        loop {
            let accepted = async {
                let place = Arc::clone(&places).acquire_owned().await.ok();
                (listener.accept().await, place)
            };
            let ((stream, address), place) = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                accepted = accepted => accepted,
            };
            while open.try_join_next().is_some() {}
            let (router, info, stop) = (router.clone(), info(&stream, &address), stop.clone());
            open.spawn(async move {
                self.keep(stream, router, info, stop).await;
                drop(place);
            });
        }
        drop(listener);
        while open.join_next().await.is_some() {}
    }

    /// One connection, from its first byte to its end.
    async fn keep<S, I>(self, stream: S, router: Router, info: I, stop: CancellationToken)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        I: Clone + Send + Sync + 'static,
    {
        let phase = Phase::default();
        let stream =
            Watched { stream, phase: phase.clone(), head: self.head, until: Box::pin(tokio::time::sleep(self.head)) };
        let service = service_fn(move |mut request: Request<Incoming>| {
            phase.set(Phase::SERVING);
            request.extensions_mut().insert(info.clone());
            let (router, phase) = (router.clone(), phase.clone());
            async move { router.oneshot(request).await.map(|answer| answer.map(|body| Answer { body, phase })) }
        });
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(self.idle);
        let connection = http.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        tokio::select! {
            // However it ended, whoever was at the other end knows.
            _ = connection.as_mut() => return,
            () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
        }
        let _ = connection.await;
    }
}

/// Where a connection is.
#[derive(Clone, Debug, Default)]
struct Phase(Arc<AtomicU8>);

impl Phase {
    /// The head of a request is coming: also before the first byte of the first one.
    const HEAD: u8 = 0;
    /// A request is being answered.
    const SERVING: u8 = 1;
    /// The last answer is out, and nothing came since.
    const BETWEEN: u8 = 2;

    fn get(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, phase: u8) {
        self.0.store(phase, Ordering::Relaxed);
    }
}

/// A connection that breaks off while the head of a request takes too long.
struct Watched<S> {
    stream: S,
    phase: Phase,
    head: Duration,
    /// While a head is coming: when it must be here.
    until: Pin<Box<Sleep>>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.phase.get() == Phase::HEAD && this.until.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::Error::new(
                ErrorKind::TimedOut,
                "the head of the request did not come in time",
            )));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if this.phase.get() == Phase::BETWEEN && buffer.filled().len() > before {
            this.until.as_mut().reset(Instant::now() + this.head);
            this.phase.set(Phase::HEAD);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// An answer's body: when it is done with, the next request may begin.
struct Answer {
    body: Body,
    phase: Phase,
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.phase.set(Phase::BETWEEN);
    }
}

#[cfg(test)]
mod tests;
