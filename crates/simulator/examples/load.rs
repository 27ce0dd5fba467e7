//! How many messages a second the simulator takes: bare sockets, prepared requests, one thread for the callers.
//!
//! `cargo run --release -p simulator --example load [MESSAGES] [CONNECTIONS]`

use serde_json::json;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

/// One request after another on one connection each; a pass over all connections writes to each, then reads from each.
fn drive(addr: SocketAddr, messages: usize, connections: usize) -> anyhow::Result<()> {
    let mut streams = Vec::new();
    for _ in 0..connections {
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        streams.push(stream);
    }
    let mut answer = [0; 2048];
    let mut sent = 0;
    while sent < messages {
        for (at, stream) in streams.iter_mut().enumerate() {
            let n = sent + at;
            let body = format!(
                "{{\"messaging_product\":\"whatsapp\",\"recipient_type\":\"individual\",\"to\":\"+2010{n:08}\",\
                 \"type\":\"template\",\"biz_opaque_callback_data\":\"hh1.abcdefgh.1.{n}.1\",\"template\":{{\
                 \"name\":\"eid_offer\",\"language\":{{\"code\":\"en\"}},\"components\":[{{\"type\":\"body\",\
                 \"parameters\":[{{\"type\":\"text\",\"text\":\"Mona\"}},{{\"type\":\"text\",\"text\":\"20%\"}}]}},\
                 {{\"type\":\"button\",\"sub_type\":\"quick_reply\",\"index\":\"1\",\"parameters\":[{{\
                 \"type\":\"payload\",\"payload\":\"HH1:c1:b1:OPTOUT\"}}]}}]}}}}"
            );
            let head = format!(
                "POST /v26.0/200100000000001/messages HTTP/1.1\r\nhost: {addr}\r\nauthorization: Bearer \
                 simulated-access-token\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all((head + &body).as_bytes())?;
        }
        for stream in &mut streams {
            let read = stream.read(&mut answer)?;
            anyhow::ensure!(
                answer[..read].starts_with(b"HTTP/1.1 200"),
                "{}",
                String::from_utf8_lossy(&answer[..read])
            );
        }
        sent += connections;
    }
    Ok(())
}

/// Processor time of this process's threads whose name matches, in seconds, and the process's resident memory in MB.
fn usage(thread: &str) -> anyhow::Result<(f64, u64)> {
    let mut ticks = 0;
    for task in std::fs::read_dir("/proc/self/task")? {
        let stat = std::fs::read_to_string(task?.path().join("stat"))?;
        let Some((name, rest)) = stat.rsplit_once(')') else { continue };
        if name.ends_with(thread) {
            let field = |at: usize| rest.split_whitespace().nth(at).and_then(|f| f.parse::<u64>().ok()).unwrap_or(0);
            ticks += field(11) + field(12);
        }
    }
    let status = std::fs::read_to_string("/proc/self/status")?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0");
    let kilobytes: u64 = resident.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0);
    Ok((ticks as f64 / 100.0, kilobytes / 1024))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let messages: usize = arguments.next().map_or(Ok(100_000), |n| n.parse())?;
    let connections: usize = arguments.next().map_or(Ok(64), |n| n.parse())?;
    let settings = simulator::Settings { default_rate: 0, ..Default::default() };
    let simulator = simulator::start(settings).await?;
    let (busy_before, memory_before) = usage("simulator")?;
    let began = Instant::now();
    drive(simulator.addr(), messages, connections)?;
    let seconds = began.elapsed().as_secs_f64();
    let (busy, memory) = usage("simulator")?;
    let reported = Instant::now();
    let report = simulator.report();
    let line = json!({
        "accepted": report.accepted,
        "seconds": seconds,
        "per_second": report.accepted as f64 / seconds,
        "per_second_of_its_own_processor_time": report.accepted as f64 / (busy - busy_before),
        "megabytes": memory - memory_before,
        "report_seconds": reported.elapsed().as_secs_f64(),
    });
    writeln!(std::io::stdout(), "{line}")?;
    simulator.stop().await;
    Ok(())
}
