//! Keys, their secrets' hashes and their counters.

use std::sync::Arc;

use keyfold_domain::addresses::AddressRange;
use keyfold_domain::catalogue::ScopeCatalogue;
use keyfold_domain::ids::{KeyId, UserId, WorkspaceId};
use keyfold_domain::key::{KeyBounds, KeySummary, NewKey};
use keyfold_domain::limits::Limits;
use keyfold_domain::resource::ResourceSummary;
use keyfold_domain::scope::{KeyKind, ScopeSet};
use keyfold_domain::time::Timestamp;
use keyfold_domain::token::{Prefix, mask};
use keyfold_domain::user::UserRef;
use keyfold_domain::verdict::{Key, Moment, ResourceRef, state};

use super::client_settings::ClientSettings;
use super::db::{Conn, on};
use super::limits;
use super::resources::read_ties;
use super::secrets::SecretInsert;
use super::users::parse_id;
use super::workspaces::parse_role;
use crate::error::Error;

/// A key with what stands around it: workspace, owner, the owner's place, its current secret.
#[derive(Clone, Default, sqlx::FromRow)]
pub(crate) struct KeyRow {
    pub(crate) id: String,
    pub(crate) workspace_id: String,
    pub(crate) slug: String,
    pub(crate) workspace_name: String,
    pub(crate) owner_id: String,
    pub(crate) username: String,
    pub(crate) display_name: String,
    pub(crate) owner_active: bool,
    pub(crate) role: Option<String>,
    pub(crate) created_by: String,
    pub(crate) name: String,
    pub(crate) folded_name: String,
    pub(crate) kind: String,
    pub(crate) scopes: String,
    pub(crate) expires_at: Option<i64>,
    pub(crate) inactivity_days: Option<i64>,
    pub(crate) note: String,
    pub(crate) created_at: i64,
    pub(crate) activated_at: Option<i64>,
    pub(crate) deactivated_at: Option<i64>,
    pub(crate) deactivated_reason: Option<String>,
    pub(crate) stopped_by: Option<String>,
    pub(crate) stopped_for_good: bool,
    pub(crate) deleted_at: Option<i64>,
    pub(crate) last_used_at: Option<i64>,
    pub(crate) total_calls: i64,
    pub(crate) version: i64,
    pub(crate) rotating_until: Option<i64>,
    pub(crate) scopes_at: Option<i64>,
    pub(crate) mac: Vec<u8>,
    pub(crate) hint: String,
    /// What it is tied to; see [`read_ties`].
    pub(crate) ties: Option<String>,
    pub(crate) ip_allow: Option<String>,
    /// See [`limits::read`].
    pub(crate) limits: Option<String>,
    /// Those of its owner in the workspace.
    pub(crate) owner_limits: Option<String>,
}

/// The columns of a [`KeyRow`] and where they come from; what follows starts with `WHERE` or a further join.
macro_rules! select_keys {
    ($($rest:expr),*) => {
        concat!(
            "SELECT k.id, k.workspace_id, w.slug, w.name AS workspace_name, k.owner_id, u.username, u.display_name, u.active AS owner_active, m.role, \
             k.created_by, k.name, k.folded_name, k.kind, k.scopes, k.expires_at, k.inactivity_days, k.note, k.created_at, \
             k.activated_at, k.deactivated_at, k.deactivated_reason, k.stopped_by, k.stopped_for_good, k.deleted_at, k.last_used_at, k.total_calls, k.version, \
             k.rotating_until, k.scopes_at, k.ip_allow, k.limits, m.limits AS owner_limits, s.mac, s.hint, ",
            $crate::store::resources::select_ties!(),
            " FROM keys k \
             JOIN workspaces w ON w.id = k.workspace_id \
             JOIN users u ON u.id = k.owner_id \
             JOIN secrets s ON s.key_id = k.id AND s.ends_at IS NULL \
             LEFT JOIN memberships m ON m.workspace_id = k.workspace_id AND m.user_id = k.owner_id ",
            $($rest),*
        )
    };
}
pub(crate) use select_keys;

impl KeyRow {
    /// What decides about the key, in a workspace with those scopes.
    pub(crate) fn record(&self, catalogue: &ScopeCatalogue) -> Result<Key, Error> {
        let key = self.settings()?;
        Ok(Key { effective: key.scopes.effective(catalogue).into(), ..key })
    }

