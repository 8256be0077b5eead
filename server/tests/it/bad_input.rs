//! Nonsense and malice: refused with words that help, never with a fault of ours, and never half done.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyfold_domain::key::KeyFilter;
use keyfold_domain::scope::KeyKind;
use serde_json::{Map, Value, json};

use crate::support::{Actor, Answer, App, Call, encoded, operator};

const KEYS: &str = "/v1/workspaces/acme/keys";

/// Texts that have broken other programs.
fn nasty_texts() -> Vec<String> {
    let mut texts: Vec<String> = [
        "",
        " ",
        "\u{0}",
        "a\u{0}b",
        "\n",
        "\r\nx: y",
        "\u{202e}evil",
        "\u{200b}",
        "\u{feff}",
        "\u{1F468}\u{200d}\u{1F469}",
        "e\u{301}",
        "'; DROP TABLE keys; --",
        "\" OR \"\"=\"",
        "%00",
        "%",
        "_",
        "!",
        "\\",
        "../../etc/passwd",
        "<script>alert(1)</script>",
        "${jndi:x}",
        "{{7*7}}",
        "null",
        "undefined",
        "NaN",
        "-1",
        "9223372036854775808",
        "1e999",
        "0x10",
        "true",
        "𝕿𝖊𝖘𝖙",
        "\u{10ffff}",
        "\u{7f}",
        "\u{85}",
    ]
    .map(str::to_owned)
    .into();
    texts.extend([100, 101, 1000, 1001, 60_000].map(|length| "x".repeat(length)));
    texts.push("é".repeat(101));
    texts
}

/// Values of every other sort.
fn nasty_values() -> Vec<Value> {
    let mut values: Vec<Value> = [
        "null",
        "true",
        "false",
        "0",
        "-1",
        "1",
        "4294967296",
        "9223372036854775808",
        "1e300",
        "0.5",
        "[]",
        "{}",
        "[[]]",
        "[null]",
        "{\"\":{}}",
    ]
    .iter()
    .map(|text| serde_json::from_str(text).unwrap())
    .collect();
    values.extend(nasty_texts().into_iter().map(Value::String));
    values
}

/// Nothing is a fault of ours, and every refusal is in our form.
#[track_caller]
fn sane(answer: &Answer, what: &str) {
    assert!(answer.code() < 500, "{what}: {} {}", answer.code(), answer.text());
    if answer.code() >= 400 {
        answer.problem();
    }
}

#[tokio::test]
async fn no_value_of_a_field_is_our_fault() {
    for app in App::on_each().await {
        let key = app.key(Actor::KeyOwner, KeyKind::Secret, &["chat"]).await;
        let path = format!("{KEYS}/{}", key.key.id);
        let whole = json!({"name": "n", "kind": "secret", "scopes": ["chat"], "expires_at": null, "inactivity_days": 30, "note": ""});
        for value in nasty_values() {
            for field in ["name", "kind", "scopes", "expires_at", "inactivity_days", "note", "owner"] {
                let mut body = whole.clone();
                body[field] = value.clone();
                let answer = app.as_(Actor::KeyOwner, Call::post(KEYS).json(&body)).await;
                sane(&answer, &format!("create {field} {value}"));
                assert!([201, 400].contains(&answer.code()) || field == "owner", "create {field} {value}: {}", answer.code());
                if answer.code() == 201 {
                    let made = format!("{KEYS}/{}", answer.json()["id"].as_str().unwrap());
                    app.as_(Actor::KeyOwner, Call::delete(made)).await.expect(204);
                } else if answer.code() == 400 {
                    assert!(answer.field().is_some_and(|named| named.starts_with(field)), "create {field} {value}: {}", answer.text());
                }
                let mut patch = Map::new();
                patch.insert(field.to_owned(), value.clone());
                let answer = app.as_(Actor::KeyOwner, Call::patch(&path).json(&Value::Object(patch))).await;
                sane(&answer, &format!("patch {field} {value}"));
            }
            let deactivate = Call::post(format!("{path}/deactivate")).json(&json!({ "reason": value }));
            sane(&app.as_(Actor::KeyOwner, deactivate).await, &format!("deactivate {value}"));
        }
    }
}

