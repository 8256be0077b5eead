//! What became of the spans that were sent: the log says once that a collector cannot be reached, and once that it can again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

/// How it goes.
#[derive(Debug, Default)]
pub(crate) struct Delivery(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Why the last request failed, in words that hold nothing of its content.
    why: Option<String>,
    /// Spans that were given up since the collector took some.
    lost_now: usize,
    /// All that were ever given up.
    lost: usize,
}

impl Delivery {
    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A request did not come to a good end.
    pub(crate) fn failed(&self, why: String) {
        self.with(|state| state.why = Some(why));
    }

    fn delivered(&self) {
        let lost = self.with(|state| std::mem::take(&mut state.lost_now));
        if lost > 0 {
            tracing::info!(lost, "the collector takes traces again");
        }
    }

    fn given_up(&self, spans: usize) {
        let first = self.with(|state| {
            let first = (state.lost_now == 0).then(|| state.why.take().unwrap_or_default());
            state.lost_now += spans;
            state.lost += spans;
            first
        });
        if let Some(why) = first {
            tracing::warn!(why, "traces cannot be delivered and are lost until the collector takes them again; this is said once");
        }
    }

    /// The end.
    pub(crate) fn sum_up(&self, in_time: bool) {
        let lost = self.with(|state| state.lost);
        if lost > 0 || !in_time {
            tracing::warn!(lost, in_time, "not all traces were delivered");
        }
    }
}

/// An exporter whose failures are counted and otherwise of no consequence.
#[derive(Debug)]
pub(crate) struct Exporter {
    inner: opentelemetry_otlp::SpanExporter,
    delivery: Arc<Delivery>,
}

impl Exporter {
    pub(crate) fn new(inner: opentelemetry_otlp::SpanExporter, delivery: Arc<Delivery>) -> Self {
        Self { inner, delivery }
    }
}

impl SpanExporter for Exporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        // An error would be logged for every batch, with what the collector said.
        match self.inner.export(batch).await {
            Ok(()) => self.delivery.delivered(),
            Err(_) => self.delivery.given_up(spans),
        }
        Ok(())
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
