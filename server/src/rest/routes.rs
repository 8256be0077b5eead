//! `/v1/workspaces/{workspace}/routes`: what requests to services behind a proxy need.

use axum::Json as Reply;
use axum::extract::State;
use axum::http::header::ETAG;
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use keyfold_domain::route::presets::PRESETS;

use crate::problem::{Json, ProblemResponse};
use crate::rest::caller::{Caller, VersionName, WorkspaceName};
use crate::rest::headers::IfMatch;
use crate::rest::keys::workspace;
use crate::rest::query::Query;
use crate::rest::workspaces::NoQuery;
use crate::state::AppState;

mod bodies;

use bodies::{
    ImportBody, ImportedBody, NewRouteMapBody, PresetBody, PresetPageBody, RouteMapBody, TestBody, TrialBody, VersionBody, VersionPageBody,
    Wanted,
};

fn tag(version: i64) -> [(HeaderName, HeaderValue); 1] {
    [(ETAG, HeaderValue::from_str(&format!("\"{version}\"")).unwrap_or_else(|_| HeaderValue::from_static("\"\"")))]
}

/// Read the rules.
///
/// The first rule that fits a request decides. A request that none fits is refused.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/routes",
    operation_id = "get_routes",
    tag = "routes",
    params(("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme")),
    responses((status = 200, description = "The rules in force.", body = RouteMapBody, headers(("ETag" = String, description = "The rules' version in double quotes."))))
)]
pub(crate) async fn get_routes(
    Caller(actor): Caller,
    name: WorkspaceName,
    _: Query<NoQuery>,
    State(state): State<AppState>,
) -> Result<Response, ProblemResponse> {
    let workspace = workspace(&state, &actor, &name).await?;
    let detail = state.engine.routes.get(&actor, &workspace.id).await?;
    Ok((tag(detail.version()), Reply(RouteMapBody::from(detail))).into_response())
}

/// Put rules in force.
///
/// For administrators in a session. No key can do it: it could give itself more by what a path asks for. The rules take the
/// place of all present ones, from the next request on. Send the version the change was made from as `If-Match`, or `"0"`
/// where there are no rules yet.
#[utoipa::path(
    put,
    path = "/v1/workspaces/{workspace}/routes",
    operation_id = "update_routes",
    tag = "routes",
    params(
        ("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme"),
        ("If-Match" = Option<String>, Header, nullable = false, pattern = "^(\\*|\"[0-9]+\")$", description = "The version the change was made from, as the rules' ETag shows it.")
    ),
    request_body = NewRouteMapBody,
    responses((status = 200, description = "The rules as they are now in force.", body = RouteMapBody, headers(("ETag" = String, description = "The rules' version in double quotes."))))
)]
pub(crate) async fn update_routes(
    Caller(actor): Caller,
    name: WorkspaceName,
    IfMatch(version): IfMatch,
    _: Query<NoQuery>,
    State(state): State<AppState>,
    Json(body): Json<NewRouteMapBody>,
) -> Result<Response, ProblemResponse> {
    let place = state.engine.workspaces.get_id(&actor, &name.0).await?;
    let routes = &state.engine.routes;
    let saved = match body.wanted()? {
        Wanted::Map(map, source) => routes.replace(&actor, &place, map, source, version).await,
        Wanted::Version(former) => routes.revert(&actor, &place, former, version).await,
    };
    match saved {
        Ok(detail) => Ok((tag(detail.version()), Reply(RouteMapBody::from(detail))).into_response()),
        Err(error) => {
            let problem = ProblemResponse::stale(error)?;
            let current = routes.get(&actor, &place).await?;
            Ok((tag(current.version()), problem.with_current(&RouteMapBody::from(current))).into_response())
        }
    }
}

