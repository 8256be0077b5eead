//! A server under measurement: a process of its own, on a core of its own, with an environment of its own.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::http::Connection;

/// The core that servers have to themselves.
pub(crate) const SERVER_CORE: &str = "0";
/// The core that the load has to itself.
pub(crate) const LOAD_CORE: &str = "1";
/// For a server to begin or to end.
const PATIENCE: Duration = Duration::from_mins(2);
/// Between two looks whether it has.
const LOOK_EVERY: Duration = Duration::from_micros(500);
/// Ticks of processor time a second, as `/proc` counts them: fixed at 100 for programs, whatever the kernel counts in.
const TICKS_PER_SECOND: u32 = 100;

/// A running server. Dropped, it is killed.
pub(crate) struct Server {
    child: Child,
    log: PathBuf,
    /// Where it listens.
    pub(crate) addr: SocketAddr,
    /// When it was started.
    pub(crate) started: Instant,
}

/// What to start.
pub(crate) struct Start<'a> {
    /// The program and what it is told; `--addr ADDRESS:PORT` is added.
    pub(crate) command: &'a [&'a str],
    /// Its environment, all of it.
    pub(crate) variables: &'a [(&'a str, &'a str)],
    /// The folder it runs in; what it prints goes to a file there.
    pub(crate) folder: &'a Path,
}

impl Server {
    /// Starts it on a free port of 127.0.0.1.
    pub(crate) fn start(start: &Start<'_>) -> Result<Self> {
        let addr = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let log = start.folder.join("server.log");
        let output = File::create(&log)?;
        let mut command = Command::new("taskset");
        command.args(["-c", SERVER_CORE]).args(start.command).arg("--addr").arg(addr.to_string()).current_dir(start.folder);
        // Settings of whoever measures must not change what is measured.
        command.env_clear().envs(start.variables.iter().copied());
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let started = Instant::now();
        let child = command.spawn().context("taskset cannot be run")?;
        Ok(Self { child, log, addr, started })
    }

    /// The time from the start to the first answer of 200 to this request.
    pub(crate) async fn answered(&mut self, request: &[u8]) -> Result<Duration> {
        let mut last = String::from("it does not listen");
        while self.started.elapsed() < PATIENCE {
            match first_answer(self.addr, request).await {
                Ok(200) => return Ok(self.started.elapsed()),
                Ok(status) => last = format!("it answers {status}"),
                Err(error) => last = error.to_string(),
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("a server ended at its start ({status}):\n{}", self.printed()?);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        bail!("a server is not ready after {} s ({last}):\n{}", PATIENCE.as_secs(), self.printed()?)
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Processor time used so far.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        ticks(&self.proc("stat")?)
            .map(|ticks| Duration::from_secs(ticks) / TICKS_PER_SECOND)
            .context("/proc has another form than expected")
    }

    /// Resident memory in bytes.
    pub(crate) fn resident(&self) -> Result<u64> {
        resident(&self.proc("status")?).context("/proc has another form than expected")
    }

    /// All it has printed so far.
    pub(crate) fn printed(&self) -> Result<String> {
        Ok(fs::read_to_string(&self.log)?)
    }

    /// Asks it to end, waits for it, and returns all it printed.
    pub(crate) async fn stop(mut self) -> Result<String> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("a process without a number")?;
        kill_process(pid, Signal::TERM)?;
        let asked = Instant::now();
        while self.child.try_wait()?.is_none() {
            ensure!(asked.elapsed() < PATIENCE, "a server does not end:\n{}", self.printed()?);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.printed()
    }

    fn proc(&self, file: &str) -> Result<String> {
        let path = format!("/proc/{}/{file}", self.child.id());
        fs::read_to_string(&path).with_context(|| format!("{path} cannot be read"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already; there is nobody left to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn first_answer(addr: SocketAddr, request: &[u8]) -> Result<u16> {
    Ok(Connection::open(addr).await?.send(request).await?.status)
}

/// User and system time of all threads, from `/proc/PID/stat` (proc(5): fields 14 and 15).
fn ticks(stat: &str) -> Option<u64> {
    // The second field, the program's name, may itself hold blanks and brackets.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(user + system)
}

/// `VmRSS` from `/proc/PID/status`, in bytes.
fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_whatever_the_program_is_called() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 3 0 100 1000 200 18446744073709551615";
        assert_eq!(ticks(stat), Some(300));
        assert_eq!(ticks("42 (x) S 1"), None);
    }

    #[test]
    fn resident_memory_is_read_in_bytes() {
        assert_eq!(resident("Name:\tx\nVmHWM:\t  9 kB\nVmRSS:\t    2048 kB\n"), Some(2_097_152));
        assert_eq!(resident("Name:\tx\n"), None);
    }

    #[tokio::test]
    async fn a_server_that_cannot_start_is_reported_with_what_it_said() {
        let folder = tempfile::tempdir().unwrap();
        let start = Start { command: &["sh", "-c", "echo no licence to serve; exit 3"], variables: &[], folder: folder.path() };
        let error = Server::start(&start).unwrap().answered(b"GET / HTTP/1.1\r\n\r\n").await.unwrap_err().to_string();
        assert!(error.contains("no licence to serve"), "{error}");
    }
}
