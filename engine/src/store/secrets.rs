//! The secrets of keys: one current, older ones with an end. Only keyed hashes are here.

use keyfold_domain::ids::{KeyId, SecretId, WorkspaceId};
use keyfold_domain::scope::KeyKind;
use keyfold_domain::secret::{MAX_CLIENTS, SecretClient, SecretState, SecretSummary};
use keyfold_domain::time::Timestamp;
use keyfold_domain::token::{Prefix, mask};

use super::db::{Conn, on};
use super::users::parse_id;
use crate::error::Error;
use crate::mac::MacBytes;

/// The most secrets shown of one key.
const MOST: i64 = 150;

/// A secret, for people.
#[derive(sqlx::FromRow)]
pub(crate) struct SecretRow {
    pub(crate) id: String,
    pub(crate) mac: Vec<u8>,
    pub(crate) hint: String,
    pub(crate) created_at: i64,
    pub(crate) ends_at: Option<i64>,
    pub(crate) ended: bool,
    pub(crate) last_used_at: Option<i64>,
    pub(crate) total_calls: i64,
}

impl SecretRow {
    /// What it is at that moment.
    pub(crate) fn state(&self, now: Timestamp) -> SecretState {
        match self.ends_at {
            None => SecretState::Current,
            Some(end) if !self.ended && now.as_millis() < end => SecretState::Retiring,
            Some(_) => SecretState::Ended,
        }
    }

    /// The secret as it is shown, without its clients.
    pub(crate) fn summary(&self, prefix: &Prefix, kind: KeyKind, now: Timestamp) -> Result<SecretSummary, Error> {
        Ok(SecretSummary {
            id: parse_id(&self.id)?,
            hint: mask(prefix, kind, &self.hint),
            state: self.state(now),
            created_at: Timestamp::from_millis(self.created_at),
            ends_at: self.ends_at.map(Timestamp::from_millis),
            last_used_at: self.last_used_at.map(Timestamp::from_millis),
            total_calls: self.total_calls,
            clients: Vec::new(),
        })
    }
}

/// An older secret that may still work, for the verifier's memory.
#[derive(sqlx::FromRow)]
pub(crate) struct RetiringRow {
    pub(crate) key_id: String,
    pub(crate) mac: Vec<u8>,
    pub(crate) ends_at: i64,
}

/// Somebody who used an older secret.
#[derive(sqlx::FromRow)]
pub(crate) struct ClientRow {
    pub(crate) secret_id: String,
    ip: String,
    user_agent: String,
    last_seen_at: i64,
    calls: i64,
}

impl From<ClientRow> for SecretClient {
    fn from(row: ClientRow) -> Self {
        let told = |text: String| Some(text).filter(|text| !text.is_empty());
        Self {
            ip: told(row.ip),
            user_agent: told(row.user_agent),
            last_seen_at: Timestamp::from_millis(row.last_seen_at),
            calls: row.calls,
        }
    }
}

/// A secret about to be written.
pub(crate) struct SecretInsert {
    pub(crate) id: SecretId,
    pub(crate) mac: MacBytes,
    pub(crate) pepper_id: String,
    pub(crate) hint: String,
    pub(crate) now: Timestamp,
}

/// Adds the current secret of a key. The one before must have an end.
pub(crate) async fn insert(conn: &mut Conn<'_>, key: &str, secret: &SecretInsert) -> Result<(), sqlx::Error> {
    let sql = "INSERT INTO secrets (id, key_id, mac, pepper_id, hint, created_at) VALUES ($1, $2, $3, $4, $5, $6)";
    on!(conn, raw => sqlx::query(sql)
        .bind(secret.id.as_str())
        .bind(key)
        .bind(&secret.mac[..])
        .bind(&secret.pepper_id)
        .bind(&secret.hint)
        .bind(secret.now.as_millis())
        .execute(&mut **raw)
        .await
        .map(|_| ()))
}

/// Gives the current secret of a key its end; `ended` if that is now.
pub(crate) async fn retire(conn: &mut Conn<'_>, key: &KeyId, ends_at: Timestamp, ended: bool) -> Result<(), sqlx::Error> {
    let sql = "UPDATE secrets SET ends_at = $2, ended = (CAST($3 AS BIGINT) = 1) WHERE key_id = $1 AND ends_at IS NULL";
    on!(conn, raw => sqlx::query(sql)
        .bind(key.as_str())
        .bind(ends_at.as_millis())
        .bind(i64::from(ended))
        .execute(&mut **raw)
        .await
        .map(|_| ()))
}

