//! What does not exist and what one may not know of must look the same, to the byte, and stay as it is.

use keyfold_domain::key::NewKey;
use keyfold_domain::member::NewInvitation;
use keyfold_domain::scope::KeyKind;
use keyfold_domain::user::PeopleFilter;
use keyfold_domain::workspace::Role;
use serde_json::json;

use crate::support::{Actor, App, Call, new_key, operator};

/// Every act on one key, on a key of that id in that workspace.
fn acts(workspace: &str, key: &str) -> Vec<Call> {
    let path = format!("/v1/workspaces/{workspace}/keys/{key}");
    vec![
        Call::get(&path),
        Call::patch(&path).json(&json!({"name": "taken over"})),
        Call::patch(&path).json(&json!({"ip_allow": [], "limits": []})),
        Call::patch(&path).header("if-match", "\"1\"").json(&json!({"scopes": ["chat"]})),
        Call::post(format!("{path}/deactivate")).json(&json!({"reason": "mine"})),
        Call::post(format!("{path}/activate")),
        Call::post(format!("{path}/rotate")),
        Call::post(format!("{path}/rotate")).header("idempotency-key", "mine").json(&json!({"grace": "now"})),
        Call::get(format!("{path}/secrets")),
        Call::delete(format!("{path}/secrets/sec_0000000000000000000000")),
        Call::get(format!("{path}/usage")),
        Call::post(format!("{path}/explain")),
        Call::post(format!("{path}/explain")).json(&json!({"scope": "chat", "client_ip": "203.0.113.7"})),
        Call::get(format!("{path}/usage.csv?days=7")),
        Call::delete(&path),
    ]
}

/// Every act on many keys, with this one among them.
fn acts_on_many(workspace: &str, key: &str) -> Vec<Call> {
    let path = format!("/v1/workspaces/{workspace}/keys");
    let body = |act| json!({"act": act, "ids": [key]});
    vec![
        Call::post(format!("{path}:preview")).json(&body("delete")),
        Call::post(format!("{path}:batch")).json(&body("delete")),
        Call::post(format!("{path}:batch")).json(&body("deactivate")),
    ]
}

fn rules() -> serde_json::Value {
    json!({
        "max_expiry_days": 1, "default_expiry_days": null, "default_inactivity_days": null, "never_allowed": false,
        "members_may_create": false, "max_live_per_user": 1, "max_live_per_workspace": 1
    })
}

/// Every act on one resource, on one of that id in that workspace.
fn resource_acts(workspace: &str, resource: &str) -> Vec<Call> {
    let path = format!("/v1/workspaces/{workspace}/resources/{resource}");
    vec![
        Call::get(&path),
        Call::patch(&path).json(&json!({"name": "taken over"})),
        Call::delete(&path),
        Call::delete(format!("{path}?confirm=true")),
    ]
}

/// Every act on one scope.
fn scope_acts(scope: &str) -> Vec<Call> {
    let path = format!("/v1/workspaces/acme/scopes/{scope}");
    vec![
        Call::get(&path),
        Call::patch(&path).json(&json!({"public": true})),
        Call::delete(&path),
        Call::delete(format!("{path}?remove_from_keys=true")),
    ]
}