#[tokio::test]
async fn no_body_is_our_fault_whatever_it_is() {
    let app = App::new().await;
    let key = app.key(Actor::KeyOwner, KeyKind::Secret, &["chat"]).await;
    let path = format!("{KEYS}/{}", key.key.id);
    let before = app.engine.keys.get(&operator(), &app.acme, &key.key.id).await.unwrap();
    let deep = "[".repeat(10_000) + &"]".repeat(10_000);
    let deep_object = "{\"name\":".repeat(5_000) + "1" + &"}".repeat(5_000);
    let bodies: Vec<Vec<u8>> = vec![
        b" ".into(),
        b"null".into(),
        b"[]".into(),
        b"\"\"".into(),
        b"{".into(),
        b"{\"name\":\"\\ud800\"}".into(),
        b"{\"name\":\"\xff\"}".into(),
        b"\xef\xbb\xbf{\"name\":\"x\"}".into(),
        b"{\"name\":\"a\",\"name\":\"b\"}".into(),
        b"{\"name\":\"a\"}{\"name\":\"b\"}".into(),
        b"{'name':'a'}".into(),
        b"{\"name\":NaN}".into(),
        b"{\"name\":\"a\",}".into(),
        b"name=a".into(),
        deep.into(),
        deep_object.into(),
        vec![0; 1000],
    ];
    for body in bodies {
        for call in [Call::post(KEYS), Call::patch(&path), Call::post(format!("{path}/deactivate")), Call::post(format!("{path}/rotate"))] {
            let what = format!("{} {}", call.path, String::from_utf8_lossy(&body[..body.len().min(40)]));
            let answer = app.as_(Actor::KeyOwner, call.body("application/json", body.clone())).await.expect(400);
            assert_eq!(answer.problem(), "invalid", "{what}");
        }
    }
    for content_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
        "application/json; charset=utf-16",
    ] {
        for call in [Call::post(KEYS), Call::patch(&path), Call::post(format!("{path}/deactivate")), Call::post(format!("{path}/rotate"))] {
            let answer = app.as_(Actor::KeyOwner, call.body(content_type, "{\"name\":\"a\"}")).await.expect(415);
            assert_eq!(answer.problem(), "unsupported_media_type", "{content_type}");
        }
    }
    for size in [64 * 1024 + 1, 1024 * 1024] {
        let answer = app.as_(Actor::KeyOwner, Call::patch(&path).body("application/json", vec![b' '; size])).await.expect(413);
        assert_eq!(answer.problem(), "payload_too_large");
    }
    assert_eq!(app.engine.keys.get(&operator(), &app.acme, &key.key.id).await.unwrap(), before);
}

#[tokio::test]
async fn no_field_can_be_smuggled_in() {
    let app = App::new().await;
    let key = app.key(Actor::KeyOwner, KeyKind::Secret, &["chat"]).await;
    let path = format!("{KEYS}/{}", key.key.id);
    let before = app.engine.keys.get(&operator(), &app.acme, &key.key.id).await.unwrap();
    let count = app.engine.keys.list(&operator(), &app.acme, &KeyFilter::default()).await.unwrap().items.len();
    let extras = [
        ("workspace_id", json!(app.zeta)),
        ("workspace", json!("zeta")),
        ("role", json!("owner")),
        ("id", json!("key_0000000000000000000000")),
        ("mac", json!("00")),
        ("secret", json!("kf_sec_0")),
        ("hint", json!("0000")),
        ("state", json!("active")),
        ("created_at", json!("2020-01-01T00:00:00Z")),
        ("created_by", json!("somebody else")),
        ("total_calls", json!(0)),
        ("last_used_at", json!(null)),
        ("version", json!(7)),
        ("instance_admin", json!(true)),
        ("ties", json!([])),
        ("owner_limits", json!([])),
        ("__proto__", json!({})),
    ];
    for (field, value) in extras {
        let mut create = json!({"name": "x", "kind": "secret", "scopes": ["chat"]});
        create[field] = value.clone();
        let mut patch = json!({"name": "x"});
        patch[field] = value.clone();
        let mut reason = json!({"reason": "x"});
        reason[field] = value;
        for call in
            [Call::post(KEYS).json(&create), Call::patch(&path).json(&patch), Call::post(format!("{path}/deactivate")).json(&reason)]
        {
            let answer = app.as_(Actor::KeyOwner, call).await.expect(400);
            assert_eq!(answer.field().as_deref(), Some(field));
        }
    }
    assert_eq!(app.engine.keys.get(&operator(), &app.acme, &key.key.id).await.unwrap(), before);
    assert_eq!(app.engine.keys.list(&operator(), &app.acme, &KeyFilter::default()).await.unwrap().items.len(), count);
}

