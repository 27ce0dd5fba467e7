//! Counts of many people, for pages: what took long to count is kept for a moment, and counted anew behind the answer.
//!
//! A small shop never meets this: what is counted quickly is counted each time. Of a million people a count takes longer
//! than a page should wait, and is then what it was some seconds ago; an import that has ended, a list or a campaign
//! that was made since, have it counted anew before the answer.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use crate::App;
use crate::fault::Result;
use crate::lists::{self, CountOrder, CountView, ListView};

/// What is counted within this is never kept: microseconds.
const QUICK: u64 = 20_000;
/// From then on a kept count is renewed behind the answer that it gives: microseconds.
const AGES: u64 = 5_000_000;
/// So many counts are kept; then all are forgotten.
const MOST: usize = 200;

/// Counts of one kind, by what was counted.
#[derive(Debug)]
pub(crate) struct Counts<V>(Mutex<HashMap<String, Kept<V>>>);

#[derive(Debug)]
struct Kept<V> {
    value: V,
    /// What stood in the database when it was counted.
    stamp: String,
    /// When, and how long it took: microseconds.
    at: u64,
    took: u64,
    is_renewed: bool,
}

/// What is known of a count.
#[derive(Debug, PartialEq, Eq)]
enum Known<V> {
    Nothing,
    Holds(V),
    /// It holds, and it is the caller's to renew it.
    Ages(V),
}

impl<V> Default for Counts<V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<V: Clone> Counts<V> {
    fn look(&self, what: &str, stamp: &str, now: u64) -> Known<V> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match kept.get_mut(what) {
            Some(known) if known.stamp == stamp && known.took > QUICK => {
                if now.saturating_sub(known.at) < AGES || known.is_renewed {
                    return Known::Holds(known.value.clone());
                }
                known.is_renewed = true;
                Known::Ages(known.value.clone())
            }
            _ => Known::Nothing,
        }
    }

    fn keep(&self, what: String, value: V, stamp: String, at: u64, took: u64) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST {
            kept.clear();
        }
        kept.insert(what, Kept { value, stamp, at, took, is_renewed: false });
    }

    /// A count that could not be renewed is somebody else's to renew.
    fn leave(&self, what: &str) {
        if let Some(known) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(what) {
            known.is_renewed = false;
        }
    }
}

/// Every list, by name, with its people.
///
/// # Errors
/// As the database's.
#[crate::boxed]
pub async fn lists(app: &Arc<App>) -> Result<Vec<ListView>> {
    let count = |app: Arc<App>| async move { lists::ls(&app).await };
    kept(app, |app| &app.list_counts, String::new(), count).await
}

/// As [`lists::count`].
///
/// # Errors
/// As there.
#[crate::boxed]
pub async fn audience(app: &Arc<App>, order: CountOrder) -> Result<CountView> {
    let what = format!("{order:?}");
    let count = |app: Arc<App>| async move { lists::count(&app, &order).await };
    kept(app, |app| &app.audience_counts, what, count).await
}

async fn kept<V, C, F>(app: &Arc<App>, place: fn(&App) -> &Counts<V>, what: String, count: C) -> Result<V>
where
    V: Clone + Send + Sync + 'static,
    C: FnOnce(Arc<App>) -> F + Send + 'static,
    F: Future<Output = Result<V>> + Send,
{
    let stamp = app.store.people_stamp().await?;
    match place(app).look(&what, &stamp, app.clock.boot_us()) {
        Known::Holds(value) => Ok(value),
        Known::Nothing => renew(Arc::clone(app), place, what, stamp, count).await,
        Known::Ages(value) => {
            let app = Arc::clone(app);
            tokio::spawn(async move {
                if let Err(fault) = renew(Arc::clone(&app), place, what.clone(), stamp, count).await {
                    tracing::debug!(%fault, "a count was not renewed");
                    place(&app).leave(&what);
                }
            });
            Ok(value)
        }
    }
}

async fn renew<V, C, F>(
    app: Arc<App>,
    place: fn(&App) -> &Counts<V>,
    what: String,
    stamp: String,
    count: C,
) -> Result<V>
where
    V: Clone,
    C: FnOnce(Arc<App>) -> F,
    F: Future<Output = Result<V>>,
{
    let begun = app.clock.boot_us();
    let value = count(Arc::clone(&app)).await?;
    let now = app.clock.boot_us();
    place(&app).keep(what, value.clone(), stamp, now, now.saturating_sub(begun));
    Ok(value)
}

#[cfg(test)]
mod tests {
    use store::on_both_databases;
    use store::testing::Database;

    use super::*;
    use crate::testing::app;

    #[test]
    fn what_was_quick_is_counted_anew_and_what_took_long_holds_until_something_changed() {
        let counts = Counts::default();
        counts.keep("quick".into(), 1, "a".into(), 0, QUICK);
        assert_eq!(counts.look("quick", "a", 1), Known::Nothing);
        counts.keep("long".into(), 2, "a".into(), 0, QUICK + 1);
        assert_eq!(counts.look("long", "a", AGES - 1), Known::Holds(2));
        assert_eq!(counts.look("long", "b", 1), Known::Nothing);
        assert_eq!(counts.look("long", "a", AGES), Known::Ages(2));
        assert_eq!(counts.look("long", "a", AGES), Known::Holds(2), "one renews it");
        counts.leave("long");
        assert_eq!(counts.look("long", "a", AGES), Known::Ages(2));
        counts.keep("long".into(), 3, "a".into(), AGES, QUICK + 1);
        assert_eq!(counts.look("long", "a", AGES + 1), Known::Holds(3));
    }

    on_both_databases! {
        async fn a_list_that_was_made_since_is_counted(db: Database) {
            let app = app(db).await;
            let before = app.store.people_stamp().await.unwrap();
            assert_eq!(lists(&app.app).await.unwrap(), []);
            app.store.ensure_list("people", 1).await.unwrap();
            assert_ne!(app.store.people_stamp().await.unwrap(), before);
            assert_eq!(lists(&app.app).await.unwrap()[0].name, "people");
            let order = CountOrder { lists: vec!["people".to_owned()], ..CountOrder::default() };
            assert_eq!(audience(&app.app, order).await.unwrap().people, 0);
        }
    }
}
