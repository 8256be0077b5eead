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
    on!(conn, raw => {
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
    });
    Ok(())
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

/// A chain that has events and no head, if there is one.
pub(crate) async fn orphans(conn: &mut Conn<'_>) -> Result<Option<String>, sqlx::Error> {
    let sql = "SELECT e.chain FROM audit_events e WHERE NOT EXISTS (SELECT 1 FROM audit_chains c WHERE c.chain = e.chain) LIMIT 1";
    on!(conn, raw => sqlx::query_scalar(sql).fetch_optional(&mut **raw).await)
}
