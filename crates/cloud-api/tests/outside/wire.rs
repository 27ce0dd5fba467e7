//! A Graph API on a raw socket, so that tests decide about every byte and every
//! hang-up.

use std::sync::{Arc, Mutex};

use cloud_api::{Client, Config, Content, Message, PhoneNumberId, Recipient, Sender};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A complete request as it arrived.
#[derive(Debug, Clone)]
pub struct Arrived {
    pub head: String,
    pub body: String,
}

/// What has arrived at a server: complete requests, and bytes of any kind.
#[derive(Debug, Clone, Default)]
pub struct Log(Arc<Mutex<(Vec<Arrived>, usize, usize)>>);

impl Log {
    pub fn requests(&self) -> Vec<Arrived> {
        self.0.lock().expect("not poisoned").0.clone()
    }
    pub fn bytes(&self) -> usize {
        self.0.lock().expect("not poisoned").1
    }
    pub fn connections(&self) -> usize {
        self.0.lock().expect("not poisoned").2
    }
    pub fn connected(&self) {
        self.0.lock().expect("not poisoned").2 += 1;
    }
}

/// One accepted connection.
pub struct Wire {
    stream: TcpStream,
    log: Log,
    spare: Vec<u8>,
}

impl Wire {
    pub fn new(stream: TcpStream, log: Log) -> Self {
        log.connected();
        Self { stream, log, spare: Vec::new() }
    }

    /// Reads one complete request; `None` when the client hangs up before that.
    pub async fn request(&mut self) -> Option<Arrived> {
        let mut chunk = [0; 4096];
        loop {
            if let Some(request) = self.complete() {
                self.log.0.lock().expect("not poisoned").0.push(request.clone());
                return Some(request);
            }
            match self.stream.read(&mut chunk).await {
                Ok(0) | Err(_) => return None,
                Ok(n) => {
                    self.log.0.lock().expect("not poisoned").1 += n;
                    self.spare.extend_from_slice(&chunk[..n]);
                }
            }
        }
    }

    fn complete(&mut self) -> Option<Arrived> {
        let end = self.spare.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
        let head = String::from_utf8_lossy(&self.spare[..end]).into_owned();
        let length = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok())
            .unwrap_or(0);
        if self.spare.len() < end + length {
            return None;
        }
        let body = String::from_utf8_lossy(&self.spare[end..end + length]).into_owned();
        self.spare.drain(..end + length);
        Some(Arrived { head, body })
    }

    pub async fn write(&mut self, bytes: &str) {
        // The client may have gone; what it then makes of that is the test.
        let _ = self.stream.write_all(bytes.as_bytes()).await;
    }

    pub async fn answer(&mut self, status: &str, headers: &str, body: &str) {
        let length = body.len();
        self.write(&format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{headers}\r\n{body}")).await;
    }
}

/// A server that treats each connection with `serve`.
pub async fn server<F, Fut>(serve: F) -> (String, Log)
where
    F: Fn(Wire, usize) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    let log = Log::default();
    let theirs = log.clone();
    tokio::spawn(async move {
        for n in 0.. {
            let Ok((stream, _)) = listener.accept().await else { break };
            tokio::spawn(serve(Wire::new(stream, theirs.clone()), n));
        }
    });
    (base, log)
}

pub fn client(base: &str, timeout_ms: u64) -> Client {
    let timeout = std::time::Duration::from_millis(timeout_ms);
    Client::new(&Config {
        base_url: base.to_owned(),
        connect_timeout: timeout,
        request_timeout: timeout,
        ..Config::default()
    })
    .expect("a client")
}

pub fn sender(base: &str, timeout_ms: u64) -> Sender {
    let number = PhoneNumberId::parse("106540352242922").expect("an id");
    client(base, timeout_ms).sender(&"a-token".into(), &number).expect("a sender")
}

pub fn message(callback_data: &str) -> Message {
    Message {
        to: Recipient::Phone(201_001_234_567),
        content: Content::Template { name: "eid_offer".into(), language: "ar".into(), components: None },
        callback_data: callback_data.into(),
    }
}

pub const ACCEPTED: &str = r#"{"messaging_product":"whatsapp","contacts":[{"input":"+201001234567","wa_id":"201001234567"}],"messages":[{"id":"wamid.HBgM"}]}"#;
pub const REFUSED: &str =
    r##"{"error":{"message":"(#130429) Rate limit hit","type":"OAuthException","code":130429,"fbtrace_id":"Ab"}}"##;
