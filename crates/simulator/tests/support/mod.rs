//! The other side of the simulator's sockets: a caller of the Graph API and a receiver of webhooks.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part of this")]

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use simulator::{Settings, Simulator};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;

pub const NUMBER: &str = "200100000000001";
pub const WABA: &str = "100200300400500";
const TOKEN: &str = "simulated-access-token";
const SECRET: &str = "simulated-app-secret";

/// A simulator with these settings on top of the defaults.
pub async fn simulator(patch: Value) -> Simulator {
    let settings = Settings::default().patched(&patch).expect("valid settings");
    simulator::start(settings).await.expect("the simulator starts")
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answered {
    pub status: StatusCode,
    pub location: Option<String>,
    pub text: String,
}

impl Answered {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).expect("a JSON answer")
    }

    pub fn code(&self) -> i64 {
        self.json()["error"]["code"].as_i64().expect("an error envelope")
    }
}

/// A caller of the Graph API. `None` stands for every way of not getting a whole answer.
#[derive(Clone)]
pub struct Caller {
    client: Client<HttpConnector, Full<Bytes>>,
    base: String,
    control: String,
}

impl Caller {
    pub fn of(simulator: &Simulator) -> Caller {
        Caller {
            client: Client::builder(TokioExecutor::new()).retry_canceled_requests(false).build_http(),
            base: simulator.base_url(),
            control: simulator.control_url(),
        }
    }

    pub async fn request(&self, method: Method, url: &str, token: Option<&str>, body: String) -> Option<Answered> {
        let mut request = Request::builder().method(method).uri(url);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.body(Full::new(Bytes::from(body))).expect("a valid request");
        let answer = async {
            let response = self.client.request(request).await.ok()?;
            let status = response.status();
            let location = response.headers().get("location").map(|l| l.to_str().expect("ASCII").to_owned());
            let bytes = response.into_body().collect().await.ok()?.to_bytes();
            Some(Answered { status, location, text: String::from_utf8(bytes.to_vec()).expect("UTF-8") })
        };
        tokio::time::timeout(Duration::from_millis(1500), answer).await.ok().flatten()
    }

    pub async fn send_as(&self, token: Option<&str>, number: &str, message: &Value) -> Option<Answered> {
        let url = format!("{}/v26.0/{number}/messages", self.base);
        self.request(Method::POST, &url, token, message.to_string()).await
    }

    pub async fn send(&self, message: &Value) -> Option<Answered> {
        self.send_as(Some(TOKEN), NUMBER, message).await
    }

    pub async fn get(&self, path: &str) -> Answered {
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.base) };
        self.request(Method::GET, &url, Some(TOKEN), String::new()).await.expect("an answer")
    }

    pub async fn control(&self, method: Method, path: &str, body: Value) -> Answered {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let url = format!("{}/_sim/{path}", self.control);
        self.request(method, &url, None, body).await.expect("the control API always answers")
    }
}

