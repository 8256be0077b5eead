//! The only place where routes, prefixes and layers are listed.
//!
//! | Prefix | What | Refusals |
//! |---|---|---|
//! | `/v1/whoami`, `/v1/verify`, `/v1/verify:batch`, `/v1/forward-auth`, `/v1/workspaces/{ws}/forward-auth` | the data plane, answered before the router | problem+json |
//! | `/v1` | our REST API | problem+json |
//! | `/api/v1`, `/rpc` | the h2oGPTe client | its own JSON |
//! | `/api` | DocsGPT's settings page | its own JSON |
//! | `/_app` | server functions of the pages | problem+json, or a page for a plain form |
//! | `/healthz`, `/readyz` | for load balancers and service managers | plain JSON |
//! | `/metrics` | figures, where the configuration wants them | |
//! | `/pkg` and the names in `public/` | files of the console, in the binary | pages |
//! | `/docs/api` | our REST API as a page to read | pages |
//! | everything else | pages | pages |
//!
//! The data plane's own listener has the first row, probes and figures, and nothing else.

mod answer;
mod headers;
mod health;
mod layers;
mod limits;
mod service;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, Method, Response, StatusCode};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::IntoResponse as _;
use axum::routing::{get, post};
use keyfold_domain::problem::{Problem, ProblemCode};
use leptos_axum::LeptosRoutes as _;

pub(crate) use answer::AnswerBody;
pub(crate) use headers::{NO_SNIFF, NO_STORE, harden};
pub(crate) use service::verify_service;
pub use service::{AppService, app_service};

use crate::auth::{identify, same_origin_only};
use crate::compat;
use crate::pages;
use crate::problem::ProblemResponse;
use crate::rest;
use crate::site;
use crate::state::AppState;

/// The largest body of a request, in bytes.
pub(crate) const MAX_BODY: usize = 64 * 1024;
/// The largest body of a request about many presented keys.
pub(crate) const MAX_QUESTIONS: usize = 256 * 1024;
/// The largest body of a request with a whole route map.
const MAX_MAP: usize = 512 * 1024;
/// The largest body of a request with an OpenAPI document, which is at most 1 MiB before it is written as JSON or a form.
const MAX_DOCUMENT: usize = 3 * 1024 * 1024;

/// The largest body of a request for that path, in bytes.
pub(crate) fn body_limit(path: &str) -> usize {
    let place = path.strip_prefix("/v1/workspaces/").or_else(|| path.strip_prefix("/w/"));
    match (path, place.and_then(|rest| rest.split_once('/')).map(|(_, act)| act)) {
        ("/_app/preview_import", _) | (_, Some("routes:import" | "routes/import")) => MAX_DOCUMENT,
        ("/v1/verify:batch", _) => MAX_QUESTIONS,
        ("/_app/save_import", _) | (_, Some("routes")) => MAX_MAP,
        _ => MAX_BODY,
    }
}

/// What sort of answer a request expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Area {
    /// Our REST API.
    Api,
    /// What the h2oGPTe client calls.
    H2ogpte,
    /// What DocsGPT's settings page calls.
    Docsgpt,
    /// A server function, called by our own script.
    Function,
    /// A page for a person, or a form posted without script.
    Page,
}

impl Area {
    pub(crate) fn of(request: &Request) -> Self {
        let path = request.uri().path();
        let below = |prefix: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if below("/v1") {
            Self::Api
        } else if below("/api/v1") || below("/rpc") {
            Self::H2ogpte
        } else if below("/api") {
            Self::Docsgpt
        } else if below("/_app") && !expects_html(request.headers()) {
            Self::Function
        } else {
            Self::Page
        }
    }
}

fn expects_html(headers: &HeaderMap) -> bool {
    headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).is_some_and(|accept| accept.contains("text/html"))
}

/// A refusal in the form that this area expects.
pub(crate) fn refuse(area: Area, problem: &Problem) -> Response<Body> {
    match area {
        Area::Api | Area::Function => ProblemResponse(problem.clone()).into_response(),
        Area::H2ogpte => compat::h2ogpte::Refusal::from(problem.clone()).into_response(),
        Area::Docsgpt => compat::docsgpt::Refusal::from(problem.clone()).into_response(),
        Area::Page => pages::refusal(problem),
    }
}

/// Everything behind the data plane. From the outside in: id, log line and headers of the answer; the check of origins;
/// the body's limits; who is asking.
fn router(state: AppState) -> Router {
    let (api, _) = rest::routes().split_for_parts();
    let for_somebody = api
        .merge(compat::routes())
        .merge(console(&state))
        .fallback(nothing_here)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(state.clone(), limits::limit_requests))
        .layer(from_fn_with_state(state.clone(), identify))
        .layer(from_fn_with_state(state.clone(), layers::forget_on_sign_out));
    let for_anybody = files().route("/healthz", get(health::alive)).route("/readyz", get(health::ready));
    let for_anybody = if state.config.public_metrics { for_anybody.route("/metrics", get(health::figures)) } else { for_anybody };
    let for_anybody = for_anybody
        .route(pages::API_REFERENCE, get(pages::api_reference))
        .route(pages::API_REFERENCE_STYLE, get(pages::api_reference_style));
    for_anybody
        .method_not_allowed_fallback(wrong_method)
        .merge(for_somebody)
        .layer(from_fn(layers::take_in))
        .layer(from_fn_with_state(state.clone(), same_origin_only))
        .layer(from_fn_with_state(state.clone(), layers::accompany))
        .with_state(state)
}

