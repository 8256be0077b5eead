use leptos::prelude::*;

use super::Icon;
use crate::browser;
use crate::functions::fault::Fault;

/// The words of a fault that concern one field.
pub(crate) fn describe(fault: Option<&Fault>, field: &str) -> Option<String> {
    fault.filter(|fault| fault.problem.field.as_deref() == Some(field)).map(|fault| fault.problem.message.clone())
}

/// What is wrong with a field, beside it.
#[component]
pub(crate) fn FieldError(id: String, #[prop(into)] error: Signal<Option<String>>) -> impl IntoView {
    view! {
        <span class="field-error" id=id hidden=move || error.with(Option::is_none)>
            <Icon name="triangle-alert" />
            <span>{move || error.get().unwrap_or_default()}</span>
        </span>
    }
}

/// What `autofocus` does for a page that a browser loads, done for one that script put there.
fn take_keyboard(id: &'static str) {
    Effect::new(move || {
        request_animation_frame(move || {
            if browser::focused().is_none() {
                browser::focus(id);
            }
        });
    });
}

/// A labelled one-line field with a hint and a place for its error. Its id is its name.
#[component]
pub(crate) fn Field(
    name: &'static str,
    label: &'static str,
    #[prop(default = "text")] kind: &'static str,
    #[prop(optional, into)] value: String,
    #[prop(optional)] hint: &'static str,
    #[prop(optional)] placeholder: Option<&'static str>,
    #[prop(optional)] autocomplete: Option<&'static str>,
    #[prop(optional)] optional: bool,
    #[prop(optional)] required: bool,
    #[prop(optional)] autofocus: bool,
    #[prop(optional)] maxlength: Option<u32>,
    #[prop(optional)] min: Option<String>,
    #[prop(into)] error: Signal<Option<String>>,
) -> impl IntoView {
    let (hint_id, error_id) = (format!("{name}-hint"), format!("{name}-error"));
    if autofocus {
        take_keyboard(name);
    }
    let described = if hint.is_empty() { error_id.clone() } else { format!("{hint_id} {error_id}") };
    view! {
        <div class="field">
            <label class="field-label" for=name>
                {label}
                {optional.then(|| view! { <span class="field-optional">" (optional)"</span> })}
            </label>
            <input
                class="control"
                id=name
                name=name
                type=kind
                value=value
                placeholder=placeholder
                autocomplete=autocomplete
                required=required
                autofocus=autofocus
                maxlength=maxlength.map(|most| most.to_string())
                min=min
                aria-describedby=described
                aria-invalid=move || error.with(Option::is_some).then_some("true")
            />
            {(!hint.is_empty()).then(|| view! { <span class="field-hint" id=hint_id>{hint}</span> })}
            <FieldError id=error_id error />
        </div>
    }
}

/// A drop-down list; the children are its options.
#[component]
pub(crate) fn Select(
    name: &'static str,
    #[prop(into)] id: String,
    #[prop(optional, into)] described_by: String,
    children: Children,
) -> impl IntoView {
    view! {
        <span class="select">
            <select class="control" id=id name=name aria-describedby=(!described_by.is_empty()).then_some(described_by)>
                {children()}
            </select>
            <Icon name="chevron-down" />
        </span>
    }
}
