//! Secrets other than API keys: passwords, session cookies, the tokens of one-time links. None can be printed, cloned or compared.

use std::fmt;

use keyfold_domain::base62::encode_padded;
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

use crate::clock::Entropy;

/// A password as typed; verified exactly so, without trimming or normalising (OWASP ASVS 5.0, 6.2.8).
pub struct Password(Zeroizing<String>);

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

impl Password {
    /// Takes over what was typed.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

/// The value of a session cookie: 256 random bits.
pub struct SessionToken(Zeroizing<String>);

/// The token that allows the first set-up: 256 random bits.
pub struct SetupToken(Zeroizing<String>);

/// The token in the link of an invitation: 256 random bits.
pub struct InvitationToken(Zeroizing<String>);

/// The token in a link to choose a password: 256 random bits.
pub struct PasswordLinkToken(Zeroizing<String>);

fn token(entropy: &dyn Entropy) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(44));
    for _ in 0..2 {
        let mut bytes = Zeroizing::new([0u8; 16]);
        entropy.fill(bytes.as_mut());
        let digits = Zeroizing::new(encode_padded::<22>(u128::from_be_bytes(*bytes)));
        text.extend(digits.iter().copied().map(char::from));
    }
    text
}

macro_rules! random_tokens {
    ($($name:ident),*) => {$(
        impl $name {
            pub(crate) fn generate(entropy: &dyn Entropy) -> Self {
                Self(token(entropy))
            }

            /// The text itself, for the one place that hands it over.
            pub fn expose(&self) -> &str {
                &self.0
            }
        }
    )*};
}

random_tokens!(SessionToken, SetupToken, InvitationToken, PasswordLinkToken);

macro_rules! opaque_debug {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    )*};
}

opaque_debug!(Password, SessionToken, SetupToken, InvitationToken, PasswordLinkToken);
