//! Every setting of the process: read once at the start, checked as a whole, then only looked at.
//!
//! Order: built-in defaults < `hudhud.toml` < environment < flags. A secret may be given as `NAME_FILE`, a path to a
//! file that holds it. What cannot be understood refuses to start and names the key: a setting that is silently
//! ignored sends a campaign from the wrong database.

mod check;
mod layers;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};

pub use layers::{Flags, Sources};

/// The settings of this process.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Embedded database, private Redis, uploads, exports, the secret key. Absolute.
    pub data_dir: PathBuf,
    /// `sqlite://PATH` or `postgres://…`. May hold a password: print it with [`without_password`].
    pub database_url: String,
    /// Where the queue lives.
    pub redis: RedisAt,
    /// The Hudhud that commands speak to, where it is not the one of this data directory. An origin.
    pub url: Option<String>,
    /// The key that commands show to [`Settings::url`].
    pub api_key: Option<SecretString>,
    /// API, console and webhooks.
    pub listen: SocketAddr,
    /// Health and metrics; no sign-in, so it stays private.
    pub admin_listen: SocketAddr,
    /// The origin that people and Meta see.
    pub public_url: Option<String>,
    /// The Cloud API's base, without a trailing slash.
    pub graph_url: String,
    /// The Graph API version, such as `v26.0`.
    pub graph_version: String,
    /// Encrypts tokens at rest. `None`: the one in the data directory, made on first use.
    pub secret_key: Option<SecretString>,
    /// How large a file may be that is uploaded, bytes.
    pub upload_limit: u64,
    /// The log filter, in the form of `tracing_subscriber::EnvFilter`.
    pub log: String,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Where each setting came from, for `check-config` and for error messages.
    origins: BTreeMap<&'static str, String>,
}

/// Where the queue lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedisAt {
    /// A private child of this process, in the data directory.
    Managed,
    /// A server that somebody else runs. May hold a password.
    Url(String),
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Pretty on a terminal, else JSON.
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Pretty,
}

/// A setting that keeps the process from starting.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SettingsError {
    /// A key that no version of Hudhud knows: most often a typing mistake.
    #[error("{key} ({place}) is not a setting of Hudhud{}", near.as_ref().map(|n| format!("; did you mean {n}?")).unwrap_or_default())]
    Unknown {
        /// As it was written.
        key: String,
        /// The layer it was written in.
        place: String,
        /// A known key that looks like it.
        near: Option<String>,
    },
    /// Two settings that cannot both hold.
    #[error("{first} and {second} contradict each other: {why}")]
    Contradiction {
        /// One of them.
        first: String,
        /// The other.
        second: String,
        /// Why not both.
        why: String,
    },
    /// A value that cannot be used.
    #[error("{key} ({place}): {why}")]
    Invalid {
        /// As it is written in that layer.
        key: String,
        /// The layer it came from.
        place: String,
        /// What is wrong, and what would be right.
        why: String,
    },
    /// A file that a setting names, or the configuration file itself, cannot be read.
    #[error("{key}: cannot read {}: {why}", path.display())]
    Unreadable {
        /// The setting that names the file.
        key: String,
        /// The file.
        path: PathBuf,
        /// The system's words.
        why: String,
    },
}

/// One line of `check-config`.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Effective {
    /// The key as in `hudhud.toml`.
    pub key: &'static str,
    /// Its value; secrets and passwords are masked.
    pub value: String,
    /// The layer it came from.
    pub origin: String,
}

impl Settings {
    /// Reads and checks every layer.
    ///
    /// # Errors
    /// [`SettingsError`], naming the first key that is wrong.
    pub fn load(sources: &Sources) -> Result<Self, SettingsError> {
        let (raw, origins) = layers::merge(sources)?;
        check::settings(raw, origins)
    }

    /// Where the setting `key` came from, in words.
    #[must_use]
    pub fn origin(&self, key: &str) -> &str {
        self.origins.get(key).map_or("the default", String::as_str)
    }

    /// Whether the database is the embedded one, of which one process is the only writer.
    #[must_use]
    pub fn is_embedded(&self) -> bool {
        self.database_url.starts_with("sqlite:")
    }

    /// Whether the Graph URL leads to this machine: a simulator, to which a number may send without a limit.
    #[must_use]
    pub fn graph_is_loopback(&self) -> bool {
        reqwest::Url::parse(&self.graph_url).is_ok_and(|url| check::is_loopback(&url))
    }

    /// Whether the remote Hudhud that commands speak to is on this machine.
    #[must_use]
    pub fn url_is_loopback(&self) -> bool {
        let url = self.url.as_deref().and_then(|url| reqwest::Url::parse(url).ok());
        url.is_some_and(|url| check::is_loopback(&url))
    }

    /// The SQLite file, when the database is the embedded one.
    #[must_use]
    pub fn sqlite_file(&self) -> Option<PathBuf> {
        let rest = self.database_url.strip_prefix("sqlite:")?;
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        let path = rest.split('?').next().unwrap_or(rest);
        Some(PathBuf::from(check::percent_decoded(path)))
    }

