//! Route maps and their versions.

use keyfold_domain::ids::WorkspaceId;
use keyfold_domain::route::{RouteMap, RouteMapDetail, RouteMapVersion, RouteSource};
use keyfold_domain::time::Timestamp;

use super::db::{Conn, on};
use crate::error::Error;

/// A version of a map.
#[derive(sqlx::FromRow)]
pub(crate) struct RouteMapRow {
    pub(crate) workspace_id: String,
    pub(crate) slug: String,
    pub(crate) version: i64,
    pub(crate) rules: String,
    rule_count: i64,
    source: String,
    saved_at: i64,
    saved_by: String,
}

impl RouteMapRow {
    /// The rules.
    pub(crate) fn map(&self) -> Result<RouteMap, Error> {
        serde_json::from_str(&self.rules).map_err(|error| Error::Internal(format!("the database holds a damaged route map: {error}")))
    }

    pub(crate) fn detail(self) -> Result<RouteMapDetail, Error> {
        Ok(RouteMapDetail { map: self.map()?, saved: Some(self.into_version()) })
    }

    /// All but the rules.
    fn into_version(self) -> RouteMapVersion {
        RouteMapVersion {
            version: self.version,
            rules: self.rule_count,
            // A preset that there was once: its rules are what counts.
            source: self.source.parse().unwrap_or(RouteSource::Edit),
            saved_at: Timestamp::from_millis(self.saved_at),
            saved_by: self.saved_by,
        }
    }
}

/// The columns of a [`RouteMapRow`]; `rules` may be left out.
macro_rules! select_maps {
    ($rules:literal, $rest:literal) => {
        concat!(
            "SELECT r.workspace_id, w.slug, r.version, ",
            $rules,
            " AS rules, r.rule_count, r.source, r.saved_at, r.saved_by FROM route_maps r JOIN workspaces w ON w.id = r.workspace_id AND w.deleted_at IS NULL ",
            $rest
        )
    };
}

/// A workspace's map: that version, or for `None` the newest, which is the one in force.
pub(crate) async fn find(conn: &mut Conn<'_>, workspace: &str, version: Option<i64>) -> Result<Option<RouteMapRow>, sqlx::Error> {
    const NEWEST: &str = select_maps!("r.rules", "WHERE r.workspace_id = $1 ORDER BY r.version DESC LIMIT 1");
    const ONE: &str = select_maps!("r.rules", "WHERE r.workspace_id = $1 AND r.version = $2");
    on!(conn, raw => match version {
        None => sqlx::query_as(NEWEST).bind(workspace).fetch_optional(&mut **raw).await,
        Some(version) => sqlx::query_as(ONE).bind(workspace).bind(version).fetch_optional(&mut **raw).await,
    })
}

/// Up to `limit` workspaces' maps in force, by the workspace's id, after that one.
pub(crate) async fn in_force_after(conn: &mut Conn<'_>, workspace: &str, limit: i64) -> Result<Vec<RouteMapRow>, sqlx::Error> {
    const SQL: &str = select_maps!(
        "r.rules",
        "WHERE r.workspace_id > $1 AND r.version = (SELECT MAX(n.version) FROM route_maps n WHERE n.workspace_id = r.workspace_id)
         ORDER BY r.workspace_id LIMIT $2"
    );
    on!(conn, raw => sqlx::query_as(SQL).bind(workspace).bind(limit).fetch_all(&mut **raw).await)
}

/// Up to `limit` versions of a workspace's map, the newest first, without their rules.
pub(crate) async fn versions(conn: &mut Conn<'_>, workspace: &WorkspaceId, limit: i64) -> Result<Vec<RouteMapVersion>, sqlx::Error> {
    const SQL: &str = select_maps!("''", "WHERE r.workspace_id = $1 ORDER BY r.version DESC LIMIT $2");
    let rows: Vec<RouteMapRow> = on!(conn, raw => sqlx::query_as(SQL).bind(workspace.as_str()).bind(limit).fetch_all(&mut **raw).await?);
    Ok(rows.into_iter().map(RouteMapRow::into_version).collect())
}

/// Adds a version. One that is there already is a unique violation.
pub(crate) async fn insert(
    conn: &mut Conn<'_>,
    workspace: &WorkspaceId,
    rules: &str,
    version: &RouteMapVersion,
) -> Result<(), sqlx::Error> {
    let sql = "INSERT INTO route_maps (workspace_id, version, rules, rule_count, source, saved_at, saved_by)
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    on!(conn, raw => sqlx::query(sql)
        .bind(workspace.as_str())
        .bind(version.version)
        .bind(rules)
        .bind(version.rules)
        .bind(version.source.to_string())
        .bind(version.saved_at.as_millis())
        .bind(&version.saved_by)
        .execute(&mut **raw)
        .await
        .map(|_| ()))
}

/// Forgets the versions up to that one.
pub(crate) async fn trim(conn: &mut Conn<'_>, workspace: &WorkspaceId, up_to: i64) -> Result<(), sqlx::Error> {
    let sql = "DELETE FROM route_maps WHERE workspace_id = $1 AND version <= $2";
    on!(conn, raw => sqlx::query(sql).bind(workspace.as_str()).bind(up_to).execute(&mut **raw).await.map(|_| ()))
}
