//! What the h2oGPTe client finds here: the routes, shapes and errors that it insists on. The client itself is run by
//! `scripts/clients.sh`; this is every statement about it, one by one.

mod collections;
mod doors;

use keyfold_domain::key::{Expiry, NewKey};
use keyfold_domain::policy_limits::{KeyPolicy, PolicyChange};
use keyfold_domain::resource::{NewResource, ResourceName};
use keyfold_domain::scope::KeyKind;
use serde_json::{Value, json};

use crate::support::{Actor, Answer, App, Call, encoded, new_key, operator};

const KEYS: &str = "/api/v1/admin/api_keys";
const HYPHENS: &str = "/api/v1/admin/api-keys";
const DAY: i64 = 86_400_000;

/// A refusal's status, after a look at everything that the client reads of it.
#[track_caller]
fn refused(answer: &Answer) -> u16 {
    assert_eq!(answer.header("content-type"), Some("application/json"), "{}", answer.text());
    let body = answer.json();
    assert_eq!(body["code"], answer.code(), "{body}");
    assert!(body["message"].as_str().is_some_and(|text| !text.is_empty()) && body["error"] == body["message"], "{body}");
    answer.code()
}

/// As an administrator's script.
async fn admin(app: &App, call: Call) -> Answer {
    app.as_(Actor::ManagementKey, call).await
}

async fn create(app: &App, body: Value) -> Answer {
    admin(app, Call::post(KEYS).json(&body)).await
}

async fn made(app: &App, body: Value) -> Value {
    create(app, body).await.expect(201).json()
}

async fn list(app: &App, query: &str) -> Vec<Value> {
    admin(app, Call::get(format!("{KEYS}{query}"))).await.expect(200).json().as_array().unwrap().clone()
}

/// The key with that id as the list shows it.
async fn listed(app: &App, id: &Value) -> Value {
    list(app, "").await.into_iter().find(|key| key["id"] == *id).unwrap()
}

fn act(act: &str, key: &Value) -> String {
    format!("{KEYS}/{act}/{}", key["id"].as_str().unwrap())
}

/// The id of somebody in acme who can have keys, and a collection of theirs.
async fn owner(app: &App) -> String {
    app.resource(Actor::KeyOwner, "c1").await;
    Actor::KeyOwner.user(app).await.to_string()
}

/// When an administrator's management key of the tests may live for ever, what it makes may too.
async fn endless(app: &App) {
    let owner = Some(Actor::Admin.user(app).await);
    let everything = ["keys:write", "project", "chat", "members:read", "audit:read", "verify"];
    let new = NewKey { owner, expires_at: Expiry::Never, ..new_key("endless", KeyKind::Management, &everything) };
    let issued = app.engine.keys.create(&operator(), &app.acme, new, None).await.unwrap();
    app.show(Actor::ManagementKey, issued.secret.expose()).await;
}

async fn rules(app: &App, policy: KeyPolicy) {
    let change = PolicyChange { policy, version: None, existing: Some(keyfold_domain::policy_limits::ExistingKeys::Keep) };
    app.engine.policies.update(&operator(), Some(&app.acme), change).await.unwrap();
}

