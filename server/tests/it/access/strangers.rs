//! What does not exist and what one may not know of must look the same, to the byte, and stay as it is.

use keyfold_domain::scope::KeyKind;
use serde_json::json;

use crate::support::{Actor, App, Call, operator};

/// Every act on one key, on a key of that id in that workspace.
fn acts(workspace: &str, key: &str) -> Vec<Call> {
    let path = format!("/v1/workspaces/{workspace}/keys/{key}");
    vec![
        Call::get(&path),
        Call::patch(&path).json(&json!({"name": "taken over"})),
        Call::patch(&path).header("if-match", "\"1\"").json(&json!({"scopes": ["chat"]})),
        Call::post(format!("{path}/deactivate")).json(&json!({"reason": "mine"})),
        Call::post(format!("{path}/activate")),
        Call::post(format!("{path}/rotate")),
        Call::post(format!("{path}/rotate")).header("idempotency-key", "mine").json(&json!({"grace": "now"})),
        Call::get(format!("{path}/secrets")),
        Call::delete(format!("{path}/secrets/sec_0000000000000000000000")),
        Call::get(format!("{path}/usage")),
        Call::get(format!("{path}/usage.csv?days=7")),
        Call::delete(&path),
    ]
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
        Call::get(format!("{path}/resources")),
        Call::post(format!("{path}/resources")).json(&json!({"kind": "collection", "external_id": "mine"})),
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
            for (present, missing) in acts("acme", foreign_id).into_iter().zip(acts("acme", absent)) {
                let seen = look(&app, actor, present).await;
                assert_eq!(seen.0, 404);
                assert_eq!(seen, look(&app, actor, missing).await, "{actor:?}");
            }
        }
        for actor in [Actor::Member, Actor::Viewer, Actor::MembersManagementKey] {
            for (present, missing) in acts("acme", somebodys_id).into_iter().zip(acts("acme", absent)) {
                assert_eq!(look(&app, actor, present).await, look(&app, actor, missing).await, "{actor:?}");
            }
        }
        let actors = [Actor::Admin, Actor::Member, Actor::ManagementKey];
        for actor in actors {
            for place in ["zeta", app.zeta.as_str()] {
                let there = visits(place).into_iter().chain(acts(place, foreign_id));
                let nowhere = visits("nowhere").into_iter().chain(acts("nowhere", absent));
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
            Call::post("/_app/rename_key").form(&[&named[..], &[("version", "1"), ("name", "mine")]].concat()),
            Call::post("/_app/change_expiry").form(&[&named[..], &[("version", "1"), ("expiry", "7")]].concat()),
            Call::post("/_app/change_interval").form(&[&named[..], &[("version", "1"), ("inactivity_days", "30")]].concat()),
            Call::post("/_app/deactivate_key").form(&named),
            Call::post("/_app/activate_key").form(&named),
            Call::post("/_app/list_keys").json(&json!({"workspace": workspace, "filter": {}})),
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
        for call in asked("acme", id).into_iter().take(8) {
            assert_eq!(look(&app, actor, call).await.0, 404);
        }
    }
}
