//! Envoy's external authorization over gRPC, asked of the real program by tonic's client: the same answers as over HTTP, and
//! nothing passes that was not asked clearly.

use std::io::Read as _;
use std::net::TcpStream;
use std::time::Duration;

use axum::http::Method;
use keyfold_engine::testing::execute;
use keyfold_server::envoy::{
    Address, AttributeContext, CHECK, CheckRequest, CheckResponse, HeaderMap, HeaderValue, HeaderValueOption, HttpRequest, HttpResponse,
    OVERWRITE_IF_EXISTS_OR_ADD, OkHttpResponse, Peer, Request, SocketAddress,
};
use serde_json::{Value, json};
use tokio::net::UnixStream;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Status};
use tonic_prost::ProstCodec;

use crate::support::{Answer, Call, Cli, IDENTITY, PASSWORD, Server, eventually, send};

/// Envoy is on this machine, and there may be another proxy before it.
const TRUSTING: [&str; 2] = ["--trusted-proxies", "127.0.0.1,10.0.0.0/8"];

/// A server that Envoy asks, with workspace `acme` and rules for it.
struct Guarded {
    folder: tempfile::TempDir,
    cli: Cli,
    server: Server,
    channel: Channel,
    port: u16,
}

impl Guarded {
    /// Trusts this machine.
    async fn start() -> Self {
        Self::with(&TRUSTING).await
    }

    async fn with(extra: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Cli::on(folder.path()).found();
        Self::on(folder, extra).await
    }

    /// A server on what commands have made in that folder.
    async fn on(folder: tempfile::TempDir, extra: &[&str]) -> Self {
        let cli = Cli::on(folder.path());
        let server = Server::start(&cli, &[&["--ext-authz-addr", "127.0.0.1:0"], extra].concat()).await;
        let port = port(&server);
        let channel = Channel::from_shared(format!("http://127.0.0.1:{port}")).unwrap().connect_lazy();
        let guarded = Self { folder, cli, server, channel, port };
        guarded.rules();
        guarded
    }

    fn rules(&self) {
        let form = [("login", "ada"), ("password", PASSWORD)];
        let signed_in = self.server.send(&Call::post("/_app/sign_in").header("sec-fetch-site", "same-origin").form(&form));
        let (name, value) = signed_in.cookies().into_iter().next().unwrap_or_else(|| panic!("{}", signed_in.text()));
        let rules = json!({"rules": [
            {"methods": ["GET"], "path": "/open", "access": "public"},
            {"methods": ["*"], "path": "/closed", "access": "deny"},
            {"methods": ["*"], "path": "/chat", "access": "key", "scope": "chat"},
            {"methods": ["*"], "path": "/c/{id}", "access": "key", "scope": "chat", "resource": "collection:{id}"},
            {"methods": ["*"], "path": "/any", "access": "key"},
        ]});
        let put = Call::new(Method::PUT, "/v1/workspaces/acme/routes").header("sec-fetch-site", "same-origin");
        self.server.send(&put.header("cookie", &format!("{name}={value}")).json(&rules)).expect(200);
    }

    /// A new key, which the server knows of.
    async fn key(&self, access: &[&str]) -> String {
        let key = self.cli.key(access);
        eventually(Duration::from_secs(20), || {
            // Refused whatever the key, so it is no use of it.
            let seen = self.over_http("GET", "/closed", &[("x-api-key", &key)]);
            if seen.header("keyfold-code") == Some("not_found") { Err(seen.text()) } else { Ok(()) }
        })
        .await;
        key
    }

    async fn ask(&self, question: CheckRequest) -> Result<CheckResponse, Status> {
        ask(&self.channel, CHECK, question).await
    }

    /// The answer as a client behind Envoy or the application would get it: 204 for a yes.
    async fn answer(&self, question: CheckRequest) -> Answer {
        answer(self.ask(question).await.unwrap())
    }

