//! The audit log: what was done, by whom, from where, and what it changed. No secret and no hash is ever in it.
//!
//! Each workspace has a chain and the instance has one. Every event is linked to the one before it by
//! HMAC(audit key, link before ‖ event), so that a changed, removed, reordered or inserted event is found.

use std::sync::Arc;

use keyfold_domain::policy::{Action, Actor, Object, Principal};
use keyfold_domain::time::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::Core;
use crate::error::Error;
use crate::mac::{MAC_LEN, Macs};
use crate::store::audit as store;
use crate::store::db::Conn;

/// The chain of what belongs to no workspace.
const INSTANCE: &str = "instance";
/// Events read at once while checking.
const BATCH: i64 = 1000;

/// An event about to be written.
#[derive(Clone)]
pub(crate) struct Event {
    chain: String,
    at: Timestamp,
    actor: Who,
    action: String,
    object: String,
    result: &'static str,
    ip: Option<String>,
    request_id: String,
    before: Option<Value>,
    after: Option<Value>,
}

/// Who did it, as a reference and as they were called then.
#[derive(Clone, Serialize)]
struct Who {
    kind: &'static str,
    id: String,
    name: String,
}

impl Who {
    fn of(actor: &Actor) -> Self {
        let who = |kind, id: &str, name: &str| Self { kind, id: id.to_owned(), name: name.to_owned() };
        match &actor.principal {
            Principal::Operator => who("operator", "", "command line"),
            Principal::Anonymous => who("anonymous", "", ""),
            Principal::User(person) => who("user", person.user.id.as_str(), &person.user.username),
            Principal::Key(key) => who("key", key.id.as_str(), &key.owner.username),
        }
    }
}

/// The canonical text that is linked: fields in this order, no white space.
#[derive(Serialize)]
struct Body<'a> {
    v: u8,
    chain: &'a str,
    seq: i64,
    at: i64,
    actor: &'a Who,
    action: &'a str,
    object: &'a str,
    result: &'a str,
    ip: Option<&'a str>,
    request_id: &'a str,
    before: Option<&'a Value>,
    after: Option<&'a Value>,
}

impl Event {
    /// Something done in a workspace (`Some`) or on the instance.
    pub(crate) fn done(at: Timestamp, actor: &Actor, workspace: Option<&str>, action: &str, object: &str) -> Self {
        Self {
            chain: workspace.unwrap_or(INSTANCE).to_owned(),
            at,
            actor: Who::of(actor),
            action: action.to_owned(),
            object: object.to_owned(),
            result: "done",
            ip: actor.request.ip.map(|ip| ip.to_canonical().to_string()),
            request_id: actor.request.id.clone(),
            before: None,
            after: None,
        }
    }

    /// Something that was asked for and refused.
    pub(crate) fn refused(at: Timestamp, actor: &Actor, action: Action, object: &Object<'_>) -> Self {
        let (workspace, named) = match object {
            Object::Instance => (None, String::new()),
            Object::Workspace(id) => (Some(id.as_str()), id.to_string()),
            Object::Key { workspace, id, owner } => (Some(workspace.as_str()), id.map_or_else(|| owner.to_string(), ToString::to_string)),
        };
        let action = serde_json::to_value(action).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default();
        Self { result: "refused", ..Self::done(at, actor, workspace, &action, &named) }
    }

    pub(crate) fn failed(self) -> Self {
        Self { result: "refused", ..self }
    }

    /// What it was before and what it is now, without secrets.
    #[must_use]
    pub(crate) fn change(self, before: Option<Value>, after: Option<Value>) -> Self {
        Self { before, after, ..self }
    }

    fn body(&self, seq: i64) -> String {
        let body = Body {
            v: 1,
            chain: &self.chain,
            seq,
            at: self.at.as_millis(),
            actor: &self.actor,
            action: &self.action,
            object: &self.object,
            result: self.result,
            ip: self.ip.as_deref(),
            request_id: &self.request_id,
            before: self.before.as_ref(),
            after: self.after.as_ref(),
        };
        // Text, numbers and JSON values always serialise.
        serde_json::to_string(&body).unwrap_or_default()
    }

