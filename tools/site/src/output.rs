//! Writes the site: all of it, or nothing when it is up to date.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};

use crate::arguments::Options;
use crate::compress::compress;
use crate::manifest::{File, Manifest, content_type, hash, hashed_path};
use crate::{bundle, style};

const SITE: &str = "target/site";
const STYLE: &str = "style/main.css";
const PUBLIC: &str = "public";
/// Scripts written by hand.
const SCRIPTS: &str = "frontend/scripts";
/// Fetched by the other when it is first needed.
const PALETTE: &str = "palette";
/// Named by every page.
const SHORTCUTS: &str = "shortcuts";
/// Beside the manifest: the fingerprint of all that the site was made from.
const INPUTS: &str = ".inputs";
const MANIFEST: &str = "manifest.json";

/// What a first visit may weigh, compressed with brotli, in bytes. The framework's floor is 95 and 7 KiB.
const BUDGET: [(&str, usize); 3] = [("WASM", 200 * 1024), ("JS", 12 * 1024), ("CSS", 15 * 1024)];

/// Builds the site and says what it weighs.
///
/// # Errors
/// If an input is missing or wrong, or the site cannot be written.
pub(crate) fn build(options: &Options) -> Result<String> {
    ensure!(Path::new(STYLE).exists(), "{STYLE} is missing; run this in the repository's root");
    let started = Instant::now();
    let inputs = fingerprint(options)?;
    let site = Path::new(SITE);
    if std::fs::read_to_string(site.join(INPUTS)).is_ok_and(|built_from| built_from == inputs) {
        return Ok("up to date".to_owned());
    }
    let fresh = site.with_extension("new");
    let work = site.with_extension("work");
    remove(&fresh)?;
    remove(&work)?;
    let manifest = write(options, &fresh, &work)?;
    std::fs::write(fresh.join(MANIFEST), serde_json::to_vec_pretty(&manifest)?)?;
    remove(&work)?;
    // The old site stays whole until the new one is.
    remove(site)?;
    std::fs::rename(&fresh, site).with_context(|| format!("cannot move the new site to {SITE}"))?;
    // Written last: it says that the rest is whole, and its date tells the server's build that the site has changed, also
    // one that ran while this was at work.
    std::fs::write(site.join(INPUTS), inputs)?;
    Ok(format!("{} ({:.1} s)", describe(&manifest)?, started.elapsed().as_secs_f32()))
}

/// Fails if the written site is heavier than its budget.
///
/// # Errors
/// If it is, or if there is no compressed site.
pub(crate) fn check_budget() -> Result<String> {
    let manifest = bundle::read(&Path::new(SITE).join(MANIFEST))?;
    let manifest: Manifest = serde_json::from_slice(&manifest).context("the manifest is of another version")?;
    for ((what, limit), size) in BUDGET.into_iter().zip(weights(&manifest)?) {
        let Some(size) = size else { bail!("the site was built without compression, so its weight says nothing") };
        ensure!(size <= limit, "{what} weighs {size} bytes in brotli, more than its budget of {limit}");
    }
    Ok(format!("within its budget: {}", describe(&manifest)?))
}

/// A fingerprint of everything that the site depends on, this program included.
fn fingerprint(options: &Options) -> Result<String> {
    let program = std::env::current_exe().context("cannot find this program")?;
    let mut all = Vec::new();
    for file in [&program, &options.wasm].into_iter().chain(&options.wasm_opt) {
        all.push(hash(&bundle::read(file)?));
    }
    for folder in ["style", PUBLIC, SCRIPTS] {
        for name in bundle::files_below(Path::new(folder))? {
            all.push(format!("{folder}/{name} {}", hash(&bundle::read(&Path::new(folder).join(&name))?)));
        }
    }
    Ok(all.join("\n"))
}

