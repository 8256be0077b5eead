//! `keyfold serve`: the server itself.

use crate::cli::{CliError, Printer};
use crate::config::Config;

/// Run the server
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) async fn run(_: Args, config: Config, printer: &Printer) -> Result<(), CliError> {
    crate::telemetry::start(config.log_level, config.log_format);
    crate::serve::run(config, printer).await
}
