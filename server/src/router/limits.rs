//! How often one actor may call the management API: refused with 429 beyond it, and told on every answer.
//!
//! The headers are those of the IETF's draft-ietf-httpapi-ratelimit-headers-10.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use keyfold_domain::policy::Actor;
use keyfold_domain::problem::{Problem, ProblemCode};
use keyfold_engine::Allowance;

use super::{Area, refuse};
use crate::state::AppState;

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// Seconds in which the whole limit comes back.
const WINDOW: u32 = 60;

/// Counts a request under `/v1` for whoever asks, and refuses it if there were too many.
pub(super) async fn limit_requests(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let area = Area::of(&request);
    let allowance = match (&state.request_limits, request.extensions().get::<Actor>()) {
        (Some(limits), Some(actor)) if area == Area::Api => limits.count(actor),
        _ => None,
    };
    let Some(allowance) = allowance else { return next.run(request).await };
    let mut response = match allowance.retry_after {
        None => next.run(request).await,
        Some(wait) => refuse(area, &too_many(allowance.limit, wait)),
    };
    tell(response.headers_mut(), allowance);
    response
}

fn too_many(limit: u32, wait: u32) -> Problem {
    let time = if wait == 1 { "1 second".to_owned() } else { format!("{wait} seconds") };
    let message = format!("More than {limit} requests in a minute. Wait {time} and go on more slowly.");
    Problem { retry_after: Some(wait), ..Problem::new(ProblemCode::RateLimited, message) }
}

fn tell(headers: &mut HeaderMap, allowance: Allowance) {
    let Allowance { limit, remaining, whole_in, .. } = allowance;
    let policy = format!("\"requests\";q={limit};w={WINDOW}");
    let left = format!("\"requests\";r={remaining};t={whole_in}");
    for (name, text) in [(RATE_LIMIT_POLICY, policy), (RATE_LIMIT, left)] {
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(name, value);
        }
    }
}