#[tokio::test]
async fn a_key_is_created_with_everything_and_listed() {
    for app in App::on_each().await {
        endless(&app).await;
        let user = owner(&app).await;
        let body = json!({"user_id": user, "name": "n", "collection_id": "c1", "expires_in": "30 days", "inactivity_interval": 60});
        let result = made(&app, body).await;
        let secret = result["secret_key"].as_str().unwrap();
        assert!(secret.starts_with("kf_sec_"), "a data key");
        let key = &result["api_key"];
        let expected = json!({
            "id": key["id"], "username": "keyowner", "name": "n", "hint": format!("...{}", &secret[secret.len() - 4..]),
            "created_at": "2026-06-01T12:00:00.000Z", "expires_at": "2026-07-01T12:00:00.000Z", "last_used_at": null,
            "inactivity_interval": 60, "total_calls": 0, "is_active": true, "collection_name": "c1", "collection_id": "c1",
            "is_global_key": false,
        });
        assert_eq!(*key, expected);
        assert_eq!(listed(&app, &key["id"]).await, expected);
        // It is for talking with that collection and for nothing else.
        let verdict = async |scope: &str, resource: Option<&str>| {
            let mut body = json!({"key": secret, "scope": scope});
            if let Some(resource) = resource {
                body["resource"] = resource.into();
            }
            admin(&app, Call::post("/v1/verify").json(&body)).await.expect(200).json()["code"].clone()
        };
        assert_eq!(verdict("chat", Some("collection:c1")).await, "valid");
        assert_eq!(verdict("chat", Some("collection:c2")).await, "wrong_resource");
        assert_eq!(verdict("project", Some("collection:c1")).await, "missing_scope");
        app.engine.flush_usage().await.unwrap();
        let used = listed(&app, &key["id"]).await;
        assert_eq!((&used["total_calls"], used["last_used_at"].is_string()), (&json!(1), true));
    }
}

#[tokio::test]
async fn a_key_with_nothing_said_is_global_nameless_and_without_end() {
    let app = App::new().await;
    endless(&app).await;
    let user = owner(&app).await;
    let result = made(&app, json!({"user_id": user})).await;
    let key = &result["api_key"];
    assert_eq!(key["name"], "");
    for nothing in ["expires_at", "last_used_at", "inactivity_interval", "collection_name", "collection_id"] {
        assert_eq!(key[nothing], Value::Null, "{nothing}");
    }
    assert_eq!((&key["is_global_key"], &key["total_calls"]), (&json!(true), &json!(0)));
    for scope in ["chat", "project", "inference"] {
        assert_eq!(app.verdict(result["secret_key"].as_str().unwrap(), Some(scope)).await, "valid", "{scope}");
    }
    // What is null, or an empty name of a collection, is as good as left out.
    let empty = json!({"user_id": user, "name": null, "collection_id": "", "expires_in": null, "inactivity_interval": null});
    assert_eq!(made(&app, empty).await["api_key"]["is_global_key"], true);
}

#[tokio::test]
async fn both_spellings_lead_to_the_same() {
    let app = App::new().await;
    let user = owner(&app).await;
    let key = admin(&app, Call::post(HYPHENS).json(&json!({"user_id": user}))).await.expect(201).json()["api_key"].clone();
    let id = key["id"].as_str().unwrap();
    let there = admin(&app, Call::get(HYPHENS)).await.expect(200);
    assert_eq!(there.json(), admin(&app, Call::get(KEYS)).await.expect(200).json());
    for path in ["expire", "inactivity-interval"] {
        admin(&app, Call::patch(format!("{HYPHENS}/{path}/{id}"))).await.expect(204);
    }
    admin(&app, Call::post(format!("{HYPHENS}/deactivate/{id}"))).await.expect(204);
    admin(&app, Call::delete(format!("{HYPHENS}/{id}"))).await.expect(204);
}

