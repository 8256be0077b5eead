//! Invitations by link. Of the link only the keyed hash of its token is here.

use keyfold_domain::ids::{InvitationId, UserId, WorkspaceId};
use keyfold_domain::member::{InvitationOffer, InvitationSummary};
use keyfold_domain::time::Timestamp;
use keyfold_domain::workspace::Role;

use super::db::{Conn, on};
use super::users::parse_id;
use super::workspaces::parse_role;
use crate::error::Error;
use crate::mac::MacBytes;

/// An invitation to be kept.
#[derive(Clone)]
pub(crate) struct InvitationInsert {
    pub(crate) id: InvitationId,
    pub(crate) mac: MacBytes,
    pub(crate) role: Role,
    pub(crate) label: String,
    pub(crate) creator: Option<UserId>,
    pub(crate) created_by: String,
    pub(crate) now: Timestamp,
    pub(crate) expires_at: Timestamp,
}

impl InvitationInsert {
    pub(crate) fn summary(&self) -> InvitationSummary {
        InvitationSummary {
            id: self.id.clone(),
            role: self.role,
            label: self.label.clone(),
            created_by: self.created_by.clone(),
            created_at: self.now,
            expires_at: self.expires_at,
        }
    }
}

/// An invitation with the workspace it leads to.
#[derive(sqlx::FromRow)]
pub(crate) struct InvitationRow {
    id: String,
    workspace_id: String,
    slug: String,
    name: String,
    role: String,
    label: String,
    created_by: String,
    created_at: i64,
    expires_at: i64,
}

impl InvitationRow {
    pub(crate) fn id(&self) -> Result<InvitationId, Error> {
        parse_id(&self.id)
    }

    pub(crate) fn workspace(&self) -> Result<WorkspaceId, Error> {
        parse_id(&self.workspace_id)
    }

    pub(crate) fn role(&self) -> Result<Role, Error> {
        parse_role(&self.role)
    }

    pub(crate) fn summary(self) -> Result<InvitationSummary, Error> {
        Ok(InvitationSummary {
            id: self.id()?,
            role: self.role()?,
            label: self.label,
            created_by: self.created_by,
            created_at: Timestamp::from_millis(self.created_at),
            expires_at: Timestamp::from_millis(self.expires_at),
        })
    }

    pub(crate) fn offer(self) -> Result<InvitationOffer, Error> {
        Ok(InvitationOffer {
            role: self.role()?,
            slug: self.slug,
            workspace: self.name,
            invited_by: self.created_by,
            expires_at: Timestamp::from_millis(self.expires_at),
        })
    }
}

macro_rules! select_invitations {
    ($rest:literal) => {
        concat!(
            "SELECT i.id, i.workspace_id, w.slug, w.name, i.role, i.label, i.created_by, i.created_at, i.expires_at \
             FROM invitations i JOIN workspaces w ON w.id = i.workspace_id ",
            $rest
        )
    };
}

/// Keeps an invitation.
pub(crate) async fn insert(conn: &mut Conn<'_>, workspace: &WorkspaceId, new: &InvitationInsert) -> Result<(), sqlx::Error> {
    let sql = "INSERT INTO invitations (id, workspace_id, mac, role, label, creator_id, created_by, created_at, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    on!(conn, raw => sqlx::query(sql)
        .bind(new.id.as_str())
        .bind(workspace.as_str())
        .bind(&new.mac[..])
        .bind(new.role.as_str())
        .bind(&new.label)
        .bind(new.creator.as_ref().map(UserId::as_str))
        .bind(&new.created_by)
        .bind(new.now.as_millis())
        .bind(new.expires_at.as_millis())
        .execute(&mut **raw)
        .await
        .map(|_| ()))
}

