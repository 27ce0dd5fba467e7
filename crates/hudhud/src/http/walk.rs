//! The whole table of permissions, walked over HTTP: each role, by key and by session, at each route that the API's
//! description names; and signing in and out as a browser does.

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use engine::access::sessions::Origin;
use engine::access::{enrol, totp, users};
use serde_json::{Value, json};

use super::access::{Permission, Role};
use super::routes::{self, Need};
use super::tests::{Answered, Api, ask, bearer, from, get, post, problem, with};

/// Every operation of the description: method, path.
fn operations() -> Vec<(Method, String)> {
    let document: Value = serde_json::from_slice(&super::description()).unwrap();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            found.push((method.to_uppercase().parse().unwrap(), path.clone()));
        }
    }
    // Those that end a session come last.
    found.sort_by_key(|(method, path)| *method == Method::DELETE && path.contains("/sessions"));
    found
}

/// A request that means nothing: nothing goes by these names, and the body says nothing.
fn empty(method: &Method, path: &str) -> Request<Body> {
    let path: Vec<&str> = path.split('/').map(|part| if part.starts_with('{') { "999999999" } else { part }).collect();
    let body = if *method == Method::POST { Body::from("{}") } else { Body::empty() };
    let request = Request::builder().method(method).uri(path.join("/"));
    request.header(header::CONTENT_TYPE, "application/json").body(body).unwrap()
}

/// A session of a user with this role, as a cookie.
async fn session(api: &Api, role: Role) -> String {
    let email = format!("{}@example.com", role.as_str());
    let link = users::demo_link(&api.app, &email, role.as_str()).await.unwrap();
    let opened = enrol::enter(&api.app, &link.token, Origin { address: "test", agent: "" }).await.unwrap();
    format!("__Host-hudhud={}", opened.token)
}

fn by_session(request: Request<Body>, cookie: &str) -> Request<Body> {
    with(with(request, "cookie", cookie), "sec-fetch-site", "same-origin")
}

fn check(role: Role, need: Need, answered: &Answered, what: &str) {
    let allowed = match need {
        Need::Nothing => return,
        Need::SignIn => true,
        Need::Permission(permission) => role.may(permission),
    };
    assert_ne!(answered.status, StatusCode::UNAUTHORIZED, "{what}: {}", answered.body);
    assert_ne!(answered.status, StatusCode::TOO_MANY_REQUESTS, "{what}");
    assert!(!answered.status.is_server_error(), "{what}: {}", answered.body);
    assert_eq!(answered.status != StatusCode::FORBIDDEN, allowed, "{what}: {}", answered.body);
}

#[tokio::test]
async fn each_role_gets_into_exactly_the_routes_of_the_table_by_key_and_by_session() {
    let api = Api::new().await;
    for role in Role::ALL {
        let key = api.key(role).await;
        let mut cookie = session(&api, role).await;
        for (method, path) in operations() {
            let need = routes::need(&method, &path).unwrap_or_else(|| panic!("{method} {path} is not in the table"));
            let what = format!("{role:?} {method} {path}");
            let answered = ask(&api.network, bearer(empty(&method, &path), &key)).await;
            check(role, need, &answered, &what);
            let answered = ask(&api.network, by_session(empty(&method, &path), &cookie)).await;
            check(role, need, &answered, &format!("{what}, by session"));
            if method == Method::DELETE && path.contains("/sessions") {
                cookie = session(&api, role).await;
            }
        }
    }
}

