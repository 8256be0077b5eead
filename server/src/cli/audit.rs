//! `keyfold audit`: are the audit chains whole? What is there to keep elsewhere, so that it shows when they are not, and
//! so that a restored backup can be told what came after it?

use std::path::PathBuf;

use keyfold_domain::audit::{AuditFilter, INSTANCE_CHAIN};
use keyfold_domain::ids::WorkspaceId;
use keyfold_engine::Engine;
use serde::Serialize;

use crate::audit_heads;
use crate::cli::{CliError, Printer, beside, operator};
use crate::config::Config;

/// Check the audit log, take it away
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Recompute every chain of the audit log and name the first event that does not fit
    Verify {
        /// Also check that the log still holds what it held when this file was written, by `keyfold audit head` or by the server
        #[arg(long, value_name = "FILE")]
        head: Option<PathBuf>,
    },
    /// Print the newest link of every chain, to be kept elsewhere and checked against with `verify --head`
    Head,
    /// Print every event of every chain, one a line, to be kept elsewhere; `keyfold restore --events` reads it
    Export,
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
    match command {
        Command::Verify { head } => verify(head, config, printer).await,
        Command::Head => head(config, printer).await,
        Command::Export => export(config, printer).await,
    }
}

async fn head(config: &Config, printer: &Printer) -> Result<(), CliError> {
    let taken = beside(config, printer, async |engine| Ok(audit_heads::take(engine).await?)).await?;
    printer.document(&taken)
}

async fn export(config: &Config, printer: &Printer) -> Result<(), CliError> {
    beside(config, printer, async |engine| print_all(engine, printer).await).await
}

async fn print_all(engine: &Engine, printer: &Printer) -> Result<(), CliError> {
    for head in engine.audit.heads(&operator()).await? {
        let workspace = match head.chain.as_str() {
            INSTANCE_CHAIN => None,
            id => Some(id.parse::<WorkspaceId>().map_err(|_| CliError::Refused(format!("the audit log has an unknown chain {id}")))?),
        };
        let mut file = engine.audit.export(&operator(), workspace.as_ref(), &AuditFilter::default()).await?;
        while let Some(piece) = file.next().await? {
            if !piece.is_empty() {
                printer.line(piece.trim_end())?;
            }
        }
    }
    Ok(())
}

async fn verify(head: Option<PathBuf>, config: &Config, printer: &Printer) -> Result<(), CliError> {
    let unreadable = |path: &PathBuf, error| CliError::Refused(format!("{} cannot be read: {error}", path.display()));
    let kept = head.as_ref().map(|path| audit_heads::read(path).map_err(|error| unreadable(path, error))).transpose()?;
    let work = async |engine: &Engine| match &kept {
        Some(kept) => Ok(engine.audit.verify_against(&operator(), kept).await?),
        None => Ok(engine.audit.verify_chains(&operator()).await?),
    };
    let found = beside(config, printer, work).await?;
    let broken = found.broken.map(|broken| Broken { chain: broken.chain, seq: broken.seq, why: broken.why });
    let report = Report { chains: found.chains, events: found.events, whole: broken.is_none(), broken };
    let words = match &report.broken {
        None => format!("The audit log is whole: {} events in {} chains.", report.events, report.chains),
        Some(broken) => format!("Broken at event {} of chain {}: {}.", broken.seq, broken.chain, broken.why),
    };
    printer.data(&report, &words)?;
    if report.whole { Ok(()) } else { Err(CliError::Refused("the audit log was changed by something other than Keyfold".to_owned())) }
}
