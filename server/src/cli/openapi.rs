//! `keyfold openapi`: the OpenAPI document of the REST API. Needs no database.

use crate::cli::{CliError, Printer};
use crate::config::Config;
use crate::rest::openapi_document;

/// Print the OpenAPI 3.1 document of the REST API
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

#[expect(clippy::unused_async, reason = "every command is run the same way")]
pub(crate) async fn run(_: Args, _: &Config, printer: &Printer) -> Result<(), CliError> {
    printer.document(&openapi_document())
}
