use leptos::prelude::*;
use leptos_router::NavigateOptions;
use leptos_router::hooks::{use_navigate, use_query_map};
use wasm_bindgen::JsCast;

use super::console::Gate;
use super::not_found::NotFoundPage;
use crate::components::{FaultNotice, Field, SendForm, Sending, SubmitButton, Title, describe};
use crate::format;
use crate::functions::fault::Fault;
use crate::functions::setup::{CompleteSetup, get_setup};

const FIELDS: &[&str] = &["token", "username", "email", "display_name", "password", "workspace_name", "workspace_slug"];

/// The first administrator and the first workspace.
#[component]
pub(crate) fn SetupPage() -> impl IntoView {
    let state = Resource::new_blocking(|| (), |()| get_setup());
    view! {
        <Title text="Set up · Keyfold" />
        <Suspense>
            {move || Suspend::new(async move {
                match state.await {
                    Ok(_) => view! { <SetupForm /> }.into_any(),
                    Err(_) => view! { <NotFoundPage /> }.into_any(),
                }
            })}
        </Suspense>
    }
    .into_any()
}

/// The address follows the name until somebody writes their own.
fn suggest_slug() {
    let field = |id: &str| document().get_element_by_id(id).and_then(|field| field.dyn_into::<web_sys::HtmlInputElement>().ok());
    if let (Some(name), Some(slug)) = (field("workspace_name"), field("workspace_slug"))
        && slug.get_attribute("data-own").is_none()
    {
        slug.set_value(&format::slug(&name.value()));
    }
}

/// Marks the address field as written by hand; empties the mark with the field.
fn keep_slug(event: &web_sys::Event) {
    if let Some(field) = event.target().and_then(|field| field.dyn_into::<web_sys::HtmlInputElement>().ok()) {
        match (field.name().as_str(), field.value().is_empty()) {
            ("workspace_slug", false) => drop(field.set_attribute("data-own", "")),
            ("workspace_slug", true) => drop(field.remove_attribute("data-own")),
            ("workspace_name", _) => suggest_slug(),
            _ => {}
        }
    }
}

#[component]
fn SetupForm() -> impl IntoView {
    let token = use_query_map().with_untracked(|query| query.get("token")).unwrap_or_default();
    let action = Sending::to::<CompleteSetup>();
    let navigate = use_navigate();
    Effect::new(move || {
        if let Some(to) = action.text() {
            navigate(&to, NavigateOptions { replace: true, ..NavigateOptions::default() });
        }
    });
    let fault = action.fault();
    Effect::new(move || {
        if let Some(field) = fault.get().and_then(|fault: Fault| fault.problem.field) {
            crate::browser::focus(&field);
        }
    });
    let typed = move |field: &str| fault.with_untracked(|fault| fault.as_ref().map(|fault| fault.typed(field)).unwrap_or_default());
    let error = move |field: &'static str| Signal::derive(move || fault.with(|fault| describe(fault.as_ref(), field)));
    view! {
        <Gate title="Set up Keyfold" intro="Your account and the first workspace. People and more workspaces can come later.">
            <div class="panel gate-card gate-wide" on:input=|event| keep_slug(&event)>
                <SendForm to=action>
                    <FaultNotice fault fields=FIELDS />
                    <TokenField token error=error("token") />
                    <fieldset>
                        <legend>"Your account"</legend>
                        <div class="columns">
                            <Field name="display_name" label="Your name" value=typed("display_name") autocomplete="name" autofocus=true maxlength=100 error=error("display_name") />
                            <Field name="username" label="Username" hint="Small letters and digits." value=typed("username") autocomplete="username" required=true maxlength=60 error=error("username") />
                        </div>
                        <Field name="email" label="E-mail" kind="email" value=typed("email") autocomplete="email" required=true maxlength=254 error=error("email") />
                        <Field name="password" label="Password" kind="password" hint="At least 15 characters. A sentence is easy to remember." autocomplete="new-password" required=true error=error("password") />
                    </fieldset>
                    <fieldset>
                        <legend>"First workspace"</legend>
                        <div class="columns">
                            <Field name="workspace_name" label="Name" hint="A team or a product." value=typed("workspace_name") required=true maxlength=100 error=error("workspace_name") />
                            <Field name="workspace_slug" label="Short name" hint="Stands in addresses: /w/short-name" value=typed("workspace_slug") required=true maxlength=40 error=error("workspace_slug") />
                        </div>
                    </fieldset>
                    <SubmitButton label="Create account and workspace" pending=action.pending class="button button-primary button-wide" />
                </SendForm>
            </div>
        </Gate>
    }
}

/// The one-time token: from the link that the server printed, or to be typed.
#[component]
fn TokenField(token: String, error: Signal<Option<String>>) -> impl IntoView {
    let known = !token.is_empty();
    view! {
        {known.then(|| view! { <input type="hidden" name="token" value=token /> })}
        {(!known)
            .then(|| {
                view! {
                    <Field
                        name="token"
                        label="Set-up token"
                        hint="The server printed a link with it when it started, and keeps it in its data folder."
                        required=true
                        error
                    />
                }
            })}
        {move || (known && error.with(Option::is_some)).then(|| view! { <p class="field-error" role="alert">{error.get()}</p> })}
    }
}
