//! Resources through the REST API, and what they make of a verdict.

use keyfold_domain::scope::KeyKind;
use serde_json::{Value, json};

use crate::support::{Actor, Answer, App, Call, redactions};

const KEYS: &str = "/v1/workspaces/acme/keys";
const RESOURCES: &str = "/v1/workspaces/acme/resources";

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

async fn create_key(app: &App, actor: Actor, resources: Value) -> Answer {
    app.as_(actor, Call::post(KEYS).json(&json!({"name": "tied", "kind": "secret", "scopes": ["chat"], "resources": resources}))).await
}

/// The code for a question with that resource.
async fn verdict(app: &App, secret: &str, resource: &str) -> String {
    let body = json!({"key": secret, "scope": "chat", "resource": resource});
    text(&app.as_(Actor::ManagementKey, Call::post("/v1/verify").json(&body)).await.expect(200).json()["code"]).to_owned()
}

#[tokio::test]
async fn a_resource_lives_from_its_addition_to_its_deletion() {
    for app in App::on_each().await {
        let owner = Actor::KeyOwner.user(&app).await.to_string();
        let body = json!({"kind": "collection", "external_id": "contracts", "name": " Contracts ", "owner": owner});
        let created = app.as_(Actor::Admin, Call::post(RESOURCES).json(&body)).await.expect(201);
        insta::assert_json_snapshot!("created_resource", created.json(), {
            ".id" => redactions::resource_id(), ".owner.id" => redactions::user_id(),
        });
        let path = created.header("location").unwrap().to_owned();
        assert_eq!(path, format!("{RESOURCES}/{}", text(&created.json()["id"])));
        assert_eq!(app.as_(Actor::KeyOwner, Call::get(&path)).await.expect(200).json(), created.json());
        let again = app.as_(Actor::Admin, Call::post(RESOURCES).json(&body)).await.expect(409);
        assert_eq!((again.problem().as_str(), again.field().as_deref()), ("conflict", Some("external_id")));
        let renamed = app.as_(Actor::Admin, Call::patch(&path).json(&json!({"name": "Deeds"}))).await.expect(200).json();
        assert_eq!((&renamed["name"], &renamed["owner"]), (&json!("Deeds"), &created.json()["owner"]));
        let listed = app.as_(Actor::KeyOwner, Call::get(format!("{RESOURCES}?search=dee&kind=collection"))).await.expect(200).json();
        assert_eq!(listed, json!({"data": [renamed], "next": null}));

        let key = create_key(&app, Actor::KeyOwner, json!(["collection:contracts"])).await.expect(201).json();
        assert_eq!(key["resources"][0]["name"], "Deeds");
        let refused = app.as_(Actor::Admin, Call::delete(&path)).await.expect(409);
        assert_eq!(refused.field().as_deref(), Some("confirm"));
        assert!(refused.text().contains("The key tied is tied to it and would no longer work"), "{}", refused.text());
        assert_eq!(verdict(&app, text(&key["secret"]), "collection:contracts").await, "valid");
        app.as_(Actor::Admin, Call::delete(format!("{path}?confirm=false"))).await.expect(409);
        let nonsense = app.as_(Actor::Admin, Call::delete(format!("{path}?confirm=yes"))).await.expect(400);
        assert_eq!(nonsense.field().as_deref(), Some("confirm"));
        assert!(app.as_(Actor::Admin, Call::delete(format!("{path}?confirm=true"))).await.expect(204).body.is_empty());
        app.as_(Actor::Admin, Call::get(&path)).await.expect(404);
        assert_eq!(verdict(&app, text(&key["secret"]), "collection:contracts").await, "wrong_resource");
        // Of no use, and told so; never one for everything.
        assert_eq!(verdict(&app, text(&key["secret"]), "collection:anything").await, "wrong_resource");
        let whoami = app.send(Call::get("/v1/whoami").bearer(text(&key["secret"]))).await.expect(403);
        assert_eq!(whoami.problem(), "wrong_resource");
        let shown = app.as_(Actor::KeyOwner, Call::get(format!("{KEYS}/{}", text(&key["id"])))).await.expect(200).json();
        assert_eq!((&shown["resources"][0]["deleted"], &shown["resources"][0]["external_id"]), (&json!(true), &json!("contracts")));
    }
}

