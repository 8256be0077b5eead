//! What `Authorization: Bearer …` says, in the plainest words. The reader is held against it, here and by `fuzz`.

/// The token in a value of the header, without blanks at its ends.
pub(crate) fn plainly(value: &[u8]) -> Option<String> {
    // Visible ASCII, blanks and tabs are text; everything else makes the value unreadable.
    let text: String = value.iter().map(|byte| char::from(*byte)).collect();
    if !text.chars().all(|sign| sign == '\t' || (' '..='~').contains(&sign)) {
        return None;
    }
    let (scheme, token) = text.split_once(' ')?;
    let token = token.trim_start_matches(' ');
    (scheme.to_lowercase() == "bearer" && !token.is_empty()).then(|| token.to_owned())
}
