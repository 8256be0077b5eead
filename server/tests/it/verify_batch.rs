//! Many questions in one request.

use keyfold_domain::scope::KeyKind;
use serde_json::{Value, json};

use crate::support::{Actor, App, Call, operator};

fn batch(checks: &Value) -> Call {
    Call::post("/v1/verify:batch").json(&json!({ "checks": checks }))
}

/// A verdict without what differs from request to request.
fn bare(mut verdict: Value) -> Value {
    verdict.as_object_mut().unwrap().remove("request_id");
    verdict
}

#[tokio::test]
async fn each_question_gets_the_verdict_that_it_would_get_alone_and_in_its_place() {
    for app in App::on_each().await {
        let live = app.key(Actor::KeyOwner, KeyKind::Secret, &["project"]).await;
        let deleted = app.key(Actor::KeyOwner, KeyKind::Secret, &["chat"]).await;
        app.engine.keys.delete(&operator(), &app.acme, &deleted.key.id).await.unwrap();
        let expired = app.expired_key(Actor::KeyOwner, &["chat"]).await;
        let foreign = app.foreign_key(KeyKind::Secret, &["chat"]).await;
        let tied = app.tied_key(Actor::KeyOwner, &["inference"], &["contracts"]).await;
        let checks = json!([
            {"key": live.secret.expose(), "scope": "inference"},
            {"key": "kf_sec_"},
            {"key": live.secret.expose(), "scope": "chat", "explain": true},
            {"key": deleted.secret.expose(), "explain": true},
            {"key": expired.secret.expose()},
            {"key": foreign.secret.expose()},
            {"key": tied.secret.expose(), "scope": "inference", "resource": "collection:contracts"},
            {"key": tied.secret.expose(), "resource": "collection:other"},
            {"key": live.secret.expose(), "cost": 0},
        ]);
        let answer = app.as_(Actor::ManagementKey, batch(&checks)).await.expect(200);
        assert_eq!((answer.header("content-type"), answer.header("cache-control")), (Some("application/json"), Some("no-store")));
        let verdicts = answer.json()["data"].as_array().unwrap().clone();
        let codes: Vec<&str> = verdicts.iter().map(|verdict| verdict["code"].as_str().unwrap()).collect();
        assert_eq!(codes, ["valid", "malformed", "missing_scope", "not_found", "expired", "not_found", "valid", "wrong_resource", "valid"]);
        for (check, verdict) in checks.as_array().unwrap().iter().zip(verdicts) {
            assert_eq!(verdict["request_id"].as_str(), answer.header("x-request-id"));
            let alone = app.as_(Actor::ManagementKey, Call::post("/v1/verify").json(check)).await.expect(200).json();
            assert_eq!(bare(verdict), bare(alone), "{check}");
        }
    }
}

#[tokio::test]
async fn limits_are_taken_in_the_order_of_the_questions() {
    let app = App::new().await;
    let key = app.key(Actor::KeyOwner, KeyKind::Secret, &["chat"]).await;
    let path = format!("/v1/workspaces/acme/keys/{}", key.key.id);
    let settings = json!({"limits": [{"name": "burst", "limit": 3, "window": 60}], "ip_allow": ["203.0.113.7"]});
    app.as_(Actor::Admin, Call::patch(&path).json(&settings)).await.expect(200);
    let ask = |cost: u32| json!({"key": key.secret.expose(), "cost": cost, "client_ip": "203.0.113.7"});
    let checks = json!([ask(2), ask(2), ask(1), ask(0), {"key": key.secret.expose()}]);
    let answer = app.as_(Actor::ManagementKey, batch(&checks)).await.expect(200).json();
    let told: Vec<(&str, Option<u64>)> = answer["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|verdict| (verdict["code"].as_str().unwrap(), verdict["limits"][0]["remaining"].as_u64()))
        .collect();
    let expected = [("valid", Some(1)), ("rate_limited", Some(1)), ("valid", Some(0)), ("rate_limited", Some(0)), ("ip_denied", None)];
    assert_eq!(told, expected);
    assert!(answer["data"][1]["retry_after"].is_u64());
    assert!(answer["data"][4]["detail"].as_str().unwrap().contains("client_ip"));
}

#[tokio::test]
async fn none_and_too_many_are_refused_and_so_is_a_batch_with_one_faulty_question() {
    let app = App::new().await;
    let key = app.key(Actor::KeyOwner, KeyKind::Secret, &["chat"]).await;
    let check = json!({"key": key.secret.expose()});
    let refused = |answer: crate::support::Answer| {
        let answer = answer.expect(400);
        (answer.field().unwrap(), answer.json()["detail"].as_str().unwrap().to_owned())
    };
    let none = app.as_(Actor::ManagementKey, batch(&json!([]))).await;
    assert_eq!(refused(none), ("checks".to_owned(), "Ask about 1 to 100 keys at once, not about 0.".to_owned()));
    let many = app.as_(Actor::ManagementKey, batch(&json!(vec![check.clone(); 101]))).await;
    assert_eq!(refused(many), ("checks".to_owned(), "Ask about 1 to 100 keys at once, not about 101.".to_owned()));
    let faulty = json!([check, {"key": key.secret.expose(), "scope": "No Scope"}]);
    assert_eq!(refused(app.as_(Actor::ManagementKey, batch(&faulty)).await).0, "checks[1].scope");
    let unknown = json!([check, {"key": key.secret.expose(), "who": 1}]);
    assert_eq!(refused(app.as_(Actor::ManagementKey, batch(&unknown)).await).0, "checks[1].who");
    let calls = async || app.engine.keys.get(&operator(), &app.acme, &key.key.id).await.unwrap().total_calls;
    assert_eq!(calls().await, 0, "nothing of a refused batch is counted");

    let hundred = app.as_(Actor::ManagementKey, batch(&json!(vec![check.clone(); 100]))).await.expect(200).json();
    assert!(hundred["data"].as_array().unwrap().iter().all(|verdict| verdict["valid"] == true));
    assert_eq!((hundred["data"].as_array().unwrap().len(), calls().await), (100, 100));
}

#[tokio::test]
async fn a_hundred_long_questions_fit_and_a_larger_body_does_not() {
    let app = App::new().await;
    let long = json!({
        "key": "k".repeat(200), "scope": "s".repeat(63), "resource": format!("collection:{}", "r".repeat(200)),
        "client_ip": "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff", "user_agent": "u".repeat(1000), "cost": 1_000_000_000, "explain": false,
    });
    let answer = app.as_(Actor::ManagementKey, batch(&json!(vec![long; 100]))).await.expect(200).json();
    assert_eq!(answer["data"].as_array().unwrap().len(), 100);
    let larger = format!(r#"{{"checks":[{{"key":"{}"}}]}}"#, "a".repeat(256 * 1024));
    let answer = app.as_(Actor::ManagementKey, Call::post("/v1/verify:batch").body("application/json", larger)).await.expect(413);
    assert_eq!(answer.problem(), "payload_too_large");
}
