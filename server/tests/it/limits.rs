//! From where and how often a key may be used: over REST, in verdicts, and for keys that act.

use keyfold_domain::scope::KeyKind;
use keyfold_domain::time::DAY_MS;
use serde_json::{Value, json};

use crate::support::{Actor, App, Call};

const KEYS: &str = "/v1/workspaces/acme/keys";

/// A key of the owner with these settings, its secret and its address.
async fn made(app: &App, settings: &Value) -> (String, String) {
    let key = app.key(Actor::KeyOwner, KeyKind::Secret, &["chat"]).await;
    let path = format!("{KEYS}/{}", key.key.id);
    app.as_(Actor::Admin, Call::patch(&path).json(settings)).await.expect(200);
    (key.secret.expose().to_owned(), path)
}

async fn ask(app: &App, body: &Value) -> Value {
    app.as_(Actor::ManagementKey, Call::post("/v1/verify").json(body)).await.expect(200).json()
}

#[tokio::test]
async fn a_verdict_says_how_each_limit_stands() {
    for app in App::on_each().await {
        let limits = json!([{"name": "burst", "limit": 3, "window": 60}, {"name": "daily", "limit": 10, "quota": "day"}]);
        let (secret, path) = made(&app, &json!({ "limits": limits })).await;
        let shown = app.as_(Actor::KeyOwner, Call::get(&path)).await.expect(200).json();
        assert_eq!((&shown["limits"], &shown["ip_allow"]), (&limits, &json!([])));

        let first = ask(&app, &json!({"key": secret, "scope": "chat", "cost": 2})).await;
        let standing = |name: &str, limit: u32, remaining: u32, resets_at: &str| json!({"name": name, "of": "key", "limit": limit, "remaining": remaining, "resets_at": resets_at});
        assert_eq!(first["code"], "valid");
        assert_eq!(
            first["limits"],
            json!([standing("burst", 3, 1, "2026-06-01T12:01:00.000Z"), standing("daily", 10, 8, "2026-06-02T00:00:00.000Z")])
        );
        assert!(first.get("retry_after").is_none());

        let refused = ask(&app, &json!({"key": secret, "scope": "chat", "cost": 2})).await;
        assert_eq!((&refused["valid"], &refused["code"], &refused["retry_after"]), (&json!(false), &json!("rate_limited"), &json!(60)));
        assert_eq!(refused["limits"], first["limits"], "what is refused spends nothing");
        let other = ask(&app, &json!({"key": secret, "scope": "project"})).await;
        assert_eq!((&other["code"], other.get("limits")), (&json!("missing_scope"), None));
        let never = ask(&app, &json!({"key": secret, "cost": 11})).await;
        assert_eq!((&never["code"], never.get("retry_after")), (&json!("rate_limited"), None));
        let check = ask(&app, &json!({"key": secret, "cost": 0})).await;
        assert_eq!((&check["code"], &check["limits"]), (&json!("valid"), &first["limits"]));

        // The key's own question takes from the same count.
        let whoami = app.send(Call::get("/v1/whoami").bearer(&secret)).await.expect(200).json();
        assert_eq!((&whoami["limits"][0]["remaining"], &whoami["limits"][1]["remaining"]), (&json!(0), &json!(7)));
        let refused = app.send(Call::get("/v1/whoami").bearer(&secret)).await.expect(429);
        assert_eq!((refused.problem().as_str(), refused.header("retry-after")), ("rate_limited", Some("60")));
        app.clock.advance_ms(60_000);
        let spent = ask(&app, &json!({"key": secret, "cost": 3})).await;
        assert_eq!((&spent["code"], &spent["limits"][1]["remaining"]), (&json!("valid"), &json!(4)));

        let app = app.restart().await;
        let kept = ask(&app, &json!({"key": secret, "cost": 3})).await;
        assert_eq!((&kept["limits"][0]["remaining"], &kept["limits"][1]["remaining"]), (&json!(0), &json!(1)));
        app.clock.advance_ms(60_000);
        let over = ask(&app, &json!({"key": secret, "cost": 3})).await;
        assert_eq!((&over["code"], &over["retry_after"]), (&json!("quota_exceeded"), &json!(DAY_MS / 2000 - 120)));
        app.send(Call::get("/v1/whoami").bearer(&secret)).await.expect(200);
        assert_eq!(app.send(Call::get("/v1/whoami").bearer(&secret)).await.expect(429).problem(), "quota_exceeded");
    }
}

#[tokio::test]
async fn a_key_without_limits_is_answered_without_them() {
    let app = App::new().await;
    let key = app.key(Actor::KeyOwner, KeyKind::Secret, &["chat"]).await;
    let answer = ask(&app, &json!({"key": key.secret.expose(), "cost": 1_000_000_000})).await;
    assert_eq!((&answer["code"], answer.get("limits"), answer.get("detail")), (&json!("valid"), None, None));
}