    /// What the row says. What the scopes imply is not in it.
    pub(crate) fn settings(&self) -> Result<Key, Error> {
        let damaged = |what: &str| Error::Internal(format!("the database holds a damaged {what} of a key"));
        let scopes = parse_scopes(&self.scopes).ok_or_else(|| damaged("scope"))?;
        Ok(Key {
            id: parse_id(&self.id)?,
            workspace_id: parse_id(&self.workspace_id)?,
            workspace: self.slug.as_str().into(),
            owner: UserRef { id: parse_id(&self.owner_id)?, username: self.username.clone(), display_name: self.display_name.clone() }
                .into(),
            owner_role: self.role.as_deref().map(parse_role).transpose()?,
            owner_active: self.owner_active,
            name: self.name.clone(),
            kind: KeyKind::from_name(&self.kind).ok_or_else(|| damaged("kind"))?,
            effective: Arc::default(),
            scopes: scopes.into(),
            resources: tied_to(&read_ties(self.ties.as_deref())?)?,
            ip_allow: self.ranges()?.into_iter().map(AddressRange::net).collect(),
            limits: Limits::of(limits::read(self.limits.as_deref())?, limits::read(self.owner_limits.as_deref())?),
            created_at: Timestamp::from_millis(self.created_at),
            expires_at: self.expires_at.map(Timestamp::from_millis),
            inactivity_days: self
                .inactivity_days
                .map(|days| u32::try_from(days).map_err(|_| damaged("inactivity interval")))
                .transpose()?,
            activated_at: self.activated_at.map(Timestamp::from_millis),
            deactivated_at: self.deactivated_at.map(Timestamp::from_millis),
            stopped_for_good: self.stopped_for_good,
            deleted_at: self.deleted_at.map(Timestamp::from_millis),
        })
    }

    /// From where it may be used; empty for anywhere.
    pub(crate) fn ranges(&self) -> Result<Vec<AddressRange>, Error> {
        let damaged = |_| Error::Internal("the database holds a damaged range of addresses".into());
        let ranges = self.ip_allow.iter().flat_map(|text| text.split_ascii_whitespace());
        ranges.map(str::parse).collect::<Result<_, _>>().map_err(damaged)
    }

    /// From where and how often it may be used.
    pub(crate) fn bounds(&self) -> Result<KeyBounds, Error> {
        Ok(KeyBounds { ip_allow: self.ranges()?, limits: limits::read(self.limits.as_deref())? })
    }

    /// The key as lists show it.
    pub(crate) fn summary(&self, prefix: &Prefix, moment: &Moment) -> Result<KeySummary, Error> {
        let record = self.settings()?;
        Ok(KeySummary {
            resources: read_ties(self.ties.as_deref())?,
            state: state(&record, moment),
            hint: mask(prefix, record.kind, &self.hint),
            id: record.id,
            workspace_id: record.workspace_id,
            owner: Arc::unwrap_or_clone(record.owner),
            created_by: Some(self.created_by.clone()),
            name: record.name,
            kind: record.kind,
            scopes: Arc::unwrap_or_clone(record.scopes),
            created_at: record.created_at,
            expires_at: record.expires_at,
            inactivity_days: record.inactivity_days,
            last_used_at: moment.last_used_at,
            total_calls: self.total_calls,
            version: self.version,
            note: self.note.clone(),
            stopped_at: record.deleted_at.or(record.deactivated_at),
            stopped_reason: self.deactivated_reason.clone().filter(|reason| !reason.is_empty()),
            stopped_by: self.stopped_by.clone(),
            bounds: self.bounds()?,
            stopped_for_good: self.stopped_for_good,
        })
    }
}

/// What the verifier compares with: the resources that exist, sorted; `None` for a key that was never tied.
fn tied_to(ties: &[ResourceSummary]) -> Result<Option<Vec<ResourceRef>>, Error> {
    if ties.is_empty() {
        return Ok(None);
    }
    let existing = ties.iter().filter(|tie| !tie.deleted).map(|tie| Ok(ResourceRef::new(&tie.kind, &tie.external_id)?));
    let mut existing = existing.collect::<Result<Vec<_>, Error>>()?;
    existing.sort();
    Ok(Some(existing))
}

/// Ranges as they are stored; nothing for none.
pub(crate) fn write_ranges(ranges: &[AddressRange]) -> Option<String> {
    let texts: Vec<_> = ranges.iter().map(ToString::to_string).collect();
    (!texts.is_empty()).then(|| texts.join(" "))
}

pub(crate) fn parse_scopes(text: &str) -> Option<ScopeSet> {
    text.split_ascii_whitespace().map(|name| name.parse().ok()).collect()
}

