//! Route maps through the REST API.

use axum::http::Method;
use keyfold_domain::scope::KeyKind;
use serde_json::{Value, json};

use crate::support::{Actor, App, Call};

const ROUTES: &str = "/v1/workspaces/acme/routes";

fn put(body: &Value) -> Call {
    Call::new(Method::PUT, ROUTES).json(body)
}

fn rule(method: &str, path: &str, scope: &str) -> Value {
    json!({"methods": [method], "path": path, "access": "key", "scope": scope, "resource": null, "note": ""})
}

#[tokio::test]
async fn rules_are_saved_read_and_put_back() {
    for app in App::on_each().await {
        let none = app.as_(Actor::Viewer, Call::get(ROUTES)).await.expect(200);
        let empty = json!({"version": 0, "rules": [], "source": null, "saved_at": null, "saved_by": null});
        assert_eq!((none.json(), none.header("etag")), (empty, Some("\"0\"")));
        let rules = json!([rule("POST", "/predict/**", "inference"), {"methods": ["*"], "path": "/projects/{id}/**", "access": "key",
            "scope": "project", "resource": "project:{id}", "note": "Everything in a project"}]);
        let saved = app.as_(Actor::Admin, put(&json!({ "rules": rules })).header("if-match", "\"0\"")).await.expect(200);
        let body = saved.json();
        assert_eq!(
            (&body["rules"], &body["version"], &body["source"], saved.header("etag")),
            (&rules, &json!(1), &json!("edit"), Some("\"1\""))
        );
        assert_eq!(app.as_(Actor::Viewer, Call::get(ROUTES)).await.expect(200).json(), body);

        let preset = app.as_(Actor::Admin, put(&json!({"preset": "h2ogpte"})).header("if-match", "\"1\"")).await.expect(200).json();
        assert_eq!((&preset["source"], &preset["rules"][0]["resource"]), (&json!("preset:h2ogpte"), &json!("collection:{own}")));
        let stale = app.as_(Actor::Admin, put(&json!({"rules": []})).header("if-match", "\"1\"")).await.expect(409);
        assert_eq!(
            (stale.field().as_deref(), &stale.json()["current"]["version"], stale.header("etag")),
            (Some("version"), &json!(2), Some("\"2\""))
        );
        let back = app.as_(Actor::Admin, put(&json!({"from_version": 1}))).await.expect(200).json();
        assert_eq!((&back["rules"], &back["source"]), (&rules, &json!("version:1")));
        let versions = app.as_(Actor::Viewer, Call::get(format!("{ROUTES}/versions"))).await.expect(200).json();
        let told: Vec<_> = versions["data"].as_array().unwrap().iter().map(|row| (row["version"].clone(), row["rules"].clone())).collect();
        assert_eq!(told.len(), 3);
        assert_eq!(told[0], (json!(3), json!(2)));
        let first = app.as_(Actor::Viewer, Call::get(format!("{ROUTES}/versions/1"))).await.expect(200).json();
        assert_eq!(first, body);
        app.as_(Actor::Viewer, Call::get(format!("{ROUTES}/versions/9"))).await.expect(404);
        app.as_(Actor::Admin, put(&json!({"from_version": 9}))).await.expect(404);
    }
}

#[tokio::test]
async fn every_preset_can_be_put_in_force_and_sent_back_as_it_is_read() {
    let app = App::new().await;
    let presets = app.as_(Actor::Viewer, Call::get(format!("{ROUTES}/presets"))).await.expect(200).json();
    let presets = presets["data"].as_array().unwrap();
    assert_eq!(presets.len(), 4);
    for preset in presets {
        let loaded = app.as_(Actor::Admin, put(&json!({"preset": preset["name"]}))).await.expect(200).json();
        assert_eq!(loaded["rules"], preset["rules"]);
        let sent = app.as_(Actor::Admin, put(&json!({"rules": loaded["rules"]}))).await.expect(200).json();
        assert_eq!(sent["rules"], preset["rules"]);
    }
}

#[tokio::test]
async fn nonsense_about_rules_is_refused_with_its_field() {
    for app in App::on_each().await {
        for (body, field) in [
            (json!({}), "rules"),
            (json!({"rules": [], "preset": "epigos"}), "rules"),
            (json!({"preset": "other"}), "preset"),
            (json!({"rules": null}), "rules"),
            (json!({"rules": [rule("GET", "/a", "chat"), rule("GET", "a", "chat")]}), "rules[1].path"),
            (json!({"rules": [rule("GET", "/a", "nonsense")]}), "rules[0].scope"),
            (json!({"rules": [rule("G T", "/a", "chat")]}), "rules[0].methods"),
            (json!({"rules": [{"methods": ["GET"], "path": "/a", "access": "open"}]}), "rules[0].access"),
            (json!({"rules": [{"methods": ["GET"], "path": "/a", "access": "key", "scopes": []}]}), "rules[0].scopes"),
            (json!({"rules": vec![rule("GET", "/a", "chat"); 501]}), "rules"),
            (json!({"from_version": "1"}), "from_version"),
        ] {
            let refused = app.as_(Actor::Admin, put(&body)).await.expect(400);
            assert_eq!(refused.field().as_deref(), Some(field), "{}", refused.text());
        }
        assert_eq!(app.as_(Actor::Admin, Call::get(ROUTES)).await.expect(200).json()["version"], 0);
        let large = json!({"rules": vec![json!({"methods": ["GET"], "path": format!("/{}", "a".repeat(399)), "access": "deny", "note": "x".repeat(200)}); 500]});
        app.as_(Actor::Admin, put(&large)).await.expect(200);
        let larger = json!({"document": "x".repeat(4 * 1024 * 1024)});
        app.as_(Actor::Admin, Call::post(format!("{ROUTES}:import")).json(&larger)).await.expect(413);
    }
}

