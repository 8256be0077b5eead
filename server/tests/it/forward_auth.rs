//! Forward-auth as a proxy asks it: who may ask, what is understood, what is answered, and what counts.

use std::time::Duration;

use axum::http::Method;
use keyfold_domain::key::{Expiry, Inactivity, NewKey};
use keyfold_domain::scope::KeyKind;
use keyfold_domain::time::DAY_MS;
use keyfold_engine::NewNode;
use serde_json::{Value, json};

use crate::support::{Actor, Answer, App, Call, IDENTITY, PROXY, new_key, operator};

const ACME: &str = "/v1/workspaces/acme/forward-auth";

/// A proxy's question about a request, as Traefik, Caddy and our `HAProxy` put it.
fn about(method: &str, target: &str) -> Call {
    Call::get(ACME).header("x-forwarded-method", method).header("x-forwarded-uri", target)
}

async fn ask(app: &App, call: Call) -> Answer {
    app.send_from(PROXY, call).await
}

/// The reason of a refusal, after a look at everything that a refusal must have.
#[track_caller]
fn reason(answer: &Answer) -> String {
    let body = answer.json();
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{body}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(body["status"], answer.code());
    assert_eq!(body["request_id"].as_str(), answer.header("x-request-id"));
    assert_eq!(body["reason"].as_str(), answer.header("keyfold-code"));
    for field in ["title", "detail", "message", "error"] {
        assert!(body[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {body}");
    }
    assert_eq!(body["details"][0]["reason"], body["reason"]);
    assert!(IDENTITY[..8].iter().all(|name| answer.header(name).is_none()), "a no says nothing of the key");
    body["reason"].as_str().unwrap().to_owned()
}

/// Status and reason of an answer; `valid` or `public` for a yes.
#[track_caller]
fn outcome(answer: &Answer) -> (u16, String) {
    if answer.code() != 204 {
        return (answer.code(), reason(answer));
    }
    assert!(answer.body.is_empty());
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    for name in IDENTITY {
        assert_eq!(answer.headers.get_all(name).iter().count(), 1, "{name} has to be there, once");
    }
    (204, answer.header("keyfold-code").unwrap().to_owned())
}

fn no(status: u16, reason: &str) -> (u16, String) {
    (status, reason.to_owned())
}

#[tokio::test]
async fn a_yes_says_who_it_is_in_headers_that_are_all_there() {
    for app in App::on_each().await {
        app.routes("epigos").await;
        let owner = Actor::KeyOwner.user(&app).await;
        let new = NewKey { owner: Some(owner), ..new_key("Zürich\u{a0}100%, \"x\"", KeyKind::Secret, &["project"]) };
        let issued = app.engine.keys.create(&operator(), &app.acme, new, None).await.unwrap();
        let answer = ask(&app, about("GET", "/projects/p7/").bearer(issued.secret.expose())).await;
        assert_eq!(outcome(&answer), (204, "valid".to_owned()));
        let seen: Vec<&str> = IDENTITY.iter().map(|name| answer.header(name).unwrap()).collect();
        let expected = [
            issued.key.id.as_str(),
            "Z%C3%BCrich%C2%A0100%25%2C%20%22x%22",
            "keyowner",
            "acme",
            "secret",
            "inference project",
            "project:p7",
            "",
            "valid",
        ];
        assert_eq!(seen, expected);
    }
}

#[tokio::test]
async fn the_resources_of_a_tied_key_are_told_so_that_the_service_behind_can_preset_them() {
    let app = App::new().await;
    app.routes("h2ogpte").await;
    let tied = app.tied_key(Actor::KeyOwner, &["chat"], &["c1"]).await;
    let told = async |target: &str| {
        let answer = ask(&app, about("GET", target).bearer(tied.secret.expose())).await;
        assert_eq!(answer.code(), 204, "{}", answer.text());
        ["keyfold-resource", "keyfold-resources"].map(|name| answer.header(name).unwrap().to_owned())
    };
    assert_eq!(told("/api/v1/collections/default").await, ["collection:c1", "collection:c1"]);
    assert_eq!(told("/api/v1/collections/c1/documents").await, ["collection:c1", "collection:c1"]);
    assert_eq!(told("/api/v1/models").await, ["", "collection:c1"]);
}

#[tokio::test]
async fn only_a_trusted_proxy_is_answered() {
    let app = App::new().await;
    app.routes("epigos").await;
    let issued = app.key(Actor::KeyOwner, KeyKind::Secret, &["inference"]).await;
    let call = about("POST", "/predict/classify/m/").bearer(issued.secret.expose());
    let answer = app.send(call.clone()).await;
    assert_eq!(outcome(&answer), no(403, "untrusted_proxy"));
    assert!(answer.text().contains("KEYFOLD_TRUSTED_PROXIES"));
    // Not even to say that the request is odd.
    let forged = call.clone().header("keyfold-owner", "root").header("x-forwarded-for", "127.0.0.1");
    assert_eq!(outcome(&app.send(forged).await), no(403, "untrusted_proxy"));
    assert_eq!(outcome(&ask(&app, call).await), (204, "valid".to_owned()));
    let seen = app.as_(Actor::Admin, Call::get(format!("/v1/workspaces/acme/keys/{}", issued.key.id))).await.expect(200).json();
    assert_eq!(seen["total_calls"], 1, "what is not answered is not counted");
}

#[tokio::test]
async fn every_proxys_way_to_say_what_was_asked_for_is_understood() {
    let app = App::new().await;
    app.routes("epigos").await;
    let issued = app.key(Actor::KeyOwner, KeyKind::Secret, &["inference"]).await;
    let secret = issued.secret.expose();
    let nginx = |call: Call| call.header("x-original-method", "POST").header("x-original-uri", "/predict/classify/m/?x=1");
    let envoy = |path: &str| Call::post(format!("{path}/predict/classify/m/?x=1"));
    for call in [about("POST", "/predict/classify/m/?x=1"), nginx(Call::get(ACME)), envoy(ACME), envoy("/v1/forward-auth")] {
        assert_eq!(outcome(&ask(&app, call.bearer(secret)).await), (204, "valid".to_owned()));
    }
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"] {
        let call = nginx(Call::new(Method::from_bytes(method.as_bytes()).unwrap(), ACME));
        assert_eq!(ask(&app, call.bearer(secret)).await.code(), 204, "{method}");
    }
    // What the client adds does not take the place of what the proxy says.
    let doubtful = [
        about("POST", "/predict/classify/m/").header("x-original-uri", "/projects/p/"),
        about("POST", "/predict/classify/m/").header("x-forwarded-uri", "/predict/classify/m/"),
        about("POST", "/predict/classify/m/").header("x-original-method", "DELETE"),
        nginx(Call::get(format!("{ACME}/projects/p/"))),
        Call::get(ACME),
        Call::get(ACME).header("x-forwarded-uri", "/predict/classify/m/"),
        Call::get(ACME).header("x-forwarded-method", "POST"),
        about("POST", "/prédict/"),
    ];
    for call in doubtful {
        assert_eq!(outcome(&ask(&app, call.clone().bearer(secret)).await), no(400, "invalid"), "{call:?}");
    }
    for near in ["/v1/forward-authx", "/v1/workspaces/acme/forward-auth-x", "/v1/forward_auth"] {
        assert_eq!(ask(&app, Call::get(near).bearer(secret)).await.header("keyfold-code"), None, "{near}");
    }
}

#[tokio::test]
async fn one_key_is_taken_from_either_header_or_the_query_and_two_are_refused() {
    let app = App::new().await;
    app.routes("epigos").await;
    let first = app.key(Actor::KeyOwner, KeyKind::Secret, &["inference"]).await;
    let second = app.key(Actor::KeyOwner, KeyKind::Secret, &["inference"]).await;
    let (first, second) = (first.secret.expose(), second.secret.expose());
    let plain = || about("POST", "/predict/classify/m/");
    let queried = |query: String| about("POST", &format!("/predict/classify/m/?{query}"));
    let yes = [
        plain().bearer(first),
        plain().header("x-api-key", first),
        queried(format!("api-key={first}")),
        queried(format!("a=b&api-key={first}&c=d")),
        queried(format!("api-key={first}")).bearer(first).header("x-api-key", first),
    ];
    for call in yes {
        assert_eq!(ask(&app, call.clone()).await.code(), 204, "{call:?}");
    }
    let twice = [
        plain().bearer(first).header("x-api-key", second),
        plain().bearer(first).bearer(second),
        plain().header("x-api-key", first).header("x-api-key", second),
        queried(format!("api-key={first}&api-key={second}")),
        queried(format!("api-key={first}")).bearer(second),
        queried(format!("api%2Dkey={first}")),
        queried(format!("Api-Key={first}")).bearer(first),
    ];
    for call in twice {
        let answer = ask(&app, call.clone()).await;
        assert_eq!(outcome(&answer), no(400, "invalid"), "{call:?}");
        assert!(!answer.text().contains("kf_sec_"), "a refusal repeats no key");
    }
    let none = [plain(), plain().header("x-api-key", ""), queried("api-key=".into()), plain().header("authorization", "Basic YTpi")];
    for call in none {
        let answer = ask(&app, call.clone()).await;
        assert_eq!(outcome(&answer), no(401, "unauthenticated"), "{call:?}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"Keyfold\""));
    }
    // The key is that of the request that is asked about, not of the address that the proxy asks at.
    let astray = Call::get(format!("{ACME}?api-key={first}")).header("x-forwarded-method", "POST");
    assert_eq!(outcome(&ask(&app, astray.header("x-forwarded-uri", "/predict/classify/m/")).await).0, 401);
}

