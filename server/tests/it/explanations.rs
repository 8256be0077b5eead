//! Verdicts taken apart: by who presents a secret, and by who sees the key. Nothing of it is counted.

use keyfold_domain::scope::KeyKind;
use keyfold_domain::time::DAY_MS;
use serde_json::{Value, json};

use crate::support::{Actor, App, Call, operator};

const ORDER: [&str; 10] = [
    "deleted",
    "deactivated",
    "owner_disabled",
    "expired",
    "dormant",
    "ip_denied",
    "missing_scope",
    "wrong_resource",
    "rate_limited",
    "quota_exceeded",
];

/// The checks that failed, by their codes.
fn failed(answer: &Value) -> Vec<&str> {
    let checks = answer["explain"].as_array().unwrap();
    assert_eq!(checks.iter().map(|check| check["code"].as_str().unwrap()).collect::<Vec<_>>(), ORDER);
    for check in checks {
        assert_eq!(check["passed"].as_bool().unwrap(), check["remedy"].is_null(), "{check}");
    }
    checks.iter().filter(|check| check["passed"] == false).map(|check| check["code"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_service_and_whoever_sees_the_key_are_told_the_same() {
    for app in App::on_each().await {
        let issued = app.key(Actor::KeyOwner, KeyKind::Secret, &["inference"]).await;
        let path = format!("/v1/workspaces/acme/keys/{}/explain", issued.key.id);
        let cases = [
            (json!({}), "valid", vec![]),
            (json!({"scope": "inference", "resource": "collection:a"}), "valid", vec![]),
            (json!({"scope": "chat"}), "missing_scope", vec!["missing_scope"]),
        ];
        for (question, code, failing) in cases {
            let mut body = question.clone();
            body["key"] = issued.secret.expose().into();
            body["explain"] = true.into();
            let verified = app.as_(Actor::ManagementKey, Call::post("/v1/verify").json(&body)).await.expect(200).json();
            let explained = app.as_(Actor::KeyOwner, Call::post(&path).json(&question)).await.expect(200).json();
            assert_eq!((&verified["code"], &verified["explain"]), (&explained["code"], &explained["explain"]));
            assert_eq!((explained["code"].as_str(), explained["valid"].as_bool()), (Some(code), Some(code == "valid")));
            assert_eq!(failed(&explained), failing);
        }
        let plain = json!({"key": issued.secret.expose(), "scope": "chat"});
        let plain = app.as_(Actor::ManagementKey, Call::post("/v1/verify").json(&plain)).await.expect(200).json();
        assert!(plain.get("explain").is_none());
    }
}

#[tokio::test]
async fn asking_why_counts_nothing() {
    for app in App::on_each().await {
        let issued = app.key(Actor::KeyOwner, KeyKind::Secret, &["inference"]).await;
        let path = format!("/v1/workspaces/acme/keys/{}", issued.key.id);
        for scope in ["inference", "chat"] {
            let body = json!({"key": issued.secret.expose(), "scope": scope, "explain": true});
            app.as_(Actor::ManagementKey, Call::post("/v1/verify").json(&body)).await.expect(200);
            app.as_(Actor::KeyOwner, Call::post(format!("{path}/explain")).json(&json!({"scope": scope}))).await.expect(200);
        }
        app.engine.flush_usage().await.unwrap();
        let key = app.as_(Actor::KeyOwner, Call::get(&path)).await.expect(200).json();
        assert_eq!((&key["total_calls"], &key["last_used_at"]), (&json!(0), &Value::Null));
        let usage = app.as_(Actor::KeyOwner, Call::get(format!("{path}/usage"))).await.expect(200).json();
        assert_eq!((&usage["codes"], &usage["denials"]), (&json!([]), &json!(0)));
    }
}

#[tokio::test]
async fn limits_are_told_and_not_spent() {
    for app in App::on_each().await {
        let owner = Actor::KeyOwner.user(&app).await;
        let limits = json!([{"name": "burst", "limit": 2, "window": 60}, {"name": "daily", "limit": 3, "quota": "day"}]);
        let body = json!({"kind": "secret", "scopes": ["inference"], "owner": owner, "limits": limits, "ip_allow": ["10.0.0.0/8"]});
        let issued = app.as_(Actor::Admin, Call::post("/v1/workspaces/acme/keys").json(&body)).await.expect(201).json();
        let path = format!("/v1/workspaces/acme/keys/{}/explain", issued["id"].as_str().unwrap());
        let ask = async |explain: bool, cost: u32| {
            let body = json!({"key": issued["secret"], "client_ip": "10.1.2.3", "explain": explain, "cost": cost});
            app.as_(Actor::ManagementKey, Call::post("/v1/verify").json(&body)).await.expect(200).json()
        };
        for _ in 0..5 {
            let told = ask(true, 1).await;
            assert_eq!((failed(&told), &told["limits"][0]["remaining"]), (vec![], &json!(2)));
            assert_eq!(told["explain"][8]["detail"], "It is held to burst (2 of 2 left).");
            assert_eq!(told["explain"][9]["detail"], "It is held to daily (3 of 3 left).");
        }
        let dear = ask(true, 3).await;
        assert_eq!((failed(&dear), dear.get("retry_after")), (vec!["rate_limited"], None));
        assert_eq!(dear["explain"][8]["remedy"], "It costs more than can ever be left. Raise the rate limit.");
        for code in ["valid", "valid", "rate_limited"] {
            assert_eq!(ask(false, 1).await["code"], code);
        }
        let told = ask(true, 1).await;
        assert_eq!((failed(&told), told["retry_after"].is_number()), (vec!["rate_limited"], true));
        let seen = app.as_(Actor::KeyOwner, Call::post(&path).json(&json!({"client_ip": "192.0.2.1"}))).await.expect(200).json();
        assert_eq!((seen["code"].as_str(), failed(&seen)), (Some("ip_denied"), vec!["ip_denied", "rate_limited"]));
        assert!(seen["explain"][8]["at"].is_string());
    }
}

#[tokio::test]
async fn whoever_sees_a_deleted_key_is_told_that_it_was_deleted() {
    for app in App::on_each().await {
        let issued = app.key(Actor::KeyOwner, KeyKind::Secret, &["inference"]).await;
        app.engine.keys.deactivate(&operator(), &app.acme, &issued.key.id, "").await.unwrap();
        app.engine.keys.delete(&operator(), &app.acme, &issued.key.id).await.unwrap();
        let path = format!("/v1/workspaces/acme/keys/{}/explain", issued.key.id);
        let explained = app.as_(Actor::KeyOwner, Call::post(&path)).await.expect(200).json();
        assert_eq!((explained["code"].as_str(), failed(&explained)), (Some("deleted"), vec!["deleted", "deactivated"]));
        assert_eq!(explained["explain"][0]["at"], "2026-06-01T12:00:00.000Z");
        let remedies = |explained: &Value| [0, 1].map(|at| explained["explain"][at]["remedy"].clone());
        let never = json!("It cannot come back. Create a new key.");
        assert_eq!(remedies(&explained), [never.clone(), never.clone()]);
        // Neither is one to be mended that was stopped for good, as h2oGPTe's users are told.
        let stopped = app.key(Actor::KeyOwner, KeyKind::Secret, &["inference"]).await;
        let path_of_stopped = format!("/v1/workspaces/acme/keys/{}/explain", stopped.key.id);
        app.engine.keys.deactivate_for_good(&operator(), &app.acme, &stopped.key.id, "").await.unwrap();
        let told = app.as_(Actor::KeyOwner, Call::post(&path_of_stopped)).await.expect(200).json();
        assert_eq!((told["code"].as_str(), remedies(&told)), (Some("deactivated"), [Value::Null, never.clone()]));
        let body = json!({"key": stopped.secret.expose(), "explain": true});
        let told = app.as_(Actor::ManagementKey, Call::post("/v1/verify").json(&body)).await.expect(200).json();
        assert_eq!((told["code"].as_str(), remedies(&told)), (Some("deactivated"), [Value::Null, never]));
        let body = json!({"key": issued.secret.expose(), "explain": true});
        let stranger = app.as_(Actor::ManagementKey, Call::post("/v1/verify").json(&body)).await.expect(200).json();
        assert_eq!((&stranger["code"], stranger.get("explain")), (&json!("not_found"), None));
    }
}

#[tokio::test]
async fn a_question_may_be_about_another_moment_and_is_read_strictly() {
    let app = App::new().await;
    let issued = app.key(Actor::KeyOwner, KeyKind::Secret, &["inference"]).await;
    let path = format!("/v1/workspaces/acme/keys/{}/explain", issued.key.id);
    let ask = async |body: &Value| app.as_(Actor::KeyOwner, Call::post(&path).json(body)).await;
    // Ninety days after it was made, to the millisecond.
    for (at, code) in [("2026-08-30T11:59:59.999Z", "valid"), ("2026-08-30T12:00:00Z", "expired")] {
        assert_eq!(ask(&json!({"at": at})).await.expect(200).json()["code"], code);
    }
    for (body, field) in [
        (json!({"scope": ""}), "scope"),
        (json!({"scope": null}), "scope"),
        (json!({"scope": "A B"}), "scope"),
        (json!({"resource": "contracts"}), "resource"),
        (json!({"client_ip": "10.0.0.1:80"}), "client_ip"),
        (json!({"at": "tomorrow"}), "at"),
        (json!({"key": "kf_sec_"}), "key"),
    ] {
        assert_eq!(ask(&body).await.expect(400).field().as_deref(), Some(field), "{body}");
    }
}

#[tokio::test]
async fn the_route_map_says_what_a_request_asks_of_the_key() {
    for app in App::on_each().await {
        let issued = app.key(Actor::KeyOwner, KeyKind::Secret, &["inference"]).await;
        let path = format!("/v1/workspaces/acme/keys/{}/explain", issued.key.id);
        let ask = async |method: &str, target: &str| {
            let body = json!({"method": method, "path": target});
            app.as_(Actor::KeyOwner, Call::post(&path).json(&body)).await.expect(200).json()
        };
        let none = ask("POST", "/predict/a").await;
        assert_eq!((&none["valid"], &none["code"], &none["route"]["passes"]), (&json!(false), &json!("valid"), &json!(false)));
        assert_eq!(none["route"]["detail"], "The workspace has no route map, so nothing passes.");
        let rules = json!({"rules": [
            {"methods": ["POST"], "path": "/predict/**", "access": "key", "scope": "inference"},
            {"methods": ["POST"], "path": "/train/**", "access": "key", "scope": "project"},
            {"methods": ["GET"], "path": "/health", "access": "public"},
        ]});
        app.as_(Actor::Admin, Call::new(axum::http::Method::PUT, "/v1/workspaces/acme/routes").json(&rules)).await.expect(200);
        for (method, target, valid, code, position) in [
            ("POST", "/predict/a", true, "valid", json!(1)),
            ("POST", "/train/a", false, "missing_scope", json!(2)),
            ("GET", "/health", true, "valid", json!(3)),
            ("DELETE", "/predict/a", false, "valid", Value::Null),
        ] {
            let told = ask(method, target).await;
            assert_eq!((&told["valid"], &told["code"], &told["route"]["position"]), (&json!(valid), &json!(code), &position), "{told}");
        }
        let both = json!({"method": "GET", "path": "/", "scope": "chat"});
        assert_eq!(app.as_(Actor::KeyOwner, Call::post(&path).json(&both)).await.expect(400).field().as_deref(), Some("path"));
        let half = json!({"path": "/"});
        assert_eq!(app.as_(Actor::KeyOwner, Call::post(&path).json(&half)).await.expect(400).field().as_deref(), Some("method"));
        let address = format!("/w/acme/keys/{}/edit/test?ask=1&method=POST&path=%2Ftrain%2Fa", issued.key.id);
        let page = app.as_(Actor::KeyOwner, Call::get(address).header("accept", "text/html")).await.expect(200).text();
        assert!(page.contains("Rule 2 decides.") && page.contains("Denied: Scope missing"), "{page}");
    }
}

#[tokio::test]
async fn the_page_tests_a_key_without_script() {
    let app = App::new().await;
    let issued = app.key(Actor::KeyOwner, KeyKind::Secret, &["inference"]).await;
    let address = format!("/w/acme/keys/{}/edit/test", issued.key.id);
    let look = async |query: &str| app.as_(Actor::KeyOwner, Call::get(format!("{address}{query}")).header("accept", "text/html")).await;
    let before = look("").await.expect(200).text();
    assert!(before.contains("name=\"client_ip\"") && !before.contains("Checks, in their order"));
    let denied = look("?ask=1&scope=chat").await.expect(200).text();
    assert!(denied.contains("Scope missing") && denied.contains("Give it the scope chat, or one that implies it."));
    assert!(look("?ask=1&scope=inference").await.expect(200).text().contains("Allowed"));
    let wrong = look("?ask=1&client_ip=nowhere").await.expect(400).text();
    assert!(wrong.contains("Write an IPv4 or IPv6 address") && wrong.contains("value=\"nowhere\""));
    app.as_(Actor::Member, Call::get(format!("{address}?ask=1")).header("accept", "text/html")).await.expect(404);
}

#[tokio::test]
async fn a_key_near_its_end_says_so_in_a_header() {
    for app in App::on_each().await {
        let issued = app.key(Actor::KeyOwner, KeyKind::Secret, &["inference"]).await;
        let sunset = async || {
            let body = json!({"key": issued.secret.expose(), "scope": "inference"});
            let verified = app.as_(Actor::ManagementKey, Call::post("/v1/verify").json(&body)).await.expect(200);
            let itself = app.send(Call::get("/v1/whoami").bearer(issued.secret.expose())).await;
            let [verified, itself] = [&verified, &itself].map(|answer| answer.header("sunset").map(str::to_owned));
            assert_eq!(verified, itself);
            verified
        };
        assert_eq!(sunset().await, None);
        app.clock.advance_ms(76 * DAY_MS - 1);
        assert_eq!(sunset().await, None, "fourteen days and a millisecond before its end");
        app.clock.advance_ms(1);
        assert_eq!(sunset().await.as_deref(), Some("Sun, 30 Aug 2026 12:00:00 GMT"));
        app.clock.advance_ms(14 * DAY_MS);
        let over = app.send(Call::get("/v1/whoami").bearer(issued.secret.expose())).await.expect(401);
        assert_eq!(over.header("sunset"), None, "it is over");
    }
}
