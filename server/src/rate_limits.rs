//! What is left of limits, told in the headers of the IETF's draft-ietf-httpapi-ratelimit-headers-10: `RateLimit-Policy`
//! and `RateLimit`.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use keyfold_domain::limits::Whose;
use keyfold_engine::{Allowance, Answer};

/// How much there is of what.
pub(crate) const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// What is left of it.
pub(crate) const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// Seconds in which the whole limit on requests of the management API comes back.
const REQUESTS_WINDOW: u32 = 60;

/// How one limit stands.
#[derive(Debug, Clone, Copy)]
struct Left<'a> {
    /// Whose it is, where a name alone could mean two.
    of: &'static str,
    /// What it is called: letters, digits, `_` and `-`.
    name: &'a str,
    most: u32,
    /// In so many seconds.
    window: u32,
    remaining: u32,
    /// Seconds until all of it is there again.
    whole_in: u32,
}

/// Tells how the limit on requests of the management API stands.
pub(crate) fn tell_requests(headers: &mut HeaderMap, allowance: Allowance) {
    let Allowance { limit: most, remaining, whole_in, .. } = allowance;
    tell(headers, [Left { of: "", name: "requests", most, window: REQUESTS_WINDOW, remaining, whole_in }]);
}

/// Tells how the limits of a judged key stand; nothing if it has none, or failed a check before them. Those of its owner,
/// for all of their keys together, are named `owner:…`.
pub(crate) fn tell_key(headers: &mut HeaderMap, answer: &Answer) {
    let limits = answer.limits().map(|(whose, limit, standing)| Left {
        of: if whose == Whose::Owner { "owner:" } else { "" },
        name: limit.name().as_str(),
        most: limit.most(),
        window: limit.refill().longest(),
        remaining: standing.remaining,
        whole_in: u32::try_from((standing.resets_at.millis_since(answer.at).max(0) + 999) / 1000).unwrap_or(u32::MAX),
    });
    tell(headers, limits);
}

fn tell<'a>(headers: &mut HeaderMap, limits: impl IntoIterator<Item = Left<'a>>) {
    let both = |Left { of, name, most, window, remaining, whole_in }| {
        (format!("\"{of}{name}\";q={most};w={window}"), format!("\"{of}{name}\";r={remaining};t={whole_in}"))
    };
    let (policy, left): (Vec<String>, Vec<String>) = limits.into_iter().map(both).unzip();
    if policy.is_empty() {
        return;
    }
    for (name, texts) in [(RATE_LIMIT_POLICY, policy), (RATE_LIMIT, left)] {
        if let Ok(value) = HeaderValue::try_from(texts.join(", ")) {
            headers.insert(name, value);
        }
    }
}
