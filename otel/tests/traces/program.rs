//! The server itself, built with its feature `otel`: what it hands over, and that it needs no collector to do its work.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::collector::{Collector, attribute, hex};

/// No test may wait longer for anything.
const PATIENCE: Duration = Duration::from_secs(30);
const PASSWORD: &str = "canary-lantern-fjord-17";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: (&str, &str) = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");

/// The program, as scripts/otel.sh has built it.
#[expect(clippy::disallowed_methods, reason = "tests are told of their programs by the environment")]
fn program() -> Command {
    let mut command = Command::new(std::env::var("KEYFOLD_WITH_OTEL").expect("scripts/otel.sh names the program"));
    // Nothing of the machine gets in.
    command.env_clear();
    command
}

/// What a command that succeeds prints.
fn run(folder: &Path, arguments: &[&str], input: &str) -> String {
    let mut command = program();
    command.current_dir(folder).args(arguments).args(["--data-dir", "data"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{arguments:?}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// A workspace `acme` of ada's, and the secret of a key that may do everything in it.
fn founded() -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let user = ["user", "create", "--email", "canary@example.com", "--username", "ada", "--password-stdin"];
    run(folder.path(), &user, &format!("{PASSWORD}\n"));
    run(folder.path(), &["workspace", "create", "--slug", "acme", "--name", "Acme", "--owner", "ada"], "");
    let create = ["key", "create", "--workspace", "acme", "--owner", "ada", "--name", "canary-name", "--full-access"];
    let secret = run(folder.path(), &create, "");
    (folder, secret)
}

/// A server, killed when it goes out of scope.
struct Server {
    child: Child,
    port: u16,
    said: Arc<Mutex<String>>,
}

impl Server {
    async fn start(folder: &Path, collector: SocketAddr) -> Self {
        let mut command = program();
        command.current_dir(folder).args(["serve", "--addr", "127.0.0.1:0", "--data-dir", "data", "--shutdown-delay-seconds", "0"]);
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{collector}")).env("OTEL_BSP_SCHEDULE_DELAY", "20");
        command.env("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20collectors-own");
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let (lines, heard) = (BufReader::new(child.stderr.take().unwrap()).lines(), Arc::clone(&said));
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| *heard.lock().unwrap() += &(line + "\n")));
        let mut server = Self { child, port: 0, said };
        let port = |said: &str| said.split_once("address=http://127.0.0.1:")?.1.split_whitespace().next()?.parse().ok();
        let begun = Instant::now();
        server.port = loop {
            if let Some(port) = port(&server.said()) {
                break port;
            }
            assert!(begun.elapsed() < PATIENCE, "not ready: {}", server.said());
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        server
    }

    fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &'static str) -> Response<Bytes> {
        let client = Client::builder(TokioExecutor::new()).build_http();
        let mut request = Request::builder().method(method).uri(format!("http://127.0.0.1:{}{path}", self.port));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, body) = client.request(request.body(Body::from(body)).unwrap()).await.unwrap().into_parts();
        Response::from_parts(parts, to_bytes(Body::new(body), usize::MAX).await.unwrap())
    }

    /// Asks it to stop, waits until it has, and returns how long that took.
    async fn stop(&mut self) -> Duration {
        let begun = Instant::now();
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        while self.child.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < PATIENCE, "it does not stop: {}", self.said());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        begun.elapsed()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended cannot be killed, and nothing is wrong with that.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[tokio::test]
#[ignore = "scripts/otel.sh builds the server for it"]
async fn requests_behind_the_router_are_spans_and_those_of_the_fast_lane_and_of_probes_are_not() {
    let (folder, secret) = founded();
    let collector = Collector::start().await;
    let mut server = Server::start(folder.path(), collector.addr).await;
    let bearer = format!("Bearer {secret}");
    let caller = [("authorization", bearer.as_str()), CALLER, ("content-type", "application/json")];
    let listed = server.send("GET", "/v1/workspaces/acme/keys?search=canary-search", &caller, "").await;
    let made =
        server.send("POST", "/v1/workspaces/acme/keys", &caller, r#"{"name":"canary-made","kind":"secret","scopes":["chat"]}"#).await;
    let pasted = server.send("GET", &format!("/v1/workspaces/{secret}/keys"), &caller, "").await;
    let form = [("content-type", "application/x-www-form-urlencoded"), ("sec-fetch-site", "same-origin"), ("user-agent", "canary-agent")];
    let signed_in = server.send("POST", "/_app/sign_in", &form, "login=ada&password=canary-lantern-fjord-17").await;
    let cookie = signed_in.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let page = server.send("GET", "/w/acme/keys", &[("cookie", &cookie)], "").await;
    let statuses = [&listed, &made, &pasted, &signed_in, &page].map(|answer| answer.status().as_u16());
    assert_eq!(statuses, [200, 201, 404, 200, 200]);
    // None of these is a span.
    assert_eq!(server.send("GET", "/v1/whoami", &caller, "").await.status(), 200);
    assert_eq!(server.send("POST", "/v1/verify", &caller, r#"{"key":"kf_sec_x"}"#).await.status(), 200);
    for probe in ["/healthz", "/readyz", "/favicon.svg"] {
        assert_eq!(server.send("GET", probe, &[], "").await.status(), 200, "{probe}");
    }
    server.stop().await;

    let spans = collector.spans();
    let seen: Vec<_> = spans.iter().map(|span| (span.name.as_str(), attribute(span, "keyfold.workspace").unwrap_or_default())).collect();
    let expected = [
        ("GET /v1/workspaces/{workspace}/keys", "acme"),
        ("POST /v1/workspaces/{workspace}/keys", "acme"),
        ("GET /v1/workspaces/{workspace}/keys", ""),
        ("POST /_app/sign_in", ""),
        ("GET /w/{workspace}/keys", "acme"),
    ];
    assert_eq!(seen, expected.map(|(name, workspace)| (name, workspace.to_owned())));
    for (span, answer) in spans.iter().zip([&listed, &made, &pasted, &signed_in, &page]) {
        assert_eq!(attribute(span, "keyfold.request_id").as_deref(), answer.headers()["x-request-id"].to_str().ok());
    }
    let traces: Vec<String> = spans.iter().map(|span| hex(&span.trace_id)).collect();
    assert_eq!([&traces[0], &traces[1], &traces[2]], [TRACE; 3]);
    assert!(traces[3] != TRACE && traces[4] != TRACE && traces[3] != traces[4]);

    let bytes = collector.bytes();
    let found = String::from_utf8_lossy(&bytes);
    let issued = String::from_utf8_lossy(made.body());
    let issued = issued.split_once("kf_sec_").unwrap().1.split('"').next().unwrap();
    let random = |text: &str, before: &str| text.split_once(before).unwrap().1[..12].to_owned();
    let secrets = [random(&secret, "kf_adm_"), issued[..12].to_owned(), random(&cookie, "="), "canary".to_owned()];
    for secret in &secrets {
        assert!(!found.contains(secret.as_str()), "{secret} in {found}");
        assert!(!server.said().contains(secret.as_str()), "{secret} in {}", server.said());
    }
    assert!(!server.said().contains("collectors-own"), "{}", server.said());
    assert!(found.contains("collectors-own"), "what was sent is looked at with its headers");
    assert!(!server.said().contains("otel"), "the log shows nothing of spans: {}", server.said());
}

#[tokio::test]
#[ignore = "scripts/otel.sh builds the server for it"]
async fn without_its_collector_a_server_answers_as_ever_and_stops_in_time() {
    let (folder, secret) = founded();
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut server = Server::start(folder.path(), silent.local_addr().unwrap()).await;
    let bearer = format!("Bearer {secret}");
    let begun = Instant::now();
    for _ in 0..50 {
        let answer = server.send("GET", "/v1/workspaces/acme/keys", &[("authorization", &bearer)], "").await;
        assert_eq!(answer.status(), 200);
    }
    assert!(begun.elapsed() < PATIENCE / 2, "{:?}", begun.elapsed());
    let took = server.stop().await;
    assert!(took < Duration::from_secs(8), "{took:?}");
    assert!(server.said().contains("not all traces were delivered"), "{}", server.said());
}

#[test]
#[ignore = "scripts/otel.sh builds the server for it"]
fn a_setting_that_is_not_understood_is_refused_by_its_name() {
    let check = |name: &str, value: &str| {
        let output =
            program().args(["check-config"]).env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1").env(name, value).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(check("OTEL_TRACES_SAMPLER", "always_off").0, Some(0));
    let (code, said) = check("OTEL_TRACES_SAMPLER", "canary");
    assert_eq!(code, Some(1));
    assert!(said.contains("OTEL_TRACES_SAMPLER") && !said.contains("canary"), "{said}");
}
