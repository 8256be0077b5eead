//! Acts on many keys.

use keyfold_domain::bulk::{BulkAct, BulkPreview, BulkReport};
use keyfold_domain::ids::BulkId;
use keyfold_domain::time::Timestamp;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::codec::Json;
use super::fault::Fault;
#[cfg(feature = "ssr")]
use {
    super::context,
    crate::key_query,
    keyfold_domain::bulk::{BulkChoice, BulkState},
    keyfold_domain::ids::{KeyId, WorkspaceId},
    keyfold_domain::key::KeyFilter,
    keyfold_domain::policy::Actor,
    keyfold_domain::problem::Problem,
};

/// The keys that an act takes, as a list's address and its ticked rows say it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Chosen {
    /// The workspace's short name; empty for all of them.
    pub workspace: String,
    /// The ticked rows; none for all that match what follows.
    pub ids: Vec<String>,
    /// The query of the list's address, as it was narrowed; empty for its usual rows.
    pub list: String,
    /// The username of the owner; empty for everybody's.
    pub user: String,
}

/// What an act would touch, before it is confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BulkView {
    pub preview: BulkPreview,
    /// The workspace's name; `None` for all.
    pub place: Option<String>,
}

/// An act and how far it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BulkProgress {
    pub report: BulkReport,
    pub now: Timestamp,
}

#[cfg(feature = "ssr")]
struct Place {
    id: Option<WorkspaceId>,
    name: Option<String>,
    /// The address of the list.
    base: String,
}

#[cfg(feature = "ssr")]
async fn place(request: &context::RequestContext, actor: &Actor, slug: &str) -> Result<Place, Fault> {
    if slug.is_empty() {
        return Ok(Place { id: None, name: None, base: "/system".into() });
    }
    let workspace = context::reply(request.engine.workspaces.get(actor, slug).await)?;
    Ok(Place { id: Some(workspace.id), name: Some(workspace.name), base: format!("/w/{}", workspace.slug) })
}

#[cfg(feature = "ssr")]
async fn choice(request: &context::RequestContext, actor: &Actor, chosen: &Chosen) -> Result<BulkChoice, Fault> {
    if !chosen.ids.is_empty() {
        // What is no id names nothing.
        let ids: Result<Vec<KeyId>, _> = chosen.ids.iter().map(|id| id.parse::<KeyId>().map_err(|_| Problem::not_found())).collect();
        return Ok(BulkChoice::Ids(context::reply(ids)?));
    }
    let owner = match chosen.user.as_str() {
        "" => None,
        user => Some(context::reply(request.engine.users.find_by_username(actor, user).await)?.id),
    };
    let filter = context::reply(key_query::read(&chosen.list))?;
    Ok(BulkChoice::Matching(Box::new(KeyFilter { owner: owner.or(filter.owner.clone()), ..filter })))
}

/// What an act would touch.
#[server(endpoint = "preview_bulk", prefix = "/_app", input = Json, output = Json)]
pub async fn preview_bulk(act: BulkAct, chosen: Chosen) -> Result<BulkView, Fault> {
    let (request, actor) = context::actor()?;
    let place = place(&request, &actor, &chosen.workspace).await?;
    let choice = choice(&request, &actor, &chosen).await?;
    let preview = context::reply(request.engine.keys.preview_bulk(&actor, place.id.as_ref(), act, choice).await)?;
    Ok(BulkView { preview, place: place.name })
}

/// Does the act, and says where its results are. To delete, the number of keys has to be typed.
#[server(endpoint = "run_bulk", prefix = "/_app")]
pub async fn run_bulk(
    act: BulkAct,
    #[server(default)] chosen: Chosen,
    expected: i64,
    #[server(default)] confirmation: String,
) -> Result<String, Fault> {
    let (request, actor) = context::actor()?;
    let place = place(&request, &actor, &chosen.workspace).await?;
    let choice = choice(&request, &actor, &chosen).await?;
    if act == BulkAct::Delete && confirmation.trim() != expected.to_string() {
        let text = format!("Type {expected}, the number of keys, to be sure.");
        return context::reply(Err(Problem::invalid("confirmation", text)));
    }
    let report = context::reply(request.engine.keys.run_bulk(&actor, place.id.as_ref(), act, choice, Some(expected)).await)?;
    let address = format!("{}/bulk/{}", place.base, report.id);
    context::go_to(&address);
    Ok(address)
}

/// How far an act came, with the results after `after`.
#[server(endpoint = "get_bulk", prefix = "/_app", input = Json, output = Json)]
pub async fn get_bulk(workspace: String, id: BulkId, #[server(default)] after: i64) -> Result<BulkProgress, Fault> {
    let (request, actor) = context::actor()?;
    let place = place(&request, &actor, &workspace).await?;
    let report = context::reply(request.engine.keys.find_bulk(&actor, place.id.as_ref(), &id, after).await)?;
    debug_assert!(report.state != BulkState::Finished || report.looked_at() <= report.expected);
    Ok(BulkProgress { report, now: request.now() })
}
