//! `keyfold migrate` as an operator runs it: to PostgreSQL with downtime, and back, with nobody's key noticing.

use std::time::{Duration, Instant};

use keyfold_engine::DatabaseUrl;
use keyfold_engine::testing::fresh_schema;
use serde_json::{Value, json};

use crate::support::{COOKIE, Call, Cli, Server, postgres_url, verdict};

const AT_ONCE: [&str; 2] = ["--shutdown-delay-seconds", "0"];

/// A schema of one's own, and its password, which nobody may see.
async fn nowhere_yet(server: &str) -> (String, String) {
    let DatabaseUrl::Postgres(url) = fresh_schema(server).await.unwrap() else { unreachable!() };
    let password = url.split_once("://keyfold:").unwrap().1.split('@').next().unwrap().to_owned();
    (url, password)
}

/// What lists say that an operator and a console would look at.
fn lists(cli: &Cli) -> Vec<Value> {
    let workspaces = ["orchard", "harbor", "lab"];
    let of = |list: &'static [&'static str]| workspaces.map(|slug| cli.json(&[list, &["--workspace", slug]].concat()));
    let mut all: Vec<Value> = [&["key", "list", "--state", "all"][..], &["resource", "list"]].into_iter().flat_map(of).collect();
    all.push(cli.json(&["user", "list"]));
    let mut heads = cli.json(&["audit", "head"]);
    heads.as_object_mut().unwrap().remove("taken_at");
    all.push(heads);
    all
}

/// The keys that a page of the console shows, in their order.
fn shown(server: &Server, session: &str, page: &str) -> Vec<String> {
    let call = Call::get(page).header("accept", "text/html").header("cookie", &format!("{COOKIE}={session}"));
    let html = server.send(&call).expect(200).text();
    let mut keys: Vec<String> = Vec::new();
    for rest in html.split("/keys/key_").skip(1) {
        let id: String = rest.chars().take_while(char::is_ascii_alphanumeric).collect();
        if !keys.contains(&id) {
            keys.push(id);
        }
    }
    assert!(!keys.is_empty(), "{page} shows no keys");
    keys
}

const PAGES: [&str; 3] = ["/w/orchard/keys", "/w/orchard/keys?sort=name", "/w/orchard/keys?state=deleted&sort=-last_used"];

#[tokio::test]
async fn an_instance_moves_to_postgresql_and_back_and_its_keys_go_on_working() {
    let Some(postgres) = postgres_url() else { return };
    let folder = tempfile::tempdir().unwrap();
    let cli = Cli::on(folder.path());
    let made = cli.json(&["demo", "--keys", "300"]);
    let [admin, password] = ["administrator", "password"].map(|field| made[field].as_str().unwrap().to_owned());
    let key = |access: &[&str]| {
        let create = ["key", "create", "--workspace", "orchard", "--owner", admin.as_str(), "--name", "moved"];
        cli.json(&[&create[..], access].concat())
    };
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let caller = text(&key(&["--full-access"])["secret"]);
    let [works, deleted] = [key(&["--scope", "chat"]), key(&["--scope", "chat"])];
    cli.stdout(&["key", "delete", "--workspace", "orchard", deleted["id"].as_str().unwrap()]);
    let id = text(&works["id"]);
    let (works, deleted) = (text(&works["secret"]), text(&deleted["secret"]));
    let verdicts = |server: &Server| [&works, &deleted].map(|secret| verdict(server.port(), &caller, secret).unwrap());
    let revision = |server: &Server| {
        let rename = Call::patch(format!("/v1/workspaces/orchard/keys/{id}")).bearer(&caller).json(&json!({"note": "looked at"}));
        server.send(&rename).expect(200).header("keyfold-revision").unwrap().parse::<i64>().unwrap()
    };
    let (url, secret) = nowhere_yet(&postgres).await;

    let mut server = Server::start(&cli, &AT_ONCE).await;
    let sign_in = Call::post("/_app/sign_in").header("sec-fetch-site", "same-origin").form(&[("login", &admin), ("password", &password)]);
    let session = server.send(&sign_in).expect(200).cookies().into_iter().find(|(name, _)| name == COOKIE).unwrap().1;
    assert_eq!(verdicts(&server), ["valid", "not_found"]);
    let before = revision(&server);
    let pages = PAGES.map(|page| shown(&server, &session, page));
    let refused = cli.run(&["migrate", "--to", &url]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("Stop it first"), "{refused:?}");
    assert_eq!(server.terminate().await, Some(0));

    let were = lists(&cli);
    let moved = cli.run(&["migrate", "--to", &url]);
    let said = format!("{}{}", String::from_utf8(moved.stdout).unwrap(), String::from_utf8(moved.stderr).unwrap());
    assert!(moved.status.success(), "{said}");
    assert!(said.contains("secrets: ") && said.contains("DIGEST") && said.contains("Put the old database"), "{said}");
    assert!(!said.contains(&secret) && !said.contains("kf_sec_"), "{said}");
    let pepper = folder.path().join("data/pepper.key").display().to_string();
    let there = |name: &str, url: &str| {
        let own = folder.path().join(name);
        std::fs::create_dir(&own).unwrap();
        Cli::on(&own).with(&["--database-url", url, "--pepper-file", &pepper])
    };
    let second = there("second", &url);
    assert_eq!(lists(&second), were);
    assert_eq!(second.json(&["audit", "verify"])["whole"], true);
    let mut server = Server::start(&second, &AT_ONCE).await;
    assert_eq!(verdicts(&server), ["valid", "not_found"]);
    // Whoever was signed in still is, and sees the same lists in the same order.
    assert_eq!(PAGES.map(|page| shown(&server, &session, page)), pages);
    let meanwhile = revision(&server);
    assert!(meanwhile > before, "{meanwhile} after {before}");
    let running = second.run(&["migrate", "--to", "sqlite:back.db"]);
    assert_eq!(running.status.code(), Some(1), "while a server runs");
    assert_eq!(server.terminate().await, Some(0));
    assert_eq!(cli.run(&["migrate", "--to", &url]).status.code(), Some(1), "there is an instance already");

    let were = lists(&second);
    let back = folder.path().join("back.db");
    let report = second.json(&["migrate", "--to", &format!("sqlite:{}", back.display())]);
    let events = second.json(&["audit", "verify"]);
    assert_eq!((&report["audit_events"], report["tables"].as_array().unwrap().len() > 20), (&events["events"], true), "{report}");
    let third = there("third", &format!("sqlite:{}", back.display()));
    assert_eq!(lists(&third), were);
    let server = Server::start(&third, &AT_ONCE).await;
    assert_eq!(verdicts(&server), ["valid", "not_found"]);
    assert!(revision(&server) > meanwhile);
}

