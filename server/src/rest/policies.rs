//! `/v1/workspaces/{workspace}/policy` and `/v1/admin/policy`: the rules for keys.

use axum::Json as Reply;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::ETAG;
use axum::response::{IntoResponse, Response};
use keyfold_domain::ids::WorkspaceId;
use keyfold_domain::key::{DEFAULT_PAGE, MAX_PAGE};
use keyfold_domain::policy::Actor;
use keyfold_domain::policy_limits::{ExistingKeys, KeyPolicy, PolicyChange, PolicyDetail, PolicyPreview, Shortened};
use keyfold_domain::problem::Problem;
use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::problem::{Json, ProblemResponse};
use crate::rest::caller::{Caller, WorkspaceName};
use crate::rest::headers::{AnyVersion, IfMatch};
use crate::rest::keys::bodies::KeyBody;
use crate::rest::moments::Moment;
use crate::rest::query::Query;
use crate::rest::schemas;
use crate::rest::workspaces::{KeyPolicyBody, NoQuery};
use crate::state::AppState;

/// Reads a field that must be there and may be `null`.
fn nullable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    Option::deserialize(deserializer)
}

/// Reads a choice that is there; `null` is none.
fn choice<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ExistingKeys>, D::Error> {
    let name = String::deserialize(deserializer)?;
    ExistingKeys::from_name(&name).map(Some).ok_or_else(|| D::Error::invalid_value(Unexpected::Str(&name), &"keep or shorten"))
}

/// Rules for keys, all of them. Fields that are not listed here are refused, and none may be left out.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Rules, example = json!({"max_expiry_days": 365, "default_expiry_days": 90, "default_inactivity_days": null, "never_allowed": false, "members_may_create": true, "max_live_per_user": 500, "max_live_per_workspace": 10000}))]
pub(crate) struct RulesBody {
    /// The longest life of a key in days; `null` for no bound.
    #[serde(deserialize_with = "nullable")]
    #[schema(schema_with = schemas::rule_days, required)]
    max_expiry_days: Option<u32>,
    /// The life of a key whose creator names none, in days; `null` for the longest allowed.
    #[serde(deserialize_with = "nullable")]
    #[schema(schema_with = schemas::rule_days, required)]
    default_expiry_days: Option<u32>,
    /// The inactivity interval of a key whose creator says nothing of it, in days; `null` for none.
    #[serde(deserialize_with = "nullable")]
    #[schema(schema_with = schemas::rule_days, required)]
    default_inactivity_days: Option<u32>,
    /// May a key live for ever? Never in effect under a longest life.
    never_allowed: bool,
    /// May members create keys, and not only administrators?
    members_may_create: bool,
    /// The most keys, not deleted, that one user may have in a workspace.
    #[schema(minimum = 1, maximum = 1_000_000, example = 500)]
    max_live_per_user: u32,
    /// The most keys, not deleted, in a workspace.
    #[schema(minimum = 1, maximum = 1_000_000, example = 10_000)]
    max_live_per_workspace: u32,
}

impl From<RulesBody> for KeyPolicy {
    fn from(body: RulesBody) -> Self {
        Self {
            max_expiry_days: body.max_expiry_days,
            default_expiry_days: body.default_expiry_days,
            default_inactivity_days: body.default_inactivity_days,
            never_allowed: body.never_allowed,
            members_may_create: body.members_may_create,
            max_live_per_user: body.max_live_per_user,
            max_live_per_workspace: body.max_live_per_workspace,
        }
    }
}

impl From<KeyPolicy> for RulesBody {
    fn from(policy: KeyPolicy) -> Self {
        Self {
            max_expiry_days: policy.max_expiry_days,
            default_expiry_days: policy.default_expiry_days,
            default_inactivity_days: policy.default_inactivity_days,
            never_allowed: policy.never_allowed,
            members_may_create: policy.members_may_create,
            max_live_per_user: policy.max_live_per_user,
            max_live_per_workspace: policy.max_live_per_workspace,
        }
    }
}

/// Rules to be saved. Fields that are not listed here are refused.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewPolicy)]
pub(crate) struct NewPolicyBody {
    /// The rules, all of them.
    rules: RulesBody,
    /// What becomes of keys that live longer than the rules allow.
    #[serde(default, deserialize_with = "choice")]
    #[schema(schema_with = schemas::existing_keys, required = false)]
    existing_keys: Option<ExistingKeys>,
}

