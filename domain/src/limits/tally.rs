//! What was spent of limits, and whether a call still fits. Pure: whoever keeps a [`Book`] keeps it from others meanwhile.
//!
//! A window slides: never is more spent in any stretch of its length than the limit allows. What was spent is remembered in
//! groups, of which each covers at most a sixty-fourth of the window and is free again when its last unit is; so a busy key
//! needs no more than 65 of them, and a key that keeps to its rate is never refused.
//!
//! Where several servers count, see `leases`.

mod leases;

use std::collections::VecDeque;

use super::{Cost, Limit, LimitName, Refill};
use crate::time::Timestamp;
use crate::verdict::Allowance;

use leases::Lease;
pub use leases::{Among, Ask, part};

/// Into how many groups a window is cut.
const GROUPS: i64 = 64;
/// How far two readers of one clock may be apart, in milliseconds. A spending later than that was noted while the clock was
/// ahead.
const SKEW_MS: i64 = 1_000;

/// Units spent at about the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Group {
    /// When the first of them was spent.
    from: Timestamp,
    /// When they count as spent: with the last of them, or for quotas where the group ends.
    at: Timestamp,
    units: u64,
    /// Of these the store knows.
    written: u64,
}

/// What was spent of one limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Tally {
    /// In the order of `at`.
    groups: VecDeque<Group>,
    /// The sum of all groups.
    used: u64,
    /// Does the store want to know?
    kept: bool,
    /// What this server may spend of a quota that several servers share.
    lease: Lease,
}

impl Refill {
    /// The length of a group in milliseconds.
    fn grain(self) -> i64 {
        let window = self.window().map_or(0, |seconds| i64::from(seconds) * 1000);
        (window + GROUPS - 1) / GROUPS
    }

    /// When units that are spent now count as spent. Those of a quota lie on a grid, so that what a store adds up is the
    /// same groups: the end of the piece of the window, or the start of the day or month.
    fn counts_at(self, now: Timestamp) -> Timestamp {
        match (self, self.period(now)) {
            (_, Some((start, _))) => start,
            (Self::Rolling(_), _) => {
                let grain = self.grain().max(1);
                Timestamp::from_millis(now.as_millis().div_euclid(grain).saturating_add(1).saturating_mul(grain) - 1)
            }
            _ => now,
        }
    }

    /// From when on units count that were spent: those before it are free again.
    fn since(self, now: Timestamp) -> Timestamp {
        match self.period(now) {
            Some((start, _)) => start,
            None => now.plus_ms(1 - i64::from(self.longest()) * 1000),
        }
    }

    /// When units that count from `at` on are free again.
    fn free_at(self, at: Timestamp) -> Timestamp {
        self.period(at).map_or_else(|| at.plus_ms(i64::from(self.longest()) * 1000), |(_, next)| next)
    }
}

impl Tally {
    /// Forgets what is free again.
    fn settle(&mut self, refill: Refill, now: Timestamp) {
        // What was noted while the clock was ahead counts from now on: else it would block until the clock is there again.
        let latest = now.plus_ms(refill.grain() + SKEW_MS);
        for group in self.groups.iter_mut().rev().take_while(|group| group.at > latest) {
            group.at = refill.counts_at(now);
            group.from = now;
        }
        let since = refill.since(now);
        while let Some(group) = self.groups.front().filter(|group| group.at < since) {
            self.used = self.used.saturating_sub(group.units);
            self.groups.pop_front();
        }
    }

    fn spend(&mut self, refill: Refill, units: u64, now: Timestamp) {
        let at = refill.counts_at(now);
        self.kept = refill.is_quota();
        self.used = self.used.saturating_add(units);
        match self.groups.back_mut() {
            Some(last) if last.at >= at => last.units += units,
            Some(last) if !self.kept && now.millis_since(last.from) < refill.grain() => {
                last.units += units;
                last.at = at;
            }
            _ => self.groups.push_back(Group { from: now, at, units, written: 0 }),
        }
    }

    /// Does so much fit?
    fn fits(&self, limit: &Limit, units: u64, shared: bool, among: Among) -> bool {
        if limit.refill.is_quota() && !among.in_touch {
            return false;
        }
        if limit.refill.is_quota() && shared { self.lease.left >= units } else { self.used + units <= among.most(limit) }
    }

