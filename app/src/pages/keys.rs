//! API keys: the main page of a workspace. The dialogs have addresses below it and come through the outlet.

use keyfold_domain::key::{IssuedKey, KeyFilter, KeySort, StateFilter};
use leptos::__reexports::send_wrapper::SendWrapper;
use leptos::prelude::*;
use leptos_router::NavigateOptions;
use leptos_router::components::Outlet;
use leptos_router::hooks::{use_navigate, use_params_map, use_query_map};

use super::keys_table::KeysTable;
use super::not_found::Trouble;
use crate::browser;
use crate::components::{EmptyState, Icon, Notice, PAGE_TITLE, QueryForm, Select, Snippet, Title, Tone};
use crate::functions::keys::{KeyList, list_keys};
use crate::key_query;

/// Shows the secret of a new key, with the address of this server in its snippets.
pub(crate) type Reveal = fn(RwSignal<Option<IssuedKey>>, String) -> AnyView;

/// What the page shares with its dialogs.
#[derive(Clone, Copy)]
pub(crate) struct KeysPageContext {
    /// The workspace's short name, from the address.
    pub(crate) workspace: Memo<String>,
    /// The address of the list as it is filtered now: where a dialog leads back to.
    pub(crate) list: Signal<String>,
    /// Grows with every change, so that the list is read again.
    pub(crate) changes: RwSignal<u32>,
    /// The key that was just made. Its secret lives here and nowhere else.
    pub(crate) issued: RwSignal<Option<IssuedKey>>,
    /// What shows it. The form of a new key brings it along, so that the list does not carry its code.
    pub(crate) reveal: StoredValue<Option<Reveal>>,
    /// The address of this server, for the snippets beside a secret.
    pub(crate) public_url: StoredValue<String>,
    /// The element that shall have the keyboard once the list is read again.
    pub(crate) focus: StoredValue<Option<String>>,
}

impl KeysPageContext {
    /// Of a page at that address, on which nothing was done yet.
    pub(crate) fn new(workspace: Memo<String>, list: Signal<String>) -> Self {
        Self {
            workspace,
            list,
            changes: RwSignal::new(0),
            issued: RwSignal::new(None),
            reveal: StoredValue::new(None),
            public_url: StoredValue::new(String::new()),
            focus: StoredValue::new(None),
        }
    }

    /// The secret that was just made, as long as it has to be seen.
    pub(crate) fn revealed(self) -> impl Fn() -> Option<AnyView> + Copy + Send + 'static {
        move || {
            let reveal = self.issued.with(Option::is_some).then(|| self.reveal.get_value()).flatten();
            reveal.map(|reveal| reveal(self.issued, self.public_url.get_value()))
        }
    }

    /// Reads the list again after a change; then the keyboard goes to the element with that id, or to the heading.
    pub(crate) fn changed(self, focus: Option<String>) {
        self.focus.set_value(Some(focus.unwrap_or_else(|| PAGE_TITLE.to_owned())));
        self.changes.update(|changes| *changes += 1);
    }

    /// Puts the keyboard where the last change wanted it, if nothing else has taken it.
    pub(super) fn settle(self) {
        let Some(id) = self.focus.try_update_value(Option::take).flatten() else { return };
        request_animation_frame(move || {
            if browser::focused().is_none() && !browser::focus(&id) {
                browser::focus(PAGE_TITLE);
            }
        });
    }

    /// The address of a dialog, over the list as it is filtered now.
    pub(crate) fn dialog(self, path: &str) -> String {
        let list = self.list.get();
        let (base, query) = list.split_once('?').map_or((list.as_str(), String::new()), |(base, query)| (base, format!("?{query}")));
        format!("{base}/{path}{query}")
    }
}

/// The list of keys, and over it the dialog that the address names.
#[component]
pub(crate) fn KeysPage() -> impl IntoView {
    let params = use_params_map();
    let query = use_query_map();
    let workspace = Memo::new(move |_| params.with(|params| params.get("workspace")).unwrap_or_default());
    let filter = Memo::new(move |_| query.with(key_query::filter));
    let list = Signal::derive(move || format!("/w/{}/keys{}", workspace.get(), filter.with(key_query::query)));
    let page = KeysPageContext::new(workspace, list);
    provide_context(page);
    let keys = Resource::new_blocking(
        move || (workspace.get(), filter.get(), page.changes.get()),
        |(workspace, filter, _)| list_keys(workspace, filter),
    );
    view! {
        <Title text="API keys · Keyfold" />
        <main class="page" id="main" tabindex="-1">
            <div class="behind">
                <Transition>
                    {move || Suspend::new(async move {
                        match keys.await {
                            Ok(list) => view! { <Keys list filter page /> }.into_any(),
                            Err(fault) => view! { <Trouble fault /> }.into_any(),
                        }
                    })}
                </Transition>
            </div>
            <Outlet />
            {page.revealed()}
        </main>
    }
    .into_any()
}

