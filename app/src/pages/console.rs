//! The frame around the pages of somebody who is signed in, and the one around those of everybody else.

use keyfold_domain::workspace::Role;
use leptos::prelude::*;
use leptos_router::components::Outlet;
use leptos_router::hooks::{use_location, use_navigate};

use super::not_found::Forward;
use crate::components::{ChosenTheme, Icon, SendForm, Sending, ThemeSwitch, Toaster, Toasts};
use crate::format;
use crate::functions::context::Theme;
use crate::functions::fault::Fault;
use crate::functions::sessions::{SignOut, Viewer, get_viewer};
use crate::functions::workspaces::Place;

/// Who is signed in, for the pages inside the frame.
pub(crate) type ViewerResource = Resource<Result<Option<Viewer>, Fault>>;

/// A page outside the console: one thing in the middle.
#[component]
pub(crate) fn Gate(#[prop(into)] title: String, #[prop(optional, into)] intro: String, children: Children) -> impl IntoView {
    view! {
        <main class="gate" id="main" tabindex="-1">
            <div class="gate-brand">
                <img src="/favicon.svg" alt="" width="40" height="40" />
                <h1>{title}</h1>
                {(!intro.is_empty()).then(|| view! { <p>{intro}</p> })}
            </div>
            {children()}
        </main>
    }
}

/// Header and toasts; the page comes through the outlet.
#[component]
pub(crate) fn Console() -> impl IntoView {
    let viewer: ViewerResource = Resource::new_blocking(|| (), |()| get_viewer());
    let toasts = Toasts::new();
    provide_context(viewer);
    provide_context(toasts);
    provide_context(ChosenTheme(RwSignal::new(None)));
    let location = use_location();
    let next = move || format!("{}{}", location.pathname.get_untracked(), location.search.with_untracked(|search| question(search)));
    let next = StoredValue::new(next);
    view! {
        <a class="skip visually-hidden" href="#main" rel="external">
            "Skip to the content"
        </a>
        <Suspense fallback=|| view! { <header class="topbar"><div class="topbar-inner"></div></header> }>
            {move || Suspend::new(async move {
                match viewer.await {
                    Ok(Some(viewer)) => view! { <TopBar viewer /> }.into_any(),
                    Ok(None) => view! { <Forward path=sign_in_address(&next.with_value(|next| next())) /> }.into_any(),
                    Err(_) => view! { <header class="topbar"><div class="topbar-inner"></div></header> }.into_any(),
                }
            })}
        </Suspense>
        <Outlet />
        <Toaster toasts />
    }
    .into_any()
}

fn question(search: &str) -> String {
    if search.is_empty() { String::new() } else { format!("?{search}") }
}

fn sign_in_address(next: &str) -> String {
    format!("/sign-in?next={}", format::query_part(next))
}

/// The pages of a workspace: address, title, and whether only those see it who manage the workspace.
const PLACES: &[(&str, &str, bool)] = &[
    ("keys", "API keys", false),
    ("resources", "Resources", false),
    ("scopes", "Scopes", false),
    ("routes", "Routes", false),
    ("members", "Members", true),
    ("audit", "Audit log", false),
    ("settings", "Settings", true),
];
/// The pages of an instance administrator: address and title.
pub(crate) const SYSTEM: &[(&str, &str)] = &[
    ("keys", "API keys"),
    ("users", "Users"),
    ("workspaces", "Workspaces"),
    ("policy", "Policy"),
    ("nodes", "Nodes"),
    ("audit", "Audit log"),
];

/// The pages of a workspace that somebody of that role is offered.
pub(crate) fn offered_places(role: Option<Role>, instance_admin: bool) -> impl Iterator<Item = (&'static str, &'static str)> {
    let manages = instance_admin || role >= Some(Role::Admin);
    // A viewer does nothing that a log could tell.
    let tells = move |page: &str| page != "audit" || manages || role > Some(Role::Viewer);
    PLACES.iter().filter(move |(page, _, managers)| (manages || !managers) && tells(page)).map(|(page, title, _)| (*page, *title))
}

#[component]
fn TopBar(viewer: Viewer) -> impl IntoView {
    let Viewer { user, initials, instance_admin, workspaces, theme } = viewer;
    let places = StoredValue::new((instance_admin, workspaces.clone()));
    view! {
        <header class="topbar">
            <div class="topbar-inner">
                <a class="brand" href="/" aria-label="Keyfold">
                    <img src="/favicon.svg" alt="" width="24" height="24" />
                    <span class="brand-name">"Keyfold"</span>
                </a>
                <span class="slash" aria-hidden="true">
                    "/"
                </span>
                <WorkspaceMenu workspaces instance_admin />
                <span class="grow"></span>
                <AccountMenu name=user.display_name username=user.username initials theme />
            </div>
            <Places places />
        </header>
    }
}

