//! The servers of the instance, for its administrators.

use keyfold_domain::node::NodeSummary;
use keyfold_domain::time::Timestamp;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::codec::Json;
#[cfg(feature = "ssr")]
use super::context;
use super::fault::Fault;

/// Every server on the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodesView {
    pub nodes: Vec<NodeSummary>,
    pub now: Timestamp,
}

/// Every server on the database, and how far each is.
#[server(endpoint = "list_nodes", prefix = "/_app", input = Json, output = Json)]
pub async fn list_nodes() -> Result<NodesView, Fault> {
    let (request, actor) = context::actor()?;
    let nodes = context::reply(request.engine.nodes.list(&actor).await)?;
    Ok(NodesView { nodes, now: request.now() })
}
