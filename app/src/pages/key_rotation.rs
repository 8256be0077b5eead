//! Rotate: a new secret for the same key, and how long the old one goes on working. Without script the form is posted to an
//! address of its own, which answers with the page of the secret.

use keyfold_domain::key::IssuedKey;
use keyfold_domain::secret::{Grace, RotatedKey, Rotation, SecretSummary};
use keyfold_domain::time::Timestamp;
use leptos::prelude::*;
use leptos::server_fn::ServerFn as _;
use leptos::task::spawn_local;
use leptos_router::NavigateOptions;
use leptos_router::hooks::use_navigate;

use super::keys::KeysPageContext;
use super::keys_table::shown_name;
use super::new_key::asks_for_password;
use super::not_found::Trouble;
use crate::browser;
use crate::components::{
    Dialog, DialogFoot, FaultNotice, Field, Moment, Notice, Precision, SecretReveal, SubmitButton, Toasts, Tone, describe,
};
use crate::format;
use crate::functions::fault::Fault;
use crate::functions::key_use::{RotationForm, get_rotation_form, rotate_key};
use crate::functions::keys::KeyView;
use crate::functions::password_input::PasswordInput;
use crate::functions::sessions::StepUp;

const FORM: &str = "rotate-key";

const fn words(grace: Grace) -> (&'static str, &'static str) {
    match grace {
        Grace::Now => ("Stops now", "Refused from the next call on, and older ones with it."),
        Grace::Hour => ("Works 1 more hour", "For one service that you restart now."),
        Grace::Day => ("Works 24 more hours", "Time to bring the new one to where it is used."),
        Grace::Week => ("Works 7 more days", "For programs that others run."),
    }
}

#[component]
pub(super) fn RotateDialog(view: KeyView, page: KeysPageContext) -> impl IntoView {
    let id = view.key.id.clone();
    let form = Resource::new_blocking(move || page.workspace.get(), move |workspace| get_rotation_form(workspace, id.clone()));
    let shown = StoredValue::new(view);
    view! {
        <Suspense>
            {move || Suspend::new(async move {
                match form.await {
                    Ok(form) => view! { <Rotate view=shown.get_value() form page /> }.into_any(),
                    Err(fault) => view! { <Trouble fault /> }.into_any(),
                }
            })}
        </Suspense>
    }
    .into_any()
}

/// Where the form stands.
#[derive(Clone, Copy)]
struct State {
    fault: RwSignal<Option<Fault>>,
    pending: RwSignal<bool>,
    /// The password is needed again, for a key that may manage others.
    asks: RwSignal<bool>,
}

#[component]
fn Rotate(view: KeyView, form: RotationForm, page: KeysPageContext) -> impl IntoView {
    let (grace, problem) = form.submitted.clone().map_or((Grace::default(), None), |sent| (sent.grace, Some(sent.problem)));
    let state = State {
        asks: RwSignal::new(problem.as_ref().is_some_and(asks_for_password)),
        fault: RwSignal::new(problem.map(Fault::from)),
        pending: RwSignal::new(false),
    };
    let action = format!("/w/{}/keys/{}/rotate", view.workspace.slug, view.key.id);
    let (name, hint) = (shown_name(&view.key), view.key.hint.clone());
    let send = sender(state, page, &view, &form);
    let fault = state.fault;
    let conflict = move || {
        fault.with(|fault| fault.as_ref().map(|fault| fault.problem.clone())).filter(|problem| problem.field.as_deref() == Some("version"))
    };
    let refused = Signal::derive(move || fault.get().filter(|fault| fault.problem.field.as_deref() != Some("version")));
    let password = Signal::derive(move || fault.with(|fault| describe(fault.as_ref(), "password")));
    let intro = view! {
        <p>
            <strong class="break">{name}</strong>
            " gets a new secret, which is shown once, on the next screen. Everything else of the key stays."
        </p>
    };
    view! {
        <Dialog title="Rotate this key?" intro=intro.into_any() leave=page.list>
            <form class="key-form" id=FORM method="post" action=action autocomplete="off" on:submit=send>
                <div class="dialog-body">
                    {move || conflict().map(|_| view! { <Late page fault /> })}
                    <FaultNotice fault=refused fields=&["password"] />
                    <input type="hidden" name="idempotency_key" value=form.idempotency_key.clone() />
                    <input type="hidden" name="version" value=view.key.version.to_string() />
                    <Present hint current=form.current.clone() now=view.now />
                    <Graces chosen=grace />
                    {move || {
                        state
                            .asks
                            .get()
                            .then(|| {
                                view! {
                                    <Field
                                        name="password"
                                        label="Your password again"
                                        kind="password"
                                        hint="A management key can do much, so be sure it is you."
                                        autocomplete="current-password"
                                        required=true
                                        error=password
                                    />
                                }
                            })
                    }}
                </div>
                <DialogFoot>
                    <a class="button" href=page.list data-noscroll="">
                        "Cancel"
                    </a>
                    <SubmitButton label="Rotate key" pending=state.pending />
                </DialogFoot>
            </form>
        </Dialog>
    }
}

