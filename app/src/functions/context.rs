//! What a server function knows of its request, and how it replies.
//!
//! The server must put one [`RequestContext`] into Leptos's context (`provide_context`) for every page it renders and for
//! every server function it runs, after it has found out who is asking. Nothing else is expected of it, besides what
//! `leptos_axum` provides itself (`Parts`, `ResponseOptions`). After a refused form post of a new key it also provides a
//! [`SubmittedKeyForm`] and renders the page of that form again.

use keyfold_domain::problem::Problem;
use serde::{Deserialize, Serialize};

use crate::key_form::KeyForm;

/// The look that a person chose. The cookie [`THEME_COOKIE`] holds its name; no cookie means [`Theme::System`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Theme {
    #[default]
    System,
    Light,
    Dark,
}

/// The cookie that remembers the theme. It is no secret.
pub const THEME_COOKIE: &str = "kf_theme";

impl Theme {
    /// Every theme, in the order they are offered.
    pub const ALL: [Self; 3] = [Self::System, Self::Light, Self::Dark];

    /// The name in forms and in the cookie.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// The theme that the cookie's value names; `System` for anything else.
    pub fn from_cookie(value: &str) -> Self {
        Self::ALL.into_iter().find(|theme| theme.as_str() == value).unwrap_or_default()
    }

    /// The value of `<html data-theme>`; `None` leaves it to the system.
    pub const fn attribute(self) -> Option<&'static str> {
        match self {
            Self::System => None,
            Self::Light => Some("light"),
            Self::Dark => Some("dark"),
        }
    }
}

/// A form of a new key that was refused, to be shown again as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubmittedKeyForm {
    /// What was typed.
    pub form: KeyForm,
    /// Why it was refused.
    pub problem: Problem,
}

#[cfg(feature = "ssr")]
pub use server::{RequestContext, SessionCookies};
#[cfg(feature = "ssr")]
pub(crate) use server::{actor, go_to, note_status, reply, reply_to_form, request, set_cookie};

#[cfg(feature = "ssr")]
mod server {
    use axum::http::header::{ACCEPT, SET_COOKIE};
    use axum::http::request::Parts;
    use axum::http::{HeaderValue, Method, StatusCode};
    use keyfold_domain::policy::Actor;
    use keyfold_domain::problem::{Problem, ProblemCode};
    use keyfold_domain::time::Timestamp;
    use keyfold_engine::{Engine, SessionToken};
    use leptos::prelude::use_context;
    use leptos_axum::ResponseOptions;

    use super::{THEME_COOKIE, Theme};
    use crate::functions::fault::Fault;
    use crate::functions::preferences::HiddenColumns;

