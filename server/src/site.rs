//! The files of the console, carried in the binary: scripts, styles, icons. Compressed forms are made when the site is
//! built, so serving is picking one and sending it.

use std::io::{self, Read as _};

use axum::body::{Body, Bytes};
use axum::http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use flate2::read::GzDecoder;

/// One file of the site.
pub(crate) struct SiteFile {
    /// As a browser asks for it, with a leading `/`.
    pub(crate) path: &'static str,
    /// The value of `Content-Type`.
    pub(crate) content_type: &'static str,
    /// The name changes with the content, so it may be cached for ever.
    pub(crate) immutable: bool,
    /// The tag of the identity form, in quotes.
    pub(crate) etag: &'static str,
    /// The file as it is, unless it is carried compressed.
    pub(crate) identity: Option<&'static [u8]>,
    /// Compressed with brotli, if that saves anything.
    pub(crate) br: Option<&'static [u8]>,
    /// Compressed with gzip, if that saves anything.
    pub(crate) gz: Option<&'static [u8]>,
}

include!(concat!(env!("OUT_DIR"), "/site.rs"));

/// A form in which a file can be sent, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Brotli,
    Gzip,
    Identity,
}

impl Coding {
    const fn name(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Gzip => "gzip",
            Self::Identity => "identity",
        }
    }
}

/// The file in the best form the client takes, or 304 if the client has that form.
pub(crate) fn serve(file: &'static SiteFile, request: &HeaderMap) -> Response<Body> {
    let forms = [(Coding::Brotli, file.br), (Coding::Gzip, file.gz)];
    let offered = forms.into_iter().filter_map(|(coding, bytes)| bytes.map(|bytes| (coding, bytes)));
    let (coding, bytes) = match choose(offered, request) {
        Some((coding, bytes)) => (coding, Ok(Bytes::from_static(bytes))),
        None => (Coding::Identity, plain(file)),
    };
    let tag = match coding {
        Coding::Identity => file.etag.to_owned(),
        // Each form is a representation of its own (RFC 9110, 8.8.3.3).
        _ => format!("{}-{}\"", file.etag.trim_end_matches('"'), coding.name()),
    };
    let known = matches(request, &tag);
    let bytes = match bytes {
        Ok(bytes) => bytes,
        Err(error) => {
            tracing::error!(%error, path = file.path, "a file in the program cannot be unpacked");
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            return response;
        }
    };
    let mut response = Response::new(if known { Body::empty() } else { Body::from(bytes) });
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(file.content_type));
    let caching = if file.immutable { "public, max-age=31536000, immutable" } else { "public, max-age=3600" };
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(caching));
    headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    if coding != Coding::Identity {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
    }
    if let Ok(tag) = HeaderValue::try_from(tag) {
        headers.insert(ETAG, tag);
    }
    response
}

/// The file for the few clients that take it as it is only. It is unpacked for each of them: carrying it as well would make the program
/// larger by what all of the site is.
fn plain(file: &SiteFile) -> io::Result<Bytes> {
    match (file.identity, file.gz) {
        (Some(bytes), _) => Ok(Bytes::from_static(bytes)),
        (None, Some(packed)) => {
            let mut bytes = Vec::with_capacity(packed.len() * 4);
            GzDecoder::new(packed).read_to_end(&mut bytes)?;
            Ok(Bytes::from(bytes))
        }
        (None, None) => Err(io::ErrorKind::NotFound.into()),
    }
}

/// Does the client already have the form with this tag?
fn matches(request: &HeaderMap, tag: &str) -> bool {
    let lines = request.get_all(IF_NONE_MATCH).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(|entry| entry.trim().trim_start_matches("W/")).any(|entry| entry == tag || entry == "*")
}

/// The offered form that the client likes best; of those it likes equally, the first.
fn choose<T>(offered: impl Iterator<Item = (Coding, T)>, request: &HeaderMap) -> Option<(Coding, T)> {
    let mut best: Option<(u16, (Coding, T))> = None;
    for offer in offered {
        let weight = weight(request, offer.0.name());
        if weight > best.as_ref().map_or(0, |(weight, _)| *weight) {
            best = Some((weight, offer));
        }
    }
    best.map(|(_, offer)| offer)
}

/// How much the client likes a coding, in thousandths; 0 is not at all.
fn weight(request: &HeaderMap, coding: &str) -> u16 {
    let lines = request.get_all(ACCEPT_ENCODING).iter().filter_map(|line| line.to_str().ok());
    let (mut named, mut any) = (None, None);
    for entry in lines.flat_map(|line| line.split(',')) {
        let mut parts = entry.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q="))).map_or(1000, thousandths);
        if name.eq_ignore_ascii_case(coding) {
            named = Some(weight);
        } else if name == "*" {
            any = Some(weight);
        }
    }
    named.or(any).unwrap_or(0)
}

