//! A secret on its way from a form field to the engine.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// A typed password or token. Wiped when dropped; never printed. Serialised only into the request that carries it.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PasswordInput(#[serde(with = "plain")] Zeroizing<String>);

impl fmt::Debug for PasswordInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordInput(…)")
    }
}

impl PasswordInput {
    /// Takes over what was typed.
    pub(crate) fn typed(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The body of a form with this one field.
    pub(crate) fn as_form(&self, name: &str) -> Zeroizing<String> {
        Zeroizing::new(format!("{name}={}", crate::format::query_part(&self.0)))
    }

    /// Was nothing typed?
    #[cfg(feature = "ssr")]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text, for the engine's own newtype.
    #[cfg(feature = "ssr")]
    pub(crate) fn into_text(mut self) -> String {
        std::mem::take(&mut *self.0)
    }
}

mod plain {
    use serde::{Deserialize, Deserializer, Serializer};
    use zeroize::Zeroizing;

    pub(super) fn serialize<S: Serializer>(text: &Zeroizing<String>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Zeroizing<String>, D::Error> {
        String::deserialize(deserializer).map(Zeroizing::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_printed() {
        let typed: PasswordInput = serde_json::from_str("\"correct horse\"").unwrap();
        assert_eq!(format!("{typed:?}"), "PasswordInput(…)");
        assert_eq!(serde_json::to_string(&typed).unwrap(), "\"correct horse\"");
    }
}
