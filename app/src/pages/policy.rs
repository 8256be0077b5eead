//! The rules for keys: `/w/<workspace>/settings` and `/system/policy`. Before new rules are saved they are reviewed, with the
//! keys they would concern; the review is the same address with the rules in its query.

use keyfold_domain::key::KeySummary;
use keyfold_domain::problem::{Problem, ProblemCode};
use leptos::prelude::*;
use leptos_router::NavigateOptions;
use leptos_router::hooks::{use_navigate, use_query_map};

use super::keys_table::shown_name;
use super::not_found::Trouble;
use super::outages::{Banner, Outages};
use crate::components::{
    Field, Icon, Moment, Notice, PAGE_TITLE, Precision, QueryForm, SendForm, Sending, SubmitButton, Title, Tone, describe,
};
use crate::format;
use crate::functions::fault::Fault;
use crate::functions::policies::{ApplyPolicy, PolicyView, PreviewView, UpdatePolicy, get_policy, preview_policy};
use crate::policy_form::PolicyForm;

const FIELDS: [&str; 5] =
    ["max_expiry_days", "default_expiry_days", "default_inactivity_days", "max_live_per_user", "max_live_per_workspace"];

/// Where the page is, and what it shares with its parts.
#[derive(Clone, Copy)]
struct Here {
    /// The workspace's short name; empty for the instance.
    workspace: Signal<String>,
    /// Grows with every change, so that the rules are read again.
    changes: RwSignal<u32>,
    saved: RwSignal<Option<i64>>,
}

impl Here {
    fn path(self) -> String {
        let workspace = self.workspace.get_untracked();
        if workspace.is_empty() { "/system/policy".to_owned() } else { format!("/w/{workspace}/settings") }
    }
}

/// The rules of a workspace, or with an empty name of the instance.
#[component]
pub(crate) fn PolicyPage(#[prop(into)] workspace: Signal<String>) -> impl IntoView {
    let here = Here { workspace, changes: RwSignal::new(0), saved: RwSignal::new(None) };
    let query = use_query_map();
    let policy = Resource::new_blocking(move || (workspace.get(), here.changes.get()), |(workspace, _)| get_policy(workspace));
    let asked = Memo::new(move |_| query.with(|query| PolicyForm::from_query(query).map(|form| (form, query.get("cursor")))));
    let preview = Resource::new_blocking(
        move || (workspace.get(), asked.get()),
        |(workspace, asked)| async move {
            match asked {
                Some((form, cursor)) => Some(preview_policy(workspace, form, cursor.filter(|cursor| !cursor.is_empty())).await),
                None => None,
            }
        },
    );
    let title = if workspace.get_untracked().is_empty() { "Policy · Keyfold" } else { "Settings · Keyfold" };
    view! {
        <Title text=title />
        <main class="page page-narrow" id="main" tabindex="-1">
            <Transition>
                {move || Suspend::new(async move {
                    let (policy, preview) = (policy.await, preview.await);
                    match (policy, preview) {
                        (Err(fault), _) => view! { <Trouble fault /> }.into_any(),
                        (Ok(view), Some(Ok(preview))) => {
                            let form = asked.get_untracked().map(|(form, _)| form).unwrap_or_default();
                            view! { <Review view preview form here /> }.into_any()
                        }
                        (Ok(view), Some(Err(fault))) if fault.problem.code != ProblemCode::Invalid => {
                            drop(view);
                            view! { <Trouble fault /> }.into_any()
                        }
                        (Ok(view), preview) => {
                            let fault = preview.and_then(Result::err);
                            let form = asked.get_untracked().map(|(form, _)| form);
                            view! { <Rules view form fault here /> }.into_any()
                        }
                    }
                })}
            </Transition>
        </main>
    }
    .into_any()
}

#[component]
fn Head(place: Option<String>, review: bool) -> impl IntoView {
    let (title, text) = match (&place, review) {
        (_, true) => ("Review the new rules", "Nothing is saved yet."),
        (Some(_), false) => ("Settings", "Rules for the keys of this workspace. The instance's rules hold as well; the stricter wins."),
        (None, false) => ("Policy", "Rules for the keys of every workspace. A workspace can be stricter, never looser."),
    };
    view! {
        <div class="page-head">
            <div>
                <h1 id=PAGE_TITLE tabindex="-1">
                    {title}
                </h1>
                <p>{text}</p>
            </div>
        </div>
    }
}

