//! Instances full of keys, made through the services as a person would make them, only faster.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use futures_util::{StreamExt as _, stream};
use keyfold_domain::ids::{UserId, WorkspaceId};
use keyfold_domain::key::{Expiry, Inactivity, IssuedKey, NewKey};
use keyfold_domain::policy::{Actor, Principal, RequestInfo};
use keyfold_domain::scope::KeyKind;
use keyfold_domain::token::{Prefix, Secret};
use keyfold_domain::workspace::{NewWorkspace, Role};
use keyfold_engine::{DatabaseUrl, Engine, EngineOptions, NewUser, OpenRole, Password, Pepper, SystemClock, SystemEntropy};

/// Keys of one workspace.
const PER_WORKSPACE: usize = 1000;
/// Keys of one person in a workspace; the most that is allowed, less the management key.
const PER_OWNER: usize = 499;
/// Keys made at the same time: they share the disk's syncs.
const AT_ONCE: usize = 64;

/// What an instance shall hold.
pub(crate) struct Wanted<'a> {
    /// The instance's folder, to be made: the pepper, and the database if it is a file.
    pub(crate) folder: &'a Path,
    /// Another database than the file in the folder.
    pub(crate) database: Option<DatabaseUrl>,
    /// Keys, at a thousand a workspace.
    pub(crate) keys: usize,
    /// Of those, how many of each workspace are noted, to be presented.
    pub(crate) known_per_workspace: usize,
    /// Workspaces without keys, for keys to be made in.
    pub(crate) empty_workspaces: usize,
}

/// A filled instance.
pub(crate) struct Instance {
    /// Its folder: what `--data-dir` names.
    pub(crate) folder: PathBuf,
    /// A file with a secret and the secret of a caller on each line.
    pub(crate) known: PathBuf,
    /// A file with workspace, owner, how many keys there is room for, and the secret of a maker on each line.
    pub(crate) rooms: PathBuf,
}

impl Instance {
    /// A question about a known key, that the instance answers with 200.
    pub(crate) fn verify(&self) -> Result<Vec<u8>> {
        let known = std::fs::read_to_string(&self.known)?;
        let mut words = known.split_whitespace();
        let (Some(secret), Some(caller)) = (words.next(), words.next()) else { anyhow::bail!("no known key was noted") };
        let body = format!("{{\"key\":\"{secret}\"}}");
        let head = format!("POST /v1/verify HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {caller}\r\n");
        let rest = format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        Ok(format!("{head}{rest}").into_bytes())
    }

    /// A request that the instance answers with 200.
    pub(crate) fn whoami(&self) -> Result<Vec<u8>> {
        self.presented("GET /v1/whoami HTTP/1.1\r\n")
    }

    /// A request that presents a known key.
    fn presented(&self, head: &str) -> Result<Vec<u8>> {
        let (known, rooms) = (std::fs::read_to_string(&self.known)?, std::fs::read_to_string(&self.rooms)?);
        let secret = known.split_whitespace().next().or_else(|| rooms.lines().next()?.split_whitespace().last());
        let secret = secret.with_context(|| format!("{} holds no key", self.folder.display()))?;
        Ok(format!("{head}Host: 127.0.0.1\r\nAuthorization: Bearer {secret}\r\n\r\n").into_bytes())
    }
}

/// Makes an instance.
pub(crate) async fn fill(wanted: &Wanted<'_>) -> Result<Instance> {
    std::fs::DirBuilder::new().mode(0o700).create(wanted.folder)?;
    let file = |name: &str| wanted.folder.join(name);
    let instance = Instance { folder: wanted.folder.to_owned(), known: file("known-keys"), rooms: file("rooms") };
    let options = EngineOptions {
        database: wanted.database.clone().unwrap_or_else(|| DatabaseUrl::Sqlite(file("keyfold.db"))),
        pepper: Pepper::load_or_create(&file("pepper.key"), Some(&SystemEntropy))?,
        prefix: Prefix::default(),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        role: OpenRole::Serve,
    };
    let filler = Filler::new(Box::pin(Engine::open(options)).await?).await?;
    let mut known = private(&instance.known)?;
    let mut left = wanted.keys;
    while left > 0 {
        let count = left.min(PER_WORKSPACE);
        filler.keys(count, wanted.known_per_workspace, &mut known).await?;
        left -= count;
    }
    let mut rooms = private(&instance.rooms)?;
    for _ in 0..wanted.empty_workspaces {
        filler.room(&mut rooms).await?;
    }
    filler.engine.close().await;
    Ok(instance)
}

