//! What befell a key lately: a part of the key's own page.

use keyfold_domain::audit::{AuditEvent, in_words};
use keyfold_domain::ids::KeyId;
use leptos::prelude::*;

use super::audit_events::{Refused, by};
use crate::components::{Moment, Precision};
use crate::format;
use crate::functions::audit::get_key_audit;

/// The last ten events of that key; none for those who may not see the log.
pub(super) async fn find_events(workspace: String, id: String) -> Vec<AuditEvent> {
    let Ok(id) = id.parse() else { return Vec::new() };
    get_key_audit(workspace, id).await.ok().flatten().unwrap_or_default()
}

/// These events of that key, and the way to all of them.
#[component]
pub(crate) fn KeyAudit(#[prop(into)] workspace: Signal<String>, id: KeyId, events: Vec<AuditEvent>) -> impl IntoView {
    let id = format::query_part(id.as_str());
    let all = move || format!("/w/{}/audit?object={id}", workspace.get());
    let row = |event: AuditEvent| {
        view! {
            <li>
                <span class="audit-act">
                    <strong>{in_words(&event.action)}</strong>
                    <Refused result=event.result />
                </span>
                <span class="soft small">
                    {by(&event)} " · " <Moment at=event.at precision=Precision::Minute />
                </span>
            </li>
        }
    };
    (!events.is_empty()).then(|| {
        view! {
            <section class="panel settings" aria-labelledby="key-audit-title">
                <h2 id="key-audit-title">"Recent events"</h2>
                <ol class="audit-recent">{events.into_iter().map(row).collect_view()}</ol>
                <p class="rules-more">
                    <a class="button button-small" href=all>
                        "Show all in the audit log"
                    </a>
                </p>
            </section>
        }
    })
}
