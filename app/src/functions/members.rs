//! Members of a workspace, its open invitations, and the keys of people who left.

use keyfold_domain::ids::{InvitationId, UserId};
use keyfold_domain::key::Page;
use keyfold_domain::member::{Departure, InvitationSummary, LeftKey, MemberSummary};
use keyfold_domain::time::Timestamp;
use keyfold_domain::user::PeopleFilter;
use keyfold_domain::workspace::{Role, WorkspaceSummary};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::codec::Json;
use super::fault::Fault;
use super::one_time_link::OneTimeLink;
use super::password_input::PasswordInput;
#[cfg(feature = "ssr")]
use {
    super::context::{self, RequestContext},
    super::sessions::proven,
    keyfold_domain::key::DEFAULT_PAGE,
    keyfold_domain::member::{LeftKeyDecision, LeftKeys, NewInvitation},
    keyfold_domain::policy::{Action, Actor},
    keyfold_domain::problem::Problem,
};

/// Who belongs to a workspace, as those see it who manage it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembersView {
    pub workspace: WorkspaceSummary,
    pub me: UserId,
    /// What the viewer counts as here: nobody changes somebody above themselves.
    pub rank: Role,
    pub members: Page<MemberSummary>,
    pub invitations: Vec<InvitationSummary>,
    /// The first keys of people who left.
    pub left: Page<LeftKey>,
    pub now: Timestamp,
}

impl MembersView {
    /// May the viewer change that member's place?
    pub fn may_change(&self, member: &MemberSummary) -> bool {
        member.role <= self.rank
    }
}

/// One member, and what it does when they go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DepartureView {
    pub workspace: WorkspaceSummary,
    pub departure: Departure,
    /// What the viewer counts as here.
    pub rank: Role,
    /// It is the viewer.
    pub own: bool,
}

/// The members of a workspace.
#[server(endpoint = "list_members", prefix = "/_app", input = Json, output = Json)]
pub async fn list_members(workspace: String, filter: PeopleFilter) -> Result<MembersView, Fault> {
    let (request, actor) = context::actor()?;
    let workspace = context::reply(request.engine.workspaces.find(&actor, &workspace, Action::ReadMembers).await)?;
    let members = context::reply(request.engine.members.list(&actor, &workspace.id, &filter).await)?;
    let invitations = context::reply(request.engine.invitations.list(&actor, &workspace.id).await)?;
    let left = context::reply(request.engine.left_keys.list(&actor, &workspace.id, None, DEFAULT_PAGE).await)?;
    let me = context::reply(actor.user().map(|user| user.id.clone()).ok_or_else(Problem::not_found))?;
    let rank = actor.role_in(&workspace.id).unwrap_or(Role::Viewer);
    Ok(MembersView { me, rank, members, invitations, left, now: request.now(), workspace })
}

/// One member, and what it does when they go.
#[server(endpoint = "get_member", prefix = "/_app", input = Json, output = Json)]
pub async fn get_member(workspace: String, user: UserId) -> Result<DepartureView, Fault> {
    let (request, actor) = context::actor()?;
    let own = actor.user().is_some_and(|me| me.id == user);
    let action = if own { Action::LeaveWorkspace } else { Action::ManageMembers };
    let workspace = context::reply(request.engine.workspaces.find(&actor, &workspace, action).await)?;
    let departure = context::reply(request.engine.members.departure(&actor, &workspace.id, &user).await)?;
    let rank = actor.role_in(&workspace.id).unwrap_or(Role::Viewer);
    Ok(DepartureView { workspace, departure, rank, own })
}

/// Puts somebody who has an account here into a workspace, by username.
#[server(endpoint = "add_member", prefix = "/_app")]
pub async fn add_member(
    workspace: String,
    user: String,
    role: String,
    #[server(default)] password_again: PasswordInput,
) -> Result<(), Fault> {
    let typed = [("user", user.as_str()), ("role", &role)];
    let (request, actor) = proven(password_again, &typed).await?;
    let place = context::reply(request.engine.workspaces.find(&actor, &workspace, Action::AddMember).await)?;
    let wanted = Role::from_name(&role).ok_or_else(|| Problem::invalid("role", "Choose what they shall be."));
    let wanted = context::reply_to_form(wanted, &typed)?;
    let found = context::reply_to_form(request.engine.members.find_user(&actor, &place.id, &user).await, &typed)?;
    context::reply_to_form(request.engine.members.add(&actor, &place.id, &found, wanted).await, &typed)?;
    context::go_to(&format!("/w/{}/members?done=added", place.slug));
    Ok(())
}

/// Gives a member another role.
#[server(endpoint = "update_member", prefix = "/_app")]
pub async fn update_member(
    workspace: String,
    user: UserId,
    role: Role,
    #[server(default)] password_again: PasswordInput,
) -> Result<MemberSummary, Fault> {
    let typed = [("role", role.as_str())];
    let (request, actor) = proven(password_again, &typed).await?;
    let place = context::reply(request.engine.workspaces.find(&actor, &workspace, Action::ManageMembers).await)?;
    let member = context::reply_to_form(request.engine.members.update(&actor, &place.id, &user, role).await, &typed)?;
    context::go_to(&format!("/w/{}/members?done=role", place.slug));
    Ok(member)
}