/// `0.75` is 750. What is no weight is 0.
fn thousandths(text: &str) -> u16 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{whole}{fraction:0<3}");
    if fraction.len() > 3 || whole.len() != 1 { 0 } else { digits.parse().map_or(0, |weight: u16| weight.min(1000)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: SiteFile = SiteFile {
        path: "/pkg/a.0.js",
        content_type: "text/javascript; charset=utf-8",
        immutable: true,
        etag: "\"0123\"",
        identity: Some(b"identity"),
        br: Some(b"br"),
        gz: Some(b"gzip"),
    };

    fn asked(headers: &[(axum::http::HeaderName, &'static str)]) -> Response<Body> {
        static SERVED: SiteFile = FILE;
        serve(&SERVED, &headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect())
    }

    fn sent(accept: &'static str) -> String {
        let response = asked(&[(ACCEPT_ENCODING, accept)]);
        response.headers().get(CONTENT_ENCODING).map_or("identity", |coding| coding.to_str().unwrap_or_default()).to_owned()
    }

    #[test]
    fn the_form_the_client_likes_best_is_sent() {
        for (accept, coding) in [
            ("gzip, deflate, br, zstd", "br"),
            ("gzip", "gzip"),
            ("br;q=0.5, gzip;q=0.8", "gzip"),
            ("br;q=0, gzip;q=0", "identity"),
            ("*", "br"),
            ("*, br;q=0", "gzip"),
            ("BR;Q=1.0", "br"),
            ("identity", "identity"),
            ("", "identity"),
            ("br;q=nonsense", "identity"),
        ] {
            assert_eq!(sent(accept), coding, "{accept}");
        }
        assert_eq!(asked(&[]).headers().get(CONTENT_ENCODING), None);
    }

    #[test]
    fn a_form_that_does_not_exist_is_not_promised() {
        static PLAIN: SiteFile = SiteFile { br: None, gz: None, immutable: false, ..FILE };
        let accept = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("br, gzip"))]);
        let response = serve(&PLAIN, &accept);
        assert_eq!(response.headers().get(CONTENT_ENCODING), None);
        assert_eq!(response.headers()[CACHE_CONTROL], "public, max-age=3600");
    }

    #[test]
    fn each_form_has_its_own_tag_and_caches_keep_them_apart() {
        let (plain, br) = (asked(&[]), asked(&[(ACCEPT_ENCODING, "br")]));
        assert_eq!(
            (&plain.headers()[ETAG], &br.headers()[ETAG]),
            (&HeaderValue::from_static("\"0123\""), &HeaderValue::from_static("\"0123-br\""))
        );
        assert_eq!(br.headers()[VARY], "Accept-Encoding");
        assert_eq!(br.headers()[CACHE_CONTROL], "public, max-age=31536000, immutable");
    }

    #[test]
    fn a_client_that_has_the_form_gets_only_that_word() {
        for tag in ["\"0123-br\"", "W/\"0123-br\"", "\"x\", \"0123-br\"", "*"] {
            assert_eq!(asked(&[(ACCEPT_ENCODING, "br"), (IF_NONE_MATCH, tag)]).status(), StatusCode::NOT_MODIFIED, "{tag}");
        }
        for tag in ["\"0123\"", "\"x\"", ""] {
            assert_eq!(asked(&[(ACCEPT_ENCODING, "br"), (IF_NONE_MATCH, tag)]).status(), StatusCode::OK, "{tag}");
        }
    }

    #[test]
    fn every_file_can_be_had_as_it_is() {
        for file in FILES {
            let bytes = plain(file).unwrap_or_else(|error| panic!("{}: {error}", file.path));
            assert!(!bytes.is_empty() && bytes.len() >= file.gz.map_or(0, <[u8]>::len), "{}", file.path);
            let mut response = serve(file, &HeaderMap::new());
            assert_eq!((response.status(), response.headers().get(CONTENT_ENCODING)), (StatusCode::OK, None), "{}", file.path);
            assert_eq!(response.headers_mut().remove(ETAG).unwrap(), file.etag);
        }
    }

    #[test]
    fn the_site_in_the_binary_is_sorted_and_rooted() {
        assert!(FILES.is_sorted_by(|a, b| a.path < b.path));
        assert!(FILES.iter().all(|file| file.path.starts_with('/') && file.etag.starts_with('"')));
    }
}