/// A new file for its owner alone.
fn private(path: &Path) -> Result<File> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.with_context(|| format!("{} cannot be made", path.display()))
}

struct Filler {
    engine: Engine,
    operator: Actor,
    owners: [UserId; 2],
    workspaces: std::cell::Cell<usize>,
}

impl Filler {
    async fn new(engine: Engine) -> Result<Self> {
        let operator = Actor { principal: Principal::Operator, request: RequestInfo { id: "bench".into(), ..RequestInfo::default() } };
        let owners = [user(&engine, &operator, "ada").await?, user(&engine, &operator, "grace").await?];
        Ok(Self { engine, operator, owners, workspaces: std::cell::Cell::default() })
    }

    /// A further workspace of both owners, and a management key in it that belongs to the first.
    async fn workspace(&self) -> Result<(String, WorkspaceId, Secret)> {
        let [first, second] = &self.owners;
        self.workspaces.set(self.workspaces.get() + 1);
        let slug = format!("bench-{}", self.workspaces.get());
        let new = NewWorkspace { slug: slug.clone(), name: slug.clone() };
        let id = self.engine.workspaces.create(&self.operator, new, first).await?.id;
        self.engine.members.add(&self.operator, &id, second, Role::Member).await?;
        let manager = self.create(&id, KeyKind::Management, &["keys:write", "verify", "inference"], first).await?;
        Ok((slug, id, manager.secret))
    }

    async fn create(&self, workspace: &WorkspaceId, kind: KeyKind, scopes: &[&str], owner: &UserId) -> Result<IssuedKey> {
        let new = NewKey {
            name: "Benchmark".into(),
            kind,
            scopes: scopes.iter().map(|scope| scope.parse()).collect::<Result<_, _>>()?,
            // A key that makes others must not end before them.
            expires_at: if kind == KeyKind::Management { Expiry::Never } else { Expiry::Default },
            inactivity_days: Inactivity::Off,
            note: String::new(),
            owner: Some(owner.clone()),
            resources: Vec::new(),
            override_owner: false,
            ip_allow: Vec::new(),
            limits: Vec::new(),
        };
        Ok(self.engine.keys.create(&self.operator, workspace, new, None).await?)
    }

    /// A workspace with so many keys, the management key among them; notes the first of them.
    async fn keys(&self, count: usize, noted: usize, known: &mut File) -> Result<()> {
        let (_, workspace, manager) = self.workspace().await?;
        let [first, second] = &self.owners;
        let owner = |at: usize| if at <= PER_OWNER { first } else { second };
        let mut made = stream::iter(1..count)
            .map(|at| self.create(&workspace, KeyKind::Secret, &["inference", "chat"], owner(at)))
            .buffer_unordered(AT_ONCE)
            .enumerate();
        while let Some((at, issued)) = made.next().await {
            if at < noted {
                writeln!(known, "{} {}", issued?.secret.expose(), manager.expose())?;
            } else {
                issued?;
            }
        }
        Ok(())
    }

    /// A workspace without keys, besides the one that will make them.
    async fn room(&self, rooms: &mut File) -> Result<()> {
        let (slug, _, manager) = self.workspace().await?;
        for owner in &self.owners {
            writeln!(rooms, "{slug} {owner} {PER_OWNER} {}", manager.expose())?;
        }
        Ok(())
    }
}

/// A person with a password that nobody will ever need.
async fn user(engine: &Engine, operator: &Actor, username: &str) -> Result<UserId> {
    let mut bytes = [0; 32];
    engine.fill_random(&mut bytes);
    let new = NewUser {
        username: username.into(),
        email: format!("{username}@example.com"),
        display_name: String::new(),
        password: Password::new(bytes.map(|byte| char::from(b'a' + byte % 26)).iter().collect()),
        instance_admin: false,
    };
    Ok(engine.users.create(operator, new).await?.id)
}