/// The bar of the pages beside the present one.
#[component]
fn Places(places: StoredValue<(bool, Vec<Place>)>) -> impl IntoView {
    let path = use_location().pathname;
    let links = move || {
        let path = path.get();
        let (instance_admin, workspaces) = places.get_value();
        if let Some(slug) = slug_of(&path) {
            let role = workspaces.iter().find(|place| place.slug == slug).and_then(|place| place.role);
            return offered_places(role, instance_admin).map(|(page, title)| (format!("/w/{slug}/{page}"), title)).collect();
        }
        let system = instance_admin && path.starts_with("/system");
        SYSTEM.iter().filter(|_| system).map(|(page, title)| (format!("/system/{page}"), *title)).collect::<Vec<_>>()
    };
    move || {
        let links = links();
        (links.len() > 1).then(|| {
            let link = |(href, title): (String, &'static str)| {
                let here = path.with(|path| path.strip_prefix(&href).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')));
                view! {
                    <a href=href aria-current=here.then_some("page")>
                        {title}
                    </a>
                }
            };
            view! {
                <nav class="places" aria-label="Sections">
                    {links.into_iter().map(link).collect_view()}
                </nav>
            }
        })
    }
}

/// The short name of the workspace in an address, `/w/<slug>/…`.
fn slug_of(path: &str) -> Option<&str> {
    path.strip_prefix("/w/")?.split('/').next()
}

#[component]
fn WorkspaceMenu(workspaces: Vec<Place>, instance_admin: bool) -> impl IntoView {
    let path = use_location().pathname;
    let workspaces = StoredValue::new(workspaces);
    let is_here = move |slug: &str| path.with(|path| slug_of(path) == Some(slug));
    let current = move || {
        let name =
            workspaces.with_value(|all| all.iter().find(|workspace| is_here(&workspace.slug)).map(|workspace| workspace.name.clone()));
        name.unwrap_or_else(|| if path.with(|path| path.starts_with("/system")) { "System dashboard".into() } else { "Workspaces".into() })
    };
    let item = move |workspace: Place| {
        let slug = workspace.slug.clone();
        let here = Signal::derive(move || is_here(&slug));
        view! {
            <a class="menu-item" href=format!("/w/{}/keys", workspace.slug) aria-current=move || here.get().then_some("true")>
                <span class="grow">{workspace.name}</span>
                {move || here.get().then(|| view! { <Icon name="check" /> })}
            </a>
        }
    };
    view! {
        <button class="menu-button" popovertarget="workspace-menu">
            <span class="visually-hidden">"Workspace: "</span>
            <span class="truncate">{current}</span>
            <Icon name="chevrons-up-down" />
        </button>
        <nav class="menu" id="workspace-menu" popover="auto" aria-label="Workspaces" on:click=close_menu>
            <p class="menu-title">"Your workspaces"</p>
            {workspaces.with_value(|all| all.iter().cloned().map(item).collect_view())}
            {SYSTEM
                .first()
                .filter(|_| instance_admin)
                .map(|(page, _)| {
                    view! {
                        <hr />
                        <a class="menu-item" href=format!("/system/{page}")>
                            <Icon name="shield-check" />
                            <span class="grow">"System dashboard"</span>
                        </a>
                    }
                })}
        </nav>
    }
}

/// A menu closes when something in it was chosen; a page change alone would leave it open.
fn close_menu(event: web_sys::MouseEvent) {
    use wasm_bindgen::JsCast;
    let target = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok());
    let chosen = target.is_some_and(|target| target.closest("a").ok().flatten().is_some());
    let menu = event.current_target().and_then(|menu| menu.dyn_into::<web_sys::HtmlElement>().ok());
    if let (true, Some(menu)) = (chosen, menu) {
        let _ = menu.hide_popover();
    }
}

#[component]
fn AccountMenu(name: String, username: String, initials: String, theme: Theme) -> impl IntoView {
    let sign_out = Sending::to::<SignOut>();
    let navigate = use_navigate();
    Effect::new(move || {
        if sign_out.is_done() {
            navigate("/sign-in", leptos_router::NavigateOptions::default());
        }
    });
    view! {
        <button class="menu-button" popovertarget="account-menu">
            <span class="visually-hidden">"Account: "</span>
            <span class="avatar" aria-hidden="true">
                {initials}
            </span>
            <span class="person-name truncate">{name}</span>
            <Icon name="chevron-down" />
        </button>
        <div class="menu menu-end" id="account-menu" popover="auto" on:click=close_menu>
            <p class="menu-title">"Signed in as " <strong>{username}</strong></p>
            <a class="menu-item" href="/account">
                <Icon name="user" />
                <span class="grow">"Account"</span>
            </a>
            <hr />
            <p class="menu-title">"Theme"</p>
            <ThemeSwitch theme />
            <hr />
            <SendForm to=sign_out>
                <button class="menu-item">
                    <Icon name="log-out" />
                    <span class="grow">"Sign out"</span>
                </button>
            </SendForm>
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_is_read_from_the_address() {
        assert_eq!(slug_of("/w/sales/keys/new"), Some("sales"));
        assert_eq!(slug_of("/w/sales"), Some("sales"));
        assert_eq!(slug_of("/account"), None);
    }
}
