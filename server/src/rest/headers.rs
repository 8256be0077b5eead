//! Request headers with a meaning of their own: `If-Match` and `Idempotency-Key`.

use axum::extract::FromRequestParts;
use axum::http::header::IF_MATCH;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use keyfold_domain::problem::Problem;

use crate::problem::ProblemResponse;

const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The value of a header that may be given once.
fn single<'a>(headers: &'a HeaderMap, name: &str, field: &str) -> Result<Option<&'a HeaderValue>, Problem> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(Problem::invalid(field, format!("Send {field} once."))),
        (value, None) => Ok(value),
    }
}

/// The version that a change was made from; `None` if none was named or any will do.
pub(crate) struct IfMatch(pub(crate) Option<i64>);

fn version(value: &HeaderValue) -> Result<Option<i64>, Problem> {
    let wrong =
        || Problem::invalid("If-Match", "Send the key's version in double quotes, like \"3\", as the ETag of its last answer shows it.");
    let text = value.to_str().map_err(|_| wrong())?.trim();
    if text == "*" {
        return Ok(None);
    }
    let digits = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).ok_or_else(wrong)?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    digits.parse().map(Some).map_err(|_| wrong())
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = ProblemResponse;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ProblemResponse> {
        Ok(Self(single(&parts.headers, IF_MATCH.as_str(), "If-Match")?.map(version).transpose()?.flatten()))
    }
}

/// The request names no version. Acts that hold whatever the version is say so, instead of passing over the header.
pub(crate) struct AnyVersion;

impl<S: Send + Sync> FromRequestParts<S> for AnyVersion {
    type Rejection = ProblemResponse;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ProblemResponse> {
        if parts.headers.contains_key(IF_MATCH) {
            return Err(Problem::invalid(
                "If-Match",
                "There is no version to compare with here, or the act holds for every one. Leave out If-Match.",
            )
            .into());
        }
        Ok(Self)
    }
}

/// The caller's name for this one act: sent again, it is done once.
pub(crate) struct IdempotencyKey(pub(crate) Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = ProblemResponse;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ProblemResponse> {
        let Some(value) = single(&parts.headers, IDEMPOTENCY_KEY, "Idempotency-Key")? else { return Ok(Self(None)) };
        let bytes = value.as_bytes();
        match value.to_str() {
            Ok(text) if (1..=255).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic) => Ok(Self(Some(text.to_owned()))),
            _ => Err(Problem::invalid("Idempotency-Key", "Send 1 to 255 visible ASCII characters, for instance a UUID.").into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_a_number_in_double_quotes() {
        let read = |text: &str| HeaderValue::from_str(text).ok().and_then(|value| version(&value).ok());
        assert_eq!(read("\"3\""), Some(Some(3)));
        assert_eq!(read("*"), Some(None));
        for text in ["", "3", "\"\"", "\"-1\"", "\"+1\"", "W/\"3\"", "\"3\", \"4\"", "\"99999999999999999999\""] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
