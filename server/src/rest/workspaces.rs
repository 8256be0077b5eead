//! `/v1/workspaces`: the workspaces the caller may see.

use axum::Json as Reply;
use axum::extract::State;
use keyfold_domain::ids::WorkspaceId;
use keyfold_domain::policy_limits::KeyPolicy;
use keyfold_domain::workspace::{Role, WorkspaceSummary};
use serde::Serialize;
use utoipa::ToSchema;

use crate::problem::ProblemResponse;
use crate::rest::caller::{Caller, WorkspaceName};
use crate::rest::query::Query;
use crate::state::AppState;

pub(crate) mod admin;

/// A workspace's rules for its keys.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KeyPolicy)]
pub(crate) struct KeyPolicyBody {
    /// The longest life of a key in days; `null` for no bound.
    #[schema(required)]
    max_expiry_days: Option<u32>,
    /// The life of a key whose creator names none, in days; `null` for the longest allowed.
    #[schema(required, example = 90)]
    default_expiry_days: Option<u32>,
    /// The inactivity interval of a key whose creator says nothing of it, in days; `null` for none.
    #[schema(required, example = json!(null))]
    default_inactivity_days: Option<u32>,
    /// May a key live for ever?
    never_allowed: bool,
    /// May members create keys, and not only administrators?
    members_may_create: bool,
    /// The most keys, not deleted, that one user may have.
    #[schema(example = 500)]
    max_live_per_user: u32,
    /// The most keys, not deleted, in the workspace.
    #[schema(example = 10_000)]
    max_live_per_workspace: u32,
}

impl From<KeyPolicy> for KeyPolicyBody {
    fn from(policy: KeyPolicy) -> Self {
        Self {
            max_expiry_days: policy.max_expiry_days,
            default_expiry_days: policy.default_expiry_days,
            default_inactivity_days: policy.default_inactivity_days,
            never_allowed: policy.allows_never(),
            members_may_create: policy.members_may_create,
            max_live_per_user: policy.max_live_per_user,
            max_live_per_workspace: policy.max_live_per_workspace,
        }
    }
}

/// A workspace as the caller sees it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Workspace)]
pub(crate) struct WorkspaceBody {
    /// The workspace's id.
    #[schema(value_type = String, example = "wsp_00S1E8TYPmMQMyNxIYvHyv")]
    id: WorkspaceId,
    /// Its short name in addresses.
    #[schema(example = "acme")]
    slug: String,
    /// Its name.
    #[schema(example = "Acme")]
    name: String,
    /// What the caller is there; `null` for an instance administrator who is no member.
    #[schema(value_type = Option<String>, required, example = "admin")]
    role: Option<Role>,
    /// The rules for its keys that hold: the stricter of its own and the instance's.
    key_policy: KeyPolicyBody,
}

impl From<WorkspaceSummary> for WorkspaceBody {
    fn from(workspace: WorkspaceSummary) -> Self {
        Self { id: workspace.id, slug: workspace.slug, name: workspace.name, role: workspace.role, key_policy: workspace.key_policy.into() }
    }
}

/// All workspaces the caller may see.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WorkspacePage)]
pub(crate) struct WorkspacePageBody {
    /// The workspaces.
    data: Vec<WorkspaceBody>,
    /// Always `null`: there are few enough for one page.
    #[schema(required, example = json!(null))]
    next: Option<String>,
}

/// No parameter is known here.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoQuery {}

/// List the workspaces you may see.
///
/// A management key sees the one workspace it belongs to.
#[utoipa::path(
    get,
    path = "/v1/workspaces",
    operation_id = "list_workspaces",
    tag = "workspaces",
    responses((status = 200, description = "The workspaces.", body = WorkspacePageBody))
)]
pub(crate) async fn list_workspaces(
    Caller(actor): Caller,
    _: Query<NoQuery>,
    State(state): State<AppState>,
) -> Result<Reply<WorkspacePageBody>, ProblemResponse> {
    let workspaces = state.engine.workspaces.list(&actor).await?;
    Ok(Reply(WorkspacePageBody { data: workspaces.into_iter().map(WorkspaceBody::from).collect(), next: None }))
}

/// Read one workspace and its rules for keys.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}",
    operation_id = "get_workspace",
    tag = "workspaces",
    params(("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme")),
    responses((status = 200, description = "The workspace.", body = WorkspaceBody))
)]
pub(crate) async fn get_workspace(
    Caller(actor): Caller,
    WorkspaceName(name): WorkspaceName,
    _: Query<NoQuery>,
    State(state): State<AppState>,
) -> Result<Reply<WorkspaceBody>, ProblemResponse> {
    Ok(Reply(state.engine.workspaces.get(&actor, &name).await?.into()))
}
