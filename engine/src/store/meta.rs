//! Facts about the database itself, and set-up tokens.

use keyfold_domain::time::Timestamp;

use super::db::{Conn, on};
use crate::mac::MacBytes;

/// The value kept under `name`.
pub(crate) async fn find(conn: &mut Conn<'_>, name: &str) -> Result<Option<String>, sqlx::Error> {
    on!(conn, raw => sqlx::query_scalar("SELECT value FROM meta WHERE name = $1").bind(name).fetch_optional(&mut **raw).await)
}

/// Keeps a value that must not be there yet; leaves an existing one alone.
pub(crate) async fn insert(conn: &mut Conn<'_>, name: &str, value: &str) -> Result<(), sqlx::Error> {
    let sql = "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
    on!(conn, raw => sqlx::query(sql).bind(name).bind(value).execute(&mut **raw).await.map(|_| ()))
}

/// Keeps a value in the place of the one before.
pub(crate) async fn replace(conn: &mut Conn<'_>, name: &str, value: &str) -> Result<(), sqlx::Error> {
    let sql = "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    on!(conn, raw => sqlx::query(sql).bind(name).bind(value).execute(&mut **raw).await.map(|_| ()))
}

/// Forgets a value.
pub(crate) async fn delete(conn: &mut Conn<'_>, name: &str) -> Result<(), sqlx::Error> {
    on!(conn, raw => sqlx::query("DELETE FROM meta WHERE name = $1").bind(name).execute(&mut **raw).await.map(|_| ()))
}

/// Ends all that opens a door for whoever holds a token: sessions, links to choose a password, invitations, set-up links.
/// Returns how many sessions and how many invitations those were.
pub(crate) async fn shut_doors(conn: &mut Conn<'_>) -> Result<(u64, u64), sqlx::Error> {
    delete_setup_tokens(conn).await?;
    on!(conn, raw => {
        let sessions = sqlx::query("DELETE FROM sessions").execute(&mut **raw).await?.rows_affected();
        sqlx::query("DELETE FROM password_links").execute(&mut **raw).await?;
        let invitations = sqlx::query("DELETE FROM invitations").execute(&mut **raw).await?.rows_affected();
        Ok((sessions, invitations))
    })
}

/// Replaces every set-up token by this one.
pub(crate) async fn replace_setup_token(conn: &mut Conn<'_>, mac: &MacBytes, expires_at: Timestamp) -> Result<(), sqlx::Error> {
    delete_setup_tokens(conn).await?;
    let sql = "INSERT INTO setup_tokens (mac, expires_at) VALUES ($1, $2)";
    on!(conn, raw => sqlx::query(sql).bind(&mac[..]).bind(expires_at.as_millis()).execute(&mut **raw).await.map(|_| ()))
}

/// Is that token known and in time?
pub(crate) async fn setup_token_is_good(conn: &mut Conn<'_>, mac: &MacBytes, now: Timestamp) -> Result<bool, sqlx::Error> {
    let sql = "SELECT COUNT(*) FROM setup_tokens WHERE mac = $1 AND expires_at > $2";
    let found: i64 = on!(conn, raw => sqlx::query_scalar(sql).bind(&mac[..]).bind(now.as_millis()).fetch_one(&mut **raw).await?);
    Ok(found > 0)
}

/// Ends that token if it is known and in time; says whether it was.
pub(crate) async fn consume_setup_token(conn: &mut Conn<'_>, mac: &MacBytes, now: Timestamp) -> Result<bool, sqlx::Error> {
    let sql = "DELETE FROM setup_tokens WHERE mac = $1 AND expires_at > $2";
    let done = on!(conn, raw => sqlx::query(sql).bind(&mac[..]).bind(now.as_millis()).execute(&mut **raw).await?.rows_affected());
    Ok(done == 1)
}

/// Ends every set-up token.
async fn delete_setup_tokens(conn: &mut Conn<'_>) -> Result<(), sqlx::Error> {
    on!(conn, raw => sqlx::query("DELETE FROM setup_tokens").execute(&mut **raw).await.map(|_| ()))
}
