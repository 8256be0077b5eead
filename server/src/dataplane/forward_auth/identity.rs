//! What an application is told about a request that may pass. Always all of it: a header that were left out would leave one
//! of the same name standing that the client sent.

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use keyfold_domain::scope::ScopeName;
use keyfold_domain::verdict::ResourceRef;
use keyfold_engine::KeyRecord;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// The identity headers. One hyphen each, so that there is one other way to spell it that an application could take for it.
pub(crate) const IDENTITY: [&str; 9] = [
    "keyfold-key",
    "keyfold-name",
    "keyfold-owner",
    "keyfold-workspace",
    "keyfold-kind",
    "keyfold-scopes",
    "keyfold-resource",
    "keyfold-resources",
    "keyfold-code",
];

/// The identity headers for a key and what the request with it is about.
pub(super) fn of_key(key: &KeyRecord, resource: Option<&ResourceRef>, code: &str) -> HeaderMap {
    let scopes: Vec<&str> = key.effective().iter().map(ScopeName::as_str).collect();
    let resources: Vec<String> = key.resources().into_iter().flatten().map(|tied| escaped(&tied.to_string())).collect();
    headers([
        key.id().as_str(),
        &escaped(key.name()),
        &escaped(&key.owner().username),
        key.workspace(),
        key.kind().as_str(),
        &scopes.join(" "),
        &resource.map(|resource| escaped(&resource.to_string())).unwrap_or_default(),
        &resources.join(" "),
        code,
    ])
}

/// The identity headers of a request that passes without a key.
pub(super) fn of_nobody(code: &str) -> HeaderMap {
    headers(["", "", "", "", "", "", "", "", code])
}

/// The values in the order of [`IDENTITY`].
fn headers(values: [&str; IDENTITY.len()]) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(IDENTITY.len() + 4);
    for (name, value) in IDENTITY.into_iter().zip(values) {
        // Everything that people choose has been escaped; the rest is made of letters, digits and signs.
        let value = HeaderValue::from_str(value).unwrap_or(const { HeaderValue::from_static("") });
        headers.insert(HeaderName::from_static(name), value);
    }
    headers
}

/// What does not stand in a header as it is: what is not visible, `%`, and what separates values in a header. What is not
/// ASCII is escaped in any case.
const ESCAPED: &AsciiSet = &CONTROLS.add(b' ').add(b'%').add(b',').add(b';').add(b'"').add(b'\\');

/// The text in visible ASCII.
fn escaped(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_break_a_header() {
        assert_eq!(escaped("Nightly report"), "Nightly%20report");
        assert_eq!(escaped("Zürich, 100%\r\nKeyfold-Owner: root"), "Z%C3%BCrich%2C%20100%25%0D%0AKeyfold-Owner:%20root");
        assert_eq!(escaped("collection:a/b"), "collection:a/b");
        let all: String = (0..=127).map(char::from).collect();
        let kept: String = (b'!'..=b'~').filter(|byte| !b"%,;\"\\".contains(byte)).map(char::from).collect();
        assert_eq!(escaped(&kept), kept);
        assert!(escaped(&all).bytes().all(|byte| byte == b'%' || kept.as_bytes().contains(&byte)));
        assert_eq!(escaped(" %,;\"\\\u{0}\u{1f}\u{7f}"), "%20%25%2C%3B%22%5C%00%1F%7F");
    }

    #[test]
    fn all_headers_are_there_whoever_it_is() {
        let nobody = of_nobody("public");
        assert!(IDENTITY.iter().all(|name| nobody.contains_key(*name)));
        assert_eq!((nobody["keyfold-key"].as_bytes(), nobody["keyfold-code"].as_bytes()), (&b""[..], &b"public"[..]));
    }
}