#[tokio::test]
async fn what_a_new_key_asks_for_is_checked() {
    let app = App::new().await;
    let user = owner(&app).await;
    app.resource(Actor::Admin, "hers").await;
    let viewer = Actor::Viewer.user(&app).await.to_string();
    let foreign = Actor::ForeignAdmin.user(&app).await.to_string();
    for (body, status) in [
        (json!({}), 400),
        (json!({"user_id": null}), 400),
        (json!({"user_id": 5}), 400),
        (json!({"user_id": user, "secret": "x"}), 400),
        (json!({"user_id": user, "name": 5}), 400),
        (json!({"user_id": user, "name": "x".repeat(101)}), 400),
        (json!({"user_id": user, "name": "\u{202e}"}), 400),
        (json!({"user_id": user, "expires_in": "soon"}), 400),
        (json!({"user_id": user, "expires_in": ""}), 400),
        (json!({"user_id": user, "expires_in": "0 days"}), 400),
        (json!({"user_id": user, "expires_in": 30}), 400),
        (json!({"user_id": user, "expires_in": "101 years"}), 400),
        (json!({"user_id": user, "inactivity_interval": 0}), 400),
        (json!({"user_id": user, "inactivity_interval": -1}), 400),
        (json!({"user_id": user, "inactivity_interval": 1.5}), 400),
        (json!({"user_id": user, "inactivity_interval": "60"}), 400),
        (json!({"user_id": user, "inactivity_interval": 3651}), 400),
        (json!({"user_id": user, "inactivity_interval": 4_294_967_296_u64}), 400),
        (json!({"user_id": viewer}), 400),
        (json!({"user_id": user, "collection_id": "hers"}), 400),
        (json!({"user_id": user, "collection_id": "nowhere"}), 404),
        (json!({"user_id": user, "collection_id": "a b"}), 404),
        (json!({"user_id": foreign}), 404),
        (json!({"user_id": "usr_0000000000000000000000"}), 404),
        (json!({"user_id": "keyowner"}), 404),
        (json!([]), 400),
        (json!("x"), 400),
    ] {
        let answer = create(&app, body.clone()).await;
        assert_eq!(refused(&answer), status, "{body}: {}", answer.text());
    }
    // Nobody in particular, and somebody of another workspace, are the same nobody.
    let nobody = create(&app, json!({"user_id": "nobody"})).await.text();
    assert_eq!(create(&app, json!({"user_id": foreign})).await.text(), nobody);
    let before = list(&app, "").await.len();
    for (content_type, body, status) in [
        ("application/json", r#"{"user_id": "#.to_owned(), 400),
        ("application/json", "{} {}".to_owned(), 400),
        ("application/json", format!(r#"{{"user_id": "{user}", "user_id": "{user}"}}"#), 400),
        ("text/plain", format!(r#"{{"user_id": "{user}"}}"#), 400),
        ("application/json", " ".repeat(70_000), 413),
    ] {
        assert_eq!(refused(&admin(&app, Call::post(KEYS).body(content_type, body)).await), status, "{content_type}");
    }
    assert_eq!(refused(&admin(&app, Call::post(KEYS)).await), 400, "no body");
    assert_eq!(list(&app, "").await.len(), before);
    // Any JSON, and no type at all, are read.
    let body = json!({"user_id": user}).to_string();
    for content_type in ["application/json; charset=utf-8", "application/vnd.h2o+json"] {
        admin(&app, Call::post(KEYS).body(content_type, body.clone())).await.expect(201);
    }
    let mut bare = Call::post(KEYS).json(&json!({"user_id": user}));
    bare.headers.remove("content-type");
    admin(&app, bare).await.expect(201);
}

#[tokio::test]
async fn the_list_is_paged_by_offset_and_narrowed_by_username() {
    for app in App::on_each().await {
        let (user, other) = (owner(&app).await, Actor::Member.user(&app).await.to_string());
        admin(&app, Call::get("/rpc/meta")).await.expect(200);
        let own = list(&app, "").await.len();
        for (number, user) in [&user, &other, &user, &other, &user].into_iter().enumerate() {
            app.clock.advance_ms(1);
            made(&app, json!({"user_id": user, "name": format!("k{number}")})).await;
        }
        let names = async |query: &str| {
            let names: Vec<String> = list(&app, query).await.iter().map(|key| key["name"].as_str().unwrap().to_owned()).collect();
            names.join(" ")
        };
        assert_eq!(list(&app, "").await.len(), own + 5);
        assert_eq!(names(&format!("?offset={own}")).await, "k0 k1 k2 k3 k4", "the oldest first");
        assert_eq!(names(&format!("?offset={}&limit=2", own + 1)).await, "k1 k2");
        assert_eq!(names("?offset=4000000000").await, "");
        assert_eq!(names("?limit=0").await, "");
        // An empty filter is none: the client always sends one.
        assert_eq!(list(&app, "?offset=0&limit=100&filter=").await.len(), own + 5);
        assert_eq!(names("?filter=keyow").await, "k0 k2 k4");
        assert_eq!(names("?filter=member&offset=1&limit=1").await, "k3");
        assert_eq!(names("?filter=%25").await, "");
        for query in ["?offset=-1", "?limit=-1", "?limit=x", "?limit=10001", "?offset=1.0", "?limit=1&limit=2", "?offset=99999999999"] {
            assert_eq!(refused(&admin(&app, Call::get(format!("{KEYS}{query}"))).await), 400, "{query}");
        }
        for filter in ["\u{0}", "\u{202e}", &"x".repeat(5_000)] {
            assert!([200, 400].contains(&admin(&app, Call::get(format!("{KEYS}?filter={}", encoded(filter)))).await.code()));
        }
    }
}

#[tokio::test]
async fn the_end_is_changed_and_taken_away() {
    let app = App::new().await;
    endless(&app).await;
    let user = owner(&app).await;
    let key = made(&app, json!({"user_id": user})).await["api_key"].clone();
    let path = act("expire", &key);
    let end = async || listed(&app, &key["id"]).await["expires_at"].clone();
    admin(&app, Call::patch(&path).json(&json!({"expires_in": "30 minutes"}))).await.expect(204);
    assert_eq!(end().await, "2026-06-01T12:30:00.000Z");
    // The client sends a content type with no body to take the end away.
    let bodyless = Call::patch(&path).header("content-type", "application/json").header("content-length", "0");
    let answer = admin(&app, bodyless).await.expect(204);
    assert!(answer.body.is_empty());
    assert_eq!(end().await, Value::Null);
    for nothing in [json!({}), json!({"expires_in": null})] {
        admin(&app, Call::patch(&path).json(&json!({"expires_in": "1 Week"}))).await.expect(204);
        assert_eq!(end().await, "2026-06-08T12:00:00.000Z");
        admin(&app, Call::patch(&path).json(&nothing)).await.expect(204);
        assert_eq!(end().await, Value::Null, "{nothing}");
    }
    for wrong in [json!({"expires_in": "x"}), json!({"expires_in": "10 seconds"}), json!({"until": "1 day"}), json!({"expires_in": 1})] {
        assert_eq!(refused(&admin(&app, Call::patch(&path).json(&wrong)).await), 400, "{wrong}");
    }
    // An expired key works again with a later end.
    admin(&app, Call::patch(&path).json(&json!({"expires_in": "1 minute"}))).await.expect(204);
    app.clock.advance_ms(61_000);
    assert_eq!(listed(&app, &key["id"]).await["is_active"], false);
    admin(&app, Call::patch(&path).json(&json!({"expires_in": "1 day"}))).await.expect(204);
    assert_eq!(listed(&app, &key["id"]).await["is_active"], true);
}

#[tokio::test]
async fn the_interval_is_changed_and_taken_away() {
    let app = App::new().await;
    let user = owner(&app).await;
    let key = made(&app, json!({"user_id": user})).await["api_key"].clone();
    let path = act("inactivity_interval", &key);
    let interval = async || listed(&app, &key["id"]).await["inactivity_interval"].clone();
    admin(&app, Call::patch(&path).json(&json!({"inactivity_interval": 1}))).await.expect(204);
    assert_eq!(interval().await, 1);
    for wrong in [json!({"inactivity_interval": 0}), json!({"inactivity_interval": "1"}), json!({"inactivity_interval": 1.0}), json!([1])] {
        assert_eq!(refused(&admin(&app, Call::patch(&path).json(&wrong)).await), 400, "{wrong}");
    }
    app.clock.advance_ms(DAY + 60_000);
    assert_eq!(listed(&app, &key["id"]).await["is_active"], false, "nobody used it for a day");
    admin(&app, Call::patch(&path)).await.expect(204);
    assert_eq!((interval().await, listed(&app, &key["id"]).await["is_active"].clone()), (Value::Null, json!(true)));
}

#[tokio::test]
async fn the_cap_bounds_every_end_and_is_the_end_where_none_is_asked_for() {
    let app = App::new().await;
    endless(&app).await;
    let user = owner(&app).await;
    let before = made(&app, json!({"user_id": user})).await["api_key"].clone();
    rules(&app, KeyPolicy { max_expiry_days: Some(30), default_expiry_days: Some(7), ..KeyPolicy::default() }).await;
    let cap = "2026-07-01T12:00:00.000Z";
    assert_eq!(made(&app, json!({"user_id": user})).await["api_key"]["expires_at"], cap);
    assert_eq!(made(&app, json!({"user_id": user, "expires_in": "30 days"})).await["api_key"]["expires_at"], cap);
    assert_eq!(refused(&create(&app, json!({"user_id": user, "expires_in": "31 days"})).await), 400);
    let path = act("expire", &before);
    assert_eq!(refused(&admin(&app, Call::patch(&path).json(&json!({"expires_in": "31 days"}))).await), 400);
    admin(&app, Call::patch(&path)).await.expect(204);
    assert_eq!(listed(&app, &before["id"]).await["expires_at"], cap);
    // Without a cap, but where no key may live for ever, it is the usual life.
    rules(&app, KeyPolicy { never_allowed: false, default_expiry_days: Some(7), ..KeyPolicy::default() }).await;
    assert_eq!(made(&app, json!({"user_id": user})).await["api_key"]["expires_at"], "2026-06-08T12:00:00.000Z");
    rules(&app, KeyPolicy { never_allowed: false, default_expiry_days: None, ..KeyPolicy::default() }).await;
    assert_eq!(refused(&create(&app, json!({"user_id": user})).await), 400);
    made(&app, json!({"user_id": user, "expires_in": "2 years"})).await;
}

#[tokio::test]
async fn the_workspaces_usual_interval_is_that_of_a_key_that_says_none() {
    let app = App::new().await;
    let user = owner(&app).await;
    rules(&app, KeyPolicy { default_inactivity_days: Some(45), ..KeyPolicy::default() }).await;
    assert_eq!(made(&app, json!({"user_id": user})).await["api_key"]["inactivity_interval"], 45);
    assert_eq!(made(&app, json!({"user_id": user, "inactivity_interval": 3})).await["api_key"]["inactivity_interval"], 3);
}

#[tokio::test]
async fn a_key_that_ends_makes_none_that_outlives_it() {
    let app = App::new().await;
    let user = owner(&app).await;
    // The tests' own management key ends after 90 days.
    assert_eq!(made(&app, json!({"user_id": user})).await["api_key"]["expires_at"], "2026-08-30T12:00:00.000Z");
    assert_eq!(refused(&create(&app, json!({"user_id": user, "expires_in": "91 days"})).await), 403);
    let narrow = app.key(Actor::Admin, KeyKind::Management, &["keys:write", "chat"]).await;
    let with = async |body: Value| app.send(Call::post(KEYS).bearer(narrow.secret.expose()).json(&body)).await;
    assert_eq!(refused(&with(json!({"user_id": user})).await), 403, "a global key does what this one cannot");
    assert_eq!(with(json!({"user_id": user, "collection_id": "c1"})).await.code(), 201);
}

#[tokio::test]
async fn deactivation_is_final_idempotent_and_survives_every_change() {
    for app in App::on_each().await {
        let user = owner(&app).await;
        let result = made(&app, json!({"user_id": user})).await;
        let (key, secret) = (&result["api_key"], result["secret_key"].as_str().unwrap());
        for _ in 0..2 {
            let answer = admin(&app, Call::post(act("deactivate", key))).await.expect(204);
            assert!(answer.body.is_empty());
            assert_eq!(app.verdict(secret, None).await, "deactivated");
        }
        admin(&app, Call::patch(act("expire", key)).json(&json!({"expires_in": "30 days"}))).await.expect(204);
        admin(&app, Call::patch(act("inactivity_interval", key))).await.expect(204);
        assert_eq!(listed(&app, &key["id"]).await["is_active"], false);
        let ours = format!("/v1/workspaces/acme/keys/{}", key["id"].as_str().unwrap());
        for actor in [Actor::Admin, Actor::InstanceAdmin, Actor::ManagementKey] {
            assert_eq!(app.as_(actor, Call::post(format!("{ours}/activate"))).await.expect(409).problem(), "conflict");
        }
        assert_eq!(app.verdict(secret, None).await, "deactivated");
        let shown = app.as_(Actor::Admin, Call::get(&ours)).await.expect(200).json();
        assert!(shown.to_string().contains("for good through the h2oGPTe API"), "{shown}");
    }
}

#[tokio::test]
async fn a_deleted_key_is_gone_for_this_client() {
    let app = App::new().await;
    let user = owner(&app).await;
    let result = made(&app, json!({"user_id": user})).await;
    let key = &result["api_key"];
    let path = format!("{KEYS}/{}", key["id"].as_str().unwrap());
    assert!(admin(&app, Call::delete(&path)).await.expect(204).body.is_empty());
    assert_eq!(app.verdict(result["secret_key"].as_str().unwrap(), None).await, "not_found");
    assert!(list(&app, "").await.iter().all(|listed| listed["id"] != key["id"]));
    assert_eq!(refused(&admin(&app, Call::delete(&path)).await), 404);
    assert_eq!(refused(&admin(&app, Call::post(act("deactivate", key))).await), 404);
    for path in ["expire", "inactivity_interval"] {
        assert_eq!(refused(&admin(&app, Call::patch(act(path, key))).await), 404);
    }
}

#[tokio::test]
async fn keys_of_every_sort_can_be_listed() {
    let app = App::new().await;
    let user = Some(Actor::KeyOwner.user(&app).await);
    for kind in ["project", "collection"] {
        let new = NewResource { kind: kind.into(), external_id: "x:1".into(), name: "ä".into(), owner: user.clone() };
        app.engine.resources.create(&operator(), &app.acme, new).await.unwrap();
    }
    let names = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect::<Vec<ResourceName>>();
    for resources in [names(&["project:x:1"]), names(&["project:x:1", "collection:x:1"])] {
        let new = NewKey { owner: user.clone(), resources, ..new_key("tied", KeyKind::Secret, &["chat"]) };
        app.engine.keys.create(&operator(), &app.acme, new, None).await.unwrap();
    }
    app.key(Actor::KeyOwner, KeyKind::Publishable, &["inference"]).await;
    let listed = list(&app, "").await;
    let tied: Vec<_> =
        listed.iter().filter(|key| key["name"] == "tied").map(|key| (&key["is_global_key"], &key["collection_id"])).collect();
    assert_eq!(tied, [(&json!(false), &Value::Null), (&json!(false), &json!("x:1"))]);
    for key in &listed {
        let last = key["hint"].as_str().unwrap().strip_prefix("...").unwrap();
        assert_eq!(last.len(), 4);
    }
}

#[tokio::test]
async fn a_person_with_as_many_keys_as_allowed_gets_no_more() {
    let app = App::new().await;
    let user = owner(&app).await;
    made(&app, json!({"user_id": user})).await;
    rules(&app, KeyPolicy { max_live_per_user: 1, ..KeyPolicy::default() }).await;
    assert_eq!(refused(&create(&app, json!({"user_id": user})).await), 409);
}
