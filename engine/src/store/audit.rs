//! The audit log: chains of events, each linked to the one before by a keyed hash.

use keyfold_domain::time::Timestamp;

use super::db::{Conn, on};
use crate::error::Error;
use crate::mac::{MAC_LEN, Macs};

/// An event as it is linked: `body` is its canonical text, the other fields repeat parts of it for searching.
pub(crate) struct NewEvent<'a> {
    pub(crate) chain: &'a str,
    pub(crate) at: Timestamp,
    pub(crate) action: &'a str,
    pub(crate) actor: &'a str,
    pub(crate) object: &'a str,
    /// The canonical text, given the number of the event in its chain.
    pub(crate) body: &'a (dyn Fn(i64) -> String + Send + Sync),
}

/// An event as it is stored.
#[derive(sqlx::FromRow)]
pub(crate) struct EventRow {
    pub(crate) seq: i64,
    pub(crate) body: String,
    pub(crate) mac: Vec<u8>,
    pub(crate) at: i64,
    pub(crate) action: String,
    pub(crate) actor: String,
    pub(crate) object: String,
}

/// Makes every other act of a chain wait until this transaction ends, as its event will; then what is read holds.
pub(crate) async fn lock(conn: &mut Conn<'_>, chain: &str) -> Result<(), sqlx::Error> {
    match conn {
        // Nothing else writes meanwhile.
        Conn::Sqlite(_) => Ok(()),
        Conn::Postgres(raw) => {
            sqlx::query("SELECT seq FROM audit_chains WHERE chain = $1 FOR UPDATE").bind(chain).execute(&mut **raw).await.map(|_| ())
        }
    }
}

/// Links an event to its chain; the chain begins with its first event.
pub(crate) async fn append(conn: &mut Conn<'_>, macs: &Macs, event: &NewEvent<'_>) -> Result<(), Error> {
    let begin = "INSERT INTO audit_chains (chain, seq, mac) VALUES ($1, 0, $2) ON CONFLICT (chain) DO NOTHING";
    let lock = "UPDATE audit_chains SET seq = seq + 1 WHERE chain = $1 RETURNING seq, mac";
    let insert = "INSERT INTO audit_events (chain, seq, body, mac, at, action, actor, object) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let advance = "UPDATE audit_chains SET mac = $2 WHERE chain = $1";
    let written: Result<(), Error> = on!(conn, raw => async {
        let mut head: Option<(i64, Vec<u8>)> = sqlx::query_as(lock).bind(event.chain).fetch_optional(&mut **raw).await?;
        if head.is_none() {
            sqlx::query(begin).bind(event.chain).bind(&[0u8; MAC_LEN][..]).execute(&mut **raw).await?;
            head = sqlx::query_as(lock).bind(event.chain).fetch_optional(&mut **raw).await?;
        }
        let (seq, previous) = head.ok_or_else(|| Error::Internal("an audit chain has no head".into()))?;
        let body = (event.body)(seq);
        let mac = macs.audit(&previous, &body);
        sqlx::query(insert)
            .bind(event.chain)
            .bind(seq)
            .bind(body)
            .bind(&mac[..])
            .bind(event.at.as_millis())
            .bind(event.action)
            .bind(event.actor)
            .bind(event.object)
            .execute(&mut **raw)
            .await?;
        sqlx::query(advance).bind(event.chain).bind(&mac[..]).execute(&mut **raw).await?;
        Ok(())
    }.await);
    // Whatever keeps the log from being written keeps the act from being done, and may be gone at the next try.
    written.map_err(|error| match error {
        Error::Interrupted(why) => Error::Interrupted(why),
        error => Error::Unavailable(format!("the audit log cannot be written: {error}")),
    })
}

/// The chains after `after` by name, each with the number and link of its last event.
pub(crate) async fn chains(conn: &mut Conn<'_>, after: &str, limit: i64) -> Result<Vec<(String, i64, Vec<u8>)>, sqlx::Error> {
    let sql = "SELECT chain, seq, mac FROM audit_chains WHERE chain > $1 ORDER BY chain LIMIT $2";
    on!(conn, raw => sqlx::query_as(sql).bind(after).bind(limit).fetch_all(&mut **raw).await)
}

/// Events of a chain after `seq`, in order.
pub(crate) async fn events(conn: &mut Conn<'_>, chain: &str, seq: i64, limit: i64) -> Result<Vec<EventRow>, sqlx::Error> {
    let sql = "SELECT seq, body, mac, at, action, actor, object FROM audit_events WHERE chain = $1 AND seq > $2 ORDER BY seq LIMIT $3";
    on!(conn, raw => sqlx::query_as(sql).bind(chain).bind(seq).bind(limit).fetch_all(&mut **raw).await)
}

/// The head of one chain: number and link of its last event.
pub(crate) async fn head(conn: &mut Conn<'_>, chain: &str) -> Result<Option<(i64, Vec<u8>)>, sqlx::Error> {
    let sql = "SELECT seq, mac FROM audit_chains WHERE chain = $1";
    on!(conn, raw => sqlx::query_as(sql).bind(chain).fetch_optional(&mut **raw).await)
}