/// Rules as they stand.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Policy)]
pub(crate) struct PolicyBody {
    /// What was saved here.
    rules: RulesBody,
    /// What the instance allows its workspaces.
    instance: KeyPolicyBody,
    /// What holds: the stricter of both.
    in_force: KeyPolicyBody,
    /// Grows with every change of the rules; the `ETag` in quotes.
    #[schema(minimum = 1, example = 1)]
    version: i64,
}

impl From<PolicyDetail> for PolicyBody {
    fn from(policy: PolicyDetail) -> Self {
        Self { rules: policy.own.into(), instance: policy.instance.into(), in_force: policy.in_force.into(), version: policy.version }
    }
}

/// What a round of bringing keys down has done.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Shortened)]
pub(crate) struct ShortenedBody {
    /// So many keys got a new end in this round.
    #[schema(minimum = 0, example = 12)]
    shortened: i64,
    /// So many keys live longer than the rules in force allow. Send `POST …/policy/apply` to go on.
    #[schema(minimum = 0, example = 0)]
    remaining: i64,
}

impl From<Shortened> for ShortenedBody {
    fn from(done: Shortened) -> Self {
        Self { shortened: done.shortened, remaining: done.remaining }
    }
}

/// Rules after they were saved.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SavedPolicy)]
pub(crate) struct SavedPolicyBody {
    /// The rules.
    #[serde(flatten)]
    policy: PolicyBody,
    /// What became of existing keys.
    existing: ShortenedBody,
}

/// Whom rules would concern.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PolicyPreview)]
pub(crate) struct PolicyPreviewBody {
    /// How many keys live longer than these rules allow.
    #[schema(minimum = 0, example = 3)]
    affected: i64,
    /// The end they get if they are brought down now; `null` if the rules name none.
    #[schema(schema_with = schemas::optional_moment, required)]
    brought_down_to: Option<Moment>,
    /// Those keys: those that never end first, then those that live longest.
    data: Vec<KeyBody>,
    /// The `cursor` of the next page; `null` at the end.
    #[schema(required)]
    next: Option<String>,
}

impl From<PolicyPreview> for PolicyPreviewBody {
    fn from(preview: PolicyPreview) -> Self {
        Self {
            affected: preview.affected,
            brought_down_to: preview.brought_down_to.map(Moment),
            data: preview.keys.items.into_iter().map(KeyBody::from).collect(),
            next: preview.keys.next,
        }
    }
}

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// Where the page starts: the `next` of the page before, with the same rules.
    cursor: Option<String>,
    /// The most keys of the page.
    #[param(minimum = 1, maximum = 200, default = 50, value_type = Option<u32>)]
    limit: Option<String>,
}

impl PageQuery {
    fn limit(&self) -> Result<u32, Problem> {
        let wrong = || Problem::invalid("limit", format!("Choose 1 to {MAX_PAGE}."));
        let read = |text: &String| text.parse().ok().filter(|limit| (1..=MAX_PAGE).contains(limit)).ok_or_else(wrong);
        self.limit.as_ref().map_or(Ok(DEFAULT_PAGE), read)
    }
}

fn tag(version: i64) -> [(axum::http::HeaderName, HeaderValue); 1] {
    [(ETAG, HeaderValue::from_str(&format!("\"{version}\"")).unwrap_or_else(|_| HeaderValue::from_static("\"\"")))]
}

async fn read(state: &AppState, actor: &Actor, workspace: Option<&WorkspaceId>) -> Result<Response, ProblemResponse> {
    let policy = state.engine.policies.get(actor, workspace).await?;
    Ok((tag(policy.version), Reply(PolicyBody::from(policy))).into_response())
}

async fn save(
    state: &AppState,
    actor: &Actor,
    workspace: Option<&WorkspaceId>,
    version: Option<i64>,
    body: NewPolicyBody,
) -> Result<Response, ProblemResponse> {
    let change = PolicyChange { policy: body.rules.into(), version, existing: body.existing_keys };
    match state.engine.policies.update(actor, workspace, change).await {
        Ok((policy, existing)) => {
            Ok((tag(policy.version), Reply(SavedPolicyBody { policy: policy.into(), existing: existing.into() })).into_response())
        }
        Err(error) => {
            let problem = ProblemResponse::stale(error)?;
            let current = state.engine.policies.get(actor, workspace).await?;
            Ok((tag(current.version), problem.with_current(&PolicyBody::from(current))).into_response())
        }
    }
}

