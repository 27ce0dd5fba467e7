//! What Meta has told us lately, for a person: every body as it came in, and the bytes of those that nobody could read.

use serde::Serialize;
use store::Logged;
use utoipa::ToSchema;

use crate::App;
use crate::fault::Result;
use crate::views::iso;

/// Of a body that could not be read so many bytes are shown.
const SHOWN: usize = 16 * 1024;

/// A webhook's body in the log.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct WebhookView {
    /// Its place in the inbox.
    pub id: i64,
    /// The account whose secret vouched for it; empty where that account is gone.
    pub account: String,
    /// When it came, RFC 3339.
    pub received_at: String,
    /// When it was applied or given up, RFC 3339; `null` while it waits.
    pub applied_at: Option<String>,
    /// `waiting`, `applied` or `unread`.
    pub state: String,
    /// Why it could not be read.
    pub error: Option<String>,
    /// The bytes of one that could not be read, as text and at most 16 KiB of them; `null` for all others, whose bytes
    /// are not kept, and for callers who may not see what people write.
    pub body: Option<String>,
}

impl WebhookView {
    fn of(row: Logged, with_body: bool) -> Self {
        let state = match (row.applied_at, &row.error) {
            (_, Some(_)) => "unread",
            (Some(_), None) => "applied",
            (None, None) => "waiting",
        };
        let body = row.body.filter(|_| with_body && row.error.is_some());
        Self {
            id: row.id,
            account: row.account,
            received_at: iso(row.received_at),
            applied_at: row.applied_at.map(iso),
            state: state.to_owned(),
            // What a parser complains of may quote what a person wrote.
            error: row.error.map(|error| if with_body { error } else { "it could not be read".to_owned() }),
            body: body.map(|body| String::from_utf8_lossy(body.get(..SHOWN).unwrap_or(&body)).into_owned()),
        }
    }
}

/// Bodies before the id `before`, newest first; only those that could not be read where `unread` says so. Their bytes
/// come along `with_body` alone: they may hold what people wrote.
///
/// # Errors
/// When the database is away.
#[crate::boxed]
pub async fn ls(app: &App, before: Option<i64>, unread: bool, limit: u32, with_body: bool) -> Result<Vec<WebhookView>> {
    let rows = app.store.inbox_log(before, unread, i64::from(limit)).await?;
    Ok(rows.into_iter().map(|row| WebhookView::of(row, with_body)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(applied_at: Option<i64>, error: Option<&str>) -> Logged {
        let body = Some(b"{\"text\": \"private\"".to_vec());
        Logged { id: 7, account: "shop".into(), received_at: 0, applied_at, error: error.map(str::to_owned), body }
    }

    #[test]
    fn the_bytes_and_the_parsers_words_are_for_those_who_may_see_what_people_write() {
        let seen = WebhookView::of(row(Some(1), Some("near \"private\"")), true);
        assert_eq!((seen.state.as_str(), seen.error.as_deref()), ("unread", Some("near \"private\"")));
        assert!(seen.body.is_some_and(|body| body.contains("private")));
        let kept_back = WebhookView::of(row(Some(1), Some("near \"private\"")), false);
        assert!(kept_back.body.is_none() && !kept_back.error.unwrap_or_default().contains("private"));
    }

    #[test]
    fn a_body_that_waits_or_was_applied_shows_no_bytes() {
        for (applied_at, state) in [(None, "waiting"), (Some(1), "applied")] {
            let view = WebhookView::of(row(applied_at, None), true);
            assert_eq!((view.state.as_str(), view.body), (state, None));
        }
    }

    #[test]
    fn a_body_is_shown_up_to_a_length_and_need_not_be_text() {
        let long = Logged { body: Some(vec![0xff; SHOWN + 1]), ..row(Some(1), Some("x")) };
        assert_eq!(WebhookView::of(long, true).body.map(|body| body.chars().count()), Some(SHOWN));
    }
}
