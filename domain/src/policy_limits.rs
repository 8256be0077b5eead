//! Rules for keys: how long they may live, how many there may be. The instance has some, every workspace has its own, and
//! what holds is the stricter of both.

use serde::{Deserialize, Serialize};

use crate::key::{Expiry, Inactivity, KeySummary, MAX_INACTIVITY_DAYS, Page};
use crate::problem::Problem;
use crate::time::Timestamp;

/// A new key's shortest life: shorter is a slip of the hand, not a wish. One minute.
pub const MIN_LIFE_MS: i64 = 60_000;
/// The longest life that rules can name, in days: a hundred years.
pub const MAX_POLICY_DAYS: u32 = 36_500;
/// The most keys that rules can allow.
pub const MAX_LIVE: u32 = 1_000_000;

/// Rules for the keys of one workspace, or for those of all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyPolicy {
    /// The longest life of a key in days from now; `None` for no bound.
    pub max_expiry_days: Option<u32>,
    /// The life of a key whose creator names none, in days.
    pub default_expiry_days: Option<u32>,
    /// The inactivity interval of a key whose creator says nothing of it, in days; `None` for none.
    #[serde(default)]
    pub default_inactivity_days: Option<u32>,
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
            default_inactivity_days: None,
            never_allowed: true,
            members_may_create: true,
            max_live_per_user: 500,
            max_live_per_workspace: 10_000,
        }
    }
}

/// The smaller of two bounds, of which either may be absent.
fn least(one: Option<u32>, other: Option<u32>) -> Option<u32> {
    [one, other].into_iter().flatten().min()
}

impl KeyPolicy {
    /// The rules of an instance that leaves everything to its workspaces.
    pub fn of_instance() -> Self {
        Self { default_expiry_days: None, ..Self::default() }
    }

    /// What holds in a workspace with these rules under those of the instance: of every bound the stricter one. A default
    /// is no bound: the workspace's own comes first, the instance's stands in where there is none.
    #[must_use]
    pub fn within(&self, instance: &Self) -> Self {
        Self {
            max_expiry_days: least(self.max_expiry_days, instance.max_expiry_days),
            default_expiry_days: self.default_expiry_days.or(instance.default_expiry_days),
            default_inactivity_days: self.default_inactivity_days.or(instance.default_inactivity_days),
            never_allowed: self.never_allowed && instance.never_allowed,
            members_may_create: self.members_may_create && instance.members_may_create,
            max_live_per_user: self.max_live_per_user.min(instance.max_live_per_user),
            max_live_per_workspace: self.max_live_per_workspace.min(instance.max_live_per_workspace),
        }
    }

    /// The rules if they can be kept, or the first of them at fault.
    pub fn checked(self) -> Result<Self, Problem> {
        let within = |field: &str, days: Option<u32>, most: u32| match days {
            Some(days) if !(1..=most).contains(&days) => Err(Problem::invalid(field, format!("Choose 1 to {most} days, or none."))),
            _ => Ok(()),
        };
        within("max_expiry_days", self.max_expiry_days, MAX_POLICY_DAYS)?;
        within("default_expiry_days", self.default_expiry_days, MAX_POLICY_DAYS)?;
        within("default_inactivity_days", self.default_inactivity_days, MAX_INACTIVITY_DAYS)?;
        if let (Some(most), Some(days)) = (self.max_expiry_days, self.default_expiry_days)
            && days > most
        {
            let text = format!("The default cannot be longer than the longest life, which is {most} days.");
            return Err(Problem::invalid("default_expiry_days", text));
        }
        for (field, count) in [("max_live_per_user", self.max_live_per_user), ("max_live_per_workspace", self.max_live_per_workspace)] {
            if !(1..=MAX_LIVE).contains(&count) {
                return Err(Problem::invalid(field, "Choose 1 to 1,000,000 keys."));
            }
        }
        Ok(self)
    }

    /// The inactivity interval of a new key for which this was wished.
    pub const fn interval(&self, wish: Inactivity) -> Option<u32> {
        match wish {
            Inactivity::Default => self.default_inactivity_days,
            Inactivity::Off => None,
            Inactivity::Days(days) => Some(days),
        }
    }

    /// May a key that is made or changed now have that end? `None` is never. The refusal names the rule.
    pub fn permit(&self, end: Option<Timestamp>, now: Timestamp) -> Result<(), Problem> {
        self.resolve(end.map_or(Expiry::Never, Expiry::At), now).map(|_| ())
    }

