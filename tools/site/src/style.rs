//! Joins the style sheets into one, so that a page asks for one file.
//!
//! `style/main.css` is a list: `@layer a, b;` fixes the order of the layers, `@import url("x.css") layer(a);` names a file
//! and the layer it belongs to. Nothing else may stand in it. It works in a browser as it is; here each import is replaced
//! by the file's text inside its layer.

use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};

/// Reads `main` and every file that it imports, and returns one style sheet.
///
/// # Errors
/// If a file cannot be read, or `main` holds something other than layers and imports.
pub(crate) fn bundle(main: &Path) -> Result<String> {
    let folder = main.parent().unwrap_or(Path::new("."));
    let list = read(main)?;
    join(&list, |name| read(&folder.join(name))).with_context(|| format!("in {}", main.display()))
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn join(list: &str, mut load: impl FnMut(&str) -> Result<String>) -> Result<String> {
    let list = without_comments(list);
    let mut sheet = String::new();
    let mut rest = list.trim();
    while !rest.is_empty() {
        let Some((statement, after)) = rest.split_once(';') else {
            bail!("a statement does not end: {rest}");
        };
        rest = after.trim_start();
        let statement = statement.trim();
        if let Some(import) = statement.strip_prefix("@import ") {
            let (name, layer) =
                parse_import(import).with_context(|| format!("not of the form @import url(\"file.css\") layer(name): {statement}"))?;
            let text = tidy(&load(name)?);
            ensure!(!text.contains("@import"), "{name} imports a file itself; only the list may");
            sheet.extend(["@layer ", layer, "{\n", &text, "}\n"]);
        } else if statement.starts_with("@layer ") && !statement.contains('{') {
            sheet.push_str(statement);
            sheet.push_str(";\n");
        } else {
            bail!("only @layer and @import may stand in the list, not: {statement}");
        }
    }
    ensure!(!sheet.is_empty(), "the list is empty");
    Ok(sheet)
}

/// `url("x.css") layer(y)` -> `("x.css", "y")`.
fn parse_import(import: &str) -> Option<(&str, &str)> {
    let (name, after) = import.trim().strip_prefix("url(\"")?.split_once("\")")?;
    let layer = after.trim().strip_prefix("layer(")?.strip_suffix(')')?;
    let plain = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
    (plain(name) && plain(layer)).then_some((name, layer))
}

/// Drops comments, indentation and empty lines. Compression does the rest.
fn tidy(text: &str) -> String {
    let text = without_comments(text);
    let mut tidied = String::with_capacity(text.len());
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        tidied.push_str(line);
        tidied.push('\n');
    }
    tidied
}

/// Drops `/* … */`, but not inside strings.
fn without_comments(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut quote = None;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (None, '/') if characters.peek() == Some(&'*') => {
                characters.next();
                let mut previous = ' ';
                for inner in characters.by_ref() {
                    if previous == '*' && inner == '/' {
                        break;
                    }
                    previous = inner;
                }
                continue;
            }
            (Some(_), '\\') => {
                kept.push(character);
                kept.extend(characters.next());
                continue;
            }
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), close) if open == close => quote = None,
            _ => {}
        }
        kept.push(character);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(name: &str) -> Result<String> {
        match name {
            "tokens.css" => Ok("/* colours */\n:root {\n    --ink: #111;\n}\n".to_owned()),
            "base.css" => Ok("a::after { content: \"/* kept */ \\\" \"; }\n".to_owned()),
            "nested.css" => Ok("@import url(\"x.css\");".to_owned()),
            _ => bail!("cannot read {name}"),
        }
    }

    #[test]
    fn each_file_ends_up_inside_its_layer_in_the_order_of_the_list() {
        let list =
            "/* the list */ @layer tokens, base;\n@import url(\"tokens.css\") layer(tokens);\n@import url(\"base.css\") layer(base);";
        assert_eq!(
            join(list, files).unwrap(),
            "@layer tokens, base;\n@layer tokens{\n:root {\n--ink: #111;\n}\n}\n@layer base{\na::after { content: \"/* kept */ \\\" \"; }\n}\n"
        );
    }

    #[test]
    fn a_rule_in_the_list_is_refused() {
        let message = join("body { color: red; }", files).unwrap_err().to_string();
        assert!(message.contains("only @layer and @import"), "{message}");
    }

    #[test]
    fn an_import_without_a_layer_is_refused() {
        for list in ["@import url(\"base.css\");", "@import \"base.css\" layer(x);", "@import url(\"\") layer(x);"] {
            let message = join(list, files).unwrap_err().to_string();
            assert!(message.contains("not of the form"), "{message}");
        }
    }

    #[test]
    fn an_import_inside_an_imported_file_is_refused() {
        let message = join("@import url(\"nested.css\") layer(x);", files).unwrap_err().to_string();
        assert!(message.contains("nested.css imports a file itself"), "{message}");
    }

    #[test]
    fn a_missing_file_an_unfinished_statement_and_an_empty_list_are_refused() {
        for (list, expected) in
            [("@import url(\"gone.css\") layer(x);", "cannot read gone.css"), ("@layer a, b", "does not end"), ("/* nothing */", "empty")]
        {
            let message = join(list, files).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
