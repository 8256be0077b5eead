//! Our own API under `/v1`, for scripts: one file per noun, mirroring the engine's services. Handlers extract, make one
//! call and map its result; who may do what is decided behind them.
//!
//! `whoami`, `verify` and forward-auth are not here: they are answered before the router, by `dataplane`. They are in the
//! document.

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::AppState;

mod all_keys;
mod audit;
mod batches;
mod body;
mod caller;
mod headers;
mod invitations;
mod keys;
mod left_keys;
mod members;
pub(crate) mod moments;
mod nodes;
mod openapi;
mod outages;
mod policies;
mod query;
mod resources;
mod routes;
pub(crate) mod schemas;
mod scopes;
mod users;
mod workspaces;

pub(crate) use keys::bodies::{IssuedKeyBody, KeyBody};
pub(crate) use keys::explanation::CheckBody;
pub(crate) use keys::rotation::RotatedKeyBody;
pub(crate) use nodes::NodeBody;
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
        .routes(routes!(keys::explanation::explain_key))
        .routes(routes!(keys::deactivate_key))
        .routes(routes!(keys::activate_key))
        .routes(routes!(batches::preview_batch))
        .routes(routes!(batches::run_batch))
        .routes(routes!(batches::get_batch))
        .routes(routes!(all_keys::list_all_keys))
        .routes(routes!(all_keys::preview_batch_of_all))
        .routes(routes!(all_keys::run_batch_of_all))
        .routes(routes!(all_keys::get_batch_of_all))
        .routes(routes!(policies::get_policy, policies::update_policy))
        .routes(routes!(outages::get_outages, outages::update_outages))
        .routes(routes!(policies::preview_policy))
        .routes(routes!(policies::apply_policy))
        .routes(routes!(policies::get_instance_policy, policies::update_instance_policy))
        .routes(routes!(policies::preview_instance_policy))
        .routes(routes!(policies::apply_instance_policy))
        .routes(routes!(audit::list_audit))
        .routes(routes!(audit::export_audit))
        .routes(routes!(audit::verify_audit))
        .routes(routes!(audit::list_instance_audit))
        .routes(routes!(audit::export_instance_audit))
        .routes(routes!(audit::verify_instance_audit))
        .routes(routes!(nodes::list_nodes))
        .routes(routes!(members::list_members, members::add_member))
        .routes(routes!(members::update_member, members::remove_member))
        .routes(routes!(members::limit_member))
        .routes(routes!(invitations::list_invitations, invitations::create_invitation))
        .routes(routes!(invitations::delete_invitation))
        .routes(routes!(left_keys::list_left_keys, left_keys::decide_left_keys))
        .routes(routes!(users::list_users, users::create_user))
        .routes(routes!(users::get_user, users::update_user))
        .routes(routes!(users::disable_user))
        .routes(routes!(users::enable_user))
        .routes(routes!(users::create_reset_link))
        .routes(routes!(workspaces::admin::list_all_workspaces, workspaces::admin::create_workspace))
        .routes(routes!(workspaces::admin::rename_workspace, workspaces::admin::delete_workspace))
        .routes(routes!(resources::list_resources, resources::create_resource))
        .routes(routes!(resources::get_resource, resources::update_resource, resources::delete_resource))
        .routes(routes!(scopes::list_scopes, scopes::create_scope))
        .routes(routes!(routes::get_routes, routes::update_routes))
        .routes(routes!(routes::list_route_versions))
        .routes(routes!(routes::get_route_version))
        .routes(routes!(routes::list_route_presets))
        .routes(routes!(routes::test_routes))
        .routes(routes!(routes::import_routes))
        .routes(routes!(scopes::get_scope, scopes::update_scope, scopes::delete_scope))
}
