//! An instance on a database of its own, with people in it.

use std::sync::Arc;

use keyfold_domain::ids::{UserId, WorkspaceId};
use keyfold_domain::key::{Expiry, Inactivity, IssuedKey, NewKey};
use keyfold_domain::policy::{Actor, Principal, RequestInfo};
use keyfold_domain::problem::{Problem, ProblemCode};
use keyfold_domain::scope::{KeyKind, ScopeSet};
use keyfold_domain::time::Timestamp;
use keyfold_domain::verdict::Code;
use keyfold_domain::workspace::{NewWorkspace, Role, WorkspaceSummary};
use keyfold_engine::testing::{MockClock, fresh_schema, open};
use keyfold_engine::{DatabaseUrl, Engine, Error, NewUser, Password, SignIn};

pub(crate) const PASSWORD: &str = "violet anchor kiosk";
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// An open instance, the clock it runs by, and the folder its file is in.
pub(crate) struct Instance {
    pub(crate) engine: Engine,
    pub(crate) clock: Arc<MockClock>,
    pub(crate) database: DatabaseUrl,
    pub(crate) folder: tempfile::TempDir,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum On {
    Sqlite,
    Postgres,
}

/// Runs one body on both engines, each as a test of its own.
macro_rules! on_both {
    ($(async fn $name:ident($instance:ident) $body:block)*) => {$(
        mod $name {
            use super::*;

            async fn body($instance: $crate::support::Instance) $body

            #[tokio::test]
            async fn on_sqlite() {
                if let Some(instance) = $crate::support::Instance::open($crate::support::On::Sqlite).await {
                    body(instance).await;
                }
            }

            #[tokio::test]
            async fn on_postgres() {
                if let Some(instance) = $crate::support::Instance::open($crate::support::On::Postgres).await {
                    body(instance).await;
                }
            }
        }
    )*};
}
pub(crate) use on_both;

impl Instance {
    /// A fresh instance; `None` for PostgreSQL when no server was named and nothing demands one.
    pub(crate) async fn open(on: On) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(MockClock::new(NOW));
        let database = match on {
            On::Sqlite => DatabaseUrl::Sqlite(folder.path().join("keyfold.db")),
            On::Postgres => fresh_schema(&postgres_url()?).await.unwrap(),
        };
        let engine = open(database.clone(), &clock, 1).await.unwrap();
        Some(Self { engine, clock, database, folder })
    }

    /// An instance whose database another version made, as a dump of it says.
    pub(crate) async fn from_dump(on: On, sqlite: &'static str, postgres: &'static str) -> Option<Self> {
        use sqlx::{ConnectOptions, Connection, Executor};
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(MockClock::new(NOW));
        let path = folder.path().join("keyfold.db");
        let database = match on {
            On::Sqlite => {
                let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path).create_if_missing(true);
                let mut connection = options.connect().await.unwrap();
                connection.execute(sqlite).await.unwrap();
                connection.close().await.unwrap();
                DatabaseUrl::Sqlite(path)
            }
            On::Postgres => {
                let database = fresh_schema(&postgres_url()?).await.unwrap();
                let DatabaseUrl::Postgres(url) = &database else { unreachable!() };
                let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
                connection.execute(postgres).await.unwrap();
                connection.close().await.unwrap();
                database
            }
        };
        let engine = open(database.clone(), &clock, 1).await.unwrap();
        Some(Self { engine, clock, database, folder })
    }

    /// A second process on the same database, as a command beside the server would be.
    pub(crate) async fn beside(&self) -> Engine {
        use keyfold_engine::{EngineOptions, OpenRole, Pepper};
        let options = EngineOptions {
            database: self.database.clone(),
            pepper: Pepper::from_bytes([7; 32]),
            prefix: keyfold_domain::token::Prefix::default(),
            clock: self.clock.clone(),
            entropy: Arc::new(keyfold_engine::testing::SeededEntropy::new(99)),
            role: OpenRole::Beside,
        };
        Engine::open(options).await.unwrap()
    }

    pub(crate) async fn user(&self, name: &str, instance_admin: bool) -> keyfold_domain::user::UserSummary {
        let new = NewUser {
            username: name.into(),
            email: format!("{name}@example.com"),
            display_name: String::new(),
            password: Password::new(PASSWORD.into()),
            instance_admin,
        };
        self.engine.users.create(&operator(), new).await.unwrap()
    }

    pub(crate) async fn sign_in(&self, name: &str) -> Actor {
        let form = SignIn { login: name.into(), password: Password::new(PASSWORD.into()) };
        // Each person signs in from a network of their own, so that limits of one do not stop another.
        let digest = name.bytes().fold(1u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
        self.engine.sessions.sign_in(&from([192, 0, 2, digest]), form).await.unwrap().actor
    }

    /// A workspace that belongs to a fresh user called `owner`.
    pub(crate) async fn workspace(&self, slug: &str, owner: &str) -> (WorkspaceSummary, Actor) {
        let user = self.user(owner, false).await;
        let new = NewWorkspace { slug: slug.into(), name: slug.to_uppercase() };
        let workspace = self.engine.workspaces.create(&operator(), new, &user.id).await.unwrap();
        (workspace, self.sign_in(owner).await)
    }

    /// A fresh user with that role in the workspace.
    pub(crate) async fn member(&self, workspace: &WorkspaceId, name: &str, role: Role) -> Actor {
        let user = self.user(name, false).await;
        self.engine.members.add(&operator(), workspace, &user.id, role).await.unwrap();
        self.sign_in(name).await
    }

    /// What a service is told of a key that is presented to it.
    pub(crate) fn verdict(&self, issued: &IssuedKey) -> Code {
        self.engine.verifier.whoami(issued.secret.expose(), None).unwrap().code
    }

    pub(crate) async fn key(&self, actor: &Actor, workspace: &WorkspaceId, name: &str) -> IssuedKey {
        self.engine.keys.create(actor, workspace, new_key(name, &["project"]), None).await.unwrap()
    }

    /// A management key with these scopes.
    pub(crate) async fn management(&self, actor: &Actor, workspace: &WorkspaceId, scopes: &[&str]) -> IssuedKey {
        let new = NewKey { kind: KeyKind::Management, ..new_key("manager", scopes) };
        self.engine.keys.create(actor, workspace, new, None).await.unwrap()
    }
}

