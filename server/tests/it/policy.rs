//! The rules for keys over HTTP: versions, conflicts, the decision about existing keys, and what absent, null and zero mean.

use axum::http::Method;
use keyfold_domain::scope::KeyKind;
use serde_json::{Value, json};

use crate::support::{Actor, App, Call};

const POLICY: &str = "/v1/workspaces/acme/policy";
const KEYS: &str = "/v1/workspaces/acme/keys";

fn rules(cap: Option<u32>) -> Value {
    json!({
        "max_expiry_days": cap, "default_expiry_days": null, "default_inactivity_days": null, "never_allowed": true,
        "members_may_create": true, "max_live_per_user": 500, "max_live_per_workspace": 10_000
    })
}

fn save(path: &str, body: &Value) -> Call {
    Call::new(Method::PUT, path).json(body)
}

#[tokio::test]
async fn lowering_a_cap_asks_what_becomes_of_existing_keys_and_does_it() {
    for app in App::on_each().await {
        let body = json!({"kind": "secret", "scopes": ["chat"], "expires_at": null, "name": "for ever"});
        let id = app.as_(Actor::Admin, Call::post(KEYS).json(&body)).await.expect(201).json()["id"].as_str().unwrap().to_owned();
        let read = app.as_(Actor::Admin, Call::get(POLICY)).await.expect(200);
        assert_eq!((read.header("etag"), &read.json()["version"]), (Some("\"1\""), &json!(1)));

        let preview = app.as_(Actor::Admin, Call::post(format!("{POLICY}/preview")).json(&rules(Some(30)))).await.expect(200).json();
        assert_eq!((&preview["affected"], &preview["data"][0]["id"], &preview["next"]), (&json!(1), &json!(id), &Value::Null));
        assert_eq!(preview["brought_down_to"], "2026-07-01T12:00:00.000Z");

        let undecided = app.as_(Actor::Admin, save(POLICY, &json!({"rules": rules(Some(30))}))).await.expect(400);
        assert_eq!(undecided.field().as_deref(), Some("existing_keys"));
        assert_eq!(app.as_(Actor::Admin, Call::get(format!("{KEYS}/{id}"))).await.json()["expires_at"], Value::Null);

        let decided = save(POLICY, &json!({"rules": rules(Some(30)), "existing_keys": "shorten"})).header("if-match", "\"1\"");
        let saved = app.as_(Actor::Admin, decided.clone()).await.expect(200);
        assert_eq!((saved.header("etag"), &saved.json()["existing"]), (Some("\"2\""), &json!({"shortened": 1, "remaining": 0})));
        assert_eq!(app.as_(Actor::Admin, Call::get(format!("{KEYS}/{id}"))).await.json()["expires_at"], "2026-07-01T12:00:00.000Z");

        let stale = app.as_(Actor::Admin, decided).await.expect(409);
        assert_eq!((stale.problem().as_str(), stale.header("etag")), ("conflict", Some("\"2\"")));
        assert_eq!((&stale.json()["current"]["version"], &stale.json()["current"]["rules"]), (&json!(2), &rules(Some(30))));
        let round = app.as_(Actor::Admin, Call::post(format!("{POLICY}/apply"))).await.expect(200).json();
        assert_eq!(round, json!({"shortened": 0, "remaining": 0}));
    }
}