/// What the data plane's own listener answers besides verdicts.
fn probes(state: AppState) -> Router {
    Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::figures))
        .method_not_allowed_fallback(async |request: Request| {
            let message = format!("{} is not possible here.", request.method());
            refuse(Area::Api, &Problem::new(ProblemCode::MethodNotAllowed, message))
        })
        .fallback(async || refuse(Area::Api, &Problem::not_found()))
        .layer(from_fn(layers::take_in))
        .layer(from_fn_with_state(state.clone(), layers::accompany))
        .with_state(state)
}

/// Pages, their server functions, and the forms that work without script.
fn console(state: &AppState) -> Router<AppState> {
    let routes = leptos_axum::generate_route_list(pages::shell(state));
    Router::new()
        .leptos_routes_with_context(state, routes, pages::provide_request(state), pages::shell(state))
        .route(pages::NEW_KEY, post(pages::create_key))
        .route(pages::ROTATE_KEY, get(pages::show_form).post(pages::rotate_key))
        // The renderer's own routes for these leave their ends open.
        .route(pages::INVITE, get(pages::rendered_page).post(pages::invite))
        .route(pages::IMPORT_ROUTES, get(pages::rendered_page).post(pages::import_routes))
        .route(pages::NEW_USER, get(pages::rendered_page).post(pages::create_user))
        .route(pages::RESET_LINK, get(pages::rendered_page).post(pages::create_reset_link))
}

/// The files of the console.
fn files() -> Router<AppState> {
    site::FILES.iter().fold(Router::new(), |router, file| {
        router.route(file.path, get(move |headers: HeaderMap| async move { site::serve(file, &headers) }))
    })
}

async fn nothing_here(State(state): State<AppState>, request: Request) -> Response<Body> {
    match Area::of(&request) {
        area @ (Area::Api | Area::H2ogpte | Area::Docsgpt | Area::Function) => refuse(area, &Problem::not_found()),
        Area::Page if *request.method() == Method::GET || *request.method() == Method::HEAD => pages::rendered(&state, request).await,
        Area::Page => refuse(Area::Page, &Problem::not_found()),
    }
}

/// A path that is there, asked in another way. What may be asked is in `Allow`, which the router adds.
async fn wrong_method(request: Request) -> Response<Body> {
    if *request.method() == Method::OPTIONS && Area::of(&request) == Area::Api {
        return StatusCode::NO_CONTENT.into_response();
    }
    let message = format!("{} is not possible here.", request.method());
    refuse(Area::of(&request), &Problem::new(ProblemCode::MethodNotAllowed, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(path: &str, accept: &str) -> Area {
        Area::of(&Request::builder().uri(path).header(ACCEPT, accept).body(Body::empty()).unwrap())
    }

    #[test]
    fn only_batches_route_maps_and_the_documents_they_come_from_may_be_large() {
        for (path, limit) in [
            ("/v1/workspaces/acme/keys", MAX_BODY),
            ("/v1/workspaces/acme/routes", MAX_MAP),
            ("/v1/workspaces/acme/routes:test", MAX_BODY),
            ("/v1/workspaces/acme/routes:import", MAX_DOCUMENT),
            ("/w/acme/routes/import", MAX_DOCUMENT),
            ("/w/acme/keys/new", MAX_BODY),
            ("/_app/save_import", MAX_MAP),
            ("/_app/save_rule", MAX_BODY),
            ("/v1/verify", MAX_BODY),
            ("/v1/verify:batch", MAX_QUESTIONS),
        ] {
            assert_eq!(body_limit(path), limit, "{path}");
        }
    }

    #[test]
    fn each_part_is_answered_in_its_own_form() {
        for (path, accept, expected) in [
            ("/v1", "text/html", Area::Api),
            ("/v1/workspaces", "*/*", Area::Api),
            ("/v1x", "*/*", Area::Page),
            ("/api/v1/users", "*/*", Area::H2ogpte),
            ("/rpc/meta", "text/html", Area::H2ogpte),
            ("/api/v1x", "*/*", Area::Docsgpt),
            ("/api/config", "*/*", Area::Docsgpt),
            ("/apiary", "*/*", Area::Page),
            ("/_app/sign_in", "application/json", Area::Function),
            ("/_app/sign_in", "text/html,application/xhtml+xml", Area::Page),
            ("/w/sales/keys", "text/html", Area::Page),
        ] {
            assert_eq!(area(path, accept), expected, "{path} {accept}");
        }
    }
}
