//! What the dialogs over the pages of a workspace share.

use leptos::prelude::*;
use leptos_router::NavigateOptions;
use leptos_router::hooks::use_navigate;

use super::keys::KeysPageContext;
use crate::browser;
use crate::components::{Sending, Toasts, describe};

/// With script: back to the page, which is read again, and a word about what was done; the keyboard goes to the element
/// with the id `back`. `said` is given what the server answered, if that is a text.
pub(super) fn after(action: Sending, page: KeysPageContext, back: String, said: impl Fn(String) -> String + 'static + Send + Sync) {
    let navigate = use_navigate();
    let toasts = use_context::<Toasts>();
    Effect::new(move || {
        if action.is_done() {
            navigate(&page.list.get_untracked(), NavigateOptions { scroll: false, ..NavigateOptions::default() });
            page.changed(Some(back.clone()));
            if let Some(toasts) = toasts {
                toasts.say(said(action.text().unwrap_or_default()));
            }
        }
    });
}

/// What is wrong with a field.
pub(super) fn error(action: Sending, field: &'static str) -> Signal<Option<String>> {
    let fault = action.fault();
    Signal::derive(move || fault.with(|fault| describe(fault.as_ref(), field)))
}

/// What was typed before a refusal without script, or else how it stands.
pub(super) fn typed_or(action: Sending, field: &str, present: &str) -> String {
    let typed = action.fault().with_untracked(|fault| fault.as_ref().and_then(|fault| fault.typed.get(field).cloned()));
    typed.unwrap_or_else(|| present.to_owned())
}

/// After a refusal the keyboard goes to the field at fault, if it is one of these ids.
pub(super) fn focus_fault(action: Sending, fields: &'static [&'static str]) {
    let fault = action.fault();
    Effect::new(move || {
        let field = fault.with(|fault| fault.as_ref().and_then(|fault| fault.problem.field.clone()));
        if let Some(field) = field.filter(|field| fields.contains(&field.as_str())) {
            browser::focus(&field);
        }
    });
}