async fn look(
    state: &AppState,
    actor: &Actor,
    workspace: Option<&WorkspaceId>,
    query: PageQuery,
    rules: RulesBody,
) -> Result<Reply<PolicyPreviewBody>, ProblemResponse> {
    let limit = query.limit()?;
    let preview = state.engine.policies.preview(actor, workspace, rules.into(), query.cursor.as_deref(), limit).await?;
    Ok(Reply(preview.into()))
}

/// Read the rules for a workspace's keys.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/policy",
    operation_id = "get_policy",
    tag = "policy",
    params(("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme")),
    responses((status = 200, description = "The rules.", body = PolicyBody, headers(("ETag" = String, description = "The rules' version in double quotes."))))
)]
pub(crate) async fn get_policy(
    Caller(actor): Caller,
    WorkspaceName(name): WorkspaceName,
    _: Query<NoQuery>,
    State(state): State<AppState>,
) -> Result<Response, ProblemResponse> {
    let workspace = state.engine.workspaces.get_id(&actor, &name).await?;
    read(&state, &actor, Some(&workspace)).await
}

/// Save the rules for a workspace's keys.
///
/// For administrators in a session; no key may. Where a bound is lowered and keys live longer than it allows, `existing_keys` must say what
/// becomes of them (400 otherwise; see the preview). With `shorten` a first round brings up to two thousand keys down, each
/// with its audit event; `existing.remaining` tells how many are left for `POST …/policy/apply`.
#[utoipa::path(
    put,
    path = "/v1/workspaces/{workspace}/policy",
    operation_id = "update_policy",
    tag = "policy",
    params(
        ("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme"),
        ("If-Match" = Option<String>, Header, nullable = false, pattern = "^(\\*|\"[0-9]+\")$", description = "The version the change was made from, as the rules' ETag shows it.")
    ),
    request_body = NewPolicyBody,
    responses((status = 200, description = "The rules after the change.", body = SavedPolicyBody, headers(("ETag" = String, description = "The rules' version in double quotes."))))
)]
pub(crate) async fn update_policy(
    Caller(actor): Caller,
    WorkspaceName(name): WorkspaceName,
    IfMatch(version): IfMatch,
    _: Query<NoQuery>,
    State(state): State<AppState>,
    Json(body): Json<NewPolicyBody>,
) -> Result<Response, ProblemResponse> {
    let workspace = state.engine.workspaces.get_id(&actor, &name).await?;
    save(&state, &actor, Some(&workspace), version, body).await
}

/// See whom new rules would concern.
///
/// Counts and lists the keys that live longer than these rules, together with the instance's, allow. Changes nothing.
#[utoipa::path(
    post,
    path = "/v1/workspaces/{workspace}/policy/preview",
    operation_id = "preview_policy",
    tag = "policy",
    params(("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme"), PageQuery),
    request_body = RulesBody,
    responses((status = 200, description = "Whom the rules would concern.", body = PolicyPreviewBody))
)]
pub(crate) async fn preview_policy(
    Caller(actor): Caller,
    WorkspaceName(name): WorkspaceName,
    _: AnyVersion,
    Query(query): Query<PageQuery>,
    State(state): State<AppState>,
    Json(rules): Json<RulesBody>,
) -> Result<Reply<PolicyPreviewBody>, ProblemResponse> {
    let workspace = state.engine.workspaces.get_id(&actor, &name).await?;
    look(&state, &actor, Some(&workspace), query, rules).await
}

/// Bring keys down to the rules in force.
///
/// One round: up to two thousand keys that live longer than the rules allow get the latest end that they allow. Send it again
/// until `remaining` is 0.
#[utoipa::path(
    post,
    path = "/v1/workspaces/{workspace}/policy/apply",
    operation_id = "apply_policy",
    tag = "policy",
    params(("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme")),
    responses((status = 200, description = "What this round has done.", body = ShortenedBody))
)]
pub(crate) async fn apply_policy(
    Caller(actor): Caller,
    WorkspaceName(name): WorkspaceName,
    _: AnyVersion,
    _: Query<NoQuery>,
    State(state): State<AppState>,
) -> Result<Reply<ShortenedBody>, ProblemResponse> {
    let workspace = state.engine.workspaces.get_id(&actor, &name).await?;
    Ok(Reply(state.engine.policies.shorten(&actor, Some(&workspace)).await?.into()))
}

