//! Workspaces.

use keyfold_domain::workspace::WorkspaceSummary;
use leptos::prelude::*;

use super::codec::Json;
#[cfg(feature = "ssr")]
use super::context;
use super::fault::Fault;

/// The workspaces of the person at the screen.
#[server(endpoint = "list_workspaces", prefix = "/_app", input = Json, output = Json)]
pub async fn list_workspaces() -> Result<Vec<WorkspaceSummary>, Fault> {
    let (request, actor) = context::actor()?;
    context::reply(request.engine.workspaces.list(&actor).await)
}
