//! The pages of a workspace besides its list of keys: `/w/<workspace>/<page>`, and the dialogs below each. They share one
//! route, so that the first download carries one and not one each.

use leptos::prelude::*;
use leptos_router::hooks::use_params_map;

use super::NotFoundPage;
use super::audit::AuditPage;
use super::bulk::BulkPage;
use super::members::MembersPage;
use super::policy::PolicyPage;
use super::resources::ResourcesPage;
use super::routes::RoutesPage;
use super::scopes::ScopesPage;

/// What the pages of a workspace know of their address. Pages find it in the context.
#[derive(Clone, Copy)]
pub(crate) struct PlaceContext {
    /// The workspace's short name.
    pub(crate) workspace: Memo<String>,
    /// The second part below the page, the id of a thing for instance; empty if there is none.
    pub(crate) id: Memo<String>,
    /// The third part, what to do with the thing; empty if there is none.
    pub(crate) act: Memo<String>,
}

/// A named part of the address; empty if it has none.
pub(crate) fn named_part(name: &'static str) -> Memo<String> {
    let params = use_params_map();
    Memo::new(move |_| params.with(|params| params.get(name)).unwrap_or_default())
}

/// The part of the address at that place among those that its route leaves open; empty if it has none there.
pub(crate) fn open_part(at: usize) -> Memo<String> {
    let rest = named_part("rest");
    Memo::new(move |_| rest.with(|rest| rest.split('/').nth(at).unwrap_or_default().to_owned()))
}

/// The page that the address names.
#[component]
pub(crate) fn PlacePage() -> impl IntoView {
    let page = open_part(0);
    let workspace = named_part("workspace");
    let id = open_part(1);
    provide_context(PlaceContext { workspace, id, act: open_part(2) });
    move || match page.get().as_str() {
        "audit" => view! { <AuditPage workspace /> }.into_any(),
        "bulk" => view! { <BulkPage workspace=workspace.into() id /> }.into_any(),
        "settings" => view! { <PolicyPage workspace /> }.into_any(),
        "members" => view! { <MembersPage /> }.into_any(),
        "resources" => view! { <ResourcesPage /> }.into_any(),
        "routes" => view! { <RoutesPage /> }.into_any(),
        "scopes" => view! { <ScopesPage /> }.into_any(),
        _ => view! { <NotFoundPage /> }.into_any(),
    }
}
