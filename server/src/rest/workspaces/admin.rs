//! `/v1/admin/workspaces`: every workspace of the instance, for its administrators.

use axum::Json as Reply;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use keyfold_domain::ids::{UserId, WorkspaceId};
use keyfold_domain::key::Page;
use keyfold_domain::workspace::{NewWorkspace, WorkspaceDetail, WorkspaceEnd};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{NoQuery, WorkspaceBody};
use crate::problem::{Json, ProblemResponse};
use crate::rest::caller::{Caller, WorkspaceName};
use crate::rest::headers::AnyVersion;
use crate::rest::keys::bodies::UserBody;
use crate::rest::members::PeopleQuery;
use crate::rest::moments::Moment;
use crate::rest::query::Query;
use crate::rest::schemas;
use crate::state::AppState;

/// A workspace as an instance administrator sees it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WorkspaceDetail)]
pub(crate) struct WorkspaceDetailBody {
    /// The workspace's id.
    #[schema(value_type = String, example = "wsp_00S1E8TYPmMQMyNxIYvHyv")]
    id: WorkspaceId,
    /// Its short name in addresses.
    #[schema(example = "acme")]
    slug: String,
    /// Its name.
    #[schema(example = "Acme")]
    name: String,
    /// One of its owners; `null` if it has none.
    #[schema(required)]
    owner: Option<UserBody>,
    /// How many people belong to it.
    #[schema(minimum = 0, example = 12)]
    members: i64,
    /// How many keys, not deleted, it has.
    #[schema(minimum = 0, example = 40)]
    live_keys: i64,
    /// When it was made.
    #[schema(schema_with = schemas::created_at)]
    created_at: Moment,
}

impl From<WorkspaceDetail> for WorkspaceDetailBody {
    fn from(detail: WorkspaceDetail) -> Self {
        Self {
            id: detail.id,
            slug: detail.slug,
            name: detail.name,
            owner: detail.owner.map(UserBody::from),
            members: detail.members,
            live_keys: detail.live_keys,
            created_at: Moment(detail.created_at),
        }
    }
}

/// One page of workspaces.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WorkspaceDetailPage)]
pub(crate) struct WorkspaceDetailPageBody {
    /// The workspaces, by short name.
    data: Vec<WorkspaceDetailBody>,
    /// The `cursor` of the next page; `null` at the end.
    #[schema(required)]
    next: Option<String>,
}

impl From<Page<WorkspaceDetail>> for WorkspaceDetailPageBody {
    fn from(page: Page<WorkspaceDetail>) -> Self {
        Self { data: page.items.into_iter().map(WorkspaceDetailBody::from).collect(), next: page.next }
    }
}

/// A workspace to be made. Fields that are not listed here are refused.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewWorkspace, example = json!({"slug": "acme", "name": "Acme", "owner": "usr_00S1E8TYPmMQMyNxIYvHyv"}))]
pub(crate) struct NewWorkspaceBody {
    /// Its short name in addresses; unique: 2 to 40 lower-case letters, digits and hyphens.
    #[schema(min_length = 2, max_length = 40, example = "acme")]
    slug: String,
    /// Its name.
    #[schema(min_length = 1, max_length = 100, example = "Acme")]
    name: String,
    /// The id of the user who owns it.
    #[schema(value_type = String, example = "usr_00S1E8TYPmMQMyNxIYvHyv")]
    owner: UserId,
}

/// What a workspace shall be called.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WorkspacePatch, example = json!({"name": "Acme & Sons"}))]
pub(crate) struct WorkspaceNameBody {
    /// The new name. The short name in addresses stays.
    #[schema(min_length = 1, max_length = 100, example = "Acme & Sons")]
    name: String,
}

/// List every workspace of this instance.
///
/// For the session of an instance administrator, as everything here.
#[utoipa::path(
    get,
    path = "/v1/admin/workspaces",
    operation_id = "list_all_workspaces",
    tag = "workspaces",
    params(PeopleQuery),
    responses((status = 200, description = "One page of workspaces.", body = WorkspaceDetailPageBody))
)]
pub(crate) async fn list_all_workspaces(
    Caller(actor): Caller,
    Query(query): Query<PeopleQuery>,
    State(state): State<AppState>,
) -> Result<Reply<WorkspaceDetailPageBody>, ProblemResponse> {
    Ok(Reply(state.engine.workspaces.list_all(&actor, &query.filter()?).await?.into()))
}

