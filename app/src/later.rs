//! Pages whose code the browser fetches when it is first needed. The list of keys is what people open all day, so it
//! comes with the first download; what is done before signing in, and the dialogs, come in a file each.
//!
//! `tools/site` cuts the compiled front end at these functions. On the server they are called like any others.

use leptos::prelude::*;
use leptos::wasm_split::{SplitLoaderError, wasm_split};
use leptos_router::LazyRoute;
use leptos_router::hooks::use_location;

use crate::browser;
use crate::pages::{
    AccountPages, DeleteKeyDialog, EditScopesDialog, HomePage, InvitePage, KeyPage, NewKeyDialog, OverKeysDialog, PlacePage, ResetPage,
    SetupPage, SignInPage, SystemPage,
};

macro_rules! later {
    ($($route:ident: $page:ident from $file:ident by $make:ident, $fetch:ident;)*) => {$(
        #[wasm_split($file, wasm_split_path = ::leptos::wasm_split, preload($fetch), fallible)]
        fn $make() -> Result<AnyView, SplitLoaderError> {
            Ok(view! { <$page /> }.into_any())
        }

        pub(crate) struct $route {
            address: String,
        }

        impl LazyRoute for $route {
            fn data() -> Self {
                Self { address: address() }
            }

            async fn view(this: Self) -> AnyView {
                $make().await.unwrap_or_else(|_| ask_the_server(&this.address))
            }

            async fn preload() {
                // If it cannot be fetched, `view` tries once more and then has a way out.
                drop($fetch().await);
            }
        }
    )*};
}

later! {
    Home: HomePage from gates by home, fetch_home;
    Setup: SetupPage from gates by setup, fetch_setup;
    SignIn: SignInPage from gates by sign_in, fetch_sign_in;
    Invite: InvitePage from links by invite, fetch_invite;
    Reset: ResetPage from links by reset, fetch_reset;
    Account: AccountPages from account by account, fetch_account;
    NewKey: NewKeyDialog from dialogs by new_key, fetch_new_key;
    EditScopes: EditScopesDialog from dialogs by edit_scopes, fetch_edit_scopes;
    FilterKeys: OverKeysDialog from dialogs by filter_keys, fetch_filter_keys;
    DeleteKey: DeleteKeyDialog from dialogs by delete_key, fetch_delete_key;
    Key: KeyPage from key by key, fetch_key;
    Place: PlacePage from places by place, fetch_place;
    System: SystemPage from system by system, fetch_system;
}

/// Where the reader is going.
fn address() -> String {
    let location = use_location();
    let (path, query) = (location.pathname.get_untracked(), location.search.get_untracked());
    if query.is_empty() { path } else { format!("{path}?{query}") }
}

/// The code of a page cannot be fetched: the connection is gone for a moment, or the server has meanwhile become one of
/// another version. It can still send the page itself, with all that belongs to it.
fn ask_the_server(address: &str) -> AnyView {
    browser::load(address);
    ().into_any()
}

/// Fetches the code of the page at an address. Without it the page that the server rendered could not be taken over.
///
/// # Errors
/// If it could not be fetched.
pub(crate) async fn fetch(path: &str) -> Result<(), SplitLoaderError> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    match parts.as_slice() {
        [] => fetch_home().await,
        ["setup"] => fetch_setup().await,
        ["sign-in"] => fetch_sign_in().await,
        ["invite"] => fetch_invite().await,
        ["reset"] => fetch_reset().await,
        ["account", ..] => fetch_account().await,
        ["system", ..] => fetch_system().await,
        ["w", _, "keys", "filter", ..] => fetch_filter_keys().await,
        ["w", _, "keys", "new"] => fetch_new_key().await,
        ["w", _, "keys", _, "scopes"] => fetch_edit_scopes().await,
        ["w", _, "keys", _, "delete"] => fetch_delete_key().await,
        ["w", _, "keys"] => Ok(()),
        ["w", _, "keys", ..] => fetch_key().await,
        ["w", _, _, ..] => fetch_place().await,
        _ => Ok(()),
    }
}
