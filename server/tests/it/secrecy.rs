//! No secret is ever anywhere but in the one answer that hands it out: not in a log, a file, a list, an audit row or a page.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};

use keyfold_domain::key::{KeyFilter, StateFilter};
use keyfold_domain::scope::KeyKind;
use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;

use crate::support::{Actor, App, COOKIE, Call, Cli, PASSWORD, Server, operator, with_cookie};

/// So many characters of a secret in a row are taken for a leak.
const WINDOW: usize = 12;

/// Every window of every secret issued in a run.
#[derive(Default)]
struct Canaries {
    windows: BTreeSet<Vec<u8>>,
}

impl Canaries {
    fn add(&mut self, secret: &str) {
        // What all secrets start with, or a word of a password, is no leak by itself; the random part of a secret is.
        let random = secret.strip_prefix("kf_").and_then(|rest| rest.split_once('_')).map_or(secret, |(_, random)| random);
        assert!(random.len() > WINDOW);
        self.windows.extend(random.as_bytes().windows(WINDOW).map(<[u8]>::to_vec));
    }

    #[track_caller]
    fn assert_absent(&self, bytes: &[u8], place: &str) {
        for at in bytes.windows(WINDOW) {
            assert!(!self.windows.contains(at), "a secret in {place}, around {:?}", String::from_utf8_lossy(at));
        }
    }

    /// Reads every file below a folder.
    fn assert_absent_below(&self, folder: &Path) -> usize {
        let mut files = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files += self.assert_absent_below(&path);
            } else {
                self.assert_absent(&std::fs::read(&path).unwrap(), &path.display().to_string());
                files += 1;
            }
        }
        files
    }
}

/// All that is logged, whatever its level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[test]
fn the_test_would_find_a_leak() {
    let mut canaries = Canaries::default();
    canaries.add("kf_sec_0123456789abcdefghij");
    canaries.assert_absent(b"kf_sec_ and 0123456789a", "nowhere");
    let found = std::panic::catch_unwind(|| canaries.assert_absent(b"xx456789abcdefxx", "here"));
    assert!(found.is_err());
}

/// Every use and misuse of a key by programs, as the bearer of `caller`.
fn by_programs(caller: &str, id: &str, secret: &str) -> Vec<(&'static str, Call)> {
    const KEYS: &str = "/v1/workspaces/acme/keys";
    let verify = |body: &Value| Call::post("/v1/verify").bearer(caller).json(body);
    let key = format!("{KEYS}/{id}");
    let half = format!("{{\"{secret}\":\"{secret}\"");
    vec![
        ("whoami", Call::get("/v1/whoami").bearer(secret)),
        ("verify", verify(&json!({"key": secret, "scope": "inference"}))),
        ("a secret as a scope", verify(&json!({"key": secret, "resource": secret, "scope": secret}))),
        ("a secret as a field", Call::post("/v1/verify").bearer(caller).body("application/json", half)),
        ("a secret within a value", verify(&json!({"key": {"a": secret}}))),
        ("a batch", Call::post("/v1/verify:batch").bearer(caller).json(&json!({"checks": [{"key": secret}]}))),
        (
            "a secret as a scope in a batch",
            Call::post("/v1/verify:batch").bearer(caller).json(&json!({"checks": [{"key": secret, "scope": secret}]})),
        ),
        ("a wrong caller", Call::post("/v1/verify").bearer(&format!("{secret}x")).json(&json!({"key": "x"}))),
        ("a secret as a search", Call::get(format!("{KEYS}?search={secret}")).bearer(caller)),
        ("a secret as a filter", Call::get(format!("{KEYS}?state={secret}&{secret}=1")).bearer(caller)),
        ("a secret as an id", Call::get(format!("{KEYS}/{secret}")).bearer(caller)),
        ("a secret as a header", Call::post(KEYS).bearer(caller).header("idempotency-key", "a b").header("x-api-key", secret)),
        ("the key", Call::get(&key).bearer(caller)),
        ("a change", Call::patch(&key).bearer(caller).json(&json!({"note": "changed"}))),
        ("a stale change", Call::patch(&key).bearer(caller).header("if-match", "\"1\"").json(&json!({"note": "x"}))),
        ("the list", Call::get(format!("{KEYS}?state=all")).bearer(caller)),
        ("the secrets", Call::get(format!("{key}/secrets")).bearer(caller)),
        ("the usage", Call::get(format!("{key}/usage")).bearer(caller)),
        ("the usage as CSV", Call::get(format!("{key}/usage.csv")).bearer(caller)),
        ("a rotation sent again", Call::post(format!("{key}/rotate")).bearer(caller).header("idempotency-key", id)),
        ("a rotation of another version", Call::post(format!("{key}/rotate")).bearer(caller).header("if-match", "\"77\"")),
        ("a secret as a secret's id", Call::delete(format!("{key}/secrets/{secret}")).bearer(caller)),
    ]
}

