//! What a request asks for, read so strictly that no server behind a proxy can read it in another way.
//!
//! A path is split first and decoded afterwards, once. What different servers decode, fold or cut differently (encoded
//! slashes, dot segments, backslashes, `;`, something encoded twice) is refused, whatever the rules say.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The most bytes of a path with its query.
pub const MAX_TARGET: usize = 8192;
/// The most parameters of a query that a rule looks at.
const MAX_PARAMETERS: usize = 200;

/// Why a request is refused before any rule is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum UnsafeTarget {
    /// Not a method of capital letters.
    #[error("The method has to be one word of capital letters, like GET.")]
    Method,
    /// Does not start with one slash, or holds characters that no address has.
    #[error("The path has to start with one slash and to hold only characters of an address; others are written as %XX.")]
    NotAPath,
    /// More than [`MAX_TARGET`] bytes.
    #[error("The path is longer than 8,192 bytes.")]
    TooLong,
    /// Two slashes in a row.
    #[error("The path has two slashes in a row, which servers read differently.")]
    EmptySegment,
    /// `.` or `..`, however written.
    #[error("The path has a . or .. between slashes, which servers resolve differently.")]
    DotSegment,
    /// `%2F`.
    #[error("The path has an encoded slash, which some servers read as a slash.")]
    EncodedSlash,
    /// A backslash, written or encoded.
    #[error("The path has a backslash, which some servers read as a slash.")]
    Backslash,
    /// A semicolon, written or encoded.
    #[error("The path has a semicolon, after which some servers stop reading.")]
    Semicolon,
    /// A control character.
    #[error("The path has an encoded control character.")]
    Control,
    /// Not `%` and two hexadecimal digits, or not UTF-8.
    #[error("The path has a % that is not followed by two digits, or encodes no UTF-8 text.")]
    Encoding,
    /// Still encoded after it was decoded.
    #[error("The path is encoded twice.")]
    EncodedTwice,
    /// A parameter that a rule looks at is there more than once or in several spellings, or the query cannot be read.
    #[error("A parameter that the rules look at is given more than once, or in a way that servers read differently.")]
    Query,
    /// What stands in the place of a resource's id cannot be one.
    #[error("What stands in the place of a resource's id cannot be one: 1 to 200 visible characters.")]
    Resource,
}

impl UnsafeTarget {
    /// A short name for programs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::NotAPath => "not_a_path",
            Self::TooLong => "too_long",
            Self::EmptySegment => "empty_segment",
            Self::DotSegment => "dot_segment",
            Self::EncodedSlash => "encoded_slash",
            Self::Backslash => "backslash",
            Self::Semicolon => "semicolon",
            Self::Control => "control",
            Self::Encoding => "encoding",
            Self::EncodedTwice => "encoded_twice",
            Self::Query => "query",
            Self::Resource => "resource",
        }
    }
}

/// A name and its value in a query, decoded.
pub(super) type Parameter<'a> = (Cow<'a, str>, Cow<'a, str>);

/// The path and query of a request.
pub(super) struct Target<'a> {
    /// What stands between the slashes, decoded; an empty last one stands for a slash at the end.
    pub(super) segments: Vec<Cow<'a, str>>,
    query: Option<&'a str>,
    parameters: OnceCell<Result<Vec<Parameter<'a>>, UnsafeTarget>>,
}

impl<'a> Target<'a> {
    /// Reads `/path?query` as it was sent.
    pub(super) fn read(text: &'a str) -> Result<Self, UnsafeTarget> {
        if text.len() > MAX_TARGET {
            return Err(UnsafeTarget::TooLong);
        }
        let (path, query) = text.split_once('?').map_or((text, None), |(path, query)| (path, Some(query)));
        let visible = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
        let Some(rest) = path.strip_prefix('/').filter(|_| visible(text)) else { return Err(UnsafeTarget::NotAPath) };
        let segments: Vec<Cow<'a, str>> = rest.split('/').map(segment).collect::<Result<_, _>>()?;
        let inner = segments.len().saturating_sub(1);
        if segments.iter().take(inner).any(|segment| segment.is_empty()) {
            return Err(UnsafeTarget::EmptySegment);
        }
        Ok(Self { segments, query, parameters: OnceCell::new() })
    }