#[tokio::test]
async fn a_request_that_pretends_to_be_somebody_is_refused_in_every_spelling() {
    let app = App::new().await;
    app.routes("epigos").await;
    let issued = app.key(Actor::KeyOwner, KeyKind::Secret, &["inference"]).await;
    for name in ["keyfold-owner", "keyfold_owner", "keyfold.owner", "keyfold-anything", "keyfold_key", "keyfold-refusal"] {
        let call = about("POST", "/predict/classify/m/").bearer(issued.secret.expose()).header(name, "");
        assert_eq!(outcome(&ask(&app, call).await), no(400, "forged_identity"), "{name}");
    }
}

#[tokio::test]
async fn the_reason_of_a_no_decides_between_401_and_403() {
    let app = App::new().await;
    app.routes("epigos").await;
    let owner = Actor::KeyOwner.user(&app).await;
    let make = async |expires_at, inactivity_days: Option<u32>| {
        let inactivity_days = inactivity_days.map_or(Inactivity::Off, Inactivity::Days);
        let new = NewKey { owner: Some(owner.clone()), expires_at, inactivity_days, ..new_key("a key", KeyKind::Secret, &["inference"]) };
        app.engine.keys.create(&operator(), &app.acme, new, None).await.unwrap()
    };
    let expiring = make(Expiry::At(app.engine.now().plus_days(1)), None).await;
    let idle = make(Expiry::Never, Some(30)).await;
    let stopped = make(Expiry::Never, None).await;
    let deleted = make(Expiry::Never, None).await;
    let live = make(Expiry::Never, None).await;
    app.engine.keys.deactivate(&operator(), &app.acme, &stopped.key.id, "").await.unwrap();
    app.engine.keys.delete(&operator(), &app.acme, &deleted.key.id).await.unwrap();
    app.clock.advance_ms(31 * DAY_MS);

    let foreign = app.foreign_key(KeyKind::Secret, &["inference", "project"]).await;
    let unknown = format!("kf_sec_{}1GU1LX", "0".repeat(43));
    for (secret, reason) in [
        ("kf_sec_x", "malformed"),
        (unknown.as_str(), "not_found"),
        (deleted.secret.expose(), "not_found"),
        (foreign.secret.expose(), "not_found"),
        (stopped.secret.expose(), "deactivated"),
        (expiring.secret.expose(), "expired"),
        (idle.secret.expose(), "dormant"),
    ] {
        // Whether there is a rule for it is nobody's business without a good key.
        for target in ["/predict/classify/m/", "/nowhere"] {
            let answer = ask(&app, about("POST", target).bearer(secret)).await;
            assert_eq!(outcome(&answer), no(401, reason));
            assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"Keyfold\", error=\"invalid_token\""));
            assert_eq!(answer.json()["code"], reason);
        }
    }
    let live = live.secret.expose();
    let answer = ask(&app, about("GET", "/projects/p/").bearer(live)).await;
    assert_eq!(outcome(&answer), no(403, "missing_scope"));
    assert_eq!(answer.header("www-authenticate"), None);
    assert_eq!(answer.json()["required_scope"], "project");
    assert_eq!(answer.json()["details"], json!([{"reason": "missing_scope", "required_scope": "project"}]));
    assert_eq!(outcome(&ask(&app, about("GET", "/nowhere").bearer(live)).await), no(403, "no_route"));
    for unsafe_target in ["/predict/../projects/p/", "/predict//m/", "/predict/%2e%2e/x/", "/predict/a%2Fb/", "/predict/m;x/", "/%zz"] {
        assert_eq!(outcome(&ask(&app, about("POST", unsafe_target).bearer(live)).await), no(400, "unsafe_path"), "{unsafe_target}");
    }
}

