//! The one-time link to the first set-up: printed once, kept in a file for its owner, gone when set-up is done.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use keyfold_engine::Engine;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::cli::{CliError, Printer};
use crate::config::Config;

/// How often it is looked whether set-up was done, here or by a command.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Prints the link if set-up is needed, and returns the task that removes the token's file afterwards.
pub(super) async fn offer(engine: &Engine, config: &Config, printer: &Printer) -> Result<Option<JoinHandle<()>>, CliError> {
    let file = config.setup_token_file();
    if !engine.setup.is_needed().await? {
        forget(&file);
        return Ok(None);
    }
    let token = engine.setup.issue_token().await?;
    keep(&file, token.expose()).map_err(|error| CliError::Refused(format!("{}: {error}", file.display())))?;
    printer.note(&format!("Set up Keyfold: {}/setup?token={}", config.public_url.origin(), token.expose()));
    Ok(Some(tokio::spawn(forget_when_done(engine.clone(), file))))
}

/// Writes the token for the file's owner alone.
fn keep(file: &Path, token: &str) -> io::Result<()> {
    forget(file);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    file.write_all(token.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

fn forget(file: &Path) {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, file = %file.display(), "the used set-up token could not be removed");
        }
        _ => {}
    }
}

async fn forget_when_done(engine: Engine, file: PathBuf) {
    // A store that does not answer says nothing about set-up.
    while engine.setup.is_needed().await.unwrap_or(true) {
        sleep(LOOK_EVERY).await;
    }
    forget(&file);
    tracing::info!("set-up is done; its token is gone");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt as _;

    #[test]
    fn the_token_is_kept_for_its_owner_alone_and_replaces_an_older_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("setup-token");
        keep(&file, "old").unwrap();
        keep(&file, "new").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new\n");
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        forget(&file);
        assert!(!file.exists());
        forget(&file);
    }
}
