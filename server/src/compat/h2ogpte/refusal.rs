//! A refusal as this client reads it: `{"code": 404, "message": "…", "error": "…"}`. Its REST half reads `code` and `message`,
//! its older half `error`.

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Response, StatusCode};
use axum::response::IntoResponse;
use keyfold_domain::problem::{Problem, ProblemCode};
use serde::Serialize;

use crate::problem::{logged, stamp};

/// A refusal on its way out.
#[derive(Debug)]
pub(crate) struct Refusal(Problem);

#[derive(Serialize)]
struct Wire<'a> {
    code: u16,
    message: &'a str,
    error: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_type: Option<&'static str>,
}

/// What the client calls one of our fields.
fn theirs(field: &str) -> &str {
    match field {
        "expires_at" => "expires_in",
        "inactivity_days" => "inactivity_interval",
        "owner" => "user_id",
        "resources" => "collection_id",
        other => other,
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response<Body> {
        let Self(problem) = self;
        let status = match problem.code {
            // The client knows 400 for a request that cannot be read.
            ProblemCode::UnsupportedMediaType => 400,
            code => code.status(),
        };
        let message = match &problem.field {
            Some(field) => format!("{}: {}", theirs(field), problem.message),
            None => problem.message.clone(),
        };
        // The key could not be checked, as against: it was checked and is no good.
        let error_type = (problem.code == ProblemCode::Unavailable).then_some("authorization_unavailable");
        let wire = Wire { code: status, message: &message, error: &message, error_type };
        let mut response = Response::new(Body::from(serde_json::to_vec(&wire).unwrap_or_default()));
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        stamp(&mut response, &problem);
        response
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl From<keyfold_engine::Error> for Refusal {
    fn from(error: keyfold_engine::Error) -> Self {
        Self(logged(&error))
    }
}
