//! Forms that are sent by script where there is script, and by the browser where there is none.

use leptos::form::form_data_from_event;
use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos::task::spawn_local;
use leptos_router::NavigateOptions;
use leptos_router::hooks::use_navigate;

use crate::browser;
use crate::functions::fault::Fault;

/// A form on its way to a server function, and the answer as JSON text. The fields are sent as they stand in the page, so
/// the browser needs no code to read each function's arguments out of a form: that is what `ActionForm` would cost.
#[derive(Clone, Copy)]
pub(crate) struct Sending {
    path: &'static str,
    pub(crate) value: RwSignal<Option<Result<String, Fault>>>,
    pub(crate) pending: RwSignal<bool>,
}

impl Sending {
    /// To the server function `S`. After a post without script the page that comes back starts with the refusal.
    pub(crate) fn to<S: ServerFn>() -> Self {
        let refusal = refusal(S::PATH).map(Err);
        Self { path: S::PATH, value: RwSignal::new(refusal), pending: RwSignal::new(false) }
    }

    pub(crate) fn is_done(self) -> bool {
        self.value.with(|value| matches!(value, Some(Ok(_))))
    }

    pub(crate) fn fault(self) -> Signal<Option<Fault>> {
        Signal::derive(move || self.value.with(|value| value.as_ref().and_then(|value| value.as_ref().err().cloned())))
    }

    /// The answer of a function that answers with a text: where to go, a name, how far a change has come.
    pub(crate) fn text(self) -> Option<String> {
        self.value.with(|value| serde_json::from_str(value.as_ref()?.as_ref().ok()?).ok())
    }

    fn send(self, event: &web_sys::SubmitEvent) {
        event.prevent_default();
        // Pressed twice, sent once.
        if self.pending.get_untracked() {
            return;
        }
        let Ok(data) = form_data_from_event(event) else { return };
        let body = browser::encoded(&data);
        self.pending.set(true);
        spawn_local(async move {
            let answer = browser::post_form(self.path, &body).await;
            // The form may be gone by now.
            self.pending.try_set(false);
            self.value.try_set(Some(answer));
        });
    }
}

#[cfg(feature = "ssr")]
fn refusal(path: &str) -> Option<Fault> {
    let error = use_context::<leptos::server::ServerActionError>().filter(|error| error.path() == path)?;
    Some(leptos::server_fn::error::ServerFnUrlError::<Fault>::decode_err(error.err()))
}

#[cfg(not(feature = "ssr"))]
const fn refusal(_path: &str) -> Option<Fault> {
    None
}

/// A form that is sent to a server function. `plain` is where it goes without script, if a page of its own answers it there.
#[component]
pub(crate) fn SendForm(to: Sending, #[prop(optional, into)] plain: Option<String>, children: Children) -> impl IntoView {
    let address = plain.unwrap_or_else(|| to.path.to_owned());
    view! {
        <form action=address method="post" on:submit=move |event| to.send(&event)>
            {children()}
        </form>
    }
}

/// The query of a form's fields without those that ask for nothing, with its question mark if anything is left.
fn asked(encoded: &str) -> String {
    let parts = encoded.split('&').filter(|part| !part.is_empty() && !part.ends_with('=')).collect::<Vec<_>>();
    if parts.is_empty() { String::new() } else { format!("?{}", parts.join("&")) }
}

/// A form whose fields become the query of an address of this console.
#[component]
pub(crate) fn QueryForm(action: String, children: Children) -> impl IntoView {
    let navigate = use_navigate();
    let path = action.clone();
    let look = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        event.stop_propagation();
        if let Ok(data) = form_data_from_event(&event) {
            navigate(&format!("{path}{}", asked(&browser::encoded(&data))), NavigateOptions::default());
        }
    };
    view! {
        <form method="GET" action=action on:submit=look>
            {children()}
        </form>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_left_empty_are_no_part_of_the_address() {
        assert_eq!(asked("q=&state=active&sort="), "?state=active");
        assert_eq!(asked("q=a%3D&state="), "?q=a%3D");
        assert_eq!(asked("q=&state="), "");
        assert_eq!(asked(""), "");
    }
}
