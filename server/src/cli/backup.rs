//! `keyfold backup`: a whole copy of the database, taken while a server may be running on it.

use std::path::PathBuf;

use keyfold_engine::{BackupError, BackupReport, DatabaseUrl, SystemClock, backup};
use serde::Serialize;

use crate::cli::{CliError, Printer};
use crate::config::Config;
use crate::rest::moments::Moment;

/// Copy the database into a file, beside a running server
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The backup to be written
    file: PathBuf,
    /// Replace the file if it is there; it stays as it is if the backup fails
    #[arg(long)]
    force: bool,
}

impl From<BackupError> for CliError {
    fn from(error: BackupError) -> Self {
        match error {
            BackupError::Store(error) => error.into(),
            error => Self::Refused(error.to_string()),
        }
    }
}

#[derive(Serialize)]
struct Body {
    file: PathBuf,
    bytes: u64,
    keys: u64,
    schema: i64,
    pepper: Option<String>,
    taken_at: Option<Moment>,
    audit_events: u64,
}

pub(super) async fn run(args: Args, config: &Config, printer: &Printer) -> Result<(), CliError> {
    if matches!(config.database_url, DatabaseUrl::Postgres(_)) {
        return Err(BackupError::Postgres.into());
    }
    let pepper = config.pepper(false).map_err(|error| CliError::Refused(error.to_string()))?;
    let BackupReport { bytes, facts, events } = backup(&config.database_url, &pepper, &SystemClock, &args.file, args.force).await?;
    let fingerprint = facts.pepper.clone().unwrap_or_default();
    let words = format!(
        "{}: {bytes} bytes, {} keys, schema {}, {events} audit events checked.\nIt is of use only with the pepper {fingerprint}, which is not in it.",
        args.file.display(),
        facts.keys,
        facts.schema,
    );
    let body = Body {
        file: args.file,
        bytes,
        keys: facts.keys,
        schema: facts.schema,
        pepper: facts.pepper,
        taken_at: facts.taken_at.map(Moment),
        audit_events: events,
    };
    printer.data(&body, &words)
}
