//! The actor of a request: a management key under `/v1`, a session, or nobody known; and whoever the clients of other
//! products say they are.

use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::{AUTHORIZATION, USER_AGENT};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use keyfold_domain::policy::{Actor, RequestInfo};
use keyfold_domain::problem::{Problem, ProblemCode};

use super::cookie;
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

/// The key in `Authorization: Bearer …`; `None` if the header is absent. Anything else in it is refused.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(only), None) => token(only).map(Some).ok_or_else(unreadable),
        (Some(_), Some(_)) => Err(unreadable()),
    }
}

/// How the client's program calls itself.
pub(crate) fn user_agent(headers: &HeaderMap) -> Option<&str> {
    headers.get(USER_AGENT).and_then(|value| value.to_str().ok())
}

fn token(value: &HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.split_at_checked("Bearer ".len())?;
    let token = token.trim_start_matches(' ');
    (scheme.eq_ignore_ascii_case("Bearer ") && !token.is_empty()).then_some(token)
}

fn unreadable() -> Problem {
    Problem::new(ProblemCode::Unauthenticated, "Send one header `Authorization: Bearer …` with a management key.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(lines: &[&str]) -> Result<Option<String>, ProblemCode> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(AUTHORIZATION, line.parse().unwrap());
        }
        bearer(&headers).map(|token| token.map(str::to_owned)).map_err(|problem| problem.code)
    }

    #[test]
    fn the_scheme_is_read_in_any_case_and_the_key_as_it_is() {
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&["Bearer kf_adm_x"]), Ok(Some("kf_adm_x".into())));
        assert_eq!(read(&["bEARER  kf_adm_x"]), Ok(Some("kf_adm_x".into())));
    }

    proptest! {
        #[test]
        fn a_header_is_read_as_a_plain_reading_reads_it(scheme in "(?i)bearer|basic|bear|", blanks in " {0,3}", rest in "[!-~ ]{0,20}", odd in proptest::option::of(128u8..)) {
            let text = format!("{scheme}{blanks}{rest}");
            let bytes: Vec<u8> = text.bytes().chain(odd).collect();
            // As it comes off a connection, where hyper cuts blanks at both ends.
            let Ok(value) = HeaderValue::from_bytes(bytes.trim_ascii()) else { return Ok(()) };
            let expected = odd.is_none().then(|| text.trim().split_once(' ')).flatten().and_then(|(scheme, token)| {
                let token = token.trim_start_matches(' ');
                (scheme.to_lowercase() == "bearer" && !token.is_empty()).then(|| token.to_owned())
            });
            let headers: HeaderMap = [(AUTHORIZATION, value)].into_iter().collect();
            prop_assert_eq!(bearer(&headers).ok().flatten(), expected.as_deref());
        }
    }

    #[test]
    fn any_other_credential_is_refused() {
        for lines in [&["Basic YTpi"][..], &["Bearer"], &["Bearer "], &["kf_adm_x"], &["Bearer a", "Bearer b"]] {
            assert_eq!(read(lines), Err(ProblemCode::Unauthenticated), "{lines:?}");
        }
    }
}
