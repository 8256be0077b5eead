//! The table of everybody's keys: ten columns, in this order, with boxes to tick in front.

use keyfold_domain::key::{KeyFilter, KeySort, KeyState, PlacedKey};
use keyfold_domain::time::Timestamp;
use leptos::prelude::*;

use super::keys::KeysPageContext;
use super::keys_table::{shown_name, shown_resources};
use super::system_keys::address;
use crate::components::{Icon, Moment, Precision, QueryForm, StatusPill};
use crate::functions::all_keys::AllKeys;
use crate::{format, key_query};

#[component]
pub(super) fn AllKeysTable(list: AllKeys, filter: KeyFilter, user: String, page: KeysPageContext) -> impl IntoView {
    let next = list.keys.next.clone().map(|cursor| address(&user, &KeyFilter { cursor: Some(cursor), ..filter.clone() }));
    let first = filter.cursor.is_some().then(|| address(&user, &KeyFilter { cursor: None, ..filter.clone() }));
    let shown = i64::try_from(list.keys.items.len()).unwrap_or_default();
    let now = list.now;
    let rows = list.keys.items.into_iter().map(|placed| view! { <Row placed now page /> }).collect_view();
    let head = |sort, label| view! { <Head sort label filter=filter.clone() user=user.clone() /> };
    let heads = (
        head(KeySort::Name, "Name"),
        head(KeySort::Created, "Created"),
        head(KeySort::Expires, "Expiry date"),
        head(KeySort::LastUsed, "Last used"),
    );
    view! {
        <QueryForm action="/system/bulk".to_owned()>
            <input type="hidden" name="user" value=user.clone() />
            <input type="hidden" name="list" value=key_query::query(&KeyFilter { cursor: None, ..filter.clone() }) />
            <div class="keys panel dashboard">
                <table>
                    <caption>"API keys of all users"</caption>
                    <thead>
                        <tr>
                            <th scope="col" class="col-tick">
                                <span class="visually-hidden">"Tick"</span>
                            </th>
                            {heads.0}
                            <th scope="col">"Secret key"</th>
                            <th scope="col">"Collection"</th>
                            {heads.1}
                            <th scope="col">"Status"</th>
                            {heads.2}
                            <th scope="col">"Inactivity interval"</th>
                            {heads.3}
                            <th scope="col" class="number">
                                "Total calls"
                            </th>
                            <th scope="col">"Actions"</th>
                        </tr>
                    </thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
            <div class="bulk-bar">
                <span>"With the ticked keys, or with all that match if none is ticked:"</span>
                <button class="button button-small" name="act" value="deactivate">
                    "Deactivate"
                </button>
                <button class="button button-small button-removes" name="act" value="delete">
                    <Icon name="trash-2" />
                    "Delete"
                </button>
            </div>
        </QueryForm>
        <div class="pager">
            <span>{format!("{} on this page", format::counted(shown, "key"))}</span>
            <nav class="row" aria-label="Pages of keys">
                {first
                    .map(|href| {
                        view! {
                            <a class="button button-small" href=href>
                                <Icon name="arrow-left" />
                                "First page"
                            </a>
                        }
                    })}
                {next
                    .map(|href| {
                        view! {
                            <a class="button button-small" href=href>
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
fn Head(sort: KeySort, label: &'static str, filter: KeyFilter, user: String) -> impl IntoView {
    let order = (filter.sort == sort).then_some(if filter.descending { "descending" } else { "ascending" });
    let icon = if filter.sort == sort && !filter.descending { "arrow-up" } else { "arrow-down" };
    let href = address(&user, &key_query::pressed(&filter, sort));
    view! {
        <th scope="col" aria-sort=order>
            <a class="sort-link" href=href data-noscroll="">
                {label}
                <Icon name=icon />
            </a>
        </th>
    }
}

#[component]
fn Row(placed: PlacedKey, now: Timestamp, page: KeysPageContext) -> impl IntoView {
    let PlacedKey { key, workspace } = placed;
    let name = shown_name(&key);
    let owner = format!("{} in {}", key.owner.display_name, workspace.name);
    let deleted = key.state == KeyState::Deleted;
    let to_key = format!("/w/{}/keys/{}", workspace.slug, key.id);
    let (created, id) = (key.created_at, key.id.to_string());
    // A global key acts on everything of its owner's.
    view! {
        <tr>
            <td class="col-tick">
                {(!deleted).then(|| view! { <input type="checkbox" name="ids" value=id.clone() aria-label=format!("Tick {name} of {owner}") /> })}
            </td>
            <th scope="row">
                <a class="key-name" href=to_key title=name.clone()>
                    {name.clone()}
                </a>
                <span class="owner truncate">{owner}</span>
            </th>
            <td data-label="Secret key" class="mono" translate="no">
                {key.hint.clone()}
            </td>
            <td data-label="Collection" class="collection">
                {shown_resources(&key)}
            </td>
            <td data-label="Created">
                <Moment at=created precision=Precision::Day />
            </td>
            <td data-label="Status">
                <StatusPill state=key.state />
            </td>
            <td data-label="Expiry date">
                {match key.expires_at {
                    Some(at) => view! { <Moment at precision=Precision::Day /> }.into_any(),
                    None => view! { <span class="faint">"Never"</span> }.into_any(),
                }}
            </td>
            <td data-label="Inactivity interval">
                {match key.inactivity_days {
                    Some(days) => format::counted(days.into(), "day").into_any(),
                    None => view! { <span class="faint">"Off"</span> }.into_any(),
                }}
            </td>
            <td data-label="Last used">
                {match key.last_used_at {
                    Some(at) => view! { <Moment at precision=Precision::Distance(now) /> }.into_any(),
                    None => view! { <span class="faint">"Never"</span> }.into_any(),
                }}
            </td>
            <td data-label="Total calls" class="number">
                <span>{format::number(key.total_calls)}</span>
            </td>
            <td data-label="Actions">{(!deleted).then(|| view! { <Actions id name stopped=key.stopped_at.is_some() page /> })}</td>
        </tr>
    }
}

#[component]
fn Actions(id: String, name: String, stopped: bool, page: KeysPageContext) -> impl IntoView {
    let link = |act: &'static str, words: &'static str| {
        let path = format!("{id}/{act}");
        view! {
            <a href=move || page.dialog(&path) data-noscroll="">
                {words}
            </a>
        }
    };
    view! {
        <details class="row-menu">
            <summary class="button button-small" aria-label=format!("Actions for {name}")>
                "Actions"
            </summary>
            <div class="row-menu-list">
                {link("expiry", "Edit expiry")} {link("interval", "Edit inactivity interval")}
                {(!stopped).then(|| link("deactivate", "Deactivate"))}
            </div>
        </details>
    }
}
