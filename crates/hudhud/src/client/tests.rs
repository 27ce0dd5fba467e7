//! What a client does when the wire breaks.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// A server that answers its n-th connection with the n-th text, and keeps the idempotency keys it saw. An empty text
/// is a connection that breaks after the request came.
async fn server(answers: Vec<String>) -> (SocketAddr, Arc<std::sync::Mutex<Vec<String>>>, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (keys, asked) = (Arc::new(std::sync::Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
    let (seen, count) = (Arc::clone(&keys), Arc::clone(&asked));
    tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.unwrap();
            let request = String::from_utf8_lossy(&request[..length]).into_owned();
            count.fetch_add(1, Ordering::SeqCst);
            let key = request.lines().find_map(|line| line.strip_prefix("idempotency-key: ")).unwrap_or_default();
            seen.lock().unwrap().push(key.trim().to_owned());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (address, keys, asked)
}

fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

fn client(address: SocketAddr) -> ApiClient {
    let client = wire(reqwest::Client::builder()).unwrap();
    ApiClient { way: Way::Wire { client, base: format!("http://{address}"), key: None, name: "the server".to_owned() } }
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_under_the_same_key_until_it_is_there() {
    let underway = serde_json::to_string(&Problem::new(Kind::Underway, "Underway.", "Wait.")).unwrap();
    let answers = vec![String::new(), answer("409 Conflict", &underway), answer("200 OK", r#"{"id":7}"#)];
    let (address, keys, asked) = server(answers).await;
    let posted = client(address).post("/api/v1/campaigns/1/launch", &json!({})).await.unwrap();
    assert_eq!(posted["id"], 7);
    let keys = keys.lock().unwrap().clone();
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    assert!(!keys[0].is_empty() && keys.iter().all(|key| *key == keys[0]), "{keys:?}");
}

#[tokio::test]
async fn a_server_that_is_gone_for_good_after_the_request_leaves_its_outcome_unknown() {
    let (address, _, _) = server(vec![String::new()]).await;
    let error = client(address).post("/api/v1/campaigns/1/launch", &json!({})).await.unwrap_err();
    assert!(error.to_string().contains("look at what is there"), "{error}");
    assert_eq!(crate::exit::code_of(&error), 8);
}

#[tokio::test]
async fn a_connection_that_was_never_made_says_that_nothing_was_asked() {
    let (address, _, _) = server(Vec::new()).await;
    tokio::task::yield_now().await;
    let error = client(address).post("/api/v1/campaigns/1/launch", &json!({})).await.unwrap_err();
    assert!(error.to_string().contains("nothing was asked"), "{error}");
}

#[tokio::test]
async fn a_download_that_breaks_off_leaves_no_file() {
    let broken = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nphone,name\r\n".to_owned();
    let (address, _, _) = server(vec![broken]).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("out.csv");
    client(address).download("/api/v1/campaigns/1/export", &file).await.unwrap_err();
    assert!(!file.exists());
}

#[test]
fn names_in_any_script_survive_the_way_into_a_path() {
    assert_eq!(query_encoded("a b/c?d"), "a%20b%2Fc%3Fd");
    assert_eq!(query_encoded("عيد"), "%D8%B9%D9%8A%D8%AF");
}

#[test]
fn an_answer_that_is_not_ours_is_told_apart_from_a_problem() {
    let problem = refused(StatusCode::BAD_GATEWAY, b"<html>nginx</html>");
    assert_eq!((problem.status, problem.exit_code()), (502, 8));
    let ours = serde_json::json!({"type": "urn:hudhud:problem:not-found", "title": "", "status": 404,
        "detail": "No such list.", "kept": "", "action": "", "something_newer": 1});
    assert_eq!(refused(StatusCode::NOT_FOUND, ours.to_string().as_bytes()).exit_code(), 5);
}
