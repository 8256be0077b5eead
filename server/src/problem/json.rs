//! A JSON body, read strictly.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use keyfold_domain::problem::{Problem, ProblemCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::ProblemResponse;
use crate::router::{MAX_BODY, body_limit};

/// A body of type `application/json`: one JSON value of the expected shape, at most 64 KiB unless the path
/// is for larger ones. Another type is 415, a larger
/// body 413; a syntax error, an unknown, missing or repeated field and a wrong type are 400 and name the field.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = ProblemResponse;

    async fn from_request(request: Request, _: &S) -> Result<Self, ProblemResponse> {
        if !is_json(request.headers()) {
            return Err(Problem::new(ProblemCode::UnsupportedMediaType, "Send the body as `Content-Type: application/json`.").into());
        }
        let most = body_limit(request.uri().path());
        let bytes = whole_body_up_to(request.into_body(), most).await?;
        Ok(Self(read_json(&bytes)?))
    }
}

/// The bytes of a body, unless they are too many.
pub(crate) async fn whole_body<B>(body: B) -> Result<Bytes, Problem>
where
    B: hyper::body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    whole_body_up_to(body, MAX_BODY).await
}

/// The bytes of a body, unless they are more than that.
pub(crate) async fn whole_body_up_to<B>(body: B, most: usize) -> Result<Bytes, Problem>
where
    B: hyper::body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    match Limited::new(body, most).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large(most)),
        Err(_) => Err(Problem::new(ProblemCode::Invalid, "The body ended before it was complete.")),
    }
}

/// What to say of a body over the limit.
pub(crate) fn too_large(most: usize) -> Problem {
    Problem::new(ProblemCode::PayloadTooLarge, format!("Send at most {} KiB.", most / 1024))
}

/// `application/json`, with or without `charset=utf-8`.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(only), None) = (types.next(), types.next()) else { return false };
    if only.as_bytes() == b"application/json" {
        return true;
    }
    let Ok(text) = only.to_str() else { return false };
    let mut parts = text.split(';').map(str::trim);
    parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"))
        && parts.all(|parameter| parameter.eq_ignore_ascii_case("charset=utf-8") || parameter.eq_ignore_ascii_case("charset=\"utf-8\""))
}

/// Reads a body, or says which field is wrong and why without repeating its value.
pub(crate) fn read_json<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, Problem> {
    // A list would be taken as the fields of an object, in their order.
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        return Err(Problem::new(ProblemCode::Invalid, "Send an object: {…}."));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        explain(&path, error.inner())
    })?;
    json.end().map_err(|_| Problem::new(ProblemCode::Invalid, "Send one JSON value and nothing after it."))?;
    Ok(value)
}

/// What is wrong with the body, in words that never repeat a value of it: it may be a secret.
fn explain(path: &str, error: &serde_json::Error) -> Problem {
    if !error.is_data() {
        let message = format!("The body is not valid JSON (line {}, column {}).", error.line(), error.column());
        return Problem::new(ProblemCode::Invalid, message);
    }
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
    if let Some(name) = quoted_after(text, "unknown field `") {
        return Problem::invalid(shown(&child(path, name)), "There is no such field here.");
    }
    if let Some(name) = quoted_after(text, "missing field `") {
        return Problem::invalid(child(path, name), "This field is required.");
    }
    if let Some(name) = quoted_after(text, "duplicate field `") {
        return Problem::invalid(child(path, name), "This field is given twice.");
    }
    let foreign = ["invalid type: ", "invalid value: ", "invalid length ", "unknown variant "].iter().any(|start| text.starts_with(start));
    let message = match text.rsplit_once(", expected ") {
        Some((_, expected)) => format!("Expected {}.", in_json(expected)),
        None if foreign => "This value is not accepted.".to_owned(),
        // The words of our own types' refusals.
        None => format!("Not accepted: {}.", text.trim_end_matches('.')),
    };
    if path == "." { Problem::new(ProblemCode::Invalid, message) } else { Problem::invalid(shown(path), message) }
}

/// What was expected, in words of JSON instead of Rust.
fn in_json(expected: &str) -> &str {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" | "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "a sequence" => "a list",
        "a map" => "an object",
        _ if expected.starts_with("struct ") => "an object",
        _ => expected,
    }
}

