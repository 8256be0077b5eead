use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::{DialogFoot, Icon, Moment, Notice, Precision, Tone};
use crate::browser;
use crate::functions::one_time_link::OneTimeLink;

const COPIED: &str = "Copied.";
const PRESS: &str = "Your browser did not let this page copy. The link is selected: press Ctrl+C, or ⌘C on a Mac.";

/// The inside of a dialog that shows a one-time link. `whom` is who gets it, for the sentence above it.
#[component]
pub(crate) fn LinkOnce(link: OneTimeLink, whom: &'static str, #[prop(into)] leave: Signal<String>) -> impl IntoView {
    let place = NodeRef::<html::Code>::new();
    let said = RwSignal::new("");
    let expires_at = link.expires_at;
    let text = link.expose().to_owned();
    let copy = move |_| {
        let Some(visible) = place.get() else { return };
        let text = visible.text_content().unwrap_or_default();
        spawn_local(async move {
            let sure = browser::copy(text.trim(), &visible).await;
            said.try_set(if sure { COPIED } else { PRESS });
        });
    };
    view! {
        <div class="dialog-body">
            <Notice tone=Tone::Warn>"This link is shown once. Copy it now, and send it to " {whom} " by a way that others cannot read."</Notice>
            <div class="secret">
                <code class="secret-text" id="one-time-link" translate="no" node_ref=place>
                    {text}
                </code>
                <div class="row">
                    <button type="button" class="button button-primary" id="copy-link" on:click=copy autofocus=true>
                        <Icon name="copy" />
                        "Copy link"
                    </button>
                    <span class="small soft" role="status">
                        {said}
                    </span>
                </div>
            </div>
            <p class="small soft">"It works once, until " <Moment at=expires_at precision=Precision::Minute /> "."</p>
        </div>
        <DialogFoot>
            <a class="button" href=leave data-noscroll="">
                "Done"
            </a>
        </DialogFoot>
    }
}
