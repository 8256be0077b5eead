//! `/v1/workspaces/{workspace}/resources`: what keys can be tied to.

use axum::Json as Reply;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use keyfold_domain::ids::{ResourceId, UserId};
use keyfold_domain::key::Page;
use keyfold_domain::problem::Problem;
use keyfold_domain::resource::{NewResource, ResourceDetail, ResourceFilter, ResourcePatch, ResourceSummary};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::problem::{Json, ProblemResponse};
use crate::rest::caller::{Caller, ResourceTarget, WorkspaceName};
use crate::rest::headers::AnyVersion;
use crate::rest::keys::bodies::{UserBody, given};
use crate::rest::keys::{page_size, workspace};
use crate::rest::moments::Moment;
use crate::rest::query::{Query, flag};
use crate::rest::schemas;
use crate::rest::workspaces::NoQuery;
use crate::state::AppState;

/// Which page of which resources.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Part of a name or of an external id, or an id.
    search: Option<String>,
    /// Only resources of this kind.
    #[param(example = "collection")]
    kind: Option<String>,
    /// The id of the user whose resources are wanted.
    #[param(example = "usr_00S1E8TYPmMQMyNxIYvHyv")]
    owner: Option<String>,
    /// Where the page starts: the `next` of the page before, with all other parameters the same.
    cursor: Option<String>,
    /// The most resources of the page.
    #[param(minimum = 1, maximum = 200, default = 50, value_type = Option<u32>)]
    limit: Option<String>,
}

impl ListQuery {
    fn filter(self) -> Result<ResourceFilter, Problem> {
        let user = |text: String| text.parse::<UserId>().map_err(|_| Problem::invalid("owner", "Send the id of a user, like usr_…"));
        Ok(ResourceFilter {
            search: self.search.unwrap_or_default(),
            kind: self.kind.unwrap_or_default(),
            owner: self.owner.map(user).transpose()?,
            cursor: self.cursor,
            limit: page_size(self.limit)?,
        })
    }
}

/// May the resource go although keys are tied to it?
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeleteQuery {
    /// `true` deletes the resource although keys are tied to it. They stay tied, and do nothing there any more.
    #[param(default = false, value_type = Option<bool>)]
    confirm: Option<String>,
}

/// A resource to be added. Fields that are not listed here are refused.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewResource, example = json!({"kind": "collection", "external_id": "contracts", "name": "Contracts"}))]
pub(crate) struct NewResourceBody {
    /// What sort of thing it is: one lower-case word.
    #[schema(pattern = "^[a-z][a-z0-9_-]{0,39}$", example = "collection")]
    kind: String,
    /// What the service that has it calls it: 1 to 200 visible characters.
    #[schema(min_length = 1, max_length = 200, example = "contracts")]
    external_id: String,
    /// What people call it: 0 to 100 characters. Left out or empty: its external id.
    #[serde(default)]
    #[schema(default = "", max_length = 100, example = "Contracts")]
    name: String,
    /// The id of the member whose resource it is. Left out: the caller.
    #[serde(default, deserialize_with = "given")]
    #[schema(schema_with = schemas::resource_owner_given, required = false)]
    owner: Option<UserId>,
}

/// A partial change: a field that is left out stays as it is. Fields that are not listed here are refused.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ResourcePatch, example = json!({"name": "Contracts of 2027"}))]
pub(crate) struct ResourcePatchBody {
    /// A new name: 1 to 100 characters.
    #[serde(default, deserialize_with = "given")]
    #[schema(schema_with = schemas::name_given, required = false)]
    name: Option<String>,
    /// The id of the new owner.
    #[serde(default, deserialize_with = "given")]
    #[schema(schema_with = schemas::resource_owner_given, required = false)]
    owner: Option<UserId>,
}

