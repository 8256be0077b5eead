//! The pages on running Keyfold, tried as they stand: the units by systemd's own judgement, their command by a real process, and the
//! configuration of HAProxy in front of three real servers, of which one is paused, and one is stopped.

use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use keyfold_engine::DatabaseUrl;
use keyfold_engine::testing::fresh_schema;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::support::page::{blocks, fitted};
use crate::support::{Balancer, Call, Cli, Cluster, eventually, free_port, postgres_url, send, systemd_analyze};

const PROGRAM: &str = env!("CARGO_BIN_EXE_keyfold");
/// Long enough for a busy machine.
const SOON: Duration = Duration::from_secs(20);

/// The one unit of a page.
fn unit(page: &str) -> String {
    let [unit] = <[String; 1]>::try_from(blocks(page, "ini")).unwrap();
    unit
}

/// What a unit says for a name; each line of it.
fn said<'a>(unit: &'a str, name: &str) -> Vec<&'a str> {
    unit.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('=')).collect()
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units_and_little_that_they_leave_open() {
    let Some(analyze) = systemd_analyze() else { return };
    for page in ["operations.md", "deploy-nodes.md"] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keyfold.service");
        // The program has to be there to be judged.
        std::fs::write(&file, fitted(&unit(page), &[("/usr/local/bin/keyfold", PROGRAM)])).unwrap();
        let run = |arguments: &[&str]| Command::new(&analyze).args(arguments).arg(&file).stdin(Stdio::null()).output().unwrap();
        let verified = run(&["verify"]);
        let words = String::from_utf8_lossy(&verified.stderr).into_owned();
        assert!(verified.status.success() && words.is_empty(), "{page}: {words}");
        // From 0 for what may nothing to 100 for what may all. It says 15 of them.
        let judged = run(&["security", "--offline=true", "--threshold=20", "--no-pager"]);
        assert!(judged.status.success(), "{page}: {}", String::from_utf8_lossy(&judged.stdout));
    }
}

#[tokio::test]
async fn the_command_of_the_unit_runs_with_the_configuration_of_the_page() {
    let Some(postgres) = postgres_url() else { return };
    let DatabaseUrl::Postgres(url) = fresh_schema(&postgres).await.unwrap() else { unreachable!() };
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let unit = unit("deploy-nodes.md");
    let [settings] = <[String; 1]>::try_from(blocks("deploy-nodes.md", "toml")).unwrap();
    // What the unit makes is what the configuration names.
    assert!(settings.contains(&format!("data_dir = \"/var/lib/{}\"", said(&unit, "StateDirectory")[0])));
    let port = free_port();
    let settings = fitted(
        &settings,
        &[
            ("10.0.0.11:3000", &format!("127.0.0.1:{port}")),
            ("postgres://keyfold:PASSWORD@db.internal/keyfold", &url),
            ("/var/lib/keyfold", &at("state")),
            ("/etc/keyfold/pepper.key", &at("pepper.key")),
        ],
    );
    std::fs::write(at("keyfold.toml"), settings).unwrap();
    let [command] = said(&unit, "ExecStart")[..] else { panic!("{unit}") };
    let command = fitted(command, &[("/usr/local/bin/keyfold", PROGRAM), ("/etc/keyfold.toml", &at("keyfold.toml"))]);
    let mut words = command.split_whitespace();
    let manager = UnixDatagram::bind(at("notify")).unwrap();
    manager.set_read_timeout(Some(SOON)).unwrap();
    let hear = || {
        let mut heard = [0; 64];
        let length = manager.recv(&mut heard).unwrap();
        String::from_utf8_lossy(&heard[..length]).into_owned()
    };
    assert_eq!(said(&unit, "Type"), ["notify"]);
    let mut server = Command::new(words.next().unwrap());
    let server = server.args(words).env_clear().env("NOTIFY_SOCKET", at("notify")).current_dir("/").stdin(Stdio::null());
    let mut server = server.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    assert_eq!(hear(), "READY=1");
    assert_eq!(send(port, &Call::get("/readyz")).unwrap().code(), 200);
    kill_process(Pid::from_child(&server), Signal::TERM).unwrap();
    let asked = Instant::now();
    assert_eq!(hear(), "STOPPING=1");
    // So that HAProxy goes elsewhere before nothing is accepted any more.
    assert_eq!(send(port, &Call::get("/readyz")).unwrap().code(), 503);
    let patience = Duration::from_secs(said(&unit, "TimeoutStopSec")[0].parse().unwrap());
    let code = eventually(patience, || server.try_wait().unwrap().ok_or_else(|| "still running".to_owned())).await;
    assert_eq!((code.code(), asked.elapsed() >= Duration::from_secs(4)), (Some(0), true));
}