fn quoted_after<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    text.strip_prefix(start)?.split('`').next()
}

fn child(path: &str, name: &str) -> String {
    // For these errors the path may or may not already end with the name itself.
    if path == "." {
        name.to_owned()
    } else if path == name || path.ends_with(&format!(".{name}")) {
        path.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// A name from outside, short and without control characters.
fn shown(name: &str) -> String {
    name.chars().filter(|found| !found.is_control()).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use keyfold_domain::key::NewKey;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its shape matters")]
    struct Outer {
        name: String,
        #[serde(default)]
        inner: Option<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its shape matters")]
    struct Inner {
        count: u32,
    }

    fn refusal<T: DeserializeOwned>(body: &str) -> Problem {
        read_json(body.as_bytes()).map(|_: T| ()).err().unwrap()
    }

    #[test]
    fn each_fault_names_its_field() {
        let cases = [
            (r#"{"name":"a","role":"owner"}"#, Some("role"), "There is no such field here."),
            (r"{}", Some("name"), "This field is required."),
            (r#"{"name":"a","name":"b"}"#, Some("name"), "This field is given twice."),
            (r#"{"name":5}"#, Some("name"), "Expected a string."),
            (r#"{"name":null}"#, Some("name"), "Expected a string."),
            (r#"{"name":"a","inner":{"count":-1}}"#, Some("inner.count"), "Expected a whole number."),
            (r#"{"name":"a","inner":{"count":1,"x":2}}"#, Some("inner.x"), "There is no such field here."),
            (r#"{"name":"a"} {}"#, None, "Send one JSON value and nothing after it."),
            (r#"{"name":"a""#, None, "The body is not valid JSON (line 1, column 11)."),
            ("", None, "The body is not valid JSON (line 1, column 0)."),
            (r#"{"name":"\ud800"}"#, None, "The body is not valid JSON (line 1, column 16)."),
            ("[\"a\"]", None, "Send an object: {…}."),
            ("1", None, "Expected an object."),
        ];
        for (body, field, message) in cases {
            let problem = refusal::<Outer>(body);
            assert_eq!((problem.field.as_deref(), problem.code), (field, ProblemCode::Invalid), "{body}: {problem:?}");
            assert_eq!(problem.message, message, "{body}");
        }
    }

    #[test]
    fn no_refusal_repeats_a_value() {
        for body in [
            r#"{"kind":"canary","scopes":["chat"]}"#,
            r#"{"kind":"secret","scopes":"canary"}"#,
            r#"{"kind":"secret","scopes":["chat"],"inactivity_days":"canary"}"#,
            r#"{"kind":"secret","scopes":["chat"],"owner":"canary"}"#,
            r#""canary""#,
        ] {
            assert!(!refusal::<NewKey>(body).message.contains("canary"), "{body}");
        }
    }

    #[test]
    fn a_hostile_body_is_refused_quickly() {
        let deep = "{\"a\":".repeat(10_000);
        assert_eq!(refusal::<serde_json::Value>(&deep).code, ProblemCode::Invalid);
        assert_eq!(read_json::<Outer>(b"{\"name\":\"\xff\"}").err().unwrap().code, ProblemCode::Invalid);
        let long = refusal::<Outer>(&format!(r#"{{"name":"a","{}":1}}"#, "x".repeat(5000)));
        assert_eq!(long.field.unwrap().len(), 64);
    }

    #[test]
    fn only_the_json_type_is_read_as_json() {
        let with = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, value.parse().unwrap());
            is_json(&headers)
        };
        assert!(with("application/json") && with("Application/JSON; charset=UTF-8"));
        for other in
            ["text/plain", "application/x-www-form-urlencoded", "text/json", "application/jsonx", "application/json; charset=latin1"]
        {
            assert!(!with(other), "{other}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_too_large() {
        let problem = whole_body(Body::from(vec![b' '; MAX_BODY + 1])).await.unwrap_err();
        assert_eq!(problem.code, ProblemCode::PayloadTooLarge);
        assert_eq!(whole_body(Body::from(vec![b' '; MAX_BODY])).await.unwrap().len(), MAX_BODY);
    }
}