    /// The value of a query's parameter. One that is there twice, or also in another spelling that some servers take for
    /// the same, is no answer but a refusal: the server behind may read the other one.
    pub(super) fn parameter(&self, name: &str) -> Result<Option<&str>, UnsafeTarget> {
        let all = self.parameters.get_or_init(|| self.query.map_or(Ok(Vec::new()), parameters));
        let all = all.as_ref().map_err(|why| *why)?;
        let mut found = all.iter().filter(|(other, _)| looks_like(other, name));
        match (found.next(), found.next()) {
            (None, _) => Ok(None),
            (Some((exact, value)), None) if exact == name => Ok(Some(value)),
            _ => Err(UnsafeTarget::Query),
        }
    }
}

/// Would some server take the one for the other? They differ in upper and lower case, in `[]` and what stands in it, or in
/// dots and spaces that become underscores.
fn looks_like(found: &str, name: &str) -> bool {
    fn folded(text: &str) -> impl Iterator<Item = char> {
        text.chars().map(|found| if matches!(found, '.' | ' ') { '_' } else { found }).flat_map(char::to_lowercase)
    }
    let stem = found.split('[').next().unwrap_or_default().trim();
    folded(stem).eq(folded(name))
}

fn segment(raw: &str) -> Result<Cow<'_, str>, UnsafeTarget> {
    let text = decoded(raw, false).ok_or(UnsafeTarget::Encoding)?;
    if text.contains('/') {
        return Err(UnsafeTarget::EncodedSlash);
    }
    if text.contains('\\') {
        return Err(UnsafeTarget::Backslash);
    }
    if text.contains(';') {
        return Err(UnsafeTarget::Semicolon);
    }
    if text.chars().any(char::is_control) {
        return Err(UnsafeTarget::Control);
    }
    // Before the dots: `%252e` is both, and would be a dot only for who decodes again.
    if is_encoded(&text) {
        return Err(UnsafeTarget::EncodedTwice);
    }
    if matches!(text.trim(), "." | "..") {
        return Err(UnsafeTarget::DotSegment);
    }
    Ok(text)
}

fn parameters(query: &str) -> Result<Vec<Parameter<'_>>, UnsafeTarget> {
    // Some servers end a parameter at a semicolon as well.
    if query.contains(';') || query.split('&').count() > MAX_PARAMETERS {
        return Err(UnsafeTarget::Query);
    }
    let pair = |pair| {
        let (name, value) = str::split_once(pair, '=').unwrap_or((pair, ""));
        let (name, value) = (decoded(name, true)?, decoded(value, true)?);
        let readable = |text: &str| !text.chars().any(char::is_control) && !is_encoded(text);
        (readable(&name) && readable(&value)).then_some((name, value))
    };
    query.split('&').filter(|text| !text.is_empty()).map(|text| pair(text).ok_or(UnsafeTarget::Query)).collect()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// Is there anything that could be decoded once more?
fn is_encoded(text: &str) -> bool {
    text.as_bytes().windows(3).any(|found| found[0] == b'%' && hex(found[1]).is_some() && hex(found[2]).is_some())
}

/// Decodes `%XX`, and `+` as a space in a query; `None` if that cannot be done or gives no text.
fn decoded(raw: &str, plus: bool) -> Option<Cow<'_, str>> {
    let coded = raw.contains('%') || (plus && raw.contains('+'));
    if !coded {
        return Some(Cow::Borrowed(raw));
    }
    let mut bytes = raw.bytes();
    let mut text = Vec::with_capacity(raw.len());
    while let Some(byte) = bytes.next() {
        text.push(match byte {
            b'%' => hex(bytes.next()?)? * 16 + hex(bytes.next()?)?,
            b'+' if plus => b' ',
            other => other,
        });
    }
    String::from_utf8(text).ok().map(Cow::Owned)
}

