//! Everybody on the instance, and every workspace, for its administrators.

use keyfold_domain::ids::UserId;
use keyfold_domain::key::Page;
use keyfold_domain::time::Timestamp;
use keyfold_domain::user::{PeopleFilter, UserDetail};
use keyfold_domain::workspace::{WorkspaceDetail, WorkspaceEnd, WorkspaceSummary};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::codec::Json;
use super::fault::Fault;
use super::one_time_link::OneTimeLink;
use super::password_input::PasswordInput;
#[cfg(feature = "ssr")]
use {
    super::context::{self, RequestContext},
    super::reach::told,
    super::sessions::proven,
    keyfold_domain::policy::Actor,
    keyfold_domain::problem::Problem,
    keyfold_domain::user::{NewPerson, UserPatch},
    keyfold_domain::workspace::NewWorkspace,
};

/// One page of people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsersView {
    pub users: Page<UserDetail>,
    pub me: UserId,
    pub now: Timestamp,
}

/// One page of workspaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkspacesView {
    pub workspaces: Page<WorkspaceDetail>,
}

/// Everybody on this server.
#[server(endpoint = "list_users", prefix = "/_app", input = Json, output = Json)]
pub async fn list_users(filter: PeopleFilter) -> Result<UsersView, Fault> {
    let (request, actor) = context::actor()?;
    let users = context::reply(request.engine.users.list(&actor, &filter).await)?;
    let me = context::reply(actor.user().map(|user| user.id.clone()).ok_or_else(Problem::not_found))?;
    Ok(UsersView { users, me, now: request.now() })
}

/// One person.
#[server(endpoint = "get_user", prefix = "/_app", input = Json, output = Json)]
pub async fn get_user(user: UserId) -> Result<UserDetail, Fault> {
    let (request, actor) = context::actor()?;
    context::reply(request.engine.users.get(&actor, &user).await)
}

/// What the form of a new person asks for.
#[derive(Debug, Clone, Default)]
pub struct PersonForm {
    pub username: String,
    pub email: String,
    pub display_name: String,
    pub instance_admin: bool,
}

/// Adds a person. Used by the function, and by the server for a form that was sent without script.
#[cfg(feature = "ssr")]
pub async fn make_user(request: &RequestContext, actor: &Actor, form: &PersonForm) -> Result<OneTimeLink, Fault> {
    let PersonForm { username, email, display_name, instance_admin } = form.clone();
    let (_, issued) = request.engine.users.invite(actor, NewPerson { username, email, display_name, instance_admin }).await?;
    Ok(OneTimeLink::new(&request.public_url, "reset", issued.token.expose(), issued.expires_at))
}

/// Makes a link with which a person chooses a new password. Used as [`make_user`] is.
#[cfg(feature = "ssr")]
pub async fn make_reset_link(request: &RequestContext, actor: &Actor, user: &UserId) -> Result<OneTimeLink, Fault> {
    let issued = request.engine.password_links.create(actor, user).await?;
    Ok(OneTimeLink::new(&request.public_url, "reset", issued.token.expose(), issued.expires_at))
}

/// Adds a person who chooses their password with the link that is handed out, once. (Without script the form is posted to
/// the page's own address instead.)
#[server(endpoint = "create_user", prefix = "/_app")]
pub async fn create_user(
    username: String,
    email: String,
    #[server(default)] display_name: String,
    #[server(default)] instance_admin: String,
    #[server(default)] password_again: PasswordInput,
) -> Result<OneTimeLink, Fault> {
    let typed = [("username", username.as_str()), ("email", &email), ("display_name", &display_name), ("instance_admin", &instance_admin)];
    let (request, actor) = proven(password_again, &typed).await?;
    let form = PersonForm {
        username: username.clone(),
        email: email.clone(),
        display_name: display_name.clone(),
        instance_admin: !instance_admin.is_empty(),
    };
    context::reply_to_form(make_user(&request, &actor, &form).await, &typed)
}

/// Makes a link with which a person chooses a new password, and hands it out, once.
#[server(endpoint = "create_reset_link", prefix = "/_app")]
pub async fn create_reset_link(user: UserId, #[server(default)] password_again: PasswordInput) -> Result<OneTimeLink, Fault> {
    let (request, actor) = proven(password_again, &[]).await?;
    context::reply(make_reset_link(&request, &actor, &user).await)
}