    /// Every setting as it applies, for a person to read. Secrets are masked.
    #[must_use]
    pub fn effective(&self) -> Vec<Effective> {
        let masked = |secret: &Option<SecretString>, absent: &str| match secret {
            Some(secret) if secret.expose_secret().is_empty() => absent.to_owned(),
            Some(_) => "(set, not shown)".to_owned(),
            None => absent.to_owned(),
        };
        let values: [(&'static str, String); layers::KEYS.len()] = [
            ("data_dir", self.data_dir.display().to_string()),
            ("database_url", without_password(&self.database_url)),
            ("redis_url", self.redis.to_string()),
            ("url", self.url.clone().unwrap_or_default()),
            ("api_key", masked(&self.api_key, "")),
            ("listen", self.listen.to_string()),
            ("admin_listen", self.admin_listen.to_string()),
            ("public_url", self.public_url.clone().unwrap_or_default()),
            ("graph_url", self.graph_url.clone()),
            ("graph_version", self.graph_version.clone()),
            ("secret_key", masked(&self.secret_key, "(the one in the data directory)")),
            ("upload_limit", self.upload_limit.to_string()),
            ("log", self.log.clone()),
            ("log_format", self.log_format.to_string()),
        ];
        values.into_iter().map(|(key, value)| Effective { key, value, origin: self.origin(key).to_owned() }).collect()
    }
}

impl fmt::Display for RedisAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Managed => f.write_str("managed"),
            Self::Url(url) => f.write_str(&without_password(url)),
        }
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Json => "json",
            Self::Pretty => "pretty",
        })
    }
}

