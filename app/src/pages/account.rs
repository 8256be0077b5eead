use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::NavigateOptions;
use leptos_router::hooks::use_navigate;

use super::console::ViewerResource;
use super::not_found::Trouble;
use crate::components::{Icon, SendForm, Sending, ThemeSwitch};
use crate::functions::sessions::{SignOut, Viewer};

/// The person at the screen: who they are here, the theme, signing out.
#[component]
pub(crate) fn AccountPage() -> impl IntoView {
    let viewer = expect_context::<ViewerResource>();
    view! {
        <Title text="Account · Keyfold" />
        <main class="page page-narrow" id="main" tabindex="-1">
            <div class="page-head">
                <div>
                    <h1 id="page-title" tabindex="-1">
                        "Account"
                    </h1>
                    <p>"You, on this server."</p>
                </div>
            </div>
            <Suspense>
                {move || Suspend::new(async move {
                    match viewer.await {
                        Ok(Some(viewer)) => view! { <Account viewer /> }.into_any(),
                        Ok(None) => ().into_any(),
                        Err(fault) => view! { <Trouble fault /> }.into_any(),
                    }
                })}
            </Suspense>
        </main>
    }
    .into_any()
}

#[component]
fn Account(viewer: Viewer) -> impl IntoView {
    let sign_out = Sending::to::<SignOut>();
    let navigate = use_navigate();
    Effect::new(move || {
        if sign_out.is_done() {
            navigate("/sign-in", NavigateOptions::default());
        }
    });
    let places = viewer.workspaces.iter().map(|place| {
        let role = place.role.map_or("instance administrator", |role| role.as_str());
        format!("{} ({role})", place.name)
    });
    let places = places.collect::<Vec<_>>().join(", ");
    let rank = if viewer.instance_admin { "Instance administrator" } else { "User" };
    view! {
        <div class="panel">
            <section class="account-section">
                <h2>"Profile"</h2>
                <dl class="facts">
                    <dt>"Name"</dt>
                    <dd class="break">{viewer.user.display_name}</dd>
                    <dt>"Username"</dt>
                    <dd class="break">{viewer.user.username}</dd>
                    <dt>"Rank"</dt>
                    <dd>{rank}</dd>
                    <dt>"Workspaces"</dt>
                    <dd class="break">{if places.is_empty() { "None yet".into() } else { places }}</dd>
                </dl>
            </section>
            <section class="account-section">
                <h2>"Theme"</h2>
                <div class="stack-tight">
                    <div class="row theme-row">
                        <ThemeSwitch theme=viewer.theme />
                    </div>
                    <p class="small faint">"System follows your device. The choice is kept in this browser."</p>
                </div>
            </section>
            <section class="account-section">
                <h2>"Session"</h2>
                <SendForm to=sign_out>
                    <button class="button">
                        <Icon name="log-out" />
                        "Sign out"
                    </button>
                </SendForm>
            </section>
        </div>
    }
}