#[tokio::test]
async fn nobody_gets_in_without_a_sign_in_and_no_forged_one_helps() {
    let api = Api::new().await;
    let token = "0".repeat(64);
    let cookies = [format!("__Host-hudhud={token}"), "__Host-hudhud=rubbish".to_owned(), "hudhud-80=x".to_owned()];
    for (n, (method, path)) in operations().into_iter().enumerate() {
        if routes::need(&method, &path) == Some(Need::Nothing) {
            continue;
        }
        let tries = [empty(&method, &path), bearer(empty(&method, &path), "hudhud_guessed")];
        let tries = tries.into_iter().chain(cookies.iter().map(|cookie| by_session(empty(&method, &path), cookie)));
        for request in tries {
            let answered = ask(&api.network, from(request, n)).await;
            assert_eq!(answered.status, StatusCode::UNAUTHORIZED, "{method} {path}: {}", answered.body);
        }
    }
}

#[test]
fn the_table_is_what_was_agreed() {
    let mut table = String::new();
    for (method, path, need) in routes::ROUTES {
        let who: Vec<&str> = Role::ALL
            .into_iter()
            .filter(|role| match need {
                Need::Nothing | Need::SignIn => true,
                Need::Permission(permission) => role.may(*permission),
            })
            .map(Role::as_str)
            .collect();
        let who = match need {
            Need::Nothing => "anybody".to_owned(),
            Need::SignIn => "whoever signed in".to_owned(),
            Need::Permission(_) if who.len() == Role::ALL.len() => "every role".to_owned(),
            Need::Permission(_) => who.join(", "),
        };
        table.push_str(&format!("{method} {path}: {who}\n"));
    }
    insta::assert_snapshot!(table);
}

/// A first user by the first link, as a browser would: their cookie, second factor, and recovery codes.
async fn first_user(api: &Api) -> (String, String, Vec<String>) {
    let made = ask(&api.local, post("/api/v1/users/first-link", &json!({}))).await;
    let token = made.body["link"].as_str().unwrap().split('#').nth(1).unwrap().to_owned();
    let seen = ask(&api.network, browser(post("/api/v1/sessions/look", &json!({"token": token})))).await;
    assert_eq!((seen.status, &seen.body["purpose"]), (StatusCode::OK, &json!("first")), "{}", seen.body);
    let secret = seen.body["totp"]["secret"].as_str().unwrap().to_owned();
    let body = json!({"token": token, "email": "mona@example.com", "name": "Mona", "password": "correct horse battery",
        "code": totp::shown(&secret, api.app.clock.now_ms())});
    let welcome = ask(&api.network, browser(post("/api/v1/sessions/welcome", &body))).await;
    assert_eq!(welcome.status, StatusCode::OK, "{}", welcome.body);
    assert_eq!(welcome.body["me"]["actor"], "user:mona@example.com");
    let codes = welcome.body["recovery_codes"].as_array().unwrap();
    (cookie(&welcome), secret, codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect())
}

/// As our own page on this machine asks.
fn browser(request: Request<Body>) -> Request<Body> {
    let request = with(request, "host", "127.0.0.1:8080");
    with(with(request, "origin", "http://127.0.0.1:8080"), "sec-fetch-site", "same-origin")
}

/// The cookie that an answer sets, as the browser sends it back.
fn cookie(answered: &Answered) -> String {
    let set = answered.headers[header::SET_COOKIE].to_str().unwrap();
    assert!(set.contains("HttpOnly; SameSite=Strict"), "{set}");
    set.split(';').next().unwrap().to_owned()
}

async fn sign_in(router: &Router, password: &str, code: &str) -> Answered {
    let body = json!({"email": "mona@example.com", "password": password, "code": code});
    ask(router, browser(post("/api/v1/sessions", &body))).await
}

