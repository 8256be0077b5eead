//! What a proxy asks about: the method and the target of the request that it holds back, out of what it says in headers or
//! in the path. Whatever says it twice has to say the same.

use hyper::{HeaderMap, Method, Uri};
use keyfold_domain::problem::Problem;

use super::Refusal;

/// Which forward-auth was called, and by which way the request is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place<'p> {
    /// The workspace named in the path, by slug or id; `None` for each key's own.
    pub(super) workspace: Option<&'p str>,
    /// The length of the path up to and including `forward-auth`.
    prefix: usize,
}

/// The request that is asked about.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::dataplane) struct Asked<'r> {
    pub(in crate::dataplane) method: &'r str,
    /// Its path and query, as the client wrote them.
    pub(in crate::dataplane) target: &'r str,
}

/// The two pairs of headers in use. Traefik, Caddy and our script for `HAProxy` send the first, nginx sends the second.
const PAIRS: [(&str, &str); 2] = [("x-forwarded-method", "x-forwarded-uri"), ("x-original-method", "x-original-uri")];

impl<'p> Place<'p> {
    /// Is it a path of forward-auth? `/v1/forward-auth` or `/v1/workspaces/{ws}/forward-auth`, and perhaps another path
    /// appended to it.
    pub(in crate::dataplane) fn of(path: &'p str) -> Option<Self> {
        let (workspace, rest) = if let Some(rest) = path.strip_prefix("/v1/forward-auth") {
            (None, rest)
        } else {
            let (workspace, rest) = path.strip_prefix("/v1/workspaces/")?.split_once('/')?;
            (Some(workspace), rest.strip_prefix("forward-auth")?)
        };
        let whole = rest.is_empty() || rest.starts_with('/');
        whole.then(|| Self { workspace, prefix: path.len() - rest.len() })
    }

    /// Is it for the keys of one workspace alone?
    pub(in crate::dataplane) const fn names_workspace(&self) -> bool {
        self.workspace.is_some()
    }
}

/// The request that the proxy asks about. `method` and `uri` are those of its question.
pub(super) fn asked<'r>(place: &Place<'_>, method: &'r Method, uri: &'r Uri, headers: &'r HeaderMap) -> Result<Asked<'r>, Refusal> {
    let mut methods = Vec::with_capacity(3);
    let mut targets = Vec::with_capacity(3);
    // As Envoy asks: with the method of the request, and its path after ours.
    let appended = uri.path_and_query().map_or("", |whole| &whole.as_str()[place.prefix..]);
    if appended.starts_with('/') {
        methods.push(method.as_str());
        targets.push(appended);
    }
    for (method, target) in PAIRS {
        methods.extend(only(headers, method)?);
        targets.extend(only(headers, target)?);
    }
    match (agreed(&methods), agreed(&targets)) {
        (Ok(Some(method)), Ok(Some(target))) => Ok(Asked { method, target }),
        (Err(()), _) | (_, Err(())) => Err(Refusal::invalid(TWICE)),
        _ => Err(Refusal::invalid(UNTOLD)),
    }
}

const TWICE: &str = "The proxy says in two ways what was asked for, and they differ. Let it clear X-Original-* and X-Forwarded-* \
                     headers that clients send.";
const UNTOLD: &str = "The proxy does not say what was asked for. Let it send X-Forwarded-Method and X-Forwarded-Uri, or \
                      X-Original-Method and X-Original-URI, or append the path to the address of forward-auth.";

/// The value of a header that is there once at most.
fn only<'r>(headers: &'r HeaderMap, name: &str) -> Result<Option<&'r str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| unreadable(name)),
        (Some(_), Some(_)) => Err(Refusal::invalid(TWICE)),
    }
}

fn unreadable(name: &str) -> Refusal {
    Refusal::of(&Problem::invalid(name, "The path has to be of visible ASCII characters; others are written as %XX."))
}

/// What all say; `None` if nobody says anything.
fn agreed<'r>(said: &[&'r str]) -> Result<Option<&'r str>, ()> {
    match said {
        [] => Ok(None),
        [first, others @ ..] if others.iter().all(|other| other == first) => Ok(Some(first)),
        _ => Err(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(path: &str, headers: &[(&'static str, &str)]) -> Option<String> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let uri: Uri = path.parse().unwrap();
        let place = Place::of(uri.path()).unwrap();
        asked(&place, &Method::POST, &uri, &map).ok().map(|asked| format!("{} {}", asked.method, asked.target))
    }

    #[test]
    fn the_path_says_whose_route_map_and_may_go_on() {
        let place = |path| Place::of(path).map(|place| (place.workspace, place.prefix));
        assert_eq!(place("/v1/forward-auth"), Some((None, 16)));
        assert_eq!(place("/v1/forward-auth/a/b"), Some((None, 16)));
        assert_eq!(place("/v1/workspaces/acme/forward-auth"), Some((Some("acme"), 32)));
        assert_eq!(place("/v1/workspaces/acme/forward-auth/"), Some((Some("acme"), 32)));
        for other in ["/v1/forward-authx", "/v1/forward-aut", "/v1/workspaces/acme/keys", "/v1/workspaces/acme/forward-auth:x", "/", ""] {
            assert_eq!(place(other), None, "{other}");
        }
    }

    #[test]
    fn each_proxys_way_is_understood() {
        let traefik = [("x-forwarded-method", "PUT"), ("x-forwarded-uri", "/a?b")];
        let nginx = [("x-original-method", "PUT"), ("x-original-uri", "/a?b")];
        assert_eq!(seen("/v1/forward-auth", &traefik).as_deref(), Some("PUT /a?b"));
        assert_eq!(seen("/v1/workspaces/acme/forward-auth", &nginx).as_deref(), Some("PUT /a?b"));
        assert_eq!(seen("/v1/forward-auth?x=y", &nginx).as_deref(), Some("PUT /a?b"), "a query of the address itself says nothing");
        assert_eq!(seen("/v1/workspaces/acme/forward-auth/a%2Fb?c=d", &[]).as_deref(), Some("POST /a%2Fb?c=d"));
        assert_eq!(seen("/v1/forward-auth/", &[]).as_deref(), Some("POST /"));
        assert_eq!(seen("/v1/forward-auth", &[traefik, nginx].concat()).as_deref(), Some("PUT /a?b"), "twice the same is the same");
    }

    #[test]
    fn what_is_told_in_two_ways_or_not_at_all_is_no_question() {
        for (path, headers) in [
            ("/v1/forward-auth", &[][..]),
            ("/v1/forward-auth", &[("x-forwarded-method", "GET")]),
            ("/v1/forward-auth", &[("x-forwarded-uri", "/a")]),
            ("/v1/forward-auth", &[("x-forwarded-method", "GET"), ("x-forwarded-uri", "/a"), ("x-original-uri", "/b")]),
            ("/v1/forward-auth", &[("x-forwarded-method", "GET"), ("x-original-method", "POST"), ("x-original-uri", "/b")]),
            ("/v1/forward-auth", &[("x-original-method", "GET"), ("x-original-uri", "/a"), ("x-original-uri", "/a")]),
            ("/v1/forward-auth", &[("x-original-method", "GET"), ("x-original-uri", "/é")]),
            // As nginx would with a slash too much in its configuration: not the slash is what was asked for.
            ("/v1/forward-auth/", &[("x-original-method", "POST"), ("x-original-uri", "/a")]),
        ] {
            assert_eq!(seen(path, headers), None, "{path} {headers:?}");
        }
    }
}
