//! The form of a rotation, posted by a browser without script. The answer to the post is the page with the new secret, as for
//! a new key.

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Response, StatusCode, Uri};
use keyfold_app::functions::key_use::SubmittedRotation;
use keyfold_app::{render_already_rotated_page, render_secret_page};
use keyfold_domain::ids::KeyId;
use keyfold_domain::policy::{Actor, Principal};
use keyfold_domain::problem::{Problem, ProblemCode};
use keyfold_domain::secret::{Grace, RotatedKey, Rotation};
use keyfold_engine::Password;
use leptos::prelude::provide_context;

use super::new_key::{IDEMPOTENCY_KEY, page, read, sign_in};
use super::{assets, page_again, refusal, request_context};
use crate::auth::RequestActor;
use crate::problem::logged;
use crate::state::AppState;

/// The address of the form, as the pages know it.
pub(crate) const ROTATE_KEY: &str = "/w/{workspace}/keys/{key}/rotate";

/// What a rotation without script came to.
enum Outcome {
    Rotated(Box<RotatedKey>),
    /// The same form was sent before.
    AlreadyRotated,
    Refused(Problem),
}

/// The dialog's own address.
fn dialog(slug: &str, key: &KeyId) -> String {
    format!("/w/{slug}/keys/{key}/edit/rotate")
}

/// Somebody who looks at the form's address is shown the form.
pub(crate) async fn show_form(Path((slug, key)): Path<(String, String)>) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    let may_exist = keyfold_domain::name::slug("workspace", &slug).is_ok();
    let Some(key) = key.parse::<KeyId>().ok().filter(|_| may_exist) else { return refusal(&Problem::not_found()) };
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert(LOCATION, HeaderValue::try_from(dialog(&slug, &key)).unwrap_or(HeaderValue::from_static("/")));
    response
}

/// Rotates the key and shows its new secret once.
pub(crate) async fn rotate_key(
    State(state): State<AppState>,
    RequestActor(mut actor): RequestActor,
    Path((slug, key)): Path<(String, String)>,
    request: Request,
) -> Response<Body> {
    if matches!(actor.principal, Principal::Anonymous) {
        return sign_in(request.uri());
    }
    let Ok(key) = key.parse::<KeyId>() else { return refusal(&Problem::not_found()) };
    let (parts, body) = request.into_parts();
    let pairs = match read(&parts, body).await {
        Ok(pairs) => pairs,
        Err(problem) => return refusal(&problem),
    };
    let field =
        |name: &str| pairs.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty());
    let grace = field("grace").and_then(Grace::from_name).unwrap_or_default();
    let mut cookie = None;
    let outcome = if let Err(problem) = prove(&state, &mut actor, field("password"), &mut cookie).await {
        Outcome::Refused(problem)
    } else {
        let rotation = Rotation { grace, version: field("version").and_then(|version| version.parse().ok()) };
        rotate(&state, &actor, &slug, &key, rotation, field(IDEMPOTENCY_KEY)).await
    };
    let context = request_context(&state, actor, &parts.headers);
    let mut response = match outcome {
        Outcome::Rotated(rotated) => page(render_secret_page(&assets(), &context, &slug, rotated.issued)),
        Outcome::AlreadyRotated => page(render_already_rotated_page(&assets(), &context, &slug, key.as_str())),
        Outcome::Refused(problem) => form_again(&state, parts, &dialog(&slug, &key), SubmittedRotation { grace, problem }).await,
    };
    if let Some(cookie) = cookie {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

/// The password once more, if it was typed: the session is replaced by one with a fresh proof.
async fn prove(state: &AppState, actor: &mut Actor, password: Option<&str>, cookie: &mut Option<HeaderValue>) -> Result<(), Problem> {
    let Some(password) = password else { return Ok(()) };
    let proven = state.engine.sessions.step_up(actor, Password::new(password.to_owned())).await.map_err(|error| logged(&error))?;
    let text = state.cookies.sign_in(&proven.token, state.engine.now(), proven.expires_at);
    if let Ok(mut value) = HeaderValue::try_from(text) {
        value.set_sensitive(true);
        *cookie = Some(value);
    }
    *actor = proven.actor;
    Ok(())
}

async fn rotate(state: &AppState, actor: &Actor, slug: &str, key: &KeyId, rotation: Rotation, idempotency: Option<&str>) -> Outcome {
    let attempt = async {
        let workspace = state.engine.workspaces.get(actor, slug).await?;
        state.engine.keys.rotate(actor, &workspace.id, key, rotation, idempotency).await
    };
    match attempt.await {
        Ok(rotated) => Outcome::Rotated(Box::new(rotated)),
        Err(error) => match logged(&error) {
            problem if problem.code == ProblemCode::Conflict && problem.field.as_deref() == Some(IDEMPOTENCY_KEY) => {
                Outcome::AlreadyRotated
            }
            problem => Outcome::Refused(problem),
        },
    }
}

/// The page of the dialog, filled in as it was sent, with what is wrong.
async fn form_again(state: &AppState, mut parts: Parts, address: &str, submitted: SubmittedRotation) -> Response<Body> {
    let problem = submitted.problem.clone();
    parts.uri = Uri::try_from(address).unwrap_or_default();
    page_again(state, parts, Some(&problem), move || provide_context(submitted.clone())).await
}