    /// The last moment at which a key may end under these rules if it was made now; one that never ends comes after all.
    /// `None` if the rules bound no key's end.
    pub fn bound(&self, now: Timestamp) -> Option<Timestamp> {
        self.latest(now).or_else(|| (!self.never_allowed).then(|| Timestamp::from_millis(i64::MAX - 1)))
    }

    /// The end that a key gets which would live longer than these rules allow, if it is brought down to them now: the cap,
    /// or where only "never" is ruled out the default. `None` if the rules name neither.
    pub fn brought_down(&self, now: Timestamp) -> Option<Timestamp> {
        self.latest(now).or_else(|| self.default_expiry_days.map(|days| now.plus_days(i64::from(days))))
    }

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
        match self.bound(now) {
            Some(bound) if end.is_none_or(|end| end > bound) => self.brought_down(now),
            _ => end,
        }
    }

    /// Turns a wish into the moment the key ends, or says which rule it breaks. An absent expiry under a cap becomes the cap.
    pub fn resolve(&self, wish: Expiry, now: Timestamp) -> Result<Option<Timestamp>, Problem> {
        const FIELD: &str = "expires_at";
        let latest = self.latest(now);
        match wish {
            Expiry::Default => match (self.default_expiry_days, latest) {
                (Some(days), None) => Ok(Some(now.plus_days(i64::from(days)))),
                (Some(days), Some(cap)) => Ok(Some(now.plus_days(i64::from(days)).min(cap))),
                (None, Some(cap)) => Ok(Some(cap)),
                (None, None) => self.resolve(Expiry::Never, now),
            },
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

/// What happens to keys that are there already and would live longer than new rules allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExistingKeys {
    /// They keep their end; the rules hold for new keys and for every end that is edited.
    Keep,
    /// Their end is brought down to what the rules allow.
    Shorten,
}

impl ExistingKeys {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Keep, Self::Shorten];

    /// The name in forms and in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Shorten => "shorten",
        }
    }

    /// The choice with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|choice| choice.as_str() == name)
    }
}

/// Rules to be saved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyChange {
    /// The new rules, all of them.
    pub policy: KeyPolicy,
    /// The version the change was made from; rules of another version are left alone. `None` changes whatever is there.
    #[serde(default)]
    pub version: Option<i64>,
    /// What happens to keys that would live longer. May be absent while there are none.
    #[serde(default)]
    pub existing: Option<ExistingKeys>,
}

/// Rules as they stand: of a workspace, or of the instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyDetail {
    /// What was saved here.
    pub own: KeyPolicy,
    /// The instance's rules.
    pub instance: KeyPolicy,
    /// What holds: the stricter of both.
    pub in_force: KeyPolicy,
    /// Grows with every change of `own`.
    pub version: i64,
}

/// Which keys new rules would concern.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyPreview {
    /// How many keys live longer than the rules allow.
    pub affected: i64,
    /// Those that live longest first: never before any date.
    pub keys: Page<KeySummary>,
    /// The end they get if they are brought down now; `None` if the rules name none.
    pub brought_down_to: Option<Timestamp>,
}