#[tokio::test]
async fn whoami_and_verify_tell_what_a_key_is_tied_to() {
    let app = App::new().await;
    app.resource(Actor::KeyOwner, "b").await;
    let a = app.resource(Actor::KeyOwner, "a").await;
    let key = create_key(&app, Actor::KeyOwner, json!(["collection:b", a.to_string()])).await.expect(201).json();
    let told = app.send(Call::get("/v1/whoami").bearer(text(&key["secret"]))).await.expect(200).json();
    assert_eq!(told["resources"], json!(["collection:a", "collection:b"]));
    let body = json!({"key": key["secret"], "scope": "chat", "resource": "collection:c"});
    let told = app.as_(Actor::ManagementKey, Call::post("/v1/verify").json(&body)).await.expect(200).json();
    assert_eq!(
        (&told["valid"], &told["code"], &told["resources"]),
        (&json!(false), &json!("wrong_resource"), &json!(["collection:a", "collection:b"]))
    );
    let listed = app.as_(Actor::KeyOwner, Call::get(format!("{KEYS}?resource=collection:a"))).await.expect(200).json();
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);
    assert_eq!(
        app.as_(Actor::KeyOwner, Call::get(format!("{KEYS}?resource={a}&limit=1"))).await.expect(200).json()["data"],
        listed["data"]
    );
    assert_eq!(app.as_(Actor::KeyOwner, Call::get(format!("{KEYS}?resource=collection:none"))).await.json()["data"], json!([]));
    assert_eq!(app.as_(Actor::KeyOwner, Call::get(format!("{KEYS}?resource=x"))).await.expect(400).field().as_deref(), Some("resource"));
}

/// PRODUCT 10: `KEY_NOT_FOUND` for a missing scope.
#[tokio::test]
async fn a_missing_scope_and_a_wrong_resource_are_never_told_as_a_key_that_is_not_there() {
    for app in App::on_each().await {
        app.resource(Actor::KeyOwner, "a").await;
        let key = create_key(&app, Actor::KeyOwner, json!(["collection:a"])).await.expect(201).json();
        let ask = async |body: Value| app.as_(Actor::ManagementKey, Call::post("/v1/verify").json(&body)).await.expect(200).json();
        for (scope, resource, code) in [
            ("inference", "collection:a", "missing_scope"),
            ("no.such:scope", "collection:a", "missing_scope"),
            // In the order of the checks.
            ("inference", "collection:b", "missing_scope"),
            ("chat", "collection:b", "wrong_resource"),
            ("chat", "collection:a", "valid"),
        ] {
            let told = ask(json!({"key": key["secret"], "scope": scope, "resource": resource})).await;
            assert_eq!((&told["code"], &told["key_id"]), (&json!(code), &key["id"]), "{scope} {resource}");
        }
        // And the caller's own lack of a scope is a 403 about the caller.
        let question = json!({"key": key["secret"]});
        let refused = app.as_(Actor::NarrowManagementKey, Call::post("/v1/verify").json(&question)).await.expect(403);
        assert_eq!(refused.problem(), "forbidden");
    }
}

/// PRODUCT 10: 0, null and absent meaning different things.
#[tokio::test]
async fn absent_resources_stay_and_an_empty_list_is_everything_and_nothing_else_is_either() {
    let app = App::new().await;
    app.resource(Actor::KeyOwner, "a").await;
    let key = create_key(&app, Actor::KeyOwner, json!(["collection:a"])).await.expect(201).json();
    let path = format!("{KEYS}/{}", text(&key["id"]));
    let patch = async |body: Value| app.as_(Actor::KeyOwner, Call::patch(&path).json(&body)).await;
    for wrong in [
        json!(null),
        json!(0),
        json!(false),
        json!(""),
        json!("collection:a"),
        json!([null]),
        json!([0]),
        json!([""]),
        json!({}),
        json!(["all"]),
    ] {
        let field = |answer: Answer| answer.expect(400).field().unwrap().split('[').next().map(str::to_owned);
        assert_eq!(field(patch(json!({ "resources": wrong })).await).as_deref(), Some("resources"), "{wrong}");
        assert_eq!(field(create_key(&app, Actor::KeyOwner, wrong.clone()).await).as_deref(), Some("resources"), "{wrong}");
    }
    assert_eq!(patch(json!({})).await.expect(200).json()["resources"], key["resources"]);
    assert_eq!(patch(json!({"scopes": ["chat", "inference"]})).await.expect(200).json()["resources"], key["resources"]);
    assert_eq!(verdict(&app, text(&key["secret"]), "collection:b").await, "wrong_resource");
    assert_eq!(patch(json!({"resources": []})).await.expect(200).json()["resources"], json!([]));
    assert_eq!(verdict(&app, text(&key["secret"]), "collection:b").await, "valid");
    let many: Vec<String> = (0..101).map(|at| format!("collection:{at}")).collect();
    assert_eq!(patch(json!({ "resources": many })).await.expect(400).field().as_deref(), Some("resources"));
}

