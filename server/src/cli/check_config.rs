//! `keyfold check-config`: is the configuration right, and what holds?

use serde::Serialize;

use crate::cli::{CliError, Printer};
use crate::config::{Config, reference};

/// Check the configuration and show what holds, without starting anything
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print the reference of all settings as Markdown instead
    #[arg(long)]
    pub(super) reference: bool,
}

#[derive(Serialize)]
struct Shown<'a> {
    setting: &'a str,
    value: &'a str,
    source: String,
}

/// Prints what `docs/config.md` holds.
pub(super) fn print_reference(printer: &Printer) -> Result<(), CliError> {
    printer.line(reference().trim_end())
}

pub(super) fn run(_: Args, config: &Config, printer: &Printer) -> Result<(), CliError> {
    let shown: Vec<Shown<'_>> = config
        .effective()
        .iter()
        .map(|setting| Shown { setting: setting.key, value: &setting.value, source: setting.source.to_string() })
        .collect();
    let words: Vec<String> = shown.iter().map(|row| format!("{:<24}{}  ({})", row.setting, row.value, row.source)).collect();
    printer.data(&shown, &words.join("\n"))
}
