//! Opening an instance: the database, its schema, the pepper's check, the keys in memory, the background jobs.

use std::fs::File;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use keyfold_domain::time::Timestamp;
use keyfold_domain::token::Prefix;
use sqlx::Connection as _;
use sqlx::migrate::MigrateError;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::changes::Follower;
use crate::clock::{Clock, Entropy};
use crate::error::Error;
use crate::following::{announce, follow, listen};
use crate::keyset::Keyset;
use crate::limits::SignInLimits;
use crate::mac::{Macs, Pepper};
use crate::password::Hasher;
use crate::pepper_check;
use crate::presence::{self, NewNode, Presence, Signals, be_seen};
use crate::request_limits::RequestLimits;
use crate::service::account::Account;
use crate::service::audit::Audit;
use crate::service::demo::Demo;
use crate::service::invitations::Invitations;
use crate::service::keys::Keys;
use crate::service::left_keys::LeftKeyQueue;
use crate::service::members::Members;
use crate::service::nodes::Nodes;
use crate::service::password_links::PasswordLinks;
use crate::service::peppers::Peppers;
use crate::service::policies::Policies;
use crate::service::resources::Resources;
use crate::service::routes::Routes;
use crate::service::scopes::Scopes;
use crate::service::sessions::Sessions;
use crate::service::setup::Setup;
use crate::service::sweep::{SWEEP_EVERY, Swept, sweep};
use crate::service::users::Users;
use crate::service::verify::Verifier;
use crate::service::workspaces::Workspaces;
use crate::service::{self, Core, FLUSH_EVERY};
use crate::sharing::{self, share_limits};
use crate::store::db::{Conn, DatabaseUrl, Db, sqlite_reader, sqlite_writer, unfit_postgres};
use crate::store::{copy, migrate, place};

/// Connections that read, and on PostgreSQL also write.
const CONNECTIONS: u32 = 8;
/// For how long a server that was told nothing else says yes without news of changes.
const STALENESS_BUDGET: Duration = Duration::from_secs(5);

/// Who opens the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenRole {
    /// The server. On SQLite only one at a time.
    Serve,
    /// A command that may run beside a server.
    Beside,
    /// A command that only looks: it neither makes nor upgrades what is there.
    Look,
}

/// What an instance is opened with.
pub struct EngineOptions {
    /// Where the data is.
    pub database: DatabaseUrl,
    /// What keys every stored hash.
    pub pepper: Pepper,
    /// What every secret starts with.
    pub prefix: Prefix,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Gives randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Who opens it.
    pub role: OpenRole,
}

/// The instance cannot be opened. The text tells the operator what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A server runs on this file already.
    #[error("another Keyfold server is using {path} already. Stop it first, or use PostgreSQL to run several servers", path = .0.display())]
    InUse(PathBuf),
    /// The lock file cannot be made or locked.
    #[error("the lock file {path} cannot be used: {why}", path = .0.display(), why = .1)]
    Lock(PathBuf, std::io::Error),
    /// The file lies where locks do not hold.
    #[error(
        "{path} is on a network file system ({kind}), where two servers could not be kept apart and the file would be damaged. Use a disk of this machine, or PostgreSQL",
        path = .0.display(), kind = .1
    )]
    Network(PathBuf, &'static str),
    /// A PostgreSQL server that is not up to it.
    #[error("{0}")]
    Unfit(&'static str),
    /// The database was written by a newer Keyfold.
    #[error("the database has schema {0}, and this Keyfold knows only up to {known}. Use the newer Keyfold, or restore a backup from before the upgrade", known = migrate::NEWEST)]
    Newer(i64),
    /// The schema must be brought up to date, and a server of another version is running.
    #[error("the database must be upgraded, and a server is running on it. Stop the server and start it with this version")]
    UpgradeUnderServer,
    /// The schema is an older one, and whoever opens the database may not change it.
    #[error("schema is older: start the server once to upgrade")]
    Older,
    /// The database holds nothing of Keyfold, and whoever opens it may not change that.
    #[error("the database is empty: start the server once to set it up")]
    Empty,
    /// A migration failed.
    #[error("the database could not be brought to this version: {0}")]
    Migrate(MigrateError),
    /// The pepper is not the one this database was made with.
    #[error(
        "the pepper (fingerprint {0}) is not the one this database was made with. Put the right pepper file back; with this one no key and no session could be verified"
    )]
    WrongPepper(String),
    /// A rotation of the pepper stopped half way.
    #[error(
        "a rotation of the pepper was interrupted before the new file took the place of the old one. Run `keyfold pepper rotate` again: it finishes it"
    )]
    RotationInterrupted,
    /// The pepper before the present one is needed and not there.
    #[error(
        "some keys still need the pepper before the present one (fingerprint {0}). Put its file back beside the pepper file, with the same name and the ending .old; `keyfold pepper status` tells about them, `keyfold pepper retire` ends that need"
    )]
    WithoutOldPepper(String),
    /// The database cannot be reached or read.
    #[error("{0}")]
    Store(#[from] Error),
}