    /// Writes the event as part of a transaction; if that fails, so must the transaction.
    pub(crate) async fn append(&self, conn: &mut Conn<'_>, macs: &Macs) -> Result<(), Error> {
        let actor = if self.actor.id.is_empty() { self.actor.kind } else { &self.actor.id };
        let new = store::NewEvent {
            chain: &self.chain,
            at: self.at,
            action: &self.action,
            actor,
            object: &self.object,
            body: &|seq| self.body(seq),
        };
        store::append(conn, macs, &new).await
    }
}

/// Writes an event that belongs to no other change.
pub(crate) async fn record(core: &Core, event: Event) -> Result<(), Error> {
    let macs = Arc::clone(&core.macs);
    core.db
        .write(move |mut conn| {
            let (event, macs) = (event.clone(), Arc::clone(&macs));
            Box::pin(async move { event.append(&mut conn, &macs).await })
        })
        .await
}

/// What a check of every chain found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChainReport {
    /// How many chains there are.
    pub chains: u64,
    /// How many events were checked.
    pub events: u64,
    /// The first link that does not hold; `None` if all do.
    pub broken: Option<BrokenLink>,
}

/// Where a chain is broken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BrokenLink {
    /// The chain: a workspace's id, or `instance`.
    pub chain: String,
    /// The number of the event.
    pub seq: i64,
    /// What is wrong with it.
    pub why: String,
}

/// The audit log as a use case.
#[derive(Clone)]
pub struct Audit {
    pub(crate) core: Arc<Core>,
}

impl Audit {
    /// Checks every chain from its first event to its head. Reads everything; for the operator and instance administrators.
    pub async fn verify_chains(&self, actor: &Actor) -> Result<ChainReport, Error> {
        self.core.authorize(actor, Action::VerifyAudit, &Object::Instance).await?;
        let mut report = ChainReport { chains: 0, events: 0, broken: None };
        let mut reader = self.core.db.reader().await?;
        let mut conn = reader.conn();
        let mut last = String::new();
        loop {
            let heads = store::chains(&mut conn, &last, BATCH).await?;
            let Some((chain, ..)) = heads.last() else { break };
            last.clone_from(chain);
            for (chain, head, link) in heads {
                report.chains += 1;
                report.broken = self.check(&mut conn, &mut report.events, &chain, head, &link).await?;
                if report.broken.is_some() {
                    return Ok(report);
                }
            }
        }
        if let Some(chain) = store::orphans(&mut conn).await? {
            report.broken = Some(BrokenLink { chain, seq: 0, why: "the chain's head was removed".into() });
        }
        Ok(report)
    }

    async fn check(
        &self,
        conn: &mut Conn<'_>,
        count: &mut u64,
        chain: &str,
        head: i64,
        head_link: &[u8],
    ) -> Result<Option<BrokenLink>, Error> {
        let broken = |seq, why: &str| Ok(Some(BrokenLink { chain: chain.to_owned(), seq, why: why.to_owned() }));
        let (mut seq, mut link) = (0, vec![0u8; MAC_LEN]);
        loop {
            let events = store::events(conn, chain, seq, BATCH).await?;
            if events.is_empty() {
                break;
            }
            for event in events {
                // Events written while this check runs come after the head that was read.
                if event.seq > head {
                    return if link == head_link { Ok(None) } else { broken(seq, "the head of the chain was changed") };
                }
                if event.seq != seq + 1 {
                    return broken(seq + 1, "this event was removed");
                }
                if let Some(why) = self.fault(&link, chain, &event) {
                    return broken(event.seq, why);
                }
                (seq, link) = (event.seq, event.mac);
                *count += 1;
            }
        }
        if seq != head {
            return broken(seq + 1, "this event was removed");
        }
        if link == head_link { Ok(None) } else { broken(seq, "the head of the chain was changed") }
    }

    fn fault(&self, previous: &[u8], chain: &str, event: &store::EventRow) -> Option<&'static str> {
        if self.core.macs.audit(previous, &event.body)[..] != event.mac[..] {
            return Some("this event was changed, moved or inserted");
        }
        let Ok(body) = serde_json::from_str::<Value>(&event.body) else { return Some("this event cannot be read") };
        let actor = body["actor"]["id"].as_str().filter(|id| !id.is_empty()).or_else(|| body["actor"]["kind"].as_str());
        let repeated = body["at"] == event.at && body["action"] == event.action && body["object"] == event.object;
        let in_place = body["chain"] == chain && body["seq"] == event.seq && actor == Some(event.actor.as_str());
        (!(repeated && in_place)).then_some("the searchable columns of this event were changed")
    }
}
