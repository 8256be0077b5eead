//! The page behind the link of an invitation, and the one behind a link to choose a password.

use keyfold_domain::user::UserRef;
use keyfold_domain::workspace::Role;
use leptos::prelude::*;
use leptos_router::NavigateOptions;
use leptos_router::hooks::{use_navigate, use_query_map};

use super::console::Gate;
use super::people::{error, typed_or};
use crate::components::{FaultNotice, Field, Moment, Precision, SendForm, Sending, SubmitButton, Title};
use crate::format;
use crate::functions::fault::Fault;
use crate::functions::invitations::{AcceptInvitation, JoinWorkspace, OfferView, ResetPassword, get_invitation, get_password_link};
use crate::functions::password_input::PasswordInput;

/// The token in the address. It goes no further than into this page's own forms.
fn token() -> String {
    use_query_map().with_untracked(|query| query.get("token")).unwrap_or_default()
}

/// Goes where the answer leads, replacing the address with the token in it.
fn follow(action: Sending) {
    let navigate = use_navigate();
    Effect::new(move || {
        if let Some(to) = action.text() {
            navigate(&to, NavigateOptions { replace: true, ..NavigateOptions::default() });
        }
    });
}

/// The link is not good, or not now.
#[component]
fn NotGood(fault: Fault) -> impl IntoView {
    view! {
        <Gate title="This link does not work" intro=fault.problem.message>
            <a class="button" href="/">
                "Go to Keyfold"
            </a>
        </Gate>
    }
}

#[component]
pub(crate) fn InvitePage() -> impl IntoView {
    let token = token();
    let asked = token.clone();
    let offer = Resource::new_blocking(|| (), move |()| get_invitation(PasswordInput::typed(asked.clone())));
    view! {
        <Title text="Invitation · Keyfold" />
        <Suspense>
            {move || {
                let token = token.clone();
                Suspend::new(async move {
                    match offer.await {
                        Ok(view) => view! { <Invitation view token /> }.into_any(),
                        Err(fault) => view! { <NotGood fault /> }.into_any(),
                    }
                })
            }}
        </Suspense>
    }
    .into_any()
}

#[component]
fn Invitation(view: OfferView, token: String) -> impl IntoView {
    let offer = view.offer;
    let title = format!("Join {}", offer.workspace);
    let article = if matches!(offer.role, Role::Owner | Role::Admin) { "an" } else { "a" };
    let intro = format!("{} invites you. You join as {article} {}.", offer.invited_by, offer.role.as_str());
    let expires_at = offer.expires_at;
    view! {
        <Gate title intro>
            {match view.signed_in {
                Some(person) => view! { <Accept person token /> }.into_any(),
                None => view! { <Join token /> }.into_any(),
            }}
            <p class="small faint">"The link works once, until " <Moment at=expires_at precision=Precision::Minute /> "."</p>
        </Gate>
    }
}

/// Somebody who is signed in joins as themselves.
#[component]
fn Accept(person: UserRef, token: String) -> impl IntoView {
    let action = Sending::to::<AcceptInvitation>();
    follow(action);
    view! {
        <div class="panel gate-card">
            <SendForm to=action>
                <FaultNotice fault=action.fault() />
                <input type="hidden" name="token" value=token />
                <p>
                    "You are signed in as "
                    <strong class="break">{person.display_name}</strong>
                    " ("
                    <span class="break">{person.username}</span>
                    ")."
                </p>
                <SubmitButton label="Join the workspace" pending=action.pending class="button button-primary button-wide" />
            </SendForm>
        </div>
    }
}

/// Somebody new makes an account; somebody with one signs in and comes back.
#[component]
fn Join(token: String) -> impl IntoView {
    let action = Sending::to::<JoinWorkspace>();
    let fault = action.fault();
    follow(action);
    let back = format!("/sign-in?next={}", format::query_part(&format!("/invite?token={token}")));
    let typed = move |field: &str| typed_or(action, field, "");
    view! {
        <div class="panel gate-card gate-wide">
            <p class="gate-aside">"You have an account here? " <a href=back>"Sign in first"</a> ", then join with it."</p>
            <SendForm to=action>
                <FaultNotice fault fields=&["username", "email", "display_name", "password"] />
                <input type="hidden" name="token" value=token />
                <div class="columns">
                    <Field name="display_name" label="Your name" optional=true value=typed("display_name") autocomplete="name" autofocus=true maxlength=100 error=error(action, "display_name") />
                    <Field name="username" label="Username" hint="Small letters and digits." value=typed("username") autocomplete="username" required=true maxlength=60 error=error(action, "username") />
                </div>
                <Field name="email" label="E-mail" kind="email" value=typed("email") autocomplete="email" required=true maxlength=254 error=error(action, "email") />
                <Field name="password" label="Password" kind="password" hint="At least 15 characters. A sentence is easy to remember." autocomplete="new-password" required=true error=error(action, "password") />
                <SubmitButton label="Create account and join" pending=action.pending class="button button-primary button-wide" />
            </SendForm>
        </div>
    }
}

#[component]
pub(crate) fn ResetPage() -> impl IntoView {
    let token = token();
    let asked = token.clone();
    let whose = Resource::new_blocking(|| (), move |()| get_password_link(PasswordInput::typed(asked.clone())));
    view! {
        <Title text="Choose a password · Keyfold" />
        <Suspense>
            {move || {
                let token = token.clone();
                Suspend::new(async move {
                    match whose.await {
                        Ok(user) => view! { <Reset user token /> }.into_any(),
                        Err(fault) => view! { <NotGood fault /> }.into_any(),
                    }
                })
            }}
        </Suspense>
    }
    .into_any()
}

#[component]
fn Reset(user: UserRef, token: String) -> impl IntoView {
    let action = Sending::to::<ResetPassword>();
    let fault = action.fault();
    follow(action);
    view! {
        <Gate title="Choose a password" intro=format!("For {}. Every open session of yours ends, and you sign in with it.", user.username)>
            <div class="panel gate-card">
                <SendForm to=action>
                    <FaultNotice fault fields=&["password"] />
                    <input type="hidden" name="token" value=token />
                    // For password managers: which account this is.
                    <input type="text" name="username" value=user.username autocomplete="username" readonly=true hidden=true />
                    <Field name="password" label="New password" kind="password" hint="At least 15 characters. A sentence is easy to remember." autocomplete="new-password" required=true autofocus=true error=error(action, "password") />
                    <SubmitButton label="Set the password" pending=action.pending class="button button-primary button-wide" />
                </SendForm>
            </div>
        </Gate>
    }
}
