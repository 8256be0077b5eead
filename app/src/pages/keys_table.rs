//! The table of keys; under 640 px its rows are cards.

use keyfold_domain::key::{KeyFilter, KeySort, KeyState, KeySummary};
use keyfold_domain::time::{DAY_MS, Timestamp};
use leptos::prelude::*;

use super::keys::KeysPageContext;
use crate::components::{Icon, Moment, Precision, QueryForm, ScopeChips, StatusPill};
use crate::functions::keys::KeyList;
use crate::{format, key_query};

/// From how near an end on the table warns.
const SOON_MS: i64 = 14 * DAY_MS;

#[component]
pub(crate) fn KeysTable(list: KeyList, filter: KeyFilter, page: KeysPageContext) -> impl IntoView {
    let next = list.keys.next.clone().map(|cursor| KeyFilter { cursor: Some(cursor), ..filter.clone() });
    let first = filter.cursor.is_some().then(|| KeyFilter { cursor: None, ..filter.clone() });
    let shown = i64::try_from(list.keys.items.len()).unwrap_or_default();
    let more = next.is_some() || first.is_some();
    let list_of = move |filter: &KeyFilter| page.workspace.with_untracked(|slug| format!("/w/{slug}/keys{}", key_query::query(filter)));
    let rows = list.keys.items.iter().map(|key| view! { <Row key=key.clone() may_change=list.may_change(key) list=list.clone() page /> });
    let rows = rows.collect_view();
    let matching = key_query::query(&KeyFilter { cursor: None, ..filter.clone() });
    let bulk = page.workspace.with_untracked(|slug| format!("/w/{slug}/bulk"));
    let acts = list.manages_all || list.may_create;
    let table = view! {
        <div class="keys panel">
            <table>
                <caption>"API keys"</caption>
                <thead>
                    <tr>
                        {acts.then(|| view! { <th scope="col" class="col-tick"><span class="visually-hidden">"Tick"</span></th> })}
                        <Head sort=KeySort::Name label="Key" filter=filter.clone() page />
                        <th scope="col">"Status"</th>
                        <th scope="col">"Scopes"</th>
                        <th scope="col" class="col-resource">
                            "Resource"
                        </th>
                        <Head sort=KeySort::Created label="Created" class="col-created" filter=filter.clone() page />
                        <Head sort=KeySort::Expires label="Expires" filter=filter.clone() page />
                        <Head sort=KeySort::LastUsed label="Last used" filter=filter.clone() page />
                        <th scope="col" class="number col-calls">
                            "Calls"
                        </th>
                        <th scope="col">
                            <span class="visually-hidden">"Actions"</span>
                        </th>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    };
    view! {
        <QueryForm action=bulk>
            {table}
            {acts
                .then(|| {
                    view! {
                        <div class="bulk-bar">
                            <input type="hidden" name="list" value=matching />
                            "With the ticked keys, or with all that match if none is ticked:"
                            <button class="button button-small" name="act" value="deactivate">
                                "Deactivate"
                            </button>
                            <button class="button button-small button-removes" name="act" value="delete">
                                "Delete"
                            </button>
                        </div>
                    }
                })}
        </QueryForm>
        <div class="pager">
            <span>{if more { format!("{} on this page", format::counted(shown, "key")) } else { format::counted(shown, "key") }}</span>
            <nav class="row" aria-label="Pages">
                {first
                    .map(|filter| {
                        view! {
                            <a class="button button-small" href=list_of(&filter)>
                                <Icon name="arrow-left" />
                                "First page"
                            </a>
                        }
                    })}
                {next
                    .map(|filter| {
                        view! {
                            <a class="button button-small" href=list_of(&filter)>
                                "Next page"
                                <Icon name="arrow-right" />
                            </a>
                        }
                    })}
            </nav>
        </div>
    }
}

/// A column's head: a link that orders by it.
#[component]
fn Head(
    sort: KeySort,
    label: &'static str,
    #[prop(optional)] class: &'static str,
    filter: KeyFilter,
    page: KeysPageContext,
) -> impl IntoView {
    let order = (filter.sort == sort).then_some(if filter.descending { "descending" } else { "ascending" });
    let icon = if filter.sort == sort && !filter.descending { "arrow-up" } else { "arrow-down" };
    let query = key_query::query(&key_query::pressed(&filter, sort));
    let href = page.workspace.with_untracked(|slug| format!("/w/{slug}/keys{query}"));
    view! {
        <th scope="col" class=class aria-sort=order>
            <a class="sort-link" href=href data-noscroll="">
                {label}
                <Icon name=icon />
            </a>
        </th>
    }
}

