//! Answers, whole and broken.

use bytes::Bytes;
use http::{Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Sleep;

/// The body of an answer.
#[derive(Debug)]
pub(crate) enum Answer {
    /// All of it.
    Whole(Option<Bytes>),
    /// Its beginning, after which the connection closes although more was announced.
    Cut { start: Option<Bytes>, announced: u64, close: Pin<Box<Sleep>> },
}

/// The connection closes here, on purpose.
#[derive(Debug)]
pub(crate) struct Severed;

impl std::fmt::Display for Severed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection was cut on purpose")
    }
}

impl std::error::Error for Severed {}

impl Body for Answer {
    type Data = Bytes;
    type Error = Severed;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Severed>>> {
        match self.get_mut() {
            Answer::Whole(data) => Poll::Ready(data.take().map(|bytes| Ok(Frame::data(bytes)))),
            Answer::Cut { start, close, .. } => match start.take() {
                Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
                // A moment's wait lets the beginning reach the other side first.
                None => close.as_mut().poll(cx).map(|()| Some(Err(Severed))),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Answer::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Answer::Whole(data) => data.as_ref().map_or(0, |bytes| bytes.len() as u64),
            Answer::Cut { announced, .. } => *announced,
        })
    }
}

fn build(status: StatusCode, kind: &'static str, body: Answer) -> Response<Answer> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}

/// A JSON answer.
pub(crate) fn json(status: StatusCode, body: impl Into<Bytes>) -> Response<Answer> {
    build(status, "application/json; charset=UTF-8", Answer::Whole(Some(body.into())))
}

/// A JSON answer that breaks off in its middle.
pub(crate) fn cut(body: String) -> Response<Answer> {
    let announced = body.len() as u64;
    let mut start = Bytes::from(body);
    start.truncate(start.len() / 2);
    let close = Box::pin(tokio::time::sleep(Duration::from_millis(10)));
    build(StatusCode::OK, "application/json; charset=UTF-8", Answer::Cut { start: Some(start), announced, close })
}

/// A gateway's error page.
pub(crate) fn html(status: StatusCode) -> Response<Answer> {
    let line = status.canonical_reason().unwrap_or("Error");
    let page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><title>{line}</title></head>\
         <body><h1>Sorry, something went wrong.</h1><p>{code} {line}</p></body></html>\n",
        code = status.as_u16()
    );
    build(status, "text/html; charset=utf-8", Answer::Whole(Some(page.into())))
}

/// A redirect that keeps method and body.
pub(crate) fn redirect(location: &str) -> Response<Answer> {
    let mut response = build(StatusCode::TEMPORARY_REDIRECT, "text/plain", Answer::Whole(None));
    if let Ok(value) = header::HeaderValue::from_str(location) {
        response.headers_mut().insert(header::LOCATION, value);
    }
    response
}