/// Make a workspace that belongs to a user.
#[utoipa::path(
    post,
    path = "/v1/admin/workspaces",
    operation_id = "create_workspace",
    tag = "workspaces",
    request_body = NewWorkspaceBody,
    responses((status = 201, description = "The workspace.", body = WorkspaceBody, headers(
        ("Location" = String, description = "The workspace's address.")
    )))
)]
pub(crate) async fn create_workspace(
    Caller(actor): Caller,
    _: Query<NoQuery>,
    State(state): State<AppState>,
    Json(body): Json<NewWorkspaceBody>,
) -> Result<Response, ProblemResponse> {
    let new = NewWorkspace { slug: body.slug, name: body.name };
    let workspace = state.engine.workspaces.create(&actor, new, &body.owner).await?;
    let address = HeaderValue::from_str(&format!("/v1/workspaces/{}", workspace.slug));
    let headers: HeaderMap = address.into_iter().map(|address| (LOCATION, address)).collect();
    Ok((StatusCode::CREATED, headers, Reply(WorkspaceBody::from(workspace))).into_response())
}

/// What is typed to be sure.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ConfirmationQuery {
    /// The workspace's short name.
    #[serde(default)]
    #[param(required = false, example = "acme")]
    confirm: String,
}

/// What the end of a workspace did.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WorkspaceEnd)]
pub(crate) struct WorkspaceEndBody {
    /// The workspace's id.
    #[schema(value_type = String, example = "wsp_00S1E8TYPmMQMyNxIYvHyv")]
    id: WorkspaceId,
    /// Its short name, which stays taken.
    #[schema(example = "acme")]
    slug: String,
    /// How many keys it stopped.
    #[schema(minimum = 0, example = 42)]
    stopped_keys: i64,
    /// How many people lost their place in it.
    #[schema(minimum = 0, example = 7)]
    members: i64,
}

/// Delete a workspace.
///
/// Its keys stop with this answer, nobody belongs to it any more, and nothing finds it again. Its record and its audit log
/// stay, for administrators of the instance, and its short name stays taken. `confirm` has to be that short name; a request
/// without it is refused and told how many keys it would stop. Needs a password given within the last ten minutes;
/// `step_up_required` otherwise.
#[utoipa::path(
    delete,
    path = "/v1/admin/workspaces/{workspace}",
    operation_id = "delete_workspace",
    tag = "workspaces",
    params(("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme"), ConfirmationQuery),
    responses((status = 200, description = "What it did.", body = WorkspaceEndBody))
)]
pub(crate) async fn delete_workspace(
    Caller(actor): Caller,
    WorkspaceName(name): WorkspaceName,
    Query(query): Query<ConfirmationQuery>,
    State(state): State<AppState>,
) -> Result<Reply<WorkspaceEndBody>, ProblemResponse> {
    let WorkspaceEnd { id, slug, stopped_keys, members } = state.engine.workspaces.delete(&actor, &name, &query.confirm).await?;
    Ok(Reply(WorkspaceEndBody { id, slug, stopped_keys, members }))
}

/// Give a workspace another name.
#[utoipa::path(
    patch,
    path = "/v1/admin/workspaces/{workspace}",
    operation_id = "rename_workspace",
    tag = "workspaces",
    params(("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme")),
    request_body = WorkspaceNameBody,
    responses((status = 200, description = "The workspace.", body = WorkspaceBody))
)]
pub(crate) async fn rename_workspace(
    Caller(actor): Caller,
    WorkspaceName(name): WorkspaceName,
    _: AnyVersion,
    _: Query<NoQuery>,
    State(state): State<AppState>,
    Json(body): Json<WorkspaceNameBody>,
) -> Result<Reply<WorkspaceBody>, ProblemResponse> {
    Ok(Reply(state.engine.workspaces.rename(&actor, &name, &body.name).await?.into()))
}