impl From<sqlx::Error> for OpenError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Can this instance serve, and if not, why not?
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    /// It can.
    pub ready: bool,
    /// What is missing, for the operator.
    pub why: Vec<String>,
    /// What works and will not for long, for the operator.
    pub soon: Vec<String>,
}

struct Shared {
    core: Arc<Core>,
    jobs: Mutex<Vec<JoinHandle<()>>>,
    /// Ends the jobs between two rounds, also when it is dropped.
    stop: watch::Sender<bool>,
    /// The SQLite file.
    file: Option<PathBuf>,
    /// Held as long as the engine lives.
    _lock: Option<File>,
}

/// An open instance. Clones share it.
#[derive(Clone)]
pub struct Engine {
    /// The first set-up.
    pub setup: Setup,
    /// Signing in.
    pub sessions: Sessions,
    /// People.
    pub users: Users,
    /// What people change about themselves.
    pub account: Account,
    /// Links to choose a password.
    pub password_links: PasswordLinks,
    /// Workspaces.
    pub workspaces: Workspaces,
    /// Who belongs to a workspace.
    pub members: Members,
    /// The servers on the database.
    pub nodes: Nodes,
    /// The rules for keys.
    pub policies: Policies,
    /// Who is invited to a workspace.
    pub invitations: Invitations,
    /// The keys of people who left.
    pub left_keys: LeftKeyQueue,
    /// What keys can be tied to.
    pub resources: Resources,
    /// What requests to services behind a proxy need.
    pub routes: Routes,
    /// What keys may be used for.
    pub scopes: Scopes,
    /// API keys.
    pub keys: Keys,
    /// Verdicts on presented keys.
    pub verifier: Verifier,
    /// The audit log.
    pub audit: Audit,
    /// Replacing the pepper.
    pub peppers: Peppers,
    /// Keys for a look around.
    pub demo: Demo,
    shared: Arc<Shared>,
}

impl Engine {
    /// Opens the database, brings it to this version, checks the pepper and loads every key.
    pub async fn open(options: EngineOptions) -> Result<Self, OpenError> {
        let macs = Macs::new(&options.pepper);
        let (db, lock) = match &options.database {
            DatabaseUrl::Sqlite(path) => open_sqlite(path, options.role).await?,
            DatabaseUrl::Postgres(url) => (open_postgres(url, options.role).await?, None),
        };
        // Nobody else had the lock.
        let unserved = options.role == OpenRole::Beside && lock.is_some();
        // A command gives the lock back: it only kept others away from the upgrade.
        let lock = lock.filter(|_| options.role == OpenRole::Serve);
        let macs = pepper_check::agree(&db, macs, options.role).await?;
        if options.role == OpenRole::Serve && db.shared_feed().is_none() {
            // Moved here from PostgreSQL with what a killed server held.
            let at = options.clock.now().as_millis();
            db.note(move |mut conn| Box::pin(async move { Ok(crate::store::leases::settle(&mut conn, at).await?) })).await?;
        }
        let file = match options.database {
            DatabaseUrl::Sqlite(path) => Some(path),
            DatabaseUrl::Postgres(_) => None,
        };
        let hashes_at_once = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let core = Arc::new(Core {
            limits: SignInLimits::new(&options.clock),
            bulk: service::BulkJobs::default(),
            flushing: tokio::sync::Mutex::default(),
            hasher: Hasher::new(hashes_at_once, options.entropy.as_ref())?,
            macs: Arc::new(macs),
            keyset: Keyset::new(),
            follower: Follower::new(Arc::clone(&options.clock)),
            signals: Signals::default(),
            presence: OnceLock::new(),
            unserved,
            prefix: options.prefix,
            clock: options.clock,
            entropy: options.entropy,
            db,
        });
        core.follower.catch_up(&core.db, &core.keyset).await?;
        Ok(Self::over(core, file, lock))
    }