#[tokio::test]
async fn a_request_is_tried_without_a_secret_and_counts_nothing() {
    for app in App::on_each().await {
        app.routes("epigos").await;
        let key = app.key(Actor::KeyOwner, KeyKind::Secret, &["inference"]).await;
        let id = key.key.id.as_str();
        let ask = async |actor: Actor, body: Value| app.as_(actor, Call::post(format!("{ROUTES}:test")).json(&body)).await;
        let predict = ask(Actor::Admin, json!({"method": "POST", "path": "/predict/detect/m1/", "key": id})).await.expect(200).json();
        assert_eq!((&predict["outcome"], &predict["passes"], &predict["position"]), (&json!("key"), &json!(true), &json!(1)));
        assert_eq!(
            (&predict["scope"], &predict["on"], &predict["key"]["code"]),
            (&json!("inference"), &json!("model:m1"), &json!("valid"))
        );
        assert_eq!(predict["detail"], "Rule 1 decides. Needs the scope inference, on model:m1.");
        let project = ask(Actor::KeyOwner, json!({"method": "GET", "path": "/projects/p1/", "key": id})).await.expect(200).json();
        assert_eq!((&project["passes"], &project["key"]["code"]), (&json!(false), &json!("missing_scope")));
        assert_eq!(
            project["steps"],
            json!([{"position": 1, "result": "path"}, {"position": 2, "result": "path"}, {"position": 3, "result": "fits"}])
        );
        let without = ask(Actor::Viewer, json!({"method": "GET", "path": "/projects/p1/"})).await.expect(200).json();
        assert_eq!((&without["passes"], &without["key"]), (&Value::Null, &Value::Null));
        let lost = ask(Actor::Viewer, json!({"method": "GET", "path": "/projects/p1"})).await.expect(200).json();
        assert_eq!((&lost["outcome"], &lost["passes"]), (&json!("no_route"), &json!(false)));
        let odd = ask(Actor::Viewer, json!({"method": "GET", "path": "/projects/..%2fp1/"})).await.expect(200).json();
        assert_eq!((&odd["outcome"], &odd["passes"]), (&json!("unsafe_path"), &json!(false)));
        // A key that one may not see is none.
        assert_eq!(ask(Actor::Member, json!({"method": "GET", "path": "/", "key": id})).await.expect(404).problem(), "not_found");
        for (body, field) in [
            (json!({"path": "/"}), "method"),
            (json!({"method": "GET"}), "path"),
            (json!({"method": "GET", "path": "/", "key": "x"}), "key"),
            (json!({"method": "GET", "path": "/", "client_ip": "here"}), "client_ip"),
        ] {
            assert_eq!(ask(Actor::Admin, body).await.expect(400).field().as_deref(), Some(field));
        }
        assert_eq!(app.engine.keys.get(&crate::support::operator(), &app.acme, &key.key.id).await.unwrap().total_calls, 0);
    }
}

#[tokio::test]
async fn a_document_shows_its_rules_and_saves_nothing() {
    let app = App::new().await;
    let document = "openapi: 3.1.0\nservers: [{url: 'https://x.example/api'}]\npaths:\n  /p/{project_id}:\n    get: {summary: Look}\n    delete: {}\n  /p: {post: {operationId: make}}\n  '/a b': {get: {}}\n";
    let ask = async |body: Value| app.as_(Actor::Admin, Call::post(format!("{ROUTES}:import")).json(&body)).await;
    let scope = |name: &str| json!({"access": "key", "scope": name});
    let body =
        json!({"document": document, "read": scope("inference"), "write": scope("project"), "variable": "project_id", "kind": "project"});
    let shown = ask(body).await.expect(200).json();
    let rules = json!([
        {"methods": ["POST"], "path": "/api/p", "access": "key", "scope": "project", "resource": null, "note": "make"},
        {"methods": ["GET"], "path": "/api/p/{project_id}", "access": "key", "scope": "inference", "resource": "project:{project_id}", "note": "Look"},
    ]);
    assert_eq!((&shown["rules"], &shown["operations"], &shown["left_out"][0]["path"]), (&rules, &json!(2), &json!("/a b")));
    assert_eq!(app.as_(Actor::Admin, Call::get(ROUTES)).await.expect(200).json()["version"], 0);
    app.as_(Actor::Admin, put(&json!({ "rules": shown["rules"] }))).await.expect(200);
    for (body, field) in [
        (json!({"document": "", "read": scope("chat")}), "document"),
        (json!({"document": "hello", "read": scope("chat")}), "document"),
        (json!({"document": document}), "document"),
        (json!({"document": document, "read": scope("nonsense")}), "read.scope"),
        (json!({"document": document, "read": scope("chat"), "kind": "x"}), "variable"),
        (json!({"document": document, "read": null}), "read"),
    ] {
        let refused = ask(body).await.expect(400);
        assert_eq!(refused.field().as_deref(), Some(field), "{}", refused.text());
    }
}
