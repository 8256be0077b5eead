//! SQLite's file where it cannot be written: somebody else holds its lock, or the disk is full. Changes are refused with patience asked for
//! and nothing half done, verification goes on, and the server needs no restart.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use keyfold_engine::DatabaseUrl;
use keyfold_engine::testing::hold_write_lock;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value, json};

use crate::support::{Answer, Call, Cli, Server, eventually, send, verdict};

const KEYS: &str = "/v1/workspaces/acme/keys";
const AT_ONCE: [&str; 2] = ["--shutdown-delay-seconds", "0"];

/// The names of keys that a server said it made, and of those that it refused to make.
#[derive(Debug, Default)]
struct Tale {
    made: Vec<(String, String)>,
    refused: Vec<String>,
}

impl Tale {
    /// Asks for a key of a name that no other has, and remembers what became of it; says whether it was made.
    fn ask(tale: &Mutex<Self>, port: u16, caller: &str, name: String) -> bool {
        let create = Call::post(KEYS).bearer(caller).json(&json!({"name": name, "kind": "secret", "scopes": ["chat"]}));
        let answer = send(port, &create).unwrap();
        if answer.code() == 201 {
            tale.lock().unwrap().made.push((name, answer.json()["secret"].as_str().unwrap().to_owned()));
            return true;
        }
        patience_is_asked_for(&answer);
        tale.lock().unwrap().refused.push(name);
        false
    }

    /// What was made is there and works, and what was refused is not there.
    fn holds(&self, server: &Server, caller: &str) {
        let mut names: Vec<String> = Vec::new();
        let mut page = format!("{KEYS}?limit=200");
        loop {
            let listed = server.send(&Call::get(&page).bearer(caller)).expect(200).json();
            names.extend(listed["data"].as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap().to_owned()));
            let Some(next) = listed["next"].as_str() else { break };
            page = format!("{KEYS}?limit=200&cursor={next}");
        }
        for (name, secret) in &self.made {
            assert_eq!(names.iter().filter(|listed| *listed == name).count(), 1, "{name} was acknowledged");
            assert_eq!(verdict(server.port(), caller, secret).as_deref(), Some("valid"), "{name}");
        }
        for name in &self.refused {
            assert!(!names.contains(name), "{name} was refused, and is there");
        }
    }
}

#[track_caller]
fn patience_is_asked_for(answer: &Answer) {
    assert_eq!(answer.code(), 503, "{}", answer.text());
    assert_eq!(answer.problem(), "unavailable");
    assert!(answer.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok_and(|seconds| seconds > 0)));
}

/// How often somebody takes the lock: more often where time is set aside for it.
#[expect(clippy::disallowed_methods, reason = "tests are told by the environment how long they may take")]
fn storms() -> u64 {
    std::env::var("KEYFOLD_TEST_STORMS").ok().and_then(|times| times.parse().ok()).unwrap_or(4)
}

