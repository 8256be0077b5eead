//! What commands print, and how they fail.

use std::io::{self, Write as _};
use std::process::ExitCode;

use keyfold_domain::problem::Problem;
use serde::Serialize;

use crate::config::{ConfigError, Source};

/// Why a command did not do what was asked. The text tells what to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum CliError {
    /// It was understood and is not possible.
    Refused(String),
    /// It was not understood.
    Usage(String),
    /// There is nobody to print to any more.
    Closed,
}

impl From<Problem> for CliError {
    fn from(problem: Problem) -> Self {
        match problem.field {
            Some(field) => Self::Refused(format!("{field}: {}", problem.message)),
            None => Self::Refused(problem.message),
        }
    }
}

impl From<keyfold_engine::Error> for CliError {
    /// The operator is told the cause as well: nobody else reads along.
    fn from(error: keyfold_engine::Error) -> Self {
        let cause = error.source_text().map(str::to_owned);
        match (Self::from(error.problem()), cause) {
            (Self::Refused(text), Some(cause)) => Self::Refused(format!("{text} ({cause})")),
            (refused, _) => refused,
        }
    }
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> Self {
        if error.given_by == Source::Flag { Self::Usage(error.to_string()) } else { Self::Refused(error.to_string()) }
    }
}

impl From<io::Error> for CliError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe { Self::Closed } else { Self::Refused(error.to_string()) }
    }
}

/// Where commands print to.
#[derive(Debug)]
pub(crate) struct Printer {
    json: bool,
}

impl Printer {
    pub(crate) const fn new(json: bool) -> Self {
        Self { json }
    }

    /// One line of what was asked for, on standard output.
    #[expect(clippy::unused_self, reason = "whoever prints goes through the printer it was given")]
    pub(crate) fn line(&self, text: &str) -> Result<(), CliError> {
        let mut out = io::stdout().lock();
        writeln!(out, "{text}")?;
        Ok(out.flush()?)
    }

    /// One line beside it, on standard error.
    #[expect(clippy::unused_self, reason = "whoever prints goes through the printer it was given")]
    pub(crate) fn note(&self, text: &str) {
        // Nobody listening is no reason to stop.
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    /// What was asked for: as JSON if that is wanted, else in words.
    pub(crate) fn data(&self, data: &impl Serialize, words: &str) -> Result<(), CliError> {
        if self.json { self.document(data) } else { self.line(words) }
    }

    /// A secret for scripts: the bare text, or the whole answer with it as JSON.
    pub(crate) fn secret(&self, secret: &str, whole: &impl Serialize) -> Result<(), CliError> {
        self.data(whole, secret)
    }

    /// JSON, whatever is wanted otherwise.
    pub(crate) fn document(&self, data: &impl Serialize) -> Result<(), CliError> {
        let text = serde_json::to_string_pretty(data).map_err(|error| CliError::Refused(error.to_string()))?;
        self.line(&text)
    }

    /// Says why the command failed.
    pub(crate) fn failure(&self, error: &CliError) -> ExitCode {
        let (text, code) = match error {
            CliError::Refused(text) => (text, 1),
            CliError::Usage(text) => (text, 2),
            CliError::Closed => return ExitCode::from(1),
        };
        self.note(&format!("keyfold: {text}"));
        ExitCode::from(code)
    }
}

/// Rows as columns for a terminal, as wide as what is in them.
pub(crate) fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |row: &[String; N]| {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn a_refusal_names_the_field_at_fault() {
        let refused = CliError::from(Problem::invalid("username", "Choose another."));
        assert_eq!(refused, CliError::Refused("username: Choose another.".into()));
    }

    #[test]
    fn a_wrong_flag_is_wrong_usage() {
        assert!(matches!(CliError::from(Config::of(&[("addr", "x")]).err().unwrap()), CliError::Usage(_)));
    }
}
