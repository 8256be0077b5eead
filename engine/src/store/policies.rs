//! The rules for keys: the instance's, every workspace's, and the keys that live longer than some rule allows.

use keyfold_domain::ids::WorkspaceId;
use keyfold_domain::policy_limits::KeyPolicy;
use keyfold_domain::time::Timestamp;

use super::db::{Conn, on};
use super::keys::{KeyRow, select_keys};
use crate::error::Error;

/// The rules of a workspace `w` and of the instance `i`, as columns of a [`RulesRow`].
macro_rules! rules {
    () => {
        "w.max_expiry_days, w.default_expiry_days, w.default_inactivity_days, w.never_allowed, w.members_may_create, \
         w.max_live_per_user, w.max_live_per_workspace, w.policy_version, i.max_expiry_days AS i_max_expiry_days, \
         i.default_expiry_days AS i_default_expiry_days, i.default_inactivity_days AS i_default_inactivity_days, \
         i.never_allowed AS i_never_allowed, i.members_may_create AS i_members_may_create, \
         i.max_live_per_user AS i_max_live_per_user, i.max_live_per_workspace AS i_max_live_per_workspace"
    };
}
pub(crate) use rules;

/// The rules of a workspace beside those of the instance.
#[derive(sqlx::FromRow)]
#[expect(clippy::struct_excessive_bools, reason = "a row has the columns it has")]
pub(crate) struct RulesRow {
    max_expiry_days: Option<i64>,
    default_expiry_days: Option<i64>,
    default_inactivity_days: Option<i64>,
    never_allowed: bool,
    members_may_create: bool,
    max_live_per_user: i64,
    max_live_per_workspace: i64,
    /// Grows with every change of the workspace's own rules.
    pub(crate) policy_version: i64,
    i_max_expiry_days: Option<i64>,
    i_default_expiry_days: Option<i64>,
    i_default_inactivity_days: Option<i64>,
    i_never_allowed: bool,
    i_members_may_create: bool,
    i_max_live_per_user: i64,
    i_max_live_per_workspace: i64,
}

fn count(value: i64) -> Result<u32, Error> {
    u32::try_from(value).map_err(|_| Error::Internal("a limit of the rules for keys is out of range".into()))
}

fn days(value: Option<i64>) -> Result<Option<u32>, Error> {
    value.map(count).transpose()
}

impl RulesRow {
    /// What the workspace has saved.
    pub(crate) fn own(&self) -> Result<KeyPolicy, Error> {
        Ok(KeyPolicy {
            max_expiry_days: days(self.max_expiry_days)?,
            default_expiry_days: days(self.default_expiry_days)?,
            default_inactivity_days: days(self.default_inactivity_days)?,
            never_allowed: self.never_allowed,
            members_may_create: self.members_may_create,
            max_live_per_user: count(self.max_live_per_user)?,
            max_live_per_workspace: count(self.max_live_per_workspace)?,
        })
    }

    /// What the instance has saved.
    pub(crate) fn instance(&self) -> Result<KeyPolicy, Error> {
        Ok(KeyPolicy {
            max_expiry_days: days(self.i_max_expiry_days)?,
            default_expiry_days: days(self.i_default_expiry_days)?,
            default_inactivity_days: days(self.i_default_inactivity_days)?,
            never_allowed: self.i_never_allowed,
            members_may_create: self.i_members_may_create,
            max_live_per_user: count(self.i_max_live_per_user)?,
            max_live_per_workspace: count(self.i_max_live_per_workspace)?,
        })
    }

    /// What holds.
    pub(crate) fn in_force(&self) -> Result<KeyPolicy, Error> {
        Ok(self.own()?.within(&self.instance()?))
    }
}

/// The row of the instance's rules, read as if it was a workspace's under itself.
macro_rules! of_instance {
    ($rest:literal) => {
        concat!("SELECT ", rules!(), " FROM instance_policy w CROSS JOIN instance_policy i WHERE w.name = 'instance'", $rest)
    };
}

/// The workspace's rules beside the instance's.
pub(crate) async fn find(conn: &mut Conn<'_>, workspace: &WorkspaceId) -> Result<Option<RulesRow>, sqlx::Error> {
    const SQL: &str =
        concat!("SELECT ", rules!(), " FROM workspaces w CROSS JOIN instance_policy i WHERE w.id = $1 AND w.deleted_at IS NULL");
    on!(conn, raw => sqlx::query_as(SQL).bind(workspace.as_str()).fetch_optional(&mut **raw).await)
}

/// The rules that hold in a workspace, which stay so until the transaction ends: for whoever is about to give a key an end.
pub(crate) async fn held(conn: &mut Conn<'_>, workspace: &WorkspaceId) -> Result<KeyPolicy, Error> {
    const SQL: &str =
        concat!("SELECT ", rules!(), " FROM workspaces w CROSS JOIN instance_policy i WHERE w.id = $1 AND w.deleted_at IS NULL");
    // SQLite has one writer at a time, and nothing to hold.
    const LOCKING: &str = concat!(
        "SELECT ",
        rules!(),
        " FROM workspaces w CROSS JOIN instance_policy i WHERE w.id = $1 AND w.deleted_at IS NULL FOR SHARE OF w, i"
    );
    let row: Option<RulesRow> = match conn {
        Conn::Sqlite(raw) => sqlx::query_as(SQL).bind(workspace.as_str()).fetch_optional(&mut **raw).await?,
        Conn::Postgres(raw) => sqlx::query_as(LOCKING).bind(workspace.as_str()).fetch_optional(&mut **raw).await?,
    };
    row.ok_or_else(Error::not_found)?.in_force()
}