/// Ends every older secret of a key that still works.
pub(crate) async fn end_retiring(conn: &mut Conn<'_>, key: &KeyId, now: Timestamp) -> Result<(), sqlx::Error> {
    let sql = "UPDATE secrets SET ends_at = $2, ended = TRUE WHERE key_id = $1 AND ends_at IS NOT NULL AND NOT ended AND ends_at > $2";
    on!(conn, raw => sqlx::query(sql).bind(key.as_str()).bind(now.as_millis()).execute(&mut **raw).await.map(|_| ()))
}

/// Ends one older secret.
pub(crate) async fn end(conn: &mut Conn<'_>, key: &KeyId, secret: &SecretId, now: Timestamp) -> Result<(), sqlx::Error> {
    let sql = "UPDATE secrets SET ends_at = $3, ended = TRUE WHERE key_id = $1 AND id = $2 AND ends_at IS NOT NULL";
    on!(conn, raw => sqlx::query(sql)
        .bind(key.as_str())
        .bind(secret.as_str())
        .bind(now.as_millis())
        .execute(&mut **raw)
        .await
        .map(|_| ()))
}

/// The secrets of a key: the current one, then the others, the newest first.
pub(crate) async fn list(conn: &mut Conn<'_>, workspace: &WorkspaceId, key: &KeyId) -> Result<Vec<SecretRow>, sqlx::Error> {
    let sql = "SELECT s.id, s.mac, s.hint, s.created_at, s.ends_at, s.ended, s.last_used_at, s.total_calls
        FROM secrets s JOIN keys k ON k.id = s.key_id WHERE k.workspace_id = $1 AND k.id = $2
        ORDER BY s.ends_at IS NOT NULL, s.created_at DESC, s.id DESC LIMIT $3";
    on!(conn, raw => sqlx::query_as(sql).bind(workspace.as_str()).bind(key.as_str()).bind(MOST).fetch_all(&mut **raw).await)
}

/// How many older secrets of a key still work.
pub(crate) async fn count_retiring(conn: &mut Conn<'_>, key: &KeyId, now: Timestamp) -> Result<i64, sqlx::Error> {
    let sql = "SELECT COUNT(*) FROM secrets WHERE key_id = $1 AND ends_at IS NOT NULL AND NOT ended AND ends_at > $2";
    on!(conn, raw => sqlx::query_scalar(sql).bind(key.as_str()).bind(now.as_millis()).fetch_one(&mut **raw).await)
}

/// The older secrets, not ended at once, of the keys with ids from `first` to `last`.
pub(crate) async fn retiring(conn: &mut Conn<'_>, first: &str, last: &str) -> Result<Vec<RetiringRow>, sqlx::Error> {
    let sql = "SELECT key_id, mac, ends_at FROM secrets
        WHERE key_id >= $1 AND key_id <= $2 AND ends_at IS NOT NULL AND NOT ended ORDER BY key_id";
    on!(conn, raw => sqlx::query_as(sql).bind(first).bind(last).fetch_all(&mut **raw).await)
}

/// Who used the secrets of a key after they were replaced, the latest first.
pub(crate) async fn clients(conn: &mut Conn<'_>, workspace: &WorkspaceId, key: &KeyId) -> Result<Vec<ClientRow>, sqlx::Error> {
    let sql = "SELECT c.secret_id, c.ip, c.user_agent, c.last_seen_at, c.calls
        FROM keys k JOIN secrets s ON s.key_id = k.id JOIN secret_clients c ON c.secret_id = s.id
        WHERE k.workspace_id = $1 AND k.id = $2 ORDER BY c.last_seen_at DESC, c.ip, c.user_agent LIMIT $3";
    let most = i64::try_from(MAX_CLIENTS).unwrap_or(i64::MAX).saturating_mul(MOST);
    on!(conn, raw => sqlx::query_as(sql).bind(workspace.as_str()).bind(key.as_str()).bind(most).fetch_all(&mut **raw).await)
}

/// Marks up to `limit` secrets as ended that ended before that moment, and forgets who used them. Returns how many.
pub(crate) async fn close_ended(conn: &mut Conn<'_>, before: Timestamp, limit: i64) -> Result<u64, sqlx::Error> {
    let sql = "UPDATE secrets SET ended = TRUE WHERE id IN (
        SELECT id FROM secrets WHERE ends_at IS NOT NULL AND NOT ended AND ends_at < $1 LIMIT $2)";
    on!(conn, raw => sqlx::query(sql)
        .bind(before.as_millis())
        .bind(limit)
        .execute(&mut **raw)
        .await
        .map(|done| done.rows_affected()))
}

/// The pepper of the newest secret there is.
pub(crate) async fn newest_pepper(conn: &mut Conn<'_>) -> Result<Option<String>, sqlx::Error> {
    let sql = "SELECT pepper_id FROM secrets ORDER BY created_at DESC, id DESC LIMIT 1";
    on!(conn, raw => sqlx::query_scalar(sql).fetch_optional(&mut **raw).await)
}

