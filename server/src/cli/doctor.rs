//! `keyfold doctor`: what an operator would look at first when something is wrong.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use keyfold_engine::{ChainReport, DatabaseUrl, Engine, OpenRole};
use serde::Serialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::audit_heads;
use crate::cli::{CliError, Printer, operator};
use crate::config::Config;
use crate::serve::open;

/// How long the server may take to say that it is ready.
const PATIENCE: Duration = Duration::from_secs(3);

/// Check folder, pepper, database, audit log and server
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Good,
    /// Worth knowing, no fault.
    Note,
    Bad,
}

impl Outcome {
    const fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Note => "note",
            Self::Bad => "BAD",
        }
    }
}

#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    outcome: Outcome,
    detail: String,
}

impl Finding {
    fn new(check: &'static str, outcome: Outcome, detail: impl Into<String>) -> Self {
        Self { check, outcome, detail: detail.into() }
    }
}

pub(super) async fn run(_: Args, config: &Config, printer: &Printer) -> Result<(), CliError> {
    let mut findings = vec![folder(config), address(config), pepper(config)];
    // Opening would make what is missing, and a look must change nothing.
    if findings.iter().all(|finding| finding.outcome != Outcome::Bad) {
        findings.extend(store(config).await);
    }
    findings.push(server(config).await);
    let words: Vec<String> =
        findings.iter().map(|found| format!("{:<5} {:<9} {}", found.outcome.word(), found.check, found.detail)).collect();
    printer.data(&findings, &words.join("\n"))?;
    match findings.iter().filter(|found| found.outcome == Outcome::Bad).count() {
        0 => Ok(()),
        bad => Err(CliError::Refused(format!("{bad} of {} checks failed", findings.len()))),
    }
}

fn folder(config: &Config) -> Finding {
    let shown = config.data_dir.display();
    match fs::metadata(&config.data_dir) {
        Ok(found) if !found.is_dir() => Finding::new("folder", Outcome::Bad, format!("{shown} is not a folder")),
        Ok(found) if found.mode() & 0o077 != 0 => {
            let mode = found.mode() & 0o777;
            Finding::new("folder", Outcome::Note, format!("{shown} is open to others (mode {mode:o}). Better: chmod 700 {shown}"))
        }
        Ok(_) => Finding::new("folder", Outcome::Good, shown.to_string()),
        Err(error) => {
            Finding::new("folder", Outcome::Bad, format!("{shown} cannot be used: {error}. Run `keyfold serve` once, or set data_dir"))
        }
    }
}

fn address(config: &Config) -> Finding {
    let shown = &config.public_url;
    if config.is_insecure() {
        Finding::new("address", Outcome::Note, format!("{shown} is plain HTTP: passwords and keys cross the network in the clear"))
    } else if config.public_url.is_loopback() && !config.addr.ip().is_loopback() {
        Finding::new(
            "address",
            Outcome::Note,
            format!("listening on {}, but public_url is {shown}, which works on this machine alone", config.addr),
        )
    } else {
        Finding::new("address", Outcome::Good, shown.to_string())
    }
}

fn pepper(config: &Config) -> Finding {
    let pepper = match config.pepper(false) {
        Ok(pepper) => pepper,
        Err(error) => return Finding::new("pepper", Outcome::Bad, error.to_string()),
    };
    let fingerprint = pepper.fingerprint();
    match pepper.old() {
        Some(old) => {
            let old = old.fingerprint();
            let text = format!("fingerprint {fingerprint}, and {old} before it: `keyfold pepper status` tells what still needs that");
            Finding::new("pepper", Outcome::Note, text)
        }
        None => Finding::new("pepper", Outcome::Good, format!("fingerprint {fingerprint}; keep a copy of it apart from the database's")),
    }
}