/// Every look at a key by people, without their cookie.
fn by_people(id: &str, secret: &str) -> Vec<(&'static str, Call)> {
    let mut calls = vec![
        ("a secret as a page", Call::get(format!("/w/acme/keys/{secret}/scopes"))),
        ("a function about the key", Call::post("/_app/get_key").json(&json!({"workspace": "acme", "id": id}))),
        ("the list by function", Call::post("/_app/list_keys").json(&json!({"workspace": "acme", "filter": {}}))),
        ("a password as a name", Call::post("/_app/sign_in").form(&[("login", PASSWORD), ("password", secret)])),
        (
            "a form's wrong password",
            Call::post("/_app/sign_in").header("accept", "text/html").form(&[("login", "founder"), ("password", secret)]),
        ),
    ];
    let pages = ["/", "/w/acme/keys", "/w/acme/keys?state=all&q=canary", "/w/acme/keys/new", "/account"].map(str::to_owned);
    let of_the_key = ["scopes", "delete"].map(|page| format!("/w/acme/keys/{id}/{page}"));
    calls.extend(pages.into_iter().chain(of_the_key).map(|path| ("a page", Call::get(path))));
    calls
}

#[tokio::test]
async fn no_secret_is_in_a_log_a_file_an_answer_or_a_page() {
    let log = Log::default();
    // Everything, of every library: more than any setting of the server lets through.
    tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone()).init();
    let app = App::new().await;
    let mut canaries = Canaries::default();
    canaries.add(PASSWORD);
    let session = app.sign_in("founder").await;
    canaries.add(&session);
    let with_cookie = |call: Call| with_cookie(call, &session);

    // Keys of every kind, made through every door.
    let full = app.key(Actor::Admin, KeyKind::Management, &["keys:write", "verify", "inference"]).await;
    let caller = full.secret.expose();
    let mut secrets = vec![(full.key.id.to_string(), caller.to_owned())];
    for kind in ["secret", "publishable", "management"] {
        let body = json!({"name": "canary", "kind": kind, "scopes": ["inference"]});
        let created = app.send(with_cookie(Call::post("/v1/workspaces/acme/keys")).json(&body)).await.expect(201).json();
        secrets.push((created["id"].as_str().unwrap().to_owned(), created["secret"].as_str().unwrap().to_owned()));
    }
    // Each but the caller's own is rotated, and its old secret goes on working.
    for at in 1..secrets.len() {
        let rotate = Call::post(format!("/v1/workspaces/acme/keys/{}/rotate", secrets[at].0)).header("idempotency-key", &secrets[at].0);
        // Nobody rotates a management key of somebody mightier: that one is for its owner.
        let rotate = if secrets[at].1.starts_with("kf_adm_") { with_cookie(rotate) } else { rotate.bearer(caller) };
        let rotated = app.send(rotate).await.expect(200).json();
        secrets.push((secrets[at].0.clone(), rotated["secret"].as_str().unwrap().to_owned()));
    }
    let form = [("name", "by form"), ("kind", "secret"), ("scopes", "inference"), ("expiry", "30"), ("idempotency_key", "1")];
    let form = with_cookie(Call::post("/w/acme/keys/new")).header("accept", "text/html").form(&form);
    let shown = app.send(form.clone()).await.expect(200).text();
    canaries.add(&shown.split("kf_sec_").nth(1).unwrap().chars().take_while(char::is_ascii_alphanumeric).collect::<String>());

    // The same form again, as a reload does: its secret was shown then.
    let mut calls = vec![("the form sent again", form)];
    for (id, secret) in &secrets {
        canaries.add(secret);
        calls.extend(by_programs(caller, id, secret));
        calls.extend(by_people(id, secret).into_iter().map(|(name, call)| (name, with_cookie(call))));
    }
    // What the request itself put into an address or the name of a field may come back in its own answer.
    let own = ["a secret as a filter", "a secret as a field", "a secret as a page"];
    for (name, call) in calls {
        let answer = app.send(call).await;
        assert!(answer.code() < 500, "{name}: {}", answer.text());
        if !own.contains(&name) {
            canaries.assert_absent(&answer.body, name);
            canaries.assert_absent(format!("{:?}", answer.headers).as_bytes(), name);
        }
    }
    one_time_links(&app, &mut canaries, &with_cookie).await;
    other_products(&app, &mut canaries).await;
    let step_up = app.send(with_cookie(Call::post("/_app/step_up")).form(&[("password", PASSWORD)])).await.expect(200);
    canaries.add(&step_up.cookies()[0].1);

    // Among the files are the database, its write-ahead log, and in them every audit row.
    app.engine.flush_usage().await.unwrap();
    assert!(canaries.assert_absent_below(app.folder()) >= 3);
    app.engine.close().await;
    canaries.assert_absent_below(app.folder());
    let log = log.0.lock().unwrap();
    assert!(log.len() > 10_000, "the log was captured");
    canaries.assert_absent(&log, "the log");
}

