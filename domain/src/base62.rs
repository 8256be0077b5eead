//! Base 62 in the alphabet `0-9A-Za-z`, most significant digit first. Used for secrets, their checksum and ids.

/// The digits in order of value. Their order is also their ASCII order, so equal-length texts sort by value.
pub const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Is every byte a base 62 digit?
pub fn is_base62(bytes: &[u8]) -> bool {
    bytes.iter().all(u8::is_ascii_alphanumeric)
}

/// Digits that are worked out with one division of the wide number.
const CHUNK: usize = 10;
/// 62 to the power of [`CHUNK`]; fits 64 bits.
const CHUNK_BASE: u128 = 839_299_365_868_340_224;

/// Writes `value` with exactly `LEN` digits, left-padded with `0`. Digits beyond `LEN` are dropped from the left.
pub fn encode_padded<const LEN: usize>(value: u128) -> [u8; LEN] {
    let mut out = [b'0'; LEN];
    let mut rest = value;
    // Dividing 128 bits is a function call, dividing 64 a multiplication: this runs for every verification.
    for chunk in out.rchunks_mut(CHUNK) {
        let mut low = u64::try_from(rest % CHUNK_BASE).unwrap_or_default();
        rest /= CHUNK_BASE;
        write_digits(&mut low, chunk);
    }
    out
}

/// Writes a value of 64 bits with exactly `LEN` digits; otherwise as [`encode_padded`].
pub fn encode_padded_u64<const LEN: usize>(mut value: u64) -> [u8; LEN] {
    let mut out = [b'0'; LEN];
    write_digits(&mut value, &mut out);
    out
}

fn write_digits(value: &mut u64, out: &mut [u8]) {
    for slot in out.iter_mut().rev() {
        *slot = ALPHABET[usize::try_from(*value % 62).unwrap_or_default()];
        *value /= 62;
    }
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
    fn the_digits_worked_out_in_chunks_are_those_of_plain_division() {
        for value in [0, 61, 62, CHUNK_BASE - 1, CHUNK_BASE, CHUNK_BASE * CHUNK_BASE - 1, u128::from(u64::MAX), u128::MAX] {
            let mut rest = value;
            let mut plain = [b'0'; 22];
            for slot in plain.iter_mut().rev() {
                *slot = ALPHABET[usize::try_from(rest % 62).unwrap()];
                rest /= 62;
            }
            assert_eq!(encode_padded::<22>(value), plain, "{value}");
            if let Ok(narrow) = u64::try_from(value) {
                assert_eq!(encode_padded_u64::<11>(narrow)[..], plain[11..], "{value}");
            }
        }
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
