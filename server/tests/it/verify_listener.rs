//! The data plane's own listener: the same verdicts, and nothing else.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use crate::support::{Call, Cli, Server, eventually, send};

struct Beside {
    _folder: tempfile::TempDir,
    server: Server,
    key: String,
    caller: String,
}

async fn beside(extra: &[&str]) -> Beside {
    let (folder, cli) = Cli::founded();
    let (key, caller) = (cli.key(&["--scope", "chat"]), cli.key(&["--kind", "management", "--scope", "verify"]));
    let server = Server::start(&cli, extra).await;
    Beside { _folder: folder, server, key, caller }
}

/// The port that the system chose for the second listener, which the server names before it is ready.
fn port(server: &Server) -> u16 {
    let said = server.heard();
    let line = said.lines().find(|line| line.contains("listener of its own")).unwrap_or_else(|| panic!("{said}"));
    let digits: String = line.split("127.0.0.1:").nth(1).unwrap().chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

#[tokio::test]
async fn it_answers_the_data_plane_and_nothing_else() {
    let mut beside = beside(&["--verify-addr", "127.0.0.1:0", "--trusted-proxies", "127.0.0.1"]).await;
    let port = port(&beside.server);
    let ask = |call: &Call| send(port, call).unwrap();
    assert_ne!(port, beside.server.port());
    ask(&Call::get("/v1/whoami").bearer(&beside.key)).expect(200);
    let question = json!({"key": beside.key, "scope": "chat"});
    let verdict = ask(&Call::post("/v1/verify").bearer(&beside.caller).json(&question)).expect(200);
    assert_eq!(verdict.json()["code"], "valid");
    let batch = ask(&Call::post("/v1/verify:batch").bearer(&beside.caller).json(&json!({ "checks": [question] }))).expect(200);
    assert_eq!(batch.json()["data"][0]["code"], "valid");
    let held_back = ask(&Call::get("/v1/forward-auth").header("x-forwarded-method", "GET").header("x-forwarded-uri", "/a"));
    assert_eq!(held_back.expect(401).header("keyfold-code"), Some("unauthenticated"));
    ask(&Call::get("/healthz")).expect(200);
    ask(&Call::get("/readyz")).expect(200);
    let figures = ask(&Call::get("/metrics")).expect(200).text();
    assert!(figures.contains("keyfold_requests_total{endpoint=\"verify\",status=\"2xx\"} 1\n"), "{figures}");

    for path in
        ["/", "/sign-in", "/v1/workspaces", "/v1/openapi.json", "/docs/api", "/api/v1/user", "/_app/sign_in", "/healthz/", "/v1/verify/"]
    {
        for call in [Call::get(path).bearer(&beside.caller), Call::post(path).bearer(&beside.caller).json(&json!({}))] {
            let answer = ask(&call).expect(404);
            assert_eq!(
                (answer.problem().as_str(), answer.header("content-type")),
                ("not_found", Some("application/problem+json")),
                "{path}"
            );
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        }
    }
    assert_eq!(ask(&Call::post("/metrics")).expect(405).problem(), "method_not_allowed");
    // The console goes on where it was, without figures.
    beside.server.send(&Call::get("/v1/workspaces").bearer(&beside.caller)).expect(403);
    beside.server.send(&Call::get("/metrics")).expect(404);
    assert_eq!(beside.server.terminate().await, Some(0));
    assert!(send(port, &Call::get("/healthz")).is_none(), "nobody listens any more");
}

fn through(path: &Path, request: &str) -> String {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[tokio::test]
async fn a_file_does_as_well_as_an_address_and_is_gone_afterwards() {
    let sockets = tempfile::tempdir().unwrap();
    let path = sockets.path().join("verify.sock");
    let setting = format!("unix:{}", path.display());
    // Left behind by a server that was killed.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let mut beside = beside(&["--verify-addr", &setting]).await;
    assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o660);
    let whoami = format!("GET /v1/whoami HTTP/1.0\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n", beside.key);
    assert!(through(&path, &whoami).contains(" 200 OK\r\n"));
    assert!(through(&path, "GET /v1/workspaces HTTP/1.0\r\nhost: x\r\n\r\n").contains(" 404 "));

    // A second server does not take the file away from the first.
    let folder = tempfile::tempdir().unwrap();
    let other = Cli::on(folder.path());
    other.found();
    let refused = other.run(&["serve", "--addr", "127.0.0.1:0", "--verify-addr", &setting]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("Another program listens there"));
    assert!(through(&path, &whoami).contains("200 OK"));

    assert_eq!(beside.server.terminate().await, Some(0));
    assert_eq!(std::fs::read_dir(sockets.path()).unwrap().count(), 0, "nothing is left");
}

#[tokio::test]
async fn it_drains_like_the_first_listener() {
    let sockets = tempfile::tempdir().unwrap();
    let path = sockets.path().join("verify.sock");
    let setting = format!("unix:{}", path.display());
    let mut beside = beside(&["--verify-addr", &setting, "--shutdown-delay-seconds", "2"]).await;
    // A request that has begun when the server is asked to stop.
    let mut begun = UnixStream::connect(&path).unwrap();
    begun.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let body = json!({"key": beside.key}).to_string();
    let head = format!(
        "POST /v1/verify HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        beside.caller,
        body.len()
    );
    begun.write_all(head.as_bytes()).unwrap();
    beside.server.ask_to_stop();
    let ready = "GET /readyz HTTP/1.0\r\nhost: x\r\n\r\n";
    eventually(Duration::from_secs(10), || {
        let answer = through(&path, ready);
        if answer.contains(" 503 ") { Ok(()) } else { Err(answer) }
    })
    .await;
    let whoami = format!("GET /v1/whoami HTTP/1.0\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n", beside.key);
    assert!(through(&path, &whoami).contains("200 OK"), "it goes on while load balancers are told");
    eventually(Duration::from_secs(10), || if path.exists() { Err("still there".to_owned()) } else { Ok(()) }).await;
    begun.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    begun.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("\"valid\":true"), "{answer}");
    assert_eq!(beside.server.exit_code().await, Some(0));
}