/// Every act on a workspace.
fn visits(workspace: &str) -> Vec<Call> {
    let path = format!("/v1/workspaces/{workspace}");
    vec![
        Call::get(&path),
        Call::get(format!("{path}/keys")),
        Call::get(format!("{path}/keys?state=all&search=a")),
        Call::post(format!("{path}/keys")).json(&json!({"kind": "secret", "scopes": ["chat"]})),
        Call::post(format!("{path}/keys:batch")).json(&json!({"act": "delete", "filter": {}, "expected": 1})),
        Call::get(format!("{path}/batches/blk_0000000000000000000000")),
        Call::get(format!("{path}/policy")),
        Call::new(axum::http::Method::PUT, format!("{path}/policy")).json(&json!({"rules": rules()})),
        Call::post(format!("{path}/policy/preview")).json(&rules()),
        Call::post(format!("{path}/policy/apply")),
        Call::get(format!("{path}/outages")),
        Call::new(axum::http::Method::PUT, format!("{path}/outages")).json(&json!({"keep_answering": true})),
        Call::get(format!("{path}/audit")),
        Call::get(format!("{path}/audit?action=key.&limit=1")),
        Call::get(format!("{path}/audit/export")),
        Call::post(format!("{path}/audit/verify")),
        Call::get(format!("{path}/resources")),
        Call::post(format!("{path}/resources")).json(&json!({"kind": "collection", "external_id": "mine"})),
        Call::get(format!("{path}/routes")),
        Call::new(axum::http::Method::PUT, format!("{path}/routes")).json(&json!({"preset": "openai"})),
        Call::get(format!("{path}/routes/versions")),
        Call::get(format!("{path}/routes/versions/1")),
        Call::get(format!("{path}/routes/presets")),
        Call::post(format!("{path}/routes:test")).json(&json!({"method": "GET", "path": "/"})),
        Call::post(format!("{path}/routes:import"))
            .json(&json!({"document": "openapi: 3\npaths: {/a: {get: {}}}", "read": {"access": "deny"}})),
        Call::get(format!("{path}/scopes")),
        Call::get(format!("{path}/scopes/chat")),
        Call::post(format!("{path}/scopes")).json(&json!({"name": "mine"})),
        Call::patch(format!("{path}/scopes/chat")).json(&json!({"public": true})),
        Call::delete(format!("{path}/scopes/chat")),
    ]
}

async fn look(app: &App, actor: Actor, call: Call) -> (u16, String, Vec<(String, String)>) {
    let answer = app.as_(actor, call).await;
    let id = answer.header("x-request-id").unwrap().to_owned();
    let headers = answer.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().replace(&id, "[id]"))).collect();
    (answer.code(), answer.text().replace(&id, "[id]"), headers)
}

#[tokio::test]
async fn a_foreign_key_looks_like_none_and_is_not_touched() {
    for app in App::on_each().await {
        let foreign = app.foreign_key(KeyKind::Secret, &["chat"]).await;
        let before = app.engine.keys.get(&operator(), &app.zeta, &foreign.key.id).await.unwrap();
        let somebodys = app.key(Actor::KeyOwner, KeyKind::Secret, &["chat"]).await;
        let (foreign_id, somebodys_id) = (foreign.key.id.as_str(), somebodys.key.id.as_str());
        let absent = "key_0000000000000000000000";
        let actors = [Actor::Admin, Actor::Member, Actor::InstanceAdmin, Actor::ManagementKey, Actor::MembersManagementKey];
        for actor in actors {
            let present = acts("acme", foreign_id).into_iter().chain(acts_on_many("acme", foreign_id));
            for (present, missing) in present.zip(acts("acme", absent).into_iter().chain(acts_on_many("acme", absent))) {
                let seen = look(&app, actor, present).await;
                assert_eq!(seen.0, 404);
                assert_eq!(seen, look(&app, actor, missing).await, "{actor:?}");
            }
        }
        for actor in [Actor::Member, Actor::Viewer, Actor::MembersManagementKey] {
            let present = acts("acme", somebodys_id).into_iter().chain(acts_on_many("acme", somebodys_id));
            for (present, missing) in present.zip(acts("acme", absent).into_iter().chain(acts_on_many("acme", absent))) {
                assert_eq!(look(&app, actor, present).await, look(&app, actor, missing).await, "{actor:?}");
            }
        }
        let actors = [Actor::Admin, Actor::Member, Actor::ManagementKey];
        for actor in actors {
            for place in ["zeta", app.zeta.as_str()] {
                let there = visits(place).into_iter().chain(acts(place, foreign_id)).chain(acts_on_many(place, foreign_id));
                let nowhere = visits("nowhere").into_iter().chain(acts("nowhere", absent)).chain(acts_on_many("nowhere", absent));
                for (present, missing) in there.zip(nowhere) {
                    let seen = look(&app, actor, present).await;
                    assert_eq!(seen.0, 404);
                    assert_eq!(seen, look(&app, actor, missing).await, "{actor:?} {place}");
                }
            }
        }
        assert_eq!(app.engine.keys.get(&operator(), &app.zeta, &foreign.key.id).await.unwrap(), before);
    }
}

