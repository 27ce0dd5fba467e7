//! Reading lists from the Graph API, all pages of them.

use std::collections::HashSet;

use reqwest::{Method, Request};
use secrecy::SecretString;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::client::{Client, headers};
use crate::exchange::{Answer, Broken, exchange, retry_after};
use crate::ids::AccountId;
use crate::lenient;
use crate::refusal::{Refusal, read_envelope};

/// One page of templates with long bodies stays well below this.
const PAGE_LIMIT: usize = 16 * 1024 * 1024;
/// Items asked for per page.
const PER_PAGE: &str = "100";
/// An account holds at most 6,000 templates: 60 pages.
const PAGES_LIMIT: usize = 200;

/// Why a list could not be read. Reading changes nothing, so trying again is
/// the caller's choice.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// No connection, or no whole answer in time.
    #[error("the Graph API could not be reached: {reason}")]
    Unreachable {
        /// In the words of the system.
        reason: String,
    },
    /// Meta said no.
    #[error("Meta refused: {:?}, code {}", .0.kind, .0.code)]
    Refused(Refusal),
    /// An answer that is not Meta's, or pages that never end.
    #[error("an answer that cannot be read (HTTP status {status}): {reason}")]
    Unreadable {
        /// The answer's HTTP status.
        status: u16,
        /// What is wrong with it.
        reason: String,
    },
    /// The access token cannot stand in a header.
    #[error("the access token is empty or holds characters that cannot be sent")]
    Token,
}

impl Client {
    /// Reads every page of a list that belongs to an account. Items that miss
    /// what their type cannot do without are left out and counted in a warning:
    /// one odd template must not keep an account from being synced.
    pub(crate) async fn list<T: DeserializeOwned>(
        &self,
        token: &SecretString,
        account: &AccountId,
        edge: &'static str,
        fields: &str,
    ) -> Result<Vec<T>, GraphError> {
        let headers = headers(token).map_err(|_| GraphError::Token)?;
        let mut found = Vec::new();
        let mut skipped = 0_usize;
        let mut seen = HashSet::new();
        let mut after: Option<String> = None;
        loop {
            let mut url = self.url(&[account.as_str(), edge]);
            {
                let mut query = url.query_pairs_mut();
                query.append_pair("fields", fields).append_pair("limit", PER_PAGE);
                if let Some(after) = &after {
                    query.append_pair("after", after);
                }
            }
            let mut request = Request::new(Method::GET, url);
            *request.headers_mut() = headers.clone();
            let answer = exchange(self.http(), request, PAGE_LIMIT).await.map_err(unreachable_graph)?;
            let page = read_page(&answer)?;
            for item in page.data {
                match serde_json::from_str(item.get()) {
                    Ok(item) => found.push(item),
                    Err(_) => skipped += 1,
                }
            }
            let unreadable = |reason: &str| GraphError::Unreadable { status: answer.status, reason: reason.to_owned() };
            // `next` is an absolute URL with the token in it; only its presence
            // matters, and the token goes to the configured host alone.
            let Some(paging) = page.paging.filter(|paging| paging.next.is_some()) else {
                break;
            };
            let cursor = paging
                .cursors
                .and_then(|cursors| cursors.after)
                .ok_or_else(|| unreadable("there is a next page but no cursor to it"))?;
            if !seen.insert(cursor.clone()) {
                return Err(unreadable("the pages go round in a circle"));
            }
            if seen.len() >= PAGES_LIMIT {
                return Err(unreadable("the pages do not end"));
            }
            after = Some(cursor);
        }
        if skipped > 0 {
            tracing::warn!(account = %account, edge, skipped, "left out items that could not be read");
        }
        Ok(found)
    }
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    data: Vec<&'a RawValue>,
    #[serde(default, deserialize_with = "lenient::lossy")]
    paging: Option<Paging>,
}

#[derive(Deserialize)]
struct Paging {
    #[serde(default, deserialize_with = "lenient::lossy")]
    cursors: Option<Cursors>,
    #[serde(default, deserialize_with = "lenient::text")]
    next: Option<String>,
}

#[derive(Deserialize)]
struct Cursors {
    #[serde(default, deserialize_with = "lenient::text")]
    after: Option<String>,
}

fn read_page(answer: &Answer) -> Result<Page<'_>, GraphError> {
    let page = serde_json::from_slice(&answer.body);
    match (answer.status, page) {
        (200, Ok(page)) => Ok(page),
        (status, page) => Err(match read_envelope(&answer.body, status) {
            Some(mut refusal) => {
                refusal.retry_after = retry_after(&answer.headers);
                GraphError::Refused(refusal)
            }
            None => GraphError::Unreadable {
                status,
                reason: match page {
                    Ok(_) => "a list with a status that is not 200".to_owned(),
                    Err(error) => format!("not a list: {:?} at column {}", error.classify(), error.column()),
                },
            },
        }),
    }
}

pub(crate) fn unreachable_graph(broken: Broken) -> GraphError {
    GraphError::Unreachable {
        reason: match broken {
            Broken::TimedOut => "no answer in time".to_owned(),
            Broken::Lost(reason) => reason,
            Broken::TooLong => "the answer had no end".to_owned(),
        },
    }
}