    /// When so many units will fit if nobody spends any meanwhile; `None` for never.
    fn fits_at(&self, limit: &Limit, units: u64, shared: bool, among: Among, now: Timestamp) -> Option<Timestamp> {
        let most = among.most(limit);
        if units > most {
            return None;
        }
        if limit.refill.is_quota() && (shared || !among.in_touch) {
            return Some(self.leased_at(limit, units, now));
        }
        let mut left = self.used;
        let mut free = now;
        for group in &self.groups {
            if left + units <= most {
                break;
            }
            left = left.saturating_sub(group.units);
            free = limit.refill.free_at(group.at).max(now);
        }
        Some(free)
    }

    fn standing(&self, limit: &Limit, shared: bool, among: Among, now: Timestamp) -> Standing {
        let most = among.most(limit);
        let left = if shared && limit.refill.is_quota() { self.lease.seen_left().min(most) } else { most.saturating_sub(self.used) };
        let resets_at = match limit.refill.period(now) {
            Some((_, next)) => next,
            None => self.groups.back().map_or(now, |group| limit.refill.free_at(group.at)),
        };
        Standing { remaining: u32::try_from(left).unwrap_or(u32::MAX), resets_at }
    }
}

/// How a limit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// How many units are left.
    pub remaining: u32,
    /// When all of them will be there again if nobody spends any meanwhile.
    pub resets_at: Timestamp,
}

/// Units of a quota that the store does not know of yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unwritten {
    /// Of which limit.
    pub name: LimitName,
    /// When they count as spent.
    pub at: Timestamp,
    /// How many.
    pub units: u64,
}

/// What one key, or one owner, has spent of their limits. It follows the limits' names: a limit that gets another number or
/// another window keeps what was spent of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Book {
    tallies: Vec<(LimitName, Tally)>,
    /// The limits as they are now.
    limits: Vec<Limit>,
    /// Do several servers spend of the quotas?
    shared: bool,
    /// Quotas that are no more, of which the store may still know a lease.
    gone: Vec<LimitName>,
}

impl Book {
    /// What was spent of the limit of that name.
    fn tally(&mut self, name: &LimitName) -> &mut Tally {
        let at = self.tallies.iter().position(|(other, _)| other == name).unwrap_or_else(|| {
            self.tallies.push((name.clone(), Tally::default()));
            self.tallies.len() - 1
        });
        &mut self.tallies[at].1
    }

    /// Takes in what a store kept, in the order of the moments.
    pub fn restore(&mut self, name: &LimitName, at: Timestamp, units: u64) {
        let tally = self.tally(name);
        tally.kept = true;
        tally.used = tally.used.saturating_add(units);
        tally.groups.push_back(Group { from: at, at, units, written: units });
    }

    /// These are the limits from now on: forgets what was spent of others.
    pub fn keep_only(&mut self, limits: &[Limit]) {
        self.change_leases(limits);
        self.tallies.retain(|(name, _)| limits.iter().any(|limit| limit.name == *name));
        self.limits = limits.to_vec();
    }

    /// Hands out what was spent of quotas since the last time.
    pub fn take_unwritten(&mut self) -> Vec<Unwritten> {
        let mut all = Vec::new();
        for (name, tally) in self.tallies.iter_mut().filter(|(_, tally)| tally.kept) {
            for group in tally.groups.iter_mut().filter(|group| group.units > group.written) {
                all.push(Unwritten { name: name.clone(), at: group.at, units: group.units - group.written });
                group.written = group.units;
            }
        }
        all
    }

    /// Takes back what could not be written. What is free again meanwhile needs no writing.
    pub fn give_back(&mut self, unwritten: Vec<Unwritten>) {
        for Unwritten { name, at, units } in unwritten {
            let tally = self.tallies.iter_mut().find(|(other, _)| *other == name);
            if let Some(group) = tally.and_then(|(_, tally)| tally.groups.iter_mut().find(|group| group.at == at)) {
                group.written = group.written.saturating_sub(units);
            }
        }
    }
}

/// Limits and what was spent of them.
pub type Part<'a> = (&'a [Limit], &'a mut Book);

/// What came of a call's cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weighed {
    /// Does it fit?
    pub allowance: Allowance,
    /// When it will, if it does not and ever will.
    pub fits_at: Option<Timestamp>,
    /// How each limit stands after the call, in the order of the parts.
    pub standings: Vec<Standing>,
}

