//! The dialogs over the page of scopes: add, change, delete.

use keyfold_domain::catalogue::{Scope, ScopeCatalogue};
use keyfold_domain::resource::KeysConcerned;
use keyfold_domain::workspace::WorkspaceSummary;
use leptos::prelude::*;

use super::keys::KeysPageContext;
use super::not_found::Trouble;
use super::place_acts::{after, error, focus_fault, typed_or};
use crate::components::{Dialog, DialogFoot, FaultNotice, Field, FieldError, Notice, ScopePicker, SendForm, Sending, SubmitButton, Tone};
use crate::format;
use crate::functions::scopes::{CreateScope, DeleteScope, ScopeView, UpdateScope, get_scope, list_scopes};

/// The dialog that the address names, if it names one.
#[component]
pub(super) fn ScopeAct(name: String, act: String, page: KeysPageContext) -> impl IntoView {
    match (name.as_str(), act.as_str()) {
        ("", "") => ().into_any(),
        ("new", "") => view! { <New page /> }.into_any(),
        (_, "edit" | "delete") => view! { <Existing name delete={act == "delete"} page /> }.into_any(),
        _ => view! { <Trouble fault=super::key::absent() /> }.into_any(),
    }
}

#[component]
fn New(page: KeysPageContext) -> impl IntoView {
    let scopes = Resource::new_blocking(move || page.workspace.get(), list_scopes);
    view! {
        <Suspense>
            {move || Suspend::new(async move {
                match scopes.await {
                    Ok(list) if list.manages => view! { <Addition workspace=list.workspace catalogue=list.catalogue page /> }.into_any(),
                    Ok(_) => view! { <Trouble fault=super::key::absent() /> }.into_any(),
                    Err(fault) => view! { <Trouble fault /> }.into_any(),
                }
            })}
        </Suspense>
    }
}

#[component]
fn Existing(name: String, delete: bool, page: KeysPageContext) -> impl IntoView {
    let scope = Resource::new_blocking(move || (page.workspace.get(), name.clone()), |(workspace, name)| get_scope(workspace, name));
    view! {
        <Suspense>
            {move || Suspend::new(async move {
                match scope.await {
                    Ok(view) if delete => view! { <Deletion view page /> }.into_any(),
                    Ok(view) => view! { <Change view page /> }.into_any(),
                    Err(fault) => view! { <Trouble fault /> }.into_any(),
                }
            })}
        </Suspense>
    }
}

const FIELDS: &[&str] = &["name", "description", "implies", "public"];

/// What a scope of one's own may include: what is no management scope, and not itself.
fn includable(catalogue: &ScopeCatalogue, itself: Option<&Scope>) -> Vec<Scope> {
    catalogue.iter().filter(|scope| !scope.is_management() && itself.is_none_or(|other| other.name != scope.name)).cloned().collect()
}

/// The fields that a new scope and a changed one have in common.
#[component]
fn Fields(action: Sending, catalogue: ScopeCatalogue, scope: Option<Scope>) -> impl IntoView {
    let description = scope.as_ref().map(|scope| scope.description.clone()).unwrap_or_default();
    let implies = scope.as_ref().map(|scope| scope.implies.to_string()).unwrap_or_default();
    let public = scope.as_ref().is_some_and(|scope| scope.public);
    let held = typed_or(action, "implies", &implies).split(' ').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let public = typed_or(action, "public", &public.to_string()) == "true";
    let (implies_error, public_error) = (error(action, "implies"), error(action, "public"));
    view! {
        <Field
            name="description"
            label="Description"
            optional=true
            value=typed_or(action, "description", &description)
            placeholder="What a key with it may do"
            maxlength=200
            autofocus=scope.is_some()
            autocomplete="off"
            error=error(action, "description")
        />
        <div class="field">
            <ScopePicker
                offered=includable(&catalogue, scope.as_ref())
                held
                described_by="implies-hint implies-error"
                invalid=Signal::derive(move || implies_error.with(Option::is_some))
                field="implies[]"
                legend="Includes"
            />
            <span class="field-hint" id="implies-hint">
                "A key that holds this scope can use the ticked ones as well."
            </span>
            <FieldError id="implies-error".into() error=implies_error />
        </div>
        <div class="field">
            <label class="choice choice-line">
                <input type="checkbox" name="public" value="true" checked=public aria-describedby="public-error" />
                <span class="choice-title">"Public"</span>
                <span class="choice-text">
                    "Publishable keys, which anybody can read in a web page, may hold it. It then includes only public scopes."
                </span>
            </label>
            <FieldError id="public-error".into() error=public_error />
        </div>
    }
}

