//! Cross-site request forgery: a request with side effects has to come from our own pages, or from no page at all.
//!
//! `Sec-Fetch-Site` decides where a browser sends it, the exact `Origin` where it does not (plain HTTP, old browsers). The
//! layer stands before everything that can change something, sign-in and set-up included.

use axum::extract::{Request, State};
use axum::http::header::{COOKIE, ORIGIN, VARY};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;
use keyfold_domain::problem::{Problem, ProblemCode};

use crate::compat;
use crate::router::{Area, refuse};
use crate::state::AppState;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// A header as found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found<'a> {
    Absent,
    One(&'a str),
    /// Sent more than once, or not text.
    Odd,
}

impl<'a> Found<'a> {
    fn of(headers: &'a HeaderMap, name: &HeaderName) -> Self {
        let mut values = headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (None, _) => Self::Absent,
            (Some(only), None) => only.to_str().map_or(Self::Odd, Self::One),
            (Some(_), Some(_)) => Self::Odd,
        }
    }
}

/// May a request with side effects that says this about where it comes from go on? `own` is the public origin.
fn may_pass(site: Found<'_>, origin: Found<'_>, with_cookie: bool, own: &str) -> bool {
    match (site, origin) {
        (Found::One("same-origin" | "none"), _) => true,
        (Found::One(_) | Found::Odd, _) | (Found::Absent, Found::Odd) => false,
        // An opaque origin says "null", which can never equal ours.
        (Found::Absent, Found::One(origin)) => origin == own,
        // No browser: nobody else's cookie can be in play if there is none.
        (Found::Absent, Found::Absent) => !with_cookie,
    }
}

/// Lets requests without side effects pass, and others only from our own origin; but see `compat::docsgpt`.
pub(crate) async fn same_origin_only(State(state): State<AppState>, request: Request, next: Next) -> Response {
    // No cookie opens those routes, so nobody's browser can be made to speak for them there.
    let open = Area::of(&request) == Area::Docsgpt && compat::docsgpt::is_for_any_origin(request.uri().path());
    if open || matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return next.run(request).await;
    }
    let headers = request.headers();
    let passes = may_pass(
        Found::of(headers, &SEC_FETCH_SITE),
        Found::of(headers, &ORIGIN),
        headers.contains_key(COOKIE),
        state.config.public_url.origin(),
    );
    let mut response = if passes { next.run(request).await } else { refuse(Area::of(&request), &foreign(&state)) };
    response.headers_mut().append(VARY, HeaderValue::from_static("Sec-Fetch-Site, Origin"));
    response
}

fn foreign(state: &AppState) -> Problem {
    let message = format!(
        "This request did not come from a page of {}. Open Keyfold under that address, or have its administrator set public_url.",
        state.config.public_url.origin()
    );
    Problem::new(ProblemCode::Forbidden, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "https://keys.example.com";

    /// The whole table: rows are `Sec-Fetch-Site`, columns are `Origin`, without and with a cookie.
    #[test]
    fn the_table_of_origins_holds() {
        use Found::{Absent, Odd, One};
        let origins = [One(OWN), One("https://evil.example"), One("null"), Odd, Absent];
        let all = [[true; 2]; 5];
        let none = [[false; 2]; 5];
        let by_origin = [[true, true], [false, false], [false, false], [false, false], [true, false]];
        let rows = [
            (One("same-origin"), all),
            (One("none"), all),
            (One("same-site"), none),
            (One("cross-site"), none),
            (One("Same-Origin"), none),
            (One(""), none),
            (Odd, none),
            (Absent, by_origin),
        ];
        for (site, expected) in rows {
            for (origin, passes) in origins.into_iter().zip(expected) {
                let found = [false, true].map(|with_cookie| may_pass(site, origin, with_cookie, OWN));
                assert_eq!(found, passes, "{site:?} {origin:?}");
            }
        }
    }

    #[test]
    fn an_origin_must_be_equal_to_the_letter() {
        for near in [
            "http://keys.example.com",
            "https://keys.example.com:8443",
            "https://keys.example.com.evil.example",
            "https://keys.example.com/",
            "HTTPS://KEYS.EXAMPLE.COM",
        ] {
            assert!(!may_pass(Found::Absent, Found::One(near), false, OWN), "{near}");
        }
    }

    #[test]
    fn a_header_sent_twice_is_not_believed() {
        let value = HeaderValue::from_static("same-origin");
        let mut headers = HeaderMap::from_iter([(SEC_FETCH_SITE, value.clone())]);
        assert_eq!(Found::of(&headers, &SEC_FETCH_SITE), Found::One("same-origin"));
        headers.append(SEC_FETCH_SITE, value);
        assert_eq!(Found::of(&headers, &SEC_FETCH_SITE), Found::Odd);
        assert_eq!(Found::of(&headers, &ORIGIN), Found::Absent);
    }
}
