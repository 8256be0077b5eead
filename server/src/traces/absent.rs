//! A program that exports no traces.

use axum::extract::Request;
use axum::http::StatusCode;

use crate::cli::CliError;
use crate::config::{Config, ConfigError};
use crate::telemetry::{self, RequestId};

/// Does somebody expect traces?
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted(bool);

impl Wanted {
    #[expect(clippy::unnecessary_wraps, reason = "a program that exports traces looks at what is wanted")]
    pub(crate) fn read(variables: &[(String, String)]) -> Result<Self, ConfigError> {
        let endpoints = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];
        Ok(Self(variables.iter().any(|(name, value)| endpoints.contains(&name.as_str()) && !value.trim().is_empty())))
    }
}

/// No traces.
pub(crate) struct Traces;

impl Traces {
    /// Starts the log of a server.
    #[expect(clippy::unnecessary_wraps, reason = "an exporter may not start")]
    pub(crate) fn start(config: &Config) -> Result<Self, CliError> {
        telemetry::start(config.log_level, config.log_format);
        if config.traces.0 {
            tracing::warn!(
                "an endpoint for OpenTelemetry is set, but this program was built without the feature otel and exports no traces"
            );
        }
        Ok(Self)
    }

    /// Nothing is left to be sent.
    pub(crate) async fn finish(self) {}
}

/// A request of which nobody hears.
pub(crate) struct TracedRequest;

#[expect(clippy::unused_self, reason = "as where somebody hears of it")]
impl TracedRequest {
    pub(crate) const fn begin(_: &Request, _: RequestId) -> Self {
        Self
    }

    pub(crate) fn around<F>(&self, answering: F) -> F {
        answering
    }

    pub(crate) const fn answered(&self, _: StatusCode) {}
}