/// The rules as a form.
#[component]
fn Rules(view: PolicyView, form: Option<PolicyForm>, fault: Option<Fault>, here: Here) -> impl IntoView {
    let PolicyView { place, policy, beyond, outages } = view;
    let form = form.unwrap_or_else(|| PolicyForm::of(&policy.own, policy.version));
    let error = {
        let fault = StoredValue::new(fault.clone());
        move |field: &'static str| Signal::derive(move || fault.with_value(|fault| describe(fault.as_ref(), field)))
    };
    let elsewhere = fault.filter(|fault| !fault.problem.field.as_deref().is_some_and(|field| FIELDS.contains(&field)));
    let bound = place.is_some().then_some(policy.instance);
    view! {
        <Head place=place.map(|place| place.name) review=false />
        <div class="stack">
            {outages.as_ref().filter(|outages| outages.keep_answering).map(|_| view! { <Banner /> })}
            <Done here />
            <Beyond beyond here />
            {elsewhere.map(|fault| view! { <Notice tone=Tone::Bad>{fault.problem.message}</Notice> })}
            <QueryForm action=here.path() attr:class="panel rules" attr:id="rules">
                <input type="hidden" name="version" value=policy.version.to_string() />
                <fieldset>
                    <legend>"How long keys live"</legend>
                    <Field
                        name="max_expiry_days"
                        label="Longest life, in days"
                        kind="number"
                        min="1".to_owned()
                        optional=true
                        value=form.max_expiry_days.clone()
                        hint="Empty for no bound. A key that would live longer cannot be made."
                        error=error("max_expiry_days")
                    />
                    {bound
                        .as_ref()
                        .and_then(|bound| bound.max_expiry_days)
                        .map(|days| view! { <Bound text=format!("The instance allows at most {}.", format::counted(days.into(), "day")) /> })}
                    <Field
                        name="default_expiry_days"
                        label="Life if nothing is chosen, in days"
                        kind="number"
                        min="1".to_owned()
                        optional=true
                        value=form.default_expiry_days.clone()
                        hint="Empty for the longest allowed."
                        error=error("default_expiry_days")
                    />
                    <Tick name="never_allowed" label="Keys may live for ever" ticked=form.never_allowed />
                    {bound
                        .as_ref()
                        .filter(|bound| !bound.allows_never())
                        .map(|_| view! { <Bound text="The instance wants every key to end.".to_owned() /> })}
                </fieldset>
                <fieldset>
                    <legend>"If nobody uses them"</legend>
                    <Field
                        name="default_inactivity_days"
                        label="Stop after so many days without use"
                        kind="number"
                        min="1".to_owned()
                        optional=true
                        value=form.default_inactivity_days.clone()
                        hint="What the form of a new key offers first. Empty for never."
                        error=error("default_inactivity_days")
                    />
                </fieldset>
                <fieldset>
                    <legend>"Who and how many"</legend>
                    <Tick name="members_may_create" label="Members create keys of their own" ticked=form.members_may_create />
                    {bound
                        .as_ref()
                        .filter(|bound| !bound.members_may_create)
                        .map(|_| view! { <Bound text="The instance leaves making keys to administrators.".to_owned() /> })}
                    <Field
                        name="max_live_per_user"
                        label="Most keys of one person"
                        kind="number"
                        min="1".to_owned()
                        required=true
                        value=form.max_live_per_user.clone()
                        error=error("max_live_per_user")
                    />
                    {bound.as_ref().map(|bound| view! { <AtMost keys=bound.max_live_per_user mine=form.max_live_per_user.clone() /> })}
                    <Field
                        name="max_live_per_workspace"
                        label=if bound.is_some() { "Most keys of the workspace" } else { "Most keys of one workspace" }
                        kind="number"
                        min="1".to_owned()
                        required=true
                        value=form.max_live_per_workspace.clone()
                        error=error("max_live_per_workspace")
                    />
                    {bound
                        .as_ref()
                        .map(|bound| view! { <AtMost keys=bound.max_live_per_workspace mine=form.max_live_per_workspace.clone() /> })}
                </fieldset>
                <div class="rules-foot">
                    <button class="button button-primary">"Review changes"</button>
                    <span class="soft small">"Nothing is saved before you have seen whom it concerns."</span>
                </div>
            </QueryForm>
            {outages.map(|outages| view! { <Outages outages workspace=here.workspace changes=here.changes /> })}
        </div>
    }
}

/// A rule of the instance that is stricter than what is typed.
#[component]
fn Bound(text: String) -> impl IntoView {
    view! {
        <p class="bound small">
            <Icon name="shield-check" />
            {text}
        </p>
    }
}

