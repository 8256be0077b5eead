//! From where and how often a key may be used: a part of its own page, and the dialogs that change it.

use keyfold_domain::key::{KeyLimits, LimitState};
use keyfold_domain::limits::Whose;
use keyfold_domain::problem::{Problem, ProblemCode};
use keyfold_domain::time::Timestamp;
use leptos::prelude::*;

use super::key::Setting;
use super::key_acts::{ActDialog, CHANGE, Version, Words, error, typed_or};
use super::keys::KeysPageContext;
use super::not_found::Trouble;
use crate::components::{AddressField, LimitFields, Moment, Notice, Precision, Sending, Tone};
use crate::format;
use crate::functions::fault::Fault;
use crate::functions::key_limits::{ChangeAddresses, ChangeLimits, KeyLimitsView, get_key_limits};
use crate::functions::keys::KeyView;
use crate::limit_form::{LimitRow, lines, span_words};

/// What the panel shows. What is no id names nothing.
pub(super) async fn find_limits(workspace: String, id: String) -> Result<KeyLimitsView, Fault> {
    match id.parse() {
        Ok(id) => get_key_limits(workspace, id).await,
        Err(_) => Err(Problem::not_found().into()),
    }
}

/// The panel of a key's page that tells from where and how often it may be used.
#[component]
pub(super) fn KeyLimitsPanel(found: Result<KeyLimitsView, Fault>, page: KeysPageContext) -> impl IntoView {
    let KeyLimitsView { limits, may_change: changes, now } = match found {
        Ok(view) => view,
        Err(fault) => return view! { <Notice tone=Tone::Bad>{fault.problem.message}</Notice> }.into_any(),
    };
    let KeyLimits { ip_allow, limits, .. } = limits;
    let addresses = if ip_allow.is_empty() {
        "Any address".into_any()
    } else {
        let ranges = ip_allow.into_iter().map(|range| view! { <li class="mono break">{range.to_string()}</li> }).collect_view();
        view! {
            <ul class="plain-list" translate="no">
                {ranges}
            </ul>
        }
        .into_any()
    };
    let shown = if limits.is_empty() { "As often as wanted".into_any() } else { view! { <Standings limits now /> }.into_any() };
    view! {
        <section class="panel settings" aria-labelledby="limits-title">
            <h2 id="limits-title">"Limits and addresses"</h2>
            <dl>
                <Setting label="Allowed addresses" act="addresses" changes page>
                    {addresses}
                </Setting>
                <Setting label="Limits" act="limits" changes page>
                    {shown}
                </Setting>
            </dl>
        </section>
    }
    .into_any()
}

/// Each limit, and what is left of it.
#[component]
fn Standings(limits: Vec<LimitState>, now: Timestamp) -> impl IntoView {
    let row = |state: LimitState| {
        let (most, whose) = (state.limit.most(), state.whose);
        let words = span_words(&LimitRow::from(&state.limit).span);
        let class = if state.remaining == 0 { "limit-left limit-out" } else { "limit-left" };
        let whole =
            (state.remaining < most).then(|| view! { ", all again " <Moment at=state.resets_at precision=Precision::Distance(now) /> });
        view! {
            <li>
                <span>
                    <strong class="mono" translate="no">
                        {state.limit.name().to_string()}
                    </strong>
                    {format!(" {} in {words}", format::counted(most.into(), "call"))}
                    {(whose == Whose::Owner).then_some(", with all other keys of the owner")}
                </span>
                <span class=class>{format::number(state.remaining.into())} " left" {whole}</span>
            </li>
        }
    };
    view! { <ul class="plain-list limit-list">{limits.into_iter().map(row).collect_view()}</ul> }
}

/// The dialog over the page that changes the one or the other.
#[component]
pub(super) fn ChangeKeyLimits(addresses: bool, view: KeyView, page: KeysPageContext) -> impl IntoView {
    let asked = (view.workspace.slug.clone(), view.key.id.to_string());
    let view = StoredValue::new(view);
    let found = Resource::new_blocking(move || asked.clone(), |(workspace, id)| find_limits(workspace, id));
    view! {
        <Suspense>
            {move || Suspend::new(async move {
                match found.await {
                    Ok(found) if !found.may_change => view! { <Trouble fault=not_yours() /> }.into_any(),
                    Ok(found) if addresses => view! { <AddressesForm view=view.get_value() found page /> }.into_any(),
                    Ok(found) => view! { <LimitsForm view=view.get_value() found page /> }.into_any(),
                    Err(fault) => view! { <Trouble fault /> }.into_any(),
                }
            })}
        </Suspense>
    }
}

/// Who may only look.
fn not_yours() -> Fault {
    let text = "Only administrators of the workspace change from where and how often a key may be used.";
    let problem = Problem::new(ProblemCode::Forbidden, text);
    #[cfg(feature = "ssr")]
    crate::functions::context::note_status(&problem);
    problem.into()
}

const SOON: &str = "Holds from the next call on.";

#[component]
fn AddressesForm(view: KeyView, found: KeyLimitsView, page: KeysPageContext) -> impl IntoView {
    let action = Sending::to::<ChangeAddresses>();
    let words = Words {
        title: "Allowed addresses",
        button: "Save addresses",
        class: CHANGE,
        done: "addresses saved. They hold from the next call on.",
        aside: SOON,
    };
    let typed = typed_or(action, "ip_allow", &lines(&found.limits.ip_allow));
    let version = found.limits.version;
    view! {
        <ActDialog words action view page back="act-addresses" fields=&["ip_allow"] id="change-addresses">
            <Version version />
            <AddressField lines=typed error=error(action, "ip_allow") autofocus=true />
            <p class="small soft">
                "What counts is the address of the end client: the one that a service passes on as " <code>"client_ip"</code>
                ", or that trusted proxies name. Without an address a call is refused."
            </p>
        </ActDialog>
    }
}

#[component]
fn LimitsForm(view: KeyView, found: KeyLimitsView, page: KeysPageContext) -> impl IntoView {
    let action = Sending::to::<ChangeLimits>();
    let words = Words {
        title: "Limits",
        button: "Save limits",
        class: CHANGE,
        done: "limits saved. They hold from the next call on.",
        aside: SOON,
    };
    let own = found.limits.limits.iter().filter(|state| state.whose == Whose::Key);
    let present: Vec<LimitRow> = own.map(|state| LimitRow::from(&state.limit)).collect();
    let rows = rows_or(action, present);
    let version = found.limits.version;
    view! {
        <ActDialog words action view page back="act-limits" fields=&["limits"] id="change-limits">
            <Version version />
            <LimitFields rows error=error(action, "limits") />
            <p class="small soft">"What was spent goes with the name: a limit that keeps its name goes on counting, a new name begins anew."</p>
        </ActDialog>
    }
}

/// The rows as they were typed before a refusal without script, or else as they stand.
pub(super) fn rows_or(action: Sending, present: Vec<LimitRow>) -> Vec<LimitRow> {
    let typed = typed_or(action, "limits", "");
    if typed.is_empty() { present } else { serde_json::from_str(&typed).unwrap_or(present) }
}