/// Clients that ask and change through the balancer until they are told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    /// Verifications that were answered with yes.
    verified: Arc<AtomicU64>,
    /// Everything that was not answered as it should have been.
    failures: Arc<Mutex<Vec<String>>>,
    clients: Vec<std::thread::JoinHandle<()>>,
}

impl Load {
    fn start(port: u16, caller: &str, secret: &str, changes: bool) -> Self {
        let (stop, verified, failures) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default(), Arc::<Mutex<Vec<String>>>::default());
        let clients = (0..6).map(|number| {
            let (stop, verified, failures) = (Arc::clone(&stop), Arc::clone(&verified), Arc::clone(&failures));
            let (caller, secret) = (caller.to_owned(), secret.to_owned());
            std::thread::spawn(move || {
                let verify = Call::post("/v1/verify").bearer(&caller).json(&json!({"key": secret, "scope": "chat"}));
                let create = Call::post("/v1/workspaces/acme/keys").bearer(&caller);
                let create = create.json(&json!({"name": "made", "kind": "secret", "scopes": ["chat"]}));
                let list = Call::get("/v1/workspaces/acme/keys").bearer(&caller);
                while !stop.load(Ordering::Relaxed) {
                    let (what, call, wanted) = match number {
                        0 if changes => ("create", &create, 201),
                        1 => ("list", &list, 200),
                        _ => ("verify", &verify, 200),
                    };
                    match send(port, call) {
                        Some(answer) if answer.code() == wanted => {
                            if what == "verify" {
                                assert_eq!(answer.json()["code"], "valid");
                                verified.fetch_add(1, Ordering::Relaxed);
                            } else if what == "create" {
                                let path = format!("/v1/workspaces/acme/keys/{}", answer.json()["id"].as_str().unwrap());
                                match send(port, &Call::delete(path).bearer(&caller)) {
                                    Some(answer) if answer.code() == 204 => {}
                                    other => failures.lock().unwrap().push(format!("delete: {other:?}")),
                                }
                            }
                        }
                        other => failures.lock().unwrap().push(format!("{what}: {other:?}")),
                    }
                }
            })
        });
        let clients = clients.collect();
        Self { stop, verified, failures, clients }
    }

    async fn goes_on(&self) {
        let wanted = self.verified.load(Ordering::Relaxed) + 50;
        eventually(SOON, || {
            let seen = self.verified.load(Ordering::Relaxed);
            if seen >= wanted { Ok(()) } else { Err(format!("{seen} of {wanted}")) }
        })
        .await;
    }

    /// How many verifications were answered with yes, once nobody asks any more; and all that failed.
    fn finish(self) -> (u64, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().unwrap();
        }
        let failures = std::mem::take(&mut *self.failures.lock().unwrap());
        (self.verified.load(Ordering::Relaxed), failures)
    }
}