/// The instance's rules.
pub(crate) async fn find_instance(conn: &mut Conn<'_>) -> Result<RulesRow, sqlx::Error> {
    const SQL: &str = of_instance!("");
    on!(conn, raw => sqlx::query_as(SQL).fetch_one(&mut **raw).await)
}

/// Saves the rules of a workspace, or of the instance for `None`, if they are still at that version; says whether they were.
pub(crate) async fn update(
    conn: &mut Conn<'_>,
    workspace: Option<&WorkspaceId>,
    policy: &KeyPolicy,
    version: i64,
) -> Result<bool, sqlx::Error> {
    let of_workspace = "UPDATE workspaces SET max_expiry_days = $3, default_expiry_days = $4, default_inactivity_days = $5,
        never_allowed = $6, members_may_create = $7, max_live_per_user = $8, max_live_per_workspace = $9,
        policy_version = policy_version + 1 WHERE id = $1 AND policy_version = $2";
    let of_instance = "UPDATE instance_policy SET max_expiry_days = $3, default_expiry_days = $4, default_inactivity_days = $5,
        never_allowed = $6, members_may_create = $7, max_live_per_user = $8, max_live_per_workspace = $9,
        policy_version = policy_version + 1 WHERE name = $1 AND policy_version = $2";
    let sql = if workspace.is_some() { of_workspace } else { of_instance };
    on!(conn, raw => sqlx::query(sql)
        .bind(workspace.map_or("instance", WorkspaceId::as_str))
        .bind(version)
        .bind(policy.max_expiry_days.map(i64::from))
        .bind(policy.default_expiry_days.map(i64::from))
        .bind(policy.default_inactivity_days.map(i64::from))
        .bind(policy.never_allowed)
        .bind(policy.members_may_create)
        .bind(i64::from(policy.max_live_per_user))
        .bind(i64::from(policy.max_live_per_workspace))
        .execute(&mut **raw)
        .await
        .map(|done| done.rows_affected() == 1))
}

/// The end of a key `k` as a number, never last. The text of the index `keys_by_end`.
macro_rules! end {
    () => {
        "COALESCE(k.expires_at, 9223372036854775807)"
    };
}

/// How many keys, not deleted, end after `bound`, counted up to `cap`: in that workspace, or everywhere.
pub(crate) async fn count_beyond(
    conn: &mut Conn<'_>,
    workspace: Option<&WorkspaceId>,
    bound: Timestamp,
    cap: i64,
) -> Result<i64, sqlx::Error> {
    const HERE: &str = concat!(
        "SELECT COUNT(*) FROM (SELECT 1 FROM keys k WHERE k.workspace_id = $3 AND k.deleted_at IS NULL AND ",
        end!(),
        " > $1 LIMIT $2) t"
    );
    const EVERYWHERE: &str =
        concat!("SELECT COUNT(*) FROM (SELECT 1 FROM keys k WHERE k.deleted_at IS NULL AND ", end!(), " > $1 LIMIT $2) t");
    on!(conn, raw => match workspace {
        Some(id) => sqlx::query_scalar(HERE).bind(bound.as_millis()).bind(cap).bind(id.as_str()).fetch_one(&mut **raw).await,
        None => sqlx::query_scalar(EVERYWHERE).bind(bound.as_millis()).bind(cap).fetch_one(&mut **raw).await,
    })
}

/// Up to `limit` keys, not deleted, that end after `bound`, those that live longest first, from below that end and id on: in
/// that workspace, or everywhere.
pub(crate) async fn beyond(
    conn: &mut Conn<'_>,
    workspace: Option<&WorkspaceId>,
    bound: Timestamp,
    below: (i64, &str),
    limit: i64,
) -> Result<Vec<KeyRow>, sqlx::Error> {
    const HERE: &str = select_keys!(
        "WHERE k.workspace_id = $5 AND k.deleted_at IS NULL AND ",
        end!(),
        " > $1 AND (",
        end!(),
        ", k.id) < ($2, $3) ORDER BY ",
        end!(),
        " DESC, k.id DESC LIMIT $4"
    );
    const EVERYWHERE: &str = select_keys!(
        "WHERE k.deleted_at IS NULL AND ",
        end!(),
        " > $1 AND (",
        end!(),
        ", k.id) < ($2, $3) ORDER BY ",
        end!(),
        " DESC, k.id DESC LIMIT $4"
    );
    on!(conn, raw => match workspace {
        Some(id) => sqlx::query_as(HERE)
            .bind(bound.as_millis()).bind(below.0).bind(below.1).bind(limit).bind(id.as_str()).fetch_all(&mut **raw).await,
        None => sqlx::query_as(EVERYWHERE)
            .bind(bound.as_millis()).bind(below.0).bind(below.1).bind(limit).fetch_all(&mut **raw).await,
    })
}