/// The PostgreSQL server to test on; without one those tests have nothing to run on. `make test` always starts one.
#[expect(clippy::disallowed_methods, reason = "tests are told of their database by the environment")]
pub(crate) fn postgres_url() -> Option<String> {
    std::env::var("TEST_POSTGRES_URL").ok()
}

pub(crate) fn operator() -> Actor {
    Actor { principal: Principal::Operator, request: RequestInfo { id: "test".into(), ..RequestInfo::default() } }
}

pub(crate) fn from(ip: [u8; 4]) -> RequestInfo {
    RequestInfo { ip: Some(ip.into()), id: "req_test".into(), client: None }
}

pub(crate) fn scopes(names: &[&str]) -> ScopeSet {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

pub(crate) fn new_key(name: &str, names: &[&str]) -> NewKey {
    NewKey {
        name: name.into(),
        kind: KeyKind::Secret,
        scopes: scopes(names),
        expires_at: Expiry::Default,
        inactivity_days: Inactivity::Default,
        note: String::new(),
        owner: None,
        resources: Vec::new(),
        override_owner: false,
        ip_allow: Vec::new(),
        limits: Vec::new(),
    }
}

/// The id of the person behind an actor.
pub(crate) fn id_of(actor: &Actor) -> UserId {
    actor.user().unwrap().id.clone()
}

/// The refusal in a result that must be one.
pub(crate) fn refusal<T>(result: Result<T, Error>) -> Problem {
    match result {
        Err(Error::Refused(problem)) => problem,
        Err(other) => panic!("not a refusal: {other:?}"),
        Ok(_) => panic!("not refused"),
    }
}

pub(crate) fn code<T>(result: Result<T, Error>) -> ProblemCode {
    refusal(result).code
}

/// Statements beside the services, to damage what they wrote or to reach what has no screen yet.
impl Instance {
    pub(crate) async fn sql(&self, statement: String) {
        use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};
        match &self.database {
            DatabaseUrl::Sqlite(path) => {
                let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
                let mut connection = options.connect().await.unwrap();
                connection.execute(AssertSqlSafe(statement)).await.unwrap();
                connection.close().await.unwrap();
            }
            DatabaseUrl::Postgres(url) => {
                let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
                connection.execute(AssertSqlSafe(statement)).await.unwrap();
                connection.close().await.unwrap();
            }
        }
    }

    /// The one number that a statement asks for.
    pub(crate) async fn count(&self, statement: &str) -> i64 {
        use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
        let sql = AssertSqlSafe(statement.to_owned());
        match &self.database {
            DatabaseUrl::Sqlite(path) => {
                let mut connection = sqlx::sqlite::SqliteConnectOptions::new().filename(path).connect().await.unwrap();
                sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap()
            }
            DatabaseUrl::Postgres(url) => {
                let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
                sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap()
            }
        }
    }

    pub(crate) async fn lower_limits(&self, workspace: &WorkspaceId, most: u32) {
        self.sql(format!("UPDATE workspaces SET max_live_per_user = {most} WHERE id = '{workspace}'")).await;
    }
}
