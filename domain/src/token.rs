//! The secret's format: `<prefix>_<sec|pub|adm>_` + 43 base 62 characters (256 random bits) + 6 base 62 characters of
//! CRC-32/ISO-HDLC over all that precedes them.
//!
//! The prefix makes a leaked secret findable, the checksum lets scanners and the verifier throw look-alikes away without
//! a look-up. The checksum is never a reason for trust. Source: GitHub's three asks of a token format (unique prefix,
//! high entropy, 32-bit checksum); the vectors are in the tests and in `docs/security.md`.

use std::fmt;
use std::str::FromStr;

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use crate::base62::{encode_padded, is_base62, uniform_digit};
use crate::scope::KeyKind;

/// Characters of entropy: 43 × log2(62) = 256.03 bits.
const BODY: usize = 43;
/// Characters of checksum: 62^6 > 2^32.
const CHECK: usize = 6;
/// The longest text worth looking at; anything longer is malformed without a further look.
pub const MAX_LEN: usize = 128;

/// The presented text is not a secret of this installation: wrong prefix, length, alphabet or checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an API key of this installation")]
pub struct Malformed;

/// The leading part of every secret of one installation, `kf` unless the operator chose another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Prefix(Box<str>);

/// The prefix does not match `[a-z][a-z0-9]{1,11}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key prefix is 2 to 12 lower-case letters and digits, starting with a letter")]
pub struct InvalidPrefix;

impl Prefix {
    /// The prefix as text, without the underscore.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Prefix {
    fn default() -> Self {
        Self("kf".into())
    }
}

impl FromStr for Prefix {
    type Err = InvalidPrefix;

    fn from_str(text: &str) -> Result<Self, InvalidPrefix> {
        let valid = (2..=12).contains(&text.len())
            && text.starts_with(|first: char| first.is_ascii_lowercase())
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        if valid { Ok(Self(text.into())) } else { Err(InvalidPrefix) }
    }
}

impl TryFrom<String> for Prefix {
    type Error = InvalidPrefix;

    fn try_from(text: String) -> Result<Self, InvalidPrefix> {
        text.parse()
    }
}

impl From<Prefix> for String {
    fn from(prefix: Prefix) -> Self {
        prefix.0.into()
    }
}

