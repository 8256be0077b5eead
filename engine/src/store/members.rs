//! Who belongs to a workspace, as its administrators see them.

use keyfold_domain::ids::{UserId, WorkspaceId};
use keyfold_domain::limits::Limit;
use keyfold_domain::member::MemberSummary;
use keyfold_domain::time::Timestamp;
use keyfold_domain::user::UserRef;
use keyfold_domain::workspace::Role;

use super::db::{Conn, on};
use super::users::{Pattern, parse_id};
use super::workspaces::parse_role;
use crate::error::Error;

/// A member with what stands around them.
#[derive(sqlx::FromRow)]
pub(crate) struct MemberRow {
    id: String,
    username: String,
    email: String,
    display_name: String,
    active: bool,
    role: String,
    created_at: i64,
    live_keys: i64,
    limits: Option<String>,
}

impl MemberRow {
    pub(crate) fn summary(self) -> Result<MemberSummary, Error> {
        Ok(MemberSummary {
            user: UserRef { id: parse_id(&self.id)?, username: self.username, display_name: self.display_name },
            email: self.email,
            role: parse_role(&self.role)?,
            active: self.active,
            since: Timestamp::from_millis(self.created_at),
            live_keys: self.live_keys,
            limits: super::limits::read(self.limits.as_deref())?,
        })
    }
}

macro_rules! select_members {
    ($rest:literal) => {
        concat!(
            "SELECT u.id, u.username, u.email, u.display_name, u.active, m.role, m.created_at, m.limits, \
             (SELECT COUNT(*) FROM keys k WHERE k.workspace_id = m.workspace_id AND k.owner_id = u.id AND k.deleted_at IS NULL) AS live_keys \
             FROM memberships m JOIN users u ON u.id = m.user_id WHERE m.workspace_id = $1 ",
            $rest
        )
    };
}

/// Up to `limit` members by username, after that one, whose names or address hold the pattern.
pub(crate) async fn page(
    conn: &mut Conn<'_>,
    workspace: &WorkspaceId,
    search: &Pattern,
    after: &str,
    limit: i64,
) -> Result<Vec<MemberRow>, sqlx::Error> {
    const SQL: &str = select_members!(
        "AND u.username > $2 AND (u.username LIKE $3 ESCAPE '!' OR LOWER(u.email) LIKE $3 ESCAPE '!' \
         OR LOWER(u.display_name) LIKE $3 ESCAPE '!' OR u.display_name LIKE $4 ESCAPE '!') ORDER BY u.username LIMIT $5"
    );
    on!(conn, raw => sqlx::query_as(SQL)
        .bind(workspace.as_str())
        .bind(after)
        .bind(&search.folded)
        .bind(&search.plain)
        .bind(limit)
        .fetch_all(&mut **raw)
        .await)
}

/// That member, if they are one.
pub(crate) async fn find(conn: &mut Conn<'_>, workspace: &WorkspaceId, user: &UserId) -> Result<Option<MemberRow>, sqlx::Error> {
    const SQL: &str = select_members!("AND u.id = $2");
    on!(conn, raw => sqlx::query_as(SQL).bind(workspace.as_str()).bind(user.as_str()).fetch_optional(&mut **raw).await)
}

/// The limits of all keys of that member together.
pub(crate) async fn limits(conn: &mut Conn<'_>, workspace: &WorkspaceId, user: &UserId) -> Result<Vec<Limit>, Error> {
    let sql = "SELECT limits FROM memberships WHERE workspace_id = $1 AND user_id = $2";
    let stored: Option<Option<String>> =
        on!(conn, raw => sqlx::query_scalar(sql).bind(workspace.as_str()).bind(user.as_str()).fetch_optional(&mut **raw).await?);
    super::limits::read(stored.flatten().as_deref())
}

/// Gives all keys of that member together other limits.
pub(crate) async fn set_limits(conn: &mut Conn<'_>, workspace: &WorkspaceId, user: &UserId, limits: &[Limit]) -> Result<(), Error> {
    let sql = "UPDATE memberships SET limits = $3 WHERE workspace_id = $1 AND user_id = $2";
    let limits = super::limits::write(limits)?;
    Ok(on!(conn, raw => sqlx::query(sql)
        .bind(workspace.as_str())
        .bind(user.as_str())
        .bind(limits)
        .execute(&mut **raw)
        .await
        .map(|_| ()))?)
}

/// Ends a person's place; says whether they had one.
pub(crate) async fn delete(conn: &mut Conn<'_>, workspace: &WorkspaceId, user: &UserId) -> Result<bool, sqlx::Error> {
    let sql = "DELETE FROM memberships WHERE workspace_id = $1 AND user_id = $2";
    on!(conn, raw => sqlx::query(sql)
        .bind(workspace.as_str())
        .bind(user.as_str())
        .execute(&mut **raw)
        .await
        .map(|done| done.rows_affected() == 1))
}

/// Is there another owner than that person?
pub(crate) async fn has_other_owner(conn: &mut Conn<'_>, workspace: &WorkspaceId, user: &UserId) -> Result<bool, sqlx::Error> {
    let sql = "SELECT COUNT(*) FROM (SELECT 1 FROM memberships m JOIN users u ON u.id = m.user_id
        WHERE m.workspace_id = $1 AND m.role = $3 AND m.user_id <> $2 AND u.active LIMIT 1) t";
    let others: i64 = on!(conn, raw => sqlx::query_scalar(sql)
        .bind(workspace.as_str())
        .bind(user.as_str())
        .bind(Role::Owner.as_str())
        .fetch_one(&mut **raw)
        .await?);
    Ok(others > 0)
}

/// Does a person share a workspace with another one, or see them as the owner of a key in that workspace?
pub(crate) async fn is_known_to(conn: &mut Conn<'_>, user: &UserId, to: &UserId, workspace: &WorkspaceId) -> Result<bool, sqlx::Error> {
    let sql = "SELECT COUNT(*) FROM (
        SELECT 1 FROM memberships own JOIN memberships theirs ON theirs.workspace_id = own.workspace_id
            WHERE own.user_id = $1 AND theirs.user_id = $2
        UNION ALL SELECT 1 FROM keys WHERE owner_id = $2 AND workspace_id = $3 AND deleted_at IS NULL
        UNION ALL SELECT 1 FROM keys WHERE owner_id = $2 AND workspace_id = $3 AND deleted_at IS NOT NULL
        LIMIT 1) t";
    let found: i64 = on!(conn, raw => sqlx::query_scalar(sql)
        .bind(to.as_str())
        .bind(user.as_str())
        .bind(workspace.as_str())
        .fetch_one(&mut **raw)
        .await?);
    Ok(found > 0)
}

/// How many of a member's keys, not deleted, were used at or after that moment.
pub(crate) async fn keys_used_since(
    conn: &mut Conn<'_>,
    workspace: &WorkspaceId,
    user: &UserId,
    since: Timestamp,
) -> Result<i64, sqlx::Error> {
    let sql = "SELECT COUNT(*) FROM keys WHERE workspace_id = $1 AND owner_id = $2 AND deleted_at IS NULL AND last_used_at >= $3";
    on!(conn, raw => sqlx::query_scalar(sql)
        .bind(workspace.as_str())
        .bind(user.as_str())
        .bind(since.as_millis())
        .fetch_one(&mut **raw)
        .await)
}
