//! Load by wrk: one thread on a core of its own, 32 connections that are kept open.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};

use crate::commands::finished;
use crate::figures::Figures;
use crate::server::{LOAD_CORE, Server};

/// Connections, all kept open.
pub(crate) const CONNECTIONS: u32 = 32;

/// What wrk is told to send.
const SCRIPT: &str = include_str!("load.lua");

/// What the load asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    /// `GET /v1/whoami`.
    Whoami,
    /// `POST /v1/verify`.
    Verify,
    /// `POST /v1/verify:batch`, about 100 keys.
    Batch,
    /// `GET /v1/whoami` with a wrong checksum.
    Junk,
}

impl Case {
    const fn name(self) -> &'static str {
        match self {
            Self::Whoami => "whoami",
            Self::Verify => "verify",
            Self::Batch => "batch",
            Self::Junk => "junk",
        }
    }
}

/// One kind of load.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load<'a> {
    /// What is asked.
    pub(crate) case: Case,
    /// The secrets, and for each the one of a caller.
    pub(crate) keys: &'a Path,
    /// How long each connection rests between two requests, in milliseconds.
    pub(crate) pause_ms: u32,
    /// Are all answers refusals (status 400 and above), or none?
    pub(crate) refused: bool,
}

/// What one slice of load showed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slice {
    /// Answers per second.
    pub(crate) rate: f64,
    /// Below this stayed 99 of 100 answers, in microseconds.
    pub(crate) p99_micros: f64,
    /// Below this stayed 999 of 1,000 answers, in microseconds.
    pub(crate) p999_micros: f64,
    /// The server's processor time for one answer, in microseconds.
    pub(crate) cpu_micros: f64,
    /// The part of the time in which the server's core worked for it.
    pub(crate) busy: f64,
}

/// wrk with its script.
pub(crate) struct Wrk {
    script: PathBuf,
}

impl Wrk {
    /// Leaves the script in `folder`.
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        let script = folder.join("load.lua");
        std::fs::write(&script, SCRIPT)?;
        Ok(Self { script })
    }

    /// Loads the server for so many seconds. An answer of another kind than expected is an error: it would be fast for nothing.
    pub(crate) async fn slice(&self, server: &Server, load: &Load<'_>, seconds: u32) -> Result<Slice> {
        let mut command = Command::new("taskset");
        command.args(["-c", LOAD_CORE, "wrk", "--threads", "1", "--timeout", "10s"]);
        command.arg(format!("--connections={CONNECTIONS}")).arg(format!("--duration={seconds}s")).arg("--script").arg(&self.script);
        command.arg(format!("http://{}", server.addr)).args(["--", load.case.name()]).arg(load.keys).arg(load.pause_ms.to_string());
        let before = server.cpu()?;
        let printed = finished(command).await?;
        let cpu = server.cpu()?.saturating_sub(before);
        let figures = Figures::find(&printed)?;
        let requests = counted(&figures, load.refused)?;
        let elapsed = figures.get("microseconds")?;
        Ok(Slice {
            rate: requests / elapsed * 1e6,
            p99_micros: figures.get("p99")?,
            p999_micros: figures.get("p999")?,
            cpu_micros: cpu.as_secs_f64() * 1e6 / requests,
            busy: cpu.as_secs_f64() * 1e6 / elapsed,
        })
    }
}

/// The number of answers, if all of them are as they should be.
fn counted(figures: &Figures<'_>, all_refused: bool) -> Result<f64> {
    let (requests, refused, failed) = (figures.get("requests")?, figures.get("refused")?, figures.get("failed")?);
    ensure!(requests > 0.0 && failed < 1.0, "{failed} of {requests} requests went unanswered");
    let expected = if all_refused { requests } else { 0.0 };
    ensure!((refused - expected).abs() < 1.0, "{refused} of {requests} answers are refusals, and {expected} should be");
    Ok(requests)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(line: &str, all_refused: bool) -> Result<f64> {
        counted(&Figures::find(line).unwrap(), all_refused)
    }

    #[test]
    fn answers_count_only_if_all_are_of_the_expected_kind() {
        assert!((counts("figures requests=10 refused=0 failed=0", false).unwrap() - 10.0).abs() < f64::EPSILON);
        assert!((counts("figures requests=10 refused=10 failed=0", true).unwrap() - 10.0).abs() < f64::EPSILON);
        for (line, all_refused) in [
            ("figures requests=10 refused=1 failed=0", false),
            ("figures requests=10 refused=9 failed=0", true),
            ("figures requests=10 refused=0 failed=1", false),
            ("figures requests=0 refused=0 failed=0", false),
        ] {
            assert!(counts(line, all_refused).is_err(), "{line}");
        }
    }

    #[test]
    fn the_script_reports_every_figure_that_is_read() {
        for name in ["requests", "microseconds", "p99", "p999", "refused", "failed"] {
            assert!(SCRIPT.contains(&format!("{name}=%d")), "{name}");
        }
        for case in [Case::Whoami, Case::Verify, Case::Batch, Case::Junk] {
            assert!(SCRIPT.contains(case.name()));
        }
    }
}
