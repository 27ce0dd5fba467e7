//! How commands reach Hudhud: always through its HTTP API, over one of three ways.
//!
//! A remote one (`--url`), the `serve` that holds this data directory (its control socket), or the same service inside
//! the command's own process. Which one it is makes no difference to a command.

mod open;
#[cfg(test)]
mod tests;
mod upload;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use axum::Router;
use bytes::Bytes;
use engine::App;
use futures::{Stream, StreamExt, TryStreamExt};
use http::{Method, Request, StatusCode, header};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tower::ServiceExt;

use crate::http::IDEMPOTENCY_KEY;
use crate::http::problem::{Kind, Problem};
use crate::lock::DirLock;

pub use upload::{Upload, file_name};

/// Long answers, such as a preflight of a million rows, are waited for.
const PATIENCE: Option<Duration> = Some(Duration::from_secs(600));
/// Files take as long as they take.
const FOREVER: Option<Duration> = None;
/// How often a lost answer is asked for again, and the pause before.
const ASK_AGAIN: usize = 20;
const BEFORE_ASKING_AGAIN: Duration = Duration::from_millis(500);

/// A Hudhud cannot be reached, or broke off; the same command may succeed later.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct Unreachable {
    what: String,
    #[source]
    source: Option<reqwest::Error>,
    /// The request may have been taken: the answer is what was lost.
    may_have_arrived: bool,
}

/// The HTTP API, whichever way it is reached.
#[derive(Debug)]
pub struct ApiClient {
    way: Way,
}

#[derive(Debug)]
enum Way {
    /// A remote one, or the control socket: `client` is bound to it.
    Wire { client: reqwest::Client, base: String, key: Option<SecretString>, name: String },
    /// This process; the lock is held while an embedded database is open.
    Inside { router: Router, app: Arc<App>, lock: Option<DirLock> },
}

/// An answer whose status is a success.
struct Answer {
    body: futures::stream::BoxStream<'static, anyhow::Result<Bytes>>,
}

/// What a request carries.
#[derive(Debug)]
enum Body {
    None,
    Json(Bytes),
    Upload(Upload),
}

