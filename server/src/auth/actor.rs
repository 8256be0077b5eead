//! The actor of a request: a management key under `/v1`, a session, or nobody known; and whoever the clients of other
//! products say they are.

use axum::extract::{FromRequestParts, Request, State};
use axum::http::HeaderMap;
use axum::http::header::USER_AGENT;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use keyfold_domain::policy::{Actor, RequestInfo};
use keyfold_domain::problem::Problem;

use super::{bearer, cookie};
use crate::compat::{docsgpt, h2ogpte};
use crate::problem::{ProblemResponse, logged};
use crate::router::{Area, refuse};
use crate::state::AppState;

/// Who asks, as an argument of a handler.
#[derive(Debug, Clone)]
pub(crate) struct RequestActor(pub(crate) Actor);

impl<S: Send + Sync> FromRequestParts<S> for RequestActor {
    type Rejection = ProblemResponse;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ProblemResponse> {
        let actor = parts.extensions.get::<Actor>().cloned();
        Ok(Self(actor.unwrap_or_else(|| Actor::anonymous(RequestInfo::default()))))
    }
}

/// Finds out who asks and puts the [`Actor`] into the request's extensions. A credential that is no good is refused here,
/// except where some routes need none and look at it themselves; none at all makes an anonymous actor.
pub(crate) async fn identify(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    let area = Area::of(&request);
    let info = request.extensions().get::<RequestInfo>().cloned().unwrap_or_default();
    let found = match area {
        Area::H2ogpte => h2ogpte::authenticate(&state, &request, &info),
        Area::Docsgpt => {
            let session = docsgpt::authenticate(&state, request.headers(), &info).await;
            let actor = session.as_ref().map_or_else(|_| Actor::anonymous(info), |session| session.actor.clone());
            request.extensions_mut().insert(session);
            Ok(actor)
        }
        Area::Api | Area::Function | Area::Page => actor(&state, area, request.headers(), info).await,
    };
    match found {
        Ok(actor) => {
            request.extensions_mut().insert(actor);
            next.run(request).await
        }
        Err(problem) => refuse(area, &problem),
    }
}

async fn actor(state: &AppState, area: Area, headers: &HeaderMap, info: RequestInfo) -> Result<Actor, Problem> {
    // The pages are for people: a key cannot sign in there, and a proxy's own credentials are none of our business.
    if area == Area::Api
        && let Some(secret) = bearer(headers)?
    {
        return state.engine.verifier.authenticate_from(secret, &info, user_agent(headers)).map_err(|error| logged(&error));
    }
    let Some(token) = cookie(headers, state.cookies.name) else { return Ok(Actor::anonymous(info)) };
    let actor = state.engine.sessions.authenticate(token, &info).await.map_err(|error| logged(&error))?;
    Ok(actor.unwrap_or_else(|| Actor::anonymous(info)))
}

/// How the client's program calls itself.
pub(crate) fn user_agent(headers: &HeaderMap) -> Option<&str> {
    headers.get(USER_AGENT).and_then(|value| value.to_str().ok())
}