#[tokio::test]
async fn keys_of_other_workspaces_are_as_unknown_as_any_other() {
    for app in App::on_each().await {
        app.routes("epigos").await;
        let foreign = app.foreign_key(KeyKind::Secret, &["inference"]).await;
        let unknown = format!("kf_sec_{}1GU1LX", "0".repeat(43));
        let bytes = async |path: &str, secret: &str| {
            let call = Call::get(path).header("x-original-method", "POST").header("x-original-uri", "/predict/classify/m/");
            let answer = ask(&app, call.bearer(secret)).await;
            let id = answer.header("x-request-id").unwrap().to_owned();
            let headers: Vec<String> =
                answer.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap().replace(&id, "[id]"))).collect();
            (answer.code(), answer.text().replace(&id, "[id]"), headers)
        };
        for path in [ACME, "/v1/workspaces/nowhere/forward-auth", "/v1/workspaces/%61cme/forward-auth"] {
            let seen = bytes(path, foreign.secret.expose()).await;
            assert_eq!(seen.0, 401);
            assert_eq!(seen, bytes(path, &unknown).await);
        }
        // Where every workspace may come in, each by its own map: the other one has none, and so nothing passes.
        let anywhere = Call::post("/v1/forward-auth/predict/classify/m/");
        assert_eq!(outcome(&ask(&app, anywhere.clone().bearer(foreign.secret.expose())).await), no(403, "no_route"));
        let own = app.key(Actor::KeyOwner, KeyKind::Secret, &["inference"]).await;
        assert_eq!(outcome(&ask(&app, anywhere.bearer(own.secret.expose())).await).0, 204);
        let by_id = Call::post(format!("/v1/workspaces/{}/forward-auth/predict/classify/m/", app.acme));
        assert_eq!(outcome(&ask(&app, by_id.bearer(own.secret.expose())).await).0, 204);
    }
}

