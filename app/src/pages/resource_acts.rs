//! The dialogs over the list of resources: add, change, delete.

use keyfold_domain::resource::{KeysConcerned, USUAL_KINDS};
use keyfold_domain::user::UserRef;
use leptos::prelude::*;

use super::keys::KeysPageContext;
use super::not_found::Trouble;
use super::place_acts::{after, error, focus_fault, typed_or};
use crate::components::{Dialog, DialogFoot, FaultNotice, Field, FieldError, Notice, Select, SendForm, Sending, SubmitButton, Tone};
use crate::format;
use crate::functions::resources::{CreateResource, DeleteResource, ResourceView, UpdateResource, get_resource, list_resource_owners};

/// The dialog that the address names, if it names one.
#[component]
pub(super) fn ResourceAct(id: String, act: String, page: KeysPageContext) -> impl IntoView {
    match (id.as_str(), act.as_str()) {
        ("", "") => ().into_any(),
        ("new", "") => view! { <New page /> }.into_any(),
        (_, "edit" | "delete") => view! { <Existing id delete={act == "delete"} page /> }.into_any(),
        _ => view! { <Trouble fault=super::key::absent() /> }.into_any(),
    }
}

#[component]
fn New(page: KeysPageContext) -> impl IntoView {
    let owners = Resource::new_blocking(move || page.workspace.get(), list_resource_owners);
    view! {
        <Suspense>
            {move || Suspend::new(async move {
                match owners.await {
                    Ok(owners) => view! { <Addition owners page /> }.into_any(),
                    Err(fault) => view! { <Trouble fault /> }.into_any(),
                }
            })}
        </Suspense>
    }
}

#[component]
fn Existing(id: String, delete: bool, page: KeysPageContext) -> impl IntoView {
    let resource = Resource::new_blocking(move || (page.workspace.get(), id.clone()), |(workspace, id)| get_resource(workspace, id));
    view! {
        <Suspense>
            {move || Suspend::new(async move {
                match resource.await {
                    Ok(view) if delete => view! { <Deletion view page /> }.into_any(),
                    Ok(view) => view! { <Change view page /> }.into_any(),
                    Err(fault) => view! { <Trouble fault /> }.into_any(),
                }
            })}
        </Suspense>
    }
}

/// Whose it is, of the members of the workspace.
#[component]
fn OwnerSelect(owners: Vec<UserRef>, chosen: String, error: Signal<Option<String>>) -> impl IntoView {
    view! {
        <div class="field">
            <label class="field-label" for="resource-owner">
                "Owner"
            </label>
            <Select name="owner" id="resource-owner" described_by="owner-hint owner-error">
                {owners
                    .into_iter()
                    .map(|owner| {
                        let id = owner.id.to_string();
                        let label = format!("{} ({})", owner.display_name, owner.username);
                        view! {
                            <option value=id.clone() selected=id == chosen>
                                {label}
                            </option>
                        }
                    })
                    .collect_view()}
            </Select>
            <span class="field-hint" id="owner-hint">
                "Only this person's keys are tied to it."
            </span>
            <FieldError id="owner-error".into() error />
        </div>
    }
}

#[component]
fn Addition(owners: Vec<UserRef>, page: KeysPageContext) -> impl IntoView {
    let action = Sending::to::<CreateResource>();
    after(action, page, "add-resource".into(), |name| format!("{name} was added. Keys can be tied to it now."));
    focus_fault(action, &["kind", "external_id", "name"]);
    let kind_error = error(action, "kind");
    let kind = typed_or(action, "kind", USUAL_KINDS[0]);
    let intro = view! { <p>"Something your services work on. They name it by kind and id when they ask whether a key may use it."</p> };
    let workspace = page.workspace.get_untracked();
    view! {
        <Dialog title="Add resource" intro=intro.into_any() leave=page.list narrow=true>
            <SendForm to=action>
                <div class="dialog-body">
                    <FaultNotice fault=action.fault() fields=&["kind", "external_id", "name", "owner"] />
                    <input type="hidden" name="workspace" value=workspace />
                    <div class="field">
                        <label class="field-label" for="kind">
                            "Kind"
                        </label>
                        <input
                            class="control"
                            id="kind"
                            name="kind"
                            list="kinds"
                            value=kind
                            maxlength="40"
                            required
                            autocomplete="off"
                            autocapitalize="none"
                            spellcheck="false"
                            aria-describedby="kind-hint kind-error"
                            aria-invalid=move || kind_error.with(Option::is_some).then_some("true")
                        />
                        <datalist id="kinds">{USUAL_KINDS.map(|kind| view! { <option value=kind></option> }).collect_view()}</datalist>
                        <span class="field-hint" id="kind-hint">
                            "One lower-case word: collection, source, project, model or your own."
                        </span>
                        <FieldError id="kind-error".into() error=kind_error />
                    </div>
                    <Field
                        name="external_id"
                        label="Id in your service"
                        value=typed_or(action, "external_id", "")
                        hint="Exactly as your service writes it. It cannot be changed later."
                        placeholder="contracts-2026"
                        maxlength=200
                        required=true
                        autofocus=true
                        autocomplete="off"
                        error=error(action, "external_id")
                    />
                    <Field
                        name="name"
                        label="Name"
                        optional=true
                        value=typed_or(action, "name", "")
                        placeholder="What people call it"
                        maxlength=100
                        autocomplete="off"
                        error=error(action, "name")
                    />
                    <OwnerSelect owners chosen=typed_or(action, "owner", "") error=error(action, "owner") />
                </div>
                <DialogFoot>
                    <a class="button" href=page.list data-noscroll="">
                        "Cancel"
                    </a>
                    <SubmitButton label="Add resource" pending=action.pending />
                </DialogFoot>
            </SendForm>
        </Dialog>
    }
}

