//! Workspaces and memberships.

use keyfold_domain::ids::{UserId, WorkspaceId};
use keyfold_domain::policy_limits::KeyPolicy;
use keyfold_domain::time::Timestamp;
use keyfold_domain::user::UserRef;
use keyfold_domain::workspace::{Membership, Role, WorkspaceDetail, WorkspaceSummary};

use super::db::{Conn, on};
use super::policies::{RulesRow, rules};
use super::users::{Pattern, parse_id};
use crate::error::Error;

/// A row of `workspaces`.
#[derive(sqlx::FromRow)]
pub(crate) struct WorkspaceRow {
    id: String,
    slug: String,
    name: String,
    #[sqlx(flatten)]
    rules: RulesRow,
}

impl WorkspaceRow {
    /// The workspace as somebody with that role sees it. Its rules are those that hold: the stricter of its own and the
    /// instance's.
    pub(crate) fn summary(self, role: Option<Role>) -> Result<WorkspaceSummary, Error> {
        let key_policy = self.rules.in_force()?;
        Ok(WorkspaceSummary { id: parse_id(&self.id)?, slug: self.slug, name: self.name, role, key_policy })
    }
}

macro_rules! select_workspaces {
    ($rest:literal) => {
        concat!("SELECT w.id, w.slug, w.name, ", rules!(), " FROM workspaces w CROSS JOIN instance_policy i ", $rest)
    };
}

/// Adds a workspace. A taken slug is a unique violation.
pub(crate) async fn insert(
    conn: &mut Conn<'_>,
    id: &WorkspaceId,
    slug: &str,
    name: &str,
    policy: &KeyPolicy,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let sql = "INSERT INTO workspaces (id, slug, name, max_expiry_days, default_expiry_days, never_allowed, members_may_create,
        max_live_per_user, max_live_per_workspace, created_at, default_inactivity_days) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    on!(conn, raw => sqlx::query(sql)
        .bind(id.as_str())
        .bind(slug)
        .bind(name)
        .bind(policy.max_expiry_days.map(i64::from))
        .bind(policy.default_expiry_days.map(i64::from))
        .bind(policy.never_allowed)
        .bind(policy.members_may_create)
        .bind(i64::from(policy.max_live_per_user))
        .bind(i64::from(policy.max_live_per_workspace))
        .bind(now.as_millis())
        .bind(policy.default_inactivity_days.map(i64::from))
        .execute(&mut **raw)
        .await
        .map(|_| ()))
}

/// The workspace with that id or slug that was not deleted. The two cannot be confused: an id has an underscore, a slug
/// cannot.
pub(crate) async fn find(conn: &mut Conn<'_>, slug_or_id: &str) -> Result<Option<WorkspaceRow>, sqlx::Error> {
    const SQL: &str = select_workspaces!("WHERE (w.id = $1 OR w.slug = $1) AND w.deleted_at IS NULL");
    // PostgreSQL refuses texts with this character, so nothing is called that.
    if slug_or_id.contains('\0') {
        return Ok(None);
    }
    on!(conn, raw => sqlx::query_as(SQL).bind(slug_or_id).fetch_optional(&mut **raw).await)
}

/// The same, also of one that was deleted: for what was recorded of it.
pub(crate) async fn find_record(conn: &mut Conn<'_>, slug_or_id: &str) -> Result<Option<WorkspaceRow>, sqlx::Error> {
    const SQL: &str = select_workspaces!("WHERE w.id = $1 OR w.slug = $1");
    // PostgreSQL refuses texts with this character, so nothing is called that.
    if slug_or_id.contains('\0') {
        return Ok(None);
    }
    on!(conn, raw => sqlx::query_as(SQL).bind(slug_or_id).fetch_optional(&mut **raw).await)
}

/// Up to `limit` workspaces by name: all of them, or those the user is a member of.
pub(crate) async fn list(conn: &mut Conn<'_>, member: Option<&UserId>, limit: i64) -> Result<Vec<WorkspaceRow>, sqlx::Error> {
    const ALL: &str = select_workspaces!("WHERE w.deleted_at IS NULL ORDER BY w.name, w.id LIMIT $1");
    const OF_MEMBER: &str = select_workspaces!(
        "JOIN memberships m ON m.workspace_id = w.id WHERE m.user_id = $2 AND w.deleted_at IS NULL ORDER BY w.name, w.id LIMIT $1"
    );
    on!(conn, raw => match member {
        None => sqlx::query_as(ALL).bind(limit).fetch_all(&mut **raw).await,
        Some(user) => sqlx::query_as(OF_MEMBER).bind(limit).bind(user.as_str()).fetch_all(&mut **raw).await,
    })
}

/// A workspace as instance administrators see it.
#[derive(sqlx::FromRow)]
pub(crate) struct WorkspaceDetailRow {
    id: String,
    slug: String,
    name: String,
    created_at: i64,
    members: i64,
    live_keys: i64,
    owner_id: Option<String>,
    owner_username: Option<String>,
    owner_display_name: Option<String>,
}

impl WorkspaceDetailRow {
    pub(crate) fn detail(self) -> Result<WorkspaceDetail, Error> {
        let owner = match (self.owner_id, self.owner_username, self.owner_display_name) {
            (Some(id), Some(username), Some(display_name)) => Some(UserRef { id: parse_id(&id)?, username, display_name }),
            _ => None,
        };
        Ok(WorkspaceDetail {
            id: parse_id(&self.id)?,
            slug: self.slug,
            name: self.name,
            owner,
            members: self.members,
            live_keys: self.live_keys,
            created_at: Timestamp::from_millis(self.created_at),
        })
    }
}

