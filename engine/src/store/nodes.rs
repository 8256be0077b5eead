//! What running servers say of themselves.

use keyfold_domain::ids::NodeId;
use keyfold_domain::time::Timestamp;

use super::db::{Conn, on};

/// More servers than this are never listed.
const MOST: i64 = 200;

/// What a server says of itself when it starts.
#[derive(Debug, Clone)]
pub(crate) struct NodeInsert {
    pub(crate) id: NodeId,
    pub(crate) name: String,
    pub(crate) version: &'static str,
    pub(crate) started_at: Timestamp,
    pub(crate) budget_ms: i64,
}

/// A running server.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct NodeRow {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) started_at: i64,
    pub(crate) last_seen_at: i64,
    pub(crate) applied: i64,
    pub(crate) budget_ms: i64,
    /// For how long nothing was heard of it, by the clock that `last_seen_at` is of.
    pub(crate) unseen_ms: i64,
}

/// The time that all servers share: the database's own where it has a clock, else `now`.
pub(crate) async fn shared_now(conn: &mut Conn<'_>, now: Timestamp) -> Result<Timestamp, sqlx::Error> {
    let sql = "SELECT (EXTRACT(EPOCH FROM clock_timestamp()) * 1000)::BIGINT";
    match conn {
        Conn::Sqlite(_) => Ok(now),
        Conn::Postgres(raw) => sqlx::query_scalar(sql).fetch_one(&mut **raw).await.map(Timestamp::from_millis),
    }
}

/// Notes that a server is there, and which change is in force in it. `at` is of the shared time. Tells how it counts as far as
/// the others know.
pub(crate) async fn note(conn: &mut Conn<'_>, node: &NodeInsert, applied: i64, at: Timestamp) -> Result<i64, sqlx::Error> {
    let sql = "INSERT INTO nodes (id, name, version, started_at, last_seen_at, applied, awaited, budget_ms)
        VALUES ($1, $2, $3, $4, $5, $6, 0, $7)
        ON CONFLICT (id) DO UPDATE SET last_seen_at = excluded.last_seen_at, applied = excluded.applied
        RETURNING counting";
    on!(conn, raw => sqlx::query_scalar(sql)
        .bind(node.id.as_str())
        .bind(&node.name)
        .bind(node.version)
        .bind(node.started_at.as_millis())
        .bind(at.as_millis())
        .bind(applied)
        .bind(node.budget_ms)
        .fetch_one(&mut **raw)
        .await)
}

/// Asks every server to say at once when that change is in force in it. Who asks is a server, or a command beside them: then
/// the server that started last carries the question, for one row is enough.
pub(crate) async fn await_change(conn: &mut Conn<'_>, node: Option<&NodeId>, seq: i64) -> Result<(), sqlx::Error> {
    let sql = "UPDATE nodes SET awaited = $1 WHERE id = COALESCE($2, (SELECT MAX(id) FROM nodes)) AND awaited < $1";
    on!(conn, raw => sqlx::query(sql).bind(seq).bind(node.map(NodeId::as_str)).execute(&mut **raw).await.map(|_| ()))
}

/// Forgets a server that has stopped.
pub(crate) async fn delete(conn: &mut Conn<'_>, node: &NodeId) -> Result<(), sqlx::Error> {
    on!(conn, raw => sqlx::query("DELETE FROM nodes WHERE id = $1").bind(node.as_str()).execute(&mut **raw).await.map(|_| ()))
}

/// Forgets servers of which nothing was heard since `before`, of the shared time.
pub(crate) async fn sweep(conn: &mut Conn<'_>, before: Timestamp) -> Result<(), sqlx::Error> {
    let sql = "DELETE FROM nodes WHERE last_seen_at < $1";
    on!(conn, raw => sqlx::query(sql).bind(before.as_millis()).execute(&mut **raw).await.map(|_| ()))
}

/// Forgets every server but that one, where there can be no other.
pub(crate) async fn delete_others(conn: &mut Conn<'_>, node: &NodeId) -> Result<(), sqlx::Error> {
    on!(conn, raw => sqlx::query("DELETE FROM nodes WHERE id <> $1").bind(node.as_str()).execute(&mut **raw).await.map(|_| ()))
}

/// Every server, by name. `now` is of the shared time.
pub(crate) async fn list(conn: &mut Conn<'_>, now: Timestamp) -> Result<Vec<NodeRow>, sqlx::Error> {
    let sql = "SELECT id, name, version, started_at, last_seen_at, applied, budget_ms, $1 - last_seen_at AS unseen_ms
        FROM nodes ORDER BY name, id LIMIT $2";
    on!(conn, raw => sqlx::query_as(sql).bind(now.as_millis()).bind(MOST).fetch_all(&mut **raw).await)
}
