//! `/v1/workspaces/{workspace}/left-keys`: the queue of keys of people who left.

use axum::Json as Reply;
use axum::extract::State;
use keyfold_domain::ids::{KeyId, UserId};
use keyfold_domain::key::Page;
use keyfold_domain::member::{LeftKey, LeftKeyDecision, LeftKeys};
use keyfold_domain::policy::Action;
use keyfold_domain::problem::Problem;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::problem::{Json, ProblemResponse};
use crate::rest::caller::{Caller, WorkspaceName};
use crate::rest::headers::AnyVersion;
use crate::rest::keys::bodies::{KeyBody, given};
use crate::rest::members::{limit, place};
use crate::rest::moments::Moment;
use crate::rest::query::Query;
use crate::rest::schemas;
use crate::rest::workspaces::NoQuery;
use crate::state::AppState;

/// Which page of the queue.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct QueueQuery {
    /// Where the page starts: the `next` of the page before.
    cursor: Option<String>,
    /// The most keys of the page.
    #[param(minimum = 1, maximum = 200, default = 50, value_type = Option<u32>)]
    limit: Option<String>,
}

/// A key whose owner left the workspace. It is stopped.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LeftKey)]
pub(crate) struct LeftKeyBody {
    /// The key.
    key: KeyBody,
    /// When its owner left.
    #[schema(schema_with = schemas::created_at)]
    left_at: Moment,
}

/// One page of the queue.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LeftKeyPage)]
pub(crate) struct LeftKeyPageBody {
    /// The keys, the longest there first.
    data: Vec<LeftKeyBody>,
    /// The `cursor` of the next page; `null` at the end.
    #[schema(required)]
    next: Option<String>,
}

impl From<Page<LeftKey>> for LeftKeyPageBody {
    fn from(page: Page<LeftKey>) -> Self {
        let data = page.items.into_iter().map(|left| LeftKeyBody { key: left.key.into(), left_at: Moment(left.left_at) });
        Self { data: data.collect(), next: page.next }
    }
}

/// What shall become of which keys. Fields that are not listed here are refused.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LeftKeyDecision, example = json!({"decision": "reassign", "keys": ["key_00S1E8UZ2m0hmDYpk0bPVq"], "to": "usr_00S1E8TYPmMQMyNxIYvHyv"}))]
pub(crate) struct DecisionBody {
    /// `reassign` gives the keys to another member, `keep` leaves them stopped and takes them out of the queue, `revoke`
    /// deletes them.
    #[schema(example = "reassign", pattern = "^(reassign|keep|revoke)$")]
    decision: String,
    /// The keys.
    #[serde(default, deserialize_with = "given")]
    #[schema(schema_with = schemas::key_ids_given, required = false)]
    keys: Option<Vec<KeyId>>,
    /// All keys of a person.
    #[serde(default, deserialize_with = "given")]
    #[schema(schema_with = schemas::person_given, required = false)]
    person: Option<UserId>,
    /// The new owner.
    #[serde(default, deserialize_with = "given")]
    #[schema(schema_with = schemas::new_owner_given, required = false)]
    to: Option<UserId>,
}

impl DecisionBody {
    fn read(self) -> Result<(LeftKeys, LeftKeyDecision), Problem> {
        let keys = match (self.keys, self.person) {
            (Some(keys), None) => LeftKeys::These(keys),
            (None, Some(person)) => LeftKeys::Of(person),
            _ => return Err(Problem::invalid("keys", "Send either `keys` or `person`.")),
        };
        let decision = match (self.decision.as_str(), self.to) {
            ("reassign", Some(to)) => LeftKeyDecision::Reassign(to),
            ("reassign", None) => return Err(Problem::invalid("to", "Say who shall own the keys from now on.")),
            (_, Some(_)) => return Err(Problem::invalid("to", "Only with `reassign` there is a new owner.")),
            ("keep", None) => LeftKeyDecision::Keep,
            ("revoke", None) => LeftKeyDecision::Revoke,
            _ => return Err(Problem::invalid("decision", "Choose one of reassign, keep, revoke.")),
        };
        Ok((keys, decision))
    }
}

/// How many keys a decision was about.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DecidedKeys)]
pub(crate) struct DecidedBody {
    /// So many keys left the queue.
    #[schema(minimum = 1, example = 1)]
    keys: usize,
}

/// List the keys of people who left.
///
/// For administrators, and for a management key with the scope `members:read` of one of them. These keys are stopped until
/// somebody decides about them or their owner comes back.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/left-keys",
    operation_id = "list_left_keys",
    tag = "members",
    params(("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme"), QueueQuery),
    responses((status = 200, description = "One page of the queue.", body = LeftKeyPageBody))
)]
pub(crate) async fn list_left_keys(
    Caller(actor): Caller,
    name: WorkspaceName,
    Query(query): Query<QueueQuery>,
    State(state): State<AppState>,
) -> Result<Reply<LeftKeyPageBody>, ProblemResponse> {
    let limit = limit(query.limit)?;
    let workspace = place(&state, &actor, &name, Action::ReadMembers).await?;
    Ok(Reply(state.engine.left_keys.list(&actor, &workspace.id, query.cursor.as_deref(), limit).await?.into()))
}

/// Decide about keys of people who left.
///
/// For a session only. All or nothing. A key that is given to another member keeps its id, its secret and its settings, and
/// works from then on. Giving away a management key needs a password given within the last ten minutes.
#[utoipa::path(
    post,
    path = "/v1/workspaces/{workspace}/left-keys",
    operation_id = "decide_left_keys",
    tag = "members",
    params(("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme")),
    request_body = DecisionBody,
    responses((status = 200, description = "How many keys left the queue.", body = DecidedBody))
)]
pub(crate) async fn decide_left_keys(
    Caller(actor): Caller,
    name: WorkspaceName,
    _: AnyVersion,
    _: Query<NoQuery>,
    State(state): State<AppState>,
    Json(body): Json<DecisionBody>,
) -> Result<Reply<DecidedBody>, ProblemResponse> {
    let workspace = place(&state, &actor, &name, Action::ManageMembers).await?;
    let (keys, decision) = body.read()?;
    let keys = state.engine.left_keys.decide(&actor, &workspace.id, keys, decision).await?;
    Ok(Reply(DecidedBody { keys }))
}