/// A key about to be written, with all that was worked out for it.
pub(crate) struct KeyInsert {
    pub(crate) id: KeyId,
    pub(crate) workspace: WorkspaceId,
    pub(crate) owner: UserId,
    pub(crate) created_by: String,
    pub(crate) new: NewKey,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) inactivity_days: Option<u32>,
    pub(crate) now: Timestamp,
    pub(crate) secret: SecretInsert,
    /// What another product's client keeps with it.
    pub(crate) settings: Option<ClientSettings>,
}

/// Adds a key and its secret's hash.
pub(crate) async fn insert(conn: &mut Conn<'_>, key: &KeyInsert) -> Result<(), Error> {
    let keys = "INSERT INTO keys (id, workspace_id, owner_id, created_by, name, folded_name, kind, scopes, expires_at, inactivity_days,
        note, created_at, ip_allow, limits, total_calls, version)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, 0, 1)";
    let limits = limits::write(&key.new.limits)?;
    on!(conn, raw => {
        sqlx::query(keys)
            .bind(key.id.as_str())
            .bind(key.workspace.as_str())
            .bind(key.owner.as_str())
            .bind(&key.created_by)
            .bind(&key.new.name)
            .bind(keyfold_domain::name::fold(&key.new.name))
            .bind(key.new.kind.as_str())
            .bind(key.new.scopes.to_string())
            .bind(key.expires_at.map(Timestamp::as_millis))
            .bind(key.inactivity_days.map(i64::from))
            .bind(&key.new.note)
            .bind(key.now.as_millis())
            .bind(write_ranges(&key.new.ip_allow))
            .bind(limits)
            .execute(&mut **raw)
            .await?;
    });
    super::secrets::insert(conn, key.id.as_str(), &key.secret).await?;
    match &key.settings {
        Some(settings) => Ok(super::client_settings::insert(conn, &key.id, settings).await?),
        None => Ok(()),
    }
}

/// Gives a key that was just added a past: its last use and number of calls, and when it was deactivated or deleted.
pub(crate) async fn set_past(
    conn: &mut Conn<'_>,
    id: &KeyId,
    used: (Option<i64>, i64),
    deactivated_at: Option<i64>,
    deleted_at: Option<i64>,
) -> Result<(), sqlx::Error> {
    let sql = "UPDATE keys SET last_used_at = $2, total_calls = $3, deactivated_at = $4, deleted_at = $5 WHERE id = $1";
    on!(conn, raw => sqlx::query(sql)
        .bind(id.as_str())
        .bind(used.0)
        .bind(used.1)
        .bind(deactivated_at)
        .bind(deleted_at)
        .execute(&mut **raw)
        .await
        .map(|_| ()))
}

/// The key of that workspace.
pub(crate) async fn find(conn: &mut Conn<'_>, workspace: &WorkspaceId, id: &KeyId) -> Result<Option<KeyRow>, sqlx::Error> {
    const SQL: &str = select_keys!("WHERE k.workspace_id = $1 AND k.id = $2");
    on!(conn, raw => sqlx::query_as(SQL).bind(workspace.as_str()).bind(id.as_str()).fetch_optional(&mut **raw).await)
}

/// The key with that id in any workspace, deleted or not. For administrators of the instance.
pub(crate) async fn find_anywhere(conn: &mut Conn<'_>, id: &KeyId) -> Result<Option<KeyRow>, sqlx::Error> {
    const SQL: &str = select_keys!("WHERE k.id = $1");
    on!(conn, raw => sqlx::query_as(SQL).bind(id.as_str()).fetch_optional(&mut **raw).await)
}

/// How many keys, not deleted, the owner has in the workspace and the workspace has in all, each counted up to `cap`.
pub(crate) async fn count_live(conn: &mut Conn<'_>, workspace: &WorkspaceId, owner: &UserId, cap: i64) -> Result<(i64, i64), sqlx::Error> {
    let of_owner = "SELECT COUNT(*) FROM (SELECT 1 FROM keys WHERE workspace_id = $1 AND owner_id = $2 AND deleted_at IS NULL LIMIT $3) t";
    let of_all = "SELECT COUNT(*) FROM (SELECT 1 FROM keys WHERE workspace_id = $1 AND deleted_at IS NULL LIMIT $2) t";
    on!(conn, raw => Ok((
        sqlx::query_scalar(of_owner).bind(workspace.as_str()).bind(owner.as_str()).bind(cap).fetch_one(&mut **raw).await?,
        sqlx::query_scalar(of_all).bind(workspace.as_str()).bind(cap).fetch_one(&mut **raw).await?,
    )))
}

