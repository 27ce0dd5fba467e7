//! Sockets: the Graph API's listener, which an outage can close, and the control API's, which always stands.

use crate::platform::Platform;
use crate::reply::{Answer, Severed};
use crate::settings::Outage;
use crate::{control, graph};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;

/// The longest body of a request, in bytes.
const LONGEST_BODY: usize = 1 << 20;
/// Connections that may wait to be accepted.
const BACKLOG: u32 = 4096;

/// Binds an address without answering on it.
pub(crate) fn bind(addr: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    Ok(socket)
}

/// Serves the Graph API (and the control API beside it), closing and reopening as the outage says.
pub(crate) async fn graph_listener(platform: Arc<Platform>, socket: TcpSocket, addr: SocketAddr) {
    let mut outage = platform.outage.subscribe();
    let mut socket = Some(socket);
    loop {
        // The address stays bound while it refuses, so that nobody else takes the port.
        if outage.wait_for(|now| *now != Outage::Refused).await.is_err() {
            return;
        }
        let bound = match socket.take() {
            Some(bound) => Ok(bound),
            None => bind(addr),
        };
        let Ok(listener) = bound.and_then(|bound| bound.listen(BACKLOG)) else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => { tokio::spawn(graph_connection(platform.clone(), stream, addr)); }
                    // Out of file descriptors, most likely: wait for some to be freed.
                    Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                },
                () = refusing(&mut outage) => break,
            }
        }
        drop(listener);
        socket = bind(addr).ok();
    }
}

/// Waits until an outage closes the listener; also returns when the platform is gone.
async fn refusing(outage: &mut watch::Receiver<Outage>) {
    // What it lends is given back at once: it must not be held while others wait.
    drop(outage.wait_for(|now| *now == Outage::Refused).await);
}

/// Serves the control API only, whatever the outage.
pub(crate) async fn control_listener(platform: Arc<Platform>, socket: TcpSocket) -> std::io::Result<()> {
    let listener = socket.listen(64)?;
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let platform = platform.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let platform = platform.clone();
                async move { Ok::<_, Infallible>(controlled(&platform, request).await) }
            });
            // A connection that breaks concerns only its client.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// Serves one connection to the Graph API until it ends or an outage cuts it.
async fn graph_connection(platform: Arc<Platform>, stream: TcpStream, addr: SocketAddr) {
    // Without this a small answer may wait for the peer's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    let mut outage = platform.outage.subscribe();
    let service = service_fn(move |request: Request<Incoming>| answer(platform.clone(), request, addr));
    let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        // Cut on purpose or by the client: nothing to say either way.
        _ = connection => {}
        () = refusing(&mut outage) => {}
    }
}

async fn answer(
    platform: Arc<Platform>,
    request: Request<Incoming>,
    addr: SocketAddr,
) -> Result<Response<Answer>, Severed> {
    // The head has just been read; that is when the request came.
    let first_byte_us = platform.clock.now_us();
    if request.uri().path().starts_with("/_sim/") {
        return Ok(controlled(&platform, request).await);
    }
    let serial = platform.count_request();
    let (head, body) = request.into_parts();
    let body = read(body).await.ok_or(Severed)?;
    graph::answer(platform, graph::Call { head, body, first_byte_us, serial, addr }).await
}

async fn controlled(platform: &Arc<Platform>, request: Request<Incoming>) -> Response<Answer> {
    let (head, body) = request.into_parts();
    let body = read(body).await.unwrap_or_default();
    control::answer(platform, &head, &body).await
}

/// Reads a body; `None` when it breaks off or is too long.
async fn read(body: Incoming) -> Option<Bytes> {
    Limited::new(body, LONGEST_BODY).collect().await.ok().map(http_body_util::Collected::to_bytes)
}
