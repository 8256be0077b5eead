//! For load balancers, service managers and whoever watches. Strangers may ask whether it is well, so those answers say nothing
//! about versions or causes; the log does.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde_json::json;
use tokio::time::timeout;

use crate::metrics;
use crate::state::AppState;

/// Longer than the engine's own patience with its database.
const PATIENCE: Duration = Duration::from_secs(2);

/// The process lives.
pub(super) async fn alive() -> impl IntoResponse {
    Json(json!({ "status": "ok" }))
}

/// The server can do its work, and is not about to stop.
pub(super) async fn ready(State(state): State<AppState>) -> impl IntoResponse {
    let (code, status) = if state.is_draining() { (StatusCode::SERVICE_UNAVAILABLE, "stopping") } else { look(&state).await };
    (code, Json(json!({ "status": status })))
}

/// What is counted and measured.
pub(super) async fn figures(State(state): State<AppState>) -> impl IntoResponse {
    metrics::answer(&state)
}

async fn look(state: &AppState) -> (StatusCode, &'static str) {
    const NOT_READY: (StatusCode, &str) = (StatusCode::SERVICE_UNAVAILABLE, "not_ready");
    let Ok(found) = timeout(PATIENCE, state.engine.readiness()).await else { return NOT_READY };
    if !found.ready {
        tracing::warn!(why = found.why.join("; "), "not ready");
        NOT_READY
    } else if found.soon.is_empty() {
        (StatusCode::OK, "ready")
    } else {
        // It does its work, so nobody should take it out of service; but somebody should look at it.
        tracing::warn!(why = found.soon.join("; "), "degraded");
        (StatusCode::OK, "degraded")
    }
}
