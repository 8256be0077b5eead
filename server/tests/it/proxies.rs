//! Real proxies with the configurations that `keyfold proxy-config` prints, in front of an application: what passes, as whom,
//! and what never does. Each test runs with every proxy that Debian ships.

use keyfold_domain::key::NewKey;
use keyfold_domain::limits::Limit;
use keyfold_domain::scope::KeyKind;
use serde_json::json;

use crate::support::{Actor, App, Cli, Guard, Proxy, new_key, operator};

const PREDICT: &str = "POST /predict/classify/m/";
const PROJECT: &str = "GET /projects/p/";

/// Every proxy in front of acme with the route map of that preset.
async fn guards(app: &App, preset: &str) -> Vec<Guard> {
    app.routes(preset).await;
    let mut guards = Vec::new();
    for proxy in Proxy::all() {
        guards.push(proxy.start(app).await);
    }
    guards
}

fn with(request: &str, secret: &str) -> String {
    format!("{request}\nAuthorization: Bearer {secret}")
}

#[test]
fn a_configuration_is_printed_for_keys_of_one_workspace_or_by_request_for_all() {
    let folder = tempfile::tempdir().unwrap();
    let cli = Cli::on(folder.path());
    let print = |more: &[&str]| cli.run(&[&["proxy-config", "--upstream", "http://127.0.0.1:9000"][..], more].concat());
    for (proxy, file) in [("nginx", "auth_request"), ("caddy", "forward_auth"), ("traefik", "forwardAuth"), ("envoy", "ext_authz")] {
        let printed = print(&["--proxy", proxy, "--workspace", "acme"]);
        let text = String::from_utf8(printed.stdout).unwrap();
        assert_eq!(printed.status.code(), Some(0));
        assert!(
            text.contains(file) && text.contains("/v1/workspaces/acme/forward-auth") && text.contains("127.0.0.1:3000"),
            "{proxy}: {text}"
        );
        // Nobody is trusted yet, and that would stop everything.
        assert!(String::from_utf8(printed.stderr).unwrap().contains("KEYFOLD_TRUSTED_PROXIES"), "{proxy}");
    }
    // Over gRPC it is asked elsewhere, and the workspace is said beside the question.
    let grpc = |more: &[&str]| print(&[&["--proxy", "envoy-grpc"][..], more].concat());
    let text = String::from_utf8(grpc(&["--workspace", "acme", "--keyfold", "http://keys:3001"]).stdout).unwrap();
    assert!(text.contains("workspace: \"acme\"") && text.contains("address: keys, port_value: 3001"), "{text}");
    let listening = grpc(&["--any-workspace", "--ext-authz-addr", "127.0.0.1:3007"]);
    let text = String::from_utf8(listening.stdout).unwrap();
    assert!(text.contains("workspace: \"*\"") && text.contains("port_value: 3007"), "{text}");
    assert_eq!(grpc(&["--workspace", "acme"]).status.code(), Some(2));
    let haproxy = cli.json(&["proxy-config", "--proxy", "haproxy", "--any-workspace", "--upstream", "http://app:9000"]);
    let names: Vec<&str> = haproxy.as_array().unwrap().iter().map(|file| file["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["haproxy.cfg", "keyfold.lua"]);
    assert!(haproxy[1]["content"].as_str().unwrap().contains("\"http://127.0.0.1:3000/v1/forward-auth\""));

    for wrong in [
        &["--proxy", "nginx"][..],
        &["--proxy", "nginx", "--workspace", "acme", "--any-workspace"],
        &["--proxy", "apache", "--workspace", "acme"],
        &["--proxy", "nginx", "--workspace", "acme; include /etc/passwd"],
        &["--proxy", "nginx", "--workspace", "acme", "--keyfold", "https://keys.example.com"],
        &["--proxy", "nginx", "--workspace", "acme", "--keyfold", "http://a;b"],
        &["--proxy", "nginx", "--workspace", "acme", "--listen", "8080"],
        &["--proxy", "nginx", "--workspace", "acme", "--file", "keyfold.lua"],
    ] {
        assert_eq!(print(wrong).status.code(), Some(2), "{wrong:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inference_key_may_predict_and_nothing_else_and_a_project_key_may_do_both() {
    let app = App::new().await;
    let inference = app.key(Actor::KeyOwner, KeyKind::Secret, &["inference"]).await;
    let public = app.key(Actor::KeyOwner, KeyKind::Publishable, &["inference"]).await;
    let project = app.key(Actor::KeyOwner, KeyKind::Secret, &["project"]).await;
    for guard in guards(&app, "epigos").await {
        for narrow in [inference.secret.expose(), public.secret.expose()] {
            assert_eq!(guard.passes(&with(PREDICT, narrow)).line(), PREDICT);
            guard.passes(&with("POST /predict/detect/m/", narrow));
            for refused in [PROJECT, "POST /projects/p/batches/", "POST /projects/p/upload/", "DELETE /projects/p/", "GET /projects/"] {
                let body = guard.refuses_as(&with(refused, narrow), 403, "missing_scope").json();
                assert_eq!((&body["code"], &body["required_scope"]), (&json!("missing_scope"), &json!("project")));
            }
            for refused in ["GET /predict/classify/m/", "GET /", "POST /admin", "DELETE /predict/classify/m/"] {
                guard.refuses_as(&with(refused, narrow), 403, "no_route");
            }
        }
        let project = project.secret.expose();
        for allowed in [PREDICT, PROJECT, "POST /projects/p/batches/", "POST /projects/p/annotations/labels/", "DELETE /projects/p/"] {
            assert_eq!(guard.passes(&with(allowed, project)).line(), allowed);
        }
        guard.refuses_as(&with("GET /elsewhere", project), 403, "no_route");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_specific_key_may_chat_with_its_collection_and_a_global_key_may_do_all() {
    let app = App::new().await;
    let tied = app.tied_key(Actor::KeyOwner, &["chat", "project"], &["c1"]).await;
    app.resource(Actor::KeyOwner, "c2").await;
    let global = app.key(Actor::KeyOwner, KeyKind::Secret, &["chat", "project"]).await;
    let (tied, global) = (tied.secret.expose(), global.secret.expose());
    for guard in guards(&app, "h2ogpte").await {
        for own in [
            "POST /api/v1/chats?collection_id=default",
            "POST /api/v1/chats?collection_id=c1",
            "GET /api/v1/collections/default",
            "GET /api/v1/collections/c1/documents?offset=0&limit=10",
            "GET /rpc/meta",
        ] {
            let seen = guard.passes(&with(own, tied));
            assert_eq!(seen.line(), own);
            assert_eq!(seen.header("keyfold-resources"), ["collection:c1"]);
            let on_collection = !own.ends_with("/rpc/meta");
            assert_eq!(seen.header("keyfold-resource").concat(), if on_collection { "collection:c1" } else { "" });
            guard.passes(&with(own, global));
        }
        for refused in [
            "POST /api/v1/chats?collection_id=c2",
            "POST /api/v1/chats",
            "GET /api/v1/collections/c2",
            "POST /api/v1/collections",
            "PATCH /api/v1/collections/c1",
            "DELETE /api/v1/collections/c1",
            "PUT /rpc/fs",
            "POST /api/v1/uploads/u1/ingest?collection_id=c1",
            "GET /api/v1/admin/api_keys",
            "POST /rpc/db",
        ] {
            let body = guard.refuses_as(&with(refused, tied), 403, "wrong_resource").json();
            assert_eq!((&body["code"], &body["message"]), (&json!(403), &body["error"]), "as its clients read it");
            assert_eq!(guard.passes(&with(refused, global)).line(), refused);
        }
        guard.refuses_as(&with("POST /api/v1/chats?collection_id=default&collection_id=c2", tied), 400, "unsafe_path");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_identity_never_reaches_the_application() {
    let app = App::new().await;
    let issued = app.key(Actor::KeyOwner, KeyKind::Secret, &["inference"]).await;
    let forged = [
        "Keyfold-Owner: root",
        "KEYFOLD-OWNER: root",
        "keyfold-owner: root",
        "Keyfold_Owner: root",
        "keyfold_owner: root",
        "Keyfold-Owner: root\nKeyfold-Owner: root",
        "Keyfold-Owner: root\nKeyfold_Owner: root",
        "Keyfold-Name: root",
        "Keyfold-Resource: root",
        "Keyfold-Resources: root",
        "Keyfold-Other: root",
        "Connection: Keyfold-Owner\nKeyfold-Owner: root",
        // What is named here, servers between may take out after Keyfold has answered.
        "Connection: Keyfold-Owner, keyfold-key, Keyfold-Scopes",
        "Connection: upgrade, Keyfold-Owner, keyfold-key, Keyfold-Scopes",
        "X-Original-URI: /projects/of-root/\nX-Original-Method: GET",
        "X-Forwarded-Uri: /projects/of-root/\nX-Forwarded-Method: GET",
    ];
    for guard in guards(&app, "epigos").await {
        for lines in forged {
            let request = format!("{}\n{lines}", with(PREDICT, issued.secret.expose()));
            let answer = guard.ask(&request);
            let text = answer.text();
            assert!(!text.contains("root"), "{}: {lines}: {text}", guard.name);
            if answer.code() == 400 {
                guard.refuses_as(&request, 400, "forged_identity");
                continue;
            }
            let seen = guard.passes(&request);
            assert_eq!(seen.header("keyfold-owner"), ["keyowner"], "{}: {lines}", guard.name);
            assert_eq!(seen.header("keyfold-key"), [issued.key.id.as_str()]);
            assert_eq!(seen.header("keyfold-scopes"), ["inference"]);
            assert!(!seen.header("connection").concat().to_lowercase().contains("keyfold"), "{}", guard.name);
            assert!(seen.header("keyfold_owner").is_empty());
        }
        // Nor without a key.
        // nginx cannot remove headers by their beginning, so there Keyfold refuses them.
        let (status, reason) = if guard.name == "nginx" { (400, "forged_identity") } else { (401, "unauthenticated") };
        guard.refuses_as(&format!("{PREDICT}\nKeyfold-Code: valid\nX-Forwarded-For: 127.0.0.1"), status, reason);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_application_never_sees_the_key() {
    let app = App::new().await;
    let issued = app.key(Actor::KeyOwner, KeyKind::Secret, &["inference"]).await;
    let secret = issued.secret.expose();
    for guard in guards(&app, "epigos").await {
        for (request, left) in [
            (with(PREDICT, secret), "/predict/classify/m/"),
            (format!("{PREDICT}\nX-Api-Key: {secret}"), "/predict/classify/m/"),
            (format!("{PREDICT}\nx-api-key: {secret}\nAuthorization: bearer {secret}"), "/predict/classify/m/"),
            (format!("{PREDICT}?api-key={secret}"), "/predict/classify/m/"),
            (format!("{PREDICT}?api-key={secret}&x=1"), "/predict/classify/m/?x=1"),
            (format!("{PREDICT}?x=%2F&api-key={secret}&y=2"), "/predict/classify/m/?x=%2F&y=2"),
            (format!("{PREDICT}?x=1&api-key={secret}"), "/predict/classify/m/?x=1"),
            (format!("{PREDICT}?my-api-key=1&api-key={secret}"), "/predict/classify/m/?my-api-key=1"),
            (format!("{}\nX_Api_Key: {secret}", with(PREDICT, secret)), "/predict/classify/m/"),
        ] {
            let seen = guard.passes(&request);
            let text = seen.text();
            assert!(!text.contains("kf_sec_") && !text.contains(&secret[10..30]), "{}: {text}", guard.name);
            // An & that the key left behind is no matter.
            let target = seen.line().trim_start_matches("POST ").replace("?&", "?").replace("&&", "&");
            assert_eq!(target.trim_end_matches(['?', '&']), left, "{}", guard.name);
        }
        for twice in [format!("{PREDICT}?api-key={secret}&api-key={secret}"), format!("{PREDICT}?api%2dkey={secret}")] {
            guard.refuses_as(&twice, 400, "invalid");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_reaches_the_client_with_its_reason() {
    let app = App::new().await;
    let stopped = app.key(Actor::KeyOwner, KeyKind::Secret, &["inference"]).await;
    let foreign = app.foreign_key(KeyKind::Secret, &["inference"]).await;
    let live = app.key(Actor::KeyOwner, KeyKind::Secret, &["inference"]).await;
    app.engine.keys.deactivate(&operator(), &app.acme, &stopped.key.id, "").await.unwrap();
    let limits: Vec<Limit> = serde_json::from_value(json!([{"name": "burst", "limit": 1, "window": 3600}])).unwrap();
    for guard in guards(&app, "epigos").await {
        let none = guard.refuses_as(PREDICT, 401, "unauthenticated");
        assert_eq!(none.header("www-authenticate"), Some("Bearer realm=\"Keyfold\""), "{}", guard.name);
        assert_eq!(none.headers.get_all("www-authenticate").iter().count(), 1, "{}", guard.name);
        for (secret, reason) in
            [("kf_sec_x", "malformed"), (foreign.secret.expose(), "not_found"), (stopped.secret.expose(), "deactivated")]
        {
            let answer = guard.refuses_as(&with(PREDICT, secret), 401, reason);
            assert_eq!(answer.json()["code"], reason);
            assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"Keyfold\", error=\"invalid_token\""));
            assert_eq!(answer.header("x-request-id"), answer.json()["request_id"].as_str(), "{}", guard.name);
        }
        let live = live.secret.expose();
        guard.refuses_as(&with(PROJECT, live), 403, "missing_scope");
        for doubtful in ["POST /predict/../projects/", "POST /predict/%2e%2e/projects/", "POST /predict//m/", "POST /predict/a%2Fb/"] {
            guard.refuses_as(&with(doubtful, live), 400, "unsafe_path");
        }
        let owner = Some(Actor::KeyOwner.user(&app).await);
        let new = NewKey { owner, limits: limits.clone(), ..new_key("once", KeyKind::Secret, &["inference"]) };
        let once = app.engine.keys.create(&operator(), &app.acme, new, None).await.unwrap();
        guard.passes(&with(PREDICT, once.secret.expose()));
        let limited = guard.refuses_as(&with(PREDICT, once.secret.expose()), 429, "rate_limited");
        assert!(limited.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok()), "{}", guard.name);
        assert_eq!(limited.header("ratelimit-policy"), Some("\"burst\";q=1;w=3600"), "{}", guard.name);
        // A body goes along with a yes, and does no harm with a no.
        let answer = guard.ask_with(&with(PREDICT, live), r#"{"image": "x"}"#);
        assert_eq!((answer.code(), &answer.json()["body"]), (200, &json!(r#"{"image": "x"}"#)));
        assert_eq!(guard.ask_with(&with("POST /projects/p/batches/", live), r#"{"name": "x"}"#).code(), 403);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_of_the_keys_limits_reaches_the_client() {
    let app = App::new().await;
    let limits: Vec<Limit> = serde_json::from_value(json!([{"name": "burst", "limit": 5, "window": 3600}])).unwrap();
    let free = app.key(Actor::KeyOwner, KeyKind::Secret, &["inference"]).await;
    for guard in guards(&app, "epigos").await {
        let owner = Some(Actor::KeyOwner.user(&app).await);
        let new = NewKey { owner, limits: limits.clone(), ..new_key("five", KeyKind::Secret, &["inference"]) };
        let five = app.engine.keys.create(&operator(), &app.acme, new, None).await.unwrap();
        for left in [4, 3] {
            let answer = guard.ask(&with(PREDICT, five.secret.expose()));
            assert_eq!(answer.code(), 200, "{}", guard.name);
            let told = (answer.header("ratelimit-policy"), answer.header("ratelimit"));
            let expected = format!("\"burst\";r={left};t=3600");
            assert_eq!(told, (Some("\"burst\";q=5;w=3600"), Some(expected.as_str())), "{}", guard.name);
        }
        let answer = guard.ask(&with(PREDICT, free.secret.expose()));
        assert_eq!((answer.code(), answer.header("ratelimit"), answer.header("ratelimit-policy")), (200, None, None), "{}", guard.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_waits_for_a_job_is_not_counted_whatever_proxy_asks() {
    let app = App::new().await;
    let waiting = app.key(Actor::KeyOwner, KeyKind::Secret, &["project"]).await;
    let calls = async || app.engine.keys.get(&operator(), &app.acme, &waiting.key.id).await.unwrap().total_calls;
    let request = with("GET /api/v1/jobs/j-1", waiting.secret.expose());
    for (before, guard) in guards(&app, "h2ogpte").await.into_iter().enumerate() {
        let before = i64::try_from(before).unwrap();
        guard.passes(&format!("{request}\nX-H2OGPTE-Internal-Poll: true"));
        assert_eq!(calls().await, before, "{}", guard.name);
        guard.passes(&request);
        assert_eq!(calls().await, before + 1, "{}", guard.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_server_cannot_be_reached_nothing_passes() {
    for proxy in Proxy::all() {
        let guard = proxy.start_alone().await;
        for request in [PREDICT.to_owned(), with(PREDICT, "kf_sec_x")] {
            let answer = guard.refuses(&request, 503);
            assert_eq!(answer.json()["code"], "unavailable", "{}", guard.name);
            assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        }
    }
}
