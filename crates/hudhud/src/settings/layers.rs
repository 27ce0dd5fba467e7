//! The layers of the settings and how they come together, with where each value came from.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use figment::providers::{Format, Serialized, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};

use super::SettingsError;

/// Every key, as written in `hudhud.toml`; `HUDHUD_` and upper case in the environment, `--` and dashes as a flag.
pub(super) const KEYS: [&str; 14] = [
    "data_dir",
    "database_url",
    "redis_url",
    "url",
    "api_key",
    "listen",
    "admin_listen",
    "public_url",
    "graph_url",
    "graph_version",
    "secret_key",
    "upload_limit",
    "log",
    "log_format",
];

/// Keys that also have a `_file` form: secrets, and the URLs that may hold a password.
const SECRETS: [&str; 4] = ["api_key", "secret_key", "database_url", "redis_url"];

const PREFIX: &str = "HUDHUD_";

/// The settings as they are read: text, not yet checked.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Raw {
    pub(super) data_dir: String,
    pub(super) database_url: Option<String>,
    pub(super) redis_url: String,
    pub(super) url: Option<String>,
    pub(super) api_key: Option<String>,
    pub(super) listen: String,
    pub(super) admin_listen: String,
    pub(super) public_url: Option<String>,
    pub(super) graph_url: String,
    pub(super) graph_version: String,
    pub(super) secret_key: Option<String>,
    pub(super) upload_limit: String,
    pub(super) log: String,
    pub(super) log_format: String,
}

/// Where settings are read from. A test gives its own; the process gives [`Sources::of_process`].
#[derive(Clone, Debug)]
pub struct Sources {
    /// The file named by `--config`, which must be there.
    pub config: Option<PathBuf>,
    /// The file that is read when `--config` is not given, if it is there.
    pub default_config: Option<PathBuf>,
    /// The environment; only names that begin with `HUDHUD_` are looked at.
    pub env: Vec<(OsString, OsString)>,
    /// What the command line says.
    pub flags: Flags,
}

