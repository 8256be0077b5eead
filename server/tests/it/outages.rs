//! The store is gone: every door says so and asks for patience, nothing is allowed that cannot be checked, and nothing of the
//! fault itself gets out.

use std::time::Duration;

use keyfold_domain::scope::KeyKind;
use keyfold_engine::NewNode;
use serde_json::json;

use crate::support::{Actor, Answer, App, Call, PASSWORD};

const KEYS: &str = "/v1/workspaces/acme/keys";

#[track_caller]
fn unavailable(answer: &Answer, what: &str) {
    assert_eq!(answer.code(), 503, "{what}: {}", answer.text());
    assert!(answer.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok_and(|seconds| seconds > 0)), "{what}");
    let text = answer.text().to_lowercase();
    for word in ["sqlite", "postgres", "pool", "select", "insert", ".rs", "keyfold.db"] {
        assert!(!text.contains(word), "{what}: {text}");
    }
}

#[tokio::test]
async fn without_the_store_every_door_asks_for_patience() {
    for app in App::on_each().await {
        let key = app.key(Actor::KeyOwner, KeyKind::Secret, &["chat"]).await;
        for actor in [Actor::Admin, Actor::ManagementKey] {
            actor.credential(&app).await;
        }
        app.engine.close().await;
        let path = format!("{KEYS}/{}", key.key.id);
        let create = Call::post(KEYS).json(&json!({"kind": "secret", "scopes": ["chat"]}));
        let acts = [Call::get(KEYS), create, Call::get(&path), Call::patch(&path).json(&json!({"name": "x"})), Call::delete(&path)];
        for actor in [Actor::Admin, Actor::ManagementKey] {
            for act in acts.clone() {
                let answer = app.as_(actor, act.clone()).await;
                unavailable(&answer, &format!("{actor:?} {} {}", act.method, act.path));
                assert_eq!(answer.problem(), "unavailable");
            }
        }
        let sign_in = Call::post("/_app/sign_in").form(&[("login", "admin"), ("password", PASSWORD)]);
        unavailable(&app.send(sign_in).await, "sign in");
        unavailable(&app.as_(Actor::Admin, Call::post("/_app/list_workspaces").json(&json!({}))).await, "a server function");
        assert_eq!(app.send(Call::get("/healthz")).await.code(), 200);
        assert_eq!(app.send(Call::get("/readyz")).await.code(), 503);
        let page = app.as_(Actor::Admin, Call::get("/w/acme/keys").header("accept", "text/html")).await;
        assert_eq!(page.code(), 503, "{}", page.text());
    }
}

#[tokio::test]
async fn a_key_set_that_may_be_out_of_date_answers_neither_yes_nor_no() {
    let app = App::new().await;
    let key = app.key(Actor::KeyOwner, KeyKind::Secret, &["chat"]).await;
    let secret = key.secret.expose();
    assert_eq!(app.verdict(secret, Some("chat")).await, "valid");
    let whoami = Call::get("/v1/whoami").bearer(secret);
    let verify = Call::post("/v1/verify").json(&json!({"key": secret, "scope": "chat"}));

    // For a moment the answers from memory are still good.
    app.engine.join(NewNode { name: "one".to_owned(), staleness_budget: Duration::from_secs(5) }).await.unwrap();
    app.clock.pass_ms(4_999);
    assert_eq!(app.send(whoami.clone()).await.code(), 200);
    assert_eq!(app.send(Call::get("/readyz")).await.code(), 200);
    // Nothing but time has passed: no job had to notice.
    app.clock.pass_ms(1);
    assert_eq!(app.send(Call::get("/readyz")).await.code(), 503);
    unavailable(&app.send(whoami).await, "whoami");
    unavailable(&app.as_(Actor::ManagementKey, verify).await, "verify");
    // Not even of a key that nobody can know.
    let junk = Call::post("/v1/verify").json(&json!({"key": "kf_sec_"}));
    unavailable(&app.as_(Actor::ManagementKey, junk).await, "verify junk");
    unavailable(&app.as_(Actor::ManagementKey, Call::get(KEYS)).await, "the API");
}

#[tokio::test]
async fn owners_change_what_happens_in_an_outage_and_the_settings_say_so_without_script() {
    let app = App::new().await;
    let settings = async |actor| app.as_(actor, Call::get("/w/acme/settings").header("accept", "text/html")).await.expect(200).text();
    let change = |fields: &[(&str, &str)]| {
        Call::post("/_app/change_outages").form(&[&[("workspace", "acme")], fields].concat()).header("accept", "text/html")
    };
    let page = settings(Actor::InstanceAdmin).await;
    assert!(page.contains("Servers say no yes") && page.contains("I know that revoked keys may go on working"));
    assert!(settings(Actor::Admin).await.contains("Only an owner of the workspace can change this."));

    let sent = app.as_(Actor::InstanceAdmin, change(&[("keep_answering", "on")])).await;
    assert!(sent.status.is_redirection() && sent.header("location") == Some("/w/acme/settings#outages"), "{:?}", sent.headers);
    let page = settings(Actor::Admin).await;
    assert!(page.contains("keys that are revoked go on working there"), "the banner");
    let outages = Call::get("/v1/workspaces/acme/outages");
    assert_eq!(app.as_(Actor::Member, outages.clone()).await.expect(200).json(), json!({"keep_answering": true}));

    // Nobody with an old password does it.
    app.clock.advance_ms(11 * 60_000);
    let put = Call::new(axum::http::Method::PUT, "/v1/workspaces/acme/outages").json(&json!({"keep_answering": false}));
    assert_eq!(app.as_(Actor::InstanceAdmin, put).await.expect(403).problem(), "step_up_required");
    let sent = app.as_(Actor::InstanceAdmin, change(&[("password_again", PASSWORD)])).await;
    assert!(sent.status.is_redirection(), "{}", sent.text());
    assert_eq!(app.as_(Actor::Member, outages).await.expect(200).json(), json!({"keep_answering": false}));
    assert!(!settings(Actor::Admin).await.contains("keys that are revoked go on working there"));
}
