//! Which workspaces want answers from servers that have lost touch with the database.

use keyfold_domain::ids::WorkspaceId;

use super::db::{Conn, on};

/// Does that workspace, if it was not deleted?
pub(crate) async fn find(conn: &mut Conn<'_>, workspace: &str) -> Result<Option<bool>, sqlx::Error> {
    let sql = "SELECT keep_answering FROM workspaces WHERE id = $1 AND deleted_at IS NULL";
    on!(conn, raw => sqlx::query_scalar(sql).bind(workspace).fetch_optional(&mut **raw).await)
}

/// Notes what a workspace wants; says whether it is there.
pub(crate) async fn set(conn: &mut Conn<'_>, workspace: &WorkspaceId, keep: bool) -> Result<bool, sqlx::Error> {
    let sql = "UPDATE workspaces SET keep_answering = $2 WHERE id = $1 AND deleted_at IS NULL";
    on!(conn, raw => sqlx::query(sql).bind(workspace.as_str()).bind(keep).execute(&mut **raw).await.map(|done| done.rows_affected() == 1))
}

/// The ids and short names of those that do, after that id.
pub(crate) async fn all_after(conn: &mut Conn<'_>, id: &str, limit: i64) -> Result<Vec<(String, String)>, sqlx::Error> {
    let sql = "SELECT id, slug FROM workspaces WHERE keep_answering AND deleted_at IS NULL AND id > $1 ORDER BY id LIMIT $2";
    on!(conn, raw => sqlx::query_as(sql).bind(id).bind(limit).fetch_all(&mut **raw).await)
}