#[tokio::test]
async fn what_is_open_to_everybody_passes_without_a_look_at_the_key() {
    let app = App::new().await;
    app.rules(json!([
        {"methods": ["GET"], "path": "/health", "access": "public"},
        {"methods": ["*"], "path": "/closed/**", "access": "deny"},
        {"methods": ["*"], "path": "/any", "access": "key"},
    ]))
    .await;
    let issued = app.key(Actor::KeyOwner, KeyKind::Secret, &["chat"]).await;
    for call in
        [about("GET", "/health"), about("GET", "/health").bearer("kf_sec_x"), about("GET", "/health").bearer(issued.secret.expose())]
    {
        let answer = ask(&app, call).await;
        assert_eq!(outcome(&answer), (204, "public".to_owned()));
        assert!(IDENTITY[..8].iter().all(|name| answer.header(name) == Some("")), "nobody in particular");
    }
    let with_key = async |method: &str, target: &str| outcome(&ask(&app, about(method, target).bearer(issued.secret.expose())).await);
    assert_eq!(with_key("GET", "/any").await.0, 204);
    assert_eq!(with_key("GET", "/closed/x").await, no(403, "denied"));
    assert_eq!(with_key("POST", "/health").await, no(403, "no_route"));
    for target in ["/any", "/closed/x", "/nowhere"] {
        assert_eq!(outcome(&ask(&app, about("GET", target)).await), no(401, "unauthenticated"), "{target}");
    }
    app.rules(json!([])).await;
    assert_eq!(with_key("GET", "/any").await, no(403, "no_route"), "a map without rules lets nothing pass");
}

