//! Members of a workspace: who is there, who is invited, and the keys of those who left.

use keyfold_domain::member::{LeftKey, MemberSummary};
use keyfold_domain::workspace::Role;
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

use super::left_key_dialog::Decide;
use super::member_dialogs::{Add, ChangeRole, Invite, Remove};
use super::member_limits::LimitMember;
use super::not_found::Trouble;
use super::open_invitations::Invitations;
use super::people::{DoneNotice, Listing, Pager, PersonStatus, SearchBar, filter, query};
use super::place::PlaceContext;
use crate::components::{EmptyState, Icon, Moment, Precision, Title};
use crate::format;
use crate::functions::members::{MembersView, list_members};

const DONE: &[(&str, &str)] = &[
    ("added", "They were added. They may enter from the next request on."),
    ("role", "The role was changed. It holds from the next request on."),
    ("limits", "The limits were saved. They hold from the next call on."),
    ("removed", "The member was removed."),
    ("removed-with-keys", "The member was removed. Their keys stopped and wait below for a decision."),
    ("withdrawn", "The invitation was taken back. Its link is not good any more."),
    ("reassign", "The keys have a new owner and work again, with the same secrets."),
    ("keep", "The keys stay as they are, stopped. They work again if their owner comes back."),
    ("revoke", "The keys were deleted. Their secrets no longer work."),
];

/// What a role means, in a word and a sentence.
pub(super) const fn role_words(role: Role) -> (&'static str, &'static str) {
    match role {
        Role::Owner => ("Owner", "Manages everything, the owners included."),
        Role::Admin => ("Admin", "Manages everybody's keys, members and rules."),
        Role::Member => ("Member", "Has keys of their own."),
        Role::Viewer => ("Viewer", "Looks at what is theirs, makes no keys."),
    }
}

