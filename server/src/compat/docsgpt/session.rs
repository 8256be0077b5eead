//! Signing in from the settings page of DocsGPT: a person gets a token here and pastes it into that page, which asks for one.
//!
//! It is a session of its own sort: bound to one workspace, good for these routes alone and never as the cookie of the
//! console, shown among the person's sessions, ended there, and over after 8 idle hours or a day.

use axum::Json as Reply;
use axum::body::Bytes;
use axum::extract::{FromRequestParts, State};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use keyfold_domain::ids::WorkspaceId;
use keyfold_domain::policy::{Actor, RequestInfo};
use keyfold_domain::problem::{Problem, ProblemCode};
use keyfold_engine::{Password, SignIn};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Refusal;
use crate::auth::bearer;
use crate::problem::{is_json, read_json};
use crate::state::AppState;

/// Somebody with a session of this client, and where it is good.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) actor: Actor,
    pub(super) workspace: WorkspaceId,
}

fn no_token() -> Refusal {
    Refusal::saying(ProblemCode::Unauthenticated, json!({ "success": false }))
}

fn invalid_token(why: &str) -> Refusal {
    let body = json!({ "message": format!("Authentication error: {why}"), "error": "invalid_token" });
    Refusal::saying(ProblemCode::Unauthenticated, body)
}

/// Whose session it is, before the request is counted, or how the routes that need one refuse.
pub(crate) async fn authenticate(state: &AppState, headers: &HeaderMap, info: &RequestInfo) -> Result<Session, Refusal> {
    let token = bearer(headers).map_err(|_| invalid_token("send one header Authorization: Bearer …"))?.ok_or_else(no_token)?;
    let found = state.engine.sessions.authenticate_bound(token, info).await?;
    let (actor, workspace) = found.ok_or_else(|| invalid_token("the session has ended, or this is no token of one"))?;
    Ok(Session { actor, workspace })
}

impl FromRequestParts<AppState> for Session {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Refusal> {
        parts.extensions.get::<Result<Self, Refusal>>().cloned().unwrap_or_else(|| Err(no_token()))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Credentials {
    username: String,
    password: Password,
    #[serde(default)]
    workspace: Option<String>,
}

/// `POST /api/generate_token` with username and password: a token for the workspace that is named, or for the only one the
/// person belongs to. Tries are limited as they are on the page for signing in.
pub(super) async fn sign_in(
    State(state): State<AppState>,
    info: Option<axum::Extension<RequestInfo>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Reply<Value>, Refusal> {
    if !is_json(&headers) {
        return Err(Problem::new(ProblemCode::UnsupportedMediaType, "Send the body as `Content-Type: application/json`.").into());
    }
    let Credentials { username, password, workspace } = read_json(&body)?;
    let info = info.map(|axum::Extension(info)| info).unwrap_or_default();
    let form = SignIn { login: username, password };
    let issued = state.engine.sessions.sign_in_to(&info, form, workspace.as_deref()).await?;
    Ok(Reply(json!({ "token": issued.token.expose() })))
}

/// `GET /api/generate_token`: DocsGPT hands a token to whoever asks, where it is set up so. Not here.
pub(super) async fn no_token_for_strangers() -> Refusal {
    let message = "Send a POST with your username and password to get a token.";
    Refusal::saying(ProblemCode::Invalid, json!({ "error": message, "success": false, "message": message }))
}
