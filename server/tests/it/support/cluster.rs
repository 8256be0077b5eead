//! Several real servers on one PostgreSQL database, each with a network of its own to it.

use std::time::Duration;

use keyfold_engine::DatabaseUrl;
use keyfold_engine::testing::{execute, fresh_schema};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::app::postgres_url;
use super::process::{Cli, Server, send};
use super::relay::Relay;
use super::{Answer, Call};

/// For how long each server says yes without news.
pub(crate) const BUDGET: Duration = Duration::from_secs(2);
const KEYS: &str = "/v1/workspaces/acme/keys";
/// A server that is asked to end need not wait for a balancer to notice.
const ALONE: &[&str] = &["--shutdown-delay-seconds", "0"];

/// A server and its way to the database.
pub(crate) struct Node {
    pub(crate) server: Server,
    pub(crate) network: Relay,
}

/// Servers on one database, with a workspace `acme` and a management key of its owner.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Node>,
    /// The commands, with a network of their own.
    pub(crate) cli: Cli,
    pub(crate) caller: String,
    database: DatabaseUrl,
    _folder: TempDir,
}

/// A new key as the test knows it.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    pub(crate) id: String,
    pub(crate) secret: String,
}

impl Made {
    pub(crate) fn path(&self) -> String {
        format!("{KEYS}/{}", self.id)
    }
}

impl Cluster {
    /// So many servers; `None` if there is no PostgreSQL to run on.
    pub(crate) async fn of(size: usize) -> Option<Self> {
        Some(Self::start(size, &postgres_url()?, ALONE).await)
    }

    /// The same with these settings at each.
    pub(crate) async fn with(size: usize, more: &[&str]) -> Option<Self> {
        Some(Self::start(size, &postgres_url()?, more).await)
    }

    /// So many servers on that PostgreSQL server.
    pub(crate) async fn on(size: usize, url: &str) -> Self {
        Self::start(size, url, ALONE).await
    }

    async fn start(size: usize, url: &str, more: &[&str]) -> Self {
        let database = fresh_schema(url).await.unwrap();
        let DatabaseUrl::Postgres(url) = &database else { unreachable!() };
        let (before, after) = url.split_once('@').unwrap();
        let (address, rest) = after.split_once('/').unwrap();
        let folder = tempfile::tempdir().unwrap();
        let pepper = folder.path().join("pepper.key").display().to_string();
        let on = |name: &str, url: &str| {
            let own = folder.path().join(name);
            std::fs::create_dir(&own).unwrap();
            Cli::on(&own).with(&["--database-url", url, "--pepper-file", &pepper])
        };
        let cli = on("commands", url);
        cli.found();
        let caller = cli.key(&["--full-access"]);
        let budget = BUDGET.as_secs().to_string();
        let mut nodes = Vec::new();
        for number in 1..=size {
            let network = Relay::to(address.to_owned());
            let url = format!("{before}@127.0.0.1:{}/{rest}", network.port());
            let name = format!("node-{number}");
            let settings = ["--node-name", &name, "--staleness-budget-seconds", &budget, "--public-metrics"];
            let settings = [&settings[..], more].concat();
            nodes.push(Node { server: Server::start(&on(&name, &url), &settings).await, network });
        }
        Self { nodes, cli, caller, database, _folder: folder }
    }

    /// Gives a key another end than one may ask for, so that tests need not wait a minute. The servers hear of it.
    pub(crate) async fn end_at(&self, key: &Made, millis: i64) {
        execute(&self.database, &format!("UPDATE keys SET expires_at = {millis} WHERE id = '{}'", key.id)).await.unwrap();
        self.send(0, Call::patch(key.path()).json(&json!({"name": "a key that ends"}))).expect(200);
    }

    /// A new key for `chat` and `inference`, made through that server.
    pub(crate) fn key(&self, node: usize) -> Made {
        let create = Call::post(KEYS).json(&json!({"name": "a key", "kind": "secret", "scopes": ["chat", "inference"]}));
        let body = self.send(node, create).expect(201).json();
        let text = |field: &Value| field.as_str().unwrap().to_owned();
        Made { id: text(&body["id"]), secret: text(&body["secret"]) }
    }

    /// The answer of a server to the management key's holder.
    pub(crate) fn send(&self, node: usize, call: Call) -> Answer {
        self.nodes[node].server.send(&call.bearer(&self.caller))
    }

    /// What a server says of a key for `chat`: its verdict, or `unavailable`, or nothing if it does not answer.
    pub(crate) fn verdict(&self, node: usize, secret: &str) -> Option<String> {
        verdict(self.nodes[node].server.port(), &self.caller, secret)
    }

    /// Ends the connections over which servers are woken, on the database's side.
    pub(crate) async fn end_listening(&self) {
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'LISTEN \"keyfold_' || current_schema() || '\"'";
        execute(&self.database, end).await.unwrap();
    }
}

/// What the server on that port says of a key for `chat`.
pub(crate) fn verdict(port: u16, caller: &str, secret: &str) -> Option<String> {
    let answer = send(port, &Call::post("/v1/verify").bearer(caller).json(&json!({"key": secret, "scope": "chat"})))?;
    Some(if answer.code() == 200 { answer.json()["code"].as_str().unwrap().to_owned() } else { answer.problem() })
}
