//! Limits: how often a key may be used. A rate limit lets so many calls through in a window of seconds, a quota so many by
//! day, by month or in a longer window. What was spent of them is in `tally`; whether a call still fits is said there too.

mod tally;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::problem::Problem;
use crate::time::{DAY_MS, Timestamp};

pub use tally::{Among, Ask, Book, Part, Standing, Unwritten, Weighed, part, weigh};

/// The most limits that one key, or one member, can have.
pub const MAX_LIMITS: usize = 8;
/// The most that a limit can allow, and a call can cost.
pub const MAX_UNITS: u32 = 1_000_000_000;
/// The longest window of a rate limit, in seconds: an hour. A restart forgets what was spent of it.
pub const MAX_RATE_WINDOW: u32 = 3_600;
/// The shortest and the longest window of a quota, in seconds: a minute and 366 days.
pub const QUOTA_WINDOWS: (u32, u32) = (60, 31_622_400);

/// The name of a limit: `[a-z][a-z0-9_-]{0,31}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LimitName(Box<str>);

/// The text cannot name a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a limit's name is 1 to 32 of a-z, 0-9, _ - and starts with a letter")]
pub struct InvalidLimitName;

impl LimitName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for LimitName {
    type Err = InvalidLimitName;

    fn from_str(text: &str) -> Result<Self, InvalidLimitName> {
        let valid = (1..=32).contains(&text.len())
            && text.starts_with(|first: char| first.is_ascii_lowercase())
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte));
        if valid { Ok(Self(text.into())) } else { Err(InvalidLimitName) }
    }
}

impl TryFrom<String> for LimitName {
    type Error = InvalidLimitName;

    fn try_from(text: String) -> Result<Self, InvalidLimitName> {
        text.parse()
    }
}

impl From<LimitName> for String {
    fn from(name: LimitName) -> Self {
        name.0.into()
    }
}

impl fmt::Display for LimitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// When what was spent of a limit is free again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refill {
    /// A rate limit: so many seconds after it was spent.
    Rate(u32),
    /// A quota: so many seconds after it was spent.
    Rolling(u32),
    /// A quota: at the next midnight in UTC.
    Day,
    /// A quota: at the first midnight of the next month in UTC.
    Month,
}

impl Refill {
    /// Is it a quota, which a restart does not forget and whose refusal is `quota_exceeded`?
    pub const fn is_quota(self) -> bool {
        !matches!(self, Self::Rate(_))
    }

    /// The length of the window in seconds; `None` for those that follow the calendar.
    pub const fn window(self) -> Option<u32> {
        match self {
            Self::Rate(seconds) | Self::Rolling(seconds) => Some(seconds),
            Self::Day | Self::Month => None,
        }
    }

    /// How it is called on the wire; `None` for a rate limit.
    pub const fn quota(self) -> Option<&'static str> {
        match self {
            Self::Rate(_) => None,
            Self::Rolling(_) => Some("rolling"),
            Self::Day => Some("day"),
            Self::Month => Some("month"),
        }
    }

    /// The period in which `now` lies, for those that follow the calendar.
    fn period(self, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
        match self {
            Self::Day => Some(now.day_around()),
            Self::Month => Some(now.month_around()),
            Self::Rate(_) | Self::Rolling(_) => None,
        }
    }

    /// The longest time that this refill looks back, in seconds, for headers that want a window.
    pub fn longest(self) -> u32 {
        let day = u32::try_from(DAY_MS / 1000).unwrap_or(u32::MAX);
        match self {
            Self::Rate(seconds) | Self::Rolling(seconds) => seconds,
            Self::Day => day,
            Self::Month => day * 31,
        }
    }
}

/// How many units may be spent, and when they come back.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "LimitParts", into = "LimitParts")]
pub struct Limit {
    name: LimitName,
    most: u32,
    refill: Refill,
}

