use leptos::prelude::*;

use super::Icon;
use crate::functions::fault::Fault;

/// How serious a notice is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Warn,
    Bad,
}

/// Something to know, in the flow of the page.
#[component]
pub(crate) fn Notice(
    tone: Tone,
    /// Bad, but no news: nothing calls for attention.
    #[prop(optional)]
    quiet: bool,
    children: Children,
) -> impl IntoView {
    let (class, icon, role) = match tone {
        Tone::Good => ("notice notice-good", "circle-check", "status"),
        Tone::Warn => ("notice notice-warn", "triangle-alert", "note"),
        Tone::Bad => ("notice notice-bad", "triangle-alert", "alert"),
    };
    let role = if quiet { "note" } else { role };
    view! {
        <div class=class role=role>
            <Icon name=icon />
            <div>{children()}</div>
        </div>
    }
}

/// A fault that concerns no field on the screen. `fields` are those that show their own.
#[component]
pub(crate) fn FaultNotice(#[prop(into)] fault: Signal<Option<Fault>>, #[prop(optional)] fields: &'static [&'static str]) -> impl IntoView {
    let message = move || {
        let fault = fault.get()?;
        let beside = fault.problem.field.as_deref().is_some_and(|field| fields.contains(&field));
        (!beside).then_some(fault.problem.message)
    };
    move || message().map(|text| view! { <Notice tone=Tone::Bad>{text}</Notice> })
}
