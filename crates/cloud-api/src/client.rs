//! The client: where the Graph API is, and how connections to it behave.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Url, redirect, retry};
use secrecy::{ExposeSecret, SecretString};

use crate::ids::PhoneNumberId;
use crate::message::Message;
use crate::send::{NotPostedCause, SendOutcome, Sender};

/// An idle connection is closed by us after this time, so that we seldom write
/// to one that the other side has just closed: such a message would be in doubt.
const IDLE: Duration = Duration::from_secs(15);

/// Where the Graph API is and how long to wait for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Its base without the version. Plain `http` only to this machine.
    pub base_url: String,
    /// The version that stands first in every path, such as `v26.0`.
    pub version: String,
    /// How long one connection may take to stand, TLS included.
    pub connect_timeout: Duration,
    /// How long a whole exchange may take, connecting included. A send that
    /// runs out of it after it was handed over has an unknown outcome.
    pub request_timeout: Duration,
    /// How many idle connections are kept.
    pub pool_max_idle: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            base_url: "https://graph.facebook.com".to_owned(),
            version: "v26.0".to_owned(),
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
            pool_max_idle: 1024,
        }
    }
}

/// A setting the client cannot work with.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not a URL, or one with a query, a fragment or credentials in it.
    #[error("the Graph API's address is not a plain base URL")]
    BaseUrl,
    /// A token would cross a network in clear text.
    #[error("the Graph API's address uses plain http to another machine; use https")]
    PlainHttp,
    /// Not `v` and two numbers.
    #[error("the Graph API's version must look like v26.0")]
    Version,
    /// The access token holds characters that no HTTP header can.
    #[error("the access token is empty or holds characters that cannot be sent")]
    Token,
    /// The HTTP client could not be set up, for instance because the system has
    /// no certificate authorities.
    #[error("the HTTPS client could not be set up: {0}")]
    Setup(String),
}

/// A client of the Graph API. Cheap to clone; clones share their connections.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
}

impl Client {
    /// Sets the client up; nothing is connected yet.
    ///
    /// # Errors
    /// [`ConfigError`] names the setting.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        let base = base_url(&config.base_url, &config.version)?;
        let plain = base.scheme() == "http";
        // reqwest takes the process-wide TLS provider. Whoever set one first
        // wins, which is what a second client expects too.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("hudhud/", env!("CARGO_PKG_VERSION")))
            // A followed 307 or 308 would be a second POST.
            .redirect(redirect::Policy::none())
            // The pool may still move a request that no connection has started
            // on to another one; the gate sees to it that the body is given
            // out once.
            .retry(retry::never())
            .no_proxy()
            .tcp_nodelay(true)
            // Over HTTP/2 a request's head leaves before its body is polled,
            // and the gate would come too late to leave no trace.
            .http1_only()
            .https_only(!plain)
            .connect_timeout(config.connect_timeout)
            .timeout(config.request_timeout)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(config.pool_max_idle);
        if plain {
            // No TLS will happen, so the system need not have any certificates.
            builder = builder.tls_certs_only([]);
        }
        let http = builder.build().map_err(|error| ConfigError::Setup(innermost(&error)))?;
        Ok(Self { http, base })
    }

    /// What sends from one business number: its address and token made ready
    /// once, for any number of messages.
    ///
    /// # Errors
    /// [`ConfigError::Token`] when the token cannot stand in a header.
    pub fn sender(&self, token: &SecretString, number: &PhoneNumberId) -> Result<Sender, ConfigError> {
        let mut headers = headers(token)?;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let url = self.url(&[number.as_str(), "messages"]);
        Ok(Sender::new(self.http.clone(), url, headers))
    }

    /// Posts one message once: [`Sender::send`] for those who send seldom.
    pub async fn send<G>(&self, token: &SecretString, number: &PhoneNumberId, message: &Message, gate: G) -> SendOutcome
    where
        G: FnOnce() -> bool + Send + 'static,
    {
        match self.sender(token, number) {
            Ok(sender) => sender.send(message, gate).await,
            Err(_) => SendOutcome::NotPosted(NotPostedCause::Token),
        }
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// The address of a path below the version.
    pub(crate) fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.extend(segments);
        }
        url
    }
}

