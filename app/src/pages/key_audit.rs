//! What befell a key lately: a part of the key's own page.

use keyfold_domain::audit::{AuditEvent, in_words};
use keyfold_domain::ids::KeyId;
use leptos::prelude::*;

use super::audit_events::{Refused, by};
use crate::components::{Moment, Precision};
use crate::format;
use crate::functions::audit::get_key_audit;

/// The last ten events of that key, for those who may see the log. Reads again when `changes` grows.
#[component]
pub(crate) fn KeyAudit(#[prop(into)] workspace: Signal<String>, id: KeyId, #[prop(into)] changes: Signal<u32>) -> impl IntoView {
    let all = {
        let id = format::query_part(id.as_str());
        move || format!("/w/{}/audit?object={id}", workspace.get())
    };
    let events =
        Resource::new_blocking(move || (workspace.get(), changes.get()), move |(workspace, _)| get_key_audit(workspace, id.clone()));
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
    view! {
        <Transition>
            {move || {
                let all = all.clone();
                Suspend::new(async move {
                    let Ok(Some(events)) = events.await else { return ().into_any() };
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
                        .into_any()
                })
            }}
        </Transition>
    }
}
