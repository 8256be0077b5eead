//! The page that answers a form post for a one-time link where script did not run. It is plain: no script, nothing to hydrate.

use leptos::prelude::*;

/// What the page says of its link.
#[derive(Debug)]
pub struct LinkWords {
    /// The heading.
    pub title: &'static str,
    /// What the link is for, and who gets it.
    pub text: &'static str,
    /// How long it is good.
    pub life: &'static str,
}

/// The link, for this one time.
#[component]
pub(crate) fn LinkOncePage(link: String, words: &'static LinkWords, back: String) -> impl IntoView {
    view! {
        <main class="page page-narrow" id="main">
            <div class="page-head">
                <div>
                    <h1>{words.title}</h1>
                    <p>
                        "This is the only time the link is shown. Loading this page again does not bring it back. "
                        {words.text}
                    </p>
                </div>
            </div>
            <div class="stack">
                <div class="secret">
                    <code class="secret-text" id="one-time-link" translate="no">
                        {link}
                    </code>
                    <p class="small soft">"One click on the link selects all of it. Then copy it: Ctrl+C, or ⌘C on a Mac."</p>
                </div>
                <p class="soft">{words.life}</p>
                <p>
                    <a class="button button-primary" href=back>
                        "I have copied it: to the list"
                    </a>
                </p>
            </div>
        </main>
    }
}
