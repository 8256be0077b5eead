//! The catalogue of what people read: `app/strings/en.json`, every sentence, label and title of the console, by source file.
//!
//! The sources hold the English text where it is used, because a literal in a view costs the browser nothing and a looked-up
//! one costs code for each place (`docs/decisions.md`). So the catalogue is read out of the sources, and another language is
//! put into a copy of them before it is compiled: [`translate`]. What a translation lacks stays English.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use std::str::FromStr as _;

use anyhow::{Context as _, Result, anyhow, bail};
use proc_macro2::{Delimiter, Literal, TokenStream, TokenTree};

use crate::bundle::{files_below, read};

/// The catalogue that the sources are the source of.
const ENGLISH: &str = "app/strings/en.json";
const FOLDER: &str = "app/strings";

/// A made-up language that nobody has to translate: accents show what is missing from the catalogue, and the length what
/// does not fit on the screen.
pub(crate) const PSEUDO: &str = "pseudo";

/// Texts by the file they are in, each with what stands in its place.
type Catalogue = BTreeMap<String, BTreeMap<String, String>>;

/// How much of a crate is shown to people.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// Screens: words, labels, sentences.
    Words,
    /// Only sentences, for a screen shows its errors. The rest is for databases, logs and wires.
    Sentences,
}

const SOURCES: &[(&str, Shown)] = &[
    ("app/src", Shown::Words),
    ("domain/src", Shown::Sentences),
    ("engine/src/error.rs", Shown::Sentences),
    ("engine/src/service", Shown::Sentences),
    ("server/src/pages", Shown::Sentences),
    ("server/src/auth", Shown::Sentences),
];

/// Drawings, not words.
const DRAWINGS: &str = "app/src/components/icon.rs";

/// Macros and methods whose text is for programmers.
const FOR_PROGRAMMERS: &[&str] = &[
    "assert",
    "assert_eq",
    "assert_ne",
    "debug",
    "debug_assert",
    "debug_assert_eq",
    "env",
    "error",
    "expect",
    "expect_err",
    "info",
    "include_bytes",
    "include_str",
    "panic",
    "trace",
    "unreachable",
    "warn",
];

/// Attributes of elements that nobody reads.
const NOT_READ: &[&str] = &[
    "accept",
    "action",
    "autocomplete",
    "class",
    "content",
    "d",
    "enctype",
    "for",
    "form",
    "headers",
    "href",
    "http-equiv",
    "id",
    "input",
    "method",
    "name",
    "pattern",
    "prefix",
    "rel",
    "rows",
    "sizes",
    "src",
    "style",
    "type",
    "value",
    "viewBox",
    "xmlns",
    "aria-describedby",
    "aria-labelledby",
    "aria-controls",
    "aria-keyshortcuts",
];

/// A text in a source file.
struct Found {
    /// Its bytes, with the quotes.
    at: Range<usize>,
    text: String,
}

/// Writes the catalogue anew, or fails if it is not what the sources say; looks over the translations either way.
///
/// # Errors
/// If a source cannot be read, the catalogue is out of date, or a translation has a text that is in no source, or one with
/// other placeholders than its original.
pub(crate) fn catalogue(check: bool) -> Result<String> {
    let english = extract()?;
    let fresh = format!("{}\n", serde_json::to_string_pretty(&english)?);
    let stored = std::fs::read_to_string(ENGLISH).unwrap_or_default();
    if check && stored != fresh {
        bail!("{ENGLISH} is out of date: run 'make generate' and commit it");
    }
    if stored != fresh {
        std::fs::create_dir_all(FOLDER).with_context(|| format!("cannot make {FOLDER}"))?;
        std::fs::write(ENGLISH, &fresh).with_context(|| format!("cannot write {ENGLISH}"))?;
    }
    let mut languages = 0;
    for name in files_below(Path::new(FOLDER))? {
        if let Some(language) = name.strip_suffix(".json") {
            compare(&english, &load(language)?).with_context(|| format!("{FOLDER}/{name}"))?;
            languages += 1;
        }
    }
    let texts: usize = english.values().map(BTreeMap::len).sum();
    Ok(format!("{texts} texts in {} files, languages: {languages}", english.len()))
}

