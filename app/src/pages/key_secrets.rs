//! The secrets of a key: the current one, those that still work after a rotation and who uses them, and those that ended.

use keyfold_domain::key::KeyState;
use keyfold_domain::secret::{SecretClient, SecretState, SecretSummary};
use keyfold_domain::time::Timestamp;
use leptos::prelude::*;

use super::key_acts::with_reach;
use super::keys::KeysPageContext;
use crate::components::{FaultNotice, Icon, Moment, Precision, SendForm, Sending, SubmitButton, Toasts};
use crate::format;
use crate::functions::key_use::EndSecret;
use crate::functions::keys::KeyView;

/// Where the keyboard goes when a secret was ended.
const TITLE: &str = "secrets-title";

#[component]
pub(super) fn Secrets(view: KeyView, secrets: Vec<SecretSummary>, now: Timestamp, page: KeysPageContext) -> impl IntoView {
    let rotates = view.may_change && view.key.state == KeyState::Active;
    let ends = view.may_change;
    let (ended, live): (Vec<_>, Vec<_>) = secrets.into_iter().partition(|secret| secret.state == SecretState::Ended);
    let shown = StoredValue::new(view);
    let row = move |secret: SecretSummary| {
        view! {
            <li class="secret-row">
                <Facts secret=secret.clone() now />
                {(secret.state == SecretState::Retiring)
                    .then(|| view! { <Watched secret view=shown.get_value() ends now page /> })}
            </li>
        }
    };
    view! {
        <section class="panel settings" aria-labelledby=TITLE>
            <div class="panel-head">
                <h2 id=TITLE tabindex="-1">
                    "Secrets"
                </h2>
                {rotates
                    .then(|| {
                        view! {
                            <a class="button button-small" id="act-rotate" href=move || format!("{}/edit/rotate", page.list.get()) data-noscroll="">
                                "Rotate"
                            </a>
                        }
                    })}
            </div>
            <ul class="secrets">{live.into_iter().map(row).collect_view()}</ul>
            {(!ended.is_empty())
                .then(|| {
                    view! {
                        <details class="more part">
                            <summary>
                                <Icon name="chevron-down" />
                                {format::counted(i64::try_from(ended.len()).unwrap_or_default(), "secret")}
                                " that ended"
                            </summary>
                            <ul class="secrets secrets-ended">
                                {ended
                                    .into_iter()
                                    .map(|secret| {
                                        view! {
                                            <li class="secret-row">
                                                <Facts secret now />
                                            </li>
                                        }
                                    })
                                    .collect_view()}
                            </ul>
                        </details>
                    }
                })}
        </section>
    }
}

/// What the secret is, as a word and a shape, and how much it was used.
#[component]
fn Facts(secret: SecretSummary, now: Timestamp) -> impl IntoView {
    let (class, icon, word) = match secret.state {
        SecretState::Current => ("status status-good", "circle-check", "Current"),
        SecretState::Retiring => ("status status-warn", "timer", "Still works"),
        SecretState::Ended => ("status", "circle-x", "Ended"),
    };
    let end = secret.ends_at.map(|at| {
        let label = if secret.state == SecretState::Ended { "Ended " } else { "Ends " };
        view! {
            <span>
                {label} <Moment at precision=Precision::Minute />
                {(secret.state == SecretState::Retiring).then(|| format!(" ({})", format::relative(at, now)))}
            </span>
        }
    });
    view! {
        <div class="secret-facts">
            <span class="mono" translate="no">
                {secret.hint}
            </span>
            <span class=class>
                <Icon name=icon />
                {word}
            </span>
            <span class="secret-times small soft">
                {end}
                <span>
                    {match secret.last_used_at {
                        Some(at) => {
                            view! {
                                "Last used "
                                <Moment at precision=Precision::Distance(now) />
                            }
                                .into_any()
                        }
                        None => "Never used".into_any(),
                    }}
                </span>
                <span>{format::counted(secret.total_calls, "call")}</span>
                <span>"Made " <Moment at=secret.created_at precision=Precision::Minute /></span>
            </span>
        </div>
    }
}

/// Who still uses a secret that was replaced, and the way to end it.
#[component]
fn Watched(secret: SecretSummary, view: KeyView, ends: bool, now: Timestamp, page: KeysPageContext) -> impl IntoView {
    let (seen, hint) = (secret.clients.len(), secret.hint.clone());
    let title = format!("Seen with {hint} since it was replaced");
    view! {
        <div class="watched">
            {if seen == 0 {
                view! { <p class="soft">"Nobody has used it since it was replaced."</p> }.into_any()
            } else {
                view! { <Clients clients=secret.clients title now /> }.into_any()
            }}
            {ends.then(|| view! { <EndNow secret=secret.id.to_string() hint unused=seen == 0 view page /> })}
        </div>
    }
}

#[component]
fn Clients(clients: Vec<SecretClient>, title: String, now: Timestamp) -> impl IntoView {
    let rows = clients.into_iter().map(|client| {
        view! {
            <tr>
                <th scope="row" class="break">
                    {client.user_agent.unwrap_or_else(|| "Not told".into())}
                </th>
                <td class="mono break" data-label="Address">
                    {client.ip.unwrap_or_else(|| "Not told".into())}
                </td>
                <td data-label="Last seen">
                    <Moment at=client.last_seen_at precision=Precision::Distance(now) />
                </td>
                <td class="number" data-label="Calls">
                    {format::number(client.calls)}
                </td>
            </tr>
        }
    });
    view! {
        <table class="plain-table clients">
            <caption class="small soft">"Who still uses it" <span class="visually-hidden">": " {title}</span></caption>
            <thead>
                <tr>
                    <th scope="col">"Program"</th>
                    <th scope="col">"Address"</th>
                    <th scope="col">"Last seen"</th>
                    <th scope="col" class="number">
                        "Calls"
                    </th>
                </tr>
            </thead>
            <tbody>{rows.collect_view()}</tbody>
        </table>
    }
}

#[component]
fn EndNow(secret: String, hint: String, unused: bool, view: KeyView, page: KeysPageContext) -> impl IntoView {
    let action = Sending::to::<EndSecret>();
    let toasts = use_context::<Toasts>();
    let said = format!("{hint} works no more.");
    Effect::new(move || {
        if action.is_done() {
            page.changed(Some(TITLE.to_owned()));
            if let Some(toasts) = toasts {
                toasts.say(with_reach(&said, action));
            }
        }
    });
    let advice = if unused { "Nothing is lost by ending it." } else { "Whoever still uses it is refused from the next call on." };
    view! {
        <SendForm to=action attr:class="end-now">
            <FaultNotice fault=action.fault() />
            <input type="hidden" name="workspace" value=view.workspace.slug />
            <input type="hidden" name="id" value=view.key.id.to_string() />
            <input type="hidden" name="secret" value=secret />
            <SubmitButton label="End now" pending=action.pending class="button button-small button-removes" />
            <span class="small soft">{advice}</span>
        </SendForm>
    }
}
