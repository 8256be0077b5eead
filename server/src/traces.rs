//! Traces for OpenTelemetry, where the program is built with the feature `otel`; and nothing where it is not, but a word to
//! whoever expects them.
//!
//! A request behind the router is a span, unless it is a probe's or for a file. The data plane makes none: docs/decisions.md.

#[cfg(not(feature = "otel"))]
mod absent;
#[cfg(feature = "otel")]
mod exported;

#[cfg(not(feature = "otel"))]
pub(crate) use absent::{TracedRequest, Traces, Wanted};
#[cfg(feature = "otel")]
pub(crate) use exported::{TracedRequest, Traces, Wanted};