    /// How this installation names and guards its session cookie.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct SessionCookies {
        /// `__Host-kf_session`, or `kf_session` where plain HTTP is allowed.
        pub name: &'static str,
        /// Whether the browser may only send it over HTTPS (and to loopback).
        pub secure: bool,
    }

    impl SessionCookies {
        /// The `Set-Cookie` value that signs a browser in until `expires_at`.
        pub fn sign_in(self, token: &SessionToken, now: Timestamp, expires_at: Timestamp) -> String {
            let seconds = expires_at.millis_since(now).max(0) / 1000;
            format!("{}={}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{}", self.name, token.expose(), self.guard())
        }

        /// The `Set-Cookie` value that signs a browser out.
        pub fn sign_out(self) -> String {
            format!("{}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0{}", self.name, self.guard())
        }

        /// The `Set-Cookie` value that remembers a theme for a year, or forgets it.
        pub fn theme(self, theme: Theme) -> String {
            self.preference(THEME_COOKIE, theme.attribute())
        }

        /// The `Set-Cookie` value that remembers a choice about this browser for a year, or forgets it. Never a secret.
        pub fn preference(self, name: &str, value: Option<&str>) -> String {
            let (value, seconds) = value.map_or(("", 0), |value| (value, 31_536_000));
            format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{}", self.guard())
        }

        const fn guard(self) -> &'static str {
            if self.secure { "; Secure" } else { "" }
        }
    }

    /// One request: who asks, from where, and what the reply needs to know.
    #[derive(Clone)]
    pub struct RequestContext {
        /// The services.
        pub engine: Engine,
        /// Who is asking; anonymous if nobody is signed in.
        pub actor: Actor,
        /// How to write the session cookie.
        pub cookies: SessionCookies,
        /// The address of this server in snippets, without a slash at the end.
        pub public_url: String,
        /// The page came over plain HTTP from elsewhere than this machine: warn.
        pub insecure_http: bool,
        /// From the cookie `kf_theme`.
        pub theme: Theme,
        /// From the cookie `kf_columns`.
        pub hidden_columns: HiddenColumns,
        /// Single keys may act; `kf_shortcuts=off` says that they may not.
        pub shortcuts: bool,
    }

    impl RequestContext {
        /// The present moment, by the engine's clock.
        pub fn now(&self) -> Timestamp {
            self.engine.now()
        }
    }

    /// The request that is being answered.
    pub(crate) fn request() -> Result<RequestContext, Fault> {
        use_context().ok_or_else(|| Problem::new(ProblemCode::Internal, "Something went wrong on our side.").into())
    }

    /// The request, and who is asking, if somebody is signed in.
    pub(crate) fn actor() -> Result<(RequestContext, Actor), Fault> {
        let request = request()?;
        let actor = request.actor.clone();
        Ok((request, actor))
    }

    /// Is a page being rendered, as against a server function called by a browser?
    fn is_page_render() -> bool {
        use_context::<Parts>().is_none_or(|parts| parts.method == Method::GET || !parts.uri.path().starts_with("/_app/"))
    }

    /// Did a plain form post bring this request? Then the browser, not our script, reads the reply.
    fn is_plain_form() -> bool {
        let html =
            |parts: Parts| parts.headers.get(ACCEPT).and_then(|value| value.to_str().ok()).is_some_and(|value| value.contains("text/html"));
        !is_page_render() && use_context::<Parts>().is_some_and(html)
    }

    /// Gives the reply the status of a refusal.
    pub(crate) fn note_status(problem: &Problem) {
        // A plain form post is answered by a redirect; a page whose reader is signed out redirects to the sign-in.
        let redirects = is_plain_form() || (is_page_render() && problem.code == ProblemCode::Unauthenticated);
        if let (false, Some(response), Ok(status)) = (redirects, use_context::<ResponseOptions>(), StatusCode::from_u16(problem.status())) {
            response.set_status(status);
            if let Some(seconds) = problem.retry_after {
                response.insert_header(axum::http::header::RETRY_AFTER, HeaderValue::from(seconds));
            }
        }
    }

    /// The answer of a service as the answer of a server function, with its HTTP status.
    pub(crate) fn reply<T, E: Into<Fault>>(result: Result<T, E>) -> Result<T, Fault> {
        result.map_err(|error| {
            let fault = error.into();
            note_status(&fault.problem);
            fault
        })
    }

    /// As [`reply`], and a plain form post gets back what was typed. Never name a secret here.
    pub(crate) fn reply_to_form<T, E: Into<Fault>>(result: Result<T, E>, typed: &[(&str, &str)]) -> Result<T, Fault> {
        reply(result).map_err(|mut fault| {
            if is_plain_form() {
                fault.typed = typed.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            }
            fault
        })
    }

    /// Where a plain form post leads after it was done. Script decides for itself.
    pub(crate) fn go_to(path: &str) {
        if is_plain_form() {
            leptos_axum::redirect(path);
        }
    }

    /// Adds a `Set-Cookie` header.
    pub(crate) fn set_cookie(value: &str) {
        if let (Some(response), Ok(mut value)) = (use_context::<ResponseOptions>(), HeaderValue::from_str(value)) {
            value.set_sensitive(true);
            response.append_header(SET_COOKIE, value);
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn cookies_are_guarded() {
            let guarded = SessionCookies { name: "__Host-kf_session", secure: true };
            assert_eq!(guarded.sign_out(), "__Host-kf_session=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0; Secure");
            assert_eq!(guarded.theme(Theme::Dark), "kf_theme=dark; Path=/; HttpOnly; SameSite=Lax; Max-Age=31536000; Secure");
            let open = SessionCookies { name: "kf_session", secure: false };
            assert_eq!(open.theme(Theme::System), "kf_theme=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0");
        }
    }
}
