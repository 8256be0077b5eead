//! What was spent of quotas. Whose they are is a text: a key's id, or a workspace's and a user's for all of a member's keys.

use keyfold_domain::ids::{UserId, WorkspaceId};
use keyfold_domain::limits::Limit;
use keyfold_domain::time::Timestamp;

use super::db::{Conn, on};
use crate::error::Error;

/// Units of one quota that are free again together.
#[derive(Clone, sqlx::FromRow)]
pub(crate) struct SpentRow {
    pub(crate) subject: String,
    pub(crate) name: String,
    pub(crate) at: i64,
    pub(crate) units: i64,
}

/// Whose quotas those of a member are.
pub(crate) fn member(workspace: &WorkspaceId, user: &UserId) -> String {
    format!("{workspace} {user}")
}

/// Adds `[subject, name, at, units]`, each combination once, to what is there.
pub(crate) async fn add(conn: &mut Conn<'_>, rows: &str) -> Result<(), sqlx::Error> {
    let sqlite = "INSERT INTO limit_usage (subject, name, at, units)
        SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each($1) WHERE TRUE
        ON CONFLICT (subject, name, at) DO UPDATE SET units = limit_usage.units + excluded.units";
    let postgres = "INSERT INTO limit_usage (subject, name, at, units)
        SELECT value ->> 0, value ->> 1, (value ->> 2)::BIGINT, (value ->> 3)::BIGINT FROM json_array_elements($1::JSON)
        ON CONFLICT (subject, name, at) DO UPDATE SET units = limit_usage.units + excluded.units";
    match conn {
        Conn::Sqlite(raw) => sqlx::query(sqlite).bind(rows).execute(&mut **raw).await.map(|_| ()),
        Conn::Postgres(raw) => sqlx::query(postgres).bind(rows).execute(&mut **raw).await.map(|_| ()),
    }
}

/// What was spent by the subjects from `first` to `last`, each of them in the order of the moments.
pub(crate) async fn spent(conn: &mut Conn<'_>, first: &str, last: &str) -> Result<Vec<SpentRow>, sqlx::Error> {
    let sql = "SELECT subject, name, at, units FROM limit_usage WHERE subject >= $1 AND subject <= $2 ORDER BY subject, name, at";
    on!(conn, raw => sqlx::query_as(sql).bind(first).bind(last).fetch_all(&mut **raw).await)
}

/// Forgets what was spent of those limits that are in `before` and not in `after`: one that gets the name again begins anew.
pub(crate) async fn forget(conn: &mut Conn<'_>, subject: &str, before: &[Limit], after: &[Limit]) -> Result<(), sqlx::Error> {
    let sql = "DELETE FROM limit_usage WHERE subject = $1 AND name = $2";
    for gone in before.iter().filter(|limit| after.iter().all(|other| other.name() != limit.name())) {
        on!(conn, raw => sqlx::query(sql).bind(subject).bind(gone.name().as_str()).execute(&mut **raw).await.map(|_| ())?);
    }
    Ok(())
}

/// Forgets up to `limit` rows from before that moment. Returns how many.
pub(crate) async fn trim(conn: &mut Conn<'_>, before: Timestamp, limit: i64) -> Result<u64, sqlx::Error> {
    let sql = "DELETE FROM limit_usage WHERE (subject, name, at) IN (SELECT subject, name, at FROM limit_usage WHERE at < $1 LIMIT $2)";
    on!(conn, raw => sqlx::query(sql)
        .bind(before.as_millis())
        .bind(limit)
        .execute(&mut **raw)
        .await
        .map(|done| done.rows_affected()))
}

/// Limits as they are stored; nothing for none.
pub(crate) fn write(limits: &[Limit]) -> Result<Option<String>, Error> {
    if limits.is_empty() {
        return Ok(None);
    }
    serde_json::to_string(limits).map(Some).map_err(|error| Error::Internal(error.to_string()))
}

/// Limits as they were stored.
pub(crate) fn read(stored: Option<&str>) -> Result<Vec<Limit>, Error> {
    let damaged = |_| Error::Internal("the database holds a damaged limit".into());
    stored.map(|text| serde_json::from_str(text).map_err(damaged)).transpose().map(Option::unwrap_or_default)
}
