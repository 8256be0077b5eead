//! A whole server in process: the real router and data plane over a fresh database, with a clock that stands still.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use keyfold_domain::catalogue::NewScope;
use keyfold_domain::ids::{ResourceId, WorkspaceId};
use keyfold_domain::key::{Expiry, Inactivity, IssuedKey, NewKey};
use keyfold_domain::policy::{Principal, RequestInfo};
use keyfold_domain::resource::{NewResource, ResourceName};
use keyfold_domain::route::{RouteMap, RouteSource, presets};
use keyfold_domain::scope::{KeyKind, ScopeSet};
use keyfold_domain::time::Timestamp;
use keyfold_domain::workspace::{NewWorkspace, Role};
use keyfold_engine::testing::{self, MockClock};
use keyfold_engine::{DatabaseUrl, Engine, NewUser, Password, SignIn};
use keyfold_server::config::Config;
use keyfold_server::router::{AppService, app_service};
use keyfold_server::state::AppState;
use tempfile::TempDir;

use super::actors::{Actor, Credential, PASSWORD};
use super::answer::{Answer, Call};

/// 1 June 2026, noon.
pub(crate) const NOON: Timestamp = Timestamp::from_millis(1_780_315_200_000);
/// The name of the session cookie on loopback.
pub(crate) const COOKIE: &str = "__Host-kf_session";

/// The PostgreSQL server to test on, where there is one. `make test` always starts one.
#[expect(clippy::disallowed_methods, reason = "tests are told of their database by the environment")]
pub(crate) fn postgres_url() -> Option<String> {
    std::env::var("TEST_POSTGRES_URL").ok()
}

/// A server with two workspaces: `acme`, where nearly everything happens, and `zeta`, of which acme must know nothing.
pub(crate) struct App {
    pub(crate) engine: Engine,
    pub(crate) clock: Arc<MockClock>,
    pub(crate) acme: WorkspaceId,
    pub(crate) zeta: WorkspaceId,
    pub(super) credentials: tokio::sync::Mutex<HashMap<Actor, Credential>>,
    service: AppService,
    folder: TempDir,
    database: DatabaseUrl,
    seed: u64,
    addresses: Mutex<u32>,
}

pub(crate) fn operator() -> keyfold_domain::policy::Actor {
    keyfold_domain::policy::Actor {
        principal: Principal::Operator,
        request: RequestInfo { id: "req_test".to_owned(), ..RequestInfo::default() },
    }
}