/// PRODUCT 9: foreign resources, a resource not owned by the selected user.
#[tokio::test]
async fn foreign_absent_and_others_resources_are_one_refusal_of_the_field() {
    for app in App::on_each().await {
        let (foreign, _) = app.foreign_things().await;
        let admins = app.resource(Actor::Admin, "admins").await;
        let said = async |actor: Actor, name: &str| {
            let answer = create_key(&app, actor, json!([name])).await.expect(400);
            assert_eq!((answer.problem().as_str(), answer.field().as_deref()), ("invalid", Some("resources")));
            text(&answer.json()["detail"]).replace(name, "NAME")
        };
        let absent = said(Actor::KeyOwner, "res_0000000000000000000000").await;
        for name in [foreign.as_str(), "collection:foreign", admins.as_str(), "collection:admins", "collection:none"] {
            assert_eq!(said(Actor::KeyOwner, name).await, absent, "{name}");
        }
        assert_eq!(said(Actor::Admin, foreign.as_str()).await, absent);
        // For another person an admin has to say that it is meant.
        let owner = Actor::KeyOwner.user(&app).await.to_string();
        let mut body = json!({"kind": "secret", "scopes": ["chat"], "owner": owner, "resources": [admins.to_string()]});
        let refused = app.as_(Actor::Admin, Call::post(KEYS).json(&body)).await.expect(400);
        assert_eq!(refused.field().as_deref(), Some("resources"));
        body["override_owner"] = json!(true);
        app.as_(Actor::Admin, Call::post(KEYS).json(&body)).await.expect(201);
        // A member's own key is no better off with it.
        let own = json!({"kind": "secret", "scopes": ["chat"], "resources": [admins.to_string()], "override_owner": true});
        let refused = app.as_(Actor::KeyOwner, Call::post(KEYS).json(&own)).await.expect(400);
        assert_eq!(text(&refused.json()["detail"]).replace(admins.as_str(), "NAME"), absent);
    }
}

/// S9: more resources than its maker has.
#[tokio::test]
async fn a_tied_management_key_makes_no_key_beyond_its_ties() {
    let app = App::new().await;
    app.resource(Actor::Admin, "a").await;
    app.resource(Actor::Admin, "b").await;
    let body = json!({"kind": "management", "scopes": ["keys:write", "chat"], "resources": ["collection:a"]});
    let manager = app.as_(Actor::Admin, Call::post(KEYS).json(&body)).await.expect(201).json();
    let send = async |call: Call| app.send(call.bearer(text(&manager["secret"]))).await;
    let new = |resources: Value| Call::post(KEYS).json(&json!({"kind": "secret", "scopes": ["chat"], "resources": resources}));
    let made = send(new(json!(["collection:a"]))).await.expect(201).json();
    let path = format!("{KEYS}/{}", text(&made["id"]));
    for beyond in [json!([]), json!(["collection:b"]), json!(["collection:a", "collection:b"])] {
        assert_eq!(send(new(beyond.clone())).await.expect(403).problem(), "forbidden", "{beyond}");
        assert_eq!(send(Call::patch(&path).json(&json!({"resources": beyond}))).await.expect(403).problem(), "forbidden");
    }
    send(Call::post(KEYS).json(&json!({"kind": "secret", "scopes": ["chat"]}))).await.expect(403);
    send(Call::post(RESOURCES).json(&json!({"kind": "collection", "external_id": "c"}))).await.expect(403);
}

