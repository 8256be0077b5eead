//! Rotation through the REST API: a new secret, and a grace for the old one.

use keyfold_domain::scope::KeyKind;
use serde_json::{Value, json};

use crate::support::{Actor, App, Call, redactions};

const KEYS: &str = "/v1/workspaces/acme/keys";

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[tokio::test]
async fn a_key_is_rotated_its_old_secret_watched_and_ended() {
    for app in App::on_each().await {
        let issued = app.key(Actor::KeyOwner, KeyKind::Secret, &["chat"]).await;
        let (old, path) = (issued.secret.expose(), format!("{KEYS}/{}", issued.key.id));
        app.clock.advance_ms(1000);
        let rotated = app.as_(Actor::KeyOwner, Call::post(format!("{path}/rotate"))).await.expect(200);
        assert_eq!((rotated.header("etag"), rotated.header("cache-control")), (Some("\"2\""), Some("no-store")));
        insta::assert_json_snapshot!("rotated_key", rotated.json(), {
            ".secret" => redactions::secret(), ".id" => redactions::key_id(), ".workspace_id" => redactions::workspace_id(),
            ".owner.id" => redactions::user_id(), ".hint" => redactions::hint(), ".secrets[].id" => redactions::secret_id(),
            ".secrets[].hint" => redactions::hint(),
        });
        let new = text(&rotated.json()["secret"]).to_owned();
        assert_eq!([app.verdict(old, None).await, app.verdict(&new, None).await], ["valid", "valid"]);

        let ask = json!({"key": old, "client_ip": "203.0.113.7", "user_agent": "cron/1"});
        app.as_(Actor::ManagementKey, Call::post("/v1/verify").json(&ask)).await.expect(200);
        app.send_from([203, 0, 113, 9].into(), Call::get("/v1/whoami").bearer(old).header("user-agent", "curl/8")).await.expect(200);
        let secrets = app.as_(Actor::KeyOwner, Call::get(format!("{path}/secrets"))).await.expect(200).json();
        let before = &secrets["data"][1];
        assert_eq!((&before["state"], &before["total_calls"]), (&json!("retiring"), &json!(3)));
        let mut clients: Vec<_> =
            before["clients"].as_array().unwrap().iter().map(|client| (&client["ip"], &client["user_agent"])).collect();
        clients.sort_by_key(|(ip, _)| ip.to_string());
        let seen = [(&json!("203.0.113.7"), &json!("cron/1")), (&json!("203.0.113.9"), &json!("curl/8")), (&Value::Null, &Value::Null)];
        assert_eq!(clients, seen);
        assert_eq!(secrets["data"][0]["clients"], json!([]));

        let end = |secret: &Value| Call::delete(format!("{path}/secrets/{}", text(&secret["id"])));
        assert_eq!(app.as_(Actor::KeyOwner, end(&secrets["data"][0])).await.expect(409).problem(), "conflict");
        app.as_(Actor::KeyOwner, end(before)).await.expect(204);
        app.as_(Actor::KeyOwner, end(before)).await.expect(204);
        assert_eq!([app.verdict(old, None).await, app.verdict(&new, None).await], ["not_found", "valid"]);
        let secrets = app.as_(Actor::KeyOwner, Call::get(format!("{path}/secrets"))).await.expect(200).json();
        assert_eq!(secrets["data"][1]["state"], "ended");
    }
}

#[tokio::test]
async fn an_old_secret_is_not_found_from_the_millisecond_of_its_end() {
    let app = App::new().await;
    for (grace, millis) in [("now", 0), ("1h", 3_600_000), ("24h", 86_400_000), ("7d", 7 * 86_400_000)] {
        let issued = app.key(Actor::KeyOwner, KeyKind::Secret, &["chat"]).await;
        let old = issued.secret.expose();
        let call = Call::post(format!("{KEYS}/{}/rotate", issued.key.id)).json(&json!({ "grace": grace }));
        app.forget(Actor::KeyOwner).await;
        let new = app.as_(Actor::KeyOwner, call).await.expect(200).json();
        if millis > 0 {
            app.clock.advance_ms(millis - 1);
            app.send(Call::get("/v1/whoami").bearer(old)).await.expect(200);
            app.clock.advance_ms(1);
        }
        let over = app.send(Call::get("/v1/whoami").bearer(old)).await.expect(401);
        let unknown = app.send(Call::get("/v1/whoami").bearer(&format!("kf_sec_{}1GU1LX", "0".repeat(43)))).await.expect(401);
        let without_id = |answer: &crate::support::Answer| {
            let mut body = answer.json();
            body.as_object_mut().unwrap().remove("request_id");
            body
        };
        assert_eq!(without_id(&over), without_id(&unknown), "{grace}");
        app.send(Call::get("/v1/whoami").bearer(text(&new["secret"]))).await.expect(200);
    }
}