/// The headers that every request carries.
pub(crate) fn headers(token: &SecretString) -> Result<HeaderMap, ConfigError> {
    let token = token.expose_secret().trim();
    if token.is_empty() {
        return Err(ConfigError::Token);
    }
    let mut bearer = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| ConfigError::Token)?;
    bearer.set_sensitive(true);
    let mut headers = HeaderMap::with_capacity(4);
    headers.insert(AUTHORIZATION, bearer);
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    Ok(headers)
}

fn base_url(base: &str, version: &str) -> Result<Url, ConfigError> {
    let mut url = Url::parse(base.trim()).map_err(|_| ConfigError::BaseUrl)?;
    let bare =
        url.query().is_none() && url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
    let host = url.host_str().ok_or(ConfigError::BaseUrl)?;
    match url.scheme() {
        _ if !bare => return Err(ConfigError::BaseUrl),
        "https" => {}
        "http" if is_this_machine(host) => {}
        "http" => return Err(ConfigError::PlainHttp),
        _ => return Err(ConfigError::BaseUrl),
    }
    if !is_version(version) {
        return Err(ConfigError::Version);
    }
    url.path_segments_mut().map_err(|()| ConfigError::BaseUrl)?.pop_if_empty().push(version);
    Ok(url)
}

fn is_this_machine(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn is_version(version: &str) -> bool {
    let digits = |part: &str| (1..=4).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    version
        .strip_prefix('v')
        .and_then(|rest| rest.split_once('.'))
        .is_some_and(|(major, minor)| digits(major) && digits(minor))
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(base_url: &str) -> Config {
        Config { base_url: base_url.to_owned(), ..Config::default() }
    }

    #[test]
    fn plain_http_reaches_this_machine_only() {
        for good in ["http://127.0.0.1:9", "http://localhost:9", "http://[::1]:9/", "http://127.1:9"] {
            assert!(Client::new(&at(good)).is_ok(), "{good}");
        }
        for bad in ["http://graph.facebook.com", "http://10.0.0.1", "http://localhost.example", "http://0.0.0.0"] {
            assert!(matches!(Client::new(&at(bad)), Err(ConfigError::PlainHttp)), "{bad}");
        }
    }

    #[test]
    fn a_base_url_with_anything_extra_is_refused() {
        for bad in [
            "",
            "graph.facebook.com",
            "ftp://127.0.0.1",
            "https://u:p@h.example",
            "https://h.example/?a=b",
            "https://h.example/#f",
            "unix:/tmp/x",
        ] {
            assert!(matches!(Client::new(&at(bad)), Err(ConfigError::BaseUrl)), "{bad}");
        }
    }

    #[test]
    fn a_version_is_v_and_two_numbers() {
        for bad in ["", "26.0", "v26", "v26.", "v26.0/x", "V26.0", "v26.0.0", "v..", "v+1.0"] {
            let config = Config { version: bad.into(), ..at("http://127.0.0.1:9") };
            assert!(matches!(Client::new(&config), Err(ConfigError::Version)), "{bad}");
        }
    }

    #[test]
    fn paths_follow_the_base_and_the_version() {
        let client = Client::new(&at("http://127.0.0.1:9/proxy/")).expect("a client");
        assert_eq!(client.url(&["1", "messages"]).as_str(), "http://127.0.0.1:9/proxy/v26.0/1/messages");
    }

    #[test]
    fn a_token_is_trimmed_checked_and_never_printed() {
        let good = headers(&SecretString::from("EAAGm0PX4ZCpsBA\n")).expect("a token");
        assert_eq!(good[AUTHORIZATION], "Bearer EAAGm0PX4ZCpsBA");
        assert!(!format!("{good:?}").contains("EAAG"));
        for bad in ["", "  ", "a\nb", "a\u{0}b"] {
            assert!(matches!(headers(&SecretString::from(bad)), Err(ConfigError::Token)), "{bad:?}");
        }
    }
}
