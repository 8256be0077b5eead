//! The dialogs over the list of users: adding, changing, disabling, enabling, a link to a new password.

use keyfold_domain::ids::UserId;
use keyfold_domain::problem::Problem;
use keyfold_domain::user::UserDetail;
use leptos::prelude::*;

use super::not_found::Trouble;
use super::people::{ActDialog, Listing, Words, error, made_link, typed_or};
use crate::components::{
    Dialog, DialogFoot, FaultNotice, Field, FieldError, LinkOnce, Notice, PasswordAgain, SendForm, Sending, SubmitButton, Tone,
};
use crate::format;
use crate::functions::fault::Fault;
use crate::functions::users::{CreateResetLink, CreateUser, DisableUser, EnableUser, UpdateUser, get_user};

/// Where the form of a new user goes without script.
const NEW: &str = "/system/users/new";

/// Whether somebody may manage the whole instance.
#[component]
fn Rank(chosen: bool, error: Signal<Option<String>>) -> impl IntoView {
    view! {
        <div class="field">
            <label class="check">
                <input type="checkbox" name="instance_admin" value="true" checked=chosen aria-describedby="instance_admin-error" />
                <span>
                    <strong>"Instance administrator"</strong>
                    <span class="soft">" may manage this whole server: every workspace, every key, every user."</span>
                </span>
            </label>
            <FieldError id="instance_admin-error".into() error />
        </div>
    }
}

/// Follows a link that was made: the dialog shows it, the list behind is read again.
fn shows_link(action: Sending, page: Listing) -> Memo<bool> {
    let done = Memo::new(move |_| action.is_done());
    Effect::new(move || {
        if done.get() {
            page.changes.update(|changes| *changes += 1);
        }
    });
    done
}

#[component]
pub(super) fn NewUser(page: Listing) -> impl IntoView {
    let action = Sending::to::<CreateUser>();
    let fault = action.fault();
    let done = shows_link(action, page);
    let intro = view! { <p>"They choose their password themselves, with a link that you hand over."</p> };
    let typed = |field: &str| typed_or(action, field, "");
    let (display_name, username, email) = (typed("display_name"), typed("username"), typed("email"));
    let rank = !typed("instance_admin").is_empty();
    let form = move || {
        let (display_name, username, email) = (display_name.clone(), username.clone(), email.clone());
        view! {
            <SendForm to=action plain=NEW>
                <div class="dialog-body">
                    <FaultNotice fault fields=&["display_name", "username", "email", "instance_admin", "password_again"] />
                    <div class="columns">
                        <Field name="display_name" label="Name" optional=true value=display_name maxlength=100 autofocus=true autocomplete="off" error=error(action, "display_name") />
                        <Field name="username" label="Username" hint="To sign in with. It stays." value=username required=true maxlength=60 autocomplete="off" error=error(action, "username") />
                    </div>
                    <Field name="email" label="E-mail" kind="email" value=email required=true maxlength=254 autocomplete="off" error=error(action, "email") />
                    <Rank chosen=rank error=error(action, "instance_admin") />
                    <PasswordAgain fault />
                </div>
                <DialogFoot aside="The link works once, for 24 hours.">
                    <a class="button" href=page.list data-noscroll="">
                        "Cancel"
                    </a>
                    <SubmitButton label="Add user" pending=action.pending />
                </DialogFoot>
            </SendForm>
        }
    };
    view! {
        <Dialog title="Add a user" intro=intro.into_any() leave=page.list>
            {move || match done.get().then(|| made_link(action)).flatten() {
                Some(link) => view! { <LinkOnce link whom="the new user" leave=page.list /> }.into_any(),
                None => form().into_any(),
            }}
        </Dialog>
    }
}

/// Reads the person that the address names; what is no id names nobody.
async fn find(id: String) -> Result<UserDetail, Fault> {
    let Ok(id) = id.parse::<UserId>() else {
        let absent = Problem::not_found();
        #[cfg(feature = "ssr")]
        crate::functions::context::note_status(&absent);
        return Err(absent.into());
    };
    get_user(id).await
}

/// What the address says to do with one person.
#[component]
pub(super) fn UserAct(id: String, act: String, page: Listing) -> impl IntoView {
    let user = Resource::new_blocking(move || id.clone(), find);
    view! {
        <Suspense>
            {move || {
                let act = act.clone();
                Suspend::new(async move {
                    match (user.await, act.as_str()) {
                        (Ok(detail), "edit") => view! { <Edit detail page /> }.into_any(),
                        (Ok(detail), "reset") => view! { <ResetLink detail page /> }.into_any(),
                        (Ok(detail), "disable") => view! { <Disable detail page /> }.into_any(),
                        (Ok(detail), "enable") => view! { <Enable detail page /> }.into_any(),
                        (Ok(_), _) => view! { <Trouble fault=Problem::not_found().into() /> }.into_any(),
                        (Err(fault), _) => view! { <Trouble fault /> }.into_any(),
                    }
                })
            }}
        </Suspense>
    }
}

