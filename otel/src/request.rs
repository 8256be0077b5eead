//! The span of one request: what it says, whose part it is, and what it never says.

use http::{HeaderMap, Method};
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::field::Empty;
use tracing::instrument::Instrumented;
use tracing::{Instrument as _, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::TARGET;

const TRACEPARENT: &str = "traceparent";
/// No name of ours is longer, and every secret is.
const LONGEST_NAME: usize = 40;

/// A request that is being answered, as traces show it: the method, the route as it is written in the router, the request's id,
/// the status and the workspace. Never a path, a query, a header, a body or an address.
#[derive(Debug, Clone)]
pub struct RequestSpan(Span);

impl RequestSpan {
    /// The span of a request that has just come in. `route` has placeholders, like `/v1/workspaces/{workspace}/keys`; `None`
    /// where no route was found. A `traceparent` among the headers makes it part of the caller's trace.
    pub fn begin(method: &Method, route: Option<&str>, headers: &HeaderMap, request_id: &str) -> Self {
        // Anybody may call a method anything.
        let known = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];
        let method = known.iter().find(|known| *known == method).map_or("_OTHER", Method::as_str);
        let name = match (method, route) {
            ("_OTHER", _) => "HTTP".to_owned(),
            (method, Some(route)) => format!("{method} {route}"),
            (method, None) => method.to_owned(),
        };
        let span = tracing::info_span!(
            target: TARGET,
            parent: None,
            "request",
            otel.name = name,
            otel.kind = "server",
            otel.status_code = Empty,
            http.request.method = method,
            http.route = route,
            http.response.status_code = Empty,
            keyfold.request_id = request_id,
            keyfold.workspace = Empty,
        );
        let caller = TraceContextPropagator::new().extract(&OnlyParent(headers));
        if !span.is_disabled() && caller.span().span_context().is_valid() {
            // It fails where no layer exports it, and then there is nothing to be done.
            let _ = span.set_parent(caller);
        }
        Self(span)
    }

    /// For a request that no trace shows.
    pub const fn none() -> Self {
        Self(Span::none())
    }

    /// The answering of the request.
    pub fn around<F: Future>(&self, answering: F) -> Instrumented<F> {
        answering.instrument(self.0.clone())
    }

    /// What came of it. The workspace is told only if the answer is a success: then it exists, and is the caller's to see.
    pub fn answered(&self, status: u16, route: Option<&str>, path: &str) {
        self.0.record("http.response.status_code", i64::from(status));
        if status >= 500 {
            self.0.record("otel.status_code", "ERROR");
        }
        if (200..300).contains(&status)
            && let Some(workspace) = route.and_then(|route| workspace(route, path))
        {
            self.0.record("keyfold.workspace", workspace);
        }
    }
}

/// What stands in the path where the route says `{workspace}`.
fn workspace<'a>(route: &str, path: &'a str) -> Option<&'a str> {
    let (_, found) = route.split('/').zip(path.split('/')).find(|(placeholder, _)| *placeholder == "{workspace}")?;
    (found.len() <= LONGEST_NAME).then_some(found)
}

/// The caller's trace and nothing else of what it sends: a `tracestate` is free text.
struct OnlyParent<'a>(&'a HeaderMap);

impl Extractor for OnlyParent<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        let mut values = self.0.get_all(TRACEPARENT).iter().filter(|_| key == TRACEPARENT);
        let only = values.next()?;
        // Of two nobody can say which is right.
        values.next().is_none().then(|| only.to_str().ok())?
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workspace_is_found_where_the_route_has_it() {
        for (route, path, expected) in [
            ("/v1/workspaces/{workspace}/keys", "/v1/workspaces/acme/keys", Some("acme")),
            ("/w/{workspace}/{page}", "/w/acme/keys", Some("acme")),
            ("/v1/users/{user}", "/v1/users/ada", None),
            ("/w/{workspace}", "/w/0123456789012345678901234567890123456789x", None),
            ("/w/{workspace}", "/", None),
        ] {
            assert_eq!(workspace(route, path), expected, "{route}");
        }
    }

    #[test]
    fn a_caller_gives_one_parent_and_nothing_else() {
        let given = |pairs: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.append(*name, http::HeaderValue::from_static(value));
            }
            let context = TraceContextPropagator::new().extract(&OnlyParent(&headers));
            let parent = context.span().span_context().clone();
            (parent.is_valid().then(|| parent.trace_id().to_string()), parent.trace_state().header())
        };
        let parent = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        let expected = (Some("0af7651916cd43dd8448eb211c80319c".to_owned()), String::new());
        assert_eq!(given(&[parent]), expected);
        assert_eq!(given(&[parent, ("tracestate", "vendor=canary")]), expected);
        assert_eq!(given(&[parent, parent]), (None, String::new()));
        assert_eq!(given(&[("traceparent", "00-canary")]), (None, String::new()));
        assert_eq!(given(&[]), (None, String::new()));
    }
}
