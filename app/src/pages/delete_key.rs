//! Delete: what is lost, and one more question. Final.

use leptos::prelude::*;
use leptos_router::NavigateOptions;
use leptos_router::hooks::{use_navigate, use_params_map};

use super::key_acts::with_reach;
use super::keys::KeysPageContext;
use super::keys_table::shown_name;
use super::not_found::Trouble;
use crate::components::{
    Dialog, DialogFoot, FaultNotice, Field, Moment, Notice, Precision, ScopeChips, SendForm, Sending, SubmitButton, Toasts, Tone, describe,
};
use crate::format;
use crate::functions::keys::{DeleteKey, KeyView};

#[component]
pub(crate) fn DeleteKeyDialog() -> impl IntoView {
    let page = expect_context::<KeysPageContext>();
    let params = use_params_map();
    let id = move || params.with(|params| params.get("id")).unwrap_or_default();
    let key = Resource::new_blocking(move || (page.workspace.get(), id()), |(workspace, id)| super::find_key(workspace, id));
    view! {
        <Suspense>
            {move || Suspend::new(async move {
                match key.await {
                    Ok(view) => view! { <DeleteForm view page /> }.into_any(),
                    Err(fault) => view! { <Trouble fault /> }.into_any(),
                }
            })}
        </Suspense>
    }
    .into_any()
}

#[component]
fn DeleteForm(view: KeyView, page: KeysPageContext) -> impl IntoView {
    let action = Sending::to::<DeleteKey>();
    let fault = action.fault();
    let error = Signal::derive(move || fault.with(|fault| describe(fault.as_ref(), "confirmation")));
    let name = shown_name(&view.key);
    let in_use = view.is_in_use();
    after_deleting(action, page, name.clone());
    Effect::new(move || {
        if error.with(Option::is_some) {
            crate::browser::focus("confirmation");
        }
    });
    let intro = view! { <p>"Whatever still uses it is refused from the next call on. This cannot be undone."</p> };
    view! {
        <Dialog title=format!("Delete {name}?") intro=intro.into_any() leave=page.list narrow=true>
            <SendForm to=action>
                <div class="dialog-body">
                    <FaultNotice fault fields=&["confirmation"] />
                    <input type="hidden" name="workspace" value=view.workspace.slug.clone() />
                    <input type="hidden" name="id" value=view.key.id.to_string() />
                    <Impact view=view.clone() />
                    <dl class="facts">
                        <dt>"Key"</dt>
                        <dd class="mono">{view.key.hint.clone()}</dd>
                        <dt>"Owner"</dt>
                        <dd class="break">{view.key.owner.display_name.clone()}</dd>
                        <dt>"Scopes"</dt>
                        <dd>
                            <ScopeChips scopes=view.key.scopes.iter().cloned().collect() />
                        </dd>
                    </dl>
                    {in_use
                        .then(|| {
                            view! {
                                <p class="confirmation-text">"Type " <strong class="break">{view.confirmation().to_owned()}</strong> " to confirm."</p>
                                <Field name="confirmation" label="Name of the key" required=true autofocus=true autocomplete="off" error />
                            }
                        })}
                </div>
                <DialogFoot>
                    <a class="button" href=page.list autofocus=!in_use data-noscroll="">
                        "Keep key"
                    </a>
                    <SubmitButton label="Delete key" icon="trash-2" pending=action.pending class="button button-danger" />
                </DialogFoot>
            </SendForm>
        </Dialog>
    }
}

/// What hangs on the key.
#[component]
fn Impact(view: KeyView) -> impl IntoView {
    let calls = format::counted(view.key.total_calls, "call");
    match view.key.last_used_at {
        Some(at) => {
            let (tone, word) = if view.is_in_use() { (Tone::Warn, "In use.") } else { (Tone::Warn, "Was used.") };
            view! {
                <Notice tone>
                    <strong>{word}</strong>
                    " Last used "
                    <Moment at precision=Precision::Distance(view.now) />
                    ", "
                    {calls}
                    " so far."
                </Notice>
            }
            .into_any()
        }
        None => view! { <p class="soft">"It was never used."</p> }.into_any(),
    }
}

/// With script: back to the list, and a word about what was done.
fn after_deleting(action: Sending, page: KeysPageContext, name: String) {
    let navigate = use_navigate();
    let toasts = use_context::<Toasts>();
    Effect::new(move || {
        if action.is_done() {
            navigate(&page.list.get_untracked(), NavigateOptions { scroll: false, ..NavigateOptions::default() });
            page.changed(None);
            if let Some(toasts) = toasts {
                toasts.say(with_reach(&format!("{name} was deleted. Its secret no longer works."), action));
            }
        }
    });
}
