//! The change log: every change that can alter a verdict, numbered without gaps in the order of the commits.

use keyfold_domain::ids::{KeyId, ResourceId, UserId, WorkspaceId};
use keyfold_domain::time::Timestamp;

use super::db::{Conn, on};

/// What changed.
pub(crate) enum Change<'a> {
    /// A key's own record.
    Key(&'a KeyId),
    /// A person's place in a workspace.
    Membership(&'a WorkspaceId, &'a UserId),
    /// A person: whether they may be here at all, and how they are called.
    User(&'a UserId),
    /// What the scopes of a workspace imply, or which keys hold them.
    Scopes(&'a WorkspaceId),
    /// The rules for requests to services behind a proxy.
    Routes(&'a WorkspaceId),
    /// A resource, for the keys that are tied to it.
    Resource(&'a WorkspaceId, &'a ResourceId),
    /// The end of a workspace, and of all keys in it.
    WorkspaceEnd(&'a WorkspaceId),
}

/// A line of the log.
#[derive(sqlx::FromRow)]
pub(crate) struct ChangeRow {
    pub(crate) seq: i64,
    pub(crate) kind: String,
    pub(crate) object: String,
}

/// Notes a change and returns its number. The last statement of a transaction: it holds the row that numbers all changes.
pub(crate) async fn append(conn: &mut Conn<'_>, change: &Change<'_>, now: Timestamp) -> Result<i64, sqlx::Error> {
    let (kind, object) = match change {
        Change::Key(id) => ("key", id.to_string()),
        Change::Membership(workspace, user) => ("membership", format!("{workspace} {user}")),
        Change::User(id) => ("user", id.to_string()),
        Change::Scopes(workspace) => ("scopes", workspace.to_string()),
        Change::Routes(workspace) => ("routes", workspace.to_string()),
        Change::WorkspaceEnd(workspace) => ("workspace_end", workspace.to_string()),
        Change::Resource(workspace, resource) => ("resource", format!("{workspace} {resource}")),
    };
    // In one statement where that is possible: from here on every other writer waits for this transaction.
    let both = "WITH next AS (UPDATE change_sequence SET value = value + 1 WHERE name = 'changes' RETURNING value)
        INSERT INTO changes (seq, kind, object, at) SELECT value, $1, $2, $3 FROM next RETURNING seq";
    let next = "UPDATE change_sequence SET value = value + 1 WHERE name = 'changes' RETURNING value";
    let sql = "INSERT INTO changes (seq, kind, object, at) VALUES ($1, $2, $3, $4)";
    match conn {
        Conn::Postgres(raw) => sqlx::query_scalar(both).bind(kind).bind(object).bind(now.as_millis()).fetch_one(&mut **raw).await,
        Conn::Sqlite(raw) => {
            let seq: i64 = sqlx::query_scalar(next).fetch_one(&mut **raw).await?;
            sqlx::query(sql).bind(seq).bind(kind).bind(object).bind(now.as_millis()).execute(&mut **raw).await?;
            Ok(seq)
        }
    }
}

/// Leaves a gap in the numbers, so that every follower reads everything again: shorter than a line for each of very many
/// changes. The last statement of a transaction.
pub(crate) async fn skip(conn: &mut Conn<'_>) -> Result<(), sqlx::Error> {
    let sql = "UPDATE change_sequence SET value = value + 1 WHERE name = 'changes'";
    on!(conn, raw => sqlx::query(sql).execute(&mut **raw).await.map(|_| ()))
}

/// The number of the newest change, and of the newest one of which somebody waits to hear that it is in force everywhere.
pub(crate) async fn newest(conn: &mut Conn<'_>) -> Result<(i64, i64), sqlx::Error> {
    let sql = "SELECT value, (SELECT COALESCE(MAX(awaited), 0) FROM nodes) FROM change_sequence WHERE name = 'changes'";
    on!(conn, raw => sqlx::query_as(sql).fetch_one(&mut **raw).await)
}

/// Up to `limit` changes after `seq`, in order.
pub(crate) async fn after(conn: &mut Conn<'_>, seq: i64, limit: i64) -> Result<Vec<ChangeRow>, sqlx::Error> {
    let sql = "SELECT seq, kind, object FROM changes WHERE seq > $1 ORDER BY seq LIMIT $2";
    on!(conn, raw => sqlx::query_as(sql).bind(seq).bind(limit).fetch_all(&mut **raw).await)
}

/// Forgets changes older than `before`; whoever has not read them reloads everything.
pub(crate) async fn trim(conn: &mut Conn<'_>, before: Timestamp) -> Result<(), sqlx::Error> {
    on!(conn, raw => sqlx::query("DELETE FROM changes WHERE at < $1").bind(before.as_millis()).execute(&mut **raw).await.map(|_| ()))
}
