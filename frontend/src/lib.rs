//! The browser's entry point. No logic: the app does the rest.

use wasm_bindgen::prelude::wasm_bindgen;

/// Wakes the page that the server rendered.
#[wasm_bindgen]
pub fn hydrate() {
    keyfold_app::when_fetched(|| {
        leptos::mount::hydrate_body(keyfold_app::App);
        keyfold_app::mark_alive();
    });
}
