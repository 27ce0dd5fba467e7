//! The web console: the build in `web/dist`, embedded in the executable, and the few lines that serve it.
//!
//! Owns: which file answers which path, and how long browsers may keep it. The build is made by `deploy/build.sh`; an
//! executable that was compiled without it serves the API and a page that says how to get the console.
//!
//! Must not know: anything but the HTTP API, and that only inside the browser.

use axum::body::Body;
use axum::http::{HeaderValue, Response, header};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "web/dist/"]
#[allow_missing = true]
struct Dist;

const INDEX: &str = "index.html";
const NOT_BUILT: &str = include_str!("not_built.html");

/// Whether this executable carries the console.
#[must_use]
pub fn is_built() -> bool {
    Dist::get(INDEX).is_some()
}

/// The console's answer to `GET path`, if it has one.
///
/// A file of the build answers under its own path. Any other path is a page of the console when the caller asked for
/// a page (`wants_page`: its `Accept` names `text/html`), since the browser's router resolves it.
#[must_use]
pub fn answer(path: &str, wants_page: bool) -> Option<Response<Body>> {
    let name = path.trim_start_matches('/');
    if !name.is_empty()
        && let Some(file) = file(name)
    {
        return Some(file);
    }
    if name.is_empty() || wants_page {
        return Some(file(INDEX).unwrap_or_else(not_built));
    }
    None
}

fn file(name: &str) -> Option<Response<Body>> {
    let found = Dist::get(name)?;
    // Files under assets/ carry the hash of their content in their name; everything else is asked for each time.
    let keep = if name.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    let mut answer = Response::new(Body::from(found.data));
    let headers = answer.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(keep));
    if let Ok(kind) = HeaderValue::from_str(&with_charset(found.metadata.mimetype())) {
        headers.insert(header::CONTENT_TYPE, kind);
    }
    Some(answer)
}

fn with_charset(kind: &str) -> String {
    if kind.starts_with("text/") { format!("{kind}; charset=utf-8") } else { kind.to_owned() }
}

fn not_built() -> Response<Body> {
    let mut answer = Response::new(Body::from(NOT_BUILT));
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_always_has_a_page_with_or_without_a_build() {
        let answer = answer("/", false).unwrap();
        let kind = answer.headers()[header::CONTENT_TYPE].to_str().unwrap();
        assert!(kind.starts_with("text/html"), "{kind}");
        assert!(answer.status().is_success());
    }

    #[test]
    fn an_unknown_path_is_a_page_only_for_those_who_ask_for_one() {
        assert!(answer("/campaigns/12", true).is_some());
        assert!(answer("/campaigns/12", false).is_none());
        assert!(answer("/assets/../Cargo.toml", false).is_none());
    }

    #[test]
    fn the_page_without_a_build_says_how_to_make_one() {
        assert!(NOT_BUILT.contains("deploy/build.sh") && NOT_BUILT.contains("/api/openapi.json"));
    }
}
