//! What the h2oGPTe client finds here: the routes, shapes and errors that it insists on. The client itself is run by
//! `scripts/clients.sh`; this is every statement about it, one by one.

use axum::http::Method;
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
async fn foreign_and_unknown_keys_are_the_same_nothing() {
    let app = App::new().await;
    let foreign = app.foreign_key(KeyKind::Secret, &["chat"]).await.key.id.to_string();
    for id in ["key_0000000000000000000000", "a%2Fb%20c", "id1%2Cid2", "%00", "%FF", "%", "kf_sec_x"] {
        for (method, path) in acts() {
            let answers = [id, foreign.as_str()].map(|id| Call::new(method.clone(), format!("{path}{id}")).json(&json!({})));
            let [unknown, foreign] = answers;
            let (unknown, foreign) = (admin(&app, unknown).await, admin(&app, foreign).await);
            assert_eq!((refused(&unknown), unknown.text()), (404, foreign.text()), "{path}{id}");
        }
    }
    let state = app.engine.keys.get(&operator(), &app.zeta, &foreign.parse().unwrap()).await.unwrap();
    assert_eq!(state.version, 1);
}

/// Every act on one key: the method, and the path before the key's id.
fn acts() -> [(Method, String); 4] {
    [
        (Method::POST, format!("{KEYS}/deactivate/")),
        (Method::PATCH, format!("{KEYS}/expire/")),
        (Method::PATCH, format!("{KEYS}/inactivity_interval/")),
        (Method::DELETE, format!("{KEYS}/")),
    ]
}

/// What each of [`Actor::ALL`] is answered; cookies are no credential here.
fn expected(working: u16, narrow: u16, members: u16, foreign: u16) -> [u16; Actor::ALL.len()] {
    [401, 401, 401, 401, 401, 401, 401, 401, 401, 403, 403, working, narrow, members, foreign, 401, 401]
}

#[tokio::test]
async fn every_route_answers_every_actor_as_the_table_says() {
    let app = App::new().await;
    let user = owner(&app).await;
    let body = json!({"user_id": user});
    let new = json!({"name": "n", "description": ""});
    let get = |path: &'static str| move |_: &str| Call::get(path);
    let mut rows: Vec<Row> = vec![
        (expected(200, 403, 403, 200), Box::new(get(KEYS))),
        // The user is of acme: for a key of zeta there is no such person.
        (expected(201, 403, 403, 404), Box::new(|_| Call::post(KEYS).json(&body))),
        (expected(200, 200, 403, 200), Box::new(get("/api/v1/users"))),
        (expected(200, 200, 200, 200), Box::new(get("/rpc/meta"))),
        (expected(404, 404, 404, 404), Box::new(get("/api/v1/jobs/j1"))),
        (expected(200, 403, 200, 200), Box::new(get("/api/v1/collections"))),
        // A member sees their own alone.
        (expected(200, 403, 404, 404), Box::new(get("/api/v1/collections/c1"))),
        (expected(201, 403, 403, 201), Box::new(|_| Call::post("/api/v1/collections").json(&new))),
        (expected(404, 403, 404, 404), Box::new(|_| Call::delete("/api/v1/collections/c9"))),
    ];
    for (method, path) in acts() {
        rows.push((expected(204, 403, 403, 404), Box::new(move |key| Call::new(method.clone(), format!("{path}{key}")))));
    }
    let mut wrong = Vec::new();
    for (statuses, call) in rows {
        for (actor, expected) in Actor::ALL.into_iter().zip(statuses) {
            let key = app.key(Actor::KeyOwner, KeyKind::Secret, &["chat"]).await.key.id;
            let call = call(key.as_str());
            let what = format!("{} {} by {actor:?}", call.method, call.path);
            let answer = app.as_(actor, call).await;
            if answer.code() != expected {
                wrong.push(format!("{what}: {} and not {expected}: {}", answer.code(), answer.text()));
            }
            if answer.code() >= 400 {
                refused(&answer);
            }
        }
    }
    assert!(wrong.is_empty(), "{} cells differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// What everybody is answered, and a call on the key of that id.
type Row<'a> = ([u16; Actor::ALL.len()], Box<dyn Fn(&str) -> Call + Send + 'a>);

#[tokio::test]
async fn other_ways_to_show_who_one_is_are_refused() {
    let app = App::new().await;
    let secret = app.key(Actor::Admin, KeyKind::Management, &["keys:write"]).await.secret.expose().to_owned();
    for (name, value) in [
        ("authorization", format!("Bearer-Token {secret}")),
        ("authorization", format!("Bearer-AD {secret}")),
        ("authorization", format!("Token-Bearer {secret}")),
        ("authorization", "Bearer ".to_owned()),
        ("authorization", "Bearer sk-0123456789".to_owned()),
        ("x-api-key", secret.clone()),
        ("cookie", "h2ogpte.session=x".to_owned()),
    ] {
        for path in [KEYS, "/rpc/meta"] {
            let answer = app.send(Call::get(path).header(name, &value)).await;
            assert_eq!(refused(&answer), 401, "{name}: {value}");
            assert!(answer.header("www-authenticate").is_some());
        }
    }
    app.send(Call::get(KEYS).bearer(&secret)).await.expect(200);
}

#[tokio::test]
async fn everything_else_below_these_paths_is_refused_in_json() {
    let app = App::new().await;
    for path in ["/api/v1", "/api/v1/", "/api/v1/models", "/api/v1/admin/api_keys/", "/rpc", "/rpc/db", "/api/v1/%00", "/rpc/meta/"] {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let answer = admin(&app, Call::new(method.parse().unwrap(), path)).await;
            assert_eq!(refused(&answer), 404, "{method} {path}");
        }
    }
    for (method, path) in [
        ("PUT", KEYS),
        ("DELETE", KEYS),
        ("GET", "/api/v1/admin/api_keys/expire/x"),
        ("POST", "/api/v1/users"),
        ("POST", "/rpc/meta"),
        ("GET", "/api/v1/admin/api-keys/x"),
    ] {
        assert_eq!(refused(&admin(&app, Call::new(method.parse().unwrap(), path)).await), 405, "{method} {path}");
    }
    // From a page of another site, whatever it has got hold of.
    let forged = Call::post(KEYS).header("sec-fetch-site", "cross-site").json(&json!({}));
    assert_eq!(refused(&admin(&app, forged).await), 403);
}

