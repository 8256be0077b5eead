//! Keys whose end or dormancy has come to pass and is not in the audit log yet, and the marks that it is. What a key may do
//! never depends on any of it.

use keyfold_domain::time::Timestamp;

use super::db::{Conn, on};

/// A key and the moment that is to be recorded of it.
#[derive(Clone, sqlx::FromRow)]
pub(crate) struct DueRow {
    pub(crate) id: String,
    pub(crate) workspace_id: String,
    pub(crate) at: i64,
}

/// Up to `limit` keys that have expired by `now`, the earliest first, whose event is missing.
pub(crate) async fn expired(conn: &mut Conn<'_>, now: Timestamp, limit: i64) -> Result<Vec<DueRow>, sqlx::Error> {
    // The conditions of the index `keys_to_record_expired`, word for word.
    let sql = "SELECT id, workspace_id, expires_at AS at FROM keys
        WHERE deleted_at IS NULL AND expires_at IS NOT NULL AND (expiry_recorded IS NULL OR expiry_recorded <> expires_at)
        AND expires_at <= $1 ORDER BY expires_at, id LIMIT $2";
    on!(conn, raw => sqlx::query_as(sql).bind(now.as_millis()).bind(limit).fetch_all(&mut **raw).await)
}

/// Marks that the end of a key at that moment is recorded; says whether nobody had done so.
pub(crate) async fn mark_expired(conn: &mut Conn<'_>, key: &DueRow) -> Result<bool, sqlx::Error> {
    let sql = "UPDATE keys SET expiry_recorded = expires_at
        WHERE id = $1 AND expires_at = $2 AND deleted_at IS NULL AND (expiry_recorded IS NULL OR expiry_recorded <> expires_at)";
    on!(conn, raw => sqlx::query(sql).bind(&key.id).bind(key.at).execute(&mut **raw).await.map(|done| done.rows_affected() == 1))
}

/// Up to `limit` keys that end after `from` and by `until`, lived already so many days before their end, and of which that was
/// not told yet, nor anything nearer to the end. A key that was stopped is left out: whoever starts it again looks at it.
pub(crate) async fn ending(
    conn: &mut Conn<'_>,
    days: i64,
    (from, until): (Timestamp, Timestamp),
    limit: i64,
) -> Result<Vec<DueRow>, sqlx::Error> {
    // The conditions of the index `keys_by_coming_end`, word for word.
    let sql = "SELECT id, workspace_id, expires_at AS at FROM keys
        WHERE deleted_at IS NULL AND deactivated_at IS NULL AND expires_at IS NOT NULL AND expires_at > $1 AND expires_at <= $2
        AND created_at < expires_at - $3 * 86400000
        AND (ending_recorded IS NULL OR ending_recorded <> expires_at OR ending_days > $3) ORDER BY expires_at, id LIMIT $4";
    on!(conn, raw => sqlx::query_as(sql)
        .bind(from.as_millis())
        .bind(until.as_millis())
        .bind(days)
        .bind(limit)
        .fetch_all(&mut **raw)
        .await)
}

/// Marks that it was told so many days before; says whether nobody had done so.
pub(crate) async fn mark_ending(conn: &mut Conn<'_>, key: &DueRow, days: i64) -> Result<bool, sqlx::Error> {
    let sql = "UPDATE keys SET ending_recorded = expires_at, ending_days = $3
        WHERE id = $1 AND expires_at = $2 AND deleted_at IS NULL AND deactivated_at IS NULL
        AND (ending_recorded IS NULL OR ending_recorded <> expires_at OR ending_days > $3)";
    on!(conn, raw => sqlx::query(sql)
        .bind(&key.id)
        .bind(key.at)
        .bind(days)
        .execute(&mut **raw)
        .await
        .map(|done| done.rows_affected() == 1))
}

/// The moment from which on a key without another use is dormant.
macro_rules! dormant_at {
    () => {
        "(inactivity_days * 86400000 + CASE \
            WHEN COALESCE(last_used_at, 0) >= created_at AND COALESCE(last_used_at, 0) >= COALESCE(activated_at, 0) THEN last_used_at \
            WHEN COALESCE(activated_at, 0) >= created_at THEN activated_at \
            ELSE created_at END)"
    };
}

/// The last of the next `window` keys with an inactivity interval after that id; `None` after the last.
pub(crate) async fn interval_window(conn: &mut Conn<'_>, after: &str, window: i64) -> Result<Option<String>, sqlx::Error> {
    let sql = "SELECT MAX(id) FROM (SELECT id FROM keys
        WHERE deleted_at IS NULL AND inactivity_days IS NOT NULL AND id > $1 ORDER BY id LIMIT $2) t";
    on!(conn, raw => sqlx::query_scalar(sql).bind(after).bind(window).fetch_one(&mut **raw).await)
}

/// Up to `limit` keys between those ids that are dormant at `now` (less the time that uses may be on their way) and would
/// otherwise work, whose event is missing.
pub(crate) async fn dormant(
    conn: &mut Conn<'_>,
    between: (&str, &str),
    now: Timestamp,
    settled: Timestamp,
    limit: i64,
) -> Result<Vec<DueRow>, sqlx::Error> {
    const SQL: &str = concat!(
        "SELECT id, workspace_id, ",
        dormant_at!(),
        " AS at FROM keys WHERE deleted_at IS NULL AND inactivity_days IS NOT NULL AND id > $1 AND id <= $2 \
         AND deactivated_at IS NULL AND (expires_at IS NULL OR expires_at > $3) AND ",
        dormant_at!(),
        " <= $4 AND (dormancy_recorded IS NULL OR dormancy_recorded <> ",
        dormant_at!(),
        ") ORDER BY id LIMIT $5"
    );
    on!(conn, raw => sqlx::query_as(SQL)
        .bind(between.0)
        .bind(between.1)
        .bind(now.as_millis())
        .bind(settled.as_millis())
        .bind(limit)
        .fetch_all(&mut **raw)
        .await)
}

/// Marks that the dormancy of a key from that moment on is recorded; says whether nobody had done so, and it still holds.
pub(crate) async fn mark_dormant(conn: &mut Conn<'_>, key: &DueRow) -> Result<bool, sqlx::Error> {
    const SQL: &str = concat!(
        "UPDATE keys SET dormancy_recorded = $2 WHERE id = $1 AND deleted_at IS NULL AND deactivated_at IS NULL AND ",
        dormant_at!(),
        " = $2 AND (dormancy_recorded IS NULL OR dormancy_recorded <> $2)"
    );
    on!(conn, raw => sqlx::query(SQL).bind(&key.id).bind(key.at).execute(&mut **raw).await.map(|done| done.rows_affected() == 1))
}
