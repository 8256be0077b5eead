//! The audit log: what was done, by whom, from where, and what it changed. No secret and no hash is ever in it.
//!
//! Each workspace has a chain and the instance has one. Every event is linked to the one before it by
//! HMAC(audit key, link before ‖ event), so that a changed, removed, reordered or inserted event is found.

use std::sync::Arc;

use keyfold_domain::audit::INSTANCE_CHAIN;
use keyfold_domain::policy::{Action, Actor, Object, Principal};
use keyfold_domain::time::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::Core;
use crate::error::Error;
use crate::mac::Macs;
use crate::store::audit as store;
use crate::store::db::Conn;

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
            chain: workspace.unwrap_or(INSTANCE_CHAIN).to_owned(),
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

    /// Something that came to pass in a workspace without anybody's doing.
    pub(crate) fn noticed(at: Timestamp, workspace: &str, action: &str, object: &str) -> Self {
        Self {
            chain: workspace.to_owned(),
            at,
            actor: Who { kind: "system", id: String::new(), name: "Keyfold".to_owned() },
            action: action.to_owned(),
            object: object.to_owned(),
            result: "done",
            ip: None,
            request_id: String::new(),
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

/// The audit log as a use case: writing it is above, reading it in `audit_log`, checking it in `audit_chain`.
#[derive(Clone)]
pub struct Audit {
    pub(crate) core: Arc<Core>,
}
