//! Links to choose a password. Of each only the keyed hash of its token is here; a person has one at most.

use keyfold_domain::ids::UserId;
use keyfold_domain::time::Timestamp;

use super::db::{Conn, on};
use super::users::{UserRow, select_users};
use crate::mac::MacBytes;

/// Keeps a person's link in the place of the one before.
pub(crate) async fn replace(conn: &mut Conn<'_>, user: &UserId, mac: &MacBytes, expires_at: Timestamp) -> Result<(), sqlx::Error> {
    let sql = "INSERT INTO password_links (user_id, mac, expires_at) VALUES ($1, $2, $3)
        ON CONFLICT (user_id) DO UPDATE SET mac = excluded.mac, expires_at = excluded.expires_at";
    on!(conn, raw => sqlx::query(sql)
        .bind(user.as_str())
        .bind(&mac[..])
        .bind(expires_at.as_millis())
        .execute(&mut **raw)
        .await
        .map(|_| ()))
}

/// Whose link has that token, if it is still good.
pub(crate) async fn find_good(conn: &mut Conn<'_>, mac: &MacBytes, now: Timestamp) -> Result<Option<UserRow>, sqlx::Error> {
    const SQL: &str = select_users!("JOIN password_links l ON l.user_id = u.id WHERE l.mac = $1 AND l.expires_at > $2 AND u.active");
    on!(conn, raw => sqlx::query_as(SQL).bind(&mac[..]).bind(now.as_millis()).fetch_optional(&mut **raw).await)
}

/// Ends the link with that token if it is still good; says whether it was. Of many who try at once one succeeds.
pub(crate) async fn consume(conn: &mut Conn<'_>, mac: &MacBytes, now: Timestamp) -> Result<bool, sqlx::Error> {
    let sql = "DELETE FROM password_links WHERE mac = $1 AND expires_at > $2";
    on!(conn, raw => sqlx::query(sql)
        .bind(&mac[..])
        .bind(now.as_millis())
        .execute(&mut **raw)
        .await
        .map(|done| done.rows_affected() == 1))
}

/// Ends a person's link, if there is one.
pub(crate) async fn delete(conn: &mut Conn<'_>, user: &UserId) -> Result<(), sqlx::Error> {
    let sql = "DELETE FROM password_links WHERE user_id = $1";
    on!(conn, raw => sqlx::query(sql).bind(user.as_str()).execute(&mut **raw).await.map(|_| ()))
}

/// Forgets those that are not good any more.
pub(crate) async fn trim(conn: &mut Conn<'_>, now: Timestamp) -> Result<(), sqlx::Error> {
    let sql = "DELETE FROM password_links WHERE expires_at <= $1";
    on!(conn, raw => sqlx::query(sql).bind(now.as_millis()).execute(&mut **raw).await.map(|_| ()))
}
