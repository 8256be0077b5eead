//! Resources, and the keys that are tied to them.

use keyfold_domain::ids::{KeyId, ResourceId, UserId, WorkspaceId};
use keyfold_domain::resource::{KeyMention, KeysConcerned, ResourceDetail, ResourceFilter, ResourceName, ResourceSummary};
use keyfold_domain::time::Timestamp;
use keyfold_domain::user::UserRef;
use serde::{Deserialize, Serialize};

use super::db::{Conn, on};
use super::like::containing;
use super::users::parse_id;
use crate::error::Error;

/// A resource with its owner.
#[derive(sqlx::FromRow)]
pub(crate) struct ResourceRow {
    pub(crate) id: String,
    pub(crate) owner_id: String,
    username: String,
    display_name: String,
    pub(crate) kind: String,
    pub(crate) external_id: String,
    pub(crate) name: String,
    pub(crate) folded_name: String,
    created_at: i64,
    keys: i64,
    /// What it is, for clients that say so.
    pub(crate) description: String,
}

/// Counting further than this helps nobody.
macro_rules! select_resources {
    ($($rest:expr),*) => {
        concat!(
            "SELECT r.id, r.owner_id, u.username, u.display_name, r.kind, r.external_id, r.name, r.folded_name, r.created_at, r.description, \
             (SELECT COUNT(*) FROM (SELECT 1 FROM key_resources t JOIN keys k ON k.id = t.key_id \
                WHERE t.resource_id = r.id AND k.deleted_at IS NULL LIMIT 1000) c) AS keys \
             FROM resources r JOIN users u ON u.id = r.owner_id \
             WHERE r.workspace_id = $1 AND r.deleted_at IS NULL ",
            $($rest),*
        )
    };
}

impl ResourceRow {
    /// The resource as lists show it.
    pub(crate) fn detail(&self) -> Result<ResourceDetail, Error> {
        Ok(ResourceDetail {
            id: parse_id(&self.id)?,
            kind: self.kind.clone(),
            external_id: self.external_id.clone(),
            name: self.name.clone(),
            owner: UserRef { id: parse_id(&self.owner_id)?, username: self.username.clone(), display_name: self.display_name.clone() },
            created_at: Timestamp::from_millis(self.created_at),
            keys: self.keys,
        })
    }

    /// The resource as it stands beside a key.
    pub(crate) fn summary(&self) -> Result<ResourceSummary, Error> {
        Ok(ResourceSummary {
            id: parse_id(&self.id)?,
            kind: self.kind.clone(),
            external_id: self.external_id.clone(),
            name: self.name.clone(),
            deleted: false,
        })
    }
}

/// A resource about to be written.
pub(crate) struct ResourceInsert {
    pub(crate) id: ResourceId,
    pub(crate) workspace: WorkspaceId,
    pub(crate) owner: UserId,
    pub(crate) kind: String,
    pub(crate) external_id: String,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) now: Timestamp,
}

/// Adds a resource. One of that kind and external id that exists is a unique violation.
pub(crate) async fn insert(conn: &mut Conn<'_>, new: &ResourceInsert) -> Result<(), sqlx::Error> {
    let sql = "INSERT INTO resources (id, workspace_id, owner_id, kind, external_id, name, folded_name, created_at, description)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    on!(conn, raw => sqlx::query(sql)
        .bind(new.id.as_str())
        .bind(new.workspace.as_str())
        .bind(new.owner.as_str())
        .bind(&new.kind)
        .bind(&new.external_id)
        .bind(&new.name)
        .bind(keyfold_domain::name::fold(&new.name))
        .bind(new.now.as_millis())
        .bind(&new.description)
        .execute(&mut **raw)
        .await
        .map(|_| ()))
}

/// The resource of that workspace, if it exists.
pub(crate) async fn find(conn: &mut Conn<'_>, workspace: &WorkspaceId, name: &ResourceName) -> Result<Option<ResourceRow>, sqlx::Error> {
    const BY_ID: &str = select_resources!("AND r.id = $2");
    const BY_REF: &str = select_resources!("AND r.kind = $2 AND r.external_id = $3");
    on!(conn, raw => match name {
        ResourceName::Id(id) => sqlx::query_as(BY_ID).bind(workspace.as_str()).bind(id.as_str()).fetch_optional(&mut **raw).await,
        ResourceName::Ref(resource) => {
            let query = sqlx::query_as(BY_REF).bind(workspace.as_str()).bind(resource.kind()).bind(resource.external_id());
            query.fetch_optional(&mut **raw).await
        }
    })
}

/// Where a page starts: after the resource with this folded name and id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    pub(crate) name: String,
    pub(crate) id: String,
}

macro_rules! filtered {
    ($rest:literal) => {
        select_resources!(
            "AND ($2 = '' OR r.owner_id = $2) AND ($3 = '' OR r.kind = $3) \
             AND ($4 = '' OR r.folded_name LIKE $5 ESCAPE '!' OR LOWER(r.external_id) LIKE $5 ESCAPE '!' OR r.id = $4) ",
            $rest,
            " ORDER BY r.folded_name, r.id LIMIT $6"
        )
    };
}

