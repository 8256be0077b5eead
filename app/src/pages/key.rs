//! One key: what it is, what it may do, whether it works, and every act on it. The acts are dialogs with addresses below
//! the page, `/w/<workspace>/keys/<id>/edit/<act>`.

use keyfold_domain::audit::AuditEvent;
use keyfold_domain::key::{KeyState, KeySummary};
use keyfold_domain::problem::Problem;
use keyfold_domain::scope::KeyKind;
use keyfold_domain::time::Timestamp;
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

use super::key_acts::KeyAct;
use super::key_audit::KeyAudit;
use super::key_banner::KeyBanner;
use super::key_limits::KeyLimitsPanel;
use super::key_name::KeyName;
use super::key_usage::KeyUsePanels;
use super::keys::KeysPageContext;
use super::keys_table::shown_name;
use super::not_found::Trouble;
use super::people::ReachInAddress;
use super::place::{named_part, open_part};
use crate::components::{Icon, Moment, Notice, Precision, ResourceChips, ScopeChips, StatusPill, Title, Tone};
use crate::format;
use crate::functions::fault::Fault;
use crate::functions::key_limits::KeyLimitsView;
use crate::functions::key_use::KeyUse;
use crate::functions::keys::KeyView;

#[component]
pub(crate) fn KeyPage() -> impl IntoView {
    let (workspace, id) = (named_part("workspace"), named_part("id"));
    let (edit, act) = (open_part(0), open_part(1));
    let here = Signal::derive(move || format!("/w/{}/keys/{}", workspace.get(), id.get()));
    let page = KeysPageContext::new(workspace, here);
    provide_context(page);
    let key = Resource::new_blocking(
        move || (workspace.get(), id.get(), page.changes.get()),
        |(workspace, id, _)| super::find_key(workspace, id),
    );
    // With the key's own, and not within what it brings: a part that comes later could not be taken over in the browser.
    let used = Resource::new_blocking(
        move || (workspace.get(), id.get(), page.changes.get()),
        |(workspace, id, _)| super::key_usage::find_use(workspace, id),
    );
    let limits = Resource::new_blocking(
        move || (workspace.get(), id.get(), page.changes.get()),
        |(workspace, id, _)| super::key_limits::find_limits(workspace, id),
    );
    let events = Resource::new_blocking(
        move || (workspace.get(), id.get(), page.changes.get()),
        |(workspace, id, _)| super::key_audit::find_events(workspace, id),
    );
    // What stands after the id is one of our acts or nothing at all.
    let act = Memo::new(move |_| match edit.get().as_str() {
        "" => Some(String::new()),
        "edit" => Some(act.get()),
        _ => None,
    });
    view! {
        <Title text="API key · Keyfold" />
        <main class="page" id="main" tabindex="-1">
            <Transition>
                {move || Suspend::new(async move {
                    let (found, used, limits, events) = (key.await, used.await, limits.await, events.await);
                    match found {
                        Ok(view) => view! { <Key view used limits events act page /> }.into_any(),
                        Err(fault) => view! { <Trouble fault /> }.into_any(),
                    }
                })}
            </Transition>
            {page.revealed()}
        </main>
    }
    .into_any()
}

#[component]
fn Key(
    view: KeyView,
    used: Result<KeyUse, Fault>,
    limits: Result<KeyLimitsView, Fault>,
    events: Vec<AuditEvent>,
    act: Memo<Option<String>>,
    page: KeysPageContext,
) -> impl IntoView {
    Effect::new(move || page.settle());
    let shown = StoredValue::new(view.clone());
    let dialog = move || match act.get() {
        Some(act) if act.is_empty() => ().into_any(),
        Some(act) => view! { <KeyAct act view=shown.get_value() page /> }.into_any(),
        None => view! { <Trouble fault=absent() /> }.into_any(),
    };
    view! {
        <div class="behind">
            <Head view=view.clone() page />
            <div class="stack">
                <Done />
                <KeyBanner key=view.key.clone() now=view.now />
                <Settings view=view.clone() page />
                <KeyLimitsPanel found=limits page />
                <KeyUsePanels view=view.clone() used page />
                <About key=view.key.clone() now=view.now />
                <KeyAudit workspace=page.workspace id=view.key.id events />
            </div>
        </div>
        {dialog}
    }
}