#[tokio::test]
async fn the_address_is_the_end_clients_and_its_absence_is_said() {
    for app in App::on_each().await {
        let (secret, _) = made(&app, &json!({"ip_allow": ["203.0.113.0/24", "2001:db8::/32"]})).await;
        let code = async |ip: &str| ask(&app, &json!({"key": secret, "client_ip": ip})).await["code"].clone();
        for ip in ["203.0.113.9", "::ffff:203.0.113.9", "2001:db8::1"] {
            assert_eq!(code(ip).await, "valid", "{ip}");
        }
        for ip in ["203.0.114.9", "20.30.113.9", "2001:db9::1", "::203.0.113.9"] {
            assert_eq!(code(ip).await, "ip_denied", "{ip}");
        }
        let unsaid = ask(&app, &json!({"key": secret})).await;
        assert_eq!(unsaid["code"], "ip_denied");
        assert!(unsaid["detail"].as_str().unwrap().contains("client_ip"), "{unsaid}");

        // A key that asks about itself is judged by its connection, and by what trusted proxies say, counted from the right.
        let whoami = || Call::get("/v1/whoami").bearer(&secret);
        let far = app.send_from([198, 51, 100, 1].into(), whoami().header("x-forwarded-for", "203.0.113.9")).await.expect(403);
        assert_eq!(far.problem(), "ip_denied");
        app.send_from([203, 0, 113, 9].into(), whoami()).await.expect(200);
        let behind = async |chain: &str| app.send_through([198, 18, 0, 1].into(), whoami().header("x-forwarded-for", chain)).await.code();
        assert_eq!(behind("203.0.113.9").await, 200);
        assert_eq!(behind("198.51.100.1, 203.0.113.9").await, 200);
        assert_eq!(behind("203.0.113.9, 198.51.100.1").await, 403, "the left-most is whatever the client wrote");
        assert_eq!(behind("203.0.113.9, 198.51.100.1, 198.18.0.2").await, 403);
    }
}

#[tokio::test]
async fn a_management_key_is_held_to_its_addresses_and_limits() {
    let app = App::new().await;
    let key = app.key(Actor::Admin, KeyKind::Management, &["keys:read", "verify"]).await;
    let path = format!("{KEYS}/{}", key.key.id);
    let settings = json!({"ip_allow": ["203.0.113.9"], "limits": [{"name": "acts", "limit": 2, "window": 10}]});
    app.as_(Actor::InstanceAdmin, Call::patch(&path).json(&settings)).await.expect(200);
    let list = || Call::get(KEYS).bearer(key.secret.expose());
    app.send_from([198, 51, 100, 1].into(), list()).await.expect(403);
    let here = [203, 0, 113, 9];
    app.send_from(here.into(), list()).await.expect(200);
    let question = Call::post("/v1/verify").bearer(key.secret.expose()).json(&json!({"key": "kf_sec_"}));
    app.send_from(here.into(), question.clone()).await.expect(200);
    for call in [list(), question] {
        let refused = app.send_from(here.into(), call).await.expect(429);
        assert_eq!((refused.problem().as_str(), refused.header("retry-after")), ("rate_limited", Some("10")));
    }
}

#[tokio::test]
async fn every_rule_for_addresses_and_limits_names_its_field() {
    for app in App::on_each().await {
        let (_, path) = made(&app, &json!({})).await;
        let before = app.as_(Actor::Admin, Call::get(&path)).await.expect(200).text();
        let limit = |extra: Value| {
            let mut limit = json!({"name": "burst", "limit": 1, "window": 1});
            for (name, value) in extra.as_object().unwrap() {
                limit[name] = value.clone();
            }
            json!({ "limits": [{"name": "first", "limit": 1, "quota": "day"}, limit] })
        };
        let ranges = |bad: Value| json!({ "ip_allow": ["10.0.0.0/8", "::1", bad] });
        let many: Vec<_> = (0..101).map(|at| format!("10.0.0.{at}")).collect();
        let too_many: Vec<_> = (0..9).map(|at| json!({"name": format!("l{at}"), "limit": 1, "window": 1})).collect();
        let cases = [
            (ranges(json!("here")), "ip_allow[2]"),
            (ranges(json!("10.0.0.1/8")), "ip_allow[2]"),
            (ranges(json!("10.0.0.0/33")), "ip_allow[2]"),
            (ranges(json!("10.0.0.0:80")), "ip_allow[2]"),
            (ranges(json!("fe80::1%eth0")), "ip_allow[2]"),
            (ranges(json!(null)), "ip_allow[2]"),
            (ranges(json!(7)), "ip_allow[2]"),
            (json!({ "ip_allow": many }), "ip_allow"),
            (json!({"ip_allow": null}), "ip_allow"),
            (json!({"ip_allow": "10.0.0.0/8"}), "ip_allow"),
            (limit(json!({"name": "A"})), "limits[1].name"),
            (limit(json!({"name": ""})), "limits[1].name"),
            (limit(json!({"name": "first"})), "limits[1].name"),
            (limit(json!({"name": null})), "limits[1].name"),
            (limit(json!({"limit": 0})), "limits[1].limit"),
            (limit(json!({"limit": -1})), "limits[1].limit"),
            (limit(json!({"limit": 1.5})), "limits[1].limit"),
            (limit(json!({"limit": null})), "limits[1].limit"),
            (limit(json!({"limit": 1_000_000_001})), "limits[1].limit"),
            (limit(json!({"limit": u64::MAX})), "limits[1].limit"),
            (limit(json!({"window": 0})), "limits[1].window"),
            (limit(json!({"window": null})), "limits[1].window"),
            (limit(json!({"window": 3601})), "limits[1].window"),
            (limit(json!({"quota": "day"})), "limits[1].window"),
            (limit(json!({"quota": "rolling"})), "limits[1].window"),
            (limit(json!({"quota": "week"})), "limits[1].quota"),
            (limit(json!({"quota": null})), "limits[1].quota"),
            (limit(json!({"per": "day"})), "limits[1].per"),
            (json!({"limits": [{"name": "a", "limit": 1}]}), "limits[0].window"),
            (json!({"limits": [{"name": "a", "window": 1}]}), "limits[0].limit"),
            (json!({ "limits": too_many }), "limits"),
            (json!({"limits": null}), "limits"),
            (json!({"limits": {}}), "limits"),
        ];
        for (body, field) in cases {
            let refused = app.as_(Actor::Admin, Call::patch(&path).json(&body)).await.expect(400);
            assert_eq!((refused.problem().as_str(), refused.field().as_deref()), ("invalid", Some(field)), "{body}: {}", refused.text());
            let mut new = json!({"kind": "secret", "scopes": ["chat"]});
            for (name, value) in body.as_object().unwrap() {
                new[name] = value.clone();
            }
            let refused = app.as_(Actor::Admin, Call::post(KEYS).json(&new)).await.expect(400);
            assert_eq!(refused.field().as_deref(), Some(field), "{new}");
        }
        assert_eq!(app.as_(Actor::Admin, Call::get(&path)).await.expect(200).text(), before);
    }
}

