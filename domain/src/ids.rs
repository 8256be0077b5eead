//! Identifiers. Each is a prefix that says what it names and 22 base 62 digits of 48 bits of time (milliseconds) and 80
//! random bits, so that ids made later sort later and cannot be guessed.

use std::fmt;
use std::str::FromStr;

use rand_core::Rng;
use serde::{Deserialize, Serialize};

use crate::base62::{encode_padded, is_base62};
use crate::time::Timestamp;

/// Digits after the prefix: 62^22 just covers 2^128.
const DIGITS: usize = 22;

/// The text is not an id of the expected sort.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id that starts with {prefix} and goes on with 22 letters and digits")]
pub struct InvalidId {
    /// The prefix that was expected.
    pub prefix: &'static str,
}

fn generate(prefix: &str, now: Timestamp, rng: &mut impl Rng) -> String {
    let mut random = [0u8; 16];
    rng.fill_bytes(&mut random[6..]);
    let millis = u64::try_from(now.as_millis()).unwrap_or_default();
    random[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
    let digits: [u8; DIGITS] = encode_padded(u128::from_be_bytes(random));
    let mut text = String::with_capacity(prefix.len() + DIGITS);
    text.push_str(prefix);
    text.extend(digits.iter().copied().map(char::from));
    text
}

fn well_formed(prefix: &str, text: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|rest| rest.len() == DIGITS && is_base62(rest.as_bytes()))
}

/// What follows the prefix of an id, without memory of its own: for where very many ids are kept.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdDigits([u8; DIGITS]);

impl IdDigits {
    fn of(id: &str) -> Self {
        // An id is never shorter; one that were would be taken for another that nobody has.
        Self(id.as_bytes().last_chunk().copied().unwrap_or([b'-'; DIGITS]))
    }

    /// The digits as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for IdDigits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// What every such id starts with.
            pub const PREFIX: &'static str = $prefix;

            /// A fresh id. `rng` must be unpredictable where the id is seen by strangers.
            pub fn generate(now: Timestamp, rng: &mut impl Rng) -> Self {
                Self(generate(Self::PREFIX, now, rng).into())
            }

            /// What follows the prefix.
            pub fn digits(&self) -> IdDigits {
                IdDigits::of(&self.0)
            }

            /// The id with those digits after the prefix: of what [`Self::digits`] said, the same again.
            pub fn of_digits(digits: &IdDigits) -> Self {
                Self([Self::PREFIX, digits.as_str()].concat().into())
            }

            /// The id as text, prefix included.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                if well_formed(Self::PREFIX, text) { Ok(Self(text.into())) } else { Err(InvalidId { prefix: Self::PREFIX }) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

ids! {
    /// Names an API key through all its secrets.
    KeyId "key_";
    /// Names one secret of a key.
    SecretId "sec_";
    /// Names a person with a password.
    UserId "usr_";
    /// Names a workspace.
    WorkspaceId "wsp_";
    /// Names a signed-in session (not the cookie's value, which is a secret).
    SessionId "ses_";
    /// Names an act on many keys.
    BulkId "blk_";
    /// Names an invitation to a workspace (not its link, which is a secret).
    InvitationId "inv_";
    /// Names a thing that keys can be tied to.
    ResourceId "res_";
    /// Names one run of a server.
    NodeId "node_";
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    #[test]
    fn a_generated_id_parses_back_and_sorts_by_time() {
        let mut rng = StdRng::seed_from_u64(1);
        let first = KeyId::generate(Timestamp::from_millis(1_700_000_000_000), &mut rng);
        let later = KeyId::generate(Timestamp::from_millis(1_700_000_000_001), &mut rng);
        assert_eq!(first.as_str().parse::<KeyId>(), Ok(first.clone()));
        assert!(first < later);
        assert_eq!(first.as_str().len(), 26);
        assert_eq!(first.digits().as_str(), &first.as_str()[4..]);
        assert_eq!(KeyId::of_digits(&first.digits()), first);
    }

    #[test]
    fn an_id_of_another_sort_or_shape_is_refused() {
        for bad in [
            "",
            "key_",
            "usr_0123456789012345678901",
            "key_012345678901234567890",
            "key_01234567890123456789012",
            "key_012345678901234567890-",
        ] {
            assert!(bad.parse::<KeyId>().is_err(), "{bad}");
        }
        assert!(serde_json::from_str::<KeyId>("\"key_x\"").is_err());
    }
}
