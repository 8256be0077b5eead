//! Resources: what keys of a workspace can be tied to. The dialogs have addresses below the list: `/resources/new`,
//! `/resources/<id>/edit` and `/resources/<id>/delete`.

use keyfold_domain::resource::{ResourceDetail, ResourceFilter};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use leptos_router::params::ParamsMap;

use super::keys::KeysPageContext;
use super::not_found::Trouble;
use super::people::DoneNotice;
use super::place::PlaceContext;
use super::resource_acts::ResourceAct;
use crate::components::{EmptyState, Icon, Moment, PAGE_TITLE, Precision, QueryForm, Select, Title};
use crate::format;
use crate::functions::resources::{ResourceList, list_resources};

/// What the address asks for. What cannot be read counts as not asked.
fn filter_of(query: &ParamsMap) -> ResourceFilter {
    let text = |name: &str| query.get(name).map(|text| text.trim().to_owned()).unwrap_or_default();
    ResourceFilter {
        search: text("q"),
        kind: text("kind"),
        owner: query.get("owner").and_then(|id| id.parse().ok()),
        cursor: query.get("cursor").filter(|cursor| !cursor.is_empty()),
        ..ResourceFilter::default()
    }
}

/// The address's query for a filter, with its question mark; empty for the whole list.
fn query_of(filter: &ResourceFilter) -> String {
    let owner = filter.owner.as_ref().map(ToString::to_string).unwrap_or_default();
    let cursor = filter.cursor.clone().unwrap_or_default();
    let parts = [("q", &filter.search), ("kind", &filter.kind), ("owner", &owner), ("cursor", &cursor)];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name}={}", format::query_part(value)))
        .collect();
    if parts.is_empty() { String::new() } else { format!("?{}", parts.join("&")) }
}

/// What a form that was sent without script has done, by the word in the address.
const DONE: &[(&str, &str)] = &[
    ("added", "The resource was added. Keys can be tied to it now."),
    ("saved", "The resource was saved."),
    ("deleted", "The resource was deleted. No key does anything there any more."),
];

#[component]
pub(super) fn ResourcesPage() -> impl IntoView {
    let place = expect_context::<PlaceContext>();
    let query = use_query_map();
    let filter = Memo::new(move |_| query.with(filter_of));
    let list = Signal::derive(move || format!("/w/{}/resources{}", place.workspace.get(), filter.with(query_of)));
    let page = KeysPageContext::new(place.workspace, list);
    provide_context(page);
    let resources = Resource::new_blocking(
        move || (place.workspace.get(), filter.get(), page.changes.get()),
        |(workspace, filter, _)| list_resources(workspace, filter),
    );
    view! {
        <Title text="Resources · Keyfold" />
        <main class="page" id="main" tabindex="-1">
            <div class="behind">
                <Transition>
                    {move || Suspend::new(async move {
                        match resources.await {
                            Ok(list) => view! { <Resources list filter page /> }.into_any(),
                            Err(fault) => view! { <Trouble fault /> }.into_any(),
                        }
                    })}
                </Transition>
            </div>
            {move || view! { <ResourceAct id=place.id.get() act=place.act.get() page /> }}
        </main>
    }
    .into_any()
}

#[component]
fn Resources(list: ResourceList, filter: Memo<ResourceFilter>, page: KeysPageContext) -> impl IntoView {
    Effect::new(move || page.settle());
    let filter = filter.get_untracked();
    let narrowed = filter != ResourceFilter::default();
    let empty = list.resources.items.is_empty();
    let manages = list.manages;
    let name = list.workspace.name.clone();
    view! {
        <div class="page-head">
            <div>
                <h1 id=PAGE_TITLE tabindex="-1">
                    "Resources"
                </h1>
                <p>
                    "What keys in " <span class="break">{name}</span>
                    " can be tied to. A key that is tied to some works on those alone."
                </p>
            </div>
            {(manages && (!empty || narrowed)).then(|| view! { <Add page /> })}
        </div>
        <DoneNotice words=DONE />
        {(!empty || narrowed).then(|| view! { <Toolbar filter=filter.clone() list=list.clone() page /> })}
        {match (empty, narrowed) {
            (true, false) => view! { <Teach manages page /> }.into_any(),
            (true, true) => view! { <NoMatch page /> }.into_any(),
            (false, _) => view! { <Table list filter page /> }.into_any(),
        }}
    }
}

