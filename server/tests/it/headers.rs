//! The headers that guard every sort of answer.

use std::fmt::Write as _;

use crate::support::{Actor, Answer, App, Call};

/// All headers of an answer but those that tell of its content, with what differs from run to run replaced.
fn guards(answer: &Answer) -> String {
    let csp = answer.header("content-security-policy").unwrap_or_default();
    let nonce = csp.split("'nonce-").nth(1).and_then(|rest| rest.split('\'').next());
    if let Some(nonce) = nonce {
        assert!(nonce.len() >= 22, "a nonce of 128 bits: {nonce}");
    }
    let mut lines: Vec<String> = answer
        .headers
        .iter()
        .filter(|(name, _)| !["content-length", "etag", "last-modified"].contains(&name.as_str()))
        .map(|(name, value)| {
            let value = value.to_str().unwrap();
            let value = nonce.map_or_else(|| value.to_owned(), |nonce| value.replace(nonce, "[nonce]"));
            let value = if name == "x-request-id" { "[request id]".to_owned() } else { value };
            format!("  {name}: {value}")
        })
        .collect();
    lines.sort();
    lines.join("\n")
}

#[tokio::test]
async fn every_sort_of_answer_is_guarded() {
    let app = App::new().await;
    let page = |path: &str| Call::get(path).header("accept", "text/html");
    let large = "x".repeat(64 * 1024 + 1);
    let sorts = [
        ("a page for strangers", Actor::Anonymous, page("/sign-in")),
        ("a page", Actor::Admin, page("/w/acme/keys")),
        ("a redirect", Actor::Anonymous, page("/")),
        ("the reference of the API", Actor::Anonymous, page("/docs/api")),
        ("a page that is not there", Actor::Admin, page("/nowhere")),
        ("a file", Actor::Anonymous, Call::get("/favicon.svg")),
        ("a file that is not there", Actor::Anonymous, Call::get("/pkg/nothing.js")),
        ("an answer of the API", Actor::Admin, Call::get("/v1/workspaces")),
        ("an answer of the data plane", Actor::DataKey, Call::get("/v1/whoami")),
        ("a refusal of the data plane", Actor::Anonymous, Call::get("/v1/whoami")),
        ("a method the data plane does not know", Actor::Anonymous, Call::delete("/v1/whoami")),
        ("a refusal of the API", Actor::Anonymous, Call::get("/v1/workspaces")),
        ("nothing in the API", Actor::Admin, Call::get("/v1/nothing")),
        ("a method the API does not know", Actor::Admin, Call::delete("/v1/workspaces")),
        ("a body that is too large", Actor::Admin, Call::post("/v1/workspaces/acme/keys").body("application/json", large)),
        ("a server function", Actor::Admin, Call::post("/_app/get_viewer").body("application/json", "{}")),
        ("a refused server function", Actor::Anonymous, Call::post("/_app/list_workspaces").body("application/json", "{}")),
        ("a forged request", Actor::Anonymous, Call::post("/_app/sign_out").header("sec-fetch-site", "cross-site")),
        ("the process is alive", Actor::Anonymous, Call::get("/healthz")),
        ("the server is ready", Actor::Anonymous, Call::get("/readyz")),
    ];
    let mut seen = String::new();
    for (name, actor, call) in sorts {
        let answer = app.as_(actor, call).await;
        writeln!(seen, "{name}: {}\n{}\n", answer.code(), guards(&answer)).unwrap();
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{name}");
        if name.contains("data plane") {
            // JSON for programs; no browser renders it.
            continue;
        }
        let policy = answer.header("content-security-policy").unwrap_or_else(|| panic!("{name} has no policy"));
        assert!(!policy.contains("unsafe-inline") && !policy.contains("unsafe-eval") || policy.contains("'wasm-unsafe-eval'"), "{name}");
    }
    insta::assert_snapshot!("headers", seen);
}

#[tokio::test]
async fn a_nonce_is_used_once() {
    let app = App::new().await;
    let first = app.send(Call::get("/sign-in")).await.expect(200);
    let second = app.send(Call::get("/sign-in")).await.expect(200);
    assert_ne!(first.header("content-security-policy"), second.header("content-security-policy"));
}
