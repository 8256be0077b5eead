//! The heads of the audit log in a file: written every hour beside the database, and by `keyfold audit head`. A copy of it
//! elsewhere tells of events that were cut off the end of the log together with its head.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use keyfold_domain::audit::ChainHead;
use keyfold_engine::Engine;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::cli::operator;
use crate::rest::moments::Moment;

/// The file's name in the data folder.
const NAME: &str = "audit-heads.json";
/// How often it is written.
const EVERY: Duration = Duration::from_hours(1);
/// The largest file that is read, in bytes: room for the heads of hundreds of thousands of workspaces.
const LARGEST: u64 = 64 * 1024 * 1024;

/// What the file holds.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Heads {
    /// When they were taken.
    pub(crate) taken_at: Moment,
    /// The newest link of every chain.
    pub(crate) heads: Vec<ChainHead>,
}

/// The present heads.
pub(crate) async fn take(engine: &Engine) -> Result<Heads, keyfold_engine::Error> {
    Ok(Heads { taken_at: Moment(engine.now()), heads: engine.audit.heads(&operator()).await? })
}

/// The heads in a file.
///
/// # Errors
/// If it cannot be read or holds something else.
pub(crate) fn read(path: &Path) -> io::Result<Vec<ChainHead>> {
    let mut text = String::new();
    File::open(path)?.take(LARGEST).read_to_string(&mut text)?;
    let kept: Heads = serde_json::from_str(&text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    Ok(kept.heads)
}

/// The heads that a server has kept in its data folder; none where there is no file yet.
pub(crate) fn kept_in(folder: &Path) -> io::Result<Vec<ChainHead>> {
    match read(&folder.join(NAME)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read,
    }
}

/// Puts the heads kept in a data folder aside, because the log is another one from here on. Says where they are now.
pub(crate) fn put_aside(folder: &Path) -> io::Result<Option<PathBuf>> {
    let aside = folder.join(format!("{NAME}.before-restore"));
    match fs::rename(folder.join(NAME), &aside) {
        Ok(()) => Ok(Some(aside)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Puts the heads into a file, whole or not at all.
fn write(path: &Path, heads: &Heads) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(serde_json::to_string_pretty(heads)?.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

/// Writes the file anew, unless the log no longer holds what the file says: then the file is the evidence, and stays.
async fn renew(engine: &Engine, path: &Path) -> Result<(), String> {
    match read(path) {
        Ok(kept) => {
            if let Some(broken) = engine.audit.missing(&operator(), &kept).await.map_err(|error| error.to_string())? {
                return Err(format!("the audit log was cut or changed: event {} of chain {}: {}", broken.seq, broken.chain, broken.why));
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(format!("cannot be read: {error}")),
    }
    let heads = take(engine).await.map_err(|error| error.to_string())?;
    write(path, &heads).map_err(|error| format!("cannot be written: {error}"))
}

/// Keeps the file up to date until the task is ended.
pub(crate) fn keep(engine: Engine, folder: &Path) -> JoinHandle<()> {
    let path = folder.join(NAME);
    tokio::spawn(async move {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(why) = renew(&engine, &path).await {
                tracing::error!(file = %path.display(), why, "the heads of the audit log are not kept; the file is left as it is");
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use keyfold_domain::time::Timestamp;
    use keyfold_domain::workspace::NewWorkspace;
    use keyfold_engine::testing::{MockClock, open};
    use keyfold_engine::{NewUser, Password};

    use super::*;

    #[tokio::test]
    async fn the_file_follows_the_log_and_outlives_a_cut_as_evidence() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(MockClock::new(Timestamp::from_millis(1_800_000_000_000)));
        let database = format!("sqlite:{}", folder.path().join("keyfold.db").display()).parse().unwrap();
        let engine = open(database, &clock, 1).await.unwrap();
        let path = folder.path().join(NAME);
        let user = async |name: &str| {
            let password = Password::new("violet anchor kiosk".into());
            let new = NewUser {
                username: name.into(),
                email: format!("{name}@example.com"),
                display_name: String::new(),
                password,
                instance_admin: false,
            };
            engine.users.create(&operator(), new).await.unwrap().id
        };
        let ada = user("ada").await;
        renew(&engine, &path).await.unwrap();
        let first = read(&path).unwrap();
        engine.workspaces.create(&operator(), NewWorkspace { slug: "acme".into(), name: "Acme".into() }, &ada).await.unwrap();
        renew(&engine, &path).await.unwrap();
        let second = read(&path).unwrap();
        assert_eq!((first.len(), second.len()), (1, 2));
        assert_eq!(engine.audit.missing(&operator(), &first).await.unwrap(), None);

        // A file that names more events than there are is kept, and the log is complained of.
        let later = Heads { taken_at: Moment(engine.now()), heads: vec![ChainHead { seq: 99, ..second[0].clone() }] };
        write(&path, &later).unwrap();
        assert!(renew(&engine, &path).await.unwrap_err().contains("cut"));
        assert_eq!(read(&path).unwrap(), later.heads);
        fs::write(&path, "nonsense").unwrap();
        assert!(renew(&engine, &path).await.is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "nonsense");
    }
}
