//! The dialogs over the list of members: inviting, another role, removing.

use keyfold_domain::ids::UserId;
use keyfold_domain::problem::Problem;
use keyfold_domain::workspace::Role;
use leptos::prelude::*;
use leptos_router::NavigateOptions;
use leptos_router::hooks::use_navigate;

use super::members::role_words;
use super::not_found::Trouble;
use super::people::{ActDialog, Listing, Words, error, made_link, typed_or};
use crate::components::{
    Dialog, DialogFoot, FaultNotice, Field, FieldError, LinkOnce, Notice, PasswordAgain, SendForm, Sending, SubmitButton, Toasts, Tone,
};
use crate::format;
use crate::functions::fault::Fault;
use crate::functions::members::{AddMember, DepartureView, InviteMember, MembersView, RemoveMember, UpdateMember, get_member};

/// The roles to choose from, up to one's own.
#[component]
fn Roles(chosen: String, most: Role, error: Signal<Option<String>>) -> impl IntoView {
    let offered = Role::ALL.into_iter().rev().filter(|role| *role <= most).map(|role| {
        let (title, text) = role_words(role);
        view! {
            <label class="choice">
                <input type="radio" name="role" value=role.as_str() checked=role.as_str() == chosen autofocus=role.as_str() == chosen />
                <span class="choice-title">{title}</span>
                <span class="choice-text">{text}</span>
            </label>
        }
    });
    view! {
        <fieldset class="field" aria-describedby="role-error">
            <legend class="field-label">"Role"</legend>
            <div class="cards cards-two">{offered.collect_view()}</div>
            <FieldError id="role-error".into() error />
        </fieldset>
    }
}

/// An invitation by link. Without script the answer to the form is a page with the link; with it the dialog shows it.
#[component]
pub(super) fn Invite(workspace: String, page: Listing, members: Resource<Result<MembersView, Fault>>) -> impl IntoView {
    view! {
        <Suspense>
            {move || {
                let workspace = workspace.clone();
                Suspend::new(async move {
                    match members.await {
                        Ok(view) => view! { <InviteDialog workspace rank=view.rank page /> }.into_any(),
                        Err(fault) => view! { <Trouble fault /> }.into_any(),
                    }
                })
            }}
        </Suspense>
    }
}

#[component]
fn InviteDialog(workspace: String, rank: Role, page: Listing) -> impl IntoView {
    let action = Sending::to::<InviteMember>();
    let fault = action.fault();
    let done = Memo::new(move |_| action.is_done());
    // Not sooner: the list that is read again renders this dialog again, and the link would be gone.
    on_cleanup(move || {
        if done.try_get_untracked() == Some(true) {
            page.changes.try_update(|changes| *changes += 1);
        }
    });
    let intro = view! { <p>"Whoever opens the link joins this workspace: with an account of theirs, or with a new one."</p> };
    let address = format!("/w/{workspace}/members/invite");
    let (chosen, label) = (typed_or(action, "role", "member"), typed_or(action, "label", ""));
    let form = move || {
        let (workspace, address, chosen, label) = (workspace.clone(), address.clone(), chosen.clone(), label.clone());
        view! {
            <SendForm to=action plain=address>
                <div class="dialog-body">
                    <FaultNotice fault fields=&["role", "label", "password_again"] />
                    <input type="hidden" name="workspace" value=workspace />
                    <Roles chosen most=rank error=error(action, "role") />
                    <Field
                        name="label"
                        label="For whom"
                        optional=true
                        hint="An e-mail address or a name, to tell open invitations apart. Nothing is sent."
                        value=label
                        maxlength=100
                        autocomplete="off"
                        error=error(action, "label")
                    />
                    <PasswordAgain fault />
                </div>
                <DialogFoot aside="Works once, for 7 days.">
                    <a class="button" href=page.list data-noscroll="">
                        "Cancel"
                    </a>
                    <SubmitButton label="Make the link" pending=action.pending />
                </DialogFoot>
            </SendForm>
        }
    };
    view! {
        <Dialog title="Invite somebody" intro=intro.into_any() leave=page.list>
            {move || match done.get().then(|| made_link(action)).flatten() {
                Some(link) => view! { <LinkOnce link whom="whoever you invite" leave=page.list /> }.into_any(),
                None => form().into_any(),
            }}
        </Dialog>
    }
}

/// Somebody who has an account on this server already.
#[component]
pub(super) fn Add(workspace: String, page: Listing, members: Resource<Result<MembersView, Fault>>) -> impl IntoView {
    view! {
        <Suspense>
            {move || {
                let workspace = workspace.clone();
                Suspend::new(async move {
                    match members.await {
                        Ok(view) => view! { <AddDialog workspace rank=view.rank page /> }.into_any(),
                        Err(fault) => view! { <Trouble fault /> }.into_any(),
                    }
                })
            }}
        </Suspense>
    }
}

#[component]
fn AddDialog(workspace: String, rank: Role, page: Listing) -> impl IntoView {
    let action = Sending::to::<AddMember>();
    let words = Words { title: "Add somebody by name", button: "Add", danger: false, done: "They were added." };
    let (chosen, user) = (typed_or(action, "role", "member"), typed_or(action, "user", ""));
    let about = "For people who have an account here and share a workspace with you. Others you invite by a link.";
    view! {
        <ActDialog words about action page fields=&["user", "role", "password_again"]>
            <input type="hidden" name="workspace" value=workspace />
            <Field name="user" label="Username" value=user required=true maxlength=60 autofocus=true autocomplete="off" error=error(action, "user") />
            <Roles chosen most=rank error=error(action, "role") />
        </ActDialog>
    }
}