/// A limit as it is written: `{"name", "limit", "window"}` for a rate limit, `{"name", "limit", "quota"}` for a quota by `day`
/// or `month`, and with a `window` as well for one that is `rolling`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitParts {
    /// What it is called.
    pub name: String,
    /// How many units may be spent.
    pub limit: u64,
    /// In how many seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<u64>,
    /// `day`, `month` or `rolling`; `None` for a rate limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<String>,
}

impl TryFrom<LimitParts> for Limit {
    type Error = Problem;

    /// The limit, or the part at fault.
    fn try_from(parts: LimitParts) -> Result<Self, Problem> {
        let name = parts.name.trim().parse();
        let name = name.map_err(|_| Problem::invalid("name", "Use 1 to 32 of a-z, 0-9, _ and -, starting with a letter, like burst."))?;
        if parts.limit == 0 {
            return Err(Problem::invalid("limit", "A limit of 0 would let nothing through. Use 1 or more, or deactivate the key."));
        }
        let most = u32::try_from(parts.limit).ok().filter(|most| *most <= MAX_UNITS);
        let most = most.ok_or_else(|| Problem::invalid("limit", format!("Use a whole number from 1 to {MAX_UNITS}.")))?;
        Ok(Self { name, most, refill: refill(parts.quota.as_deref(), parts.window)? })
    }
}

fn refill(quota: Option<&str>, window: Option<u64>) -> Result<Refill, Problem> {
    let within = |least: u32, most: u32| {
        let seconds = window.and_then(|seconds| u32::try_from(seconds).ok());
        seconds.filter(|seconds| (least..=most).contains(seconds))
    };
    match (quota, window) {
        (None, None) => Err(Problem::invalid("window", "Say in how many seconds, or make it a quota by day or month.")),
        (None, Some(_)) => within(1, MAX_RATE_WINDOW).map(Refill::Rate).ok_or_else(|| {
            let text = format!("The window of a rate limit is 1 to {MAX_RATE_WINDOW} seconds. For a longer one make it a rolling quota.");
            Problem::invalid("window", text)
        }),
        (Some("rolling"), _) => within(QUOTA_WINDOWS.0, QUOTA_WINDOWS.1).map(Refill::Rolling).ok_or_else(|| {
            let text = format!("The window of a rolling quota is {} to {} seconds.", QUOTA_WINDOWS.0, QUOTA_WINDOWS.1);
            Problem::invalid("window", text)
        }),
        (Some("day"), None) => Ok(Refill::Day),
        (Some("month"), None) => Ok(Refill::Month),
        (Some("day" | "month"), Some(_)) => {
            Err(Problem::invalid("window", "A quota by day or month follows the calendar and has no window. Leave it out."))
        }
        (Some(_), _) => Err(Problem::invalid("quota", "Choose day, month or rolling, or leave it out for a rate limit.")),
    }
}

impl From<Limit> for LimitParts {
    fn from(limit: Limit) -> Self {
        Self {
            window: limit.refill.window().map(u64::from),
            quota: limit.refill.quota().map(str::to_owned),
            limit: limit.most.into(),
            name: limit.name.into(),
        }
    }
}

impl Limit {
    /// What it is called.
    pub const fn name(&self) -> &LimitName {
        &self.name
    }

    /// How many units may be spent.
    pub const fn most(&self) -> u32 {
        self.most
    }

    /// When they come back.
    pub const fn refill(&self) -> Refill {
        self.refill
    }

    /// Is `other` as strict as this limit, or stricter? Only limits that refill alike can be compared.
    pub fn covers(&self, other: &Self) -> bool {
        self.refill == other.refill && other.most <= self.most
    }
}

impl fmt::Display for Limit {
    /// In words: `burst: 10 in 1 second`, `daily: 1000 a day`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ", self.name, self.most)?;
        match self.refill {
            Refill::Rate(seconds) => write!(f, "in {}", Span(seconds)),
            Refill::Rolling(seconds) => write!(f, "in any {}", Span(seconds)),
            Refill::Day => f.write_str("a day"),
            Refill::Month => f.write_str("a month"),
        }
    }
}

