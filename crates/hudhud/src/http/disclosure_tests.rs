//! Whoever looks a person up, or takes data out of here, is written down: all of these routes, one after another.

use axum::body::Body;
use axum::http::{Method, Request, header};
use serde_json::{Value, json};

use super::access::Role;
use super::front::made_whole;
use super::routes::{self, ROUTES};
use super::tests::{Api, ask, bearer, get, post};

const PERSON: &str = "+20 100 560 0001";

/// Every route by which a person is looked up or data leaves: what the record of disclosures calls it, or nothing where
/// the audit log alone keeps it.
const OUT: &[(&str, &str, Option<&str>)] = &[
    ("POST", "/api/v1/optouts/check", Some("check")),
    ("GET", "/api/v1/optouts", Some("optouts-list")),
    ("GET", "/api/v1/optouts/export", Some("optouts-export")),
    ("POST", "/api/v1/ledger/prove", Some("prove")),
    ("POST", "/api/v1/ledger/prove/document", Some("prove")),
    ("GET", "/api/v1/ledger/export", Some("ledger-export")),
    ("GET", "/api/v1/ledger/exclusions/{campaign}", Some("exclusions")),
    ("GET", "/api/v1/ledger/exclusions/{campaign}/export", Some("exclusions-export")),
    ("GET", "/api/v1/ledger/sent-after-stop", Some("sent-after-stop")),
    ("POST", "/api/v1/persons/export", Some("person-export")),
    ("GET", "/api/v1/messages/inbound", Some("messages")),
    ("POST", "/api/v1/messages/window", Some("window")),
    ("GET", "/api/v1/campaigns/{campaign}/export", None),
    ("GET", "/api/v1/imports/{import}/rejects", None),
];

async fn rows(api: &Api, path: &str) -> Vec<Value> {
    ask(&api.local, get(path)).await.body["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn every_look_at_a_person_and_every_export_is_written_down_with_who_did_it() {
    let api = Api::new().await;
    store::testing::in_doubt(&api.app.store, "spring", 3, |_| 1).await;
    made_whole(&api.app.store, 201_005_600_000).await;
    let stop = json!({"person": PERSON, "reason": "a letter"});
    assert!(ask(&api.local, post("/api/v1/optouts", &stop)).await.status.is_success());
    let key = api.key(Role::Admin).await;
    for (method, path, what) in OUT {
        let (disclosed, audited) =
            (rows(&api, "/api/v1/ledger/disclosures").await.len(), rows(&api, "/api/v1/audit?limit=1000").await.len());
        let body = if *method == "POST" { json!({"person": PERSON}).to_string() } else { String::new() };
        let asked = path.replace("{campaign}", "spring").replace("{import}", "1");
        let request = Request::builder().method(*method).uri(&asked).header(header::CONTENT_TYPE, "application/json");
        let answered = ask(&api.network, bearer(request.body(Body::from(body)).unwrap(), &key)).await;
        let disclosures = rows(&api, "/api/v1/ledger/disclosures").await;
        if let Some(what) = what {
            assert!(answered.status.is_success(), "{method} {path}: {}", answered.body);
            assert_eq!(disclosures.len(), disclosed + 1, "{method} {path}");
            let last = disclosures.last().unwrap();
            assert_eq!((&last["what"], &last["actor"]), (&json!(what), &json!("key:Admin")), "{method} {path}");
        }
        let method: Method = method.parse().unwrap();
        if routes::is_audited(&method, path) {
            let audits = rows(&api, "/api/v1/audit?limit=1000").await;
            assert_eq!(audits.len(), audited + 1, "{method} {path}");
            assert_eq!(audits[0]["actor"], "key:Admin", "{method} {path}");
        } else {
            assert!(what.is_some(), "{method} {path} is kept nowhere");
        }
    }
    // And a route that is called an export or a proof is in the list above.
    for (method, path, _) in ROUTES {
        let tells = ["export", "/prove", "/check", "/rejects", "/document"].iter().any(|word| path.contains(word));
        let is_listed = OUT.iter().any(|(m, p, _)| *m == method.as_str() && p == path);
        assert!(!tells || is_listed, "{method} {path} is not walked");
    }
}