/// List the versions of the rules.
///
/// The newest, which is in force, first. The last 100 are kept.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/routes/versions",
    operation_id = "list_route_versions",
    tag = "routes",
    params(("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme")),
    responses((status = 200, description = "The versions.", body = VersionPageBody))
)]
pub(crate) async fn list_route_versions(
    Caller(actor): Caller,
    name: WorkspaceName,
    _: Query<NoQuery>,
    State(state): State<AppState>,
) -> Result<Reply<VersionPageBody>, ProblemResponse> {
    let workspace = workspace(&state, &actor, &name).await?;
    let versions = state.engine.routes.versions(&actor, &workspace.id).await?;
    Ok(Reply(VersionPageBody { data: versions.into_iter().map(VersionBody::from).collect(), next: None }))
}

/// Read a version of the rules.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/routes/versions/{version}",
    operation_id = "get_route_version",
    tag = "routes",
    params(
        ("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme"),
        ("version" = i64, Path, description = "The version's number.", example = 1)
    ),
    responses((status = 200, description = "The rules of that version.", body = RouteMapBody))
)]
pub(crate) async fn get_route_version(
    Caller(actor): Caller,
    target: VersionName,
    _: Query<NoQuery>,
    State(state): State<AppState>,
) -> Result<Reply<RouteMapBody>, ProblemResponse> {
    let workspace = workspace(&state, &actor, &target.workspace).await?;
    Ok(Reply(state.engine.routes.get_version(&actor, &workspace.id, target.version).await?.into()))
}

/// List the presets.
///
/// Rules for platforms that come with Keyfold. Put one in force by its name with `PUT …/routes`.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/routes/presets",
    operation_id = "list_route_presets",
    tag = "routes",
    params(("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme")),
    responses((status = 200, description = "The presets with their rules.", body = PresetPageBody))
)]
pub(crate) async fn list_route_presets(
    Caller(actor): Caller,
    name: WorkspaceName,
    _: Query<NoQuery>,
    State(state): State<AppState>,
) -> Result<Reply<PresetPageBody>, ProblemResponse> {
    workspace(&state, &actor, &name).await?;
    Ok(Reply(PresetPageBody { data: PRESETS.iter().map(PresetBody::from).collect(), next: None }))
}

/// Try a request on the rules.
///
/// Says which rule decides and why the ones before it did not fit, and with the id of a key what that key would be answered.
/// Counts nothing and needs no secret.
#[utoipa::path(
    post,
    path = "/v1/workspaces/{workspace}/routes:test",
    operation_id = "test_routes",
    tag = "routes",
    params(("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme")),
    request_body = TestBody,
    responses((status = 200, description = "What comes of the request.", body = TrialBody))
)]
pub(crate) async fn test_routes(
    Caller(actor): Caller,
    name: WorkspaceName,
    _: Query<NoQuery>,
    State(state): State<AppState>,
    Json(body): Json<TestBody>,
) -> Result<Reply<TrialBody>, ProblemResponse> {
    let workspace = workspace(&state, &actor, &name).await?;
    Ok(Reply(state.engine.routes.test(&actor, &workspace.id, &body.into()).await?.into()))
}

/// See the rules that an OpenAPI document makes.
///
/// For administrators in a session. Saves nothing: look at the rules, change them if you like, and send them with
/// `PUT …/routes`. The body may be up to 3 MiB.
#[utoipa::path(
    post,
    path = "/v1/workspaces/{workspace}/routes:import",
    operation_id = "import_routes",
    tag = "routes",
    params(("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme")),
    request_body = ImportBody,
    responses((status = 200, description = "The rules.", body = ImportedBody))
)]
pub(crate) async fn import_routes(
    Caller(actor): Caller,
    name: WorkspaceName,
    _: Query<NoQuery>,
    State(state): State<AppState>,
    Json(body): Json<ImportBody>,
) -> Result<Reply<ImportedBody>, ProblemResponse> {
    let place = state.engine.workspaces.get_id(&actor, &name.0).await?;
    let (document, choices) = body.parts();
    Ok(Reply(state.engine.routes.import(&actor, &place, &document, &choices).await?.into()))
}