impl ApiClient {
    /// `GET path`, as JSON.
    ///
    /// # Errors
    /// [`Problem`] when it was refused, [`Unreachable`] when nobody answered.
    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.ask(Method::GET, path, PATIENCE).await?.json().await
    }

    /// `POST path` with a JSON body. Safe to repeat: it carries an idempotency key, and when its answer was lost on the
    /// way it is asked again under the same key, until the first one's answer is there.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn post(&self, path: &str, body: &impl Serialize) -> anyhow::Result<Value> {
        let body = Bytes::from(serde_json::to_vec(body).context("writing the request")?);
        let key = format!("{:032x}", rand::random::<u128>());
        let ask = || self.ask_with_key(Method::POST, path, Body::Json(body.clone()), &key, PATIENCE);
        let lost = match ask().await {
            Ok(answer) => return answer.json().await,
            Err(error) if error.downcast_ref::<Unreachable>().is_some_and(|lost| lost.may_have_arrived) => error,
            Err(error) => return Err(error),
        };
        for _ in 0..ASK_AGAIN {
            tokio::time::sleep(BEFORE_ASKING_AGAIN).await;
            match ask().await {
                Ok(answer) => return answer.json().await,
                Err(error) if error.downcast_ref::<Problem>().is_some_and(|problem| problem.is(Kind::Underway)) => {}
                // Nobody is there any more, and what became of the first one stays unknown.
                Err(error) if error.is::<Unreachable>() => break,
                Err(error) => return Err(error),
            }
        }
        Err(lost)
    }

    /// `DELETE path`.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn delete(&self, path: &str) -> anyhow::Result<Value> {
        self.ask(Method::DELETE, path, PATIENCE).await?.json().await
    }

    /// `POST path` with a file as the body, streamed.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn upload(&self, path: &str, upload: Upload) -> anyhow::Result<Value> {
        self.ask_with_key(Method::POST, path, Body::Upload(upload), "", FOREVER).await?.json().await
    }

    /// `POST path` with a JSON body, answered by text that is no JSON.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn post_for_text(&self, path: &str, body: &impl Serialize) -> anyhow::Result<String> {
        let body = Bytes::from(serde_json::to_vec(body).context("writing the request")?);
        let mut answer = self.ask_with_key(Method::POST, path, Body::Json(body), "", PATIENCE).await?;
        String::from_utf8(answer.bytes().await?.into()).context("the answer is not text")
    }

    /// `GET path` into a file, which is there only if all of it came.
    ///
    /// # Errors
    /// As [`Self::get`], and when the file cannot be written.
    pub async fn download(&self, path: &str, into: &Path) -> anyhow::Result<u64> {
        let answer = self.ask(Method::GET, path, FOREVER).await?;
        let mut draft = into.as_os_str().to_owned();
        draft.push(".part");
        let draft = Path::new(&draft);
        let writing = || format!("writing {}", draft.display());
        let mut file = tokio::fs::File::create(draft).await.with_context(writing)?;
        let mut length = 0;
        let mut body = answer.body;
        while let Some(chunk) = body.next().await {
            let chunk = chunk?;
            file.write_all(&chunk).await.with_context(writing)?;
            length += chunk.len() as u64;
        }
        file.sync_all().await.with_context(writing)?;
        tokio::fs::rename(draft, into).await.with_context(|| format!("writing {}", into.display()))?;
        Ok(length)
    }

    /// Every item of a paged list.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn list(&self, path: &str) -> anyhow::Result<Vec<Value>> {
        let mut items = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let separator = if path.contains('?') { '&' } else { '?' };
            let page = match &after {
                Some(after) => format!("{path}{separator}limit=1000&after={}", query_encoded(after)),
                None => format!("{path}{separator}limit=1000"),
            };
            let mut page = self.get(&page).await?;
            if let Some(more) = page.get_mut("items").and_then(Value::as_array_mut) {
                items.append(more);
            }
            let next = page.get("next").and_then(Value::as_str).map(str::to_owned);
            // A cursor that does not move would go on for ever.
            if next.is_none() || next == after {
                return Ok(items);
            }
            after = next;
        }
    }

    /// Ends it in order: an embedded database is closed, and its data directory is free for the next one.
    pub async fn close(self) {
        if let Way::Inside { app, lock, .. } = self.way {
            app.store.close().await;
            drop(lock);
        }
    }

    async fn ask(&self, method: Method, path: &str, patience: Option<Duration>) -> anyhow::Result<Answer> {
        self.ask_with_key(method, path, Body::None, "", patience).await
    }

    async fn ask_with_key(
        &self,
        method: Method,
        path: &str,
        body: Body,
        key: &str,
        patience: Option<Duration>,
    ) -> anyhow::Result<Answer> {
        let (status, mut answer) = match &self.way {
            Way::Wire { client, base, key: api_key, name } => {
                let mut request = client.request(method, format!("{base}{path}"));
                if let Some(api_key) = api_key {
                    request = request.bearer_auth(api_key.expose_secret());
                }
                if !key.is_empty() {
                    request = request.header(IDEMPOTENCY_KEY, key);
                }
                if let Some(patience) = patience {
                    request = request.timeout(patience);
                }
                request = match body {
                    Body::None => request,
                    Body::Json(json) => request.header(header::CONTENT_TYPE, "application/json").body(json),
                    Body::Upload(upload) => {
                        let request = request.header(header::CONTENT_TYPE, "text/csv");
                        let request = match upload.length {
                            Some(length) => request.header(header::CONTENT_LENGTH, length),
                            None => request,
                        };
                        request.body(reqwest::Body::wrap_stream(upload.chunks()))
                    }
                };
                let answer = request.send().await.map_err(|error| unreachable(name, error))?;
                let name = name.clone();
                let status = answer.status();
                let body = answer.bytes_stream().map_err(move |error| anyhow::Error::from(unreachable(&name, error)));
                (status, Answer { body: body.boxed() })
            }
            Way::Inside { router, .. } => {
                let mut request = Request::builder().method(method).uri(path);
                if !key.is_empty() {
                    request = request.header(IDEMPOTENCY_KEY, key);
                }
                let request = match body {
                    Body::None => request.body(axum::body::Body::empty()),
                    Body::Json(json) => {
                        request.header(header::CONTENT_TYPE, "application/json").body(axum::body::Body::from(json))
                    }
                    Body::Upload(upload) => {
                        let request = request.header(header::CONTENT_TYPE, "text/csv");
                        let request = match upload.length {
                            Some(length) => request.header(header::CONTENT_LENGTH, length),
                            None => request,
                        };
                        request.body(axum::body::Body::from_stream(upload.chunks()))
                    }
                };
                let request = request.context("making the request")?;
                let answer = router.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
                let (parts, body) = answer.into_parts();
                let body = body.into_data_stream().map_err(|error| anyhow!(error));
                (parts.status, Answer { body: body.boxed() })
            }
        };
        if status.is_success() {
            return Ok(answer);
        }
        let text = answer.bytes().await.unwrap_or_default();
        Err(refused(status, &text).into())
    }
}

