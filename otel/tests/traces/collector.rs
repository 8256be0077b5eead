//! A collector in this process, which keeps what it is sent; and a small application whose requests are traced.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get, post};
use keyfold_otel::{Export, RequestSpan, Service, Settings, TARGET};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tracing::Instrument as _;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::layer::SubscriberExt as _;

/// What was sent in one request.
pub(crate) struct Received {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Takes traces.
pub(crate) struct Collector {
    pub(crate) addr: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    serving: JoinHandle<()>,
}

impl Collector {
    /// One that answers every request with this status.
    pub(crate) async fn answering(status: StatusCode) -> Self {
        let received = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&received);
        let take = post(async move |headers: HeaderMap, body: Bytes| {
            kept.lock().unwrap().push(Received { headers, body });
            status
        });
        let router = Router::new().route("/v1/traces", take).fallback(any(StatusCode::IM_A_TEAPOT));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move { serve(listener, router).await });
        Self { addr, received, serving }
    }

    pub(crate) async fn start() -> Self {
        Self::answering(StatusCode::OK).await
    }

    /// How many requests came.
    pub(crate) fn requests(&self) -> usize {
        self.received.lock().unwrap().len()
    }

    /// The header of that name of the first request.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let received = self.received.lock().unwrap();
        Some(received.first()?.headers.get(name)?.to_str().unwrap().to_owned())
    }

    /// Every byte that came: headers and bodies.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let received = self.received.lock().unwrap();
        received.iter().flat_map(|one| [format!("{:?}", one.headers).into_bytes(), one.body.to_vec()].concat()).collect()
    }

    fn decoded(&self) -> Vec<ExportTraceServiceRequest> {
        let received = self.received.lock().unwrap();
        received.iter().map(|one| ExportTraceServiceRequest::decode(one.body.clone()).unwrap()).collect()
    }

    /// The spans, in the order in which they came.
    pub(crate) fn spans(&self) -> Vec<Span> {
        let resources = self.decoded().into_iter().flat_map(|request| request.resource_spans);
        resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
    }

    /// What the first request says of who sends it.
    pub(crate) fn resource(&self) -> Vec<(String, String)> {
        let request = self.decoded().swap_remove(0);
        told(&request.resource_spans[0].resource.as_ref().unwrap().attributes)
    }

    /// Waits for so many spans.
    pub(crate) async fn eventually(&self, spans: usize) -> Vec<Span> {
        let begun = Instant::now();
        loop {
            let found = self.spans();
            if found.len() >= spans {
                return found;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "{} of {spans} spans came", found.len());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, router: Router) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let service = hyper_util::service::TowerToHyperService::new(router.clone());
        let stream = hyper_util::rt::TokioIo::new(stream);
        tokio::spawn(async move { hyper::server::conn::http1::Builder::new().serve_connection(stream, service).await });
    }
}

/// Attributes as pairs of texts.
pub(crate) fn told(attributes: &[KeyValue]) -> Vec<(String, String)> {
    let text = |attribute: &KeyValue| match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => panic!("{other:?}"),
    };
    let mut pairs: Vec<_> = attributes.iter().map(|attribute| (attribute.key.clone(), text(attribute))).collect();
    pairs.sort();
    pairs
}

/// An id as it is written.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// The value of one attribute of a span.
pub(crate) fn attribute(span: &Span, name: &str) -> Option<String> {
    told(&span.attributes).into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

/// Settings for a collector there, and whatever else is given.
pub(crate) fn settings(addr: SocketAddr, others: &[(&str, &str)]) -> Settings {
    let endpoint = format!("http://{addr}");
    let quick = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "20")];
    // The first of a name counts.
    let all = others.iter().chain(&quick).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Settings::read(&all.collect::<Vec<_>>()).unwrap().unwrap()
}

/// An application whose requests are traced, for as long as it is there and on this thread.
pub(crate) struct Traced {
    export: Export,
    _subscriber: DefaultGuard,
}

impl Traced {
    pub(crate) fn by(settings: &Settings) -> Self {
        let export = Export::start(settings, Service { version: "1.2.3", instance: "here" }).unwrap();
        let subscriber = tracing_subscriber::registry().with(export.layer());
        Self { export, _subscriber: tracing::subscriber::set_default(subscriber) }
    }

    /// Sends what is left.
    pub(crate) async fn finish(self) {
        self.export.finish().await;
    }

    /// The answer to a request.
    pub(crate) async fn answer(&self, request: Request) -> Response {
        let router = Router::new()
            .route("/v1/workspaces/{workspace}/keys/{key}", get(look).post(async || StatusCode::FORBIDDEN))
            .route("/broken", get(async || StatusCode::SERVICE_UNAVAILABLE))
            .layer(from_fn(accompany));
        tower::ServiceExt::oneshot(router, request).await.unwrap()
    }
}

/// What the server does around each request.
async fn accompany(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map(MatchedPath::as_str);
    let path = request.uri().path().to_owned();
    let span = RequestSpan::begin(request.method(), route, request.headers(), "req_1");
    span.around(async {
        let response = next.run(request).await;
        span.answered(response.status().as_u16(), route, &path);
        response
    })
    .await
}

/// Makes a span of its own, and others that are nobody's business.
async fn look(request: Request) -> Response {
    tracing::warn!(canary = "canary-in-an-event", "canary-in-a-message");
    let work = async {
        let inner = tracing::info_span!(target: TARGET, "write transaction");
        async { tokio::task::yield_now().await }.instrument(inner).await;
    };
    work.instrument(tracing::info_span!("request", path = %request.uri(), secret = "canary-in-a-span")).await;
    "canary-in-a-body".into_response()
}