/// Spends a call's cost from every limit, or from none if it does not fit into one of them. With `dry` nothing is spent
/// either way.
pub fn weigh(parts: &mut [Part<'_>], cost: Cost, dry: bool, among: Among, now: Timestamp) -> Weighed {
    let mut allowance = Allowance::Free;
    let mut fits_at = Some(now);
    for (limits, book) in &mut *parts {
        let shared = book.shared;
        for limit in *limits {
            let tally = book.tally(&limit.name);
            tally.settle(limit.refill, now);
            let needed = u64::from(cost.needed());
            if !tally.fits(limit, needed, shared, among) {
                // Whoever calls too fast hears of that first, as in the order of the checks.
                allowance = match (allowance, limit.refill.is_quota()) {
                    (Allowance::RateLimited, _) | (_, false) => Allowance::RateLimited,
                    (_, true) => Allowance::QuotaExceeded,
                };
                fits_at = fits_at.zip(tally.fits_at(limit, needed, shared, among, now)).map(|(one, other)| one.max(other));
                tally.lease.lacks(needed, dry);
            }
        }
    }
    let spends = allowance == Allowance::Free && !dry && cost.units() > 0;
    let mut standings = Vec::with_capacity(parts.iter().map(|(limits, _)| limits.len()).sum());
    for (limits, book) in parts {
        let shared = book.shared;
        for limit in *limits {
            let tally = book.tally(&limit.name);
            if spends {
                tally.spend(limit.refill, u64::from(cost.units()), now);
                if shared && limit.refill.is_quota() {
                    tally.lease.left = tally.lease.left.saturating_sub(u64::from(cost.units()));
                }
            }
            standings.push(tally.standing(limit, shared, among, now));
        }
    }
    Weighed { fits_at: fits_at.filter(|_| allowance != Allowance::Free), allowance, standings }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::LimitParts;
    use crate::time::DAY_MS;
    use proptest::prelude::*;

    /// A midnight, the first of a month.
    const START: Timestamp = Timestamp::from_millis(20_758 * DAY_MS);

    fn limit(name: &str, limit: u64, window: Option<u64>, quota: Option<&str>) -> Limit {
        LimitParts { name: name.into(), limit, window, quota: quota.map(str::to_owned) }.try_into().unwrap()
    }

    fn cost(units: u64) -> Cost {
        Cost::new(units).unwrap()
    }

    fn call(limits: &[Limit], book: &mut Book, units: u64, now: Timestamp) -> Weighed {
        weigh(&mut [(limits, book)], cost(units), false, Among::ALONE, now)
    }

    #[test]
    fn a_rate_limit_lets_its_number_through_and_then_says_when_the_next_fits() {
        let (limits, mut book) = ([limit("burst", 3, Some(10), None)], Book::default());
        for (at, left) in [(0, 2), (1_000, 1), (2_000, 0)] {
            let done = call(&limits, &mut book, 1, START.plus_ms(at));
            assert_eq!((done.allowance, done.standings[0].remaining), (Allowance::Free, left));
            assert_eq!(done.standings[0].resets_at, START.plus_ms(at + 10_000));
        }
        let refused = call(&limits, &mut book, 1, START.plus_ms(3_000));
        assert_eq!((refused.allowance, refused.fits_at), (Allowance::RateLimited, Some(START.plus_ms(10_000))));
        assert_eq!(call(&limits, &mut book, 2, START.plus_ms(3_000)).fits_at, Some(START.plus_ms(11_000)));
        assert_eq!(call(&limits, &mut book, 4, START.plus_ms(3_000)).fits_at, None, "never");
        assert_eq!(call(&limits, &mut book, 1, START.plus_ms(9_999)).allowance, Allowance::RateLimited);
        assert_eq!(call(&limits, &mut book, 1, START.plus_ms(10_000)).allowance, Allowance::Free);
        assert_eq!(call(&limits, &mut book, 1, START.plus_ms(10_000)).allowance, Allowance::RateLimited);
    }

    #[test]
    fn a_call_takes_from_every_limit_or_from_none() {
        let limits = [limit("burst", 5, Some(1), None), limit("daily", 3, None, Some("day"))];
        let (own, mut book, mut other) = ([limit("burst", 9, Some(1), None)], Book::default(), Book::default());
        let mut both = |units, now| weigh(&mut [(&own, &mut book), (&limits, &mut other)], cost(units), false, Among::ALONE, now);
        let left = |weighed: &Weighed| weighed.standings.iter().map(|standing| standing.remaining).collect::<Vec<_>>();
        assert_eq!(left(&both(2, START)), [7, 3, 1]);
        let refused = both(2, START);
        assert_eq!((refused.allowance, left(&refused)), (Allowance::QuotaExceeded, vec![7, 3, 1]));
        let refused = both(4, START);
        assert_eq!((refused.allowance, refused.fits_at), (Allowance::RateLimited, None), "the quota will never hold four");
        assert_eq!(left(&both(1, START)), [6, 2, 0]);
        let empty = both(0, START.plus_ms(5_000));
        assert_eq!((empty.allowance, left(&empty)), (Allowance::QuotaExceeded, vec![9, 5, 0]), "a check needs one unit");
        assert_eq!(empty.fits_at, Some(START.plus_days(1)));
    }

    #[test]
    fn a_check_spends_nothing() {
        let (limits, mut book) = ([limit("burst", 1, Some(10), None)], Book::default());
        for _ in 0..3 {
            let checked = call(&limits, &mut book, 0, START);
            assert_eq!((checked.allowance, checked.standings[0]), (Allowance::Free, Standing { remaining: 1, resets_at: START }));
            assert_eq!(weigh(&mut [(&limits, &mut book)], cost(1), true, Among::ALONE, START).allowance, Allowance::Free);
        }
        assert_eq!(call(&limits, &mut book, 1, START).allowance, Allowance::Free);
        assert_eq!(call(&limits, &mut book, 0, START).allowance, Allowance::RateLimited);
    }

    #[test]
    fn calendar_quotas_begin_anew_at_midnight() {
        let limits = [limit("daily", 1, None, Some("day")), limit("monthly", 3, None, Some("month"))];
        let mut book = Book::default();
        let last = START.plus_ms(-1);
        assert_eq!(call(&limits, &mut book, 1, last).allowance, Allowance::Free);
        assert_eq!(call(&limits, &mut book, 1, last).fits_at, Some(START));
        for day in 0..3 {
            let done = call(&limits, &mut book, 1, START.plus_days(day));
            assert_eq!((done.allowance, done.standings[1].remaining), (Allowance::Free, u32::try_from(2 - day).unwrap()));
        }
        let refused = call(&limits, &mut book, 1, START.plus_days(29));
        assert_eq!((refused.allowance, refused.fits_at), (Allowance::QuotaExceeded, Some(START.plus_days(30))));
        assert_eq!(refused.standings[0].resets_at, START.plus_days(30));
        assert_eq!(call(&limits, &mut book, 1, START.plus_days(30)).allowance, Allowance::Free);
    }

    #[test]
    fn a_limit_that_changes_keeps_what_was_spent() {
        let mut book = Book::default();
        assert_eq!(call(&[limit("a", 5, None, Some("day"))], &mut book, 4, START).standings[0].remaining, 1);
        assert_eq!(call(&[limit("a", 10, None, Some("day"))], &mut book, 0, START).standings[0].remaining, 6);
        assert_eq!(call(&[limit("a", 10, None, Some("month"))], &mut book, 0, START).standings[0].remaining, 6);
        let lower = call(&[limit("a", 3, None, Some("day"))], &mut book, 1, START);
        assert_eq!((lower.allowance, lower.standings[0].remaining), (Allowance::QuotaExceeded, 0));
        book.keep_only(&[limit("b", 1, Some(1), None)]);
        assert_eq!(book.tallies, []);
    }

    #[test]
    fn what_a_store_kept_counts_as_before() {
        for (window, quota) in [(None, "day"), (None, "month"), (Some(86_400), "rolling")] {
            let (limits, mut book, mut later) = ([limit("q", 100, window, Some(quota))], Book::default(), Book::default());
            let mut rows = Vec::new();
            for (at, units) in [(0, 3), (10, 4), (40_000_000, 5)] {
                call(&limits, &mut book, units, START.plus_ms(at));
                rows.extend(book.take_unwritten());
            }
            assert_eq!(rows.iter().map(|row| row.units).sum::<u64>(), 12);
            assert_eq!(book.take_unwritten(), []);
            for row in &rows {
                later.restore(&row.name, row.at, row.units);
            }
            for at in [40_000_000, 90_000_000, 120_000_000, 140_000_000] {
                let now = START.plus_ms(at);
                assert_eq!(call(&limits, &mut book, 0, now), call(&limits, &mut later, 0, now), "{quota} {at}");
            }
            assert_eq!(later.take_unwritten(), []);
        }
        let (limits, mut book) = ([limit("r", 100, Some(60), None)], Book::default());
        call(&limits, &mut book, 3, START);
        assert_eq!(book.take_unwritten(), [], "rate limits are not kept");
    }

    #[test]
    fn what_could_not_be_written_is_handed_out_again() {
        let (limits, mut book) = ([limit("q", 100, None, Some("day"))], Book::default());
        call(&limits, &mut book, 3, START);
        let rows = book.take_unwritten();
        call(&limits, &mut book, 4, START);
        book.give_back(rows);
        assert_eq!(book.take_unwritten()[0].units, 7);
    }

    #[test]
    fn a_clock_that_was_ahead_blocks_nobody_for_longer_than_the_window() {
        for (window, quota) in [(Some(60), None), (Some(3_600), Some("rolling"))] {
            let (limits, mut book) = ([limit("a", 2, window, quota)], Book::default());
            let ahead = START.plus_days(365);
            assert_eq!(call(&limits, &mut book, 2, ahead).allowance, Allowance::Free);
            let refused = call(&limits, &mut book, 1, START);
            assert_eq!(refused.allowance != Allowance::Free, refused.fits_at.is_some());
            assert!(refused.fits_at.unwrap() <= START.plus_ms(3_700_000));
            assert_eq!(call(&limits, &mut book, 1, refused.fits_at.unwrap()).allowance, Allowance::Free);
        }
        let (limits, mut book) = ([limit("a", 2, None, Some("day"))], Book::default());
        call(&limits, &mut book, 2, START.plus_days(365));
        assert_eq!(call(&limits, &mut book, 1, START).fits_at, Some(START.plus_days(1)));
    }

    #[test]
    fn who_keeps_to_the_rate_is_never_refused() {
        for (most, window) in [(1u64, 1u64), (1, 60), (3, 10), (10, 1), (60, 60)] {
            let (limits, mut book) = ([limit("a", most, Some(window), None)], Book::default());
            let step = i64::try_from(window * 1000 / most).unwrap();
            let step = if window * 1000 % most == 0 { step } else { step + 1 };
            for at in 0..500 {
                assert_eq!(call(&limits, &mut book, 1, START.plus_ms(at * step)).allowance, Allowance::Free, "{most} in {window} s: {at}");
            }
        }
    }

    proptest! {
        /// Against the plainest of all counters: a list of every unit and when it was spent.
        #[test]
        fn never_is_more_spent_in_any_window_and_little_comes_back_late(
            most in 1u64..20,
            window in 1u64..100,
            rolling: bool,
            calls in proptest::collection::vec((0i64..8_000, 1u64..4), 1..200),
        ) {
            let window = if rolling { window + 60 } else { window };
            let limits = [limit("a", most, Some(window), rolling.then_some("rolling"))];
            let (mut book, mut log, mut now) = (Book::default(), Vec::<(Timestamp, u64)>::new(), START);
            let length = i64::try_from(window).unwrap() * 1000;
            let late = length / GROUPS + 1;
            let spent = |log: &[(Timestamp, u64)], from: Timestamp| log.iter().filter(|(at, _)| *at > from).map(|(_, units)| units).sum::<u64>();
            for (wait, units) in calls {
                now = now.plus_ms(wait);
                let weighed = call(&limits, &mut book, units, now);
                if weighed.allowance == Allowance::Free {
                    log.push((now, units));
                    prop_assert!(spent(&log, now.plus_ms(-length)) <= most);
                } else {
                    prop_assert!(spent(&log, now.plus_ms(-length - late)) + units > most, "refused without need");
                    if let Some(at) = weighed.fits_at {
                        let mut then = book.clone();
                        prop_assert_ne!(weigh(&mut [(&limits, &mut then)], cost(units), true, Among::ALONE, at.plus_ms(-1)).allowance, Allowance::Free);
                        prop_assert_eq!(weigh(&mut [(&limits, &mut then)], cost(units), true, Among::ALONE, at).allowance, Allowance::Free);
                    }
                }
                prop_assert!(book.tallies[0].1.groups.len() <= 66);
            }
        }
    }
}
