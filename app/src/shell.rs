//! The document around the app, and the plain pages of a new secret.

use axum::http::header::CONTENT_SECURITY_POLICY;
use axum::http::{HeaderName, HeaderValue};
use keyfold_domain::key::IssuedKey;
use leptos::config::LeptosOptions;
use leptos::nonce::use_nonce;
use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos::server_fn::error::ServerFnUrlError;
use leptos_axum::ResponseOptions;
use leptos_meta::MetaTags;

use crate::App;
use crate::components::Icon;
use crate::functions::context::{RequestContext, Theme};
use crate::functions::fault::Fault;
use crate::functions::one_time_link::OneTimeLink;
use crate::functions::preferences::OFF;
use crate::pages::link_once::{LinkOncePage, LinkWords};
use crate::pages::secret_once::{AlreadyRotatedPage, AlreadyShownPage, SecretOncePage};

/// The addresses of the built front end. Without it pages are plain and their forms still work.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SiteAssets {
    /// `/pkg/keyfold.<hash>.js`.
    pub js: Option<String>,
    /// `/pkg/keyfold.<hash>.wasm`.
    pub wasm: Option<String>,
    /// `/pkg/keyfold.<hash>.css`.
    pub css: Option<String>,
    /// `/pkg/shortcuts.<hash>.js`.
    pub shortcuts: Option<String>,
}

/// The policy of every page: nothing but our own files, and inline script only with this answer's nonce.
pub fn content_security_policy(nonce: &str) -> String {
    format!(
        "default-src 'none'; script-src 'self' 'nonce-{nonce}' 'wasm-unsafe-eval'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data:; \
         font-src 'self'; connect-src 'self'; manifest-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; \
         object-src 'none'"
    )
}

/// Puts the policy with this answer's nonce into its headers.
fn set_policy() {
    let (Some(nonce), Some(response)) = (use_nonce(), use_context::<ResponseOptions>()) else { return };
    if let Ok(value) = HeaderValue::from_str(&content_security_policy(&nonce)) {
        response.insert_header(CONTENT_SECURITY_POLICY, value);
    }
    response.insert_header(HeaderName::from_static("cache-control"), HeaderValue::from_static("no-store"));
}

/// The whole document of a page.
pub fn shell(assets: SiteAssets, _options: LeptosOptions) -> impl IntoView {
    set_policy();
    let request = use_context::<RequestContext>();
    let theme = request.as_ref().map(|request| request.theme).unwrap_or_default();
    let insecure = request.as_ref().is_some_and(|request| request.insecure_http);
    let quiet = request.as_ref().is_some_and(|request| !request.shortcuts);
    let hidden = request.map(|request| request.hidden_columns.to_string()).filter(|hidden| !hidden.is_empty());
    view! {
        <!DOCTYPE html>
        <html
            lang="en"
            data-theme=theme.attribute()
            data-shortcuts=quiet.then_some(OFF)
            data-hidden=hidden
        >
            <head>
                <Head css=assets.css />
                {assets.js.zip(assets.wasm).map(|(js, wasm)| view! { <Hydration js wasm /> })}
                {assets.shortcuts.map(|src| view! { <script type="module" src=src nonce=use_nonce()></script> })}
                <MetaTags />
            </head>
            <body>
                <App />
                <Foot />
                {insecure.then(|| view! { <InsecureBanner /> })}
            </body>
        </html>
    }
}

/// Said on every page that came over plain HTTP, above everything else by the style sheet. Outside the app as the foot is.
#[component]
fn InsecureBanner() -> impl IntoView {
    view! {
        <aside class="insecure" aria-label="Warning">
            <Icon name="lock-open" />
            <span>
                "This page came over plain HTTP: passwords and keys can be read on the way. "
                "Put Keyfold behind HTTPS before others use it."
            </span>
        </aside>
    }
}

/// What is at the foot of every page of somebody who is signed in, always in the same place. It stands outside the app, so
/// that the browser's half does not carry it; the style sheet hides it where there is no header.
#[component]
fn Foot() -> impl IntoView {
    view! {
        <footer class="foot">
            <nav aria-label="Help">
                <a href="/account/find" aria-keyshortcuts="Control+K">
                    "Find"
                </a>
                <a href="/account/keyboard">"Keyboard shortcuts"</a>
                <a href="/docs/api" rel="external">
                    "API reference"
                </a>
            </nav>
        </footer>
    }
}

