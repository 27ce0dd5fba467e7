//! An app for tests: a fresh database, a clock that stands still, a data directory that goes away.

use std::ops::Deref;
use std::sync::Arc;

use secrecy::SecretString;
use store::testing::Database;
use tempfile::TempDir;

use crate::{App, AppParts, Clock, Vault};

/// 2026-11-22T00:00:00Z: later than every consent in `fixtures/`.
pub(crate) const NOW: i64 = 1_795_305_600_000;

/// An app, and what must live as long as it.
pub(crate) struct TestApp {
    pub(crate) app: Arc<App>,
    pub(crate) data_dir: TempDir,
    _db: Database,
}

impl Deref for TestApp {
    type Target = App;

    fn deref(&self) -> &App {
        &self.app
    }
}

/// An app whose Graph URL leads nowhere.
pub(crate) async fn app(db: Database) -> TestApp {
    app_at(db, "http://127.0.0.1:1").await
}

/// An app with this Graph URL, which leads to this machine.
pub(crate) async fn app_at(db: Database, graph_url: &str) -> TestApp {
    let data_dir = tempfile::tempdir().expect("a temporary directory");
    let graph = cloud_api::Client::new(&cloud_api::Config { base_url: graph_url.to_owned(), ..Default::default() });
    let key = SecretString::from("a secret key of the tests, long enough");
    let app = App::new(AppParts {
        store: db.store.clone(),
        graph: graph.expect("a loopback URL"),
        graph_is_loopback: true,
        vault: Vault::new(&key).expect("a long key"),
        clock: Clock::manual(NOW),
        data_dir: data_dir.path().to_owned(),
        redis: None,
        install: db.store.install_id().await.expect("an install id"),
    });
    TestApp { app, data_dir, _db: db }
}