/// A message whose head goes out first, its body when the returned connection is given to [`finish`].
pub async fn begin(simulator: &Simulator, body: &str) -> tokio::net::TcpStream {
    let mut stream = tokio::net::TcpStream::connect(simulator.addr()).await.expect("connected");
    let head = format!(
        "POST /v26.0/{NUMBER}/messages HTTP/1.1\r\nhost: sim\r\nauthorization: Bearer {TOKEN}\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.expect("written");
    // Time for the head to be read.
    tokio::time::sleep(Duration::from_millis(30)).await;
    stream
}

/// Sends the body that [`begin`] announced.
pub async fn finish(stream: &mut tokio::net::TcpStream, body: &str) {
    stream.write_all(body.as_bytes()).await.expect("written");
}

/// The offer in English, with payloads, as part of campaign 12.
pub fn offer(to: &str, callback: &str) -> Value {
    json!({
        "messaging_product": "whatsapp", "recipient_type": "individual", "to": to, "type": "template",
        "biz_opaque_callback_data": callback,
        "template": {"name": "eid_offer", "language": {"code": "en"}, "components": [
            {"type": "body", "parameters": [{"type": "text", "text": "Mona"}, {"type": "text", "text": "20%"}]},
            {"type": "button", "sub_type": "quick_reply", "index": "0",
             "parameters": [{"type": "payload", "payload": "HH1:c12:b0:REPLY"}]},
            {"type": "button", "sub_type": "quick_reply", "index": "1",
             "parameters": [{"type": "payload", "payload": "HH1:c12:b1:OPTOUT"}]}]}
    })
}

/// The n-th made-up Egyptian.
pub fn egyptian(n: u64) -> String {
    format!("+20100000{n:04}")
}

pub fn callback(n: u64) -> String {
    format!("hh1.abcdefgh.12.{n}.1")
}

/// A receiver of webhooks that checks every signature.
#[derive(Clone)]
pub struct Receiver {
    pub url: String,
    inner: Arc<Mutex<Inbox>>,
}

#[derive(Default)]
struct Inbox {
    bodies: Vec<Bytes>,
    refusals_left: usize,
    refused: Vec<Bytes>,
}

impl Receiver {
    pub async fn start() -> Receiver {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/webhooks/whatsapp", listener.local_addr().expect("bound"));
        let inner = Arc::new(Mutex::new(Inbox::default()));
        let receiver = Receiver { url, inner };
        let serving = receiver.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let serving = serving.clone();
                tokio::spawn(async move {
                    let service = service_fn(move |request| serving.clone().take(request));
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        receiver
    }

    async fn take(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let query = request.uri().query().unwrap_or_default().to_owned();
        if request.method() == Method::GET {
            let challenge = query.split("hub.challenge=").nth(1).unwrap_or_default().to_owned();
            let known = query.contains("hub.mode=subscribe") && query.contains("hub.verify_token=open%20sesame");
            let answer = if known { challenge } else { "no".to_owned() };
            return Ok(Response::new(Full::new(answer.into())));
        }
        let header = request.headers().get("x-hub-signature-256").map(|h| h.to_str().expect("ASCII").to_owned());
        let body = request.into_body().collect().await.expect("a whole body").to_bytes();
        let tag = hex::decode(header.expect("signed").strip_prefix("sha256=").expect("SHA-256")).expect("hex");
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET.as_bytes());
        ring::hmac::verify(&key, &body, &tag).expect("the signature covers the raw body");
        assert!(body.is_ascii(), "bodies are escaped to ASCII");
        let mut inbox = self.inner.lock().expect("not poisoned");
        let mut response = Response::new(Full::new(Bytes::new()));
        if inbox.refusals_left > 0 {
            inbox.refusals_left -= 1;
            inbox.refused.push(body);
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        } else {
            inbox.bodies.push(body);
        }
        Ok(response)
    }

    /// Answers the next `count` bodies with 500.
    pub fn refuse(&self, count: usize) {
        self.inner.lock().expect("not poisoned").refusals_left = count;
    }

    pub fn refused(&self) -> Vec<Bytes> {
        self.inner.lock().expect("not poisoned").refused.clone()
    }

    pub fn bodies(&self) -> Vec<Bytes> {
        self.inner.lock().expect("not poisoned").bodies.clone()
    }

    /// All changes of all bodies that were confirmed.
    pub fn changes(&self) -> Vec<Value> {
        let mut changes = Vec::new();
        for body in self.bodies() {
            let body: Value = serde_json::from_slice(&body).expect("JSON");
            for entry in body["entry"].as_array().expect("entries") {
                changes.extend(entry["changes"].as_array().expect("changes").iter().cloned());
            }
        }
        changes
    }

    fn values(&self, key: &str) -> Vec<Value> {
        self.changes().iter().filter_map(|c| c["value"][key].as_array().cloned()).flatten().collect()
    }

    pub fn statuses(&self) -> Vec<Value> {
        self.values("statuses")
    }

    pub fn messages(&self) -> Vec<Value> {
        self.values("messages")
    }
}

/// Waits until a condition holds, up to five seconds.
pub async fn until(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..1000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(condition(), "it never came to this: {what}");
}

/// Waits until no webhook is left to deliver.
pub async fn quiet(simulator: &Simulator) {
    until("all webhooks delivered", || simulator.report().webhooks.pending == 0).await;
}

/// Settings under which webhooks come at once.
pub fn prompt(url: &str) -> Value {
    let soon = json!({"min": 1, "max": 5});
    json!({"webhook": {
        "url": url, "sent_ms": soon, "delivered_ms": soon, "read_ms": soon, "reply_ms": soon,
        "duplicate_ms": soon, "linger_ms": 2, "retry_ms": 20, "retry_max_ms": 40}})
}
