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

/// The fields that name the route map and its version.
fn routes(target: &Target) -> [(&str, &str); 2] {
    [("workspace", "acme"), ("version", &target.routes)]
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

fn rules() -> Value {
    json!({
        "default_expiry_days": "90", "never_allowed": true, "members_may_create": true, "max_live_per_user": "500",
        "max_live_per_workspace": "10000", "version": 1
    })
}

fn save_rules(workspace: &str) -> Call {
    let fields = [
        ("workspace", workspace),
        ("version", "1"),
        ("default_expiry_days", "90"),
        ("never_allowed", "on"),
        ("members_may_create", "on"),
        ("max_live_per_user", "500"),
        ("max_live_per_workspace", "10000"),
    ];
    form("update_policy", &fields)
}

/// Nobody, viewer, member, owner of the key, admin, foreign admin, instance admin, demoted admin; all others are nobody.
fn people(people: [u16; 8]) -> Statuses {
    let mut all = [people[0]; super::Actor::ALL.len()];
    all[..8].copy_from_slice(&people);
    all
}

#[rustfmt::skip]
#[expect(clippy::too_many_lines, reason = "a table is as long as what it lists")]
pub(super) fn rows() -> Vec<Row> {
    let everybody = people([200; 8]);
    let nobody = people([404; 8]);
    let the_signed_in = people([401, 200, 200, 200, 200, 200, 200, 200]);
    let see_workspace = people([401, 200, 200, 200, 200, 404, 200, 200]);
    let one_key = people([401, 404, 404, 200, 200, 404, 200, 404]);
    let admins = people([401, 403, 403, 403, 200, 404, 200, 403]);
    let of_instance = people([401, 403, 403, 403, 403, 403, 200, 403]);
    let manage_members = people([401, 403, 403, 403, 200, 404, 200, 403]);
    let instance_only = people([401, 403, 403, 403, 403, 403, 200, 403]);
    let administrators = people([401, 403, 403, 403, 403, 403, 200, 403]);
    let manage = people([401, 403, 403, 403, 200, 404, 200, 403]);
    let row = |act, call, expected| Row { act, call, expected };
    vec![
        row("/_app/get_home", |_| ask("get_home", &json!({})), everybody),
        row("/_app/get_viewer", |_| ask("get_viewer", &json!({})), everybody),
        row("/_app/set_theme", |_| form("set_theme", &[("theme", "dark")]), everybody),
        // They concern the browser alone.
        row("/_app/get_columns", |_| ask("get_columns", &json!({})), everybody),
        row("/_app/set_columns", |_| form("set_columns", &[("shown[0]", "scopes")]), everybody),
        row("/_app/set_shortcuts", |_| form("set_shortcuts", &[("shortcuts", "off")]), everybody),
        row("/_app/find", |_| ask("find", &json!({"text": "a", "here": "acme"})), the_signed_in),
        row("/_app/sign_in", |_| form("sign_in", &[("login", "foreign"), ("password", PASSWORD)]), everybody),
        row("/_app/step_up", |_| form("step_up", &[("password", PASSWORD)]), the_signed_in),
        row("/_app/sign_out", |_| form("sign_out", &[]), everybody),
        // The instance is set up.
        row("/_app/get_setup", |_| ask("get_setup", &json!({})), nobody),
        row("/_app/complete_setup", |_| complete_setup(), nobody),
        row("/_app/list_workspaces", |_| ask("list_workspaces", &json!({})), the_signed_in),
        row("/_app/list_keys", |_| ask("list_keys", &json!({"workspace": "acme", "filter": {}})), see_workspace),
        row("/_app/get_key_filters", |_| ask("get_key_filters", &json!({"workspace": "acme"})), see_workspace),
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
        row("/_app/get_key_limits", |target| ask("get_key_limits", &json!({"workspace": "acme", "id": target.key})), one_key),
        // A limit that its holder can lift is none.
        row("/_app/change_addresses",
            |target| form("change_addresses", &[&one(target)[..], &[("version", "1"), ("ip_allow", "10.0.0.0/8")]].concat()),
            people([401, 404, 404, 403, 200, 404, 200, 404])),
        row("/_app/change_limits",
            |target| form("change_limits", &[
                &one(target)[..],
                &[("version", "1"), ("limits[0][name]", "daily"), ("limits[0][most]", "9"), ("limits[0][span]", "day")],
            ].concat()),
            people([401, 404, 404, 403, 200, 404, 200, 404])),
        row("/_app/deactivate_key", |target| form("deactivate_key", &one(target)), one_key),
        row("/_app/activate_key", |target| form("activate_key", &one(target)), people([401, 404, 404, 403, 200, 404, 200, 404])),
        row("/_app/explain_key",
            |target| ask("explain_key", &json!({"workspace": "acme", "id": target.key, "question": {"scope": "chat"}})), one_key),
        row("/_app/get_key_use", |target| ask("get_key_use", &json!({"workspace": "acme", "id": target.key})), one_key),
        row("/_app/get_rotation_form", |target| ask("get_rotation_form", &json!({"workspace": "acme", "id": target.key})), one_key),
        row("/_app/rotate_key",
            |target| ask("rotate_key", &json!({"workspace": "acme", "id": target.key, "rotation": {"grace": "1h", "version": 1}, "idempotency_key": target.key})),
            one_key),
        // The current secret, which nobody can end: whoever may try is told so.
        row("/_app/end_secret",
            |target| form("end_secret", &[("workspace", "acme"), ("id", &target.key), ("secret", &target.secret_id)]),
            people([401, 404, 404, 409, 409, 404, 409, 404])),
        row("/_app/preview_bulk",
            |target| ask("preview_bulk", &json!({"act": "delete", "chosen": {"workspace": "acme", "ids": [target.key]}})), one_key),
        row("/_app/run_bulk",
            |target| form("run_bulk", &[("act", "deactivate"), ("chosen[workspace]", "acme"), ("chosen[ids][0]", &target.key), ("expected", "1")]), one_key),
        row("/_app/get_bulk", |_| ask("get_bulk", &json!({"workspace": "acme", "id": "blk_0000000000000000000000"})),
            people([401, 404, 404, 404, 404, 404, 404, 404])),
        // Of all workspaces: for administrators of the instance.
        row("/_app/list_all_keys", |_| ask("list_all_keys", &json!({"filter": {}})), administrators),
        row("/_app/get_any_key", |target| ask("get_any_key", &json!({"id": target.key})), administrators),
        row("/_app/get_key_places", |_| ask("get_key_places", &json!({"user": "founder"})), administrators),
        row("/_app/preview_bulk", |target| ask("preview_bulk", &json!({"act": "delete", "chosen": {"ids": [target.key]}})), administrators),
        row("/_app/run_bulk",
            |target| form("run_bulk", &[("act", "delete"), ("chosen[ids][0]", &target.key), ("expected", "1"), ("confirmation", "1")]), administrators),
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
        row("/_app/get_routes", |_| ask("get_routes", &json!({"workspace": "acme"})), see_workspace),
        row("/_app/try_route", |_| ask("try_route", &json!({"workspace": "acme", "method": "GET", "path": "/", "key": ""})), see_workspace),
        row("/_app/get_route_rule", |_| ask("get_route_rule", &json!({"workspace": "acme", "position": 1})), manage),
        row("/_app/save_route_rule",
            |target| form("save_route_rule", &[&routes(target)[..], &[("methods", "GET"), ("path", "/a"), ("access", "deny")]].concat()), manage),
        row("/_app/move_route_rule", |target| form("move_route_rule", &[&routes(target)[..], &[("step", "1 down")]].concat()), manage),
        row("/_app/delete_route_rule", |target| form("delete_route_rule", &[&routes(target)[..], &[("position", "1")]].concat()), manage),
        row("/_app/get_route_preset", |_| ask("get_route_preset", &json!({"workspace": "acme", "name": "openai"})), manage),
        row("/_app/load_route_preset", |target| form("load_route_preset", &[&routes(target)[..], &[("name", "openai")]].concat()), manage),
        row("/_app/list_route_versions", |_| ask("list_route_versions", &json!({"workspace": "acme"})), see_workspace),
        row("/_app/get_route_version",
            |target| ask("get_route_version", &json!({"workspace": "acme", "version": target.routes.parse::<i64>().unwrap()})), manage),
        row("/_app/revert_routes", |target| form("revert_routes", &[&routes(target)[..], &[("to", &target.routes)]].concat()), manage),
        row("/_app/get_route_import", |_| ask("get_route_import", &json!({"workspace": "acme"})), manage),
        row("/_app/preview_import",
            |_| form("preview_import", &[("workspace", "acme"), ("document", "openapi: 3\npaths: {/a: {get: {}}}"), ("read", "deny")]), manage),
        row("/_app/save_import", |target| form("save_import", &[&routes(target)[..], &[("rules", "[]")]].concat()), manage),
        row("/_app/delete_key", |target| form("delete_key", &[("workspace", "acme"), ("id", &target.key)]), one_key),
        row("/_app/get_policy", |_| ask("get_policy", &json!({"workspace": "acme"})), admins),
        row("/_app/get_policy", |_| ask("get_policy", &json!({"workspace": ""})), of_instance),
        row("/_app/preview_policy", |_| ask("preview_policy", &json!({"workspace": "acme", "form": rules(), "cursor": null})), admins),
        row("/_app/preview_policy", |_| ask("preview_policy", &json!({"workspace": "", "form": rules(), "cursor": null})), of_instance),
        // Whoever comes second changes rules that are no longer there.
        row("/_app/update_policy", |_| save_rules("acme"), people([401, 403, 403, 403, 200, 404, 409, 403])),
        row("/_app/update_policy", |_| save_rules(""), of_instance),
        row("/_app/apply_policy", |_| form("apply_policy", &[("workspace", "acme")]), admins),
        row("/_app/apply_policy", |_| form("apply_policy", &[]), of_instance),
        row("/_app/change_outages", |_| form("change_outages", &[("workspace", "acme")]), people([401, 403, 403, 403, 403, 404, 200, 403])),
        row("/_app/list_audit", |_| ask("list_audit", &json!({"workspace": "acme", "filter": {}})),
            people([401, 403, 200, 200, 200, 404, 200, 403])),
        row("/_app/list_audit", |_| ask("list_audit", &json!({"workspace": "", "filter": {}})), of_instance),
        row("/_app/verify_audit", |_| ask("verify_audit", &json!({"workspace": "acme"})), admins),
        row("/_app/verify_audit", |_| ask("verify_audit", &json!({"workspace": ""})), of_instance),
        // Those who may not see the log are told nothing of it.
        row("/_app/get_key_audit", |target| ask("get_key_audit", &json!({"workspace": "acme", "id": target.key})),
            people([401, 200, 200, 200, 200, 404, 200, 200])),
        row("/_app/list_members", |_| ask("list_members", &json!({"workspace": "acme", "filter": {}})), manage_members),
        row("/_app/get_member", |target| ask("get_member", &json!({"workspace": "acme", "user": target.person})), manage_members),
        // Somebody who is a member already gets the role.
        row("/_app/add_member", |_| form("add_member", &[("workspace", "acme"), ("user", "keyowner"), ("role", "member")]), manage_members),
        row("/_app/update_member",
            |target| form("update_member", &[("workspace", "acme"), ("user", &target.person), ("role", "viewer")]), manage_members),
        row("/_app/limit_member", |target| form("limit_member", &[("workspace", "acme"), ("user", &target.person)]), manage_members),
        row("/_app/remove_member", |target| form("remove_member", &[("workspace", "acme"), ("user", &target.person)]), manage_members),
        row("/_app/invite_member", |_| form("invite_member", &[("workspace", "acme"), ("role", "member")]), manage_members),
        row("/_app/withdraw_invitation",
            |target| form("withdraw_invitation", &[("workspace", "acme"), ("invitation", &target.invitation)]), manage_members),
        row("/_app/decide_left_keys",
            |target| form("decide_left_keys", &[("workspace", "acme"), ("subject", &target.left_key), ("decision", "keep")]), manage_members),
        row("/_app/list_nodes", |_| ask("list_nodes", &json!({})), instance_only),
        row("/_app/list_users", |_| ask("list_users", &json!({"filter": {}})), instance_only),
        row("/_app/get_user", |target| ask("get_user", &json!({"user": target.person})), instance_only),
        row("/_app/create_user",
            |target| form("create_user", &[("username", &target.unused()), ("email", "x@example.com")]), instance_only),
        row("/_app/update_user",
            |target| form("update_user", &[("user", &target.person), ("email", "x@example.com")]), instance_only),
        row("/_app/disable_user", |target| form("disable_user", &[("user", &target.person)]), instance_only),
        row("/_app/enable_user", |target| form("enable_user", &[("user", &target.person)]), instance_only),
        row("/_app/create_reset_link", |target| form("create_reset_link", &[("user", &target.owner)]), instance_only),
        row("/_app/list_all_workspaces", |_| ask("list_all_workspaces", &json!({"filter": {}})), instance_only),
        row("/_app/create_workspace",
            |target| form("create_workspace", &[("name", "X"), ("slug", &target.unused()), ("owner", "keyowner")]), instance_only),
        // Without its short name nothing is done.
        row("/_app/delete_workspace", |_| form("delete_workspace", &[("workspace", "acme")]), people([401, 403, 403, 403, 403, 403, 400, 403])),
        row("/_app/rename_workspace", |_| form("rename_workspace", &[("workspace", "acme"), ("name", "ACME")]), instance_only),
        row("/_app/get_account", |_| ask("get_account", &json!({})), the_signed_in),
        row("/_app/update_account", |_| form("update_account", &[("email", "mine@example.com")]), the_signed_in),
        // Nobody's password is that.
        row("/_app/change_password",
            |_| form("change_password", &[("present", "not mine at all"), ("password", PASSWORD)]),
            people([401, 403, 403, 403, 403, 403, 403, 403])),
        row("/_app/end_session",
            |_| form("end_session", &[("session", "ses_0000000000000000000000")]), people([401, 404, 404, 404, 404, 404, 404, 404])),
        row("/_app/end_other_sessions", |_| form("end_other_sessions", &[]), the_signed_in),
        // Whoever has the link, and no other.
        row("/_app/get_invitation", |target| ask("get_invitation", &json!({"token": target.invitation_token})), everybody),
        row("/_app/get_password_link", |_| ask("get_password_link", &json!({"token": "guess"})), people([403; 8])),
        row("/_app/reset_password", |_| form("reset_password", &[("token", "guess"), ("password", PASSWORD)]), people([403; 8])),
        row("/_app/join_workspace",
            |target| {
                let (username, token) = (target.unused(), &target.invitation_token);
                form("join_workspace", &[("token", token), ("username", &username), ("email", "x@example.com"), ("password", PASSWORD)])
            },
            everybody),
        // Members need no invitation. The last row: afterwards nobody is a stranger any more.
        row("/_app/accept_invitation",
            |target| form("accept_invitation", &[("token", &target.invitation_token)]), people([401, 409, 409, 409, 409, 200, 200, 409])),
    ]
}