/// The workspace's invitations that are still good, the newest first; at most `limit`.
pub(crate) async fn list(
    conn: &mut Conn<'_>,
    workspace: &WorkspaceId,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<InvitationRow>, sqlx::Error> {
    const SQL: &str = select_invitations!("WHERE i.workspace_id = $1 AND i.expires_at > $2 ORDER BY i.id DESC LIMIT $3");
    on!(conn, raw => sqlx::query_as(SQL).bind(workspace.as_str()).bind(now.as_millis()).bind(limit).fetch_all(&mut **raw).await)
}

/// The invitation of the workspace with that id.
pub(crate) async fn find(conn: &mut Conn<'_>, workspace: &WorkspaceId, id: &InvitationId) -> Result<Option<InvitationRow>, sqlx::Error> {
    const SQL: &str = select_invitations!("WHERE i.workspace_id = $1 AND i.id = $2");
    on!(conn, raw => sqlx::query_as(SQL).bind(workspace.as_str()).bind(id.as_str()).fetch_optional(&mut **raw).await)
}

/// The invitation whose link has that token, in whichever workspace, if it is still good.
pub(crate) async fn find_good(conn: &mut Conn<'_>, mac: &MacBytes, now: Timestamp) -> Result<Option<InvitationRow>, sqlx::Error> {
    const SQL: &str = select_invitations!("WHERE i.mac = $1 AND i.expires_at > $2");
    on!(conn, raw => sqlx::query_as(SQL).bind(&mac[..]).bind(now.as_millis()).fetch_optional(&mut **raw).await)
}

/// Ends the invitation with that token if it is still good; says whether it was. Of many who try at once one succeeds.
pub(crate) async fn consume(conn: &mut Conn<'_>, mac: &MacBytes, now: Timestamp) -> Result<bool, sqlx::Error> {
    let sql = "DELETE FROM invitations WHERE mac = $1 AND expires_at > $2";
    on!(conn, raw => sqlx::query(sql)
        .bind(&mac[..])
        .bind(now.as_millis())
        .execute(&mut **raw)
        .await
        .map(|done| done.rows_affected() == 1))
}

/// Takes an invitation back; says whether it was there.
pub(crate) async fn delete(conn: &mut Conn<'_>, workspace: &WorkspaceId, id: &InvitationId) -> Result<bool, sqlx::Error> {
    let sql = "DELETE FROM invitations WHERE workspace_id = $1 AND id = $2";
    on!(conn, raw => sqlx::query(sql)
        .bind(workspace.as_str())
        .bind(id.as_str())
        .execute(&mut **raw)
        .await
        .map(|done| done.rows_affected() == 1))
}

/// Takes back what a person invited others to and could not give any more: everything, or the roles above `keeps`.
pub(crate) async fn delete_of_creator(
    conn: &mut Conn<'_>,
    workspace: &WorkspaceId,
    creator: &UserId,
    keeps: Option<Role>,
) -> Result<(), sqlx::Error> {
    let all = "DELETE FROM invitations WHERE workspace_id = $1 AND creator_id = $2";
    let owners = "DELETE FROM invitations WHERE workspace_id = $1 AND creator_id = $2 AND role = 'owner'";
    let sql = match keeps {
        Some(Role::Owner) => return Ok(()),
        Some(Role::Admin) => owners,
        _ => all,
    };
    on!(conn, raw => sqlx::query(sql).bind(workspace.as_str()).bind(creator.as_str()).execute(&mut **raw).await.map(|_| ()))
}

/// Takes back every invitation of a person, in all workspaces.
pub(crate) async fn delete_all_of_creator(conn: &mut Conn<'_>, creator: &UserId) -> Result<(), sqlx::Error> {
    let sql = "DELETE FROM invitations WHERE creator_id = $1";
    on!(conn, raw => sqlx::query(sql).bind(creator.as_str()).execute(&mut **raw).await.map(|_| ()))
}

/// Forgets those that are not good any more.
pub(crate) async fn trim(conn: &mut Conn<'_>, now: Timestamp) -> Result<(), sqlx::Error> {
    let sql = "DELETE FROM invitations WHERE expires_at <= $1";
    on!(conn, raw => sqlx::query(sql).bind(now.as_millis()).execute(&mut **raw).await.map(|_| ()))
}
