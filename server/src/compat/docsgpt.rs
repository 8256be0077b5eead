//! What the settings page of DocsGPT asks for to make, list and delete API keys, as that project had it until April 2025.
//! Using a key (`/api/answer`, `/stream`) is DocsGPT's own.
//!
//! The credential is a token of a session that is bound to one workspace (`Authorization: Bearer …`); an API key is none, and
//! cookies are not looked at. That is why pages of any origin may call these routes: nothing that a browser adds of its own
//! accord opens them. Signing in is the exception, and for nobody else's pages.

mod choices;
mod keys;
mod session;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use keyfold_domain::problem::{Problem, ProblemCode};
use serde_json::{Value, json};

pub(crate) use session::authenticate;

use crate::problem::{logged, stamp};
use crate::state::AppState;

/// Where a session of this client begins.
const SIGN_IN: &str = "/api/generate_token";

/// The routes of this client.
pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/api/get_api_keys", get(keys::list))
        .route("/api/create_api_key", post(keys::create))
        .route("/api/delete_api_key", post(keys::delete))
        .route("/api/sources", get(choices::sources))
        .route("/api/get_prompts", get(choices::prompts))
        .route("/api/config", get(choices::config))
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn(any_origin))
        .route(SIGN_IN, get(session::no_token_for_strangers).post(session::sign_in))
}

/// May pages of other origins send this request? See above.
pub(crate) fn is_for_any_origin(path: &str) -> bool {
    path != SIGN_IN
}

/// Lets pages of any origin call and read the answers, without cookies. A browser's question whether it may is answered here.
async fn any_origin(request: Request, next: Next) -> Response<Body> {
    let asks = *request.method() == Method::OPTIONS;
    let mut response = if asks { StatusCode::OK.into_response() } else { next.run(request).await };
    open_to_all(response.headers_mut());
    response
}

/// Says that pages of any origin may read the answer.
pub(crate) fn open_to_all(headers: &mut HeaderMap) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("Content-Type, Authorization"));
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, PUT, DELETE, OPTIONS"));
}

/// A refusal on its way out.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    problem: Problem,
    /// The body where it is not the usual one.
    body: Option<Value>,
}

impl Refusal {
    /// The same status with exactly this body.
    fn saying(code: ProblemCode, body: Value) -> Self {
        Self { problem: Problem::new(code, ""), body: Some(body) }
    }

    /// 400 with the names of what was left out.
    fn missing(fields: &[&str]) -> Self {
        Problem::new(ProblemCode::Invalid, format!("Missing fields: {}", fields.join(", "))).into()
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response<Body> {
        let Self { problem, body } = self;
        let status = match problem.code {
            ProblemCode::UnsupportedMediaType => StatusCode::BAD_REQUEST,
            code => StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        };
        let body = body.unwrap_or_else(|| json!({ "success": false, "message": problem.message }));
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        stamp(&mut response, &problem);
        response
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self { problem, body: None }
    }
}

impl From<keyfold_engine::Error> for Refusal {
    fn from(error: keyfold_engine::Error) -> Self {
        logged(&error).into()
    }
}

async fn wrong_method(method: Method) -> Refusal {
    Problem::new(ProblemCode::MethodNotAllowed, format!("{method} is not possible here.")).into()
}