    fn over(core: Arc<Core>, file: Option<PathBuf>, lock: Option<File>) -> Self {
        let shared = || Arc::clone(&core);
        Self {
            setup: Setup { core: shared() },
            sessions: Sessions { core: shared() },
            users: Users { core: shared() },
            workspaces: Workspaces { core: shared() },
            account: Account { core: shared() },
            password_links: PasswordLinks { core: shared() },
            members: Members { core: shared() },
            nodes: Nodes { core: shared() },
            policies: Policies { core: shared() },
            invitations: Invitations { core: shared() },
            left_keys: LeftKeyQueue { core: shared() },
            resources: Resources { core: shared() },
            routes: Routes { core: shared() },
            scopes: Scopes { core: shared() },
            keys: Keys { core: shared() },
            verifier: Verifier { core: shared() },
            audit: Audit { core: shared() },
            peppers: Peppers { core: shared() },
            demo: Demo { core: shared() },
            shared: Arc::new(Shared { core, jobs: Mutex::new(Vec::new()), stop: watch::Sender::new(false), file, _lock: lock }),
        }
    }

    /// What every secret of this instance starts with.
    pub fn prefix(&self) -> &Prefix {
        &self.shared.core.prefix
    }

    /// Now, by the instance's clock.
    pub fn now(&self) -> Timestamp {
        self.shared.core.now()
    }

    /// A limit of so many requests a minute for each actor, by the instance's clock.
    pub fn request_limits(&self, per_minute: NonZeroU32) -> RequestLimits {
        RequestLimits::new(&self.shared.core.clock, per_minute)
    }

    /// Fills a slice with unpredictable bytes.
    pub fn fill_random(&self, bytes: &mut [u8]) {
        self.shared.core.entropy.fill(bytes);
    }

    /// How many keys the verifier holds in memory.
    pub fn keys_in_memory(&self) -> usize {
        self.shared.core.keyset.len()
    }

    /// How many secrets the verifier holds in memory: more than keys while some are rotated.
    pub fn secrets_in_memory(&self) -> usize {
        self.shared.core.keyset.secrets()
    }

    /// Makes this process known as one of the servers on the database, from now on bound by its budget. To be called before
    /// it answers anybody: whoever waits for a change to be in force everywhere asks the servers that are known.
    pub async fn join(&self, node: NewNode) -> Result<(), Error> {
        let core = &self.shared.core;
        let budget = node.staleness_budget;
        let presence = core.presence.get_or_init(|| Presence::of(core, node));
        presence::register(core, presence).await?;
        // What was committed before anybody knew of this server.
        self.sync().await?;
        core.follower.bound(&core.keyset, budget);
        sharing::begin(core).await;
        Ok(())
    }

    /// Says that this server is there, agrees with the others on who counts limits how, and asks for what is needed of quotas,
    /// now. A server does so by itself.
    pub async fn share_limits(&self) -> Result<(), Error> {
        let core = &self.shared.core;
        if let Some(presence) = core.presence.get() {
            presence::say(core, presence).await?;
        }
        sharing::round(core).await
    }

