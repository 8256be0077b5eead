//! The command line: what [`USAGE`] says.

use std::path::PathBuf;

use anyhow::{Result, bail};

const USAGE: &str = "usage: site build WASM [--wasm-opt PATH] | site budget | site strings [--check] | site translate LANGUAGE FOLDER
  build WASM        write target/site/ from this compiled front end, style/ and public/
  --wasm-opt PATH   shrink with this program and compress; without it the build is quick and large
  budget            fail if the built site is heavier than its budget
  strings           write app/strings/en.json, the catalogue of what people read; with --check, fail if it is out of date
  translate         put a language of app/strings/ into a copy of the sources; the language pseudo is made up";

/// What to do.
pub(crate) enum Command {
    /// Write the site.
    Build(Options),
    /// Compare the written site with its budget.
    Budget,
    /// Write the catalogue, or only look whether it is what the sources say.
    Strings { check: bool },
    /// Put a language into the sources in `copy`.
    Translate { language: String, copy: PathBuf },
}

/// What `build` is told.
pub(crate) struct Options {
    /// The front end as the compiler wrote it.
    pub(crate) wasm: PathBuf,
    /// The program that shrinks it; without one, nothing is compressed either.
    pub(crate) wasm_opt: Option<PathBuf>,
}

/// Reads the arguments after the program's name.
///
/// # Errors
/// On anything that [`USAGE`] does not describe.
pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Command> {
    match arguments.next().as_deref() {
        Some("build") => {}
        Some("budget") if arguments.next().is_none() => return Ok(Command::Budget),
        Some("strings") => return strings(arguments),
        Some("translate") => return translate(arguments),
        _ => bail!(USAGE),
    }
    let mut wasm = None;
    let mut wasm_opt = None;
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--wasm-opt" => match arguments.next() {
                Some(path) => wasm_opt = Some(PathBuf::from(path)),
                None => bail!("--wasm-opt needs a path\n{USAGE}"),
            },
            option if option.starts_with('-') => bail!("unknown option {option}\n{USAGE}"),
            path if wasm.is_none() => wasm = Some(PathBuf::from(path)),
            surplus => bail!("one argument too many: {surplus}\n{USAGE}"),
        }
    }
    match wasm {
        Some(wasm) => Ok(Command::Build(Options { wasm, wasm_opt })),
        None => bail!(USAGE),
    }
}

fn strings(mut arguments: impl Iterator<Item = String>) -> Result<Command> {
    match (arguments.next().as_deref(), arguments.next()) {
        (None, None) => Ok(Command::Strings { check: false }),
        (Some("--check"), None) => Ok(Command::Strings { check: true }),
        _ => bail!(USAGE),
    }
}

fn translate(mut arguments: impl Iterator<Item = String>) -> Result<Command> {
    match (arguments.next(), arguments.next(), arguments.next()) {
        (Some(language), Some(copy), None) => Ok(Command::Translate { language, copy: copy.into() }),
        _ => bail!(USAGE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn a_build_takes_its_file_and_its_program_in_either_order() {
        for line in ["build a.wasm --wasm-opt w", "build --wasm-opt w a.wasm"] {
            let Command::Build(options) = parsed(line).unwrap() else {
                unreachable!("{line} is a build");
            };
            assert_eq!(options.wasm, PathBuf::from("a.wasm"));
            assert_eq!(options.wasm_opt, Some(PathBuf::from("w")));
        }
    }

    #[test]
    fn anything_else_is_answered_with_the_usage() {
        for line in [
            "",
            "bild",
            "build",
            "build a b",
            "build a --wasm-opt",
            "build a --fast",
            "budget x",
            "strings x",
            "strings --check x",
            "translate",
            "translate de",
            "translate de a b",
        ] {
            let message = parsed(line).err().unwrap().to_string();
            assert!(message.contains("usage: site build"), "{line}: {message}");
        }
    }
}