#[tokio::test]
async fn the_first_link_makes_the_first_user_who_signs_out_and_in_again() {
    let api = Api::new().await;
    let (cookie_of_first, _, codes) = first_user(&api).await;
    let me = ask(&api.network, with(browser(get("/api/v1/me")), "cookie", &cookie_of_first)).await;
    assert_eq!((&me.body["actor"], &me.body["name"]), (&json!("user:mona@example.com"), &json!("Mona")));
    let again = ask(&api.local, post("/api/v1/users/first-link", &json!({}))).await;
    assert_eq!(problem(&again), "wrong-state");
    let leave = Request::delete("/api/v1/sessions/current").body(Body::empty()).unwrap();
    let left = ask(&api.network, with(browser(leave), "cookie", &cookie_of_first)).await;
    assert_eq!(left.status, StatusCode::NO_CONTENT, "{}", left.body);
    assert!(left.headers[header::SET_COOKIE].to_str().unwrap().contains("Max-Age=0"));
    let me = ask(&api.network, with(browser(get("/api/v1/me")), "cookie", &cookie_of_first)).await;
    assert_eq!(problem(&me), "unauthorized");
    let wrong = sign_in(&api.network, "correct horse batteri", &codes[0]).await;
    assert_eq!((wrong.status, problem(&wrong)), (StatusCode::UNAUTHORIZED, "unauthorized"));
    let inside = sign_in(&api.network, "correct horse battery", &codes[0]).await;
    assert_eq!(inside.status, StatusCode::OK, "{}", inside.body);
    let everywhere = Request::delete("/api/v1/sessions").body(Body::empty()).unwrap();
    let gone = ask(&api.network, with(browser(everywhere), "cookie", &cookie(&inside))).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    let me = ask(&api.network, with(browser(get("/api/v1/me")), "cookie", &cookie(&inside))).await;
    assert_eq!(problem(&me), "unauthorized");
}

#[tokio::test]
async fn another_sites_page_can_neither_act_by_the_cookie_nor_sign_in() {
    let api = Api::new().await;
    let (cookie, _, codes) = first_user(&api).await;
    let invite = || post("/api/v1/users", &json!({"email": "omar@example.com", "role": "viewer"}));
    let own = |request| with(with(request, "host", "127.0.0.1:8080"), "cookie", &cookie);
    for foreign in [
        with(own(invite()), "sec-fetch-site", "cross-site"),
        with(own(invite()), "sec-fetch-site", "same-site"),
        with(own(invite()), "origin", "http://evil.example.com"),
        own(invite()),
    ] {
        let refused = ask(&api.network, foreign).await;
        assert_eq!(problem(&refused), "forbidden", "{}", refused.body);
    }
    assert_eq!(ask(&api.local, get("/api/v1/users")).await.body["items"].as_array().unwrap().len(), 1);
    let own = ask(&api.network, with(browser(invite()), "cookie", &cookie)).await;
    assert_eq!(own.status, StatusCode::CREATED, "{}", own.body);
    let body = json!({"email": "mona@example.com", "password": "correct horse battery", "code": codes[0]});
    let foreign = with(browser(post("/api/v1/sessions", &body)), "sec-fetch-site", "cross-site");
    assert_eq!(problem(&ask(&api.network, foreign).await), "forbidden");
    let plain = with(with(post("/api/v1/sessions", &body), "host", "10.0.0.7"), "origin", "http://10.0.0.7");
    assert_eq!(problem(&ask(&api.network, plain).await), "forbidden", "a password must not travel in the clear");
}

#[tokio::test]
async fn failing_again_and_again_is_answered_with_the_time_to_wait() {
    let api = Api::new().await;
    first_user(&api).await;
    let mut last = None;
    for _ in 0..5 {
        last = Some(sign_in(&api.network, "a wrong password", "000000").await);
    }
    let last = last.unwrap();
    assert_eq!((last.status, problem(&last)), (StatusCode::TOO_MANY_REQUESTS, "too-many"));
    assert_eq!(last.headers[header::RETRY_AFTER], last.body["retry_after"].to_string().as_str());
}

