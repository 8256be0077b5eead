//! Acts on many keys: how far each came, and what became of each key.

use keyfold_domain::bulk::{BulkAct, BulkOutcome, BulkReport, BulkResult, BulkState};
use keyfold_domain::ids::{BulkId, WorkspaceId};
use keyfold_domain::time::Timestamp;

use super::db::{Conn, on};
use super::users::parse_id;
use crate::error::Error;

/// A row of `bulk_acts`.
#[derive(sqlx::FromRow, Clone)]
pub(crate) struct BulkRow {
    pub(crate) id: String,
    pub(crate) workspace_id: Option<String>,
    pub(crate) actor: String,
    pub(crate) started_by: String,
    pub(crate) act: String,
    pub(crate) state: String,
    pub(crate) expected: i64,
    pub(crate) done: i64,
    pub(crate) skipped: i64,
    pub(crate) failed: i64,
    pub(crate) why: Option<String>,
    pub(crate) started_at: i64,
    pub(crate) updated_at: i64,
}

/// A row of `bulk_results`.
#[derive(sqlx::FromRow)]
pub(crate) struct ResultRow {
    pub(crate) seq: i64,
    pub(crate) key_id: String,
    pub(crate) workspace_id: String,
    pub(crate) name: String,
    pub(crate) outcome: String,
    pub(crate) why: Option<String>,
}

fn damaged() -> Error {
    Error::Internal("the database holds a damaged act on many keys".into())
}

impl BulkRow {
    /// The act without its results.
    pub(crate) fn report(&self) -> Result<BulkReport, Error> {
        Ok(BulkReport {
            id: parse_id(&self.id)?,
            act: BulkAct::from_name(&self.act).ok_or_else(damaged)?,
            state: BulkState::from_name(&self.state).ok_or_else(damaged)?,
            started_by: self.started_by.clone(),
            expected: self.expected,
            done: self.done,
            skipped: self.skipped,
            failed: self.failed,
            why: self.why.clone(),
            started_at: Timestamp::from_millis(self.started_at),
            updated_at: Timestamp::from_millis(self.updated_at),
            results: Vec::new(),
            next: None,
        })
    }
}

impl ResultRow {
    pub(crate) fn result(self) -> Result<BulkResult, Error> {
        Ok(BulkResult {
            seq: self.seq,
            key: parse_id(&self.key_id)?,
            workspace_id: parse_id(&self.workspace_id)?,
            name: self.name,
            outcome: BulkOutcome::from_name(&self.outcome).ok_or_else(damaged)?,
            why: self.why,
        })
    }
}

/// Notes that an act begins.
pub(crate) async fn insert(conn: &mut Conn<'_>, row: &BulkRow) -> Result<(), sqlx::Error> {
    let sql = "INSERT INTO bulk_acts (id, workspace_id, actor, started_by, act, state, expected, done, skipped, failed, why, started_at,
        updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
    on!(conn, raw => sqlx::query(sql)
        .bind(&row.id)
        .bind(row.workspace_id.as_deref())
        .bind(&row.actor)
        .bind(&row.started_by)
        .bind(&row.act)
        .bind(&row.state)
        .bind(row.expected)
        .bind(row.done)
        .bind(row.skipped)
        .bind(row.failed)
        .bind(row.why.as_deref())
        .bind(row.started_at)
        .bind(row.updated_at)
        .execute(&mut **raw)
        .await
        .map(|_| ()))
}

/// Notes how far an act came.
pub(crate) async fn update(conn: &mut Conn<'_>, row: &BulkRow) -> Result<(), sqlx::Error> {
    let sql = "UPDATE bulk_acts SET state = $2, done = $3, skipped = $4, failed = $5, why = $6, updated_at = $7 WHERE id = $1";
    on!(conn, raw => sqlx::query(sql)
        .bind(&row.id)
        .bind(&row.state)
        .bind(row.done)
        .bind(row.skipped)
        .bind(row.failed)
        .bind(row.why.as_deref())
        .bind(row.updated_at)
        .execute(&mut **raw)
        .await
        .map(|_| ()))
}

/// Notes what became of a key.
pub(crate) async fn insert_result(conn: &mut Conn<'_>, act: &str, row: &ResultRow) -> Result<(), sqlx::Error> {
    let sql = "INSERT INTO bulk_results (bulk_id, seq, key_id, workspace_id, name, outcome, why) VALUES ($1, $2, $3, $4, $5, $6, $7)";
    on!(conn, raw => sqlx::query(sql)
        .bind(act)
        .bind(row.seq)
        .bind(&row.key_id)
        .bind(&row.workspace_id)
        .bind(&row.name)
        .bind(&row.outcome)
        .bind(row.why.as_deref())
        .execute(&mut **raw)
        .await
        .map(|_| ()))
}

/// The act with that id, of that workspace or across all.
pub(crate) async fn find(conn: &mut Conn<'_>, workspace: Option<&WorkspaceId>, id: &BulkId) -> Result<Option<BulkRow>, sqlx::Error> {
    let sql = "SELECT id, workspace_id, actor, started_by, act, state, expected, done, skipped, failed, why, started_at, updated_at
        FROM bulk_acts WHERE COALESCE(workspace_id, '') = $1 AND id = $2";
    on!(conn, raw => sqlx::query_as(sql)
        .bind(workspace.map_or("", WorkspaceId::as_str))
        .bind(id.as_str())
        .fetch_optional(&mut **raw)
        .await)
}

/// What became of the keys of an act after `after`, in order.
pub(crate) async fn results(conn: &mut Conn<'_>, id: &BulkId, after: i64, limit: i64) -> Result<Vec<ResultRow>, sqlx::Error> {
    let sql =
        "SELECT seq, key_id, workspace_id, name, outcome, why FROM bulk_results WHERE bulk_id = $1 AND seq > $2 ORDER BY seq LIMIT $3";
    on!(conn, raw => sqlx::query_as(sql).bind(id.as_str()).bind(after).bind(limit).fetch_all(&mut **raw).await)
}

/// Forgets one act that was last touched before that moment, with its results. Says whether there was one.
pub(crate) async fn forget_one(conn: &mut Conn<'_>, before: Timestamp) -> Result<bool, sqlx::Error> {
    let sql = "DELETE FROM bulk_acts WHERE id = (SELECT id FROM bulk_acts WHERE updated_at < $1 ORDER BY updated_at LIMIT 1)";
    on!(conn, raw => sqlx::query(sql).bind(before.as_millis()).execute(&mut **raw).await.map(|done| done.rows_affected() == 1))
}
