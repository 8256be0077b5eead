//! System dashboard → API keys: the keys of everybody or of one user, with what administrators do with them.

use keyfold_domain::key::{KeyFilter, StateFilter};
use keyfold_domain::user::UserRef;
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

use super::key_acts::KeyAct;
use super::keys::KeysPageContext;
use super::new_key::NewKeyFor;
use super::not_found::Trouble;
use super::system::SystemContext;
use super::system_keys_table::AllKeysTable;
use crate::components::{Dialog, EmptyState, Icon, Notice, PAGE_TITLE, QueryForm, Select, Title, Tone};
use crate::functions::all_keys::{AllKeys, KeyPlaces, get_any_key, get_key_places, list_all_keys};
use crate::{format, key_query};

/// The address of the list, of that user and with that filter.
pub(super) fn address(user: &str, filter: &KeyFilter) -> String {
    let query = key_query::query(filter);
    match (user, query.as_str()) {
        ("", _) => format!("/system/keys{query}"),
        (user, "") => format!("/system/keys?user={}", format::query_part(user)),
        (user, query) => format!("/system/keys{query}&user={}", format::query_part(user)),
    }
}

#[component]
pub(super) fn SystemKeysPage() -> impl IntoView {
    let context = expect_context::<SystemContext>();
    let query = use_query_map();
    let user = Memo::new(move |_| query.with(|query| query.get("user")).unwrap_or_default().trim().to_owned());
    let filter = Memo::new(move |_| query.with(key_query::filter));
    let list = Signal::derive(move || filter.with(|filter| address(&user.get(), filter)));
    let page = KeysPageContext::new(Memo::new(|_| String::new()), list);
    provide_context(page);
    let keys =
        Resource::new_blocking(move || (user.get(), filter.get(), page.changes.get()), |(user, filter, _)| list_all_keys(user, filter));
    let dialog = move || match (context.id.get(), context.act.get()) {
        (id, _) if id.is_empty() => ().into_any(),
        (id, _) if id == "new" => view! { <NewKeyOf user page /> }.into_any(),
        (id, act) => view! { <ActOn id act page /> }.into_any(),
    };
    view! {
        <Title text="API keys of all users · Keyfold" />
        <main class="page page-wide" id="main" tabindex="-1">
            <div class="behind">
                <Transition>
                    {move || Suspend::new(async move {
                        match keys.await {
                            Ok(list) => view! { <Everything list filter user page /> }.into_any(),
                            Err(fault) if fault.problem.status() == 400 => {
                                view! {
                                    <Notice tone=Tone::Warn>
                                        {fault.problem.message} " " <a href="/system/keys">"Show all users"</a>
                                    </Notice>
                                }
                                    .into_any()
                            }
                            Err(fault) => view! { <Trouble fault /> }.into_any(),
                        }
                    })}
                </Transition>
            </div>
            {dialog}
            {page.revealed()}
        </main>
    }
    .into_any()
}

#[component]
fn Everything(list: AllKeys, filter: Memo<KeyFilter>, user: Memo<String>, page: KeysPageContext) -> impl IntoView {
    Effect::new(move || page.settle());
    page.public_url.set_value(list.public_url.clone());
    let (filter, user) = (filter.get_untracked(), user.get_untracked());
    let empty = list.keys.items.is_empty();
    let new = format!("/system/keys/new?user={}", format::query_part(&user));
    let whose = list.chosen.as_ref().map_or_else(|| "everybody".to_owned(), |user| user.display_name.clone());
    view! {
        <div class="page-head">
            <div>
                <h1 id=PAGE_TITLE tabindex="-1">
                    "API keys"
                </h1>
                <p>"The keys of " <span class="break">{whose}</span> ", in every workspace."</p>
            </div>
            {if list.chosen.is_some() {
                view! {
                    <a class="button button-primary" id="add-key" href=new data-noscroll="">
                        <Icon name="plus" />
                        "New API key"
                    </a>
                }
                    .into_any()
            } else {
                view! { <p class="soft small">"Choose a user to make a key for them."</p> }.into_any()
            }}
        </div>
        <Toolbar users=list.users.clone() user=user.clone() filter=filter.clone() />
        {if empty {
            view! {
                <div class="panel">
                    <EmptyState icon="search" title="No key matches" text="There is nothing here for this user, state and search.">
                        <a class="button" href="/system/keys">
                            "Show the current keys of everybody"
                        </a>
                    </EmptyState>
                </div>
            }
                .into_any()
        } else {
            view! { <AllKeysTable list filter user page /> }.into_any()
        }}
    }
}

