//! `/v1/workspaces/{workspace}/invitations`: links that let people into a workspace.

use axum::Json as Reply;
use axum::extract::State;
use axum::http::StatusCode;
use keyfold_domain::ids::InvitationId;
use keyfold_domain::member::{InvitationSummary, NewInvitation};
use keyfold_domain::policy::Action;
use keyfold_domain::workspace::Role;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::problem::{Json, ProblemResponse};
use crate::rest::caller::{Caller, InvitationName, WorkspaceName};
use crate::rest::headers::AnyVersion;
use crate::rest::members::{place, role};
use crate::rest::moments::Moment;
use crate::rest::query::Query;
use crate::rest::schemas;
use crate::rest::workspaces::NoQuery;
use crate::state::AppState;

/// An invitation that nobody has used yet.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Invitation)]
pub(crate) struct InvitationBody {
    /// The invitation's id.
    #[schema(value_type = String, example = "inv_00S1E8TYPmMQMyNxIYvHyv")]
    id: InvitationId,
    /// What whoever uses it becomes.
    #[schema(schema_with = schemas::role)]
    role: Role,
    /// For whom it is meant; may be empty.
    #[schema(example = "grace@example.com")]
    label: String,
    /// Who made it, by name.
    #[schema(example = "Ada Lovelace")]
    created_by: String,
    /// When it was made.
    #[schema(schema_with = schemas::created_at)]
    created_at: Moment,
    /// From when on it is not good any more.
    #[schema(schema_with = schemas::link_ends_at)]
    expires_at: Moment,
}

impl From<InvitationSummary> for InvitationBody {
    fn from(invitation: InvitationSummary) -> Self {
        Self {
            id: invitation.id,
            role: invitation.role,
            label: invitation.label,
            created_by: invitation.created_by,
            created_at: Moment(invitation.created_at),
            expires_at: Moment(invitation.expires_at),
        }
    }
}

/// The open invitations of a workspace.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InvitationPage)]
pub(crate) struct InvitationPageBody {
    /// The invitations, the newest first.
    data: Vec<InvitationBody>,
    /// Always `null`: there are few enough for one page.
    #[schema(required, example = json!(null))]
    next: Option<String>,
}

/// A new invitation with its link.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = IssuedInvitation)]
pub(crate) struct IssuedInvitationBody {
    /// The link to send to whoever is invited. This is the only answer that ever carries it. It works once, for a week.
    #[schema(example = "https://keys.example.com/invite?token=…")]
    link: String,
    /// The invitation itself.
    #[serde(flatten)]
    invitation: InvitationBody,
}

/// An invitation to be made. Fields that are not listed here are refused.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewInvitation, example = json!({"role": "member", "label": "grace@example.com"}))]
pub(crate) struct NewInvitationBody {
    /// What whoever uses it becomes.
    #[serde(deserialize_with = "role")]
    #[schema(schema_with = schemas::role)]
    role: Role,
    /// For whom it is meant, an e-mail address for instance: up to 100 characters. Nobody is held to it.
    #[serde(default)]
    #[schema(default = "", max_length = 100, example = "grace@example.com")]
    label: String,
}

/// List the open invitations of a workspace.
///
/// For its administrators. The links themselves cannot be shown again.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/invitations",
    operation_id = "list_invitations",
    tag = "members",
    params(("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme")),
    responses((status = 200, description = "The open invitations.", body = InvitationPageBody))
)]
pub(crate) async fn list_invitations(
    Caller(actor): Caller,
    name: WorkspaceName,
    _: Query<NoQuery>,
    State(state): State<AppState>,
) -> Result<Reply<InvitationPageBody>, ProblemResponse> {
    let workspace = place(&state, &actor, &name, Action::ReadMembers).await?;
    let open = state.engine.invitations.list(&actor, &workspace.id).await?;
    Ok(Reply(InvitationPageBody { data: open.into_iter().map(InvitationBody::from).collect(), next: None }))
}

/// Invite somebody by a link.
///
/// For a session only. The answer carries the link; no later answer does. Nobody invites to a role above their own;
/// inviting an administrator or owner needs a password given within the last ten minutes, `step_up_required` otherwise. The
/// link ends when its maker could not make it any more.
#[utoipa::path(
    post,
    path = "/v1/workspaces/{workspace}/invitations",
    operation_id = "create_invitation",
    tag = "members",
    params(("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme")),
    request_body = NewInvitationBody,
    responses((status = 201, description = "The invitation with its link.", body = IssuedInvitationBody))
)]
pub(crate) async fn create_invitation(
    Caller(actor): Caller,
    name: WorkspaceName,
    _: Query<NoQuery>,
    State(state): State<AppState>,
    Json(body): Json<NewInvitationBody>,
) -> Result<(StatusCode, Reply<IssuedInvitationBody>), ProblemResponse> {
    let workspace = place(&state, &actor, &name, Action::AddMember).await?;
    let new = NewInvitation { role: body.role, label: body.label };
    let issued = state.engine.invitations.create(&actor, &workspace.id, new).await?;
    let link = format!("{}/invite?token={}", state.config.public_url.origin(), issued.token.expose());
    Ok((StatusCode::CREATED, Reply(IssuedInvitationBody { link, invitation: issued.invitation.into() })))
}

/// Take an invitation back.
///
/// For a session only. Its link is not good any more.
#[utoipa::path(
    delete,
    path = "/v1/workspaces/{workspace}/invitations/{invitation}",
    operation_id = "delete_invitation",
    tag = "members",
    params(
        ("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme"),
        ("invitation" = String, Path, description = "The invitation's id.", example = "inv_00S1E8TYPmMQMyNxIYvHyv")
    ),
    responses((status = 204, description = "The link is not good any more."))
)]
pub(crate) async fn delete_invitation(
    Caller(actor): Caller,
    name: InvitationName,
    _: AnyVersion,
    _: Query<NoQuery>,
    State(state): State<AppState>,
) -> Result<StatusCode, ProblemResponse> {
    let workspace = place(&state, &actor, &name.workspace, Action::ManageMembers).await?;
    state.engine.invitations.delete(&actor, &workspace.id, &name.invitation).await?;
    Ok(StatusCode::NO_CONTENT)
}
