//! Pages of `docs/`, whose examples are tried as they stand there.

use std::path::Path;

/// The blocks of a page that are of this language, as they stand there.
pub(crate) fn blocks(page: &str, language: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(page);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let begin = format!("```{language}\n");
    text.split(&begin).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

/// The text with one part replaced that has to be in it: what is only right on the machine that the page has in mind.
#[track_caller]
pub(crate) fn fitted(text: &str, pairs: &[(&str, &str)]) -> String {
    pairs.iter().fold(text.to_owned(), |text, (there, here)| {
        assert!(text.contains(there), "the page does not say {there:?} any more:\n{text}");
        text.replace(there, here)
    })
}
