//! Sessions. Of the cookie only its keyed hash is here.

use keyfold_domain::ids::{SessionId, UserId, WorkspaceId};
use keyfold_domain::session::SessionSummary;
use keyfold_domain::time::Timestamp;

use super::db::{Conn, on};
use super::users::parse_id;
use crate::error::Error;
use crate::mac::MacBytes;

/// A session to be kept.
pub(crate) struct NewSession<'a> {
    pub(crate) id: &'a SessionId,
    pub(crate) mac: &'a MacBytes,
    pub(crate) user: &'a UserId,
    pub(crate) now: Timestamp,
    pub(crate) expires_at: Timestamp,
    pub(crate) ip: Option<String>,
    pub(crate) client: Option<String>,
    /// The only workspace it opens, for another product's page.
    pub(crate) workspace: Option<&'a WorkspaceId>,
}

/// A session that is still there.
#[derive(sqlx::FromRow)]
pub(crate) struct SessionRow {
    pub(crate) id: String,
    pub(crate) user_id: String,
    pub(crate) workspace_id: Option<String>,
    pub(crate) last_seen_at: i64,
    pub(crate) proven_at: i64,
}

/// A session as its person sees it.
#[derive(sqlx::FromRow)]
pub(crate) struct OpenSessionRow {
    id: String,
    created_at: i64,
    last_seen_at: i64,
    ip: Option<String>,
    client: Option<String>,
}

impl OpenSessionRow {
    pub(crate) fn summary(self, current: &SessionId) -> Result<SessionSummary, Error> {
        Ok(SessionSummary {
            current: self.id == current.as_str(),
            id: parse_id(&self.id)?,
            created_at: Timestamp::from_millis(self.created_at),
            last_seen_at: Timestamp::from_millis(self.last_seen_at),
            ip: self.ip,
            client: self.client,
        })
    }
}

pub(crate) async fn insert(conn: &mut Conn<'_>, session: &NewSession<'_>) -> Result<(), sqlx::Error> {
    let sql = "INSERT INTO sessions (id, mac, user_id, created_at, last_seen_at, proven_at, expires_at, ip, client, workspace_id)
        VALUES ($1, $2, $3, $4, $4, $4, $5, $6, $7, $8)";
    on!(conn, raw => sqlx::query(sql)
        .bind(session.id.as_str())
        .bind(&session.mac[..])
        .bind(session.user.as_str())
        .bind(session.now.as_millis())
        .bind(session.expires_at.as_millis())
        .bind(session.ip.as_deref())
        .bind(session.client.as_deref())
        .bind(session.workspace.map(WorkspaceId::as_str))
        .execute(&mut **raw)
        .await
        .map(|_| ()))
}

/// The session with that cookie that has not ended and was seen at or after `seen_since`.
pub(crate) async fn find_live(
    conn: &mut Conn<'_>,
    mac: &MacBytes,
    now: Timestamp,
    seen_since: Timestamp,
) -> Result<Option<SessionRow>, sqlx::Error> {
    let sql = "SELECT id, user_id, workspace_id, last_seen_at, proven_at FROM sessions
        WHERE mac = $1 AND expires_at > $2 AND last_seen_at >= $3";
    on!(conn, raw => sqlx::query_as(sql)
        .bind(&mac[..])
        .bind(now.as_millis())
        .bind(seen_since.as_millis())
        .fetch_optional(&mut **raw)
        .await)
}

pub(crate) async fn touch(conn: &mut Conn<'_>, id: &SessionId, now: Timestamp) -> Result<(), sqlx::Error> {
    let sql = "UPDATE sessions SET last_seen_at = $2 WHERE id = $1 AND last_seen_at < $2";
    on!(conn, raw => sqlx::query(sql).bind(id.as_str()).bind(now.as_millis()).execute(&mut **raw).await.map(|_| ()))
}

/// Ends a session; says whether it was there.
pub(crate) async fn delete(conn: &mut Conn<'_>, id: &SessionId) -> Result<bool, sqlx::Error> {
    let sql = "DELETE FROM sessions WHERE id = $1";
    on!(conn, raw => sqlx::query(sql).bind(id.as_str()).execute(&mut **raw).await.map(|done| done.rows_affected() > 0))
}

/// A person's sessions that have not ended, the last used first.
pub(crate) async fn list(
    conn: &mut Conn<'_>,
    user: &UserId,
    now: Timestamp,
    seen_since: Timestamp,
    limit: i64,
) -> Result<Vec<OpenSessionRow>, sqlx::Error> {
    let sql = "SELECT id, created_at, last_seen_at, ip, client FROM sessions
        WHERE user_id = $1 AND expires_at > $2 AND last_seen_at >= $3 ORDER BY last_seen_at DESC, id DESC LIMIT $4";
    on!(conn, raw => sqlx::query_as(sql)
        .bind(user.as_str())
        .bind(now.as_millis())
        .bind(seen_since.as_millis())
        .bind(limit)
        .fetch_all(&mut **raw)
        .await)
}

/// Ends a session of that person; says whether it was there.
pub(crate) async fn delete_of(conn: &mut Conn<'_>, user: &UserId, id: &SessionId) -> Result<bool, sqlx::Error> {
    let sql = "DELETE FROM sessions WHERE user_id = $1 AND id = $2";
    on!(conn, raw => sqlx::query(sql)
        .bind(user.as_str())
        .bind(id.as_str())
        .execute(&mut **raw)
        .await
        .map(|done| done.rows_affected() > 0))
}

/// Ends every session of a person but that one; says how many.
pub(crate) async fn delete_others(conn: &mut Conn<'_>, user: &UserId, but: Option<&SessionId>) -> Result<u64, sqlx::Error> {
    let sql = "DELETE FROM sessions WHERE user_id = $1 AND id <> $2";
    on!(conn, raw => sqlx::query(sql)
        .bind(user.as_str())
        .bind(but.map_or("", SessionId::as_str))
        .execute(&mut **raw)
        .await
        .map(|done| done.rows_affected()))
}

/// Ends what is over, and of a person's sessions all but the newest `keep`.
pub(crate) async fn prune(conn: &mut Conn<'_>, user: &UserId, now: Timestamp, seen_since: Timestamp, keep: i64) -> Result<(), sqlx::Error> {
    let over = "DELETE FROM sessions WHERE expires_at <= $1 OR last_seen_at < $2";
    let surplus = "DELETE FROM sessions WHERE user_id = $1 AND id NOT IN
        (SELECT id FROM sessions WHERE user_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2)";
    on!(conn, raw => {
        sqlx::query(over).bind(now.as_millis()).bind(seen_since.as_millis()).execute(&mut **raw).await?;
        sqlx::query(surplus).bind(user.as_str()).bind(keep).execute(&mut **raw).await?;
    });
    Ok(())
}