fn write(options: &Options, site: &Path, work: &Path) -> Result<Manifest> {
    // The cheap parts first: a mistake in them should not wait for the dear one.
    let mut writer = Writer { site, compress: options.wasm_opt.is_some(), files: Vec::new() };
    let css = writer.hashed(bundle::NAME, "css", style::bundle(Path::new(STYLE))?.as_bytes())?;
    for name in bundle::files_below(Path::new(PUBLIC))? {
        writer.add(&format!("/{name}"), &bundle::read(&Path::new(PUBLIC).join(&name))?, false)?;
    }
    let shortcuts = scripts(&mut writer)?;
    let bundle = bundle::make(options, work)?;
    let mut javascript = bundle.javascript;
    for (name, bytes) in &bundle.parts {
        let path = writer.hashed(name, "wasm", bytes)?;
        let (asked, named) = (format!("\"./{name}.wasm\""), path.replace("/pkg/", "./"));
        javascript = renamed(&javascript, &asked, &format!("\"{named}\""))?;
    }
    let js = writer.hashed(bundle::NAME, "js", javascript.as_bytes())?;
    let wasm = writer.hashed(bundle::NAME, "wasm", &bundle.wasm)?;
    for (name, bytes) in &bundle.snippets {
        writer.add(&format!("/pkg/{name}"), bytes, false)?;
    }
    let mut files = writer.files;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(Manifest { js, wasm, css, shortcuts, files })
}

/// Writes what listens to the keyboard, and what it fetches; the path of the former.
fn scripts(writer: &mut Writer<'_>) -> Result<String> {
    let read = |name: &str| std::fs::read_to_string(format!("{SCRIPTS}/{name}.js")).with_context(|| format!("cannot read {name}.js"));
    let palette = writer.hashed(PALETTE, "js", bare(&read(PALETTE)?).as_bytes())?;
    let (asked, named) = (format!("'./{PALETTE}.js'"), palette.replace("/pkg/", "./"));
    let shortcuts = renamed(&bare(&read(SHORTCUTS)?), &asked, &format!("'{named}'"))?;
    writer.hashed(SHORTCUTS, "js", shortcuts.as_bytes())
}

/// A script without the lines that only people read.
fn bare(script: &str) -> String {
    let kept = script
        .lines()
        .map(str::trim_start)
        .filter(|line| !line.is_empty() && !["//", "/*", "* ", "*/"].iter().any(|mark| line.starts_with(mark)));
    kept.fold(String::new(), |bare, line| bare + line + "\n")
}

fn renamed(script: &str, asked: &str, named: &str) -> Result<String> {
    ensure!(script.contains(asked), "the script does not ask for {asked}");
    Ok(script.replace(asked, named))
}

struct Writer<'a> {
    site: &'a Path,
    compress: bool,
    files: Vec<File>,
}

impl Writer<'_> {
    fn hashed(&mut self, name: &str, extension: &str, bytes: &[u8]) -> Result<String> {
        let path = hashed_path(name, extension, bytes);
        self.add(&path, bytes, true)?;
        Ok(path)
    }

    fn add(&mut self, path: &str, bytes: &[u8], immutable: bool) -> Result<()> {
        let (content_type, compressible) = content_type(path)?;
        let mut file = File {
            path: path.to_owned(),
            content_type: content_type.to_owned(),
            immutable,
            hash: hash(bytes),
            size: bytes.len(),
            br: None,
            gz: None,
        };
        self.save(path, bytes)?;
        if self.compress && compressible {
            let compressed = compress(bytes).with_context(|| format!("cannot compress {path}"))?;
            if let Some(brotli) = compressed.brotli {
                self.save(&format!("{path}.br"), &brotli)?;
                file.br = Some(brotli.len());
            }
            if let Some(gzip) = compressed.gzip {
                self.save(&format!("{path}.gz"), &gzip)?;
                file.gz = Some(gzip.len());
            }
        }
        self.files.push(file);
        Ok(())
    }

    fn save(&self, path: &str, bytes: &[u8]) -> Result<()> {
        let file = self.site.join(path.trim_start_matches('/'));
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        }
        std::fs::write(&file, bytes).with_context(|| format!("cannot write {}", file.display()))
    }
}

/// The compressed sizes of what a first visit loads, in the order of [`BUDGET`].
fn weights(manifest: &Manifest) -> Result<[Option<usize>; 3]> {
    let weight = |path: &String| {
        let file = manifest.files.iter().find(|file| &file.path == path);
        file.map(|file| file.br).with_context(|| format!("the manifest names {path} but does not list it"))
    };
    let wasm = weight(&manifest.wasm)?;
    let scripts = weight(&manifest.js)?.zip(weight(&manifest.shortcuts)?).map(|(main, shortcuts)| main + shortcuts);
    Ok([wasm, scripts, weight(&manifest.css)?])
}

