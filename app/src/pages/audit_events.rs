//! Events of the audit log as a table; under 640 px its rows are cards. What an event changed unfolds below it.

use keyfold_domain::audit::{AuditEvent, AuditFilter, AuditResult, FieldChange, Shown, in_words};
use leptos::prelude::*;

use super::audit::Here;
use crate::components::{Icon, Moment, Precision};

#[component]
pub(super) fn Events(events: Vec<AuditEvent>, filter: AuditFilter, here: Here) -> impl IntoView {
    let row = |event: AuditEvent| view! { <Row event filter=filter.clone() here /> };
    view! {
        <div class="panel audit">
            <table>
                <caption class="visually-hidden">"Events, the newest first"</caption>
                <thead>
                    <tr>
                        <th scope="col">"When"</th>
                        <th scope="col">"Who"</th>
                        <th scope="col">"What"</th>
                        <th scope="col">"From"</th>
                    </tr>
                </thead>
                <tbody>{events.into_iter().map(row).collect_view()}</tbody>
            </table>
        </div>
    }
}

/// Who did it, in words.
pub(super) fn by(event: &AuditEvent) -> String {
    let name = event.actor.name.clone();
    match event.actor.kind.as_str() {
        "operator" => "The command line".to_owned(),
        "system" => "Keyfold".to_owned(),
        "anonymous" => "Somebody unknown".to_owned(),
        "key" => format!("{name}, with a key"),
        _ => name,
    }
}

#[component]
fn Row(event: AuditEvent, filter: AuditFilter, here: Here) -> impl IntoView {
    let narrowed = AuditFilter { cursor: None, ..filter };
    let name = by(&event);
    let actor = if event.actor.id.is_empty() || event.actor.id == narrowed.actor {
        name.into_any()
    } else {
        let href = here.to(&AuditFilter { actor: event.actor.id.clone(), ..narrowed.clone() });
        view! { <a href=href>{name}</a> }.into_any()
    };
    let object = event.object_name.clone().map(|name| {
        let href = here.to(&AuditFilter { object: event.object.clone(), ..narrowed });
        view! {
            <a class="break" href=href>
                {name}
            </a>
        }
    });
    view! {
        <tr id=format!("event-{}", event.seq)>
            <td class="audit-when" data-label="When">
                <Moment at=event.at precision=Precision::Minute />
            </td>
            <td class="break" data-label="Who">
                {actor}
            </td>
            <td class="audit-what" data-label="What">
                <span class="audit-act">
                    <strong>{in_words(&event.action)}</strong>
                    {object}
                    <Refused result=event.result />
                </span>
                <Details event=event.clone() />
            </td>
            <td class="mono small" data-label="From" translate="no">
                {event.ip.clone().unwrap_or_else(|| "–".into())}
            </td>
        </tr>
    }
}

#[component]
pub(super) fn Refused(result: AuditResult) -> impl IntoView {
    (result == AuditResult::Refused).then(|| {
        view! {
            <span class="status status-bad">
                <Icon name="circle-x" />
                "Refused"
            </span>
        }
    })
}

/// What the event changed, and by what it can be found elsewhere.
#[component]
fn Details(event: AuditEvent) -> impl IntoView {
    let changes = event.changes;
    let summary = match changes.len() {
        0 => "Details".to_owned(),
        1 => "1 field".to_owned(),
        many => format!("{many} fields"),
    };
    view! {
        <details class="audit-more">
            <summary>
                <Icon name="chevron-down" />
                {summary}
            </summary>
            <ChangeTable changes />
            <dl class="facts small">
                <dt>"Event"</dt>
                <dd>{format!("{} · {}", event.seq, event.action)}</dd>
                {(!event.object.is_empty())
                    .then(|| {
                        view! {
                            <dt>"Object"</dt>
                            <dd class="mono break" translate="no">
                                {event.object}
                            </dd>
                        }
                    })}
                {(!event.request_id.is_empty())
                    .then(|| {
                        view! {
                            <dt>"Request"</dt>
                            <dd class="mono break" translate="no">
                                {event.request_id}
                            </dd>
                        }
                    })}
            </dl>
        </details>
    }
}

#[component]
pub(super) fn ChangeTable(changes: Vec<FieldChange>) -> impl IntoView {
    let value = |shown: Option<Shown>| match shown {
        None => view! { <span class="faint">"none"</span> }.into_any(),
        Some(Shown::Text(text)) => text.into_any(),
        Some(Shown::Moment(at)) => view! { <Moment at precision=Precision::Minute /> }.into_any(),
    };
    let row = move |change: FieldChange| {
        view! {
            <tr>
                <th scope="row">{change.field.trim_end_matches("_at").replace('_', " ")}</th>
                <td class="was break">{value(change.before)}</td>
                <td class="break">{value(change.after)}</td>
            </tr>
        }
    };
    (!changes.is_empty()).then(|| {
        view! {
            <table class="changes">
                <caption class="visually-hidden">"What changed"</caption>
                <thead>
                    <tr>
                        <th scope="col">"Field"</th>
                        <th scope="col">"Before"</th>
                        <th scope="col">"After"</th>
                    </tr>
                </thead>
                <tbody>{changes.into_iter().map(row).collect_view()}</tbody>
            </table>
        }
    })
}
