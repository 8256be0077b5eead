//! A JSON body that may be left out.

use axum::extract::{FromRequest, Request};
use keyfold_domain::problem::{Problem, ProblemCode};
use serde::de::DeserializeOwned;

use crate::problem::{ProblemResponse, is_json, read_json, whole_body};

/// What the body says, or the default when there is none. One that is there is read as strictly as any other.
pub(crate) struct OptionalJson<T>(pub(crate) T);

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for OptionalJson<T> {
    type Rejection = ProblemResponse;

    async fn from_request(request: Request, _: &S) -> Result<Self, ProblemResponse> {
        let (parts, body) = request.into_parts();
        let bytes = whole_body(body).await?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        if !is_json(&parts.headers) {
            return Err(Problem::new(ProblemCode::UnsupportedMediaType, "Send the body as `Content-Type: application/json`.").into());
        }
        Ok(Self(read_json(&bytes)?))
    }
}
