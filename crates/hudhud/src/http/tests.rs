//! The API from outside, without a listener: sign-in, permissions, problems, answers from memory.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode, header};
use engine::App;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::access::Role;
use super::problem::PROBLEM_JSON;
use super::{Door, router, routes};
use crate::settings::{Settings, Sources};
use crate::wiring;

pub(super) struct Api {
    pub(super) app: Arc<App>,
    pub(super) network: Router,
    pub(super) local: Router,
    _dir: tempfile::TempDir,
}

pub(super) struct Answered {
    pub(super) status: StatusCode,
    pub(super) headers: axum::http::HeaderMap,
    pub(super) body: Value,
}

impl Api {
    pub(super) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let env = vec![("HUDHUD_DATA_DIR".into(), dir.path().as_os_str().to_owned())];
        let settings = Settings::load(&Sources { env, ..Sources::none() }).unwrap();
        let store = wiring::open_store(&settings).await.unwrap();
        let app = wiring::engine(&settings, store, None).await.unwrap();
        Self { network: router(&app, Door::Network), local: router(&app, Door::Process), app, _dir: dir }
    }

    pub(super) async fn key(&self, role: Role) -> String {
        let body = json!({"name": format!("{role:?}"), "role": role});
        let made = ask(&self.local, post("/api/v1/apikeys", &body)).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
        made.body["key"].as_str().unwrap().to_owned()
    }
}

pub(super) async fn ask(router: &Router, request: Request<Body>) -> Answered {
    let answer = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = answer.into_parts();
    let is_stream = parts.headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "text/event-stream");
    let body = if is_stream { Body::empty() } else { body };
    let text = to_bytes(body, 1 << 22).await.unwrap();
    let body = serde_json::from_slice(&text).unwrap_or(Value::String(String::from_utf8_lossy(&text).into_owned()));
    Answered { status: parts.status, headers: parts.headers, body }
}

pub(super) fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

pub(super) fn post(path: &str, body: &Value) -> Request<Body> {
    Request::post(path).header(header::CONTENT_TYPE, "application/json").body(Body::from(body.to_string())).unwrap()
}

pub(super) fn with(mut request: Request<Body>, name: &'static str, value: &str) -> Request<Body> {
    request.headers_mut().insert(name, value.parse().unwrap());
    request
}

/// As if from an address of its own.
pub(super) fn from(mut request: Request<Body>, n: usize) -> Request<Body> {
    let address = std::net::Ipv4Addr::from(0xc633_6400 + u32::try_from(n).unwrap());
    request.extensions_mut().insert(axum::extract::ConnectInfo(std::net::SocketAddr::from((address, 9))));
    request
}

pub(super) fn bearer(request: Request<Body>, key: &str) -> Request<Body> {
    with(request, "authorization", &format!("Bearer {key}"))
}

/// Checks what is true of every problem, and gives its kind.
pub(super) fn problem(answered: &Answered) -> &str {
    assert_eq!(answered.headers[header::CONTENT_TYPE], PROBLEM_JSON);
    for field in ["type", "title", "detail", "kept", "action", "request_id"] {
        assert!(!answered.body[field].as_str().unwrap().is_empty(), "{field} of {}", answered.body);
    }
    assert_eq!(answered.body["status"], answered.status.as_u16());
    assert_eq!(answered.headers["x-request-id"].to_str().unwrap(), answered.body["request_id"]);
    answered.body["type"].as_str().unwrap().strip_prefix("urn:hudhud:problem:").unwrap()
}

#[tokio::test]
async fn everything_but_the_open_doors_needs_a_sign_in_over_the_network() {
    let api = Api::new().await;
    for (n, (method, path, need)) in routes::ROUTES.iter().enumerate() {
        let path = path.replace("{campaign}", "1").replace(['{', '}'], "");
        let request = Request::builder().method(method).uri(&path).body(Body::empty()).unwrap();
        let request = from(request, n);
        let answered = ask(&api.network, request).await;
        if *need == routes::Need::Nothing {
            assert_ne!(problem_or_fine(&answered), Some("unauthorized"), "{method} {path}");
        } else {
            assert_eq!(answered.status, StatusCode::UNAUTHORIZED, "{method} {path}");
            assert_eq!(problem(&answered), "unauthorized");
            assert_eq!(answered.headers[header::WWW_AUTHENTICATE], "Bearer");
        }
    }
}

