use leptos::prelude::*;

/// The document's title. The server writes it into the head; in the browser it is set when the page comes, which needs none
/// of the machinery that the framework has for titles that change by themselves.
#[component]
pub(crate) fn Title(#[prop(into)] text: String) -> impl IntoView {
    #[cfg(feature = "ssr")]
    // Made for what it does then, not for what it shows.
    drop(leptos_meta::Title(leptos_meta::TitleProps::builder().text(text).build()));
    #[cfg(not(feature = "ssr"))]
    document().set_title(&text);
}
