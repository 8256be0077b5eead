//! The rows of the REST operations.

use serde_json::json;

use super::{Row, Statuses, Target};
use crate::support::{Actor, Call};

const KEYS: &str = "/v1/workspaces/acme/keys";
const MEMBERS: &str = "/v1/workspaces/acme/members";
const INVITATIONS: &str = "/v1/workspaces/acme/invitations";
const LEFT_KEYS: &str = "/v1/workspaces/acme/left-keys";
const USERS: &str = "/v1/admin/users";

const POLICY: &str = "/v1/workspaces/acme/policy";
const INSTANCE_POLICY: &str = "/v1/admin/policy";
const AUDIT: &str = "/v1/workspaces/acme/audit";

fn rules() -> serde_json::Value {
    json!({
        "max_expiry_days": null, "default_expiry_days": 90, "default_inactivity_days": null, "never_allowed": true,
        "members_may_create": true, "max_live_per_user": 500, "max_live_per_workspace": 10_000
    })
}

fn save(path: &str) -> Call {
    Call::new(axum::http::Method::PUT, path).json(&json!({ "rules": rules() }))
}

const RESOURCES: &str = "/v1/workspaces/acme/resources";
const SCOPES: &str = "/v1/workspaces/acme/scopes";
const ROUTES: &str = "/v1/workspaces/acme/routes";

fn resource(target: &Target) -> String {
    format!("{RESOURCES}/{}", target.resource)
}

fn create_resource(target: &Target) -> Call {
    Call::post(RESOURCES).json(&json!({"kind": "source", "external_id": target.fresh, "owner": target.owner}))
}

fn key(target: &Target) -> String {
    format!("{KEYS}/{}", target.key)
}

fn create(owner: Option<&str>) -> Call {
    let mut body = json!({"kind": "secret", "scopes": ["inference"]});
    if let Some(owner) = owner {
        body["owner"] = owner.into();
    }
    Call::post(KEYS).json(&body)
}

fn verify(target: &Target) -> Call {
    Call::post("/v1/verify").json(&json!({"key": target.secret}))
}