#[tokio::test]
async fn an_answer_is_counted_as_verify_counts_it() {
    let app = App::new().await;
    app.routes("epigos").await;
    let issued = app.key(Actor::KeyOwner, KeyKind::Secret, &["inference"]).await;
    let secret = issued.secret.expose();
    app.clock.advance_ms(1234);
    for (method, target) in [("POST", "/predict/classify/m/"), ("GET", "/projects/p/"), ("GET", "/nowhere"), ("GET", "/a/../b")] {
        ask(&app, about(method, target).bearer(secret)).await;
    }
    let path = format!("/v1/workspaces/acme/keys/{}", issued.key.id);
    let key = app.as_(Actor::Admin, Call::get(&path)).await.expect(200).json();
    assert_eq!((&key["total_calls"], &key["last_used_at"]), (&json!(1), &json!("2026-06-01T12:00:01.234Z")));
    let usage = app.as_(Actor::Admin, Call::get(format!("{path}/usage"))).await.expect(200).json();
    assert_eq!((&usage["calls"], &usage["denials"]), (&json!(1), &json!(1)), "{usage}");
}

#[tokio::test]
async fn the_body_fits_the_clients_of_the_platform() {
    let app = App::new().await;
    app.routes("h2ogpte").await;
    let tied = app.tied_key(Actor::KeyOwner, &["chat", "project"], &["c1"]).await;
    let body = async |secret: &str, target: &str| ask(&app, about("GET", target).bearer(secret)).await.json();
    // Its clients read nothing of a body whose code is no number.
    let unknown = body("kf_sec_x", "/rpc/meta").await;
    assert_eq!((&unknown["code"], &unknown["reason"]), (&json!(401), &json!("malformed")));
    assert_eq!(unknown["message"], unknown["error"]);
    let wrong = body(tied.secret.expose(), "/api/v1/collections/c2").await;
    assert_eq!((&wrong["code"], &wrong["reason"], &wrong["resource"]), (&json!(403), &json!("wrong_resource"), &json!("collection:c2")));
    // One that only global keys may do names no resource: there is none that would help.
    let global = body(tied.secret.expose(), "/api/v1/users").await;
    assert_eq!((&global["code"], &global["reason"], global.get("resource")), (&json!(403), &json!("wrong_resource"), None::<&Value>));

    app.routes("epigos").await;
    assert_eq!(body("kf_sec_x", "/projects/p/").await["code"], "malformed");
}

#[tokio::test]
async fn for_proxies_that_drop_a_body_it_is_in_a_header_too() {
    let app = App::new().await;
    app.routes("epigos").await;
    let nginx = |target: &str| Call::get(ACME).header("x-original-method", "GET").header("x-original-uri", target);
    let answer = ask(&app, nginx("/projects/p/")).await.expect(401);
    assert_eq!(answer.header("keyfold-refusal"), Some(answer.text().as_str()));
    assert_eq!(ask(&app, about("GET", "/projects/p/")).await.expect(401).header("keyfold-refusal"), None);
}

#[tokio::test]
async fn a_list_of_addresses_is_held_against_the_end_client() {
    let app = App::new().await;
    app.routes("epigos").await;
    let ip_allow = vec!["203.0.113.0/24".parse().unwrap()];
    let new = NewKey { ip_allow, owner: Some(Actor::KeyOwner.user(&app).await), ..new_key("here", KeyKind::Secret, &["inference"]) };
    let issued = app.engine.keys.create(&operator(), &app.acme, new, None).await.unwrap();
    let plain = || about("POST", "/predict/classify/m/").bearer(issued.secret.expose());
    let from = |addresses: &str| plain().header("x-forwarded-for", addresses);
    assert_eq!(outcome(&ask(&app, from("203.0.113.9")).await).0, 204);
    assert_eq!(outcome(&ask(&app, from("198.51.100.1, 203.0.113.9")).await).0, 204);
    // What stands further left was written by the client itself.
    assert_eq!(outcome(&ask(&app, from("203.0.113.9, 198.51.100.1")).await), no(403, "ip_denied"));
    assert_eq!(outcome(&ask(&app, plain()).await), no(403, "ip_denied"));
}

