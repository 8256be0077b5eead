//! The pages that answer a form post of a new key where script did not run. They are plain: no script, nothing to hydrate.

use keyfold_domain::key::IssuedKey;
use leptos::prelude::*;

use crate::components::Snippet;

/// The secret, for this one time.
#[component]
pub(crate) fn SecretOncePage(issued: IssuedKey, slug: String, public_url: String) -> impl IntoView {
    let secret = issued.secret.expose().to_owned();
    let snippets = Snippet::ALL.map(|snippet| {
        view! {
            <div class="stack-tight">
                <h2 class="snippet-title">{snippet.title()}</h2>
                <pre class="code code-wraps">
                    <code translate="no">{snippet.code(&public_url, &secret)}</code>
                </pre>
            </div>
        }
    });
    let name = if issued.key.name.is_empty() { "this key".to_owned() } else { issued.key.name.clone() };
    view! {
        <main class="page page-narrow" id="main">
            <div class="page-head">
                <div>
                    <h1>"Copy your new key"</h1>
                    <p>
                        "This is the only time the secret of " <strong class="break">{name}</strong>
                        " is shown. Keyfold keeps a fingerprint of it, not the secret. Loading this page again does not bring it back."
                    </p>
                </div>
            </div>
            <div class="stack">
                <div class="secret">
                    <code class="secret-text" id="secret" translate="no">
                        {secret}
                    </code>
                    <p class="small soft">"One click on the secret selects all of it. Then copy it: Ctrl+C, or ⌘C on a Mac."</p>
                </div>
                <p>
                    <a class="button button-primary" href=format!("/w/{slug}/keys")>
                        "I have stored it: to the list"
                    </a>
                </p>
                <p class="soft">"The first call: run it as it is, and the answer names this key."</p>
                {snippets.collect_view()}
            </div>
        </main>
    }
}

/// The answer to the same post of a rotation once more.
#[component]
pub(crate) fn AlreadyRotatedPage(slug: String, key_id: String) -> impl IntoView {
    view! {
        <main class="page page-narrow" id="main">
            <div class="page-head">
                <div>
                    <h1>"The new secret was shown already"</h1>
                    <p>
                        "This form was sent before and has rotated the key. The new secret works, but Keyfold keeps no secret, so it cannot show it again. "
                        "If you have not stored it, rotate the key once more."
                    </p>
                </div>
            </div>
            <div class="row">
                <a class="button button-primary" href=format!("/w/{slug}/keys/{key_id}")>
                    "To the key"
                </a>
                <a class="button" href=format!("/w/{slug}/keys/{key_id}/edit/rotate")>
                    "Rotate once more"
                </a>
            </div>
        </main>
    }
}

/// The answer to the same post once more: the key exists, its secret is gone for good.
#[component]
pub(crate) fn AlreadyShownPage(slug: String, key_id: String) -> impl IntoView {
    view! {
        <main class="page page-narrow" id="main">
            <div class="page-head">
                <div>
                    <h1>"The secret was shown already"</h1>
                    <p>
                        "This form was sent before and has made its key. Keyfold keeps no secret, so it cannot show this one again. "
                        "If you have not stored it, delete the key and make a new one."
                    </p>
                </div>
            </div>
            <div class="row">
                <a class="button button-primary" href=format!("/w/{slug}/keys")>
                    "To the list"
                </a>
                <a class="button" href=format!("/w/{slug}/keys/new")>
                    "Make a new key"
                </a>
                <a class="button" href=format!("/w/{slug}/keys/{key_id}/delete")>
                    "Delete this key"
                </a>
            </div>
        </main>
    }
}
