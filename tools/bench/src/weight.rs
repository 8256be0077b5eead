//! The weight of what a browser loads for its first page, as the server sends it, and of the binary.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use crate::figures::{float, size};
use crate::http;
use crate::report::Row;
use crate::say;

/// A page that anybody may see.
const PAGE: &str = "/sign-in";
/// What is weighed: its name, its ending, what is wanted.
const KINDS: [(&str, &str, &str); 3] =
    [("WebAssembly", ".wasm", "≤ 200 KiB"), ("JavaScript", ".js", "≤ 12 KiB"), ("Styles", ".css", "≤ 15 KiB")];

/// Asks the server for everything its first page names.
pub(crate) async fn of_site(addr: SocketAddr) -> Result<Vec<Row>> {
    say("weight of the site");
    let page = http::get(addr, PAGE, "Accept: text/html\r\n").await?;
    ensure!(page.status == 200, "GET {PAGE} is answered with {}", page.status);
    let page = String::from_utf8(page.body).context("the page is not text")?;
    let mut rows = Vec::new();
    for (name, ending, goal) in KINDS {
        let (mut plain, mut brotli, mut files) = (0, 0, 0u32);
        for path in assets(&page).into_iter().filter(|path| path.ends_with(ending)) {
            plain += fetched(addr, path, "identity").await?;
            brotli += fetched(addr, path, "br").await?;
            files += 1;
        }
        let weight = if files == 0 { "not in this build".to_owned() } else { format!("{} brotli", size(float(brotli))) };
        let beside = if files == 0 { String::new() } else { format!("{} uncompressed", size(float(plain))) };
        rows.push(Row { what: format!("{name} of the first page"), keyfold: weight, beside, goal, ..Row::default() });
    }
    Ok(rows)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_file_of_a_page_is_found_once() {
        let page = r#"<link href="/pkg/a.0f.css"><script>import("/pkg/a.1e.js"); init('/pkg/a.2d.wasm')</script><link href=/pkg/a.1e.js>"#;
        let found: Vec<&str> = assets(page).into_iter().collect();
        assert_eq!(found, ["/pkg/a.0f.css", "/pkg/a.1e.js", "/pkg/a.2d.wasm"]);
    }
}
