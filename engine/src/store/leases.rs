//! Leases of quotas, and how servers agree on who counts how. Only PostgreSQL is used by several servers, so that these
//! statements are for it alone, but for what becomes of leases that were moved to SQLite.

use keyfold_domain::ids::NodeId;
use sqlx::PgConnection;

use super::db::{Conn, on};
use super::limits::SpentRow;

/// More servers than this are never looked at.
const MOST: i64 = 200;

/// The server has not said how it counts, or is of a version that does not say.
pub(crate) const UNSAID: i64 = 0;
/// It spends everything that is left: there is no other.
pub(crate) const ALONE: i64 = 1;
/// It spends what it has leased.
pub(crate) const BY_LEASES: i64 = 2;
/// Nothing was heard of it for so long that what it held counts as spent.
pub(crate) const WRITTEN_OFF: i64 = 3;

/// Another server.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct OtherRow {
    pub(crate) id: String,
    pub(crate) counting: i64,
    pub(crate) budget_ms: i64,
    pub(crate) unseen_ms: i64,
}

/// What is known of a quota that was asked for: units spent, and units that other servers hold.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct PoolRow {
    pub(crate) at: i64,
    pub(crate) spent: i64,
    pub(crate) others: i64,
}

/// A quota of which somebody else needs units.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct WantedRow {
    pub(crate) subject: String,
    pub(crate) name: String,
}

/// Makes every other server that hands out leases or changes how it counts wait until this transaction ends.
pub(crate) async fn lock(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    let sql = "SELECT pg_advisory_xact_lock(hashtextextended('keyfold leases ' || current_schema(), 0))";
    sqlx::query(sql).execute(conn).await.map(|_| ())
}

/// How that server counts; `None` if it is not known any more.
pub(crate) async fn counting(conn: &mut PgConnection, node: &NodeId) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar("SELECT counting FROM nodes WHERE id = $1").bind(node.as_str()).fetch_optional(conn).await
}

/// Notes how a server counts.
pub(crate) async fn set_counting(conn: &mut PgConnection, node: &str, counting: i64) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE nodes SET counting = $2 WHERE id = $1").bind(node).bind(counting).execute(conn).await.map(|_| ())
}

/// Every other server that is not written off.
pub(crate) async fn others(conn: &mut PgConnection, node: &NodeId) -> Result<Vec<OtherRow>, sqlx::Error> {
    let sql = "SELECT id, counting, budget_ms, (EXTRACT(EPOCH FROM clock_timestamp()) * 1000)::BIGINT - last_seen_at AS unseen_ms
        FROM nodes WHERE id <> $1 AND counting <> $2 ORDER BY id LIMIT $3";
    sqlx::query_as(sql).bind(node.as_str()).bind(WRITTEN_OFF).bind(MOST).fetch_all(conn).await
}

/// Counts as spent at that moment what was held by servers that are written off or gone.
pub(crate) async fn write_off(conn: &mut PgConnection, at: i64) -> Result<u64, sqlx::Error> {
    let sql = "WITH lost AS (DELETE FROM limit_leases WHERE node NOT IN (SELECT id FROM nodes WHERE counting <> $2) RETURNING subject, name, units)
        INSERT INTO limit_usage (subject, name, at, units)
        SELECT subject, name, $1, SUM(units)::BIGINT FROM lost WHERE units > 0 GROUP BY subject, name
        ON CONFLICT (subject, name, at) DO UPDATE SET units = limit_usage.units + excluded.units";
    sqlx::query(sql).bind(at).bind(WRITTEN_OFF).execute(conn).await.map(|done| done.rows_affected())
}

/// The same of every lease: there is no other server.
pub(crate) async fn settle(conn: &mut Conn<'_>, at: i64) -> Result<(), sqlx::Error> {
    let spent = "INSERT INTO limit_usage (subject, name, at, units)
        SELECT subject, name, $1, CAST(SUM(units) AS BIGINT) FROM limit_leases WHERE units > 0 GROUP BY subject, name
        ON CONFLICT (subject, name, at) DO UPDATE SET units = limit_usage.units + excluded.units";
    on!(conn, raw => {
        sqlx::query(spent).bind(at).execute(&mut **raw).await?;
        sqlx::query("DELETE FROM limit_leases").execute(&mut **raw).await?;
    });
    Ok(())
}

/// Lets go of everything that a server holds.
pub(crate) async fn delete_of(conn: &mut PgConnection, node: &NodeId) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM limit_leases WHERE node = $1").bind(node.as_str()).execute(conn).await.map(|_| ())
}