#[tokio::test]
async fn while_somebody_else_holds_the_lock_changes_wait_or_are_refused_and_none_is_lost() {
    let (folder, cli) = Cli::founded();
    let (caller, guard) = (cli.key(&["--full-access"]), cli.key(&["--scope", "chat"]));
    let mut server = Server::start(&cli, &AT_ONCE).await;
    let database = DatabaseUrl::Sqlite(folder.path().join("data/keyfold.db"));
    let (tale, stop) = (Arc::new(Mutex::new(Tale::default())), Arc::new(AtomicBool::new(false)));
    let (port, slowest, verified) = (server.port(), Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut clients: Vec<_> = (0..3)
        .map(|client| {
            let (tale, stop, caller) = (Arc::clone(&tale), Arc::clone(&stop), caller.clone());
            std::thread::spawn(move || {
                for number in 0..120 {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    Tale::ask(&tale, port, &caller, format!("key {client}-{number}"));
                    // So that there is something left to ask for during the last storm.
                    let pause = Instant::now() + Duration::from_millis(40);
                    while Instant::now() < pause {
                        std::thread::yield_now();
                    }
                }
            })
        })
        .collect();
    clients.push({
        let (stop, slowest, verified) = (Arc::clone(&stop), Arc::clone(&slowest), Arc::clone(&verified));
        let (caller, guard) = (caller.clone(), guard.clone());
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let begun = Instant::now();
                assert_eq!(verdict(port, &caller, &guard).as_deref(), Some("valid"));
                verified.fetch_add(1, Ordering::Relaxed);
                slowest.fetch_max(u64::try_from(begun.elapsed().as_millis()).unwrap(), Ordering::Relaxed);
            }
        })
    });
    for storm in 0..storms() {
        let lock = hold_write_lock(&database).await.unwrap();
        // Now shorter and now longer than the five seconds that the server waits.
        let held = if storm % 4 == 3 { Duration::from_secs(6) } else { Duration::from_millis(300 + 400 * (storm % 3)) };
        tokio::time::sleep(held).await;
        assert_eq!(server.send(&Call::get("/healthz")).code(), 200);
        lock.release().await.unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().unwrap();
    }
    {
        let tale = tale.lock().unwrap();
        assert!(tale.made.len() > 10 && !tale.refused.is_empty(), "{} made, {} refused", tale.made.len(), tale.refused.len());
        assert!(verified.load(Ordering::Relaxed) > 50 && slowest.load(Ordering::Relaxed) < 3_000, "a verification waited {slowest:?} ms");
        tale.holds(&server, &caller);
    }
    assert_eq!(server.terminate().await, Some(0));
    assert_eq!(cli.json(&["audit", "verify"])["whole"], true);
}

/// A disk that can be filled and emptied.
enum Disk {
    /// A file system of four megabytes that only the server sees, reached through its root folder.
    Small { root: File, folder: PathBuf },
    /// Where none can be mounted: the server may not make files longer than so much.
    Limited(Pid),
}