/// Writes back what a patch, a stop or a start changed, if nobody else changed the key since `row` was read. Says whether
/// it did; the version grows by one.
pub(crate) async fn update(conn: &mut Conn<'_>, row: &KeyRow) -> Result<bool, sqlx::Error> {
    let sql = "UPDATE keys SET name = $3, folded_name = $4, scopes = $5, expires_at = $6, inactivity_days = $7, note = $8,
        activated_at = $9, deactivated_at = $10, deactivated_reason = $11, deleted_at = $12, stopped_by = $13,
        rotating_until = $14, scopes_at = $15, ip_allow = $16, limits = $17, stopped_for_good = $18, version = version + 1
        WHERE id = $1 AND version = $2";
    on!(conn, raw => sqlx::query(sql)
        .bind(&row.id)
        .bind(row.version)
        .bind(&row.name)
        .bind(&row.folded_name)
        .bind(&row.scopes)
        .bind(row.expires_at)
        .bind(row.inactivity_days)
        .bind(&row.note)
        .bind(row.activated_at)
        .bind(row.deactivated_at)
        .bind(row.deactivated_reason.as_deref())
        .bind(row.deleted_at)
        .bind(row.stopped_by.as_deref())
        .bind(row.rotating_until)
        .bind(row.scopes_at)
        .bind(row.ip_allow.as_deref())
        .bind(row.limits.as_deref())
        .bind(row.stopped_for_good)
        .execute(&mut **raw)
        .await
        .map(|done| done.rows_affected() == 1))
}

/// How many keys that are not deleted there are.
pub(crate) async fn count_all_live(conn: &mut Conn<'_>) -> Result<i64, sqlx::Error> {
    let sql = "SELECT COUNT(*) FROM keys WHERE deleted_at IS NULL";
    on!(conn, raw => sqlx::query_scalar(sql).fetch_one(&mut **raw).await)
}

/// What separates the fields of a line: no text that Keyfold stores holds it.
pub(crate) const LINE_SEPARATOR: char = '\u{1e}';
/// The fields of a line.
pub(crate) const LINE_FIELDS: usize = 22;
/// How many of them, at the beginning, are the same for many keys.
pub(crate) const SHARED_FIELDS: usize = 9;

/// Up to `limit` keys that are not deleted, after that id, to fill the verifier's memory: what decides about each as one line of
/// text, and its current secret's hash. A value of its own for each field costs the driver more than all else of reading it.
pub(crate) async fn lines_after(conn: &mut Conn<'_>, after: &str, limit: i64) -> Result<Vec<(String, Vec<u8>)>, sqlx::Error> {
    const SQL: &str = concat!(
        "SELECT format('%s\u{1e}%s\u{1e}%s\u{1e}%s\u{1e}%s\u{1e}%s\u{1e}%s\u{1e}%s\u{1e}%s\u{1e}%s\u{1e}%s\u{1e}\
         %s\u{1e}%s\u{1e}%s\u{1e}%s\u{1e}%s\u{1e}%s\u{1e}%s\u{1e}%s\u{1e}%s\u{1e}%s\u{1e}%s', \
         k.workspace_id, k.owner_id, w.slug, u.username, u.display_name, CASE WHEN u.active THEN 1 ELSE 0 END, m.role, k.kind, k.scopes, \
         k.id, k.name, k.expires_at, k.inactivity_days, k.created_at, k.activated_at, k.deactivated_at, \
         CASE WHEN k.stopped_for_good THEN 1 ELSE 0 END, k.last_used_at, k.ip_allow, k.limits, m.limits, ",
        super::resources::ties!(),
        "), s.mac FROM keys k \
         JOIN workspaces w ON w.id = k.workspace_id \
         JOIN users u ON u.id = k.owner_id \
         JOIN secrets s ON s.key_id = k.id AND s.ends_at IS NULL \
         LEFT JOIN memberships m ON m.workspace_id = k.workspace_id AND m.user_id = k.owner_id \
         WHERE k.id > $1 AND k.deleted_at IS NULL ORDER BY k.id LIMIT $2"
    );
    on!(conn, raw => sqlx::query_as(SQL).bind(after).bind(limit).fetch_all(&mut **raw).await)
}

/// The key with that id in any workspace, for the verifier's memory; `None` once it is deleted.
pub(crate) async fn find_live(conn: &mut Conn<'_>, id: &KeyId) -> Result<Option<KeyRow>, sqlx::Error> {
    const SQL: &str = select_keys!("WHERE k.id = $1 AND k.deleted_at IS NULL");
    on!(conn, raw => sqlx::query_as(SQL).bind(id.as_str()).fetch_optional(&mut **raw).await)
}