/// There is no such act.
pub(super) fn absent() -> crate::functions::fault::Fault {
    let problem = Problem::not_found();
    #[cfg(feature = "ssr")]
    crate::functions::context::note_status(&problem);
    problem.into()
}

/// An act's address, as the target of a link.
fn to_act(page: KeysPageContext, act: &'static str) -> impl Fn() -> String + Clone + Send + 'static {
    move || format!("{}/edit/{act}", page.list.get())
}

#[component]
fn Head(view: KeyView, page: KeysPageContext) -> impl IntoView {
    let KeyView { key, may_change, may_activate, may_copy, .. } = view.clone();
    let works = key.state == KeyState::Active;
    let stopped = key.stopped_at.is_some() && key.state != KeyState::Deleted;
    let wakes = may_activate && matches!(key.state, KeyState::Inactive(keyfold_domain::key::InactiveReason::Dormant));
    let copy = format!("new?from={}", key.id);
    view! {
        <nav class="crumbs" aria-label="Way back">
            <a href=move || format!("/w/{}/keys", page.workspace.get())>
                <Icon name="arrow-left" />
                "API keys"
            </a>
        </nav>
        <div class="page-head key-head">
            <div>
                <KeyName view=view.clone() page />
                <p class="key-head-facts">
                    <StatusPill state=key.state />
                    <span class="mono" translate="no">
                        {key.hint.clone()}
                    </span>
                </p>
            </div>
            <div class="row key-head-acts">
                <a class="button" id="act-test" href=to_act(page, "test") data-noscroll="">
                    <Icon name="shield-check" />
                    "Test access"
                </a>
                {may_copy
                    .then(|| {
                        view! {
                            <a class="button" href=move || format!("/w/{}/keys/{copy}", page.workspace.get()) data-noscroll="">
                                <Icon name="copy" />
                                "Copy settings"
                            </a>
                        }
                    })}
                {(may_activate && stopped || wakes)
                    .then(|| {
                        view! {
                            <a class="button button-primary" id="act-activate" href=to_act(page, "activate") data-noscroll="">
                                "Activate"
                            </a>
                        }
                    })}
                {(may_change && works)
                    .then(|| {
                        view! {
                            <a class="button" id="act-deactivate" href=to_act(page, "deactivate") data-noscroll="">
                                <Icon name="circle-pause" />
                                "Deactivate"
                            </a>
                        }
                    })}
                {may_change
                    .then(|| {
                        view! {
                            <a class="button button-removes" id="act-delete" href=to_act(page, "delete") data-noscroll="">
                                <Icon name="trash-2" />
                                "Delete"
                            </a>
                        }
                    })}
            </div>
        </div>
    }
}

/// What a form that was sent without script has done.
#[component]
fn Done() -> impl IntoView {
    let done = use_query_map().with_untracked(|query| query.get("done"));
    let text = match done.as_deref() {
        Some("name") => "Name and note were saved.",
        Some("expiry") => "The expiry date was saved. It holds from the next call on.",
        Some("resources") => "The resources were saved. They hold from the next call on.",
        Some("addresses") => "The addresses were saved. They hold from the next call on.",
        Some("limits") => "The limits were saved. They hold from the next call on.",
        Some("interval") => "The inactivity interval was saved. It holds from the next call on.",
        Some("deactivated") => "The key was deactivated. Whoever uses it is refused from now on.",
        Some("secret") => "The old secret was ended. Whoever uses it is refused from now on.",
        Some("activated") => "The key works again.",
        _ => return ().into_any(),
    };
    view! { <Notice tone=Tone::Good>{text} <ReachInAddress /></Notice> }.into_any()
}

/// One setting: what it is called, how it stands, and the way to change it.
#[component]
pub(super) fn Setting(label: &'static str, act: &'static str, changes: bool, page: KeysPageContext, children: Children) -> impl IntoView {
    view! {
        <div class="setting">
            <dt>{label}</dt>
            <dd>{children()}</dd>
            <dd class="setting-act">
                {changes
                    .then(|| {
                        view! {
                            <a class="button button-small" id=format!("act-{act}") href=to_act(page, act) data-noscroll="">
                                "Change"
                                <span class="visually-hidden">" " {label.to_lowercase()}</span>
                            </a>
                        }
                    })}
            </dd>
        </div>
    }
}

#[component]
fn Settings(view: KeyView, page: KeysPageContext) -> impl IntoView {
    let KeyView { key, may_change: changes, now, .. } = view;
    let (name, note, end) = (shown_name(&key), key.note.clone(), key.expires_at);
    let scopes: Vec<_> = key.scopes.iter().cloned().collect();
    let resources = key.resources.clone();
    let interval = key.inactivity_days.map(|days| format!("Stops after {} without use", format::counted(days.into(), "day")));
    view! {
        <section class="panel settings" aria-labelledby="settings-title">
            <h2 id="settings-title">"Settings"</h2>
            <dl>
                <Setting label="Name and note" act="name" changes page>
                    <span class="break">{name}</span>
                    {(!note.is_empty()).then(|| view! { <p class="soft small break note-text">{note}</p> })}
                </Setting>
                <Setting label="Scopes" act="scopes" changes page>
                    <ScopeChips scopes />
                </Setting>
                <Setting label="Resources" act="resources" changes page>
                    {if resources.is_empty() {
                        "Everything".into_any()
                    } else {
                        view! { <ResourceChips resources /> }.into_any()
                    }}
                </Setting>
                <Setting label="Expires" act="expiry" changes page>
                    {match end {
                        Some(at) => {
                            view! {
                                <Moment at precision=Precision::Minute />
                                <span class="soft small">{format!(" · {}", format::relative(at, now))}</span>
                            }
                                .into_any()
                        }
                        None => "Never".into_any(),
                    }}
                </Setting>
                <Setting label="If nobody uses it" act="interval" changes page>
                    {interval.unwrap_or_else(|| "It keeps working".into())}
                </Setting>
            </dl>
        </section>
    }
}

const fn kind_name(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::Secret => "Secret: for servers and scripts",
        KeyKind::Publishable => "Publishable: may be seen by anybody",
        KeyKind::Management => "Management: may also manage Keyfold",
    }
}

#[component]
fn About(key: KeySummary, now: Timestamp) -> impl IntoView {
    let maker = key.created_by.clone().filter(|maker| *maker != key.owner.username).map(|maker| format!(" by {maker}"));
    view! {
        <section class="panel settings" aria-labelledby="about-title">
            <h2 id="about-title">"About this key"</h2>
            <dl class="facts about">
                <dt>"Kind"</dt>
                <dd>{kind_name(key.kind)}</dd>
                <dt>"Owner"</dt>
                <dd class="break">{key.owner.display_name}</dd>
                <dt>"Created"</dt>
                <dd>
                    <Moment at=key.created_at precision=Precision::Minute />
                    {maker}
                </dd>
                <dt>"Last used"</dt>
                <dd>
                    {match key.last_used_at {
                        Some(at) => view! { <Moment at precision=Precision::Distance(now) /> }.into_any(),
                        None => "Never".into_any(),
                    }}
                </dd>
                <dt>"Total calls"</dt>
                <dd>{format::number(key.total_calls)}</dd>
                <dt>"Id"</dt>
                <dd class="mono break" translate="no">
                    {key.id.to_string()}
                </dd>
            </dl>
        </section>
    }
}
