//! Puts the site into the binary: turns `target/site/manifest.json`, which `tools/site` writes, into `$OUT_DIR/site.rs`.
//!
//! That file is included by `crate::site`, which declares the type of its entries:
//!
//! ```ignore
//! pub(crate) struct SiteFile {
//!     pub(crate) path: &'static str,            // as a browser asks for it: "/pkg/keyfold.87e65b96aa81d14f.js"
//!     pub(crate) content_type: &'static str,    // "text/javascript; charset=utf-8"
//!     pub(crate) immutable: bool,               // the name changes with the content: cache for ever
//!     pub(crate) etag: &'static str,            // of the identity form, quoted: "\"87e65b96aa81d14f\""
//!     pub(crate) identity: &'static [u8],
//!     pub(crate) br: Option<&'static [u8]>,     // compressed with brotli, if that saves anything
//!     pub(crate) gz: Option<&'static [u8]>,     // compressed with gzip, if that saves anything
//! }
//! include!(concat!(env!("OUT_DIR"), "/site.rs"));
//! ```
//!
//! Generated are `pub(crate) static FILES: &[SiteFile]`, sorted by path so that it can be searched by halves, and
//! `pub(crate) const JS`, `WASM`, `CSS` and `SHORTCUTS`, each `Option<&str>`: the paths that a page has to name. Without a
//! built site `FILES` is empty and the four are `None`; the server still works, with plain forms and no styles.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The site lies in the repository, wherever the compiler's own output goes.
    let site = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/site");
    let manifest = site.join("manifest.json");
    // Cargo watches what is in the folder, so the site may come, change and go. The folder itself has to be there: a
    // path that does not exist would count as changed at every build. If it cannot be made, that is all that happens.
    let _ = std::fs::create_dir_all(&site);
    println!("cargo::rerun-if-changed={}", site.display());

    // Built in from copies, so that a site that is being rebuilt meanwhile cannot pull the files away.
    let copies = out_dir()?.join("site");
    if copies.exists() {
        std::fs::remove_dir_all(&copies)?;
    }
    let generated = match std::fs::read(&manifest) {
        Ok(json) => table(&serde_json::from_slice(&json)?, &site, &copies)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => empty(),
        Err(error) => return Err(format!("cannot read {}: {error}", manifest.display()).into()),
    };
    std::fs::write(out_dir()?.join("site.rs"), generated)?;
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the only way in which cargo tells a build script where to write")]
fn out_dir() -> Result<PathBuf, &'static str> {
    std::env::var_os("OUT_DIR").map(PathBuf::from).ok_or("cargo did not set OUT_DIR")
}

fn empty() -> String {
    let mut code = String::from("pub(crate) static FILES: &[SiteFile] = &[];\n");
    for name in ["JS", "WASM", "CSS", "SHORTCUTS"] {
        code.extend(["pub(crate) const ", name, ": Option<&str> = None;\n"]);
    }
    code
}

fn table(manifest: &Value, site: &Path, copies: &Path) -> Result<String, Box<dyn std::error::Error>> {
    let files = manifest["files"].as_array().ok_or("the site's manifest has no list of files")?;
    let mut code = String::from("pub(crate) static FILES: &[SiteFile] = &[\n");
    for file in files {
        let path = text(file, "path")?;
        let include = |suffix: &str| copy(site, copies, &format!("{path}{suffix}"));
        let sibling = |member: &str| match file[member].as_u64() {
            Some(_) => include(&format!(".{member}")).map(|code| format!("Some({code})")),
            None => Ok("None".to_owned()),
        };
        // What is there compressed is not carried a third time: nearly every client takes one of the two.
        let identity = if file["gz"].as_u64().is_some() { "None".to_owned() } else { format!("Some({})", include("")?) };
        writeln!(
            code,
            "    SiteFile {{ path: {path:?}, content_type: {:?}, immutable: {}, etag: {:?}, identity: {}, br: {}, gz: {} }},",
            text(file, "content_type")?,
            file["immutable"].as_bool().ok_or("a file of the site's manifest lacks 'immutable'")?,
            format!("\"{}\"", text(file, "hash")?),
            identity,
            sibling("br")?,
            sibling("gz")?,
        )?;
    }
    code += "];\n";
    for (name, member) in [("JS", "js"), ("WASM", "wasm"), ("CSS", "css"), ("SHORTCUTS", "shortcuts")] {
        // A site from before the member was there is served without it until it is built again.
        writeln!(code, "pub(crate) const {name}: Option<&str> = {:?};", manifest[member].as_str())?;
    }
    Ok(code)
}

/// Copies a file of the site and returns the code that builds the copy in.
fn copy(site: &Path, copies: &Path, path: &str) -> Result<String, String> {
    let (from, to) = (format!("{}{path}", site.display()), format!("{}{path}", copies.display()));
    let folder = Path::new(&to).parent().unwrap_or(copies);
    std::fs::create_dir_all(folder).map_err(|error| format!("cannot create {}: {error}", folder.display()))?;
    std::fs::copy(&from, &to).map_err(|error| format!("cannot copy {from}: {error}; build the site again"))?;
    Ok(format!("include_bytes!({to:?})"))
}

fn text<'a>(value: &'a Value, member: &str) -> Result<&'a str, String> {
    value[member].as_str().ok_or_else(|| format!("the site's manifest lacks '{member}'"))
}
