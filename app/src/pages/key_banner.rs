//! What somebody has to know of a key before anything else: that it does not work, since when and why, or that it soon will not.

use keyfold_domain::key::{InactiveReason, KeyState, KeySummary};
use keyfold_domain::time::{DAY_MS, Timestamp};
use leptos::prelude::*;

use crate::components::{Moment, Notice, Precision, Tone};
use crate::format;

/// From how near an end on a page warns.
pub(super) const SOON_MS: i64 = 14 * DAY_MS;

/// By whom, as the end of a sentence.
fn by(who: Option<&String>) -> String {
    who.map(|who| format!(" by {who}")).unwrap_or_default()
}

#[component]
pub(super) fn KeyBanner(key: KeySummary, now: Timestamp) -> impl IntoView {
    let stopped = key.stopped_at.map(|at| view! { <Moment at precision=Precision::Day /> });
    let who = by(key.stopped_by.as_ref());
    match key.state {
        KeyState::Deleted => view! {
            <Notice tone=Tone::Bad quiet=true>
                <strong>"Deleted"</strong>
                " on "
                {stopped}
                {who}
                ". Its secret never works again. The record stays, so that it can be looked up."
            </Notice>
        }
        .into_any(),
        KeyState::Inactive(InactiveReason::Deactivated) => {
            let why = key.stopped_reason.map(|why| format!(": “{why}”")).unwrap_or_default();
            let then = if key.stopped_for_good {
                "It was for good: nobody can activate it again."
            } else {
                "An administrator can activate it again."
            };
            view! {
                <Notice tone=Tone::Warn>
                    <strong>"Deactivated"</strong>
                    " on "
                    {stopped}
                    {who}
                    <span class="break">{why}</span>
                    ". Whoever uses it is refused. "
                    {then}
                </Notice>
            }
            .into_any()
        }
        KeyState::Inactive(InactiveReason::Expired) => view! {
            <Notice tone=Tone::Warn>
                <strong>"Expired"</strong>
                " on "
                {key.expires_at.map(|at| view! { <Moment at precision=Precision::Day /> })}
                ". Whoever uses it is refused. With a later expiry date it works again, with the same secret."
            </Notice>
        }
        .into_any(),
        KeyState::Inactive(InactiveReason::Dormant) => {
            let days = format::counted(key.inactivity_days.unwrap_or_default().into(), "day");
            view! {
                <Notice tone=Tone::Warn>
                    <strong>"Dormant"</strong>
                    " because nobody used it for "
                    {days}
                    ". Whoever uses it now is refused. An administrator can activate it again."
                </Notice>
            }
            .into_any()
        }
        KeyState::Inactive(InactiveReason::OwnerDisabled) => view! {
            <Notice tone=Tone::Warn>
                <strong>"Stopped with its owner"</strong>
                ", who may no longer use this workspace. Whoever uses it is refused."
            </Notice>
        }
        .into_any(),
        KeyState::Active if !key.resources.is_empty() && key.resources.iter().all(|resource| resource.deleted) => view! {
            <Notice tone=Tone::Warn>
                <strong>"Tied to nothing that is left"</strong>
                ". Its resources were deleted, so whoever uses it is refused everywhere. Give it another resource to let it work again."
            </Notice>
        }
        .into_any(),
        KeyState::Active => match key.expires_at.filter(|at| at.millis_since(now) < SOON_MS) {
            Some(at) => view! {
                <Notice tone=Tone::Warn>
                    <strong>"Ends " {format::relative(at, now)}</strong>
                    ", on "
                    <Moment at precision=Precision::Day />
                    ". Give it a later end, or let what uses it change to another key before then."
                </Notice>
            }
            .into_any(),
            None => ().into_any(),
        },
    }
}
