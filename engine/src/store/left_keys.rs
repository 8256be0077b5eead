//! The queue of keys whose owner left the workspace.

use keyfold_domain::ids::{KeyId, UserId, WorkspaceId};
use keyfold_domain::time::Timestamp;

use super::db::{Conn, on};
use super::keys::{KeyRow, select_keys};

/// A key of the queue and when its owner left.
#[derive(sqlx::FromRow)]
pub(crate) struct LeftKeyRow {
    #[sqlx(flatten)]
    pub(crate) key: KeyRow,
    pub(crate) left_at: i64,
}

/// Puts every key, not deleted, of somebody who leaves into the queue; says how many.
pub(crate) async fn enqueue(conn: &mut Conn<'_>, workspace: &WorkspaceId, owner: &UserId, now: Timestamp) -> Result<u64, sqlx::Error> {
    let sql = "INSERT INTO left_keys (key_id, workspace_id, owner_id, left_at)
        SELECT id, workspace_id, owner_id, $3 FROM keys WHERE workspace_id = $1 AND owner_id = $2 AND deleted_at IS NULL
        ON CONFLICT (key_id) DO UPDATE SET left_at = excluded.left_at";
    on!(conn, raw => sqlx::query(sql)
        .bind(workspace.as_str())
        .bind(owner.as_str())
        .bind(now.as_millis())
        .execute(&mut **raw)
        .await
        .map(|done| done.rows_affected()))
}

/// Takes the keys of somebody who comes back out of the queue.
pub(crate) async fn forget_owner(conn: &mut Conn<'_>, workspace: &WorkspaceId, owner: &UserId) -> Result<(), sqlx::Error> {
    let sql = "DELETE FROM left_keys WHERE workspace_id = $1 AND owner_id = $2";
    on!(conn, raw => sqlx::query(sql).bind(workspace.as_str()).bind(owner.as_str()).execute(&mut **raw).await.map(|_| ()))
}

/// Takes one key out of the queue.
pub(crate) async fn forget(conn: &mut Conn<'_>, workspace: &WorkspaceId, key: &str) -> Result<(), sqlx::Error> {
    let sql = "DELETE FROM left_keys WHERE workspace_id = $1 AND key_id = $2";
    on!(conn, raw => sqlx::query(sql).bind(workspace.as_str()).bind(key).execute(&mut **raw).await.map(|_| ()))
}

/// Up to `limit` keys of the queue, the longest there first, after that moment and id.
pub(crate) async fn page(
    conn: &mut Conn<'_>,
    workspace: &WorkspaceId,
    after: (i64, &str),
    limit: i64,
) -> Result<Vec<LeftKeyRow>, sqlx::Error> {
    const SQL: &str = concat!(
        "SELECT t.*, q.left_at FROM left_keys q JOIN (",
        select_keys!("WHERE k.workspace_id = $1 AND k.deleted_at IS NULL AND m.role IS NULL"),
        ") t ON t.id = q.key_id WHERE q.workspace_id = $1 AND (q.left_at > $2 OR (q.left_at = $2 AND q.key_id > $3)) \
         ORDER BY q.left_at, q.key_id LIMIT $4"
    );
    on!(conn, raw => sqlx::query_as(SQL).bind(workspace.as_str()).bind(after.0).bind(after.1).bind(limit).fetch_all(&mut **raw).await)
}

/// That key, if it is in the queue.
pub(crate) async fn find(conn: &mut Conn<'_>, workspace: &WorkspaceId, key: &KeyId) -> Result<Option<KeyRow>, sqlx::Error> {
    const SQL: &str = select_keys!(
        "JOIN left_keys q ON q.key_id = k.id WHERE q.workspace_id = $1 AND k.workspace_id = $1 AND k.id = $2 AND k.deleted_at IS NULL"
    );
    on!(conn, raw => sqlx::query_as(SQL).bind(workspace.as_str()).bind(key.as_str()).fetch_optional(&mut **raw).await)
}

/// Up to `limit` keys of that person in the queue.
pub(crate) async fn of_owner(conn: &mut Conn<'_>, workspace: &WorkspaceId, owner: &UserId, limit: i64) -> Result<Vec<KeyRow>, sqlx::Error> {
    const SQL: &str = select_keys!(
        "JOIN left_keys q ON q.key_id = k.id WHERE q.workspace_id = $1 AND q.owner_id = $2 AND k.workspace_id = $1 \
         AND k.deleted_at IS NULL ORDER BY k.id LIMIT $3"
    );
    on!(conn, raw => sqlx::query_as(SQL).bind(workspace.as_str()).bind(owner.as_str()).bind(limit).fetch_all(&mut **raw).await)
}

/// Gives a key another owner, if nobody changed it since that version; says whether it did.
pub(crate) async fn reassign(
    conn: &mut Conn<'_>,
    workspace: &WorkspaceId,
    key: &str,
    version: i64,
    owner: &UserId,
) -> Result<bool, sqlx::Error> {
    let sql = "UPDATE keys SET owner_id = $4, version = version + 1 WHERE workspace_id = $1 AND id = $2 AND version = $3";
    on!(conn, raw => sqlx::query(sql)
        .bind(workspace.as_str())
        .bind(key)
        .bind(version)
        .bind(owner.as_str())
        .execute(&mut **raw)
        .await
        .map(|done| done.rows_affected() == 1))
}