#[tokio::test]
async fn a_rotation_that_is_sent_again_is_done_once() {
    for app in App::on_each().await {
        let issued = app.key(Actor::KeyOwner, KeyKind::Secret, &["chat"]).await;
        let path = format!("{KEYS}/{}/rotate", issued.key.id);
        let send = async |key: &str, version: &str| {
            let call = Call::post(&path).header("idempotency-key", key).header("if-match", version).json(&json!({"grace": "now"}));
            app.as_(Actor::KeyOwner, call).await
        };
        let first = send("try-1", "\"1\"").await.expect(200).json();
        let again = send("try-1", "\"1\"").await.expect(409);
        assert_eq!((again.problem().as_str(), again.field().as_deref()), ("conflict", Some("idempotency_key")));
        assert!(
            !again.text().contains(text(&first["secret"])) && again.json()["detail"].as_str().unwrap().contains("rotate the key once more")
        );
        assert_eq!(app.verdict(text(&first["secret"]), None).await, "valid", "the retry did not kill it");
        let stale = send("try-2", "\"1\"").await.expect(409);
        assert_eq!((stale.header("etag"), &stale.json()["current"]["version"]), (Some("\"2\""), &json!(2)));
        let second = send("try-2", "\"2\"").await.expect(200).json();
        assert_eq!(
            [app.verdict(text(&first["secret"]), None).await, app.verdict(text(&second["secret"]), None).await],
            ["not_found", "valid"]
        );
    }
}

#[tokio::test]
async fn a_wish_that_makes_no_sense_is_refused_and_nothing_is_changed() {
    let app = App::new().await;
    let issued = app.key(Actor::KeyOwner, KeyKind::Secret, &["chat"]).await;
    let path = format!("{KEYS}/{}/rotate", issued.key.id);
    for (body, field) in [
        (json!({"grace": "2h"}), "grace"),
        (json!({"grace": null}), "grace"),
        (json!({"grace": 24}), "grace"),
        (json!({"grace": "24H"}), "grace"),
        (json!({"expires_at": null}), "expires_at"),
    ] {
        assert_eq!(app.as_(Actor::KeyOwner, Call::post(&path).json(&body)).await.expect(400).field().as_deref(), Some(field), "{body}");
    }
    app.as_(Actor::KeyOwner, Call::post(&path).header("if-match", "1")).await.expect(400);
    app.as_(Actor::KeyOwner, Call::post(format!("{path}?grace=now"))).await.expect(400);
    for wrong in ["x", "key_0000000000000000000000", "sec_", "..%2f"] {
        app.as_(Actor::KeyOwner, Call::delete(format!("{KEYS}/{}/secrets/{wrong}", issued.key.id))).await.expect(404);
    }
    let key = app.as_(Actor::KeyOwner, Call::get(format!("{KEYS}/{}", issued.key.id))).await.expect(200).json();
    assert_eq!(key["version"], 1);
    assert_eq!(app.verdict(issued.secret.expose(), None).await, "valid");
}

#[tokio::test]
async fn a_rotation_asks_for_the_password_where_a_management_key_is_made() {
    let app = App::new().await;
    let issued = app.key(Actor::KeyOwner, KeyKind::Management, &["keys:read"]).await;
    let rotate = || Call::post(format!("{KEYS}/{}/rotate", issued.key.id));
    app.as_(Actor::KeyOwner, rotate()).await.expect(200);
    app.clock.advance_ms(600_000);
    assert_eq!(app.as_(Actor::KeyOwner, rotate()).await.expect(403).problem(), "step_up_required");
    // A key is its own proof, but cannot rotate itself.
    let itself = app.key(Actor::Admin, KeyKind::Management, &["keys:write", "keys:read"]).await;
    let call = Call::post(format!("{KEYS}/{}/rotate", itself.key.id)).bearer(itself.secret.expose());
    app.send(call).await.expect(403);
    app.send(rotate().bearer(itself.secret.expose())).await.expect(200);
}
