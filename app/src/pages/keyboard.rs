//! Which keys do what. With script the same is shown over any page, by `?`: `frontend/scripts/palette.js` takes it from here.

use leptos::prelude::*;

use crate::components::{PAGE_TITLE, Title};

/// Keys, with a blank between those pressed one after the other, and what they do.
const EVERYWHERE: &[(&str, &str)] = &[
    ("Ctrl+K", "Find a page, a workspace or a key. On a Mac ⌘K"),
    ("/", "Search the list on the page"),
    ("?", "Show these keys"),
    ("Esc", "Close what is open"),
];
const ON_LISTS: &[(&str, &str)] = &[("c", "Create: a key, or what else the page is about")];
const PLACES: &[(&str, &str)] = &[
    ("g k", "API keys"),
    ("g r", "Resources"),
    ("g s", "Scopes"),
    ("g o", "Routes"),
    ("g m", "Members"),
    ("g a", "Audit log"),
    ("g t", "Settings"),
    ("g u", "Users, on the system dashboard"),
    ("g w", "Workspaces, on the system dashboard"),
    ("g p", "Policy, on the system dashboard"),
    ("g n", "Nodes, on the system dashboard"),
];

#[component]
pub(crate) fn KeyboardPage() -> impl IntoView {
    let group = |title: &'static str, keys: &'static [(&'static str, &'static str)]| {
        let row = |(pressed, act): &(&'static str, &'static str)| {
            let caps = pressed.split(' ').map(|key| view! { <kbd>{key}</kbd> }).collect_view();
            view! {
                <tr>
                    <th scope="row">{caps}</th>
                    <td>{*act}</td>
                </tr>
            }
        };
        view! {
            <table class="shortcuts">
                <caption>{title}</caption>
                <tbody>{keys.iter().map(row).collect_view()}</tbody>
            </table>
        }
    };
    view! {
        <Title text="Keyboard shortcuts · Keyfold" />
        <main class="page page-narrow" id="main" tabindex="-1">
            <div class="page-head">
                <div>
                    <h1 id=PAGE_TITLE tabindex="-1">
                        "Keyboard shortcuts"
                    </h1>
                    <p>"Single keys act while nothing is typed into a field and no dialog is open."</p>
                </div>
            </div>
            <div class="panel padded">
                <div class="stack" id="shortcuts">
                    {group("Everywhere", EVERYWHERE)} {group("On lists", ON_LISTS)} {group("Go to, one key after the other", PLACES)}
                    <p class="small faint">
                        "Single keys can be switched off on the page of your " <a href="/account#keyboard-title">"account"</a> "."
                    </p>
                </div>
            </div>
        </main>
    }
    .into_any()
}
