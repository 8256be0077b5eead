//! The dialogs over a key's page: each changes one thing.

use keyfold_domain::problem::ProblemCode;
use leptos::prelude::*;
use leptos_router::NavigateOptions;
use leptos_router::hooks::use_navigate;

use super::conflict::Conflict;
use super::key_limits::ChangeKeyLimits;
use super::keys::KeysPageContext;
use super::keys_table::shown_name;
use super::new_key::Filling;
use super::new_key_fields::{Inactivity, Life};
use super::not_found::Trouble;
use super::{DeleteKeyDialog, EditScopesDialog};
use crate::components::{
    Dialog, DialogFoot, FaultNotice, Field, Notice, ResourcePicker, SendForm, Sending, SubmitButton, Toasts, Tone, describe,
};
use crate::format::{self, Civil};
use crate::functions::key_changes::{
    ActivateKey, ChangeExpiry, ChangeInterval, ChangeResources, DeactivateKey, RenameKey, get_key_resources,
};
use crate::functions::keys::KeyView;
use crate::functions::resources::ResourceChoice;
use crate::key_form::{KeyForm, NEVER, ON_DATE, reach_of};

/// The dialog of the act that the address names.
#[component]
pub(super) fn KeyAct(act: String, view: KeyView, page: KeysPageContext) -> impl IntoView {
    match act.as_str() {
        "name" => view! { <Rename view page /> }.into_any(),
        "scopes" => view! { <EditScopesDialog /> }.into_any(),
        "resources" => view! { <ChangeResourcesDialog view page /> }.into_any(),
        "expiry" => view! { <ChangeExpiryDialog view page /> }.into_any(),
        "interval" => view! { <ChangeIntervalDialog view page /> }.into_any(),
        "test" => view! { <super::key_test::TestKeyDialog view page /> }.into_any(),
        "addresses" => view! { <ChangeKeyLimits addresses=true view page /> }.into_any(),
        "limits" => view! { <ChangeKeyLimits addresses=false view page /> }.into_any(),
        "rotate" => view! { <super::key_rotation::RotateDialog view page /> }.into_any(),
        "deactivate" => view! { <Deactivate view page /> }.into_any(),
        "activate" => view! { <Activate view page /> }.into_any(),
        "delete" => view! { <DeleteKeyDialog /> }.into_any(),
        _ => view! { <Trouble fault=super::key::absent() /> }.into_any(),
    }
}

/// What is said of an act, before and after it.
#[derive(Clone, Copy)]
pub(super) struct Words {
    pub(super) title: &'static str,
    pub(super) button: &'static str,
    pub(super) class: &'static str,
    /// After it was done, behind the key's name.
    pub(super) done: &'static str,
    pub(super) aside: &'static str,
}

pub(super) const CHANGE: &str = "button button-primary";

/// The frame of every act: the dialog, the form with what names the key, a conflict or a refusal, and what follows success.
#[component]
pub(super) fn ActDialog(
    words: Words,
    action: Sending,
    view: KeyView,
    page: KeysPageContext,
    /// The part of the page that has the keyboard afterwards.
    back: &'static str,
    /// The fields that show their own errors.
    fields: &'static [&'static str],
    /// The form's id, for what follows it.
    id: &'static str,
    #[prop(optional)] narrow: bool,
    children: Children,
) -> impl IntoView {
    let fault = action.fault();
    let conflict = move || fault.get().map(|fault| fault.problem).filter(|problem| problem.code == ProblemCode::Conflict);
    let refused = Signal::derive(move || fault.get().filter(|fault| fault.problem.code != ProblemCode::Conflict));
    let name = shown_name(&view.key);
    after(action, page, format!("{name}: {}", words.done), back);
    let intro = view! {
        <p>
            <strong class="break">{name}</strong>
            " "
            <span class="mono">{view.key.hint.clone()}</span>
        </p>
    };
    view! {
        <Dialog title=words.title intro=intro.into_any() leave=page.list narrow>
            <SendForm to=action attr:id=id>
                <div class="dialog-body">
                    {move || conflict().map(|problem| view! { <Conflict problem page action /> })}
                    <FaultNotice fault=refused fields />
                    <input type="hidden" name="workspace" value=view.workspace.slug.clone() />
                    <input type="hidden" name="id" value=view.key.id.to_string() />
                    {children()}
                </div>
                <DialogFoot aside=words.aside>
                    <a class="button" href=page.list data-noscroll="">
                        "Cancel"
                    </a>
                    <SubmitButton label=words.button pending=action.pending class=words.class />
                </DialogFoot>
            </SendForm>
        </Dialog>
    }
}

/// With script: back to the page, and a word about what was done.
pub(super) fn after(action: Sending, page: KeysPageContext, said: String, back: &'static str) {
    let navigate = use_navigate();
    let toasts = use_context::<Toasts>();
    Effect::new(move || {
        if action.is_done() {
            navigate(&page.list.get_untracked(), NavigateOptions { scroll: false, ..NavigateOptions::default() });
            page.changed(Some(back.to_owned()));
            if let Some(toasts) = toasts {
                toasts.say(with_reach(&said, action));
            }
        }
    });
}