/// The URL with its password, if any, replaced by `***`.
#[must_use]
pub fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    // The password ends at the last @ of the authority; a literal @ inside it is legal in practice.
    let (authority, path) = rest.find(['/', '?']).map_or((rest, ""), |at| rest.split_at(at));
    let Some((credentials, host)) = authority.rsplit_once('@') else { return url.to_owned() };
    match credentials.split_once(':') {
        Some((user, _)) => format!("{scheme}://{user}:***@{host}{path}"),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn sources(dir: &tempfile::TempDir) -> Sources {
        Sources { env: vec![("HUDHUD_DATA_DIR".into(), dir.path().as_os_str().to_owned())], ..Sources::none() }
    }

    fn with_env(mut sources: Sources, key: &str, value: &str) -> Sources {
        sources.env.push((key.into(), value.into()));
        sources
    }

    #[test]
    fn defaults_are_those_of_the_contract() {
        let settings = Settings::load(&Sources::none()).unwrap();
        assert!(settings.data_dir.is_absolute() && settings.data_dir.ends_with("hudhud-data"));
        assert_eq!(settings.sqlite_file().unwrap(), settings.data_dir.join("hudhud.db"));
        assert_eq!(settings.redis, RedisAt::Managed);
        assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(settings.admin_listen.to_string(), "127.0.0.1:9464");
        assert_eq!(settings.graph_url, "https://graph.facebook.com");
        assert_eq!(settings.graph_version, "v26.0");
        assert_eq!((settings.log.as_str(), settings.log_format), ("info", LogFormat::Auto));
        assert_eq!(settings.upload_limit, engine::uploads::USUAL_LIMIT);
        assert!(settings.secret_key.is_none() && settings.url.is_none() && settings.api_key.is_none());
    }

    #[test]
    fn flags_beat_the_environment_which_beats_the_file_which_beats_the_defaults() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("hudhud.toml");
        fs::write(&file, "listen = \"127.0.0.1:1\"\nlog = \"warn\"\ngraph_version = \"v25.0\"\n").unwrap();
        let mut sources = sources(&dir);
        sources.config = Some(file);
        let sources = with_env(sources, "HUDHUD_LISTEN", "127.0.0.1:2");
        let mut sources = with_env(sources, "HUDHUD_LOG", "error");
        sources.flags.set("listen", "127.0.0.1:3");
        let settings = Settings::load(&sources).unwrap();
        assert_eq!(settings.listen.port(), 3);
        assert_eq!(settings.log, "error");
        assert_eq!(settings.graph_version, "v25.0");
        assert_eq!(settings.origin("listen"), "flag --listen");
        assert_eq!(settings.origin("log"), "environment HUDHUD_LOG");
        assert!(settings.origin("graph_version").contains("hudhud.toml"));
        assert_eq!(settings.origin("redis_url"), "the default");
    }

    #[test]
    fn an_unknown_key_is_refused_by_name_in_the_file_and_in_the_environment() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("hudhud.toml");
        fs::write(&file, "lissten = \"127.0.0.1:1\"\n").unwrap();
        let error = Settings::load(&Sources { config: Some(file), ..sources(&dir) }).unwrap_err();
        assert!(error.to_string().contains("lissten"), "{error}");
        assert!(error.to_string().contains("did you mean listen"), "{error}");
        let error = Settings::load(&with_env(sources(&dir), "HUDHUD_DATABSE_URL", "sqlite://x")).unwrap_err();
        assert!(error.to_string().contains("HUDHUD_DATABSE_URL"), "{error}");
    }

    #[test]
    fn what_kubernetes_adds_for_a_service_named_hudhud_is_not_a_setting_of_ours() {
        let dir = tempfile::tempdir().unwrap();
        let mut sources = sources(&dir);
        for key in ["HUDHUD_PORT", "HUDHUD_SERVICE_HOST", "HUDHUD_SERVICE_PORT_HTTP", "HUDHUD_PORT_8080_TCP_ADDR"] {
            sources = with_env(sources, key, "tcp://10.0.0.1:8080");
        }
        Settings::load(&sources).unwrap();
    }

    #[test]
    fn a_secret_comes_from_a_file_without_its_last_line_break() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        fs::write(&file, "0123456789abcdef0123456789abcdef\n").unwrap();
        let sources = with_env(sources(&dir), "HUDHUD_SECRET_KEY_FILE", file.to_str().unwrap());
        let settings = Settings::load(&sources).unwrap();
        assert_eq!(settings.secret_key.as_ref().unwrap().expose_secret(), "0123456789abcdef0123456789abcdef");
        assert_eq!(settings.origin("secret_key"), "environment HUDHUD_SECRET_KEY_FILE");
        let shown = format!("{settings:?}{:?}", settings.effective());
        assert!(!shown.contains("0123456789abcdef"), "a secret was printed");
    }

    #[test]
    fn a_secret_and_its_file_in_one_layer_contradict_each_other() {
        let dir = tempfile::tempdir().unwrap();
        let sources = with_env(sources(&dir), "HUDHUD_SECRET_KEY_FILE", "/nowhere");
        let error = Settings::load(&with_env(sources, "HUDHUD_SECRET_KEY", "x")).unwrap_err();
        assert!(matches!(&error, SettingsError::Contradiction { .. }), "{error}");
        assert!(error.to_string().contains("HUDHUD_SECRET_KEY_FILE"), "{error}");
    }

    #[test]
    fn an_unreadable_file_is_refused_by_the_key_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let error = Settings::load(&with_env(sources(&dir), "HUDHUD_API_KEY_FILE", "/nowhere/at-all")).unwrap_err();
        assert!(error.to_string().contains("HUDHUD_API_KEY_FILE"), "{error}");
        let error =
            Settings::load(&Sources { config: Some(dir.path().join("none.toml")), ..sources(&dir) }).unwrap_err();
        assert!(error.to_string().contains("--config"), "{error}");
    }

    #[test]
    fn values_that_cannot_be_used_are_refused_by_key() {
        let dir = tempfile::tempdir().unwrap();
        for (key, value) in [
            ("HUDHUD_LISTEN", "8080"),
            ("HUDHUD_DATABASE_URL", "mysql://localhost/x"),
            ("HUDHUD_REDIS_URL", "yes"),
            ("HUDHUD_GRAPH_URL", "http://graph.example.com"),
            ("HUDHUD_GRAPH_URL", "ftp://127.0.0.1"),
            ("HUDHUD_GRAPH_VERSION", "26"),
            ("HUDHUD_PUBLIC_URL", "https://example.com/hudhud"),
            ("HUDHUD_URL", "example.com"),
            ("HUDHUD_LOG_FORMAT", "xml"),
            ("HUDHUD_LOG", "a=b=c"),
        ] {
            let error = Settings::load(&with_env(sources(&dir), key, value)).unwrap_err();
            assert!(error.to_string().contains(key), "{key}={value}: {error}");
        }
    }

    #[test]
    fn one_port_for_both_listeners_is_a_contradiction() {
        let dir = tempfile::tempdir().unwrap();
        let error = Settings::load(&with_env(sources(&dir), "HUDHUD_ADMIN_LISTEN", "127.0.0.1:8080")).unwrap_err();
        assert!(error.to_string().contains("HUDHUD_ADMIN_LISTEN"), "{error}");
        let both =
            with_env(with_env(sources(&dir), "HUDHUD_LISTEN", "127.0.0.1:0"), "HUDHUD_ADMIN_LISTEN", "127.0.0.1:0");
        Settings::load(&both).unwrap();
    }

    #[test]
    fn an_empty_variable_counts_as_not_set() {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings::load(&with_env(sources(&dir), "HUDHUD_URL", "")).unwrap();
        assert!(settings.url.is_none());
    }

    #[test]
    fn passwords_in_urls_are_masked() {
        assert_eq!(without_password("postgres://amr:p@ss:w@db/hudhud?a=b"), "postgres://amr:***@db/hudhud?a=b");
        assert_eq!(without_password("redis://:secret@host:6379/0"), "redis://:***@host:6379/0");
        assert_eq!(without_password("sqlite:///tmp/a@b:c.db"), "sqlite:///tmp/a@b:c.db");
        assert_eq!(without_password("postgres://amr@db/hudhud"), "postgres://amr@db/hudhud");
    }
}