/// What is known of `[subject, name, since]`, each with its place in the list. One statement, so that a unit which goes from a
/// lease to what was spent is seen in one of them.
pub(crate) async fn pools(conn: &mut PgConnection, node: &NodeId, asked: &str) -> Result<Vec<PoolRow>, sqlx::Error> {
    let sql = "SELECT a.at,
            COALESCE((SELECT SUM(u.units) FROM limit_usage u
                WHERE u.subject = a.value ->> 0 AND u.name = a.value ->> 1 AND u.at >= (a.value ->> 2)::BIGINT), 0)::BIGINT AS spent,
            COALESCE((SELECT SUM(l.units) FROM limit_leases l
                WHERE l.subject = a.value ->> 0 AND l.name = a.value ->> 1 AND l.node <> $2), 0)::BIGINT AS others
        FROM json_array_elements($1::JSON) WITH ORDINALITY AS a (value, at)";
    sqlx::query_as(sql).bind(asked).bind(node.as_str()).fetch_all(conn).await
}

/// Notes what a server holds: `[subject, name, units, wanted]`, each combination once.
pub(crate) async fn hold(conn: &mut PgConnection, node: &NodeId, rows: &str) -> Result<(), sqlx::Error> {
    let sql = "INSERT INTO limit_leases (subject, name, node, units, wanted_at)
        SELECT value ->> 0, value ->> 1, $2, (value ->> 2)::BIGINT,
            CASE WHEN (value ->> 3)::BOOLEAN THEN (EXTRACT(EPOCH FROM clock_timestamp()) * 1000)::BIGINT ELSE 0 END
        FROM json_array_elements($1::JSON)
        ON CONFLICT (subject, name, node) DO UPDATE SET units = excluded.units, wanted_at = excluded.wanted_at";
    sqlx::query(sql).bind(rows).bind(node.as_str()).execute(conn).await.map(|_| ())
}

/// Forgets `[subject, name]` of that server.
pub(crate) async fn forget(conn: &mut PgConnection, node: &NodeId, rows: &str) -> Result<(), sqlx::Error> {
    let sql = "DELETE FROM limit_leases WHERE node = $2
        AND (subject, name) IN (SELECT value ->> 0, value ->> 1 FROM json_array_elements($1::JSON))";
    sqlx::query(sql).bind(rows).bind(node.as_str()).execute(conn).await.map(|_| ())
}

/// Notes what a server still holds after it noted what it spent: `[subject, name, units]`. What was written off stays so.
pub(crate) async fn shrink(conn: &mut PgConnection, node: &NodeId, rows: &str) -> Result<(), sqlx::Error> {
    let sql = "UPDATE limit_leases l SET units = (a.value ->> 2)::BIGINT FROM json_array_elements($1::JSON) a
        WHERE l.subject = a.value ->> 0 AND l.name = a.value ->> 1 AND l.node = $2";
    sqlx::query(sql).bind(rows).bind(node.as_str()).execute(conn).await.map(|_| ())
}

/// Quotas of which that server holds units that others need, who said so in the last seconds.
pub(crate) async fn wanted(conn: &mut PgConnection, node: &NodeId, limit: i64) -> Result<Vec<WantedRow>, sqlx::Error> {
    let sql = "SELECT DISTINCT mine.subject, mine.name FROM limit_leases theirs
        JOIN limit_leases mine ON mine.subject = theirs.subject AND mine.name = theirs.name AND mine.node = $1
        WHERE theirs.wanted_at > (EXTRACT(EPOCH FROM clock_timestamp()) * 1000)::BIGINT - 3000 AND theirs.wanted_at > 0
            AND theirs.node <> $1 AND mine.units > 0 LIMIT $2";
    sqlx::query_as(sql).bind(node.as_str()).bind(limit).fetch_all(conn).await
}

/// What was spent by these subjects, a JSON list, each of them in the order of the moments.
pub(crate) async fn spent_by(conn: &mut PgConnection, subjects: &str) -> Result<Vec<SpentRow>, sqlx::Error> {
    let sql = "SELECT subject, name, at, units FROM limit_usage
        WHERE subject IN (SELECT value FROM json_array_elements_text($1::JSON)) ORDER BY subject, name, at";
    sqlx::query_as(sql).bind(subjects).fetch_all(conn).await
}

/// Forgets up to `limit` leases on keys that were deleted. Returns how many.
pub(crate) async fn trim(conn: &mut PgConnection, limit: i64) -> Result<u64, sqlx::Error> {
    let sql = "DELETE FROM limit_leases WHERE (subject, name, node) IN (SELECT l.subject, l.name, l.node FROM limit_leases l
        JOIN keys k ON k.id = l.subject WHERE k.deleted_at IS NOT NULL LIMIT $1)";
    sqlx::query(sql).bind(limit).execute(conn).await.map(|done| done.rows_affected())
}
