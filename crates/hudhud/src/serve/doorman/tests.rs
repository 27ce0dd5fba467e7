use std::convert::Infallible;
use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use axum::response::sse::{Event, Sse};
use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// Long enough for a busy machine to send the head of a request meanwhile.
const SHORT: Duration = Duration::from_secs(1);
/// Within so long something that should happen has happened, on however busy a machine.
const SURELY: Duration = Duration::from_secs(20);

struct House {
    address: SocketAddr,
    stop: CancellationToken,
    served: tokio::task::JoinHandle<()>,
}

async fn house(doorman: Doorman) -> House {
    let slow_events = || async {
        Sse::new(futures::stream::unfold(0, |n| async move {
            tokio::time::sleep(SHORT).await;
            Some((Ok::<_, Infallible>(Event::default().data(n.to_string())), n + 1))
        }))
    };
    let who = async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.ip().to_string();
    let router = Router::new().route("/", get(who)).route("/events", get(slow_events)).route(
        "/slow",
        get(async || {
            tokio::time::sleep(SHORT * 2).await;
            "slow"
        }),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let info = |_: &TcpStream, peer: &SocketAddr| ConnectInfo(*peer);
    let served = tokio::spawn(doorman.serve(listener, router, info, stop.clone()));
    House { address, stop, served }
}

fn strict() -> Doorman {
    Doorman { head: SHORT, idle: SURELY, connections: 8 }
}

/// What came until `enough` holds, or the end of the connection.
async fn read_until(stream: &mut TcpStream, enough: impl Fn(&str) -> bool) -> String {
    let mut came = Vec::new();
    let reading = async {
        while !enough(&String::from_utf8_lossy(&came)) {
            if stream.read_buf(&mut came).await.unwrap_or(0) == 0 {
                break;
            }
        }
    };
    tokio::time::timeout(SURELY, reading).await.expect("in time");
    String::from_utf8(came).unwrap()
}

#[tokio::test]
async fn whoever_drips_a_head_is_closed_in_time_and_others_are_served_meanwhile() {
    let house = house(strict()).await;
    let mut slow = TcpStream::connect(house.address).await.unwrap();
    let silent = TcpStream::connect(house.address).await.unwrap();
    let began = Instant::now();
    let mut quick = TcpStream::connect(house.address).await.unwrap();
    quick.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    assert!(read_until(&mut quick, |_| false).await.ends_with("127.0.0.1"), "it knows who asks");
    let mut bytes = b"GET / HTTP/1.1\r\nhost: a\r\nx-slow: ".iter().copied().chain(std::iter::repeat(b'a'));
    loop {
        let byte = bytes.next().unwrap();
        if slow.write_all(&[byte]).await.is_err() {
            break;
        }
        tokio::select! {
            closed = slow.read_u8() => {
                assert!(closed.is_err(), "it is closed without an answer");
                break;
            }
            () = tokio::time::sleep(SHORT / 20) => {}
        }
        assert!(began.elapsed() < SURELY, "it drips on for ever");
    }
    assert!(began.elapsed() >= SHORT);
    let mut silent = silent;
    assert_eq!(read_until(&mut silent, |_| false).await, "", "nor may anybody stand there and say nothing");
}

#[tokio::test]
async fn a_connection_is_kept_between_requests_and_answers_take_as_long_as_they_take() {
    let house = house(strict()).await;
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    for path in ["/", "/slow", "/"] {
        // Both the wait before it and its answer take longer than a head may.
        if path == "/slow" {
            tokio::time::sleep(SHORT * 2).await;
        }
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes()).await.unwrap();
        let end = if path == "/" { "127.0.0.1" } else { "slow" };
        assert!(read_until(&mut stream, |came| came.ends_with(end)).await.starts_with("HTTP/1.1 200"));
    }
    // On a kept connection, too, a head must come in time once it begins.
    stream.write_all(b"GET / HT").await.unwrap();
    assert_eq!(read_until(&mut stream, |_| false).await, "");
    let mut events = TcpStream::connect(house.address).await.unwrap();
    events.write_all(b"GET /events HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    assert!(read_until(&mut events, |came| came.contains("data: 1")).await.contains("data: 0"));
}

#[tokio::test]
async fn a_stop_lets_requests_under_way_end_and_closes_what_is_idle() {
    let house = house(strict()).await;
    let mut idle = TcpStream::connect(house.address).await.unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    read_until(&mut idle, |came| came.ends_with("127.0.0.1")).await;
    let mut busy = TcpStream::connect(house.address).await.unwrap();
    busy.write_all(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    tokio::time::sleep(SHORT / 3).await;
    house.stop.cancel();
    assert_eq!(read_until(&mut idle, |_| false).await, "");
    assert!(read_until(&mut busy, |_| false).await.ends_with("slow"));
    tokio::time::timeout(SURELY, house.served).await.expect("it ends").unwrap();
    assert!(TcpStream::connect(house.address).await.is_err(), "nobody is let in any more");
}

#[tokio::test]
async fn no_more_are_let_in_at_once_than_there_is_room_for() {
    let house = house(Doorman { connections: 1, ..strict() }).await;
    let mut first = TcpStream::connect(house.address).await.unwrap();
    first.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    read_until(&mut first, |came| came.ends_with("127.0.0.1")).await;
    let mut second = TcpStream::connect(house.address).await.unwrap();
    second.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    let waiting = tokio::time::timeout(SHORT, second.read_u8()).await;
    assert!(waiting.is_err(), "it waits: {waiting:?}");
    drop(first);
    assert!(read_until(&mut second, |_| false).await.ends_with("127.0.0.1"));
}
