//! Who is invited to a workspace and has not come yet.

use keyfold_domain::member::InvitationSummary;
use keyfold_domain::time::Timestamp;
use leptos::prelude::*;

use super::members::role_words;
use super::people::Listing;
use crate::components::{FaultNotice, Moment, Precision, SendForm, Sending, Toasts};
use crate::functions::members::WithdrawInvitation;

/// Who is invited and has not come yet.
#[component]
pub(super) fn Invitations(invitations: Vec<InvitationSummary>, slug: String, page: Listing, now: Timestamp) -> impl IntoView {
    if invitations.is_empty() {
        return ().into_any();
    }
    let action = Sending::to::<WithdrawInvitation>();
    let toasts = use_context::<Toasts>();
    Effect::new(move || {
        if action.is_done() {
            action.value.set(None);
            page.changed();
            if let Some(toasts) = toasts {
                toasts.say("The invitation was taken back. Its link is not good any more.");
            }
        }
    });
    let rows = invitations.into_iter().map(move |invitation| {
        let slug = slug.clone();
        let label = if invitation.label.is_empty() { "Anybody with the link".to_owned() } else { invitation.label.clone() };
        let class = if invitation.label.is_empty() { "key-name faint" } else { "key-name" };
        view! {
            <tr role="row">
                <th scope="row" role="rowheader">
                    <span class=class title=label.clone()>
                        {label.clone()}
                    </span>
                </th>
                <td role="cell" data-label="Becomes">
                    {role_words(invitation.role).0}
                </td>
                <td role="cell" data-label="Invited by">
                    {invitation.created_by.clone()}
                </td>
                <td role="cell" data-label="Ends">
                    <Moment at=invitation.expires_at precision=Precision::Distance(now) />
                </td>
                <td role="cell" class="col-actions">
                    <SendForm to=action>
                        <input type="hidden" name="workspace" value=slug />
                        <input type="hidden" name="invitation" value=invitation.id.to_string() />
                        <span class="row-actions">
                            <button class="button button-small button-quiet button-removes" aria-label=format!("Take back the invitation: {label}")>
                                "Take back"
                            </button>
                        </span>
                    </SendForm>
                </td>
            </tr>
        }
    });
    view! {
        <section class="people-section" aria-labelledby="invited-title">
            <div class="section-head">
                <div>
                    <h2 id="invited-title">"Open invitations"</h2>
                    <p class="soft">"Each link works once, for a week. It cannot be shown again; take it back and make another."</p>
                </div>
            </div>
            <FaultNotice fault=action.fault() />
            <div class="panel keys people">
                <table role="table">
                    <caption>"Open invitations, the newest first"</caption>
                    <thead role="rowgroup">
                        <tr role="row">
                            <th scope="col" role="columnheader">
                                "For"
                            </th>
                            <th scope="col" role="columnheader">
                                "Becomes"
                            </th>
                            <th scope="col" role="columnheader">
                                "Invited by"
                            </th>
                            <th scope="col" role="columnheader">
                                "Ends"
                            </th>
                            <th scope="col" role="columnheader">
                                <span class="visually-hidden">"Actions"</span>
                            </th>
                        </tr>
                    </thead>
                    <tbody role="rowgroup">{rows.collect_view()}</tbody>
                </table>
            </div>
        </section>
    }
    .into_any()
}
