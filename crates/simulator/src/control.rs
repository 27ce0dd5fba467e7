//! The control API under `/_sim`: settings, books, and what can be made to happen.

use crate::platform::Platform;
use crate::reply::{self, Answer};
use crate::{action, handshake, report, simulator};
use anyhow::Context as _;
use http::{Method, Response, StatusCode, request::Parts};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::sync::Arc;

/// Answers one request; what went wrong is said under `error`.
pub(crate) async fn answer(platform: &Arc<Platform>, head: &Parts, body: &[u8]) -> Response<Answer> {
    match routed(platform, head, body).await {
        Ok(Some(document)) => reply::json(StatusCode::OK, document),
        Ok(None) => reply::json(StatusCode::NOT_FOUND, json!({"error": "no such route"}).to_string()),
        Err(error) => reply::json(StatusCode::BAD_REQUEST, json!({"error": format!("{error:#}")}).to_string()),
    }
}

async fn routed(platform: &Arc<Platform>, head: &Parts, body: &[u8]) -> anyhow::Result<Option<String>> {
    let query = head.uri.query().unwrap_or_default();
    let document = match (&head.method, head.uri.path()) {
        (&Method::GET, "/_sim/settings") => written(&platform.world().settings)?,
        (&Method::PUT | &Method::PATCH, "/_sim/settings") => {
            let patch: serde_json::Value = read(body)?;
            platform.change(|old| old.patched(&patch))?;
            written(&platform.world().settings)?
        }
        (&Method::GET, "/_sim/report") => {
            let platform = platform.clone();
            // Sorting a million rows would hold up the requests that share this thread.
            let report = tokio::task::spawn_blocking(move || report::report(&platform)).await;
            written(&report.context("the report was not made")?)?
        }
        (&Method::GET, "/_sim/messages") => {
            let after = number(query, "after")?.unwrap_or(0);
            let limit = number(query, "limit")?.unwrap_or(1000);
            let rows = report::messages(platform, u32::try_from(after).unwrap_or(u32::MAX), usize::try_from(limit)?);
            let next_after = rows.last().map(|row| row.seq);
            written(&json!({"messages": rows, "next_after": next_after}))?
        }
        (&Method::GET, "/_sim/fate") => {
            let text = |name| value(query, name).with_context(|| format!("{name}: missing"));
            let number = value(query, "phone_number_id");
            let fate =
                simulator::fate(platform, &text("to")?, &text("template")?, &text("language")?, number.as_deref())?;
            written(&fate)?
        }
        (&Method::POST, "/_sim/reset") => {
            platform.reset();
            written(&json!({"reset": true}))?
        }
        (&Method::POST, "/_sim/inbound") => written(&action::inbound(platform, &read(body)?)?)?,
        (&Method::POST, "/_sim/release") => {
            #[derive(serde::Deserialize)]
            struct Body {
                #[serde(rename = "as")]
                how: action::Release,
            }
            let Body { how } = read(body)?;
            written(&json!({"released": action::release(platform, how)}))?
        }
        (&Method::POST, "/_sim/template") => {
            action::change_template(platform, &read(body)?)?;
            written(&json!({"changed": true}))?
        }
        (&Method::POST, "/_sim/webhook") => {
            action::raw_change(platform, &read(body)?)?;
            written(&json!({"due": true}))?
        }
        (&Method::POST, "/_sim/handshake") => {
            #[derive(serde::Deserialize)]
            struct Body {
                verify_token: String,
            }
            let Body { verify_token } = read(body)?;
            handshake::subscribe(platform, &verify_token).await?;
            written(&json!({"subscribed": true}))?
        }
        _ => return Ok(None),
    };
    Ok(Some(document))
}

fn read<T: DeserializeOwned>(body: &[u8]) -> anyhow::Result<T> {
    Ok(serde_json::from_slice(body)?)
}

fn written(document: &impl Serialize) -> anyhow::Result<String> {
    Ok(serde_json::to_string(document)?)
}

/// A parameter of the query. Only `+` needs its escape here, and gets along without.
fn value(query: &str, name: &str) -> Option<String> {
    let (_, value) = query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name)?;
    Some(value.replace("%2B", "+").replace("%2b", "+"))
}

fn number(query: &str, name: &str) -> anyhow::Result<Option<u64>> {
    value(query, name).map(|text| text.parse().with_context(|| format!("{name}: not a number"))).transpose()
}