/// Somebody changed or rotated the key meanwhile.
#[component]
fn Late(page: KeysPageContext, fault: RwSignal<Option<Fault>>) -> impl IntoView {
    let again = move |event: web_sys::MouseEvent| {
        event.prevent_default();
        fault.set(None);
        page.changes.update(|changes| *changes += 1);
    };
    let here = move || format!("{}/edit/rotate", page.list.get());
    view! {
        <Notice tone=Tone::Bad>
            "Somebody changed or rotated this key meanwhile. Nothing was done. "
            <a href=here on:click=again>
                "Look at it as it is now"
            </a>
        </Notice>
    }
}

/// The secret that will be replaced, and how much hangs on it.
#[component]
fn Present(hint: String, current: Option<SecretSummary>, now: Timestamp) -> impl IntoView {
    let calls = current.as_ref().map(|secret| format::counted(secret.total_calls, "call"));
    let used = current.and_then(|secret| secret.last_used_at);
    view! {
        <dl class="facts">
            <dt>"Present secret"</dt>
            <dd class="mono" translate="no">
                {hint}
            </dd>
            <dt>"Last used"</dt>
            <dd>
                {match used {
                    Some(at) => view! { <Moment at precision=Precision::Distance(now) /> ", " {calls} " so far" }.into_any(),
                    None => "Never".into_any(),
                }}
            </dd>
        </dl>
    }
}

#[component]
fn Graces(chosen: Grace) -> impl IntoView {
    view! {
        <fieldset class="field">
            <legend class="field-label">"The present secret"</legend>
            <div class="cards graces">
                {Grace::ALL
                    .map(|grace| {
                        let (title, text) = words(grace);
                        view! {
                            <label class="choice">
                                <input
                                    type="radio"
                                    name="grace"
                                    id=format!("grace-{}", grace.as_str())
                                    value=grace.as_str()
                                    checked=grace == chosen
                                    autofocus=grace == chosen
                                />
                                <span class="choice-title">{title}</span>
                                <span class="choice-text">{text}</span>
                            </label>
                        }
                    })
                    .collect_view()}
            </div>
        </fieldset>
    }
}

fn reveal(issued: RwSignal<Option<IssuedKey>>, public_url: String) -> AnyView {
    view! { <SecretReveal issued public_url /> }.into_any()
}

/// The choice that stands in the form.
fn chosen(event: &web_sys::SubmitEvent) -> Option<Grace> {
    let pairs = browser::form_pairs(&browser::form_of(event)?);
    pairs.into_iter().find(|(name, _)| name == "grace").and_then(|(_, value)| Grace::from_name(&value))
}

/// With script the form is sent from here, and the secret shown over the key's page.
fn sender(state: State, page: KeysPageContext, view: &KeyView, form: &RotationForm) -> impl FnMut(web_sys::SubmitEvent) + 'static {
    let navigate = use_navigate();
    let toasts = use_context::<Toasts>();
    let (id, version) = (view.key.id.clone(), view.key.version);
    let (idempotency_key, public_url) = (form.idempotency_key.clone(), form.public_url.clone());
    move |event| {
        event.prevent_default();
        if state.pending.get_untracked() {
            return;
        }
        let Some(grace) = chosen(&event) else { return };
        let password = state.asks.get_untracked().then(|| PasswordInput::typed(browser::value_of("password")));
        let rotation = Rotation { grace, version: Some(version) };
        let (navigate, public_url) = (navigate.clone(), public_url.clone());
        let (id, idempotency_key) = (id.clone(), idempotency_key.clone());
        state.pending.set(true);
        spawn_local(async move {
            let proven = match password {
                Some(password) => browser::post_form(StepUp::PATH, &password.as_form("password")).await.map(drop),
                None => Ok(()),
            };
            let answer = match proven {
                Ok(()) => rotate_key(page.workspace.get_untracked(), id, rotation, idempotency_key).await,
                Err(fault) => Err(fault),
            };
            state.pending.set(false);
            match answer {
                Ok(RotatedKey { issued, expiry_lowered, .. }) => {
                    let options = NavigateOptions { replace: true, scroll: false, ..NavigateOptions::default() };
                    navigate(&page.list.get_untracked(), options);
                    page.changes.update(|changes| *changes += 1);
                    page.public_url.set_value(public_url);
                    page.reveal.set_value(Some(reveal));
                    page.issued.set(Some(issued));
                    if let (true, Some(toasts)) = (expiry_lowered, toasts) {
                        toasts.say("The key's expiry date was brought down to what the workspace allows now.".to_owned());
                    }
                }
                Err(fault) => {
                    let asks = asks_for_password(&fault.problem);
                    state.asks.update(|asked| *asked |= asks);
                    state.fault.set(Some(fault));
                    if asks {
                        // A frame later, when the field has come.
                        request_animation_frame(|| {
                            let _ = browser::focus("password");
                        });
                    }
                }
            }
        });
    }
}
