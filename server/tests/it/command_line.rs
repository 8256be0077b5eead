//! The real program: its commands beside a running server, and what a server keeps when it is stopped or killed.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use keyfold_domain::token::{Prefix, parse};
use serde_json::{Value, json};

use crate::support::{Call, Cli, PASSWORD, Server, eventually};

/// Without the pause that is for load balancers.
const AT_ONCE: [&str; 2] = ["--shutdown-delay-seconds", "0"];

#[tokio::test]
async fn a_program_without_traces_says_once_that_it_has_none() {
    for (variable, times) in
        [("OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1", 1), ("OTEL_EXPORTER_OTLP_ENDPOINT=", 0), ("OTEL_SERVICE_NAME=keys", 0)]
    {
        let (_folder, cli) = Cli::founded();
        let cli = cli.within(&["env".to_owned(), variable.to_owned()]);
        let mut server = Server::start(&cli, &AT_ONCE).await;
        server.send(&Call::get("/healthz")).expect(200);
        assert_eq!(server.terminate().await, Some(0));
        let said = server.heard().to_owned() + &server.said();
        assert_eq!(said.matches("built without the feature otel").count(), times, "{variable}: {said}");
    }
}

/// The verdict of a server on a key.
fn verdict(server: &Server, caller: &str, key: &str) -> String {
    let answer = server.send(&Call::post("/v1/verify").bearer(caller).json(&json!({ "key": key })));
    if answer.code() == 200 { answer.json()["code"].as_str().unwrap().to_owned() } else { answer.problem() }
}

fn id(cli: &Cli, name: &str) -> String {
    let listed = cli.json(&["key", "list", "--workspace", "acme", "--search", name]);
    listed["data"][0]["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_new_keys_secret_stands_alone_on_standard_output() {
    let (_folder, cli) = Cli::founded();
    let output = cli.run(&["key", "create", "--workspace", "acme", "--owner", "ada", "--name", "robot", "--full-access"]);
    assert_eq!(output.status.code(), Some(0));
    let stdout = String::from_utf8(output.stdout).unwrap();
    let secret = stdout.strip_suffix('\n').unwrap();
    assert_eq!(parse(&Prefix::default(), secret).unwrap().as_str(), "management");
    assert!(!String::from_utf8(output.stderr).unwrap().contains(secret));

    let listed = cli.json(&["key", "list", "--workspace", "acme"]);
    let key = &listed["data"][0];
    assert_eq!((&key["name"], &key["kind"], &key["created_by"]), (&json!("robot"), &json!("management"), &json!("command line")));
    assert_eq!(key["scopes"].as_array().unwrap().len(), 8);
    assert!(!listed.to_string().contains(secret));
    let words = cli.stdout(&["key", "list", "--workspace", "acme"]);
    assert!(words.contains("robot") && words.contains("kf_adm_…") && !words.contains(secret), "{words}");
}

#[test]
fn the_flags_of_a_new_key_mean_what_they_say() {
    let (_folder, cli) = Cli::founded();
    let create = |access: &[&str]| cli.json(&[&["key", "create", "--workspace", "acme", "--owner", "ada"], access].concat());
    let days = |key: &Value| {
        let at = |field: &str| key[field].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        (at("expires_at") - at("created_at")).total(jiff::Unit::Hour).unwrap() / 24.0
    };
    let key =
        create(&["--scope", "inference", "--scope", "chat", "--expires-in", "30 days", "--inactivity-days", "60", "--note", "a note"]);
    assert_eq!(
        (&key["kind"], &key["scopes"], &key["inactivity_days"], &key["note"]),
        (&json!("secret"), &json!(["chat", "inference"]), &json!(60), &json!("a note"))
    );
    assert!((days(&key) - 30.0).abs() < 0.01);
    assert!((days(&create(&["--scope", "chat"])) - 90.0).abs() < 0.01);
    assert_eq!(create(&["--scope", "chat", "--expires-in", "never"])["expires_at"], Value::Null);
    assert_eq!(create(&["--scope", "verify"])["kind"], "management");
    assert_eq!(create(&["--scope", "inference", "--kind", "publishable"])["kind"], "publishable");
    let bounded = [
        "--scope",
        "chat",
        "--allow-ip",
        "10.0.0.0/8",
        "--allow-ip",
        "2001:db8::1",
        "--limit",
        "burst=100/60",
        "--limit",
        "daily=5000/day",
    ];
    let bounded = create(&bounded);
    assert_eq!(bounded["ip_allow"], json!(["10.0.0.0/8", "2001:db8::1"]));
    let limits = json!([{"name": "burst", "limit": 100, "window": 60}, {"name": "daily", "limit": 5000, "quota": "day"}]);
    assert_eq!(bounded["limits"], limits);
    assert_eq!(create(&["--full-access", "--kind", "secret"])["scopes"], json!(["chat", "inference", "project"]));
}

#[test]
fn a_resource_is_added_and_a_key_is_tied_to_it_by_name() {
    let (_folder, cli) = Cli::founded();
    let add = ["resource", "create", "--workspace", "acme", "--kind", "collection", "--id", "contracts", "--owner", "ada"];
    let made = cli.json(&[&add[..], &["--name", "Contracts"]].concat());
    assert_eq!((&made["kind"], &made["external_id"], &made["name"]), (&json!("collection"), &json!("contracts"), &json!("Contracts")));
    assert_eq!(cli.run(&add).status.code(), Some(1), "there is one of that name already");
    let key = ["key", "create", "--workspace", "acme", "--owner", "ada", "--scope", "chat", "--name", "tied", "--resource"];
    let tied = cli.json(&[&key[..], &["collection:contracts"]].concat());
    assert_eq!((&tied["resources"][0]["id"], &tied["resources"][0]["name"]), (&made["id"], &json!("Contracts")));
    let refused = cli.run(&[&key[..], &["collection:none"]].concat());
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("resources: There is no resource collection:none"));
    assert_eq!(cli.run(&[&key[..], &["contracts"]].concat()).status.code(), Some(2));
    let listed = cli.json(&["resource", "list", "--workspace", "acme", "--kind", "collection", "--owner", "ada", "--search", "contr"]);
    assert_eq!((listed["data"].as_array().unwrap().len(), &listed["data"][0]["keys"]), (1, &json!(1)));
    let table = cli.run(&["resource", "list", "--workspace", "acme"]);
    assert!(String::from_utf8_lossy(&table.stdout).contains("collection:contracts  ada    1     Contracts"));
}

