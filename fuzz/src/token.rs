//! Secrets.

#[path = "../../domain/src/token/plainly.rs"]
mod plainly;

use keyfold_domain::scope::KeyKind;
use keyfold_domain::token::{Prefix, parse};

use plainly::{checksum, plainly};

/// A text is a secret where a plain reading says so, and nowhere else; also with the checksum that belongs to it.
pub fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    agree(&text);
    agree(&format!("{text}{}", checksum(&text)));
    if let Some((covered, _)) = text.split_at_checked(text.len().saturating_sub(6)) {
        agree(&format!("{covered}{}", checksum(covered)));
    }
}

fn agree(text: &str) {
    let prefix = Prefix::default();
    let read = parse(&prefix, text).ok().map(KeyKind::marker);
    assert_eq!(read, plainly(prefix.as_str(), text), "{text:?}");
}
