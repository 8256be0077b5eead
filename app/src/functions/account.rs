//! What a person sets for themselves.

use leptos::prelude::*;

#[cfg(feature = "ssr")]
use super::context;
use super::context::Theme;
use super::fault::Fault;

/// Remembers the theme in a cookie. Needs nobody signed in: it concerns the browser alone.
#[server(endpoint = "set_theme", prefix = "/_app")]
pub async fn set_theme(theme: Theme) -> Result<(), Fault> {
    let request = context::request()?;
    context::set_cookie(&request.cookies.theme(theme));
    Ok(())
}