#[tokio::test]
async fn a_changed_role_counts_from_the_next_request_and_a_removed_user_is_out() {
    let api = Api::new().await;
    let cookie = session(&api, Role::Operator).await;
    let users = async || ask(&api.network, by_session(get("/api/v1/users"), &cookie)).await.status;
    assert_eq!(users().await, StatusCode::FORBIDDEN);
    let id = ask(&api.local, get("/api/v1/users")).await.body["items"][0]["id"].as_i64().unwrap();
    let promoted = ask(&api.local, post(&format!("/api/v1/users/{id}/role"), &json!({"role": "admin"}))).await;
    assert_eq!(promoted.body["role"], "admin", "{}", promoted.body);
    assert_eq!(users().await, StatusCode::OK);
    let remove = Request::delete(format!("/api/v1/users/{id}")).body(Body::empty()).unwrap();
    assert_eq!(ask(&api.local, remove).await.status, StatusCode::NO_CONTENT);
    assert_eq!(users().await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_invitation_is_shown_once_and_lies_nowhere() {
    let api = Api::new().await;
    let invite = || {
        with(post("/api/v1/users", &json!({"email": "omar@example.com", "role": "viewer"})), "idempotency-key", "one")
    };
    let made = ask(&api.local, invite()).await;
    let link = made.body["link"].as_str().unwrap().to_owned();
    assert!(link.starts_with("/welcome#"), "{link}");
    let again = ask(&api.local, invite()).await;
    assert!(again.body["link"].is_null() && again.body["user"]["email"] == "omar@example.com", "{}", again.body);
    let taken = ask(&api.local, post("/api/v1/users", &json!({"email": "OMAR@example.com", "role": "viewer"}))).await;
    assert_eq!(problem(&taken), "conflict");
}

#[tokio::test]
async fn the_audit_log_says_who_did_what_and_who_was_refused() {
    let api = Api::new().await;
    let (cookie, ..) = first_user(&api).await;
    sign_in(&api.network, "a wrong password", "000000").await;
    let viewer = api.key(Role::Viewer).await;
    let pause = post("/api/v1/numbers/pause-all", &json!({"reason": "test"}));
    let pause = with(bearer(pause, &viewer), "x-request-id", "r-17");
    ask(&api.network, from(pause, 3)).await;
    let rows = ask(&api.network, with(browser(get("/api/v1/audit")), "cookie", &cookie)).await;
    let rows: Vec<String> = rows.body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| format!("{} {} {}", row["actor"].as_str().unwrap(), row["action"].as_str().unwrap(), row["status"]))
        .collect();
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).unwrap().unwrap().name;
    assert_eq!(
        rows,
        [
            "key:Viewer numbers_pause_all 403".to_owned(),
            format!("cli:{user} apikeys_create 201"),
            "user:mona@example.com sessions_sign_in 401".to_owned(),
            "user:mona@example.com sessions_welcome 200".to_owned(),
            format!("cli:{user} users_first_link 201"),
        ]
    );
    let refused = ask(&api.local, get("/api/v1/audit?actor=key%3AViewer")).await;
    let row = &refused.body["items"][0];
    assert_eq!((&row["address"], &row["request_id"]), (&json!("198.51.100.3"), &json!("r-17")), "{row}");
    let page = ask(&api.local, get("/api/v1/audit?limit=2")).await;
    let next = page.body["next"].as_str().unwrap();
    let rest = ask(&api.local, get(&format!("/api/v1/audit?after={next}"))).await;
    assert_eq!(rest.body["items"].as_array().unwrap().len(), 3);
    assert!(!rest.body.to_string().contains("correct horse"), "no password is written down");
    let marketer = api.key(Role::Marketer).await;
    assert_eq!(problem(&ask(&api.network, bearer(get("/api/v1/audit"), &marketer)).await), "forbidden");
}

