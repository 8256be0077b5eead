//! `Problem` as an HTTP answer (RFC 9457, `application/problem+json`), and extractors that refuse with one.

mod json;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Response, StatusCode};
use axum::response::IntoResponse;
use keyfold_domain::problem::{Problem, ProblemCode};
use keyfold_domain::verdict::Code;
use keyfold_engine::Error;
use serde::Serialize;

pub(crate) use json::{Json, is_json, read_json, too_large, whole_body, whole_body_up_to};

use crate::telemetry::RequestId;

const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");
const BEARER: HeaderValue = HeaderValue::from_static("Bearer realm=\"Keyfold\"");

/// A refusal on its way out, under the id of the request that this task is answering.
#[derive(Debug)]
pub(crate) struct ProblemResponse(pub(crate) Problem);

/// The body of the answer.
#[derive(Serialize)]
struct Wire<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    code: &'static str,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<&'a serde_json::Value>,
    request_id: &'a str,
}

impl ProblemResponse {
    /// The answer under a given request id, for who answers outside the router.
    pub(crate) fn with_request_id(problem: &Problem, id: &RequestId) -> Response<Body> {
        Self::written(problem, problem.code.as_str(), None, id)
    }

    /// The answer to a presented key that does not pass: the verdict takes the place of the problem's code.
    pub(crate) fn with_verdict(problem: &Problem, verdict: Code, id: &RequestId) -> Response<Body> {
        Self::written(problem, verdict.as_str(), None, id)
    }

    /// The problem of a stale version, for who answers it with the thing as it is now; every other problem is the error.
    pub(crate) fn stale(error: Error) -> Result<Self, Self> {
        let problem = Self::from(error);
        if problem.0.code == ProblemCode::Conflict { Ok(problem) } else { Err(problem) }
    }

    /// The answer with the thing as it is now, for who wanted to change it as it was.
    pub(crate) fn with_current(&self, current: &impl Serialize) -> Response<Body> {
        let current = serde_json::to_value(current).ok();
        Self::written(&self.0, self.0.code.as_str(), current.as_ref(), &RequestId::current())
    }

    fn written(problem: &Problem, name: &'static str, current: Option<&serde_json::Value>, id: &RequestId) -> Response<Body> {
        let code = problem.code;
        let wire = Wire {
            r#type: "about:blank",
            title: code.title(),
            status: code.status(),
            code: name,
            detail: &problem.message,
            field: problem.field.as_deref(),
            current,
            request_id: id.as_str(),
        };
        let body = serde_json::to_vec(&wire).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.headers_mut().insert(CONTENT_TYPE, PROBLEM_JSON);
        stamp(&mut response, problem);
        response
    }
}

/// The headers that go with a problem whatever its body is.
pub(crate) fn stamp(response: &mut Response<Body>, problem: &Problem) {
    if let Some(seconds) = problem.retry_after {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if problem.code == ProblemCode::Unauthenticated {
        response.headers_mut().insert(WWW_AUTHENTICATE, BEARER);
    }
}

impl IntoResponse for ProblemResponse {
    fn into_response(self) -> Response<Body> {
        Self::with_request_id(&self.0, &RequestId::current())
    }
}

impl From<Problem> for ProblemResponse {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl From<keyfold_engine::Error> for ProblemResponse {
    /// Logs what must not be sent, once, here at the boundary.
    fn from(error: keyfold_engine::Error) -> Self {
        Self(logged(&error))
    }
}

/// What may be sent of an error, after its source has been logged.
pub(crate) fn logged(error: &keyfold_engine::Error) -> Problem {
    if let Some(source) = error.source_text() {
        let request_id = RequestId::current();
        tracing::error!(%request_id, source, "a request could not be answered");
    }
    error.problem()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn body(response: Response<Body>) -> serde_json::Value {
        serde_json::from_slice(&axum::body::to_bytes(response.into_body(), 10_000).await.unwrap()).unwrap()
    }

    #[tokio::test]
    async fn a_problem_names_its_field_and_its_request() {
        let id = RequestId::generate();
        let response = ProblemResponse::with_request_id(&Problem::invalid("name", "Enter a name."), &id);
        assert_eq!((response.status().as_u16(), &response.headers()["content-type"]), (400, &PROBLEM_JSON));
        let expected = serde_json::json!({
            "type": "about:blank", "title": "The request is not valid", "status": 400, "code": "invalid",
            "detail": "Enter a name.", "field": "name", "request_id": id.as_str(),
        });
        assert_eq!(body(response).await, expected);
    }

    #[test]
    fn waiting_and_signing_in_are_said_in_headers() {
        let wait = Problem { retry_after: Some(7), ..Problem::new(ProblemCode::RateLimited, "Wait.") };
        assert_eq!(ProblemResponse(wait).into_response().headers()["retry-after"], "7");
        let stranger = ProblemResponse(Problem::new(ProblemCode::Unauthenticated, "Who?")).into_response();
        assert_eq!(stranger.headers()["www-authenticate"], BEARER);
    }

    #[tokio::test]
    async fn an_answer_carries_the_id_of_the_request_being_answered() {
        let id = RequestId::generate();
        let response = id.scope(async { ProblemResponse(Problem::not_found()).into_response() }).await;
        assert_eq!(body(response).await["request_id"], id.as_str());
    }
}
