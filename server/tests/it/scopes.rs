//! A workspace's own scopes through the REST API, and what bounds a management key.

use keyfold_domain::key::NewKey;
use keyfold_domain::scope::KeyKind;
use keyfold_domain::workspace::Role;
use serde_json::{Value, json};

use crate::support::{Actor, App, Call, new_key, operator};

const KEYS: &str = "/v1/workspaces/acme/keys";
const SCOPES: &str = "/v1/workspaces/acme/scopes";

#[tokio::test]
async fn a_scope_lives_from_its_addition_to_its_deletion() {
    for app in App::on_each().await {
        let body = json!({"name": "reports:read", "description": " Read reports. ", "implies": ["inference"], "public": true});
        let created = app.as_(Actor::Admin, Call::post(SCOPES).json(&body)).await.expect(201);
        let expected = json!({
            "name": "reports:read", "description": "Read reports.", "implies": ["inference"], "public": true,
            "management": false, "built_in": false, "created_at": "2026-06-01T12:00:00.000Z",
        });
        assert_eq!(created.json(), expected);
        let path = created.header("location").unwrap().to_owned();
        assert_eq!(path, format!("{SCOPES}/reports:read"));
        assert_eq!(app.as_(Actor::Viewer, Call::get(&path)).await.expect(200).json(), expected);
        let all = app.as_(Actor::Member, Call::get(SCOPES)).await.expect(200).json();
        assert_eq!((all["data"].as_array().unwrap().len(), &all["data"][8], &all["next"]), (9, &expected, &Value::Null));
        assert_eq!((&all["data"][0]["built_in"], &all["data"][0]["created_at"]), (&json!(true), &Value::Null));
        assert_eq!(app.as_(Actor::Admin, Call::post(SCOPES).json(&body)).await.expect(409).field().as_deref(), Some("name"));

        let key = app.key(Actor::KeyOwner, KeyKind::Publishable, &["reports:read", "inference"]).await;
        assert_eq!(app.verdict(key.secret.expose(), Some("reports:read")).await, "valid");
        let hidden = app.as_(Actor::Admin, Call::patch(&path).json(&json!({"public": false}))).await.expect(409);
        assert_eq!(hidden.field().as_deref(), Some("public"));
        assert!(hidden.text().contains("a key"), "{}", hidden.text());
        let changed = app.as_(Actor::Admin, Call::patch(&path).json(&json!({"implies": [], "description": ""}))).await.expect(200).json();
        assert_eq!((&changed["implies"], &changed["description"], &changed["public"]), (&json!([]), &json!(""), &json!(true)));

        let refused = app.as_(Actor::Admin, Call::delete(&path)).await.expect(409);
        assert_eq!(refused.field().as_deref(), Some("remove_from_keys"));
        assert!(refused.text().contains("The key a key holds this scope"), "{}", refused.text());
        let nonsense = app.as_(Actor::Admin, Call::delete(format!("{path}?remove_from_keys=1"))).await.expect(400);
        assert_eq!(nonsense.field().as_deref(), Some("remove_from_keys"));
        app.as_(Actor::Admin, Call::delete(format!("{path}?remove_from_keys=true"))).await.expect(204);
        assert_eq!(app.verdict(key.secret.expose(), Some("reports:read")).await, "missing_scope");
        assert_eq!(app.verdict(key.secret.expose(), Some("inference")).await, "valid");
        app.as_(Actor::Admin, Call::get(&path)).await.expect(404);
    }
}

#[tokio::test]
async fn a_key_that_holds_nothing_else_keeps_its_scope_from_being_deleted() {
    let app = App::new().await;
    app.scope("reports", &[]).await;
    let key = app.key(Actor::KeyOwner, KeyKind::Secret, &["reports"]).await;
    let refused = app.as_(Actor::Admin, Call::delete(format!("{SCOPES}/reports?remove_from_keys=true"))).await.expect(409);
    assert!(refused.text().contains("a key"), "{}", refused.text());
    assert_eq!(app.verdict(key.secret.expose(), Some("reports")).await, "valid");
}

#[tokio::test]
async fn a_change_of_what_a_scope_implies_is_in_force_at_the_next_question() {
    for app in App::on_each().await {
        app.scope("reports", &[]).await;
        let key = app.key(Actor::KeyOwner, KeyKind::Secret, &["reports"]).await;
        let path = format!("{SCOPES}/reports");
        let implying = async |names: Value| app.as_(Actor::Admin, Call::patch(&path).json(&json!({ "implies": names }))).await.expect(200);
        assert_eq!(app.verdict(key.secret.expose(), Some("inference")).await, "missing_scope");
        implying(json!(["project"])).await;
        assert_eq!(app.verdict(key.secret.expose(), Some("inference")).await, "valid");
        let told = app.send(Call::get("/v1/whoami").bearer(key.secret.expose())).await.expect(200).json();
        assert_eq!(told["scopes"], json!(["inference", "project", "reports"]));
        implying(json!([])).await;
        assert_eq!(app.verdict(key.secret.expose(), Some("inference")).await, "missing_scope");
    }
}

