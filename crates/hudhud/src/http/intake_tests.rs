//! Webhooks through a socket, as the internet sends them: large, forged, broken off, dripping, told twice, half unreadable.

use std::time::{Duration, Instant};

use engine::intake;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::front::{Front, SECRET, change, envelope, head, signed, status};

fn tap(n: u32) -> Value {
    let phone = format!("2010{n:08}");
    change(
        "messages",
        json!({"from": phone, "id": format!("wamid.tap{n}"), "timestamp": "1790000000", "type": "button",
            "button": {"payload": "HH1:c1:b1:OPTOUT", "text": "Stop promotions"}}),
    )
}

fn told(n: u32, status: &str) -> Value {
    change(
        "statuses",
        json!({"id": format!("wamid.{n}"), "status": status, "timestamp": "1790000000", "recipient_id": "201000000001"}),
    )
}

#[tokio::test]
async fn a_body_of_three_megabytes_and_a_thousand_changes_is_taken_and_every_stop_in_it_holds() {
    let front = Front::new().await;
    let mut changes: Vec<Value> =
        (0..1_000).map(|n| if n % 100 == 50 { tap(n) } else { told(n, "delivered") }).collect();
    for change in &mut changes {
        // Fields that Meta may add any day.
        change["value"]["extra"] = json!({"text": "x".repeat(2_700), "list": [1, null, {}]});
    }
    let body = envelope(&changes);
    assert!((2_900_000..=3 << 20).contains(&body.len()), "{} bytes", body.len());
    assert_eq!(front.post(&body).await, Some(200));
    for n in (50..1_000).step_by(100) {
        assert!(front.is_stopped(&format!("+2010{n:08}")).await, "the stop of {n}");
    }
    assert!(!front.is_stopped("+201000000051").await);
}

#[tokio::test]
async fn what_is_not_metas_is_refused_before_anything_of_it_is_kept() {
    let front = Front::new().await;
    let body = envelope(&[tap(1)]);
    let good = signed(SECRET, &body);
    let sha1 = format!("x-hub-signature: sha1={}", "0".repeat(40));
    let named = |signature: &str| format!("x-hub-signature-256: {signature}");
    let forged = [
        ("unsigned", None),
        ("sha1 alone", Some(sha1)),
        ("sha1 under the new name", Some(named(&format!("sha1={}", "0".repeat(40))))),
        ("empty", Some(named(""))),
        ("no digits", Some(named("sha256="))),
        ("half the digits", Some(named(&good[..40]))),
        ("a digit too many", Some(named(&format!("{good}0")))),
        ("another secret", Some(named(&signed("another-secret", &body)))),
        ("another body", Some(named(&signed(SECRET, b"{}")))),
    ];
    for (what, signature) in &forged {
        assert_eq!(front.send(&head(signature.as_deref(), body.len()), &body).await, Some(401), "{what}");
    }
    // Whoever brings no signature that could be one is refused by the head alone.
    for (what, signature) in &forged[..7] {
        assert_eq!(front.send(&head(signature.as_deref(), body.len()), b"").await, Some(401), "{what}, head alone");
    }
    let good = named(&good);
    assert_eq!(front.send(&head(Some(&good), (3 << 20) + 1), b"").await, Some(413), "too long by what it says");
    let chunked = head(Some(&good), 0).replace("content-length: 0", "transfer-encoding: chunked");
    let mut endless = Vec::new();
    for _ in 0..4 {
        endless.extend_from_slice(format!("{:x}\r\n", 1 << 20).as_bytes());
        endless.extend(std::iter::repeat_n(b'x', 1 << 20));
        endless.extend_from_slice(b"\r\n");
    }
    assert_eq!(front.send(&chunked, &endless).await, Some(413), "too long by what it sends");
    // Broken off: nobody is there to be answered.
    let mut peer = TcpStream::connect(front.address).await.unwrap();
    peer.write_all(head(Some(&good), body.len()).as_bytes()).await.unwrap();
    peer.write_all(&body[..body.len() / 2]).await.unwrap();
    peer.shutdown().await.unwrap();
    assert_ne!(status(&mut peer).await, Some(200));
    assert!(front.log("").await.is_empty(), "nothing of it was kept");
    assert!(!front.is_stopped("+201000000001").await);
    assert_eq!(front.api.app.store.inbox_depth().await.unwrap().0, 0);
    // And the one that it was made from is taken.
    assert_eq!(front.post(&body).await, Some(200));
    assert!(front.is_stopped("+201000000001").await);
}