/// What is said of an act, and on how many servers it is in force where there are several.
pub(super) fn with_reach(said: &str, action: Sending) -> String {
    action.text().map_or_else(|| said.to_owned(), |reach| format!("{said} {reach}"))
}

/// The version that a change is made from.
#[component]
pub(super) fn Version(version: i64) -> impl IntoView {
    view! { <input type="hidden" name="version" value=version.to_string() /> }
}

pub(super) fn error(action: Sending, field: &'static str) -> Signal<Option<String>> {
    let fault = action.fault();
    Signal::derive(move || fault.with(|fault| describe(fault.as_ref(), field)))
}

/// What was typed before a refusal without script, or else how it stands.
pub(super) fn typed_or(action: Sending, field: &str, present: &str) -> String {
    let typed = action.fault().with_untracked(|fault| fault.as_ref().and_then(|fault| fault.typed.get(field).cloned()));
    typed.unwrap_or_else(|| present.to_owned())
}

#[component]
fn Rename(view: KeyView, page: KeysPageContext) -> impl IntoView {
    let action = Sending::to::<RenameKey>();
    let words = Words { title: "Name and note", button: "Save", class: CHANGE, done: "saved.", aside: "" };
    let (name, note) = (typed_or(action, "name", &view.key.name), typed_or(action, "note", &view.key.note));
    let note_error = error(action, "note");
    let version = view.key.version;
    view! {
        <ActDialog words action view page back="act-name" fields=&["name", "note"] id="rename-key">
            <Version version />
            <Field
                name="name"
                label="Name"
                value=name
                placeholder="Where it is used, e.g. CI pipeline"
                maxlength=100
                autofocus=true
                autocomplete="off"
                error=error(action, "name")
            />
            <div class="field">
                <label class="field-label" for="note">
                    "Note"
                    <span class="field-optional">" (optional)"</span>
                </label>
                <textarea
                    class="control"
                    id="note"
                    name="note"
                    rows="4"
                    maxlength="1000"
                    aria-describedby="note-error"
                    aria-invalid=move || note_error.with(Option::is_some).then_some("true")
                >
                    {note}
                </textarea>
                <crate::components::FieldError id="note-error".into() error=note_error />
            </div>
        </ActDialog>
    }
}

/// The fields of one setting, filled in with how the key stands; follows what is typed as the form of a new key does.
fn filling(action: Sending, form: KeyForm, view: &KeyView) -> Filling {
    let fault = action.fault();
    let filling = Filling::new(form, fault.get_untracked(), view.workspace.key_policy.clone(), view.now);
    Effect::new(move || filling.fault.set(fault.get()));
    filling
}

