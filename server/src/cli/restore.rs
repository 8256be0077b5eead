//! `keyfold restore`: a backup becomes the database of an empty data folder. Whoever restores has to say what becomes of keys
//! that were stopped after the backup was taken.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use keyfold_engine::{
    BackupError, DatabaseUrl, Pepper, PepperError, RestoreOptions, RestoreReport, Revived, SystemClock, SystemEntropy, inspect_backup,
    restore,
};
use serde::Serialize;

use crate::audit_heads;
use crate::cli::{CliError, Printer, operator};
use crate::config::Config;
use crate::rest::moments::Moment;
use crate::serve::make_folder;

/// Put a backup in the place of a database that is gone
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The backup, as `keyfold backup` wrote it
    file: PathBuf,
    /// Do again what these events say was taken away since; from `keyfold audit export`, give it again for more files
    #[arg(long, value_name = "FILE")]
    events: Vec<PathBuf>,
    /// Start with every key deactivated
    #[arg(long)]
    deactivate_all: bool,
    /// Let keys work again that were deleted, deactivated, narrowed or rotated since the backup
    #[arg(long, conflicts_with_all = ["events", "deactivate_all"])]
    accept_revived_keys: bool,
}

const CHOOSE: &str = "a backup knows nothing of what came after it: keys that were deleted, deactivated, narrowed or rotated since \
                      would work again as they did then. Choose one:
  --events FILE           do again what the audit log says was taken away since (from `keyfold audit export`)
  --deactivate-all        start with every key deactivated, and activate those you know
  --accept-revived-keys   let them work again";

impl Args {
    fn revived(&self) -> Result<Revived, CliError> {
        match (self.events.is_empty(), self.deactivate_all, self.accept_revived_keys) {
            (false, and_deactivate, _) => Ok(Revived::Follow { events: self.events.clone(), and_deactivate }),
            (true, true, _) => Ok(Revived::DeactivateAll),
            (true, false, true) => Ok(Revived::Accept),
            (true, false, false) => Err(CliError::Usage(CHOOSE.to_owned())),
        }
    }
}

#[derive(Serialize)]
struct Body {
    taken_at: Option<Moment>,
    keys: u64,
    schema: i64,
    schema_of_backup: i64,
    audit_events: u64,
    later_events: u64,
    keys_deleted: u64,
    keys_deactivated: u64,
    keys_rotated: u64,
    people_stopped: u64,
    places_ended: u64,
    resources_deleted: u64,
    sessions_ended: u64,
    invitations_ended: u64,
    not_done_again: BTreeMap<String, u64>,
}

impl From<&RestoreReport> for Body {
    fn from(report: &RestoreReport) -> Self {
        let stopped = &report.stopped;
        Self {
            taken_at: report.facts.taken_at.map(Moment),
            keys: report.facts.keys,
            schema: report.schema,
            schema_of_backup: report.facts.schema,
            audit_events: report.events,
            later_events: stopped.events,
            keys_deleted: stopped.deleted,
            keys_deactivated: stopped.deactivated,
            keys_rotated: stopped.rotated,
            people_stopped: stopped.people,
            places_ended: stopped.places,
            resources_deleted: stopped.resources,
            sessions_ended: stopped.sessions,
            invitations_ended: stopped.invitations,
            not_done_again: stopped.left.clone(),
        }
    }
}

pub(super) async fn run(args: Args, config: &Config, printer: &Printer) -> Result<(), CliError> {
    if matches!(config.database_url, DatabaseUrl::Postgres(_)) {
        return Err(BackupError::Postgres.into());
    }
    let revived = args.revived()?;
    let pepper = pepper(&args.file, config).await?;
    make_folder(config)?;
    let heads = audit_heads::kept_in(&config.data_dir)
        .map_err(|error| CliError::Refused(format!("the heads of the audit log kept in the data folder: {error}. Move that file away")))?;
    let options = RestoreOptions {
        from: args.file,
        to: config.database_url.clone(),
        pepper,
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        revived,
        heads,
    };
    let report = restore(&operator(), &options).await?;
    if let Some(aside) = audit_heads::put_aside(&config.data_dir)? {
        printer.note(&format!("The heads of the audit log as it was before are in {} now.", aside.display()));
    }
    printer.data(&Body::from(&report), &words(&report, &options.revived))
}

/// The pepper for that backup. If it is absent, the refusal says which one is wanted.
async fn pepper(file: &Path, config: &Config) -> Result<Pepper, CliError> {
    let wanted = inspect_backup(file).await?.pepper.map_or_else(String::new, |wanted| format!(" (fingerprint {wanted})"));
    config.pepper(false).map_err(|error| match error {
        PepperError::Missing(path) => CliError::Refused(format!(
            "there is no pepper file at {}. Put the one that this backup was made with{wanted} there first: without it no key could be verified",
            path.display()
        )),
        error => CliError::Refused(error.to_string()),
    })
}

fn words(report: &RestoreReport, revived: &Revived) -> String {
    let RestoreReport { facts, schema, events, stopped } = report;
    let taken = facts.taken_at.map_or_else(String::new, |at| format!(" of {}", Moment(at)));
    let mut lines = vec![format!("Restored the backup{taken}: {} keys, schema {schema}, {events} audit events checked.", facts.keys)];
    match revived {
        Revived::Follow { .. } => {
            lines.push(format!(
                "Done again from {} later events: keys deleted {}, deactivated {}; people stopped {}; memberships ended or lowered {}; resources deleted {}.",
                stopped.events, stopped.deleted, stopped.deactivated, stopped.people, stopped.places, stopped.resources
            ));
            if stopped.rotated > 0 {
                lines.push(format!(
                    "Keys rotated since: {}. Their newer secrets are not in the backup and cannot be had from it: rotate these keys once more. Their older secrets end as they were to end.",
                    stopped.rotated
                ));
            }
            if !stopped.left.is_empty() {
                let left: Vec<String> = stopped.left.iter().map(|(action, times)| format!("{action} ({times})")).collect();
                lines.push(format!("Done since and not done again: {}. Look through them.", left.join(", ")));
            }
        }
        Revived::DeactivateAll => lines.push(format!(
            "Every key that worked is deactivated: {}. Activate those you know; whoever was removed or disabled since is back, too: look through members and users.",
            stopped.deactivated
        )),
        Revived::Accept => lines.push(
            "Keys that were deleted, deactivated, narrowed or rotated after the backup work again as they did then, and so do people who were removed or disabled. Look through them now.".to_owned(),
        ),
    }
    lines.push(format!(
        "Everybody signs in anew (sessions ended: {}), and invitations are to be sent again ({}). Passwords are those of then. Start the server.",
        stopped.sessions, stopped.invitations
    ));
    lines.join("\n")
}
