//! `keyfold backup` and `keyfold restore` as an operator runs them: beside a server under load, after a mistake, after a crash.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Call, Cli, Server, eventually, send};

/// An instance, and the folder that other instances and backups are made in.
struct Place {
    folder: tempfile::TempDir,
    cli: Cli,
}

impl Place {
    fn founded() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("home");
        std::fs::create_dir(&home).unwrap();
        let cli = Cli::on(&home);
        cli.found();
        Self { folder, cli }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn pepper(&self) -> PathBuf {
        self.path("home/data/pepper.key")
    }

    /// Another, empty place with the pepper in it.
    fn elsewhere(&self, name: &str) -> Cli {
        let data = self.path(name).join("data");
        std::fs::create_dir_all(&data).unwrap();
        std::fs::copy(self.pepper(), data.join("pepper.key")).unwrap();
        Cli::on(&self.path(name))
    }

    fn back_up(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        self.cli.stdout(&["backup", text(&path)]);
        path
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// What a key is told about itself.
fn status(server: &Server, secret: &str) -> u16 {
    server.send(&Call::get("/v1/whoami").bearer(secret)).code()
}

/// The exit code and what was said on standard error.
fn refused(cli: &Cli, arguments: &[&str]) -> (Option<i32>, String) {
    let output = cli.run(arguments);
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

fn create(port: u16, caller: &str, made: &Mutex<Vec<String>>, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let call =
            Call::post("/v1/workspaces/acme/keys").bearer(caller).json(&json!({"name": "written", "kind": "secret", "scopes": ["chat"]}));
        let body = send(port, &call).unwrap().expect(201).json();
        if made.lock().unwrap().len() < 200 {
            made.lock().unwrap().push(body["secret"].as_str().unwrap().to_owned());
        } else {
            // A person has so many keys and no more.
            let path = format!("/v1/workspaces/acme/keys/{}", body["id"].as_str().unwrap());
            send(port, &Call::delete(path).bearer(caller)).unwrap().expect(204);
        }
    }
}

#[tokio::test]
async fn a_backup_under_load_restores_to_all_that_was_acknowledged_before_it() {
    const ROUNDS: usize = 5;
    let place = Place::founded();
    let caller = place.cli.key(&["--full-access"]);
    let server = Server::start(&place.cli, &[]).await;
    let (made, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
    let writers: Vec<_> = (0..3)
        .map(|_| {
            let (made, caller, stop, port) = (Arc::clone(&made), caller.clone(), Arc::clone(&stop), server.port());
            std::thread::spawn(move || create(port, &caller, &made, &stop))
        })
        .collect();
    let mut backups = Vec::new();
    for round in 1..=ROUNDS {
        eventually(Duration::from_secs(20), || {
            let written = made.lock().unwrap().len();
            if written >= round * 10 { Ok(()) } else { Err(format!("{written} keys")) }
        })
        .await;
        let before = made.lock().unwrap().clone();
        let path = place.path(&format!("{round}.db"));
        let told = place.cli.json(&["backup", text(&path)]);
        assert!(told["keys"].as_u64().unwrap() > u64::try_from(before.len()).unwrap(), "{told}");
        assert_eq!(told["bytes"].as_u64().unwrap(), std::fs::metadata(&path).unwrap().len());
        backups.push((path, before));
    }
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.join().unwrap();
    }
    drop(server);
    for (round, (path, secrets)) in backups.iter().enumerate() {
        let cli = place.elsewhere(&format!("restored-{round}"));
        cli.stdout(&["restore", text(path), "--accept-revived-keys"]);
        let whole = cli.json(&["audit", "verify"]);
        assert_eq!(whole["whole"], true);
        cli.stdout(&["doctor"]);
        let server = Server::start(&cli, &[]).await;
        for secret in secrets {
            assert_eq!(status(&server, secret), 200);
        }
    }
}

#[tokio::test]
async fn a_deleted_key_stays_dead_when_the_events_since_are_given() {
    let place = Place::founded();
    let (kept, deleted) = (place.cli.key(&["--scope", "chat"]), place.cli.key(&["--scope", "chat"]));
    let backup = place.back_up("backup.db");
    let hint = &deleted[deleted.len() - 4..];
    let id = place.cli.json(&["key", "list", "--workspace", "acme", "--search", hint])["data"][0]["id"].as_str().unwrap().to_owned();
    place.cli.stdout(&["key", "delete", "--workspace", "acme", &id]);
    let younger = place.cli.key(&["--scope", "chat"]);
    let events = place.path("events.jsonl");
    std::fs::write(&events, place.cli.stdout(&["audit", "export"])).unwrap();

    // Without a word on it, nothing is restored, and it is said why.
    let asked = place.elsewhere("asked");
    let (code, said) = refused(&asked, &["restore", text(&backup)]);
    assert_eq!(code, Some(2));
    assert!(["would work again", "--events", "--deactivate-all", "--accept-revived-keys"].iter().all(|word| said.contains(word)), "{said}");
    assert_eq!(refused(&asked, &["restore", text(&backup), "--accept-revived-keys", "--deactivate-all"]).0, Some(2));
    assert!(!place.path("asked/data/keyfold.db").exists());

    let followed = place.elsewhere("followed");
    let told = followed.json(&["restore", text(&backup), "--events", text(&events)]);
    assert_eq!((&told["keys_deleted"], &told["not_done_again"]["key.create"]), (&json!(1), &json!(1)), "{told}");
    let server = Server::start(&followed, &[]).await;
    assert_eq!([&kept, &deleted, &younger].map(|secret| status(&server, secret)), [200, 401, 401]);
    drop(server);
    let accepted = place.elsewhere("accepted");
    let words = accepted.stdout(&["restore", text(&backup), "--accept-revived-keys"]);
    assert!(words.contains("work again"), "{words}");
    let server = Server::start(&accepted, &[]).await;
    assert_eq!([&kept, &deleted].map(|secret| status(&server, secret)), [200, 200]);
    drop(server);
    let stopped = place.elsewhere("stopped");
    assert_eq!(stopped.json(&["restore", text(&backup), "--deactivate-all"])["keys_deactivated"], 2);
    let server = Server::start(&stopped, &[]).await;
    assert_eq!(status(&server, &kept), 401);
    assert_eq!(stopped.json(&["audit", "verify"])["whole"], true);
}

#[tokio::test]
async fn without_the_right_pepper_nothing_is_restored_and_the_right_one_is_named() {
    let place = Place::founded();
    let told = place.cli.json(&["backup", text(&place.path("backup.db"))]);
    let wanted = told["pepper"].as_str().unwrap();
    let pepper = std::fs::read_to_string(place.pepper()).unwrap();
    assert!(!told.to_string().contains(pepper.trim()));
    let backup = place.path("backup.db");
    let restore = ["restore", text(&backup), "--accept-revived-keys"];
    let bare = place.elsewhere("bare");
    std::fs::remove_file(place.path("bare/data/pepper.key")).unwrap();
    let (code, said) = refused(&bare, &restore);
    assert!(code == Some(1) && said.contains(wanted) && said.contains("no pepper file"), "{said}");
    assert!(!place.path("bare/data/pepper.key").exists(), "none is made: it would be a wrong one");
    // A pepper of another instance.
    let other = Place::founded();
    std::fs::copy(other.pepper(), place.path("bare/data/pepper.key")).unwrap();
    let (code, said) = refused(&bare, &restore);
    assert!(code == Some(1) && said.matches("fingerprint").count() >= 2 && said.contains(wanted), "{said}");
    assert!(!place.path("bare/data/keyfold.db").exists());
    std::fs::copy(place.pepper(), place.path("bare/data/pepper.key")).unwrap();
    bare.stdout(&restore);
}

#[test]
fn a_backup_is_refused_with_the_remedy_where_it_cannot_be_taken_or_restored() {
    let place = Place::founded();
    let backup = place.back_up("backup.db");
    let taken = ["backup", text(&backup)];
    let (code, said) = refused(&place.cli, &taken);
    assert!(code == Some(1) && said.contains("--force"), "{said}");
    place.cli.stdout(&[&taken[..], &["--force"]].concat());
    let own = place.path("home/data/keyfold.db");
    let (code, said) = refused(&place.cli, &["backup", text(&own), "--force"]);
    assert!(code == Some(1) && said.contains("the database itself"), "{said}");
    let (code, said) = refused(&place.cli, &["restore", text(&backup), "--accept-revived-keys"]);
    assert!(code == Some(1) && said.contains("empty place"), "{said}");
    let empty = place.elsewhere("empty");
    let (code, said) = refused(&empty, &["backup", text(&place.path("nothing.db"))]);
    assert!(code == Some(1) && said.contains("there is no database"), "{said}");
    assert!(!place.path("nothing.db").exists() && !place.path("empty/data/keyfold.db").exists());
    let (code, said) = refused(&empty, &["restore", text(&place.pepper()), "--deactivate-all"]);
    assert!(code == Some(1) && said.contains("no database of Keyfold's"), "{said}");
    let postgres = ["--database-url", "postgres://db.invalid/keyfold"];
    for command in [&["backup", "x"][..], &["restore", text(&backup), "--deactivate-all"]] {
        let (code, said) = refused(&empty, &[command, &postgres].concat());
        assert!(code == Some(1) && said.contains("pg_dump"), "{said}");
    }
    assert_eq!(refused(&empty, &["backup"]).0, Some(2));
}

#[test]
fn heads_from_after_the_backup_are_put_aside_and_asked_for() {
    let place = Place::founded();
    let deleted = place.cli.key(&["--scope", "chat"]);
    let backup = place.back_up("backup.db");
    let id = place.cli.json(&["key", "list", "--workspace", "acme"])["data"][0]["id"].as_str().unwrap().to_owned();
    place.cli.stdout(&["key", "delete", "--workspace", "acme", &id]);
    let events = place.path("events.jsonl");
    std::fs::write(&events, place.cli.stdout(&["audit", "export"])).unwrap();
    let cli = place.elsewhere("restored");
    let heads = place.path("restored/data/audit-heads.json");
    std::fs::write(&heads, place.cli.stdout(&["audit", "head"])).unwrap();
    let early = place.path("early.jsonl");
    std::fs::write(&early, "").unwrap();
    let (code, said) = refused(&cli, &["restore", text(&backup), "--events", text(&early)]);
    assert!(code == Some(1) && said.contains("by the heads that were kept"), "{said}");
    cli.stdout(&["restore", text(&backup), "--events", text(&events)]);
    assert!(!heads.exists() && place.path("restored/data/audit-heads.json.before-restore").exists());
    assert!(cli.stdout(&["key", "list", "--workspace", "acme", "--state", "deleted"]).contains(&id), "{deleted}");
}

#[test]
fn a_restore_that_is_killed_leaves_what_a_second_one_accepts() {
    let place = Place::founded();
    let secret = place.cli.key(&["--scope", "chat"]);
    let backup = place.back_up("backup.db");
    let restore = ["restore", text(&backup), "--deactivate-all"];
    let mut killed = 0;
    for round in 0..40 {
        let name = format!("killed-{round}");
        let cli = place.elsewhere(&name);
        let (part, whole) = (place.path(&name).join("data/keyfold.db.restoring"), place.path(&name).join("data/keyfold.db"));
        let mut child = cli.spawn(&restore);
        let begun = Instant::now();
        while !part.exists() && child.try_wait().unwrap().is_none() && begun.elapsed() < Duration::from_secs(20) {
            std::thread::yield_now();
        }
        // At another point of its work every time.
        let later = Instant::now() + Duration::from_micros(round * 700);
        while Instant::now() < later {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        if !whole.exists() {
            killed += 1;
            cli.stdout(&restore);
        }
        let listed: Value = cli.json(&["key", "list", "--workspace", "acme"]);
        assert_eq!(listed["data"][0]["state"], "inactive", "{listed}");
        assert!(!part.exists() || whole.exists());
        if killed >= 8 {
            break;
        }
    }
    assert!(killed >= 3, "only {killed} were stopped in the middle; {}", &secret[..6]);
}