/// What a round of bringing keys down has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortened {
    /// So many keys got a new end in this round.
    pub shortened: i64,
    /// So many still live longer than the rules allow. Do it again to go on.
    pub remaining: i64,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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

    #[test]
    fn nothing_said_where_never_is_ruled_out_and_no_default_is_set_is_refused_and_does_not_become_never() {
        let policy = KeyPolicy { default_expiry_days: None, never_allowed: false, ..KeyPolicy::default() };
        assert_eq!(policy.resolve(Expiry::Default, NOW).unwrap_err().field.as_deref(), Some("expires_at"));
    }

    #[test]
    fn zero_null_and_absent_are_three_things_for_an_interval() {
        let policy = KeyPolicy { default_inactivity_days: Some(30), ..KeyPolicy::default() };
        assert_eq!(policy.interval(Inactivity::Default), Some(30));
        assert_eq!(policy.interval(Inactivity::Off), None);
        assert_eq!(policy.interval(Inactivity::Days(7)), Some(7));
        let zero = |policy: KeyPolicy| policy.checked().unwrap_err().field.unwrap();
        assert_eq!(zero(KeyPolicy { default_inactivity_days: Some(0), ..policy.clone() }), "default_inactivity_days");
        assert_eq!(zero(KeyPolicy { max_expiry_days: Some(0), ..policy.clone() }), "max_expiry_days");
        assert_eq!(zero(KeyPolicy { default_expiry_days: Some(0), ..policy.clone() }), "default_expiry_days");
        assert_eq!(zero(KeyPolicy { max_live_per_user: 0, ..policy.clone() }), "max_live_per_user");
        assert_eq!(zero(KeyPolicy { max_expiry_days: Some(30), ..policy }), "default_expiry_days");
    }

    #[test]
    fn a_key_is_brought_down_to_the_cap_or_where_only_never_is_ruled_out_to_the_default() {
        let policy = KeyPolicy::default();
        assert_eq!(policy.bound(NOW), None);
        let capped = KeyPolicy { max_expiry_days: Some(30), default_expiry_days: Some(7), ..policy.clone() };
        assert_eq!((capped.bound(NOW), capped.brought_down(NOW)), (Some(NOW.plus_days(30)), Some(NOW.plus_days(30))));
        let ending = KeyPolicy { never_allowed: false, ..policy };
        // Every moment there is lies within the bound, only "never" lies beyond.
        assert!(ending.bound(NOW) > Some(Timestamp::MAX) && ending.bound(NOW) < Some(Timestamp::from_millis(i64::MAX)));
        assert_eq!(ending.brought_down(NOW), Some(NOW.plus_days(90)));
        assert_eq!(KeyPolicy { default_expiry_days: None, ..ending }.brought_down(NOW), None);
    }

    fn any_policy() -> impl Strategy<Value = KeyPolicy> {
        let days = || proptest::option::of(1u32..400);
        (days(), days(), days(), any::<bool>(), any::<bool>(), 1u32..1000, 1u32..20_000).prop_map(
            |(max_expiry_days, default_expiry_days, default_inactivity_days, never_allowed, members_may_create, user, workspace)| {
                KeyPolicy {
                    max_expiry_days,
                    default_expiry_days,
                    default_inactivity_days,
                    never_allowed,
                    members_may_create,
                    max_live_per_user: user,
                    max_live_per_workspace: workspace,
                }
            },
        )
    }

    fn any_wish() -> impl Strategy<Value = Expiry> {
        prop_oneof![
            Just(Expiry::Never),
            (0u32..500).prop_map(Expiry::InDays),
            (-10i64..500, -1i64..2).prop_map(|(days, ms)| Expiry::At(NOW.plus_days(days).plus_ms(ms))),
        ]
    }

    proptest! {
        #[test]
        fn what_holds_is_what_both_allow(own in any_policy(), instance in any_policy(), wish in any_wish()) {
            let both = own.within(&instance);
            let (one, other) = (own.resolve(wish, NOW), instance.resolve(wish, NOW));
            prop_assert_eq!(both.resolve(wish, NOW).ok(), one.ok().filter(|end| other.ok() == Some(*end)));
            prop_assert!(both.max_live_per_user <= own.max_live_per_user.min(instance.max_live_per_user));
            prop_assert!(both.max_live_per_workspace <= own.max_live_per_workspace.min(instance.max_live_per_workspace));
            prop_assert_eq!(both.members_may_create, own.members_may_create && instance.members_may_create);
        }

        #[test]
        fn where_nothing_is_wished_the_end_is_one_that_both_allow(own in any_policy(), instance in any_policy()) {
            if let Ok(end) = own.within(&instance).resolve(Expiry::Default, NOW) {
                prop_assert!(own.permit(end, NOW).is_ok() && instance.permit(end, NOW).is_ok());
            }
        }

        #[test]
        fn an_instance_that_leaves_all_to_its_workspaces_changes_nothing(own in any_policy()) {
            let open = KeyPolicy { max_live_per_user: u32::MAX, max_live_per_workspace: u32::MAX, ..KeyPolicy::of_instance() };
            prop_assert_eq!(own.within(&open), own.clone());
            prop_assert_eq!(own.within(&own), own);
        }

        #[test]
        fn a_key_lies_beyond_the_bound_exactly_when_it_may_not_be_made_now(policy in any_policy(), wish in any_wish()) {
            let end = match wish { Expiry::At(at) => Some(at), Expiry::InDays(days) => Some(NOW.plus_days(i64::from(days))), _ => None };
            // What is over, or nearly, is refused for another reason.
            prop_assume!(end.is_none_or(|end| end.millis_since(NOW) >= MIN_LIFE_MS));
            let beyond = policy.bound(NOW).is_some_and(|bound| end.map_or(i64::MAX, Timestamp::as_millis) > bound.as_millis());
            prop_assert_eq!(beyond, policy.permit(end, NOW).is_err());
        }
    }
}