/// Puts a language into the sources of a copy of the repository.
///
/// # Errors
/// If there is no such language, or a file of the copy cannot be read or written.
pub(crate) fn translate(language: &str, copy: &Path) -> Result<String> {
    let english = extract()?;
    let words = if language == PSEUDO { pseudo(&english) } else { load(language)? };
    compare(&english, &words)?;
    let classes = classes()?;
    let mut changed = 0;
    for (file, texts) in &words {
        let path = copy.join(file);
        let source = source(&path)?;
        let found = texts_of(&source, shown(file), &classes).with_context(|| file.clone())?;
        let mut out = String::with_capacity(source.len() + source.len() / 4);
        let mut done = 0;
        for Found { at, text } in found {
            if let Some(other) = texts.get(&text).filter(|other| **other != text) {
                out.push_str(source.get(done..at.start).unwrap_or_default());
                out.push_str(&Literal::string(other).to_string());
                done = at.end;
                changed += 1;
            }
        }
        out.push_str(source.get(done..).unwrap_or_default());
        std::fs::write(&path, out).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(format!("{changed} texts are {language} in {}", copy.display()))
}

fn extract() -> Result<Catalogue> {
    let classes = classes()?;
    let mut catalogue = Catalogue::new();
    for (root, shown) in SOURCES {
        let root = Path::new(root);
        let files =
            if root.is_dir() { files_below(root)?.into_iter().map(|name| root.join(name)).collect() } else { vec![root.to_owned()] };
        for path in files {
            let name = path.display().to_string();
            if path.extension().is_none_or(|end| end != "rs") || name == DRAWINGS || name.ends_with("/tests.rs") {
                continue;
            }
            let found = texts_of(&source(&path)?, *shown, &classes).with_context(|| name.clone())?;
            if !found.is_empty() {
                catalogue.insert(name, found.into_iter().map(|Found { text, .. }| (text.clone(), text)).collect());
            }
        }
    }
    Ok(catalogue)
}

fn shown(file: &str) -> Shown {
    SOURCES.iter().find(|(root, _)| file.starts_with(root)).map_or(Shown::Sentences, |(_, shown)| *shown)
}

fn source(path: &Path) -> Result<String> {
    String::from_utf8(read(path)?).with_context(|| format!("{} is not text", path.display()))
}

fn load(language: &str) -> Result<Catalogue> {
    let path = Path::new(FOLDER).join(format!("{language}.json"));
    serde_json::from_slice(&read(&path)?).with_context(|| format!("{} is not a catalogue", path.display()))
}

/// Does a translation fit? What it has must be in the sources, with the same placeholders.
fn compare(english: &Catalogue, other: &Catalogue) -> Result<()> {
    for (file, texts) in other {
        for (text, translated) in texts {
            if !english.get(file).is_some_and(|texts| texts.contains_key(text)) {
                bail!("{file} has no text {text:?}: take it out, or put it where it is now");
            }
            if placeholders(text) != placeholders(translated) {
                bail!("{file}: {translated:?} must have the placeholders of {text:?}, all of them and no others");
            }
        }
    }
    Ok(())
}

/// What is between braces, sorted; `{{` is a brace.
fn placeholders(text: &str) -> Vec<String> {
    let text = text.replace("{{", "").replace("}}", "");
    let mut found: Vec<String> =
        text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(inside, _)| inside.to_owned()).collect();
    found.sort_unstable();
    found
}

/// The text around its [`placeholders`].
fn without_placeholders(text: &str) -> String {
    text.split('{').enumerate().map(|(at, part)| if at == 0 { part } else { part.split_once('}').map_or(part, |(_, rest)| rest) }).collect()
}

/// Every text once more, with accents and longer by two fifths. The tag of the language stays, for it must be a real one.
fn pseudo(english: &Catalogue) -> Catalogue {
    let file = |texts: &BTreeMap<String, String>| {
        texts
            .keys()
            .filter(|text| text.contains(char::is_whitespace) || text.chars().count() > 2)
            .map(|text| (text.clone(), longer(text)))
            .collect()
    };
    english.iter().map(|(name, texts)| (name.clone(), file(texts))).collect()
}

fn longer(text: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    let mut letters = 0;
    for letter in text.chars() {
        inside = (inside || letter == '{') && letter != '}';
        out.push(match letter {
            _ if inside => letter,
            'a' => 'á',
            'e' => 'é',
            'i' => 'í',
            'o' => 'ó',
            'u' => 'ú',
            'A' => 'Á',
            'E' => 'É',
            'O' => 'Ó',
            other => other,
        });
        letters += usize::from(!inside);
    }
    // Between the words and the space around them, which belongs to the sentence.
    let end = out.trim_end().len();
    out.insert_str(end, &"·".repeat(letters * 2 / 5));
    out
}