/// A form of GET whose fields are the parts of the list's address.
#[component]
fn Toolbar(users: Vec<UserRef>, user: String, filter: KeyFilter) -> impl IntoView {
    let order = key_query::order_name(filter.sort, filter.descending);
    let people = users.into_iter().map(|user| {
        let shown = format!("{} ({})", user.display_name, user.username);
        view! { <option value=user.username>{shown}</option> }
    });
    let states = StateFilter::ALL.map(|state| {
        view! {
            <option value=state.as_str() selected=state == filter.state>
                {super::keys::state_title(state)}
            </option>
        }
    });
    view! {
        <div class="toolbar dashboard-bar">
            <QueryForm action="/system/keys".to_owned()>
                <div class="dashboard-field">
                    <label for="user">"User"</label>
                    <input
                        class="control"
                        id="user"
                        name="user"
                        list="users"
                        value=user
                        placeholder="All users"
                        autocomplete="off"
                        maxlength="100"
                    />
                    <datalist id="users">{people.collect_view()}</datalist>
                </div>
                <div class="dashboard-field">
                    <label for="state">"Status"</label>
                    <Select name="state" id="state">
                        {states.collect_view()}
                    </Select>
                </div>
                <div class="dashboard-field grow">
                    <label for="q">"Search"</label>
                    <input class="control" id="q" name="q" type="search" value=filter.search maxlength="100" placeholder="Name, id or last characters" />
                </div>
                <input type="hidden" name="sort" value=order />
                <button class="button">"Show"</button>
            </QueryForm>
        </div>
    }
}

/// A dialog of one key's, over the list.
#[component]
fn ActOn(id: String, act: String, page: KeysPageContext) -> impl IntoView {
    let key = Resource::new_blocking(
        move || id.clone(),
        |id| async move {
            match id.parse() {
                Ok(id) => get_any_key(id).await,
                Err(_) => Err(super::key::absent()),
            }
        },
    );
    let act = StoredValue::new(act);
    view! {
        <Suspense>
            {move || Suspend::new(async move {
                match key.await {
                    Ok(view) if ["expiry", "interval", "deactivate"].contains(&act.get_value().as_str()) => {
                        view! { <KeyAct act=act.get_value() view page /> }.into_any()
                    }
                    Ok(_) => view! { <Trouble fault=super::key::absent() /> }.into_any(),
                    Err(fault) => view! { <Trouble fault /> }.into_any(),
                }
            })}
        </Suspense>
    }
}

/// A new key for the chosen user: where, if there is a choice, and then the form.
#[component]
fn NewKeyOf(user: Memo<String>, page: KeysPageContext) -> impl IntoView {
    let query = use_query_map();
    let chosen = Memo::new(move |_| query.with(|query| query.get("workspace")).unwrap_or_default());
    let places = Resource::new_blocking(move || user.get(), get_key_places);
    view! {
        <Suspense>
            {move || Suspend::new(async move {
                match places.await {
                    Ok(KeyPlaces { user, places }) => {
                        let wanted = chosen.get();
                        let place = match places.as_slice() {
                            [only] => Some(only.clone()),
                            several => several.iter().find(|place| place.slug == wanted).cloned(),
                        };
                        match place {
                            Some(place) => view! { <NewKeyFor slug=place.slug owner=user.id page /> }.into_any(),
                            None => view! { <WhichPlace user places page /> }.into_any(),
                        }
                    }
                    Err(fault) => view! { <Trouble fault /> }.into_any(),
                }
            })}
        </Suspense>
    }
}

#[component]
fn WhichPlace(user: UserRef, places: Vec<keyfold_domain::workspace::WorkspaceRef>, page: KeysPageContext) -> impl IntoView {
    let intro = view! { <p>"Every key belongs to one workspace."</p> };
    let none = places.is_empty();
    let username = user.username.clone();
    let link = move |place: keyfold_domain::workspace::WorkspaceRef| {
        let href = format!("/system/keys/new?user={}&workspace={}", format::query_part(&username), format::query_part(&place.slug));
        view! {
            <li>
                <a class="button" href=href data-noscroll="">
                    {place.name}
                </a>
            </li>
        }
    };
    view! {
        <Dialog title=format!("Where shall the key of {} be?", user.display_name) intro=intro.into_any() leave=page.list narrow=true>
            <div class="dialog-body">
                {none.then(|| view! { <p>"This user is in no workspace in which they may have keys. Make them a member of one first."</p> })}
                <ul class="place-choice">{places.into_iter().map(link).collect_view()}</ul>
            </div>
        </Dialog>
    }
}
