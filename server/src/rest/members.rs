//! `/v1/workspaces/{workspace}/members`: who belongs to a workspace.

use axum::Json as Reply;
use axum::extract::State;
use axum::http::StatusCode;
use keyfold_domain::ids::UserId;
use keyfold_domain::key::{DEFAULT_PAGE, MAX_PAGE, Page};
use keyfold_domain::member::MemberSummary;
use keyfold_domain::policy::{Action, Actor};
use keyfold_domain::problem::Problem;
use keyfold_domain::user::PeopleFilter;
use keyfold_domain::workspace::{Role, WorkspaceSummary};
use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::problem::{Json, ProblemResponse};
use crate::rest::caller::{Caller, MemberName, WorkspaceName};
use crate::rest::headers::AnyVersion;
use crate::rest::keys::bodies::UserBody;
use crate::rest::keys::limits::{self, LimitBody};
use crate::rest::moments::Moment;
use crate::rest::query::Query;
use crate::rest::schemas;
use crate::rest::workspaces::NoQuery;
use crate::state::AppState;

/// Which page of which people.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PeopleQuery {
    /// Part of a name or an address.
    search: Option<String>,
    /// Where the page starts: the `next` of the page before, with all other parameters the same.
    cursor: Option<String>,
    /// The most rows of the page.
    #[param(minimum = 1, maximum = 200, default = 50, value_type = Option<u32>)]
    limit: Option<String>,
}

impl PeopleQuery {
    pub(crate) fn filter(self) -> Result<PeopleFilter, Problem> {
        Ok(PeopleFilter { search: self.search.unwrap_or_default(), cursor: self.cursor, limit: limit(self.limit)? })
    }
}

/// How many rows a page shall have.
pub(crate) fn limit(text: Option<String>) -> Result<u32, Problem> {
    let read = |text: String| text.parse().ok().filter(|limit| (1..=MAX_PAGE).contains(limit));
    match text {
        None => Ok(DEFAULT_PAGE),
        Some(text) => read(text).ok_or_else(|| Problem::invalid("limit", format!("Choose 1 to {MAX_PAGE}."))),
    }
}

/// Reads a role from a text. (A derived reader takes a `null` for broken JSON.)
pub(crate) fn role<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Role, D::Error> {
    let name = String::deserialize(deserializer)?;
    Role::from_name(&name).ok_or_else(|| D::Error::invalid_value(Unexpected::Str(&name), &"viewer, member, admin or owner"))
}

/// The workspace of an act on its people, if the policy lets the caller do it there.
pub(crate) async fn place(
    state: &AppState,
    actor: &Actor,
    name: &WorkspaceName,
    action: Action,
) -> Result<WorkspaceSummary, ProblemResponse> {
    Ok(state.engine.workspaces.find(actor, &name.0, action).await?)
}

/// A person in a workspace.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Member)]
pub(crate) struct MemberBody {
    /// The person.
    user: UserBody,
    /// Where to reach them.
    #[schema(example = "ada@example.com")]
    email: String,
    /// What they are in the workspace.
    #[schema(schema_with = schemas::role)]
    role: Role,
    /// `false` of a user who was disabled on this instance.
    active: bool,
    /// Since when they belong to it.
    #[schema(schema_with = schemas::created_at)]
    since: Moment,
    /// How many keys, not deleted, they own in it.
    #[schema(minimum = 0, example = 3)]
    live_keys: i64,
    /// How often all of their keys in the workspace together may be used; empty for as often as wanted.
    limits: Vec<LimitBody>,
}

impl From<MemberSummary> for MemberBody {
    fn from(member: MemberSummary) -> Self {
        Self {
            user: member.user.into(),
            email: member.email,
            role: member.role,
            active: member.active,
            since: Moment(member.since),
            live_keys: member.live_keys,
            limits: limits::shown(member.limits),
        }
    }
}

/// One page of members.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MemberPage)]
pub(crate) struct MemberPageBody {
    /// The members, by username.
    data: Vec<MemberBody>,
    /// The `cursor` of the next page; `null` at the end.
    #[schema(required)]
    next: Option<String>,
}

impl From<Page<MemberSummary>> for MemberPageBody {
    fn from(page: Page<MemberSummary>) -> Self {
        Self { data: page.items.into_iter().map(MemberBody::from).collect(), next: page.next }
    }
}

/// Who shall belong to the workspace. Fields that are not listed here are refused.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewMember, example = json!({"user": "ada", "role": "member"}))]
pub(crate) struct NewMemberBody {
    /// The id of a user, or the username.
    #[schema(example = "ada", min_length = 1)]
    user: String,
    /// What they shall be.
    #[serde(deserialize_with = "role")]
    #[schema(schema_with = schemas::role)]
    role: Role,
}

/// What a member shall be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MemberPatch, example = json!({"role": "admin"}))]
pub(crate) struct MemberPatchBody {
    /// The new role.
    #[serde(deserialize_with = "role")]
    #[schema(schema_with = schemas::role)]
    role: Role,
}

/// How often all keys of a member together may be used.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MemberLimits, example = json!({"limits": [{"name": "daily", "limit": 10000, "quota": "day"}]}))]
pub(crate) struct MemberLimitsBody {
    /// The new limits, all of them: up to 8. Empty: as often as wanted.
    #[schema(max_items = 8)]
    limits: Vec<LimitBody>,
}