/// The classes of the style sheets. They look like words and are not.
fn classes() -> Result<BTreeSet<String>> {
    let mut classes = BTreeSet::new();
    for name in files_below(Path::new("style"))? {
        let css = source(&Path::new("style").join(name))?;
        let names =
            css.split('.').skip(1).map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').next().unwrap_or_default());
        classes.extend(names.filter(|name| !name.is_empty()).map(str::to_owned));
    }
    Ok(classes)
}

/// The texts of one file, in the order in which they stand.
fn texts_of(source: &str, shown: Shown, classes: &BTreeSet<String>) -> Result<Vec<Found>> {
    let tokens = TokenStream::from_str(source).map_err(|error| anyhow!("this is not Rust: {error}"))?;
    let mut reader = Reader { shown, classes, found: Vec::new() };
    reader.walk(tokens);
    Ok(reader.found)
}

struct Reader<'a> {
    shown: Shown,
    classes: &'a BTreeSet<String>,
    found: Vec<Found>,
}

impl Reader<'_> {
    fn walk(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        // After `#[cfg(test)]`, up to the end of what it belongs to.
        let mut testing = false;
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            match token {
                TokenTree::Punct(sign) if sign.as_char() == '#' => {
                    let inner = usize::from(matches!(tokens.get(at + 1), Some(TokenTree::Punct(sign)) if sign.as_char() == '!'));
                    if let Some(TokenTree::Group(group)) = tokens.get(at + 1 + inner)
                        && group.delimiter() == Delimiter::Bracket
                    {
                        testing |= group.stream().to_string().replace(' ', "") == "cfg(test)";
                        at += 1 + inner;
                    }
                }
                TokenTree::Punct(sign) if sign.as_char() == ';' => testing = false,
                TokenTree::Group(group) if testing => testing = group.delimiter() != Delimiter::Brace,
                TokenTree::Group(group) if !for_programmers(&tokens, at) => self.walk(group.stream()),
                TokenTree::Literal(literal) if !testing => self.literal(literal, &tokens, at),
                _ => {}
            }
            at += 1;
        }
    }

    fn literal(&mut self, literal: &Literal, tokens: &[TokenTree], at: usize) {
        let Ok(string) = syn::parse_str::<syn::LitStr>(&literal.to_string()) else { return };
        let text = string.value();
        let read = match self.shown {
            Shown::Sentences => is_sentence(&text),
            Shown::Words => self.is_read(&text, tokens, at),
        };
        if read {
            self.found.push(Found { at: literal.span().byte_range(), text });
        }
    }

    fn is_read(&self, text: &str, tokens: &[TokenTree], at: usize) -> bool {
        let sign = |at: Option<usize>| match at.and_then(|at| tokens.get(at)) {
            Some(TokenTree::Punct(sign)) => Some(sign.as_char()),
            _ => None,
        };
        let (before, earlier, after) = (sign(at.checked_sub(1)), sign(at.checked_sub(2)), sign(Some(at + 1)));
        let arrow = before == Some('>') && matches!(earlier, Some('=' | '-'));
        let compared = before == Some('=') && matches!(earlier, Some('=' | '!')) || after == Some('|') || before == Some('|');
        let pattern = after == Some('=') && sign(Some(at + 2)) == Some('>');
        if compared || pattern || !text.contains(char::is_alphabetic) {
            return false;
        }
        if before == Some('=') {
            match attribute(tokens, at - 1).as_deref() {
                Some("lang") => return true,
                Some(name) if NOT_READ.contains(&name) => return false,
                _ => {}
            }
        }
        let in_view = before == Some('>') && !arrow && matches!(after, Some('<') | None);
        in_view || self.looks_like_words(text)
    }

    fn looks_like_words(&self, text: &str) -> bool {
        let own = without_placeholders(text);
        let capital = own.trim_start_matches(|c: char| !c.is_alphanumeric()).starts_with(char::is_uppercase);
        let several = own.contains(' ') && own.contains(char::is_alphabetic);
        // Paths, cookies, samples of programs, what `Debug` shows.
        let machine = text.starts_with(['/', '?', '#', '.', '_']) || text.contains(['=', '\\']) || text.ends_with("(…)");
        let shouted = !own.contains(char::is_lowercase) || !own.split(|c: char| !c.is_alphabetic()).any(|word| word.len() > 1);
        let of_classes = own.split_whitespace().all(|word| self.classes.iter().any(|class| class.starts_with(word)));
        (capital || several) && !machine && !shouted && !of_classes
    }
}