#[component]
fn Head(css: Option<String>) -> impl IntoView {
    view! {
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <meta name="robots" content="noindex" />
        <link rel="icon" href="/favicon.svg" type="image/svg+xml" />
        {css.map(|href| view! { <link rel="stylesheet" href=href /> })}
    }
}

/// Fetches both halves of the front end at once and wakes the page.
#[component]
fn Hydration(js: String, wasm: String) -> impl IntoView {
    let nonce = use_nonce();
    // JSON is a safe way to write a string into script; our own addresses hold no `</`.
    let (js_text, wasm_text) = (serde_json::to_string(&js).unwrap_or_default(), serde_json::to_string(&wasm).unwrap_or_default());
    let script = format!("import start, {{ hydrate }} from {js_text};\nawait start({{ module_or_path: {wasm_text} }});\nhydrate();");
    view! {
        <link rel="modulepreload" href=js nonce=nonce.clone() />
        <link rel="preload" href=wasm r#as="fetch" r#type="application/wasm" crossorigin="anonymous" />
        <script type="module" nonce=nonce>
            {script}
        </script>
    }
}

/// A whole document without script, as text.
fn plain(css: Option<String>, theme: Theme, insecure: bool, title: &'static str, page: AnyView) -> String {
    let owner = Owner::new();
    owner.with(|| {
        view! {
            <!DOCTYPE html>
            <html lang="en" data-theme=theme.attribute()>
                <head>
                    <Head css />
                    <title>{title}</title>
                </head>
                <body>{page} {insecure.then(|| view! { <InsecureBanner /> })}</body>
            </html>
        }
        .to_html()
    })
}

/// The page that answers the plain form post of a new key: its secret, once. The server sends it with `no-store`.
pub fn render_secret_page(assets: &SiteAssets, request: &RequestContext, slug: &str, issued: IssuedKey) -> String {
    let owner = Owner::new();
    owner.with(|| {
        let page = view! { <SecretOncePage issued slug=slug.to_owned() public_url=request.public_url.clone() /> };
        plain(assets.css.clone(), request.theme, request.insecure_http, "Copy your new key · Keyfold", page.into_any())
    })
}

/// The page that answers the same post once more.
pub fn render_already_shown_page(assets: &SiteAssets, request: &RequestContext, slug: &str, key_id: &str) -> String {
    let owner = Owner::new();
    owner.with(|| {
        let page = view! { <AlreadyShownPage slug=slug.to_owned() key_id=key_id.to_owned() /> };
        plain(assets.css.clone(), request.theme, request.insecure_http, "The secret was shown already · Keyfold", page.into_any())
    })
}

/// The page that answers the same post of a rotation once more.
pub fn render_already_rotated_page(assets: &SiteAssets, request: &RequestContext, slug: &str, key_id: &str) -> String {
    let owner = Owner::new();
    owner.with(|| {
        let page = view! { <AlreadyRotatedPage slug=slug.to_owned() key_id=key_id.to_owned() /> };
        plain(assets.css.clone(), request.theme, request.insecure_http, "The new secret was shown already · Keyfold", page.into_any())
    })
}

/// The page that answers the plain form post for a one-time link. The server sends it with `no-store`.
pub fn render_link_page(
    assets: &SiteAssets,
    request: &RequestContext,
    link: &OneTimeLink,
    words: &'static LinkWords,
    back: &str,
) -> String {
    let owner = Owner::new();
    owner.with(|| {
        let page = view! { <LinkOncePage link=link.expose().to_owned() words back=back.to_owned() /> };
        plain(assets.css.clone(), request.theme, request.insecure_http, "Copy the link · Keyfold", page.into_any())
    })
}

/// Gives the page of a form that was posted to the page's own address what its form `S` is told of a refusal.
pub fn provide_refusal<S: ServerFn>(fault: &Fault) {
    let carried = ServerFnUrlError::<Fault>::new(S::PATH, fault.clone()).to_url("http://localhost/");
    let error = carried.ok().and_then(|url| url.query_pairs().find(|(name, _)| name == "__err").map(|(_, text)| text.into_owned()));
    if let Some(error) = error {
        provide_context(leptos::server::ServerActionError::new(S::PATH, &error));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_allows_no_inline_script_or_style_without_the_nonce() {
        let policy = content_security_policy("abc");
        assert!(policy.contains("'nonce-abc'") && policy.contains("frame-ancestors 'none'"));
        assert!(!policy.contains("unsafe-inline") && !policy.contains("'unsafe-eval'"));
    }
}