/// A thing that keys can be tied to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Resource)]
pub(crate) struct ResourceBody {
    /// The resource's id.
    #[schema(value_type = String, example = "res_00S1E8TYPmMQMyNxIYvHyv")]
    id: ResourceId,
    /// What sort of thing it is.
    #[schema(example = "collection")]
    kind: String,
    /// What the service that has it calls it.
    #[schema(example = "contracts")]
    external_id: String,
    /// What people call it.
    #[schema(example = "Contracts")]
    name: String,
    /// Whose it is. Only this person's keys are tied to it, unless an administrator says otherwise.
    owner: UserBody,
    /// When it was made.
    #[schema(schema_with = schemas::created_at)]
    created_at: Moment,
    /// How many keys, not deleted, are tied to it; counted up to a thousand.
    #[schema(minimum = 0, example = 3)]
    keys: i64,
}

impl From<ResourceDetail> for ResourceBody {
    fn from(resource: ResourceDetail) -> Self {
        Self {
            id: resource.id,
            kind: resource.kind,
            external_id: resource.external_id,
            name: resource.name,
            owner: resource.owner.into(),
            created_at: Moment(resource.created_at),
            keys: resource.keys,
        }
    }
}

/// A resource that a key is tied to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KeyResource)]
pub(crate) struct KeyResourceBody {
    /// The resource's id.
    #[schema(value_type = String, example = "res_00S1E8TYPmMQMyNxIYvHyv")]
    id: ResourceId,
    /// What sort of thing it is.
    #[schema(example = "collection")]
    kind: String,
    /// What the service that has it calls it.
    #[schema(example = "contracts")]
    external_id: String,
    /// What people call it.
    #[schema(example = "Contracts")]
    name: String,
    /// Was it deleted? The key stays tied to it and does nothing there.
    deleted: bool,
}

impl From<ResourceSummary> for KeyResourceBody {
    fn from(resource: ResourceSummary) -> Self {
        Self { id: resource.id, kind: resource.kind, external_id: resource.external_id, name: resource.name, deleted: resource.deleted }
    }
}

/// One page of resources.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ResourcePage)]
pub(crate) struct ResourcePageBody {
    /// The resources, by name.
    data: Vec<ResourceBody>,
    /// The `cursor` of the next page; `null` at the end.
    #[schema(required)]
    next: Option<String>,
}

impl From<Page<ResourceDetail>> for ResourcePageBody {
    fn from(page: Page<ResourceDetail>) -> Self {
        Self { data: page.items.into_iter().map(ResourceBody::from).collect(), next: page.next }
    }
}

/// List the resources that you may tie a key to.
///
/// Administrators see every resource of the workspace, others their own. The list is ordered by name and paged by `cursor`.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/resources",
    operation_id = "list_resources",
    tag = "resources",
    params(("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme"), ListQuery),
    responses((status = 200, description = "One page of resources.", body = ResourcePageBody))
)]
pub(crate) async fn list_resources(
    Caller(actor): Caller,
    name: WorkspaceName,
    Query(query): Query<ListQuery>,
    State(state): State<AppState>,
) -> Result<Reply<ResourcePageBody>, ProblemResponse> {
    let filter = query.filter()?;
    let workspace = workspace(&state, &actor, &name).await?;
    Ok(Reply(state.engine.resources.list(&actor, &workspace.id, &filter).await?.into()))
}