/// List the members of a workspace.
///
/// For its administrators, and for a management key with the scope `members:read` of one of them.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/members",
    operation_id = "list_members",
    tag = "members",
    params(("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme"), PeopleQuery),
    responses((status = 200, description = "One page of members.", body = MemberPageBody))
)]
pub(crate) async fn list_members(
    Caller(actor): Caller,
    name: WorkspaceName,
    Query(query): Query<PeopleQuery>,
    State(state): State<AppState>,
) -> Result<Reply<MemberPageBody>, ProblemResponse> {
    let filter = query.filter()?;
    let workspace = place(&state, &actor, &name, Action::ReadMembers).await?;
    Ok(Reply(state.engine.members.list(&actor, &workspace.id, &filter).await?.into()))
}

/// Let a user into a workspace.
///
/// For a session only: no key changes members. Somebody who is a member already gets the role. Nobody gives a role above
/// their own; making an administrator or owner needs a password given within the last ten minutes, `step_up_required`
/// otherwise.
///
/// Administrators of the instance add anybody. Those of a workspace add people with whom they share one, and people whose
/// keys they see in this one; everybody else is refused like a user that there is not, and can be invited by a link.
#[utoipa::path(
    post,
    path = "/v1/workspaces/{workspace}/members",
    operation_id = "add_member",
    tag = "members",
    params(("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme")),
    request_body = NewMemberBody,
    responses((status = 201, description = "The member.", body = MemberBody))
)]
pub(crate) async fn add_member(
    Caller(actor): Caller,
    name: WorkspaceName,
    _: Query<NoQuery>,
    State(state): State<AppState>,
    Json(body): Json<NewMemberBody>,
) -> Result<(StatusCode, Reply<MemberBody>), ProblemResponse> {
    let workspace = place(&state, &actor, &name, Action::AddMember).await?;
    let id = match body.user.parse::<UserId>() {
        Ok(id) => id,
        Err(_) => state.engine.members.find_user(&actor, &workspace.id, &body.user).await?,
    };
    state.engine.members.add(&actor, &workspace.id, &id, body.role).await?;
    let member = state.engine.members.departure(&actor, &workspace.id, &id).await?.member;
    Ok((StatusCode::CREATED, Reply(member.into())))
}

/// Give a member another role.
///
/// For a session only. Nobody gives a role above their own or changes somebody above themselves, and a workspace keeps at
/// least one owner. Making an administrator or owner needs a password given within the last ten minutes.
#[utoipa::path(
    patch,
    path = "/v1/workspaces/{workspace}/members/{user}",
    operation_id = "update_member",
    tag = "members",
    params(
        ("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme"),
        ("user" = String, Path, description = "The user's id.", example = "usr_00S1E8TYPmMQMyNxIYvHyv")
    ),
    request_body = MemberPatchBody,
    responses((status = 200, description = "The member.", body = MemberBody))
)]
pub(crate) async fn update_member(
    Caller(actor): Caller,
    name: MemberName,
    _: AnyVersion,
    _: Query<NoQuery>,
    State(state): State<AppState>,
    Json(body): Json<MemberPatchBody>,
) -> Result<Reply<MemberBody>, ProblemResponse> {
    let workspace = place(&state, &actor, &name.workspace, Action::ManageMembers).await?;
    Ok(Reply(state.engine.members.update(&actor, &workspace.id, &name.user, body.role).await?.into()))
}

/// Limit all keys of a member together.
///
/// For a session only. The limits hold beside those that a key has itself: a call takes from all of them or from none. A
/// limit that keeps its name keeps what was spent of it.
#[utoipa::path(
    put,
    path = "/v1/workspaces/{workspace}/members/{user}/limits",
    operation_id = "limit_member",
    tag = "members",
    params(
        ("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme"),
        ("user" = String, Path, description = "The user's id.", example = "usr_00S1E8TYPmMQMyNxIYvHyv")
    ),
    request_body = MemberLimitsBody,
    responses((status = 200, description = "The member.", body = MemberBody))
)]
pub(crate) async fn limit_member(
    Caller(actor): Caller,
    name: MemberName,
    _: Query<NoQuery>,
    State(state): State<AppState>,
    Json(body): Json<MemberLimitsBody>,
) -> Result<Reply<MemberBody>, ProblemResponse> {
    let workspace = place(&state, &actor, &name.workspace, Action::ManageMembers).await?;
    let limits = limits::sent(body.limits)?;
    Ok(Reply(state.engine.members.limit(&actor, &workspace.id, &name.user, limits).await?.into()))
}

/// End a member's place.
///
/// For a session only; everybody may end their own. The member's keys stop at once and wait in the queue of keys of people
/// who left. Who is let in again gets back what nobody gave away or deleted.
#[utoipa::path(
    delete,
    path = "/v1/workspaces/{workspace}/members/{user}",
    operation_id = "remove_member",
    tag = "members",
    params(
        ("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme"),
        ("user" = String, Path, description = "The user's id.", example = "usr_00S1E8TYPmMQMyNxIYvHyv")
    ),
    responses((status = 204, description = "The person is no member any more."))
)]
pub(crate) async fn remove_member(
    Caller(actor): Caller,
    name: MemberName,
    _: AnyVersion,
    _: Query<NoQuery>,
    State(state): State<AppState>,
) -> Result<StatusCode, ProblemResponse> {
    let own = matches!(&actor.principal, keyfold_domain::policy::Principal::User(person) if person.user.id == name.user);
    let action = if own { Action::LeaveWorkspace } else { Action::ManageMembers };
    let workspace = place(&state, &actor, &name.workspace, action).await?;
    state.engine.members.remove(&actor, &workspace.id, &name.user).await?;
    Ok(StatusCode::NO_CONTENT)
}
