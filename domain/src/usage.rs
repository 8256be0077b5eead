//! What is known of the use of a key: calls and denials by hour, and which of its scopes were asked for.

use serde::{Deserialize, Serialize};

use crate::catalogue::ScopeCatalogue;
use crate::scope::{KeyKind, ScopeName, ScopeSet};
use crate::time::{DAY_MS, Timestamp};
use crate::verdict::Code;

/// One hour in milliseconds.
pub const HOUR_MS: i64 = 3_600_000;
/// How far back use is kept, in days.
pub const KEPT_DAYS: u32 = 400;
/// The days shown when nobody says otherwise.
pub const DEFAULT_DAYS: u32 = 30;
/// How far back the evidence on scopes looks, in days.
pub const EVIDENCE_DAYS: u32 = 90;
/// How long a key must have been watched with its present scopes before a narrowing is suggested, in days.
pub const WATCH_DAYS: u32 = 7;

/// The number of the hour since the epoch in which a moment lies.
pub const fn hour_of(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(HOUR_MS)
}

/// The number of the day (UTC) since the epoch in which a moment lies.
pub const fn day_of(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(DAY_MS)
}

/// How often a verdict was given in one hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HourCount {
    /// When the hour began.
    pub hour: Timestamp,
    /// The verdict; `valid` for a call.
    pub code: Code,
    /// How often.
    pub count: i64,
}

/// How often a verdict was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeCount {
    /// The verdict.
    pub code: Code,
    /// How often.
    pub count: i64,
}

/// The use of one day (UTC).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayUsage {
    /// Midnight, when the day began.
    pub day: Timestamp,
    /// Uses with success.
    pub calls: i64,
    /// Verdicts other than `valid`.
    pub denials: i64,
}

/// The use of a key over some days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyUsage {
    /// Every day, the oldest first, today last; days without use too.
    pub days: Vec<DayUsage>,
    /// Uses with success by weekday (UTC, Monday first), and in it by hour of the day.
    pub week: Vec<[i64; 24]>,
    /// Every verdict that was given, in the order of the checks, `valid` last.
    pub codes: Vec<CodeCount>,
    /// Uses with success in all these days.
    pub calls: i64,
    /// Other verdicts in all these days.
    pub denials: i64,
}

impl KeyUsage {
    /// The first hour that belongs to the last `days` days, today included.
    pub fn first_hour(now: Timestamp, days: u32) -> i64 {
        (day_of(now) - i64::from(days.max(1)) + 1) * 24
    }

    /// Sums up the counts of the last `days` days; others are passed over.
    pub fn of(counts: &[HourCount], now: Timestamp, days: u32) -> Self {
        let today = day_of(now);
        let first = today - i64::from(days.max(1)) + 1;
        let start = |day: i64| Timestamp::from_millis(day.saturating_mul(DAY_MS));
        let mut all = Self {
            days: (first..=today).map(|day| DayUsage { day: start(day), calls: 0, denials: 0 }).collect(),
            week: vec![[0; 24]; 7],
            codes: Vec::new(),
            calls: 0,
            denials: 0,
        };
        let mut codes = [0i64; Code::ALL.len()];
        for count in counts {
            let (hour, day) = (hour_of(count.hour), day_of(count.hour));
            let Some(of_day) = usize::try_from(day - first).ok().and_then(|at| all.days.get_mut(at)) else { continue };
            if count.code == Code::Valid {
                of_day.calls += count.count;
                all.calls += count.count;
                // 1 January 1970 was a Thursday.
                let place = usize::try_from((day + 3).rem_euclid(7)).ok().zip(usize::try_from(hour.rem_euclid(24)).ok());
                if let Some(cell) = place.and_then(|(weekday, hour)| all.week.get_mut(weekday)?.get_mut(hour)) {
                    *cell += count.count;
                }
            } else {
                of_day.denials += count.count;
                all.denials += count.count;
            }
            if let Some(sum) = Code::ALL.iter().position(|code| *code == count.code).and_then(|at| codes.get_mut(at)) {
                *sum += count.count;
            }
        }
        let given = Code::ALL.into_iter().zip(codes).filter(|(_, count)| *count > 0);
        all.codes = given.map(|(code, count)| CodeCount { code, count }).collect();
        all
    }
}

/// How often a scope was asked for with success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeUse {
    /// The scope.
    pub scope: ScopeName,
    /// Was the key given this very scope, or does it come with another?
    pub held: bool,
    /// When it was last asked for; `None` if not in [`EVIDENCE_DAYS`].
    pub last_asked_at: Option<Timestamp>,
    /// How often in [`EVIDENCE_DAYS`].
    pub count: i64,
}

/// Which of its scopes a key needs, going by what it was used for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeEvidence {
    /// The scopes the key was given, and those that come with them if they were asked for.
    pub scopes: Vec<ScopeUse>,
    /// From when on these scopes were watched.
    pub watched_since: Timestamp,
    /// Fewer scopes that would have allowed all that was asked for; `None` if there are none or it is too early to tell.
    pub suggestion: Option<ScopeSet>,
}

impl ScopeEvidence {
    /// How many scopes the key was given.
    pub fn held(&self) -> usize {
        self.scopes.iter().filter(|scope| scope.held).count()
    }

    /// How many scopes were asked for, those that come with another included.
    pub fn used(&self) -> usize {
        self.scopes.iter().filter(|scope| scope.count > 0).count()
    }

