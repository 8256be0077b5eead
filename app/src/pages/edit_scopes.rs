//! Edit scopes: what the key gains and loses is shown before it is saved.

use keyfold_domain::catalogue::ScopeCatalogue;
use keyfold_domain::problem::ProblemCode;
use keyfold_domain::scope::{ScopeName, ScopeSet};
use leptos::prelude::*;
use leptos_router::NavigateOptions;
use leptos_router::hooks::{use_navigate, use_params_map};
use wasm_bindgen::JsCast;

use super::conflict::Conflict;
use super::key_acts::with_reach;
use super::keys::KeysPageContext;
use super::keys_table::shown_name;
use super::not_found::Trouble;
use crate::browser;
use crate::components::{
    Dialog, DialogFoot, FaultNotice, FieldError, ScopeChips, ScopePicker, SendForm, Sending, SubmitButton, Toasts, describe,
};
use crate::functions::keys::{KeyView, UpdateKey};

#[component]
pub(crate) fn EditScopesDialog() -> impl IntoView {
    let page = expect_context::<KeysPageContext>();
    let params = use_params_map();
    let id = move || params.with(|params| params.get("id")).unwrap_or_default();
    let key = Resource::new_blocking(
        move || (page.workspace.get(), id(), page.changes.get()),
        |(workspace, id, _)| super::find_key(workspace, id),
    );
    view! {
        <Suspense>
            {move || Suspend::new(async move {
                match key.await {
                    Ok(view) => view! { <EditScopes view page /> }.into_any(),
                    Err(fault) => view! { <Trouble fault /> }.into_any(),
                }
            })}
        </Suspense>
    }
    .into_any()
}

/// The ticked boxes of the form.
fn ticked(form: &web_sys::HtmlFormElement) -> ScopeSet {
    let pairs = browser::form_pairs(form).into_iter();
    pairs.filter(|(name, _)| name == "scopes[]").filter_map(|(_, value)| value.parse().ok()).collect()
}

#[component]
fn EditScopes(view: KeyView, page: KeysPageContext) -> impl IntoView {
    let KeyView { workspace, key, catalogue, .. } = view;
    let catalogue = StoredValue::new(catalogue);
    let action = Sending::to::<UpdateKey>();
    let fault = action.fault();
    let conflict = move || fault.get().map(|fault| fault.problem).filter(|problem| problem.code == ProblemCode::Conflict);
    let refused = Signal::derive(move || fault.get().filter(|fault| fault.problem.code != ProblemCode::Conflict));
    let error = Signal::derive(move || fault.with(|fault| describe(fault.as_ref(), "scopes")));
    // After a refusal without script: what was ticked then.
    let held = fault.with_untracked(|fault| {
        fault.as_ref().and_then(|fault| fault.typed.get("scopes")).map(|text| text.split(' ').map(str::to_owned).collect())
    });
    let held: Vec<String> = held.unwrap_or_else(|| key.scopes.iter().map(ToString::to_string).collect());
    let chosen = RwSignal::new(held.iter().filter_map(|name| name.parse().ok()).collect::<ScopeSet>());
    let before = StoredValue::new(key.scopes.clone());
    let name = shown_name(&key);
    after_saving(action, page, name.clone(), format!("edit-{}", key.id));
    Effect::new(move || {
        if let Some(form) = document().get_element_by_id("edit-scopes").and_then(|form| form.dyn_into().ok()) {
            chosen.set(ticked(&form));
        }
    });
    let follow = move |event: web_sys::Event| {
        let form = event
            .target()
            .and_then(|target| target.dyn_into::<web_sys::Element>().ok())
            .and_then(|target| target.closest("form").ok().flatten());
        if let Some(form) = form.and_then(|form| form.dyn_into().ok()) {
            chosen.set(ticked(&form));
        }
    };
    let intro = view! {
        <p>
            <strong class="break">{name}</strong>
            " "
            <span class="mono">{key.hint.clone()}</span>
        </p>
    };
    view! {
        <Dialog title="Edit scopes" intro=intro.into_any() leave=page.list>
            <SendForm to=action attr:id="edit-scopes" attr:class="key-form" on:change=follow>
                <div class="dialog-body">
                    {move || conflict().map(|problem| view! { <Conflict problem page action /> })}
                    <FaultNotice fault=refused fields=&["scopes"] />
                    <input type="hidden" name="workspace" value=workspace.slug />
                    <input type="hidden" name="id" value=key.id.to_string() />
                    <input type="hidden" name="version" value=key.version.to_string() />
                    <div class="field">
                        <ScopePicker
                            offered=catalogue.with_value(|all| all.offered(key.kind).cloned().collect())
                            held
                            described_by="scopes-error"
                            invalid=Signal::derive(move || error.with(Option::is_some))
                            autofocus=true
                        />
                        <FieldError id="scopes-error".into() error />
                    </div>
                    <Difference before chosen catalogue />
                </div>
                <DialogFoot aside="Holds from the next call on.">
                    <a class="button" href=page.list data-noscroll="">
                        "Cancel"
                    </a>
                    <SubmitButton label="Save scopes" pending=action.pending />
                </DialogFoot>
            </SendForm>
        </Dialog>
    }
}

/// With script: back to the list, and a word about what was done.
fn after_saving(action: Sending, page: KeysPageContext, name: String, row: String) {
    let navigate = use_navigate();
    let toasts = use_context::<Toasts>();
    Effect::new(move || {
        if action.is_done() {
            navigate(&page.list.get_untracked(), NavigateOptions { scroll: false, ..NavigateOptions::default() });
            page.changed(Some(row.clone()));
            if let Some(toasts) = toasts {
                toasts.say(with_reach(&format!("Scopes of {name} saved. They hold from the next call on."), action));
            }
        }
    });
}

/// What the key could not do before, and what it can no longer do; implied scopes count.
#[component]
fn Difference(before: StoredValue<ScopeSet>, chosen: RwSignal<ScopeSet>, catalogue: StoredValue<ScopeCatalogue>) -> impl IntoView {
    let change = Memo::new(move |_| {
        let change = before.with_value(|before| catalogue.with_value(|all| chosen.with(|chosen| before.change_to(chosen, all))));
        (change.gained, change.lost)
    });
    let row = |title: &'static str, scopes: Vec<ScopeName>, class: &'static str, icon: &'static str| {
        (!scopes.is_empty()).then(|| {
            view! {
                <dt>{title}</dt>
                <dd>
                    <ScopeChips scopes class icon />
                </dd>
            }
        })
    };
    view! {
        <div class="change" aria-live="polite" id="scope-change">
            {move || {
                let (gained, lost) = change.get();
                if gained.is_empty() && lost.is_empty() {
                    return view! { <p class="diff">"Nothing changes yet."</p> }.into_any();
                }
                view! {
                    <dl class="diff">
                        {row("Gains", gained, "chip chip-gained", "plus")} {row("Loses", lost, "chip chip-lost", "minus")}
                    </dl>
                }
                    .into_any()
            }}
        </div>
    }
}