#[tokio::test]
async fn a_limit_is_429_and_each_request_takes_from_it_once() {
    let app = App::new().await;
    app.routes("epigos").await;
    let limits = serde_json::from_value(json!([{"name": "burst", "limit": 2, "window": 60}])).unwrap();
    let new = NewKey { limits, owner: Some(Actor::KeyOwner.user(&app).await), ..new_key("few", KeyKind::Secret, &["inference"]) };
    let issued = app.engine.keys.create(&operator(), &app.acme, new, None).await.unwrap();
    let call = |method: &str, target: &str| about(method, target).bearer(issued.secret.expose());
    // What is refused for another reason takes nothing.
    for (target, status) in [("/projects/p/", 403), ("/nowhere", 403), ("/a/../b", 400)] {
        assert_eq!(ask(&app, call("GET", target)).await.code(), status, "{target}");
    }
    for expected in [204, 204, 429] {
        assert_eq!(outcome(&ask(&app, call("POST", "/predict/classify/m/")).await).0, expected);
    }
    let answer = ask(&app, call("POST", "/predict/classify/m/")).await;
    assert_eq!(outcome(&answer), no(429, "rate_limited"));
    assert!(answer.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok_and(|seconds| (1..=60).contains(&seconds))));
    assert_eq!(answer.header("www-authenticate"), None);
}

/// The two headers that tell how limits stand.
fn told(answer: &Answer) -> (Option<&str>, Option<&str>) {
    (answer.header("ratelimit-policy"), answer.header("ratelimit"))
}

#[tokio::test]
async fn what_is_left_of_the_keys_limits_is_told_with_a_yes_and_with_a_429() {
    for app in App::on_each().await {
        app.routes("epigos").await;
        let limits = serde_json::from_value(
            json!([{"name": "burst", "limit": 2, "window": 60}, {"name": "daily", "limit": 100, "quota": "day"}, {"name": "all", "limit": 9, "quota": "month"}]),
        );
        let owner = Actor::KeyOwner.user(&app).await;
        let limits = limits.unwrap();
        let new = NewKey { limits, owner: Some(owner.clone()), ..new_key("few", KeyKind::Secret, &["inference"]) };
        let issued = app.engine.keys.create(&operator(), &app.acme, new, None).await.unwrap();
        let of_all_keys = json!([{"name": "all", "limit": 50, "window": 3600}]);
        let path = format!("/v1/workspaces/acme/members/{owner}/limits");
        app.as_(Actor::Admin, Call::new(Method::PUT, path).json(&json!({ "limits": of_all_keys }))).await.expect(200);
        let call = |target: &str| about("POST", target).bearer(issued.secret.expose());
        let policy = "\"burst\";q=2;w=60, \"daily\";q=100;w=86400, \"all\";q=9;w=2678400, \"owner:all\";q=50;w=3600";
        let left = |burst: u32, daily: u32, all: u32, owners: u32| {
            format!("\"burst\";r={burst};t=60, \"daily\";r={daily};t=43200, \"all\";r={all};t=2548800, \"owner:all\";r={owners};t=3600")
        };
        for (status, left) in [(204, left(1, 99, 8, 49)), (204, left(0, 98, 7, 48)), (429, left(0, 98, 7, 48))] {
            let answer = ask(&app, call("/predict/classify/m/")).await.expect(status);
            assert_eq!(told(&answer), (Some(policy), Some(left.as_str())));
            assert_eq!(answer.header("retry-after"), (status == 429).then_some("60"));
        }
        // What is refused for another reason says nothing of limits, and neither does a key without any.
        assert_eq!(told(&ask(&app, about("GET", "/projects/p/").bearer(issued.secret.expose())).await.expect(403)), (None, None));
        assert_eq!(told(&ask(&app, call("/nowhere")).await.expect(403)), (None, None));
        let free = app.key(Actor::Admin, KeyKind::Secret, &["inference"]).await;
        let answer = ask(&app, about("POST", "/predict/classify/m/").bearer(free.secret.expose())).await.expect(204);
        assert_eq!((told(&answer), answer.header("retry-after")), ((None, None), None));
    }
}

