//! What was counted: calls and denials by hour, scopes by day, clients of older secrets. Written many at a time.
//!
//! A flush hands its rows over as one JSON text a statement, which both engines can read as a table: a statement for each
//! row would cost more than the row.

use keyfold_domain::ids::{KeyId, WorkspaceId};
use keyfold_domain::secret::MAX_CLIENTS;
use keyfold_domain::time::Timestamp;

use super::db::{Conn, on};

/// The most rows read of one key.
const MOST: i64 = 200_000;

/// The rows of one flush, each list as a JSON text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Batch {
    /// `[key, calls, last use]`, each key once.
    pub(crate) keys: String,
    /// `[keyed hash in hexadecimal, calls, last use]`, each secret once.
    pub(crate) secrets: String,
    /// `[key, hour, code, count]`, each combination once.
    pub(crate) hours: String,
    /// `[key, scope, day, count, last asked]`, each combination once.
    pub(crate) scopes: String,
    /// `[keyed hash in hexadecimal, address, user agent, last seen, calls]`, each combination once.
    pub(crate) clients: String,
}

/// A statement for each engine, run if there are rows for it.
macro_rules! run {
    ($conn:expr, $rows:expr, $sqlite:literal, $postgres:literal) => {
        if $rows != "[]" {
            match $conn {
                Conn::Sqlite(raw) => sqlx::query($sqlite).bind($rows).execute(&mut **raw).await?.rows_affected(),
                Conn::Postgres(raw) => sqlx::query($postgres).bind($rows).execute(&mut **raw).await?.rows_affected(),
            };
        }
    };
}

/// Adds a flush to what is there.
pub(crate) async fn add(conn: &mut Conn<'_>, batch: &Batch) -> Result<(), sqlx::Error> {
    run!(
        conn,
        &batch.keys,
        "UPDATE keys SET total_calls = total_calls + n.calls, last_used_at = MAX(COALESCE(last_used_at, 0), n.used)
         FROM (SELECT value ->> 0 AS id, value ->> 1 AS calls, value ->> 2 AS used FROM json_each($1)) AS n WHERE keys.id = n.id",
        "UPDATE keys SET total_calls = total_calls + n.calls, last_used_at = GREATEST(last_used_at, n.used)
         FROM (SELECT value ->> 0 AS id, (value ->> 1)::BIGINT AS calls, (value ->> 2)::BIGINT AS used
               FROM json_array_elements($1::JSON)) AS n WHERE keys.id = n.id"
    );
    run!(
        conn,
        &batch.secrets,
        "UPDATE secrets SET total_calls = total_calls + n.calls, last_used_at = MAX(COALESCE(last_used_at, 0), n.used)
         FROM (SELECT unhex(value ->> 0) AS mac, value ->> 1 AS calls, value ->> 2 AS used FROM json_each($1)) AS n
         WHERE secrets.mac = n.mac",
        "UPDATE secrets SET total_calls = total_calls + n.calls, last_used_at = GREATEST(last_used_at, n.used)
         FROM (SELECT decode(value ->> 0, 'hex') AS mac, (value ->> 1)::BIGINT AS calls, (value ->> 2)::BIGINT AS used
               FROM json_array_elements($1::JSON)) AS n
         WHERE secrets.mac = n.mac"
    );
    run!(
        conn,
        &batch.hours,
        "INSERT INTO key_usage (key_id, hour, code, count)
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each($1) WHERE TRUE
         ON CONFLICT (key_id, hour, code) DO UPDATE SET count = key_usage.count + excluded.count",
        "INSERT INTO key_usage (key_id, hour, code, count)
         SELECT value ->> 0, (value ->> 1)::BIGINT, value ->> 2, (value ->> 3)::BIGINT FROM json_array_elements($1::JSON)
         ON CONFLICT (key_id, hour, code) DO UPDATE SET count = key_usage.count + excluded.count"
    );
    run!(
        conn,
        &batch.scopes,
        "INSERT INTO scope_usage (key_id, scope, day, count, last_asked_at)
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM json_each($1) WHERE TRUE
         ON CONFLICT (key_id, scope, day) DO UPDATE SET count = scope_usage.count + excluded.count,
             last_asked_at = MAX(scope_usage.last_asked_at, excluded.last_asked_at)",
        "INSERT INTO scope_usage (key_id, scope, day, count, last_asked_at)
         SELECT value ->> 0, value ->> 1, (value ->> 2)::BIGINT, (value ->> 3)::BIGINT, (value ->> 4)::BIGINT
         FROM json_array_elements($1::JSON)
         ON CONFLICT (key_id, scope, day) DO UPDATE SET count = scope_usage.count + excluded.count,
             last_asked_at = GREATEST(scope_usage.last_asked_at, excluded.last_asked_at)"
    );
    if batch.clients != "[]" {
        add_clients(conn, &batch.clients).await?;
    }
    Ok(())
}

