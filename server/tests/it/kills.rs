//! A server that is killed, or asked to stop, again and again in the middle of its work, on either database: nothing that was acknowledged is
//! lost, and nobody who was in time is turned away.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keyfold_engine::DatabaseUrl;
use keyfold_engine::testing::fresh_schema;
use serde_json::json;

use crate::support::{Call, Cli, Server, eventually, postgres_url, send, verdict};

/// An instance of its own; `None` if there is no PostgreSQL to run on.
async fn founded(on_postgres: bool) -> Option<(tempfile::TempDir, Cli)> {
    let folder = tempfile::tempdir().unwrap();
    let mut cli = Cli::on(folder.path());
    if on_postgres {
        let DatabaseUrl::Postgres(url) = fresh_schema(&postgres_url()?).await.unwrap() else { unreachable!() };
        cli = cli.with(&["--database-url", &url]);
    }
    cli.found();
    Some((folder, cli))
}

/// Creates, rotates and deletes keys until the server is gone, and notes what was acknowledged.
#[derive(Default)]
struct Journal {
    /// Each key with its current secret.
    created: Vec<(String, String)>,
    deleted: BTreeSet<String>,
    /// Secrets in whose place another one came at once.
    ended: Vec<String>,
    /// Asked to be deleted or rotated, without an answer: either way is right.
    unsure: BTreeSet<String>,
}

/// How often the server is killed or stopped: more often where time is set aside for it.
#[expect(clippy::disallowed_methods, reason = "tests are told by the environment how long they may take")]
fn times() -> u32 {
    std::env::var("KEYFOLD_TEST_KILLS").ok().and_then(|times| times.parse().ok()).unwrap_or(20)
}

fn write(port: u16, caller: &str, journal: &Mutex<Journal>, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let create =
            Call::post("/v1/workspaces/acme/keys").bearer(caller).json(&json!({"name": "written", "kind": "secret", "scopes": ["chat"]}));
        let Some(answer) = send(port, &create) else { return };
        let body = answer.expect(201).json();
        let (id, secret) = (body["id"].as_str().unwrap().to_owned(), body["secret"].as_str().unwrap().to_owned());
        let (count, live) = {
            let mut journal = journal.lock().unwrap();
            journal.created.push((id.clone(), secret));
            (journal.created.len(), journal.created.len() - journal.deleted.len())
        };
        if count % 5 == 0 {
            journal.lock().unwrap().unsure.insert(id.clone());
            let rotate = Call::post(format!("/v1/workspaces/acme/keys/{id}/rotate")).bearer(caller).json(&json!({"grace": "now"}));
            let Some(answer) = send(port, &rotate) else { return };
            let fresh = answer.expect(200).json()["secret"].as_str().unwrap().to_owned();
            let mut journal = journal.lock().unwrap();
            journal.unsure.remove(&id);
            let (_, secret) = journal.created.iter_mut().find(|(made, _)| *made == id).unwrap();
            let old = std::mem::replace(secret, fresh);
            journal.ended.push(old);
        }
        // A person has so many keys and no more.
        if count % 3 == 0 || live > 350 {
            journal.lock().unwrap().unsure.insert(id.clone());
            let Some(answer) = send(port, &Call::delete(format!("/v1/workspaces/acme/keys/{id}")).bearer(caller)) else {
                return;
            };
            answer.expect(204);
            let mut journal = journal.lock().unwrap();
            journal.unsure.remove(&id);
            journal.deleted.insert(id);
        }
    }
}

async fn nothing_acknowledged_is_lost(on_postgres: bool) {
    let Some((folder, cli)) = founded(on_postgres).await else { return };
    let caller = cli.key(&["--full-access"]);
    let journal = Arc::new(Mutex::new(Journal::default()));
    for round in 0..times() {
        let server = Server::start(&cli, &[]).await;
        let stop = Arc::new(AtomicBool::new(false));
        let writers: Vec<_> = (0..4)
            .map(|_| {
                let (journal, caller, stop, port) = (Arc::clone(&journal), caller.clone(), Arc::clone(&stop), server.port());
                std::thread::spawn(move || write(port, &caller, &journal, &stop))
            })
            .collect();
        // At another point of the writers' work every time.
        let enough = journal.lock().unwrap().created.len() + 3 + usize::try_from(round * 7 % 11).unwrap();
        eventually(Duration::from_secs(10), || {
            let written = journal.lock().unwrap().created.len();
            if written >= enough { Ok(()) } else { Err(format!("{written} writes")) }
        })
        .await;
        server.kill();
        stop.store(true, Ordering::Relaxed);
        for writer in writers {
            writer.join().unwrap();
        }
    }
    let server = Server::start(&cli, &[]).await;
    let says = |secret: &str| verdict(server.port(), &caller, secret).unwrap();
    let journal = journal.lock().unwrap();
    assert!(journal.created.len() > 50 && !journal.deleted.is_empty() && !journal.ended.is_empty());
    for secret in &journal.ended {
        assert_eq!(says(secret), "not_found", "a secret that was replaced works again");
    }
    for (id, secret) in &journal.created {
        let seen = says(secret);
        let expected = if journal.deleted.contains(id) { "not_found" } else { "valid" };
        assert!(seen == expected || journal.unsure.contains(id), "{id}: {seen} and not {expected}");
    }
    assert_eq!(cli.json(&["audit", "verify"])["whole"], true);
    if !on_postgres {
        // Every page and index is looked at on the way.
        cli.stdout(&["backup", folder.path().join("backup.db").to_str().unwrap()]);
    }
}

