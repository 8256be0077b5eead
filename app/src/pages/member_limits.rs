//! The dialog over the list of members that limits all keys of one of them together.

use leptos::prelude::*;

use super::key_limits::rows_or;
use super::member_dialogs::find;
use super::not_found::Trouble;
use super::people::{ActDialog, Listing, Words, error};
use crate::components::{LimitFields, Sending};
use crate::functions::key_limits;
use crate::functions::members::DepartureView;
use crate::limit_form::LimitRow;

#[component]
pub(super) fn LimitMember(workspace: String, id: String, page: Listing) -> impl IntoView {
    let member = Resource::new_blocking(move || (workspace.clone(), id.clone()), |(workspace, id)| find(workspace, id));
    view! {
        <Suspense>
            {move || Suspend::new(async move {
                match member.await {
                    Ok(view) => view! { <LimitMemberDialog view page /> }.into_any(),
                    Err(fault) => view! { <Trouble fault /> }.into_any(),
                }
            })}
        </Suspense>
    }
}

#[component]
fn LimitMemberDialog(view: DepartureView, page: Listing) -> impl IntoView {
    let action = Sending::to::<key_limits::LimitMember>();
    let words = Words {
        title: "Limits of all keys together",
        button: "Save limits",
        danger: false,
        done: "The limits were saved. They hold from the next call on.",
    };
    let member = view.departure.member;
    let rows = rows_or(action, member.limits.iter().map(LimitRow::from).collect());
    view! {
        <ActDialog words about=member.user.display_name action page fields=&["limits"]>
            <input type="hidden" name="workspace" value=view.workspace.slug />
            <input type="hidden" name="user" value=member.user.id.to_string() />
            <p class="soft">"These hold for all keys that this member has here, together, beside the limits that a key has itself."</p>
            <LimitFields rows error=error(action, "limits") />
        </ActDialog>
    }
}