impl Answer {
    async fn bytes(&mut self) -> anyhow::Result<Bytes> {
        let mut whole = Vec::new();
        while let Some(chunk) = self.body.next().await {
            whole.extend_from_slice(&chunk?);
        }
        Ok(whole.into())
    }

    async fn json(mut self) -> anyhow::Result<Value> {
        let text = self.bytes().await?;
        if text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&text).context("the answer is not JSON: is there a Hudhud at this address?")
    }
}

/// What a refusal says. A proxy in between may have answered instead, in a form of its own.
fn refused(status: StatusCode, text: &[u8]) -> Problem {
    serde_json::from_slice(text).unwrap_or_else(|_| Problem {
        kind: "about:blank".to_owned(),
        title: status.canonical_reason().unwrap_or("Refused").to_owned(),
        status: status.as_u16(),
        detail: format!("The server answered {status}, and not in Hudhud's words."),
        kept: String::new(),
        action: "Check that the URL leads to Hudhud, and what stands in between.".to_owned(),
        request_id: String::new(),
        retry_after: None,
        document: None,
    })
}

fn unreachable(name: &str, error: reqwest::Error) -> Unreachable {
    // Only a connection that was never made surely carried nothing.
    let (what, may_have_arrived) = if error.is_connect() {
        (format!("{name} cannot be reached; nothing was asked of it"), false)
    } else {
        (format!("{name} broke off before its answer was complete; look at what is there before you repeat this"), true)
    };
    Unreachable { what, source: Some(error.without_url()), may_have_arrived }
}

/// Escapes one value of a query string, or one segment of a path.
#[must_use]
pub fn query_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// A client for a Hudhud over a wire.
fn wire(builder: reqwest::ClientBuilder) -> anyhow::Result<reqwest::Client> {
    // Whoever comes first sets the process's TLS provider; it is the same one everywhere.
    let _ = rustls::crypto::ring::default_provider().install_default();
    builder
        .connect_timeout(Duration::from_secs(5))
        // What ends a transfer of any length whose other side is gone.
        .tcp_keepalive(Duration::from_secs(30))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .user_agent(concat!("hudhud/", env!("CARGO_PKG_VERSION")))
        .build()
        .context("preparing the HTTP client")
}

/// Chunks of a body that goes out.
pub(crate) type Chunks = std::pin::Pin<Box<dyn Stream<Item = std::io::Result<Bytes>> + Send>>;
