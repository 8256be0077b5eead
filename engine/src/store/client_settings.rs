//! What clients of other products keep with the keys they made. It is theirs: nothing here reads it.

use keyfold_domain::ids::{KeyId, UserId, WorkspaceId};
use serde_json::Value;

use super::db::{Conn, on};
use super::users::parse_id;
use crate::error::Error;

/// What a client keeps with a key, in its own words. Never a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientSettings {
    /// The product, like `docsgpt`.
    pub client: &'static str,
    /// What it keeps.
    pub settings: Value,
}

/// Keeps the settings of a new key.
pub(crate) async fn insert(conn: &mut Conn<'_>, key: &KeyId, kept: &ClientSettings) -> Result<(), sqlx::Error> {
    let sql = "INSERT INTO client_settings (key_id, client, settings) VALUES ($1, $2, $3)";
    on!(conn, raw => sqlx::query(sql)
        .bind(key.as_str())
        .bind(kept.client)
        .bind(kept.settings.to_string())
        .execute(&mut **raw)
        .await
        .map(|_| ()))
}

/// What that product keeps with a person's keys in a workspace that are not deleted, of at most `limit` keys.
pub(crate) async fn of_owner(
    conn: &mut Conn<'_>,
    workspace: &WorkspaceId,
    owner: &UserId,
    client: &str,
    limit: i64,
) -> Result<Vec<(KeyId, Value)>, Error> {
    let sql = "SELECT c.key_id, c.settings FROM client_settings c JOIN keys k ON k.id = c.key_id
        WHERE k.workspace_id = $1 AND k.owner_id = $2 AND k.deleted_at IS NULL AND c.client = $3 ORDER BY c.key_id LIMIT $4";
    let rows: Vec<(String, String)> = on!(conn, raw => sqlx::query_as(sql)
        .bind(workspace.as_str())
        .bind(owner.as_str())
        .bind(client)
        .bind(limit)
        .fetch_all(&mut **raw)
        .await?);
    let damaged = |_| Error::Internal("the database holds damaged settings of a client".into());
    rows.into_iter().map(|(key, settings)| Ok((parse_id(&key)?, serde_json::from_str(&settings).map_err(damaged)?))).collect()
}
