//! `keyfold pepper status | rotate | retire`: a new pepper in the place of the present one, without new secrets for anybody.
//!
//! The order of the steps makes an interruption harmless: the new pepper is on disk before the database asks for it, and
//! takes the place of the present one after that. Until then `rotate` finishes what was begun.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use keyfold_engine::{
    DatabaseUrl, Engine, KeyUnderOld, OpenError, OpenRole, Pepper, PepperError, PepperStatus, SystemClock, SystemEntropy,
};
use serde::Serialize;

use crate::cli::output::columns;
use crate::cli::{CliError, Printer, beside, operator};
use crate::config::Config;
use crate::rest::moments::Moment;
use crate::serve::{cannot_open, open_with};

/// Replace the pepper, the file that every stored hash depends on
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Tell which peppers are live, and what still needs the old one
    Status,
    /// Make a new pepper; the old one stays beside it until all secrets have moved. The server has to be stopped
    Rotate,
    /// End the need for the old pepper
    Retire {
        /// Also if keys that were used in the last 30 days still need it: these stop
        #[arg(long)]
        force: bool,
    },
}

impl From<PepperError> for CliError {
    fn from(error: PepperError) -> Self {
        Self::Refused(error.to_string())
    }
}

#[derive(Serialize)]
struct StatusBody {
    pepper: String,
    old: Option<OldBody>,
}

#[derive(Serialize)]
struct OldBody {
    pepper: String,
    rotated_at: Option<Moment>,
    secrets: u64,
    last_used_at: Option<Moment>,
    keys_in_use: Vec<KeyBody>,
}

#[derive(Serialize)]
struct KeyBody {
    id: String,
    workspace: String,
    name: String,
    last_used_at: Option<Moment>,
}

impl From<KeyUnderOld> for KeyBody {
    fn from(key: KeyUnderOld) -> Self {
        Self { id: key.id.to_string(), workspace: key.workspace, name: key.name, last_used_at: key.last_used_at.map(Moment) }
    }
}

impl From<PepperStatus> for StatusBody {
    fn from(status: PepperStatus) -> Self {
        let old = status.old.map(|old| OldBody {
            pepper: old.fingerprint,
            rotated_at: old.rotated_at.map(Moment),
            secrets: old.secrets,
            last_used_at: old.last_used_at.map(Moment),
            keys_in_use: old.in_use.into_iter().map(KeyBody::from).collect(),
        });
        Self { pepper: status.current, old }
    }
}

#[derive(Serialize)]
struct RotatedBody {
    pepper: String,
    old: String,
    files: [PathBuf; 2],
}

#[derive(Serialize)]
struct RetiredBody {
    pepper: String,
    keys_deactivated: u64,
    secrets_ended: u64,
    file: Option<PathBuf>,
}

pub(super) async fn run(command: Command, config: &Config, printer: &Printer) -> Result<(), CliError> {
    match command {
        Command::Status => status(config, printer).await,
        Command::Rotate => rotate(config, printer).await,
        Command::Retire { force } => retire(force, config, printer).await,
    }
}

async fn status(config: &Config, printer: &Printer) -> Result<(), CliError> {
    let status = beside(config, printer, async |engine| Ok(engine.peppers.status(&operator()).await?)).await?;
    let body = StatusBody::from(status);
    let words = match &body.old {
        None => format!("One pepper is live: {}.", body.pepper),
        Some(old) => {
            let since = old.rotated_at.map_or_else(String::new, |at| format!(" since {at}"));
            let used = old.last_used_at.map_or_else(|| "none of them was ever used".to_owned(), |at| format!("last used {at}"));
            let words = format!(
                "{} is live{since}, and {} before it. {} secrets still need the old one; {used}.",
                body.pepper, old.pepper, old.secrets
            );
            if old.keys_in_use.is_empty() { words } else { format!("{words}\n{}", table(&old.keys_in_use)) }
        }
    };
    printer.data(&body, &words)
}

/// The keys as columns for a terminal.
fn table(keys: &[KeyBody]) -> String {
    let heads = ["ID", "WORKSPACE", "LAST USED", "NAME"].map(str::to_owned);
    let row = |key: &KeyBody| {
        let used = key.last_used_at.map_or_else(String::new, |at| at.to_string());
        [key.id.clone(), key.workspace.clone(), used, key.name.clone()]
    };
    columns(&std::iter::once(heads).chain(keys.iter().map(row)).collect::<Vec<_>>())
}

/// The pepper's file, and its names while it is made and after it was replaced.
struct Files {
    present: PathBuf,
    new: PathBuf,
    old: PathBuf,
}

impl Files {
    fn of(config: &Config) -> Result<Self, CliError> {
        let Some(present) = config.pepper_file() else {
            let text = "the pepper is given by KEYFOLD_PEPPER, which this command cannot change. Write it into a file (chmod 600), name that with pepper_file instead, and rotate it then";
            return Err(CliError::Refused(text.to_owned()));
        };
        let beside = |ending: &str| Pepper::beside(present, ending);
        Ok(Self { new: beside(".new"), old: beside(".old"), present: present.to_owned() })
    }

    /// The new pepper takes the place of the present one, of which there is a copy.
    fn switch(&self) -> Result<(), CliError> {
        std::fs::rename(&self.new, &self.present).and_then(|()| sync_folder(&self.present)).map_err(|error| failed(&self.new, &error))
    }

