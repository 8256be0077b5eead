//! Headers that every answer carries, whoever made it.

use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::config::Config;

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");

/// For answers that are no pages: nothing may be loaded, run or framed.
const NOTHING: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
pub(crate) const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
pub(crate) const NO_SNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const SAME_ORIGIN: HeaderValue = HeaderValue::from_static("same-origin");
const ONE_YEAR: HeaderValue = HeaderValue::from_static("max-age=31536000; includeSubDomains");
/// Nothing but copying to the clipboard. Only names that browsers know: they complain about others in their console.
const FEATURES: HeaderValue = HeaderValue::from_static(
    "accelerometer=(), camera=(), clipboard-read=(), clipboard-write=(self), display-capture=(), fullscreen=(), geolocation=(), gyroscope=(), \
     magnetometer=(), microphone=(), midi=(), payment=(), picture-in-picture=(), publickey-credentials-get=(), screen-wake-lock=(), \
     usb=(), xr-spatial-tracking=()",
);

/// Adds what is missing. An answer may be cached only if it says so itself, and only a page says what it may load.
pub(crate) fn harden(config: &Config, headers: &mut HeaderMap) {
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(NOTHING);
    headers.entry(CACHE_CONTROL).or_insert(NO_STORE);
    headers.insert(X_CONTENT_TYPE_OPTIONS, NO_SNIFF);
    // Not `no-referrer`: with that, Chromium sends `Origin: null` with a form, and the check of origins refuses it.
    headers.insert(REFERRER_POLICY, SAME_ORIGIN);
    headers.insert(PERMISSIONS_POLICY, FEATURES);
    headers.insert(RESOURCE_POLICY, SAME_ORIGIN);
    if !config.is_insecure() {
        // Browsers ignore it on plain HTTP and say so in their console.
        headers.insert(OPENER_POLICY, SAME_ORIGIN);
    }
    if config.public_url.is_https() {
        headers.insert(STRICT_TRANSPORT_SECURITY, ONE_YEAR);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hardened(settings: &[(&str, &str)], own: &[(HeaderName, &'static str)]) -> HeaderMap {
        let mut headers = own.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect();
        harden(&Config::of(settings).unwrap(), &mut headers);
        headers
    }

    #[test]
    fn an_answer_that_says_nothing_may_load_and_be_kept_nowhere() {
        let headers = hardened(&[], &[]);
        assert_eq!((&headers[CONTENT_SECURITY_POLICY], &headers[CACHE_CONTROL]), (&NOTHING, &NO_STORE));
        assert_eq!((&headers[X_CONTENT_TYPE_OPTIONS], &headers[REFERRER_POLICY]), (&NO_SNIFF, &SAME_ORIGIN));
    }

    #[test]
    fn a_page_keeps_its_own_policy() {
        let headers = hardened(&[], &[(CONTENT_SECURITY_POLICY, "default-src 'self'"), (CACHE_CONTROL, "public")]);
        assert_eq!(
            (headers[CONTENT_SECURITY_POLICY].to_str().unwrap(), headers[CACHE_CONTROL].to_str().unwrap()),
            ("default-src 'self'", "public")
        );
    }

    #[test]
    fn transport_security_is_for_https_and_isolation_for_secure_origins() {
        let https = hardened(&[("public_url", "https://keys.example.com")], &[]);
        assert!(https.contains_key(STRICT_TRANSPORT_SECURITY) && https.contains_key(OPENER_POLICY));
        let loopback = hardened(&[], &[]);
        assert!(!loopback.contains_key(STRICT_TRANSPORT_SECURITY) && loopback.contains_key(OPENER_POLICY));
        let open = hardened(&[("public_url", "http://keys.example.com"), ("allow_insecure_http", "true")], &[]);
        assert!(!open.contains_key(STRICT_TRANSPORT_SECURITY) && !open.contains_key(OPENER_POLICY));
    }
}