#[tokio::test]
async fn administrators_set_them_and_owners_see_them() {
    for app in App::on_each().await {
        let (secret, path) = made(&app, &json!({"ip_allow": ["::ffff:10.0.0.0/104", "10.0.0.0/8"], "limits": []})).await;
        let shown = app.as_(Actor::KeyOwner, Call::get(&path)).await.expect(200).json();
        assert_eq!(shown["ip_allow"], json!(["10.0.0.0/8"]), "one form, once");
        for body in [json!({"ip_allow": []}), json!({"limits": []}), json!({"name": "mine", "limits": []})] {
            assert_eq!(app.as_(Actor::KeyOwner, Call::patch(&path).json(&body)).await.expect(403).problem(), "forbidden");
        }
        let new = |extra: Value| Call::post(KEYS).json(&json!({"kind": "secret", "scopes": ["chat"], "ip_allow": extra}));
        app.as_(Actor::KeyOwner, new(json!(["10.0.0.0/8"]))).await.expect(403);
        app.as_(Actor::KeyOwner, new(json!([]))).await.expect(201);
        assert_eq!(app.verdict(&secret, None).await, "ip_denied");
        app.as_(Actor::Admin, Call::patch(&path).json(&json!({"ip_allow": []}))).await.expect(200);
        assert_eq!(app.verdict(&secret, None).await, "valid");
        let made = app.as_(Actor::Admin, new(json!(["192.0.2.1/32"]))).await.expect(201).json();
        assert_eq!(made["ip_allow"], json!(["192.0.2.1"]));
    }
}

#[tokio::test]
async fn a_members_limits_are_set_by_administrators_and_shown_in_verdicts() {
    for app in App::on_each().await {
        let owner = Actor::KeyOwner.user(&app).await;
        let (secret, _) = made(&app, &json!({"limits": [{"name": "burst", "limit": 5, "window": 1}]})).await;
        let path = format!("/v1/workspaces/acme/members/{owner}/limits");
        let put = |body: &Value| Call::new(axum::http::Method::PUT, &path).json(body);
        let limits = json!([{"name": "all", "limit": 2, "window": 86400, "quota": "rolling"}]);
        let member = app.as_(Actor::Admin, put(&json!({ "limits": limits }))).await.expect(200).json();
        assert_eq!(member["limits"], limits);
        let answer = ask(&app, &json!({"key": secret, "cost": 2})).await;
        assert_eq!(answer["limits"][1]["of"], "owner");
        assert_eq!((&answer["limits"][0]["remaining"], &answer["limits"][1]["remaining"]), (&json!(3), &json!(0)));
        assert_eq!(ask(&app, &json!({"key": secret})).await["code"], "quota_exceeded");
        for (body, field) in [(json!({}), "limits"), (json!({"limits": [{"name": "a", "limit": 0, "window": 1}]}), "limits[0].limit")] {
            assert_eq!(app.as_(Actor::Admin, put(&body)).await.expect(400).field().as_deref(), Some(field));
        }
        app.as_(Actor::Admin, put(&json!({"limits": []}))).await.expect(200);
        assert_eq!(ask(&app, &json!({"key": secret})).await["code"], "valid");
    }
}
