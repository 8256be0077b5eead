//! Scopes: the built-in ones and the workspace's own. The dialogs have addresses below the page: `/scopes/new`,
//! `/scopes/<name>/edit` and `/scopes/<name>/delete`.

use keyfold_domain::catalogue::{OWN_GROUP, Scope};
use leptos::prelude::*;

use super::keys::KeysPageContext;
use super::not_found::Trouble;
use super::people::DoneNotice;
use super::place::PlaceContext;
use super::scope_acts::ScopeAct;
use crate::components::{Icon, PAGE_TITLE, ScopeChips, Title};
use crate::functions::scopes::{ScopeList, list_scopes};

/// What a form that was sent without script has done, by the word in the address.
const DONE: &[(&str, &str)] = &[
    ("added", "The scope was added. Keys can hold it now."),
    ("saved", "The scope was saved. Every key that holds it obeys from the next call on."),
    ("deleted", "The scope was deleted. No key holds it any more."),
];

#[component]
pub(super) fn ScopesPage() -> impl IntoView {
    let place = expect_context::<PlaceContext>();
    let list = Signal::derive(move || format!("/w/{}/scopes", place.workspace.get()));
    let page = KeysPageContext::new(place.workspace, list);
    provide_context(page);
    let scopes = Resource::new_blocking(move || (place.workspace.get(), page.changes.get()), |(workspace, _)| list_scopes(workspace));
    view! {
        <Title text="Scopes · Keyfold" />
        <main class="page" id="main" tabindex="-1">
            <div class="behind">
                <Transition>
                    {move || Suspend::new(async move {
                        match scopes.await {
                            Ok(list) => view! { <Scopes list page /> }.into_any(),
                            Err(fault) => view! { <Trouble fault /> }.into_any(),
                        }
                    })}
                </Transition>
            </div>
            {move || view! { <ScopeAct name=place.id.get() act=place.act.get() page /> }}
        </main>
    }
    .into_any()
}

#[component]
fn Scopes(list: ScopeList, page: KeysPageContext) -> impl IntoView {
    Effect::new(move || page.settle());
    let ScopeList { workspace, catalogue, manages } = list;
    let own: Vec<Scope> = catalogue.own().cloned().collect();
    let (managing, services): (Vec<Scope>, Vec<Scope>) =
        catalogue.iter().filter(|scope| scope.is_built_in()).cloned().partition(Scope::is_management);
    view! {
        <div class="page-head">
            <div>
                <h1 id=PAGE_TITLE tabindex="-1">
                    "Scopes"
                </h1>
                <p>
                    "What keys in " <span class="break">{workspace.name}</span>
                    " can be used for. Your services ask for a scope by its name; a key passes if it holds it."
                </p>
            </div>
            {manages.then(|| view! { <Add page /> })}
        </div>
        <DoneNotice words=DONE />
        <div class="stack scope-groups">
            <section aria-labelledby="own-title">
                <h2 id="own-title" class="group-title">
                    {OWN_GROUP}
                </h2>
                {if own.is_empty() {
                    view! { <NoneYet manages /> }.into_any()
                } else {
                    view! { <Table caption=OWN_GROUP scopes=own manages page /> }.into_any()
                }}
            </section>
            <section aria-labelledby="services-title">
                <h2 id="services-title" class="group-title">
                    "Built in, for your services"
                </h2>
                <Table caption="Built in, for your services" scopes=services manages=false page />
            </section>
            <section aria-labelledby="managing-title">
                <h2 id="managing-title" class="group-title">
                    "Built in, for management keys"
                </h2>
                <Table caption="Built in, for management keys" scopes=managing manages=false page />
            </section>
        </div>
    }
}

#[component]
fn Add(page: KeysPageContext) -> impl IntoView {
    view! {
        <a class="button button-primary" id="add-scope" href=move || page.dialog("new") data-noscroll="">
            <Icon name="plus" />
            "Add scope"
        </a>
    }
}

#[component]
fn NoneYet(manages: bool) -> impl IntoView {
    let text = if manages {
        "None yet. Add one for each thing in your services that some keys should do and others not, reports:read for instance."
    } else {
        "None yet. Administrators of the workspace add them."
    };
    view! { <p class="panel soft scopes-none">{text}</p> }
}

#[component]
fn Table(caption: &'static str, scopes: Vec<Scope>, manages: bool, page: KeysPageContext) -> impl IntoView {
    view! {
        <div class="keys panel scope-table">
            <table>
                <caption>{caption}</caption>
                <thead>
                    <tr>
                        <th scope="col">"Scope"</th>
                        <th scope="col">"Includes"</th>
                        <th scope="col">"In a browser"</th>
                        <th scope="col">
                            <span class="visually-hidden">"Actions"</span>
                        </th>
                    </tr>
                </thead>
                <tbody>{scopes.into_iter().map(|scope| view! { <Row scope manages page /> }).collect_view()}</tbody>
            </table>
        </div>
    }
}

#[component]
fn Row(scope: Scope, manages: bool, page: KeysPageContext) -> impl IntoView {
    let implies: Vec<_> = scope.implies.iter().cloned().collect();
    view! {
        <tr>
            <th scope="row">
                <span class="scope-title mono">{scope.name.to_string()}</span>
                <span class="scope-about break">{scope.description.clone()}</span>
            </th>
            <td data-label="Includes">
                {if implies.is_empty() {
                    view! { <span class="faint">"Nothing else"</span> }.into_any()
                } else {
                    view! { <ScopeChips scopes=implies most=3 /> }.into_any()
                }}
            </td>
            <td data-label="In a browser">
                {if scope.public {
                    view! {
                        <span class="tag">
                            <Icon name="globe" />
                            "Public"
                        </span>
                    }
                        .into_any()
                } else {
                    view! { <span class="faint">"No"</span> }.into_any()
                }}
            </td>
            <td class="col-actions">{manages.then(|| view! { <Actions name=scope.name.to_string() page /> })}</td>
        </tr>
    }
}

#[component]
fn Actions(name: String, page: KeysPageContext) -> impl IntoView {
    let (edit, delete) = (format!("{name}/edit"), format!("{name}/delete"));
    view! {
        <span class="row-actions">
            <a
                class="button button-small button-quiet"
                id=format!("edit-{name}")
                href=move || page.dialog(&edit)
                title="Edit"
                aria-label=format!("Edit {name}")
                data-noscroll=""
            >
                <Icon name="sliders-horizontal" />
                <span class="action-word">"Edit"</span>
            </a>
            <a
                class="button button-small button-square button-quiet button-removes"
                href=move || page.dialog(&delete)
                title="Delete"
                aria-label=format!("Delete {name}")
                data-noscroll=""
            >
                <Icon name="trash-2" />
            </a>
        </span>
    }
}