/// Reads the member that the address names; what is no id names nobody.
pub(super) async fn find(workspace: String, id: String) -> Result<DepartureView, Fault> {
    let Ok(id) = id.parse::<UserId>() else {
        let absent = Problem::not_found();
        #[cfg(feature = "ssr")]
        crate::functions::context::note_status(&absent);
        return Err(absent.into());
    };
    get_member(workspace, id).await
}

#[component]
pub(super) fn ChangeRole(workspace: String, id: String, page: Listing) -> impl IntoView {
    let member = Resource::new_blocking(move || (workspace.clone(), id.clone()), |(workspace, id)| find(workspace, id));
    view! {
        <Suspense>
            {move || Suspend::new(async move {
                match member.await {
                    Ok(view) => view! { <ChangeRoleDialog view page /> }.into_any(),
                    Err(fault) => view! { <Trouble fault /> }.into_any(),
                }
            })}
        </Suspense>
    }
}

#[component]
fn ChangeRoleDialog(view: DepartureView, page: Listing) -> impl IntoView {
    let action = Sending::to::<UpdateMember>();
    let words =
        Words { title: "Change the role", button: "Save", danger: false, done: "The role was changed. It holds from the next request on." };
    let member = view.departure.member;
    let chosen = typed_or(action, "role", member.role.as_str());
    view! {
        <ActDialog words about=member.user.display_name action page fields=&["role", "password_again"]>
            <input type="hidden" name="workspace" value=view.workspace.slug />
            <input type="hidden" name="user" value=member.user.id.to_string() />
            <Roles chosen most=view.rank error=error(action, "role") />
            <p class="small soft">"A lesser role narrows what their keys may do from the next call on."</p>
        </ActDialog>
    }
}

#[component]
pub(super) fn Remove(workspace: String, id: String, page: Listing) -> impl IntoView {
    let member = Resource::new_blocking(move || (workspace.clone(), id.clone()), |(workspace, id)| find(workspace, id));
    view! {
        <Suspense>
            {move || Suspend::new(async move {
                match member.await {
                    Ok(view) => view! { <RemoveDialog view page /> }.into_any(),
                    Err(fault) => view! { <Trouble fault /> }.into_any(),
                }
            })}
        </Suspense>
    }
}

/// Removing a member, or leaving: what stops, told before.
#[component]
pub(super) fn RemoveDialog(view: DepartureView, page: Listing) -> impl IntoView {
    let action = Sending::to::<RemoveMember>();
    let fault = action.fault();
    let navigate = use_navigate();
    let toasts = use_context::<Toasts>();
    let own = view.own;
    Effect::new(move || {
        if let Some(to) = action.text() {
            let to = if own { to } else { page.list.get_untracked() };
            navigate(&to, NavigateOptions { scroll: false, ..NavigateOptions::default() });
            page.changed();
            if let Some(toasts) = toasts {
                toasts.say(if own { "You left the workspace." } else { "The member was removed. Their keys stopped." });
            }
        }
    });
    let member = view.departure.member;
    let name = member.user.display_name.clone();
    let title = if own { format!("Leave {}?", view.workspace.name) } else { format!("Remove {name}?") };
    let button = if own { "Leave" } else { "Remove" };
    let intro = view! { <p class="break">{member.user.username.clone()} " · " {role_words(member.role).0}</p> };
    view! {
        <Dialog title=title intro=intro.into_any() leave=page.list narrow=true>
            <SendForm to=action>
                <div class="dialog-body">
                    <FaultNotice fault />
                    <input type="hidden" name="workspace" value=view.workspace.slug.clone() />
                    <input type="hidden" name="user" value=member.user.id.to_string() />
                    <Impact keys=member.live_keys used_lately=view.departure.used_lately own />
                </div>
                <DialogFoot>
                    <a class="button" href=page.list autofocus=true data-noscroll="">
                        {if own { "Stay" } else { "Keep" }}
                    </a>
                    <SubmitButton label=button pending=action.pending class="button button-danger" />
                </DialogFoot>
            </SendForm>
        </Dialog>
    }
}

/// What hangs on the person.
#[component]
fn Impact(keys: i64, used_lately: i64, own: bool) -> impl IntoView {
    if keys == 0 {
        let text =
            if own { "You have no keys here. You lose access at once." } else { "They have no keys here. They lose access at once." };
        return view! { <p>{text}</p> }.into_any();
    }
    let counted = format::counted(keys, "key");
    let lately = if used_lately == 0 {
        "None was used in the last 24 hours.".to_owned()
    } else {
        format!("{} used in the last 24 hours.", format::number(used_lately))
    };
    view! {
        <Notice tone=Tone::Warn>
            <strong>{counted} {if keys == 1 { " stops" } else { " stop" }} " at once. "</strong>
            {lately}
        </Notice>
        <p>
            {if own {
                "An administrator then gives your keys to somebody else, keeps them stopped, or deletes them."
            } else {
                "The keys are not lost: they wait on this page until you give them to another member, keep them stopped, or delete them."
            }}
        </p>
    }
    .into_any()
}