/// The number of the newest event of a chain, whatever its head says.
pub(crate) async fn newest(conn: &mut Conn<'_>, chain: &str) -> Result<Option<i64>, sqlx::Error> {
    let sql = "SELECT MAX(seq) FROM audit_events WHERE chain = $1";
    on!(conn, raw => sqlx::query_scalar(sql).bind(chain).fetch_one(&mut **raw).await)
}

/// The link of one event.
pub(crate) async fn link(conn: &mut Conn<'_>, chain: &str, seq: i64) -> Result<Option<Vec<u8>>, sqlx::Error> {
    let sql = "SELECT mac FROM audit_events WHERE chain = $1 AND seq = $2";
    on!(conn, raw => sqlx::query_scalar(sql).bind(chain).bind(seq).fetch_optional(&mut **raw).await)
}

/// The first and the last number of the events of a time: from `from` on, before `until`. `None` if there is none.
pub(crate) async fn numbers_of_time(conn: &mut Conn<'_>, chain: &str, from: i64, until: i64) -> Result<Option<(i64, i64)>, sqlx::Error> {
    let sql = "SELECT MIN(seq), MAX(seq) FROM audit_events WHERE chain = $1 AND at >= $2 AND at < $3";
    let found: (Option<i64>, Option<i64>) =
        on!(conn, raw => sqlx::query_as(sql).bind(chain).bind(from).bind(until).fetch_one(&mut **raw).await?);
    Ok(found.0.zip(found.1))
}

/// The next action of a chain after `after`, by name: each costs one look into an index, however many events there are.
pub(crate) async fn next_action(conn: &mut Conn<'_>, chain: &str, after: &str) -> Result<Option<String>, sqlx::Error> {
    let sql = "SELECT action FROM audit_events WHERE chain = $1 AND action > $2 ORDER BY action LIMIT 1";
    on!(conn, raw => sqlx::query_scalar(sql).bind(chain).bind(after).fetch_optional(&mut **raw).await)
}

/// Which events of a chain are wanted. An empty text leaves its column open.
pub(crate) struct Wanted<'a> {
    pub(crate) chain: &'a str,
    /// Only events before this number and not before `from_seq`.
    pub(crate) before_seq: i64,
    pub(crate) from_seq: i64,
    pub(crate) from: i64,
    pub(crate) until: i64,
    pub(crate) object: &'a str,
    pub(crate) actor: &'a str,
    pub(crate) action: &'a str,
    /// The pattern of a result in the body; `%` for any.
    pub(crate) result: &'a str,
    /// The pattern of a search, as it was typed and in lower case; `%` for any.
    pub(crate) search: (&'a str, &'a str),
}

/// The columns, the bounds that every page has, and the filters beside the leading one. `$4` to `$11` are time, object,
/// actor, action, result and search.
macro_rules! select_events {
    ($lead:literal) => {
        concat!(
            "SELECT seq, body, mac, at, action, actor, object FROM audit_events WHERE chain = $1 AND seq < $2 AND seq >= $3 ",
            $lead,
            " AND at >= $4 AND at < $5 AND ($6 = '' OR object = $6) AND ($7 = '' OR actor = $7) AND ($8 = '' OR action = $8) \
             AND body LIKE $9 AND (body LIKE $10 ESCAPE '!' OR LOWER(body) LIKE $11 ESCAPE '!') ORDER BY seq DESC LIMIT $12"
        )
    };
}

/// A page of a chain, the newest events first. The column that narrows most leads, so that its index is used.
pub(crate) async fn page(conn: &mut Conn<'_>, wanted: &Wanted<'_>, limit: i64) -> Result<Vec<EventRow>, sqlx::Error> {
    const ANY: &str = select_events!("");
    const BY_OBJECT: &str = select_events!("AND object = $6");
    const BY_ACTOR: &str = select_events!("AND actor = $7");
    const BY_ACTION: &str = select_events!("AND action = $8");
    let sql = match (wanted.object, wanted.actor, wanted.action) {
        ("", "", "") => ANY,
        ("", "", _) => BY_ACTION,
        ("", ..) => BY_ACTOR,
        _ => BY_OBJECT,
    };
    on!(conn, raw => sqlx::query_as(sql)
        .bind(wanted.chain)
        .bind(wanted.before_seq)
        .bind(wanted.from_seq)
        .bind(wanted.from)
        .bind(wanted.until)
        .bind(wanted.object)
        .bind(wanted.actor)
        .bind(wanted.action)
        .bind(wanted.result)
        .bind(wanted.search.0)
        .bind(wanted.search.1)
        .bind(limit)
        .fetch_all(&mut **raw)
        .await)
}

/// A chain that has events and no head, if there is one.
pub(crate) async fn orphans(conn: &mut Conn<'_>) -> Result<Option<String>, sqlx::Error> {
    let sql = "SELECT e.chain FROM audit_events e WHERE NOT EXISTS (SELECT 1 FROM audit_chains c WHERE c.chain = e.chain) LIMIT 1";
    on!(conn, raw => sqlx::query_scalar(sql).fetch_optional(&mut **raw).await)
}
