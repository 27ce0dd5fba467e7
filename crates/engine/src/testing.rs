//! An app for tests: a fresh database, a clock that stands still, a data directory that goes away; and a Graph API.

use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use domain::campaign::CampaignEvent;
use secrecy::SecretString;
use store::testing::Database;
use store::{SyncedNumber, SyncedTemplate};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::{Actor, App, AppParts, Clock, Vault};

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
        upload_limit: 1_000,
        redis: None,
        install: db.store.install_id().await.expect("an install id"),
    });
    TestApp { app, data_dir, _db: db }
}

/// An app with two numbers of one account, another account of the same portfolio and one of another, a list of twenty
/// people, and a campaign to them on the first number, which runs and is planned: its id.
pub(crate) async fn running_campaign(db: Database) -> (TestApp, i64) {
    let app = app(db).await;
    for (name, waba_id, portfolio) in [("shop", "100", "P"), ("sister", "200", "P"), ("stranger", "300", "Q")] {
        let secret = |text: &str| secrecy::SecretString::from(text.to_owned());
        let account = crate::accounts::NewAccount {
            name: name.to_owned(),
            waba_id: waba_id.to_owned(),
            portfolio: Some(portfolio.to_owned()),
            access_token: secret("EAAG-good"),
            app_secret: secret("secret-of-the-app"),
            verify_token: secret("word"),
        };
        crate::accounts::add(&app, account).await.unwrap();
    }
    let shop = app.store.account_named("shop").await.unwrap().unwrap();
    let number = |id: &str| SyncedNumber {
        phone_number_id: id.to_owned(),
        display: String::new(),
        verified_name: String::new(),
        quality: "GREEN".to_owned(),
        throughput: "STANDARD".to_owned(),
        messaging_limit: String::new(),
        status: "CONNECTED".to_owned(),
        on_biz_app: false,
    };
    app.store.sync_numbers(shop.id, &[number("1"), number("2")], NOW).await.unwrap();
    let template = SyncedTemplate {
        meta_id: "7".to_owned(),
        name: "sale".to_owned(),
        language: "en".to_owned(),
        status: "APPROVED".to_owned(),
        category: "UTILITY".to_owned(),
        parameter_format: "POSITIONAL".to_owned(),
        quality: "GREEN".to_owned(),
        components: r#"[{"type":"BODY","text":"Hello"}]"#.to_owned(),
        ttl_seconds: None,
    };
    app.store.sync_templates(shop.id, &[template], NOW).await.unwrap();
    let list = app.store.ensure_list("people", NOW).await.unwrap();
    assert_eq!(list, 1);
    app.store
        .tamper(
            "INSERT INTO contacts (id, phone_key, phone, name, created_at, updated_at)
             SELECT i.id, 15550100000 + i.id, 15550100000 + i.id, 'Made Up', 0, 0 FROM
                 (SELECT a.n * 5 + b.n + 1 AS id FROM (SELECT 0 AS n UNION SELECT 1 UNION SELECT 2 UNION SELECT 3) a,
                     (SELECT 0 AS n UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4) b) i",
        )
        .await;
    if !app.store.is_embedded() {
        // People who turn up later get ids of their own.
        app.store
            .tamper("SELECT setval(pg_get_serial_sequence('contacts', 'id'), (SELECT max(id) FROM contacts))")
            .await;
    }
    app.store.tamper("INSERT INTO list_members (list_id, contact_id, added_at) SELECT 1, id, 0 FROM contacts").await;
    let order = serde_json::json!({"name": "spring", "template": "sale", "language": "en", "lists": ["people"],
        "numbers": ["1"]});
    let made = crate::campaigns::create(&app, &Actor::system(), &serde_json::from_value(order).unwrap()).await.unwrap();
    let now = app.clock.now_ms();
    let frozen = store::Frozen { at: now, people: 20 };
    let launched = app.store.move_campaign(made.id, CampaignEvent::Launched, None, Some(frozen), now);
    launched.await.unwrap();
    while crate::planner::tick(&app.app).await.unwrap() {}
    (app, made.id)
}

/// The other side of the socket: answers `GET /v26.0/WABA/EDGE` with what is set for `WABA/EDGE`, if the token is
/// `EAAG-good`.
pub(crate) struct Graph {
    pub(crate) url: String,
    pages: Arc<Mutex<Vec<(&'static str, serde_json::Value)>>>,
    asked: Arc<AtomicUsize>,
}

impl Graph {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let pages: Arc<Mutex<Vec<(&'static str, serde_json::Value)>>> = Arc::default();
        let asked: Arc<AtomicUsize> = Arc::default();
        let (served, counted) = (Arc::clone(&pages), Arc::clone(&asked));
        tokio::spawn(async move {
            while let Ok((mut peer, _)) = listener.accept().await {
                let served = Arc::clone(&served);
                counted.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(async move {
                    let mut request = Vec::new();
                    while !request.ends_with(b"\r\n\r\n") && peer.read_buf(&mut request).await.unwrap_or(0) > 0 {}
                    let answer = answer(&String::from_utf8_lossy(&request), &served.lock().unwrap());
                    let _ = peer.write_all(answer.as_bytes()).await;
                });
            }
        });
        Self { url, pages, asked }
    }

    /// How many requests came, one per connection, since it was last asked for.
    pub(crate) fn asked(&self) -> usize {
        self.asked.swap(0, Ordering::Relaxed)
    }

    /// From now on this page breaks.
    pub(crate) fn fail(&self, path: &str) {
        self.pages.lock().unwrap().retain(|(known, _)| *known != path);
    }

    pub(crate) fn serve(&self, path: &'static str, items: serde_json::Value) {
        let mut pages = self.pages.lock().unwrap();
        pages.retain(|(known, _)| *known != path);
        pages.push((path, serde_json::json!({ "data": items })));
    }
}

fn answer(request: &str, pages: &[(&'static str, serde_json::Value)]) -> String {
    let (status, body) = if !request.to_ascii_lowercase().contains("authorization: bearer eaag-good\r\n") {
        let refused = serde_json::json!({"error": {"message": "Invalid OAuth access token.", "type": "OAuthException", "code": 190}});
        ("401 Unauthorized", refused.to_string())
    } else {
        let page = pages.iter().find(|(path, _)| request.contains(&format!("/v26.0/{path}?")));
        page.map_or(("500 Oops", "<html>".to_owned()), |(_, page)| ("200 OK", page.to_string()))
    };
    let head = "content-type: application/json\r\nconnection: close";
    format!("HTTP/1.1 {status}\r\n{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}
