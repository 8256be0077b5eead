//! Who may call what, and what else is behind the client's paths.

use axum::http::Method;
use keyfold_domain::scope::KeyKind;
use serde_json::{Value, json};

use super::{KEYS, admin, owner, refused};
use crate::support::{Actor, App, Call, operator};

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
async fn a_server_that_cannot_check_a_key_says_so() {
    let app = App::new().await;
    let secret = app.key(Actor::Admin, KeyKind::Management, &["keys:read"]).await.secret.expose().to_owned();
    app.sql("DROP TABLE key_resources").await;
    let answer = app.send(Call::get(KEYS).bearer(&secret)).await;
    assert!([500, 503].contains(&refused(&answer)), "{}", answer.text());
}

#[tokio::test]
async fn requests_are_limited_as_those_of_our_own_api_are_and_refused_in_the_clients_form() {
    let app = App::new().await;
    let key = app.key(Actor::Admin, KeyKind::Management, &["keys:read"]).await;
    let app = app.with_request_limit(3);
    let list = || Call::get(KEYS).bearer(key.secret.expose());
    for left in [2, 1] {
        let answer = app.send(list()).await.expect(200);
        assert_eq!(answer.header("ratelimit"), Some(format!("\"requests\";r={left};t={}", (3 - left) * 20).as_str()));
    }
    // Whichever of the two ways it goes, it is one key's.
    app.send(Call::get("/v1/workspaces/acme/keys").bearer(key.secret.expose())).await.expect(200);
    for call in [list(), Call::get("/rpc/meta").bearer(key.secret.expose()), Call::delete(format!("{KEYS}/x")).bearer(key.secret.expose())]
    {
        let refusal = app.send(call).await;
        assert_eq!((refused(&refusal), refusal.header("retry-after")), (429, Some("20")));
        assert_eq!(refusal.header("ratelimit-policy"), Some("\"requests\";q=3;w=60"));
        assert!(refusal.json()["message"].as_str().unwrap().starts_with("More than 3 requests in a minute."), "{}", refusal.text());
    }
    // Strangers are counted by where they are.
    let from = [192, 0, 2, 1].into();
    for status in [401, 401, 401, 429] {
        assert_eq!(refused(&app.send_from(from, Call::get(KEYS)).await), status);
    }
    assert_eq!(refused(&app.send_from([198, 51, 100, 2].into(), Call::get(KEYS)).await), 401);
    app.clock.advance_ms(20_000);
    app.send(list()).await.expect(200);
}
