//! The web console: the build in `web/dist`, embedded in the executable, and the few lines that serve it.
//!
//! Owns: which file answers which path, in which encoding, and how long browsers may keep it. The build is made by
//! `deploy/build.sh`; an executable that was compiled without it serves the API and a page that says how to get the
//! console.
//!
//! Must not know: anything but the HTTP API, and that only inside the browser.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use rust_embed::{EmbeddedFile, RustEmbed};

#[derive(RustEmbed)]
#[folder = "web/dist/"]
#[allow_missing = true]
struct Dist;

const INDEX: &str = "index.html";
const NOT_BUILT: &str = include_str!("not_built.html");
/// What the build compresses ahead, the smallest first: the name in the header, and the end of the file's name.
const ENCODINGS: [(&str, &str); 2] = [("br", ".br"), ("gzip", ".gz")];

/// Whether this executable carries the console.
#[must_use]
pub fn is_built() -> bool {
    Dist::get(INDEX).is_some()
}

/// The console's answer to `GET path` with these headers, if it has one.
///
/// A file of the build answers under its own path. Any other path is a page of the console when the caller asked for
/// a page (its `Accept` names `text/html`), since the browser's router resolves it.
#[must_use]
pub fn answer(path: &str, headers: &HeaderMap) -> Option<Response<Body>> {
    let name = path.trim_start_matches('/');
    if !name.is_empty()
        && let Some(file) = file(name, headers)
    {
        return Some(file);
    }
    let wants_page = text(headers, &header::ACCEPT).contains("text/html");
    if name.is_empty() || wants_page {
        return Some(file(INDEX, headers).unwrap_or_else(not_built));
    }
    None
}

fn file(name: &str, headers: &HeaderMap) -> Option<Response<Body>> {
    let plain = Dist::get(name)?;
    let (found, encoding) = smallest(name, text(headers, &header::ACCEPT_ENCODING)).unwrap_or((plain, None));
    let tag =
        format!("\"{}\"", found.metadata.sha256_hash()[..16].iter().map(|b| format!("{b:02x}")).collect::<String>());
    let is_known = text(headers, &header::IF_NONE_MATCH).split(',').any(|known| known.trim() == tag);
    let mut answer = if is_known {
        let mut answer = Response::new(Body::empty());
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
        answer
    } else {
        Response::new(Body::from(found.data))
    };
    // Files under assets/ carry the hash of their content in their name; everything else is asked for each time.
    let keep = if name.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    let headers = answer.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(keep));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Some(encoding) = encoding {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    for (name, value) in [(header::CONTENT_TYPE, kind(name)), (header::ETAG, tag)] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    Some(answer)
}

/// The compressed file of that name that the caller takes, if the build has one.
fn smallest(name: &str, accepted: &str) -> Option<(EmbeddedFile, Option<&'static str>)> {
    let takes = |encoding: &str| {
        accepted.split(',').any(|word| {
            let (name, quality) = word.split_once(';').unwrap_or((word, ""));
            name.trim() == encoding && !matches!(quality.trim(), "q=0" | "q=0.0")
        })
    };
    ENCODINGS
        .iter()
        .filter(|(encoding, _)| takes(encoding))
        .find_map(|(encoding, end)| Some((Dist::get(&format!("{name}{end}"))?, Some(*encoding))))
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The media type of a file, by the end of its name: the build holds these kinds and no others.
fn kind(name: &str) -> String {
    let kind = match name.rsplit_once('.').map_or("", |(_, end)| end) {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" => "application/json",
        "svg" => "image/svg+xml",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    };
    kind.to_owned()
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

    fn asking(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    fn page() -> HeaderMap {
        asking(&[(header::ACCEPT, "text/html,application/xhtml+xml")])
    }

    #[test]
    fn the_root_always_has_a_page_with_or_without_a_build() {
        let answer = answer("/", &HeaderMap::new()).unwrap();
        let kind = answer.headers()[header::CONTENT_TYPE].to_str().unwrap();
        assert!(kind.starts_with("text/html"), "{kind}");
        assert!(answer.status().is_success());
    }

    #[test]
    fn an_unknown_path_is_a_page_only_for_those_who_ask_for_one() {
        assert!(answer("/campaigns/12", &page()).is_some());
        assert!(answer("/campaigns/12", &HeaderMap::new()).is_none());
        assert!(answer("/assets/../Cargo.toml", &HeaderMap::new()).is_none());
    }

    #[test]
    fn the_page_without_a_build_says_how_to_make_one() {
        assert!(NOT_BUILT.contains("deploy/build.sh") && NOT_BUILT.contains("/api/openapi.json"));
    }

    #[test]
    fn a_build_is_served_compressed_to_those_who_take_it_and_kept_by_the_hash_in_its_name() {
        // Without a build there is nothing to serve: `deploy/build.sh` makes it before the tests run.
        let Some(script) = Dist::iter().find(|name| name.starts_with("assets/") && name.ends_with(".js")) else {
            return;
        };
        let plain = answer(&format!("/{script}"), &HeaderMap::new()).unwrap();
        assert_eq!(plain.headers().get(header::CONTENT_ENCODING), None);
        assert_eq!(plain.headers()[header::CACHE_CONTROL], "public, max-age=31536000, immutable");
        for (asked, given) in [("gzip, deflate, br", "br"), ("gzip", "gzip"), ("br;q=0, gzip", "gzip")] {
            let headers = asking(&[(header::ACCEPT_ENCODING, asked)]);
            let answer = answer(&format!("/{script}"), &headers).unwrap();
            assert_eq!(answer.headers()[header::CONTENT_ENCODING], given, "{asked}");
            assert_eq!(answer.headers()[header::VARY], "accept-encoding");
            assert_eq!(answer.headers()[header::CONTENT_TYPE], "text/javascript; charset=utf-8");
        }
    }

    #[test]
    fn a_page_that_the_browser_has_is_not_sent_again() {
        if !is_built() {
            return;
        }
        let first = answer("/", &page()).unwrap();
        assert_eq!(first.headers()[header::CACHE_CONTROL], "no-cache");
        let mut again = page();
        again.insert(header::IF_NONE_MATCH, first.headers()[header::ETAG].clone());
        assert_eq!(answer("/", &again).unwrap().status(), StatusCode::NOT_MODIFIED);
    }
}
