//! What is exported of a request, and what never is.

use axum::body::Body;
use axum::extract::Request;
use axum::http::Method;
use opentelemetry_proto::tonic::trace::v1::{span::SpanKind, status::StatusCode};

use crate::collector::{Collector, Traced, attribute, hex, settings, told};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

fn request(method: Method, path: &str) -> Request {
    Request::builder().method(method).uri(path).body(Body::empty()).unwrap()
}

fn from_caller(path: &str, flags: &str) -> Request {
    let mut request = request(Method::GET, path);
    let parent = format!("00-{TRACE}-{PARENT}-{flags}");
    request.headers_mut().insert("traceparent", parent.parse().unwrap());
    request
}

#[tokio::test]
async fn a_request_is_a_span_of_its_callers_trace_and_what_it_does_is_below_it() {
    let collector = Collector::start().await;
    let traced = Traced::by(&settings(collector.addr, &[]));
    traced.answer(from_caller("/v1/workspaces/acme/keys/key_1", "01")).await;
    traced.finish().await;
    let spans = collector.spans();
    assert_eq!(spans.len(), 2, "{spans:#?}");
    let request = spans.iter().find(|span| span.name == "GET /v1/workspaces/{workspace}/keys/{key}").unwrap();
    let transaction = spans.iter().find(|span| span.name == "write transaction").unwrap();
    assert_eq!((hex(&request.trace_id).as_str(), hex(&request.parent_span_id).as_str()), (TRACE, PARENT));
    assert_eq!((&transaction.trace_id, &transaction.parent_span_id), (&request.trace_id, &request.span_id));
    assert_eq!(request.kind(), SpanKind::Server);
    let expected = [
        ("http.request.method", "GET"),
        ("http.response.status_code", "200"),
        ("http.route", "/v1/workspaces/{workspace}/keys/{key}"),
        ("keyfold.request_id", "req_1"),
        ("keyfold.workspace", "acme"),
    ];
    assert_eq!(told(&request.attributes), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert!(request.events.is_empty() && request.links.is_empty() && request.trace_state.is_empty());
}

#[tokio::test]
async fn a_request_without_a_caller_begins_a_trace_and_failures_of_ours_are_errors() {
    let collector = Collector::start().await;
    let traced = Traced::by(&settings(collector.addr, &[]));
    traced.answer(request(Method::GET, "/broken")).await;
    traced.answer(request(Method::POST, "/v1/workspaces/acme/keys/key_1")).await;
    traced.answer(request(Method::GET, "/nowhere")).await;
    traced.answer(request(Method::from_bytes(b"CANARY").unwrap(), "/nowhere")).await;
    traced.finish().await;
    let spans = collector.spans();
    let named: Vec<_> = spans.iter().map(|span| (span.name.as_str(), attribute(span, "http.response.status_code").unwrap())).collect();
    let expected = [("GET /broken", "503"), ("POST /v1/workspaces/{workspace}/keys/{key}", "403"), ("GET", "404"), ("HTTP", "404")];
    assert_eq!(named, expected.map(|(name, status)| (name, status.to_owned())));
    assert!(spans.iter().all(|span| span.parent_span_id.is_empty()));
    let is_error = |at: usize| spans[at].status.as_ref().is_some_and(|status| status.code() == StatusCode::Error);
    assert_eq!((is_error(0), is_error(1)), (true, false));
    assert_eq!(attribute(&spans[1], "keyfold.workspace"), None, "whoever is refused may have guessed it");
    assert!(!String::from_utf8_lossy(&collector.bytes()).contains("CANARY"));
}

#[tokio::test]
async fn the_collector_is_told_who_sends_and_gets_the_headers_that_it_wants() {
    let collector = Collector::start().await;
    let others = [("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20collector"), ("OTEL_RESOURCE_ATTRIBUTES", "stage=test")];
    let traced = Traced::by(&settings(collector.addr, &others));
    traced.answer(request(Method::GET, "/broken")).await;
    traced.finish().await;
    assert_eq!(collector.header("authorization").as_deref(), Some("Bearer collector"));
    assert_eq!(collector.header("content-type").as_deref(), Some("application/x-protobuf"));
    let resource = collector.resource();
    let ours = [("service.instance.id", "here"), ("service.name", "keyfold"), ("service.version", "1.2.3"), ("stage", "test")];
    for (name, value) in ours {
        assert!(resource.contains(&(name.to_owned(), value.to_owned())), "{name} in {resource:?}");
    }
}

#[tokio::test]
async fn nothing_that_a_request_holds_reaches_a_collector() {
    let collector = Collector::start().await;
    let traced = Traced::by(&settings(collector.addr, &[]));
    for flags in ["01", "03"] {
        let mut request = from_caller("/v1/workspaces/acme/keys/canary-in-a-path?token=canary-in-a-query", flags);
        for name in ["authorization", "cookie", "x-api-key", "tracestate", "baggage", "user-agent", "referer", "x-forwarded-for"] {
            request.headers_mut().insert(name, format!("v=canary-in-{name}").parse().unwrap());
        }
        *request.body_mut() = Body::from("canary-in-the-request");
        traced.answer(request).await;
    }
    // One that nobody may see: its name is not told.
    traced.answer(request(Method::POST, "/v1/workspaces/canary-workspace/keys/key_1")).await;
    traced.finish().await;
    assert_eq!(collector.spans().len(), 5);
    let bytes = collector.bytes();
    let found = String::from_utf8_lossy(&bytes);
    assert!(found.contains("keyfold.request_id"), "the search would find something");
    assert!(!found.contains("canary"), "{found}");
}

#[tokio::test]
async fn the_sampler_decides_and_by_default_the_caller_does() {
    for (sampler, ours, sampled, unsampled) in
        [("", 1, 1, 0), ("always_off", 0, 0, 0), ("always_on", 1, 1, 1), ("parentbased_always_off", 0, 1, 0), ("traceidratio", 0, 0, 0)]
    {
        let others = [("OTEL_TRACES_SAMPLER", sampler), ("OTEL_TRACES_SAMPLER_ARG", "0")];
        let mut seen = Vec::new();
        for request in [request(Method::GET, "/broken"), from_caller("/broken", "01"), from_caller("/broken", "00")] {
            let collector = Collector::start().await;
            let traced = Traced::by(&settings(collector.addr, &others));
            traced.answer(request).await;
            traced.finish().await;
            assert_eq!(collector.requests(), collector.spans().len());
            seen.push(collector.spans().len());
        }
        assert_eq!(seen, [ours, sampled, unsampled], "{sampler:?}");
    }
}
