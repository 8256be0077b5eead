//! The list of the site's files that `server/build.rs` reads: `target/site/manifest.json`.

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The whole list.
#[derive(Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct Manifest {
    /// The path of the main script, as a browser asks for it.
    pub(crate) js: String,
    /// The path of the WebAssembly module.
    pub(crate) wasm: String,
    /// The path of the style sheet.
    pub(crate) css: String,
    /// The path of the script that listens to the keyboard.
    pub(crate) shortcuts: String,
    /// Every file, sorted by path.
    pub(crate) files: Vec<File>,
}

/// One file, stored at `target/site` + `path`.
#[derive(Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct File {
    /// As a browser asks for it, with a leading `/`.
    pub(crate) path: String,
    /// The value of the Content-Type header.
    pub(crate) content_type: String,
    /// The name changes with the content, so it may be cached for ever.
    pub(crate) immutable: bool,
    /// The content's fingerprint, for an `ETag`.
    pub(crate) hash: String,
    /// Size in bytes.
    pub(crate) size: usize,
    /// Size in bytes of the sibling `path.br`, if there is one.
    pub(crate) br: Option<usize>,
    /// Size in bytes of the sibling `path.gz`, if there is one.
    pub(crate) gz: Option<usize>,
}

/// A fingerprint of 16 hexadecimal digits (64 bits: these are our own files, nobody chooses them to collide).
pub(crate) fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(8).fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

/// `("keyfold", "js", content)` -> `/pkg/keyfold.<hash>.js`.
pub(crate) fn hashed_path(name: &str, extension: &str, bytes: &[u8]) -> String {
    format!("/pkg/{name}.{}.{extension}", hash(bytes))
}

/// The Content-Type of a path, and whether compressing such a file is worth the time.
///
/// # Errors
/// If the extension is not known: guessing would be found out only in a browser.
pub(crate) fn content_type(path: &str) -> Result<(&'static str, bool)> {
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    Ok(match extension {
        // The licence of what lies beside it has to be shipped with it.
        "" if name.ends_with("LICENSE") => ("text/plain; charset=utf-8", true),
        "css" => ("text/css; charset=utf-8", true),
        "html" => ("text/html; charset=utf-8", true),
        "ico" => ("image/x-icon", true),
        "jpg" | "jpeg" => ("image/jpeg", false),
        "js" | "mjs" => ("text/javascript; charset=utf-8", true),
        "json" => ("application/json", true),
        "png" => ("image/png", false),
        "svg" => ("image/svg+xml", true),
        "txt" => ("text/plain; charset=utf-8", true),
        "wasm" => ("application/wasm", true),
        "webmanifest" => ("application/manifest+json", true),
        "webp" => ("image/webp", false),
        "woff2" => ("font/woff2", false),
        _ => bail!("no content type is known for {path}; add its extension to tools/site/src/manifest.rs"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_changes_with_the_content_and_only_with_it() {
        assert_eq!(hashed_path("keyfold", "js", b"abc"), "/pkg/keyfold.ba7816bf8f01cfea.js");
        assert_ne!(hashed_path("keyfold", "js", b"abd"), hashed_path("keyfold", "js", b"abc"));
    }

    #[test]
    fn every_kind_of_text_is_declared_as_utf_8() {
        for path in ["/a.css", "/a.html", "/a.js", "/robots.txt", "/icons-LICENSE"] {
            assert!(content_type(path).unwrap().0.ends_with("; charset=utf-8"), "{path}");
        }
    }

    #[test]
    fn webassembly_has_the_type_that_streaming_compilation_demands() {
        assert_eq!(content_type("/pkg/keyfold.0.wasm").unwrap(), ("application/wasm", true));
    }

    #[test]
    fn an_unknown_extension_is_refused() {
        for path in ["/a.xyz", "/README", "/a.b/c"] {
            assert!(content_type(path).unwrap_err().to_string().contains(path));
        }
    }
}
