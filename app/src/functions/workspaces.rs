//! Workspaces.

use keyfold_domain::workspace::{Role, WorkspaceSummary};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::codec::Json;
#[cfg(feature = "ssr")]
use super::context;
use super::fault::Fault;

/// A workspace as lists and menus name it. Its rules are left out: the first page does not need what reads them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub slug: String,
    pub name: String,
    /// What the viewer is there; `None` for an instance administrator who is no member.
    pub role: Option<Role>,
}

impl From<WorkspaceSummary> for Place {
    fn from(workspace: WorkspaceSummary) -> Self {
        Self { slug: workspace.slug, name: workspace.name, role: workspace.role }
    }
}

/// The workspaces of the person at the screen.
#[server(endpoint = "list_workspaces", prefix = "/_app", input = Json, output = Json)]
pub async fn list_workspaces() -> Result<Vec<WorkspaceSummary>, Fault> {
    let (request, actor) = context::actor()?;
    context::reply(request.engine.workspaces.list(&actor).await)
}
