//! Logs and request ids. A log line never holds a secret, a query string or a line break of somebody else's making.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher as _;
use std::io::{self, IsTerminal as _, Write};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use keyfold_domain::base62::encode_padded_u64;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
#[cfg(feature = "otel")]
use tracing_subscriber::{Layer, Registry, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::config::{LogFormat, LogLevel};

tokio::task_local! {
    /// The id of the request that this task is answering.
    static CURRENT: RequestId;
}

/// Names one request in answers and logs. Always made here: one that came from outside could be forged to confuse a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RequestId([u8; 26]);

impl RequestId {
    /// A fresh id that tells nothing about the ones before it.
    pub(crate) fn generate() -> Self {
        // Two SipHash keys from the operating system's randomness over a counter: unpredictable, unique, and without a
        // call into the system for every request.
        static KEYS: LazyLock<[RandomState; 2]> = LazyLock::new(|| [RandomState::new(), RandomState::new()]);
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let [high, low] = &*KEYS;
        let mut text = *b"req_0000000000000000000000";
        text[4..15].copy_from_slice(&encode_padded_u64::<11>(high.hash_one(count)));
        text[15..].copy_from_slice(&encode_padded_u64::<11>(low.hash_one(count)));
        Self(text)
    }

    /// The id as text, prefix included.
    pub(crate) fn as_str(&self) -> &str {
        // Always ASCII; looking again costs next to nothing.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The id of the request being answered, or a fresh one outside any.
    pub(crate) fn current() -> Self {
        CURRENT.try_with(Clone::clone).unwrap_or_else(|_| Self::generate())
    }

    /// Runs `work` as the answering of this request.
    pub(crate) async fn scope<T>(self, work: impl Future<Output = T>) -> T {
        CURRENT.scope(self, work).await
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Starts logging to stderr. May be called once in a process; later calls change nothing.
pub(crate) fn start(level: LogLevel, format: LogFormat) {
    let filter = filter(level);
    match format {
        LogFormat::Text => {
            let colour = io::stderr().is_terminal();
            let lines = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colour).with_writer(OneLine { colour });
            let _ = lines.with_target(false).try_init();
        }
        LogFormat::Json => {
            let lines = tracing_subscriber::fmt().json().flatten_event(true).with_current_span(true).with_span_list(false);
            let _ = lines.with_env_filter(filter).with_writer(io::stderr).try_init();
        }
    }
    silence_panics();
}

/// The same for a server whose spans are exported by this layer; the log shows nothing of them.
#[cfg(feature = "otel")]
pub(crate) fn start_with(level: LogLevel, format: LogFormat, export: impl Layer<Registry> + Send + Sync) {
    let spans = tracing_subscriber::registry().with(export);
    match format {
        LogFormat::Text => {
            let colour = io::stderr().is_terminal();
            let lines = tracing_subscriber::fmt::layer().with_ansi(colour).with_writer(OneLine { colour }).with_target(false);
            let _ = spans.with(lines.with_filter(filter(level))).try_init();
        }
        LogFormat::Json => {
            let lines = tracing_subscriber::fmt::layer().json().flatten_event(true).with_current_span(true).with_span_list(false);
            let _ = spans.with(lines.with_writer(io::stderr).with_filter(filter(level))).try_init();
        }
    }
    silence_panics();
}

/// The level is for our own rooms. Libraries stay at warnings: their finer levels print what passes through them.
fn filter(level: LogLevel) -> EnvFilter {
    let level = level.as_str();
    let others = if level == "error" { "error" } else { "warn" };
    let ours = ["keyfold", "keyfold_app", "keyfold_domain", "keyfold_engine", "keyfold_server"].map(|room| format!("{room}={level}"));
    EnvFilter::new(format!("{others},{}", ours.join(",")))
}

/// A panic's message may quote what was being worked on, so only its place is told.
fn silence_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(|| "unknown".to_owned(), ToString::to_string);
        tracing::error!(place, "a panic was caught; this is a fault in Keyfold");
    }));
}

/// Writes every event as one line of standard error.
#[derive(Clone, Copy)]
struct OneLine {
    colour: bool,
}

impl<'a> MakeWriter<'a> for OneLine {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        *self
    }
}

impl Write for OneLine {
    /// Takes a whole event, as the formatter hands it over.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        io::stderr().lock().write_all(&one_line(event, self.colour))?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}

/// The event with every control character but the last line break spelt out, so that no value can begin a line of its own.
fn one_line(event: &[u8], colour: bool) -> Vec<u8> {
    let body = event.strip_suffix(b"\n").unwrap_or(event);
    let mut line = Vec::with_capacity(event.len() + 1);
    for byte in body {
        match byte {
            b'\n' => line.extend_from_slice(b"\\n"),
            b'\r' => line.extend_from_slice(b"\\r"),
            b'\t' => line.push(b'\t'),
            0x1b if colour => line.push(0x1b),
            0..0x20 | 0x7f => line.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
            _ => line.push(*byte),
        }
    }
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_have_their_prefix_and_do_not_repeat() {
        let ids: std::collections::HashSet<_> = (0..1000).map(|_| RequestId::generate().to_string()).collect();
        assert_eq!(ids.len(), 1000);
        assert!(ids.iter().all(|id| id.len() == 26 && id.starts_with("req_")));
    }

    #[tokio::test]
    async fn inside_a_request_the_current_id_is_the_requests() {
        let id = RequestId::generate();
        assert_eq!(id.scope(async { RequestId::current() }).await, id);
        assert_ne!(RequestId::current(), id);
    }

    #[test]
    fn a_value_cannot_begin_a_line_of_its_own() {
        let forged = b"signed in name=\"ada\"\r\n2026-01-01 INFO forged\x1b[31m\x00\n";
        let line = one_line(forged, false);
        assert_eq!(line, b"signed in name=\"ada\"\\r\\n2026-01-01 INFO forged\\x1b[31m\\x00\n");
    }

    #[test]
    fn libraries_are_never_more_talkative_than_warnings() {
        assert!(filter(LogLevel::Trace).to_string().contains("keyfold_engine=trace"));
        assert!(filter(LogLevel::Trace).to_string().split(',').any(|part| part == "warn"));
    }
}