/// Stores a secret under another keyed hash, made with another pepper; says whether it was there.
pub(crate) async fn rehash(conn: &mut Conn<'_>, from: &MacBytes, to: &MacBytes, pepper: &str) -> Result<bool, sqlx::Error> {
    let sql = "UPDATE secrets SET mac = $2, pepper_id = $3 WHERE mac = $1";
    on!(conn, raw => sqlx::query(sql)
        .bind(&from[..])
        .bind(&to[..])
        .bind(pepper)
        .execute(&mut **raw)
        .await
        .map(|done| done.rows_affected() == 1))
}

/// How many secrets that may still work were made with that pepper, and when one of them was last used.
pub(crate) async fn count_under(conn: &mut Conn<'_>, pepper: &str, now: Timestamp) -> Result<(i64, Option<i64>), sqlx::Error> {
    let sql = "SELECT COUNT(*), MAX(s.last_used_at) FROM secrets s JOIN keys k ON k.id = s.key_id
        WHERE s.pepper_id = $1 AND k.deleted_at IS NULL AND (s.ends_at IS NULL OR (NOT s.ended AND s.ends_at > $2))";
    on!(conn, raw => sqlx::query_as(sql).bind(pepper).bind(now.as_millis()).fetch_one(&mut **raw).await)
}

/// A key that works with a secret made with a certain pepper.
#[derive(sqlx::FromRow)]
pub(crate) struct UnderRow {
    pub(crate) id: String,
    pub(crate) workspace_id: String,
    pub(crate) slug: String,
    pub(crate) name: String,
    pub(crate) last_used_at: Option<i64>,
}

/// Up to `limit` keys after that id, not stopped by anybody, whose current secret was made with that pepper, or another one
/// that works and was used since.
pub(crate) async fn keys_under(
    conn: &mut Conn<'_>,
    pepper: &str,
    after: &str,
    (since, now): (Timestamp, Timestamp),
    limit: i64,
) -> Result<Vec<UnderRow>, sqlx::Error> {
    let sql = "SELECT k.id, k.workspace_id, w.slug, k.name, MAX(s.last_used_at) AS last_used_at
        FROM keys k JOIN secrets s ON s.key_id = k.id JOIN workspaces w ON w.id = k.workspace_id
        WHERE s.pepper_id = $1 AND k.id > $2 AND k.deleted_at IS NULL AND k.deactivated_at IS NULL
            AND (s.ends_at IS NULL OR (NOT s.ended AND s.ends_at > $4)) AND COALESCE(s.last_used_at, 0) >= $3
        GROUP BY k.id, k.workspace_id, w.slug, k.name ORDER BY k.id LIMIT $5";
    on!(conn, raw => sqlx::query_as(sql)
        .bind(pepper)
        .bind(after)
        .bind(since.as_millis())
        .bind(now.as_millis())
        .bind(limit)
        .fetch_all(&mut **raw)
        .await)
}

/// Is the current secret of a key made with that pepper?
pub(crate) async fn current_is_under(conn: &mut Conn<'_>, key: &str, pepper: &str) -> Result<bool, sqlx::Error> {
    let sql = "SELECT COUNT(*) FROM secrets WHERE key_id = $1 AND ends_at IS NULL AND pepper_id = $2";
    let found: i64 = on!(conn, raw => sqlx::query_scalar(sql).bind(key).bind(pepper).fetch_one(&mut **raw).await?);
    Ok(found > 0)
}

/// Ends every older secret that was made with that pepper and still works; returns how many.
pub(crate) async fn end_under(conn: &mut Conn<'_>, pepper: &str, now: Timestamp) -> Result<u64, sqlx::Error> {
    let sql = "UPDATE secrets SET ends_at = $2, ended = TRUE WHERE pepper_id = $1 AND ends_at IS NOT NULL AND NOT ended AND ends_at > $2";
    on!(conn, raw => sqlx::query(sql).bind(pepper).bind(now.as_millis()).execute(&mut **raw).await.map(|done| done.rows_affected()))
}

/// How many older secrets that still work were made with that pepper.
pub(crate) async fn count_retiring_under(conn: &mut Conn<'_>, pepper: &str, now: Timestamp) -> Result<i64, sqlx::Error> {
    let sql = "SELECT COUNT(*) FROM secrets WHERE pepper_id = $1 AND ends_at IS NOT NULL AND NOT ended AND ends_at > $2";
    on!(conn, raw => sqlx::query_scalar(sql).bind(pepper).bind(now.as_millis()).fetch_one(&mut **raw).await)
}
