//! The house's borders (ARCHITECTURE.md), held by reading manifests and sources: which crate may know which, who alone
//! speaks a foreign language, who alone asks the machine for the time, and what no log line may carry.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Every crate of ours and the crates of ours that it may depend on, in whatever way.
const FLOORS: [(&str, &[&str]); 8] = [
    ("hudhud", &["engine", "store", "cloud-api", "domain", "console", "simulator"]),
    ("console", &[]),
    ("engine", &["store", "cloud-api", "domain"]),
    ("store", &["domain"]),
    ("cloud-api", &[]),
    ("domain", &[]),
    ("simulator", &[]),
    ("e2e", &[]),
];

/// Tests may also stand on what the code may not: a fake on the other side of a socket.
const FOR_TESTS: [(&str, &str); 1] = [("engine", "simulator")];

/// Foreign crates that have owners: name or prefix, the crates that may depend on it, and the paths under `crates/`
/// that may name it, where not all of the owner may.
const OWNED: [(&str, &[&str], &[&str]); 7] = [
    ("apalis", &["engine"], &["engine/src/queue"]),
    ("redis", &["engine"], &["engine/src/queue"]),
    ("governor", &["engine"], &["engine/src/lane"]),
    ("sqlx", &["store"], &["store/"]),
    ("axum", &["hudhud", "console", "simulator"], &["hudhud/", "console/", "simulator/"]),
    ("reqwest", &["cloud-api", "hudhud", "simulator", "e2e"], &["cloud-api/", "hudhud/", "simulator/"]),
    ("rlibphonenumber", &["domain"], &["domain/"]),
];

/// Ways to ask the machine for the time.
const CLOCKS: [&str; 4] = ["Utc::now", "Local::now", "SystemTime::now", "Instant::now"];
/// Where that is allowed: the one clock, the process's edge, the simulator, which has its own, and the stopwatch of the
/// store's writes, by which nothing is decided but the size of a next chunk.
const MAY_ASK: [&str; 4] = ["engine/src/clock.rs", "hudhud/src/", "simulator/", "store/src/db.rs"];

/// What a log line may not be given: secrets, and what names a person.
const NOT_FOR_LOGS: [&str; 14] = [
    "phone",
    "phone_number",
    "e164",
    "wa_id",
    "msisdn",
    "recipient",
    "secret",
    "access_token",
    "app_secret",
    "verify_token",
    "api_key",
    "expose_secret",
    "password",
    "user_id",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace's directory").to_owned()
}

/// Our packages and what each depends on, by `cargo metadata`: the name, and whether only its tests do.
fn packages() -> BTreeMap<String, BTreeSet<(String, bool)>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let all = metadata["packages"].as_array().expect("packages").iter();
    all.map(|package| {
        let dependencies = package["dependencies"].as_array().expect("dependencies").iter();
        let dependencies =
            dependencies.map(|one| (one["name"].as_str().expect("a name").to_owned(), one["kind"] == "dev"));
        (package["name"].as_str().expect("a name").to_owned(), dependencies.collect())
    })
    .collect()
}

/// A source file: its path in the directory that was read, and its code without comments and without its test module.
struct Source {
    path: String,
    code: String,
}

fn sources() -> Vec<Source> {
    let all = sources_in(&root().join("crates"));
    assert!(all.len() > 50, "{} sources", all.len());
    all
}

/// The Rust sources beneath a directory, by their paths in it.
fn sources_in(top: &Path) -> Vec<Source> {
    fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).expect("a directory of ours") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                if path.file_name().is_some_and(|name| name != "target" && name != "node_modules") {
                    walk(&path, found);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let mut paths = Vec::new();
    walk(top, &mut paths);
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).expect("a source in UTF-8");
        let path = path.strip_prefix(top).expect("it is there").display().to_string();
        Source { path, code: code_of(&text) }
    };
    paths.into_iter().map(read).collect()
}

impl Source {
    fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("/tests.rs") || self.path.ends_with("testing.rs")
    }
}

/// The text without line comments and without what follows `#[cfg(test)] mod …`.
fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line.trim() == "#[cfg(test)]"
            && lines.peek().is_some_and(|next| next.starts_with("mod ") && next.ends_with('{'))
        {
            break;
        }
        let line = match line.find("//") {
            // Not the slashes of a URL.
            Some(at) if !line[..at].ends_with(':') => &line[..at],
            _ => line,
        };
        code.push_str(line);
        code.push('\n');
    }
    code
}

/// Whether the code has this word as a whole identifier (or its beginning, for a prefix such as `apalis`).
fn names(code: &str, word: &str, or_longer: bool) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        let longer = after.is_some_and(part);
        // `redis = "…"` in a string or `"redis"` is no use of the crate; `redis::` and `use redis` are.
        let quoted = before.is_some_and(|c| matches!(c, '"' | '/' | '-' | '.' | '$'));
        !before.is_some_and(part) && !quoted && (or_longer || !longer)
    })
}

#[test]
fn no_crate_knows_a_higher_one() {
    let packages = packages();
    let ours: BTreeSet<&str> = packages.keys().map(String::as_str).collect();
    let known: BTreeSet<&str> = FLOORS.iter().map(|(name, _)| *name).collect();
    assert_eq!(ours, known, "a new crate needs a new border, and a line in FLOORS");
    for (name, allowed) in FLOORS {
        for (dependency, in_tests) in packages[name].iter().filter(|(dependency, _)| ours.contains(dependency.as_str()))
        {
            // A crate may depend on itself, with a feature for its tests.
            let its_own = dependency == name;
            let in_its_tests = *in_tests && FOR_TESTS.contains(&(name, dependency.as_str()));
            assert!(
                allowed.contains(&dependency.as_str()) || its_own || in_its_tests,
                "{name} depends on {dependency}, which it must not know"
            );
        }
    }
}

