//! `keyfold audit verify`: are the audit chains whole?

use serde::Serialize;

use crate::cli::{CliError, Printer, open_beside, operator};
use crate::config::Config;

/// Check the audit log
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Recompute every chain of the audit log and name the first event that does not fit
    Verify,
}

#[derive(Serialize)]
struct Report {
    chains: u64,
    events: u64,
    whole: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    broken: Option<Broken>,
}

#[derive(Serialize)]
struct Broken {
    chain: String,
    seq: i64,
    why: String,
}

pub(crate) async fn run(command: Command, config: &Config, printer: &Printer) -> Result<(), CliError> {
    let Command::Verify = command;
    let engine = open_beside(config).await?;
    let found = engine.audit.verify_chains(&operator()).await;
    engine.close().await;
    let found = found?;
    let broken = found.broken.map(|broken| Broken { chain: broken.chain, seq: broken.seq, why: broken.why });
    let report = Report { chains: found.chains, events: found.events, whole: broken.is_none(), broken };
    let words = match &report.broken {
        None => format!("The audit log is whole: {} events in {} chains.", report.events, report.chains),
        Some(broken) => format!("Broken at event {} of chain {}: {}.", broken.seq, broken.chain, broken.why),
    };
    printer.data(&report, &words)?;
    if report.whole { Ok(()) } else { Err(CliError::Refused("the audit log was changed by something other than Keyfold".to_owned())) }
}