#[tokio::test]
async fn foreign_resources_and_scopes_look_like_none_and_are_not_touched() {
    for app in App::on_each().await {
        let (foreign, scope) = app.foreign_things().await;
        let theirs = app.resource(Actor::KeyOwner, "theirs").await;
        let absent = "res_0000000000000000000000";
        for actor in [Actor::Admin, Actor::InstanceAdmin, Actor::ManagementKey] {
            for (present, missing) in resource_acts("acme", foreign.as_str()).into_iter().zip(resource_acts("acme", absent)) {
                let seen = look(&app, actor, present).await;
                assert_eq!(seen.0, 404);
                assert_eq!(seen, look(&app, actor, missing).await, "{actor:?}");
            }
        }
        for actor in [Actor::Member, Actor::Viewer, Actor::MembersManagementKey] {
            for (present, missing) in resource_acts("acme", theirs.as_str()).into_iter().zip(resource_acts("acme", absent)) {
                assert_eq!(look(&app, actor, present).await, look(&app, actor, missing).await, "{actor:?}");
            }
        }
        for actor in [Actor::Admin, Actor::Member] {
            for (present, missing) in scope_acts(&scope).into_iter().zip(scope_acts("no.such:scope")) {
                assert_eq!(look(&app, actor, present).await, look(&app, actor, missing).await, "{actor:?}");
            }
            let there = resource_acts("zeta", foreign.as_str()).into_iter().zip(resource_acts("nowhere", absent));
            for (present, missing) in there {
                let seen = look(&app, actor, present).await;
                assert_eq!(seen.0, 404);
                assert_eq!(seen, look(&app, actor, missing).await, "{actor:?}");
            }
        }
        assert!(app.engine.resources.get(&operator(), &app.zeta, &foreign).await.is_ok());
        assert!(!app.engine.scopes.get(&operator(), &app.zeta, &scope).await.unwrap().public);
        for wrong in ["x", "res_", "key_0000000000000000000000", "%00", "%ff", "..%2f.."] {
            for act in resource_acts("acme", wrong).into_iter().chain(scope_acts(&format!("%20{wrong}"))) {
                assert_eq!(app.as_(Actor::Admin, act).await.expect(404).problem(), "not_found", "{wrong}");
            }
        }
    }
}

#[tokio::test]
async fn what_cannot_be_an_id_names_nothing() {
    let app = App::new().await;
    let key = app.key(Actor::KeyOwner, KeyKind::Secret, &["chat"]).await;
    let id = key.key.id.as_str();
    for wrong in [
        "x",
        "key_",
        &id.to_uppercase(),
        &format!("{id}0"),
        "wsp_0000000000000000000000",
        "..%2f..%2fetc",
        "%00",
        "%ff",
        "%F0%9F%92%A9",
        "*",
    ] {
        for act in acts("acme", wrong) {
            let answer = app.as_(Actor::Admin, act).await.expect(404);
            assert_eq!(answer.problem(), "not_found", "{wrong}");
        }
    }
    for wrong in ["ACME", "acme%20", "%00", "%ff", "acme%00", "a", "wsp_0", "-", "acme'--"] {
        for visit in visits(wrong) {
            assert_eq!(app.as_(Actor::Admin, visit).await.expect(404).problem(), "not_found", "{wrong}");
        }
    }
    assert_eq!(app.verdict(key.secret.expose(), Some("chat")).await, "valid");
}

