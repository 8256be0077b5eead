//! The wire shapes of other products' clients, translated onto the same services as everything else. Nothing outside this
//! folder knows these shapes, and nothing in here decides what may be done.
//!
//! | Paths | Client | Credential |
//! |---|---|---|
//! | `/api/v1`, `/rpc` | the Python package `h2ogpte` | a management key |
//! | other paths below `/api` | the settings page of DocsGPT | a session bound to one workspace |
//!
//! No cookie opens any of them.

pub(crate) mod docsgpt;
pub(crate) mod h2ogpte;

use axum::Router;

use crate::state::AppState;

/// Every route of another product's client.
pub(crate) fn routes() -> Router<AppState> {
    h2ogpte::routes().merge(docsgpt::routes())
}
