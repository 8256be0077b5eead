//! What the Python package `h2ogpte` asks of a server to manage API keys: its administrators' routes for keys, and the few
//! others without which no script of it starts. Use of a key (chats, documents) is the platform's behind, not ours.
//!
//! The credential is a management key, and everything happens in its workspace. Every answer is JSON, refusals too, because
//! the client reads a message out of each. Bodies are taken as bytes: the client sends a content type without a body, and
//! a body that is left out means the same as an empty object.

mod caller;
mod collections;
mod interval;
mod keys;
mod meta;
mod read;
mod refusal;
mod users;

use axum::Router;
use axum::routing::{delete, get, patch, post};
use keyfold_domain::problem::Problem;

pub(crate) use caller::{authenticate, is_waiting};
pub(crate) use refusal::Refusal;

use crate::state::AppState;
use caller::Caller;

/// Shipped clients write `api_keys`, the vendor's pages `api-keys`.
const SPELLINGS: [(&str, &str); 2] = [("/api/v1/admin/api_keys", "inactivity_interval"), ("/api/v1/admin/api-keys", "inactivity-interval")];

/// The routes of this client.
pub(super) fn routes() -> Router<AppState> {
    let others = Router::new()
        .route("/api/v1/users", get(users::list))
        .route("/api/v1/collections", get(collections::list).post(collections::create))
        .route("/api/v1/collections/{collection_id}", get(collections::show).delete(collections::delete))
        .route("/api/v1/jobs/{job_id}", get(job))
        .route("/rpc/meta", get(meta::show));
    SPELLINGS.into_iter().fold(others, |router, (path, interval)| {
        let act = |act: &str| format!("{path}/{act}/{{key_id}}");
        router
            .route(path, get(keys::list).post(keys::create))
            .route(&act("deactivate"), post(keys::deactivate))
            .route(&act("expire"), patch(keys::expire))
            .route(&act(interval), patch(keys::set_interval))
            .route(&format!("{path}/{{key_id}}"), delete(keys::delete))
    })
}

/// Jobs are the platform's; a client that asks here for one is told so as it expects.
async fn job(_: Caller) -> Refusal {
    Problem::not_found().into()
}
