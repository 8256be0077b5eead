//! The audit log: `/w/<workspace>/audit` and `/system/audit`. Filters, pages and the check of the chain are addresses.

use keyfold_domain::audit::{AuditEvent, AuditFilter, AuditResult, in_words};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

use super::audit_events::Events;
use super::not_found::Trouble;
use crate::audit_query;
use crate::components::{EmptyState, Field, Icon, Notice, PAGE_TITLE, QueryForm, Select, SendForm, Sending, SubmitButton, Title, Tone};
use crate::format;
use crate::functions::audit::{AuditView, list_audit, verify_audit};
use crate::functions::sessions::StepUp;
use crate::functions::workspaces::Place;

/// Where the page is.
#[derive(Clone, Copy)]
pub(super) struct Here {
    /// The workspace's short name; empty for the instance.
    pub(super) workspace: Signal<String>,
    /// Shown among the pages of an instance administrator, where the workspace is part of the query.
    system: bool,
    changes: RwSignal<u32>,
}

impl Here {
    /// The address without a filter.
    fn path(self) -> String {
        if self.system { "/system/audit".to_owned() } else { format!("/w/{}/audit", self.workspace.get_untracked()) }
    }

    /// The address of the log filtered like that.
    pub(super) fn to(self, filter: &AuditFilter) -> String {
        let query = audit_query::query(filter);
        let workspace = self.workspace.get_untracked();
        if !self.system || workspace.is_empty() {
            return self.path() + &query;
        }
        let joint = if query.is_empty() { "?" } else { "&" };
        format!("{}{query}{joint}of={}", self.path(), format::query_part(&workspace))
    }
}

/// The log of a workspace.
#[component]
pub(crate) fn AuditPage(#[prop(into)] workspace: Signal<String>) -> impl IntoView {
    page(Here { workspace, system: false, changes: RwSignal::new(0) })
}

/// The log of the instance, or of the workspace that the query names.
#[component]
pub(crate) fn SystemAuditPage() -> impl IntoView {
    let query = use_query_map();
    let workspace = Signal::derive(move || query.with(|query| query.get("of")).unwrap_or_default());
    page(Here { workspace, system: true, changes: RwSignal::new(0) })
}

fn page(here: Here) -> impl IntoView {
    let query = use_query_map();
    let filter = Memo::new(move |_| query.with(audit_query::filter));
    let checks = Memo::new(move |_| query.with(|query| query.get("check").is_some()));
    let workspace = here.workspace;
    let log = Resource::new_blocking(
        move || (workspace.get(), filter.get(), here.changes.get()),
        |(workspace, filter, _)| list_audit(workspace, filter),
    );
    let check = Resource::new_blocking(
        move || checks.get().then(|| workspace.get()),
        |asked| async move {
            match asked {
                Some(workspace) => Some(verify_audit(workspace).await),
                None => None,
            }
        },
    );
    view! {
        <Title text="Audit log · Keyfold" />
        <main class="page" id="main" tabindex="-1">
            <Transition>
                {move || Suspend::new(async move {
                    let (log, check) = (log.await, check.await);
                    match log {
                        Ok(view) => {
                            let report = check.map(|check| view! { <Report check /> });
                            view! { <Log view filter here report=report.into_any() /> }.into_any()
                        }
                        Err(fault) => view! { <Trouble fault /> }.into_any(),
                    }
                })}
            </Transition>
        </main>
    }
    .into_any()
}

