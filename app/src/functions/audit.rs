//! The audit log: of a workspace, or where its name is empty of the instance.

use keyfold_domain::audit::{AuditEvent, AuditFilter, ChainReport};
use keyfold_domain::ids::KeyId;
use keyfold_domain::key::Page;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::codec::Json;
use super::fault::Fault;
use super::workspaces::Place;
#[cfg(feature = "ssr")]
use {
    super::context::{self, RequestContext},
    keyfold_domain::ids::WorkspaceId,
    keyfold_domain::policy::{Action, Actor, Decision, Object, can},
};

/// A page of events and what the viewer may do with the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditView {
    /// `None` for the instance.
    pub place: Option<Place>,
    pub events: Page<AuditEvent>,
    /// Every action that the log knows.
    pub actions: Vec<String>,
    /// Sees everything, and may check the chain and take the log away.
    pub manages: bool,
    /// The password was given a short while ago: the log can be taken away without asking for it.
    pub proven: bool,
    /// Every workspace, where the instance's log is shown.
    pub places: Vec<Place>,
}

#[cfg(feature = "ssr")]
async fn id(request: &RequestContext, actor: &Actor, workspace: &str) -> Result<Option<WorkspaceId>, Fault> {
    if workspace.is_empty() {
        return Ok(None);
    }
    context::reply(request.engine.workspaces.find_log(actor, workspace).await).map(|place| Some(place.id))
}

/// A page of the log of a workspace, or of the instance.
#[server(endpoint = "list_audit", prefix = "/_app", input = Json, output = Json)]
pub async fn list_audit(workspace: String, filter: AuditFilter) -> Result<AuditView, Fault> {
    let (request, actor) = context::actor()?;
    let engine = &request.engine;
    let id = id(&request, &actor, &workspace).await?;
    let events = context::reply(engine.audit.list(&actor, id.as_ref(), &filter).await)?;
    let actions = context::reply(engine.audit.actions(&actor, id.as_ref()).await)?;
    let object = id.as_ref().map_or(Object::Instance, Object::Workspace);
    let manages = can(&actor, Action::ExportAudit, &object) == Decision::Allow;
    let place = match &id {
        Some(id) => Some(context::reply(engine.workspaces.find_log(&actor, id.as_str()).await)?.into()),
        None => None,
    };
    let on_instance = can(&actor, Action::ReadAudit, &Object::Instance) == Decision::Allow;
    let places =
        if on_instance { context::reply(engine.workspaces.list(&actor).await)?.into_iter().map(Place::from).collect() } else { Vec::new() };
    Ok(AuditView { place, events, actions, manages, proven: engine.sessions.is_proven(&actor), places })
}

/// Checks the chain of a workspace, or every chain.
#[server(endpoint = "verify_audit", prefix = "/_app", input = Json, output = Json)]
pub async fn verify_audit(workspace: String) -> Result<ChainReport, Fault> {
    let (request, actor) = context::actor()?;
    let audit = &request.engine.audit;
    context::reply(match id(&request, &actor, &workspace).await? {
        Some(id) => audit.verify_chain(&actor, &id).await,
        None => audit.verify_chains(&actor).await,
    })
}

/// What befell a key lately; `None` for those who may not know.
#[server(endpoint = "get_key_audit", prefix = "/_app", input = Json, output = Json)]
pub async fn get_key_audit(workspace: String, id: KeyId) -> Result<Option<Vec<AuditEvent>>, Fault> {
    let (request, actor) = context::actor()?;
    let place = context::reply(request.engine.workspaces.get_id(&actor, &workspace).await)?;
    if can(&actor, Action::ReadAudit, &Object::Workspace(&place)) != Decision::Allow {
        return Ok(None);
    }
    let filter = AuditFilter { object: id.to_string(), limit: 10, ..AuditFilter::default() };
    Ok(Some(context::reply(request.engine.audit.list(&actor, Some(&place), &filter).await)?.items))
}