#[tokio::test]
async fn a_killed_server_has_lost_no_acknowledged_write_on_sqlite() {
    nothing_acknowledged_is_lost(false).await;
}

#[tokio::test]
async fn a_killed_server_has_lost_no_acknowledged_write_on_postgres() {
    nothing_acknowledged_is_lost(true).await;
}

/// Clients ask without a pause while the server is asked to stop, and for a moment after that, as they do until a load balancer has
/// noticed. Every one of them is answered, and every answer is counted, over all the lives of the server together.
async fn everybody_in_time_is_answered(on_postgres: bool) {
    let Some((_folder, cli)) = founded(on_postgres).await else { return };
    let caller = cli.key(&["--full-access"]);
    let secret = cli.stdout(&["key", "create", "--workspace", "acme", "--owner", "ada", "--name", "counted", "--scope", "chat"]);
    let secret = secret.trim_end().to_owned();
    let answered = Arc::new(AtomicU64::new(0));
    let made = Arc::new(AtomicU64::new(0));
    for round in 0..times() {
        let mut server = Server::start(&cli, &["--shutdown-delay-seconds", "1"]).await;
        let (stop, port) = (Arc::new(AtomicBool::new(false)), server.port());
        let clients: Vec<_> = (0..4)
            .map(|number| {
                let (stop, answered, made) = (Arc::clone(&stop), Arc::clone(&answered), Arc::clone(&made));
                let (caller, secret) = (caller.clone(), secret.clone());
                std::thread::spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        // One of them changes things.
                        if number == 0 && made.load(Ordering::Relaxed) < 300 {
                            let create = json!({"name": "made", "kind": "secret", "scopes": ["chat"]});
                            let create = Call::post("/v1/workspaces/acme/keys").bearer(&caller).json(&create);
                            // Who was in time is answered.
                            send(port, &create).unwrap().expect(201);
                            made.fetch_add(1, Ordering::Relaxed);
                        }
                        assert_eq!(verdict(port, &caller, &secret).as_deref(), Some("valid"), "in round {round}");
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        let enough = answered.load(Ordering::Relaxed) + 20 + u64::from(round % 7) * 5;
        eventually(Duration::from_secs(10), || {
            let seen = answered.load(Ordering::Relaxed);
            if seen >= enough || clients.iter().any(std::thread::JoinHandle::is_finished) { Ok(()) } else { Err(format!("{seen} answers")) }
        })
        .await;
        server.ask_to_stop();
        tokio::time::sleep(Duration::from_millis(300)).await;
        stop.store(true, Ordering::Relaxed);
        for client in clients {
            client.join().unwrap();
        }
        assert_eq!(server.exit_code().await, Some(0));
    }
    let counted = cli.json(&["key", "list", "--workspace", "acme", "--search", "counted"])["data"][0]["total_calls"].as_u64();
    assert_eq!(counted, Some(answered.load(Ordering::Relaxed)));
    let listed = cli.json(&["key", "list", "--workspace", "acme", "--search", "made"])["data"].as_array().unwrap().len();
    assert_eq!(u64::try_from(listed).unwrap(), made.load(Ordering::Relaxed));
}

#[tokio::test]
async fn a_server_that_is_asked_to_stop_answers_everybody_and_counts_exactly_on_sqlite() {
    everybody_in_time_is_answered(false).await;
}

#[tokio::test]
async fn a_server_that_is_asked_to_stop_answers_everybody_and_counts_exactly_on_postgres() {
    everybody_in_time_is_answered(true).await;
}