/// Removes the clients of the secrets `$of` tells of, all but the `$2` latest of each.
macro_rules! all_but_the_latest {
    ($of:literal) => {
        concat!(
            "DELETE FROM secret_clients WHERE (secret_id, ip, user_agent) IN (
             SELECT secret_id, ip, user_agent FROM (
                 SELECT c.secret_id, c.ip, c.user_agent,
                     ROW_NUMBER() OVER (PARTITION BY c.secret_id ORDER BY c.last_seen_at DESC, c.ip, c.user_agent) AS place
                 FROM secret_clients c WHERE c.secret_id IN (SELECT s.id FROM ",
            $of,
            ")) ranked WHERE place > $2)"
        )
    };
}

async fn add_clients(conn: &mut Conn<'_>, clients: &str) -> Result<(), sqlx::Error> {
    run!(
        conn,
        clients,
        "INSERT INTO secret_clients (secret_id, ip, user_agent, last_seen_at, calls)
         SELECT s.id, value ->> 1, value ->> 2, value ->> 3, value ->> 4
         FROM json_each($1) JOIN secrets s ON s.mac = unhex(value ->> 0) WHERE TRUE
         ON CONFLICT (secret_id, ip, user_agent) DO UPDATE SET calls = secret_clients.calls + excluded.calls,
             last_seen_at = MAX(secret_clients.last_seen_at, excluded.last_seen_at)",
        "INSERT INTO secret_clients (secret_id, ip, user_agent, last_seen_at, calls)
         SELECT s.id, value ->> 1, value ->> 2, (value ->> 3)::BIGINT, (value ->> 4)::BIGINT
         FROM json_array_elements($1::JSON) JOIN secrets s ON s.mac = decode(value ->> 0, 'hex')
         ON CONFLICT (secret_id, ip, user_agent) DO UPDATE SET calls = secret_clients.calls + excluded.calls,
             last_seen_at = GREATEST(secret_clients.last_seen_at, excluded.last_seen_at)"
    );
    // Of each of these secrets the latest stay.
    let sqlite = all_but_the_latest!("json_each($1) JOIN secrets s ON s.mac = unhex(value ->> 0)");
    let postgres = all_but_the_latest!("json_array_elements($1::JSON) JOIN secrets s ON s.mac = decode(value ->> 0, 'hex')");
    let most = i64::try_from(MAX_CLIENTS).unwrap_or(i64::MAX);
    match conn {
        Conn::Sqlite(raw) => sqlx::query(sqlite).bind(clients).bind(most).execute(&mut **raw).await.map(|_| ()),
        Conn::Postgres(raw) => sqlx::query(postgres).bind(clients).bind(most).execute(&mut **raw).await.map(|_| ()),
    }
}

/// What was counted of a key from that hour on: hour, code, count, in order.
pub(crate) async fn hours(
    conn: &mut Conn<'_>,
    workspace: &WorkspaceId,
    key: &KeyId,
    from: i64,
) -> Result<Vec<(i64, String, i64)>, sqlx::Error> {
    let sql = "SELECT u.hour, u.code, u.count FROM key_usage u JOIN keys k ON k.id = u.key_id
        WHERE k.workspace_id = $1 AND u.key_id = $2 AND u.hour >= $3 ORDER BY u.hour, u.code LIMIT $4";
    on!(conn, raw => sqlx::query_as(sql)
        .bind(workspace.as_str())
        .bind(key.as_str())
        .bind(from)
        .bind(MOST)
        .fetch_all(&mut **raw)
        .await)
}

/// Which scopes were asked of a key from that day on: scope, count, when last.
pub(crate) async fn scopes(
    conn: &mut Conn<'_>,
    workspace: &WorkspaceId,
    key: &KeyId,
    from: i64,
) -> Result<Vec<(String, i64, i64)>, sqlx::Error> {
    let sql = "SELECT u.scope, CAST(SUM(u.count) AS BIGINT), MAX(u.last_asked_at) FROM scope_usage u JOIN keys k ON k.id = u.key_id
        WHERE k.workspace_id = $1 AND u.key_id = $2 AND u.day >= $3 GROUP BY u.scope ORDER BY u.scope LIMIT 1000";
    on!(conn, raw => sqlx::query_as(sql)
        .bind(workspace.as_str())
        .bind(key.as_str())
        .bind(from)
        .fetch_all(&mut **raw)
        .await)
}

/// Forgets up to `limit` rows of each table from before that hour and day, and clients of secrets that ended before
/// `ended`. Returns how many.
pub(crate) async fn forget(conn: &mut Conn<'_>, hour: i64, day: i64, ended: Timestamp, limit: i64) -> Result<u64, sqlx::Error> {
    let hours = "DELETE FROM key_usage WHERE (key_id, hour, code) IN (SELECT key_id, hour, code FROM key_usage WHERE hour < $1 LIMIT $2)";
    let days = "DELETE FROM scope_usage WHERE (key_id, scope, day) IN (SELECT key_id, scope, day FROM scope_usage WHERE day < $1 LIMIT $2)";
    let clients = "DELETE FROM secret_clients WHERE (secret_id, ip, user_agent) IN (
        SELECT c.secret_id, c.ip, c.user_agent FROM secret_clients c JOIN secrets s ON s.id = c.secret_id
        WHERE s.ends_at < $1 AND c.last_seen_at < $1 LIMIT $2)";
    on!(conn, raw => Ok(
        sqlx::query(hours).bind(hour).bind(limit).execute(&mut **raw).await?.rows_affected()
            + sqlx::query(days).bind(day).bind(limit).execute(&mut **raw).await?.rows_affected()
            + sqlx::query(clients).bind(ended.as_millis()).bind(limit).execute(&mut **raw).await?.rows_affected()
    ))
}