#[tokio::test]
async fn users_are_listed_with_all_that_the_client_insists_on() {
    let app = App::new().await;
    let user = owner(&app).await;
    let users = admin(&app, Call::get("/api/v1/users")).await.expect(200).json();
    let users = users.as_array().unwrap();
    assert!(users.contains(&json!({"id": user, "username": "keyowner", "email": "keyowner@example.com"})), "{users:?}");
    assert!(users.iter().all(|user| user["username"] != "foreign"), "only those of the workspace");
    let some = admin(&app, Call::get("/api/v1/users?offset=1&limit=1")).await.expect(200).json();
    assert_eq!(some, json!([users[1]]));
    assert_eq!(refused(&admin(&app, Call::get("/api/v1/users?limit=x")).await), 400);
}

#[tokio::test]
async fn meta_says_what_every_version_of_the_client_asks_for() {
    let app = App::new().await;
    let meta = admin(&app, Call::get("/rpc/meta")).await.expect(200).json();
    let id = Actor::Admin.user(&app).await.to_string();
    for (field, value) in [("version", "v1.7.5"), ("username", "admin"), ("email", "admin@example.com"), ("user_id", &id), ("subject", &id)]
    {
        assert_eq!(meta[field], value, "{field}");
    }
    for nothing in ["picture", "groups", "workspaces"] {
        assert!(meta.as_object().unwrap().get(nothing).is_some_and(Value::is_null), "{nothing}");
    }
    assert_eq!(
        (&meta["is_guest"], &meta["license_expired"], &meta["ui_config"]["public_mode"]),
        (&json!(false), &json!(false), &json!(false))
    );
    let of = async |version: &str| {
        admin(&app, Call::get("/rpc/meta").header("x-client-version", version)).await.expect(200).json()["version"].clone()
    };
    assert_eq!((of("1.6.28").await, of("<script>").await), (json!("v1.6.28"), json!("v1.7.5")));
}

