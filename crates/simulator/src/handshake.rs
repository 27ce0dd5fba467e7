//! The handshake that precedes all webhooks: Meta asks the receiver to echo a challenge.

use crate::platform::Platform;
use crate::webhook::post::poster;
use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};

/// Asks the receiver at `webhook.url` for the challenge, as Meta does when a webhook is set up.
///
/// # Errors
/// No address is set, nobody answers, or the answer is not 200 with exactly the challenge.
pub(crate) async fn subscribe(platform: &Platform, verify_token: &str) -> anyhow::Result<()> {
    let world = platform.world();
    let url = world.settings.webhook.url.as_deref().context("webhook.url is not set")?;
    let challenge = platform.clock.now_us().to_string();
    let mut token = String::new();
    for byte in verify_token.bytes() {
        match byte {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'_' | b'.' | b'~' => token.push(char::from(byte)),
            other => token.push_str(&format!("%{other:02X}")),
        }
    }
    let joint = if url.contains('?') { '&' } else { '?' };
    let uri = format!("{url}{joint}hub.mode=subscribe&hub.verify_token={token}&hub.challenge={challenge}");
    let request = http::Request::get(uri).body(Full::new(Bytes::new()))?;
    let response = poster().request(request).await.context("the webhook did not answer the handshake")?;
    let status = response.status();
    let body =
        Limited::new(response.into_body(), 1 << 16).collect().await.map_err(anyhow::Error::from_boxed)?.to_bytes();
    ensure!(status == http::StatusCode::OK, "the webhook answered the handshake with {status}");
    ensure!(body == challenge.as_bytes(), "the webhook did not echo the challenge");
    Ok(())
}