/// The kind of problem, except that an unsigned webhook is refused by its own rule.
fn problem_or_fine(answered: &Answered) -> Option<&str> {
    let is_webhook = answered.body["detail"].as_str().is_some_and(|detail| detail.contains("signature"));
    (!answered.status.is_success() && !is_webhook).then(|| problem(answered))
}

#[tokio::test]
async fn no_header_makes_a_local_caller_of_a_remote_one() {
    let api = Api::new().await;
    let mut request = get("/api/v1/apikeys");
    for (name, value) in [("x-forwarded-for", "127.0.0.1"), ("x-hudhud-user", "root"), ("host", "localhost")] {
        request = with(request, name, value);
    }
    assert_eq!(ask(&api.network, request).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(ask(&api.local, get("/api/v1/apikeys")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_key_opens_what_its_role_may_until_it_is_revoked() {
    let api = Api::new().await;
    let viewer = api.key(Role::Viewer).await;
    assert_eq!(ask(&api.network, bearer(get("/api/v1/lists"), &viewer)).await.status, StatusCode::OK);
    let refused = ask(&api.network, bearer(get("/api/v1/apikeys"), &viewer)).await;
    assert_eq!((refused.status, problem(&refused)), (StatusCode::FORBIDDEN, "forbidden"));
    let listed = ask(&api.local, get("/api/v1/apikeys")).await;
    assert!(!listed.body.to_string().contains(&viewer), "a key is shown once");
    assert!(listed.body["items"][0]["last_used_at"].is_string());
    let revoke = Request::delete("/api/v1/apikeys/Viewer").body(Body::empty()).unwrap();
    assert_eq!(ask(&api.local, revoke).await.status, StatusCode::NO_CONTENT);
    assert_eq!(ask(&api.network, bearer(get("/api/v1/lists"), &viewer)).await.status, StatusCode::UNAUTHORIZED);
    let wrong = format!("{}x", &viewer[..viewer.len() - 1]);
    assert_eq!(ask(&api.network, bearer(get("/api/v1/lists"), &wrong)).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn only_the_hash_of_a_key_is_in_the_database() {
    let api = Api::new().await;
    let request = with(post("/api/v1/apikeys", &json!({"name": "ci", "role": "admin"})), "idempotency-key", "one");
    let made = ask(&api.local, request).await;
    let key = made.body["key"].as_str().unwrap().to_owned();
    api.app.store.close().await;
    for file in std::fs::read_dir(api._dir.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap_or_default();
        assert!(!bytes.windows(key.len()).any(|window| window == key.as_bytes()), "the key lies on the disk");
    }
}

#[tokio::test]
async fn what_cannot_be_read_or_found_is_a_problem_that_says_so() {
    let api = Api::new().await;
    let unreadable = [
        (post("/api/v1/apikeys", &json!({"name": "x"})), "unreadable"),
        (post("/api/v1/apikeys", &json!({"name": "x", "role": "admin", "surprise": 1})), "unreadable"),
        (post("/api/v1/apikeys", &json!({"name": "x", "role": "root"})), "unreadable"),
        (post("/api/v1/apikeys", &json!({"name": " ", "role": "admin"})), "invalid"),
        (get("/api/v1/campaigns/none"), "not-found"),
        (get("/api/v1/nothing"), "not-found"),
        (get("/api/v1/campaigns?after=x"), "unreadable"),
        (get("/api/v1/campaigns?limit=many"), "unreadable"),
        (get("/api/v1/imports/x"), "unreadable"),
        (Request::put("/api/v1/lists").body(Body::empty()).unwrap(), "method-not-allowed"),
    ];
    for (request, kind) in unreadable {
        let what = format!("{} {}", request.method(), request.uri());
        let answered = ask(&api.local, request).await;
        assert_eq!(problem(&answered), kind, "{what}: {}", answered.body);
    }
    let answered = ask(&api.local, Request::put("/api/v1/lists").body(Body::empty()).unwrap()).await;
    assert_eq!(answered.headers[header::ALLOW], "GET");
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused_and_an_upload_has_none() {
    let api = Api::new().await;
    let huge = json!({"name": "x".repeat(2 << 20), "role": "admin"});
    for request in [post("/api/v1/apikeys", &huge), with(post("/api/v1/apikeys", &huge), "idempotency-key", "big")] {
        let answered = ask(&api.local, request).await;
        assert_eq!((answered.status, problem(&answered)), (StatusCode::PAYLOAD_TOO_LARGE, "too-large"));
    }
    for (bytes, status) in [((3 << 20) + 1, StatusCode::PAYLOAD_TOO_LARGE), (3 << 20, StatusCode::UNAUTHORIZED)] {
        let webhook = Request::post("/webhooks/whatsapp").body(Body::from(vec![b' '; bytes])).unwrap();
        let forged = with(webhook, "x-hub-signature-256", &format!("sha256={}", "0".repeat(64)));
        assert_eq!(ask(&api.network, forged).await.status, status, "{bytes} bytes");
    }
}

#[tokio::test]
async fn an_upload_that_announces_too_much_is_refused_before_it_comes_and_says_what_to_do() {
    let api = Api::new().await;
    let room = ask(&api.local, get("/api/v1/uploads")).await;
    assert_eq!(room.body["limit"], 5_u64 << 30, "{}", room.body);
    let begun = ask(&api.local, post("/api/v1/uploads", &json!({}))).await;
    let id = begun.body["id"].as_str().unwrap().to_owned();
    let announced = |request: Request<Body>| with(request, "content-length", &(6_u64 << 30).to_string());
    let streamed = "/api/v1/imports?list=all&opt_in_source=shop&opt_in_at=2026-01-01T00:00:00Z";
    let piece = Request::patch(format!("/api/v1/uploads/{id}?offset=0")).body(Body::empty()).unwrap();
    for request in [
        announced(Request::post(streamed).body(Body::empty()).unwrap()),
        announced(piece),
        post(&format!("/api/v1/uploads?length={}", 6_u64 << 30), &json!({})),
    ] {
        let what = format!("{} {}", request.method(), request.uri());
        let answered = ask(&api.local, request).await;
        assert_eq!((answered.status, problem(&answered)), (StatusCode::PAYLOAD_TOO_LARGE, "too-large"), "{what}");
        assert_eq!(answered.body["detail"], "The file has 6 GiB, and at most 5 GiB are taken.", "{what}");
        assert!(answered.body["kept"].as_str().is_some_and(|kept| kept.contains("kept")), "{}", answered.body);
        assert!(answered.body["action"].as_str().is_some_and(|action| action.contains("HUDHUD_UPLOAD_LIMIT")));
    }
    let left = ask(&api.local, get(&format!("/api/v1/uploads/{id}"))).await;
    assert_eq!(left.body["offset"], 0);
    assert!(ask(&api.local, get("/api/v1/imports")).await.body["items"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn rules_keep_blackout_days_and_lists_say_what_waits_and_what_was_asked_for() {
    let api = Api::new().await;
    let eid = json!({"dates": "2026-05-27..2026-05-29", "name": "Eid al-Adha", "country": "EG"});
    let set = ask(&api.local, post("/api/v1/rules", &json!({"blackouts": [eid, {"dates": "12-25"}]}))).await;
    let expected = json!([eid, {"dates": "12-25", "name": null, "country": null}]);
    assert_eq!((set.status, &set.body["blackouts"]), (StatusCode::OK, &expected), "{}", set.body);
    for wrong in ["tomorrow", "2026-05-29..2026-05-27", "01-01..12-31"] {
        let refused = ask(&api.local, post("/api/v1/rules", &json!({"blackouts": [{"dates": wrong}]}))).await;
        assert_eq!(problem(&refused), "invalid", "{wrong}: {}", refused.body);
    }
    let kept = ask(&api.local, post("/api/v1/rules", &json!({"approval_above": 10}))).await;
    assert_eq!(kept.body["blackouts"], expected, "what is not said stays");
    for path in ["/api/v1/campaigns?awaiting=approval&limit=5", "/api/v1/messages"] {
        let listed = ask(&api.local, get(path)).await;
        assert_eq!((listed.status, &listed.body), (StatusCode::OK, &json!({"items": []})), "{path}");
    }
    assert_eq!(problem(&ask(&api.local, get("/api/v1/campaigns?awaiting=rain")).await), "unreadable");
}

#[tokio::test]
async fn a_file_is_imported_from_the_body_and_its_rejects_are_given_back() {
    let api = Api::new().await;
    let upload = |query: &str, text: &str| {
        Request::post(format!("/api/v1/imports?list=eid&opt_in_source=form&{query}"))
            .header(header::CONTENT_TYPE, "text/csv")
            .body(Body::from(text.to_owned()))
            .unwrap()
    };
    let file = "phone,name\n+201000000001,Mona\n+201000000002,Amr\nnonsense,X\n";
    let at = "opt_in_at=2026-01-01T00:00:00Z";
    let dry = ask(&api.local, upload(&format!("{at}&dry_run=true"), file)).await;
    assert_eq!((dry.status, &dry.body["accepted"]), (StatusCode::OK, &json!(2)), "{}", dry.body);
    assert_eq!(ask(&api.local, get("/api/v1/imports")).await.body["items"], json!([]));
    let done = ask(&api.local, upload(at, file)).await;
    assert_eq!((&done.body["created"], &done.body["rejected"]), (&json!(2), &json!(1)), "{}", done.body);
    let id = done.body["import_id"].as_i64().unwrap();
    let rejects = ask(&api.local, get(&format!("/api/v1/imports/{id}/rejects"))).await;
    assert!(rejects.body.as_str().unwrap().contains("nonsense"), "{}", rejects.body);
    assert_eq!(ask(&api.local, get("/api/v1/lists/eid")).await.body["members"], 2);
    let misspelt = ask(&api.local, upload(&format!("{at}&regoin=EG"), file)).await;
    assert_eq!(problem(&misspelt), "invalid");
    let viewer = api.key(Role::Viewer).await;
    let refused = ask(&api.network, bearer(upload(at, file), &viewer)).await;
    assert_eq!(problem(&refused), "forbidden");
    let refused = ask(&api.network, bearer(get(&format!("/api/v1/imports/{id}/rejects")), &viewer)).await;
    assert_eq!(problem(&refused), "forbidden", "a rejected row may be a person");
}

#[tokio::test]
async fn people_of_lists_are_counted_and_a_list_called_count_keeps_its_page() {
    let api = Api::new().await;
    for (list, file) in [
        ("count", "phone,city\n+201000000001,Cairo\n+201000000002,Giza\n"),
        ("eid", "phone,city\n+201000000002,Giza\n+201000000003,Cairo\n+201000000004,Cairo\n"),
    ] {
        let path = format!(
            "/api/v1/imports?list={list}&region=EG&opt_in_source=web&file_name=p.csv&opt_in_at=2026-01-01T00:00:00Z"
        );
        let done = ask(&api.local, Request::post(path).body(Body::from(file)).unwrap()).await;
        assert_eq!(done.status, StatusCode::OK, "{}", done.body);
    }
    let viewer = api.key(Role::Viewer).await;
    let count =
        async |order: serde_json::Value| ask(&api.network, bearer(post("/api/v1/lists/count", &order), &viewer)).await;
    let both = count(json!({"lists": ["count", "eid"], "filter": "city = Cairo"})).await;
    assert_eq!(
        both.body,
        json!({"people": 4, "excluded": 0, "filtered_out": 1, "suppressed": 0, "no_address": 0, "remaining": 3,
            "filter": "\"city\" = \"Cairo\"", "warnings": []})
    );
    let less = count(json!({"lists": ["eid"], "excluded_lists": ["count"]})).await;
    assert_eq!((&less.body["excluded"], &less.body["remaining"]), (&json!(1), &json!(2)), "{}", less.body);
    let bad = count(json!({"lists": ["eid"], "filter": "city >"})).await;
    assert_eq!(problem(&bad), "invalid");
    assert!(bad.body["detail"].as_str().unwrap().contains("at 7: expected a value"), "{}", bad.body);
    let named = ask(&api.local, get("/api/v1/lists/count")).await;
    assert_eq!(named.body["members"], 2, "{} {}", named.status, named.body);
    let gone = ask(&api.local, Request::delete("/api/v1/lists/count").body(Body::empty()).unwrap()).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_repeated_request_gets_the_first_answer_and_does_nothing_twice() {
    let api = Api::new().await;
    let create = |name: &str| post("/api/v1/apikeys", &json!({"name": name, "role": "viewer"}));
    let first = ask(&api.local, with(create("a"), "idempotency-key", "k1")).await;
    assert_eq!(first.status, StatusCode::CREATED);
    let again = ask(&api.local, with(create("a"), "idempotency-key", "k1")).await;
    assert_eq!((again.status, &again.body["id"]), (StatusCode::CREATED, &first.body["id"]));
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert!(again.body["key"].is_null(), "the key itself is not kept");
    let other = ask(&api.local, with(create("b"), "idempotency-key", "k1")).await;
    assert_eq!(problem(&other), "idempotency-key-reused");
    let keys = ask(&api.local, get("/api/v1/apikeys")).await;
    assert_eq!(keys.body["items"].as_array().unwrap().len(), 1);
    // Without a key, or under another one, it is another request.
    let conflict = ask(&api.local, with(create("a"), "idempotency-key", "k2")).await;
    assert_eq!(problem(&conflict), "conflict");
    let replayed = ask(&api.local, with(create("a"), "idempotency-key", "k2")).await;
    assert_eq!(problem(&replayed), "conflict");
    assert_eq!(replayed.headers["idempotency-replayed"], "true");
    assert_ne!(replayed.body["request_id"], conflict.body["request_id"], "each request has its own id");
}

#[tokio::test]
async fn two_callers_may_use_the_same_idempotency_key() {
    let api = Api::new().await;
    let (one, other) = (api.key(Role::Admin).await, api.key(Role::Operator).await);
    let pause = || with(post("/api/v1/numbers/pause-all", &json!({"reason": "audit"})), "idempotency-key", "same");
    for key in [&one, &other] {
        let answered = ask(&api.network, bearer(pause(), key)).await;
        assert_eq!(answered.status, StatusCode::OK, "{}", answered.body);
        assert!(!answered.headers.contains_key("idempotency-replayed"));
    }
}

#[tokio::test]
async fn sends_in_doubt_are_paged_chosen_and_settled_together() {
    let api = Api::new().await;
    store::testing::in_doubt(&api.app.store, "spring", 5, |_| 1).await;
    store::testing::in_doubt(&api.app.store, "autumn", 120, |_| 1).await;
    let ids = async |path: &str| {
        let page = ask(&api.local, get(path)).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.body);
        let items = page.body["items"].as_array().unwrap().len();
        (items, page.body["next"].as_str().map(str::to_owned))
    };
    assert_eq!(ids("/api/v1/sends/in-doubt").await, (125, None));
    assert_eq!(ids("/api/v1/sends/in-doubt?campaign=spring&older_than=2h").await, (5, None));
    assert_eq!(ids("/api/v1/sends/in-doubt?number=901&older_than=50000d").await, (0, None));
    let (items, next) = ids("/api/v1/sends/in-doubt?limit=100").await;
    assert_eq!(items, 100);
    assert_eq!(ids(&format!("/api/v1/sends/in-doubt?limit=100&after={}", next.unwrap())).await, (25, None));
    for wrong in ["?after=12", "?older_than=soon", "?campaign=winter", "?number=902"] {
        let refused = ask(&api.local, get(&format!("/api/v1/sends/in-doubt{wrong}"))).await;
        assert!(refused.status.is_client_error(), "{wrong}: {}", refused.body);
    }
    let settle = async |body: Value| ask(&api.local, post("/api/v1/sends/in-doubt/settle", &body)).await;
    let all = settle(json!({"as": "not-sent", "reason": "lost"})).await;
    assert!(problem(&all) == "invalid" && all.body["detail"].as_str().unwrap().contains("125"), "{}", all.body);
    let some = settle(json!({"as": "sent", "reason": "seen", "campaign": "spring"})).await;
    assert_eq!(some.body, json!({"settled": 5, "settled_as": "sent"}));
    let all = settle(json!({"as": "not-sent", "reason": "lost", "yes": true})).await;
    assert_eq!(all.body, json!({"settled": 120, "settled_as": "not-sent"}));
    assert_eq!(api.app.store.unsealed(200).await.unwrap().len(), 125);
    // Who may look at persons may not settle.
    let key = api.key(Role::Compliance).await;
    let body = json!({"as": "sent", "reason": "seen"});
    let refused = ask(&api.network, bearer(post("/api/v1/sends/in-doubt/settle", &body), &key)).await;
    assert_eq!(problem(&refused), "forbidden");
}

#[tokio::test]
async fn every_answer_carries_the_headers_that_browsers_obey() {
    let api = Api::new().await;
    for path in ["/", "/api/openapi.json", "/api/v1/nothing"] {
        let answered = ask(&api.network, get(path)).await;
        let csp = answered.headers["content-security-policy"].to_str().unwrap();
        assert!(csp.contains("default-src 'self'") && !csp.contains("script-src 'unsafe"), "{path}: {csp}");
        assert_eq!(answered.headers["x-content-type-options"], "nosniff");
        assert_eq!(answered.headers["x-frame-options"], "DENY");
    }
    assert_eq!(ask(&api.local, get("/api/v1/lists")).await.headers["cache-control"], "no-store");
}

#[tokio::test]
async fn a_callers_own_request_id_is_kept_unless_it_could_forge_a_log_line() {
    let api = Api::new().await;
    let named = ask(&api.network, with(get("/api/v1/lists"), "x-request-id", "order-17.a")).await;
    assert_eq!(named.headers["x-request-id"], "order-17.a");
    let forged = ask(&api.network, with(get("/api/v1/lists"), "x-request-id", "a b{}")).await;
    assert_ne!(forged.headers["x-request-id"], "a b{}");
}

#[tokio::test]
async fn a_panic_is_an_internal_problem_and_the_next_request_is_answered() {
    let broken = Router::new().route("/", axum::routing::get(async || -> &'static str { panic!("broken on purpose") }));
    let broken = super::surround::wrap(broken);
    for _ in 0..2 {
        let answered = ask(&broken, get("/")).await;
        assert_eq!((answered.status, problem(&answered)), (StatusCode::INTERNAL_SERVER_ERROR, "internal"));
        assert!(!answered.body.to_string().contains("on purpose"), "a panic's words are for the log");
    }
}

#[tokio::test]
async fn the_console_answers_pages_and_the_api_answers_problems() {
    let api = Api::new().await;
    let page = ask(&api.network, with(get("/campaigns/12"), "accept", "text/html,*/*")).await;
    assert_eq!(page.status, StatusCode::OK);
    let path = ask(&api.network, get("/campaigns/12")).await;
    assert_eq!(problem(&path), "not-found");
    let path = ask(&api.network, with(get("/api/v1/nothing"), "accept", "text/html")).await;
    assert_eq!(problem(&path), "not-found");
    let posted = Request::builder().method(Method::POST).uri("/").body(Body::empty()).unwrap();
    assert_eq!(ask(&api.network, posted).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_caller_learns_who_they_are_and_exactly_what_their_role_may() {
    let api = Api::new().await;
    for role in Role::ALL {
        let key = api.key(role).await;
        let me = ask(&api.network, bearer(get("/api/v1/me"), &key)).await;
        assert_eq!(me.body["actor"], format!("key:{role:?}"));
        assert_eq!(me.body["role"], role.as_str());
        let may = me.body["permissions"].as_array().unwrap();
        assert_eq!(may.contains(&json!("administer")), role == Role::Admin, "{role:?}: {may:?}");
        assert!(may.contains(&json!("look")), "{role:?}: {may:?}");
    }
}

#[tokio::test]
async fn a_campaign_that_is_not_there_cannot_be_removed() {
    let api = Api::new().await;
    let request = Request::delete("/api/v1/campaigns/spring").body(Body::empty()).unwrap();
    assert_eq!(problem(&ask(&api.local, request).await), "not-found");
}

#[tokio::test]
async fn prices_are_saved_by_an_administrator_and_read_by_everybody() {
    let api = Api::new().await;
    let (admin, viewer) = (api.key(Role::Admin).await, api.key(Role::Viewer).await);
    let shown = ask(&api.network, bearer(get("/api/v1/rate-card"), &viewer)).await;
    assert_eq!((shown.status, &shown.body["card"]["valid_from"]), (StatusCode::OK, &json!("2026-10-01")));
    assert_eq!(shown.body["rates"].as_array().unwrap().len(), 60);
    let rates = json!([{"market": "Egypt", "category": "marketing", "rate": "0.07"}]);
    let card = json!({"valid_from": "2027-01-01", "currency": "USD", "source": "our provider", "rates": rates});
    let refused = ask(&api.network, bearer(post("/api/v1/rate-card", &card), &viewer)).await;
    assert_eq!(problem(&refused), "forbidden");
    let saved = ask(&api.network, bearer(post("/api/v1/rate-card", &card), &admin)).await;
    assert_eq!((saved.status, &saved.body["rates"][0]["rate"]), (StatusCode::CREATED, &json!("0.0700")));
    let wrong = json!({"csv": "market,category,rate,currency,valid_from\nEgypt,marketing,free,USD,2027-01-01\n", "source": "x"});
    let wrong = ask(&api.network, bearer(post("/api/v1/rate-card", &wrong), &admin)).await;
    assert_eq!(problem(&wrong), "invalid");
    assert!(wrong.body["detail"].as_str().unwrap().contains("line 2"), "{}", wrong.body);
    let none = ask(&api.network, bearer(get("/api/v1/rate-card?card=99"), &viewer)).await;
    assert_eq!(problem(&none), "not-found");
    let first = ask(&api.network, bearer(get("/api/v1/rate-card?card=0"), &viewer)).await;
    assert_eq!((&first.body["card"]["id"], first.body["cards"].as_array().unwrap().len()), (&Value::Null, 2));
}

#[tokio::test]
async fn a_report_and_a_comparison_say_what_is_wrong_with_the_question() {
    let api = Api::new().await;
    let missing = ask(&api.local, get("/api/v1/campaigns/none/report")).await;
    assert_eq!(problem(&missing), "not-found");
    for asked in ["1", "", "1,2,3,4,5,6,7"] {
        let answered = ask(&api.local, get(&format!("/api/v1/campaigns/compare?campaigns={asked}"))).await;
        assert_eq!(problem(&answered), "invalid", "{asked}");
    }
    assert_eq!(problem(&ask(&api.local, get("/api/v1/campaigns/compare?campaigns=1,2")).await), "not-found");
    // A draft may be called so, and is removed by its name.
    let gone = Request::delete("/api/v1/campaigns/compare").body(Body::empty()).unwrap();
    assert_eq!(problem(&ask(&api.local, gone).await), "not-found");
}