/// Settings given as flags, by key.
#[derive(Clone, Debug, Default)]
pub struct Flags(BTreeMap<&'static str, String>);

impl Flags {
    /// Takes `value` as what the flag of `key` says.
    pub fn set(&mut self, key: &'static str, value: impl Into<String>) {
        self.0.insert(key, value.into());
    }

    /// The flag's value, if it was given.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }
}

impl Sources {
    /// No file, no environment, no flags: the defaults.
    #[must_use]
    pub fn none() -> Self {
        Self { config: None, default_config: None, env: Vec::new(), flags: Flags::default() }
    }

    /// The process's environment, `./hudhud.toml` if it is there (or `config`), and its flags.
    #[must_use]
    pub fn of_process(config: Option<PathBuf>, flags: Flags) -> Self {
        Self { config, default_config: Some(PathBuf::from("hudhud.toml")), env: std::env::vars_os().collect(), flags }
    }
}

/// Merges the layers, in order, and says where each value came from.
pub(super) fn merge(sources: &Sources) -> Result<(Raw, BTreeMap<&'static str, String>), SettingsError> {
    let defaults = Serialized::defaults(Dict::from(
        [
            ("data_dir", "./hudhud-data"),
            ("redis_url", "managed"),
            ("listen", "127.0.0.1:8080"),
            ("admin_listen", "127.0.0.1:9464"),
            ("graph_url", "https://graph.facebook.com"),
            ("graph_version", "v26.0"),
            ("upload_limit", "5GiB"),
            ("log", "info"),
            ("log_format", "auto"),
        ]
        .map(|(key, value)| (key.to_owned(), Value::from(value))),
    ));
    let mut figment = Figment::from(defaults);
    let mut origins = BTreeMap::new();
    for layer in
        [Layer::file(sources)?, Some(Layer::environment(sources)?), Some(Layer::flags(sources))].into_iter().flatten()
    {
        let layer = layer.with_secret_files()?;
        for (key, (_, origin)) in &layer.values {
            origins.insert(*key, origin.clone());
        }
        figment = figment.merge(layer);
    }
    let raw = figment.extract().map_err(|error| SettingsError::Invalid {
        key: error.path.join("."),
        place: error.path.first().and_then(|key| origins.get(key.as_str())).cloned().unwrap_or_default(),
        // Not figment's own words: they quote the value, and it may be a secret.
        why: "it must be text, in quotes".to_owned(),
    })?;
    Ok((raw, origins))
}

/// One source of settings: the known keys it sets, with each key's origin in words.
struct Layer {
    name: &'static str,
    values: BTreeMap<&'static str, (Value, String)>,
    /// `key_file` settings, still to be read: key → (path, the key as written).
    files: BTreeMap<&'static str, (PathBuf, String)>,
}

impl Layer {
    fn new(name: &'static str) -> Self {
        Self { name, values: BTreeMap::new(), files: BTreeMap::new() }
    }

    /// Takes one `key = value`, whatever the key looks like in this layer (`written`).
    fn take(&mut self, key: &str, value: Value, written: &str, place: &str) -> Result<(), SettingsError> {
        if let Some(known) = KEYS.iter().find(|known| **known == key) {
            self.values.insert(known, (value, format!("{place} {written}")));
            return Ok(());
        }
        let secret = key.strip_suffix("_file").and_then(|stem| SECRETS.iter().find(|known| **known == stem));
        let Some(known) = secret else {
            let near = nearest(key).map(|near| written_like(near, written));
            return Err(SettingsError::Unknown { key: written.to_owned(), place: place.to_owned(), near });
        };
        let Some(path) = value.as_str() else {
            let why = "it must be the path of a file, as text".to_owned();
            return Err(SettingsError::Invalid { key: written.to_owned(), place: place.to_owned(), why });
        };
        self.files.insert(known, (PathBuf::from(path), format!("{place} {written}")));
        Ok(())
    }

    fn file(sources: &Sources) -> Result<Option<Self>, SettingsError> {
        let path: &Path = match (&sources.config, &sources.default_config) {
            (Some(path), _) => path,
            (None, Some(path)) if path.exists() => path,
            _ => return Ok(None),
        };
        let key = if sources.config.is_some() { "--config" } else { "hudhud.toml" };
        let unreadable = |why: String| SettingsError::Unreadable { key: key.to_owned(), path: path.to_owned(), why };
        let text = fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
        let data = Toml::string(&text).data().map_err(|error| unreadable(error.to_string()))?;
        let place = format!("file {}:", path.display());
        let mut layer = Self::new("hudhud.toml");
        for (key, value) in data.into_values().flatten() {
            layer.take(&key, value, &key, &place)?;
        }
        Ok(Some(layer))
    }

    fn environment(sources: &Sources) -> Result<Self, SettingsError> {
        let mut layer = Self::new("environment");
        for (name, value) in &sources.env {
            let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX) && !is_service_link(name)) else {
                continue;
            };
            let Some(value) = value.to_str() else {
                let why = "it is not UTF-8 text".to_owned();
                return Err(SettingsError::Invalid { key: name.to_owned(), place: "environment".to_owned(), why });
            };
            // Compose files and unit files leave variables empty to mean "not set".
            if value.is_empty() {
                continue;
            }
            layer.take(&name[PREFIX.len()..].to_lowercase(), Value::from(value), name, "environment")?;
        }
        Ok(layer)
    }

    fn flags(sources: &Sources) -> Self {
        let mut layer = Self::new("flags");
        for (key, value) in &sources.flags.0 {
            let written = format!("--{}", key.replace('_', "-"));
            // Flags are declared beside KEYS and SECRETS; one that is neither would be a defect that tests show.
            let taken = layer.take(key, Value::from(value.as_str()), &written, "flag");
            debug_assert!(taken.is_ok(), "{written} is declared as a flag but is no setting");
        }
        layer
    }

    /// Reads the files that `_file` settings name. In one layer a secret comes one way or the other, not both.
    fn with_secret_files(mut self) -> Result<Self, SettingsError> {
        for (key, (path, origin)) in std::mem::take(&mut self.files) {
            if let Some((_, other)) = self.values.get(key) {
                let why = "give the secret itself or the file that holds it, not both".to_owned();
                return Err(SettingsError::Contradiction { first: other.clone(), second: origin, why });
            }
            let unreadable = |why: String| SettingsError::Unreadable { key: origin.clone(), path: path.clone(), why };
            let text = fs::read_to_string(&path).map_err(|error| unreadable(error.to_string()))?;
            let secret = text.trim_end_matches(['\r', '\n']);
            if secret.is_empty() {
                return Err(unreadable("it is empty".to_owned()));
            }
            self.values.insert(key, (Value::from(secret), origin));
        }
        Ok(self)
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let dict = self.values.iter().map(|(key, (value, _))| ((*key).to_owned(), value.clone())).collect();
        Ok(Map::from([(Profile::Default, dict)]))
    }
}

/// Kubernetes gives every pod `HUDHUD_PORT=tcp://…` and the like when a Service named hudhud is in its namespace.
fn is_service_link(name: &str) -> bool {
    name == "HUDHUD_PORT" || name.starts_with("HUDHUD_PORT_") || name.starts_with("HUDHUD_SERVICE_")
}

/// The known key within two typing mistakes of `key`.
fn nearest(key: &str) -> Option<&'static str> {
    KEYS.iter()
        .copied()
        .map(|known| (distance(known, key), known))
        .min()
        .filter(|(d, _)| *d <= 2)
        .map(|(_, known)| known)
}

fn written_like(key: &str, written: &str) -> String {
    if written.starts_with(PREFIX) { format!("{PREFIX}{}", key.to_uppercase()) } else { key.to_owned() }
}

/// Levenshtein's distance, by rows.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let best = (diagonal + usize::from(x != *y)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], best);
        }
    }
    row[b.len()]
}