fn follow(filling: Filling, id: &'static str) -> impl Fn(web_sys::Event) + Copy + 'static {
    move |_| {
        if let Some(element) = document().get_element_by_id(id).map(wasm_bindgen::JsCast::unchecked_into) {
            filling.read(&element);
        }
    }
}

#[component]
fn ChangeExpiryDialog(view: KeyView, page: KeysPageContext) -> impl IntoView {
    const ID: &str = "change-expiry";
    let action = Sending::to::<ChangeExpiry>();
    let words = Words {
        title: "Change the expiry date",
        button: "Save",
        class: CHANGE,
        done: "expiry date saved. It holds from the next call on.",
        aside: "Holds from the next call on.",
    };
    let present = if view.key.expires_at.is_some() { ON_DATE } else { NEVER };
    let day = view.key.expires_at.map(|at| format::iso_date(&Civil::utc(at))).unwrap_or_default();
    let form =
        KeyForm { expiry: typed_or(action, "expiry", present), expires_on: typed_or(action, "expires_on", &day), ..KeyForm::default() };
    let filling = filling(action, form.clone(), &view);
    filling.wake(ID);
    let at = move || filling.form.with(|form| form.expires_at.map(|at| at.as_millis().to_string())).unwrap_or_default();
    let follow = follow(filling, ID);
    let (policy, now, version) = (view.workspace.key_policy.clone(), view.now, view.key.version);
    view! {
        <ActDialog words action view page back="act-expiry" fields=&["expires_at", "expires_on"] id=ID narrow=true>
            <Version version />
            <input type="hidden" name="expires_at" prop:value=at />
            <div on:input=follow on:change=follow>
                <Life filling shown=form policy now />
            </div>
        </ActDialog>
    }
}

#[component]
fn ChangeIntervalDialog(view: KeyView, page: KeysPageContext) -> impl IntoView {
    const ID: &str = "change-interval";
    let action = Sending::to::<ChangeInterval>();
    let words = Words {
        title: "Change the inactivity interval",
        button: "Save",
        class: CHANGE,
        done: "inactivity interval saved. It holds from the next call on.",
        aside: "Holds from the next call on.",
    };
    let (choice, custom) = KeyForm::interval_fields(view.key.inactivity_days);
    let form = KeyForm {
        inactivity_days: typed_or(action, "inactivity_days", &choice),
        inactivity_custom: typed_or(action, "inactivity_custom", &custom),
        ..KeyForm::default()
    };
    let filling = filling(action, form.clone(), &view);
    let version = view.key.version;
    view! {
        <ActDialog words action view page back="act-interval" fields=&["inactivity_days", "inactivity_custom"] id=ID narrow=true>
            <Version version />
            <Inactivity filling shown=form />
        </ActDialog>
    }
}

#[component]
fn ChangeResourcesDialog(view: KeyView, page: KeysPageContext) -> impl IntoView {
    let asked = (view.workspace.slug.clone(), view.key.id.clone());
    let view = StoredValue::new(view);
    let choice = Resource::new_blocking(move || asked.clone(), |(workspace, id)| get_key_resources(workspace, id));
    view! {
        <Suspense>
            {move || Suspend::new(async move {
                match choice.await {
                    Ok(choice) => view! { <ChangeResourcesForm view=view.get_value() choice page /> }.into_any(),
                    Err(fault) => view! { <Trouble fault /> }.into_any(),
                }
            })}
        </Suspense>
    }
}

#[component]
fn ChangeResourcesForm(view: KeyView, choice: ResourceChoice, page: KeysPageContext) -> impl IntoView {
    let action = Sending::to::<ChangeResources>();
    let words = Words {
        title: "Edit resources",
        button: "Save resources",
        class: CHANGE,
        done: "resources saved. They hold from the next call on.",
        aside: "Holds from the next call on.",
    };
    let present = view.key.resources.iter().map(|resource| resource.id.to_string()).collect::<Vec<_>>().join(" ");
    let held = typed_or(action, "resources", &present).split(' ').filter(|id| !id.is_empty()).map(str::to_owned).collect();
    let reach = typed_or(action, "reach", reach_of(&view.key.resources));
    let override_owner = typed_or(action, "override_owner", "false") == "true";
    let (workspace, version) = (view.workspace.slug.clone(), view.key.version);
    let dead = !view.key.resources.is_empty() && view.key.resources.iter().all(|resource| resource.deleted);
    view! {
        <ActDialog words action view page back="act-resources" fields=&["resources"] id="change-resources">
            <Version version />
            {dead
                .then(|| {
                    view! {
                        <Notice tone=Tone::Warn>
                            "What it was tied to was deleted, so it works for nothing. Tick what it shall work on, or choose everything."
                        </Notice>
                    }
                })}
            <ResourcePicker workspace choice reach held override_owner error=error(action, "resources") />
        </ActDialog>
    }
}

#[component]
fn Deactivate(view: KeyView, page: KeysPageContext) -> impl IntoView {
    let action = Sending::to::<DeactivateKey>();
    let words = Words {
        title: "Deactivate this key?",
        button: "Deactivate",
        class: "button button-danger",
        done: "deactivated. Whoever uses it is refused from now on.",
        aside: "",
    };
    let reason = typed_or(action, "reason", "");
    let text = if view.may_activate {
        "Whatever uses it is refused from the next call on. You can activate it again; it then works with the same secret."
    } else {
        "Whatever uses it is refused from the next call on. Only an administrator can activate it again."
    };
    view! {
        <ActDialog words action view page back="act-activate" fields=&["reason"] id="deactivate-key" narrow=true>
            <Notice tone=Tone::Warn>{text}</Notice>
            <Field
                name="reason"
                label="Reason"
                optional=true
                value=reason
                placeholder="Shown beside the key"
                maxlength=100
                autofocus=true
                autocomplete="off"
                error=error(action, "reason")
            />
        </ActDialog>
    }
}

#[component]
fn Activate(view: KeyView, page: KeysPageContext) -> impl IntoView {
    let action = Sending::to::<ActivateKey>();
    let words = Words { title: "Activate this key?", button: "Activate", class: CHANGE, done: "works again.", aside: "" };
    let over = view.key.expires_at.is_some_and(|at| at <= view.now);
    let reason = view.key.stopped_reason.clone();
    view! {
        <ActDialog words action view page back="act-deactivate" fields=&[] id="activate-key" narrow=true>
            <p>"It works again from the next call on, with the same secret and settings. Its idle time counts from now."</p>
            {reason.map(|reason| view! { <p class="soft break">"It was deactivated with the reason: “" {reason} "”"</p> })}
            {over
                .then(|| {
                    view! {
                        <Notice tone=Tone::Warn>
                            "Its expiry date has passed. It needs a later one as well before it works."
                        </Notice>
                    }
                })}
        </ActDialog>
    }
}