fn describe(manifest: &Manifest) -> Result<String> {
    let mut parts = Vec::new();
    for ((what, _), size) in BUDGET.into_iter().zip(weights(manifest)?) {
        if let Some(size) = size {
            parts.push(format!("{what} {}.{} KiB", size / 1024, size % 1024 * 10 / 1024));
        }
    }
    let weight = if parts.is_empty() { "uncompressed".to_owned() } else { format!("brotli {}", parts.join(", ")) };
    Ok(format!("{} files, {weight}", manifest.files.len()))
}

fn remove(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest_with(br: Option<usize>) -> Manifest {
        let file = |path: &str| File {
            path: path.to_owned(),
            content_type: String::new(),
            immutable: true,
            hash: String::new(),
            size: 9000,
            br,
            gz: None,
        };
        let (js, wasm, css) = ("/pkg/a.js".to_owned(), "/pkg/a.wasm".to_owned(), "/pkg/a.css".to_owned());
        let shortcuts = "/pkg/b.js".to_owned();
        Manifest { files: vec![file(&css), file(&js), file(&wasm), file(&shortcuts)], js, wasm, css, shortcuts }
    }

    #[test]
    fn a_written_file_is_listed_with_its_compressed_siblings() {
        let folder = std::env::temp_dir().join(format!("keyfold-site-{}", std::process::id()));
        let mut writer = Writer { site: &folder, compress: true, files: Vec::new() };
        let text = b"Disallow: /\n".repeat(50);
        writer.add("/robots.txt", &text, false).unwrap();
        let path = writer.hashed(bundle::NAME, "css", b"a{}").unwrap();

        let [robots, css] = writer.files.as_slice() else { unreachable!("two files were added") };
        assert_eq!((robots.path.as_str(), robots.immutable, robots.size), ("/robots.txt", false, text.len()));
        assert_eq!(std::fs::read(folder.join("robots.txt")).unwrap(), text);
        let brotli = std::fs::metadata(folder.join("robots.txt.br")).unwrap().len();
        assert_eq!(robots.br.and_then(|size| u64::try_from(size).ok()), Some(brotli));
        assert!(folder.join("robots.txt.gz").exists());

        assert_eq!((css.path.as_str(), css.immutable, css.br), (path.as_str(), true, None));
        assert!(!folder.join(format!("{}.br", path.trim_start_matches('/'))).exists());
        remove(&folder).unwrap();
    }

    #[test]
    fn a_manifest_survives_being_written_and_read() {
        let manifest = manifest_with(Some(5));
        let json = serde_json::to_vec(&manifest).unwrap();
        assert_eq!(serde_json::from_slice::<Manifest>(&json).unwrap(), manifest);
    }

    #[test]
    fn sizes_are_told_in_kibibytes() {
        assert_eq!(describe(&manifest_with(Some(1536))).unwrap(), "4 files, brotli WASM 1.5 KiB, JS 3.0 KiB, CSS 1.5 KiB");
        assert_eq!(describe(&manifest_with(None)).unwrap(), "4 files, uncompressed");
    }

    #[test]
    fn what_people_read_in_a_script_is_not_sent() {
        let script = "/** What it is for.\n * More of it.\n */\n\nconst a = 'b'; // stays\n  // goes\n  act(a);\n";
        assert_eq!(bare(script), "const a = 'b'; // stays\nact(a);\n");
    }

    #[test]
    fn a_script_that_asks_for_nothing_is_refused() {
        assert_eq!(renamed("import('./b.js')", "'./b.js'", "'./b.0.js'").unwrap(), "import('./b.0.js')");
        assert!(renamed("import('./c.js')", "'./b.js'", "'./b.0.js'").is_err());
    }

    #[test]
    fn a_manifest_that_names_an_unlisted_file_is_refused() {
        let mut manifest = manifest_with(None);
        manifest.files.clear();
        assert!(describe(&manifest).unwrap_err().to_string().contains("/pkg/a.wasm"));
    }
}
