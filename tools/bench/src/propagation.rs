//! A revoke on one of three servers: for how long do the other two still take the key?

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::sync::Barrier;
use tokio::time::timeout;

use crate::figures::{median, percentile, time};
use crate::filling::{Wanted, fill};
use crate::http::Connection;
use crate::load;
use crate::postgres::{Postgres, Schema};
use crate::report::Row;
use crate::run::Programs;
use crate::say;
use crate::server::Server;

/// Servers on the database.
const SERVERS: usize = 3;
/// Keys that are revoked, one after the other.
const KEYS: usize = 300;
/// A server that takes a revoked key for so long has not heard of it at all.
const PATIENCE: Duration = Duration::from_secs(10);

/// Revokes keys on one server, each of which the others are asked about without a pause, and tells how late the last refusal came.
pub(crate) async fn measure(programs: &Programs, url: &str) -> Result<Vec<Row>> {
    say("revocation on three servers");
    let postgres: Postgres = url.parse()?;
    let schema = Schema::create(&postgres).await?;
    let (folder, database) = (programs.folder.join("propagation"), Some(schema.url().parse()?));
    let instance = fill(&Wanted { folder: &folder, database, keys: 0, known_per_workspace: 0, empty_workspaces: 1 }).await?;
    let mut servers = Vec::new();
    for number in 0..SERVERS {
        let own = programs.in_folder(&format!("propagation-{number}"))?;
        servers.push(own.serve(&instance, &[("KEYFOLD_DATABASE_URL", &schema.url())]).await?);
    }
    let rooms = std::fs::read_to_string(&instance.rooms)?;
    let room = rooms.lines().next().context("no workspace was noted")?;
    let (first, others) = servers.split_first().context("no server was started")?;
    let mut maker = Maker::new(first.addr, room).await?;
    let mut late = Vec::with_capacity(KEYS);
    for _ in 0..KEYS {
        let key = maker.key().await?;
        let known = Arc::new(Barrier::new(SERVERS));
        let watch = |server: &Server| tokio::spawn(refused_at(server.addr, whoami(&key.secret), Arc::clone(&known)));
        let watchers = others.iter().map(watch).collect::<Vec<_>>();
        timeout(2 * PATIENCE, known.wait()).await.context("the other servers do not take a new key")?;
        let acknowledged = maker.revoke(&key.id).await?;
        let mut last = Duration::ZERO;
        for watcher in watchers {
            last = last.max(watcher.await??.saturating_duration_since(acknowledged));
        }
        late.push(last);
    }
    for server in servers {
        server.stop().await?;
    }
    late.sort();
    let middle = median(late.iter().map(|late| crate::figures::micros(*late)).collect());
    let row = |what: &str, hundredths, goal| Row {
        what: format!("Revoked on one of {SERVERS} servers on PostgreSQL, refused by the last of them: {what}"),
        keyfold: time(percentile(&late, hundredths)),
        beside: format!("{} the middle of {KEYS}", time(middle)),
        ratio: String::new(),
        goal,
    };
    Ok(vec![row("p99", 99, "≤ 100 ms"), row("the latest", 100, "≤ 500 ms")])
}

/// A key that was made to be revoked.
struct Made {
    id: String,
    secret: String,
}

/// Who makes and revokes keys, on one server.
struct Maker {
    connection: Connection,
    creation: Vec<u8>,
    path: String,
    headers: String,
}

impl Maker {
    /// With a line of the file of workspaces.
    async fn new(addr: SocketAddr, room: &str) -> Result<Self> {
        let (creation, space) = load::request(addr, room)?;
        ensure!(space >= KEYS, "a workspace has room for {space} keys only");
        let (workspace, secret) = (room.split_whitespace().next(), room.split_whitespace().last());
        let (workspace, secret) = workspace.zip(secret).context("a line of the file of workspaces is incomplete")?;
        Ok(Self {
            connection: Connection::open(addr).await?,
            creation,
            path: format!("/v1/workspaces/{workspace}/keys"),
            headers: format!("Host: {addr}\r\nAuthorization: Bearer {secret}\r\n"),
        })
    }

    async fn key(&mut self) -> Result<Made> {
        let answer = self.connection.send(&self.creation).await?;
        ensure!(answer.status == 201, "a key was not created: {}", answer.status);
        let made: Value = serde_json::from_slice(&answer.body).context("a new key is not told in JSON")?;
        let text = |name: &str| made[name].as_str().map(str::to_owned).with_context(|| format!("a new key has no {name}"));
        Ok(Made { id: text("id")?, secret: text("secret")? })
    }

    /// When the revoke was acknowledged.
    async fn revoke(&mut self, id: &str) -> Result<Instant> {
        let request = format!("DELETE {}/{id} HTTP/1.1\r\n{}\r\n", self.path, self.headers);
        let answer = self.connection.send(request.as_bytes()).await?;
        ensure!((200..300).contains(&answer.status), "a key was not revoked: {}", answer.status);
        Ok(Instant::now())
    }
}

fn whoami(secret: &str) -> Vec<u8> {
    format!("GET /v1/whoami HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {secret}\r\n\r\n").into_bytes()
}

/// Asks without a pause until the key is taken, waits until all servers take it, and asks until it is refused. When the refusal
/// came.
async fn refused_at(addr: SocketAddr, request: Vec<u8>, known: Arc<Barrier>) -> Result<Instant> {
    let mut connection = Connection::open(addr).await?;
    until(&mut connection, &request, 200).await?;
    known.wait().await;
    until(&mut connection, &request, 401).await?;
    Ok(Instant::now())
}

async fn until(connection: &mut Connection, request: &[u8], status: u16) -> Result<()> {
    let begun = Instant::now();
    while connection.send(request).await?.status != status {
        ensure!(begun.elapsed() < PATIENCE, "a key is not answered with {status} after {} s", PATIENCE.as_secs());
    }
    Ok(())
}
