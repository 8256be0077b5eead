//! The figures for whoever watches: what they say, and to whom.

use keyfold_domain::scope::KeyKind;
use serde_json::json;

use crate::support::{Actor, App, Call, Cli, Server};

/// The value of the line that begins like this.
fn value<'t>(text: &'t str, line: &str) -> &'t str {
    let found = text.lines().find_map(|candidate| candidate.strip_prefix(line)?.strip_prefix(' '));
    found.unwrap_or_else(|| panic!("{line} is not in\n{text}"))
}

fn whole(text: &str, line: &str) -> u64 {
    value(text, line).parse().unwrap()
}

fn seconds(text: &str, line: &str) -> f64 {
    value(text, line).parse().unwrap()
}

#[tokio::test]
async fn without_the_setting_the_console_tells_no_figures() {
    let app = App::new().await;
    app.send(Call::get("/metrics")).await.expect(404);
    let answer = app.send_with(("public_metrics", "true"), Call::get("/metrics")).await.expect(200);
    assert_eq!(answer.header("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    app.send_with(("public_metrics", "true"), Call::post("/metrics")).await.expect(405);
}

#[tokio::test]
async fn figures_follow_what_happens_and_name_nobody() {
    let (_folder, cli) = Cli::founded();
    let key = cli.key(&["--scope", "chat"]);
    let mut server = Server::start(&cli, &["--public-metrics"]).await;
    let look = |server: &Server| server.send(&Call::get("/metrics")).expect(200).text();
    let before = look(&server);
    assert_eq!(whole(&before, "keyfold_verdicts_total{code=\"valid\"}"), 0);
    for _ in 0..3 {
        server.send(&Call::get("/v1/whoami").bearer(&key)).expect(200);
    }
    server.send(&Call::get("/v1/whoami").bearer("junk")).expect(401);
    server.send(&Call::get("/v1/whoami")).expect(401);
    server.send(&Call::post("/v1/verify:batch").bearer(&key).json(&json!({"checks": [{"key": key}]}))).expect(403);
    server.send(&Call::get("/v1/forward-auth")).expect(403);
    server.send(&Call::get("/healthz")).expect(200);
    let after = look(&server);
    for (line, expected) in [
        ("keyfold_verdicts_total{code=\"valid\"}", 3),
        ("keyfold_verdicts_total{code=\"malformed\"}", 1),
        ("keyfold_verdicts_total{code=\"expired\"}", 0),
        ("keyfold_requests_total{endpoint=\"whoami\",status=\"2xx\"}", 3),
        ("keyfold_requests_total{endpoint=\"whoami\",status=\"4xx\"}", 2),
        ("keyfold_requests_total{endpoint=\"verify_batch\",status=\"4xx\"}", 1),
        ("keyfold_requests_total{endpoint=\"forward_auth\",status=\"4xx\"}", 1),
        ("keyfold_request_duration_seconds_count{endpoint=\"whoami\"}", 5),
        ("keyfold_request_duration_seconds_bucket{le=\"+Inf\",endpoint=\"whoami\"}", 5),
        ("keyfold_keys", 1),
        ("keyfold_secrets", 1),
        ("keyfold_exact", 1),
        ("keyfold_usage_flush_failures_total", 0),
        ("keyfold_usage_dropped_total", 0),
    ] {
        assert_eq!(whole(&after, line), expected, "{line}");
    }
    let other = "keyfold_requests_total{endpoint=\"other\",status=\"2xx\"}";
    assert_eq!(whole(&after, other) - whole(&before, other), 2, "the look itself is counted when it is answered");
    assert!(seconds(&after, "keyfold_request_duration_seconds_sum{endpoint=\"whoami\"}") > 0.0);
    assert!(whole(&after, "keyfold_revision") >= 1);
    assert!(seconds(&after, "keyfold_change_log_age_seconds") < 5.0 && seconds(&after, "keyfold_usage_flush_age_seconds") < 15.0);
    assert!(after.contains(&format!("keyfold_build_info{{version=\"{}\"}} 1\n", env!("CARGO_PKG_VERSION"))));
    assert!(after.ends_with("# EOF\n"));
    assert!(!after.contains(&key[7..30]) && !after.contains("acme"), "{after}");
    assert_eq!(server.terminate().await, Some(0));
}

#[tokio::test]
async fn questions_for_people_are_no_verdicts() {
    let app = App::new().await;
    let key = app.key(Actor::KeyOwner, KeyKind::Secret, &["chat"]).await;
    let question = json!({"key": key.secret.expose(), "explain": true});
    app.as_(Actor::ManagementKey, Call::post("/v1/verify").json(&question)).await.expect(200);
    let answer = app.send_with(("public_metrics", "true"), Call::get("/metrics")).await.expect(200).text();
    // A server of its own, on the same engine: what it did not answer it did not count.
    assert_eq!(whole(&answer, "keyfold_verdicts_total{code=\"valid\"}"), 0);
    assert!(whole(&answer, "keyfold_keys") >= 2);
}
