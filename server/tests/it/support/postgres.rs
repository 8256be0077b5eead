//! Two PostgreSQL servers of a test's own, of which the second follows the first: to be killed, started again and promoted.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use keyfold_engine::DatabaseUrl;
use keyfold_engine::testing::execute;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::process::eventually;

const PASSWORD: &str = "a-password-of-a-test";
/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A primary and a standby that has everything before it is acknowledged.
pub(crate) struct Pair {
    programs: PathBuf,
    /// Whom the servers run as, `user:group`: PostgreSQL refuses to run as root.
    owner: String,
    folder: TempDir,
    primary: (&'static str, u16),
    standby: Option<(&'static str, u16)>,
}

#[expect(clippy::disallowed_methods, reason = "tests are told of their database by the environment")]
fn told(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|text| !text.is_empty())
}

/// A port that nothing listens on.
fn free_port() -> u16 {
    std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

impl Pair {
    /// Both of them, running; `None` where PostgreSQL's programs are not known.
    pub(crate) async fn start() -> Option<Self> {
        let (programs, owner) = (told("TEST_POSTGRES_PROGRAMS")?, told("TEST_POSTGRES_OWNER")?);
        let folder = tempfile::tempdir().unwrap();
        let mut pair =
            Self { programs: programs.into(), owner, folder, primary: ("one", free_port()), standby: Some(("two", free_port())) };
        std::fs::write(pair.path("password"), format!("{PASSWORD}\n")).unwrap();
        assert!(Command::new("chown").arg("-R").arg(&pair.owner).arg(pair.folder.path()).status().unwrap().success());
        let password = pair.path("password").display().to_string();
        let (one, two) = (pair.path("one").display().to_string(), pair.path("two").display().to_string());
        let init =
            ["-D", &one, "--username=keyfold", "--pwfile", &password, "--auth=password", "--encoding=UTF8", "--locale=C", "--no-sync"];
        pair.run("initdb", &init);
        let settings = "listen_addresses = '127.0.0.1'\nmax_connections = 200\nfsync = off\nwal_retrieve_retry_interval = 100ms\n";
        let conf = pair.path("one").join("postgresql.auto.conf");
        std::fs::write(conf, format!("{settings}unix_socket_directories = '{}'\n", pair.folder.path().display())).unwrap();
        pair.boot(pair.primary).await;
        let from = Self::url(pair.primary.1);
        pair.run("pg_basebackup", &["-D", &two, "-d", &from, "-R", "--checkpoint=fast", "--no-sync"]);
        let standby = pair.standby.unwrap();
        pair.boot(standby).await;
        pair.sql("ALTER SYSTEM SET synchronous_standby_names = '*'").await;
        pair.sql("SELECT pg_reload_conf()").await;
        pair.wait_for_standby().await;
        pair.standby = Some(standby);
        Some(pair)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let program = self.programs.join(program);
        let mut command = if am_root() {
            let (user, group) = self.owner.split_once(':').unwrap();
            let mut command = Command::new("setpriv");
            command.args(["--reuid", user, "--regid", group, "--clear-groups", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.args(arguments).current_dir("/").env("PGPASSWORD", PASSWORD).stdin(Stdio::null());
        command
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let Output { status, stderr, stdout } = self.command(program, arguments).output().unwrap();
        assert!(status.success(), "{program}: {} {}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    }

    fn url(port: u16) -> String {
        format!("postgres://keyfold:{PASSWORD}@127.0.0.1:{port}/postgres")
    }

    /// Starts one of them. A killed one may have to wait for its own orphans.
    async fn boot(&self, (name, port): (&'static str, u16)) {
        let (data, log) = (self.path(name).display().to_string(), self.path("log").display().to_string());
        eventually(PATIENCE, || {
            let port = format!("-c port={port}");
            // Not `output`: the server would hold the pipes open for as long as it lives.
            let mut start = self.command("pg_ctl", &["start", "-w", "-t", "20", "-D", &data, "-l", &log, "-o", &port]);
            let done = start.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
            if done.success() { Ok(()) } else { Err(std::fs::read_to_string(&log).unwrap_or_default()) }
        })
        .await;
    }

    async fn sql(&self, statement: &str) {
        execute(&DatabaseUrl::Postgres(Self::url(self.primary.1)), statement).await.unwrap();
    }

    /// Waits until the standby confirms what is written.
    async fn wait_for_standby(&self) {
        if self.standby.is_none() {
            return;
        }
        let database = DatabaseUrl::Postgres(Self::url(self.primary.1));
        let ask = "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_stat_replication WHERE sync_state = 'sync' AND state = 'streaming') THEN RAISE EXCEPTION 'no standby'; END IF; END $$";
        let begun = std::time::Instant::now();
        while execute(&database, ask).await.is_err() {
            assert!(begun.elapsed() < PATIENCE, "the standby does not follow");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The primary as a URL.
    pub(crate) fn primary(&self) -> String {
        Self::url(self.primary.1)
    }

    /// Where the primary listens.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.primary.1)
    }

    /// Is there one to be promoted?
    pub(crate) fn has_standby(&self) -> bool {
        self.standby.is_some()
    }

    fn kill(&self) {
        let pid = postmaster(&self.path(self.primary.0));
        kill_process(pid, Signal::KILL).unwrap();
    }

    /// Kills the primary, as `kill -9` does, and starts it again after so long.
    pub(crate) async fn kill_and_restart(&self, after: Duration) {
        self.kill();
        tokio::time::sleep(after).await;
        self.boot(self.primary).await;
        self.wait_for_standby().await;
    }

    /// Kills the primary for good and makes the standby the primary.
    pub(crate) async fn promote(&mut self) {
        self.kill();
        let standby = self.standby.take().unwrap();
        let data = self.path(standby.0).display().to_string();
        self.run("pg_ctl", &["promote", "-w", "-t", "20", "-D", &data]);
        self.primary = standby;
    }
}

/// The number of the process that a data folder belongs to.
fn postmaster(data: &Path) -> Pid {
    let text = std::fs::read_to_string(data.join("postmaster.pid")).unwrap();
    Pid::from_raw(text.lines().next().unwrap().parse().unwrap()).unwrap()
}

fn am_root() -> bool {
    rustix::process::geteuid().is_root()
}

impl Drop for Pair {
    fn drop(&mut self) {
        for name in ["one", "two"] {
            let data = self.path(name).display().to_string();
            // One that was killed cannot be stopped, and nothing is wrong with that.
            drop(self.command("pg_ctl", &["stop", "-D", &data, "-m", "immediate"]).stdout(Stdio::null()).stderr(Stdio::null()).status());
        }
    }
}
