//! The pages of the person at the screen: `/account/…`. One route, as for the pages of a workspace.

use leptos::prelude::*;

use super::account::AccountPage;
use super::find::FindPage;
use super::keyboard::KeyboardPage;
use super::place::open_part;

/// The page that the address names.
#[component]
pub(crate) fn AccountPages() -> impl IntoView {
    let part = open_part(0);
    // Not by the part itself: a dialog over the account must not draw the account anew.
    let page = Memo::new(move |_| part.with(|part| ["find", "keyboard"].into_iter().find(|name| name == part)));
    move || match page.get() {
        Some("find") => view! { <FindPage /> }.into_any(),
        Some(_) => view! { <KeyboardPage /> }.into_any(),
        None => view! { <AccountPage /> }.into_any(),
    }
}
