//! A POST is made once, and what is said about it is true: shown on raw sockets.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::wire::{ACCEPTED, REFUSED, message, sender, server};
use cloud_api::{NotPostedCause, RefusalKind, SendOutcome, UnknownCause};
use tokio::net::TcpListener;
use tokio::time::sleep;

/// Counts how often a gate is asked.
#[derive(Clone, Default)]
struct Asked(Arc<AtomicU32>);

impl Asked {
    fn gate(&self, answer: bool) -> impl FnOnce() -> bool + Send + 'static {
        let count = self.0.clone();
        move || {
            count.fetch_add(1, Ordering::SeqCst);
            answer
        }
    }
    fn times(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

/// What one send makes of a server that answers every request with `raw` and
/// hangs up.
async fn against(raw: &'static str) -> (SendOutcome, usize) {
    let (base, log) = server(move |mut wire, _| async move {
        while wire.request().await.is_some() {
            wire.write(raw).await;
            if raw.is_empty() || raw.contains("connection: close") {
                return;
            }
        }
    })
    .await;
    let asked = Asked::default();
    let outcome = sender(&base, 2000).send(&message("c1"), asked.gate(true)).await;
    assert_eq!(asked.times(), 1);
    sleep(Duration::from_millis(50)).await;
    (outcome, log.requests().len())
}

#[tokio::test]
async fn an_accepted_message_is_one_request_with_everything_meta_needs() {
    let (base, log) = server(|mut wire, _| async move {
        while wire.request().await.is_some() {
            wire.answer("200 OK", "content-type: application/json\r\n", ACCEPTED).await;
        }
    })
    .await;
    let asked = Asked::default();
    let outcome = sender(&base, 2000).send(&message("c1"), asked.gate(true)).await;
    assert_eq!(
        outcome,
        SendOutcome::Accepted {
            wamid: "wamid.HBgM".into(),
            wa_id: Some("201001234567".into()),
            user_id: None,
            held: false
        }
    );
    let requests = log.requests();
    assert_eq!((requests.len(), asked.times()), (1, 1));
    let head = &requests[0].head;
    assert!(head.starts_with("POST /v26.0/106540352242922/messages HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("authorization: Bearer a-token\r\n"), "{head}");
    assert!(head.contains("content-type: application/json\r\n"), "{head}");
    assert!(head.contains(&format!("content-length: {}\r\n", requests[0].body.len())), "{head}");
    assert!(!head.contains("transfer-encoding"), "{head}");
    assert!(requests[0].body.contains(r#""to":"+201001234567""#));
}

#[tokio::test]
async fn a_refused_connection_never_asks_the_gate() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let asked = Asked::default();
    let outcome = sender(&base, 2000).send(&message("c1"), asked.gate(true)).await;
    let SendOutcome::NotPosted(NotPostedCause::Unreachable { reason }) = outcome else {
        panic!("{outcome:?}");
    };
    assert!(reason.contains("refused"), "{reason}");
    assert_eq!(asked.times(), 0);
}

#[tokio::test]
async fn a_host_without_an_address_never_asks_the_gate() {
    let asked = Asked::default();
    let outcome = sender("https://graph.invalid", 5000).send(&message("c1"), asked.gate(true)).await;
    assert!(matches!(outcome, SendOutcome::NotPosted(NotPostedCause::Unreachable { .. })), "{outcome:?}");
    assert_eq!(asked.times(), 0);
}

#[tokio::test]
async fn a_gate_that_says_no_leaves_nothing_on_the_wire() {
    let (base, log) = server(|mut wire, _| async move {
        while wire.request().await.is_some() {
            wire.answer("200 OK", "", ACCEPTED).await;
        }
    })
    .await;
    let sender = sender(&base, 2000);
    // Once on a fresh connection, once on one that stands.
    let fresh = Asked::default();
    let outcome = sender.send(&message("stopped-1"), fresh.gate(false)).await;
    assert_eq!(outcome, SendOutcome::NotPosted(NotPostedCause::Stopped));
    assert!(matches!(sender.send(&message("sent"), || true).await, SendOutcome::Accepted { .. }));
    let standing = Asked::default();
    let outcome = sender.send(&message("stopped-2"), standing.gate(false)).await;
    assert_eq!(outcome, SendOutcome::NotPosted(NotPostedCause::Stopped));
    assert_eq!((fresh.times(), standing.times()), (1, 1));
    sleep(Duration::from_millis(50)).await;
    let requests = log.requests();
    assert_eq!(requests.len(), 1);
    assert!(requests[0].body.contains("sent"));
    assert_eq!(log.bytes(), requests[0].head.len() + requests[0].body.len(), "not even a head left");
}

#[tokio::test]
async fn an_answer_lost_after_the_body_is_unknown() {
    let (outcome, requests) = against("").await;
    assert!(matches!(outcome, SendOutcome::Unknown(UnknownCause::Lost { .. })), "{outcome:?}");
    assert_eq!(requests, 1);
}

#[tokio::test]
async fn a_redirect_is_unknown_and_nobody_follows_it() {
    for raw in [
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 308 Permanent Redirect\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n",
    ] {
        let (outcome, requests) = against(raw).await;
        assert!(
            matches!(outcome, SendOutcome::Unknown(UnknownCause::Unreadable { status: 302..=308, .. })),
            "{outcome:?}"
        );
        assert_eq!(requests, 1);
    }
}

#[tokio::test]
async fn a_gateways_page_is_unknown_and_its_retry_after_is_kept() {
    let (outcome, requests) = against(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/html\r\nretry-after: 9\r\ncontent-length: 13\r\n\r\n<html></html>",
    )
    .await;
    assert_eq!(
        outcome,
        SendOutcome::Unknown(UnknownCause::Unreadable { status: 503, retry_after: Some(Duration::from_secs(9)) })
    );
    assert_eq!(requests, 1);
}

#[tokio::test]
async fn an_error_envelope_is_a_refusal_with_any_status_and_is_not_tried_again() {
    for status in ["200 OK", "400 Bad Request", "401 Unauthorized", "429 Too Many Requests", "500 Oh", "503 No"] {
        let (base, log) = server(move |mut wire, _| async move {
            while wire.request().await.is_some() {
                wire.answer(status, "retry-after: 4\r\n", REFUSED).await;
            }
        })
        .await;
        let outcome = sender(&base, 2000).send(&message("c1"), || true).await;
        let SendOutcome::Refused(refusal) = outcome else { panic!("{status}: {outcome:?}") };
        assert_eq!((refusal.kind, refusal.code), (RefusalKind::Throughput, 130_429));
        assert_eq!(refusal.retry_after, Some(Duration::from_secs(4)));
        assert_eq!(log.requests().len(), 1);
    }
}

#[tokio::test]
async fn half_an_answer_is_unknown() {
    for (raw, lost) in [
        // The document ends early, and says it is whole.
        ("HTTP/1.1 200 OK\r\ncontent-length: 28\r\n\r\n{\"messages\":[{\"id\":\"wamid.HB", false),
        // The connection ends early.
        (
            "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 99\r\n\r\n{\"messages\":[{\"id\":\"wamid.HB\"}]}",
            true,
        ),
        ("HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"mes\r\n", true),
        // A whole document, but nobody says that it is.
        (
            "HTTP/1.1 400 Bad\r\nconnection: close\r\ncontent-length: 99\r\n\r\n{\"error\":{\"message\":\"m\",\"type\":\"t\",\"code\":1}}",
            true,
        ),
        ("HTTP/1.1 200 O\r\nconnection: close", true),
        ("SSH-2.0-connection: close\r\n\r\n", true),
    ] {
        let (outcome, requests) = against(raw).await;
        match outcome {
            SendOutcome::Unknown(UnknownCause::Lost { .. }) if lost => {}
            SendOutcome::Unknown(UnknownCause::Unreadable { status: 200, .. }) if !lost => {}
            other => panic!("{raw}: {other:?}"),
        }
        assert_eq!(requests, 1, "{raw}");
    }
}

#[tokio::test]
async fn an_answer_without_end_is_unknown() {
    let (base, log) = server(|mut wire, _| async move {
        wire.request().await;
        wire.write("HTTP/1.1 200 OK\r\ncontent-length: 999999999\r\n\r\n").await;
        let filler = " ".repeat(1 << 16);
        for _ in 0..64 {
            wire.write(&filler).await;
        }
        sleep(Duration::from_secs(5)).await;
    })
    .await;
    let outcome = sender(&base, 4000).send(&message("c1"), || true).await;
    assert!(matches!(outcome, SendOutcome::Unknown(UnknownCause::Lost { .. })), "{outcome:?}");
    assert_eq!(log.requests().len(), 1);
}

#[tokio::test]
async fn silence_after_the_body_is_unknown_when_time_runs_out() {
    let (base, log) = server(|mut wire, _| async move { while wire.request().await.is_some() {} }).await;
    let asked = Asked::default();
    let outcome = sender(&base, 200).send(&message("c1"), asked.gate(true)).await;
    assert_eq!(outcome, SendOutcome::Unknown(UnknownCause::TimedOut));
    assert_eq!((log.requests().len(), asked.times()), (1, 1));
}

#[tokio::test]
async fn silence_before_the_connection_stands_is_not_posted() {
    // A TLS handshake that nobody answers: connected, but no connection stands.
    let (base, log) = server(|wire, _| async move {
        sleep(Duration::from_secs(5)).await;
        drop(wire);
    })
    .await;
    let asked = Asked::default();
    let base = base.replace("http:", "https:");
    let outcome = sender(&base, 200).send(&message("c1"), asked.gate(true)).await;
    assert!(matches!(outcome, SendOutcome::NotPosted(NotPostedCause::Unreachable { .. })), "{outcome:?}");
    sleep(Duration::from_millis(50)).await;
    assert_eq!((log.requests().len(), asked.times()), (0, 0));
}

#[tokio::test]
async fn a_dropped_send_closes_its_gate() {
    let (base, log) = server(|wire, _| async move {
        sleep(Duration::from_secs(5)).await;
        drop(wire);
    })
    .await;
    let asked = Asked::default();
    let sender = sender(&base.replace("http:", "https:"), 3000);
    let given_up =
        tokio::time::timeout(Duration::from_millis(100), sender.send(&message("c1"), asked.gate(true))).await;
    assert!(given_up.is_err());
    sleep(Duration::from_millis(100)).await;
    assert_eq!((asked.times(), log.requests().len()), (0, 0));
}

#[tokio::test]
async fn connections_are_kept_and_used_again() {
    let (base, log) = server(|mut wire, _| async move {
        while wire.request().await.is_some() {
            wire.answer("200 OK", "", ACCEPTED).await;
        }
    })
    .await;
    let sender = sender(&base, 2000);
    for _ in 0..20 {
        assert!(matches!(sender.send(&message("c1"), || true).await, SendOutcome::Accepted { .. }));
    }
    assert_eq!((log.requests().len(), log.connections()), (20, 1));
}

#[tokio::test]
async fn a_connection_closed_between_requests_costs_no_message_and_doubles_none() {
    // The server hangs up some time after each answer, without saying so.
    let (base, log) = server(|mut wire, _| async move {
        if wire.request().await.is_some() {
            wire.answer("200 OK", "", ACCEPTED).await;
        }
    })
    .await;
    let sender = sender(&base, 2000);
    let asked = Asked::default();
    for n in 0..50 {
        let outcome = sender.send(&message(&format!("c{n}")), asked.gate(true)).await;
        assert!(matches!(outcome, SendOutcome::Accepted { .. }), "{outcome:?}");
        // Time for the end of the connection to arrive.
        sleep(Duration::from_millis(5)).await;
    }
    assert_eq!((log.requests().len(), asked.times()), (50, 50));
}

#[tokio::test]
async fn a_request_written_to_a_connection_that_is_just_closing_is_not_tried_again() {
    // The second request on a connection is read to its end and then dropped
    // with the connection: for the client that is a reused connection that
    // breaks, which many clients answer by sending again.
    let (base, log) = server(|mut wire, _| async move {
        wire.request().await;
        wire.answer("200 OK", "", ACCEPTED).await;
        wire.request().await;
    })
    .await;
    let sender = sender(&base, 2000);
    assert!(matches!(sender.send(&message("first"), || true).await, SendOutcome::Accepted { .. }));
    let asked = Asked::default();
    let outcome = sender.send(&message("second"), asked.gate(true)).await;
    assert!(matches!(outcome, SendOutcome::Unknown(UnknownCause::Lost { .. })), "{outcome:?}");
    sleep(Duration::from_millis(50)).await;
    let seconds = log.requests().iter().filter(|r| r.body.contains("second")).count();
    assert_eq!((seconds, asked.times()), (1, 1));
}

/// A storm: servers that answer late, hang up in every place, and timeouts as
/// short as the answers. Whatever happens, each outcome must agree with what
/// the gate did and what arrived.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_storm_no_message_arrives_twice_and_not_posted_means_nothing_arrived() {
    let (base, log) = server(|mut wire, n| async move {
        for turn in 0.. {
            let dice = (n * 7 + turn * 13) % 16;
            if dice == 0 {
                return;
            }
            if wire.request().await.is_none() || dice == 1 {
                return;
            }
            sleep(Duration::from_micros(dice as u64 * 300)).await;
            match dice {
                2 => return wire.write("HTTP/1.1 200 OK\r\ncontent-le").await,
                3 => wire.answer("503 No", "", "<html>").await,
                4 => wire.answer("400 No", "", REFUSED).await,
                5 => {
                    wire.answer("200 OK", "", ACCEPTED).await;
                    return;
                }
                _ => wire.answer("200 OK", "", ACCEPTED).await,
            }
        }
    })
    .await;
    let passed: Arc<Mutex<HashMap<String, u32>>> = Arc::default();
    let mut sends = Vec::new();
    for lane in 0..32 {
        // From hopeless to ample: the short ones let the timeout fall into every
        // moment, the ample ones see every answer however slow the machine is.
        let sender = sender(&base, [1, 2, 3, 4, 6, 8, 10_000, 10_000][lane % 8]);
        let passed = passed.clone();
        sends.push(tokio::spawn(async move {
            let mut outcomes = Vec::new();
            for n in 0..60 {
                let id = format!("storm-{lane}-{n}.");
                let open = n % 11 != 0;
                let (theirs, key) = (passed.clone(), id.clone());
                let outcome = sender
                    .send(&message(&id), move || {
                        *theirs.lock().expect("not poisoned").entry(key).or_default() += 1;
                        open
                    })
                    .await;
                outcomes.push((id, open, outcome));
            }
            outcomes
        }));
    }
    let mut outcomes = Vec::new();
    for send in sends {
        outcomes.extend(send.await.expect("no panic"));
    }
    sleep(Duration::from_millis(200)).await;

    let asked = passed.lock().expect("not poisoned").clone();
    let mut arrived: HashMap<String, u32> = HashMap::new();
    for request in log.requests() {
        let start = request.body.find("storm-").expect("ours");
        let end = start + request.body[start..].find('.').expect("ours") + 1;
        *arrived.entry(request.body[start..end].to_owned()).or_default() += 1;
    }
    let mut kinds = [0; 4];
    for (id, open, outcome) in &outcomes {
        let asked = asked.get(id).copied().unwrap_or(0);
        let arrived = arrived.get(id).copied().unwrap_or(0);
        assert!(asked <= 1 && arrived <= 1, "{id}: asked {asked}, arrived {arrived}");
        let may_be_out = asked == 1 && *open;
        assert!(arrived == 0 || may_be_out, "{id}: arrived past a closed gate");
        match outcome {
            SendOutcome::NotPosted(_) => assert!(!may_be_out && arrived == 0, "{id}: {outcome:?}"),
            SendOutcome::Accepted { .. } | SendOutcome::Refused(_) => assert_eq!(arrived, 1, "{id}"),
            SendOutcome::Unknown(_) => assert!(may_be_out, "{id}"),
        }
        kinds[match outcome {
            SendOutcome::Accepted { .. } => 0,
            SendOutcome::Refused(_) => 1,
            SendOutcome::Unknown(_) => 2,
            SendOutcome::NotPosted(_) => 3,
        }] += 1;
    }
    assert!(kinds.iter().all(|n| *n > 0), "the storm shows every outcome: {kinds:?}");
}
