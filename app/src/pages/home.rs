use leptos::prelude::*;

use super::console::Gate;
use super::not_found::{Forward, Trouble};
use crate::components::Title;
use crate::functions::sessions::{Home, get_home};

/// `/` leads on to where its reader belongs.
#[component]
pub(crate) fn HomePage() -> impl IntoView {
    let home = Resource::new_blocking(|| (), |()| get_home());
    view! {
        <Title text="Keyfold" />
        <Suspense>
            {move || Suspend::new(async move {
                match home.await {
                    Ok(Home::SetUp) => view! { <Forward path="/setup" /> }.into_any(),
                    Ok(Home::SignIn) => view! { <Forward path="/sign-in" /> }.into_any(),
                    Ok(Home::Workspace(slug)) => view! { <Forward path=format!("/w/{slug}/keys") /> }.into_any(),
                    Ok(Home::Nowhere) => {
                        view! {
                            <Gate title="No workspace yet" intro="Ask an administrator to let you into one. Then load this page again.">
                                <a class="button" href="/account">
                                    "Your account"
                                </a>
                            </Gate>
                        }
                            .into_any()
                    }
                    Err(fault) => view! { <main class="page"><Trouble fault /></main> }.into_any(),
                }
            })}
        </Suspense>
    }
    .into_any()
}
