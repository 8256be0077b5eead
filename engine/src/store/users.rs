//! People and their passwords' hashes.

use keyfold_domain::ids::UserId;
use keyfold_domain::time::Timestamp;
use keyfold_domain::user::{UserRef, UserSummary};

use super::db::{Conn, on};
use crate::error::Error;

/// A row of `users`.
#[derive(sqlx::FromRow)]
pub(crate) struct UserRow {
    pub(crate) id: String,
    pub(crate) username: String,
    pub(crate) email: String,
    pub(crate) display_name: String,
    pub(crate) password_hash: String,
    pub(crate) instance_admin: bool,
    pub(crate) active: bool,
    pub(crate) created_at: i64,
}

impl UserRow {
    pub(crate) fn reference(&self) -> Result<UserRef, Error> {
        Ok(UserRef { id: parse_id(&self.id)?, username: self.username.clone(), display_name: self.display_name.clone() })
    }

    pub(crate) fn summary(&self) -> Result<UserSummary, Error> {
        Ok(UserSummary {
            id: parse_id(&self.id)?,
            username: self.username.clone(),
            email: self.email.clone(),
            display_name: self.display_name.clone(),
            instance_admin: self.instance_admin,
            active: self.active,
            created_at: Timestamp::from_millis(self.created_at),
        })
    }
}

/// An id read from the database; anything else there is a fault.
pub(crate) fn parse_id<T: std::str::FromStr>(text: &str) -> Result<T, Error>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|why| Error::Internal(format!("the database holds a damaged id: {why}")))
}

/// Is there any user? If not, nobody has set this instance up.
pub(crate) async fn any(conn: &mut Conn<'_>) -> Result<bool, sqlx::Error> {
    let found: Option<i64> = on!(conn, raw => {
        sqlx::query_scalar("SELECT CAST(1 AS BIGINT) FROM users LIMIT 1").fetch_optional(&mut **raw).await?
    });
    Ok(found.is_some())
}

/// Adds a user. A taken username is a unique violation.
pub(crate) async fn insert(conn: &mut Conn<'_>, user: &UserRow) -> Result<(), sqlx::Error> {
    let sql = "INSERT INTO users (id, username, email, display_name, password_hash, instance_admin, active, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    on!(conn, raw => sqlx::query(sql)
        .bind(&user.id)
        .bind(&user.username)
        .bind(&user.email)
        .bind(&user.display_name)
        .bind(&user.password_hash)
        .bind(user.instance_admin)
        .bind(user.active)
        .bind(user.created_at)
        .execute(&mut **raw)
        .await
        .map(|_| ()))
}

/// The user with that username, in lower case.
pub(crate) async fn find_by_username(conn: &mut Conn<'_>, username: &str) -> Result<Option<UserRow>, sqlx::Error> {
    const SQL: &str = "SELECT id, username, email, display_name, password_hash, instance_admin, active, created_at
        FROM users WHERE username = $1";
    // PostgreSQL refuses texts with this character, so nobody is called that.
    if username.contains('\0') {
        return Ok(None);
    }
    on!(conn, raw => sqlx::query_as(SQL).bind(username).fetch_optional(&mut **raw).await)
}

/// The first users by username.
pub(crate) async fn names(conn: &mut Conn<'_>, limit: i64) -> Result<Vec<UserRow>, sqlx::Error> {
    const SQL: &str = "SELECT id, username, email, display_name, password_hash, instance_admin, active, created_at
        FROM users ORDER BY username LIMIT $1";
    on!(conn, raw => sqlx::query_as(SQL).bind(limit).fetch_all(&mut **raw).await)
}

/// The user with that id.
pub(crate) async fn find(conn: &mut Conn<'_>, id: &UserId) -> Result<Option<UserRow>, sqlx::Error> {
    const SQL: &str = "SELECT id, username, email, display_name, password_hash, instance_admin, active, created_at
        FROM users WHERE id = $1";
    on!(conn, raw => sqlx::query_as(SQL).bind(id.as_str()).fetch_optional(&mut **raw).await)
}

/// Puts a hash with today's parameters in the place of an older one.
pub(crate) async fn update_password_hash(conn: &mut Conn<'_>, id: &str, hash: &str) -> Result<(), sqlx::Error> {
    let sql = "UPDATE users SET password_hash = $2 WHERE id = $1";
    on!(conn, raw => sqlx::query(sql).bind(id).bind(hash).execute(&mut **raw).await.map(|_| ()))
}
