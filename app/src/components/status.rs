use keyfold_domain::key::{InactiveReason, KeyState};
use leptos::prelude::*;

use super::Icon;

/// Class, shape and word of a state.
const fn shown(state: KeyState) -> (&'static str, &'static str, &'static str) {
    match state {
        KeyState::Active => ("status status-good", "circle-check", "Active"),
        KeyState::Inactive(InactiveReason::Deactivated) => ("status status-warn", "circle-pause", "Deactivated"),
        KeyState::Inactive(InactiveReason::Expired) => ("status", "clock", "Expired"),
        KeyState::Inactive(InactiveReason::Dormant) => ("status", "moon", "Dormant"),
        KeyState::Inactive(InactiveReason::OwnerDisabled) => ("status status-warn", "user-x", "Owner disabled"),
        KeyState::Deleted => ("status status-bad", "circle-x", "Deleted"),
    }
}

/// Whether a key works, as a word and a shape.
#[component]
pub(crate) fn StatusPill(state: KeyState) -> impl IntoView {
    let (class, icon, word) = shown(state);
    view! {
        <span class=class>
            <Icon name=icon />
            {word}
        </span>
    }
}
