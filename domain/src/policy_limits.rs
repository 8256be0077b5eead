//! The rules of a workspace for its keys: how long they may live, how many there may be.

use serde::{Deserialize, Serialize};

use crate::key::Expiry;
use crate::problem::Problem;
use crate::time::Timestamp;

/// A new key's shortest life: shorter is a slip of the hand, not a wish. One minute.
pub const MIN_LIFE_MS: i64 = 60_000;

/// Rules for the keys of one workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyPolicy {
    /// The longest life of a key in days from now; `None` for no bound.
    pub max_expiry_days: Option<u32>,
    /// The life of a key whose creator names none, in days.
    pub default_expiry_days: Option<u32>,
    /// May a key live for ever? Never true in effect while `max_expiry_days` is set.
    pub never_allowed: bool,
    /// May members (not only admins) create keys?
    pub members_may_create: bool,
    /// The most keys, not deleted, that one user may have.
    pub max_live_per_user: u32,
    /// The most keys, not deleted, in the workspace.
    pub max_live_per_workspace: u32,
}

impl Default for KeyPolicy {
    fn default() -> Self {
        Self {
            max_expiry_days: None,
            default_expiry_days: Some(90),
            never_allowed: true,
            members_may_create: true,
            max_live_per_user: 500,
            max_live_per_workspace: 10_000,
        }
    }
}

impl KeyPolicy {
    /// May a key live for ever under these rules?
    pub const fn allows_never(&self) -> bool {
        self.never_allowed && self.max_expiry_days.is_none()
    }

    /// The moment after which no key may live that is made or changed now.
    pub fn latest(&self, now: Timestamp) -> Option<Timestamp> {
        self.max_expiry_days.map(|days| now.plus_days(i64::from(days)))
    }

    /// The end of a key that is there already and ended at `end` so far, as these rules allow it from now on: brought down
    /// to the cap, and given an end where none is not allowed. Never later than before.
    pub fn bring_down(&self, end: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
        match (end, self.latest(now)) {
            (Some(end), Some(cap)) => Some(end.min(cap)),
            (None, Some(cap)) => Some(cap),
            (None, None) if !self.never_allowed => self.default_expiry_days.map(|days| now.plus_days(i64::from(days))),
            (end, None) => end,
        }
    }

    /// Turns a wish into the moment the key ends, or says which rule it breaks. An absent expiry under a cap becomes the cap.
    pub fn resolve(&self, wish: Expiry, now: Timestamp) -> Result<Option<Timestamp>, Problem> {
        const FIELD: &str = "expires_at";
        let latest = self.latest(now);
        match wish {
            Expiry::Default => Ok(match (self.default_expiry_days, latest) {
                (Some(days), None) => Some(now.plus_days(i64::from(days))),
                (Some(days), Some(cap)) => Some(now.plus_days(i64::from(days)).min(cap)),
                (None, cap) => cap,
            }),
            Expiry::Never if self.allows_never() => Ok(None),
            Expiry::Never => match self.max_expiry_days {
                Some(days) => {
                    Err(Problem::invalid(FIELD, format!("Keys of this workspace must expire within {days} days. Choose a date.")))
                }
                None => Err(Problem::invalid(FIELD, "Keys of this workspace must have an expiry date.")),
            },
            Expiry::InDays(days) => self.resolve(Expiry::At(now.plus_days(i64::from(days))), now),
            Expiry::At(at) if at.millis_since(now) < MIN_LIFE_MS => {
                Err(Problem::invalid(FIELD, "Choose a moment at least one minute from now."))
            }
            Expiry::At(at) if at > Timestamp::MAX => Err(Problem::invalid(FIELD, "Choose a date before the year 10000.")),
            Expiry::At(at) => match (latest, self.max_expiry_days) {
                (Some(cap), Some(days)) if at > cap => {
                    Err(Problem::invalid(FIELD, format!("Keys of this workspace must expire within {days} days. Choose an earlier date.")))
                }
                _ => Ok(Some(at)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    #[test]
    fn an_end_is_brought_down_to_the_rules_and_never_moved_away() {
        let capped = KeyPolicy { max_expiry_days: Some(30), ..KeyPolicy::default() };
        let cap = Some(NOW.plus_days(30));
        assert_eq!(capped.bring_down(None, NOW), cap);
        assert_eq!(capped.bring_down(Some(NOW.plus_days(31)), NOW), cap);
        assert_eq!(capped.bring_down(Some(NOW.plus_days(3)), NOW), Some(NOW.plus_days(3)));
        let free = KeyPolicy::default();
        assert_eq!(free.bring_down(None, NOW), None);
        assert_eq!(free.bring_down(Some(NOW.plus_days(999)), NOW), Some(NOW.plus_days(999)));
        let finite = KeyPolicy { never_allowed: false, ..KeyPolicy::default() };
        assert_eq!(finite.bring_down(None, NOW), Some(NOW.plus_days(90)));
        assert_eq!(finite.bring_down(Some(NOW.plus_days(999)), NOW), Some(NOW.plus_days(999)));
    }

    #[test]
    fn an_absent_expiry_becomes_the_default_but_never_passes_the_cap() {
        let mut policy = KeyPolicy::default();
        assert_eq!(policy.resolve(Expiry::Default, NOW), Ok(Some(NOW.plus_days(90))));
        policy.max_expiry_days = Some(30);
        assert_eq!(policy.resolve(Expiry::Default, NOW), Ok(Some(NOW.plus_days(30))));
        policy.default_expiry_days = None;
        assert_eq!(policy.resolve(Expiry::Default, NOW), Ok(Some(NOW.plus_days(30))));
        policy.max_expiry_days = None;
        assert_eq!(policy.resolve(Expiry::Default, NOW), Ok(None));
    }

    #[test]
    fn a_cap_forbids_never_and_later_dates_to_the_millisecond() {
        let policy = KeyPolicy { max_expiry_days: Some(30), ..KeyPolicy::default() };
        assert!(policy.resolve(Expiry::Never, NOW).is_err());
        assert!(policy.resolve(Expiry::At(NOW.plus_days(30)), NOW).is_ok());
        assert_eq!(policy.resolve(Expiry::InDays(30), NOW), Ok(Some(NOW.plus_days(30))));
        assert!(policy.resolve(Expiry::InDays(31), NOW).is_err());
        assert!(policy.resolve(Expiry::InDays(0), NOW).is_err());
        assert!(policy.resolve(Expiry::At(NOW.plus_days(30).plus_ms(1)), NOW).is_err());
    }

    #[test]
    fn the_past_the_next_seconds_and_milliseconds_for_seconds_are_refused() {
        let policy = KeyPolicy::default();
        for bad in [
            Timestamp::from_millis(0),
            NOW,
            NOW.plus_ms(MIN_LIFE_MS - 1),
            Timestamp::from_millis(i64::MAX),
            NOW.plus_ms(NOW.as_millis() * 999),
        ] {
            assert_eq!(policy.resolve(Expiry::At(bad), NOW).unwrap_err().field.as_deref(), Some("expires_at"));
        }
        assert!(KeyPolicy { never_allowed: false, ..policy }.resolve(Expiry::Never, NOW).is_err());
    }
}
