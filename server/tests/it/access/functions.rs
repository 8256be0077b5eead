//! The rows of the server functions. They are for people: a key, of whatever kind, is nobody there.

use serde_json::{Value, json};

use super::{Row, Statuses, Target};
use crate::support::{Call, PASSWORD};

fn ask(function: &str, arguments: &Value) -> Call {
    Call::post(format!("/_app/{function}")).json(arguments)
}

fn form(function: &str, fields: &[(&str, &str)]) -> Call {
    Call::post(format!("/_app/{function}")).form(fields)
}

/// The fields that name the key.
fn one(target: &Target) -> [(&str, &str); 2] {
    [("workspace", "acme"), ("id", &target.key)]
}

fn complete_setup() -> Call {
    let fields = [
        ("token", "0000000000000000000000"),
        ("username", "second"),
        ("email", "second@example.com"),
        ("display_name", ""),
        ("password", PASSWORD),
        ("workspace_name", "Second"),
        ("workspace_slug", "second"),
    ];
    form("complete_setup", &fields)
}

/// Nobody, viewer, member, owner of the key, admin, foreign admin, instance admin, demoted admin; all others are nobody.
fn people(people: [u16; 8]) -> Statuses {
    let mut all = [people[0]; super::Actor::ALL.len()];
    all[..8].copy_from_slice(&people);
    all
}

#[rustfmt::skip]
pub(super) fn rows() -> Vec<Row> {
    let everybody = people([200; 8]);
    let nobody = people([404; 8]);
    let the_signed_in = people([401, 200, 200, 200, 200, 200, 200, 200]);
    let see_workspace = people([401, 200, 200, 200, 200, 404, 200, 200]);
    let one_key = people([401, 404, 404, 200, 200, 404, 200, 404]);
    let manage = people([401, 403, 403, 403, 200, 404, 200, 403]);
    let row = |act, call, expected| Row { act, call, expected };
    vec![
        row("/_app/get_home", |_| ask("get_home", &json!({})), everybody),
        row("/_app/get_viewer", |_| ask("get_viewer", &json!({})), everybody),
        row("/_app/set_theme", |_| form("set_theme", &[("theme", "dark")]), everybody),
        row("/_app/sign_in", |_| form("sign_in", &[("login", "foreign"), ("password", PASSWORD)]), everybody),
        row("/_app/step_up", |_| form("step_up", &[("password", PASSWORD)]), the_signed_in),
        row("/_app/sign_out", |_| form("sign_out", &[]), everybody),
        // The instance is set up.
        row("/_app/get_setup", |_| ask("get_setup", &json!({})), nobody),
        row("/_app/complete_setup", |_| complete_setup(), nobody),
        row("/_app/list_workspaces", |_| ask("list_workspaces", &json!({})), the_signed_in),
        row("/_app/list_keys", |_| ask("list_keys", &json!({"workspace": "acme", "filter": {}})), see_workspace),
        row("/_app/get_key_form", |_| ask("get_key_form", &json!({"workspace": "acme"})), see_workspace),
        row("/_app/get_key", |target| ask("get_key", &json!({"workspace": "acme", "id": target.key})), one_key),
        row("/_app/create_key",
            |_| ask("create_key", &json!({"workspace": "acme", "form": {"kind": "secret", "scopes": ["inference"]}, "idempotency_key": "once"})),
            people([401, 403, 200, 200, 200, 404, 400, 403])),
        row("/_app/update_key",
            |target| form("update_key", &[("workspace", "acme"), ("id", &target.key), ("version", "1"), ("scopes[0]", "chat")]), one_key),
        row("/_app/rename_key", |target| form("rename_key", &[&one(target)[..], &[("version", "1"), ("name", "x")]].concat()), one_key),
        row("/_app/change_expiry", |target| form("change_expiry", &[&one(target)[..], &[("version", "1"), ("expiry", "30")]].concat()), one_key),
        row("/_app/change_interval",
            |target| form("change_interval", &[&one(target)[..], &[("version", "1"), ("inactivity_days", "30")]].concat()), one_key),
        row("/_app/deactivate_key", |target| form("deactivate_key", &one(target)), one_key),
        row("/_app/activate_key", |target| form("activate_key", &one(target)), people([401, 404, 404, 403, 200, 404, 200, 404])),
        row("/_app/get_key_resources", |target| ask("get_key_resources", &json!({"workspace": "acme", "id": target.key})), one_key),
        row("/_app/change_resources",
            |target| form("change_resources", &[("workspace", "acme"), ("id", &target.key), ("version", "1"), ("reach", "all")]), one_key),
        row("/_app/list_resources", |_| ask("list_resources", &json!({"workspace": "acme", "filter": {}})), see_workspace),
        row("/_app/search_resources",
            |target| ask("search_resources", &json!({"workspace": "acme", "owner": target.owner, "search": ""})), see_workspace),
        row("/_app/list_resource_owners", |_| ask("list_resource_owners", &json!({"workspace": "acme"})), manage),
        // Its owner may see it, and not manage it.
        row("/_app/get_resource", |target| ask("get_resource", &json!({"workspace": "acme", "id": target.resource})),
            people([401, 404, 404, 403, 200, 404, 200, 404])),
        row("/_app/create_resource",
            |target| form("create_resource", &[("workspace", "acme"), ("kind", "model"), ("external_id", &target.fresh), ("owner", &target.owner)]),
            manage),
        row("/_app/update_resource",
            |target| form("update_resource", &[("workspace", "acme"), ("id", &target.resource), ("name", "renamed")]), manage),
        row("/_app/delete_resource", |target| form("delete_resource", &[("workspace", "acme"), ("id", &target.resource)]), manage),
        row("/_app/list_scopes", |_| ask("list_scopes", &json!({"workspace": "acme"})), see_workspace),
        row("/_app/get_scope", |_| ask("get_scope", &json!({"workspace": "acme", "name": "reports"})), manage),
        row("/_app/create_scope", |target| form("create_scope", &[("workspace", "acme"), ("name", &target.fresh)]), manage),
        row("/_app/update_scope", |_| form("update_scope", &[("workspace", "acme"), ("name", "reports"), ("description", "x")]), manage),
        row("/_app/delete_scope", |_| form("delete_scope", &[("workspace", "acme"), ("name", "reports")]), manage),
        row("/_app/delete_key", |target| form("delete_key", &[("workspace", "acme"), ("id", &target.key)]), one_key),
    ]
}
