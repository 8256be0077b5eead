//! Checking the chains of the audit log, and taking their heads away to check them against later.

use keyfold_domain::audit::{BrokenLink, ChainHead, ChainReport};
use keyfold_domain::ids::WorkspaceId;
use keyfold_domain::policy::{Action, Actor, Object};
use keyfold_engine_macros::compiled_here;
use serde_json::Value;

use super::audit::Audit;
use crate::error::Error;
use crate::mac::{MAC_LEN, Macs, hex};
use crate::store::audit as store;
use crate::store::db::Conn;

/// Events read at once while checking.
const BATCH: i64 = 1000;

#[compiled_here]
impl Audit {
    /// Checks every chain from its first event to its head. Reads everything; for the operator and instance administrators.
    pub async fn verify_chains(&self, actor: &Actor) -> Result<ChainReport, Error> {
        self.core.authorize(actor, Action::VerifyAudit, &Object::Instance).await?;
        let mut reader = self.core.db.reader().await?;
        check_all(&mut reader.conn(), &self.core.macs).await
    }

    /// Checks the chain of one workspace.
    pub async fn verify_chain(&self, actor: &Actor, workspace: &WorkspaceId) -> Result<ChainReport, Error> {
        self.core.authorize(actor, Action::VerifyAudit, &Object::Workspace(workspace)).await?;
        let mut report = ChainReport { chains: 1, events: 0, broken: None };
        let mut reader = self.core.db.reader().await?;
        let mut conn = reader.conn();
        let chain = workspace.as_str();
        report.broken = match store::head(&mut conn, chain).await? {
            Some((head, link)) => check(&mut conn, &self.core.macs, &mut report.events, (chain, head, &link)).await?,
            None => Some(BrokenLink { chain: chain.to_owned(), seq: 0, why: "the chain's head was removed".into() }),
        };
        Ok(report)
    }

    /// Checks every chain, and that each still holds what it held when `heads` were taken: of a chain whose newest events
    /// were cut off together with its head, nothing else tells.
    pub async fn verify_against(&self, actor: &Actor, heads: &[ChainHead]) -> Result<ChainReport, Error> {
        let mut report = self.verify_chains(actor).await?;
        if report.broken.is_none() {
            report.broken = self.missing(actor, heads).await?;
        }
        Ok(report)
    }

    /// The first of `heads` that the log does not hold any more. Looks at these events alone.
    pub async fn missing(&self, actor: &Actor, heads: &[ChainHead]) -> Result<Option<BrokenLink>, Error> {
        self.core.authorize(actor, Action::VerifyAudit, &Object::Instance).await?;
        let mut reader = self.core.db.reader().await?;
        let mut conn = reader.conn();
        for kept in heads.iter().filter(|kept| kept.seq > 0) {
            let broken = |seq, why: String| Ok(Some(BrokenLink { chain: kept.chain.clone(), seq, why }));
            // PostgreSQL refuses texts with this character, so no chain is called that.
            let now = if kept.chain.contains('\0') { None } else { store::head(&mut conn, &kept.chain).await? };
            let Some((newest, _)) = now else {
                return broken(1, format!("the whole chain was removed; it had {} events when the head was taken", kept.seq));
            };
            if newest < kept.seq {
                return broken(
                    newest + 1,
                    format!("this event and all after it were cut off; there were {} when the head was taken", kept.seq),
                );
            }
            let link = store::link(&mut conn, &kept.chain, kept.seq).await?;
            if link.is_none_or(|link| hex(&link) != kept.link) {
                return broken(kept.seq, "this event is not the one that was there when the head was taken".into());
            }
        }
        Ok(None)
    }

    /// The newest link of every chain, to be kept where whoever can write the database cannot.
    pub async fn heads(&self, actor: &Actor) -> Result<Vec<ChainHead>, Error> {
        self.core.authorize(actor, Action::VerifyAudit, &Object::Instance).await?;
        let mut reader = self.core.db.reader().await?;
        heads(&mut reader.conn()).await
    }
}

/// The newest link of every chain.
pub(crate) async fn heads(conn: &mut Conn<'_>) -> Result<Vec<ChainHead>, Error> {
    let mut heads: Vec<ChainHead> = Vec::new();
    loop {
        let after = heads.last().map_or("", |head| head.chain.as_str());
        let rows = store::chains(conn, after, BATCH).await?;
        if rows.is_empty() {
            return Ok(heads);
        }
        heads.extend(rows.into_iter().map(|(chain, seq, link)| ChainHead { chain, seq, link: hex(&link) }));
    }
}

/// Checks every chain of a database from its first event to its head, a thousand events at a time.
pub(crate) async fn check_all(conn: &mut Conn<'_>, macs: &Macs) -> Result<ChainReport, Error> {
    let mut report = ChainReport { chains: 0, events: 0, broken: None };
    let mut last = String::new();
    loop {
        let heads = store::chains(conn, &last, BATCH).await?;
        let Some((chain, ..)) = heads.last() else { break };
        last.clone_from(chain);
        for (chain, head, link) in heads {
            report.chains += 1;
            report.broken = check(conn, macs, &mut report.events, (&chain, head, &link)).await?;
            if report.broken.is_some() {
                return Ok(report);
            }
        }
    }
    if let Some(chain) = store::orphans(conn).await? {
        report.broken = Some(BrokenLink { chain, seq: 0, why: "the chain's head was removed".into() });
    }
    Ok(report)
}

async fn check(
    conn: &mut Conn<'_>,
    macs: &Macs,
    count: &mut u64,
    (chain, head, head_link): (&str, i64, &[u8]),
) -> Result<Option<BrokenLink>, Error> {
    let broken = |seq, why: &str| Ok(Some(BrokenLink { chain: chain.to_owned(), seq, why: why.to_owned() }));
    let (mut seq, mut link) = (0, vec![0u8; MAC_LEN]);
    'events: loop {
        let events = store::events(conn, chain, seq, BATCH).await?;
        if events.is_empty() {
            break;
        }
        for event in events {
            // Events written while this check runs come after the head that was read.
            if event.seq > head {
                break 'events;
            }
            if event.seq != seq + 1 {
                return broken(seq + 1, "this event was removed");
            }
            if let Some(why) = fault(macs, &link, chain, &event) {
                return broken(event.seq, why);
            }
            (seq, link) = (event.seq, event.mac);
            *count += 1;
        }
    }
    if seq != head {
        return broken(seq + 1, "this event was removed");
    }
    if link != head_link {
        return broken(seq, "the head of the chain was changed");
    }
    // An event and its head are written together: by the time one is seen, so is the other.
    let newest = store::newest(conn, chain).await?.unwrap_or_default();
    let head = store::head(conn, chain).await?.map_or(0, |(seq, _)| seq);
    if newest > head { broken(head + 1, "this event was inserted after the head of the chain") } else { Ok(None) }
}

fn fault(macs: &Macs, previous: &[u8], chain: &str, event: &store::EventRow) -> Option<&'static str> {
    if macs.audit(previous, &event.body)[..] != event.mac[..] {
        return Some("this event was changed, moved or inserted");
    }
    let Ok(body) = serde_json::from_str::<Value>(&event.body) else { return Some("this event cannot be read") };
    let actor = body["actor"]["id"].as_str().filter(|id| !id.is_empty()).or_else(|| body["actor"]["kind"].as_str());
    let repeated = body["at"] == event.at && body["action"] == event.action && body["object"] == event.object;
    let in_place = body["chain"] == chain && body["seq"] == event.seq && actor == Some(event.actor.as_str());
    (!(repeated && in_place)).then_some("the searchable columns of this event were changed")
}
