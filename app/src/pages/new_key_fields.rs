//! The parts of the form of a new key.

use keyfold_domain::policy_limits::KeyPolicy;
use keyfold_domain::scope::KeyKind;
use keyfold_domain::time::Timestamp;
use leptos::prelude::*;

use super::new_key::Filling;
use crate::components::{AddressField, Field, FieldError, Icon, LimitFields, Select};
use crate::format::{self, Civil};
use crate::key_form::{CUSTOM, INTERVALS, KeyForm, LIVES, NEVER, OFF, ON_DATE, ability};

pub(super) const fn kind_words(kind: KeyKind) -> (&'static str, &'static str) {
    match kind {
        KeyKind::Secret => ("Secret", "For servers and scripts. Does what you tick below."),
        KeyKind::Publishable => ("Publishable", "May be seen by anybody, in a web page or an app."),
        KeyKind::Management => ("Management", "May also manage Keyfold, as you and never beyond you."),
    }
}

#[component]
pub(super) fn KindCards(chosen: KeyKind, error: Signal<Option<String>>) -> impl IntoView {
    view! {
        <fieldset class="field" aria-describedby="kind-error">
            <legend class="field-label">"Kind"</legend>
            <div class="cards">
                {KeyKind::ALL
                    .map(|kind| {
                        let (title, text) = kind_words(kind);
                        view! {
                            <label class="choice">
                                <input type="radio" name="kind" value=kind.as_str() checked=kind == chosen />
                                <span class="choice-title">{title}</span>
                                <span class="choice-text">{text}</span>
                            </label>
                        }
                    })
                    .collect_view()}
            </div>
            <FieldError id="kind-error".into() error />
        </fieldset>
    }
}

/// When the key ends: some days, a day of one's own, or never where the rules allow it.
#[component]
pub(super) fn Life(filling: Filling, shown: KeyForm, policy: KeyPolicy, now: Timestamp) -> impl IntoView {
    let most = policy.max_expiry_days.unwrap_or(u32::MAX);
    let tomorrow = format::iso_date(&Civil::utc(now));
    let chosen = shown.expiry.clone();
    let option = move |value: String, label: String| {
        let selected = value == chosen;
        view! {
            <option value=value selected=selected>
                {label}
            </option>
        }
    };
    let by_rule = (!LIVES.iter().any(|days| days.to_string() == shown.expiry) || shown.expiry.is_empty()).then(|| {
        option(
            String::new(),
            match (policy.default_expiry_days, policy.max_expiry_days) {
                (Some(days), _) if days <= most => format!("In {days} days, as the workspace says"),
                (_, Some(days)) => format!("In {days} days, the most allowed"),
                _ => "As the workspace says".to_owned(),
            },
        )
    });
    let sentence = move || match filling.end() {
        Ok(Some(end)) => end,
        Ok(None) if filling.form.with(|form| form.expiry == NEVER) => {
            "It works until somebody stops it. A leaked key that never ends stays dangerous.".to_owned()
        }
        _ => String::new(),
    };
    view! {
        <div class="field">
            <label class="field-label" for="expiry">
                "Expires"
            </label>
            <Select name="expiry" id="expiry" described_by="expiry-hint expiry-error">
                {by_rule}
                {LIVES.into_iter().filter(|days| *days <= most).map(|days| option(days.to_string(), format!("In {days} days"))).collect_view()}
                {option(ON_DATE.into(), "On a date …".into())}
                {policy.allows_never().then(|| option(NEVER.into(), "Never".into()))}
            </Select>
            <div class="on-date">
                <Field
                    name="expires_on"
                    label="Last day"
                    kind="date"
                    value=shown.expires_on.clone()
                    min=tomorrow
                    error=filling.error("expires_on")
                />
            </div>
            <span class="field-hint" id="expiry-hint" aria-live="polite">
                {sentence}
            </span>
            <FieldError id="expiry-error".into() error=filling.error("expires_at") />
        </div>
    }
}