/// The keys, not deleted, of that person in that workspace.
pub(crate) async fn live_of_owner(conn: &mut Conn<'_>, workspace: &str, owner: &str) -> Result<Vec<KeyRow>, sqlx::Error> {
    const SQL: &str = select_keys!("WHERE k.workspace_id = $1 AND k.owner_id = $2 AND k.deleted_at IS NULL");
    on!(conn, raw => sqlx::query_as(SQL).bind(workspace).bind(owner).fetch_all(&mut **raw).await)
}

/// The keys, not deleted, of that person in every workspace.
pub(crate) async fn live_of_user(conn: &mut Conn<'_>, owner: &str) -> Result<Vec<KeyRow>, sqlx::Error> {
    const SQL: &str = select_keys!("WHERE k.owner_id = $1 AND k.deleted_at IS NULL");
    on!(conn, raw => sqlx::query_as(SQL).bind(owner).fetch_all(&mut **raw).await)
}

/// Up to `limit` keys of that workspace that are not deleted, after that id.
pub(crate) async fn live_of_workspace(conn: &mut Conn<'_>, workspace: &str, after: &str, limit: i64) -> Result<Vec<KeyRow>, sqlx::Error> {
    const SQL: &str = select_keys!("WHERE k.workspace_id = $1 AND k.id > $2 AND k.deleted_at IS NULL ORDER BY k.id LIMIT $3");
    on!(conn, raw => sqlx::query_as(SQL).bind(workspace).bind(after).bind(limit).fetch_all(&mut **raw).await)
}

/// Up to `limit` keys of that workspace that are tied to that resource and not deleted, after that id.
pub(crate) async fn live_of_resource(
    conn: &mut Conn<'_>,
    workspace: &str,
    resource: &str,
    after: &str,
    limit: i64,
) -> Result<Vec<KeyRow>, sqlx::Error> {
    const SQL: &str = select_keys!(
        "WHERE k.workspace_id = $1 AND k.id IN (SELECT key_id FROM key_resources WHERE resource_id = $2) \
         AND k.id > $3 AND k.deleted_at IS NULL ORDER BY k.id LIMIT $4"
    );
    on!(conn, raw => sqlx::query_as(SQL).bind(workspace).bind(resource).bind(after).bind(limit).fetch_all(&mut **raw).await)
}

/// What an earlier create with this Idempotency-Key asked for (as a hash) and made.
pub(crate) async fn find_idempotent(conn: &mut Conn<'_>, actor: &str, value: &str) -> Result<Option<(String, String)>, sqlx::Error> {
    let sql = "SELECT request_hash, key_id FROM idempotency_keys WHERE actor = $1 AND value = $2";
    on!(conn, raw => sqlx::query_as(sql).bind(actor).bind(value).fetch_optional(&mut **raw).await)
}

/// Remembers what a create with this Idempotency-Key made, and forgets those made before `forget`.
pub(crate) async fn insert_idempotent(
    conn: &mut Conn<'_>,
    actor: &str,
    value: &str,
    request_hash: &str,
    key: &KeyId,
    now: Timestamp,
    forget: Timestamp,
) -> Result<(), sqlx::Error> {
    let old = "DELETE FROM idempotency_keys WHERE created_at < $1";
    let sql = "INSERT INTO idempotency_keys (actor, value, request_hash, key_id, created_at) VALUES ($1, $2, $3, $4, $5)";
    on!(conn, raw => {
        sqlx::query(old).bind(forget.as_millis()).execute(&mut **raw).await?;
        sqlx::query(sql)
            .bind(actor)
            .bind(value)
            .bind(request_hash)
            .bind(key.as_str())
            .bind(now.as_millis())
            .execute(&mut **raw)
            .await?;
    });
    Ok(())
}

/// How many keys of each workspace are neither deleted nor deactivated.
pub(crate) async fn count_working(conn: &mut Conn<'_>) -> Result<Vec<(String, i64)>, sqlx::Error> {
    let sql = "SELECT workspace_id, COUNT(*) FROM keys WHERE deleted_at IS NULL AND deactivated_at IS NULL
        GROUP BY workspace_id ORDER BY workspace_id";
    on!(conn, raw => sqlx::query_as(sql).fetch_all(&mut **raw).await)
}

/// Deactivates every key that is neither deleted nor deactivated, in all workspaces. For a database that nobody uses yet.
pub(crate) async fn stop_working(conn: &mut Conn<'_>, now: Timestamp, why: &str, by: &str) -> Result<(), sqlx::Error> {
    let sql = "UPDATE keys SET deactivated_at = $1, deactivated_reason = $2, stopped_by = $3, version = version + 1
        WHERE deleted_at IS NULL AND deactivated_at IS NULL";
    on!(conn, raw => sqlx::query(sql).bind(now.as_millis()).bind(why).bind(by).execute(&mut **raw).await.map(|_| ()))
}
