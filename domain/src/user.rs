//! People: who they are and how they are named. Their passwords never come here.

use serde::{Deserialize, Serialize};

use crate::ids::UserId;
use crate::key::DEFAULT_PAGE;
use crate::name;
use crate::problem::Problem;
use crate::time::Timestamp;

/// The longest e-mail address, in characters (RFC 5321, 4.5.3.1.3, less the angle brackets).
const MAX_EMAIL: usize = 254;

/// A person as shown beside a thing of theirs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct UserRef {
    /// The person.
    pub id: UserId,
    /// Unique, lower case.
    pub username: String,
    /// As the person wants to be called; falls back to the username.
    pub display_name: String,
}

/// A person as an administrator sees them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserSummary {
    /// The person.
    pub id: UserId,
    /// Unique, lower case.
    pub username: String,
    /// Where to reach them; empty if unknown.
    pub email: String,
    /// As the person wants to be called.
    pub display_name: String,
    /// May manage the whole instance.
    pub instance_admin: bool,
    /// May sign in, and their keys work.
    pub active: bool,
    /// When the account was made.
    pub created_at: Timestamp,
}

/// A person in the list of an administrator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserDetail {
    /// The person.
    pub user: UserSummary,
    /// In how many workspaces they are.
    pub workspaces: i64,
    /// How many keys, not deleted, they own in all of them.
    pub live_keys: i64,
    /// When a session of theirs was last used; `None` if none is open.
    pub last_seen_at: Option<Timestamp>,
}

/// Which people a list shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PeopleFilter {
    /// Part of a username, a name or an e-mail address; empty for everybody.
    pub search: String,
    /// Where the page starts; `None` for the first.
    pub cursor: Option<String>,
    /// The most rows, 1 to [`crate::key::MAX_PAGE`].
    pub limit: u32,
}

impl Default for PeopleFilter {
    fn default() -> Self {
        Self { search: String::new(), cursor: None, limit: DEFAULT_PAGE }
    }
}

/// A person to be added who chooses their password themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewPerson {
    /// Unique; kept in lower case.
    pub username: String,
    /// Where to reach them.
    pub email: String,
    /// As they want to be called; empty for the username.
    #[serde(default)]
    pub display_name: String,
    /// May manage the whole instance.
    #[serde(default)]
    pub instance_admin: bool,
}

/// A partial change of a user: what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserPatch {
    /// Where to reach them.
    #[serde(default)]
    pub email: Option<String>,
    /// As they want to be called; empty for the username.
    #[serde(default)]
    pub display_name: Option<String>,
    /// May they manage the whole instance?
    #[serde(default)]
    pub instance_admin: Option<bool>,
}

/// A username: 1 to 60 of `a-z`, `0-9`, `.`, `_`, `-`, `@`, `+`, in lower case whatever was typed.
pub fn username(field: &str, text: &str) -> Result<String, Problem> {
    let text = text.trim().to_ascii_lowercase();
    let valid = (1..=60).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-@+".contains(&byte));
    if valid { Ok(text) } else { Err(Problem::invalid(field, "Use 1 to 60 letters, digits and . _ - @ +")) }
}

/// An e-mail address: something before and after one `@`, no spaces, at most 254 characters. Whether it can be reached is
/// only known by writing to it.
pub fn email(field: &str, text: &str) -> Result<String, Problem> {
    let text = name::clean(field, text, MAX_EMAIL, false)?;
    let valid = text.split_once('@').is_some_and(|(local, host)| !local.is_empty() && !host.is_empty() && !host.contains('@'))
        && !text.contains(char::is_whitespace);
    if valid { Ok(text) } else { Err(Problem::invalid(field, "Enter an e-mail address, like ada@example.com.")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_username_is_kept_in_lower_case() {
        assert_eq!(username("username", " Ada.Lovelace ").unwrap(), "ada.lovelace");
        for bad in ["", "a b", "ä", &"a".repeat(61)] {
            assert!(username("username", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_address_without_both_ends_is_refused() {
        assert!(email("email", "ada@example.com").is_ok());
        let long = |most: usize| format!("{}@example.com", "a".repeat(most - "@example.com".len()));
        assert!(email("email", &long(254)).is_ok());
        assert_eq!(email("email", &long(255)).unwrap_err().message, "Use at most 254 characters.");
        for bad in ["", "ada", "@example.com", "ada@", "a@b@c", "a b@c"] {
            assert!(email("email", bad).is_err(), "{bad}");
        }
    }
}
