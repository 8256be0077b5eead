use keyfold_domain::problem::ProblemCode;
use leptos::prelude::*;

use super::console::Gate;
use crate::components::Title;
use crate::functions::fault::Fault;

/// There is no page under this address.
#[component]
pub(crate) fn NotFoundPage() -> impl IntoView {
    #[cfg(feature = "ssr")]
    if let Some(response) = use_context::<leptos_axum::ResponseOptions>() {
        response.set_status(axum::http::StatusCode::NOT_FOUND);
    }
    view! {
        <Title text="Nothing here · Keyfold" />
        <Gate title="Nothing here" intro="There is no page under this address, or you may not see it.">
            <a class="button" href="/">
                "Go to your keys"
            </a>
        </Gate>
    }
    .into_any()
}

/// A page's data could not be had: why, and what to do.
#[component]
pub(crate) fn Trouble(fault: Fault) -> impl IntoView {
    let (title, text) = match fault.problem.code {
        ProblemCode::NotFound => ("Nothing here", fault.problem.message.clone()),
        ProblemCode::Unauthenticated => ("You are signed out", "Sign in again to go on. Nothing was changed.".to_owned()),
        code => (code.title(), fault.problem.message.clone()),
    };
    let (href, label) = if fault.is_signed_out() { ("/sign-in", "Sign in") } else { ("/", "Go to your keys") };
    view! {
        <div class="panel">
            <div class="empty" role="alert">
                <h1>{title}</h1>
                <p>{text}</p>
                <a class="button" href=href rel="external">
                    {label}
                </a>
            </div>
        </div>
    }
    .into_any()
}

/// Leads on to another page: by a redirect from the server whatever the client accepts, by navigation in the browser.
#[component]
pub(crate) fn Forward(#[prop(into)] path: String) -> impl IntoView {
    #[cfg(feature = "ssr")]
    if let (Some(response), Ok(to)) = (use_context::<leptos_axum::ResponseOptions>(), axum::http::HeaderValue::from_str(&path)) {
        response.insert_header(axum::http::header::LOCATION, to);
        response.set_status(axum::http::StatusCode::FOUND);
    }
    #[cfg(not(feature = "ssr"))]
    {
        let options = leptos_router::NavigateOptions { replace: true, ..leptos_router::NavigateOptions::default() };
        leptos_router::hooks::use_navigate()(&path, options);
    }
}
