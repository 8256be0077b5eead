//! Query parameters, read strictly: one that is unknown or given twice is refused, not passed over.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use keyfold_domain::problem::Problem;
use serde::de::DeserializeOwned;

use crate::problem::ProblemResponse;

/// The parameters of an address, all of them known to `T`.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ProblemResponse;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ProblemResponse> {
        axum::extract::Query::try_from_uri(&parts.uri).map(|axum::extract::Query(query)| Self(query)).map_err(|rejection| {
            let text = std::error::Error::source(&rejection).map_or_else(|| rejection.to_string(), ToString::to_string);
            Problem::invalid(parameter(&text), format!("The query cannot be read: {text}.")).into()
        })
    }
}

/// What a parameter says that is either `true` or `false`; left out it is false.
pub(crate) fn flag(name: &str, text: Option<&str>) -> Result<bool, Problem> {
    match text {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(Problem::invalid(name, "Write true or false.")),
    }
}

/// The parameter that a message of the reader names in backticks or before a colon.
fn parameter(message: &str) -> String {
    let quoted = message.split('`').nth(1);
    let before_colon = || message.split_once(": ").map(|(name, _)| name).filter(|name| !name.contains(' '));
    quoted.or_else(before_colon).unwrap_or("query").to_owned()
}
