//! The one appearance of a secret. It lives in one signal, which is emptied when the dialog is done.

use keyfold_domain::key::IssuedKey;
use leptos::__reexports::send_wrapper::SendWrapper;
use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::Icon;
use super::dialog::PAGE_TITLE;
use crate::browser::{self, WindowListener};

const STAYS: &str = "This stays open so that the secret is not lost: copy it, or tick the box, then choose Done.";
const COPIED: &str = "Copied.";
const PRESS: &str = "Your browser did not let this page copy. The secret is selected: press Ctrl+C, or ⌘C on a Mac.";

/// A ready call of this very server with the new key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Snippet {
    Curl,
    Python,
    JavaScript,
}

impl Snippet {
    pub(crate) const ALL: [Self; 3] = [Self::Curl, Self::Python, Self::JavaScript];

    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Curl => "curl",
            Self::Python => "Python",
            Self::JavaScript => "JavaScript",
        }
    }

    /// The code, complete: it works as pasted, with nothing to install.
    pub(crate) fn code(self, public_url: &str, secret: &str) -> String {
        match self {
            Self::Curl => format!("curl {public_url}/v1/whoami \\\n  -H \"Authorization: Bearer {secret}\""),
            Self::Python => format!(
                "import json\nimport urllib.request\n\nrequest = urllib.request.Request(\n    \"{public_url}/v1/whoami\",\n    \
                 headers={{\"Authorization\": \"Bearer {secret}\"}},\n)\nwith urllib.request.urlopen(request) as answer:\n    \
                 print(json.load(answer))"
            ),
            Self::JavaScript => format!(
                "const answer = await fetch(\"{public_url}/v1/whoami\", {{\n  headers: {{ Authorization: \"Bearer {secret}\" }},\n}});\n\
                 console.log(await answer.json());"
            ),
        }
    }
}

/// The text of the file that *Download .env* saves.
pub(crate) fn env_file(secret: &str) -> String {
    format!("KEYFOLD_KEY={secret}\n")
}

/// What the parts of the dialog share.
#[derive(Clone, Copy)]
struct Reveal {
    issued: RwSignal<Option<IssuedKey>>,
    public_url: StoredValue<String>,
    hidden: RwSignal<bool>,
    copied: RwSignal<bool>,
    ticked: RwSignal<bool>,
    said: RwSignal<&'static str>,
    secret: NodeRef<html::Code>,
    code: NodeRef<html::Code>,
}

impl Reveal {
    fn text(self) -> String {
        self.issued.with(|issued| issued.as_ref().map(|issued| issued.secret.expose().to_owned()).unwrap_or_default())
    }

    /// What is on the screen in place of the secret.
    fn shown(self) -> String {
        let hint = || self.issued.with(|issued| issued.as_ref().map(|issued| issued.key.hint.clone()).unwrap_or_default());
        if self.hidden.get() { hint() } else { self.text() }
    }

    fn is_safe(self) -> bool {
        self.copied.get() || self.ticked.get()
    }

    fn is_safe_untracked(self) -> bool {
        self.copied.get_untracked() || self.ticked.get_untracked()
    }

    /// Copies what `from` shows, and says what came of it.
    fn copy(self, from: NodeRef<html::Code>, text: impl FnOnce() -> String + 'static, counts: bool) {
        self.hidden.set(false);
        self.said.set("");
        // A frame later the text is on the screen, which the way without Clipboard API needs.
        request_animation_frame(move || {
            let Some(visible) = from.get_untracked() else { return };
            spawn_local(async move {
                let done = browser::copy(&untrack(text), &visible).await;
                if done && counts {
                    self.copied.set(true);
                } else if !done {
                    browser::select(&visible);
                }
                self.said.set(if done { COPIED } else { PRESS });
            });
        });
    }

    fn finish(self) {
        self.issued.set(None);
        // A frame later, when the page is no longer inert.
        request_animation_frame(|| {
            let _ = browser::focus("add-key") || browser::focus(PAGE_TITLE);
        });
    }
}

