//! The form of a new key, posted by a browser without script. The answer to the post is the page with the secret, so that
//! the secret is in no address, no redirect and no page that could be loaded again.

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Response, StatusCode, Uri};
use keyfold_app::functions::context::SubmittedKeyForm;
use keyfold_app::key_form::KeyForm;
use keyfold_app::{render_already_shown_page, render_secret_page};
use keyfold_domain::ids::{KeyId, UserId};
use keyfold_domain::key::{IssuedKey, NewKey};
use keyfold_domain::policy::{Actor, Principal};
use keyfold_domain::problem::{Problem, ProblemCode};
use leptos::prelude::provide_context;

use super::{assets, page_again, refusal, request_context};
use crate::auth::RequestActor;
use crate::problem::{logged, whole_body};
use crate::state::AppState;

/// The address of the form, as the pages know it.
pub(crate) const NEW_KEY: &str = "/w/{workspace}/keys/new";
/// The field that makes sending the form twice harmless.
pub(super) const IDEMPOTENCY_KEY: &str = "idempotency_key";

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const NO_SCRIPT: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// How the attempt to make a key ended.
enum Outcome {
    Issued(Box<IssuedKey>),
    /// The same form was sent before, and made this key.
    AlreadyIssued(KeyId),
    Refused(Problem),
}

/// Makes the key that the form asks for and shows its secret once.
pub(crate) async fn create_key(
    State(state): State<AppState>,
    RequestActor(actor): RequestActor,
    Path(slug): Path<String>,
    request: Request,
) -> Response<Body> {
    if matches!(actor.principal, Principal::Anonymous) {
        return sign_in(request.uri());
    }
    let (parts, body) = request.into_parts();
    let pairs = match read(&parts, body).await {
        Ok(pairs) => pairs,
        Err(problem) => return refusal(&problem),
    };
    let context = request_context(&state, actor.clone(), &parts.headers);
    let owner = owner(&parts.uri);
    match create(&state, &actor, &slug, &pairs, owner).await {
        Outcome::Issued(issued) => page(render_secret_page(&assets(), &context, &slug, *issued)),
        Outcome::AlreadyIssued(id) => page(render_already_shown_page(&assets(), &context, &slug, id.as_str())),
        Outcome::Refused(problem) => form_again(&state, parts, KeyForm::from_pairs(pairs), problem).await,
    }
}

/// Somebody whose session has ended signs in and comes back to an empty form.
pub(super) fn sign_in(uri: &Uri) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    // Of the path only, which is made of letters, digits and the like, or else of percent signs and digits.
    let next = format!("/sign-in?next={}", uri.path().replace('%', "%25").replace('&', "%26").replace('+', "%2B"));
    response.headers_mut().insert(LOCATION, HeaderValue::try_from(next).unwrap_or(HeaderValue::from_static("/sign-in")));
    response
}

/// The pairs of a form as browsers send them.
pub(super) async fn read(parts: &Parts, body: Body) -> Result<Vec<(String, String)>, Problem> {
    let is_form = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(|text| {
        text.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"))
    });
    if !is_form {
        return Err(Problem::new(ProblemCode::UnsupportedMediaType, "Send the form as a browser does."));
    }
    let bytes = whole_body(body).await?;
    let text = Uri::builder().path_and_query([b"/?", bytes.as_ref()].concat()).build();
    let pairs = text.ok().and_then(|uri| axum::extract::Query::try_from_uri(&uri).ok());
    pairs
        .map(|axum::extract::Query(pairs)| pairs)
        .ok_or_else(|| Problem::new(ProblemCode::Invalid, "The form cannot be read. Load the page again."))
}

/// Whose key it shall be, if the form's address says so. What is no id names nobody, as on the page of the form.
fn owner(uri: &Uri) -> Option<UserId> {
    let axum::extract::Query(pairs) = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri).ok()?;
    pairs.into_iter().find(|(name, _)| name == "owner").and_then(|(_, id)| id.parse().ok())
}

