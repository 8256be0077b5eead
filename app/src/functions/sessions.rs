//! Signing in and out, and who is signed in.

use keyfold_domain::user::UserRef;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::codec::Json;
#[cfg(feature = "ssr")]
use super::context;
use super::context::Theme;
use super::fault::Fault;
use super::password_input::PasswordInput;
use super::workspaces::Place;

/// The person at the screen, and what the frame around every page shows of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Viewer {
    pub user: UserRef,
    /// Up to two letters that stand for them. Made by the server: the browser then needs no table of capital letters.
    pub initials: String,
    pub instance_admin: bool,
    /// Theirs; of an instance administrator all.
    pub workspaces: Vec<Place>,
    pub theme: Theme,
}

/// Where somebody without a page in mind belongs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Home {
    SetUp,
    SignIn,
    Workspace(String),
    /// Signed in, but a member of nothing.
    Nowhere,
}

/// Only an address of this server is followed after signing in.
pub fn local_path(next: &str) -> Option<&str> {
    let rest = next.strip_prefix('/')?;
    let plain = !rest.starts_with(['/', '\\']) && !next.contains(|found: char| found.is_control() || found == '\\');
    plain.then_some(next)
}

#[cfg(feature = "ssr")]
pub(crate) fn begin(request: &context::RequestContext, session: &keyfold_engine::IssuedSession, to: &str) {
    context::set_cookie(&request.cookies.sign_in(&session.token, request.now(), session.expires_at));
    context::go_to(to);
}

/// The field in which a form asks for the password once more.
pub const PASSWORD_AGAIN: &str = "password_again";

/// The request and who is asking; with a fresh proof if the form brought the password along.
#[cfg(feature = "ssr")]
pub(crate) async fn proven(
    password: PasswordInput,
    typed: &[(&str, &str)],
) -> Result<(context::RequestContext, keyfold_domain::policy::Actor), Fault> {
    let (request, actor) = context::actor()?;
    let actor = context::reply_to_form(prove(&request, actor, password).await, typed)?;
    Ok((request, actor))
}

/// Gives a proof within a session if there is a password to prove it with; the browser gets the session that takes its place.
#[cfg(feature = "ssr")]
async fn prove(
    request: &context::RequestContext,
    actor: keyfold_domain::policy::Actor,
    password: PasswordInput,
) -> Result<keyfold_domain::policy::Actor, Fault> {
    if password.is_empty() {
        return Ok(actor);
    }
    let (actor, cookie) = step_up_with(request, &actor, password.into_text()).await?;
    context::set_cookie(&cookie);
    Ok(actor)
}

/// As [`step_up`]: the actor of the new session, and the cookie that the browser must get whatever becomes of the act. A
/// wrong password is told beside the field [`PASSWORD_AGAIN`].
#[cfg(feature = "ssr")]
pub async fn step_up_with(
    request: &context::RequestContext,
    actor: &keyfold_domain::policy::Actor,
    password: String,
) -> Result<(keyfold_domain::policy::Actor, String), Fault> {
    let stepped = request.engine.sessions.step_up(actor, keyfold_engine::Password::new(password)).await;
    let session = stepped.map_err(|error| {
        let mut fault = Fault::from(error);
        if fault.problem.field.is_some() {
            fault.problem.field = Some(PASSWORD_AGAIN.to_owned());
        }
        fault
    })?;
    let cookie = request.cookies.sign_in(&session.token, request.now(), session.expires_at);
    Ok((session.actor, cookie))
}

/// Who is signed in; `None` if nobody is.
#[server(endpoint = "get_viewer", prefix = "/_app", input = Json, output = Json)]
pub async fn get_viewer() -> Result<Option<Viewer>, Fault> {
    use keyfold_domain::policy::Principal;
    let (request, actor) = context::actor()?;
    let Principal::User(person) = &actor.principal else { return Ok(None) };
    let workspaces = context::reply(request.engine.workspaces.list(&actor).await)?.into_iter().map(Place::from).collect();
    let (user, initials) = (person.user.clone(), crate::format::initials(&person.user.display_name));
    Ok(Some(Viewer { user, initials, instance_admin: person.instance_admin, workspaces, theme: request.theme }))
}

/// Where `/` leads.
#[server(endpoint = "get_home", prefix = "/_app", input = Json, output = Json)]
pub async fn get_home() -> Result<Home, Fault> {
    let (request, actor) = context::actor()?;
    if actor.user().is_some() {
        let workspaces = context::reply(request.engine.workspaces.list(&actor).await)?;
        return Ok(workspaces.into_iter().next().map_or(Home::Nowhere, |first| Home::Workspace(first.slug)));
    }
    let needed = context::reply(request.engine.setup.is_needed().await)?;
    Ok(if needed { Home::SetUp } else { Home::SignIn })
}

/// Signs in and says where to go.
#[server(endpoint = "sign_in", prefix = "/_app")]
pub async fn sign_in(login: String, password: PasswordInput, #[server(default)] next: String) -> Result<String, Fault> {
    let request = context::request()?;
    let typed = [("login", login.as_str())];
    let asked = keyfold_engine::SignIn { login: login.clone(), password: keyfold_engine::Password::new(password.into_text()) };
    let session = context::reply_to_form(request.engine.sessions.sign_in(&request.actor.request, asked).await, &typed)?;
    let to = local_path(&next).unwrap_or("/").to_owned();
    begin(&request, &session, &to);
    Ok(to)
}

/// Asks for the password again, before an act that needs a fresh proof of who is there.
#[server(endpoint = "step_up", prefix = "/_app")]
pub async fn step_up(password: PasswordInput) -> Result<(), Fault> {
    let (request, actor) = context::actor()?;
    let session = context::reply(request.engine.sessions.step_up(&actor, keyfold_engine::Password::new(password.into_text())).await)?;
    context::set_cookie(&request.cookies.sign_in(&session.token, request.now(), session.expires_at));
    Ok(())
}

/// Ends the session.
#[server(endpoint = "sign_out", prefix = "/_app")]
pub async fn sign_out() -> Result<(), Fault> {
    let (request, actor) = context::actor()?;
    context::reply(request.engine.sessions.sign_out(&actor).await)?;
    context::set_cookie(&request.cookies.sign_out());
    context::go_to("/sign-in");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_address_of_this_server_is_followed() {
        for good in ["/", "/w/sales/keys?q=a", "/w/sales/keys/new"] {
            assert_eq!(local_path(good), Some(good));
        }
        for bad in ["", "w/sales", "//evil.example", "/\\evil.example", "https://evil.example", "/\n/evil.example", "/a\\b"] {
            assert_eq!(local_path(bad), None, "{bad}");
        }
    }
}