/// The resources of a page by name, at most `limit`. `owner` overrides the filter's for somebody who sees only their own.
pub(crate) async fn page(
    conn: &mut Conn<'_>,
    workspace: &WorkspaceId,
    owner: Option<&UserId>,
    filter: &ResourceFilter,
    after: Option<&Position>,
    limit: i64,
) -> Result<Vec<ResourceRow>, sqlx::Error> {
    const FIRST: &str = filtered!("");
    const LATER: &str = filtered!("AND (r.folded_name, r.id) > ($7, $8)");
    let search = filter.search.trim();
    let pattern = containing(&keyfold_domain::name::fold(search));
    on!(conn, raw => {
        let query = sqlx::query_as(if after.is_some() { LATER } else { FIRST })
            .bind(workspace.as_str())
            .bind(owner.or(filter.owner.as_ref()).map_or("", |id| id.as_str()))
            .bind(filter.kind.trim())
            .bind(search)
            .bind(&pattern)
            .bind(limit);
        match after {
            None => query.fetch_all(&mut **raw).await,
            Some(at) => query.bind(&at.name).bind(&at.id).fetch_all(&mut **raw).await,
        }
    })
}

/// The kinds that the workspace's resources have, in alphabetical order: of all of them, or of one person's.
pub(crate) async fn kinds(conn: &mut Conn<'_>, workspace: &WorkspaceId, owner: Option<&UserId>) -> Result<Vec<String>, sqlx::Error> {
    let sql = "SELECT DISTINCT kind FROM resources WHERE workspace_id = $1 AND deleted_at IS NULL AND ($2 = '' OR owner_id = $2)
        ORDER BY kind LIMIT 100";
    let owner = owner.map_or("", |id| id.as_str());
    on!(conn, raw => sqlx::query_scalar(sql).bind(workspace.as_str()).bind(owner).fetch_all(&mut **raw).await)
}

/// The members of a workspace, who can own resources, by what they are called.
pub(crate) async fn owners(conn: &mut Conn<'_>, workspace: &WorkspaceId, most: i64) -> Result<Vec<UserRef>, Error> {
    let sql = "SELECT u.id, u.username, u.display_name FROM memberships m JOIN users u ON u.id = m.user_id
        WHERE m.workspace_id = $1 ORDER BY u.username LIMIT $2";
    let rows: Vec<(String, String, String)> =
        on!(conn, raw => sqlx::query_as(sql).bind(workspace.as_str()).bind(most).fetch_all(&mut **raw).await?);
    rows.into_iter().map(|(id, username, display_name)| Ok(UserRef { id: parse_id(&id)?, username, display_name })).collect()
}

/// Gives a resource a name and an owner.
pub(crate) async fn update(
    conn: &mut Conn<'_>,
    workspace: &WorkspaceId,
    id: &ResourceId,
    name: &str,
    owner: &str,
) -> Result<(), sqlx::Error> {
    let sql = "UPDATE resources SET name = $3, folded_name = $4, owner_id = $5 WHERE workspace_id = $1 AND id = $2 AND deleted_at IS NULL";
    on!(conn, raw => sqlx::query(sql)
        .bind(workspace.as_str())
        .bind(id.as_str())
        .bind(name)
        .bind(keyfold_domain::name::fold(name))
        .bind(owner)
        .execute(&mut **raw)
        .await
        .map(|_| ()))
}

/// Is that resource there, and not deleted?
pub(crate) async fn exists(conn: &mut Conn<'_>, workspace: &WorkspaceId, id: &ResourceId) -> Result<bool, sqlx::Error> {
    let sql = "SELECT COUNT(*) FROM resources WHERE workspace_id = $1 AND id = $2 AND deleted_at IS NULL";
    let found: i64 = on!(conn, raw => sqlx::query_scalar(sql).bind(workspace.as_str()).bind(id.as_str()).fetch_one(&mut **raw).await?);
    Ok(found > 0)
}

/// Ends a resource. Its record and the ties to it stay.
pub(crate) async fn delete(conn: &mut Conn<'_>, workspace: &WorkspaceId, id: &ResourceId, now: Timestamp) -> Result<(), sqlx::Error> {
    let sql = "UPDATE resources SET deleted_at = $3 WHERE workspace_id = $1 AND id = $2 AND deleted_at IS NULL";
    on!(conn, raw => sqlx::query(sql)
        .bind(workspace.as_str())
        .bind(id.as_str())
        .bind(now.as_millis())
        .execute(&mut **raw)
        .await
        .map(|_| ()))
}

