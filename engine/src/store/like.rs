//! Patterns for LIKE.

/// "Contains", with the text taken literally: `!` stands before what LIKE would take for a sign, so the comparison needs
/// `ESCAPE '!'`.
pub(crate) fn containing(text: &str) -> String {
    let mut pattern = String::from("%");
    for found in text.chars() {
        if matches!(found, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(found);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_in_a_search_are_taken_literally() {
        assert_eq!(containing("50%_Ä!"), "%50!%!_Ä!!%");
        assert_eq!(containing(""), "%%");
    }
}