/// How a server gets a small disk: the words in front of its command. `None` where that is not allowed.
fn small_disk(folder: &Path) -> Option<Vec<String>> {
    let mount =
        format!(r#"mount -t tmpfs -o size=4m,mode=700 tmpfs "{0}/data" && cp -a "{0}/seed/." "{0}/data/" && exec "$@""#, folder.display());
    for flags in ["-m", "-rm"] {
        let tried = Command::new("unshare").args([flags, "sh", "-c", &mount, "sh", "true"]).output();
        if tried.is_ok_and(|output| output.status.success()) {
            return Some(["unshare", flags, "sh", "-c", &mount, "sh"].map(str::to_owned).into());
        }
    }
    None
}

impl Disk {
    fn of(server: &Server, folder: &Path, mounted: bool) -> Self {
        if !mounted {
            return Self::Limited(server.pid());
        }
        // Open, so that it is still there when the server has gone.
        let root = File::open(format!("/proc/{}/root{}/data", server.pid().as_raw_nonzero(), folder.display())).unwrap();
        let folder = PathBuf::from(format!("/proc/self/fd/{}", root.as_raw_fd()));
        Self::Small { root, folder }
    }

    fn fill(&self) {
        match self {
            Self::Small { folder, .. } => {
                let mut filler = File::create(folder.join("filler")).unwrap();
                while filler.write_all(&[0; 4096]).is_ok() {}
            }
            Self::Limited(server) => Self::limit(*server, Some(4096)),
        }
    }

    fn empty(&self) {
        match self {
            Self::Small { folder, .. } => std::fs::remove_file(folder.join("filler")).unwrap(),
            Self::Limited(server) => Self::limit(*server, None),
        }
    }

    fn limit(server: Pid, most: Option<u64>) {
        prlimit(Some(server), Resource::Fsize, Rlimit { current: most, maximum: None }).unwrap();
    }

    /// Puts what the server left where commands can look at it.
    fn save(&self, to: &Path) {
        if let Self::Small { root, folder } = self {
            assert!(root.metadata().unwrap().is_dir());
            for name in ["keyfold.db", "pepper.key"] {
                std::fs::copy(folder.join(name), to.join(name)).unwrap();
            }
        }
    }
}

async fn a_full_disk_is_survived(mounted: bool) {
    let (folder, seed) = Cli::founded();
    let (caller, guard) = (seed.key(&["--full-access"]), seed.key(&["--scope", "chat"]));
    let data = folder.path().join("data");
    let wrapper: Vec<String> = if mounted {
        std::fs::rename(&data, folder.path().join("seed")).unwrap();
        std::fs::create_dir(&data).unwrap();
        small_disk(folder.path()).unwrap()
    } else {
        // Writing beyond the limit is to be an error and not the end.
        ["sh", "-c", r#"trap "" XFSZ; exec "$@""#, "sh"].map(str::to_owned).into()
    };
    let cli = seed.clone().within(&wrapper);
    // So that the server lets its user look at its files.
    let mut server = Server::start(&cli, &[&AT_ONCE[..], &["--core-dumps"]].concat()).await;
    let disk = Disk::of(&server, folder.path(), mounted);
    let (port, tale) = (server.port(), Mutex::new(Tale::default()));
    let mut calls = 0;
    let mut is_valid = || {
        assert_eq!(verdict(port, &caller, &guard).as_deref(), Some("valid"));
        calls += 1;
    };
    assert!(Tale::ask(&tale, port, &caller, "before".to_owned()));
    disk.fill();
    // What is in the WAL already may be written over, so some of them may still find room.
    let mut refused = 0;
    for number in 0..400 {
        refused = if Tale::ask(&tale, port, &caller, format!("full {number}")) { 0 } else { refused + 1 };
        is_valid();
        if refused >= 5 {
            break;
        }
    }
    assert!(refused >= 5, "the disk is not full");
    let listed = server.send(&Call::get(format!("{KEYS}?limit=200")).bearer(&caller)).expect(200).json();
    let id = listed["data"].as_array().unwrap().iter().find(|key| key["name"] == "before").unwrap()["id"].as_str().unwrap().to_owned();
    let (_, before) = tale.lock().unwrap().made[0].clone();
    patience_is_asked_for(&server.send(&Call::delete(format!("{KEYS}/{id}")).bearer(&caller)));
    assert_eq!(verdict(port, &caller, &before).as_deref(), Some("valid"), "what was refused was not done");
    assert_eq!(server.send(&Call::get("/readyz")).code(), 200);
    // Longer than counts wait to be written: they find no room either, and are kept.
    tokio::time::sleep(Duration::from_secs(6)).await;
    is_valid();
    disk.empty();
    let mut number = 0;
    eventually(Duration::from_secs(15), || {
        number += 1;
        if Tale::ask(&tale, port, &caller, format!("after {number}")) { Ok(()) } else { Err("still refused".to_owned()) }
    })
    .await;
    server.send(&Call::delete(format!("{KEYS}/{id}")).bearer(&caller)).expect(204);
    assert_eq!(verdict(port, &caller, &before).as_deref(), Some("not_found"));
    is_valid();
    let mut tale = tale.into_inner().unwrap();
    tale.made.remove(0);
    tale.holds(&server, &caller);
    assert_eq!(server.terminate().await, Some(0));
    disk.save(&data);
    assert_eq!(seed.json(&["audit", "verify"])["whole"], true);
    let keys: Value = seed.json(&["key", "list", "--workspace", "acme", "--search", &guard[guard.len() - 4..]]);
    assert_eq!(keys["data"][0]["total_calls"], calls, "{keys}");
    seed.stdout(&["backup", folder.path().join("backup.db").to_str().unwrap()]);
}

#[tokio::test]
async fn a_full_disk_refuses_changes_and_nothing_else() {
    let probe = tempfile::tempdir().unwrap();
    std::fs::create_dir(probe.path().join("data")).unwrap();
    std::fs::create_dir(probe.path().join("seed")).unwrap();
    // Where no file system may be mounted, the other test is the only one of the two; it meets another error of the same kind.
    if small_disk(probe.path()).is_some() {
        a_full_disk_is_survived(true).await;
    }
}

#[tokio::test]
async fn a_file_that_may_not_grow_refuses_changes_and_nothing_else() {
    a_full_disk_is_survived(false).await;
}