#[tokio::test]
async fn a_body_that_drips_is_cut_off_while_others_are_taken() {
    let front = Front::new().await;
    let body = envelope(&[tap(1)]);
    let signature = format!("x-hub-signature-256: {}", signed(SECRET, &body));
    let begun = Instant::now();
    let mut dripping = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (head, body, address) = (head(Some(&signature), body.len()), body.clone(), front.address);
        dripping.spawn(async move {
            let (mut reading, mut writing) = TcpStream::connect(address).await.unwrap().into_split();
            writing.write_all(head.as_bytes()).await.unwrap();
            let drip = async {
                for byte in body.iter().take(100) {
                    if writing.write_all(&[*byte]).await.is_err() {
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(300)).await;
                }
            };
            let mut answer = [0; 12];
            tokio::select! {
                () = drip => None,
                read = reading.read_exact(&mut answer) => read.is_ok().then(|| answer.to_vec()),
            }
        });
    }
    let other = envelope(&[tap(2)]);
    assert_eq!(front.post(&other).await, Some(200), "meanwhile");
    while let Some(ended) = dripping.join_next().await {
        assert_eq!(ended.unwrap().as_deref(), Some(b"HTTP/1.1 408".as_slice()), "it was cut off");
    }
    assert!(begun.elapsed() < Duration::from_secs(20), "after {:?}", begun.elapsed());
    assert!(!front.is_stopped("+201000000001").await);
    assert_eq!(front.log("").await.len(), 1);
}

#[tokio::test]
async fn a_body_that_is_told_again_is_kept_once_and_acknowledged_each_time() {
    let front = Front::new().await;
    let body = envelope(&[tap(1), told(1, "read")]);
    let together = futures::future::join_all((0..8).map(|_| front.post(&body))).await;
    assert!(together.iter().all(|status| *status == Some(200)), "{together:?}");
    assert_eq!(front.log("").await.len(), 1);
    while intake::tick(&front.api.app).await.unwrap() {}
    assert_eq!(front.post(&body).await, Some(200), "once it was applied");
    let log = front.log("").await;
    assert_eq!((log.len(), &log[0]["state"]), (1, &json!("applied")));
    let entries = front.api.app.store.blocks_of(Some(201_000_000_001), None).await.unwrap();
    assert_eq!(entries.len(), 1);
}

#[tokio::test]
async fn what_nobody_can_read_is_kept_and_shown_and_takes_nothing_else_with_it() {
    let front = Front::new().await;
    let strange = change("messages", json!({"from": 5, "type": "hologram", "hologram": {"beam": []}}));
    let unnamed = change("statuses", json!({"status": "teleported"}));
    let new_word = told(7, "teleported");
    let foreign = json!({"field": "telepathy", "value": {"thought": "none of ours"}});
    let mixed = envelope(&[strange, unnamed, new_word, foreign, json!({"field": 7}), json!("no change"), tap(3)]);
    assert_eq!(front.post(&mixed).await, Some(200));
    assert!(front.is_stopped("+201000000003").await, "one bad item does not fail its batch");
    let garbage: [&[u8]; 3] = [b"{\"object\": \"whatsapp_busi", b"\xff\xfe no text", b"[1, 2, 3]"];
    for body in garbage {
        assert_eq!(front.post(body).await, Some(200), "it is signed, and kept for a person");
    }
    while intake::tick(&front.api.app).await.unwrap() {}
    let unread = front.log("&unread=true").await;
    let shown: Vec<String> = unread.iter().map(|row| row["body"].as_str().unwrap_or_default().to_owned()).collect();
    assert!(unread.iter().all(|row| row["state"] == "unread" && row["error"].is_string()), "{unread:?}");
    for part in ["whatsapp_busi", "no text", "[1, 2, 3]", "hologram"] {
        assert!(shown.iter().any(|body| body.contains(part)), "{part}: {shown:?}");
    }
    assert_eq!(unread.len(), 4);
}