#[tokio::test]
async fn no_query_and_no_path_is_our_fault() {
    for app in App::on_each().await {
        for text in nasty_texts().into_iter().filter(|text| text.len() < 8000) {
            let encoded = encoded(&text);
            for name in ["search", "state", "owner", "sort", "order", "cursor", "limit", "other"] {
                sane(&app.as_(Actor::Admin, Call::get(format!("{KEYS}?{name}={encoded}"))).await, &format!("{name}={text:?}"));
            }
            for path in [
                format!("/v1/workspaces/{encoded}"),
                format!("/v1/workspaces/{encoded}/keys"),
                format!("{KEYS}/{encoded}"),
                format!("/v1/{encoded}"),
            ] {
                sane(&app.as_(Actor::Admin, Call::get(path)).await, &format!("path {text:?}"));
            }
        }
        // A cursor is only text to whoever makes one up.
        for position in [
            r#"{"number":9223372036854775807,"text":"\u0000","id":"\u0000"}"#,
            r#"{"number":-1,"text":"","id":""}"#,
            r#"{"number":1e99,"text":"","id":""}"#,
        ] {
            for (sort, down) in [("name", false), ("created", true), ("expires", false), ("last_used", true)] {
                let json = format!(r#"{{"s":"{sort}","d":{down},"p":{position}}}"#);
                let cursor = URL_SAFE_NO_PAD.encode(json);
                let order = if down { "desc" } else { "asc" };
                sane(&app.as_(Actor::Admin, Call::get(format!("{KEYS}?sort={sort}&order={order}&cursor={cursor}"))).await, position);
            }
        }
    }
}

#[tokio::test]
async fn no_argument_of_a_server_function_is_our_fault() {
    for app in App::on_each().await {
        let key = app.key(Actor::KeyOwner, KeyKind::Secret, &["chat"]).await;
        let id = key.key.id.as_str();
        for text in nasty_texts() {
            let form = json!({"name": text, "kind": text, "scopes": [text], "expiry": text, "expires_on": text, "inactivity_days": text, "note": text});
            let sound = json!({"name": text, "kind": "secret", "scopes": ["chat"], "expiry": "30", "note": text});
            let filter = json!({"search": text, "cursor": text});
            let calls = [
                Call::post("/_app/get_key").json(&json!({"workspace": text, "id": id})),
                Call::post("/_app/get_key").json(&json!({"workspace": "acme", "id": text})),
                Call::post("/_app/get_key_form").json(&json!({ "workspace": text })),
                Call::post("/_app/list_keys").json(&json!({"workspace": text, "filter": {}})),
                Call::post("/_app/list_keys").json(&json!({"workspace": "acme", "filter": filter})),
                Call::post("/_app/list_keys").json(&json!({"workspace": "acme", "filter": {"search": text}})),
                Call::post("/_app/create_key").json(&json!({"workspace": "acme", "form": form, "idempotency_key": "1"})),
                Call::post("/_app/create_key").json(&json!({"workspace": "acme", "form": sound, "idempotency_key": text})),
                Call::post("/_app/create_key").json(&json!({"workspace": text, "form": sound, "idempotency_key": "2"})),
                Call::post("/_app/create_key").json(&json!({"workspace": "acme", "form": text, "idempotency_key": "3"})),
                Call::post("/_app/update_key").form(&[("workspace", "acme"), ("id", id), ("version", &text), ("scopes[0]", &text)]),
                Call::post("/_app/update_key").form(&[("workspace", "acme"), ("id", id), ("version", "1"), ("scopes[0]", &text)]),
                Call::post("/_app/update_key").form(&[("workspace", &text), ("id", id), ("version", "1"), ("scopes[0]", "chat")]),
                Call::post("/_app/delete_key").form(&[("workspace", &text), ("id", id), ("confirmation", &text)]),
                Call::post("/_app/sign_in").form(&[("login", &text), ("password", &text), ("next", &text)]),
                Call::post("/_app/set_theme").form(&[("theme", &text)]),
                Call::post("/_app/complete_setup").form(&[("token", &text), ("username", &text)]),
                Call::post("/_app/get_home").body("application/json", text.clone()),
                Call::post("/w/acme/keys/new").form(&[("name", &text), ("kind", "secret"), ("scopes", "chat"), ("idempotency_key", &text)]),
            ];
            for call in calls {
                let path = call.path.clone();
                let answer = app.as_(Actor::KeyOwner, call).await;
                assert!(answer.code() < 500, "{path} {text:?}: {} {}", answer.code(), answer.text());
            }
        }
        assert_eq!(app.verdict(key.secret.expose(), Some("chat")).await, "valid");
    }
}

#[tokio::test]
async fn no_value_of_a_field_about_people_is_our_fault() {
    for app in App::on_each().await {
        let user = app.user("target", false).await;
        let acme = "/v1/workspaces/acme";
        let acts = [
            (Call::post(format!("{acme}/members")), json!({"user": user, "role": "viewer"})),
            (Call::patch(format!("{acme}/members/{user}")), json!({"role": "viewer"})),
            (Call::post(format!("{acme}/left-keys")), json!({"decision": "keep", "person": user, "to": user})),
            (
                Call::post("/v1/admin/users"),
                json!({"username": "x", "email": "x@example.com", "display_name": "", "instance_admin": false}),
            ),
            (
                Call::patch(format!("/v1/admin/users/{user}")),
                json!({"email": "x@example.com", "display_name": "", "instance_admin": false}),
            ),
            (Call::post("/v1/admin/workspaces"), json!({"slug": "x", "name": "X", "owner": user})),
            (Call::patch("/v1/admin/workspaces/acme"), json!({"name": "ACME"})),
        ];
        for value in nasty_values() {
            for (call, whole) in &acts {
                for field in whole.as_object().unwrap().keys() {
                    let mut body = whole.clone();
                    body[field] = value.clone();
                    let answer = app.as_(Actor::InstanceAdmin, call.clone().json(&body)).await;
                    sane(&answer, &format!("{} {field} {value}", call.path));
                }
            }
        }
        for text in nasty_texts().into_iter().filter(|text| text.len() < 8000) {
            let encoded = encoded(&text);
            for path in [
                format!("{acme}/members?search={encoded}"),
                format!("{acme}/members?cursor={encoded}"),
                format!("{acme}/left-keys?cursor={encoded}"),
                format!("{acme}/members/{encoded}"),
                format!("{acme}/invitations/{encoded}"),
                format!("/v1/admin/users?search={encoded}"),
                format!("/v1/admin/users?cursor={encoded}"),
                format!("/v1/admin/users/{encoded}"),
                format!("/v1/admin/workspaces?search={encoded}&limit={encoded}"),
            ] {
                sane(&app.as_(Actor::InstanceAdmin, Call::get(&path)).await, &path);
            }
            for (function, fields) in [
                ("invite_member", &[("workspace", "acme"), ("role", &text[..]), ("label", &text)][..]),
                ("invite_member", &[("workspace", "acme"), ("role", "member"), ("label", &text)]),
                ("decide_left_keys", &[("workspace", "acme"), ("subject", &text), ("decision", &text), ("to", &text)]),
                ("create_user", &[("username", &text), ("email", &text), ("display_name", &text), ("instance_admin", &text)]),
                ("update_account", &[("display_name", &text), ("email", &text)]),
                ("create_workspace", &[("name", &text), ("slug", &text), ("owner", &text)]),
                ("accept_invitation", &[("token", &text)]),
                ("reset_password", &[("token", &text), ("password", &text)]),
                ("join_workspace", &[("token", &text), ("username", &text), ("email", &text), ("password", &text)]),
            ] {
                let answer = app.as_(Actor::InstanceAdmin, Call::post(format!("/_app/{function}")).form(fields)).await;
                assert!(answer.code() < 500, "{function} {text:?}: {} {}", answer.code(), answer.text());
            }
            for page in ["invite", "reset"] {
                let answer = app.send(Call::get(format!("/{page}?token={encoded}"))).await;
                assert!(answer.code() < 500, "{page} {text:?}: {}", answer.code());
            }
        }
    }
}