#[component]
fn Change(view: ResourceView, page: KeysPageContext) -> impl IntoView {
    let action = Sending::to::<UpdateResource>();
    let ResourceView { workspace, resource, mut owners, keys } = view;
    if !owners.iter().any(|owner| owner.id == resource.owner.id) {
        owners.push(resource.owner.clone());
    }
    after(action, page, format!("edit-{}", resource.id), |name| format!("{name} was saved."));
    focus_fault(action, &["name"]);
    let intro = view! {
        <p class="mono break">{format!("{}:{}", resource.kind, resource.external_id)}</p>
    };
    let tied = (keys.count > 0).then(|| {
        let keys = format::counted(keys.count, "key");
        format!("{keys} tied to it stay tied, whoever owns it then.")
    });
    view! {
        <Dialog title="Edit resource" intro=intro.into_any() leave=page.list narrow=true>
            <SendForm to=action>
                <div class="dialog-body">
                    <FaultNotice fault=action.fault() fields=&["name", "owner"] />
                    <input type="hidden" name="workspace" value=workspace.slug />
                    <input type="hidden" name="id" value=resource.id.to_string() />
                    <Field
                        name="name"
                        label="Name"
                        value=typed_or(action, "name", &resource.name)
                        maxlength=100
                        required=true
                        autofocus=true
                        autocomplete="off"
                        error=error(action, "name")
                    />
                    <OwnerSelect owners chosen=typed_or(action, "owner", resource.owner.id.as_str()) error=error(action, "owner") />
                    {tied.map(|text| view! { <p class="soft small">{text}</p> })}
                </div>
                <DialogFoot>
                    <a class="button" href=page.list data-noscroll="">
                        "Cancel"
                    </a>
                    <SubmitButton label="Save" pending=action.pending />
                </DialogFoot>
            </SendForm>
        </Dialog>
    }
}

#[component]
fn Deletion(view: ResourceView, page: KeysPageContext) -> impl IntoView {
    let action = Sending::to::<DeleteResource>();
    let ResourceView { workspace, resource, keys, .. } = view;
    let said = format!("{} was deleted.", resource.name);
    after(action, page, "page-title".into(), move |_| said.clone());
    let tied = keys.count > 0;
    let intro = view! { <p class="mono break">{format!("{}:{}", resource.kind, resource.external_id)}</p> };
    view! {
        <Dialog title=format!("Delete {}?", resource.name) intro=intro.into_any() leave=page.list narrow=true>
            <SendForm to=action>
                <div class="dialog-body">
                    <FaultNotice fault=action.fault() />
                    <input type="hidden" name="workspace" value=workspace.slug />
                    <input type="hidden" name="id" value=resource.id.to_string() />
                    // What was read is what is agreed to: keys tied meanwhile make the server ask again.
                    {tied.then(|| view! { <input type="hidden" name="confirmed" value="true" /> })}
                    <Impact keys />
                </div>
                <DialogFoot>
                    <a class="button" href=page.list autofocus data-noscroll="">
                        "Keep resource"
                    </a>
                    <SubmitButton label="Delete resource" icon="trash-2" pending=action.pending class="button button-danger" />
                </DialogFoot>
            </SendForm>
        </Dialog>
    }
}

/// What becomes of the keys that are tied to it.
#[component]
fn Impact(keys: KeysConcerned) -> impl IntoView {
    if keys.count == 0 {
        return view! { <p class="soft">"No key is tied to it. Nothing stops working."</p> }.into_any();
    }
    let named = keys.to_string();
    let heading =
        if keys.count == 1 { "1 key is tied to it:".to_owned() } else { format!("{} keys are tied to it:", format::number(keys.count)) };
    let then = match (keys.count, keys.stopped) {
        (_, 0) => "Each has another resource and goes on working there.".to_owned(),
        (1, _) => "It has no other resource and stops working with this one.".to_owned(),
        (all, stopped) if all == stopped => "None has another resource: all of them stop working with this one.".to_owned(),
        (_, stopped) => format!("{} of them have no other resource and stop working with this one.", format::number(stopped)),
    };
    view! {
        <Notice tone=Tone::Warn>
            <strong>{heading}</strong>
            " "
            <span class="break">{named}</span>
            ". "
            {then}
        </Notice>
        <p class="soft small">
            "The keys stay tied to it and never become keys for everything. To let one work again, give it another resource. "
            "A resource added later under the same id is another one."
        </p>
    }
    .into_any()
}
