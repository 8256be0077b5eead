//! `whoami` and `verify`: verdicts, their order, and what strangers must not be able to tell.

use keyfold_domain::key::{Expiry, Inactivity, NewKey};
use keyfold_domain::scope::KeyKind;
use keyfold_domain::time::DAY_MS;
use keyfold_domain::workspace::Role;
use serde_json::{Value, json};

use crate::support::{Actor, Answer, App, Call, new_key, operator, redactions};

fn whoami(secret: &str) -> Call {
    Call::get("/v1/whoami").bearer(secret)
}

fn question(body: &Value) -> Call {
    Call::post("/v1/verify").json(body)
}

/// The bytes of an answer but for its request id.
fn anonymous(answer: &Answer) -> (u16, String, Vec<(String, String)>) {
    let id = answer.header("x-request-id").unwrap().to_owned();
    let headers = answer.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().replace(&id, "[id]"))).collect();
    (answer.code(), answer.text().replace(&id, "[id]"), headers)
}

#[tokio::test]
async fn a_key_is_told_about_itself() {
    for app in App::on_each().await {
        let issued = app.key(Actor::KeyOwner, KeyKind::Secret, &["project"]).await;
        let answer = app.send(whoami(issued.secret.expose())).await.expect(200);
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        insta::assert_json_snapshot!("whoami", answer.json(), {
            ".key_id" => redactions::key_id(), ".owner.id" => redactions::user_id(),
            ".workspace.id" => redactions::workspace_id(), ".request_id" => redactions::request_id(),
        });
    }
}

#[tokio::test]
async fn a_service_is_told_about_a_presented_key() {
    for app in App::on_each().await {
        let issued = app.key(Actor::KeyOwner, KeyKind::Publishable, &["inference"]).await;
        let verdict = app.verify(issued.secret.expose(), Some("inference")).await;
        insta::assert_json_snapshot!("verify", verdict, {
            ".key_id" => redactions::key_id(), ".owner.id" => redactions::user_id(),
            ".workspace.id" => redactions::workspace_id(), ".request_id" => redactions::request_id(),
        });
    }
}

#[tokio::test]
async fn whoami_needs_one_bearer_header_and_nothing_else_will_do() {
    let app = App::new().await;
    let issued = app.key(Actor::KeyOwner, KeyKind::Secret, &["chat"]).await;
    let secret = issued.secret.expose();
    let calls = [
        Call::get("/v1/whoami"),
        Call::get(format!("/v1/whoami?api-key={secret}")),
        Call::get("/v1/whoami").header("x-api-key", secret),
        Call::get("/v1/whoami").header("authorization", secret),
        Call::get("/v1/whoami").header("authorization", &format!("Basic {secret}")),
        Call::get("/v1/whoami").header("cookie", &format!("__Host-kf_session={secret}")),
        whoami(secret).bearer(secret),
    ];
    for call in calls {
        let answer = app.send(call.clone()).await.expect(401);
        assert_eq!(answer.problem(), "unauthenticated", "{call:?}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"Keyfold\""));
    }
    app.send(Call::get("/v1/whoami").header("authorization", &format!("bearer  {secret}"))).await.expect(200);
    let head = app.send(Call::new(axum::http::Method::HEAD, "/v1/whoami").bearer(secret)).await;
    assert_eq!(head.code(), 200);
}

