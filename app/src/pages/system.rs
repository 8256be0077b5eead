//! The pages of an instance administrator: `/system/<page>`, and the dialogs below each. One route, as for the pages of a
//! workspace.

use leptos::prelude::*;

use super::NotFoundPage;
use super::audit::SystemAuditPage;
use super::bulk::BulkPage;
use super::nodes::NodesPage;
use super::place::open_part;
use super::policy::PolicyPage;
use super::system_keys::SystemKeysPage;
use super::users::UsersPage;
use super::workspaces::WorkspacesPage;

/// What these pages know of their address. Pages find it in the context.
#[derive(Clone, Copy)]
pub(crate) struct SystemContext {
    /// The part below the page, the id of a thing for instance; empty if there is none.
    pub(crate) id: Memo<String>,
    /// The part below that, what to do with the thing; empty if there is none.
    pub(crate) act: Memo<String>,
}

/// The page that the address names.
#[component]
pub(crate) fn SystemPage() -> impl IntoView {
    let page = open_part(0);
    provide_context(SystemContext { id: open_part(1), act: open_part(2) });
    let context = expect_context::<SystemContext>();
    move || match page.get().as_str() {
        "audit" => view! { <SystemAuditPage /> }.into_any(),
        "policy" => view! { <PolicyPage workspace=Signal::stored(String::new()) /> }.into_any(),
        "users" => view! { <UsersPage /> }.into_any(),
        "nodes" => view! { <NodesPage /> }.into_any(),
        "workspaces" => view! { <WorkspacesPage /> }.into_any(),
        "keys" => view! { <SystemKeysPage /> }.into_any(),
        "bulk" => view! { <BulkPage workspace=Signal::stored(String::new()) id=context.id /> }.into_any(),
        _ => view! { <NotFoundPage /> }.into_any(),
    }
}
