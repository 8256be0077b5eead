//! Keyfold's console. Compiles twice: `ssr` for the server, `hydrate` for the browser.
//!
//! The server renders [`shell()`] for every page, runs the server functions under `/_app`, and provides a
//! [`functions::context::RequestContext`] to both.
#![expect(unreachable_pub, reason = "#[component] and #[server] write items that are `pub` wherever they stand")]
#![expect(clippy::needless_pass_by_value, reason = "a component owns its properties")]
// The types of nested views are deep.
#![recursion_limit = "256"]

mod audit_query;
mod browser;
mod components;
pub mod format;
pub mod functions;
pub mod key_form;
mod key_query;
mod later;
pub mod limit_form;
pub mod pages;
pub mod policy_form;
#[cfg(feature = "ssr")]
mod shell;

use leptos::prelude::*;
use leptos_router::components::{ParentRoute, Route, Router, Routes};
use leptos_router::{Lazy, SsrMode, path};

use pages::{Console, KeysPage, NotFoundPage};
#[cfg(feature = "ssr")]
pub use shell::{
    SiteAssets, provide_refusal, render_already_rotated_page, render_already_shown_page, render_link_page, render_secret_page, shell,
};

/// Every page. Rendered whole (`SsrMode::Async`): streamed parts would need script to fall into place.
#[component]
pub fn App() -> impl IntoView {
    #[cfg(feature = "ssr")]
    leptos_meta::provide_meta_context();
    view! {
        <Router>
            <Routes fallback=NotFoundPage>
                <Route path=path!("/") view={Lazy::<later::Home>::new()} ssr=SsrMode::Async />
                <Route path=path!("/setup") view={Lazy::<later::Setup>::new()} ssr=SsrMode::Async />
                <Route path=path!("/sign-in") view={Lazy::<later::SignIn>::new()} ssr=SsrMode::Async />
                <Route path=path!("/invite") view={Lazy::<later::Invite>::new()} ssr=SsrMode::Async />
                <Route path=path!("/reset") view={Lazy::<later::Reset>::new()} ssr=SsrMode::Async />
                <ParentRoute path=path!("") view=Console ssr=SsrMode::Async>
                    <Route path=path!("/account/*rest") view={Lazy::<later::Account>::new()} ssr=SsrMode::Async />
                    <Route path=path!("/system/*rest") view={Lazy::<later::System>::new()} ssr=SsrMode::Async />
                    <ParentRoute path=path!("/w/:workspace/keys") view=KeysPage ssr=SsrMode::Async>
                        <Route path=path!("") view=|| () ssr=SsrMode::Async />
                        <Route path=path!("/filter/*rest") view={Lazy::<later::FilterKeys>::new()} ssr=SsrMode::Async />
                        <Route path=path!("/new") view={Lazy::<later::NewKey>::new()} ssr=SsrMode::Async />
                        <Route path=path!("/:id/scopes") view={Lazy::<later::EditScopes>::new()} ssr=SsrMode::Async />
                        <Route path=path!("/:id/delete") view={Lazy::<later::DeleteKey>::new()} ssr=SsrMode::Async />
                    </ParentRoute>
                    <Route path=path!("/w/:workspace/keys/:id/*rest") view={Lazy::<later::Key>::new()} ssr=SsrMode::Async />
                    <Route path=path!("/w/:workspace/*rest") view={Lazy::<later::Place>::new()} ssr=SsrMode::Async />
                </ParentRoute>
            </Routes>
        </Router>
    }
}

/// Acts once the code of the page at the present address is there; most of it came with this function. If the rest cannot
/// be fetched, the page stays as the server sent it and works without script.
pub fn when_fetched(act: impl FnOnce() + 'static) {
    wasm_bindgen_futures::spawn_local(async move {
        if later::fetch(&browser::path()).await.is_ok() {
            act();
        }
    });
}

/// Tells the style sheet that script runs, so that what needs it may appear.
pub fn mark_alive() {
    browser::mark_alive();
}