/// The keys, not deleted, that are tied to a resource; `first` names at most `most` of them.
pub(crate) async fn keys_tied(conn: &mut Conn<'_>, workspace: &WorkspaceId, id: &ResourceId, most: i64) -> Result<KeysConcerned, Error> {
    macro_rules! tied {
        ($columns:literal, $rest:literal) => {
            concat!(
                "SELECT ",
                $columns,
                " FROM (SELECT k.id, k.name, k.folded_name, CASE WHEN EXISTS (SELECT 1 FROM key_resources o \
                    JOIN resources r ON r.id = o.resource_id \
                    WHERE o.key_id = k.id AND o.resource_id <> $2 AND r.deleted_at IS NULL) THEN 0 ELSE 1 END AS alone \
                  FROM key_resources t JOIN keys k ON k.id = t.key_id \
                  WHERE k.workspace_id = $1 AND t.resource_id = $2 AND k.deleted_at IS NULL) c ",
                $rest
            )
        };
    }
    const COUNTS: &str = tied!("COUNT(*), COALESCE(SUM(alone), 0)", "");
    const FIRST: &str = tied!("id, name", "ORDER BY alone DESC, folded_name, id LIMIT $3");
    on!(conn, raw => {
        let (count, stopped) = sqlx::query_as(COUNTS).bind(workspace.as_str()).bind(id.as_str()).fetch_one(&mut **raw).await?;
        let first: Vec<(String, String)> =
            sqlx::query_as(FIRST).bind(workspace.as_str()).bind(id.as_str()).bind(most).fetch_all(&mut **raw).await?;
        Ok(KeysConcerned { count, stopped, first: mentions(first)? })
    })
}

/// Keys named in passing, from their ids and names.
pub(crate) fn mentions(rows: Vec<(String, String)>) -> Result<Vec<KeyMention>, Error> {
    rows.into_iter().map(|(id, name)| Ok(KeyMention { id: parse_id(&id)?, name })).collect()
}

/// Ties a key to exactly these resources.
pub(crate) async fn tie(conn: &mut Conn<'_>, key: &KeyId, resources: &[ResourceSummary]) -> Result<(), sqlx::Error> {
    let clear = "DELETE FROM key_resources WHERE key_id = $1";
    let insert = "INSERT INTO key_resources (key_id, resource_id) VALUES ($1, $2)";
    on!(conn, raw => {
        sqlx::query(clear).bind(key.as_str()).execute(&mut **raw).await?;
        for resource in resources {
            sqlx::query(insert).bind(key.as_str()).bind(resource.id.as_str()).execute(&mut **raw).await?;
        }
    });
    Ok(())
}

/// What a key is tied to as one text, a line each, for the select list of keys. No name or id holds a control character.
macro_rules! ties {
    () => {
        "(SELECT string_agg(r.id || '\t' || r.kind || '\t' || r.external_id || '\t' || \
            CASE WHEN r.deleted_at IS NULL THEN '' ELSE 'deleted' END || '\t' || r.name, '\n') \
          FROM key_resources t JOIN resources r ON r.id = t.resource_id WHERE t.key_id = k.id)"
    };
}
pub(crate) use ties;

/// The same as a column of that name.
macro_rules! select_ties {
    () => {
        concat!($crate::store::resources::ties!(), " AS ties")
    };
}
pub(crate) use select_ties;

/// Reads what [`select_ties`] wrote, sorted by kind and external id.
pub(crate) fn read_ties(text: Option<&str>) -> Result<Vec<ResourceSummary>, Error> {
    let Some(text) = text else { return Ok(Vec::new()) };
    let read = |line: &str| {
        let damaged = || Error::Internal("the database holds a damaged tie of a key".into());
        let [id, kind, external_id, state, name]: [&str; 5] = line.splitn(5, '\t').collect::<Vec<_>>().try_into().map_err(|_| damaged())?;
        Ok(ResourceSummary {
            id: parse_id(id)?,
            kind: kind.to_owned(),
            external_id: external_id.to_owned(),
            name: name.to_owned(),
            deleted: !state.is_empty(),
        })
    };
    let mut ties = text.split('\n').map(read).collect::<Result<Vec<_>, Error>>()?;
    sort_ties(&mut ties);
    Ok(ties)
}

/// By kind and external id; what exists before what was deleted.
pub(crate) fn sort_ties(ties: &mut [ResourceSummary]) {
    ties.sort_by(|one, other| {
        (&one.kind, &one.external_id, one.deleted, &one.id).cmp(&(&other.kind, &other.external_id, other.deleted, &other.id))
    });
}

/// Writes what [`read_ties`] reads.
pub(crate) fn write_ties(ties: &[ResourceSummary]) -> Option<String> {
    let line = |tie: &ResourceSummary| {
        let state = if tie.deleted { "deleted" } else { "" };
        [tie.id.as_str(), &tie.kind, &tie.external_id, state, &tie.name].join("\t")
    };
    (!ties.is_empty()).then(|| ties.iter().map(line).collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_are_read_as_they_were_written() {
        let tie = |external_id: &str, deleted| ResourceSummary {
            id: "res_0123456789012345678901".parse().unwrap(),
            kind: "collection".into(),
            external_id: external_id.into(),
            name: "Contracts – 界".into(),
            deleted,
        };
        assert_eq!(read_ties(write_ties(&[]).as_deref()).unwrap(), []);
        let ties = [tie("a:b", false), tie("a:b", true), tie("z", false)];
        assert_eq!(read_ties(write_ties(&ties).as_deref()).unwrap(), ties);
        assert!(read_ties(Some("res_0123456789012345678901\tx")).is_err());
    }
}