    /// Starts the background jobs of a server: following the change log, writing counts, forgetting what is old.
    pub fn start_jobs(&self) {
        let (core, stop) = (|| Arc::clone(&self.shared.core), || self.shared.stop.subscribe());
        if self.shared.core.presence.get().is_none() {
            self.shared.core.follower.bound(&self.shared.core.keyset, STALENESS_BUDGET);
        }
        let jobs = [
            tokio::spawn(follow(core(), stop())),
            tokio::spawn(announce(core(), stop())),
            tokio::spawn(listen(core(), stop())),
            tokio::spawn(be_seen(core(), stop())),
            tokio::spawn(share_limits(core(), stop())),
            tokio::spawn(write_counts(core(), stop())),
            tokio::spawn(record_ends(core(), stop())),
        ];
        self.shared.jobs.lock().unwrap_or_else(PoisonError::into_inner).extend(jobs);
    }

    /// Applies every change that others have written, now.
    pub async fn sync(&self) -> Result<(), Error> {
        self.shared.core.follower.catch_up(&self.shared.core.db, &self.shared.core.keyset).await
    }

    /// Writes every count that is waiting, now.
    pub async fn flush_usage(&self) -> Result<(), Error> {
        service::flush(&self.shared.core).await
    }

    /// Puts what time has brought about since the last time into the audit log, now.
    pub async fn sweep(&self) -> Result<Swept, Error> {
        sweep(&self.shared.core).await
    }

    /// Forgets what nobody needs any more, now. A server does so by itself.
    pub async fn housekeep(&self) -> Result<(), Error> {
        service::housekeep(&self.shared.core).await
    }

    /// Can it serve? Asks the database, for at most a second.
    pub async fn readiness(&self) -> Readiness {
        let mut why = Vec::new();
        match timeout(Duration::from_secs(1), self.setup.is_needed()).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => why.push(format!("the database does not answer: {error}")),
            Err(_) => why.push("the database did not answer within a second".to_owned()),
        }
        if !self.verifier.is_ready() {
            why.push(format!("the change log was not seen for {} ms", self.shared.core.follower.out_of_touch_ms()));
        }
        Readiness { ready: why.is_empty(), why, soon: self.lack_of_room().into_iter().collect() }
    }

    /// What makes searches slow that the operator can mend, and how; `None` if nothing does.
    pub async fn search_advice(&self) -> Result<Option<&'static str>, Error> {
        let mut reader = self.shared.core.db.reader().await?;
        let Conn::Postgres(raw) = reader.conn() else { return Ok(None) };
        let indexed = crate::store::names::are_indexed(raw).await?;
        Ok((!indexed).then_some(
            "searches look at every name, because the extension pg_trgm was missing or not allowed when the tables were made. \
             Where there are very many keys, install it (Debian has it in the package of the server) and run, in Keyfold's schema: \
             CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA public; \
             CREATE INDEX CONCURRENTLY keys_by_part_of_name ON keys USING gin (folded_name public.gin_trgm_ops) \
             WITH (gin_pending_list_limit = 256)",
        ))
    }

    fn lack_of_room(&self) -> Option<String> {
        let path = self.shared.file.as_deref()?;
        place::lack_of_room(path).unwrap_or_else(|error| Some(format!("the folder of the database cannot be looked at: {error}")))
    }

    /// Stops the jobs, writes what is waiting and closes the database.
    pub async fn close(&self) {
        let jobs = std::mem::take(&mut *self.shared.jobs.lock().unwrap_or_else(PoisonError::into_inner));
        self.shared.stop.send_replace(true);
        for job in jobs {
            // One that is in the middle of something finishes it: given up, it would lose the counts that it carries.
            if let Err(error) = job.await {
                tracing::error!(%error, "a background job ended badly");
            }
        }
        self.shared.core.bulk.stop().await;
        if let Err(error) = self.flush_usage().await {
            tracing::error!(%error, "some counts of uses could not be written and are lost");
        }
        presence::leave(&self.shared.core).await;
        self.shared.core.db.close().await;
    }
}