/// A number of seconds in the largest unit that divides it.
struct Span(u32);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];
        let (length, unit) = units.into_iter().find(|(length, _)| self.0.is_multiple_of(*length)).unwrap_or((1, "second"));
        let number = self.0 / length;
        write!(f, "{number} {unit}{}", if number == 1 { "" } else { "s" })
    }
}

/// Reads a list of limits; what is at fault is named by its place, as `limits[1].window`, counted from 0.
pub fn read_limits(parts: Vec<LimitParts>) -> Result<Vec<Limit>, Problem> {
    let read = |(at, parts): (usize, LimitParts)| {
        Limit::try_from(parts).map_err(|problem| {
            let part = problem.field.as_deref().map(|field| format!("limits[{at}].{field}"));
            Problem { field: part, ..problem }
        })
    };
    let limits = parts.into_iter().enumerate().map(read).collect::<Result<Vec<_>, _>>()?;
    check_limits(&limits)?;
    Ok(limits)
}

/// Are there too many, or two of one name?
pub fn check_limits(limits: &[Limit]) -> Result<(), Problem> {
    if limits.len() > MAX_LIMITS {
        return Err(Problem::invalid("limits", format!("There may be at most {MAX_LIMITS} limits.")));
    }
    let twice = limits.iter().enumerate().find(|(at, limit)| limits.iter().take(*at).any(|before| before.name == limit.name));
    match twice {
        Some((at, limit)) => Err(Problem::invalid(format!("limits[{at}].name"), format!("There is another limit named {}.", limit.name))),
        None => Ok(()),
    }
}

/// Whose limit it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whose {
    /// The key's own.
    Key,
    /// Its owner's, for all of their keys in the workspace together.
    Owner,
}

impl Whose {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Owner => "owner",
        }
    }
}

/// The limits that hold for a key; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    own: Vec<Limit>,
    owners: Vec<Limit>,
}

impl Limits {
    /// The key's own limits and its owner's; `None` if there are none.
    pub fn of(own: Vec<Limit>, owners: Vec<Limit>) -> Option<Box<Self>> {
        (!own.is_empty() || !owners.is_empty()).then(|| Box::new(Self { own, owners }))
    }

    /// The key's own.
    pub fn own(&self) -> &[Limit] {
        &self.own
    }

    /// The owner's.
    pub fn owners(&self) -> &[Limit] {
        &self.owners
    }

    /// All of them, the key's own first.
    pub fn iter(&self) -> impl Iterator<Item = (Whose, &Limit)> {
        let (own, owners) = (self.own.iter().map(|limit| (Whose::Key, limit)), self.owners.iter().map(|limit| (Whose::Owner, limit)));
        own.chain(owners)
    }
}

/// How many units a call takes from each limit. Nothing said is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cost(u32);

impl Cost {
    /// A check that spends nothing: it passes where a call of one unit would.
    pub const CHECK: Self = Self(0);

    /// So many units; 0 for [`Self::CHECK`].
    pub fn new(units: u64) -> Result<Self, Problem> {
        let wrong = || Problem::invalid("cost", format!("Use a whole number from 0 (check without spending) to {MAX_UNITS}."));
        u32::try_from(units).ok().filter(|units| *units <= MAX_UNITS).map(Self).ok_or_else(wrong)
    }

    /// The units that are spent.
    pub const fn units(self) -> u32 {
        self.0
    }

    /// The units that must be left.
    const fn needed(self) -> u32 {
        if self.0 == 0 { 1 } else { self.0 }
    }
}

