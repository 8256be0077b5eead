//! Cuts the front end into the part that every page needs and those that pages fetch later.
//!
//! Where it is cut is said in `app/src/later.rs`. What only one of those pages needs goes into that page's file, what
//! several of them need into a file of its own, and the rest into the main file. A small script fetches them; it and
//! wasm-bindgen's script need one another, so they become one file.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, ensure};
use wasm_split_cli_support::{Options, transform};

const LOADER: &str = "./loader.js";

/// The front end in pieces.
pub(crate) struct Pieces {
    /// What wasm-bindgen has to process.
    pub(crate) main: PathBuf,
    /// What is fetched later.
    pub(crate) parts: Vec<PathBuf>,
    /// The script that fetches them by the names they have here.
    loader: PathBuf,
}

/// Cuts `wasm` into files in `work`. `script` is the file name that wasm-bindgen's script will have.
///
/// # Errors
/// If the linker's relocations are missing, or the file is of a version that the splitter does not know.
pub(crate) fn cut(wasm: &Path, work: &Path, script: &str) -> Result<Pieces> {
    let input = crate::bundle::read(wasm)?;
    let (main, main_module) = (work.join("main.wasm"), format!("./{script}"));
    let mut options = Options::new(&input);
    options.output_dir = work;
    options.main_out_path = &main;
    options.main_module = &main_module;
    options.link_name = LOADER;
    options.emit_dwarf = false;
    let split = transform(options).map_err(|error| anyhow!("{error:#}")).context("the front end cannot be cut into files")?;
    let mut parts = split.split_modules;
    parts.sort();
    Ok(Pieces { main, parts, loader: work.join(LOADER) })
}

impl Pieces {
    /// wasm-bindgen's script with the one that fetches the parts inside.
    ///
    /// # Errors
    /// If either does not look as expected.
    pub(crate) fn join(&self, script: &str) -> Result<String> {
        let loader = crate::bundle::read(&self.loader)?;
        join(script, std::str::from_utf8(&loader).context("the loader is not text")?)
    }
}

fn join(script: &str, loader: &str) -> Result<String> {
    let from_loader = format!(" from \"{LOADER}\"");
    let imported = |line: &str| -> Option<String> {
        let line = line.trim().trim_end_matches(';').strip_suffix(&from_loader)?;
        Some(line.strip_prefix("import * as ")?.to_owned())
    };
    let names: Vec<String> = script.lines().filter_map(imported).collect();
    let script: Vec<&str> = script.lines().filter(|line| imported(line).is_none()).collect();
    let loader: Vec<&str> = loader.lines().filter(|line| !line.starts_with("import ")).collect();
    let exported = |line: &str| line.strip_prefix("export const ").and_then(|rest| Some(rest.split_once(" =")?.0.to_owned()));
    let functions: Vec<String> = loader.iter().filter_map(|line| exported(line)).collect();
    let mut joined = format!("{}\n{}\n", script.join("\n"), loader.join("\n").replace("export const ", "const "));
    ensure!(!joined.contains(&from_loader), "wasm-bindgen imports the loader in an unknown way");
    ensure!(names.is_empty() == functions.is_empty(), "the loader and wasm-bindgen's script do not fit together");
    for name in names {
        writeln!(joined, "const {name} = {{ {} }};", functions.join(", "))?;
    }
    Ok(joined)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &str = "import * as import1 from \"./loader.js\"\nfunction initSync() { return import1; }\nexport { initSync };";

    #[test]
    fn the_loader_becomes_a_part_of_the_script() {
        let loader = "import { initSync } from \"./keyfold.js\";\nexport const load_a = 1;\nexport const load_b = 2;\n";
        let joined = join(SCRIPT, loader).unwrap();
        assert!(!joined.contains("import "), "{joined}");
        assert!(joined.contains("\nconst load_a = 1;\n") && joined.ends_with("const import1 = { load_a, load_b };\n"), "{joined}");
    }

    #[test]
    fn a_script_that_does_not_fit_is_refused() {
        assert!(join("import { load_a } from \"./loader.js\"", "export const load_a = 1;").is_err());
        assert!(join(SCRIPT, "").is_err());
    }
}
