//! A link that is shown once: an invitation, or one to choose a password.

use std::fmt;

use keyfold_domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// The link on its way from the server to the screen. Wiped when dropped; never printed.
#[derive(Serialize, Deserialize)]
pub struct OneTimeLink {
    /// The address with the token in it.
    #[serde(with = "plain")]
    link: Zeroizing<String>,
    /// From when on it is not good any more.
    pub expires_at: Timestamp,
}

impl OneTimeLink {
    /// The link to a page of this server with a token.
    #[cfg(feature = "ssr")]
    pub(crate) fn new(public_url: &str, page: &str, token: &str, expires_at: Timestamp) -> Self {
        Self { link: Zeroizing::new(format!("{public_url}/{page}?token={token}")), expires_at }
    }

    /// The text itself, for the one place that shows it.
    pub fn expose(&self) -> &str {
        &self.link
    }
}

impl fmt::Debug for OneTimeLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OneTimeLink(…)")
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
    fn a_link_is_not_printed() {
        let link: OneTimeLink = serde_json::from_str(r#"{"link":"https://keys.example/invite?token=abc","expires_at":1}"#).unwrap();
        assert_eq!(format!("{link:?}"), "OneTimeLink(…)");
        assert!(link.expose().ends_with("abc"));
    }
}
