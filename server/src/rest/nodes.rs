//! `/v1/admin/nodes`: the servers on the database; and `wait=all`, for who wants to know when a change is in force on all
//! of them.

use std::time::Duration;

use axum::Json as Reply;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use keyfold_domain::ids::NodeId;
use keyfold_domain::node::{InForce, NodeSummary, Standing};
use keyfold_domain::policy::Actor;
use keyfold_domain::problem::Problem;
use keyfold_engine::ACCOUNTED_FOR;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::problem::ProblemResponse;
use crate::rest::caller::Caller;
use crate::rest::moments::Moment;
use crate::rest::query::Query;
use crate::rest::schemas;
use crate::rest::workspaces::NoQuery;
use crate::state::AppState;

const REVISION: HeaderName = HeaderName::from_static("keyfold-revision");
/// Shorter than any answer may take.
const MOST_SECONDS: u64 = 20;

/// A server that runs on the database.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Node)]
pub(crate) struct NodeBody {
    /// Its id, another one at every start.
    #[schema(value_type = String, example = "node_00S1E8UZ2m0hmDYpk0bPVq")]
    id: NodeId,
    /// What its operator calls it: `node_name` of the configuration.
    #[schema(example = "keys-1")]
    name: String,
    /// Which Keyfold it is.
    #[schema(example = "0.1.0")]
    version: String,
    /// When it started.
    #[schema(schema_with = schemas::node_started_at)]
    started_at: Moment,
    /// When it was last heard of.
    #[schema(schema_with = schemas::node_seen_at)]
    last_seen_at: Moment,
    /// The number of the newest change that is in force there, as it last said.
    #[schema(minimum = 0, example = 4711)]
    revision: i64,
    /// How many changes there are after that one.
    #[schema(minimum = 0, example = 0)]
    behind: i64,
    /// For how long it says yes without news of changes.
    #[schema(minimum = 1, example = 5000)]
    staleness_budget_ms: i64,
    /// `silent`: not heard of for longer than its budget. It was killed, hangs, or cannot reach the database.
    #[schema(schema_with = schemas::node_state)]
    state: &'static str,
    /// Whether it is the server that answers this request.
    answering: bool,
}

impl From<NodeSummary> for NodeBody {
    fn from(node: NodeSummary) -> Self {
        Self {
            id: node.id,
            name: node.name,
            version: node.version,
            started_at: Moment(node.started_at),
            last_seen_at: Moment(node.last_seen_at),
            revision: node.revision,
            behind: node.behind,
            staleness_budget_ms: node.staleness_budget_ms,
            state: node.state.as_str(),
            answering: node.answering,
        }
    }
}

/// The servers on the database.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NodePage)]
pub(crate) struct NodePageBody {
    /// The servers, by name.
    data: Vec<NodeBody>,
    /// Always `null`: there are few enough for one page.
    #[schema(required, example = json!(null))]
    next: Option<String>,
}

/// List the servers that run on the database, and how far each is.
///
/// For administrators of the instance. A server is listed from its start to its orderly end, and for a minute after it was
/// last heard of.
#[utoipa::path(
    get,
    path = "/v1/admin/nodes",
    operation_id = "list_nodes",
    tag = "nodes",
    responses((status = 200, description = "The servers.", body = NodePageBody))
)]
pub(crate) async fn list_nodes(
    Caller(actor): Caller,
    _: Query<NoQuery>,
    State(state): State<AppState>,
) -> Result<Reply<NodePageBody>, ProblemResponse> {
    let nodes = state.engine.nodes.list(&actor).await?;
    Ok(Reply(NodePageBody { data: nodes.into_iter().map(NodeBody::from).collect(), next: None }))
}

/// Whether to answer when the change is in force here, or everywhere.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct WaitQuery {
    #[param(schema_with = schemas::wait, required = false)]
    wait: Option<String>,
    /// How long to wait at most.
    #[param(minimum = 1, maximum = 20, default = 6, value_type = Option<u32>)]
    wait_seconds: Option<String>,
}

