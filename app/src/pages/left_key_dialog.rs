//! What shall become of the keys of somebody who left.

use keyfold_domain::key::Page;
use keyfold_domain::member::LeftKey;
use keyfold_domain::workspace::Role;
use leptos::prelude::*;

use super::keys_table::shown_name;
use super::not_found::Trouble;
use super::people::{ActDialog, Listing, Words, error, typed_or};
use crate::components::{FieldError, Select, Sending};
use crate::format;
use crate::functions::fault::Fault;
use crate::functions::members::{DecideLeftKeys, MembersView};

const CHOICES: [(&str, &str, &str); 3] = [
    ("reassign", "Give to another member", "Works again at once, with the same secret and settings."),
    ("keep", "Keep, stopped", "Leaves this list. Works again if its owner comes back."),
    ("revoke", "Delete", "The secret never works again. The record stays."),
];

/// The decision about one key, or about all of one person's: `id` names the one or the other.
#[component]
pub(super) fn Decide(workspace: String, id: String, page: Listing, members: Resource<Result<MembersView, Fault>>) -> impl IntoView {
    view! {
        <Suspense>
            {
                let (workspace, id) = (workspace.clone(), id.clone());
                move || {
                    let (workspace, id) = (workspace.clone(), id.clone());
                    Suspend::new(async move {
                        match members.await {
                            Ok(view) => match about(&view.left, &id) {
                                Some(about) => view! { <DecideDialog workspace id about view page /> }.into_any(),
                                None => view! { <Trouble fault=keyfold_domain::problem::Problem::not_found().into() /> }.into_any(),
                            },
                            Err(fault) => view! { <Trouble fault /> }.into_any(),
                        }
                    })
                }
            }
        </Suspense>
    }
}

/// What the decision is about, if it waits.
fn about(left: &Page<LeftKey>, id: &str) -> Option<String> {
    if let Some(waiting) = left.items.iter().find(|waiting| waiting.key.id.as_str() == id) {
        return Some(format!("{}, of {}", shown_name(&waiting.key), waiting.key.owner.display_name));
    }
    let of_person: Vec<&LeftKey> = left.items.iter().filter(|waiting| waiting.key.owner.id.as_str() == id).collect();
    let name = of_person.first().map(|waiting| waiting.key.owner.display_name.clone())?;
    let more = if left.next.is_some() { " and more" } else { "" };
    Some(format!("{}{more}, all of {name}", format::counted(i64::try_from(of_person.len()).unwrap_or(i64::MAX), "key")))
}

#[component]
fn DecideDialog(workspace: String, id: String, about: String, view: MembersView, page: Listing) -> impl IntoView {
    let action = Sending::to::<DecideLeftKeys>();
    let words = Words { title: "What shall become of it?", button: "Decide", danger: false, done: "Done. It holds from the next call on." };
    let (chosen, heir) = (typed_or(action, "decision", "reassign"), typed_or(action, "to", ""));
    let heirs = view.members.items.into_iter().filter(|member| member.role >= Role::Member && member.active).map(move |member| {
        let id = member.user.id.to_string();
        let selected = id == heir;
        view! {
            <option value=id selected=selected>
                {format!("{} ({})", member.user.display_name, member.user.username)}
            </option>
        }
    });
    let choices = CHOICES.map(move |(value, title, text)| {
        view! {
            <label class="choice">
                <input type="radio" name="decision" value=value checked=value == chosen autofocus=value == chosen />
                <span class="choice-title">{title}</span>
                <span class="choice-text">{text}</span>
            </label>
        }
    });
    view! {
        <ActDialog words about action page fields=&["decision", "to", "password_again"]>
            <input type="hidden" name="workspace" value=workspace />
            <input type="hidden" name="subject" value=id />
            <fieldset class="field decision" aria-describedby="decision-error">
                <legend class="visually-hidden">"Decision"</legend>
                <div class="cards cards-one">{choices.collect_view()}</div>
                <FieldError id="decision-error".into() error=error(action, "decision") />
                <div class="field heir">
                    <label class="field-label" for="to">
                        "New owner"
                    </label>
                    <Select name="to" id="to" described_by="to-hint to-error">
                        <option value="">"Choose a member"</option>
                        {heirs.collect_view()}
                    </Select>
                    <span class="field-hint" id="to-hint">
                        "The members of the list behind this. Search it first to find somebody else."
                    </span>
                    <FieldError id="to-error".into() error=error(action, "to") />
                </div>
            </fieldset>
        </ActDialog>
    }
}