/// PRODUCT 10: a data key accepted where a management key is meant.
#[tokio::test]
async fn a_data_key_opens_nothing_that_is_for_management_keys() {
    for app in App::on_each().await {
        let resource = app.resource(Actor::Admin, "a").await;
        app.scope("reports", &[]).await;
        let issued = app.key(Actor::Admin, KeyKind::Secret, &["project", "chat", "reports"]).await;
        let secret = issued.secret.expose();
        let calls = [
            Call::get(KEYS),
            Call::post(KEYS).json(&json!({"kind": "secret", "scopes": ["chat"]})),
            Call::get(format!("{KEYS}/{}", issued.key.id)),
            Call::patch(format!("{KEYS}/{}", issued.key.id)).json(&json!({"resources": []})),
            Call::delete(format!("{KEYS}/{}", issued.key.id)),
            Call::get(RESOURCES),
            Call::get(format!("{RESOURCES}/{resource}")),
            Call::post(RESOURCES).json(&json!({"kind": "collection", "external_id": "mine"})),
            Call::delete(format!("{RESOURCES}/{resource}?confirm=true")),
            Call::get("/v1/workspaces/acme/scopes"),
            Call::patch("/v1/workspaces/acme/scopes/reports").json(&json!({"implies": ["chat"]})),
            Call::post("/v1/verify").json(&json!({"key": secret})),
        ];
        for call in calls {
            let answer = app.send(call.clone().bearer(secret)).await.expect(403);
            assert_eq!(answer.problem(), "forbidden", "{call:?}");
            assert!(answer.text().contains("not a management key"), "{}", answer.text());
        }
        assert_eq!(app.verdict(secret, Some("reports")).await, "valid");
    }
}

#[tokio::test]
async fn nonsense_about_resources_is_refused_with_its_field() {
    for app in App::on_each().await {
        let send = async |body: Value| app.as_(Actor::Admin, Call::post(RESOURCES).json(&body)).await;
        for (body, field) in [
            (json!({"external_id": "x"}), "kind"),
            (json!({"kind": "collection"}), "external_id"),
            (json!({"kind": "Collection", "external_id": "x"}), "kind"),
            (json!({"kind": null, "external_id": "x"}), "kind"),
            (json!({"kind": "a".repeat(41), "external_id": "x"}), "kind"),
            (json!({"kind": "collection", "external_id": ""}), "external_id"),
            (json!({"kind": "collection", "external_id": "a b"}), "external_id"),
            (json!({"kind": "collection", "external_id": "a\u{0}b"}), "external_id"),
            (json!({"kind": "collection", "external_id": "a\u{202e}b"}), "external_id"),
            (json!({"kind": "collection", "external_id": "x".repeat(201)}), "external_id"),
            (json!({"kind": "collection", "external_id": "x", "name": "a\nb"}), "name"),
            (json!({"kind": "collection", "external_id": "x", "owner": null}), "owner"),
            (json!({"kind": "collection", "external_id": "x", "owner": "usr_0000000000000000000000"}), "owner"),
            (json!({"kind": "collection", "external_id": "x", "workspace_id": app.zeta.to_string()}), "workspace_id"),
            (json!({"kind": "collection", "external_id": "x", "deleted_at": null}), "deleted_at"),
        ] {
            assert_eq!(send(body.clone()).await.expect(400).field().as_deref(), Some(field), "{body}");
        }
        let id = app.resource(Actor::Admin, "there").await;
        let path = format!("{RESOURCES}/{id}");
        for (body, field) in [
            (json!({"name": ""}), "name"),
            (json!({"name": null}), "name"),
            (json!({"external_id": "other"}), "external_id"),
            (json!({"kind": "project"}), "kind"),
            (json!({"owner": "usr_0000000000000000000000"}), "owner"),
        ] {
            assert_eq!(app.as_(Actor::Admin, Call::patch(&path).json(&body)).await.expect(400).field().as_deref(), Some(field), "{body}");
        }
        for (query, field) in [
            ("limit=0", "limit"),
            ("limit=201", "limit"),
            ("cursor=x", "cursor"),
            ("owner=me", "owner"),
            ("q=1", "q"),
            ("search=%00", "search"),
            ("kind=%00", "kind"),
        ] {
            let answer = app.as_(Actor::Admin, Call::get(format!("{RESOURCES}?{query}"))).await.expect(400);
            assert_eq!(answer.field().as_deref(), Some(field), "{query}");
        }
        assert_eq!(app.as_(Actor::Admin, Call::get(RESOURCES)).await.json()["data"].as_array().unwrap().len(), 1);
    }
}