/// Changes a person's name, address and rank.
#[server(endpoint = "update_user", prefix = "/_app")]
pub async fn update_user(
    user: UserId,
    email: String,
    #[server(default)] display_name: String,
    #[server(default)] instance_admin: String,
    #[server(default)] password_again: PasswordInput,
) -> Result<UserDetail, Fault> {
    let typed = [("email", email.as_str()), ("display_name", &display_name), ("instance_admin", &instance_admin)];
    let (request, actor) = proven(password_again, &typed).await?;
    let patch = UserPatch {
        email: Some(email.clone()),
        display_name: Some(display_name.clone()),
        instance_admin: Some(!instance_admin.is_empty()),
    };
    let detail = context::reply_to_form(request.engine.users.update(&actor, &user, patch).await, &typed)?;
    context::go_to("/system/users?done=updated");
    Ok(detail)
}

/// Shuts a person out.
#[server(endpoint = "disable_user", prefix = "/_app")]
pub async fn disable_user(user: UserId) -> Result<Option<String>, Fault> {
    let (request, actor) = context::actor()?;
    context::reply(request.engine.users.disable(&actor, &user).await)?;
    Ok(told(&request, &actor, "/system/users?done=disabled").await)
}

/// Lets a disabled person in again.
#[server(endpoint = "enable_user", prefix = "/_app")]
pub async fn enable_user(user: UserId) -> Result<Option<String>, Fault> {
    let (request, actor) = context::actor()?;
    context::reply(request.engine.users.enable(&actor, &user).await)?;
    Ok(told(&request, &actor, "/system/users?done=enabled").await)
}

/// Every workspace of this server.
#[server(endpoint = "list_all_workspaces", prefix = "/_app", input = Json, output = Json)]
pub async fn list_all_workspaces(filter: PeopleFilter) -> Result<WorkspacesView, Fault> {
    let (request, actor) = context::actor()?;
    Ok(WorkspacesView { workspaces: context::reply(request.engine.workspaces.list_all(&actor, &filter).await)? })
}

/// Makes a workspace that belongs to the user of that name.
#[server(endpoint = "create_workspace", prefix = "/_app")]
pub async fn create_workspace(name: String, slug: String, owner: String) -> Result<WorkspaceSummary, Fault> {
    let (request, actor) = context::actor()?;
    let typed = [("name", name.as_str()), ("slug", &slug), ("owner", &owner)];
    let found = request.engine.users.find_by_username(&actor, &owner).await.map_err(|error| {
        let absent = error.is(keyfold_domain::problem::ProblemCode::NotFound);
        if absent { Problem::invalid("owner", "There is no user of that name.").into() } else { error }
    });
    let owner = context::reply_to_form(found, &typed)?;
    let new = NewWorkspace { slug: slug.clone(), name: name.clone() };
    let made = context::reply_to_form(request.engine.workspaces.create(&actor, new, &owner.id).await, &typed)?;
    context::go_to("/system/workspaces?done=created");
    Ok(made)
}

/// Ends a workspace for good; `confirmation` is its short name.
#[server(endpoint = "delete_workspace", prefix = "/_app")]
pub async fn delete_workspace(
    workspace: String,
    #[server(default)] confirmation: String,
    #[server(default)] password_again: PasswordInput,
) -> Result<WorkspaceEnd, Fault> {
    let typed = [("confirmation", confirmation.as_str())];
    let (request, actor) = proven(password_again, &typed).await?;
    let ended = context::reply_to_form(request.engine.workspaces.delete(&actor, &workspace, &confirmation).await, &typed)?;
    context::go_to("/system/workspaces?done=deleted");
    Ok(ended)
}

/// Gives a workspace another name.
#[server(endpoint = "rename_workspace", prefix = "/_app")]
pub async fn rename_workspace(workspace: String, name: String) -> Result<WorkspaceSummary, Fault> {
    let (request, actor) = context::actor()?;
    let renamed = context::reply_to_form(request.engine.workspaces.rename(&actor, &workspace, &name).await, &[("name", &name)])?;
    context::go_to("/system/workspaces?done=renamed");
    Ok(renamed)
}