/// Read the rules for the keys of the whole instance.
///
/// For instance administrators.
#[utoipa::path(
    get,
    path = "/v1/admin/policy",
    operation_id = "get_instance_policy",
    tag = "policy",
    responses((status = 200, description = "The rules.", body = PolicyBody, headers(("ETag" = String, description = "The rules' version in double quotes."))))
)]
pub(crate) async fn get_instance_policy(
    Caller(actor): Caller,
    _: Query<NoQuery>,
    State(state): State<AppState>,
) -> Result<Response, ProblemResponse> {
    read(&state, &actor, None).await
}

/// Save the rules for the keys of the whole instance.
///
/// As for a workspace; they bound every workspace's own rules.
#[utoipa::path(
    put,
    path = "/v1/admin/policy",
    operation_id = "update_instance_policy",
    tag = "policy",
    params(
        ("If-Match" = Option<String>, Header, nullable = false, pattern = "^(\\*|\"[0-9]+\")$", description = "The version the change was made from, as the rules' ETag shows it.")
    ),
    request_body = NewPolicyBody,
    responses((status = 200, description = "The rules after the change.", body = SavedPolicyBody, headers(("ETag" = String, description = "The rules' version in double quotes."))))
)]
pub(crate) async fn update_instance_policy(
    Caller(actor): Caller,
    IfMatch(version): IfMatch,
    _: Query<NoQuery>,
    State(state): State<AppState>,
    Json(body): Json<NewPolicyBody>,
) -> Result<Response, ProblemResponse> {
    save(&state, &actor, None, version, body).await
}

/// See whom new rules of the instance would concern.
///
/// Counts and lists the keys of all workspaces that live longer than these rules allow. Changes nothing.
#[utoipa::path(
    post,
    path = "/v1/admin/policy/preview",
    operation_id = "preview_instance_policy",
    tag = "policy",
    params(PageQuery),
    request_body = RulesBody,
    responses((status = 200, description = "Whom the rules would concern.", body = PolicyPreviewBody))
)]
pub(crate) async fn preview_instance_policy(
    Caller(actor): Caller,
    _: AnyVersion,
    Query(query): Query<PageQuery>,
    State(state): State<AppState>,
    Json(rules): Json<RulesBody>,
) -> Result<Reply<PolicyPreviewBody>, ProblemResponse> {
    look(&state, &actor, None, query, rules).await
}

/// Bring the keys of all workspaces down to the rules in force.
///
/// One round, as for a workspace.
#[utoipa::path(
    post,
    path = "/v1/admin/policy/apply",
    operation_id = "apply_instance_policy",
    tag = "policy",
    responses((status = 200, description = "What this round has done.", body = ShortenedBody))
)]
pub(crate) async fn apply_instance_policy(
    Caller(actor): Caller,
    _: AnyVersion,
    _: Query<NoQuery>,
    State(state): State<AppState>,
) -> Result<Reply<ShortenedBody>, ProblemResponse> {
    Ok(Reply(state.engine.policies.shorten(&actor, None).await?.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"{"max_expiry_days":30,"default_expiry_days":null,"default_inactivity_days":null,"never_allowed":true,"members_may_create":true,"max_live_per_user":1,"max_live_per_workspace":2}"#;

    #[test]
    fn rules_are_sent_whole_so_that_nothing_is_loosened_by_silence() {
        let read = |text: &str| serde_json::from_str::<RulesBody>(text);
        let policy = KeyPolicy::from(read(WHOLE).unwrap());
        assert_eq!((policy.max_expiry_days, policy.default_expiry_days), (Some(30), None));
        let whole: serde_json::Map<String, serde_json::Value> = serde_json::from_str(WHOLE).unwrap();
        for field in whole.keys() {
            let mut less = whole.clone();
            less.remove(field);
            assert!(read(&serde_json::to_string(&less).unwrap()).is_err(), "{field} left out");
        }
        assert!(read(&WHOLE.replace("30", "-1")).is_err());
        assert!(read(&WHOLE.replace('{', r#"{"role":"owner","#)).is_err());
    }

    #[test]
    fn what_becomes_of_existing_keys_is_a_word_or_absent() {
        let read =
            |rest: &str| serde_json::from_str::<NewPolicyBody>(&format!(r#"{{"rules":{WHOLE}{rest}}}"#)).map(|body| body.existing_keys);
        assert_eq!(read("").unwrap(), None);
        assert_eq!(read(r#","existing_keys":"shorten""#).unwrap(), Some(ExistingKeys::Shorten));
        assert!(read(r#","existing_keys":null"#).is_err());
        assert!(read(r#","existing_keys":"delete""#).is_err());
    }
}
