//! What the pages about people and workspaces share: a list that is searched and paged, and dialogs over it.

use keyfold_domain::user::PeopleFilter;
use leptos::prelude::*;
use leptos_router::NavigateOptions;
use leptos_router::hooks::{use_navigate, use_query_map};
use leptos_router::params::ParamsMap;

use super::key_acts::with_reach;
use crate::browser;
use crate::components::{
    Dialog, DialogFoot, FaultNotice, Icon, Notice, PAGE_TITLE, PasswordAgain, QueryForm, SendForm, Sending, SubmitButton, Toasts, Tone,
    describe,
};
use crate::format;
use crate::functions::reach::Reach;

/// A list of people or workspaces, and what happens to it.
#[derive(Clone, Copy)]
pub(super) struct Listing {
    /// Its address as it is filtered now: where a dialog leads back to.
    pub(super) list: Signal<String>,
    /// Grows with every change, so that the list is read again.
    pub(super) changes: RwSignal<u32>,
    /// The keyboard wants a place once the list is read again.
    lost: StoredValue<bool>,
}

impl Listing {
    pub(super) fn new(list: Signal<String>) -> Self {
        Self { list, changes: RwSignal::new(0), lost: StoredValue::new(false) }
    }

    /// Reads the list again.
    pub(super) fn changed(self) {
        self.lost.set_value(true);
        self.changes.update(|changes| *changes += 1);
    }

    /// Gives the keyboard back to the page, if the change took away what had it.
    pub(super) fn settle(self) {
        if self.lost.try_update_value(std::mem::take) == Some(true) {
            request_animation_frame(|| {
                if browser::focused().is_none() {
                    browser::focus(PAGE_TITLE);
                }
            });
        }
    }

    /// The address of a dialog over the list as it is filtered now.
    pub(super) fn dialog(self, path: &str) -> String {
        let list = self.list.get();
        let (base, query) = list.split_once('?').map_or((list.as_str(), String::new()), |(base, query)| (base, format!("?{query}")));
        format!("{base}/{path}{query}")
    }
}

/// What the address asks for.
pub(super) fn filter(query: &ParamsMap) -> PeopleFilter {
    PeopleFilter {
        search: query.get("q").unwrap_or_default(),
        cursor: query.get("cursor").filter(|cursor| !cursor.is_empty()),
        ..PeopleFilter::default()
    }
}

/// The query of an address that asks for it.
pub(super) fn query(filter: &PeopleFilter) -> String {
    let mut parts = Vec::new();
    if !filter.search.is_empty() {
        parts.push(format!("q={}", format::query_part(&filter.search)));
    }
    if let Some(cursor) = &filter.cursor {
        parts.push(format!("cursor={}", format::query_part(cursor)));
    }
    if parts.is_empty() { String::new() } else { format!("?{}", parts.join("&")) }
}

/// A field to search the list by; Enter looks.
#[component]
pub(super) fn SearchBar(base: String, filter: PeopleFilter, label: &'static str) -> impl IntoView {
    let clear = (!filter.search.is_empty()).then(|| base.clone());
    view! {
        <div class="toolbar">
            <search class="search">
                <QueryForm action=base>
                    <label class="visually-hidden" for="search">
                        {label}
                    </label>
                    <Icon name="search" />
                    <input class="control" id="search" name="q" type="search" maxlength="200" placeholder=label value=filter.search.clone() />
                </QueryForm>
            </search>
            {clear
                .map(|href| {
                    view! {
                        <a class="button button-quiet" href=href>
                            "Show all"
                        </a>
                    }
                })}
        </div>
    }
}

