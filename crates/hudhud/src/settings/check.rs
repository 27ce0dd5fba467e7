//! From text to settings that can be used, or a refusal that names the key.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use reqwest::Url;
use secrecy::SecretString;
use tracing_subscriber::EnvFilter;

use super::layers::Raw;
use super::{LogFormat, RedisAt, Settings, SettingsError};

type Origins = BTreeMap<&'static str, String>;

pub(super) fn settings(raw: Raw, origins: Origins) -> Result<Settings, SettingsError> {
    let invalid = |key: &'static str, why: String| refuse(&origins, key, why);
    let data_dir = std::path::absolute(&raw.data_dir).map_err(|error| invalid("data_dir", error.to_string()))?;
    let database_url = match raw.database_url {
        Some(url) if ["sqlite:", "postgres:", "postgresql:"].iter().any(|scheme| url.starts_with(scheme)) => url,
        Some(_) => return Err(invalid("database_url", "it must start with sqlite:// or postgres://".to_owned())),
        None => format!("sqlite://{}", percent_encoded(&data_dir.join("hudhud.db").to_string_lossy())),
    };
    let listen = address(&raw.listen).map_err(|why| invalid("listen", why))?;
    let admin_listen = address(&raw.admin_listen).map_err(|why| invalid("admin_listen", why))?;
    if listen == admin_listen && listen.port() != 0 {
        return Err(SettingsError::Contradiction {
            first: named(&origins, "listen"),
            second: named(&origins, "admin_listen"),
            why: format!("both are {listen}, and the admin port needs no sign-in"),
        });
    }
    if let Some(key) = &raw.secret_key {
        engine::Vault::new(&SecretString::from(key.as_str()))
            .map_err(|error| invalid("secret_key", error.to_string()))?;
    }
    EnvFilter::builder().parse(&raw.log).map_err(|error| invalid("log", error.to_string()))?;
    Ok(Settings {
        database_url,
        redis: redis(raw.redis_url).map_err(|why| invalid("redis_url", why))?,
        url: raw.url.map(|url| origin_of("url", &url, &origins)).transpose()?,
        api_key: raw.api_key.map(SecretString::from),
        listen,
        admin_listen,
        public_url: raw.public_url.map(|url| origin_of("public_url", &url, &origins)).transpose()?,
        graph_url: graph_url(&raw.graph_url).map_err(|why| invalid("graph_url", why))?,
        graph_version: graph_version(raw.graph_version).map_err(|why| invalid("graph_version", why))?,
        secret_key: raw.secret_key.map(SecretString::from),
        upload_limit: bytes(&raw.upload_limit).map_err(|why| invalid("upload_limit", why))?,
        log_format: match raw.log_format.as_str() {
            "auto" => LogFormat::Auto,
            "json" => LogFormat::Json,
            "pretty" => LogFormat::Pretty,
            _ => return Err(invalid("log_format", "it must be auto, json or pretty".to_owned())),
        },
        log: raw.log,
        data_dir,
        origins,
    })
}

fn refuse(origins: &Origins, key: &'static str, why: String) -> SettingsError {
    let place = origins.get(key).map_or("the default", String::as_str);
    // The origin already ends in the key as it is written there.
    match place.rsplit_once(' ') {
        Some((place, written)) if origins.contains_key(key) => {
            SettingsError::Invalid { key: written.to_owned(), place: place.trim_end_matches(':').to_owned(), why }
        }
        _ => SettingsError::Invalid { key: key.to_owned(), place: place.to_owned(), why },
    }
}

fn named(origins: &Origins, key: &'static str) -> String {
    origins.get(key).cloned().unwrap_or_else(|| format!("{key} (the default)"))
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let text = text.replacen("localhost:", "127.0.0.1:", usize::from(text.starts_with("localhost:")));
    text.parse().map_err(|_| "it must be an address and a port, such as 127.0.0.1:8080 or [::]:8080".to_owned())
}

/// A number of bytes, with or without a unit: `5GiB`, `500 MB`, `1048576`.
fn bytes(text: &str) -> Result<u64, String> {
    let wrong = || "it must be a number of bytes above zero, such as 5GiB, 500MB or 1048576".to_owned();
    let text = text.trim();
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let size: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => return Err(wrong()),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(size).filter(|bytes| *bytes > 0).ok_or_else(wrong)
}

fn redis(text: String) -> Result<RedisAt, String> {
    const SCHEMES: [&str; 4] = ["redis", "rediss", "unix", "redis+unix"];
    if text == "managed" {
        return Ok(RedisAt::Managed);
    }
    match text.split_once("://") {
        Some((scheme, rest)) if SCHEMES.contains(&scheme) && !rest.is_empty() => Ok(RedisAt::Url(text)),
        _ => Err(format!("it must be managed or a URL that starts with one of {}://", SCHEMES.join("://, "))),
    }
}

/// An origin (`https://host[:port]`), without a trailing slash.
fn origin_of(key: &'static str, text: &str, origins: &Origins) -> Result<String, SettingsError> {
    let wrong = || refuse(origins, key, "it must be an origin such as https://hudhud.example.com".to_owned());
    let url = Url::parse(text).map_err(|_| wrong())?;
    let bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() || !bare || !url.username().is_empty() {
        return Err(wrong());
    }
    Ok(url.origin().ascii_serialization())
}

fn graph_url(text: &str) -> Result<String, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        "http" => return Err("plain http is accepted only to a loopback address: tokens travel on it".to_owned()),
        _ => return Err("it must start with https://".to_owned()),
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("it must be a base URL, without ? and #".to_owned());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// Whether the URL leads back to this machine by what it says, not by what a resolver may answer.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback()),
        None => false,
    }
}

fn graph_version(text: String) -> Result<String, String> {
    let is_version = text.strip_prefix('v').and_then(|rest| rest.split_once('.')).is_some_and(|(major, minor)| {
        [major, minor].iter().all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
    });
    if is_version { Ok(text) } else { Err("it must look like v26.0".to_owned()) }
}

/// Escapes what an `sqlite://` URL gives a meaning to: `%`, `?` and `#`.
fn percent_encoded(path: &str) -> String {
    path.replace('%', "%25").replace('?', "%3F").replace('#', "%23")
}

pub(super) fn percent_decoded(path: &str) -> String {
    let bytes = path.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%').then(|| path.get(at + 1..at + 3)).flatten();
        match escaped.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_survives_the_way_into_a_url_and_back() {
        for path in ["/srv/a b/50%/x?y#z.db", "/srv/hudhud.db", "/بيانات/hudhud.db"] {
            assert_eq!(percent_decoded(&percent_encoded(path)), path);
        }
    }
}