/// Ends a member's place, or one's own, and says where to go.
#[server(endpoint = "remove_member", prefix = "/_app")]
pub async fn remove_member(workspace: String, user: UserId) -> Result<String, Fault> {
    let (request, actor) = context::actor()?;
    let own = actor.user().is_some_and(|me| me.id == user);
    let action = if own { Action::LeaveWorkspace } else { Action::ManageMembers };
    let place = context::reply(request.engine.workspaces.find(&actor, &workspace, action).await)?;
    let waiting = context::reply(request.engine.members.remove(&actor, &place.id, &user).await)?;
    let done = if waiting > 0 { "removed-with-keys" } else { "removed" };
    let to = if own { "/".to_owned() } else { format!("/w/{}/members?done={done}", place.slug) };
    context::go_to(&to);
    Ok(to)
}

/// What the form of an invitation asks for.
#[derive(Debug, Clone, Default)]
pub struct InvitationForm {
    pub role: String,
    pub label: String,
}

/// Makes an invitation. Used by the function, and by the server for a form that was sent without script.
#[cfg(feature = "ssr")]
pub async fn make_invitation(
    request: &RequestContext,
    actor: &Actor,
    workspace: &str,
    form: &InvitationForm,
) -> Result<OneTimeLink, Fault> {
    let role = Role::from_name(&form.role).ok_or_else(|| Problem::invalid("role", "Choose what they shall be."))?;
    let place = request.engine.workspaces.find(actor, workspace, Action::AddMember).await?;
    let new = NewInvitation { role, label: form.label.clone() };
    let issued = request.engine.invitations.create(actor, &place.id, new).await?;
    Ok(OneTimeLink::new(&request.public_url, "invite", issued.token.expose(), issued.invitation.expires_at))
}

/// Invites somebody by a link, and hands the link out, once. (Without script the form is posted to the page's own address
/// instead.)
#[server(endpoint = "invite_member", prefix = "/_app")]
pub async fn invite_member(
    workspace: String,
    role: String,
    #[server(default)] label: String,
    #[server(default)] password_again: PasswordInput,
) -> Result<OneTimeLink, Fault> {
    let typed = [("role", role.as_str()), ("label", &label)];
    let (request, actor) = proven(password_again, &typed).await?;
    let form = InvitationForm { role: role.clone(), label: label.clone() };
    context::reply_to_form(make_invitation(&request, &actor, &workspace, &form).await, &typed)
}

/// Takes an invitation back.
#[server(endpoint = "withdraw_invitation", prefix = "/_app")]
pub async fn withdraw_invitation(workspace: String, invitation: InvitationId) -> Result<(), Fault> {
    let (request, actor) = context::actor()?;
    let place = context::reply(request.engine.workspaces.find(&actor, &workspace, Action::ManageMembers).await)?;
    context::reply(request.engine.invitations.delete(&actor, &place.id, &invitation).await)?;
    context::go_to(&format!("/w/{}/members?done=withdrawn", place.slug));
    Ok(())
}

/// Decides about one key of somebody who left, or about all of a person's: `subject` is the id of the one or the other.
/// Says about how many keys.
#[server(endpoint = "decide_left_keys", prefix = "/_app")]
pub async fn decide_left_keys(
    workspace: String,
    subject: String,
    decision: String,
    #[server(default)] to: String,
    #[server(default)] password_again: PasswordInput,
) -> Result<usize, Fault> {
    let typed = [("decision", decision.as_str()), ("to", &to)];
    let (request, actor) = proven(password_again, &typed).await?;
    let place = context::reply(request.engine.workspaces.find(&actor, &workspace, Action::ManageMembers).await)?;
    let (keys, wanted) = context::reply_to_form(read_decision(&subject, &decision, &to), &typed)?;
    let count = context::reply_to_form(request.engine.left_keys.decide(&actor, &place.id, keys, wanted).await, &typed)?;
    let done = ["reassign", "keep", "revoke"].into_iter().find(|known| *known == decision).unwrap_or_default();
    context::go_to(&format!("/w/{}/members?done={done}", place.slug));
    Ok(count)
}

#[cfg(feature = "ssr")]
fn read_decision(subject: &str, decision: &str, to: &str) -> Result<(LeftKeys, LeftKeyDecision), Problem> {
    let keys = match (subject.parse(), subject.parse()) {
        (Ok(key), _) => LeftKeys::These(vec![key]),
        (_, Ok(person)) => LeftKeys::Of(person),
        _ => return Err(Problem::not_found()),
    };
    let decision = match decision {
        "reassign" => LeftKeyDecision::Reassign(to.parse().map_err(|_| Problem::invalid("to", "Choose who shall own it from now on."))?),
        "keep" => LeftKeyDecision::Keep,
        "revoke" => LeftKeyDecision::Revoke,
        _ => return Err(Problem::invalid("decision", "Choose what shall become of it.")),
    };
    Ok((keys, decision))
}