/// A whole API key secret in the clear. It exists between its generation and the one answer that shows it.
///
/// It can be serialised only by its one carrier, `IssuedKey`; it cannot be printed, cloned or compared with `==`.
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes over a text that is already known to be a secret (an answer that carried it).
    pub fn from_text(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself. Every call is a place to look at in a review.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Are both the same? Takes the same time wherever they differ.
    pub fn same_as(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

fn checksum(text: &[u8]) -> [u8; CHECK] {
    encode_padded(u128::from(crc32fast::hash(text)))
}

/// Reads a presented text: its kind if prefix, length, alphabet and checksum fit. Touches nothing but the text.
pub fn parse(prefix: &Prefix, text: &str) -> Result<KeyKind, Malformed> {
    if text.len() > MAX_LEN {
        return Err(Malformed);
    }
    let rest = text.strip_prefix(prefix.as_str()).and_then(|rest| rest.strip_prefix('_')).ok_or(Malformed)?;
    let (marker, tail) = rest.split_once('_').ok_or(Malformed)?;
    let kind = KeyKind::from_marker(marker).ok_or(Malformed)?;
    if tail.len() != BODY + CHECK || !is_base62(tail.as_bytes()) {
        return Err(Malformed);
    }
    let (covered, check) = text.as_bytes().split_at(text.len() - CHECK);
    if checksum(covered) == check { Ok(kind) } else { Err(Malformed) }
}

/// A fresh secret. `rng` must be the operating system's (or a seeded one in tests).
pub fn generate(prefix: &Prefix, kind: KeyKind, rng: &mut impl CryptoRng) -> Secret {
    let mut text = String::with_capacity(MAX_LEN);
    text.push_str(prefix.as_str());
    text.push('_');
    text.push_str(kind.marker());
    text.push('_');
    let end = text.len() + BODY;
    let mut bytes = Zeroizing::new([0u8; 64]);
    while text.len() < end {
        rng.fill_bytes(bytes.as_mut());
        let room = end - text.len();
        text.extend(bytes.iter().copied().filter_map(uniform_digit).take(room).map(char::from));
    }
    let mut check = checksum(text.as_bytes());
    text.extend(check.iter().copied().map(char::from));
    check.zeroize();
    Secret(Zeroizing::new(text))
}

/// The last four characters of a secret: enough for its holder to recognise it, of no use to anybody else.
pub fn hint(secret: &Secret) -> String {
    let text = secret.expose();
    text.get(text.len().saturating_sub(4)..).unwrap_or_default().to_owned()
}

/// How a secret is shown after its one appearance: `kf_sec_…rOY1`.
pub fn mask(prefix: &Prefix, kind: KeyKind, hint: &str) -> String {
    format!("{}_{}_…{hint}", prefix.as_str(), kind.marker())
}

#[cfg(test)]
mod plainly;

#[cfg(test)]
mod tests {
    use super::plainly::plainly;
    use super::*;
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;
    use std::collections::HashSet;

    const VECTORS: [(&str, KeyKind); 3] = [
        ("kf_sec_00000000000000000000000000000000000000000001GU1LX", KeyKind::Secret),
        ("kf_pub_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg0YhZzL", KeyKind::Publishable),
        ("kf_adm_RA35grOtWgIcFiI2TBAHS0GNzLZKF2zuJDMB0LO5UHW009eIM", KeyKind::Management),
    ];

    #[test]
    fn the_published_vectors_parse() {
        for (text, kind) in VECTORS {
            assert_eq!(parse(&Prefix::default(), text), Ok(kind), "{text}");
        }
        assert_eq!(crc32fast::hash(&VECTORS[0].0.as_bytes()[..50]), 0x451f_c22b);
        assert_eq!(crc32fast::hash(&VECTORS[1].0.as_bytes()[..50]), 0x1e90_6e2f);
        assert_eq!(crc32fast::hash(&VECTORS[2].0.as_bytes()[..50]), 0x0023_17ca);
    }

    #[test]
    fn every_single_change_to_a_secret_is_malformed() {
        let prefix = Prefix::default();
        for (text, _) in VECTORS {
            for at in 0..text.len() {
                for other in b"0aZ_-" {
                    let mut bytes = text.as_bytes().to_vec();
                    if bytes[at] == *other {
                        continue;
                    }
                    bytes[at] = *other;
                    let changed = String::from_utf8(bytes).unwrap();
                    assert!(parse(&prefix, &changed).is_err(), "{changed}");
                }
                let mut cut = text.to_owned();
                cut.remove(at);
                assert!(parse(&prefix, &cut).is_err(), "{cut}");
                let mut grown = text.to_owned();
                grown.insert(at, '0');
                assert!(parse(&prefix, &grown).is_err(), "{grown}");
            }
            for at in 1..text.len() {
                let mut bytes = text.as_bytes().to_vec();
                if bytes[at] != bytes[at - 1] {
                    bytes.swap(at, at - 1);
                    assert!(parse(&prefix, std::str::from_utf8(&bytes).unwrap()).is_err());
                }
            }
            assert!(parse(&prefix, &text.replace("kf_sec", "kf_pub").replace("kf_adm", "kf_sec")).is_err() || text.starts_with("kf_pub"));
        }
    }

    #[test]
    fn generated_secrets_are_distinct_evenly_spread_and_parse() {
        let prefix = Prefix::default();
        let mut rng = StdRng::seed_from_u64(7);
        let mut seen = HashSet::new();
        let mut counts = vec![[0u32; 128]; BODY];
        let rounds = 20_000u32;
        for _ in 0..rounds {
            let secret = generate(&prefix, KeyKind::Secret, &mut rng);
            assert_eq!(parse(&prefix, secret.expose()), Ok(KeyKind::Secret));
            for (at, byte) in secret.expose()[7..7 + BODY].bytes().enumerate() {
                counts[at][usize::from(byte)] += 1;
            }
            assert!(seen.insert(secret.expose().to_owned()));
        }
        let expected = f64::from(rounds) / 62.0;
        for position in counts {
            let chi: f64 =
                crate::base62::ALPHABET.iter().map(|byte| (f64::from(position[usize::from(*byte)]) - expected).powi(2) / expected).sum();
            // 61 degrees of freedom: above 130 happens once in ten million positions.
            assert!(chi < 130.0, "{chi}");
        }
    }

    #[test]
    fn a_secret_shows_only_its_ends() {
        let secret = Secret::from_text(VECTORS[2].0.to_owned());
        assert_eq!(mask(&Prefix::default(), KeyKind::Management, &hint(&secret)), "kf_adm_…9eIM");
        assert_eq!(format!("{secret:?}"), "Secret(…)");
    }

    #[test]
    fn a_prefix_is_short_lower_case_and_starts_with_a_letter() {
        for good in ["kf", "acme2", "abcdefghijkl"] {
            assert!(good.parse::<Prefix>().is_ok());
        }
        for bad in ["", "k", "2kf", "Kf", "k_f", "abcdefghijklm", "kéf"] {
            assert!(bad.parse::<Prefix>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn the_parser_agrees_with_a_plain_reading(
            seed: u64,
            kind in 0usize..3,
            edits in proptest::collection::vec((0usize..60, "[0-9A-Za-z_ é]", 0u8..4), 0..3),
        ) {
            let prefix = Prefix::default();
            let kind = [KeyKind::Secret, KeyKind::Publishable, KeyKind::Management][kind];
            let mut text: Vec<char> = generate(&prefix, kind, &mut StdRng::seed_from_u64(seed)).expose().chars().collect();
            for (at, sign, how) in edits {
                let (at, sign) = (at % text.len().max(1), sign.chars().next().unwrap());
                match how {
                    0 => text[at] = sign,
                    1 => text.insert(at, sign),
                    2 => drop(text.remove(at)),
                    _ => text.swap(at, 0),
                }
            }
            let text: String = text.into_iter().collect();
            prop_assert_eq!(parse(&prefix, &text).ok().map(KeyKind::marker), plainly("kf", &text));
        }

        #[test]
        fn no_text_makes_the_parser_stumble(text in "\\PC{0,140}") {
            let _ = parse(&Prefix::default(), &text);
        }

        #[test]
        fn a_generated_secret_belongs_to_its_prefix_and_kind_alone(seed: u64, prefix in "[a-z][a-z0-9]{1,11}") {
            let prefix: Prefix = prefix.parse().unwrap();
            let other: Prefix = "zzother".parse().unwrap();
            let secret = generate(&prefix, KeyKind::Publishable, &mut StdRng::seed_from_u64(seed));
            prop_assert_eq!(parse(&prefix, secret.expose()), Ok(KeyKind::Publishable));
            prop_assert!(parse(&other, secret.expose()).is_err());
        }
    }
}