#[component]
fn AtMost(keys: u32, mine: String) -> impl IntoView {
    let stricter = mine.trim().parse::<u32>().is_ok_and(|mine| keys < mine);
    stricter.then(|| view! { <Bound text=format!("The instance allows at most {}.", format::number(keys.into())) /> })
}

#[component]
fn Tick(name: &'static str, label: &'static str, ticked: bool) -> impl IntoView {
    view! {
        <label class="check">
            <input type="checkbox" name=name checked=ticked />
            <span>{label}</span>
        </label>
    }
}

/// What was done a moment ago.
#[component]
fn Done(here: Here) -> impl IntoView {
    let by_form = use_query_map().with_untracked(|query| query.get("done").map(|_| query.get("shortened").and_then(|n| n.parse().ok())));
    let done = move || here.saved.get().or_else(|| by_form.map(Option::unwrap_or_default));
    move || {
        done().map(|shortened| {
            let keys = match shortened {
                0 => String::new(),
                1 => " One key was brought down to them.".to_owned(),
                many => format!(" {} keys were brought down to them.", format::number(many)),
            };
            view! { <Notice tone=Tone::Good>{format!("The rules hold from now on.{keys}")}</Notice> }
        })
    }
}

/// Keys that were there before and live longer than the rules allow.
#[component]
fn Beyond(beyond: i64, here: Here) -> impl IntoView {
    let apply = Sending::to::<ApplyPolicy>();
    Effect::new(move || {
        if apply.is_done() {
            here.saved.set(shortened(apply));
            here.changes.update(|changes| *changes += 1);
        }
    });
    let refused = apply.fault();
    (beyond > 0).then(|| {
        let text = if beyond == 1 {
            "One key lives longer than the rules allow: it was there before.".to_owned()
        } else {
            format!("{} keys live longer than the rules allow: they were there before.", format::number(beyond))
        };
        view! {
            <Notice tone=Tone::Warn>
                <p>{text}</p>
                {move || refused.get().map(|fault| view! { <p>{fault.problem.message}</p> })}
                <SendForm to=apply attr:class="beyond">
                    <input type="hidden" name="workspace" value=here.workspace.get_untracked() />
                    <SubmitButton label="Bring them down now" pending=apply.pending class="button button-small" />
                </SendForm>
            </Notice>
        }
    })
}

fn shortened(sending: Sending) -> Option<i64> {
    let done = sending.value.with(|value| serde_json::from_str::<serde_json::Value>(value.as_ref()?.as_ref().ok()?).ok());
    done?.get("shortened")?.as_i64()
}

/// New rules, what they change and for whom, and the decision.
#[component]
fn Review(view: PolicyView, preview: PreviewView, form: PolicyForm, here: Here) -> impl IntoView {
    let save = Sending::to::<UpdatePolicy>();
    let navigate = use_navigate();
    Effect::new(move || {
        if save.is_done() {
            here.saved.set(Some(shortened(save).unwrap_or_default()));
            here.changes.update(|changes| *changes += 1);
            navigate(&here.path(), NavigateOptions::default());
        }
    });
    let PreviewView { preview, changes, now } = preview;
    let stale = form.version != view.policy.version;
    let (nothing, affected) = (changes.is_empty(), preview.affected);
    let (path, back) = (here.path(), format!("{}?{}", here.path(), form.query()));
    let refused = save.fault();
    let conflict = move || stale || refused.with(|fault| fault.as_ref().is_some_and(|fault| fault.problem.code == ProblemCode::Conflict));
    let other = move || refused.get().filter(|fault| fault.problem.code != ProblemCode::Conflict).map(|fault| fault.problem);
    let again = path.clone();
    view! {
        <Head place=view.place.map(|place| place.name) review=true />
        <div class="stack">
            {move || conflict().then(|| view! { <Conflict path=again.clone() /> })}
            {move || other().map(|problem: Problem| view! { <Notice tone=Tone::Bad>{problem.message}</Notice> })}
            <section class="panel settings" aria-labelledby="changes-title">
                <h2 id="changes-title">"What changes"</h2>
                {if nothing {
                    view! { <p class="soft">"Nothing: these are the present rules."</p> }.into_any()
                } else {
                    view! { <Changes changes /> }.into_any()
                }}
            </section>
            {(affected > 0)
                .then(|| view! { <Concerned affected preview=preview.keys.items more=preview.keys.next.map(|cursor| format!("{back}&cursor={cursor}")) now /> })}
            <SendForm to=save attr:class="stack" attr:id="save-rules">
                <input type="hidden" name="workspace" value=here.workspace.get_untracked() />
                {form.pairs().into_iter().map(|(name, value)| view! { <input type="hidden" name=name value=value /> }).collect_view()}
                {(affected > 0).then(|| view! { <Decision end=preview.brought_down_to /> })}
                <div class="row">
                    {(!nothing).then(|| view! { <SubmitButton label="Save rules" pending=save.pending /> })}
                    <a class="button" href=path>
                        "Back"
                    </a>
                </div>
            </SendForm>
        </div>
    }
}

