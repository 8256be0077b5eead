//! The secrets of a key: one current, and while it is rotated older ones that still work for a while.

use serde::{Deserialize, Serialize};

use crate::ids::SecretId;
use crate::key::IssuedKey;
use crate::time::{DAY_MS, Timestamp};

/// The most characters of a user agent that are kept.
pub const MAX_USER_AGENT: usize = 200;
/// The most clients that are remembered of one secret.
pub const MAX_CLIENTS: usize = 20;
/// The most older secrets of one key that may work at the same time.
pub const MAX_RETIRING: usize = 100;

/// How long the secret before goes on working after a rotation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Grace {
    /// Not at all; nor do secrets before it.
    #[serde(rename = "now")]
    Now,
    /// One hour.
    #[serde(rename = "1h")]
    Hour,
    /// 24 hours.
    #[default]
    #[serde(rename = "24h")]
    Day,
    /// Seven days.
    #[serde(rename = "7d")]
    Week,
}

impl Grace {
    /// Every choice, the shortest first.
    pub const ALL: [Self; 4] = [Self::Now, Self::Hour, Self::Day, Self::Week];

    /// The name used in the API and at the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Now => "now",
            Self::Hour => "1h",
            Self::Day => "24h",
            Self::Week => "7d",
        }
    }

    /// The choice with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|grace| grace.as_str() == name)
    }

    /// Its length in milliseconds.
    pub const fn millis(self) -> i64 {
        match self {
            Self::Now => 0,
            Self::Hour => 3_600_000,
            Self::Day => DAY_MS,
            Self::Week => 7 * DAY_MS,
        }
    }
}

/// What a secret is at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretState {
    /// The one that was issued last.
    Current,
    /// It was replaced and still works until its end.
    Retiring,
    /// It works no more.
    Ended,
}

impl SecretState {
    /// The name used in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Retiring => "retiring",
            Self::Ended => "ended",
        }
    }
}

/// Somebody who used a secret after it was replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretClient {
    /// The client's address; `None` if it was not told.
    pub ip: Option<String>,
    /// The program, as it calls itself; `None` if it was not told.
    pub user_agent: Option<String>,
    /// When it was last seen with this secret.
    pub last_seen_at: Timestamp,
    /// How often it was seen with this secret since the secret was replaced.
    pub calls: i64,
}

/// A secret as it is shown: never the secret itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretSummary {
    /// Which.
    pub id: SecretId,
    /// The masked secret, `kf_sec_…rOY1`.
    pub hint: String,
    /// Whether it works, as far as the key does.
    pub state: SecretState,
    /// When it was issued.
    pub created_at: Timestamp,
    /// From when on it works no more; `None` while it is the current one.
    pub ends_at: Option<Timestamp>,
    /// When it was last used with success.
    pub last_used_at: Option<Timestamp>,
    /// How often it was used with success.
    pub total_calls: i64,
    /// Who was seen with it since it was replaced, the latest first; at most [`MAX_CLIENTS`].
    pub clients: Vec<SecretClient>,
}

/// What is asked of a rotation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// How long the present secret goes on working.
    pub grace: Grace,
    /// The version the wish was made from; a key of another version is left alone. `None` rotates whatever is there.
    pub version: Option<i64>,
}

/// A key after its rotation, with the new secret for this one time.
#[derive(Debug, Serialize, Deserialize)]
pub struct RotatedKey {
    /// The key and its new secret.
    #[serde(flatten)]
    pub issued: IssuedKey,
    /// Its secrets, the new one first.
    pub secrets: Vec<SecretSummary>,
    /// The key ended later than the workspace's rules allow now, and ends at their limit from here on.
    pub expiry_lowered: bool,
}

/// How a program calls itself, in the form in which it is kept: without control and direction characters, cut after
/// [`MAX_USER_AGENT`] characters. `None` if nothing is left.
pub fn user_agent(text: &str) -> Option<String> {
    let kept: String = text.chars().filter(|found| crate::name::is_plain(*found)).take(MAX_USER_AGENT).collect();
    let kept = kept.trim();
    (!kept.is_empty()).then(|| kept.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_grace_is_its_serialised_name_and_leads_back_to_it() {
        for grace in Grace::ALL {
            assert_eq!(serde_json::to_value(grace).unwrap(), grace.as_str());
            assert_eq!(Grace::from_name(grace.as_str()), Some(grace));
        }
        assert_eq!(Grace::from_name("2h"), None);
        assert!(Grace::ALL.is_sorted_by_key(|grace| grace.millis()));
    }

    #[test]
    fn a_user_agent_is_cleaned_and_cut() {
        assert_eq!(user_agent(" curl/8.5.0\n").as_deref(), Some("curl/8.5.0"));
        assert_eq!(user_agent("a\u{202e}b\u{0}c\r\nd").as_deref(), Some("abcd"));
        assert_eq!(user_agent(&"é".repeat(5000)).map(|text| text.chars().count()), Some(MAX_USER_AGENT));
        for nothing in ["", "  ", "\u{200b}\n"] {
            assert_eq!(user_agent(nothing), None);
        }
    }
}
