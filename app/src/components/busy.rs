use leptos::prelude::*;

use super::Icon;

/// The button that sends a form. While it is under way it keeps its width and takes no second press.
#[component]
pub(crate) fn SubmitButton(
    label: &'static str,
    #[prop(into)] pending: Signal<bool>,
    #[prop(default = "button button-primary")] class: &'static str,
    #[prop(optional)] icon: Option<&'static str>,
) -> impl IntoView {
    view! {
        <button type="submit" class=class prop:disabled=move || pending.get() aria-busy=move || pending.get().then_some("true")>
            {icon.map(|name| view! { <Icon name /> })}
            {label}
        </button>
    }
}
