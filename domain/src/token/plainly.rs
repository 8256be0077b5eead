//! What a secret is, in the plainest words: no library, no shortcut. The parser is held against it, here and by `fuzz`.

const ALPHABET: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The marker of the kind of secret that this text is, if it is one.
pub(crate) fn plainly(prefix: &str, text: &str) -> Option<&'static str> {
    let [first, marker, tail] = text.split('_').collect::<Vec<_>>().try_into().ok()?;
    let marker = ["sec", "pub", "adm"].into_iter().find(|known| *known == marker)?;
    if first != prefix || tail.len() != 49 || !tail.chars().all(|digit| ALPHABET.contains(digit)) {
        return None;
    }
    let (covered, check) = text.split_at(text.len() - 6);
    (check == checksum(covered)).then_some(marker)
}

/// The six characters that belong behind this text.
pub(crate) fn checksum(covered: &str) -> String {
    let mut crc = u32::MAX;
    for byte in covered.bytes() {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    let mut rest = usize::try_from(!crc).unwrap_or_default();
    let mut digits = [""; 6];
    for digit in digits.iter_mut().rev() {
        *digit = &ALPHABET[rest % 62..=rest % 62];
        rest /= 62;
    }
    digits.concat()
}