#[tokio::test]
async fn a_move_that_is_killed_can_be_done_again() {
    let Some(postgres) = postgres_url() else { return };
    let folder = tempfile::tempdir().unwrap();
    let cli = Cli::on(folder.path());
    cli.json(&["demo", "--keys", "3000"]);
    let mut killed = 0;
    let mut wait = Duration::from_millis(60);
    for _ in 0..30 {
        let (url, _) = nowhere_yet(&postgres).await;
        let begun = Instant::now();
        let mut child = cli.spawn(&["migrate", "--to", &url]);
        while begun.elapsed() < wait && child.try_wait().unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let finished = child.try_wait().unwrap().is_some();
        child.kill().unwrap();
        child.wait().unwrap();
        if finished {
            // From the beginning, so that every part of the work is interrupted some time.
            wait = Duration::from_millis(80);
            continue;
        }
        killed += 1;
        wait = wait.mul_f64(1.4);
        // Nothing of it is left: the same again is not refused, unless the last moment was the end of it.
        let again = cli.run(&["migrate", "--to", &url]);
        let said = String::from_utf8_lossy(&again.stderr).into_owned();
        if again.status.code() != Some(0) {
            assert!(said.contains("is not empty"), "{said}");
            let whole = Cli::on(folder.path()).with(&["--database-url", &url]).json(&["audit", "verify"]);
            assert_eq!(whole["whole"], true);
        }
        if killed >= 8 {
            break;
        }
    }
    assert!(killed >= 5, "only {killed} were stopped in the middle");
}

#[test]
fn a_move_is_refused_with_the_remedy_and_without_a_password() {
    let (folder, cli) = Cli::founded();
    for (arguments, code, word) in [
        (&["migrate"][..], 2, "--to"),
        (&["migrate", "--to", "postgres//keyfold:hunter2@db/keyfold"], 2, "a database is"),
        (&["migrate", "--to", "sqlite:other.db"], 1, "keyfold backup"),
        (&["migrate", "--to", "postgres://keyfold:hunter2@127.0.0.1:1/keyfold"], 1, "postgres://127.0.0.1:1/keyfold"),
        (&["migrate", "--from", "sqlite:nowhere.db", "--to", "postgres://keyfold:hunter2@127.0.0.1:1/keyfold"], 1, "no database at"),
    ] {
        let output = cli.run(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(word) && !said.contains("hunter2"), "{arguments:?}: {said}");
    }
    assert!(!folder.path().join("other.db").exists() && !folder.path().join("nowhere.db").exists());
}