#[tokio::test]
async fn a_key_that_does_not_work_is_told_why() {
    let app = App::new().await;
    let owner = Actor::KeyOwner.user(&app).await;
    let make = |inactivity_days: Option<u32>, expires_at| NewKey {
        owner: Some(owner.clone()),
        inactivity_days: inactivity_days.map_or(Inactivity::Off, Inactivity::Days),
        expires_at,
        ..new_key("a key", KeyKind::Secret, &["chat"])
    };
    let in_a_day = Expiry::At(app.engine.now().plus_days(1));
    let expiring = app.engine.keys.create(&operator(), &app.acme, make(None, in_a_day), None).await.unwrap();
    let idle = app.engine.keys.create(&operator(), &app.acme, make(Some(30), Expiry::Never), None).await.unwrap();
    let stopped = app.engine.keys.create(&operator(), &app.acme, make(None, Expiry::Never), None).await.unwrap();
    let code = async |secret: &str| {
        let answer = app.send(whoami(secret)).await;
        if answer.code() == 200 {
            assert_eq!(answer.json()["code"], "valid");
            return "valid".to_owned();
        }
        assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"Keyfold\", error=\"invalid_token\""));
        assert_eq!(answer.code(), 401);
        let code = answer.problem();
        assert_eq!(app.verdict(secret, None).await, code, "verify and whoami must agree");
        code
    };

    assert_eq!(code(expiring.secret.expose()).await, "valid");
    app.clock.advance_ms(DAY_MS - 1);
    assert_eq!(code(expiring.secret.expose()).await, "valid");
    app.clock.advance_ms(1);
    assert_eq!(code(expiring.secret.expose()).await, "expired");

    // Two flush intervals of grace, so that a crash cannot make a used key dormant.
    app.clock.advance_ms(29 * DAY_MS + 10_000 - 1);
    assert_eq!(code(idle.secret.expose()).await, "valid");
    app.clock.advance_ms(30 * DAY_MS + 10_000);
    assert_eq!(code(idle.secret.expose()).await, "dormant");

    assert_eq!(code(stopped.secret.expose()).await, "valid");
    app.engine.keys.deactivate(&operator(), &app.acme, &stopped.key.id, "lost").await.unwrap();
    assert_eq!(code(stopped.secret.expose()).await, "deactivated");
    app.engine.keys.delete(&operator(), &app.acme, &stopped.key.id).await.unwrap();
    assert_eq!(code(stopped.secret.expose()).await, "not_found");
}