#[component]
fn Keys(list: KeyList, filter: Memo<KeyFilter>, page: KeysPageContext) -> impl IntoView {
    Effect::new(move || page.settle());
    page.public_url.set_value(list.public_url.clone());
    let filter = filter.get_untracked();
    let narrowed = key_query::narrows(&filter);
    let empty = list.keys.items.is_empty();
    let may_create = list.may_create;
    let name = list.workspace.name.clone();
    view! {
        <div class="page-head">
            <div>
                <h1 id="page-title" tabindex="-1">
                    "API keys"
                </h1>
                <p>
                    "Each key lets one service or script act in " <span class="break">{name}</span>
                    ". Its secret is shown once, when you make it."
                </p>
            </div>
            {(may_create && (!empty || narrowed)).then(|| view! { <AddKey page /> })}
        </div>
        <Done />
        {list
            .ending
            .clone()
            .map(|ending| {
                view! {
                    <div class="done">
                        <Notice tone=Tone::Warn>
                            <strong>"Ends soon: "</strong>
                            <span class="break">{ending}</span>
                            ". "
                            <a href=move || format!("/w/{}/keys?state=active&sort=expires", page.workspace.get())>"Show them first"</a>
                        </Notice>
                    </div>
                }
            })}
        {(!empty || narrowed).then(|| view! { <Toolbar filter=filter.clone() page /> })}
        {list
            .narrowed
            .clone()
            .map(|words| {
                let rest = KeyFilter { search: filter.search.clone(), state: filter.state, ..KeyFilter::default() };
                view! {
                    <p class="narrowed">
                        <span class="break">{words}</span>
                        " "
                        <a href=move || format!("/w/{}/keys{}", page.workspace.get(), key_query::query(&rest))>"Show all"</a>
                    </p>
                }
            })}
        {match (empty, narrowed) {
            (true, false) => view! { <Teach may_create public_url=list.public_url page /> }.into_any(),
            (true, true) => view! { <NoMatch filter page /> }.into_any(),
            (false, _) => view! { <KeysTable list filter page /> }.into_any(),
        }}
    }
}

#[component]
fn AddKey(page: KeysPageContext) -> impl IntoView {
    view! {
        <a class="button button-primary" id="add-key" href=move || page.dialog("new") data-noscroll="">
            <Icon name="plus" />
            "Add New Key"
        </a>
    }
}

/// What a form that was sent without script has done.
#[component]
fn Done() -> impl IntoView {
    let done = use_query_map().with_untracked(|query| query.get("done"));
    let text = match done.as_deref() {
        Some("scopes") => "The scopes were saved. They hold from the next call on.",
        Some("deleted") => "The key was deleted. Its secret no longer works.",
        _ => return ().into_any(),
    };
    view! {
        <div class="done">
            <Notice tone=Tone::Good>{text}</Notice>
        </div>
    }
    .into_any()
}

/// Before the first key: what a key is for, in three steps.
#[component]
fn Teach(may_create: bool, public_url: String, page: KeysPageContext) -> impl IntoView {
    view! {
        <div class="panel teach">
            <div class="stack">
                <span class="empty-mark">
                    <Icon name="key-round" large=true />
                </span>
                <h2>{if may_create { "Make your first key" } else { "No keys yet" }}</h2>
                <ol>
                    <li>"Name it after the one place that will use it, and pick what it may do."</li>
                    <li>"Copy the secret. Keyfold keeps only a fingerprint of it and cannot show it again."</li>
                    <li>"Send it as a bearer token. One call tells you that it works."</li>
                </ol>
                {if may_create {
                    view! { <AddKey page /> }.into_any()
                } else {
                    view! { <p class="soft">"You may look, not create. Ask an administrator of the workspace for a key."</p> }.into_any()
                }}
            </div>
            <div class="stack-tight">
                <p class="small soft">"The first call, once you have a key"</p>
                <pre class="code code-wraps" tabindex="0" aria-label="First call">
                    <code>{Snippet::Curl.code(&public_url, "$KEYFOLD_KEY")}</code>
                </pre>
            </div>
        </div>
    }
}

pub(super) const fn state_title(state: StateFilter) -> &'static str {
    match state {
        StateFilter::Live => "Current",
        StateFilter::Active => "Active",
        StateFilter::Inactive => "Inactive",
        StateFilter::Deleted => "Deleted",
        StateFilter::All => "All",
    }
}

