use leptos::prelude::*;

/// A shape from the sprite in `public/icons.svg`. Decoration only: the word stands beside it.
#[component]
pub(crate) fn Icon(name: &'static str, #[prop(optional)] large: bool) -> impl IntoView {
    let class = if large { "icon icon-large" } else { "icon" };
    view! {
        <svg class=class aria-hidden="true">
            <use href=format!("/icons.svg#{name}")></use>
        </svg>
    }
}
