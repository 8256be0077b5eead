//! What happens to a workspace's keys while a server has lost touch with the database: a part of its settings.

use leptos::prelude::*;

use crate::components::{FaultNotice, Notice, PasswordAgain, SendForm, Sending, SubmitButton, Tone};
use crate::functions::policies::{ChangeOutages, OutageView};

/// Says that revoked keys may go on working, for as long as that is so.
#[component]
pub(super) fn Banner() -> impl IntoView {
    view! {
        <Notice tone=Tone::Warn>
            "This workspace has asked for answers from servers that have lost touch with the database. During such an outage, keys that are revoked go on working there. "
            <a href="#outages">"Change this"</a>
        </Notice>
    }
}

/// The rule, and the form that changes it.
#[component]
pub(super) fn Outages(outages: OutageView, workspace: Signal<String>, changes: RwSignal<u32>) -> impl IntoView {
    let action = Sending::to::<ChangeOutages>();
    let fault = action.fault();
    Effect::new(move || {
        if action.is_done() {
            changes.update(|changes| *changes += 1);
        }
    });
    let keeps = outages.keep_answering;
    let state = if keeps {
        "Servers go on answering from what they knew last, and say so in every answer."
    } else {
        "Servers say no yes: they answer 503 until they have caught up. A key that is revoked stops everywhere within seconds, whatever is broken."
    };
    view! {
        <section class="panel settings" aria-labelledby="outages">
            <h2 id="outages" tabindex="-1">
                "When a server loses touch with the database"
            </h2>
            <div class="part stack">
                <p>{state}</p>
                {if outages.may_change {
                    view! {
                        <details class="more" open=move || fault.with(Option::is_some)>
                            <summary>{if keeps { "Let them say no again" } else { "Let them go on answering" }}</summary>
                            <SendForm to=action attr:class="stack">
                                <FaultNotice fault fields=&["password_again"] />
                                <input type="hidden" name="workspace" value=workspace.get_untracked() />
                                {(!keeps)
                                    .then(|| {
                                        view! {
                                            <p>
                                                "A key that was revoked meanwhile works on a server that is cut off, for as long as that lasts. Choose this only if refusing everybody is worse."
                                            </p>
                                            <label class="check">
                                                <input type="checkbox" name="keep_answering" value="on" required=true />
                                                <span>"I know that revoked keys may go on working"</span>
                                            </label>
                                        }
                                    })}
                                <PasswordAgain fault />
                                <div class="row">
                                    <SubmitButton
                                        label=if keeps { "Answer 503 in an outage" } else { "Go on answering in an outage" }
                                        pending=action.pending
                                        class=if keeps { "button" } else { "button button-danger" }
                                    />
                                </div>
                            </SendForm>
                        </details>
                    }
                        .into_any()
                } else {
                    view! { <p class="soft small">"Only an owner of the workspace can change this."</p> }.into_any()
                }}
            </div>
        </section>
    }
}
