//! A change that came too late.

use keyfold_domain::problem::Problem;
use leptos::prelude::*;

use super::keys::KeysPageContext;
use crate::components::{Notice, Sending, Tone};

/// Somebody was faster. Nothing was saved; the present state is one press away.
#[component]
pub(super) fn Conflict(problem: Problem, page: KeysPageContext, action: Sending) -> impl IntoView {
    let again = move |event: web_sys::MouseEvent| {
        event.prevent_default();
        action.value.set(None);
        page.changes.update(|changes| *changes += 1);
    };
    let here = leptos_router::hooks::use_location().pathname;
    // A newer version can be loaded; a key that was deleted stays so.
    let newer = problem.field.as_deref() == Some("version");
    let text = if newer { "Somebody changed this key meanwhile.".to_owned() } else { problem.message };
    view! {
        <Notice tone=Tone::Bad>
            {text} " Nothing was saved. "
            {newer
                .then(|| {
                    view! {
                        <a href=here on:click=again>
                            "Load its present settings"
                        </a>
                    }
                })}
        </Notice>
    }
}
