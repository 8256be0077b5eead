//! Traces by way of `keyfold-otel`.

use axum::extract::{MatchedPath, Request};
use axum::http::StatusCode;
use keyfold_otel::{Export, RequestSpan, Service, Settings};

use crate::cli::CliError;
use crate::config::{Config, ConfigError};
use crate::site;
use crate::telemetry::{self, RequestId};

/// Asked every few seconds by machines; a trace of it helps nobody.
const PROBES: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// Which traces go where, if any do.
#[derive(Debug, Clone)]
pub(crate) struct Wanted(Option<Settings>);

impl Wanted {
    pub(crate) fn read(variables: &[(String, String)]) -> Result<Self, ConfigError> {
        Settings::read(variables).map(Self).map_err(|refused| ConfigError::variable(refused.variable, refused.message))
    }
}

/// Traces of a server, if they are wanted.
pub(crate) struct Traces(Option<Export>);

impl Traces {
    /// Starts the log of a server, and the export.
    pub(crate) fn start(config: &Config) -> Result<Self, CliError> {
        let Some(settings) = &config.traces.0 else {
            telemetry::start(config.log_level, config.log_format);
            return Ok(Self(None));
        };
        let service = Service { version: env!("CARGO_PKG_VERSION"), instance: &config.node_name };
        let export = Export::start(settings, service).map_err(|error| CliError::Refused(error.to_string()))?;
        telemetry::start_with(config.log_level, config.log_format, export.layer());
        tracing::info!("traces are exported to a collector of OpenTelemetry");
        Ok(Self(Some(export)))
    }

    /// Sends what is left, within a few seconds.
    pub(crate) async fn finish(self) {
        if let Some(export) = self.0 {
            export.finish().await;
        }
    }
}

/// A request behind the router, as traces show it.
pub(crate) struct TracedRequest {
    span: RequestSpan,
    route: Option<MatchedPath>,
    path: String,
}

impl TracedRequest {
    pub(crate) fn begin(request: &Request, id: RequestId) -> Self {
        let path = request.uri().path();
        let route = request.extensions().get::<MatchedPath>().cloned();
        let span = if PROBES.contains(&path) || site::FILES.iter().any(|file| file.path == path) {
            RequestSpan::none()
        } else {
            RequestSpan::begin(request.method(), route.as_ref().map(MatchedPath::as_str), request.headers(), id.as_str())
        };
        Self { span, path: path.to_owned(), route }
    }

    pub(crate) fn around<F: Future>(&self, answering: F) -> impl Future<Output = F::Output> + use<F> {
        self.span.around(answering)
    }

    pub(crate) fn answered(&self, status: StatusCode) {
        self.span.answered(status.as_u16(), self.route.as_ref().map(MatchedPath::as_str), &self.path);
    }
}
