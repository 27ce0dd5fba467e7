//! Answers that are written while they are sent: whole lists as files.

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use engine::Fault;
use futures::{StreamExt, stream};
use tokio::io::DuplexStream;
use tokio_util::io::ReaderStream;

/// Bytes on their way at once.
const CHUNK: usize = 64 * 1024;

/// A CSV file of that name, which `write` writes. Where it fails the answer breaks off: the end of the pipe alone would
/// not tell a whole file from half of one.
pub(super) fn streamed<W, F>(name: &str, write: W) -> Response
where
    W: FnOnce(DuplexStream) -> F,
    F: Future<Output = Result<u64, Fault>> + Send + 'static,
{
    let (reader, writer) = tokio::io::duplex(CHUNK);
    let writing = tokio::spawn(write(writer));
    let end = stream::once(async move {
        let fault = match writing.await {
            Ok(Ok(_)) => return Ok(Bytes::new()),
            Ok(Err(fault)) => fault,
            Err(panicked) => Fault::internal(panicked),
        };
        // The status was sent already: logging and breaking off is all that is left.
        tracing::error!(%fault, "an export broke off");
        Err(std::io::Error::other(fault))
    });
    let body = Body::from_stream(ReaderStream::with_capacity(reader, CHUNK).chain(end));
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    (headers, body).into_response()
}