/// Uses one-time links as people do: their tokens are in the pages and forms that they lead to, and nowhere else.
async fn one_time_links(app: &App, canaries: &mut Canaries, with_cookie: &impl Fn(Call) -> Call) {
    let founder = app.engine.users.find_by_username(&operator(), "founder").await.unwrap().id;
    let reset = app.engine.password_links.create(&operator(), &founder).await.unwrap();
    let invited = app.as_(Actor::Admin, Call::post("/v1/workspaces/acme/invitations").json(&json!({"role": "member"}))).await.expect(201);
    let invited = invited.json()["link"].as_str().unwrap().split_once("token=").unwrap().1.to_owned();
    for (page, token) in [("reset", reset.token.expose()), ("invite", &invited)] {
        canaries.add(token);
        app.send(Call::get(format!("/{page}?token={token}"))).await.expect(200);
        app.send(Call::get(format!("/{page}?token={token}x"))).await;
    }
    app.send(Call::post("/_app/reset_password").form(&[("token", reset.token.expose()), ("password", "short")])).await.expect(400);
    app.send(Call::post("/_app/accept_invitation").form(&[("token", &invited)])).await.expect(401);
    for path in ["/w/acme/members", "/system/users", "/account"] {
        let page = app.send(with_cookie(Call::get(path))).await;
        canaries.assert_absent(&page.body, path);
    }
    let listed = app.as_(Actor::Admin, Call::get("/v1/workspaces/acme/invitations")).await.expect(200);
    canaries.assert_absent(&listed.body, "the open invitations");
}

