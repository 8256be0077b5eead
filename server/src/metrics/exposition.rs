//! The figures as text, in the format of OpenMetrics 1.0, which Prometheus reads.

use std::fmt;
use std::sync::Arc;

use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, StatusCode};
use keyfold_domain::verdict::Code;
use keyfold_engine::Figures;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use super::{BOUNDS, CLASSES, Endpoint, Metrics, Sums};
use crate::state::AppState;

const OPEN_METRICS: HeaderValue = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// The answer to `GET /metrics`. It names no key, no person and no workspace.
pub(crate) fn answer(state: &AppState) -> (StatusCode, HeaderMap, String) {
    let figures = state.engine.verifier.figures();
    let mut registry = Registry::with_prefix("keyfold");
    registry.register_collector(Box::new(Scrape { metrics: Arc::clone(&state.metrics), figures }));
    let (mut headers, mut text) = (HeaderMap::new(), String::new());
    headers.insert(CONTENT_TYPE, OPEN_METRICS);
    match encode(&mut text, &registry) {
        Ok(()) => (StatusCode::OK, headers, text),
        // Writing into memory: only a fault of ours could be the reason.
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, HeaderMap::new(), String::new()),
    }
}

/// What one look finds.
#[derive(Debug)]
struct Scrape {
    metrics: Arc<Metrics>,
    figures: Figures,
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let sums = self.metrics.sums();
        verdicts(&mut encoder, &sums)?;
        requests(&mut encoder, &sums)?;
        durations(&mut encoder, &sums)?;
        engine(&mut encoder, &self.figures)?;
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        encoder.encode_descriptor("build", "The running program", None, MetricType::Info)?.encode_info(&version)
    }
}

fn verdicts(encoder: &mut DescriptorEncoder<'_>, sums: &Sums) -> fmt::Result {
    let mut family = encoder.encode_descriptor("verdicts", "Verdicts on presented keys", None, MetricType::Counter)?;
    for (code, sum) in Code::ALL.into_iter().zip(sums.verdicts) {
        counter(&mut family.encode_family(&[("code", code.as_str())])?, sum)?;
    }
    Ok(())
}

fn requests(encoder: &mut DescriptorEncoder<'_>, sums: &Sums) -> fmt::Result {
    let mut family = encoder.encode_descriptor("requests", "Answered requests", None, MetricType::Counter)?;
    for (endpoint, tally) in Endpoint::ALL.into_iter().zip(&sums.endpoints) {
        for (class, sum) in CLASSES.into_iter().zip(tally.statuses) {
            counter(&mut family.encode_family(&[("endpoint", endpoint.as_str()), ("status", class)])?, sum)?;
        }
    }
    Ok(())
}

fn durations(encoder: &mut DescriptorEncoder<'_>, sums: &Sums) -> fmt::Result {
    let help = "How long answers took, from the head of the request to the answer, its way over the network left out";
    let mut family = encoder.encode_descriptor("request_duration", help, Some(&Unit::Seconds), MetricType::Histogram)?;
    for (endpoint, tally) in Endpoint::ALL.into_iter().zip(&sums.endpoints) {
        let bounds = BOUNDS.into_iter().map(seconds).chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(tally.buckets).collect();
        let labels = [("endpoint", endpoint.as_str())];
        let mut histogram = family.encode_family(&labels)?;
        histogram.encode_histogram::<NoLabelSet>(seconds(tally.nanos), tally.buckets.iter().sum(), &buckets, None)?;
    }
    Ok(())
}

fn engine(encoder: &mut DescriptorEncoder<'_>, figures: &Figures) -> fmt::Result {
    gauge(encoder, "keys", "Keys in memory", None, &figures.keys)?;
    gauge(encoder, "secrets", "Secrets in memory: more than keys while some are rotated", None, &figures.secrets)?;
    let exact = "1 while keys are verified, 0 while the keys in memory may be out of date and every question is answered with 503";
    gauge(encoder, "exact", exact, None, &u64::from(figures.exact))?;
    gauge(encoder, "revision", "The number of the last change that is in force", None, &figures.revision)?;
    let looked = "Since the change log was last read to its end";
    gauge(encoder, "change_log_age", looked, Some(&Unit::Seconds), &figures.change_log_age.as_secs_f64())?;
    let written = "Since everything that was counted was last written";
    gauge(encoder, "usage_flush_age", written, Some(&Unit::Seconds), &figures.flush_age.as_secs_f64())?;
    gauge(encoder, "usage_waiting", "Secrets with counts that wait to be written", None, &figures.waiting)?;
    let failed = "Times that counts could not be written; they are kept and tried again";
    counter(&mut encoder.encode_descriptor("usage_flush_failures", failed, None, MetricType::Counter)?, figures.flush_failures)?;
    let dropped = "Sightings of clients of old secrets that were not kept";
    counter(&mut encoder.encode_descriptor("usage_dropped", dropped, None, MetricType::Counter)?, figures.dropped)?;
    let lenient = "Workspaces that want answers from a server which has lost touch with the database";
    gauge(encoder, "lenient_workspaces", lenient, None, &figures.lenient_workspaces)?;
    let stale = "Answers from what was known last, given to such workspaces: a revoked key may have worked";
    counter(&mut encoder.encode_descriptor("stale_answers", stale, None, MetricType::Counter)?, figures.stale_answers)
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, unit: Option<&Unit>, value: &impl EncodeGaugeValue) -> fmt::Result {
    encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?.encode_gauge(value)
}

fn counter(encoder: &mut MetricEncoder<'_>, sum: u64) -> fmt::Result {
    encoder.encode_counter::<NoLabelSet, u64, f64>(&sum, None)
}

fn seconds(nanos: u64) -> f64 {
    std::time::Duration::from_nanos(nanos).as_secs_f64()
}