#[component]
fn Add(page: KeysPageContext) -> impl IntoView {
    view! {
        <a class="button button-primary" id="add-resource" href=move || page.dialog("new") data-noscroll="">
            <Icon name="plus" />
            "Add resource"
        </a>
    }
}

/// Before the first resource: what one is for.
#[component]
fn Teach(manages: bool, page: KeysPageContext) -> impl IntoView {
    let text = if manages {
        "Add what your services work on, a collection, a project or a model, under the id they know it by. A key that is tied to it \
         is then refused everywhere else."
    } else {
        "Nothing here is yours. An administrator of the workspace adds resources and says whose they are."
    };
    view! {
        <div class="panel">
            <EmptyState icon="square-check" title=if manages { "Add your first resource" } else { "No resources yet" } text>
                {manages.then(|| view! { <Add page /> })}
            </EmptyState>
        </div>
    }
}

#[component]
fn NoMatch(page: KeysPageContext) -> impl IntoView {
    view! {
        <div class="panel">
            <EmptyState icon="search" title="No resource matches" text="Nothing here fits what you are looking for.">
                <a class="button" href=move || format!("/w/{}/resources", page.workspace.get())>
                    "Show all resources"
                </a>
            </EmptyState>
        </div>
    }
}

#[component]
fn Toolbar(filter: ResourceFilter, list: ResourceList, page: KeysPageContext) -> impl IntoView {
    let base = page.workspace.with_untracked(|workspace| format!("/w/{workspace}/resources"));
    let ResourceList { kinds, owners, manages, .. } = list;
    let option = |value: String, label: String, chosen: bool| {
        view! {
            <option value=value selected=chosen>
                {label}
            </option>
        }
    };
    let wanted = filter.owner.clone();
    view! {
        <div class="toolbar filters">
            <QueryForm action=base>
                <search class="search">
                    <label class="visually-hidden" for="q">
                        "Search resources"
                    </label>
                    <Icon name="search" />
                    <input class="control" id="q" name="q" type="search" value=filter.search maxlength="100" placeholder="Search by name or id" />
                </search>
                <label class="visually-hidden" for="shown-kind">
                    "Kind"
                </label>
                <Select name="kind" id="shown-kind">
                    {option(String::new(), "All kinds".into(), filter.kind.is_empty())}
                    {kinds.into_iter().map(|kind| option(kind.clone(), kind.clone(), kind == filter.kind)).collect_view()}
                </Select>
                {manages
                    .then(|| {
                        view! {
                            <label class="visually-hidden" for="shown-owner">
                                "Owner"
                            </label>
                            <Select name="owner" id="shown-owner">
                                {option(String::new(), "All owners".into(), wanted.is_none())}
                                {owners
                                    .into_iter()
                                    .map(|owner| option(owner.id.to_string(), owner.display_name, Some(&owner.id) == wanted.as_ref()))
                                    .collect_view()}
                            </Select>
                        }
                    })}
                <button class="button">"Show"</button>
            </QueryForm>
        </div>
    }
}

