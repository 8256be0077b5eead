//! Our own API under `/v1`, for scripts: one file per noun, mirroring the engine's services. Handlers extract, make one
//! call and map its result; who may do what is decided behind them.
//!
//! `whoami` and `verify` are not here: they are answered before the router, by `dataplane`. They are in the document.

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::AppState;

mod body;
mod caller;
mod headers;
mod keys;
pub(crate) mod moments;
mod openapi;
mod query;
mod resources;
pub(crate) mod schemas;
mod scopes;
mod workspaces;

pub(crate) use keys::bodies::{IssuedKeyBody, KeyBody};
pub(crate) use keys::rotation::RotatedKeyBody;
pub use openapi::openapi_document;
pub(crate) use resources::ResourceBody;

/// Every route under `/v1` that the router answers, with its part of the OpenAPI document.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(openapi::skeleton())
        .routes(routes!(openapi::get_openapi))
        .routes(routes!(workspaces::list_workspaces))
        .routes(routes!(workspaces::get_workspace))
        .routes(routes!(keys::list_keys, keys::create_key))
        .routes(routes!(keys::get_key, keys::update_key, keys::delete_key))
        .routes(routes!(keys::rotation::rotate_key))
        .routes(routes!(keys::rotation::list_secrets))
        .routes(routes!(keys::rotation::end_secret))
        .routes(routes!(keys::usage::get_key_usage))
        .routes(routes!(keys::usage::export_key_usage))
        .routes(routes!(keys::deactivate_key))
        .routes(routes!(keys::activate_key))
        .routes(routes!(resources::list_resources, resources::create_resource))
        .routes(routes!(resources::get_resource, resources::update_resource, resources::delete_resource))
        .routes(routes!(scopes::list_scopes, scopes::create_scope))
        .routes(routes!(scopes::get_scope, scopes::update_scope, scopes::delete_scope))
}