impl fmt::Debug for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A query may hold a key.
        f.debug_struct("Target").field("segments", &self.segments).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Vec<String>, UnsafeTarget> {
        Target::read(text).map(|target| target.segments.into_iter().map(Cow::into_owned).collect())
    }

    #[test]
    fn a_path_is_split_before_it_is_decoded() {
        assert_eq!(read("/").unwrap(), [""]);
        assert_eq!(read("/a/b%20c/").unwrap(), ["a", "b c", ""]);
        assert_eq!(read("/uploads/id1%2Cid2/x").unwrap(), ["uploads", "id1,id2", "x"]);
        assert_eq!(read("/caf%C3%A9?x=/../").unwrap(), ["café"]);
        assert_eq!(read("/100%25").unwrap(), ["100%"]);
        assert_eq!(read("/...").unwrap(), ["..."]);
    }

    #[test]
    fn what_servers_read_differently_is_refused_by_its_name() {
        type Why = UnsafeTarget;
        for (path, why) in [
            ("", Why::NotAPath),
            ("a", Why::NotAPath),
            ("*", Why::NotAPath),
            ("http://a/b", Why::NotAPath),
            ("/a b", Why::NotAPath),
            ("/é", Why::NotAPath),
            ("/a#b", Why::NotAPath),
            ("/a\u{0}b", Why::NotAPath),
            ("/a\tb", Why::NotAPath),
            ("/a?b#c", Why::NotAPath),
            ("//a", Why::EmptySegment),
            ("/a//b", Why::EmptySegment),
            ("/a//", Why::EmptySegment),
            ("/.", Why::DotSegment),
            ("/a/../b", Why::DotSegment),
            ("/a/%2e%2e/b", Why::DotSegment),
            ("/a/.%2E", Why::DotSegment),
            ("/a/%20../b", Why::DotSegment),
            ("/a/..;/b", Why::Semicolon),
            ("/a;x/b", Why::Semicolon),
            ("/a%3Bx", Why::Semicolon),
            ("/a%2Fb", Why::EncodedSlash),
            ("/a%2fb", Why::EncodedSlash),
            ("/..%2f", Why::EncodedSlash),
            ("/a\\b", Why::Backslash),
            ("/a%5cb", Why::Backslash),
            ("/a%00", Why::Control),
            ("/a%0Ab", Why::Control),
            ("/%7f", Why::Control),
            ("/%252e%252e/", Why::EncodedTwice),
            ("/a%252Fb", Why::EncodedTwice),
            ("/%2541", Why::EncodedTwice),
            ("/%", Why::Encoding),
            ("/%2", Why::Encoding),
            ("/%zz", Why::Encoding),
            ("/%u002f", Why::Encoding),
            ("/%ff", Why::Encoding),
            ("/%c0%af", Why::Encoding),
        ] {
            assert_eq!(read(path), Err(why), "{path:?}");
        }
        assert_eq!(read(&format!("/{}", "a".repeat(MAX_TARGET))), Err(Why::TooLong));
    }

    #[test]
    fn a_parameter_is_read_once_or_not_at_all() {
        let value = |target: &str| Target::read(target).unwrap().parameter("collection_id").map(|found| found.map(str::to_owned));
        assert_eq!(value("/a"), Ok(None));
        assert_eq!(value("/a?"), Ok(None));
        assert_eq!(value("/a?x=1&&y"), Ok(None));
        assert_eq!(value("/a?collection_id=default"), Ok(Some("default".into())));
        assert_eq!(value("/a?x=1&collection%5Fid=a+b%2Fc"), Ok(Some("a b/c".into())));
        assert_eq!(value("/a?collection_id"), Ok(Some(String::new())));
        for twice in [
            "collection_id=a&collection_id=b",
            "collection_id=a&collection_id=a",
            "collection_id=a&Collection_Id=b",
            "COLLECTION_ID=a",
            "collection_id[]=a",
            "collection_id=a&collection_id%5B0%5D=b",
            "collection_id=a;collection_id=b",
            "collection_id=%zz",
            "collection_id=%2541",
            "collection_id=a%00",
            "x=%ff&collection_id=a",
            "collection_id=a&%20collection_id=b",
            "collection_id=a&collection.id=b",
        ] {
            assert_eq!(value(&format!("/a?{twice}")), Err(UnsafeTarget::Query), "{twice}");
        }
        assert_eq!(value(&format!("/a?{}", "x&".repeat(MAX_PARAMETERS + 1))), Err(UnsafeTarget::Query));
    }

    proptest! {
        #[test]
        fn what_is_read_can_be_read_in_no_other_way(text in "(/|\\.|%|2|e|E|5|c|f|F|a|;|\\\\|\\?){0,24}") {
            let target = format!("/{text}");
            if let Ok(segments) = read(&target) {
                let (last, inner) = segments.split_last().unwrap();
                prop_assert!(inner.iter().all(|segment| !segment.is_empty()));
                for segment in inner.iter().chain([last]) {
                    prop_assert!(!segment.contains(['/', '\\', ';']) && segment != "." && segment != "..");
                    // Decoding again, as a careless server does, changes nothing.
                    prop_assert_eq!(decoded(segment, false).unwrap_or(Cow::Borrowed(segment)), segment.as_str());
                }
            }
        }

        #[test]
        fn any_text_at_all_is_answered(text in "\\PC{0,60}") {
            let _ = read(&text);
            let _ = read(&format!("/{text}"));
        }
    }
}
