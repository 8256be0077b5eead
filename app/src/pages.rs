//! One file per screen.

mod account;
mod account_pages;
mod audit;
mod audit_events;
mod bulk;
mod columns;
mod conflict;
mod console;
mod delete_key;
mod edit_scopes;
mod filter_keys;
mod find;
mod home;
mod invite;
mod key;
mod key_acts;
mod key_audit;
mod key_banner;
mod key_limits;
mod key_name;
mod key_rotation;
mod key_secrets;
mod key_test;
mod key_usage;
mod keyboard;
mod keys;
mod keys_table;
mod left_key_dialog;
#[cfg(feature = "ssr")]
pub mod link_once;
mod member_dialogs;
mod member_limits;
mod members;
mod new_key;
mod new_key_fields;
mod nodes;
mod not_found;
mod open_invitations;
mod outages;
mod people;
mod place;
mod place_acts;
mod policy;
mod resource_acts;
mod resources;
mod route_acts;
mod route_import;
mod routes;
mod scope_acts;
mod scopes;
#[cfg(feature = "ssr")]
pub mod secret_once;
mod setup;
mod sign_in;
mod system;
mod system_keys;
mod system_keys_table;
mod user_dialogs;
mod users;
mod workspaces;

pub(crate) use account_pages::AccountPages;
pub(crate) use console::Console;
#[cfg(feature = "ssr")]
pub(crate) use console::{SYSTEM, offered_places};
pub(crate) use delete_key::DeleteKeyDialog;
pub(crate) use edit_scopes::EditScopesDialog;
pub(crate) use filter_keys::OverKeysDialog;
pub(crate) use home::HomePage;
pub(crate) use invite::{InvitePage, ResetPage};
pub(crate) use key::KeyPage;
pub(crate) use keys::KeysPage;
pub(crate) use new_key::NewKeyDialog;
pub(crate) use not_found::NotFoundPage;
pub(crate) use place::PlacePage;
pub(crate) use setup::SetupPage;
pub(crate) use sign_in::SignInPage;
pub(crate) use system::SystemPage;

use keyfold_domain::problem::Problem;

use crate::functions::fault::Fault;
use crate::functions::keys::{KeyView, get_key};

/// The key that an address names. What is no id names nothing.
async fn find_key(workspace: String, id: String) -> Result<KeyView, Fault> {
    let Ok(id) = id.parse() else {
        let absent = Problem::not_found();
        #[cfg(feature = "ssr")]
        crate::functions::context::note_status(&absent);
        return Err(absent.into());
    };
    get_key(workspace, id).await
}
