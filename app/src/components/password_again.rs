use keyfold_domain::problem::ProblemCode;
use leptos::prelude::*;

use super::field::{Field, describe};
use crate::browser;
use crate::functions::fault::Fault;
use crate::functions::sessions::PASSWORD_AGAIN;

fn asks(fault: Option<&Fault>) -> bool {
    fault.is_some_and(|fault| fault.problem.code == ProblemCode::StepUpRequired || fault.problem.field.as_deref() == Some(PASSWORD_AGAIN))
}

/// The password once more, in a form that was refused for want of it. Once asked for, it stays.
#[component]
pub(crate) fn PasswordAgain(#[prop(into)] fault: Signal<Option<Fault>>) -> impl IntoView {
    let asked = Memo::new(move |before: Option<&bool>| before == Some(&true) || fault.with(|fault| asks(fault.as_ref())));
    let error = Signal::derive(move || fault.with(|fault| describe(fault.as_ref(), PASSWORD_AGAIN)));
    Effect::new(move || {
        if asked.get() {
            request_animation_frame(|| {
                browser::focus(PASSWORD_AGAIN);
            });
        }
    });
    move || {
        asked.get().then(|| {
            view! {
                <Field
                    name=PASSWORD_AGAIN
                    label="Your password again"
                    kind="password"
                    hint="This can do much, so be sure it is you. It counts for ten minutes."
                    autocomplete="current-password"
                    required=true
                    autofocus=true
                    error
                />
            }
        })
    }
}
