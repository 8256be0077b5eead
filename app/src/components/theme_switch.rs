use leptos::prelude::*;

use super::{Icon, SendForm, Sending};
use crate::browser;
use crate::functions::account::SetTheme;
use crate::functions::context::Theme;

const fn shown(theme: Theme) -> (&'static str, &'static str) {
    match theme {
        Theme::System => ("monitor", "System"),
        Theme::Light => ("sun", "Light"),
        Theme::Dark => ("moon", "Dark"),
    }
}

/// What was chosen since the page came, for every switch on it.
#[derive(Clone, Copy)]
pub(crate) struct ChosenTheme(pub(crate) RwSignal<Option<Theme>>);

/// System, light or dark. At once with script, after a round trip without.
#[component]
pub(crate) fn ThemeSwitch(
    /// The theme with which the page came.
    theme: Theme,
) -> impl IntoView {
    let ChosenTheme(chosen) = expect_context();
    let action = Sending::to::<SetTheme>();
    let choice = move |choice: Theme| {
        let (icon, word) = shown(choice);
        let pick = move |_| {
            chosen.set(Some(choice));
            browser::set_theme(choice.attribute());
        };
        view! {
            <button
                class="segment"
                name="theme"
                value=choice.as_str()
                aria-pressed=move || if chosen.get().unwrap_or(theme) == choice { "true" } else { "false" }
                on:click=pick
            >
                <Icon name=icon />
                {word}
            </button>
        }
    };
    view! {
        <SendForm to=action>
            <div class="theme-switch segments" role="group" aria-label="Theme">
                {Theme::ALL.map(choice).collect_view()}
            </div>
        </SendForm>
    }
}