/// Somebody was faster.
#[component]
fn Conflict(path: String) -> impl IntoView {
    view! {
        <Notice tone=Tone::Bad>
            "Somebody changed these rules meanwhile. Nothing was saved. " <a href=path rel="external">
                "Load the present rules"
            </a>
        </Notice>
    }
}

#[component]
fn Changes(changes: Vec<(String, String, String)>) -> impl IntoView {
    let row = |(name, before, after): (String, String, String)| {
        view! {
            <tr>
                <th scope="row">{name}</th>
                <td class="was">{before}</td>
                <td>{after}</td>
            </tr>
        }
    };
    view! {
        <table class="changes">
            <caption class="visually-hidden">"Rules that change"</caption>
            <thead>
                <tr>
                    <th scope="col">"Rule"</th>
                    <th scope="col">"Now"</th>
                    <th scope="col">"New"</th>
                </tr>
            </thead>
            <tbody>{changes.into_iter().map(row).collect_view()}</tbody>
        </table>
    }
}

/// The keys that live longer than the new rules allow.
#[component]
fn Concerned(affected: i64, preview: Vec<KeySummary>, more: Option<String>, now: keyfold_domain::time::Timestamp) -> impl IntoView {
    let row = move |key: KeySummary| {
        view! {
            <tr>
                <th scope="row">
                    <span class="break">{shown_name(&key)}</span>
                    " "
                    <span class="mono faint small" translate="no">
                        {key.hint.clone()}
                    </span>
                </th>
                <td class="break">{key.owner.display_name.clone()}</td>
                <td>
                    {match key.expires_at {
                        Some(at) => {
                            view! {
                                <Moment at precision=Precision::Day />
                                <span class="soft small">{format!(" · {}", format::relative(at, now))}</span>
                            }
                                .into_any()
                        }
                        None => "Never".into_any(),
                    }}
                </td>
            </tr>
        }
    };
    let title = if affected == 1 { "1 key lives longer".to_owned() } else { format!("{} keys live longer", format::number(affected)) };
    let shown = i64::try_from(preview.len()).unwrap_or_default();
    view! {
        <section class="panel settings" aria-labelledby="concerned-title">
            <h2 id="concerned-title">{title}</h2>
            <table class="changes">
                <caption class="visually-hidden">"Keys that live longer than the new rules allow"</caption>
                <thead>
                    <tr>
                        <th scope="col">"Key"</th>
                        <th scope="col">"Owner"</th>
                        <th scope="col">"Ends"</th>
                    </tr>
                </thead>
                <tbody>{preview.into_iter().map(row).collect_view()}</tbody>
            </table>
            {more
                .map(|href| {
                    view! {
                        <p class="rules-more">
                            <span class="soft small">{format!("{} of {} on this page", format::number(shown), format::number(affected))}</span>
                            <a class="button button-small" href=href data-noscroll="">
                                "Next keys"
                                <Icon name="arrow-right" />
                            </a>
                        </p>
                    }
                })}
        </section>
    }
}

/// What becomes of them.
#[component]
fn Decision(end: Option<keyfold_domain::time::Timestamp>) -> impl IntoView {
    view! {
        <fieldset class="panel rules decision">
            <legend>"What becomes of them?"</legend>
            <label class="choice">
                <input type="radio" name="existing_keys" value="keep" required=true />
                <span class="choice-title">"They keep their end"</span>
                <span class="choice-text">"The rules hold for new keys, and for these as soon as somebody edits their end."</span>
            </label>
            {match end {
                Some(at) => {
                    view! {
                        <label class="choice">
                            <input type="radio" name="existing_keys" value="shorten" required=true />
                            <span class="choice-title">"Bring them down now"</span>
                            <span class="choice-text">
                                "They end on " <Moment at precision=Precision::Minute /> " at the latest. This cannot be undone by loosening the rules."
                            </span>
                        </label>
                    }
                        .into_any()
                }
                None => {
                    view! {
                        <p class="soft small">
                            "To bring them down now, name a life if nothing is chosen: it would become the end of keys that never end."
                        </p>
                    }
                        .into_any()
                }
            }}
        </fieldset>
    }
}
