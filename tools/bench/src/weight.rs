//! The weight of what a browser loads, as the server sends it, and of the binary.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use crate::figures::{float, size};
use crate::http;
use crate::report::Row;
use crate::say;

/// A page that anybody may see. Every page names the same files, and the list of keys needs no others.
const PAGE: &str = "/sign-in";
const WASM: &str = ".wasm";
const SCRIPT: &str = ".js";
/// What is weighed: its name, its ending, what is wanted.
const KINDS: [(&str, &str, &str); 3] = [
    ("WebAssembly of the list of keys", WASM, "≤ 200 KiB"),
    ("JavaScript of every page", SCRIPT, "≤ 12 KiB"),
    ("Styles of every page", ".css", "≤ 15 KiB"),
];

/// Asks the server for everything its pages name, and for what their script fetches later.
pub(crate) async fn of_site(addr: SocketAddr) -> Result<Vec<Row>> {
    say("weight of the site");
    let page = http::get(addr, PAGE, "Accept: text/html\r\n").await?;
    ensure!(page.status == 200, "GET {PAGE} is answered with {}", page.status);
    let page = String::from_utf8(page.body).context("the page is not text")?;
    let named = assets(&page);
    let mut rows = Vec::new();
    for (what, ending, goal) in KINDS {
        let paths = named.iter().filter(|path| path.ends_with(ending)).map(|path| (*path).to_owned()).collect();
        rows.push(weigh(addr, what.to_owned(), paths, goal).await?);
    }
    for script in named.iter().filter(|path| path.ends_with(SCRIPT)) {
        let script = http::get(addr, script, "").await?;
        let script = String::from_utf8(script.body).context("the script is not text")?;
        for part in parts(&script) {
            let name = part.split('.').next().unwrap_or(part);
            rows.push(weigh(addr, format!("WebAssembly fetched later: {name}"), vec![format!("/pkg/{part}")], "").await?);
        }
    }
    Ok(rows)
}

async fn weigh(addr: SocketAddr, what: String, paths: Vec<String>, goal: &'static str) -> Result<Row> {
    if paths.is_empty() {
        return Ok(Row::alone(what, "not in this build".to_owned(), goal));
    }
    let (mut plain, mut brotli) = (0, 0);
    for path in &paths {
        plain += fetched(addr, path, "identity").await?;
        brotli += fetched(addr, path, "br").await?;
    }
    let (weight, beside) = (format!("{} brotli", size(float(brotli))), format!("{} uncompressed", size(float(plain))));
    Ok(Row { what, keyfold: weight, beside, goal, ..Row::default() })
}

/// The binary, with the site inside.
pub(crate) fn of_binary(path: &Path) -> Result<Row> {
    let bytes = std::fs::metadata(path).with_context(|| format!("{} cannot be read", path.display()))?.len();
    Ok(Row::alone("Binary with the site inside", size(float(bytes)), "≤ 30 MiB"))
}

async fn fetched(addr: SocketAddr, path: &str, coding: &str) -> Result<u64> {
    let answer = http::get(addr, path, &format!("Accept-Encoding: {coding}\r\n")).await?;
    ensure!(answer.status == 200, "GET {path} is answered with {}", answer.status);
    Ok(u64::try_from(answer.body.len())?)
}

/// The built files that a page names, each once.
fn assets(page: &str) -> BTreeSet<&str> {
    let starts = page.match_indices("/pkg/").map(|(at, _)| &page[at..]);
    starts.map(|rest| &rest[..rest.find(|c: char| !(c.is_ascii_alphanumeric() || "/._-".contains(c))).unwrap_or(rest.len())]).collect()
}

/// The names of the files of WebAssembly that a script fetches besides its own.
fn parts(script: &str) -> BTreeSet<&str> {
    let quoted = script.split('"').filter_map(|text| text.strip_prefix("./"));
    quoted.filter(|name| name.ends_with(WASM)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_script_fetches_later_is_found_once() {
        let script = r#"fetch(new URL("./split_a.0f.wasm", import.meta.url)); again("./split_a.0f.wasm"); import("./b.js")"#;
        assert_eq!(parts(script).into_iter().collect::<Vec<_>>(), ["split_a.0f.wasm"]);
    }

    #[test]
    fn every_built_file_of_a_page_is_found_once() {
        let page = r#"<link href="/pkg/a.0f.css"><script>import("/pkg/a.1e.js"); init('/pkg/a.2d.wasm')</script><link href=/pkg/a.1e.js>"#;
        let found: Vec<&str> = assets(page).into_iter().collect();
        assert_eq!(found, ["/pkg/a.0f.css", "/pkg/a.1e.js", "/pkg/a.2d.wasm"]);
    }
}
