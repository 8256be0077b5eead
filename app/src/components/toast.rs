use std::time::Duration;

use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::JsCast;

use super::Icon;

const STAYS: Duration = Duration::from_secs(8);

#[derive(Clone, PartialEq, Eq)]
struct Toast {
    id: u32,
    text: String,
}

/// Draws toasts.
type Cards = fn(Toasts) -> AnyView;

/// Short messages about what was just done. Never the only record of it.
#[derive(Clone, Copy)]
pub(crate) struct Toasts {
    shown: RwSignal<Vec<Toast>>,
    count: StoredValue<u32>,
    /// Draws them. Set by the first, so that a page on which nothing is done does not carry the code.
    cards: RwSignal<Option<Cards>>,
}

impl Toasts {
    pub(crate) fn new() -> Self {
        Self { shown: RwSignal::new(Vec::new()), count: StoredValue::new(0), cards: RwSignal::new(None) }
    }

    /// Says that something was done.
    pub(crate) fn say(self, text: impl Into<String>) {
        self.count.update_value(|count| *count += 1);
        let toast = Toast { id: self.count.get_value(), text: text.into() };
        if self.cards.with_untracked(Option::is_none) {
            self.cards.set(Some(cards));
        }
        self.shown.update(|shown| shown.push(toast));
    }

    fn drop(self, id: u32) {
        self.shown.update(|shown| shown.retain(|toast| toast.id != id));
    }
}

/// The corner where toasts appear: over everything, dialogs included.
#[component]
pub(crate) fn Toaster(toasts: Toasts) -> impl IntoView {
    let region = NodeRef::<html::Div>::new();
    Effect::new(move || {
        let any = toasts.shown.with(|shown| !shown.is_empty());
        if let Some(region) = region.get() {
            // Shown anew each time, so that it lies above a dialog that was opened since.
            let _ = region.hide_popover();
            if any {
                let _ = region.show_popover();
            }
        }
    });
    view! {
        <div class="toasts" popover="manual" role="status" aria-live="polite" node_ref=region>
            {move || toasts.cards.get().map(|cards| cards(toasts))}
        </div>
    }
}

fn cards(toasts: Toasts) -> AnyView {
    view! {
        <For each=move || toasts.shown.get() key=|toast| toast.id let:toast>
            <ToastCard toasts toast />
        </For>
    }
    .into_any()
}

#[component]
fn ToastCard(toasts: Toasts, toast: Toast) -> impl IntoView {
    let Toast { id, text } = toast;
    let timer = StoredValue::new(None::<TimeoutHandle>);
    let stop = move || {
        if let Some(handle) = timer.try_update_value(Option::take).flatten() {
            handle.clear();
        }
    };
    let start = move || {
        stop();
        timer.set_value(set_timeout_with_handle(move || toasts.drop(id), STAYS).ok());
    };
    // The mouse may leave while the keyboard stays, and the other way round.
    let resume = move |event: &web_sys::Event| {
        let card = event.current_target().and_then(|card| card.dyn_into::<web_sys::Element>().ok());
        if card.is_some_and(|card| card.matches(":not(:hover, :focus-within)") == Ok(true)) {
            start();
        }
    };
    Effect::new(start);
    on_cleanup(stop);
    view! {
        <div
            class="toast"
            on:mouseenter=move |_| stop()
            on:mouseleave=move |event| resume(&event)
            on:focusin=move |_| stop()
            on:focusout=move |event| resume(&event)
        >
            <Icon name="circle-check" />
            <span class="break">{text}</span>
            <button class="button button-small button-square button-quiet" aria-label="Dismiss" on:click=move |_| toasts.drop(id)>
                <Icon name="x" />
            </button>
        </div>
    }
}
