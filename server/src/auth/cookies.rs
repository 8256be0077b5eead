//! The session cookie: what it is called here, and reading it from a request.

use axum::http::HeaderMap;
use axum::http::header::COOKIE;
use keyfold_app::functions::context::SessionCookies;

use crate::config::Config;

/// How session cookies are named and guarded on this server. The prefix `__Host-` binds a cookie to this host, to the
/// root path and to a secure origin; on plain HTTP browsers drop such a cookie, so the name goes without.
pub(crate) fn session_cookies(config: &Config) -> SessionCookies {
    if config.secure_cookies() {
        SessionCookies { name: "__Host-kf_session", secure: true }
    } else {
        SessionCookies { name: "kf_session", secure: false }
    }
}

/// The value of a cookie in a request; `None` if there is none, or more than one, as a neighbour site can plant them.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let pairs = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(';'));
    let mut values = pairs.filter_map(|pair| pair.trim().split_once('=')).filter(|(found, _)| *found == name).map(|(_, value)| value);
    match (values.next(), values.next()) {
        (Some(value), None) if !value.is_empty() => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookies(line: &str) -> HeaderMap {
        HeaderMap::from_iter([(COOKIE, line.parse().unwrap())])
    }

    #[test]
    fn the_name_promises_only_what_browsers_keep() {
        let named = |settings: &[(&str, &str)]| session_cookies(&Config::of(settings).unwrap());
        assert_eq!(named(&[]), SessionCookies { name: "__Host-kf_session", secure: true });
        assert_eq!(named(&[("public_url", "https://keys.example.com")]).name, "__Host-kf_session");
        assert_eq!(named(&[("allow_insecure_http", "true")]), SessionCookies { name: "kf_session", secure: false });
    }

    #[test]
    fn only_the_cookie_of_that_name_is_read() {
        let name = "__Host-kf_session";
        assert_eq!(cookie(&cookies("kf_theme=dark; __Host-kf_session=abc"), name), Some("abc"));
        assert_eq!(cookie(&cookies("kf_session=abc"), name), None);
        assert_eq!(cookie(&cookies("__Host-kf_session="), name), None);
        assert_eq!(cookie(&HeaderMap::new(), name), None);
    }

    #[test]
    fn two_cookies_of_one_name_are_none() {
        assert_eq!(cookie(&cookies("kf_session=abc; kf_session=def"), "kf_session"), None);
        let mut twice = cookies("kf_session=abc");
        twice.append(COOKIE, "kf_session=def".parse().unwrap());
        assert_eq!(cookie(&twice, "kf_session"), None);
    }
}
