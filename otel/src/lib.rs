//! Traces for OpenTelemetry: what the server hands over of its spans, by OTLP over HTTP. The server has this room only if it
//! is built with its feature `otel`.
//!
//! Nothing leaves by chance: only spans of [`TARGET`] are exported, no events, and of a span only the fields that [`RequestSpan`]
//! gives it. A collector that is slow or gone costs spans and nothing else: they wait in a queue of bounded length, a
//! thread of its own sends them, and whoever makes a span never waits.
#![warn(missing_docs)]

mod client;
mod delivery;
mod request;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchSpanProcessor, SdkTracerProvider};
use tokio::runtime::Handle;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use client::Client;
use delivery::{Delivery, Exporter};
pub use request::RequestSpan;
pub use settings::{Refused, Settings};

/// The target of spans that are exported. Not one that a log of ours shows.
pub const TARGET: &str = "otel";

/// The end of the program waits so long for spans to be delivered.
const FLUSH_TIME: Duration = Duration::from_secs(3);

/// The exporter cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("traces cannot be exported: {0}")]
pub struct StartError(String);

/// What traces say of this process.
#[derive(Debug, Clone, Copy)]
pub struct Service<'a> {
    /// The version of the program.
    pub version: &'a str,
    /// What this server is called among those of one installation.
    pub instance: &'a str,
}

/// Traces on their way to a collector.
#[derive(Debug)]
pub struct Export {
    provider: SdkTracerProvider,
    delivery: Arc<Delivery>,
}

impl Export {
    /// Starts the thread that sends spans. To be called on the runtime that the connections to the collector are to live on.
    pub fn start(settings: &Settings, service: Service<'_>) -> Result<Self, StartError> {
        let delivery = Arc::new(Delivery::default());
        let roots = settings.roots().map_err(|error| StartError(error.to_string()))?;
        let client = Client::new(Handle::current(), roots, settings.timeout, Arc::clone(&delivery)).map_err(StartError)?;
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_endpoint(settings.endpoint.to_string())
            .with_headers(settings.headers.clone())
            .with_timeout(settings.timeout)
            .build();
        // The message may repeat a setting, and with it a password.
        let exporter = exporter.map_err(|_| StartError("a setting whose name begins with OTEL_EXPORTER_OTLP_ is wrong".to_owned()))?;
        let exporter = Exporter::new(exporter, Arc::clone(&delivery));
        let resource = Resource::builder()
            .with_attribute(KeyValue::new("service.version", service.version.to_owned()))
            .with_attribute(KeyValue::new("service.instance.id", service.instance.to_owned()))
            .with_attributes(settings.attributes.iter().map(|(name, value)| KeyValue::new(name.clone(), value.clone())))
            .with_service_name(settings.service_name.clone())
            .build();
        let provider = SdkTracerProvider::builder()
            .with_sampler(settings.sampler.clone())
            .with_resource(resource)
            .with_span_processor(BatchSpanProcessor::new(exporter, settings.queue()))
            .build();
        Ok(Self { provider, delivery })
    }

    /// What belongs into the program's subscriber, so that spans of [`TARGET`] are exported.
    pub fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        // Places in the code, threads and targets are of no use to whoever reads a trace.
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("keyfold"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(is_exported))
    }

    /// Sends what is left, for three seconds at the most, and ends the export.
    pub async fn finish(self) {
        let Self { provider, delivery } = self;
        // It waits without yielding.
        let flushed = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FLUSH_TIME)).await;
        let in_time = matches!(flushed, Ok(Ok(())));
        delivery.sum_up(in_time);
    }
}

fn is_exported(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target() == TARGET
}