    /// Puts the old pepper's file out of the way: backups from its time still need it.
    fn put_aside(&self, fingerprint: &str) -> Result<Option<PathBuf>, CliError> {
        let aside = Pepper::beside(&self.present, &format!(".retired-{fingerprint}"));
        match std::fs::rename(&self.old, &aside) {
            Ok(()) => Ok(Some(aside)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(&self.old, &error)),
        }
    }
}

fn failed(path: &Path, error: &std::io::Error) -> CliError {
    CliError::Refused(format!("{}: {error}", path.display()))
}

fn sync_folder(file: &Path) -> std::io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    std::fs::File::open(folder)?.sync_all()
}

async fn rotate(config: &Config, printer: &Printer) -> Result<(), CliError> {
    let files = Files::of(config)?;
    let (new, old) = match finish(config, &files).await? {
        Some(finished) => finished,
        None => begin(config, &files).await?,
    };
    let more = match config.database_url {
        DatabaseUrl::Sqlite(_) => "Start the server again.",
        DatabaseUrl::Postgres(_) => "Restart every server at once: one that runs on does not know keys made from here on.",
    };
    let words = format!(
        "The pepper is {new} now, and {old} before it. {more}\nCopy {} and {} away. Secrets move to the new one as they are used; `keyfold pepper status` tells how many are left, and `keyfold pepper retire` ends the old one.\nEverybody signs in anew; invitations and links to choose a password are to be sent again.",
        files.present.display(),
        files.old.display()
    );
    printer.data(&RotatedBody { pepper: new, old, files: [files.present, files.old] }, &words)
}

/// Opens the instance as a server would, so that none can be running on the same file.
async fn open_alone(config: &Config, pepper: Pepper) -> Result<Engine, OpenError> {
    open_with(config, OpenRole::Serve, Arc::new(SystemClock), pepper).await
}

/// Finishes a rotation that was interrupted after the database had been told. Returns the fingerprints of the two.
async fn finish(config: &Config, files: &Files) -> Result<Option<(String, String)>, CliError> {
    let pepper = match Pepper::load(&files.new, &files.old) {
        Ok(pepper) => pepper,
        Err(PepperError::Missing(_)) => return Ok(None),
        // Interrupted while it was written: the database cannot know it.
        Err(PepperError::Malformed(_)) => return remove(&files.new).map(|()| None),
        Err(error) => return Err(error.into()),
    };
    let named = (pepper.fingerprint(), pepper.old().map(Pepper::fingerprint).unwrap_or_default());
    match open_alone(config, pepper).await {
        Ok(engine) => {
            engine.close().await;
            files.switch()?;
            Ok(Some(named))
        }
        // The database was never told of it.
        Err(OpenError::WrongPepper(_)) => remove(&files.new).map(|()| None),
        Err(error) => Err(cannot_open(config, &error)),
    }
}

fn remove(path: &Path) -> Result<(), CliError> {
    std::fs::remove_file(path).map_err(|error| failed(path, &error))
}

async fn begin(config: &Config, files: &Files) -> Result<(String, String), CliError> {
    let present = config.pepper(false)?;
    let stale = present.old().map(Pepper::fingerprint);
    let engine = open_alone(config, present).await.map_err(|error| cannot_open(config, &error))?;
    let done = begin_on(&engine, config, files, stale).await;
    engine.close().await;
    done
}

async fn begin_on(engine: &Engine, config: &Config, files: &Files, stale: Option<String>) -> Result<(String, String), CliError> {
    if engine.peppers.status(&operator()).await?.old.is_some() {
        let text = "two peppers are live already. Retire the old one first: keyfold pepper retire";
        return Err(CliError::Refused(text.to_owned()));
    }
    match stale {
        Some(fingerprint) => drop(files.put_aside(&fingerprint)?),
        // A copy of the present one, from a rotation that was interrupted.
        None if files.old.exists() => remove(&files.old)?,
        None => {}
    }
    let next = config.pepper(false)?.rotated(&SystemEntropy);
    let Some(old) = next.old() else { return Err(CliError::Refused("the pepper cannot be replaced".to_owned())) };
    old.save(&files.old)?;
    next.save(&files.new)?;
    engine.peppers.rotate(&operator(), &next).await?;
    files.switch()?;
    Ok((next.fingerprint(), old.fingerprint()))
}

async fn retire(force: bool, config: &Config, printer: &Printer) -> Result<(), CliError> {
    let work = async |engine: &Engine| {
        let old = engine.peppers.status(&operator()).await?.old;
        Ok((old, engine.peppers.retire(&operator(), force).await?))
    };
    let (old, done) = beside(config, printer, work).await?;
    let fingerprint = old.map(|old| old.fingerprint).unwrap_or_default();
    let file = match config.pepper_file() {
        Some(_) => Files::of(config)?.put_aside(&fingerprint)?,
        None => None,
    };
    let kept = file.as_ref().map_or_else(String::new, |file| {
        format!(" Its file is {} now: backups from its time need it, so keep it apart for as long as you keep these.", file.display())
    });
    let words = format!("The pepper {fingerprint} is retired: {} keys deactivated, {} older secrets ended.{kept}", done.keys, done.secrets);
    printer.data(&RetiredBody { pepper: fingerprint, keys_deactivated: done.keys, secrets_ended: done.secrets, file }, &words)
}