#[tokio::test]
async fn nonsense_about_scopes_is_refused_with_its_field() {
    for app in App::on_each().await {
        app.scope("reports", &[]).await;
        let send = async |body: Value| app.as_(Actor::Admin, Call::post(SCOPES).json(&body)).await;
        for (body, field) in [
            (json!({}), "name"),
            (json!({"name": null}), "name"),
            (json!({"name": "chat"}), "name"),
            (json!({"name": "Reports"}), "name"),
            (json!({"name": "a".repeat(64)}), "name"),
            (json!({"name": "x", "implies": ["none"]}), "implies"),
            (json!({"name": "x", "implies": ["x"]}), "implies"),
            (json!({"name": "x", "implies": ["keys:write"]}), "implies"),
            (json!({"name": "x", "implies": ["chat"], "public": true}), "implies"),
            (json!({"name": "x", "implies": null}), "implies"),
            (json!({"name": "x", "implies": "chat"}), "implies"),
            (json!({"name": "x", "public": "yes"}), "public"),
            (json!({"name": "x", "public": null}), "public"),
            (json!({"name": "x", "description": "a\nb"}), "description"),
            (json!({"name": "x", "description": "x".repeat(201)}), "description"),
            (json!({"name": "x", "management": true}), "management"),
            (json!({"name": "x", "built_in": true}), "built_in"),
        ] {
            assert_eq!(send(body.clone()).await.expect(400).field().as_deref(), Some(field), "{body}");
        }
        let path = format!("{SCOPES}/reports");
        for (body, field) in [
            (json!({"name": "other"}), "name"),
            (json!({"implies": ["reports"]}), "implies"),
            (json!({"implies": null}), "implies"),
            (json!({"description": null}), "description"),
            (json!({"public": null}), "public"),
        ] {
            assert_eq!(app.as_(Actor::Admin, Call::patch(&path).json(&body)).await.expect(400).field().as_deref(), Some(field), "{body}");
        }
        for act in [Call::patch(format!("{SCOPES}/chat")).json(&json!({"public": true})), Call::delete(format!("{SCOPES}/chat"))] {
            assert_eq!(app.as_(Actor::Admin, act).await.expect(409).problem(), "conflict");
        }
        assert_eq!(app.as_(Actor::Admin, Call::get(SCOPES)).await.json()["data"].as_array().unwrap().len(), 9);
    }
}

/// PRODUCT 3 and S11: a management key acts as `min(its scopes, its owner's role)` at every call, for each of its scopes.
#[tokio::test]
async fn every_management_scope_is_bounded_by_its_owners_present_role() {
    for app in App::on_each().await {
        let other = app.key(Actor::KeyOwner, KeyKind::Secret, &["chat"]).await;
        let other = format!("{KEYS}/{}", other.key.id);
        let resource = app.resource(Actor::KeyOwner, "theirs").await;
        let resource = format!("/v1/workspaces/acme/resources/{resource}");
        let boss = app.user("boss", false).await;
        app.member(&boss, Role::Admin).await;
        // A key for each management scope, and what may be done with it: as an admin's, as a member's, as a viewer's.
        let calls = |scope: &str| -> Vec<(Call, [u16; 3])> {
            let reading = |allowed: [u16; 3]| if scope.starts_with("keys:") { allowed } else { [403; 3] };
            let writing = |allowed: [u16; 3]| if scope == "keys:write" { allowed } else { [403; 3] };
            let asking = if scope == "verify" { [200, 200, 403] } else { [403; 3] };
            // Whoever may read keys is not told that other people's are there; all others learn nothing at all.
            let somebodys = reading([if scope == "keys:write" { 200 } else { 403 }, 404, 404]);
            vec![
                (Call::get(KEYS), reading([200, 200, 200])),
                (Call::get("/v1/workspaces"), reading([200, 200, 200])),
                (Call::get("/v1/workspaces/acme/scopes"), reading([200, 200, 200])),
                (Call::get("/v1/workspaces/acme/resources"), reading([200, 200, 200])),
                (Call::patch(&other).json(&json!({"note": "x"})), somebodys),
                (Call::post(KEYS).json(&json!({"kind": "secret", "scopes": ["chat"]})), writing([201, 201, 403])),
                (Call::patch(&resource).json(&json!({"name": "x"})), writing([200, 403, 403])),
                (Call::post("/v1/workspaces/acme/scopes").json(&json!({"name": "mine"})), [403; 3]),
                (Call::post("/v1/verify").json(&json!({"key": "kf_sec_"})), asking),
            ]
        };
        for scope in ["keys:read", "keys:write", "members:read", "audit:read", "verify"] {
            app.member(&boss, Role::Admin).await;
            let new = NewKey { owner: Some(boss.clone()), ..new_key("manager", KeyKind::Management, &[scope, "chat"]) };
            let secret = app.engine.keys.create(&operator(), &app.acme, new, None).await.unwrap().secret.expose().to_owned();
            for (at, role) in [Role::Admin, Role::Member, Role::Viewer].into_iter().enumerate() {
                app.member(&boss, role).await;
                for (call, expected) in calls(scope) {
                    let answer = app.send(call.clone().bearer(&secret)).await;
                    assert_eq!(answer.code(), expected[at], "{scope} {role:?} {call:?}: {}", answer.text());
                }
            }
        }
    }
}
