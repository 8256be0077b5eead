//! `/v1/admin/keys`: the keys of every workspace, for administrators of the instance.

use axum::Json as Reply;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::response::Response;
use keyfold_domain::ids::BulkId;
use keyfold_domain::problem::Problem;

use crate::problem::{Json, ProblemResponse};
use crate::rest::batches::bodies::{BatchBody, BatchChoiceBody, BatchPreviewBody, NewBatchBody};
use crate::rest::batches::{ResultsQuery, answer};
use crate::rest::caller::Caller;
use crate::rest::headers::AnyVersion;
use crate::rest::keys::ListQuery;
use crate::rest::keys::bodies::PlacedKeyPageBody;
use crate::rest::query::Query;
use crate::rest::workspaces::NoQuery;
use crate::state::AppState;

/// The act that an address names. A malformed id names nothing.
pub(crate) struct BatchId(BulkId);

impl<S: Send + Sync> FromRequestParts<S> for BatchId {
    type Rejection = ProblemResponse;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ProblemResponse> {
        let Path(id) = Path::<String>::from_request_parts(parts, state).await.map_err(|_| Problem::not_found())?;
        Ok(Self(id.parse().map_err(|_| Problem::not_found())?))
    }
}

/// List the keys of every workspace.
///
/// For administrators of the instance.
#[utoipa::path(
    get,
    path = "/v1/admin/keys",
    operation_id = "list_all_keys",
    tag = "keys",
    params(ListQuery),
    responses((status = 200, description = "One page of keys.", body = PlacedKeyPageBody))
)]
pub(crate) async fn list_all_keys(
    Caller(actor): Caller,
    Query(query): Query<ListQuery>,
    State(state): State<AppState>,
) -> Result<Reply<PlacedKeyPageBody>, ProblemResponse> {
    Ok(Reply(state.engine.keys.list_all(&actor, &query.filter()?).await?.into()))
}

/// Say what an act on many keys of any workspaces would touch.
///
/// For administrators of the instance. Changes nothing.
#[utoipa::path(
    post,
    path = "/v1/admin/keys:preview",
    operation_id = "preview_batch_of_all",
    tag = "keys",
    request_body = BatchChoiceBody,
    responses((status = 200, description = "What the act would touch.", body = BatchPreviewBody))
)]
pub(crate) async fn preview_batch_of_all(
    Caller(actor): Caller,
    _: Query<NoQuery>,
    State(state): State<AppState>,
    Json(body): Json<BatchChoiceBody>,
) -> Result<Reply<BatchPreviewBody>, ProblemResponse> {
    let (act, choice) = body.choice()?;
    Ok(Reply(state.engine.keys.preview_bulk(&actor, None, act, choice).await?.into()))
}

/// Deactivate or delete many keys of any workspaces.
///
/// For administrators of the instance; otherwise like the act in one workspace.
#[utoipa::path(
    post,
    path = "/v1/admin/keys:batch",
    operation_id = "run_batch_of_all",
    tag = "keys",
    request_body = NewBatchBody,
    responses(
        (status = 200, description = "Every key was looked at.", body = BatchBody),
        (status = 202, description = "It goes on in the background.", body = BatchBody,
            headers(("Location" = String, description = "Where to ask how far it came.")))
    )
)]
pub(crate) async fn run_batch_of_all(
    Caller(actor): Caller,
    _: AnyVersion,
    _: Query<NoQuery>,
    State(state): State<AppState>,
    Json(body): Json<NewBatchBody>,
) -> Result<Response, ProblemResponse> {
    let (act, choice, expected) = body.wanted()?;
    let report = state.engine.keys.run_bulk(&actor, None, act, choice, expected).await?;
    Ok(answer(report.into(), "/v1/admin"))
}

/// Ask how far an act on many keys of any workspaces came.
///
/// For administrators of the instance. Kept for 90 days.
#[utoipa::path(
    get,
    path = "/v1/admin/batches/{batch}",
    operation_id = "get_batch_of_all",
    tag = "keys",
    params(("batch" = String, Path, description = "The act's id.", example = "blk_00S1E8UZ2m0hmDYpk0bPVq"), ResultsQuery),
    responses((status = 200, description = "The act and a page of its results.", body = BatchBody))
)]
pub(crate) async fn get_batch_of_all(
    Caller(actor): Caller,
    BatchId(id): BatchId,
    Query(query): Query<ResultsQuery>,
    State(state): State<AppState>,
) -> Result<Reply<BatchBody>, ProblemResponse> {
    let after = query.after()?;
    Ok(Reply(state.engine.keys.find_bulk(&actor, None, &id, after).await?.into()))
}
