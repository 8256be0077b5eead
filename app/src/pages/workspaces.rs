//! Every workspace of this server, for instance administrators.

use keyfold_domain::user::PeopleFilter;
use keyfold_domain::workspace::WorkspaceDetail;
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

use super::not_found::Trouble;
use super::people::{ActDialog, DoneNotice, Listing, Pager, SearchBar, Words, error, filter, query, typed_or};
use super::system::SystemContext;
use crate::components::{EmptyState, Field, Icon, Moment, Notice, Precision, Sending, Title, Tone};
use crate::format;
use crate::functions::fault::Fault;
use crate::functions::users::{CreateWorkspace, DeleteWorkspace, RenameWorkspace, WorkspacesView, list_all_workspaces};

const BASE: &str = "/system/workspaces";
const DONE: &[(&str, &str)] = &[
    ("created", "The workspace was made."),
    ("renamed", "The workspace was renamed."),
    ("deleted", "The workspace was deleted. Its keys stopped."),
];

#[component]
pub(super) fn WorkspacesPage() -> impl IntoView {
    let place = expect_context::<SystemContext>();
    let asked = use_query_map();
    let wanted = Memo::new(move |_| asked.with(filter));
    let page = Listing::new(Signal::derive(move || format!("{BASE}{}", wanted.with(query))));
    let workspaces = Resource::new_blocking(move || (wanted.get(), page.changes.get()), |(wanted, _)| list_all_workspaces(wanted));
    let dialog = move || match (place.id.get(), place.act.get()) {
        (id, _) if id.is_empty() => ().into_any(),
        (id, act) if id == "new" && act.is_empty() => view! { <NewWorkspace page /> }.into_any(),
        (slug, act) if act == "rename" || act == "delete" => view! { <Act slug act page workspaces /> }.into_any(),
        _ => view! { <Trouble fault=keyfold_domain::problem::Problem::not_found().into() /> }.into_any(),
    };
    view! {
        <Title text="Workspaces · Keyfold" />
        <main class="page" id="main" tabindex="-1">
            <div class="behind">
                <Transition>
                    {move || Suspend::new(async move {
                        match workspaces.await {
                            Ok(view) => view! { <Workspaces view filter=wanted.get_untracked() page /> }.into_any(),
                            Err(fault) => view! { <Trouble fault /> }.into_any(),
                        }
                    })}
                </Transition>
            </div>
            {dialog}
        </main>
    }
    .into_any()
}

#[component]
fn Workspaces(view: WorkspacesView, filter: PeopleFilter, page: Listing) -> impl IntoView {
    Effect::new(move || page.settle());
    let count = view.workspaces.items.len();
    let next = view.workspaces.next.clone();
    let rows = view.workspaces.items.into_iter().map(|detail| view! { <Row detail page /> }).collect_view();
    view! {
        <div class="page-head">
            <div>
                <h1 id="page-title" tabindex="-1">
                    "Workspaces"
                </h1>
                <p>"Each has its own members, keys and rules, and knows nothing of the others."</p>
            </div>
            <a class="button button-primary" id="new-workspace" href=move || page.dialog("new") data-noscroll="">
                <Icon name="plus" />
                "Add a workspace"
            </a>
        </div>
        <DoneNotice words=DONE />
        <SearchBar base=BASE.to_owned() filter=filter.clone() label="Search workspaces by name" />
        {if count == 0 {
            view! {
                <div class="panel">
                    <EmptyState icon="search" title="No workspace found" text="None has this in its name or short name.">
                        <a class="button" href=BASE>
                            "Show all workspaces"
                        </a>
                    </EmptyState>
                </div>
            }
                .into_any()
        } else {
            view! {
                <div class="panel keys people">
                    <table role="table">
                        <caption>"Workspaces of this server, by short name"</caption>
                        <thead role="rowgroup">
                            <tr role="row">
                                <th scope="col" role="columnheader">
                                    "Workspace"
                                </th>
                                <th scope="col" role="columnheader">
                                    "Owner"
                                </th>
                                <th scope="col" role="columnheader" class="number">
                                    "Members"
                                </th>
                                <th scope="col" role="columnheader" class="number">
                                    "Keys"
                                </th>
                                <th scope="col" role="columnheader">
                                    "Created"
                                </th>
                                <th scope="col" role="columnheader">
                                    <span class="visually-hidden">"Actions"</span>
                                </th>
                            </tr>
                        </thead>
                        <tbody role="rowgroup">{rows}</tbody>
                    </table>
                </div>
            }
                .into_any()
        }}
        <Pager base=BASE.to_owned() filter count unit="workspace" next />
    }
}