/// Up to `limit` workspaces by short name, after that one, whose names hold the pattern.
pub(crate) async fn page(conn: &mut Conn<'_>, search: &Pattern, after: &str, limit: i64) -> Result<Vec<WorkspaceDetailRow>, sqlx::Error> {
    let sql = "SELECT w.id, w.slug, w.name, w.created_at,
            (SELECT COUNT(*) FROM memberships m WHERE m.workspace_id = w.id) AS members,
            (SELECT COUNT(*) FROM keys k WHERE k.workspace_id = w.id AND k.deleted_at IS NULL) AS live_keys,
            u.id AS owner_id, u.username AS owner_username, u.display_name AS owner_display_name
        FROM workspaces w LEFT JOIN users u ON u.id =
            (SELECT m.user_id FROM memberships m WHERE m.workspace_id = w.id AND m.role = 'owner' ORDER BY m.created_at, m.user_id LIMIT 1)
        WHERE w.slug > $1 AND w.deleted_at IS NULL AND (w.slug LIKE $2 ESCAPE '!' OR LOWER(w.name) LIKE $2 ESCAPE '!' OR w.name LIKE $3 ESCAPE '!')
        ORDER BY w.slug LIMIT $4";
    on!(conn, raw => sqlx::query_as(sql).bind(after).bind(&search.folded).bind(&search.plain).bind(limit).fetch_all(&mut **raw).await)
}

/// Gives a workspace another name; says whether it is there.
pub(crate) async fn rename(conn: &mut Conn<'_>, workspace: &WorkspaceId, name: &str) -> Result<bool, sqlx::Error> {
    let sql = "UPDATE workspaces SET name = $2 WHERE id = $1";
    on!(conn, raw => sqlx::query(sql)
        .bind(workspace.as_str())
        .bind(name)
        .execute(&mut **raw)
        .await
        .map(|done| done.rows_affected() == 1))
}

/// How many members and keys, not deleted, a workspace has.
pub(crate) async fn holdings(conn: &mut Conn<'_>, workspace: &WorkspaceId) -> Result<(i64, i64), sqlx::Error> {
    let sql = "SELECT (SELECT COUNT(*) FROM memberships WHERE workspace_id = $1),
        (SELECT COUNT(*) FROM keys WHERE workspace_id = $1 AND deleted_at IS NULL)";
    on!(conn, raw => sqlx::query_as(sql).bind(workspace.as_str()).fetch_one(&mut **raw).await)
}

/// Marks a workspace as deleted, deletes its keys in `by`'s name and ends every place in it and every way into it. The records
/// of the workspace and its keys stay. Says whether it was there.
pub(crate) async fn delete(conn: &mut Conn<'_>, workspace: &WorkspaceId, by: &str, now: Timestamp) -> Result<bool, sqlx::Error> {
    let marked = "UPDATE workspaces SET deleted_at = $2 WHERE id = $1 AND deleted_at IS NULL";
    let keys = "UPDATE keys SET deleted_at = $2, stopped_by = $3, version = version + 1 WHERE workspace_id = $1 AND deleted_at IS NULL";
    let rest = [
        // Of other products' pages, which open this workspace alone.
        "DELETE FROM sessions WHERE workspace_id = $1",
        "DELETE FROM left_keys WHERE workspace_id = $1",
        "DELETE FROM invitations WHERE workspace_id = $1",
        "DELETE FROM memberships WHERE workspace_id = $1",
    ];
    on!(conn, raw => {
        if sqlx::query(marked).bind(workspace.as_str()).bind(now.as_millis()).execute(&mut **raw).await?.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query(keys).bind(workspace.as_str()).bind(now.as_millis()).bind(by).execute(&mut **raw).await?;
        for sql in rest {
            sqlx::query(sql).bind(workspace.as_str()).execute(&mut **raw).await?;
        }
    });
    Ok(true)
}

/// Puts a person into a workspace, or gives a member another role.
pub(crate) async fn set_membership(
    conn: &mut Conn<'_>,
    workspace: &WorkspaceId,
    user: &UserId,
    role: Role,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let sql = "INSERT INTO memberships (workspace_id, user_id, role, created_at) VALUES ($1, $2, $3, $4)
        ON CONFLICT (workspace_id, user_id) DO UPDATE SET role = excluded.role";
    on!(conn, raw => sqlx::query(sql)
        .bind(workspace.as_str())
        .bind(user.as_str())
        .bind(role.as_str())
        .bind(now.as_millis())
        .execute(&mut **raw)
        .await
        .map(|_| ()))
}

/// What a person is in a workspace.
pub(crate) async fn find_role(conn: &mut Conn<'_>, workspace: &WorkspaceId, user: &UserId) -> Result<Option<Role>, Error> {
    let sql = "SELECT role FROM memberships WHERE workspace_id = $1 AND user_id = $2";
    let name: Option<String> =
        on!(conn, raw => sqlx::query_scalar(sql).bind(workspace.as_str()).bind(user.as_str()).fetch_optional(&mut **raw).await?);
    name.map(|name| parse_role(&name)).transpose()
}

/// Every place of a person.
pub(crate) async fn memberships(conn: &mut Conn<'_>, user: &UserId) -> Result<Vec<Membership>, Error> {
    let sql = "SELECT workspace_id, role FROM memberships WHERE user_id = $1 LIMIT 10000";
    let rows: Vec<(String, String)> = on!(conn, raw => sqlx::query_as(sql).bind(user.as_str()).fetch_all(&mut **raw).await?);
    rows.into_iter().map(|(workspace, role)| Ok(Membership { workspace_id: parse_id(&workspace)?, role: parse_role(&role)? })).collect()
}

/// A role read from the database; anything else there is a fault.
pub(crate) fn parse_role(name: &str) -> Result<Role, Error> {
    Role::from_name(name).ok_or_else(|| Error::Internal("the database holds an unknown role".into()))
}
