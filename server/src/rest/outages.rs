//! `/v1/workspaces/{workspace}/outages`: whether a server that has lost touch with the database goes on answering.

use axum::Json as Reply;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::problem::{Json, ProblemResponse};
use crate::rest::caller::{Caller, WorkspaceName};
use crate::rest::query::Query;
use crate::rest::workspaces::NoQuery;
use crate::state::AppState;

/// What a workspace wants of a server that has lost touch with the database.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Outages)]
pub(crate) struct OutagesBody {
    /// Does it go on answering from what it knew last? `false`: it answers 503.
    #[schema(example = false)]
    keep_answering: bool,
}

/// Read what happens to verification while the database is away.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/outages",
    operation_id = "get_outages",
    tag = "policy",
    params(("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme")),
    responses((status = 200, description = "What happens.", body = OutagesBody))
)]
pub(crate) async fn get_outages(
    Caller(actor): Caller,
    WorkspaceName(name): WorkspaceName,
    _: Query<NoQuery>,
    State(state): State<AppState>,
) -> Result<Reply<OutagesBody>, ProblemResponse> {
    let id = state.engine.workspaces.get_id(&actor, &name).await?;
    Ok(Reply(OutagesBody { keep_answering: state.engine.policies.keeps_answering(&actor, &id).await? }))
}

/// Change what happens to verification while the database is away.
///
/// With `true`, a server that has lost touch with the database for longer than its staleness budget goes on answering about this workspace's
/// keys from what it knew last, and says so in `Keyfold-Stale` and `stale_seconds`. **A key that was revoked meanwhile then goes
/// on working there, for as long as the outage lasts.** For owners whose password is fresh.
#[utoipa::path(
    put,
    path = "/v1/workspaces/{workspace}/outages",
    operation_id = "update_outages",
    tag = "policy",
    params(("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme")),
    request_body = OutagesBody,
    responses((status = 200, description = "What happens from now on.", body = OutagesBody))
)]
pub(crate) async fn update_outages(
    Caller(actor): Caller,
    WorkspaceName(name): WorkspaceName,
    _: Query<NoQuery>,
    State(state): State<AppState>,
    Json(body): Json<OutagesBody>,
) -> Result<Reply<OutagesBody>, ProblemResponse> {
    let id = state.engine.workspaces.get_id(&actor, &name).await?;
    Ok(Reply(OutagesBody { keep_answering: state.engine.policies.keep_answering(&actor, &id, body.keep_answering).await? }))
}