#[rustfmt::skip]
#[expect(clippy::too_many_lines, reason = "a table is as long as what it lists")]
pub(super) fn rows() -> Vec<Row> {
    // The order of `Actor::ALL`:
    // nobody, viewer, member, owner of the key, admin, foreign admin, instance admin, demoted admin, ended session,
    // data key, publishable key,
    // management key: of an admin, without scopes, of a member, foreign, stopped, expired
    let see_workspace: Statuses = [401, 200, 200, 200, 200, 404, 200, 200, 401, 403, 403, 200, 403, 200, 404, 401, 401];
    let one_key: Statuses       = [401, 404, 404, 200, 200, 404, 200, 404, 401, 403, 403, 200, 403, 404, 404, 401, 401];
    let delete: Statuses        = [401, 404, 404, 204, 204, 404, 204, 404, 401, 403, 403, 204, 403, 404, 404, 401, 401];
    let administrators: Statuses = [401, 403, 403, 403, 403, 403, 200, 403, 401, 403, 403, 403, 403, 403, 403, 401, 401];
    let people: Statuses        = [401, 403, 403, 403, 200, 404, 200, 403, 401, 403, 403, 403, 403, 403, 404, 401, 401];
    let of_instance: Statuses   = [401, 403, 403, 403, 403, 403, 200, 403, 401, 403, 403, 403, 403, 403, 403, 401, 401];
    let admins_log: Statuses    = [401, 403, 403, 403, 200, 404, 200, 403, 401, 403, 403, 200, 200, 403, 404, 401, 401];
    let read_members: Statuses  = [401, 403, 403, 403, 200, 404, 200, 403, 401, 403, 403, 200, 200, 403, 404, 401, 401];
    // No key changes members, whatever it holds.
    let manage_members = |done| -> Statuses { [401, 403, 403, 403, done, 404, done, 403, 401, 403, 403, 403, 403, 403, 404, 401, 401] };
    let instance_only = |done| -> Statuses { [401, 403, 403, 403, 403, 403, done, 403, 401, 403, 403, 403, 403, 403, 403, 401, 401] };
    // What belongs to the workspace as a whole: its admins, and their management keys.
    let manage = |done| -> Statuses { [401, 403, 403, 403, done, 404, done, 403, 401, 403, 403, done, 403, 403, 404, 401, 401] };
    // What no key does.
    let people_manage = |done| -> Statuses { [401, 403, 403, 403, done, 404, done, 403, 401, 403, 403, 403, 403, 403, 404, 401, 401] };
    let row = |act, call, expected| Row { act, call, expected };
    vec![
        row("get_openapi", |_| Call::get("/v1/openapi.json"),
            [200, 200, 200, 200, 200, 200, 200, 200, 200, 403, 403, 200, 200, 200, 200, 401, 401]),
        row("whoami", |_| Call::get("/v1/whoami"),
            [401, 401, 401, 401, 401, 401, 401, 401, 401, 200, 200, 200, 200, 200, 200, 401, 401]),
        row("verify_key", verify,
            [401, 401, 401, 401, 401, 401, 401, 401, 401, 403, 403, 200, 403, 200, 200, 401, 401]),
        row("verify_keys", |target| Call::post("/v1/verify:batch").json(&json!({"checks": [{"key": target.secret}]})),
            [401, 401, 401, 401, 401, 401, 401, 401, 401, 403, 403, 200, 403, 200, 200, 401, 401]),
        // Nobody of them is a proxy.
        row("check_request", |_| Call::get("/v1/workspaces/acme/forward-auth"), [403; Actor::ALL.len()]),
        row("check_any_request", |_| Call::get("/v1/forward-auth"), [403; Actor::ALL.len()]),
        row("list_workspaces", |_| Call::get("/v1/workspaces"),
            [401, 200, 200, 200, 200, 200, 200, 200, 401, 403, 403, 200, 403, 200, 200, 401, 401]),
        row("get_workspace", |_| Call::get("/v1/workspaces/acme"), see_workspace),
        row("list_keys", |_| Call::get(KEYS), see_workspace),
        // For oneself. An instance administrator who is no member can have no keys of their own there.
        row("create_key", |_| create(None),
            [401, 403, 201, 201, 201, 404, 400, 403, 401, 403, 403, 201, 403, 201, 404, 401, 401]),
        // For the owner of the key.
        row("create_key", |target| create(Some(&target.owner)),
            [401, 403, 403, 201, 201, 404, 201, 403, 401, 403, 403, 201, 403, 403, 404, 401, 401]),
        row("get_key", |target| Call::get(key(target)), one_key),
        row("update_key", |target| Call::patch(key(target)).json(&json!({"name": "renamed"})), one_key),
        row("deactivate_key", |target| Call::post(key(target) + "/deactivate"), one_key),
        row("activate_key", |target| Call::post(key(target) + "/activate"),
            [401, 404, 404, 403, 200, 404, 200, 404, 401, 403, 403, 200, 403, 404, 404, 401, 401]),
        row("preview_batch", |target| Call::post(format!("{KEYS}:preview")).json(&json!({"act": "delete", "ids": [target.key]})), one_key),
        row("run_batch", |target| Call::post(format!("{KEYS}:batch")).json(&json!({"act": "deactivate", "ids": [target.key]})), one_key),
        // By filter: a viewer can have no keys to act on.
        row("preview_batch", |_| Call::post(format!("{KEYS}:preview")).json(&json!({"act": "delete", "filter": {"search": "no such"}})),
            [401, 403, 200, 200, 200, 404, 200, 403, 401, 403, 403, 200, 403, 200, 404, 401, 401]),
        row("get_batch", |_| Call::get("/v1/workspaces/acme/batches/blk_0000000000000000000000"),
            [401, 404, 404, 404, 404, 404, 404, 404, 401, 403, 403, 404, 403, 404, 404, 401, 401]),
        row("list_all_keys", |_| Call::get("/v1/admin/keys"), administrators),
        row("preview_batch_of_all", |target| Call::post("/v1/admin/keys:preview").json(&json!({"act": "delete", "ids": [target.key]})),
            administrators),
        row("run_batch_of_all", |target| Call::post("/v1/admin/keys:batch").json(&json!({"act": "delete", "ids": [target.key]})),
            administrators),
        row("get_batch_of_all", |_| Call::get("/v1/admin/batches/blk_0000000000000000000000"),
            [401, 403, 403, 403, 403, 403, 404, 403, 401, 403, 403, 403, 403, 403, 403, 401, 401]),
        row("delete_key", |target| Call::delete(key(target)), delete),
        row("rotate_key", |target| Call::post(key(target) + "/rotate"), one_key),
        row("list_secrets", |target| Call::get(key(target) + "/secrets"), one_key),
        // The current secret, which nobody can end: whoever may try is told so.
        row("end_secret", |target| Call::delete(key(target) + "/secrets/" + &target.secret_id),
            [401, 404, 404, 409, 409, 404, 409, 404, 401, 403, 403, 409, 403, 404, 404, 401, 401]),
        row("explain_key", |target| Call::post(key(target) + "/explain"), one_key),
        row("get_key_usage", |target| Call::get(key(target) + "/usage"), one_key),
        row("export_key_usage", |target| Call::get(key(target) + "/usage.csv"), one_key),
        row("get_policy", |_| Call::get(POLICY), see_workspace),
        row("update_policy", |_| save(POLICY), people),
        row("get_outages", |_| Call::get("/v1/workspaces/acme/outages"), see_workspace),
        // Not for administrators, and for no key.
        row("update_outages", |_| Call::new(axum::http::Method::PUT, "/v1/workspaces/acme/outages").json(&json!({"keep_answering": false})),
            [401, 403, 403, 403, 403, 404, 200, 403, 401, 403, 403, 403, 403, 403, 404, 401, 401]),
        row("preview_policy", |_| Call::post(format!("{POLICY}/preview")).json(&rules()), people),
        row("apply_policy", |_| Call::post(format!("{POLICY}/apply")), people),
        row("get_instance_policy", |_| Call::get(INSTANCE_POLICY), of_instance),
        row("update_instance_policy", |_| save(INSTANCE_POLICY), of_instance),
        row("preview_instance_policy", |_| Call::post(format!("{INSTANCE_POLICY}/preview")).json(&rules()), of_instance),
        row("apply_instance_policy", |_| Call::post(format!("{INSTANCE_POLICY}/apply")), of_instance),
        row("list_audit", |_| Call::get(AUDIT),
            [401, 403, 200, 200, 200, 404, 200, 403, 401, 403, 403, 200, 200, 200, 404, 401, 401]),
        row("export_audit", |_| Call::get(format!("{AUDIT}/export")), admins_log),
        row("verify_audit", |_| Call::post(format!("{AUDIT}/verify")), admins_log),
        row("list_instance_audit", |_| Call::get("/v1/admin/audit"), of_instance),
        row("export_instance_audit", |_| Call::get("/v1/admin/audit/export"), of_instance),
        row("verify_instance_audit", |_| Call::post("/v1/admin/audit/verify"), of_instance),
        row("list_members", |_| Call::get(MEMBERS), read_members),
        row("list_invitations", |_| Call::get(INVITATIONS), read_members),
        row("list_left_keys", |_| Call::get(LEFT_KEYS), read_members),
        row("add_member", |target| Call::post(MEMBERS).json(&json!({"user": target.person, "role": "viewer"})), manage_members(201)),
        row("update_member",
            |target| Call::patch(format!("{MEMBERS}/{}", target.person)).json(&json!({"role": "viewer"})), manage_members(200)),
        row("limit_member",
            |target| Call::new(axum::http::Method::PUT, format!("{MEMBERS}/{}/limits", target.person)).json(&json!({"limits": []})), manage_members(200)),
        row("remove_member", |target| Call::delete(format!("{MEMBERS}/{}", target.person)), manage_members(204)),
        row("create_invitation", |_| Call::post(INVITATIONS).json(&json!({"role": "member"})), manage_members(201)),
        row("delete_invitation", |target| Call::delete(format!("{INVITATIONS}/{}", target.invitation)), manage_members(204)),
        row("decide_left_keys",
            |target| Call::post(LEFT_KEYS).json(&json!({"decision": "keep", "keys": [target.left_key]})), manage_members(200)),
        row("list_nodes", |_| Call::get("/v1/admin/nodes"), administrators),
        row("list_users", |_| Call::get(USERS), instance_only(200)),
        row("create_user",
            |target| Call::post(USERS).json(&json!({"username": target.unused(), "email": "x@example.com"})), instance_only(201)),
        row("get_user", |target| Call::get(format!("{USERS}/{}", target.person)), instance_only(200)),
        row("update_user",
            |target| Call::patch(format!("{USERS}/{}", target.person)).json(&json!({"display_name": "X"})), instance_only(200)),
        row("disable_user", |target| Call::post(format!("{USERS}/{}/disable", target.person)), instance_only(200)),
        row("enable_user", |target| Call::post(format!("{USERS}/{}/enable", target.person)), instance_only(200)),
        row("create_reset_link", |target| Call::post(format!("{USERS}/{}/reset-link", target.owner)), instance_only(201)),
        row("list_all_workspaces", |_| Call::get("/v1/admin/workspaces"), instance_only(200)),
        row("create_workspace",
            |target| Call::post("/v1/admin/workspaces").json(&json!({"slug": target.unused(), "name": "X", "owner": target.owner})),
            instance_only(201)),
        // Without its short name nothing is done.
        row("delete_workspace", |_| Call::delete("/v1/admin/workspaces/acme"), instance_only(400)),
        row("rename_workspace", |_| Call::patch("/v1/admin/workspaces/acme").json(&json!({"name": "ACME"})), instance_only(200)),
        row("list_resources", |_| Call::get(RESOURCES), see_workspace),
        row("create_resource", create_resource, manage(201)),
        row("get_resource", |target| Call::get(resource(target)), one_key),
        row("update_resource", |target| Call::patch(resource(target)).json(&json!({"name": "renamed"})), manage(200)),
        row("delete_resource", |target| Call::delete(resource(target) + "?confirm=true"), manage(204)),
        row("get_routes", |_| Call::get(ROUTES), see_workspace),
        row("update_routes", |_| Call::new(axum::http::Method::PUT, ROUTES).json(&json!({"preset": "openai"})), people_manage(200)),
        row("list_route_versions", |_| Call::get(format!("{ROUTES}/versions")), see_workspace),
        row("get_route_version", |target| Call::get(format!("{ROUTES}/versions/{}", target.routes)), see_workspace),
        row("list_route_presets", |_| Call::get(format!("{ROUTES}/presets")), see_workspace),
        row("test_routes", |_| Call::post(format!("{ROUTES}:test")).json(&json!({"method": "GET", "path": "/"})), see_workspace),
        row("import_routes", |_| Call::post(format!("{ROUTES}:import")).json(&json!({"document": "openapi: 3\npaths: {/a: {get: {}}}", "read": {"access": "deny"}})),
            people_manage(200)),
        row("list_scopes", |_| Call::get(SCOPES), see_workspace),
        row("get_scope", |_| Call::get(format!("{SCOPES}/chat")), see_workspace),
        row("create_scope", |target| Call::post(SCOPES).json(&json!({"name": target.fresh})), people_manage(201)),
        row("update_scope", |_| Call::patch(format!("{SCOPES}/reports")).json(&json!({"description": "x"})), people_manage(200)),
        row("delete_scope", |_| Call::delete(format!("{SCOPES}/reports?remove_from_keys=true")), people_manage(204)),
    ]
}