#[tokio::test]
async fn a_client_that_only_waits_for_a_job_is_not_counted() {
    let app = App::new().await;
    app.routes("h2ogpte").await;
    let limits = serde_json::from_value(json!([{"name": "burst", "limit": 3, "window": 60}])).unwrap();
    let new = NewKey { limits, owner: Some(Actor::KeyOwner.user(&app).await), ..new_key("jobs", KeyKind::Secret, &["project"]) };
    let issued = app.engine.keys.create(&operator(), &app.acme, new, None).await.unwrap();
    let path = format!("/v1/workspaces/acme/keys/{}", issued.key.id);
    let used = async || {
        let key = app.as_(Actor::Admin, Call::get(&path)).await.expect(200).json();
        (key["total_calls"].clone(), key["last_used_at"].clone())
    };
    let polled =
        |method: &str, target: &str| about(method, target).bearer(issued.secret.expose()).header("x-h2ogpte-internal-poll", "true");
    for _ in 0..5 {
        let answer = ask(&app, polled("GET", "/api/v1/jobs/j-1")).await;
        assert_eq!(outcome(&answer), (204, "valid".to_owned()));
        assert_eq!(answer.header("ratelimit"), Some("\"burst\";r=3;t=0"), "it takes nothing from the limits");
    }
    assert_eq!(used().await, (json!(0), json!(null)));
    // Nobody hides what else they do with a key, nor with another word in the header.
    let plain = || about("GET", "/api/v1/jobs/j-1").bearer(issued.secret.expose());
    let counted =
        [polled("DELETE", "/api/v1/jobs/j-1"), polled("GET", "/api/v1/jobs/j-1/x"), plain().header("x-h2ogpte-internal-poll", "no")];
    for (before, call) in counted.into_iter().enumerate() {
        assert_eq!(outcome(&ask(&app, call).await), (204, "valid".to_owned()));
        assert_eq!(used().await.0, json!(before + 1));
    }
    // Where a use would be too much, so is a look; and a key that is no good is refused.
    assert_eq!(outcome(&ask(&app, polled("GET", "/api/v1/jobs/j-1")).await), no(429, "rate_limited"));
    app.clock.advance_ms(60_000);
    assert_eq!(outcome(&ask(&app, polled("GET", "/api/v1/jobs/j-1?x=1")).await).0, 204);
    assert_eq!(used().await.0, json!(3));
    app.engine.keys.deactivate(&operator(), &app.acme, &issued.key.id, "").await.unwrap();
    assert_eq!(outcome(&ask(&app, polled("GET", "/api/v1/jobs/j-1")).await), no(401, "deactivated"));

    // Only h2oGPTe has such a header. Before another application it means nothing.
    app.rules(json!([{"methods": ["*"], "path": "/api/v1/jobs/*", "access": "key"}])).await;
    let other = app.key(Actor::KeyOwner, KeyKind::Secret, &["project"]).await;
    let polled = about("GET", "/api/v1/jobs/j-1").bearer(other.secret.expose()).header("x-h2ogpte-internal-poll", "true");
    assert_eq!(ask(&app, polled).await.code(), 204);
    let key = app.as_(Actor::Admin, Call::get(format!("/v1/workspaces/acme/keys/{}", other.key.id))).await.expect(200).json();
    assert_eq!(key["total_calls"], 1);
}

#[tokio::test]
async fn what_cannot_be_known_is_503_and_never_a_yes() {
    let app = App::new().await;
    app.routes("epigos").await;
    let issued = app.key(Actor::KeyOwner, KeyKind::Secret, &["inference"]).await;
    let call = about("POST", "/predict/classify/m/").bearer(issued.secret.expose());
    app.engine.join(NewNode { name: "one".to_owned(), staleness_budget: Duration::from_secs(5) }).await.unwrap();
    app.clock.pass_ms(4_999);
    assert_eq!(ask(&app, call.clone()).await.code(), 204);
    app.clock.pass_ms(1);
    for call in [call, about("GET", "/nowhere"), about("POST", "/predict/classify/m/").bearer("kf_sec_x")] {
        let answer = ask(&app, call).await;
        assert_eq!(outcome(&answer), no(503, "unavailable"));
        assert!(answer.header("retry-after").is_some());
    }
}
