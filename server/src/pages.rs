//! Pages that the router answers itself: what every rendered page is given, the form of a new key without script, and
//! refusals for people.

mod api_reference;
mod import_routes;
mod links;
mod new_key;
mod refusal;
mod rotate_key;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Response, StatusCode};
use keyfold_app::SiteAssets;
use keyfold_app::functions::context::{RequestContext, THEME_COOKIE, Theme};
use keyfold_app::functions::preferences::{COLUMNS_COOKIE, HiddenColumns, SHORTCUTS_COOKIE, shortcuts_are_on};
use keyfold_domain::policy::{Actor, RequestInfo};
use keyfold_domain::problem::Problem;
use leptos::prelude::{provide_context, use_context};

pub(crate) use api_reference::{API_REFERENCE, API_REFERENCE_STYLE, api_reference, api_reference_style};
pub(crate) use import_routes::{IMPORT_ROUTES, import_routes};
pub(crate) use links::{INVITE, NEW_USER, RESET_LINK, create_reset_link, create_user, invite};
pub(crate) use new_key::{NEW_KEY, create_key};
pub(crate) use refusal::refusal;
pub(crate) use rotate_key::{ROTATE_KEY, rotate_key, show_form};

use crate::auth::cookie;
use crate::problem::stamp;
use crate::site;
use crate::state::AppState;

/// The whole document, for the renderer.
pub(crate) fn shell(state: &AppState) -> impl Fn() -> leptos::prelude::AnyView + Clone + Send + Sync + use<> {
    use leptos::prelude::IntoAny as _;
    let options = state.leptos.clone();
    move || keyfold_app::shell(assets(), options.clone()).into_any()
}

fn assets() -> SiteAssets {
    let named = |path: Option<&str>| path.map(str::to_owned);
    SiteAssets { js: named(site::JS), wasm: named(site::WASM), css: named(site::CSS), shortcuts: named(site::SHORTCUTS) }
}

/// Puts what pages and server functions know of their request into Leptos's context.
pub(crate) fn provide_request(state: &AppState) -> impl Fn() + Clone + Send + Sync + use<> {
    let state = state.clone();
    move || {
        let parts = use_context::<Parts>();
        let (extensions, headers) = parts.map(|parts| (parts.extensions, parts.headers)).unwrap_or_default();
        let actor = extensions.get::<Actor>().cloned();
        let actor = actor.unwrap_or_else(|| Actor::anonymous(extensions.get::<RequestInfo>().cloned().unwrap_or_default()));
        provide_context(request_context(&state, actor, &headers));
    }
}

fn request_context(state: &AppState, actor: Actor, headers: &HeaderMap) -> RequestContext {
    RequestContext {
        engine: state.engine.clone(),
        actor,
        cookies: state.cookies,
        public_url: state.config.public_url.origin().to_owned(),
        insecure_http: state.config.is_insecure(),
        theme: cookie(headers, THEME_COOKIE).map_or(Theme::System, Theme::from_cookie),
        hidden_columns: cookie(headers, COLUMNS_COOKIE).map(HiddenColumns::from_cookie).unwrap_or_default(),
        shortcuts: shortcuts_are_on(cookie(headers, SHORTCUTS_COOKIE)),
    }
}

/// The page at the address of a form that a browser without script has posted: as at a look at it, with what `more` puts into
/// Leptos's context, and with the status of what is wrong, if anything is.
async fn page_again(
    state: &AppState,
    mut parts: Parts,
    problem: Option<&Problem>,
    more: impl Fn() + Clone + Send + Sync + 'static,
) -> Response<Body> {
    let usual = provide_request(state);
    let provide = move || {
        usual();
        more();
    };
    parts.method = Method::GET;
    let request = Request::from_parts(parts, Body::empty());
    let mut response = leptos_axum::render_app_async_with_context(provide, shell(state))(request).await;
    if let Some(problem) = problem
        && let (StatusCode::OK, Ok(status)) = (response.status(), StatusCode::from_u16(problem.status()))
    {
        *response.status_mut() = status;
        stamp(&mut response, problem);
    }
    response
}

/// The page of an address that no route of ours names. What the renderer's own routes do not say exactly comes here too;
/// it knows by itself which addresses have no page.
pub(crate) async fn rendered(state: &AppState, request: Request) -> Response<Body> {
    leptos_axum::render_app_async_with_context(provide_request(state), shell(state))(request).await
}

/// As [`rendered`], as a handler of its own.
pub(crate) async fn rendered_page(State(state): State<AppState>, request: Request) -> Response<Body> {
    rendered(&state, request).await
}