async fn store(config: &Config) -> Vec<Finding> {
    if let DatabaseUrl::Sqlite(path) = &config.database_url
        && !path.exists()
    {
        return vec![Finding::new(
            "database",
            Outcome::Bad,
            format!("there is none at {}. Run `keyfold serve` once, or set database_url", path.display()),
        )];
    }
    let engine = match open(config, OpenRole::Look).await {
        Ok(engine) => engine,
        Err(CliError::Refused(why) | CliError::Usage(why)) => return vec![Finding::new("database", Outcome::Bad, why)],
        Err(CliError::Closed) => return Vec::new(),
    };
    let database = Finding::new("database", Outcome::Good, format!("{}, {} keys", config.database_url, engine.keys_in_memory()));
    let soon = engine.readiness().await.soon;
    let room = soon.into_iter().map(|why| Finding::new("room", Outcome::Note, format!("{why}. Make room before it is full")));
    let audit = match checked(&engine, config).await {
        Ok(report) => match report.broken {
            None => Finding::new("audit log", Outcome::Good, format!("{} events in {} chains", report.events, report.chains)),
            Some(broken) => {
                Finding::new("audit log", Outcome::Bad, format!("event {} of chain {}: {}", broken.seq, broken.chain, broken.why))
            }
        },
        Err(why) => Finding::new("audit log", Outcome::Bad, format!("cannot be checked: {why}")),
    };
    let setup = match engine.setup.is_needed().await {
        Ok(true) => Finding::new("set-up", Outcome::Note, "not done yet; `keyfold serve` prints the link"),
        Ok(false) => Finding::new("set-up", Outcome::Good, "done"),
        Err(error) => Finding::new("set-up", Outcome::Bad, error.to_string()),
    };
    let lenient = lenient(&engine).await;
    let search = match engine.search_advice().await {
        Ok(advice) => advice.map(|advice| Finding::new("search", Outcome::Note, advice)),
        Err(error) => Some(Finding::new("search", Outcome::Bad, error.to_string())),
    };
    engine.close().await;
    [database, audit, setup].into_iter().chain(room).chain(lenient).chain(search).collect()
}

/// Who wants answers from a server that may be out of date.
async fn lenient(engine: &Engine) -> Option<Finding> {
    match engine.policies.keeping_answering(&operator()).await {
        Ok(slugs) if slugs.is_empty() => None,
        Ok(slugs) => {
            let text = format!(
                "keys of {} go on working on a server that has lost touch with the database, also after they were revoked",
                slugs.join(", ")
            );
            Some(Finding::new("outages", Outcome::Note, text))
        }
        Err(error) => Some(Finding::new("outages", Outcome::Bad, error.to_string())),
    }
}

/// The audit log as it is, and against the heads that a server has kept.
async fn checked(engine: &Engine, config: &Config) -> Result<ChainReport, String> {
    let kept = audit_heads::kept_in(&config.data_dir).map_err(|error| format!("the heads kept in the data folder: {error}"))?;
    engine.audit.verify_against(&operator(), &kept).await.map_err(|error| error.to_string())
}

async fn server(config: &Config) -> Finding {
    match timeout(PATIENCE, ready(config)).await {
        Ok(Ok(true)) => Finding::new("server", Outcome::Good, format!("ready on {}", config.addr)),
        Ok(Ok(false)) => Finding::new("server", Outcome::Bad, format!("running on {}, but not ready; its log says why", config.addr)),
        Ok(Err(error)) => Finding::new("server", Outcome::Note, format!("none answers on {} ({error})", config.addr)),
        Err(_) => Finding::new("server", Outcome::Bad, format!("no answer on {} within {} seconds", config.addr, PATIENCE.as_secs())),
    }
}

async fn ready(config: &Config) -> std::io::Result<bool> {
    let mut addr = config.addr;
    if addr.ip().is_unspecified() {
        addr.set_ip(if addr.is_ipv4() { std::net::Ipv4Addr::LOCALHOST.into() } else { std::net::Ipv6Addr::LOCALHOST.into() });
    }
    let mut stream = TcpStream::connect(addr).await?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
    let mut answer = Vec::new();
    stream.take(64).read_to_end(&mut answer).await?;
    Ok(answer.starts_with(b"HTTP/1.1 200 "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(folder: &std::path::Path) -> Config {
        Config::of(&[("data_dir", &folder.display().to_string()), ("addr", "127.0.0.1:1")]).unwrap()
    }

    #[tokio::test]
    async fn a_look_at_nothing_makes_nothing() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("data");
        let done = run(Args {}, &config(&folder), &Printer::new(true)).await;
        assert!(matches!(done, Err(CliError::Refused(why)) if why.contains("checks failed")));
        assert!(!folder.exists());
    }

    #[test]
    fn a_folder_that_others_can_enter_is_worth_a_note() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        for (mode, outcome) in [(0o700, Outcome::Good), (0o755, Outcome::Note)] {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(folder_outcome(folder.path()), outcome);
        }
    }

    fn folder_outcome(path: &std::path::Path) -> Outcome {
        folder(&config(path)).outcome
    }
}
