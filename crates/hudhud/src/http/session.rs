//! The browser's side of a session: its cookie, and the proof that a request comes from our own pages.
//!
//! The cookie is `HttpOnly`, `SameSite=Strict` and for this host alone (`__Host-`), and `Secure` but for plain HTTP to
//! this very machine, where there is nobody in between. There its name holds the port: browsers share cookies among
//! the ports of a host.
//!
//! A cookie goes along with whatever another page makes the browser ask, so a request that changes something by one
//! must come from our own origin: `Sec-Fetch-Site` says so (every current browser sends it, and no script can), or
//! else `Origin` does, which must name the host that was asked.

use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, Uri, header};
use engine::access::sessions::LASTS;

use super::problem::{Kind, Problem};

const SECURE_NAME: &str = "__Host-hudhud";

/// The host that was asked, with its port.
fn host(headers: &HeaderMap) -> Option<Authority> {
    headers.get(header::HOST)?.to_str().ok()?.parse().ok()
}

fn is_this_machine(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The name of the cookie over plain HTTP to this machine.
fn loopback_name(host: &Authority) -> String {
    format!("hudhud-{}", host.port_u16().unwrap_or(80))
}

/// The session's token, if a cookie of ours holds one.
pub(super) fn token(headers: &HeaderMap) -> Option<String> {
    let loopback = host(headers).filter(|host| is_this_machine(host.host())).map(|host| loopback_name(&host));
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs: Vec<(&str, &str)> =
        cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('=')).collect();
    // Another host of the same site can set a cookie of any name but one with `__Host-`: the plain one counts here only.
    let named = |name: &str| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    named(SECURE_NAME).or_else(|| loopback.and_then(|name| named(&name)))
}

/// How the browser came: whether what it keeps is `Secure`, or a refusal where a password must not travel.
fn is_secure(headers: &HeaderMap) -> Result<bool, Problem> {
    let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
    let origin = origin.and_then(|origin| origin.parse::<Uri>().ok());
    let asked = origin.as_ref().and_then(Uri::authority).cloned().or_else(|| host(headers));
    let is_plain = origin.as_ref().map(|origin| origin.scheme_str() == Some("http"));
    match asked {
        Some(host) if is_this_machine(host.host()) => Ok(is_plain == Some(false)),
        _ if is_plain == Some(true) => Err(Problem::new(
            Kind::Forbidden,
            "This page came over plain HTTP from another machine: whoever is in between could read the password.",
            "Open it through HTTPS, by a proxy in front of Hudhud, or on the machine itself.",
        )),
        _ => Ok(true),
    }
}

/// The cookie that keeps a session in the browser.
///
/// # Errors
/// Where it would travel in the clear.
pub(super) fn cookie(headers: &HeaderMap, token: &str) -> Result<HeaderValue, Problem> {
    let rest = format!("Path=/; HttpOnly; SameSite=Strict; Max-Age={}", LASTS / 1000);
    let cookie = match (is_secure(headers)?, host(headers)) {
        (false, Some(host)) => format!("{}={token}; {rest}", loopback_name(&host)),
        _ => format!("{SECURE_NAME}={token}; Secure; {rest}"),
    };
    HeaderValue::from_str(&cookie)
        .map_err(|_| Problem::new(Kind::Unreadable, "The Host header is odd.", "Send another."))
}

/// The cookies that take a session out of the browser, whichever way it came.
pub(super) fn no_cookies(headers: &HeaderMap) -> Vec<HeaderValue> {
    let rest = "Path=/; HttpOnly; SameSite=Strict; Max-Age=0";
    let plain = host(headers).map(|host| format!("{}=; {rest}", loopback_name(&host)));
    [Some(format!("{SECURE_NAME}=; Secure; {rest}")), plain]
        .into_iter()
        .flatten()
        .filter_map(|cookie| HeaderValue::from_str(&cookie).ok())
        .collect()
}

/// Refuses a request that changes something and comes from another site's page. `must_tell`: a browser is asking, by a
/// cookie, and so must say where from.
pub(super) fn same_site(method: &Method, headers: &HeaderMap, must_tell: bool) -> Result<(), Problem> {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let is_ours = match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) => site == "same-origin",
        (None, Some(origin)) => {
            let origin = origin.parse::<Uri>().ok().and_then(|origin| origin.authority().cloned());
            origin.is_some() && origin == host(headers)
        }
        (None, None) => !must_tell,
    };
    if is_ours {
        return Ok(());
    }
    Err(Problem::new(
        Kind::Forbidden,
        "This request comes from another site's page, or does not say where from.",
        "Use the console's own pages; a program shows an API key instead of a cookie.",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn the_cookie_is_strict_and_secure_but_for_plain_http_to_this_machine() {
        let made = |pairs: &[(&'static str, &str)]| {
            cookie(&headers(pairs), "t0ken").map(|cookie| cookie.to_str().unwrap().to_owned())
        };
        let https = made(&[("host", "hudhud.example.com"), ("origin", "https://hudhud.example.com")]).unwrap();
        assert_eq!(https, "__Host-hudhud=t0ken; Secure; Path=/; HttpOnly; SameSite=Strict; Max-Age=43200");
        for host in ["localhost:8080", "127.0.0.1:8080", "[::1]:8080"] {
            let local = made(&[("host", host), ("origin", &format!("http://{host}"))]).unwrap();
            assert_eq!(local, "hudhud-8080=t0ken; Path=/; HttpOnly; SameSite=Strict; Max-Age=43200");
        }
        assert!(made(&[("host", "hudhud.example.com")]).unwrap().contains("Secure"), "a program that does not tell");
        let refused = made(&[("host", "10.0.0.7:8080"), ("origin", "http://10.0.0.7:8080")]).unwrap_err();
        assert_eq!(refused.status, 403);
    }

    #[test]
    fn a_plain_cookie_counts_on_this_machine_alone() {
        let found = |host: &str, cookies: &str| token(&headers(&[("host", host), ("cookie", cookies)]));
        assert_eq!(found("localhost:8080", "a=b; hudhud-8080=x").as_deref(), Some("x"));
        assert_eq!(found("localhost:8080", "hudhud-9090=x"), None, "another Hudhud's, on this machine too");
        assert_eq!(found("hudhud.example.com", "hudhud-80=x"), None, "any host of the site can set that");
        assert_eq!(found("hudhud.example.com", "hudhud-80=x; __Host-hudhud=y").as_deref(), Some("y"));
        assert_eq!(found("localhost.example.com:8080", "hudhud-8080=x"), None);
    }

    #[test]
    fn what_changes_something_must_come_from_our_own_pages() {
        let asked = |pairs: &[(&'static str, &str)], must_tell| {
            let mut all = vec![("host", "hudhud.example.com")];
            all.extend_from_slice(pairs);
            same_site(&Method::POST, &headers(&all), must_tell).is_ok()
        };
        assert!(asked(&[("sec-fetch-site", "same-origin")], true));
        for site in ["cross-site", "same-site", "none", "rubbish"] {
            assert!(!asked(&[("sec-fetch-site", site), ("origin", "https://hudhud.example.com")], true), "{site}");
        }
        assert!(asked(&[("origin", "https://hudhud.example.com")], true));
        for origin in ["https://evil.example.com", "null", "https://hudhud.example.com:444", ""] {
            assert!(!asked(&[("origin", origin)], true), "{origin}");
        }
        assert!(!asked(&[], true) && asked(&[], false), "a program without a cookie need not tell");
        assert!(same_site(&Method::GET, &headers(&[("sec-fetch-site", "cross-site")]), true).is_ok());
    }
}
