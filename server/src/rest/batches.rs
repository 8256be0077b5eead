//! `…/keys:batch` and `…/batches/{id}`: one act on many keys, and what became of each.

use axum::Json as Reply;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::header::LOCATION;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use keyfold_domain::ids::BulkId;
use keyfold_domain::problem::Problem;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::problem::{Json, ProblemResponse};
use crate::rest::caller::{Caller, WorkspaceName};
use crate::rest::headers::AnyVersion;
use crate::rest::query::Query;
use crate::rest::workspaces::NoQuery;
use crate::state::AppState;

pub(crate) mod bodies;

use bodies::{BatchBody, BatchChoiceBody, BatchPreviewBody, NewBatchBody};

/// Which results of an act.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ResultsQuery {
    /// Where the page of results starts: the `next` of the page before.
    cursor: Option<String>,
}

impl ResultsQuery {
    /// The number of the last result that was seen.
    pub(crate) fn after(&self) -> Result<i64, Problem> {
        let wrong = || Problem::invalid("cursor", "This cursor does not belong to these results. Start again without it.");
        self.cursor.as_deref().map_or(Ok(0), |text| text.parse().ok().filter(|seq| *seq >= 0).ok_or_else(wrong))
    }
}

/// The workspace and the act that an address names. A malformed id names nothing.
pub(crate) struct BatchName {
    workspace: WorkspaceName,
    id: BulkId,
}

impl<S: Send + Sync> FromRequestParts<S> for BatchName {
    type Rejection = ProblemResponse;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ProblemResponse> {
        let Path((workspace, id)) = Path::<(String, String)>::from_request_parts(parts, state).await.map_err(|_| Problem::not_found())?;
        Ok(Self { workspace: WorkspaceName::read(workspace)?, id: id.parse().map_err(|_| Problem::not_found())? })
    }
}

/// An act as it is answered: done already, or going on at an address.
pub(crate) fn answer(batch: BatchBody, place: &str) -> Response {
    if !batch.is_running() {
        return Reply(batch).into_response();
    }
    let address = HeaderValue::from_str(&format!("{place}/batches/{}", batch.id()));
    let mut response = (StatusCode::ACCEPTED, Reply(batch)).into_response();
    if let Ok(address) = address {
        response.headers_mut().insert(LOCATION, address);
    }
    response
}

/// Say what an act on many keys would touch.
///
/// Changes nothing.
#[utoipa::path(
    post,
    path = "/v1/workspaces/{workspace}/keys:preview",
    operation_id = "preview_batch",
    tag = "keys",
    params(("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme")),
    request_body = BatchChoiceBody,
    responses((status = 200, description = "What the act would touch.", body = BatchPreviewBody))
)]
pub(crate) async fn preview_batch(
    Caller(actor): Caller,
    name: WorkspaceName,
    _: Query<NoQuery>,
    State(state): State<AppState>,
    Json(body): Json<BatchChoiceBody>,
) -> Result<Reply<BatchPreviewBody>, ProblemResponse> {
    let (act, choice) = body.choice()?;
    let workspace = state.engine.workspaces.get(&actor, &name.0).await?;
    Ok(Reply(state.engine.keys.preview_bulk(&actor, Some(&workspace.id), act, choice).await?.into()))
}

/// Deactivate or delete many keys.
///
/// With `ids` (at most 200) everything is done in one transaction, or nothing: one id that names no key of yours is
/// answered with 404. With a `filter` every key is taken that matches and was made before the start; `expected` is how many
/// you expect, and any other number is answered with 409. More than 200 go on in the background: the answer is then 202, and
/// `Location` says where to ask.
#[utoipa::path(
    post,
    path = "/v1/workspaces/{workspace}/keys:batch",
    operation_id = "run_batch",
    tag = "keys",
    params(("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme")),
    request_body = NewBatchBody,
    responses(
        (status = 200, description = "Every key was looked at.", body = BatchBody),
        (status = 202, description = "It goes on in the background.", body = BatchBody,
            headers(("Location" = String, description = "Where to ask how far it came.")))
    )
)]
pub(crate) async fn run_batch(
    Caller(actor): Caller,
    name: WorkspaceName,
    _: AnyVersion,
    _: Query<NoQuery>,
    State(state): State<AppState>,
    Json(body): Json<NewBatchBody>,
) -> Result<Response, ProblemResponse> {
    let (act, choice, expected) = body.wanted()?;
    let workspace = state.engine.workspaces.get(&actor, &name.0).await?;
    let report = state.engine.keys.run_bulk(&actor, Some(&workspace.id), act, choice, expected).await?;
    Ok(answer(report.into(), &format!("/v1/workspaces/{}", name.0)))
}

/// Ask how far an act on many keys came.
///
/// For whoever started it and for administrators. Kept for 90 days.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/batches/{batch}",
    operation_id = "get_batch",
    tag = "keys",
    params(
        ("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme"),
        ("batch" = String, Path, description = "The act's id.", example = "blk_00S1E8UZ2m0hmDYpk0bPVq"),
        ResultsQuery
    ),
    responses((status = 200, description = "The act and a page of its results.", body = BatchBody))
)]
pub(crate) async fn get_batch(
    Caller(actor): Caller,
    name: BatchName,
    Query(query): Query<ResultsQuery>,
    State(state): State<AppState>,
) -> Result<Reply<BatchBody>, ProblemResponse> {
    let after = query.after()?;
    let workspace = state.engine.workspaces.get(&actor, &name.workspace.0).await?;
    Ok(Reply(state.engine.keys.find_bulk(&actor, Some(&workspace.id), &name.id, after).await?.into()))
}