#[tokio::test]
async fn a_cap_of_the_instance_holds_through_every_door() {
    for app in App::on_each().await {
        app.as_(Actor::InstanceAdmin, save("/v1/admin/policy", &json!({"rules": rules(Some(30)), "existing_keys": "keep"})))
            .await
            .expect(200);
        let create = |end: Value| Call::post(KEYS).json(&json!({"kind": "secret", "scopes": ["chat"], "expires_at": end}));
        let cap = "2026-07-01T12:00:00Z";
        let id = app.as_(Actor::Member, create(json!(cap))).await.expect(201).json()["id"].as_str().unwrap().to_owned();
        for beyond in [json!("2026-07-01T12:00:00.001Z"), json!("2026-07-02"), Value::Null] {
            assert_eq!(app.as_(Actor::Member, create(beyond.clone())).await.expect(400).field().as_deref(), Some("expires_at"));
            let edit = Call::patch(format!("{KEYS}/{id}")).json(&json!({"expires_at": beyond}));
            assert_eq!(app.as_(Actor::Member, edit).await.expect(400).field().as_deref(), Some("expires_at"));
        }
        // A date in the form that reaches into the day of the cap is the day after: its end is past the cap.
        let form = |day: &str| {
            let fields = [("kind", "secret"), ("scopes", "chat"), ("expiry", "date"), ("expires_on", day), ("idempotency_key", day)];
            Call::post("/w/acme/keys/new").header("accept", "text/html").form(&fields)
        };
        assert_eq!(app.as_(Actor::Member, form("2026-06-30")).await.code(), 200);
        assert_eq!(app.as_(Actor::Member, form("2026-07-01")).await.code(), 400);
        let seen = app.as_(Actor::Member, Call::get("/v1/workspaces/acme")).await.json();
        assert_eq!((&seen["key_policy"]["max_expiry_days"], &seen["key_policy"]["never_allowed"]), (&json!(30), &json!(false)));
    }
}

#[tokio::test]
async fn an_absent_interval_is_the_default_null_is_none_and_zero_is_refused() {
    let app = App::new().await;
    let mut with_default = rules(None);
    with_default["default_inactivity_days"] = json!(45);
    app.as_(Actor::Admin, save(POLICY, &json!({"rules": with_default}))).await.expect(200);
    let made = async |body: Value| app.as_(Actor::Member, Call::post(KEYS).json(&body)).await;
    let plain = json!({"kind": "secret", "scopes": ["chat"]});
    assert_eq!(made(plain.clone()).await.expect(201).json()["inactivity_days"], 45);
    let with = |days: Value| {
        let mut body = plain.clone();
        body["inactivity_days"] = days;
        body
    };
    assert_eq!(made(with(Value::Null)).await.expect(201).json()["inactivity_days"], Value::Null);
    assert_eq!(made(with(json!(7))).await.expect(201).json()["inactivity_days"], 7);
    assert_eq!(made(with(json!(0))).await.expect(400).field().as_deref(), Some("inactivity_days"));
}

#[tokio::test]
async fn rules_that_make_no_sense_are_refused_by_name_and_change_nothing() {
    let app = App::new().await;
    app.key(Actor::Admin, KeyKind::Secret, &["chat"]).await;
    for (field, value) in [
        ("max_expiry_days", json!(0)),
        ("max_expiry_days", json!(36_501)),
        ("max_expiry_days", json!(-1)),
        ("max_expiry_days", json!("30")),
        ("default_expiry_days", json!(0)),
        ("default_inactivity_days", json!(3651)),
        ("never_allowed", Value::Null),
        ("max_live_per_user", json!(0)),
        ("max_live_per_workspace", json!(1_000_001)),
        ("max_live_per_user", json!(9_223_372_036_854_775_807i64)),
    ] {
        let mut wrong = rules(None);
        wrong[field] = value.clone();
        let answer = app.as_(Actor::Admin, save(POLICY, &json!({"rules": wrong}))).await.expect(400);
        assert!(answer.field().unwrap().ends_with(field), "{field} {value}: {}", answer.text());
        app.as_(Actor::Admin, Call::post(format!("{POLICY}/preview")).json(&wrong)).await.expect(400);
    }
    for wrong in [json!({}), json!({"rules": rules(None), "version": 1}), json!({"rules": rules(None), "existing_keys": "delete"})] {
        app.as_(Actor::Admin, save(POLICY, &wrong)).await.expect(400);
    }
    app.as_(Actor::Admin, save(POLICY, &json!({"rules": rules(None)})).header("if-match", "1")).await.expect(400);
    app.as_(Actor::Admin, Call::post(format!("{POLICY}/preview?cursor=x")).json(&rules(Some(1)))).await.expect(400);
    assert_eq!(app.as_(Actor::Admin, Call::get(POLICY)).await.json()["version"], 1);
}