impl Default for Cost {
    fn default() -> Self {
        Self(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(name: &str, limit: u64, window: Option<u64>, quota: Option<&str>) -> LimitParts {
        LimitParts { name: name.into(), limit, window, quota: quota.map(str::to_owned) }
    }

    #[test]
    fn a_limit_is_written_as_it_is_read() {
        for (json, refill) in [
            (r#"{"name":"burst","limit":10,"window":1}"#, Refill::Rate(1)),
            (r#"{"name":"a","limit":1000000000,"window":3600}"#, Refill::Rate(3600)),
            (r#"{"name":"daily","limit":7,"quota":"day"}"#, Refill::Day),
            (r#"{"name":"monthly","limit":7,"quota":"month"}"#, Refill::Month),
            (r#"{"name":"a_b-9","limit":7,"window":2592000,"quota":"rolling"}"#, Refill::Rolling(2_592_000)),
        ] {
            let limit: Limit = serde_json::from_str(json).unwrap();
            assert_eq!((limit.refill(), serde_json::to_string(&limit).unwrap().as_str()), (refill, json));
        }
        assert!(serde_json::from_str::<Limit>(r#"{"name":"a","limit":1,"window":1,"per":"day"}"#).is_err());
    }

    #[test]
    fn a_limit_is_said_in_words() {
        for (window, quota, words) in [
            (Some(1), None, "burst: 10 in 1 second"),
            (Some(3_600), None, "burst: 10 in 1 hour"),
            (Some(90), None, "burst: 10 in 90 seconds"),
            (Some(2_592_000), Some("rolling"), "burst: 10 in any 30 days"),
            (None, Some("day"), "burst: 10 a day"),
            (None, Some("month"), "burst: 10 a month"),
        ] {
            assert_eq!(Limit::try_from(parts("burst", 10, window, quota)).unwrap().to_string(), words);
        }
    }

    #[test]
    fn every_rule_names_the_part_that_breaks_it() {
        let good = || parts("burst", 10, Some(1), None);
        let field = |bad: LimitParts| read_limits(vec![good(), bad]).unwrap_err().field.unwrap();
        for name in ["", "Burst", "9a", "a b", "a.b", &"a".repeat(33)] {
            assert_eq!(field(LimitParts { name: name.into(), ..good() }), "limits[1].name", "{name}");
        }
        for limit in [0, u64::from(MAX_UNITS) + 1, u64::MAX] {
            assert_eq!(field(parts("b", limit, Some(1), None)), "limits[1].limit", "{limit}");
        }
        for (window, quota) in [
            (None, None),
            (Some(0), None),
            (Some(3601), None),
            (Some(u64::MAX), None),
            (None, Some("rolling")),
            (Some(59), Some("rolling")),
            (Some(31_622_401), Some("rolling")),
            (Some(60), Some("day")),
            (Some(60), Some("month")),
        ] {
            assert_eq!(field(parts("b", 1, window, quota)), "limits[1].window", "{window:?} {quota:?}");
        }
        for quota in ["", "week", "Day"] {
            assert_eq!(field(parts("b", 1, None, Some(quota))), "limits[1].quota");
        }
        assert_eq!(field(good()), "limits[1].name");
        let many = (0..=MAX_LIMITS).map(|at| parts(&format!("l{at}"), 1, Some(1), None)).collect();
        assert_eq!(read_limits(many).unwrap_err().field.unwrap(), "limits");
    }

    #[test]
    fn a_cost_is_one_unless_it_is_said() {
        assert_eq!((Cost::default().units(), Cost::default().needed()), (1, 1));
        assert_eq!((Cost::new(0).unwrap(), Cost::CHECK.needed()), (Cost::CHECK, 1));
        assert_eq!(Cost::new(MAX_UNITS.into()).unwrap().units(), MAX_UNITS);
        for units in [u64::from(MAX_UNITS) + 1, u64::MAX] {
            assert_eq!(Cost::new(units).unwrap_err().field.as_deref(), Some("cost"));
        }
    }

    #[test]
    fn only_limits_that_refill_alike_can_be_compared() {
        let limit = |most, window| Limit::try_from(parts("a", most, Some(window), None)).unwrap();
        assert!(limit(10, 60).covers(&limit(10, 60)) && limit(10, 60).covers(&limit(9, 60)));
        assert!(!limit(10, 60).covers(&limit(11, 60)) && !limit(10, 60).covers(&limit(1, 61)));
    }
}