/// What a key is called on the screen.
pub(crate) fn shown_name(key: &KeySummary) -> String {
    if key.name.is_empty() { "Unnamed key".into() } else { key.name.clone() }
}

/// What a key is tied to, in a few words.
pub(crate) fn shown_resources(key: &KeySummary) -> String {
    match key.resources.as_slice() {
        [] => "All".to_owned(),
        [only] => only.name.clone(),
        [first, rest @ ..] => format!("{} +{}", first.name, rest.len()),
    }
}

#[component]
fn Row(key: KeySummary, may_change: bool, list: KeyList, page: KeysPageContext) -> impl IntoView {
    let name = shown_name(&key);
    let name_class = if key.name.is_empty() { "key-name faint" } else { "key-name" };
    let now = list.now;
    let on = shown_resources(&key);
    let own_page = page.workspace.with_untracked(|slug| format!("/w/{slug}/keys/{}", key.id));
    let owner = if list.manages_all { key.owner.display_name.clone() } else { String::new() };
    let acts = list.manages_all || list.may_create;
    let (id, ticks) = (key.id.to_string(), may_change);
    view! {
        <tr>
            {acts
                .then(|| {
                    let tick = ticks.then(|| view! { <input type="checkbox" name="ids" value=id aria-label=format!("Tick {name}") /> });
                    view! { <td class="col-tick">{tick}</td> }
                })}
            <th scope="row">
                <a class=name_class title=name.clone() href=own_page>
                    {name.clone()}
                </a>
                <span class="key-hint" translate="no">
                    {key.hint.clone()}
                </span>
            </th>
            <td class="col-status" data-label="Status">
                <StatusPill state=key.state />
            </td>
            <td data-label="Scopes">
                <ScopeChips scopes=key.scopes.iter().cloned().collect() most=2 />
            </td>
            <td class="col-resource" data-label="Resource">
                <span class="truncate">{on}</span>
            </td>
            <td class="col-created" data-label="Created">
                <span class="two-lines">
                    <Moment at=key.created_at precision=Precision::Day />
                    {(!owner.is_empty()).then(|| view! { <span class="truncate owner">{owner}</span> })}
                </span>
            </td>
            <td data-label=if key.stopped_at.is_some() { "Ended" } else { "Expires" }>
                <End key=key.clone() now />
            </td>
            <td data-label="Last used">
                {match key.last_used_at {
                    Some(at) => view! { <Moment at precision=Precision::Distance(now) /> }.into_any(),
                    None => view! { <span class="faint">"Never"</span> }.into_any(),
                }}
            </td>
            <td class="number col-calls" data-label="Calls">
                <span>{format::number(key.total_calls)}</span>
            </td>
            <td class="col-actions">{may_change.then(|| view! { <Actions key name page /> })}</td>
        </tr>
    }
}

/// When a key ends, or ended.
#[component]
fn End(key: KeySummary, now: Timestamp) -> impl IntoView {
    if let Some(at) = key.stopped_at {
        let word = if key.state == KeyState::Deleted { "deleted" } else { "deactivated" };
        return view! {
            <span class="two-lines">
                <Moment at precision=Precision::Day />
                <span>{word}</span>
            </span>
        }
        .into_any();
    }
    match key.expires_at {
        Some(at) => {
            let left = at.millis_since(now);
            let class = match left {
                _ if key.state != KeyState::Active => "",
                left if left < DAY_MS => "soon soon-now",
                left if left < 7 * DAY_MS => "soon",
                left if left < SOON_MS => "warn",
                _ => "",
            };
            view! {
                <span class="two-lines">
                    <Moment at precision=Precision::Day />
                    <span class=class>{format::relative(at, now)}</span>
                </span>
            }
            .into_any()
        }
        None => view! { <span class="faint">"Never"</span> }.into_any(),
    }
}

#[component]
fn Actions(key: KeySummary, name: String, page: KeysPageContext) -> impl IntoView {
    let (edit, delete) = (format!("{}/scopes", key.id), format!("{}/delete", key.id));
    view! {
        <span class="row-actions">
            <a
                class="button button-small button-quiet"
                id=format!("edit-{}", key.id)
                href=move || page.dialog(&edit)
                title="Edit scopes"
                aria-label=format!("Edit scopes of {name}")
                data-noscroll=""
            >
                <Icon name="sliders-horizontal" />
                <span class="action-word">"Edit scopes"</span>
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
