//! Builds the site that the server binary carries: `target/site/`.
//!
//! Takes the compiled front end (WebAssembly), `style/main.css` and `public/`; writes the JavaScript and WebAssembly that
//! a browser loads, one style sheet, the public files, a compressed sibling of each, and a manifest of it all. Files under
//! `/pkg/` are named after their content, so they may be cached for ever. Does nothing when its inputs are unchanged.
//!
//! It also keeps the catalogue of what people read (`strings`).
//!
//! It runs in the repository's root and knows nothing of HTTP: `server/build.rs` embeds what it writes.

mod arguments;
mod bundle;
mod compress;
mod manifest;
mod output;
mod split;
mod strings;
mod style;
mod trim;

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use arguments::Command;

fn main() -> ExitCode {
    let outcome = arguments::parse(std::env::args().skip(1)).and_then(|command| match command {
        Command::Build(options) => output::build(&options),
        Command::Budget => output::check_budget(),
        Command::Strings { check } => strings::catalogue(check),
        Command::Translate { language, copy } => strings::translate(&language, &copy),
    });
    match outcome.and_then(|line| print(&line)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to tell anyone if standard error is gone too.
            let _ = writeln!(std::io::stderr(), "site: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn print(line: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "site: {line}")?)
}