async fn open_sqlite(path: &Path, role: OpenRole) -> Result<(Db, Option<File>), OpenError> {
    if role == OpenRole::Look {
        // Through a connection that cannot write: the other one would make the file, or turn an empty one into a database.
        let mut reader = sqlite_reader(path).await?;
        look(&mut Conn::Sqlite(&mut reader)).await?;
        reader.close().await?;
        return Ok((Db::sqlite(path, sqlite_writer(path).await?, CONNECTIONS), None));
    }
    // What is wrong with the folder will be said by whoever opens the file in it.
    if let Ok(Some(kind)) = place::network_file_system(path) {
        return Err(OpenError::Network(path.to_owned(), kind));
    }
    let lock_path = copy::beside(path, ".lock");
    let (lock, locked) = copy::lock(&lock_path).map_err(|error| OpenError::Lock(lock_path, error))?;
    if !locked && role == OpenRole::Serve {
        return Err(OpenError::InUse(path.to_owned()));
    }
    let mut writer = sqlite_writer(path).await?;
    if let (true, Some(schema)) = (locked, migrate::current(&mut Conn::Sqlite(&mut writer)).await?)
        && schema < migrate::NEWEST
    {
        let kept = copy::keep(&mut writer, path, schema).await?;
        tracing::info!(copy = %kept.display(), "the database is brought to this version; a copy of it as it was is kept");
    }
    upgrade(&mut Conn::Sqlite(&mut writer), locked).await?;
    Ok((Db::sqlite(path, writer, CONNECTIONS), locked.then_some(lock)))
}

async fn open_postgres(url: &str, role: OpenRole) -> Result<Db, OpenError> {
    if let Some(why) = unfit_postgres(url).await? {
        return Err(OpenError::Unfit(why));
    }
    let db = Db::postgres(url, CONNECTIONS).await?;
    let mut reader = db.reader().await?;
    if role == OpenRole::Look {
        look(&mut reader.conn()).await?;
    } else {
        // sqlx holds an advisory lock while it migrates, so several nodes may start at once.
        upgrade(&mut reader.conn(), true).await?;
    }
    drop(reader);
    Ok(db)
}

async fn upgrade(conn: &mut Conn<'_>, allowed: bool) -> Result<(), OpenError> {
    match look(conn).await {
        Err(OpenError::Older | OpenError::Empty) if allowed => migrate::run(conn).await.map_err(OpenError::Migrate),
        Err(OpenError::Older | OpenError::Empty) => Err(OpenError::UpgradeUnderServer),
        done => done,
    }
}

/// Is the schema the one this binary knows?
async fn look(conn: &mut Conn<'_>) -> Result<(), OpenError> {
    match migrate::current(conn).await? {
        Some(version) if version > migrate::NEWEST => Err(OpenError::Newer(version)),
        Some(version) if version == migrate::NEWEST => Ok(()),
        Some(_) => Err(OpenError::Older),
        None => Err(OpenError::Empty),
    }
}

/// Writes counts of uses every few seconds; cleans up now and then.
async fn write_counts(core: Arc<Core>, mut stop: watch::Receiver<bool>) {
    let mut ticks = interval(FLUSH_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for round in 0u64.. {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stop.changed() => return,
        }
        if let Err(error) = service::flush(&core).await {
            tracing::warn!(%error, "counts of uses could not be written; they are kept for the next try");
        }
        if let Err(error) = service::index_names(&core).await {
            tracing::warn!(%error, "new names could not be taken into the index; searches look at them one by one");
        }
        if round % 60 == 1
            && let Err(error) = service::housekeep(&core).await
        {
            tracing::warn!(%error, "old entries could not be removed");
        }
    }
}

/// Puts keys that have expired or fallen dormant into the audit log, every minute.
async fn record_ends(core: Arc<Core>, mut stop: watch::Receiver<bool>) {
    let mut ticks = interval(SWEEP_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stop.changed() => return,
        }
        if let Err(error) = sweep(&core).await {
            tracing::warn!(%error, "the ends of keys could not be recorded; they are at the next sweep");
        }
    }
}