/// Makes keys as clients of other products do, and has their lists and refusals looked at.
async fn other_products(app: &App, canaries: &mut Canaries) {
    const TOKEN: &str = "/api/generate_token";
    const KEYS: &str = "/api/v1/admin/api_keys";
    let credentials = json!({"username": "founder", "password": PASSWORD, "workspace": "acme"});
    let token = app.send(Call::post(TOKEN).json(&credentials)).await.expect(200).json()["token"].as_str().unwrap().to_owned();
    let body = json!({"name": "n", "prompt_id": "default", "chunks": 2});
    let made = app.send(Call::post("/api/create_api_key").bearer(&token).json(&body)).await.expect(201).json();
    let user = Actor::KeyOwner.user(app).await;
    let issued = app.as_(Actor::ManagementKey, Call::post(KEYS).json(&json!({"user_id": user}))).await.expect(201).json();
    let secrets = [token.as_str(), made["key"].as_str().unwrap(), issued["secret_key"].as_str().unwrap()];
    for secret in secrets {
        canaries.add(secret);
    }
    for secret in secrets {
        for (name, answer) in [
            ("the list of DocsGPT", app.send(Call::get("/api/get_api_keys").bearer(&token)).await),
            ("a deletion by secret", app.send(Call::post("/api/delete_api_key").bearer(&token).json(&json!({"id": secret}))).await),
            ("a secret as a session", app.send(Call::get("/api/sources").bearer(&format!("{secret}x"))).await),
            ("a secret as a password", app.send(Call::post(TOKEN).json(&json!({"username": "x", "password": secret}))).await),
            ("the list of h2oGPTe", app.as_(Actor::ManagementKey, Call::get(KEYS)).await),
            ("a secret as a filter", app.as_(Actor::ManagementKey, Call::get(format!("{KEYS}?filter={secret}&limit={secret}"))).await),
            ("a secret as an id", app.as_(Actor::ManagementKey, Call::delete(format!("{KEYS}/{secret}"))).await),
            ("a secret as a user", app.as_(Actor::ManagementKey, Call::post(KEYS).json(&json!({"user_id": secret}))).await),
            ("a secret as a caller", app.send(Call::get("/rpc/meta").bearer(&format!("{secret}x"))).await),
        ] {
            canaries.assert_absent(&answer.body, name);
            canaries.assert_absent(format!("{:?}", answer.headers).as_bytes(), name);
        }
    }
}

#[tokio::test]
async fn a_servers_own_log_at_its_finest_tells_no_secret() {
    let (folder, cli) = Cli::founded();
    let mut canaries = Canaries::default();
    canaries.add(PASSWORD);
    let mut server = Server::start(&cli, &["--log-level", "trace", "--shutdown-delay-seconds", "0"]).await;
    let caller = cli.key(&["--full-access"]);
    let secret = cli.key(&["--scope", "chat"]);
    canaries.add(&caller);
    canaries.add(&secret);
    for key in [&caller, &secret] {
        server.send(&Call::get("/v1/whoami").bearer(key));
        server.send(&Call::get("/v1/workspaces/acme/keys").bearer(key));
        server.send(&Call::get(format!("/v1/workspaces/acme/keys?search={key}")).bearer(&caller));
        server.send(&Call::post("/v1/verify").bearer(&caller).json(&json!({ "key": key })));
        server.send(&Call::post("/v1/verify").bearer(&caller).body("application/json", format!("{{\"key\":\"{key}\"")));
    }
    let sign_in = Call::post("/_app/sign_in").header("sec-fetch-site", "same-origin").form(&[("login", "ada"), ("password", PASSWORD)]);
    let session = server.send(&sign_in).expect(200).cookies()[0].1.clone();
    canaries.add(&session);
    server.send(&Call::get("/account").header("cookie", &format!("{COOKIE}={session}"))).expect(200);
    assert_eq!(server.terminate().await, Some(0));
    let said = server.said();
    assert!(said.contains("TRACE") || said.contains("DEBUG") || said.lines().count() > 5, "{said}");
    canaries.assert_absent(said.as_bytes(), "the server's log");
    canaries.assert_absent_below(&folder.path().join("data"));
    let pepper = std::fs::read(folder.path().join("data/pepper.key")).unwrap();
    assert!(!said.as_bytes().windows(WINDOW).any(|window| pepper.windows(WINDOW).any(|secret| secret == window)));
}

#[tokio::test]
async fn a_key_is_listed_by_its_mask_alone() {
    let app = App::new().await;
    let issued = app.key(Actor::KeyOwner, KeyKind::Secret, &["chat"]).await;
    let all = KeyFilter { state: StateFilter::All, ..KeyFilter::default() };
    let listed = app.engine.keys.list(&operator(), &app.acme, &all).await.unwrap();
    let secret = issued.secret.expose();
    assert_eq!(listed.items[0].hint, format!("kf_sec_…{}", &secret[secret.len() - 4..]));
    assert!(!format!("{issued:?}").contains(&secret[10..20]));
}
