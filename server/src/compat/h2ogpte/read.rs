//! Reading what the client sends, by hand: its bodies may be left out, and every fault is a 400.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use keyfold_domain::problem::{Problem, ProblemCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Refusal;
use crate::problem::{read_json, whole_body};
use crate::state::AppState;

/// The most rows of one answer.
const MOST: u32 = 10_000;

/// A JSON body. One that is left out is an empty object; whether that will do is for the type to say.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<AppState> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &AppState) -> Result<Self, Refusal> {
        let (parts, body) = request.into_parts();
        let bytes: Bytes = whole_body(body).await?;
        if bytes.is_empty() {
            return Ok(Self(read_json(b"{}")?));
        }
        if !may_be_json(&parts.headers) {
            return Err(Problem::new(ProblemCode::Invalid, "Send the body as `Content-Type: application/json`.").into());
        }
        Ok(Self(read_json(&bytes)?))
    }
}

/// JSON of any sort, or nothing said.
fn may_be_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE) else { return true };
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence.ends_with("+json")
}

/// The parameters of an address.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<AppState> for Query<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Refusal> {
        let read = axum::extract::Query::<T>::try_from_uri(&parts.uri);
        let why = |rejection| {
            let text = std::error::Error::source(&rejection).map_or_else(|| "it is malformed".to_owned(), ToString::to_string);
            Problem::new(ProblemCode::Invalid, format!("The query cannot be read: {text}."))
        };
        Ok(Self(read.map_err(why)?.0))
    }
}

/// Which rows of a list.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Rows {
    offset: Option<String>,
    limit: Option<String>,
}

impl Rows {
    /// How many to skip and how many to show.
    pub(super) fn read(&self) -> Result<(u32, u32), Problem> {
        let number = |field: &str, text: Option<&str>, absent: u32, most: u32| match text {
            None | Some("") => Ok(absent),
            Some(text) => text
                .parse::<u32>()
                .ok()
                .filter(|number| *number <= most)
                .ok_or_else(|| Problem::invalid(field, format!("Choose a whole number from 0 to {most}."))),
        };
        Ok((number("offset", self.offset.as_deref(), 0, u32::MAX)?, number("limit", self.limit.as_deref(), 100, MOST)?))
    }

    /// Those rows of a list that is there as a whole.
    pub(super) fn of<T>(&self, all: Vec<T>) -> Result<Vec<T>, Problem> {
        let (offset, limit) = self.read()?;
        let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        Ok(all.into_iter().skip(count(offset)).take(count(limit)).collect())
    }
}
