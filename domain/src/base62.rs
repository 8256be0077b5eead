//! Base 62 in the alphabet `0-9A-Za-z`, most significant digit first. Used for secrets, their checksum and ids.

/// The digits in order of value. Their order is also their ASCII order, so equal-length texts sort by value.
pub const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Is every byte a base 62 digit?
pub fn is_base62(bytes: &[u8]) -> bool {
    bytes.iter().all(u8::is_ascii_alphanumeric)
}

/// The digit of a value below 62, taken from the low bits of a larger number.
fn digit(value: u128) -> u8 {
    let index = usize::try_from(value % 62).unwrap_or_default();
    ALPHABET[index]
}

/// Writes `value` with exactly `LEN` digits, left-padded with `0`. Digits beyond `LEN` are dropped from the left.
pub fn encode_padded<const LEN: usize>(mut value: u128) -> [u8; LEN] {
    let mut out = [b'0'; LEN];
    for slot in out.iter_mut().rev() {
        *slot = digit(value);
        value /= 62;
    }
    out
}

/// One uniformly drawn digit, or `None` when the byte must be rejected to keep the distribution even.
pub(crate) fn uniform_digit(byte: u8) -> Option<u8> {
    // 248 = 4 × 62 is the largest multiple of 62 that fits a byte.
    (byte < 248).then(|| ALPHABET[usize::from(byte % 62)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padded_text_keeps_its_width_and_sorts_like_its_value() {
        assert_eq!(&encode_padded::<6>(0), b"000000");
        assert_eq!(&encode_padded::<6>(61), b"00000z");
        assert_eq!(&encode_padded::<6>(62), b"000010");
        assert!(encode_padded::<22>(7) < encode_padded::<22>(8_000_000_000));
    }

    #[test]
    fn every_digit_is_equally_likely() {
        let mut seen = [0u32; 128];
        for byte in 0..=255u8 {
            if let Some(found) = uniform_digit(byte) {
                seen[usize::from(found)] += 1;
            }
        }
        assert!(ALPHABET.iter().all(|found| seen[usize::from(*found)] == 4));
    }
}