    /// The same question over HTTP.
    fn over_http(&self, method: &str, target: &str, headers: &[(&'static str, &str)]) -> Answer {
        let call = Call::get("/v1/workspaces/acme/forward-auth").header("x-forwarded-method", method).header("x-forwarded-uri", target);
        self.server.send(&headers.iter().fold(call, |call, (name, value)| call.header(name, value)))
    }

    /// The id of the key with that name.
    fn id(&self, name: &str) -> String {
        let listed = self.cli.json(&["key", "list", "--workspace", "acme"]);
        let found = listed["data"].as_array().unwrap().iter().find(|key| key["name"] == name);
        found.unwrap()["id"].as_str().unwrap().to_owned()
    }
}

fn named_key(cli: &Cli, name: &str, owner: &str, access: &[&str]) -> String {
    let create = ["key", "create", "--workspace", "acme", "--owner", owner, "--name", name];
    cli.stdout(&[&create[..], access].concat()).trim_end().to_owned()
}

/// The port that the system chose, which the server names before it is ready.
fn port(server: &Server) -> u16 {
    let said = server.heard();
    let line = said.lines().find(|line| line.contains("authorization for Envoy")).unwrap_or_else(|| panic!("{said}"));
    let digits: String = line.split("127.0.0.1:").nth(1).unwrap().chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

async fn ask(channel: &Channel, path: &'static str, question: CheckRequest) -> Result<CheckResponse, Status> {
    let mut grpc = Grpc::new(channel.clone());
    grpc.ready().await.unwrap();
    let codec = ProstCodec::<CheckRequest, CheckResponse>::default();
    grpc.unary(tonic::Request::new(question), path.parse().unwrap(), codec).await.map(tonic::Response::into_inner)
}

/// A question about a request of acme's, from a client at 203.0.113.9.
fn about(method: &str, target: &str, headers: &[(&str, &str)]) -> CheckRequest {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let http = HttpRequest { method: method.to_owned(), path: target.to_owned(), host: "app".to_owned(), headers, header_map: None };
    CheckRequest {
        attributes: Some(AttributeContext {
            source: Some(at("203.0.113.9")),
            request: Some(Request { http: Some(http) }),
            context_extensions: [("workspace".to_owned(), "acme".to_owned())].into(),
        }),
    }
}

fn at(address: &str) -> Peer {
    let socket_address = Some(SocketAddress { address: address.to_owned(), port_value: 4711 });
    Peer { address: Some(Address { socket_address }) }
}

/// The same question with something else in it.
fn but(mut question: CheckRequest, change: impl FnOnce(&mut AttributeContext)) -> CheckRequest {
    change(question.attributes.as_mut().unwrap());
    question
}

fn http(attributes: &mut AttributeContext) -> &mut HttpRequest {
    attributes.request.as_mut().unwrap().http.as_mut().unwrap()
}

/// Headers as they came, which is how Envoy tells them with `encode_raw_headers`.
fn raw(question: CheckRequest, headers: &[(&str, &[u8])]) -> CheckRequest {
    let each = |(name, value): &(&str, &[u8])| HeaderValue { key: (*name).to_owned(), value: String::new(), raw_value: value.to_vec() };
    but(question, |attributes| http(attributes).header_map = Some(HeaderMap { headers: headers.iter().map(each).collect() }))
}

fn ok(response: &CheckResponse) -> &OkHttpResponse {
    match &response.http_response {
        Some(HttpResponse::Ok(ok)) => ok,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn answer(response: CheckResponse) -> Answer {
    let code = response.status.unwrap().code;
    let mut headers = axum::http::HeaderMap::new();
    let mut keep = |options: &[HeaderValueOption]| {
        for option in options {
            let header = option.header.as_ref().unwrap();
            headers.append(header.key.parse::<axum::http::HeaderName>().unwrap(), header.value.parse().unwrap());
        }
    };
    match response.http_response.unwrap() {
        HttpResponse::Ok(ok) => {
            assert_eq!(code, 0);
            keep(&ok.headers);
            keep(&ok.response_headers_to_add);
            Answer { status: axum::http::StatusCode::NO_CONTENT, headers, body: Vec::new() }
        }
        HttpResponse::Denied(denied) => {
            assert_ne!(code, 0, "Envoy takes 0 for a yes, whatever else is there");
            assert!(denied.headers.iter().all(|option| option.append_action == OVERWRITE_IF_EXISTS_OR_ADD && option.append.is_none()));
            keep(&denied.headers);
            let status = u16::try_from(denied.status.unwrap().code).unwrap();
            Answer { status: axum::http::StatusCode::from_u16(status).unwrap(), headers, body: denied.body.into_bytes() }
        }
    }
}

/// Status, headers and body of an answer, without the id of the request and what only one of the two ways has.
fn content(answer: &Answer) -> (u16, Vec<(String, String)>, String) {
    let id = answer.header("x-request-id").unwrap_or("req_").to_owned();
    let only_http = ["date", "content-length", "connection", "x-request-id"];
    // Envoy passes a yes on; what HTTP says beside it stays between the two.
    let only_no = ["cache-control", "x-content-type-options"];
    let mut headers: Vec<(String, String)> = answer
        .headers
        .iter()
        .filter(|(name, _)| !only_http.contains(&name.as_str()) && (answer.code() != 204 || !only_no.contains(&name.as_str())))
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    headers.sort();
    (answer.code(), headers, answer.text().replace(&id, "[id]"))
}

/// The reason of a no, `valid` or `public` for a yes.
fn reason(answer: &Answer) -> (u16, &str) {
    (answer.code(), answer.header("keyfold-code").unwrap())
}

#[tokio::test]
async fn every_verdict_is_the_one_that_http_gets() {
    let chat = ["--scope", "chat"];
    let (folder, cli) = Cli::founded();
    // Time has passed for these two.
    let short = named_key(&cli, "short", "ada", &chat);
    let sleepy = named_key(&cli, "sleepy", "ada", &["--scope", "chat", "--inactivity-days", "30"]);
    let database = format!("sqlite:{}", folder.path().join("data/keyfold.db").display()).parse().unwrap();
    let passed = "UPDATE keys SET created_at = 1000, expires_at = CASE name WHEN 'short' THEN 2000 END";
    execute(&database, passed).await.unwrap();
    let guarded = Guarded::on(folder, &TRUSTING).await;
    let bob = ["user", "create", "--email", "bob@example.com", "--username", "bob", "--password-stdin"];
    assert_eq!(guarded.cli.with_input(&bob, &format!("{PASSWORD}\n")).0, Some(0));
    guarded.cli.stdout(&["member", "add", "--workspace", "acme", "--user", "bob", "--role", "member"]);
    for id in ["c1", "c2"] {
        guarded.cli.stdout(&["resource", "create", "--workspace", "acme", "--kind", "collection", "--id", id, "--owner", "ada"]);
    }
    let good = named_key(&cli, "Zürich, \"x\"", "ada", &chat);
    let other = named_key(&cli, "other", "ada", &chat);
    let narrow = named_key(&cli, "narrow", "ada", &["--scope", "inference"]);
    let tied = named_key(&cli, "tied", "ada", &["--scope", "chat", "--resource", "collection:c1"]);
    let elsewhere = named_key(&cli, "elsewhere", "ada", &["--scope", "chat", "--allow-ip", "198.51.100.0/24"]);
    let stopped = named_key(&cli, "stopped", "ada", &chat);
    let orphan = named_key(&cli, "orphan", "bob", &chat);
    guarded.cli.stdout(&["key", "deactivate", "--workspace", "acme", &guarded.id("stopped")]);
    guarded.cli.stdout(&["user", "disable", "bob"]);
    let unknown = format!("kf_sec_{}1GU1LX", "0".repeat(43));
    eventually(Duration::from_secs(10), || {
        let seen = guarded.over_http("GET", "/chat", &[("x-api-key", &orphan)]).text();
        if seen.contains("owner_disabled") { Ok(()) } else { Err(seen) }
    })
    .await;

    let key = |secret: &str| vec![("authorization", format!("Bearer {secret}"))];
    for (method, target, headers, expected) in [
        ("GET", "/chat", key(&good), (204, "valid")),
        ("POST", "/chat?a=b", vec![("x-api-key", good.clone())], (204, "valid")),
        ("GET", &format!("/chat?a=b&api-key={good}"), vec![], (204, "valid")),
        ("GET", "/c/c1", key(&tied), (204, "valid")),
        ("GET", "/open", vec![], (204, "public")),
        ("GET", "/chat", vec![], (401, "unauthenticated")),
        ("GET", "/chat", vec![("authorization", "Basic YTpi".to_owned())], (401, "unauthenticated")),
        ("GET", "/chat", key("kf_sec_x"), (401, "malformed")),
        ("GET", "/chat", key(&unknown), (401, "not_found")),
        ("GET", "/chat", key(&stopped), (401, "deactivated")),
        ("GET", "/chat", key(&orphan), (401, "owner_disabled")),
        ("GET", "/chat", key(&short), (401, "expired")),
        ("GET", "/chat", key(&sleepy), (401, "dormant")),
        ("GET", "/chat", key(&elsewhere), (403, "ip_denied")),
        ("GET", "/chat", key(&narrow), (403, "missing_scope")),
        ("GET", "/c/c2", key(&tied), (403, "wrong_resource")),
        ("GET", "/closed", key(&good), (403, "denied")),
        ("GET", "/nowhere", key(&good), (403, "no_route")),
        ("GET", "/a/../chat", key(&good), (400, "unsafe_path")),
        ("GET", "/chat", [key(&good), vec![("x-api-key", other.clone())]].concat(), (400, "invalid")),
        ("GET", &format!("/chat?api%2Dkey={good}"), vec![], (400, "invalid")),
        ("GET", "/chat", [key(&good), vec![("keyfold-owner", "root".to_owned())]].concat(), (400, "forged_identity")),
    ] {
        let headers: Vec<(&'static str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let seen = guarded.answer(about(method, target, &headers)).await;
        assert_eq!(reason(&seen), expected, "{target}: {}", seen.text());
        // The address of the client is told by Envoy in one case and by the header in the other.
        let same = guarded.over_http(method, target, &[&headers[..], &[("x-forwarded-for", "203.0.113.9")]].concat());
        assert_eq!(content(&seen), content(&same), "{target}");
    }
}

#[tokio::test]
async fn a_yes_overwrites_all_identity_headers_and_takes_the_key_away() {
    let guarded = Guarded::start().await;
    let key = guarded.key(&["--scope", "chat", "--limit", "burst=1/60", "--limit", "daily=5/day"]).await;
    let bearer = format!("Bearer {key}");
    let response = guarded.ask(about("GET", "/chat", &[("authorization", &bearer)])).await.unwrap();
    let passed = ok(&response);
    let names: Vec<&str> = passed.headers.iter().map(|option| option.header.as_ref().unwrap().key.as_str()).collect();
    assert_eq!(names, IDENTITY);
    for option in &passed.headers {
        assert_eq!((option.append_action, option.append, option.keep_empty_value), (OVERWRITE_IF_EXISTS_OR_ADD, None, true), "{option:?}");
    }
    assert_eq!(passed.headers_to_remove, ["authorization", "x-api-key"]);
    assert!(passed.query_parameters_to_remove.is_empty(), "a query without a key stays as it is");
    let told: Vec<(&str, &str, Option<bool>)> = passed
        .response_headers_to_add
        .iter()
        .map(|option| (option.header.as_ref().unwrap(), option.append))
        .map(|(header, append)| (header.key.as_str(), header.value.as_str(), append))
        .collect();
    let policy = "\"burst\";q=1;w=60, \"daily\";q=5;w=86400";
    assert_eq!((told.len(), told[0], told[1].0, told[1].2), (2, ("ratelimit-policy", policy, Some(true)), "ratelimit", Some(true)));

    let second = guarded.answer(about("GET", "/chat", &[("authorization", &bearer)])).await;
    assert_eq!(reason(&second), (429, "rate_limited"));
    assert_eq!(second.header("ratelimit-policy"), Some(policy));
    assert!(second.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok_and(|seconds| (1..=60).contains(&seconds))));
    let quota = guarded.key(&["--scope", "chat", "--limit", "daily=1/day"]).await;
    let queried = format!("/chat?a=b&api-key={quota}&c");
    let first = guarded.ask(about("GET", &queried, &[])).await.unwrap();
    assert_eq!(ok(&first).query_parameters_to_remove, ["api-key"]);
    assert_eq!(reason(&guarded.answer(about("GET", &queried, &[])).await), (429, "quota_exceeded"));
}

#[tokio::test]
async fn what_is_not_asked_clearly_is_refused() {
    let guarded = Guarded::start().await;
    let key = guarded.key(&["--scope", "chat"]).await;
    let bearer = format!("Bearer {key}");
    let good = || about("GET", "/chat", &[("authorization", &bearer)]);
    let bare = || about("GET", "/chat", &[]);
    let whole = |workspace: &str| but(good(), |told| _ = told.context_extensions.insert("workspace".to_owned(), workspace.to_owned()));
    assert_eq!(reason(&guarded.answer(good()).await), (204, "valid"));
    assert_eq!(reason(&guarded.answer(whole("*")).await), (204, "valid"), "said aloud, keys of every workspace pass");
    assert_eq!(reason(&guarded.answer(whole("other")).await), (401, "not_found"));
    let authorization = bearer.as_bytes();
    assert_eq!(reason(&guarded.answer(raw(bare(), &[(":path", b"/chat"), ("Authorization", authorization)])).await), (204, "valid"));

    let many: Vec<(String, String)> = (0..200).map(|number| (format!("x-{number}"), String::new())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let long = "a".repeat(40 * 1024);
    for (question, expected) in [
        (CheckRequest::default(), 400),
        (but(good(), |told| told.request = None), 400),
        (but(good(), |told| told.request = Some(Request::default())), 400),
        (but(good(), |told| told.context_extensions.clear()), 400),
        (whole(""), 400),
        (but(good(), |told| http(told).path.clear()), 400),
        (but(good(), |told| http(told).path = "chat".to_owned()), 400),
        (but(good(), |told| http(told).path = "/chat x".to_owned()), 400),
        (but(good(), |told| http(told).path = "/chät".to_owned()), 400),
        (but(good(), |told| http(told).path = "/chat\r\n".to_owned()), 400),
        (but(good(), |told| http(told).method.clear()), 400),
        (but(good(), |told| http(told).method = "G T".to_owned()), 400),
        (but(good(), |told| told.source = Some(at("nobody"))), 400),
        (about("GET", "/chat", &[("authorization", &bearer), (":path", "/open")]), 400),
        (about("GET", "/chat", &[("authorization", &bearer), (":method", "POST")]), 400),
        (about("GET", "/chat", &[("authorization", &bearer), ("a b", "c")]), 400),
        (about("GET", "/chat", &[("authorization", &bearer), ("", "c")]), 400),
        (about("GET", "/chat", &[("authorization", &bearer), ("x", "a\r\nb")]), 400),
        (about("GET", "/chat", &[("authorization", &bearer), ("x", &long)]), 400),
        (about("GET", "/chat", &many), 400),
        (raw(good(), &[("authorization", authorization)]), 400),
        (raw(bare(), &[("authorization", authorization), ("authorization", authorization)]), 400),
        (raw(bare(), &[("x-api-key", key.as_bytes()), ("X-Api-Key", key.as_bytes())]), 400),
        (raw(bare(), &[("authorization", b"Bearer \xff\xfe")]), 401),
        (raw(bare(), &[("authorization", b"Bearer \0")]), 400),
        (raw(bare(), &[("x-api-key", b"\xff")]), 401),
        // As Envoy puts several of one name together.
        (about("GET", "/chat", &[("authorization", &format!("{bearer},{bearer}"))]), 401),
        (about("GET", "/chat", &[("x-api-key", &format!("{key},{key}"))]), 401),
    ] {
        let answer = guarded.answer(question.clone()).await;
        assert_eq!(answer.code(), expected, "{question:?}: {}", answer.text());
        assert!(!answer.text().contains(&key), "a refusal repeats no key");
    }
    for name in ["keyfold-key", "keyfold_owner", "KEYFOLD.owner", "keyfold-anything"] {
        let forged = raw(bare(), &[("authorization", authorization), (name, b"x")]);
        assert_eq!(reason(&guarded.answer(forged).await), (400, "forged_identity"), "{name}");
    }
}

#[tokio::test]
async fn what_is_no_question_at_all_is_an_error_and_never_a_yes() {
    let guarded = Guarded::start().await;
    let key = guarded.key(&["--scope", "chat"]).await;
    let bearer = format!("Bearer {key}");
    let good = || about("GET", "/chat", &[("authorization", &bearer)]);
    let large = about("GET", "/chat", &[("authorization", &bearer), ("x", &"a".repeat(300 * 1024))]);
    assert_eq!(guarded.ask(large).await.unwrap_err().code(), Code::OutOfRange);
    for path in ["/envoy.service.auth.v2.Authorization/Check", "/envoy.service.auth.v3.Authorization/check", "/v1/whoami", "/"] {
        assert_eq!(ask(&guarded.channel, path, good()).await.unwrap_err().code(), Code::Unimplemented, "{path}");
    }
    // Not for browsers and programs.
    assert!(send(guarded.port, &Call::get("/v1/whoami").bearer(&key)).is_none());
    assert_eq!(reason(&guarded.answer(good()).await), (204, "valid"), "it goes on");
}

#[tokio::test]
async fn the_client_is_whom_envoy_names_and_not_who_it_says_it_is() {
    let guarded = Guarded::start().await;
    let key = guarded.key(&["--scope", "chat", "--allow-ip", "198.51.100.0/24"]).await;
    let bearer = format!("Bearer {key}");
    for (source, forwarded, passes) in [
        (Some("198.51.100.7"), None, true),
        (Some("198.51.100.7"), Some("203.0.113.9"), true),
        (Some("203.0.113.9"), Some("198.51.100.7"), false),
        // Through another proxy that is trusted, whether Envoy has added it or not.
        (Some("10.0.0.1"), Some("198.51.100.7"), true),
        (Some("10.0.0.1"), Some("198.51.100.7, 10.0.0.1"), true),
        (Some("10.0.0.1"), Some("198.51.100.7, 203.0.113.9"), false),
        (Some("10.0.0.1"), None, false),
        (Some("::ffff:198.51.100.7"), None, true),
        // Over a socket file, Envoy names nobody.
        (None, Some("198.51.100.7"), true),
        (None, Some("198.51.100.7, 203.0.113.9"), false),
        (None, None, false),
    ] {
        let headers = [Some(("authorization", bearer.as_str())), forwarded.map(|list| ("x-forwarded-for", list))];
        let headers: Vec<(&str, &str)> = headers.into_iter().flatten().collect();
        let question = but(about("GET", "/chat", &headers), |told| told.source = source.map(at));
        let expected = if passes { (204, "valid") } else { (403, "ip_denied") };
        assert_eq!(reason(&guarded.answer(question).await), expected, "{source:?} {forwarded:?}");
    }
}

#[tokio::test]
async fn nobody_but_a_trusted_proxy_is_answered() {
    let guarded = Guarded::with(&[]).await;
    let key = guarded.key(&["--scope", "chat"]).await;
    let bearer = format!("Bearer {key}");
    let question = about("GET", "/chat", &[("authorization", &bearer)]);
    // Not even to say that a request is odd, and what is large is not read.
    let large = about("GET", "/chat", &[("x", &"a".repeat(300 * 1024))]);
    for question in [question, about("GET", "/open", &[]), CheckRequest::default(), large] {
        assert_eq!(reason(&guarded.answer(question).await), (403, "untrusted_proxy"));
    }
    assert!(guarded.server.heard().contains("there are none"), "{}", guarded.server.heard());
}

#[tokio::test]
async fn no_key_reaches_a_log_line_and_answers_are_counted() {
    let mut guarded = Guarded::with(&["--trusted-proxies", "127.0.0.1", "--log-level", "trace", "--public-metrics"]).await;
    let key = guarded.key(&["--scope", "chat"]).await;
    let bearer = format!("Bearer {key}");
    for question in [
        about("GET", "/chat", &[("authorization", &bearer)]),
        about("GET", "/nowhere", &[("x-api-key", &key)]),
        about("GET", &format!("/a/../b?api-key={key}"), &[("keyfold-owner", &key)]),
        but(about("GET", "/chat", &[("authorization", &bearer)]), |told| told.source = Some(at("nobody"))),
    ] {
        assert!(!format!("{question:?}").contains(&key));
        drop(guarded.answer(question).await);
    }
    drop(guarded.ask(about("GET", &"a".repeat(300 * 1024), &[("authorization", &bearer)])).await.unwrap_err());
    let figures = guarded.server.send(&Call::get("/metrics")).expect(200).text();
    for line in
        ["endpoint=\"ext_authz\",status=\"2xx\"} 1\n", "endpoint=\"ext_authz\",status=\"4xx\"} 3\n", "verdicts_total{code=\"valid\"} 1\n"]
    {
        assert!(figures.contains(line), "{line}: {figures}");
    }
    assert_eq!(guarded.server.terminate().await, Some(0));
    let said = guarded.server.heard().to_owned() + &guarded.server.said();
    assert!(said.contains("stopped") && !said.contains(&key), "{said}");
    let usage = guarded.cli.json(&["key", "list", "--workspace", "acme"]);
    assert_eq!(usage["data"][0]["total_calls"], Value::from(1), "{usage}");
    drop(guarded.folder);
}

#[tokio::test]
async fn a_socket_file_does_as_well_and_a_question_that_has_begun_is_answered_at_the_end() {
    let sockets = tempfile::tempdir().unwrap();
    let path = sockets.path().join("envoy.sock");
    let setting = format!("unix:{}", path.display());
    let (_folder, cli) = Cli::founded();
    let key = cli.key(&["--scope", "chat"]);
    let settings = ["--ext-authz-addr", &setting, "--trusted-proxies", "127.0.0.1", "--shutdown-delay-seconds", "0"];
    let mut server = Server::start(&cli, &settings).await;
    let connect = {
        let path = path.clone();
        tower::service_fn(move |_: Uri| {
            let path = path.clone();
            async move { UnixStream::connect(path).await.map(hyper_util::rt::TokioIo::new) }
        })
    };
    let channel = Endpoint::from_static("http://envoy").connect_with_connector_lazy(connect);
    let refused = |response: CheckResponse| {
        let answer = answer(response);
        (answer.code(), answer.header("keyfold-code").unwrap().to_owned())
    };
    let bearer = format!("Bearer {key}");
    let question = about("GET", "/chat", &[("authorization", &bearer)]);
    // There is no rule: the map is empty.
    let no_route = (403, "no_route".to_owned());
    assert_eq!(refused(ask(&channel, CHECK, question.clone()).await.unwrap()), no_route);

    // The head is on its way before the server is asked to stop, the message comes after.
    let (send, later) = tokio::sync::oneshot::channel::<()>();
    let stream = futures_util::stream::once(async move {
        later.await.unwrap();
        question
    });
    let begun = tokio::spawn(async move {
        let mut grpc = Grpc::new(channel);
        grpc.ready().await.unwrap();
        let codec = ProstCodec::<CheckRequest, CheckResponse>::default();
        grpc.client_streaming(tonic::Request::new(stream), CHECK.parse().unwrap(), codec).await
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    server.ask_to_stop();
    eventually(Duration::from_secs(10), || if path.exists() { Err("still there".to_owned()) } else { Ok(()) }).await;
    send.send(()).unwrap();
    assert_eq!(refused(begun.await.unwrap().unwrap().into_inner()), no_route);
    assert_eq!(server.exit_code().await, Some(0));
    assert!(server.said().contains("all_finished=true"));
}

#[tokio::test]
async fn who_connects_and_asks_nothing_is_shown_out() {
    let guarded = Guarded::start().await;
    let key = guarded.key(&["--scope", "chat"]).await;
    assert_eq!(reason(&guarded.answer(about("GET", "/chat", &[("x-api-key", &key)])).await), (204, "valid"));
    let mut silent = TcpStream::connect(("127.0.0.1", guarded.port)).unwrap();
    silent.set_read_timeout(Some(Duration::from_secs(25))).unwrap();
    let mut told = Vec::new();
    silent.read_to_end(&mut told).unwrap();
    let answer = guarded.answer(about("GET", "/chat", &[("x-api-key", &key)])).await;
    assert_eq!(reason(&answer), (204, "valid"), "who asks is answered as before");
}