#[tokio::test]
async fn collections_are_the_resources_of_that_kind() {
    for app in App::on_each().await {
        let collections = "/api/v1/collections";
        let new = json!({"name": "Contracts", "description": "All of them", "embedding_model": "m", "chat_settings": {}});
        let made = admin(&app, Call::post(collections).json(&new)).await.expect(201).json();
        let id = made["id"].as_str().unwrap();
        assert_eq!((id.len(), &id[14..15]), (36, "4"), "a UUID: {id}");
        let expected = json!({
            "id": id, "name": "Contracts", "description": "All of them", "embedding_model": "", "document_count": 0, "document_size": 0,
            "created_at": "2026-06-01T12:00:00.000Z", "updated_at": "2026-06-01T12:00:00.000Z", "user_count": 1, "is_public": false,
            "username": "admin", "sessions_count": 0, "status": "",
        });
        assert_eq!(made, expected);
        assert_eq!(admin(&app, Call::get(format!("{collections}/{id}"))).await.expect(200).json(), expected);
        app.clock.advance_ms(1000);
        let user = owner(&app).await;
        let source =
            NewResource { kind: "source".into(), external_id: "s1".into(), name: String::new(), owner: Some(user.parse().unwrap()) };
        app.engine.resources.create(&operator(), &app.acme, source).await.unwrap();
        let ids = async |query: &str| {
            let found = admin(&app, Call::get(format!("{collections}{query}"))).await.expect(200).json();
            found.as_array().unwrap().iter().map(|found| found["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(ids("").await, "c1 Contracts", "the newest first");
        assert_eq!(ids("?offset=1&limit=5").await, "Contracts");
        assert_eq!(ids("?sort_column=name").await, "c1 Contracts");
        assert_eq!(ids("?sort_column=name&ascending=False").await, "Contracts c1");
        assert_eq!(ids("?sort_column=updated_at&ascending=true").await, "Contracts c1");
        assert_eq!((ids("?name_filter=contr").await.as_str(), ids("?current_user_only=True").await.as_str()), ("Contracts", "Contracts"));
        for query in ["?sort_column=size", "?ascending=up", "?metadata_filter=%7B%7D", "?limit=-1"] {
            assert_eq!(refused(&admin(&app, Call::get(format!("{collections}{query}"))).await), 400, "{query}");
        }
        for wrong in [json!({}), json!({"name": 1}), json!({"name": "x".repeat(101)}), json!({"name": "n", "description": 5})] {
            assert_eq!(refused(&admin(&app, Call::post(collections).json(&wrong)).await), 400, "{wrong}");
        }
        // A key that is bound to it does not stand in the way, and works for nothing afterwards.
        let bound = create(&app, json!({"user_id": user, "collection_id": "c1"})).await.expect(201).json();
        admin(&app, Call::delete(format!("{collections}/c1"))).await.expect(204);
        assert_eq!(app.verdict(bound["secret_key"].as_str().unwrap(), None).await, "wrong_resource");
        let key = listed(&app, &bound["api_key"]["id"]).await;
        assert_eq!((&key["is_global_key"], &key["collection_id"]), (&json!(false), &json!("c1")));
        assert_eq!(refused(&admin(&app, Call::delete(format!("{collections}/c1"))).await), 404);
        assert_eq!(ids("").await, "Contracts");
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
async fn only_asking_after_a_job_is_not_counted() {
    let app = App::new().await;
    let key = app.key(Actor::Admin, KeyKind::Management, &["keys:read"]).await;
    let secret = key.secret.expose();
    let polled = |path: &str| Call::get(path).bearer(secret).header("x-h2ogpte-internal-poll", "true");
    let calls = async || app.engine.keys.get(&operator(), &app.acme, &key.key.id).await.unwrap().total_calls;
    assert_eq!(refused(&app.send(polled("/api/v1/jobs/j-1")).await), 404);
    assert_eq!(calls().await, 0);
    assert_eq!(refused(&app.send(Call::get("/api/v1/jobs/j-1").bearer(secret)).await), 404);
    assert_eq!(calls().await, 1);
    // Nobody hides what they do with a key.
    app.send(polled("/rpc/meta")).await.expect(200);
    app.send(polled(KEYS)).await.expect(200);
    assert_eq!(calls().await, 3);
}

#[tokio::test]
async fn a_person_with_as_many_keys_as_allowed_gets_no_more() {
    let app = App::new().await;
    let user = owner(&app).await;
    made(&app, json!({"user_id": user})).await;
    rules(&app, KeyPolicy { max_live_per_user: 1, ..KeyPolicy::default() }).await;
    assert_eq!(refused(&create(&app, json!({"user_id": user})).await), 409);
}

#[tokio::test]
async fn a_server_that_cannot_check_a_key_says_so() {
    let app = App::new().await;
    let secret = app.key(Actor::Admin, KeyKind::Management, &["keys:read"]).await.secret.expose().to_owned();
    app.sql("DROP TABLE key_resources").await;
    let answer = app.send(Call::get(KEYS).bearer(&secret)).await;
    assert!([500, 503].contains(&refused(&answer)), "{}", answer.text());
}
