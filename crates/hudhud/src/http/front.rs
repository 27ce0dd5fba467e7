//! A server on a socket with one account, and signed webhooks for it: what tests of the intake stand on.

use std::net::SocketAddr;

use axum::http::StatusCode;
use engine::accounts::{self, NewAccount};
use ring::hmac;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::tests::{Api, ask, get};

pub(super) const WABA: &str = "100200300400500";
pub(super) const NUMBER: &str = "200100000000001";
pub(super) const SECRET: &str = "simulated-app-secret";

/// A server with one account, on a socket.
pub(super) struct Front {
    pub(super) api: Api,
    pub(super) address: SocketAddr,
}

pub(super) fn signed(secret: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    format!("sha256={}", hex::encode(hmac::sign(&key, body)))
}

/// The head of a request with this header for its signature, and a body of this length.
pub(super) fn head(signature: Option<&str>, length: usize) -> String {
    let signature = signature.map(|signature| format!("{signature}\r\n")).unwrap_or_default();
    format!(
        "POST /webhooks/whatsapp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{signature}\
         content-length: {length}\r\n\r\n"
    )
}

/// The status of an answer; `None` where the connection ends without one.
pub(super) async fn status(peer: &mut TcpStream) -> Option<u16> {
    let mut answer = Vec::new();
    while !answer.windows(2).any(|window| window == b"\r\n") {
        if peer.read_buf(&mut answer).await.unwrap_or(0) == 0 {
            return None;
        }
    }
    String::from_utf8_lossy(&answer).split(' ').nth(1)?.parse().ok()
}

impl Front {
    pub(super) async fn new() -> Self {
        let api = Api::new().await;
        let secret = |text: &str| SecretString::from(text);
        let account = NewAccount {
            name: "shop".into(),
            waba_id: WABA.into(),
            portfolio: None,
            access_token: secret("simulated-access-token"),
            app_secret: secret(SECRET),
            verify_token: secret("simulated-verify-token"),
        };
        accounts::add(&api.app, account).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = api.network.clone().into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await });
        Self { api, address }
    }

    /// Sends a head and a body; the answer's status.
    pub(super) async fn send(&self, head: &str, body: &[u8]) -> Option<u16> {
        let mut peer = TcpStream::connect(self.address).await.unwrap();
        peer.write_all(head.as_bytes()).await.unwrap();
        // Whoever is refused early may be hung up on before the last byte.
        let _ = peer.write_all(body).await;
        status(&mut peer).await
    }

    pub(super) async fn post(&self, body: &[u8]) -> Option<u16> {
        let signature = format!("x-hub-signature-256: {}", signed(SECRET, body));
        self.send(&head(Some(&signature), body.len()), body).await
    }

    pub(super) async fn log(&self, query: &str) -> Vec<Value> {
        let answered = ask(&self.api.local, get(&format!("/api/v1/webhooks?limit=100{query}"))).await;
        assert_eq!(answered.status, StatusCode::OK, "{}", answered.body);
        answered.body["items"].as_array().unwrap().clone()
    }

    pub(super) async fn is_stopped(&self, phone: &str) -> bool {
        let key = phone.trim_start_matches('+').parse().unwrap();
        self.api.app.store.suppression(Some(key), None).await.unwrap().is_some()
    }
}

/// Makes of what `store::testing::in_doubt` left a campaign that can be shown: its people have numbers from `first` on,
/// and its template a name.
pub(super) async fn made_whole(store: &store::Store, first: i64) {
    let numbers = format!("UPDATE contacts SET phone = id - 900000 + {first}, phone_key = id - 900000 + {first}");
    store.tamper(numbers).await;
    let template = json!({"name": "made", "language": "en", "category": "MARKETING", "parameter_format": "POSITIONAL",
        "components": []});
    store.tamper(format!("UPDATE campaigns SET template = '{template}'")).await;
}

pub(super) fn envelope(changes: &[Value]) -> Vec<u8> {
    json!({"object": "whatsapp_business_account", "entry": [{"id": WABA, "changes": changes}]}).to_string().into_bytes()
}

pub(super) fn change(key: &str, item: Value) -> Value {
    let mut value = json!({"messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550000001", "phone_number_id": NUMBER}});
    value[key] = json!([item]);
    json!({"field": "messages", "value": value})
}