async fn create(state: &AppState, actor: &Actor, slug: &str, pairs: &[(String, String)], owner: Option<UserId>) -> Outcome {
    let attempt = async {
        let workspace = state.engine.workspaces.get(actor, slug).await.map_err(|error| logged(&error))?;
        let catalogue = state.engine.scopes.catalogue(actor, &workspace.id).await.map_err(|error| logged(&error))?;
        let key = NewKey { owner, ..KeyForm::from_pairs(pairs.iter().cloned()).new_key(&catalogue)? };
        let idempotency = pairs.iter().find(|(name, _)| name == IDEMPOTENCY_KEY).map(|(_, value)| value.as_str());
        state
            .engine
            .keys
            .create(actor, &workspace.id, key, idempotency.filter(|value| !value.is_empty()))
            .await
            .map_err(|error| logged(&error))
    };
    match attempt.await {
        Ok(issued) => Outcome::Issued(Box::new(issued)),
        Err(problem) => match replayed(&problem) {
            Some(id) => Outcome::AlreadyIssued(id),
            None => Outcome::Refused(problem),
        },
    }
}

/// The key that the same form made before, if that is what the refusal says.
fn replayed(problem: &Problem) -> Option<KeyId> {
    if problem.code != ProblemCode::Conflict || problem.field.as_deref() != Some(IDEMPOTENCY_KEY) {
        return None;
    }
    let mut words = problem.message.split(|found: char| !found.is_ascii_alphanumeric() && found != '_');
    words.find_map(|word| word.parse().ok())
}

/// A whole document without script.
pub(super) fn page(html: String) -> Response<Body> {
    let mut response = Response::new(Body::from(html));
    response.headers_mut().insert(CONTENT_TYPE, HTML);
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, NO_SCRIPT);
    response
}

/// The page of the form, filled in as it was sent, with what is wrong beside the field.
async fn form_again(state: &AppState, parts: Parts, form: KeyForm, problem: Problem) -> Response<Body> {
    let submitted = SubmittedKeyForm { form, problem: problem.clone() };
    page_again(state, parts, Some(&problem), move || provide_context(submitted.clone())).await
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn form(content_type: &str, body: &str) -> Result<Vec<(String, String)>, ProblemCode> {
        let (parts, ()) = Request::builder().header(CONTENT_TYPE, content_type).body(()).unwrap().into_parts();
        read(&parts, Body::from(body.to_owned())).await.map_err(|problem| problem.code)
    }

    #[tokio::test]
    async fn a_form_is_read_as_browsers_send_it() {
        let pairs = form("application/x-www-form-urlencoded", "name=CI+%26+more&scopes=chat&scopes=project&note=").await.unwrap();
        let expected = [("name", "CI & more"), ("scopes", "chat"), ("scopes", "project"), ("note", "")];
        assert_eq!(pairs, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[tokio::test]
    async fn another_type_is_not_read() {
        for other in ["multipart/form-data; boundary=x", "text/plain", "application/json"] {
            assert_eq!(form(other, "name=a").await, Err(ProblemCode::UnsupportedMediaType), "{other}");
        }
    }

    #[test]
    fn a_replay_is_told_by_its_field_and_names_the_key() {
        let id = format!("key_{}", "0".repeat(22));
        let problem = Problem {
            field: Some(IDEMPOTENCY_KEY.into()),
            ..Problem::new(ProblemCode::Conflict, format!("Already created as {id}; its secret is gone."))
        };
        assert_eq!(replayed(&problem).unwrap().as_str(), id);
        assert!(replayed(&Problem { field: Some("name".into()), ..problem }).is_none());
    }

    #[test]
    fn signing_in_leads_back_to_the_form() {
        let response = sign_in(&"/w/sales/keys/new?x=1".parse().unwrap());
        assert_eq!(
            (response.status(), &response.headers()[LOCATION]),
            (StatusCode::SEE_OTHER, &HeaderValue::from_static("/sign-in?next=/w/sales/keys/new"))
        );
    }
}