pub(crate) fn scopes(names: &[&str]) -> ScopeSet {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

/// The call as a page of ours makes it in a browser that holds this session.
pub(crate) fn with_cookie(call: Call, token: &str) -> Call {
    call.header("cookie", &format!("{COOKIE}={token}")).header("sec-fetch-site", "same-origin")
}

/// The session that an answer begins.
pub(crate) fn session_of(answer: &Answer) -> String {
    let found = answer.cookies().into_iter().find(|(name, _)| name == COOKIE);
    found.unwrap_or_else(|| panic!("no session: {}", answer.text())).1
}

/// A key for the engine, of the creator's own.
pub(crate) fn new_key(name: &str, kind: KeyKind, names: &[&str]) -> NewKey {
    NewKey {
        name: name.to_owned(),
        kind,
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

/// The one address that the server takes for a proxy's. No test's client has it.
pub(crate) const PROXY: Ipv4Addr = Ipv4Addr::LOCALHOST;

fn config(folder: &Path) -> Config {
    // The clock stands still, so what is used up would never come back.
    limited(folder, 0)
}

fn limited(folder: &Path, per_minute: u32) -> Config {
    let settings = [
        ("data_dir", folder.display().to_string()),
        ("trusted_proxies", PROXY.to_string()),
        ("management_requests_per_minute", per_minute.to_string()),
    ];
    Config::of(&settings.each_ref().map(|(key, value)| (*key, value.as_str()))).unwrap()
}

impl App {
    /// On SQLite.
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = format!("sqlite:{}", folder.path().join("keyfold.db").display()).parse().unwrap();
        Self::on(folder, database).await
    }

    /// On every database there is: SQLite, and PostgreSQL where the environment names a server.
    pub(crate) async fn on_each() -> Vec<Self> {
        let mut apps = vec![Self::new().await];
        if let Some(url) = postgres_url() {
            let database = testing::fresh_schema(&url).await.unwrap();
            apps.push(Self::on(tempfile::tempdir().unwrap(), database).await);
        }
        apps
    }

    async fn on(folder: TempDir, database: DatabaseUrl) -> Self {
        let clock = Arc::new(MockClock::new(NOON));
        let engine = testing::open(database.clone(), &clock, 1).await.unwrap();
        let found = |slug: &str| NewWorkspace { slug: slug.to_owned(), name: slug.to_uppercase() };
        let mut ids = Vec::new();
        for (slug, owner) in [("acme", "founder"), ("zeta", "foreign")] {
            let owner = user(&engine, owner, false).await;
            ids.push(engine.workspaces.create(&operator(), found(slug), &owner).await.unwrap().id);
        }
        let service = app_service(AppState::new(engine.clone(), config(folder.path())));
        Self {
            zeta: ids.pop().unwrap(),
            acme: ids.pop().unwrap(),
            credentials: tokio::sync::Mutex::default(),
            addresses: Mutex::default(),
            seed: 1,
            engine,
            clock,
            service,
            folder,
            database,
        }
    }

    /// The same server, which lets one actor ask so often in a minute.
    pub(crate) fn with_request_limit(mut self, per_minute: u32) -> Self {
        self.service = app_service(AppState::new(self.engine.clone(), limited(self.folder.path(), per_minute)));
        self
    }

    /// The folder with the database and whatever else is kept.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs a statement beside the server.
    pub(crate) async fn sql(&self, statement: &str) {
        testing::execute(&self.database, statement).await.unwrap();
    }

    /// Is the data in a SQLite file?
    pub(crate) fn is_on_sqlite(&self) -> bool {
        matches!(self.database, DatabaseUrl::Sqlite(_))
    }

    /// Stops the server and starts it again on the same data.
    pub(crate) async fn restart(self) -> Self {
        let Self { engine, service, clock, acme, zeta, credentials, folder, database, seed, addresses } = self;
        engine.close().await;
        // The lock of the database goes with the last clone.
        drop((engine, service));
        let seed = seed + 1;
        let engine = testing::open(database.clone(), &clock, seed).await.unwrap();
        let service = app_service(AppState::new(engine.clone(), config(folder.path())));
        Self { engine, clock, acme, zeta, credentials, service, folder, database, seed, addresses }
    }

    /// A user who may do nothing yet.
    pub(crate) async fn user(&self, name: &str, instance_admin: bool) -> keyfold_domain::ids::UserId {
        user(&self.engine, name, instance_admin).await
    }

    /// Gives somebody a role in acme.
    pub(crate) async fn member(&self, user: &keyfold_domain::ids::UserId, role: Role) {
        self.engine.members.add(&operator(), &self.acme, user, role).await.unwrap();
    }

    /// The cookie of a new session of that user.
    pub(crate) async fn sign_in(&self, name: &str) -> String {
        let request = RequestInfo { ip: Some(self.next_address().into()), id: "req_test".to_owned(), client: None };
        let form = SignIn { login: name.to_owned(), password: Password::new(PASSWORD.to_owned()) };
        self.engine.sessions.sign_in(&request, form).await.unwrap().token.expose().to_owned()
    }

    /// A key made by the operator for the owner, in acme.
    pub(crate) async fn key(&self, owner: Actor, kind: KeyKind, names: &[&str]) -> IssuedKey {
        let owner = owner.user(self).await;
        let new = NewKey { owner: Some(owner), ..new_key("a key", kind, names) };
        self.engine.keys.create(&operator(), &self.acme, new, None).await.unwrap()
    }

    /// A key in acme that is past its end. Time goes on by a minute for it.
    pub(crate) async fn expired_key(&self, owner: Actor, names: &[&str]) -> IssuedKey {
        let ends = Expiry::At(self.engine.now().plus_ms(60_000));
        let owner = owner.user(self).await;
        let new = NewKey { owner: Some(owner), expires_at: ends, ..new_key("an old key", KeyKind::Management, names) };
        let issued = self.engine.keys.create(&operator(), &self.acme, new, None).await.unwrap();
        self.clock.advance_ms(60_000);
        issued
    }

    /// A collection of somebody's in acme.
    pub(crate) async fn resource(&self, owner: Actor, external_id: &str) -> ResourceId {
        let owner = Some(owner.user(self).await);
        let new = NewResource { kind: "collection".to_owned(), external_id: external_id.to_owned(), name: String::new(), owner };
        self.engine.resources.create(&operator(), &self.acme, new).await.unwrap().id
    }

    /// Sees to it that acme has a scope of that name.
    pub(crate) async fn scope(&self, name: &str, implies: &[&str]) {
        if self.engine.scopes.get(&operator(), &self.acme, name).await.is_err() {
            let new = NewScope { name: name.to_owned(), description: String::new(), implies: scopes(implies), public: false };
            self.engine.scopes.create(&operator(), &self.acme, new).await.unwrap();
        }
    }

    /// Puts a preset's rules in force in acme, and says which version they are.
    pub(crate) async fn routes(&self, preset: &str) -> i64 {
        let rules = presets::find(preset).unwrap().rules();
        let (map, source) = (RouteMap::read(&rules).unwrap(), RouteSource::Preset(preset.to_owned()));
        self.engine.routes.replace(&operator(), &self.acme, map, source, None).await.unwrap().version()
    }

    /// Puts these rules in force in acme.
    pub(crate) async fn rules(&self, rules: serde_json::Value) {
        let map = serde_json::from_value(rules).unwrap();
        self.engine.routes.replace(&operator(), &self.acme, map, RouteSource::Edit, None).await.unwrap();
    }

    /// A key in acme of that owner's, tied to collections of theirs.
    pub(crate) async fn tied_key(&self, owner: Actor, names: &[&str], collections: &[&str]) -> IssuedKey {
        let mut resources = Vec::new();
        for collection in collections {
            resources.push(ResourceName::Id(self.resource(owner, collection).await));
        }
        let owner = owner.user(self).await;
        let new = NewKey { owner: Some(owner), resources, ..new_key("a tied key", KeyKind::Secret, names) };
        self.engine.keys.create(&operator(), &self.acme, new, None).await.unwrap()
    }

    /// A resource and a scope of zeta's own.
    pub(crate) async fn foreign_things(&self) -> (ResourceId, String) {
        let owner = Some(self.engine.users.find_by_username(&operator(), "foreign").await.unwrap().id);
        let resource = NewResource { kind: "collection".to_owned(), external_id: "foreign".to_owned(), name: String::new(), owner };
        let resource = self.engine.resources.create(&operator(), &self.zeta, resource).await.unwrap();
        let scope = NewScope { name: "foreign:scope".to_owned(), description: String::new(), implies: scopes(&[]), public: false };
        (resource.id, self.engine.scopes.create(&operator(), &self.zeta, scope).await.unwrap().name.to_string())
    }

    /// A key in zeta.
    pub(crate) async fn foreign_key(&self, kind: KeyKind, names: &[&str]) -> IssuedKey {
        let owner = self.engine.users.find_by_username(&operator(), "foreign").await.unwrap().id;
        let new = NewKey { owner: Some(owner), ..new_key("a foreign key", kind, names) };
        self.engine.keys.create(&operator(), &self.zeta, new, None).await.unwrap()
    }

    /// The answer to a request as it is, each from an address of its own: tries to sign in are limited by network.
    pub(crate) async fn send(&self, call: Call) -> Answer {
        let peer = self.next_address();
        self.send_from(peer, call).await
    }

    /// The answer to a request from that address.
    pub(crate) async fn send_from(&self, peer: Ipv4Addr, call: Call) -> Answer {
        Answer::of(self.service.from_peer(peer.into()).answer(call.into_request()).await).await
    }

    /// The server as it answers connections from that address.
    pub(super) fn service(&self, peer: Ipv4Addr) -> AppService {
        self.service.from_peer(peer.into())
    }

    /// The answer to a request that comes through a proxy at that address, of a server that trusts 198.18.0.0/15.
    pub(crate) async fn send_through(&self, proxy: Ipv4Addr, call: Call) -> Answer {
        let config = Config::of(&[("data_dir", &self.folder.path().display().to_string()), ("trusted_proxies", "198.18.0.0/15")]);
        let service = app_service(AppState::new(self.engine.clone(), config.unwrap()));
        Answer::of(service.from_peer(proxy.into()).answer(call.into_request()).await).await
    }

    /// The answer of a server with one setting more, to somebody without a name.
    pub(crate) async fn send_with(&self, setting: (&str, &str), call: Call) -> Answer {
        let folder = self.folder.path().display().to_string();
        let config = Config::of(&[("data_dir", &folder), setting]).unwrap();
        let service = app_service(AppState::new(self.engine.clone(), config));
        Answer::of(service.from_peer(self.next_address().into()).answer(call.into_request()).await).await
    }

    fn next_address(&self) -> Ipv4Addr {
        let mut last = self.addresses.lock().unwrap();
        *last += 1;
        Ipv4Addr::from_bits(Ipv4Addr::new(198, 18, 0, 0).to_bits() + *last)
    }

    /// The answer to a request that somebody makes.
    pub(crate) async fn as_(&self, actor: Actor, call: Call) -> Answer {
        let call = match actor.credential(self).await {
            Credential::Nothing => call,
            Credential::Bearer(secret) => call.bearer(&secret),
            Credential::Session(token) => call.header("cookie", &format!("{COOKIE}={token}")).header("sec-fetch-site", "same-origin"),
        };
        self.send(call).await
    }

    /// Lets an actor show another secret from now on.
    pub(crate) async fn show(&self, actor: Actor, secret: &str) {
        self.credentials.lock().await.insert(actor, Credential::Bearer(secret.to_owned()));
    }

    /// Is it a key that this actor shows?
    pub(crate) async fn shows_a_key(&self, actor: Actor) -> bool {
        matches!(actor.credential(self).await, Credential::Bearer(_))
    }

    /// Lets an actor begin a new session the next time.
    pub(crate) async fn forget(&self, actor: Actor) {
        self.credentials.lock().await.remove(&actor);
    }

    /// What verify says of a key, asked with a full management key.
    pub(crate) async fn verify(&self, secret: &str, scope: Option<&str>) -> serde_json::Value {
        let mut body = serde_json::json!({ "key": secret });
        if let Some(scope) = scope {
            body["scope"] = scope.into();
        }
        self.as_(Actor::ManagementKey, Call::post("/v1/verify").json(&body)).await.expect(200).json()
    }

    /// The code that verify answers with.
    pub(crate) async fn verdict(&self, secret: &str, scope: Option<&str>) -> String {
        self.verify(secret, scope).await["code"].as_str().unwrap().to_owned()
    }
}

async fn user(engine: &Engine, name: &str, instance_admin: bool) -> keyfold_domain::ids::UserId {
    let new = NewUser {
        username: name.to_owned(),
        email: format!("{name}@example.com"),
        display_name: String::new(),
        password: Password::new(PASSWORD.to_owned()),
        instance_admin,
    };
    engine.users.create(&operator(), new).await.unwrap().id
}