#[component]
fn Log(view: AuditView, filter: Memo<AuditFilter>, here: Here, report: AnyView) -> impl IntoView {
    let filter = filter.get_untracked();
    let AuditView { place, events, actions, manages, proven, places } = view;
    let narrowed = filter != AuditFilter::default();
    let intro = match (&place, manages) {
        (None, _) => "What belongs to no workspace: sign-ins, users, workspaces, the rules for all.".to_owned(),
        (Some(place), true) => format!("Everything that was done in {}, by whom and from where. Nobody can change it unseen.", place.name),
        (Some(_), false) => "What you did in this workspace. Administrators see everything.".to_owned(),
    };
    let check = if narrowed || here.system && !here.workspace.get_untracked().is_empty() { "&check=1" } else { "?check=1" };
    let check = here.to(&AuditFilter { cursor: None, ..filter.clone() }) + check;
    let next = events.next.clone().map(|cursor| AuditFilter { cursor: Some(cursor), ..filter.clone() });
    let first = filter.cursor.is_some().then(|| AuditFilter { cursor: None, ..filter.clone() });
    let empty = events.items.is_empty();
    let more = next.is_some();
    view! {
        <div class="page-head">
            <div>
                <h1 id=PAGE_TITLE tabindex="-1">
                    "Audit log"
                </h1>
                <p>{intro}</p>
            </div>
            {manages
                .then(|| {
                    view! {
                        <div class="row">
                            <a class="button" href=check data-noscroll="">
                                <Icon name="shield-check" />
                                "Check the chain"
                            </a>
                        </div>
                    }
                })}
        </div>
        <div class="stack">
            {report}
            <Filters filter=filter.clone() actions places here />
            <Narrowed filter=filter.clone() events=events.items.clone() here />
            {match (empty, more) {
                (false, _) => view! { <Events events=events.items filter=filter.clone() here /> }.into_any(),
                (true, true) => {
                    view! {
                        <div class="panel">
                            <EmptyState icon="search" title="Nothing found so far" text="A search looks at fifty thousand events at a time. Go on further back.">
                                ""
                            </EmptyState>
                        </div>
                    }
                        .into_any()
                }
                (true, false) => {
                    view! {
                        <div class="panel">
                            <EmptyState
                                icon="search"
                                title=if narrowed { "No event matches" } else { "Nothing has happened yet" }
                                text="Every change, every refusal and every sign-in is put here, with who did it."
                            >
                                {narrowed.then(|| view! { <a class="button" href=here.to(&AuditFilter::default())>"Show everything"</a> })}
                            </EmptyState>
                        </div>
                    }
                        .into_any()
                }
            }}
            <nav class="row" aria-label="Pages of the log">
                {first
                    .map(|filter| {
                        view! {
                            <a class="button button-small" href=here.to(&filter)>
                                <Icon name="arrow-left" />
                                "Newest"
                            </a>
                        }
                    })}
                {next
                    .map(|filter| {
                        view! {
                            <a class="button button-small" href=here.to(&filter)>
                                {if empty { "Search further back" } else { "Older" }}
                                <Icon name="arrow-right" />
                            </a>
                        }
                    })}
            </nav>
            {manages.then(|| view! { <Export filter proven here /> })}
        </div>
    }
}

/// What a check of the chain has found.
#[component]
fn Report(check: Result<keyfold_domain::audit::ChainReport, crate::functions::fault::Fault>) -> impl IntoView {
    match check {
        Err(fault) => view! { <Notice tone=Tone::Bad>{fault.problem.message}</Notice> }.into_any(),
        Ok(report) => {
            let events = format::counted(i64::try_from(report.events).unwrap_or(i64::MAX), "event");
            match report.broken {
                None => {
                    let chains = if report.chains == 1 { String::new() } else { format!(" in {} chains", report.chains) };
                    view! { <Notice tone=Tone::Good>{format!("The log is whole: {events}{chains} checked, every link holds.")}</Notice> }.into_any()
                }
                Some(broken) => view! {
                    <Notice tone=Tone::Bad>
                        <p class="notice-title">{format!("Broken at event {}: {}.", broken.seq, broken.why)}</p>
                        <p>
                            "Chain " <span class="mono break">{broken.chain}</span>
                            {format!(". {events} before it hold. Somebody changed the database past Keyfold: compare with a backup and an exported log.")}
                        </p>
                    </Notice>
                }
                .into_any(),
            }
        }
    }
}