#[component]
fn Row(detail: WorkspaceDetail, page: Listing) -> impl IntoView {
    let name = detail.name.clone();
    let (rename, delete) = (format!("{}/rename", detail.slug), format!("{}/delete", detail.slug));
    view! {
        <tr role="row">
            <th scope="row" role="rowheader">
                <a class="key-name" title=name.clone() href=format!("/w/{}/keys", detail.slug)>
                    {name.clone()}
                </a>
                <span class="key-hint">{detail.slug.clone()}</span>
            </th>
            <td role="cell" data-label="Owner">
                {match detail.owner {
                    Some(owner) => view! { <span class="break">{owner.display_name}</span> }.into_any(),
                    None => view! { <span class="faint">"Nobody"</span> }.into_any(),
                }}
            </td>
            <td role="cell" class="number" data-label="Members">
                {format::number(detail.members)}
            </td>
            <td role="cell" class="number" data-label="Keys">
                {format::number(detail.live_keys)}
            </td>
            <td role="cell" class="col-created" data-label="Created">
                <Moment at=detail.created_at precision=Precision::Day />
            </td>
            <td role="cell" class="col-actions">
                <span class="row-actions">
                    <a
                        class="button button-small button-quiet"
                        href=format!("/w/{}/members", detail.slug)
                        aria-label=format!("Members of {name}")
                    >
                        "Members"
                    </a>
                    <a class="button button-small button-quiet" href=move || page.dialog(&rename) aria-label=format!("Rename {}", name.clone()) data-noscroll="">
                        "Rename"
                    </a>
                    <a
                        class="button button-small button-quiet button-removes"
                        href=move || page.dialog(&delete)
                        aria-label=format!("Delete {name}")
                        data-noscroll=""
                    >
                        "Delete"
                    </a>
                </span>
            </td>
        </tr>
    }
}

#[component]
fn NewWorkspace(page: Listing) -> impl IntoView {
    let action = Sending::to::<CreateWorkspace>();
    let words = Words { title: "Add a workspace", button: "Add workspace", danger: false, done: "The workspace was made." };
    let typed = move |field: &str| typed_or(action, field, "");
    view! {
        <ActDialog words about="For a team or a product, with an owner who lets others in." action page fields=&["name", "slug", "owner"]>
            <Field name="name" label="Name" value=typed("name") required=true maxlength=100 autofocus=true autocomplete="off" error=error(action, "name") />
            <Field name="slug" label="Short name" hint="Stands in addresses: /w/short-name. It stays." value=typed("slug") required=true maxlength=40 autocomplete="off" error=error(action, "slug") />
            <Field name="owner" label="Owner" hint="The username of somebody on this server." value=typed("owner") required=true maxlength=60 autocomplete="off" error=error(action, "owner") />
        </ActDialog>
    }
}

/// An act on one workspace of the list.
#[component]
fn Act(slug: String, act: String, page: Listing, workspaces: Resource<Result<WorkspacesView, Fault>>) -> impl IntoView {
    view! {
        <Suspense>
            {move || {
                let (slug, act) = (slug.clone(), act.clone());
                Suspend::new(async move {
                    let present = workspaces.await.ok().and_then(|view| view.workspaces.items.into_iter().find(|row| row.slug == slug));
                    match present {
                        Some(detail) if act == "delete" => view! { <DeleteDialog detail page /> }.into_any(),
                        Some(detail) => view! { <RenameDialog detail page /> }.into_any(),
                        None => view! { <Trouble fault=keyfold_domain::problem::Problem::not_found().into() /> }.into_any(),
                    }
                })
            }}
        </Suspense>
    }
}

#[component]
fn RenameDialog(detail: WorkspaceDetail, page: Listing) -> impl IntoView {
    let action = Sending::to::<RenameWorkspace>();
    let words = Words { title: "Rename the workspace", button: "Save", danger: false, done: "The workspace was renamed." };
    let name = typed_or(action, "name", &detail.name);
    view! {
        <ActDialog words about=format!("/w/{}", detail.slug) action page fields=&["name"]>
            <input type="hidden" name="workspace" value=detail.slug />
            <Field name="name" label="Name" value=name required=true maxlength=100 autofocus=true autocomplete="off" error=error(action, "name") />
        </ActDialog>
    }
}

#[component]
fn DeleteDialog(detail: WorkspaceDetail, page: Listing) -> impl IntoView {
    let action = Sending::to::<DeleteWorkspace>();
    let words = Words {
        title: "Delete this workspace?",
        button: "Delete workspace",
        danger: true,
        done: "The workspace was deleted. Its keys stopped.",
    };
    let WorkspaceDetail { name, slug, live_keys, members, .. } = detail;
    let stops = match live_keys {
        0 => "It has no keys.".to_owned(),
        1 => "1 key stops at once.".to_owned(),
        keys => format!("{} keys stop at once.", format::number(keys)),
    };
    let loses = format!("{} can no longer enter it.", format::counted(members, "member"));
    let typed = typed_or(action, "confirmation", "");
    view! {
        <ActDialog words about=name action page fields=&["confirmation", "password_again"]>
            <input type="hidden" name="workspace" value=slug.clone() />
            <Notice tone=Tone::Warn quiet=true>
                <strong>{stops}</strong>
                " "
                {loses}
                " This cannot be undone. The record of its keys and its audit log stay for administrators of this server, and its short name stays taken."
            </Notice>
            <p>"Type " <code class="break" translate="no">{slug}</code> " to be sure."</p>
            <Field name="confirmation" label="Short name" value=typed required=true maxlength=40 autocomplete="off" error=error(action, "confirmation") />
        </ActDialog>
    }
}
