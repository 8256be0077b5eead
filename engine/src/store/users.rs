//! People and their passwords' hashes.

use keyfold_domain::ids::UserId;
use keyfold_domain::name::fold;
use keyfold_domain::time::Timestamp;
use keyfold_domain::user::{UserDetail, UserRef, UserSummary};

use super::db::{Conn, on};
use super::like::containing;
use crate::error::Error;

/// A row of `users`.
#[derive(Clone, sqlx::FromRow)]
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

/// The columns of a [`UserRow`]; what follows starts with `WHERE` or a join.
macro_rules! select_users {
    ($rest:literal) => {
        concat!(
            "SELECT u.id, u.username, u.email, u.display_name, u.password_hash, u.instance_admin, u.active, u.created_at FROM users u ",
            $rest
        )
    };
}
pub(crate) use select_users;

/// The user with that username, in lower case.
pub(crate) async fn find_by_username(conn: &mut Conn<'_>, username: &str) -> Result<Option<UserRow>, sqlx::Error> {
    const SQL: &str = select_users!("WHERE u.username = $1");
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
    const SQL: &str = select_users!("WHERE u.id = $1");
    on!(conn, raw => sqlx::query_as(SQL).bind(id.as_str()).fetch_optional(&mut **raw).await)
}

/// Puts another hash in the place of the stored one.
pub(crate) async fn update_password_hash(conn: &mut Conn<'_>, id: &str, hash: &str) -> Result<(), sqlx::Error> {
    let sql = "UPDATE users SET password_hash = $2 WHERE id = $1";
    on!(conn, raw => sqlx::query(sql).bind(id).bind(hash).execute(&mut **raw).await.map(|_| ()))
}

/// "Contains" for LIKE, the search text taken literally: in lower case, and as it was typed for letters beyond ASCII, which
/// SQLite's LOWER leaves alone.
pub(crate) struct Pattern {
    pub(crate) folded: String,
    pub(crate) plain: String,
}

impl Pattern {
    pub(crate) fn of(search: &str) -> Self {
        Self { folded: containing(&fold(search)), plain: containing(search) }
    }
}

/// A person with what an administrator wants to know of them.
#[derive(sqlx::FromRow)]
pub(crate) struct UserDetailRow {
    #[sqlx(flatten)]
    pub(crate) user: UserRow,
    pub(crate) workspaces: i64,
    pub(crate) live_keys: i64,
    pub(crate) last_seen_at: Option<i64>,
}

impl UserDetailRow {
    pub(crate) fn detail(&self) -> Result<UserDetail, Error> {
        Ok(UserDetail {
            user: self.user.summary()?,
            workspaces: self.workspaces,
            live_keys: self.live_keys,
            last_seen_at: self.last_seen_at.map(Timestamp::from_millis),
        })
    }
}

macro_rules! select_details {
    ($rest:literal) => {
        concat!(
            "SELECT u.id, u.username, u.email, u.display_name, u.password_hash, u.instance_admin, u.active, u.created_at, \
             (SELECT COUNT(*) FROM memberships m WHERE m.user_id = u.id) AS workspaces, \
             (SELECT COUNT(*) FROM keys k WHERE k.owner_id = u.id AND k.deleted_at IS NULL) AS live_keys, \
             (SELECT MAX(s.last_seen_at) FROM sessions s WHERE s.user_id = u.id) AS last_seen_at FROM users u ",
            $rest
        )
    };
}

/// Up to `limit` people by username, after that one, whose names or address hold the pattern.
pub(crate) async fn page(conn: &mut Conn<'_>, search: &Pattern, after: &str, limit: i64) -> Result<Vec<UserDetailRow>, sqlx::Error> {
    const SQL: &str = select_details!(
        "WHERE u.username > $1 AND (u.username LIKE $2 ESCAPE '!' OR LOWER(u.email) LIKE $2 ESCAPE '!' \
         OR LOWER(u.display_name) LIKE $2 ESCAPE '!' OR u.display_name LIKE $3 ESCAPE '!') ORDER BY u.username LIMIT $4"
    );
    on!(conn, raw => sqlx::query_as(SQL).bind(after).bind(&search.folded).bind(&search.plain).bind(limit).fetch_all(&mut **raw).await)
}

/// That person with what an administrator wants to know of them.
pub(crate) async fn find_detail(conn: &mut Conn<'_>, id: &UserId) -> Result<Option<UserDetailRow>, sqlx::Error> {
    const SQL: &str = select_details!("WHERE u.id = $1");
    on!(conn, raw => sqlx::query_as(SQL).bind(id.as_str()).fetch_optional(&mut **raw).await)
}

/// Writes back what can be changed about a person, their password aside.
pub(crate) async fn update(conn: &mut Conn<'_>, user: &UserRow) -> Result<(), sqlx::Error> {
    let sql = "UPDATE users SET email = $2, display_name = $3, instance_admin = $4, active = $5 WHERE id = $1";
    on!(conn, raw => sqlx::query(sql)
        .bind(&user.id)
        .bind(&user.email)
        .bind(&user.display_name)
        .bind(user.instance_admin)
        .bind(user.active)
        .execute(&mut **raw)
        .await
        .map(|_| ()))
}

/// Is there another instance administrator than that person, who can sign in?
pub(crate) async fn has_other_instance_admin(conn: &mut Conn<'_>, user: &UserId) -> Result<bool, sqlx::Error> {
    let sql = "SELECT COUNT(*) FROM (SELECT 1 FROM users WHERE instance_admin AND active AND id <> $1 LIMIT 1) t";
    let others: i64 = on!(conn, raw => sqlx::query_scalar(sql).bind(user.as_str()).fetch_one(&mut **raw).await?);
    Ok(others > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_is_taken_literally() {
        let pattern = Pattern::of("50%_Ä!");
        assert_eq!((pattern.folded.as_str(), pattern.plain.as_str()), ("%50!%!_ä!!%", "%50!%!_Ä!!%"));
    }
}
