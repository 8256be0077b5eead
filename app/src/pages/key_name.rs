//! The name of a key at the top of its page, and the field in its place that renames it.

use leptos::prelude::*;

use super::key_acts::{CHANGE, Version, after, error};
use super::keys::KeysPageContext;
use super::keys_table::shown_name;
use crate::browser;
use crate::components::{FaultNotice, Field, PAGE_TITLE, SendForm, Sending, SubmitButton};
use crate::functions::key_changes::RenameKey;
use crate::functions::keys::KeyView;

const OPENER: &str = "act-rename";

/// The heading, and for who may change the key a way to another beside it. Without script it leads to the dialog.
#[component]
pub(super) fn KeyName(view: KeyView, page: KeysPageContext) -> impl IntoView {
    let editing = RwSignal::new(false);
    let name = shown_name(&view.key);
    let may_change = view.may_change;
    let dialog = move || format!("{}/edit/name", page.list.get());
    let open = move |event: web_sys::MouseEvent| {
        // A new tab is a new tab.
        if !(event.ctrl_key() || event.meta_key() || event.shift_key()) {
            event.prevent_default();
            browser::let_go();
            editing.set(true);
        }
    };
    view! {
        // Out of sight, but for screen readers the page keeps its heading.
        <div class="key-name-line" class:visually-hidden=move || editing.get()>
            <h1 id=PAGE_TITLE tabindex="-1" class="break">
                {name.clone()}
            </h1>
            {may_change
                .then(|| {
                    view! {
                        <a
                            class="button button-small button-quiet"
                            id=OPENER
                            href=dialog
                            hidden=move || editing.get()
                            data-noscroll=""
                            on:click=open
                        >
                            "Rename"
                            <span class="visually-hidden">" " {name}</span>
                        </a>
                    }
                })}
        </div>
        {move || editing.get().then(|| view! { <NameField view=view.clone() editing page /> })}
    }
}

/// Enter renames, Escape leaves the name as it is.
#[component]
fn NameField(view: KeyView, editing: RwSignal<bool>, page: KeysPageContext) -> impl IntoView {
    let action = Sending::to::<RenameKey>();
    after(action, page, format!("{}: renamed.", shown_name(&view.key)), OPENER);
    let leave = move || {
        editing.set(false);
        request_animation_frame(|| {
            browser::focus(OPENER);
        });
    };
    let key = view.key;
    view! {
        <div
            class="key-name-form"
            on:keydown=move |event| {
                if event.key() == "Escape" {
                    leave();
                }
            }
        >
            <SendForm to=action>
                <input type="hidden" name="workspace" value=view.workspace.slug />
                <input type="hidden" name="id" value=key.id.to_string() />
                <input type="hidden" name="note" value=key.note />
                <Version version=key.version />
                <FaultNotice fault=action.fault() fields=&["name"] />
                <Field name="name" label="Name" value=key.name maxlength=100 autofocus=true autocomplete="off" error=error(action, "name") />
                <SubmitButton label="Rename" pending=action.pending class=CHANGE />
                <button class="button" type="button" on:click=move |_| leave()>
                    "Cancel"
                </button>
            </SendForm>
        </div>
    }
}
