use leptos::__reexports::send_wrapper::SendWrapper;
use leptos::html;
use leptos::prelude::*;
use leptos_router::NavigateOptions;
use leptos_router::hooks::use_navigate;

use super::Icon;
use crate::browser;

/// Where the keyboard goes when a dialog's opener is gone: the page's heading.
pub(crate) const PAGE_TITLE: &str = "page-title";

/// A dialog with an address of its own. Over the page with script; a panel of the page before and without it. Esc and the
/// cross lead to `leave`.
#[component]
pub(crate) fn Dialog(
    #[prop(into)] title: String,
    /// What stands under the title.
    intro: AnyView,
    #[prop(into)] leave: Signal<String>,
    #[prop(optional)] narrow: bool,
    children: Children,
) -> impl IntoView {
    let dialog = NodeRef::<html::Dialog>::new();
    // Not a local value: the server builds and drops this on different threads, which only an empty one survives.
    let opener = StoredValue::new(None::<SendWrapper<web_sys::HtmlElement>>);
    let navigate = use_navigate();
    let go = StoredValue::new(move |to: &str| navigate(to, NavigateOptions { scroll: false, ..NavigateOptions::default() }));

    Effect::new(move || {
        if let Some(dialog) = dialog.get() {
            opener.set_value(browser::focused().filter(|element| !dialog.contains(Some(element))).map(SendWrapper::new));
            browser::when_inserted(dialog.clone().into(), move || browser::show_modal(&dialog));
        }
    });
    on_cleanup(move || {
        let Some(opener) = opener.try_update_value(Option::take).flatten() else { return };
        // After the page is whole again: while the dialog is open, all else is inert.
        request_animation_frame(move || {
            if !(opener.is_connected() && opener.focus().is_ok()) {
                browser::focus(PAGE_TITLE);
            }
        });
    });

    let class = if narrow { "dialog dialog-narrow" } else { "dialog" };
    view! {
        <dialog
            class=class
            open=true
            aria-labelledby="dialog-title"
            node_ref=dialog
            on:cancel=move |event: web_sys::Event| {
                event.prevent_default();
                go.with_value(|go| go(&leave.get_untracked()));
            }
            on:close=move |_| go.with_value(|go| go(&leave.get_untracked()))
        >
            <div class="dialog-head">
                <div>
                    <h2 id="dialog-title">{title}</h2>
                    {intro}
                </div>
                <a class="button button-quiet button-square button-small" href=leave aria-label="Close" title="Close" data-noscroll="">
                    <Icon name="x" />
                </a>
            </div>
            {children()}
        </dialog>
    }
}

/// The bar at the foot of a dialog.
#[component]
pub(crate) fn DialogFoot(#[prop(optional)] aside: &'static str, children: Children) -> impl IntoView {
    view! {
        <div class="dialog-foot">
            {(!aside.is_empty()).then(|| view! { <span class="dialog-aside">{aside}</span> })}
            {children()}
        </div>
    }
}