#[tokio::test]
async fn the_pages_functions_tell_strangers_no_more_than_the_api() {
    let app = App::new().await;
    let foreign = app.foreign_key(KeyKind::Secret, &["chat"]).await;
    let asked = |workspace: &str, id: &str| {
        let named = [("workspace", workspace), ("id", id)];
        vec![
            Call::post("/_app/get_key").json(&json!({"workspace": workspace, "id": id})),
            Call::post("/_app/update_key").form(&[&named[..], &[("version", "1"), ("scopes[0]", "chat")]].concat()),
            Call::post("/_app/delete_key").form(&named),
            Call::post("/_app/preview_bulk").json(&json!({"act": "delete", "chosen": {"workspace": workspace, "ids": [id]}})),
            Call::post("/_app/run_bulk").form(&[
                ("act", "deactivate"),
                ("chosen[workspace]", workspace),
                ("chosen[ids][0]", id),
                ("expected", "1"),
            ]),
            Call::post("/_app/rename_key").form(&[&named[..], &[("version", "1"), ("name", "mine")]].concat()),
            Call::post("/_app/change_expiry").form(&[&named[..], &[("version", "1"), ("expiry", "7")]].concat()),
            Call::post("/_app/change_interval").form(&[&named[..], &[("version", "1"), ("inactivity_days", "30")]].concat()),
            Call::post("/_app/deactivate_key").form(&named),
            Call::post("/_app/activate_key").form(&named),
            Call::post("/_app/list_keys").json(&json!({"workspace": workspace, "filter": {}})),
            Call::post("/_app/get_policy").json(&json!({"workspace": workspace})),
            Call::post("/_app/apply_policy").form(&named[..1]),
            Call::post("/_app/change_outages").form(&[named[0], ("keep_answering", "on")]),
            Call::post("/_app/list_audit").json(&json!({"workspace": workspace, "filter": {}})),
            Call::post("/_app/verify_audit").json(&json!({"workspace": workspace})),
            Call::post("/_app/explain_key").json(&json!({"workspace": workspace, "id": id, "question": {}})),
            Call::post("/_app/get_key_audit").json(&json!({"workspace": workspace, "id": id})),
            Call::post("/_app/get_routes").json(&json!({"workspace": workspace})),
            Call::post("/_app/try_route").json(&json!({"workspace": workspace, "method": "GET", "path": "/", "key": id})),
            Call::post("/_app/get_route_version").json(&json!({"workspace": workspace, "version": 1})),
            Call::post("/_app/save_import").form(&[named[0], ("version", "0"), ("rules", "[]")]),
            Call::post("/_app/create_key")
                .json(&json!({"workspace": workspace, "form": {"kind": "secret", "scopes": ["chat"]}, "idempotency_key": "1"})),
        ]
    };
    let id = foreign.key.id.as_str();
    for actor in [Actor::Admin, Actor::Member] {
        for (present, missing) in asked("zeta", id).into_iter().zip(asked("nowhere", "key_0000000000000000000000")) {
            let seen = look(&app, actor, present).await;
            assert_eq!(seen.0, 404);
            assert_eq!(seen, look(&app, actor, missing).await, "{actor:?}");
        }
        for call in asked("acme", id).into_iter().take(10) {
            assert_eq!(look(&app, actor, call).await.0, 404);
        }
    }
}

/// Every act on the people of a workspace, on things of those ids.
fn acts_on_people(workspace: &str, user: &str, invitation: &str, key: &str) -> Vec<Call> {
    let path = format!("/v1/workspaces/{workspace}");
    vec![
        Call::patch(format!("{path}/members/{user}")).json(&json!({"role": "viewer"})),
        Call::new(axum::http::Method::PUT, format!("{path}/members/{user}/limits")).json(&json!({"limits": []})),
        Call::delete(format!("{path}/members/{user}")),
        Call::delete(format!("{path}/invitations/{invitation}")),
        Call::post(format!("{path}/left-keys")).json(&json!({"decision": "revoke", "keys": [key]})),
        Call::post(format!("{path}/left-keys")).json(&json!({"decision": "revoke", "person": user})),
    ]
}

