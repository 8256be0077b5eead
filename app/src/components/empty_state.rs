use leptos::prelude::*;

use super::Icon;

/// What stands where nothing is: why, and what to do.
#[component]
pub(crate) fn EmptyState(icon: &'static str, #[prop(into)] title: String, #[prop(into)] text: String, children: Children) -> impl IntoView {
    view! {
        <div class="empty">
            <span class="empty-mark">
                <Icon name=icon large=true />
            </span>
            <h2>{title}</h2>
            <p>{text}</p>
            {children()}
        </div>
    }
}