#[tokio::test]
async fn unknown_deleted_and_foreign_keys_get_the_same_bytes() {
    for app in App::on_each().await {
        let deleted = app.key(Actor::KeyOwner, KeyKind::Secret, &["chat"]).await;
        app.engine.keys.delete(&operator(), &app.acme, &deleted.key.id).await.unwrap();
        let foreign = app.foreign_key(KeyKind::Secret, &["chat"]).await;
        let unknown = format!("kf_sec_{}1GU1LX", "0".repeat(43));
        let unknown = unknown.as_str();
        let mut seen = Vec::new();
        for secret in [unknown, deleted.secret.expose(), foreign.secret.expose()] {
            for (scope, explain) in [(None, false), (Some("chat"), true), (Some("keys:write"), false), (None, true)] {
                let mut body = json!({ "key": secret, "explain": explain });
                if let Some(scope) = scope {
                    body["scope"] = scope.into();
                }
                seen.push(anonymous(&app.as_(Actor::ManagementKey, question(&body)).await));
            }
        }
        assert_eq!((seen[0].0, seen[0].1.as_str()), (200, r#"{"valid":false,"code":"not_found","request_id":"[id]"}"#));
        assert!(seen.iter().all(|answer| *answer == seen[0]), "{seen:#?}");

        let about_themselves = [unknown, deleted.secret.expose()].map(whoami);
        let [unknown, deleted] = about_themselves;
        assert_eq!(anonymous(&app.send(unknown).await), anonymous(&app.send(deleted).await));
    }
}

#[tokio::test]
async fn a_scope_is_asked_for_and_an_implied_one_is_held() {
    let app = App::new().await;
    let issued = app.key(Actor::KeyOwner, KeyKind::Secret, &["project"]).await;
    let secret = issued.secret.expose();
    for (scope, code) in [
        (None, "valid"),
        (Some("project"), "valid"),
        (Some("inference"), "valid"),
        (Some("chat"), "missing_scope"),
        (Some("keys:read"), "missing_scope"),
        (Some("no.such:scope"), "missing_scope"),
    ] {
        assert_eq!(app.verdict(secret, scope).await, code, "{scope:?}");
    }
    // A key that is tied to nothing may be used on everything.
    let body = json!({"key": secret, "resource": "collection:contracts", "client_ip": "2001:db8::1"});
    assert_eq!(app.as_(Actor::ManagementKey, question(&body)).await.expect(200).json()["valid"], true);
}

#[tokio::test]
async fn the_next_verdict_obeys_every_change() {
    for app in App::on_each().await {
        let issued = app.key(Actor::KeyOwner, KeyKind::Secret, &["inference"]).await;
        let (secret, path) = (issued.secret.expose(), format!("/v1/workspaces/acme/keys/{}", issued.key.id));
        let admin = async |call: Call| app.as_(Actor::Admin, call).await;
        assert_eq!(app.verdict(secret, Some("chat")).await, "missing_scope");
        admin(Call::patch(&path).json(&json!({"scopes": ["chat"]}))).await.expect(200);
        assert_eq!(app.verdict(secret, Some("chat")).await, "valid");
        assert_eq!(app.verdict(secret, Some("inference")).await, "missing_scope");
        admin(Call::post(format!("{path}/deactivate"))).await.expect(200);
        assert_eq!(app.verdict(secret, Some("chat")).await, "deactivated");
        admin(Call::post(format!("{path}/activate"))).await.expect(200);
        assert_eq!(app.verdict(secret, Some("chat")).await, "valid");
        admin(Call::delete(&path)).await.expect(204);
        assert_eq!(app.verdict(secret, Some("chat")).await, "not_found");
    }
}

#[tokio::test]
async fn losing_a_role_narrows_a_management_key_at_its_next_call() {
    let app = App::new().await;
    let body = json!({"key": "kf_sec_"});
    let list = Call::get("/v1/workspaces/acme/keys");
    app.as_(Actor::ManagementKey, question(&body)).await.expect(200);
    let everybodys = app.key(Actor::KeyOwner, KeyKind::Secret, &["chat"]).await;
    let path = format!("/v1/workspaces/acme/keys/{}", everybodys.key.id);
    app.as_(Actor::ManagementKey, Call::get(&path)).await.expect(200);

    let admin = Actor::ManagementKey.user(&app).await;
    app.member(&admin, Role::Member).await;
    app.as_(Actor::ManagementKey, Call::get(&path)).await.expect(404);
    app.as_(Actor::ManagementKey, list.clone()).await.expect(200);
    app.member(&admin, Role::Viewer).await;
    app.as_(Actor::ManagementKey, question(&body)).await.expect(403);
    app.as_(Actor::ManagementKey, list).await.expect(200);
}

#[tokio::test]
async fn no_damaged_secret_gets_further_than_its_checksum() {
    let app = App::new().await;
    let issued = app.key(Actor::KeyOwner, KeyKind::Secret, &["chat"]).await;
    let secret = issued.secret.expose();
    let mut damaged: Vec<String> = vec![
        String::new(),
        " ".into(),
        secret[..secret.len() - 1].to_owned(),
        format!("{secret}0"),
        format!(" {secret}"),
        format!("{secret}\n"),
        secret.replace("_sec_", "_pub_"),
        secret.replace("_sec_", "_adm_"),
        secret.to_uppercase(),
        "kf_sec_".into(),
        "0".repeat(4000),
        "' OR 1=1 --".into(),
        "\u{0}".into(),
        "ｋf_sec_".into(),
    ];
    for at in 0..secret.len() {
        let mut bytes = secret.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'x' { b'y' } else { b'x' };
        damaged.push(String::from_utf8(bytes.clone()).unwrap());
        let mut swapped = secret.as_bytes().to_vec();
        if at > 0 && swapped[at] != swapped[at - 1] {
            swapped.swap(at, at - 1);
            damaged.push(String::from_utf8(swapped).unwrap());
        }
    }
    for text in damaged {
        assert_eq!(app.verdict(&text, None).await, "malformed", "{text:?}");
    }
    assert_eq!(app.verdict(secret, None).await, "valid");
}

#[tokio::test]
async fn a_question_is_read_strictly() {
    let app = App::new().await;
    let ask = async |body: &str| app.as_(Actor::ManagementKey, Call::post("/v1/verify").body("application/json", body)).await;
    let cases = [
        (r"{}", Some("key")),
        (r#"{"key":null}"#, Some("key")),
        (r#"{"key":7}"#, Some("key")),
        (r#"{"key":"a","key":"a"}"#, Some("key")),
        (r#"{"key":"a","scope":""}"#, Some("scope")),
        (r#"{"key":"a","scope":null}"#, Some("scope")),
        (r#"{"key":"a","scope":"A B"}"#, Some("scope")),
        (r#"{"key":"a","resource":"contracts"}"#, Some("resource")),
        (r#"{"key":"a","client_ip":"10.0.0.1:80"}"#, Some("client_ip")),
        (r#"{"key":"a","cost":-1}"#, Some("cost")),
        (r#"{"key":"a","explain":null}"#, Some("explain")),
        (r#"{"key":"a","explain":"yes"}"#, Some("explain")),
        (r#"{"key":"a","cost":0.5}"#, Some("cost")),
        (r#"{"key":"a","cost":null}"#, Some("cost")),
        (r#"{"key":"a","cost":"1"}"#, Some("cost")),
        (r#"{"key":"a","cost":1000000001}"#, Some("cost")),
        (r#"{"key":"a","cost":18446744073709551616}"#, Some("cost")),
        (r#"{"key":"a","workspace":"zeta"}"#, Some("workspace")),
        ("", None),
        ("[]", None),
        ("\"a\"", None),
        (r#"{"key":"a"}{}"#, None),
        (r#"{"key":"\ud800"}"#, None),
    ];
    for (body, field) in cases {
        let answer = ask(body).await.expect(400);
        assert_eq!(answer.field().as_deref(), field, "{body}: {}", answer.text());
    }
    let typed = |content_type: &str| Call::post("/v1/verify").body(content_type, r#"{"key":"a"}"#);
    for other in ["text/plain", "application/x-www-form-urlencoded", "text/json", "multipart/form-data; boundary=x"] {
        assert_eq!(app.as_(Actor::ManagementKey, typed(other)).await.expect(415).problem(), "unsupported_media_type");
    }
    app.as_(Actor::ManagementKey, typed("application/json; charset=utf-8")).await.expect(200);
    let large = Call::post("/v1/verify").body("application/json", format!(r#"{{"key":"{}"}}"#, "a".repeat(64 * 1024)));
    assert_eq!(app.as_(Actor::ManagementKey, large).await.expect(413).problem(), "payload_too_large");
}

#[tokio::test]
async fn other_methods_are_told_which_one_to_use() {
    let app = App::new().await;
    for (method, path, allow) in [
        ("POST", "/v1/whoami", "GET, HEAD"),
        ("DELETE", "/v1/whoami", "GET, HEAD"),
        ("GET", "/v1/verify", "POST"),
        ("PUT", "/v1/verify", "POST"),
        ("GET", "/v1/verify:batch", "POST"),
    ] {
        let answer = app.as_(Actor::ManagementKey, Call::new(method.parse().unwrap(), path)).await.expect(405);
        assert_eq!((answer.problem().as_str(), answer.header("allow")), ("method_not_allowed", Some(allow)));
    }
    let asked = app.send(Call::new("OPTIONS".parse().unwrap(), "/v1/whoami")).await.expect(204);
    assert_eq!(asked.header("allow"), Some("GET, HEAD"));
    // Near misses are not the data plane's.
    for path in ["/v1/whoami/", "/v1/Whoami", "/v1/verify/x", "/v1//verify", "/v1/verify:batch/", "/v1/verify/batch"] {
        app.as_(Actor::ManagementKey, Call::get(path)).await.expect(404);
    }
}

#[tokio::test]
async fn uses_are_counted_and_shown_at_once() {
    let app = App::new().await;
    let issued = app.key(Actor::KeyOwner, KeyKind::Secret, &["chat"]).await;
    let secret = issued.secret.expose();
    app.clock.advance_ms(1234);
    app.send(whoami(secret)).await.expect(200);
    assert_eq!(app.verdict(secret, Some("chat")).await, "valid");
    assert_eq!(app.verdict(secret, Some("project")).await, "missing_scope");
    let key = app.as_(Actor::Admin, Call::get(format!("/v1/workspaces/acme/keys/{}", issued.key.id))).await.expect(200).json();
    assert_eq!((&key["total_calls"], &key["last_used_at"]), (&json!(2), &json!("2026-06-01T12:00:01.234Z")));
}

#[tokio::test]
async fn a_restart_keeps_everything() {
    for app in App::on_each().await {
        let live = app.key(Actor::KeyOwner, KeyKind::Secret, &["chat"]).await;
        let deleted = app.key(Actor::KeyOwner, KeyKind::Secret, &["chat"]).await;
        app.engine.keys.delete(&operator(), &app.acme, &deleted.key.id).await.unwrap();
        assert_eq!(app.verdict(live.secret.expose(), Some("chat")).await, "valid");
        let list = Call::get("/v1/workspaces/acme/keys?state=all&sort=created");
        let before = app.as_(Actor::Admin, list.clone()).await.expect(200).text();

        let app = app.restart().await;
        // The session and the counters survive as well.
        let after = app.as_(Actor::Admin, list).await.expect(200).text();
        assert_eq!(after, before);
        assert_eq!(app.verdict(live.secret.expose(), Some("chat")).await, "valid");
        assert_eq!(app.verdict(deleted.secret.expose(), None).await, "not_found");
    }
}