#[test]
fn each_foreign_language_is_spoken_in_one_place() {
    let packages = packages();
    for (foreign, owners, _) in OWNED {
        for (name, dependencies) in &packages {
            let uses = |one: &&(String, bool)| one.0 == foreign || one.0.starts_with(&format!("{foreign}-"));
            if let Some((found, _)) = dependencies.iter().find(uses) {
                assert!(owners.contains(&name.as_str()), "{name} depends on {found}, which belongs to {owners:?}");
            }
        }
    }
    for source in sources() {
        for (foreign, _, places) in OWNED {
            // As a path's beginning: `redis::Client`, `use redis`, `apalis_redis::…`.
            let uses = [format!("{foreign}::"), format!("use {foreign}"), format!("{foreign}_")];
            let named = uses.iter().enumerate().any(|(form, text)| match form {
                0 => names(&source.code, text, true),
                1 => names(&source.code, &format!("{text}::"), true) || names(&source.code, &format!("{text};"), true),
                _ => source
                    .code
                    .lines()
                    .any(|line| names(line, text, true) && line.contains("::") && foreign == "apalis"),
            });
            let allowed = places.iter().any(|place| source.path.starts_with(place));
            assert!(!named || allowed, "{} names {foreign}, which belongs to {places:?}", source.path);
        }
    }
}

#[test]
fn only_the_clock_asks_for_the_time() {
    for source in sources().iter().filter(|source| !source.is_test()) {
        for clock in CLOCKS {
            let allowed = MAY_ASK.iter().any(|place| source.path.starts_with(place));
            assert!(
                allowed || !source.code.contains(clock),
                "{} asks {clock}: time comes from engine::Clock, as an argument",
                source.path
            );
        }
    }
}

#[test]
fn no_sql_is_written_outside_the_store() {
    for source in sources().iter().filter(|source| !source.path.starts_with("store/") && !source.is_test()) {
        for statement in ["SELECT ", "INSERT INTO", "DELETE FROM", "UPDATE \"", "CREATE TABLE"] {
            let line = source.code.lines().find(|line| line.contains(statement));
            assert_eq!(line, None, "{} holds SQL", source.path);
        }
    }
}

#[test]
fn no_log_line_is_given_a_secret_or_a_person() {
    let mut seen = 0;
    for source in sources().iter().filter(|source| !source.is_test()) {
        for arguments in log_lines(&source.code) {
            seen += 1;
            let found = NOT_FOR_LOGS.iter().find(|word| names(&arguments, word, false));
            assert_eq!(found, None, "{} logs it: {}", source.path, arguments.trim());
        }
    }
    assert!(seen > 20, "{seen} log lines found: the search is broken");
}

/// The arguments of every call of a log macro, without the texts in quotes, but with the fields those name (`{phone}`).
fn log_lines(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for level in ["error!(", "warn!(", "info!(", "debug!(", "trace!("] {
        for (at, _) in code.match_indices(level) {
            if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
                continue;
            }
            let mut depth = 1;
            let (mut quoted, mut placeholder, mut escaped) = (false, false, false);
            let mut arguments = String::new();
            for c in code[at + level.len()..].chars() {
                if quoted {
                    match c {
                        _ if escaped => escaped = false,
                        '\\' => escaped = true,
                        '"' => (quoted, placeholder) = (false, false),
                        '{' => placeholder = true,
                        '}' => placeholder = false,
                        _ if placeholder => {
                            arguments.push(c);
                            continue;
                        }
                        _ => {}
                    }
                    arguments.push(' ');
                    continue;
                }
                match c {
                    '"' => quoted = true,
                    '(' => depth += 1,
                    ')' => depth -= 1,
                    _ => {}
                }
                if depth == 0 {
                    break;
                }
                arguments.push(if quoted { ' ' } else { c });
            }
            found.push(arguments);
        }
    }
    found
}

#[test]
fn nothing_is_left_to_do() {
    let own = root().join("tests");
    let mut all = sources();
    for dir in ["src", "stories"] {
        all.extend(sources_in(&own.join(dir)));
    }
    for source in &all {
        for left in ["todo", "unimplemented"] {
            let call = format!("{left}!(");
            assert!(!source.code.contains(&call), "{} has a {call}…)", source.path);
        }
    }
}

#[test]
fn every_crate_opens_with_what_it_owns_and_must_not_know() {
    for (name, _) in FLOORS.iter().filter(|(name, _)| *name != "e2e") {
        let lib = root().join("crates").join(name).join("src/lib.rs");
        let text = std::fs::read_to_string(&lib).expect("every crate has a library");
        assert!(text.starts_with("//!"), "{name}'s lib.rs does not say what it is for");
        let head: String = text.lines().take_while(|line| line.starts_with("//!")).collect();
        assert!(head.contains("not know"), "{name}'s lib.rs does not say what it must not know");
    }
}

#[test]
fn the_search_itself_finds_what_it_looks_for() {
    assert!(names("let x = redis::Client::open(u)", "redis::", true));
    assert!(!names("let x = fake_redis::open(u)", "redis::", true));
    assert!(!names("(\"redis\", 1)", "redis", false));
    let found = log_lines("tracing::info!(number = %n, \"sent (to {phone})\");  warn!(token, \"x\")");
    assert_eq!(found.len(), 2);
    let told = found.iter().any(|arguments| names(arguments, "phone", false));
    assert!(told, "a field inside the text is found: {found:?}");
    assert!(!log_lines("info!(\"the phone rings\")").iter().any(|text| names(text, "phone", false)));
    assert_eq!(code_of("a // b\n#[cfg(test)]\nmod tests {\nsecret\n}\n"), "a \n");
}
