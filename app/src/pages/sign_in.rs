use leptos::prelude::*;
use leptos_router::NavigateOptions;
use leptos_router::hooks::{use_navigate, use_query_map};

use super::console::Gate;
use super::not_found::Forward;
use crate::components::{FaultNotice, Field, Notice, SendForm, Sending, SubmitButton, Title, Tone, describe};
use crate::functions::sessions::{Home, SignIn, get_home, local_path};

/// Username or e-mail and password.
#[component]
pub(crate) fn SignInPage() -> impl IntoView {
    // Somebody who is signed in already, or a server without users, has no business here.
    let home = Resource::new_blocking(|| (), |()| get_home());
    let query = use_query_map();
    let next = move || query.with_untracked(|query| query.get("next")).filter(|next| local_path(next).is_some()).unwrap_or_default();
    let changed = query.with_untracked(|query| query.get("done")).as_deref() == Some("password");
    let sign_in = Sending::to::<SignIn>();
    let navigate = use_navigate();
    Effect::new(move || {
        if let Some(to) = sign_in.text() {
            navigate(&to, NavigateOptions { replace: true, ..NavigateOptions::default() });
        }
    });
    let fault = sign_in.fault();
    let login = fault.with_untracked(|fault| fault.as_ref().map(|fault| fault.typed("login")).unwrap_or_default());
    view! {
        <Title text="Sign in · Keyfold" />
        <Suspense>
            {move || Suspend::new(async move {
                match home.await {
                    Ok(Home::SetUp) => view! { <Forward path="/setup" /> }.into_any(),
                    Ok(Home::Workspace(slug)) => {
                        let to = Some(next()).filter(|next| !next.is_empty()).unwrap_or_else(|| format!("/w/{slug}/keys"));
                        view! { <Forward path=to /> }.into_any()
                    }
                    _ => ().into_any(),
                }
            })}
        </Suspense>
        <Gate title="Sign in to Keyfold">
            {changed.then(|| view! { <Notice tone=Tone::Good>"Your password was changed. Sign in with it."</Notice> })}
            <div class="panel gate-card">
                <SendForm to=sign_in>
                    <FaultNotice fault fields=&["login", "password"] />
                    <input type="hidden" name="next" value=next() />
                    <Field
                        name="login"
                        label="Username"
                        value=login
                        autocomplete="username"
                        required=true
                        autofocus=true
                        error=Signal::derive(move || fault.with(|fault| describe(fault.as_ref(), "login")))
                    />
                    <Field
                        name="password"
                        label="Password"
                        kind="password"
                        autocomplete="current-password"
                        required=true
                        error=Signal::derive(move || fault.with(|fault| describe(fault.as_ref(), "password")))
                    />
                    <SubmitButton label="Sign in" pending=sign_in.pending class="button button-primary button-wide" />
                </SendForm>
            </div>
        </Gate>
    }
    .into_any()
}