#[component]
fn Filters(filter: AuditFilter, actions: Vec<String>, places: Vec<Place>, here: Here) -> impl IntoView {
    let chosen = filter.action.clone();
    let option = move |value: String, label: String| {
        let selected = value == chosen;
        view! {
            <option value=value selected=selected>
                {label}
            </option>
        }
    };
    let mut nouns: Vec<String> = actions.iter().filter_map(|action| action.split_once('.').map(|(noun, _)| noun.to_owned())).collect();
    nouns.dedup();
    let groups = nouns.into_iter().map(|noun| (format!("{noun}."), format!("Everything about: {}", noun.replace('_', " "))));
    let singles = actions.iter().map(|action| (action.clone(), in_words(action)));
    let options: Vec<_> = groups.chain(singles).map(|(value, label)| option(value, label)).collect();
    let all = option(String::new(), "Everything".to_owned());
    let (from, until) = audit_query::days(&filter);
    let of = here.workspace.get_untracked();
    let result = filter.result;
    let nothing = Signal::derive(|| None::<String>);
    view! {
        <QueryForm action=here.path() attr:class="panel audit-filters" attr:role="search" attr:aria-label="Filter the log">
            {here
                .system
                .then(|| {
                    view! {
                        <div class="field">
                            <label class="field-label" for="of">
                                "Log of"
                            </label>
                            <Select name="of" id="of">
                                <option value="" selected=of.is_empty()>
                                    "The instance"
                                </option>
                                {places
                                    .into_iter()
                                    .map(|place| {
                                        let selected = place.slug == of;
                                        view! {
                                            <option value=place.slug selected=selected>
                                                {place.name}
                                            </option>
                                        }
                                    })
                                    .collect_view()}
                            </Select>
                        </div>
                    }
                })}
            <div class="audit-search">
                <Field name="q" label="Search" kind="search" value=filter.search.clone() placeholder="Name, id, address, value" error=nothing />
            </div>
            <div class="field">
                <label class="field-label" for="action">
                    "What"
                </label>
                <Select name="action" id="action">
                    {all}
                    {options}
                </Select>
            </div>
            <div class="field">
                <label class="field-label" for="result">
                    "Result"
                </label>
                <Select name="result" id="result">
                    <option value="" selected=result.is_none()>
                        "Any"
                    </option>
                    <option value="done" selected=result == Some(AuditResult::Done)>
                        "Done"
                    </option>
                    <option value="refused" selected=result == Some(AuditResult::Refused)>
                        "Refused"
                    </option>
                </Select>
            </div>
            <Field name="from" label="From (UTC)" kind="date" value=from error=nothing />
            <Field name="until" label="Until (UTC)" kind="date" value=until error=nothing />
            {(!filter.actor.is_empty()).then(|| view! { <input type="hidden" name="actor" value=filter.actor.clone() /> })}
            {(!filter.object.is_empty()).then(|| view! { <input type="hidden" name="object" value=filter.object.clone() /> })}
            <button class="button">"Show"</button>
        </QueryForm>
    }
}

/// The filters that were set by a press on a name, each with a way out.
#[component]
fn Narrowed(filter: AuditFilter, events: Vec<AuditEvent>, here: Here) -> impl IntoView {
    let actor = (!filter.actor.is_empty()).then(|| {
        let name = events.iter().find(|event| event.actor.id == filter.actor).map(|event| event.actor.name.clone());
        let without = AuditFilter { actor: String::new(), cursor: None, ..filter.clone() };
        (format!("By {}", name.unwrap_or_else(|| filter.actor.clone())), here.to(&without))
    });
    let object = (!filter.object.is_empty()).then(|| {
        let name = events.iter().find(|event| event.object == filter.object).and_then(|event| event.object_name.clone());
        let without = AuditFilter { object: String::new(), cursor: None, ..filter.clone() };
        (format!("About {}", name.unwrap_or_else(|| filter.object.clone())), here.to(&without))
    });
    let chips: Vec<_> = actor.into_iter().chain(object).collect();
    (!chips.is_empty()).then(|| {
        let chip = |(text, href): (String, String)| {
            view! {
                <a class="chip break" href=href>
                    {text}
                    <Icon name="x" />
                    <span class="visually-hidden">": show all again"</span>
                </a>
            }
        };
        view! { <p class="chips">{chips.into_iter().map(chip).collect_view()}</p> }
    })
}

/// Taking the log away: a link, after the password was given.
#[component]
fn Export(filter: AuditFilter, proven: bool, here: Here) -> impl IntoView {
    let step_up = Sending::to::<StepUp>();
    Effect::new(move || {
        if step_up.is_done() {
            here.changes.update(|changes| *changes += 1);
        }
    });
    let workspace = here.workspace.get_untracked();
    let base = if workspace.is_empty() { "/v1/admin/audit/export".to_owned() } else { format!("/v1/workspaces/{workspace}/audit/export") };
    let href = base + &audit_query::export(&filter);
    let error = Signal::derive(move || step_up.fault().get().map(|fault| fault.problem.message));
    view! {
        <section class="panel settings" aria-labelledby="export-title">
            <h2 id="export-title">"Take it away"</h2>
            <div class="part stack-tight">
                <p class="soft">
                    "The events that match, one JSON object a line, the newest first, each with the link that chains it. Taking it is itself put into the log."
                </p>
                {if proven {
                    view! {
                        <p>
                            <a class="button" href=href download="" rel="external" id="export">
                                <Icon name="download" />
                                "Download JSON lines"
                            </a>
                        </p>
                    }
                        .into_any()
                } else {
                    view! {
                        <SendForm to=step_up attr:class="audit-proof">
                            <Field
                                name="password"
                                label="Your password, to go on"
                                kind="password"
                                autocomplete="current-password"
                                required=true
                                error=error
                            />
                            <SubmitButton label="Continue" pending=step_up.pending class="button" />
                        </SendForm>
                    }
                        .into_any()
                }}
            </div>
        </section>
    }
}