/// How many there are on the page, and the way to the others.
#[component]
pub(super) fn Pager(base: String, filter: PeopleFilter, count: usize, unit: &'static str, next: Option<String>) -> impl IntoView {
    let first = filter.cursor.is_some().then(|| format!("{base}{}", query(&PeopleFilter { cursor: None, ..filter.clone() })));
    let next = next.map(|cursor| format!("{base}{}", query(&PeopleFilter { cursor: Some(cursor), ..filter })));
    let shown = format::counted(i64::try_from(count).unwrap_or(i64::MAX), unit);
    let words = if first.is_some() || next.is_some() { format!("{shown} on this page") } else { shown };
    view! {
        <div class="pager">
            <span>{words}</span>
            <nav class="row" aria-label="Pages of the list">
                {first
                    .map(|href| {
                        view! {
                            <a class="button button-small" href=href>
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

/// What a form that was sent without script has done, by the word in the address.
#[component]
pub(super) fn DoneNotice(words: &'static [(&'static str, &'static str)]) -> impl IntoView {
    let done = use_query_map().with_untracked(|query| query.get("done"));
    let text = done.and_then(|done| words.iter().find(|(word, _)| *word == done).map(|(_, text)| *text));
    text.map(|text| {
        view! {
            <div class="done">
                <Notice tone=Tone::Good>{text} <ReachInAddress /></Notice>
            </div>
        }
    })
}

/// How far that has come, where there are several servers.
#[component]
pub(super) fn ReachInAddress() -> impl IntoView {
    let reach: Option<Reach> = use_query_map().with_untracked(|query| query.get("reach")?.parse().ok());
    reach.map(|reach| format!(" {}", reach.words()))
}

/// What is said of an act.
#[derive(Clone, Copy)]
pub(super) struct Words {
    pub(super) title: &'static str,
    pub(super) button: &'static str,
    pub(super) danger: bool,
    /// After it was done.
    pub(super) done: &'static str,
}

/// The frame of an act: the dialog, the form, a refusal, the password again where it is asked for, and what follows success.
#[component]
pub(super) fn ActDialog(
    words: Words,
    /// Who or what it is about.
    #[prop(into)]
    about: String,
    action: Sending,
    page: Listing,
    /// The fields that show their own errors.
    fields: &'static [&'static str],
    children: Children,
) -> impl IntoView {
    let fault = action.fault();
    let class = if words.danger { "button button-danger" } else { "button button-primary" };
    after(action, page, words.done);
    let intro = view! { <p class="break">{about}</p> };
    view! {
        <Dialog title=words.title intro=intro.into_any() leave=page.list narrow=true>
            <SendForm to=action>
                <div class="dialog-body">
                    <FaultNotice fault fields />
                    {children()}
                    <PasswordAgain fault />
                </div>
                <DialogFoot>
                    <a class="button" href=page.list autofocus=words.danger data-noscroll="">
                        "Cancel"
                    </a>
                    <SubmitButton label=words.button pending=action.pending class=class />
                </DialogFoot>
            </SendForm>
        </Dialog>
    }
}

/// With script: back to the list, and a word about what was done.
fn after(action: Sending, page: Listing, said: &'static str) {
    let navigate = use_navigate();
    let toasts = use_context::<Toasts>();
    Effect::new(move || {
        if action.is_done() {
            navigate(&page.list.get_untracked(), NavigateOptions { scroll: false, ..NavigateOptions::default() });
            page.changed();
            if let Some(toasts) = toasts {
                toasts.say(with_reach(said, action));
            }
        }
    });
}

/// The words beside a field.
pub(super) fn error(action: Sending, field: &'static str) -> Signal<Option<String>> {
    let fault = action.fault();
    Signal::derive(move || fault.with(|fault| describe(fault.as_ref(), field)))
}

/// What was typed before a refusal without script, or else how it stands.
pub(super) fn typed_or(action: Sending, field: &str, present: &str) -> String {
    let typed = action.fault().with_untracked(|fault| fault.as_ref().and_then(|fault| fault.typed.get(field).cloned()));
    typed.unwrap_or_else(|| present.to_owned())
}

/// The link that an act has made, once it has.
pub(super) fn made_link(action: Sending) -> Option<crate::functions::one_time_link::OneTimeLink> {
    action.value.with(|value| serde_json::from_str(value.as_ref()?.as_ref().ok()?).ok())
}

/// May somebody sign in? As a word and a shape.
#[component]
pub(super) fn PersonStatus(active: bool) -> impl IntoView {
    let (class, icon, word) =
        if active { ("status status-good", "circle-check", "Active") } else { ("status status-warn", "user-x", "Disabled") };
    view! {
        <span class=class>
            <Icon name=icon />
            {word}
        </span>
    }
}
