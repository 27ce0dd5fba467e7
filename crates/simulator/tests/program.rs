//! The executable: its first line, its configuration file, its end.

use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

fn run(arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_simulator"))
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts")
}

fn get(addr: &str, path: &str) -> Value {
    let mut stream = TcpStream::connect(addr).expect("connected");
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\n\r\n").expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    serde_json::from_str(answer.split("\r\n\r\n").nth(1).expect("a body")).expect("JSON")
}

#[test]
fn it_prints_where_it_listens_and_ends_on_sigterm() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("settings.json");
    std::fs::write(&file, json!({"default_rate": 7}).to_string()).expect("written");
    let mut child = run(&["--listen", "127.0.0.1:0", "--config", file.to_str().expect("UTF-8")]);
    let mut first = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut first).expect("a line");
    let line: Value = serde_json::from_str(&first).expect("the first line is JSON");
    for key in ["listening", "control"] {
        let addr = line[key].as_str().expect("an address");
        assert_eq!(get(addr, "/_sim/settings")["default_rate"], 7, "{key}");
    }
    let killed = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill runs");
    assert!(killed.success());
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn it_refuses_settings_it_does_not_understand() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("settings.json");
    std::fs::write(&file, json!({"defualt_rate": 7}).to_string()).expect("written");
    let output = run(&["--config", file.to_str().expect("UTF-8")]).wait_with_output().expect("it ends");
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("defualt_rate"));
}
