//! What a key is used for: calls and denials over time, and which of its scopes were asked for.

use keyfold_domain::problem::Problem;
use keyfold_domain::scope::ScopeSet;
use keyfold_domain::time::{DAY_MS, Timestamp};
use keyfold_domain::usage::{EVIDENCE_DAYS, KeyUsage, ScopeEvidence, ScopeUse, WATCH_DAYS};
use keyfold_domain::verdict::Code;
use leptos::prelude::*;

use super::key_secrets::Secrets;
use super::keys::KeysPageContext;
use crate::components::{
    DayChart, DayTable, FaultNotice, Icon, Moment, Notice, Precision, ScopeChips, SendForm, Sending, SubmitButton, Toasts, Tone, WeekGrid,
};
use crate::format;
use crate::functions::fault::Fault;
use crate::functions::key_use::{KeyUse, get_key_use};
use crate::functions::keys::{KeyView, UpdateKey};

/// What the panels show. What is no id names nothing.
pub(super) async fn find_use(workspace: String, id: String) -> Result<KeyUse, Fault> {
    match id.parse() {
        Ok(id) => get_key_use(workspace, id).await,
        Err(_) => Err(Problem::not_found().into()),
    }
}

/// The panels of a key's page that tell of its use.
#[component]
pub(super) fn KeyUsePanels(view: KeyView, used: Result<KeyUse, Fault>, page: KeysPageContext) -> impl IntoView {
    match used {
        Ok(used) => view! {
            <Secrets view=view.clone() secrets=used.secrets now=used.now page />
            <Usage view=view.clone() usage=used.usage />
            <Evidence view evidence=used.evidence now=used.now page />
        }
        .into_any(),
        Err(fault) => view! { <Notice tone=Tone::Bad>{fault.problem.message}</Notice> }.into_any(),
    }
}

/// A verdict in words.
pub(super) const fn code_words(code: Code) -> &'static str {
    match code {
        Code::Malformed => "Not a key",
        Code::NotFound => "Not found",
        Code::Deleted => "Deleted",
        Code::Deactivated => "Deactivated",
        Code::OwnerDisabled => "Owner disabled",
        Code::Expired => "Expired",
        Code::Dormant => "Dormant",
        Code::IpDenied => "Address not allowed",
        Code::MissingScope => "Scope missing",
        Code::WrongResource => "Other resource",
        Code::RateLimited => "Too many calls",
        Code::QuotaExceeded => "Quota used up",
        Code::Valid => "Allowed",
    }
}

#[component]
fn Usage(view: KeyView, usage: KeyUsage) -> impl IntoView {
    let days = usage.days.len();
    let sum = format!("{} and {} in the last {days} days", format::counted(usage.calls, "call"), format::counted(usage.denials, "denial"));
    let csv = format!("/v1/workspaces/{}/keys/{}/usage.csv?days={days}", view.workspace.slug, view.key.id);
    let none = usage.calls == 0 && usage.denials == 0;
    let denied = usage.codes.iter().filter(|found| found.code != Code::Valid);
    let denied: Vec<_> = denied.map(|found| (code_words(found.code), format::number(found.count))).collect();
    view! {
        <section class="panel settings" aria-labelledby="usage-title">
            <div class="panel-head">
                <h2 id="usage-title">"Usage"</h2>
                {(!none)
                    .then(|| {
                        view! {
                            <a class="button button-small" href=csv download="" rel="external">
                                <Icon name="download" />
                                "CSV"
                            </a>
                        }
                    })}
            </div>
            <div class="part usage">
                {if none {
                    view! { <p class="soft">{format!("Nobody used this key in the last {days} days.")}</p> }.into_any()
                } else {
                    view! {
                        <p>{sum.clone()} "."</p>
                        <DayChart days=usage.days.clone() label=format!("{sum}; the table below has the same by day") />
                        {(!denied.is_empty())
                            .then(|| {
                                view! {
                                    <p class="small soft">"Why calls were denied"</p>
                                    <ul class="chips" aria-label="Why calls were denied">
                                        {denied
                                            .into_iter()
                                            .map(|(words, count)| view! { <li class="chip">{words} " " <strong>{count}</strong></li> })
                                            .collect_view()}
                                    </ul>
                                }
                            })}
                        <details class="more">
                            <summary>
                                <Icon name="chevron-down" />
                                "By day, as a table"
                            </summary>
                            <DayTable days=usage.days />
                        </details>
                        <WeekGrid week=usage.week />
                    }
                        .into_any()
                }}
            </div>
        </section>
    }
}