#[tokio::test]
async fn the_people_of_a_foreign_workspace_look_like_nobody_and_are_not_touched() {
    for app in App::on_each().await {
        let stays = Actor::ForeignAdmin.user(&app).await;
        let leaves = app.user("leaves", false).await;
        app.engine.members.add(&operator(), &app.zeta, &leaves, Role::Member).await.unwrap();
        let new = NewKey { owner: Some(leaves.clone()), ..new_key("left behind", KeyKind::Secret, &["chat"]) };
        let left = app.engine.keys.create(&operator(), &app.zeta, new, None).await.unwrap();
        app.engine.members.remove(&operator(), &app.zeta, &leaves).await.unwrap();
        let wanted = NewInvitation { role: Role::Member, label: "secret@zeta.example".to_owned() };
        let invitation = app.engine.invitations.create(&operator(), &app.zeta, wanted).await.unwrap().invitation;
        let (usr, inv, key) = ("usr_0000000000000000000000", "inv_0000000000000000000000", "key_0000000000000000000000");
        let ids = (stays.as_str(), invitation.id.as_str(), left.key.id.as_str());
        for actor in [Actor::Admin, Actor::InstanceAdmin] {
            let there =
                acts_on_people("acme", ids.0, ids.1, ids.2).into_iter().chain(acts_on_people("acme", leaves.as_str(), ids.1, ids.2));
            let nowhere = acts_on_people("acme", usr, inv, key).into_iter().chain(acts_on_people("acme", usr, inv, key));
            for (present, missing) in there.zip(nowhere) {
                let path = present.path.clone();
                let seen = look(&app, actor, present).await;
                assert_eq!(seen.0, 404, "{actor:?} {path}: {}", seen.1);
                assert_eq!(seen, look(&app, actor, missing).await, "{actor:?} {path}");
            }
        }
        for actor in [Actor::Admin, Actor::Member, Actor::Viewer, Actor::ManagementKey] {
            for place in ["zeta", app.zeta.as_str()] {
                let people = |place: &str| ["members", "invitations", "left-keys"].map(|page| format!("/v1/workspaces/{place}/{page}"));
                let there = acts_on_people(place, ids.0, ids.1, ids.2).into_iter().chain(people(place).map(Call::get));
                let nowhere = acts_on_people("nowhere", usr, inv, key).into_iter().chain(people("nowhere").map(Call::get));
                for (present, missing) in there.zip(nowhere) {
                    let path = present.path.clone();
                    let seen = look(&app, actor, present).await;
                    assert_eq!(seen.0, 404, "{actor:?} {path}: {}", seen.1);
                    assert_eq!(seen, look(&app, actor, missing).await, "{actor:?} {path}");
                }
            }
        }
        assert_eq!(app.engine.members.list(&operator(), &app.zeta, &PeopleFilter::default()).await.unwrap().items.len(), 1);
        assert_eq!(app.engine.invitations.list(&operator(), &app.zeta).await.unwrap(), [invitation]);
        assert_eq!(app.engine.left_keys.list(&operator(), &app.zeta, None, 50).await.unwrap().items.len(), 1);
    }
}

#[tokio::test]
async fn the_pages_functions_about_people_tell_strangers_nothing() {
    let app = App::new().await;
    let user = Actor::ForeignAdmin.user(&app).await;
    let wanted = NewInvitation { role: Role::Member, label: String::new() };
    let invitation = app.engine.invitations.create(&operator(), &app.zeta, wanted).await.unwrap().invitation.id;
    let asked = |workspace: &str, user: &str, invitation: &str| {
        let person = [("workspace", workspace), ("user", user)];
        vec![
            Call::post("/_app/get_member").json(&json!({"workspace": workspace, "user": user})),
            Call::post("/_app/update_member").form(&[&person[..], &[("role", "viewer")]].concat()),
            Call::post("/_app/remove_member").form(&person),
            Call::post("/_app/withdraw_invitation").form(&[("workspace", workspace), ("invitation", invitation)]),
            Call::post("/_app/decide_left_keys").form(&[("workspace", workspace), ("subject", user), ("decision", "revoke")]),
            Call::post("/_app/list_members").json(&json!({"workspace": workspace, "filter": {}})),
            Call::post("/_app/add_member").form(&[("workspace", workspace), ("user", "founder"), ("role", "viewer")]),
            Call::post("/_app/invite_member").form(&[("workspace", workspace), ("role", "member")]),
        ]
    };
    let (absent, none) = ("usr_0000000000000000000000", "inv_0000000000000000000000");
    for actor in [Actor::Admin, Actor::Member, Actor::Viewer] {
        let there = asked("zeta", user.as_str(), invitation.as_str());
        for (present, missing) in there.into_iter().zip(asked("nowhere", absent, none)) {
            let path = present.path.clone();
            let seen = look(&app, actor, present).await;
            assert_eq!(seen.0, 404, "{actor:?} {path}: {}", seen.1);
            assert_eq!(seen, look(&app, actor, missing).await, "{actor:?} {path}");
        }
    }
    // In a workspace of one's own, somebody else's people are nobody.
    let own = asked("acme", user.as_str(), invitation.as_str()).into_iter().take(5);
    for (present, missing) in own.zip(asked("acme", absent, none)) {
        let path = present.path.clone();
        assert_eq!(look(&app, Actor::Admin, present).await, look(&app, Actor::Admin, missing).await, "{path}");
    }
    assert_eq!(app.engine.members.list(&operator(), &app.zeta, &PeopleFilter::default()).await.unwrap().items.len(), 1);
}