#[component]
fn Addition(workspace: WorkspaceSummary, catalogue: ScopeCatalogue, page: KeysPageContext) -> impl IntoView {
    let action = Sending::to::<CreateScope>();
    after(action, page, "add-scope".into(), |name| format!("{name} was added. Keys can hold it now."));
    focus_fault(action, &["name", "description"]);
    let intro = view! { <p>"A name your services ask for, for something that some keys may do and others not."</p> };
    view! {
        <Dialog title="Add scope" intro=intro.into_any() leave=page.list>
            <SendForm to=action>
                <div class="dialog-body">
                    <FaultNotice fault=action.fault() fields=FIELDS />
                    <input type="hidden" name="workspace" value=workspace.slug />
                    <Field
                        name="name"
                        label="Name"
                        value=typed_or(action, "name", "")
                        hint="Lower-case letters, digits and _ . : - as in reports:read. It cannot be changed later."
                        placeholder="reports:read"
                        maxlength=63
                        required=true
                        autofocus=true
                        autocomplete="off"
                        error=error(action, "name")
                    />
                    <Fields action catalogue scope=None />
                </div>
                <DialogFoot>
                    <a class="button" href=page.list data-noscroll="">
                        "Cancel"
                    </a>
                    <SubmitButton label="Add scope" pending=action.pending />
                </DialogFoot>
            </SendForm>
        </Dialog>
    }
}

#[component]
fn Change(view: ScopeView, page: KeysPageContext) -> impl IntoView {
    let action = Sending::to::<UpdateScope>();
    let ScopeView { workspace, catalogue, scope, holders } = view;
    after(action, page, format!("edit-{}", scope.name), |name| {
        format!("{name} was saved. Every key that holds it obeys from the next call on.")
    });
    focus_fault(action, &["description"]);
    let intro = view! { <p class="mono break">{scope.name.to_string()}</p> };
    let touched = (holders.count > 0).then(|| {
        let hold = if holders.count == 1 { "key holds" } else { "keys hold" };
        format!("{} {hold} it: {holders}.", format::number(holders.count))
    });
    view! {
        <Dialog title="Edit scope" intro=intro.into_any() leave=page.list>
            <SendForm to=action>
                <div class="dialog-body">
                    <FaultNotice fault=action.fault() fields=FIELDS />
                    <input type="hidden" name="workspace" value=workspace.slug />
                    <input type="hidden" name="name" value=scope.name.to_string() />
                    {touched.map(|text| view! { <p class="soft small break">{text}</p> })}
                    <Fields action catalogue scope=Some(scope) />
                </div>
                <DialogFoot aside="Holds from the next call on.">
                    <a class="button" href=page.list data-noscroll="">
                        "Cancel"
                    </a>
                    <SubmitButton label="Save scope" pending=action.pending />
                </DialogFoot>
            </SendForm>
        </Dialog>
    }
}

#[component]
fn Deletion(view: ScopeView, page: KeysPageContext) -> impl IntoView {
    let action = Sending::to::<DeleteScope>();
    let ScopeView { workspace, catalogue, scope, holders } = view;
    let name = scope.name.to_string();
    let said = format!("{name} was deleted.");
    after(action, page, "page-title".into(), move |_| said.clone());
    let includes = catalogue.implied_by(&name).map(|other| other.name.to_string()).collect::<Vec<_>>();
    let blocked = holders.stopped > 0 || !includes.is_empty();
    let held = holders.count > 0;
    let intro = view! { <p class="break">{scope.description.clone()}</p> };
    view! {
        <Dialog title=format!("Delete {name}?") intro=intro.into_any() leave=page.list narrow=true>
            <SendForm to=action>
                <div class="dialog-body">
                    <FaultNotice fault=action.fault() />
                    <input type="hidden" name="workspace" value=workspace.slug />
                    <input type="hidden" name="name" value=name />
                    {(held && !blocked).then(|| view! { <input type="hidden" name="remove_from_keys" value="true" /> })}
                    <Impact holders includes />
                </div>
                <DialogFoot>
                    <a class="button" href=page.list autofocus data-noscroll="">
                        {if blocked { "Back" } else { "Keep scope" }}
                    </a>
                    {(!blocked)
                        .then(|| {
                            let label = if held { "Delete and take from keys" } else { "Delete scope" };
                            view! { <SubmitButton label icon="trash-2" pending=action.pending class="button button-danger" /> }
                        })}
                </DialogFoot>
            </SendForm>
        </Dialog>
    }
}

/// What hangs on the scope, or stands in the way.
#[component]
fn Impact(holders: KeysConcerned, includes: Vec<String>) -> impl IntoView {
    if !includes.is_empty() {
        let names = format::listed(&includes);
        return view! {
            <Notice tone=Tone::Warn>
                <strong>"Other scopes include it:"</strong>
                " "
                <span class="break">{names}</span>
                ". Take it out of them first."
            </Notice>
        }
        .into_any();
    }
    if holders.count == 0 {
        return view! { <p class="soft">"No key holds it. Nothing stops working."</p> }.into_any();
    }
    let hold = if holders.count == 1 { "1 key holds it:".to_owned() } else { format!("{} keys hold it:", format::number(holders.count)) };
    let then = match (holders.count, holders.stopped) {
        (_, 0) => "They lose it at once and keep their other scopes.".to_owned(),
        (1, _) => "It holds nothing else and would be left without a scope. Give it another, or delete it first.".to_owned(),
        (_, 1) => "One of them holds nothing else and would be left without a scope. Give it another, or delete it first.".to_owned(),
        (_, alone) => {
            format!(
                "{} of them hold nothing else and would be left without a scope. Give them another, or delete them first.",
                format::number(alone)
            )
        }
    };
    let named = holders.to_string();
    view! {
        <Notice tone=Tone::Warn>
            <strong>{hold}</strong>
            " "
            <span class="break">{named}</span>
            ". "
            {then}
        </Notice>
    }
    .into_any()
}
