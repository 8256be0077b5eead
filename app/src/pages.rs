//! One file per screen.

mod account;
mod conflict;
mod console;
mod delete_key;
mod edit_scopes;
mod home;
mod key;
mod key_acts;
mod key_banner;
mod keys;
mod keys_table;
mod new_key;
mod new_key_fields;
mod not_found;
mod place;
mod place_acts;
mod resource_acts;
mod resources;
mod scope_acts;
mod scopes;
#[cfg(feature = "ssr")]
pub mod secret_once;
mod setup;
mod sign_in;
mod system;

pub(crate) use account::AccountPage;
pub(crate) use console::Console;
pub(crate) use delete_key::DeleteKeyDialog;
pub(crate) use edit_scopes::EditScopesDialog;
pub(crate) use home::HomePage;
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
