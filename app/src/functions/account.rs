//! What a person sets for themselves.

use keyfold_domain::ids::SessionId;
use keyfold_domain::session::SessionSummary;
use keyfold_domain::time::Timestamp;
use keyfold_domain::user::UserSummary;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::codec::Json;
use super::context::Theme;
use super::fault::Fault;
use super::password_input::PasswordInput;
#[cfg(feature = "ssr")]
use {
    super::context,
    super::sessions::proven,
    keyfold_engine::{NewPassword, Password},
};

/// The person at the screen and their sessions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountView {
    pub user: UserSummary,
    pub sessions: Vec<SessionSummary>,
    /// Single keys act in this browser.
    pub shortcuts: bool,
    pub now: Timestamp,
}

/// The person's own account.
#[server(endpoint = "get_account", prefix = "/_app", input = Json, output = Json)]
pub async fn get_account() -> Result<AccountView, Fault> {
    let (request, actor) = context::actor()?;
    let user = context::reply(request.engine.account.get(&actor).await)?;
    let sessions = context::reply(request.engine.sessions.list(&actor).await)?;
    Ok(AccountView { user, sessions, shortcuts: request.shortcuts, now: request.now() })
}

/// Changes how the person is called and where they are reached.
#[server(endpoint = "update_account", prefix = "/_app")]
pub async fn update_account(
    #[server(default)] display_name: String,
    email: String,
    #[server(default)] password_again: PasswordInput,
) -> Result<UserSummary, Fault> {
    let typed = [("display_name", display_name.as_str()), ("email", &email)];
    let (request, actor) = proven(password_again, &typed).await?;
    let user = context::reply_to_form(request.engine.account.update(&actor, &display_name, &email).await, &typed)?;
    context::go_to("/account?done=profile");
    Ok(user)
}

/// Changes the password; all other sessions end unless they are to stay.
#[server(endpoint = "change_password", prefix = "/_app")]
pub async fn change_password(present: PasswordInput, password: PasswordInput, #[server(default)] end_others: String) -> Result<(), Fault> {
    let (request, actor) = context::actor()?;
    let new = NewPassword {
        present: Password::new(present.into_text()),
        wanted: Password::new(password.into_text()),
        end_others: !end_others.is_empty(),
    };
    let session = context::reply(request.engine.account.change_password(&actor, new).await)?;
    context::set_cookie(&request.cookies.sign_in(&session.token, request.now(), session.expires_at));
    context::go_to("/account?done=password");
    Ok(())
}

/// Ends one of the person's own sessions.
#[server(endpoint = "end_session", prefix = "/_app")]
pub async fn end_session(session: SessionId) -> Result<(), Fault> {
    let (request, actor) = context::actor()?;
    context::reply(request.engine.sessions.end(&actor, &session).await)?;
    context::go_to("/account?done=session");
    Ok(())
}

/// Ends every session of the person but this one.
#[server(endpoint = "end_other_sessions", prefix = "/_app")]
pub async fn end_other_sessions() -> Result<u64, Fault> {
    let (request, actor) = context::actor()?;
    let ended = context::reply(request.engine.sessions.end_others(&actor).await)?;
    context::go_to("/account?done=sessions");
    Ok(ended)
}

/// Remembers the theme in a cookie. Needs nobody signed in: it concerns the browser alone.
#[server(endpoint = "set_theme", prefix = "/_app")]
pub async fn set_theme(theme: Theme) -> Result<(), Fault> {
    let request = context::request()?;
    context::set_cookie(&request.cookies.theme(theme));
    Ok(())
}
