//! One HTTP exchange: a request out, a bounded answer in.

use std::error::Error;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde_json::Value;

/// What came back, read to its end.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Why no whole answer came back.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The time for the whole exchange ran out.
    TimedOut,
    /// No connection, or it broke; the reason in the words of the system.
    Lost(String),
    /// The answer was longer than anything Meta says.
    TooLong,
}

/// Makes one request and reads at most `limit` bytes of answer.
pub(crate) async fn exchange(
    http: &reqwest::Client,
    request: reqwest::Request,
    limit: usize,
) -> Result<Answer, Broken> {
    let mut response = http.execute(request).await.map_err(broken)?;
    let status = response.status().as_u16();
    let headers = std::mem::take(response.headers_mut());
    // Nearly every answer is one chunk, which is then kept as it came.
    let mut first = Bytes::new();
    let mut whole = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        if first.len().max(whole.len()) + chunk.len() > limit {
            return Err(Broken::TooLong);
        }
        if first.is_empty() {
            first = chunk;
        } else {
            if whole.is_empty() {
                whole.extend_from_slice(&first);
            }
            whole.extend_from_slice(&chunk);
        }
    }
    let body = if whole.is_empty() { first } else { whole.freeze() };
    Ok(Answer { status, headers, body })
}

fn broken(error: reqwest::Error) -> Broken {
    if error.is_timeout() {
        return Broken::TimedOut;
    }
    // The innermost cause says what happened ("Connection refused"); the outer
    // ones repeat the URL.
    let mut cause: &dyn Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    Broken::Lost(if error.source().is_some() { cause.to_string() } else { error.without_url().to_string() })
}

/// How long Meta asks to be left alone: `Retry-After` in seconds, else the
/// minutes in the account's usage header.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.trim().parse::<u32>().ok())
        .map(|seconds| Duration::from_secs(seconds.into()));
    seconds.or_else(|| regain_access(headers))
}

/// The longest `estimated_time_to_regain_access` (minutes) of
/// `X-Business-Use-Case-Usage: {"<account>":[{…}]}`; zero means not throttled.
fn regain_access(headers: &HeaderMap) -> Option<Duration> {
    let usage: Value = serde_json::from_slice(headers.get("x-business-use-case-usage")?.as_bytes()).ok()?;
    usage
        .as_object()?
        .values()
        .filter_map(Value::as_array)
        .flatten()
        .filter_map(|one| one["estimated_time_to_regain_access"].as_u64())
        .filter_map(|minutes| u32::try_from(minutes).ok())
        .max()
        .filter(|minutes| *minutes > 0)
        .map(|minutes| Duration::from_secs(u64::from(minutes) * 60))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn retry_after_is_read_in_seconds_and_before_the_usage_header() {
        let mut headers = HeaderMap::new();
        assert_eq!(retry_after(&headers), None);
        headers.insert(
            "x-business-use-case-usage",
            HeaderValue::from_static(
                r#"{"1":[{"estimated_time_to_regain_access":0},{"estimated_time_to_regain_access":3}]}"#,
            ),
        );
        assert_eq!(retry_after(&headers), Some(Duration::from_secs(180)));
        headers.insert(RETRY_AFTER, HeaderValue::from_static("7"));
        assert_eq!(retry_after(&headers), Some(Duration::from_secs(7)));
        headers.insert(RETRY_AFTER, HeaderValue::from_static("Wed, 21 Oct 2026 07:28:00 GMT"));
        assert_eq!(retry_after(&headers), Some(Duration::from_secs(180)));
    }

    #[test]
    fn an_unreadable_usage_header_says_nothing() {
        for text in ["", "[]", "{", r#"{"1":{}}"#, r#"{"1":[{"estimated_time_to_regain_access":-1}]}"#] {
            let mut headers = HeaderMap::new();
            headers.insert("x-business-use-case-usage", HeaderValue::from_str(text).expect("a header"));
            assert_eq!(retry_after(&headers), None, "{text}");
        }
    }
}
