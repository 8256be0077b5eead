//! Text that people type: names, notes, slugs. One rule for all of them, so that none can break a line, a table or a log.

use unicode_normalization::UnicodeNormalization;

use crate::problem::Problem;

/// The most characters of a name.
pub const MAX_NAME: usize = 100;
/// The most characters of a note.
pub const MAX_NOTE: usize = 1000;

/// Characters that reorder or hide the text around them (Unicode UAX 9 and zero-width ones).
const fn is_deceptive(found: char) -> bool {
    matches!(found, '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2028}' | '\u{2029}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Can it stand in a line of text without breaking, reordering or hiding anything?
pub(crate) fn is_plain(found: char) -> bool {
    !found.is_control() && !is_deceptive(found)
}

pub(crate) fn clean(field: &str, text: &str, max: usize, line_breaks: bool) -> Result<String, Problem> {
    let text: String = text.trim().nfc().collect();
    if text.chars().count() > max {
        return Err(Problem::invalid(field, format!("Use at most {max} characters.")));
    }
    // A zero-width joiner holds many emoji together and hides nothing.
    if text.chars().any(|found| (found.is_control() && !(line_breaks && found == '\n')) || (is_deceptive(found) && found != '\u{200d}')) {
        return Err(Problem::invalid(field, "Leave out control characters and characters that change the direction of text."));
    }
    Ok(text)
}

/// A name of 0 to [`MAX_NAME`] characters: trimmed, in Unicode form NFC, without control or direction characters.
pub fn optional_name(field: &str, text: &str) -> Result<String, Problem> {
    clean(field, text, MAX_NAME, false)
}

/// A name that must not be empty; otherwise as [`optional_name`].
pub fn required_name(field: &str, text: &str) -> Result<String, Problem> {
    let text = clean(field, text, MAX_NAME, false)?;
    if text.is_empty() { Err(Problem::invalid(field, "Enter a name.")) } else { Ok(text) }
}

/// A note of up to [`MAX_NOTE`] characters; may have several lines.
pub fn note(field: &str, text: &str) -> Result<String, Problem> {
    clean(field, &text.replace("\r\n", "\n"), MAX_NOTE, true)
}

/// A workspace's short name in addresses: 2 to 40 of `a-z`, `0-9` and `-`, starting and ending with a letter or digit.
pub fn slug(field: &str, text: &str) -> Result<String, Problem> {
    let text = text.trim();
    let valid = (2..=40).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-');
    // An id in the same place of an address must stay unmistakable; ids contain an underscore, slugs cannot.
    if valid {
        Ok(text.to_owned())
    } else {
        Err(Problem::invalid(field, "Use 2 to 40 lower-case letters, digits and hyphens, with a letter or digit at both ends."))
    }
}

/// The most characters of a search.
pub const MAX_SEARCH: usize = 200;

/// May that text be searched for? At most [`MAX_SEARCH`] characters, none of them a control character.
pub fn check_search(field: &str, text: &str) -> Result<(), Problem> {
    if text.chars().count() > MAX_SEARCH {
        return Err(Problem::invalid(field, format!("Search for at most {MAX_SEARCH} characters.")));
    }
    if text.chars().any(char::is_control) {
        return Err(Problem::invalid(field, "Leave out control characters."));
    }
    Ok(())
}

/// The form in which names are searched: NFC, lower case.
pub fn fold(text: &str) -> String {
    text.nfc().flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_is_trimmed_and_normalised() {
        assert_eq!(optional_name("name", "  Cafe\u{301} ").unwrap(), "Café");
        assert_eq!(optional_name("name", "   ").unwrap(), "");
        assert_eq!(optional_name("name", "👩\u{200d}🔬 lab").unwrap(), "👩\u{200d}🔬 lab");
    }

    #[test]
    fn a_name_that_deceives_or_overflows_names_its_field() {
        for bad in ["a\nb", "a\u{0}b", "a\u{202e}b", "a\u{2066}b", "a\u{200b}b", &"x".repeat(101)] {
            assert_eq!(optional_name("name", bad).unwrap_err().field.as_deref(), Some("name"), "{bad:?}");
        }
        assert!(optional_name("name", &"界".repeat(100)).is_ok());
        assert!(required_name("name", " ").is_err());
    }

    #[test]
    fn a_slug_keeps_to_letters_digits_and_inner_hyphens() {
        assert_eq!(slug("slug", " team-1 ").unwrap(), "team-1");
        for bad in ["", "a", "-ab", "ab-", "Ab", "a_b", "a b", &"a".repeat(41)] {
            assert!(slug("slug", bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn an_accepted_name_is_accepted_again_unchanged(text in "\\PC{0,60}") {
            if let Ok(once) = optional_name("name", &text) {
                prop_assert_eq!(optional_name("name", &once).unwrap(), once);
            }
        }
    }
}