#[test]
fn a_refusal_exits_with_one_and_wrong_usage_with_two() {
    let (_folder, cli) = Cli::founded();
    let key = ["key", "create", "--workspace", "acme", "--owner", "ada"];
    let refused: &[&[&str]] = &[
        &[&key[..], &["--scope", "nothing"]].concat(),
        &[&key[..], &["--scope", "verify", "--kind", "secret"]].concat(),
        &[&key[..], &["--scope", "chat", "--inactivity-days", "0"]].concat(),
        &[&key[..], &["--scope", "chat", "--expires-in", "1 second"]].concat(),
        &[&key[..], &["--scope", "chat", "--expires-in", "9000 years"]].concat(),
        &["key", "create", "--workspace", "nowhere", "--owner", "ada", "--scope", "chat"],
        &["key", "create", "--workspace", "acme", "--owner", "nobody", "--scope", "chat"],
        &["key", "list", "--workspace", "nowhere"],
        &["key", "delete", "--workspace", "acme", "key_0000000000000000000000"],
        &["key", "rotate", "--workspace", "acme", "key_0000000000000000000000"],
        &["workspace", "create", "--slug", "acme", "--name", "Again", "--owner", "ada"],
        &["workspace", "create", "--slug", "A", "--name", "Short", "--owner", "ada"],
        &["member", "add", "--workspace", "acme", "--user", "nobody", "--role", "member"],
    ];
    for arguments in refused {
        let output = cli.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.starts_with("keyfold: ") && said.trim_end().len() > 20, "{arguments:?}: {said}");
    }
    let misused: &[&[&str]] = &[
        &[],
        &["key"],
        &key,
        &[&key[..], &["--scope", "chat", "--full-access"]].concat(),
        &[&key[..], &["--scope", "A B"]].concat(),
        &[&key[..], &["--scope", "chat", "--expires-in", "soon"]].concat(),
        &[&key[..], &["--scope", "chat", "--allow-ip", "10.0.0.1/8"]].concat(),
        &[&key[..], &["--scope", "chat", "--limit", "burst=0/60"]].concat(),
        &[&key[..], &["--scope", "chat", "--kind", "root"]].concat(),
        &[&key[..], &["--scope", "chat", "--unknown"]].concat(),
        &["key", "delete", "--workspace", "acme", "not-an-id"],
        &["key", "list", "--workspace", "acme", "--state", "gone"],
        &["key", "rotate", "--workspace", "acme", "--grace", "2h", "key_0000000000000000000000"],
        &["member", "add", "--workspace", "acme", "--user", "ada", "--role", "king"],
        &["user", "create", "--email", "b@example.com", "--username", "bob"],
    ];
    for arguments in misused {
        let output = cli.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn a_password_is_read_from_standard_input_and_checked() {
    let (_folder, cli) = Cli::founded();
    let user = |name: &'static str| ["user", "create", "--email", "b@example.com", "--username", name, "--password-stdin"];
    for (input, word) in [("", "password"), ("\n", "password"), ("too-short-14ch\n", "password"), ("passwordpassword\n", "password")] {
        let (code, said) = cli.with_input(&user("bob"), input);
        assert_eq!(code, Some(1), "{input:?}: {said}");
        assert!(said.contains(word), "{said}");
        assert!(input.trim().is_empty() || !said.contains(input.trim()), "{said}");
    }
    let (code, said) = cli.with_input(&user("bob"), PASSWORD);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = cli.with_input(&user("BOB"), PASSWORD);
    assert_eq!(code, Some(1));
    assert!(said.contains("username"), "{said}");
}

#[tokio::test]
async fn what_commands_change_holds_in_a_running_server_when_they_end() {
    let (_folder, cli) = Cli::founded();
    let caller = cli.key(&["--full-access"]);
    let server = Server::start(&cli, &[]).await;
    assert_eq!(verdict(&server, &caller, &caller), "valid");

    let secret = cli.stdout(&["key", "create", "--workspace", "acme", "--owner", "ada", "--name", "beside", "--scope", "chat"]);
    let secret = secret.trim_end();
    assert_eq!(verdict(&server, &caller, secret), "valid");
    let key = id(&cli, "beside");
    let rotated = cli.stdout(&["key", "rotate", "--workspace", "acme", "--grace", "1h", &key]);
    assert!(parse(&Prefix::default(), rotated.trim_end()).is_ok() && rotated.lines().count() == 1);
    assert_eq!(verdict(&server, &caller, rotated.trim_end()), "valid");
    assert_eq!(verdict(&server, &caller, secret.trim_end()), "valid");
    let again = cli.json(&["key", "rotate", "--workspace", "acme", "--grace", "now", &key]);
    assert_eq!((&again["id"], again["secrets"].as_array().map(Vec::len)), (&json!(key), Some(3)));
    assert_eq!(verdict(&server, &caller, rotated.trim_end()), "not_found");
    assert_eq!(verdict(&server, &caller, secret.trim_end()), "not_found");
    let secret = again["secret"].as_str().unwrap().to_owned();
    assert_eq!(verdict(&server, &caller, &secret), "valid");
    cli.stdout(&["key", "deactivate", "--workspace", "acme", "--reason", "lost", &key]);
    assert_eq!(verdict(&server, &caller, &secret), "deactivated");
    cli.stdout(&["key", "delete", "--workspace", "acme", &key]);
    assert_eq!(verdict(&server, &caller, &secret), "not_found");

    // People and their roles as well: a new member's key, and what is left of it after they become a viewer.
    let (code, said) = cli.with_input(&["user", "create", "--email", "b@example.com", "--username", "bob", "--password-stdin"], PASSWORD);
    assert_eq!(code, Some(0), "{said}");
    cli.stdout(&["member", "add", "--workspace", "acme", "--user", "bob", "--role", "member"]);
    let bobs = cli.stdout(&["key", "create", "--workspace", "acme", "--owner", "bob", "--scope", "verify"]);
    assert_eq!(verdict(&server, bobs.trim_end(), &caller), "valid");
    cli.stdout(&["member", "add", "--workspace", "acme", "--user", "bob", "--role", "viewer"]);
    assert_eq!(verdict(&server, bobs.trim_end(), &caller), "forbidden");

    // What the server did is in the same audit log, and all of it fits together.
    let whole = cli.json(&["audit", "verify"]);
    assert_eq!((&whole["whole"], &whole["broken"]), (&json!(true), &Value::Null));
    assert!(whole["events"].as_u64().unwrap() >= 9, "{whole}");
}

#[tokio::test]
async fn a_second_server_on_the_same_file_refuses_to_start() {
    let (_folder, cli) = Cli::founded();
    let server = Server::start(&cli, &[]).await;
    let begun = Instant::now();
    let second = cli.run(&["serve", "--addr", "127.0.0.1:0"]);
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(said.contains("another Keyfold server is using") && said.contains("Stop it first"), "{said}");
    assert!(begun.elapsed() < Duration::from_secs(5));
    // The first one has not noticed.
    server.send(&Call::get("/readyz")).expect(200);
}

#[tokio::test]
async fn a_server_that_is_asked_to_stop_writes_every_count() {
    let (_folder, cli) = Cli::founded();
    let caller = cli.key(&["--full-access"]);
    let secret = cli.stdout(&["key", "create", "--workspace", "acme", "--owner", "ada", "--name", "counted", "--scope", "chat"]);
    let mut server = Server::start(&cli, &AT_ONCE).await;
    for _ in 0..37 {
        assert_eq!(verdict(&server, &caller, secret.trim_end()), "valid");
    }
    assert_eq!(server.terminate().await, Some(0));
    let listed = cli.json(&["key", "list", "--workspace", "acme", "--search", "counted"]);
    assert_eq!(listed["data"][0]["total_calls"], 37);
    assert!(listed["data"][0]["last_used_at"].is_string());
}

#[tokio::test]
async fn a_server_that_is_asked_to_stop_finishes_what_it_began() {
    let (_folder, cli) = Cli::founded();
    let caller = cli.key(&["--full-access"]);
    let mut server = Server::start(&cli, &AT_ONCE).await;
    let body = json!({"key": caller}).to_string();
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let head = format!(
        "POST /v1/verify HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {caller}\r\ncontent-type: application/json\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    // The server says that it is reading.
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    server.ask_to_stop();
    eventually(Duration::from_secs(10), || {
        // New connections are refused by now.
        if TcpStream::connect(("127.0.0.1", server.port())).is_err() { Ok(()) } else { Err("still accepting".to_owned()) }
    })
    .await;
    stream.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains(r#""code":"valid""#), "{answer}");
    assert_eq!(server.exit_code().await, Some(0));
}

#[tokio::test]
async fn a_user_is_disabled_enabled_and_gets_a_link_beside_a_running_server() {
    let (_folder, cli) = Cli::founded();
    let server = Server::start(&cli, &[]).await;
    // Somebody has to stay in charge: the founder is no instance administrator.
    let (code, _) = cli.with_input(&["user", "create", "--email", "b@example.com", "--username", "bob", "--password-stdin"], PASSWORD);
    assert_eq!(code, Some(0));
    cli.run(&["member", "add", "--workspace", "acme", "--user", "bob", "--role", "member"]);
    let secret = cli.stdout(&["key", "create", "--workspace", "acme", "--owner", "bob", "--name", "bobs", "--scope", "chat"]);
    let secret = secret.trim();
    let whoami = || server.send(&Call::get("/v1/whoami").bearer(secret)).code();
    assert_eq!(whoami(), 200);
    assert_eq!(cli.json(&["user", "disable", "bob"])["active"], false);
    assert_eq!(whoami(), 401);
    assert_eq!(cli.run(&["user", "reset-link", "bob"]).status.code(), Some(1), "a disabled user could not sign in");
    assert_eq!(cli.json(&["user", "enable", "BOB"])["active"], true);
    assert_eq!(whoami(), 200);

    let listed = cli.json(&["user", "list", "--search", "b@"]);
    assert_eq!((&listed["data"][0]["username"], listed["data"].as_array().unwrap().len()), (&json!("bob"), 1));
    assert!(cli.stdout(&["user", "list"]).contains("bob"));
    let output = cli.run(&["user", "reset-link", "bob"]);
    let link = String::from_utf8(output.stdout).unwrap();
    let token = link.trim().split_once("/reset?token=").unwrap().1.to_owned();
    assert!(token.len() == 44 && !String::from_utf8(output.stderr).unwrap().contains(&token));
    assert_eq!(cli.run(&["user", "disable", "nobody"]).status.code(), Some(1));
    assert_eq!(cli.run(&["user", "disable"]).status.code(), Some(2));
}

#[test]
fn the_document_is_printed_without_a_database() {
    let folder = tempfile::tempdir().unwrap();
    let printed = Cli::on(folder.path()).stdout(&["openapi"]);
    let document: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(document, serde_json::to_value(keyfold_server::rest::openapi_document()).unwrap());
    assert!(!folder.path().join("data").exists());
}

#[tokio::test]
async fn the_first_administrator_is_made_with_the_printed_link() {
    let folder = tempfile::tempdir().unwrap();
    let cli = Cli::on(folder.path());
    let server = Server::start(&cli, &[]).await;
    let token = std::fs::read_to_string(folder.path().join("data/setup-token")).unwrap();
    let set_up = |token: &str, username: &str| {
        Call::post("/_app/complete_setup").header("sec-fetch-site", "same-origin").form(&[
            ("token", token),
            ("username", username),
            ("email", "ada@example.com"),
            ("display_name", "Ada"),
            ("password", PASSWORD),
            ("workspace_name", "Acme"),
            ("workspace_slug", "acme"),
        ])
    };
    assert_eq!(server.send(&set_up("0000000000000000000000000000000000000000000", "mallory")).code(), 403);
    let done = server.send(&set_up(token.trim(), "ada")).expect(200);
    assert_eq!(done.cookies().len(), 1);
    // Used up: whoever comes second finds nothing.
    assert_eq!(server.send(&set_up(token.trim(), "mallory")).code(), 404);
    let secret = cli.key(&["--scope", "chat"]);
    server.send(&Call::get("/v1/whoami").bearer(&secret)).expect(200);
}

#[test]
fn a_kept_head_tells_of_a_log_that_was_cut() {
    let (folder, cli) = Cli::founded();
    let kept = folder.path().join("heads.json");
    let printed = cli.json(&["audit", "head"]);
    assert_eq!(printed["heads"].as_array().unwrap().len(), 2);
    std::fs::write(&kept, printed.to_string()).unwrap();
    let against = |path: &std::path::Path| cli.run(&["audit", "verify", "--json", "--head", path.to_str().unwrap()]);
    assert_eq!(against(&kept).status.code(), Some(0));
    // Nobody's log has had this event yet: as if it had been cut since.
    let mut longer = printed;
    let seq = longer["heads"][0]["seq"].as_i64().unwrap();
    longer["heads"][0]["seq"] = json!(seq + 1);
    std::fs::write(&kept, longer.to_string()).unwrap();
    let cut = against(&kept);
    assert_eq!(cut.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&cut.stdout).unwrap();
    assert_eq!((&report["whole"], &report["broken"]["seq"]), (&json!(false), &json!(seq + 1)));
    std::fs::write(&kept, "nonsense").unwrap();
    assert_eq!(against(&kept).status.code(), Some(1));
    assert_eq!(against(&folder.path().join("absent")).status.code(), Some(1));
}