#[component]
fn Evidence(view: KeyView, evidence: ScopeEvidence, now: Timestamp, page: KeysPageContext) -> impl IntoView {
    let held = i64::try_from(evidence.held()).unwrap_or_default();
    let used = evidence.used();
    let sum = if used == 0 {
        format!("Holds {}. None was asked for in the last {EVIDENCE_DAYS} days.", format::counted(held, "scope"))
    } else {
        format!("Holds {}, used {used} in the last {EVIDENCE_DAYS} days.", format::counted(held, "scope"))
    };
    let early = used > 0 && now.millis_since(evidence.watched_since) < i64::from(WATCH_DAYS) * DAY_MS;
    let rows = evidence.scopes.into_iter().map(move |scope| view! { <Asked scope now /> });
    view! {
        <section class="panel settings" aria-labelledby="evidence-title">
            <div class="panel-head">
                <h2 id="evidence-title" tabindex="-1">
                    "Scopes it needs"
                </h2>
            </div>
            <div class="part usage">
                <p>{sum}</p>
                <table class="plain-table">
                    <caption class="visually-hidden">"How often each scope was asked for"</caption>
                    <thead>
                        <tr>
                            <th scope="col">"Scope"</th>
                            <th scope="col">"Last asked for"</th>
                            <th scope="col" class="number">
                                "Times"
                            </th>
                        </tr>
                    </thead>
                    <tbody>{rows.collect_view()}</tbody>
                </table>
                {early
                    .then(|| {
                        view! {
                            <p class="small soft">
                                {format!("Once it was watched for {WATCH_DAYS} days, a key that holds more than it needs can be narrowed here.")}
                            </p>
                        }
                    })}
                {evidence.suggestion.filter(|_| view.may_change).map(|scopes| view! { <Narrow view scopes page /> })}
            </div>
        </section>
    }
}

#[component]
fn Asked(scope: ScopeUse, now: Timestamp) -> impl IntoView {
    view! {
        <tr>
            <th scope="row">
                <span class="chip">{scope.scope.to_string()}</span>
                {(!scope.held).then(|| view! { <span class="small soft">" comes with another"</span> })}
            </th>
            <td>
                {match scope.last_asked_at {
                    Some(at) => view! { <Moment at precision=Precision::Distance(now) /> }.into_any(),
                    None => view! { <span class="soft">"Never"</span> }.into_any(),
                }}
            </td>
            <td class="number">{format::number(scope.count)}</td>
        </tr>
    }
}

/// The fewer scopes that would have been enough, one press away.
#[component]
fn Narrow(view: KeyView, scopes: ScopeSet, page: KeysPageContext) -> impl IntoView {
    let action = Sending::to::<UpdateKey>();
    let toasts = use_context::<Toasts>();
    Effect::new(move || {
        if action.is_done() {
            page.changed(Some("evidence-title".to_owned()));
            if let Some(toasts) = toasts {
                toasts.say("The key was narrowed. It holds from the next call on.".to_owned());
            }
        }
    });
    let names: Vec<_> = scopes.iter().cloned().collect();
    view! {
        <SendForm to=action attr:class="narrow">
            <FaultNotice fault=action.fault() />
            <input type="hidden" name="workspace" value=view.workspace.slug />
            <input type="hidden" name="id" value=view.key.id.to_string() />
            <input type="hidden" name="version" value=view.key.version.to_string() />
            {names.iter().map(|name| view! { <input type="hidden" name="scopes[]" value=name.to_string() /> }).collect_view()}
            <p>"All it was asked for needs only this:"</p>
            <ScopeChips scopes=names />
            <div class="row">
                <SubmitButton label="Narrow to this" pending=action.pending class="button button-small" />
                <span class="small soft">"Holds from the next call on. You can widen it again."</span>
            </div>
        </SendForm>
    }
}