/// Add a resource.
///
/// For administrators. Kind and external id together name it in questions, `collection:contracts`; no two resources of a
/// workspace have both the same.
#[utoipa::path(
    post,
    path = "/v1/workspaces/{workspace}/resources",
    operation_id = "create_resource",
    tag = "resources",
    params(("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme")),
    request_body = NewResourceBody,
    responses((status = 201, description = "The resource.", body = ResourceBody, headers(
        ("Location" = String, description = "The resource's address.")
    )))
)]
pub(crate) async fn create_resource(
    Caller(actor): Caller,
    name: WorkspaceName,
    _: Query<NoQuery>,
    State(state): State<AppState>,
    Json(body): Json<NewResourceBody>,
) -> Result<Response, ProblemResponse> {
    let workspace = workspace(&state, &actor, &name).await?;
    let new = NewResource { kind: body.kind, external_id: body.external_id, name: body.name, owner: body.owner };
    let resource = ResourceBody::from(state.engine.resources.create(&actor, &workspace.id, new).await?);
    let address = HeaderValue::from_str(&format!("/v1/workspaces/{}/resources/{}", name.0, resource.id));
    let headers: HeaderMap = address.into_iter().map(|address| (LOCATION, address)).collect();
    Ok((StatusCode::CREATED, headers, Reply(resource)).into_response())
}

/// Read one resource.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/resources/{resource}",
    operation_id = "get_resource",
    tag = "resources",
    params(
        ("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme"),
        ("resource" = String, Path, description = "The resource's id.", example = "res_00S1E8TYPmMQMyNxIYvHyv")
    ),
    responses((status = 200, description = "The resource.", body = ResourceBody))
)]
pub(crate) async fn get_resource(
    Caller(actor): Caller,
    target: ResourceTarget,
    _: Query<NoQuery>,
    State(state): State<AppState>,
) -> Result<Reply<ResourceBody>, ProblemResponse> {
    let workspace = workspace(&state, &actor, &target.workspace).await?;
    Ok(Reply(state.engine.resources.get(&actor, &workspace.id, &target.resource).await?.into()))
}

/// Change a resource's name or owner.
///
/// For administrators. Kind and external id are fixed. Keys that are tied to it stay so, whoever owns it then.
#[utoipa::path(
    patch,
    path = "/v1/workspaces/{workspace}/resources/{resource}",
    operation_id = "update_resource",
    tag = "resources",
    params(
        ("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme"),
        ("resource" = String, Path, description = "The resource's id.", example = "res_00S1E8TYPmMQMyNxIYvHyv")
    ),
    request_body = ResourcePatchBody,
    responses((status = 200, description = "The resource after the change.", body = ResourceBody))
)]
pub(crate) async fn update_resource(
    Caller(actor): Caller,
    target: ResourceTarget,
    _: AnyVersion,
    _: Query<NoQuery>,
    State(state): State<AppState>,
    Json(body): Json<ResourcePatchBody>,
) -> Result<Reply<ResourceBody>, ProblemResponse> {
    let workspace = workspace(&state, &actor, &target.workspace).await?;
    let patch = ResourcePatch { name: body.name, owner: body.owner };
    Ok(Reply(state.engine.resources.update(&actor, &workspace.id, &target.resource, patch).await?.into()))
}

/// Delete a resource.
///
/// For administrators. If keys are tied to it the answer is 409 and names them, unless `confirm=true`. They stay tied to it:
/// a key that is tied to nothing else works for nothing any more, until it is given another resource or none. One that is
/// added later under the same name is another resource.
#[utoipa::path(
    delete,
    path = "/v1/workspaces/{workspace}/resources/{resource}",
    operation_id = "delete_resource",
    tag = "resources",
    params(
        ("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme"),
        ("resource" = String, Path, description = "The resource's id.", example = "res_00S1E8TYPmMQMyNxIYvHyv"),
        DeleteQuery
    ),
    responses((status = 204, description = "The resource is deleted."))
)]
pub(crate) async fn delete_resource(
    Caller(actor): Caller,
    target: ResourceTarget,
    _: AnyVersion,
    Query(query): Query<DeleteQuery>,
    State(state): State<AppState>,
) -> Result<StatusCode, ProblemResponse> {
    let confirmed = flag("confirm", query.confirm.as_deref())?;
    let workspace = workspace(&state, &actor, &target.workspace).await?;
    state.engine.resources.delete(&actor, &workspace.id, &target.resource, confirmed).await?;
    Ok(StatusCode::NO_CONTENT)
}
