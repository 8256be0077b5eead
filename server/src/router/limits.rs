//! How often one actor may call the management API: refused with 429 beyond it, and told on every answer.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use keyfold_domain::policy::Actor;
use keyfold_domain::problem::{Problem, ProblemCode};

use super::{Area, refuse};
use crate::rate_limits::tell_requests;
use crate::state::AppState;

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
    tell_requests(response.headers_mut(), allowance);
    response
}

fn too_many(limit: u32, wait: u32) -> Problem {
    let time = if wait == 1 { "1 second".to_owned() } else { format!("{wait} seconds") };
    let message = format!("More than {limit} requests in a minute. Wait {time} and go on more slowly.");
    Problem { retry_after: Some(wait), ..Problem::new(ProblemCode::RateLimited, message) }
}
