//! Columns: which the list of keys shows. The choice is kept in a cookie and written into the document by the server; the
//! style sheet leaves the others out. The cards of narrow screens stay whole.

use leptos::prelude::*;
use leptos_router::NavigateOptions;
use leptos_router::hooks::use_navigate;

use super::keys::KeysPageContext;
use super::not_found::Trouble;
use crate::browser;
use crate::components::{Dialog, DialogFoot, FaultNotice, SendForm, Sending, SubmitButton, Toasts};
use crate::functions::preferences::{Column, HiddenColumns, SetColumns, get_columns};

const fn title(column: Column) -> &'static str {
    match column {
        Column::Status => "Status",
        Column::Scopes => "Scopes",
        Column::Resource => "Resource",
        Column::Created => "Created, and owner",
        Column::Expires => "Expires",
        Column::LastUsed => "Last used",
        Column::Calls => "Calls",
    }
}

#[component]
pub(super) fn ColumnsDialog() -> impl IntoView {
    let page = expect_context::<KeysPageContext>();
    let hidden = Resource::new_blocking(|| (), |()| get_columns());
    view! {
        <Suspense>
            {move || Suspend::new(async move {
                match hidden.await {
                    Ok(hidden) => view! { <Choice hidden page /> }.into_any(),
                    Err(fault) => view! { <Trouble fault /> }.into_any(),
                }
            })}
        </Suspense>
    }
}

#[component]
fn Choice(hidden: HiddenColumns, page: KeysPageContext) -> impl IntoView {
    let action = Sending::to::<SetColumns>();
    let (navigate, toasts) = (use_navigate(), use_context::<Toasts>());
    Effect::new(move || {
        if action.is_done() {
            let hidden = action.text().filter(|hidden| !hidden.is_empty());
            browser::set_root("data-hidden", hidden.as_deref());
            navigate(&page.list.get_untracked(), NavigateOptions { scroll: false, ..NavigateOptions::default() });
            if let Some(toasts) = toasts {
                toasts.say("The columns were saved for this browser.");
            }
        }
    });
    let boxes = Column::ALL.map(|column| {
        let first = column == Column::Status;
        view! {
            <label class="check">
                <input type="checkbox" name="shown[]" value=column.as_str() checked=!hidden.has(column) autofocus=first />
                <span>{title(column)}</span>
            </label>
        }
    });
    let intro =
        view! { <p>"The key and what you can do with it are always shown. In narrow windows keys are cards, which leave nothing out."</p> };
    view! {
        <Dialog title="Columns" intro=intro.into_any() leave=page.list narrow=true>
            <SendForm to=action>
                <div class="dialog-body">
                    <FaultNotice fault=action.fault() />
                    <input type="hidden" name="back" value=page.list />
                    <fieldset class="stack-tight">
                        <legend class="visually-hidden">"Columns to show"</legend>
                        {boxes}
                    </fieldset>
                </div>
                <DialogFoot>
                    <a class="button" href=page.list data-noscroll="">
                        "Cancel"
                    </a>
                    <SubmitButton label="Save columns" pending=action.pending />
                </DialogFoot>
            </SendForm>
        </Dialog>
    }
}