/// Nothing found is not the same as nothing there.
#[component]
fn NoMatch(filter: KeyFilter, page: KeysPageContext) -> impl IntoView {
    let text = match filter.search.as_str() {
        "" => "There is nothing on this list.".to_owned(),
        search => format!("Nothing on this list contains “{search}”."),
    };
    view! {
        <div class="panel">
            <EmptyState icon="search" title="No key matches" text>
                <a class="button" href=move || format!("/w/{}/keys", page.workspace.get())>
                    "Show the current keys"
                </a>
            </EmptyState>
        </div>
    }
}

/// Carries the rest of the address through a form that asks for some of its parts.
#[component]
fn Keep(filter: KeyFilter, asked: &'static str) -> impl IntoView {
    let rest = key_query::parts(&KeyFilter { cursor: None, ..filter }).into_iter().filter(|(name, _)| *name != asked);
    rest.map(|(name, value)| view! { <input type="hidden" name=name value=value /> }).collect_view()
}

#[component]
fn Toolbar(filter: KeyFilter, page: KeysPageContext) -> impl IntoView {
    let base = page.workspace.with_untracked(|workspace| format!("/w/{workspace}/keys"));
    let order = key_query::order_name(filter.sort, filter.descending);
    let (sorted, searched) = (filter.clone(), filter.clone());
    let (search_base, sort_base) = (base.clone(), base.clone());
    let segment = move |state: StateFilter| {
        let chosen = KeyFilter { state, cursor: None, ..filter.clone() };
        let current = (state == filter.state).then_some("true");
        view! {
            <a class="segment" aria-current=current href=format!("{base}{}", key_query::query(&chosen)) data-noscroll="">
                {state_title(state)}
            </a>
        }
    };
    view! {
        <div class="toolbar">
            <search class="search">
                <SearchForm filter=searched.clone() base=search_base>
                    <Keep filter=searched asked="q" />
                </SearchForm>
            </search>
            <nav class="segments" aria-label="State">
                {StateFilter::ALL.map(segment).collect_view()}
            </nav>
            <a class="button" id="filter" href=move || page.dialog("filter") data-noscroll="">
                <Icon name="sliders-horizontal" />
                "Filter"
            </a>
            <div class="sort">
                <QueryForm action=sort_base>
                    <Keep filter=sorted asked="sort" />
                    <SortSelect order />
                </QueryForm>
            </div>
        </div>
    }
}

/// Looks while one types with script, on Enter without.
#[component]
fn SearchForm(filter: KeyFilter, base: String, children: Children) -> impl IntoView {
    let navigate = use_navigate();
    let typed = StoredValue::new(filter.clone());
    // Only in a browser: the server builds and drops pages on different threads, which a timer's handle does not survive.
    let look = (!cfg!(feature = "ssr")).then(|| {
        let base = base.clone();
        let look = move |text: String| {
            let chosen = KeyFilter { search: text.trim().to_owned(), cursor: None, ..typed.get_value() };
            let options = NavigateOptions { replace: true, scroll: false, ..NavigateOptions::default() };
            navigate(&format!("{base}{}", key_query::query(&chosen)), options);
        };
        SendWrapper::new(leptos::leptos_dom::helpers::debounce(std::time::Duration::from_millis(250), look))
    });
    let look = StoredValue::new(look);
    view! {
        <QueryForm action=base>
            <label class="visually-hidden" for="q">
                "Search keys"
            </label>
            <Icon name="search" />
            <input
                class="control"
                id="q"
                name="q"
                type="search"
                value=filter.search
                maxlength="100"
                placeholder="Search by name, id or last characters"
                on:input=move |event| {
                    look.update_value(|look| {
                        if let Some(look) = look {
                            look(event_target_value(&event));
                        }
                    });
                }
            />
            {children()}
        </QueryForm>
    }
}

const ORDERS: [(KeySort, bool, &str); 8] = [
    (KeySort::Created, true, "Newest first"),
    (KeySort::Created, false, "Oldest first"),
    (KeySort::Name, false, "Name, A to Z"),
    (KeySort::Name, true, "Name, Z to A"),
    (KeySort::LastUsed, true, "Used last"),
    (KeySort::LastUsed, false, "Unused longest"),
    (KeySort::Expires, false, "Expires first"),
    (KeySort::Expires, true, "Expires last"),
];

/// The order of the cards on narrow screens, where the table has no heads to press.
#[component]
fn SortSelect(order: String) -> impl IntoView {
    view! {
        <label class="visually-hidden" for="order">
            "Order"
        </label>
        <Select name="sort" id="order">
            {ORDERS
                .map(|(sort, descending, title)| {
                    let value = key_query::order_name(sort, descending);
                    view! {
                        <option value=value.clone() selected=value == order>
                            {title}
                        </option>
                    }
                })
                .collect_view()}
        </Select>
        <button class="button">"Sort"</button>
    }
}
