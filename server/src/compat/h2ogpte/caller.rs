//! Who calls: a management key in `Authorization: Bearer …`, acting in its own workspace. Cookies are not looked at.

use axum::extract::{FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use keyfold_domain::ids::{KeyId, WorkspaceId};
use keyfold_domain::policy::{ActingKey, Actor, Principal, RequestInfo};
use keyfold_domain::problem::{Problem, ProblemCode};

use super::Refusal;
use crate::auth::{bearer, user_agent};
use crate::problem::logged;
use crate::state::AppState;

/// Sent while a client waits for a job: the call is no use of the key.
const INTERNAL_POLL: HeaderName = HeaderName::from_static("x-h2ogpte-internal-poll");

/// A management key that works.
pub(super) struct Caller {
    pub(super) actor: Actor,
    pub(super) workspace: WorkspaceId,
}

impl Caller {
    /// The key behind the call.
    pub(super) fn key(&self) -> Option<&ActingKey> {
        match &self.actor.principal {
            Principal::Key(key) => Some(key),
            _ => None,
        }
    }
}

/// Does the client only wait for a job, and say so? Such a request is no use of its key. Nothing but asking after one job
/// may go uncounted: whoever has a key must not be able to hide that they use it.
pub(crate) fn is_waiting(method: &str, path: &str, headers: &HeaderMap) -> bool {
    let asks_after_job = method == "GET" && path.strip_prefix("/api/v1/jobs/").is_some_and(|job| !job.is_empty() && !job.contains('/'));
    asks_after_job && headers.get(&INTERNAL_POLL).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"))
}

/// Who presents which key, before the request is counted; nobody known without one. No cookie and no other scheme opens
/// these routes.
pub(crate) fn authenticate(state: &AppState, request: &Request, info: &RequestInfo) -> Result<Actor, Problem> {
    let headers = request.headers();
    let Some(secret) = bearer(headers)? else { return Ok(Actor::anonymous(info.clone())) };
    let verifier = &state.engine.verifier;
    let actor = if is_waiting(request.method().as_str(), request.uri().path(), headers) {
        verifier.authenticate_uncounted(secret, info)
    } else {
        verifier.authenticate_from(secret, info, user_agent(headers))
    };
    actor.map_err(|error| logged(&error))
}

impl FromRequestParts<AppState> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Refusal> {
        let nothing = || Problem::new(ProblemCode::Unauthenticated, "Send a management key as `Authorization: Bearer …`.");
        let actor = parts.extensions.get::<Actor>().ok_or_else(nothing)?;
        match &actor.principal {
            Principal::Key(key) => Ok(Self { workspace: key.workspace_id.clone(), actor: actor.clone() }),
            _ => Err(nothing().into()),
        }
    }
}

/// A management key of somebody who administers the workspace's keys. All routes about keys are for these alone.
pub(super) struct Administrator(pub(super) Caller);

impl FromRequestParts<AppState> for Administrator {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Refusal> {
        let caller = Caller::from_request_parts(parts, state).await?;
        state.engine.keys.may_administer(&caller.actor, &caller.workspace).await?;
        Ok(Self(caller))
    }
}

/// The last part of the address, decoded. What cannot be decoded names nothing.
pub(super) struct Name(pub(super) String);

impl FromRequestParts<AppState> for Name {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Refusal> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        Ok(Self(path.map_err(|_| Problem::not_found())?.0))
    }
}

/// The key that an address names. A malformed id names nothing.
pub(super) struct KeyName(pub(super) KeyId);

impl FromRequestParts<AppState> for KeyName {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Refusal> {
        let Name(text) = Name::from_request_parts(parts, state).await?;
        Ok(Self(text.parse().map_err(|_| Problem::not_found())?))
    }
}