#[tokio::test]
async fn a_block_is_lifted_by_two_people_of_compliance() {
    let api = Api::new().await;
    let person = "+20 100 000 0001";
    let add = json!({"person": person, "reason": "a letter"});
    assert_eq!(ask(&api.local, post("/api/v1/optouts", &add)).await.status, StatusCode::CREATED);
    let one = session(&api, Role::Compliance).await;
    let other = api.key(Role::Compliance).await;
    let asked = ask(&api.network, by_session(post("/api/v1/optouts/lifts", &add), &one)).await;
    assert_eq!((asked.status, &asked.body["state"]), (StatusCode::CREATED, &json!("pending")), "{}", asked.body);
    let path = format!("/api/v1/optouts/lifts/{}/approve", asked.body["id"]);
    let approve = || post(&path, &json!({}));
    assert_eq!(problem(&ask(&api.network, by_session(approve(), &one)).await), "forbidden");
    let done = ask(&api.network, bearer(approve(), &other)).await;
    assert_eq!(done.body["state"], "approved", "{}", done.body);
    let checked = ask(&api.local, post("/api/v1/optouts/check", &json!({"person": person}))).await;
    assert_eq!(checked.body["suppressed"], false);
}

#[tokio::test]
async fn whoever_guesses_keys_is_told_when_to_come_back_and_nobody_else_waits() {
    let api = Api::new().await;
    let key = api.key(Role::Viewer).await;
    let guess = |n| from(bearer(get("/api/v1/me"), "hudhud_guessed"), n);
    let mut refused = None;
    for _ in 0..200 {
        let answered = ask(&api.network, guess(1)).await;
        if answered.status == StatusCode::TOO_MANY_REQUESTS {
            refused = Some(answered);
            break;
        }
    }
    let refused = refused.expect("a bucket has a bottom");
    assert_eq!(problem(&refused), "too-many");
    assert!(refused.headers[header::RETRY_AFTER].to_str().unwrap().parse::<u64>().unwrap() >= 1);
    assert_eq!(ask(&api.network, guess(2)).await.status, StatusCode::UNAUTHORIZED, "another address");
    let known = from(bearer(get("/api/v1/me"), &key), 1);
    assert_eq!(ask(&api.network, known).await.status, StatusCode::OK, "a key that opens, from the same address");
    assert_eq!(ask(&api.local, get("/api/v1/me")).await.status, StatusCode::OK, "commands on the machine");
}

#[test]
fn the_permissions_that_no_route_needs_are_none() {
    for permission in Permission::ALL {
        let needed = routes::ROUTES.iter().any(|(_, _, need)| *need == Need::Permission(permission));
        assert!(needed, "{permission:?} guards nothing");
    }
}

#[tokio::test]
async fn no_text_with_a_nul_gets_in_by_body_path_or_query() {
    let api = Api::new().await;
    for request in [
        post("/api/v1/optouts/check", &json!({"person": "a\u{0}b"})),
        get("/api/v1/lists/a%00b"),
        get("/api/v1/campaigns?after=%00"),
    ] {
        let refused = ask(&api.local, request).await;
        assert_eq!((refused.status, problem(&refused)), (StatusCode::BAD_REQUEST, "unreadable"), "{}", refused.body);
    }
}

#[tokio::test]
async fn what_moves_is_told_at_once_and_the_stream_ends_with_the_process() {
    let api = Api::new().await;
    let missing = ask(&api.local, get("/api/v1/events?campaign=spring")).await;
    assert_eq!(problem(&missing), "not-found");
    let answer = tower::ServiceExt::oneshot(api.local.clone(), get("/api/v1/events")).await.unwrap();
    assert_eq!(answer.headers()[header::CONTENT_TYPE], "text/event-stream");
    let mut stream = answer.into_body().into_data_stream();
    let first = futures::StreamExt::next(&mut stream).await.unwrap().unwrap();
    assert_eq!(String::from_utf8_lossy(&first), "event: queue\ndata: []\n\n");
    let second = futures::StreamExt::next(&mut stream).await.unwrap().unwrap();
    assert_eq!(String::from_utf8_lossy(&second), "event: looked\ndata: {}\n\n");
    api.app.ending.cancel();
    assert!(futures::StreamExt::next(&mut stream).await.is_none());
}