impl WaitQuery {
    /// How long to wait for all servers; `None` to wait for none.
    pub(crate) fn patience(&self) -> Result<Option<Duration>, Problem> {
        let seconds = match &self.wait_seconds {
            None => ACCOUNTED_FOR.as_secs(),
            Some(text) => text
                .parse()
                .ok()
                .filter(|seconds| (1..=MOST_SECONDS).contains(seconds))
                .ok_or_else(|| Problem::invalid("wait_seconds", format!("Choose 1 to {MOST_SECONDS} seconds.")))?,
        };
        match (self.wait.as_deref(), &self.wait_seconds) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(Problem::invalid("wait_seconds", "Send wait=all as well, or leave it out.")),
            (Some("all"), _) => Ok(Some(Duration::from_secs(seconds))),
            (Some(_), _) => Err(Problem::invalid("wait", "Write all, or leave it out.")),
        }
    }
}

/// What became of the change on one server.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NodeStanding)]
struct StandingBody {
    /// The server's name; a number for those who are not administrators of the instance.
    #[schema(example = "keys-1")]
    name: String,
    /// `in_force`; `stopped`: the server is out of touch and says yes to nobody; `waiting`: not heard of yet.
    #[schema(schema_with = schemas::standing)]
    state: &'static str,
}

/// How far the change has come on all servers.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InForce)]
pub(crate) struct InForceBody {
    /// Whether no server anywhere acts any more on what was before the change.
    complete: bool,
    /// On how many servers it is in force.
    #[schema(minimum = 0, example = 3)]
    on: usize,
    /// How many servers there are.
    #[schema(minimum = 0, example = 3)]
    of: usize,
    /// How long it was waited for the others after the change was in force here.
    #[schema(minimum = 0, example = 140)]
    after_ms: u64,
    /// The same in words.
    #[schema(example = "in force on 3 of 3 nodes after 140 ms")]
    text: String,
    /// Every server.
    nodes: Vec<StandingBody>,
}

impl From<InForce> for InForceBody {
    fn from(found: InForce) -> Self {
        Self {
            complete: found.is_complete(),
            on: found.count(Standing::InForce),
            of: found.nodes.len(),
            after_ms: found.after_ms,
            text: found.in_words(),
            nodes: found.nodes.into_iter().map(|node| StandingBody { name: node.name, state: node.standing.as_str() }).collect(),
        }
    }
}

/// The answer to an act that otherwise says nothing.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DoneEverywhere)]
pub(crate) struct DoneEverywhereBody {
    /// How far it has come on all servers.
    pub(crate) in_force: InForceBody,
}

/// What is said of a change that is in force on this server, after waiting for the others if that is wanted.
pub(crate) async fn settle(state: &AppState, actor: &Actor, patience: Option<Duration>) -> (HeaderMap, Option<InForceBody>) {
    let revision = state.engine.nodes.revision();
    let found = match patience {
        Some(patience) => Some(state.engine.nodes.in_force(actor, patience).await),
        None => None,
    };
    let revision = found.as_ref().map_or(revision, |found| found.revision);
    (HeaderMap::from_iter([(REVISION, HeaderValue::from(revision))]), found.map(InForceBody::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_is_for_all_and_for_a_bounded_time() {
        let read = |wait: Option<&str>, seconds: Option<&str>| {
            WaitQuery { wait: wait.map(str::to_owned), wait_seconds: seconds.map(str::to_owned) }.patience().ok()
        };
        assert_eq!(read(None, None), Some(None));
        assert_eq!(read(Some("all"), None), Some(Some(Duration::from_secs(6))));
        assert_eq!(read(Some("all"), Some("20")), Some(Some(Duration::from_secs(20))));
        for (wait, seconds) in
            [(Some("most"), None), (None, Some("3")), (Some("all"), Some("0")), (Some("all"), Some("21")), (Some(""), None)]
        {
            assert_eq!(read(wait, seconds), None, "{wait:?} {seconds:?}");
        }
    }
}
