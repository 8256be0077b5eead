//! The rows of the REST operations.

use serde_json::json;

use super::{Row, Statuses, Target};
use crate::support::Call;

const KEYS: &str = "/v1/workspaces/acme/keys";

const RESOURCES: &str = "/v1/workspaces/acme/resources";
const SCOPES: &str = "/v1/workspaces/acme/scopes";

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
pub(super) fn rows() -> Vec<Row> {
    // The order of `Actor::ALL`:
    // nobody, viewer, member, owner of the key, admin, foreign admin, instance admin, demoted admin, ended session,
    // data key, publishable key,
    // management key: of an admin, without scopes, of a member, foreign, stopped, expired
    let see_workspace: Statuses = [401, 200, 200, 200, 200, 404, 200, 200, 401, 403, 403, 200, 403, 200, 404, 401, 401];
    let one_key: Statuses       = [401, 404, 404, 200, 200, 404, 200, 404, 401, 403, 403, 200, 403, 404, 404, 401, 401];
    let delete: Statuses        = [401, 404, 404, 204, 204, 404, 204, 404, 401, 403, 403, 204, 403, 404, 404, 401, 401];
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
        row("delete_key", |target| Call::delete(key(target)), delete),
        row("rotate_key", |target| Call::post(key(target) + "/rotate"), one_key),
        row("list_secrets", |target| Call::get(key(target) + "/secrets"), one_key),
        // The current secret, which nobody can end: whoever may try is told so.
        row("end_secret", |target| Call::delete(key(target) + "/secrets/" + &target.secret_id),
            [401, 404, 404, 409, 409, 404, 409, 404, 401, 403, 403, 409, 403, 404, 404, 401, 401]),
        row("get_key_usage", |target| Call::get(key(target) + "/usage"), one_key),
        row("export_key_usage", |target| Call::get(key(target) + "/usage.csv"), one_key),
        row("list_resources", |_| Call::get(RESOURCES), see_workspace),
        row("create_resource", create_resource, manage(201)),
        row("get_resource", |target| Call::get(resource(target)), one_key),
        row("update_resource", |target| Call::patch(resource(target)).json(&json!({"name": "renamed"})), manage(200)),
        row("delete_resource", |target| Call::delete(resource(target) + "?confirm=true"), manage(204)),
        row("list_scopes", |_| Call::get(SCOPES), see_workspace),
        row("get_scope", |_| Call::get(format!("{SCOPES}/chat")), see_workspace),
        row("create_scope", |target| Call::post(SCOPES).json(&json!({"name": target.fresh})), people_manage(201)),
        row("update_scope", |_| Call::patch(format!("{SCOPES}/reports")).json(&json!({"description": "x"})), people_manage(200)),
        row("delete_scope", |_| Call::delete(format!("{SCOPES}/reports?remove_from_keys=true")), people_manage(204)),
    ]
}