/// Shows a new key's secret until its reader has it.
#[component]
pub(crate) fn SecretReveal(issued: RwSignal<Option<IssuedKey>>, #[prop(into)] public_url: String) -> impl IntoView {
    let reveal = Reveal {
        issued,
        public_url: StoredValue::new(public_url),
        hidden: RwSignal::new(false),
        copied: RwSignal::new(false),
        ticked: RwSignal::new(false),
        said: RwSignal::new(""),
        secret: NodeRef::new(),
        code: NodeRef::new(),
    };
    let dialog = NodeRef::<html::Dialog>::new();
    // Not a local value: the server builds and drops this on different threads, which only an empty one survives.
    let guards = StoredValue::new(None::<SendWrapper<Vec<WindowListener>>>);
    Effect::new(move || {
        let Some(dialog) = dialog.get() else { return };
        // Measured: with `cancel` prevented alone, Chromium closes at the third Esc; with this it does not.
        let _ = dialog.set_attribute("closedby", "none");
        guards.set_value(Some(SendWrapper::new(guard(reveal))));
        browser::when_inserted(dialog.clone().into(), move || {
            browser::show_modal(&dialog);
            browser::focus("copy-secret");
        });
    });
    let name = issued.with_untracked(|issued| issued.as_ref().map(|issued| issued.key.name.clone()).unwrap_or_default());
    view! {
        <dialog
            class="dialog"
            aria-labelledby="secret-title"
            aria-describedby="secret-warning"
            node_ref=dialog
            on:cancel=move |event: web_sys::Event| {
                event.prevent_default();
                reveal.said.set(STAYS);
            }
            on:close=move |_| {
                // A browser without `closedby` closed it all the same: open it again.
                if let Some(dialog) = dialog.get_untracked() {
                    browser::show_modal(&dialog);
                    reveal.said.set(STAYS);
                }
            }
            on:keydown=move |event| {
                if event.key() == "Escape" {
                    reveal.said.set(STAYS);
                }
            }
        >
            <div class="dialog-head">
                <div>
                    <h2 id="secret-title">"Copy your new key"</h2>
                    <p id="secret-warning">
                        "This is the only time the secret of "
                        <strong class="break">{if name.is_empty() { "this key".into() } else { name }}</strong>
                        " is shown. Keyfold keeps a fingerprint of it, not the secret."
                    </p>
                </div>
            </div>
            <div class="dialog-body">
                <Secret reveal />
                <Snippets reveal />
                <label class="check">
                    <input
                        type="checkbox"
                        id="stored"
                        on:change=move |event| reveal.ticked.set(event_target_checked(&event))
                    />
                    <span>"I have stored it in a safe place"</span>
                </label>
            </div>
            <div class="dialog-foot">
                <span class="dialog-aside" role="status">
                    {move || match (reveal.said.get(), reveal.is_safe()) {
                        ("", false) => "Copy it or tick the box to finish.",
                        ("", true) => "",
                        (said, _) => said,
                    }}
                </span>
                <button class="button button-primary" prop:disabled=move || !reveal.is_safe() on:click=move |_| reveal.finish()>
                    "Done"
                </button>
            </div>
        </dialog>
    }
}

/// As long as the secret is not safe: a warning before the page is left, and Back leads nowhere.
fn guard(reveal: Reveal) -> Vec<WindowListener> {
    browser::hold_history();
    let unload = WindowListener::new("beforeunload", move |event| {
        if !reveal.is_safe_untracked() {
            browser::warn_before_unload(&event);
        }
    });
    let back = WindowListener::new("popstate", move |event| {
        if reveal.is_safe_untracked() {
            reveal.finish();
        } else {
            event.stop_immediate_propagation();
            browser::hold_history();
            reveal.said.set(STAYS);
        }
    });
    vec![unload, back]
}

#[component]
fn Secret(reveal: Reveal) -> impl IntoView {
    let class = move || if reveal.hidden.get() { "secret-text hidden-secret" } else { "secret-text" };
    let save = move |_| {
        let saved = browser::download("keyfold.env", &env_file(&untrack(move || reveal.text())));
        reveal.said.set(if saved.is_ok() { "Saved as keyfold.env, if your browser allowed it." } else { PRESS });
    };
    view! {
        <div class="secret">
            <code class=class id="secret" translate="no" node_ref=reveal.secret>
                {move || reveal.shown()}
            </code>
            <div class="row">
                <button
                    class="button button-primary"
                    id="copy-secret"
                    on:click=move |_| reveal.copy(reveal.secret, move || reveal.text(), true)
                >
                    {move || view! { <Icon name=if reveal.copied.get() { "check" } else { "copy" } /> }}
                    {move || if reveal.copied.get() { "Copied" } else { "Copy" }}
                </button>
                <button class="button" on:click=save>
                    <Icon name="download" />
                    "Download .env"
                </button>
                <span class="grow"></span>
                <button class="button button-quiet" on:click=move |_| reveal.hidden.update(|hidden| *hidden = !*hidden)>
                    {move || view! { <Icon name=if reveal.hidden.get() { "eye" } else { "eye-off" } /> }}
                    {move || if reveal.hidden.get() { "Show" } else { "Hide" }}
                </button>
            </div>
        </div>
    }
}

#[component]
fn Snippets(reveal: Reveal) -> impl IntoView {
    let chosen = RwSignal::new(Snippet::Curl);
    let code = move |secret: String| reveal.public_url.with_value(|url| chosen.get().code(url, &secret));
    view! {
        <div class="snippets">
            <div class="snippet-bar">
                <div class="segments" role="group" aria-label="Language of the first call">
                    {Snippet::ALL
                        .map(|snippet| {
                            view! {
                                <button
                                    class="segment"
                                    aria-pressed=move || if chosen.get() == snippet { "true" } else { "false" }
                                    on:click=move |_| chosen.set(snippet)
                                >
                                    {snippet.title()}
                                </button>
                            }
                        })
                        .collect_view()}
                </div>
                <button
                    class="button button-small button-quiet"
                    on:click=move |_| reveal.copy(reveal.code, move || code(reveal.text()), false)
                >
                    <Icon name="copy" />
                    "Copy code"
                </button>
            </div>
            <pre class="code code-wraps" tabindex="0" aria-label="First call">
                <code translate="no" node_ref=reveal.code>
                    {move || code(reveal.shown())}
                </code>
            </pre>
            <p class="small faint">"Run it as it is: the answer names this key."</p>
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_snippet_calls_this_server_with_this_key() {
        for snippet in Snippet::ALL {
            let code = snippet.code("https://keys.example.com", "kf_sec_x");
            assert!(code.contains("https://keys.example.com/v1/whoami"), "{code}");
            assert!(code.contains("Bearer kf_sec_x"), "{code}");
        }
        assert_eq!(env_file("kf_sec_x"), "KEYFOLD_KEY=kf_sec_x\n");
    }
}