#[component]
fn Whom(detail: UserDetail) -> impl IntoView {
    view! { <input type="hidden" name="user" value=detail.user.id.to_string() /> }
}

#[component]
fn Edit(detail: UserDetail, page: Listing) -> impl IntoView {
    let action = Sending::to::<UpdateUser>();
    let words = Words { title: "Edit user", button: "Save", danger: false, done: "The user was changed." };
    let user = detail.user.clone();
    let (name, email) = (typed_or(action, "display_name", &user.display_name), typed_or(action, "email", &user.email));
    let rank = !typed_or(action, "instance_admin", if user.instance_admin { "true" } else { "" }).is_empty();
    view! {
        <ActDialog words about=user.username action page fields=&["display_name", "email", "instance_admin", "password_again"]>
            <Whom detail />
            <Field name="display_name" label="Name" value=name maxlength=100 autofocus=true autocomplete="off" error=error(action, "display_name") />
            <Field name="email" label="E-mail" kind="email" value=email required=true maxlength=254 autocomplete="off" error=error(action, "email") />
            <Rank chosen=rank error=error(action, "instance_admin") />
        </ActDialog>
    }
}

#[component]
fn Disable(detail: UserDetail, page: Listing) -> impl IntoView {
    let action = Sending::to::<DisableUser>();
    let words = Words {
        title: "Disable this user?",
        button: "Disable",
        danger: true,
        done: "The user was disabled. Their sessions ended and their keys stopped.",
    };
    let keys = match detail.live_keys {
        0 => "They have no keys.".to_owned(),
        1 => "Their key stops at once.".to_owned(),
        more => format!("Their {} keys stop at once.", format::number(more)),
    };
    view! {
        <ActDialog words about=format!("{} ({})", detail.user.display_name, detail.user.username) action page fields=&[]>
            <Whom detail />
            <Notice tone=Tone::Warn>
                <strong>{keys}</strong>
                " Every session of theirs ends, and they cannot sign in."
            </Notice>
            <p>"You can enable them again; their keys then work as before, with the same secrets."</p>
        </ActDialog>
    }
}

#[component]
fn Enable(detail: UserDetail, page: Listing) -> impl IntoView {
    let action = Sending::to::<EnableUser>();
    let words = Words {
        title: "Enable this user?",
        button: "Enable",
        danger: false,
        done: "The user was enabled. They can sign in, and their keys work again.",
    };
    let keys = format::counted(detail.live_keys, "key");
    view! {
        <ActDialog words about=format!("{} ({})", detail.user.display_name, detail.user.username) action page fields=&[]>
            <Whom detail />
            <p>"They can sign in again with their password. " {keys} " of theirs can work again, each where its owner is a member and nothing else stops it."</p>
        </ActDialog>
    }
}

#[component]
fn ResetLink(detail: UserDetail, page: Listing) -> impl IntoView {
    let action = Sending::to::<CreateResetLink>();
    let fault = action.fault();
    let done = shows_link(action, page);
    let about = format!("{} ({})", detail.user.display_name, detail.user.username);
    let intro = view! { <p class="break">{about}</p> };
    let address = format!("/system/users/{}/reset", detail.user.id);
    let form = move || {
        let (address, detail) = (address.clone(), detail.clone());
        view! {
            <SendForm to=action plain=address>
                <div class="dialog-body">
                    <FaultNotice fault fields=&["password_again"] />
                    <Whom detail />
                    <p>"With the link they choose a new password. Their present one works until they do; then every session of theirs ends."</p>
                    <Notice tone=Tone::Warn>"Whoever has the link can sign in as this person. A link made before is not good any more."</Notice>
                    <PasswordAgain fault />
                </div>
                <DialogFoot aside="Works once, for 24 hours.">
                    <a class="button" href=page.list data-noscroll="">
                        "Cancel"
                    </a>
                    <SubmitButton label="Make the link" pending=action.pending />
                </DialogFoot>
            </SendForm>
        }
    };
    view! {
        <Dialog title="Link to a new password" intro=intro.into_any() leave=page.list>
            {move || match done.get().then(|| made_link(action)).flatten() {
                Some(link) => view! { <LinkOnce link whom="this user" leave=page.list /> }.into_any(),
                None => form().into_any(),
            }}
        </Dialog>
    }
}