/// After how long without use the key stops: never, some days, or days of one's own.
#[component]
pub(super) fn Inactivity(filling: Filling, shown: KeyForm) -> impl IntoView {
    let chosen = shown.inactivity_days;
    let option = move |value: String, label: String| {
        let selected = value == chosen;
        view! {
            <option value=value selected=selected>
                {label}
            </option>
        }
    };
    view! {
        <div class="field">
            <label class="field-label" for="inactivity_days">
                "If nobody uses it"
            </label>
            <Select name="inactivity_days" id="inactivity_days" described_by="inactivity-hint inactivity-error">
                {option(OFF.into(), "It keeps working".into())}
                {INTERVALS.map(|days| option(days.to_string(), format!("Stops after {days} days"))).collect_view()}
                {option(CUSTOM.into(), "Stops after some other time …".into())}
            </Select>
            <div class="on-custom">
                <Field
                    name="inactivity_custom"
                    label="Days without use"
                    kind="number"
                    value=shown.inactivity_custom
                    min="1".to_owned()
                    error=filling.error("inactivity_custom")
                />
            </div>
            <span class="field-hint" id="inactivity-hint">
                "A forgotten key is a risk without a use."
            </span>
            <FieldError id="inactivity-error".into() error=filling.error("inactivity_days") />
        </div>
    }
}

#[component]
pub(super) fn Note(filling: Filling, note: String) -> impl IntoView {
    let open = !note.is_empty();
    let error = filling.error("note");
    view! {
        <details class="more" open=open>
            <summary>
                <Icon name="chevron-down" />
                "Add a note"
            </summary>
            <div class="field">
                <label class="visually-hidden" for="note">
                    "Note"
                </label>
                <textarea class="control" id="note" name="note" maxlength="1000" aria-describedby="note-error" aria-invalid=move || error.with(Option::is_some).then_some("true")>
                    {note}
                </textarea>
                <FieldError id="note-error".into() error />
            </div>
        </details>
    }
}

/// From where and how often it may be used, out of the way of those who do not need it.
#[component]
pub(super) fn Advanced(filling: Filling, shown: KeyForm) -> impl IntoView {
    let (addresses, limits) = (filling.error("ip_allow"), filling.error("limits"));
    let used = !shown.ip_allow.trim().is_empty() || shown.limits.iter().any(|row| !row.is_empty());
    // What is wrong in it must be seen.
    let open = move || used || addresses.with(Option::is_some) || limits.with(Option::is_some);
    view! {
        <details class="more" id="advanced" open=open>
            <summary>
                <Icon name="chevron-down" />
                "Advanced: limits and addresses"
            </summary>
            <LimitFields rows=shown.limits error=limits />
            <AddressField lines=shown.ip_allow error=addresses />
        </details>
    }
}

/// The password once more: a management key is worth as much as its owner's session.
#[component]
pub(super) fn Again(filling: Filling) -> impl IntoView {
    view! {
        <Field
            name="password"
            label="Your password again"
            kind="password"
            hint="A management key can do much, so be sure it is you."
            autocomplete="current-password"
            required=true
            error=filling.error("password")
        />
    }
}

/// In plain words, what the key will be able to do.
#[component]
pub(super) fn Promise(filling: Filling, place: String) -> impl IntoView {
    let can = Memo::new(move |_| {
        filling.form.with(|form| filling.catalogue.with_value(|catalogue| ability(form.kind(), &form.scope_set(catalogue), catalogue)))
    });
    let on = move || match filling.form.with(KeyForm::resources) {
        Ok(chosen) if chosen.is_empty() => None,
        Ok(chosen) => Some(filling.names.with(|names| {
            let called = |id: String| names.iter().find(|(known, _)| *known == id).map_or_else(|| id.clone(), |(_, name)| name.clone());
            let mut said: Vec<String> = chosen.iter().take(3).map(|id| called(id.to_string())).collect();
            let rest = chosen.len().saturating_sub(said.len());
            if rest > 0 {
                said.push(format!("{rest} more"));
            }
            format::listed(&said)
        })),
        Err(_) => Some("nothing yet".to_owned()),
    };
    let class = move || if can.with(Option::is_some) { "promise" } else { "promise promise-open" };
    let until = move || match filling.end() {
        Ok(Some(end)) => format!(", until {end}."),
        Ok(None) if filling.form.with(|form| form.expiry == NEVER) => ", without an end.".to_owned(),
        _ => ".".to_owned(),
    };
    view! {
        <p class=class id="promise" aria-live="polite">
            <Icon name="shield-check" />
            <span>
                {move || match can.get() {
                    Some(ability) => {
                        view! { "Can " <strong>{ability}</strong> " in " <span class="break">{place.clone()}</span>
                            {on().map(|names| view! { ", on " <strong class="break">{names}</strong> })} {until()} }
                            .into_any()
                    }
                    None => "Choose at least one scope: a key without one could do nothing.".into_any(),
                }}
            </span>
        </p>
    }
}
