//! How often one actor may call the management API: refused with 429 beyond it, and told on every answer.

use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use keyfold_domain::policy::Actor;
use keyfold_domain::problem::{Problem, ProblemCode};

use super::{Area, refuse};
use crate::compat::docsgpt;
use crate::rate_limits::tell_requests;
use crate::state::AppState;

/// Counts a request of a program for whoever asks, and refuses it if there were too many. Our own and the other products'
/// clients are counted together; pages are not counted.
pub(super) async fn limit_requests(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let area = Area::of(&request);
    let allowance = match (&state.request_limits, request.extensions().get::<Actor>()) {
        (Some(limits), Some(actor)) if is_counted(area, request.method()) => limits.count(actor),
        _ => None,
    };
    let Some(allowance) = allowance else { return next.run(request).await };
    let mut response = match allowance.retry_after {
        None => next.run(request).await,
        Some(wait) => {
            let mut refusal = refuse(area, &too_many(allowance.limit, wait));
            if area == Area::Docsgpt && docsgpt::is_for_any_origin(request.uri().path()) {
                docsgpt::open_to_all(refusal.headers_mut());
            }
            refusal
        }
    };
    tell_requests(response.headers_mut(), allowance);
    response
}

/// A browser's question whether a page may ask DocsGPT's routes carries no credential, and is nobody's request.
fn is_counted(area: Area, method: &Method) -> bool {
    match area {
        Area::Api | Area::H2ogpte => true,
        Area::Docsgpt => *method != Method::OPTIONS,
        Area::Function | Area::Page => false,
    }
}

fn too_many(limit: u32, wait: u32) -> Problem {
    let time = if wait == 1 { "1 second".to_owned() } else { format!("{wait} seconds") };
    let message = format!("More than {limit} requests in a minute. Wait {time} and go on more slowly.");
    Problem { retry_after: Some(wait), ..Problem::new(ProblemCode::RateLimited, message) }
}
