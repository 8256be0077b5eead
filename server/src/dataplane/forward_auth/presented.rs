//! The key in a request that a proxy asks about, and headers that have no business in one.

use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use keyfold_domain::problem::{Problem, ProblemCode};
use percent_encoding::percent_decode_str;

use super::Refusal;
use crate::auth::bearer;

const X_API_KEY: &str = "x-api-key";
/// The name of the parameter in the query.
pub(in crate::dataplane) const API_KEY: &str = "api-key";
/// What every identity header starts with.
const OURS: &str = "keyfold-";

/// The one key that the request carries, in `Authorization: Bearer`, in `X-Api-Key` or as `?api-key=`; the same one in
/// several places is one. `query` is that of the request that is asked about.
pub(super) fn presented<'r>(headers: &'r HeaderMap, query: Option<&'r str>) -> Result<Option<&'r str>, Refusal> {
    if headers.get_all(AUTHORIZATION).iter().nth(1).is_some() {
        return Err(Refusal::invalid("Authorization is there more than once. Send one key, once."));
    }
    let unreadable = |_| Problem::new(ProblemCode::Unauthenticated, "Send the key as `Authorization: Bearer …` or as `X-Api-Key: …`.");
    let in_authorization = bearer(headers).map_err(|problem| Refusal::of(&unreadable(problem)))?;
    let all = [in_authorization, in_header(headers)?, query.map_or(Ok(None), in_query)?];
    let mut given = all.into_iter().flatten();
    let Some(first) = given.next() else { return Ok(None) };
    if given.any(|other| other != first) {
        return Err(Refusal::invalid("There are two different keys in this request. Send one key, once."));
    }
    Ok(Some(first))
}

fn in_header(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let mut values = headers.get_all(X_API_KEY).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(_), Some(_)) => Err(Refusal::invalid("X-Api-Key is there more than once. Send one key, once.")),
        // What is not even text is no key; that it is none is said when it is looked for.
        (Some(value), None) => Ok(Some(value.to_str().unwrap_or("?")).filter(|text| !text.is_empty())),
    }
}

/// The value of `api-key` in a query. It is found letter for letter or not at all: whoever has to take it out again before
/// the application sees it must find it as surely as it is found here.
fn in_query(query: &str) -> Result<Option<&str>, Refusal> {
    let mut found = None;
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if name != API_KEY {
            if is_spelt_otherwise(name) {
                return Err(Refusal::invalid("The parameter api-key has to be written exactly so."));
            }
            continue;
        }
        if found.replace(value).is_some() {
            return Err(Refusal::invalid("The parameter api-key is there more than once. Send one key, once."));
        }
    }
    Ok(found.filter(|value| !value.is_empty()))
}

/// Would an application read the name as `api-key`, although it does not stand there like that?
fn is_spelt_otherwise(name: &str) -> bool {
    let spaced = name.replace('+', " ");
    // What is no escape stays as it is, and its % stands in no spelling of the name.
    let decoded: Vec<u8> = percent_decode_str(&spaced).collect();
    decoded.trim_ascii().eq_ignore_ascii_case(API_KEY.as_bytes())
}

/// The name of a header that pretends to be from us, in any spelling that an application could take for one of ours: many
/// read a hyphen where an underscore stands, or fold all but letters and digits into one.
pub(super) fn forged(headers: &HeaderMap) -> Option<&str> {
    let is_forged = |name: &&str| {
        name.len() >= OURS.len()
            && name.bytes().zip(OURS.bytes()).all(|(found, ours)| found == ours || (ours == b'-' && !found.is_ascii_alphanumeric()))
    };
    headers.keys().map(hyper::header::HeaderName::as_str).find(is_forged)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(headers: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        map
    }

    fn key(headers: &[(&'static str, &str)], query: &str) -> Result<Option<String>, u16> {
        let found = presented(&map(headers), Some(query)).map(|key| key.map(str::to_owned));
        found.map_err(|refusal| refusal.status())
    }

    #[test]
    fn a_key_is_found_in_each_of_its_places() {
        let found = Ok(Some("k1".to_owned()));
        assert_eq!(key(&[("authorization", "Bearer k1")], ""), found);
        assert_eq!(key(&[("x-api-key", "k1")], ""), found);
        assert_eq!(key(&[], "api-key=k1"), found);
        assert_eq!(key(&[], "a=b&api-key=k1&c"), found);
        assert_eq!(key(&[("authorization", "bearer k1"), ("x-api-key", "k1")], "api-key=k1"), found, "the same key is one key");
        assert_eq!(key(&[("x-api-key", "")], "a=b&api-key=&apikey=k"), Ok(None));
    }

    #[test]
    fn two_keys_are_none_and_neither_is_one_that_is_hard_to_take_out() {
        for (headers, query) in [
            (&[("authorization", "Bearer k1"), ("x-api-key", "k2")][..], ""),
            (&[("x-api-key", "k1")], "api-key=k2"),
            (&[("x-api-key", "k1"), ("x-api-key", "k1")], ""),
            (&[("authorization", "Bearer k1"), ("authorization", "Bearer k1")], ""),
            (&[], "api-key=k1&api-key=k1"),
            (&[], "api-key=k1&api%2Dkey=k1"),
            (&[], "%61pi-key=k1"),
            (&[], "API-KEY=k1"),
            (&[], "+api-key=k1"),
        ] {
            assert_eq!(key(headers, query), Err(400), "{headers:?} {query}");
        }
        for other in ["api%2key=k1", "api%2Dkey%=k1", "%zapi-key=k1", "api%2B-key=k1", "api%252Dkey=k1"] {
            assert_eq!(key(&[], other), Ok(None), "{other}");
        }
        assert_eq!(key(&[("authorization", "Basic YTpi"), ("x-api-key", "k1")], ""), Err(401));
        assert_eq!(key(&[("authorization", "Bearer-Token k1")], ""), Err(401));
    }

    #[test]
    fn a_forged_identity_header_is_found_in_every_spelling() {
        for name in ["keyfold-key", "keyfold_key", "keyfold-owner", "keyfold.owner", "keyfold-", "keyfold_", "keyfold~x"] {
            assert_eq!(forged(&map(&[(name, "x")])), Some(name));
        }
        for name in ["keyfol-key", "keyfoldx", "x-keyfold-key", "keyfold", "key-fold"] {
            assert_eq!(forged(&map(&[(name, "x")])), None, "{name}");
        }
    }
}
