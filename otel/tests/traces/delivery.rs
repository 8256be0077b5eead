//! A collector that is slow, gone or of another opinion costs spans, and nobody any time.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use keyfold_otel::{Export, RequestSpan, Service};
use tokio::net::TcpListener;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::collector::{Collector, Traced, settings};

/// Requests are answered as fast as ever if they take less than this, all of them together.
const AT_ONCE: Duration = Duration::from_secs(2);

async fn many(traced: &Traced, requests: usize) {
    let begun = Instant::now();
    for _ in 0..requests {
        let request = Request::builder().uri("/broken").body(Body::empty()).unwrap();
        assert_eq!(traced.answer(request).await.status(), 503);
    }
    assert!(begun.elapsed() < AT_ONCE, "{requests} requests took {:?}", begun.elapsed());
}

async fn nobody_listens() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_collector_that_is_down_costs_nobody_any_time() {
    let traced = Traced::by(&settings(nobody_listens().await, &[]));
    many(&traced, 200).await;
    let begun = Instant::now();
    traced.finish().await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_collector_that_never_answers_costs_nobody_any_time_and_the_end_is_bounded() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let others = [("OTEL_BSP_MAX_QUEUE_SIZE", "64"), ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "16")];
    let traced = Traced::by(&settings(silent.local_addr().unwrap(), &others));
    many(&traced, 400).await;
    let begun = Instant::now();
    traced.finish().await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_waits_at_the_end_is_sent() {
    let collector = Collector::start().await;
    let traced = Traced::by(&settings(collector.addr, &[("OTEL_BSP_SCHEDULE_DELAY", "3600000")]));
    many(&traced, 20).await;
    assert_eq!(collector.requests(), 0);
    traced.finish().await;
    assert_eq!(collector.spans().len(), 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn spans_go_out_while_the_server_runs() {
    let collector = Collector::start().await;
    let traced = Traced::by(&settings(collector.addr, &[]));
    many(&traced, 1).await;
    assert_eq!(collector.eventually(1).await.len(), 1);
    traced.finish().await;
}

/// What is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// The only test with a subscriber of all threads: spans are sent from one that no test knows.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn spans_that_are_lost_are_counted_and_the_log_says_so_once() {
    let collector = Collector::answering(StatusCode::UNAUTHORIZED).await;
    let others = [("OTEL_EXPORTER_OTLP_HEADERS", "authorization=canary-of-the-collector")];
    let export = Export::start(&settings(collector.addr, &others), Service { version: "1", instance: "here" }).unwrap();
    let log = Log::default();
    let lines = tracing_subscriber::fmt::layer().with_writer(log.clone()).with_ansi(false);
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(lines).with(export.layer())).unwrap();
    for sent in 1..=3 {
        RequestSpan::begin(&axum::http::Method::GET, None, &axum::http::HeaderMap::new(), "req_1").answered(200, None, "/");
        while collector.requests() < sent {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    export.finish().await;
    let said = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert_eq!(said.matches("traces cannot be delivered").count(), 1, "{said}");
    assert!(said.contains("the collector answers 401"), "{said}");
    assert!(said.contains("not all traces were delivered lost=3"), "{said}");
    assert!(!said.contains("canary"), "{said}");
}