/// A capital, a full stop at the end of it or of something inside, and more than a word.
fn is_sentence(text: &str) -> bool {
    text.starts_with(|c: char| c.is_uppercase() || c == '{') && text.trim_end().ends_with(['.', '?', ':']) && text.trim().contains(' ')
}

/// Does the group at this place belong to a macro or method whose text is for programmers?
fn for_programmers(tokens: &[TokenTree], at: usize) -> bool {
    let bang = matches!(at.checked_sub(1).and_then(|at| tokens.get(at)), Some(TokenTree::Punct(sign)) if sign.as_char() == '!');
    let name = at.checked_sub(if bang { 2 } else { 1 }).and_then(|at| tokens.get(at));
    match name {
        Some(TokenTree::Ident(name)) => {
            (bang || name == "expect" || name == "expect_err") && FOR_PROGRAMMERS.iter().any(|other| name == other)
        }
        _ => false,
    }
}

/// The name before the `=` at this place: `aria-label` of `aria-label="…"`.
fn attribute(tokens: &[TokenTree], equals: usize) -> Option<String> {
    let mut name = String::new();
    let mut at = equals;
    loop {
        at = at.checked_sub(1)?;
        match tokens.get(at)? {
            TokenTree::Ident(part) => name.insert_str(0, &part.to_string()),
            _ => return None,
        }
        match at.checked_sub(1).and_then(|at| tokens.get(at)) {
            Some(TokenTree::Punct(sign)) if sign.as_char() == '-' => {
                name.insert(0, '-');
                at -= 1;
            }
            _ => return Some(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(source: &str, shown: Shown) -> Vec<String> {
        let classes = ["button", "button-small", "row"].map(str::to_owned).into();
        texts_of(source, shown, &classes).unwrap().into_iter().map(|Found { text, .. }| text).collect()
    }

    #[test]
    fn words_of_a_view_are_read_and_its_machinery_is_not() {
        let view = r#"
            //! Says nothing.
            fn view() {
                view! {
                    <a class="button Big" href="/x y" aria-label="Open it" data-label="Name" name="Act" lang="en">"now"</a>
                    {if one { "button row" } else { "row" }}
                    {format!("{} on this page", 3)}
                    <Icon name="arrow" /> "Next page"
                };
                let machine = ["POST", "{a} {b}", "Path=/; Secure", "Secret(…)", "button button-{}", "{}T{}", "curl x \\\n -H"];
                match key { "Escape" => "deactivate", "Enter" | "Space" => "Go on", _ => unreachable!("No such key") };
                if key == "Enter" { tracing::warn!("It is late."); }
            }
            #[cfg(test)]
            mod tests { fn t() { assert!("Never shown"); let a = "Nor This"; } }
            const AFTER: &str = "After the tests";
        "#;
        let expected = ["Open it", "Name", "en", "now", "{} on this page", "Next page", "Go on", "After the tests"];
        assert_eq!(texts(view, Shown::Words), expected);
    }

    #[test]
    fn of_other_crates_only_sentences_are_read() {
        let source =
            r#"fn f() { q("SELECT 1 FROM x"); Problem::invalid("name", "Give it a name."); log("the log. ended"); let a = "Name"; }"#;
        assert_eq!(texts(source, Shown::Sentences), ["Give it a name."]);
    }

    #[test]
    fn a_translation_must_keep_what_is_filled_in() {
        let catalogue = |translated: &str| {
            Catalogue::from([("a.rs".to_owned(), BTreeMap::from([("{n} keys of {name}".to_owned(), translated.to_owned())]))])
        };
        let english = catalogue("{n} keys of {name}");
        assert!(compare(&english, &catalogue("{n} Schlüssel von {name}")).is_ok());
        assert!(compare(&english, &catalogue("von {name}: {n} Schlüssel")).is_ok());
        for wrong in ["Schlüssel", "{n} Schlüssel von {names}", "{n} {n} {name}"] {
            assert!(compare(&english, &catalogue(wrong)).is_err(), "{wrong}");
        }
        let gone = Catalogue::from([("a.rs".to_owned(), BTreeMap::from([("Gone".to_owned(), "Weg".to_owned())]))]);
        assert!(compare(&english, &gone).is_err());
    }

    #[test]
    fn the_made_up_language_is_longer_and_keeps_what_is_filled_in() {
        assert_eq!(longer("Delete {name} "), "Délété {name}··· ".replace("···", &"·".repeat(3)));
        assert!(longer("Name of the key").chars().count() * 10 >= "Name of the key".chars().count() * 14);
    }
}