#[component]
pub(super) fn MembersPage() -> impl IntoView {
    let place = expect_context::<PlaceContext>();
    let asked = use_query_map();
    let wanted = Memo::new(move |_| asked.with(filter));
    let list = Signal::derive(move || format!("/w/{}/members{}", place.workspace.get(), wanted.with(query)));
    let page = Listing::new(list);
    let members = Resource::new_blocking(
        move || (place.workspace.get(), wanted.get(), page.changes.get()),
        |(workspace, wanted, _)| list_members(workspace, wanted),
    );
    let workspace = move || place.workspace.get_untracked();
    let dialog = move || match (place.id.get(), place.act.get().as_str()) {
        (id, "") if id.is_empty() => ().into_any(),
        (id, "") if id == "invite" => view! { <Invite workspace=workspace() page members /> }.into_any(),
        (id, "") if id == "add" => view! { <Add workspace=workspace() page members /> }.into_any(),
        (id, "role") => view! { <ChangeRole workspace=workspace() id page /> }.into_any(),
        (id, "limits") => view! { <LimitMember workspace=workspace() id page /> }.into_any(),
        (id, "remove") => view! { <Remove workspace=workspace() id page /> }.into_any(),
        (id, "decide") => view! { <Decide workspace=workspace() id page members /> }.into_any(),
        _ => view! { <Trouble fault=keyfold_domain::problem::Problem::not_found().into() /> }.into_any(),
    };
    view! {
        <Title text="Members · Keyfold" />
        <main class="page" id="main" tabindex="-1">
            <div class="behind">
                <Transition>
                    {move || Suspend::new(async move {
                        match members.await {
                            Ok(view) => view! { <Members view filter=wanted.get_untracked() page /> }.into_any(),
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
fn Members(view: MembersView, filter: keyfold_domain::user::PeopleFilter, page: Listing) -> impl IntoView {
    Effect::new(move || page.settle());
    let base = format!("/w/{}/members", view.workspace.slug);
    let searched = !filter.search.is_empty();
    let count = view.members.items.len();
    let (left, invitations) = (view.left.clone(), view.invitations.clone());
    let (slug, now) = (view.workspace.slug.clone(), view.now);
    let next = view.members.next.clone();
    let all = base.clone();
    view! {
        <div class="page-head">
            <div>
                <h1 id="page-title" tabindex="-1">
                    "Members"
                </h1>
                <p>"Who may enter " <span class="break">{view.workspace.name.clone()}</span> ", and as what. A changed role holds from the next request on."</p>
            </div>
            <div class="row">
                <a class="button" id="add-member" href=move || page.dialog("add") data-noscroll="">
                    <Icon name="user" />
                    "Add by name"
                </a>
                <a class="button button-primary" id="invite" href=move || page.dialog("invite") data-noscroll="">
                    <Icon name="plus" />
                    "Invite somebody"
                </a>
            </div>
        </div>
        <DoneNotice words=DONE />
        {(!left.items.is_empty()).then(|| view! { <LeftQueue left=left.items more=left.next.is_some() page now /> })}
        <SearchBar base=base.clone() filter=filter.clone() label="Search members by name or e-mail" />
        {if count == 0 {
            let text = if searched { "No member has this in their name or e-mail address." } else { "There is nobody on this page." };
            view! {
                <div class="panel">
                    <EmptyState icon="search" title="Nobody found" text>
                        <a class="button" href=all>
                            "Show all members"
                        </a>
                    </EmptyState>
                </div>
            }
                .into_any()
        } else {
            view! { <MembersTable view page /> }.into_any()
        }}
        <Pager base=base filter count unit="member" next />
        <Invitations invitations slug page now />
    }
}

#[component]
fn MembersTable(view: MembersView, page: Listing) -> impl IntoView {
    let rows = view.members.items.clone().into_iter().map(|member| {
        let (may_change, own) = (view.may_change(&member), member.user.id == view.me);
        view! { <MemberRow member may_change own page now=view.now /> }
    });
    view! {
        <div class="panel keys people">
            <table role="table">
                <caption>"Members of this workspace, by username"</caption>
                <thead role="rowgroup">
                    <tr role="row">
                        <th scope="col" role="columnheader">
                            "Member"
                        </th>
                        <th scope="col" role="columnheader">
                            "Role"
                        </th>
                        <th scope="col" role="columnheader">
                            "Status"
                        </th>
                        <th scope="col" role="columnheader">
                            "Member since"
                        </th>
                        <th scope="col" role="columnheader" class="number">
                            "Keys"
                        </th>
                        <th scope="col" role="columnheader">
                            <span class="visually-hidden">"Actions"</span>
                        </th>
                    </tr>
                </thead>
                <tbody role="rowgroup">{rows.collect_view()}</tbody>
            </table>
        </div>
    }
}

#[component]
fn MemberRow(member: MemberSummary, may_change: bool, own: bool, page: Listing, now: keyfold_domain::time::Timestamp) -> impl IntoView {
    let name = member.user.display_name.clone();
    let address = |act: &str| format!("{}/{act}", member.user.id);
    let (role_address, limits_address, remove_address) = (address("role"), address("limits"), address("remove"));
    let limits = if member.limits.is_empty() { "Limits".to_owned() } else { format!("Limits ({})", member.limits.len()) };
    let reach =
        if member.email.is_empty() { member.user.username.clone() } else { format!("{} · {}", member.user.username, member.email) };
    view! {
        <tr role="row">
            <th scope="row" role="rowheader">
                <span class="key-name" title=name.clone()>
                    {name.clone()}
                    {own.then(|| view! { <span class="faint">" (you)"</span> })}
                </span>
                <span class="person-reach truncate" title=reach.clone()>{reach.clone()}</span>
            </th>
            <td role="cell" data-label="Role">
                {role_words(member.role).0}
            </td>
            <td role="cell" class="col-status" data-label="Status">
                <PersonStatus active=member.active />
            </td>
            <td role="cell" class="col-created" data-label="Member since">
                <span class="two-lines">
                    <Moment at=member.since precision=Precision::Day />
                    <span>{format::relative(member.since, now)}</span>
                </span>
            </td>
            <td role="cell" class="number" data-label="Keys">
                {format::number(member.live_keys)}
            </td>
            <td role="cell" class="col-actions">
                {may_change
                    .then(|| {
                        view! {
                            <span class="row-actions">
                                <a
                                    class="button button-small button-quiet"
                                    href=move || page.dialog(&role_address)
                                    aria-label=format!("Change role of {name}")
                                    data-noscroll=""
                                >
                                    "Change role"
                                </a>
                                <a
                                    class="button button-small button-quiet"
                                    href=move || page.dialog(&limits_address)
                                    aria-label=format!("{limits} of the keys of {name}")
                                    data-noscroll=""
                                >
                                    {limits.clone()}
                                </a>
                                <a
                                    class="button button-small button-quiet button-removes"
                                    href=move || page.dialog(&remove_address)
                                    aria-label=if own { "Leave this workspace".to_owned() } else { format!("Remove {name}") }
                                    data-noscroll=""
                                >
                                    {if own { "Leave" } else { "Remove" }}
                                </a>
                            </span>
                        }
                    })}
            </td>
        </tr>
    }
}

/// The keys of people who left: each waits for somebody to say what becomes of it.
#[component]
fn LeftQueue(left: Vec<LeftKey>, more: bool, page: Listing, now: keyfold_domain::time::Timestamp) -> impl IntoView {
    let mut people: Vec<(String, String, i64)> = Vec::new();
    for waiting in &left {
        let owner = &waiting.key.owner;
        match people.iter_mut().find(|(id, ..)| id == owner.id.as_str()) {
            Some((.., count)) => *count += 1,
            None => people.push((owner.id.to_string(), owner.display_name.clone(), 1)),
        }
    }
    let everybody = people.into_iter().filter(|(.., count)| *count > 1).map(|(id, name, count)| {
        let address = format!("{id}/decide");
        view! {
            <a class="button button-small" href=move || page.dialog(&address) data-noscroll="">
                "All " {format::number(count)} " of " {name}
            </a>
        }
    });
    let rows = left.into_iter().map(|waiting| {
        let key = waiting.key;
        let name = super::keys_table::shown_name(&key);
        let address = format!("{}/decide", key.id);
        let used = key.last_used_at;
        view! {
            <tr role="row">
                <th scope="row" role="rowheader">
                    <span class="key-name" title=name.clone()>
                        {name.clone()}
                    </span>
                    <span class="key-hint" translate="no">
                        {key.hint.clone()}
                    </span>
                </th>
                <td role="cell" data-label="Owner">
                    {key.owner.display_name.clone()}
                </td>
                <td role="cell" data-label="Left">
                    <Moment at=waiting.left_at precision=Precision::Distance(now) />
                </td>
                <td role="cell" data-label="Last used">
                    {match used {
                        Some(at) => view! { <Moment at precision=Precision::Distance(now) /> }.into_any(),
                        None => view! { <span class="faint">"Never"</span> }.into_any(),
                    }}
                </td>
                <td role="cell" class="col-actions">
                    <span class="row-actions">
                        <a
                            class="button button-small"
                            href=move || page.dialog(&address)
                            aria-label=format!("Decide about {name}")
                            data-noscroll=""
                        >
                            "Decide"
                        </a>
                    </span>
                </td>
            </tr>
        }
    });
    view! {
        <section class="people-section" aria-labelledby="left-title">
            <div class="section-head">
                <div>
                    <h2 id="left-title">"Keys of people who left"</h2>
                    <p class="soft">"They are stopped. Give each to another member, keep it stopped, or delete it. If its owner comes back, what you kept works again."</p>
                </div>
                <div class="row">{everybody.collect_view()}</div>
            </div>
            <div class="panel keys people waiting">
                <table role="table">
                    <caption>"Keys of people who left, the longest waiting first"</caption>
                    <thead role="rowgroup">
                        <tr role="row">
                            <th scope="col" role="columnheader">
                                "Key"
                            </th>
                            <th scope="col" role="columnheader">
                                "Owner"
                            </th>
                            <th scope="col" role="columnheader">
                                "Left"
                            </th>
                            <th scope="col" role="columnheader">
                                "Last used"
                            </th>
                            <th scope="col" role="columnheader">
                                <span class="visually-hidden">"Actions"</span>
                            </th>
                        </tr>
                    </thead>
                    <tbody role="rowgroup">{rows.collect_view()}</tbody>
                </table>
            </div>
            {more.then(|| view! { <p class="small faint">"There are more. They come up as you decide about these."</p> })}
        </section>
    }
}
