//! From the compiler's WebAssembly to what a browser loads: cut into files, wasm-bindgen, then made small.
//!
//! wasm-bindgen is used as a library pinned by the workspace's lock file next to the crate of the same name, so the two
//! can never be of different versions.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use wasm_bindgen_cli_support::Bindgen;

use crate::arguments::Options;
use crate::{split, trim};

/// The name of the files before their hash.
pub(crate) const NAME: &str = "keyfold";

/// The features that the compiler uses by default, and no others: with `--all-features` wasm-opt writes modules that
/// browsers refuse.
const FEATURES: &[&str] = &[
    "--enable-bulk-memory",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-multivalue",
    "--enable-sign-ext",
    "--enable-mutable-globals",
];

/// How wasm-opt is to work. Of functions with one caller only tiny ones move into it: larger ones would make the file
/// smaller, but what goes over the wire larger, for brotli finds less that repeats (7 % of it when measured).
const EFFORT: &[&str] = &["-Oz", "--converge", "--one-caller-inline-max-function-size", "10"];

/// What a browser needs to start the front end.
pub(crate) struct Bundle {
    pub(crate) javascript: String,
    pub(crate) wasm: Vec<u8>,
    /// WebAssembly that pages fetch later, by the name with which the main script asks for it, without its extension.
    pub(crate) parts: Vec<(String, Vec<u8>)>,
    /// JavaScript that crates bring along, by path relative to the main script.
    pub(crate) snippets: Vec<(String, Vec<u8>)>,
}

/// Makes the bundle, using `work` (which must not exist yet) for files on the way.
///
/// # Errors
/// If a step fails; the text names the step.
pub(crate) fn make(options: &Options, work: &Path) -> Result<Bundle> {
    let script = format!("{NAME}.js");
    let pieces = split::cut(&options.wasm, work, &script)?;
    bind(&pieces.main, work, options.wasm_opt.is_some())
        .with_context(|| format!("wasm-bindgen cannot process {}", options.wasm.display()))?;
    let finish = |wasm: &Path| match &options.wasm_opt {
        Some(program) => read(&shrink(program, wasm)?),
        None => read(wasm),
    };
    let parts = pieces.parts.iter().map(|part| {
        let name = part.file_stem().and_then(|name| name.to_str()).context("a part without a name")?;
        Ok((name.to_owned(), finish(part)?))
    });
    let parts = parts.collect::<Result<Vec<_>>>()?;
    let javascript = String::from_utf8(read(&work.join(script))?).context("wasm-bindgen's script is not text")?;
    Ok(Bundle {
        javascript: pieces.join(&javascript)?,
        wasm: finish(&work.join(format!("{NAME}_bg.wasm")))?,
        parts,
        snippets: read_snippets(work)?,
    })
}

/// The parts import from the main file what the linker exports, so those exports stay. Names stay for [`trim`].
fn bind(main: &Path, work: &Path, small: bool) -> Result<()> {
    Bindgen::new()
        .input_path(main)
        .keep_lld_exports(true)
        .demangle(false)
        .out_name(NAME)
        .web(true)?
        .remove_producers_section(small)
        .generate(work)
}

fn shrink(program: &Path, wasm: &Path) -> Result<PathBuf> {
    let (trimmed, small) = (wasm.with_extension("trimmed.wasm"), wasm.with_extension("small.wasm"));
    let module = trim::trim(&read(wasm)?).with_context(|| format!("cannot read {}", wasm.display()))?;
    std::fs::write(&trimmed, module).with_context(|| format!("cannot write {}", trimmed.display()))?;
    let output = Command::new(program)
        .args(EFFORT)
        .args(FEATURES)
        .arg(&trimmed)
        .arg("-o")
        .arg(&small)
        .output()
        .with_context(|| format!("cannot start {}", program.display()))?;
    if !output.status.success() {
        bail!("{} failed: {}", program.display(), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(small)
}

fn read_snippets(work: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let folder = work.join("snippets");
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let names = files_below(&folder)?;
    names.into_iter().map(|name| Ok((format!("snippets/{name}"), read(&folder.join(&name))?))).collect()
}

/// Every file below `folder`, as a path relative to it with `/` between its parts, sorted.
///
/// # Errors
/// If a folder cannot be listed, or a name is not UTF-8.
pub(crate) fn files_below(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else {
            bail!("a file name in {} is not UTF-8: {}", folder.display(), name.display());
        };
        if entry.file_type()?.is_dir() {
            names.extend(files_below(&entry.path())?.into_iter().map(|below| format!("{name}/{below}")));
        } else {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Reads a whole file.
///
/// # Errors
/// If it cannot be read; the text names it.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
