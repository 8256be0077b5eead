//! `keyfold serve`: the server itself.

use crate::cli::{CliError, Printer};
use crate::config::Config;
use crate::traces::Traces;

/// Run the server
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) async fn run(_: Args, config: Config, printer: &Printer) -> Result<(), CliError> {
    let traces = Traces::start(&config)?;
    let served = crate::serve::run(config, printer).await;
    traces.finish().await;
    served
}
