//! The words that an operator adds to the built-in ones, or takes out of force.

use std::sync::{Arc, Mutex, PoisonError};

use domain::optout::{Verdict, Words};
use domain::pacing::{Micros, SECOND};
use serde::Serialize;
use serde_json::json;
use store::WordRow;
use utoipa::ToSchema;

use crate::fault::{Fault, Result};
use crate::views::iso;
use crate::{Actor, App, evidence};

/// What was read is used for so long: what another process changes is known here after that.
const FRESH: Micros = SECOND;

/// The operator's words as read a moment ago, so that a webhook costs no look into the database.
#[derive(Debug, Default)]
pub(crate) struct OwnWords {
    read: Mutex<Option<(Micros, Arc<Words>)>>,
}

impl OwnWords {
    /// The words in force.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(crate) async fn known(&self, app: &App) -> Result<Arc<Words>> {
        let now = app.clock.boot_us();
        let kept = self.read.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((at, words)) = kept
            && now.saturating_sub(at) < FRESH
        {
            return Ok(words);
        }
        let rows = app.store.words().await?;
        // A verdict of a newer version is none of ours.
        let words = rows.into_iter().filter_map(|row| Some((row.key, Verdict::named(&row.verdict)?)));
        let words = Arc::new(Words::new(words));
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, Arc::clone(&words)));
        Ok(words)
    }

    fn forget(&self) {
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// A phrase and what it means.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct WordView {
    /// As it was written.
    pub phrase: String,
    /// How it is compared: without case, accents, punctuation and politeness.
    pub compared: String,
    /// `stop`, `doubtful`, `start` or `nothing`.
    pub verdict: String,
    /// Who said so.
    pub by: String,
    /// When, RFC 3339.
    pub at: String,
}

fn view(row: WordRow) -> Option<WordView> {
    Verdict::named(&row.verdict)?;
    Some(WordView { phrase: row.phrase, compared: row.key, verdict: row.verdict, by: row.actor, at: iso(row.at) })
}

/// What a text means with these words in force: a try, which changes nothing.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ReadingView {
    /// As a message: `stop`, `doubtful`, `start` or `nothing`.
    pub as_message: String,
    /// As the label of a button.
    pub as_label: String,
}

/// The operator's words.
///
/// # Errors
/// When the database is away.
#[crate::boxed]
pub async fn ls(app: &App) -> Result<Vec<WordView>> {
    Ok(app.store.words().await?.into_iter().filter_map(view).collect())
}

/// What a text means now.
///
/// # Errors
/// When the database is away.
#[crate::boxed]
pub async fn read(app: &App, text: &str) -> Result<ReadingView> {
    let words = app.words.known(app).await?;
    let (as_message, as_label) = (words.read(text).as_str().to_owned(), words.label(text).as_str().to_owned());
    Ok(ReadingView { as_message, as_label })
}

/// Says what a phrase means from now on, as a whole message or label. The ledger keeps who said so.
///
/// # Errors
/// When the phrase is empty or too long, there is no such meaning, or the database is away.
#[crate::boxed]
pub async fn add(app: &App, actor: &Actor, phrase: &str, means: &str) -> Result<WordView> {
    let Some(verdict) = Verdict::named(means) else {
        return Err(Fault::invalid("A phrase means stop, doubtful, start or nothing."));
    };
    let key = key_of(phrase)?;
    let row = WordRow {
        key,
        phrase: phrase.trim().to_owned(),
        verdict: verdict.as_str().to_owned(),
        actor: actor.as_str().to_owned(),
        at: app.clock.now_ms(),
    };
    let detail = json!({"phrase": row.phrase, "means": verdict.as_str()});
    let evidence = evidence::entry(app, "word", actor, &detail).map_err(Fault::internal)?;
    app.store.put_word(&row, &evidence).await?;
    app.words.forget();
    view(row).ok_or_else(|| Fault::internal(anyhow::anyhow!("a verdict that was just written does not read back")))
}

/// Leaves a phrase to the built-in words again.
///
/// # Errors
/// When nobody added it, or the database is away.
#[crate::boxed]
pub async fn rm(app: &App, actor: &Actor, phrase: &str) -> Result<()> {
    let key = key_of(phrase)?;
    let detail = json!({"phrase": phrase.trim(), "means": null});
    let evidence = evidence::entry(app, "word", actor, &detail).map_err(Fault::internal)?;
    if !app.store.remove_word(&key, &evidence).await? {
        return Err(Fault::not_found("Nobody added this phrase.").action("See them with: hudhud words ls"));
    }
    app.words.forget();
    Ok(())
}

fn key_of(phrase: &str) -> Result<String> {
    Words::key(phrase).map_err(|error| Fault::invalid(format!("This is no phrase: {error}.")))
}

#[cfg(test)]
mod tests {
    use store::on_both_databases;
    use store::testing::Database;

    use super::*;
    use crate::testing::app;

    on_both_databases! {
        async fn an_operators_words_are_in_force_at_once_and_audited(db: Database) {
            let app = app(db).await;
            let mona = Actor::cli("mona");
            assert_eq!(read(&app, "Hasta la vista!").await.unwrap().as_message, "nothing");
            add(&app, &mona, "hasta la vista", "stop").await.unwrap();
            assert_eq!(read(&app, "¡HASTA LA VISTA, gracias!").await.unwrap().as_message, "stop");
            add(&app, &mona, "Baja", "doubtful").await.unwrap();
            assert_eq!(read(&app, "baja").await.unwrap().as_message, "doubtful");
            assert_eq!(ls(&app).await.unwrap().len(), 2);
            rm(&app, &mona, "BAJA").await.unwrap();
            assert_eq!(read(&app, "baja").await.unwrap().as_message, "stop");
            assert!(rm(&app, &mona, "baja").await.is_err());
            assert!(add(&app, &mona, "!!!", "stop").await.is_err());
            assert_eq!(app.store.ledger_size().await.unwrap(), 3);
        }
    }
}