#[component]
fn Table(list: ResourceList, filter: ResourceFilter, page: KeysPageContext) -> impl IntoView {
    let next = list.resources.next.clone().map(|cursor| ResourceFilter { cursor: Some(cursor), ..filter.clone() });
    let first = filter.cursor.is_some().then(|| ResourceFilter { cursor: None, ..filter.clone() });
    let shown = i64::try_from(list.resources.items.len()).unwrap_or_default();
    let count = format::counted(shown, "resource");
    let count = if next.is_some() || first.is_some() { format!("{count} on this page") } else { count };
    let address = move |filter: &ResourceFilter| page.workspace.with_untracked(|slug| format!("/w/{slug}/resources{}", query_of(filter)));
    let manages = list.manages;
    view! {
        <div class="keys panel">
            <table>
                <caption>"Resources"</caption>
                <thead>
                    <tr>
                        <th scope="col">"Resource"</th>
                        <th scope="col">"Kind"</th>
                        {manages.then(|| view! { <th scope="col">"Owner"</th> })}
                        <th scope="col" class="number">
                            "Keys"
                        </th>
                        <th scope="col" class="col-created">
                            "Added"
                        </th>
                        <th scope="col">
                            <span class="visually-hidden">"Actions"</span>
                        </th>
                    </tr>
                </thead>
                <tbody>
                    {list.resources.items.into_iter().map(|resource| view! { <Row resource manages page /> }).collect_view()}
                </tbody>
            </table>
        </div>
        <div class="pager">
            <span>{count}</span>
            <nav class="row" aria-label="Pages">
                {first
                    .map(|filter| {
                        view! {
                            <a class="button button-small" href=address(&filter)>
                                <Icon name="arrow-left" />
                                "First page"
                            </a>
                        }
                    })}
                {next
                    .map(|filter| {
                        view! {
                            <a class="button button-small" href=address(&filter)>
                                "Next page"
                                <Icon name="arrow-right" />
                            </a>
                        }
                    })}
            </nav>
        </div>
    }
}

#[component]
fn Row(resource: ResourceDetail, manages: bool, page: KeysPageContext) -> impl IntoView {
    let keys = page.workspace.with_untracked(|slug| format!("/w/{slug}/keys?resource={}", resource.id));
    let count = if resource.keys >= 1000 { "1,000 or more".to_owned() } else { format::number(resource.keys) };
    let name = resource.name.clone();
    view! {
        <tr>
            <th scope="row">
                <span class="key-name" title=resource.name.clone()>
                    {resource.name.clone()}
                </span>
                <span class="key-hint break" translate="no">
                    {resource.external_id.clone()}
                </span>
            </th>
            <td data-label="Kind">
                <span class="chip">{resource.kind.clone()}</span>
            </td>
            {manages
                .then(|| {
                    view! {
                        <td data-label="Owner">
                            <span class="truncate owner">{resource.owner.display_name.clone()}</span>
                        </td>
                    }
                })}
            <td class="number" data-label="Keys">
                {if resource.keys > 0 {
                    let label = format!("{count} keys tied to {name}");
                    view! {
                        <a href=keys aria-label=label>
                            {count}
                        </a>
                    }
                        .into_any()
                } else {
                    view! { <span class="faint">"None"</span> }.into_any()
                }}
            </td>
            <td class="col-created" data-label="Added">
                <Moment at=resource.created_at precision=Precision::Day />
            </td>
            <td class="col-actions">{manages.then(|| view! { <Actions resource page /> })}</td>
        </tr>
    }
}

#[component]
fn Actions(resource: ResourceDetail, page: KeysPageContext) -> impl IntoView {
    let (edit, delete) = (format!("{}/edit", resource.id), format!("{}/delete", resource.id));
    view! {
        <span class="row-actions">
            <a
                class="button button-small button-quiet"
                id=format!("edit-{}", resource.id)
                href=move || page.dialog(&edit)
                title="Edit"
                aria-label=format!("Edit {}", resource.name)
                data-noscroll=""
            >
                <Icon name="sliders-horizontal" />
                <span class="action-word">"Edit"</span>
            </a>
            <a
                class="button button-small button-square button-quiet button-removes"
                href=move || page.dialog(&delete)
                title="Delete"
                aria-label=format!("Delete {}", resource.name)
                data-noscroll=""
            >
                <Icon name="trash-2" />
            </a>
        </span>
    }
}

#[cfg(all(test, feature = "ssr"))]
mod tests {
    use super::*;

    #[test]
    fn an_address_and_its_filter_say_the_same() {
        let params = |pairs: &[(&'static str, &str)]| pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect::<ParamsMap>();
        assert_eq!(query_of(&ResourceFilter::default()), "");
        assert_eq!(filter_of(&params(&[("owner", "x"), ("cursor", ""), ("q", " ")])), ResourceFilter::default());
        let read = filter_of(&params(&[("q", "a & b"), ("kind", "project"), ("owner", "usr_0123456789012345678901"), ("cursor", "abc")]));
        assert_eq!(query_of(&read), "?q=a%20%26%20b&kind=project&owner=usr_0123456789012345678901&cursor=abc");
    }
}
