//! The first start: the first administrator and the first workspace.

use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::codec::Json;
use super::fault::Fault;
use super::password_input::PasswordInput;
#[cfg(feature = "ssr")]
use {
    super::{context, sessions},
    keyfold_engine::Password,
    keyfold_engine::SetUp,
};

/// Whether this installation still waits for its first administrator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetupState {
    pub needed: bool,
}

/// Says whether the set-up page exists.
#[server(endpoint = "get_setup", prefix = "/_app", input = Json, output = Json)]
pub async fn get_setup() -> Result<SetupState, Fault> {
    let request = context::request()?;
    let needed = context::reply(request.engine.setup.is_needed().await)?;
    if !needed {
        return context::reply(Err(keyfold_domain::problem::Problem::not_found()));
    }
    Ok(SetupState { needed })
}

/// Creates the first administrator and the first workspace, signs in, and says where to go.
#[server(endpoint = "complete_setup", prefix = "/_app")]
pub async fn complete_setup(
    token: PasswordInput,
    username: String,
    email: String,
    display_name: String,
    password: PasswordInput,
    workspace_name: String,
    workspace_slug: String,
) -> Result<String, Fault> {
    let request = context::request()?;
    let typed = [
        ("username", username.as_str()),
        ("email", &email),
        ("display_name", &display_name),
        ("workspace_name", &workspace_name),
        ("workspace_slug", &workspace_slug),
    ];
    let asked = SetUp {
        token: token.into_text(),
        username: username.clone(),
        email: email.clone(),
        display_name: display_name.clone(),
        password: Password::new(password.into_text()),
        workspace_name: workspace_name.clone(),
        workspace_slug: workspace_slug.clone(),
    };
    let (session, workspace) = context::reply_to_form(request.engine.setup.complete(&request.actor.request, asked).await, &typed)?;
    let to = format!("/w/{}/keys", workspace.slug);
    sessions::begin(&request, &session, &to);
    Ok(to)
}
