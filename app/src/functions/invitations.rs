//! What somebody with the link of an invitation, or of one to choose a password, can do.

use keyfold_domain::member::InvitationOffer;
use keyfold_domain::user::UserRef;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::codec::Json;
use super::fault::Fault;
use super::password_input::PasswordInput;
#[cfg(feature = "ssr")]
use {super::context, super::sessions, keyfold_engine::Joining, keyfold_engine::Password};

/// What an invitation offers, and who is there to take it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferView {
    pub offer: InvitationOffer,
    /// Somebody who is signed in joins as themselves.
    pub signed_in: Option<UserRef>,
}

/// What the link with that token offers.
#[server(endpoint = "get_invitation", prefix = "/_app", input = Json, output = Json)]
pub async fn get_invitation(token: PasswordInput) -> Result<OfferView, Fault> {
    let (request, actor) = context::actor()?;
    let offer = context::reply(request.engine.invitations.look(&actor.request, &token.into_text()).await)?;
    Ok(OfferView { offer, signed_in: actor.user().cloned() })
}

/// Lets somebody who is signed in into the workspace, and says where to go.
#[server(endpoint = "accept_invitation", prefix = "/_app")]
pub async fn accept_invitation(token: PasswordInput) -> Result<String, Fault> {
    let (request, actor) = context::actor()?;
    let offer = context::reply(request.engine.invitations.accept(&actor, &token.into_text()).await)?;
    let to = format!("/w/{}/keys", offer.slug);
    context::go_to(&to);
    Ok(to)
}

/// Makes an account for somebody new, lets them into the workspace, signs them in, and says where to go.
#[server(endpoint = "join_workspace", prefix = "/_app")]
pub async fn join_workspace(
    token: PasswordInput,
    username: String,
    email: String,
    #[server(default)] display_name: String,
    password: PasswordInput,
) -> Result<String, Fault> {
    let request = context::request()?;
    let typed = [("username", username.as_str()), ("email", &email), ("display_name", &display_name)];
    let asked = Joining {
        token: token.into_text(),
        username: username.clone(),
        email: email.clone(),
        display_name: display_name.clone(),
        password: Password::new(password.into_text()),
    };
    let (session, offer) = context::reply_to_form(request.engine.invitations.join(&request.actor.request, asked).await, &typed)?;
    let to = format!("/w/{}/keys", offer.slug);
    sessions::begin(&request, &session, &to);
    Ok(to)
}

/// Whose password the link with that token sets.
#[server(endpoint = "get_password_link", prefix = "/_app", input = Json, output = Json)]
pub async fn get_password_link(token: PasswordInput) -> Result<UserRef, Fault> {
    let request = context::request()?;
    context::reply(request.engine.password_links.look(&request.actor.request, &token.into_text()).await)
}

/// Sets the password, ends every session of the person, and says where to sign in.
#[server(endpoint = "reset_password", prefix = "/_app")]
pub async fn reset_password(token: PasswordInput, password: PasswordInput) -> Result<String, Fault> {
    let request = context::request()?;
    let wanted = Password::new(password.into_text());
    context::reply(request.engine.password_links.complete(&request.actor.request, &token.into_text(), wanted).await)?;
    let to = "/sign-in?done=password".to_owned();
    context::go_to(&to);
    Ok(to)
}