/// Three servers as the page has them, and HAProxy in front.
async fn deployed() -> Option<(Cluster, Balancer)> {
    // Longer than HAProxy takes to notice; the page's five seconds are for machines that are farther apart.
    let cluster = Cluster::with(3, &["--shutdown-delay-seconds", "3", "--trusted-proxies", "127.0.0.1"]).await?;
    let ports = [0, 1, 2].map(|node: usize| cluster.nodes[node].server.port());
    let balancer = Balancer::before(ports).await?;
    for name in ["keys-1", "keys-2", "keys-3"] {
        balancer.says(name, "UP").await;
    }
    Some((cluster, balancer))
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_haproxy_a_server_is_stopped_without_a_failed_request_and_with_exact_counts() {
    let Some((mut cluster, balancer)) = deployed().await else { return };
    let key = cluster.key(0);
    for node in 0..3 {
        eventually(SOON, || cluster.verdict(node, &key.secret).filter(|code| code == "valid").ok_or_else(String::new)).await;
    }
    let asked_so_far = 3;
    let load = Load::start(balancer.port, &cluster.caller, &key.secret, true);
    load.goes_on().await;
    assert_eq!(cluster.nodes[1].server.terminate().await, Some(0));
    balancer.says("keys-2", "DOWN").await;
    load.goes_on().await;
    let (verified, failures) = load.finish();
    assert!(failures.is_empty(), "{} of {verified}: {:?}", failures.len(), &failures[..failures.len().min(5)]);
    let behind = balancer.servers();
    assert!(behind.values().all(|server| server.sessions > 10), "{behind:?}");
    for node in [0, 2] {
        assert_eq!(cluster.nodes[node].server.terminate().await, Some(0));
    }
    let listed = cluster.cli.json(&["key", "list", "--workspace", "acme", "--search", &key.id]);
    let counted = listed["data"][0]["total_calls"].as_u64().unwrap();
    // Those that were asked until the first valid one were not counted as calls.
    assert_eq!(counted, verified + asked_so_far, "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_haproxy_a_server_that_hangs_is_left_out_and_comes_back() {
    let Some((cluster, balancer)) = deployed().await else { return };
    let key = cluster.key(0);
    for node in 0..3 {
        eventually(SOON, || cluster.verdict(node, &key.secret).filter(|code| code == "valid").ok_or_else(String::new)).await;
    }
    let load = Load::start(balancer.port, &cluster.caller, &key.secret, false);
    load.goes_on().await;
    cluster.nodes[2].server.pause();
    balancer.says("keys-3", "DOWN").await;
    // Whoever asks now is answered by the others.
    load.goes_on().await;
    // What was stopped meanwhile is not accepted by the one that knows nothing of it yet.
    let stopped = cluster.key(0);
    cluster.send(0, Call::post(format!("{}/deactivate", stopped.path()))).expect(200);
    tokio::time::sleep(crate::support::BUDGET).await;
    cluster.nodes[2].server.resume();
    let answer = cluster.verdict(2, &stopped.secret);
    assert!(answer.as_deref() != Some("valid"), "{answer:?}");
    balancer.says("keys-3", "UP").await;
    let before = balancer.servers()["keys-3"].sessions;
    load.goes_on().await;
    let (verified, failures) = load.finish();
    // Whoever it had in hand had to wait, and got an answer.
    assert!(failures.is_empty(), "{} of {verified}: {:?}", failures.len(), &failures[..failures.len().min(5)]);
    let behind = balancer.servers();
    assert!(behind["keys-3"].sessions > before, "{behind:?}");
}

#[test]
fn the_pages_name_only_what_the_program_knows() {
    let folder = tempfile::tempdir().unwrap();
    let cli = Cli::on(folder.path());
    let reference = cli.stdout(&["check-config", "--reference"]);
    let [settings] = <[String; 1]>::try_from(blocks("deploy-nodes.md", "toml")).unwrap();
    for line in settings.lines() {
        let name = line.split(" = ").next().unwrap();
        assert!(reference.contains(&format!("`{name}`")), "{name} is not in the reference");
    }
}
