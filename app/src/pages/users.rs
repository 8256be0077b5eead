//! Everybody on this server, for instance administrators.

use keyfold_domain::time::Timestamp;
use keyfold_domain::user::{PeopleFilter, UserDetail};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

use super::not_found::Trouble;
use super::people::{DoneNotice, Listing, Pager, PersonStatus, SearchBar, filter, query};
use super::system::SystemContext;
use super::user_dialogs::{NewUser, UserAct};
use crate::components::{EmptyState, Icon, Moment, Precision, Title};
use crate::format;
use crate::functions::users::{UsersView, list_users};

const BASE: &str = "/system/users";
const DONE: &[(&str, &str)] = &[
    ("updated", "The user was changed."),
    ("disabled", "The user was disabled. Their sessions ended and their keys stopped."),
    ("enabled", "The user was enabled. They can sign in, and their keys work again."),
];

#[component]
pub(super) fn UsersPage() -> impl IntoView {
    let place = expect_context::<SystemContext>();
    let asked = use_query_map();
    let wanted = Memo::new(move |_| asked.with(filter));
    let page = Listing::new(Signal::derive(move || format!("{BASE}{}", wanted.with(query))));
    let users = Resource::new_blocking(move || (wanted.get(), page.changes.get()), |(wanted, _)| list_users(wanted));
    let dialog = move || match (place.id.get(), place.act.get()) {
        (id, _) if id.is_empty() => ().into_any(),
        (id, act) if id == "new" && act.is_empty() => view! { <NewUser page /> }.into_any(),
        (id, act) => view! { <UserAct id act page /> }.into_any(),
    };
    view! {
        <Title text="Users · Keyfold" />
        <main class="page" id="main" tabindex="-1">
            <div class="behind">
                <Transition>
                    {move || Suspend::new(async move {
                        match users.await {
                            Ok(view) => view! { <Users view filter=wanted.get_untracked() page /> }.into_any(),
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
fn Users(view: UsersView, filter: PeopleFilter, page: Listing) -> impl IntoView {
    Effect::new(move || page.settle());
    let count = view.users.items.len();
    let next = view.users.next.clone();
    let now = view.now;
    let rows = view.users.items.into_iter().map(|detail| {
        let own = detail.user.id == view.me;
        view! { <UserRow detail own page now /> }
    });
    let rows = rows.collect_view();
    view! {
        <div class="page-head">
            <div>
                <h1 id="page-title" tabindex="-1">
                    "Users"
                </h1>
                <p>"Everybody on this server. What they may do in a workspace is said there; here is who may come in at all."</p>
            </div>
            <a class="button button-primary" id="new-user" href=move || page.dialog("new") data-noscroll="">
                <Icon name="plus" />
                "Add a user"
            </a>
        </div>
        <DoneNotice words=DONE />
        <SearchBar base=BASE.to_owned() filter=filter.clone() label="Search users by name or e-mail" />
        {if count == 0 {
            view! {
                <div class="panel">
                    <EmptyState icon="search" title="Nobody found" text="No user has this in their name or e-mail address.">
                        <a class="button" href=BASE>
                            "Show all users"
                        </a>
                    </EmptyState>
                </div>
            }
                .into_any()
        } else {
            view! {
                <div class="panel keys people">
                    <table role="table">
                        <caption>"Users of this server, by username"</caption>
                        <thead role="rowgroup">
                            <tr role="row">
                                <th scope="col" role="columnheader">
                                    "User"
                                </th>
                                <th scope="col" role="columnheader">
                                    "Status"
                                </th>
                                <th scope="col" role="columnheader">
                                    "Rank"
                                </th>
                                <th scope="col" role="columnheader" class="number">
                                    "Workspaces"
                                </th>
                                <th scope="col" role="columnheader" class="number">
                                    "Keys"
                                </th>
                                <th scope="col" role="columnheader">
                                    "Last seen"
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
        <Pager base=BASE.to_owned() filter count unit="user" next />
    }
}

#[component]
fn UserRow(detail: UserDetail, own: bool, page: Listing, now: Timestamp) -> impl IntoView {
    let user = detail.user;
    let name = user.display_name.clone();
    let reach = format!("{} · {}", user.username, user.email);
    let act = move |act: &str| format!("{}/{act}", user.id);
    let (edit, reset) = (act("edit"), act("reset"));
    let (switch, switch_word) = if user.active { (act("disable"), "Disable") } else { (act("enable"), "Enable") };
    view! {
        <tr role="row">
            <th scope="row" role="rowheader">
                <span class="key-name" title=name.clone()>
                    {name.clone()}
                    {own.then(|| view! { <span class="faint">" (you)"</span> })}
                </span>
                <span class="person-reach truncate" title=reach.clone()>{reach.clone()}</span>
            </th>
            <td role="cell" class="col-status" data-label="Status">
                <PersonStatus active=user.active />
            </td>
            <td role="cell" data-label="Rank">
                {if user.instance_admin { "Instance admin" } else { "User" }}
            </td>
            <td role="cell" class="number col-created" data-label="Workspaces">
                {format::number(detail.workspaces)}
            </td>
            <td role="cell" class="number col-calls" data-label="Keys">
                {format::number(detail.live_keys)}
            </td>
            <td role="cell" data-label="Last seen">
                {match detail.last_seen_at {
                    Some(at) => view! { <Moment at precision=Precision::Distance(now) /> }.into_any(),
                    None => view! { <span class="faint">"Not signed in"</span> }.into_any(),
                }}
            </td>
            <td role="cell" class="col-actions">
                <span class="row-actions">
                    <a class="button button-small button-quiet" href=move || page.dialog(&edit) aria-label=format!("Edit {name}") data-noscroll="">
                        "Edit"
                    </a>
                    {user
                        .active
                        .then(|| {
                            view! {
                                <a
                                    class="button button-small button-quiet"
                                    href=move || page.dialog(&reset)
                                    aria-label=format!("Password link for {name}")
                                    data-noscroll=""
                                >
                                    "Password link"
                                </a>
                            }
                        })}
                    {(!own)
                        .then(|| {
                            view! {
                                <a
                                    class="button button-small button-quiet"
                                    href=move || page.dialog(&switch)
                                    aria-label=format!("{switch_word} {name}")
                                    data-noscroll=""
                                >
                                    {switch_word}
                                </a>
                            }
                        })}
                </span>
            </td>
        </tr>
    }
}
