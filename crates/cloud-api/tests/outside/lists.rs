//! Lists of the Graph API, page by page, over a raw socket.

use std::sync::Arc;

use crate::wire::{Log, client, server};
use cloud_api::{AccountId, Client, GraphError, RefusalKind};

/// A server whose answer to a GET is `page(after)`.
async fn pages<F>(page: F) -> (Client, Log)
where
    F: Fn(Option<&str>) -> (&'static str, String) + Send + Sync + 'static,
{
    let page = Arc::new(page);
    let (base, log) = server(move |mut wire, _| {
        let page = page.clone();
        async move {
            while let Some(request) = wire.request().await {
                let path = request.head.split(' ').nth(1).expect("a path");
                let after = path.split_once("after=").map(|(_, rest)| rest.split('&').next().unwrap_or(rest));
                let (status, body) = page(after);
                wire.answer(status, "", &body).await;
            }
        }
    })
    .await;
    (client(&base, 3000), log)
}

fn account() -> AccountId {
    AccountId::parse("102290129340398").expect("an id")
}

fn page(names: &[&str], after: Option<&str>) -> (&'static str, String) {
    let items: Vec<String> = names
        .iter()
        .map(|name| format!(r#"{{"id":"1","name":"{name}","language":"en","status":"APPROVED"}}"#))
        .collect();
    let paging = after.map_or_else(
        || r#"{"cursors":{"before":"x","after":"last"}}"#.to_owned(),
        // The address of the next page is another machine's: following it
        // would hand it the token.
        |after| format!(r#"{{"cursors":{{"after":"{after}"}},"next":"https://elsewhere.invalid/?after={after}"}}"#),
    );
    ("200 OK", format!(r#"{{"data":[{}],"paging":{paging}}}"#, items.join(",")))
}

#[tokio::test]
async fn all_pages_are_read_from_the_configured_host() {
    let (client, log) = pages(|after| match after {
        None => page(&["a", "b"], Some("C2")),
        Some("C2") => page(&["c"], Some("C3")),
        Some(_) => page(&["d"], None),
    })
    .await;
    let templates = client.templates(&"a-token".into(), &account()).await.expect("templates");
    let names: Vec<&str> = templates.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c", "d"]);
    let requests = log.requests();
    assert_eq!(requests.len(), 3);
    let head = &requests[0].head;
    assert!(head.starts_with("GET /v26.0/102290129340398/message_templates?fields=id"), "{head}");
    assert!(head.contains("limit=100") && head.contains("authorization: Bearer a-token"), "{head}");
    assert!(!head.contains("access_token"), "{head}");
}

#[tokio::test]
async fn pages_that_go_round_in_a_circle_are_refused() {
    let (client, log) = pages(|after| page(&["a"], Some(if after == Some("C1") { "C2" } else { "C1" }))).await;
    let error = client.templates(&"a-token".into(), &account()).await.expect_err("a circle");
    assert!(matches!(&error, GraphError::Unreadable { reason, .. } if reason.contains("circle")), "{error:?}");
    assert_eq!(log.requests().len(), 3);
}

#[tokio::test]
async fn pages_without_end_are_refused() {
    let (client, log) = pages(|after| {
        let n: u32 = after.and_then(|after| after.parse().ok()).unwrap_or(0);
        page(&["a"], Some(&(n + 1).to_string()))
    })
    .await;
    let error = client.templates(&"a-token".into(), &account()).await.expect_err("no end");
    assert!(matches!(&error, GraphError::Unreadable { reason, .. } if reason.contains("do not end")), "{error:?}");
    assert_eq!(log.requests().len(), 200);
}

#[tokio::test]
async fn a_next_page_without_a_cursor_is_refused_and_not_taken_for_the_end() {
    let (client, _) = pages(|_| ("200 OK", r#"{"data":[],"paging":{"next":"https://x.invalid"}}"#.into())).await;
    let error = client.templates(&"a-token".into(), &account()).await.expect_err("no cursor");
    assert!(matches!(error, GraphError::Unreadable { .. }), "{error:?}");
}

#[tokio::test]
async fn one_odd_item_is_left_out_and_the_others_stay() {
    let (client, _) =
        pages(|_| ("200 OK", r#"{"data":[{"id":"1"},7,{"display_phone_number":"x"},{"id":2}]}"#.into())).await;
    let numbers = client.phone_numbers(&"a-token".into(), &account()).await.expect("numbers");
    let ids: Vec<&str> = numbers.iter().map(|n| n.id.as_str()).collect();
    assert_eq!(ids, ["1", "2"]);
}

#[tokio::test]
async fn metas_error_is_a_refusal_with_its_kind() {
    let (client, log) = pages(|_| {
        ("401 Unauthorized", r#"{"error":{"message":"Invalid token","type":"OAuthException","code":190}}"#.into())
    })
    .await;
    let error = client.phone_numbers(&"a-token".into(), &account()).await.expect_err("refused");
    assert!(matches!(&error, GraphError::Refused(refusal) if refusal.kind == RefusalKind::Credential), "{error:?}");
    assert_eq!(log.requests().len(), 1);
}

#[tokio::test]
async fn an_answer_that_is_not_metas_is_unreadable() {
    for (status, body) in [
        ("502 Bad Gateway", "<html>"),
        ("200 OK", "<html>"),
        ("200 OK", r#"{"data":{}}"#),
        ("302 Found", r#"{"data":[]}"#),
    ] {
        let (client, _) = pages(move |_| (status, body.to_owned())).await;
        let error = client.phone_numbers(&"a-token".into(), &account()).await.expect_err("unreadable");
        assert!(matches!(error, GraphError::Unreadable { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn no_connection_is_unreachable() {
    let client = client("http://127.0.0.1:1", 2000);
    let error = client.phone_numbers(&"a-token".into(), &account()).await.expect_err("nobody listens");
    assert!(matches!(error, GraphError::Unreachable { .. }), "{error:?}");
}