    /// Puts together what was counted until `now` for a key that holds `held` since `watched_since`.
    pub fn of(
        held: &ScopeSet,
        kind: KeyKind,
        counted: Vec<ScopeUse>,
        (watched_since, now): (Timestamp, Timestamp),
        catalogue: &ScopeCatalogue,
    ) -> Self {
        let effective = held.effective(catalogue);
        let mut scopes: Vec<ScopeUse> =
            held.iter().map(|scope| ScopeUse { scope: scope.clone(), held: true, last_asked_at: None, count: 0 }).collect();
        let mut asked = ScopeSet::default();
        for found in counted {
            // Held once and taken away since: of no matter any more.
            if !effective.contains(found.scope.as_str()) || found.count <= 0 {
                continue;
            }
            asked.insert(found.scope.clone());
            match scopes.iter_mut().find(|scope| scope.scope == found.scope) {
                Some(scope) => (scope.last_asked_at, scope.count) = (found.last_asked_at, found.count),
                None => scopes.push(ScopeUse { held: false, ..found }),
            }
        }
        let watched = now.millis_since(watched_since) >= i64::from(WATCH_DAYS) * DAY_MS;
        let suggestion = if watched { narrowed(held, &asked, kind, catalogue) } else { None };
        Self { scopes, watched_since, suggestion }
    }
}

/// The fewest of the scopes asked for that allow all of them, if that is less than `held` allows.
fn narrowed(held: &ScopeSet, asked: &ScopeSet, kind: KeyKind, catalogue: &ScopeCatalogue) -> Option<ScopeSet> {
    let mut least = asked.clone();
    for scope in asked.iter() {
        let mut rest = least.clone();
        rest.remove(scope.as_str());
        // One after the other, so that of two that imply each other one stays.
        if rest.effective(catalogue).contains(scope.as_str()) {
            least = rest;
        }
    }
    let narrower = least.effective(catalogue) != held.effective(catalogue);
    (narrower && least.check(kind, catalogue).is_ok()).then_some(least)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn scopes(names: &[&str]) -> ScopeSet {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn evidence(held: &[&str], asked: &[&str], watched_days: i64, kind: KeyKind) -> ScopeEvidence {
        let counted = asked.iter().map(|name| ScopeUse { scope: name.parse().unwrap(), held: false, last_asked_at: Some(NOW), count: 3 });
        ScopeEvidence::of(&scopes(held), kind, counted.collect(), (NOW.plus_days(-watched_days), NOW), &ScopeCatalogue::default())
    }

    #[test]
    fn a_narrowing_is_the_least_that_allows_what_was_asked_for() {
        let suggest = |held: &[&str], asked: &[&str]| evidence(held, asked, 7, KeyKind::Management).suggestion;
        assert_eq!(suggest(&["project"], &["inference"]), Some(scopes(&["inference"])), "an implied scope is enough");
        assert_eq!(suggest(&["project", "chat"], &["project", "inference"]), Some(scopes(&["project"])));
        assert_eq!(suggest(&["project", "chat"], &["inference", "chat"]), Some(scopes(&["chat", "inference"])));
        assert_eq!(suggest(&["project"], &["project"]), None, "nothing to take away");
        assert_eq!(suggest(&["project", "inference"], &["project"]), None, "the same in fact");
        assert_eq!(suggest(&["keys:write", "verify"], &["keys:read"]), Some(scopes(&["keys:read"])));
        assert_eq!(suggest(&["chat"], &["project"]), None, "what was taken away is no evidence");
    }

    #[test]
    fn nothing_is_suggested_for_an_unused_key_or_too_early() {
        assert_eq!(evidence(&["project", "chat"], &[], 60, KeyKind::Secret).suggestion, None);
        assert_eq!(evidence(&["project", "chat"], &["chat"], 6, KeyKind::Secret).suggestion, None);
        assert!(evidence(&["project", "chat"], &["chat"], 7, KeyKind::Secret).suggestion.is_some());
    }

    #[test]
    fn every_held_scope_is_listed_and_an_implied_one_where_it_was_asked_for() {
        let found = evidence(&["project", "chat"], &["inference"], 60, KeyKind::Secret);
        let listed: Vec<_> = found.scopes.iter().map(|scope| (scope.scope.as_str(), scope.held, scope.count)).collect();
        assert_eq!(listed, [("chat", true, 0), ("project", true, 0), ("inference", false, 3)]);
        assert_eq!((found.held(), found.used()), (2, 1));
    }

    #[test]
    fn counts_are_summed_by_day_by_hour_of_the_week_and_by_code() {
        // Monday, 1 June 2026, noon.
        let now = Timestamp::from_millis(1_780_315_200_000);
        let count = |hours_ago: i64, code, count| HourCount { hour: now.plus_ms(-hours_ago * HOUR_MS), code, count };
        let counts = [
            count(0, Code::Valid, 5),
            count(0, Code::MissingScope, 1),
            count(13, Code::Valid, 2),
            count(24 * 29, Code::Expired, 4),
            count(24 * 29 + 13, Code::Valid, 9),
        ];
        let usage = KeyUsage::of(&counts, now, 30);
        assert_eq!((usage.days.len(), usage.calls, usage.denials), (30, 7, 5));
        assert_eq!((usage.days[29].day.as_millis() % DAY_MS, usage.days[29].calls, usage.days[29].denials), (0, 5, 1));
        assert_eq!((usage.days[28].calls, usage.days[0].denials), (2, 4), "eleven in the evening is the day before");
        assert_eq!((usage.week[0][12], usage.week[6][23]), (5, 2));
        let codes: Vec<_> = usage.codes.iter().map(|found| (found.code, found.count)).collect();
        assert_eq!(codes, [(Code::Expired, 4), (Code::MissingScope, 1), (Code::Valid, 7)]);
        assert_eq!(KeyUsage::first_hour(now, 30), hour_of(usage.days[0].day));
    }
}
