//! Limits that several servers count together, of which none waits for another.
//!
//! Rate limits are divided by the number of servers. Of a quota each server holds a *lease*: units that the store counts as
//! taken from the moment they are handed out, and that are spent in memory. What was spent and what is leased together never
//! exceed the quota; a unit goes from the one into the other in one transaction of the store. The less is free, the smaller
//! the leases, down to one unit.

use super::{Book, Tally};
use crate::limits::{Limit, LimitName};
use crate::time::Timestamp;

/// Up to so many units a lease may be an equal part of what is free; larger ones are a quarter of such a part.
const SMALL: u64 = 64;
/// How long a server waits after it got nothing before it asks again, in milliseconds.
const ASK_AGAIN_MS: i64 = 250;
/// How long a caller is asked to wait for units that are there and not here, in milliseconds.
const SOON_MS: i64 = 1_000;

/// Among how many servers limits are divided, and whether this one is still one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Among {
    /// How many servers there are, at least one.
    pub servers: u32,
    /// May what this server holds of quotas be spent? Not after it was out of touch for so long that others may count it as
    /// spent.
    pub in_touch: bool,
}

impl Among {
    /// One server, which holds everything.
    pub const ALONE: Self = Self { servers: 1, in_touch: true };

    /// How many units may be spent here: of rate limits an equal part, rounded up.
    pub(super) fn most(self, limit: &Limit) -> u64 {
        let most = u64::from(limit.most());
        if limit.refill().is_quota() { most } else { most.div_ceil(u64::from(self.servers.max(1))) }
    }
}

/// How many of `free` units a server gets that needs so many, among so many servers.
pub fn part(free: u64, servers: u32, needed: u64) -> u64 {
    let equal = (free / u64::from(servers.max(1))).max(1);
    equal.min(SMALL).max(equal / 4).max(needed).min(free)
}

/// What a server may spend of a quota.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Lease {
    /// Units that may be spent.
    pub(super) left: u64,
    /// How many there were when it was filled up last.
    full: u64,
    /// Units that neither this server held nor anybody had spent when the store was asked last.
    elsewhere: u64,
    /// Units that a call lacked since.
    lacking: u64,
    /// Was the store ever asked?
    known: bool,
    /// When the store is asked again, at the earliest.
    ask_at: Option<Timestamp>,
}

impl Lease {
    /// A call needed so much, and it was not there.
    pub(super) fn lacks(&mut self, units: u64, dry: bool) {
        if !dry {
            self.lacking = self.lacking.max(units);
        }
    }

    /// What is left for all servers together, as far as it is known here.
    pub(super) const fn seen_left(&self) -> u64 {
        self.left.saturating_add(self.elsewhere)
    }

    fn wants(&self, now: Timestamp) -> bool {
        let low = !self.known || self.lacking > self.left || self.left.saturating_mul(2) < self.full;
        // A clock that was set back keeps nobody waiting.
        low && self.ask_at.is_none_or(|at| now >= at || now.plus_ms(ASK_AGAIN_MS) < at)
    }
}

/// What a server asks the store for, and what it tells of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Of which quota.
    pub name: LimitName,
    /// How many units it has in all.
    pub most: u64,
    /// From when on units count as spent.
    pub since: Timestamp,
    /// What this server holds: what it may spend, and what it has spent without the store's knowledge.
    pub held: u64,
    /// How many units more are needed; 0 for no need.
    pub needed: u64,
}

impl Tally {
    /// Units spent that the store does not know of.
    fn unwritten(&self) -> u64 {
        self.groups.iter().map(|group| group.units.saturating_sub(group.written)).sum()
    }

    /// When a call may fit that a lease does not cover.
    pub(super) fn leased_at(&self, limit: &Limit, units: u64, now: Timestamp) -> Timestamp {
        let soon = now.plus_ms(SOON_MS);
        if !self.lease.known || self.lease.seen_left() >= units {
            return soon;
        }
        // All that is known is spent: when the next period begins, or the oldest of what was spent here is free again.
        let next = limit.refill().period(now).map(|(_, next)| next);
        next.or_else(|| self.groups.front().map(|group| limit.refill().free_at(group.at))).unwrap_or(soon).max(soon)
    }
}

impl Book {
    /// Do several servers spend of its quotas?
    pub fn is_shared(&self) -> bool {
        self.shared
    }

    /// Are there quotas among its limits?
    pub fn has_quotas(&self) -> bool {
        self.limits.iter().any(|limit| limit.refill().is_quota())
    }

    fn quotas(&self) -> Vec<Limit> {
        self.limits.iter().filter(|limit| limit.refill().is_quota()).cloned().collect()
    }

    /// From now on only what is leased may be spent. Until others may take any, that is a part of what is left.
    pub fn share(&mut self, servers: u32, now: Timestamp) {
        if std::mem::replace(&mut self.shared, true) {
            return;
        }
        for limit in self.quotas() {
            let tally = self.tally(limit.name());
            tally.settle(limit.refill(), now);
            let free = u64::from(limit.most()).saturating_sub(tally.used);
            let left = part(free, servers, 0);
            tally.lease = Lease { left, full: left, elsewhere: free - left, known: true, ..Lease::default() };
        }
    }

    /// From now on only what is leased may be spent, and nothing is leased.
    pub fn lose(&mut self) {
        self.shared = true;
        self.tallies.iter_mut().for_each(|(_, tally)| tally.lease = Lease::default());
    }

    /// From now on everything that is left may be spent: this server is alone. The rows are what all servers have spent, in the
    /// order of the moments; what this one has spent and the store does not know of is kept.
    pub fn regain(&mut self, rows: impl IntoIterator<Item = (LimitName, Timestamp, u64)>) {
        self.shared = false;
        self.gone.clear();
        let mut before = std::mem::take(&mut self.tallies);
        for (name, at, units) in rows {
            self.restore(&name, at, units);
        }
        for (name, old) in &mut before {
            let kept = old.kept;
            let tally = self.tally(name);
            tally.kept |= kept;
            for mut group in std::mem::take(&mut old.groups) {
                if kept {
                    group.units = group.units.saturating_sub(group.written);
                    group.written = 0;
                }
                if group.units > 0 {
                    tally.used = tally.used.saturating_add(group.units);
                    tally.groups.push_back(group);
                }
            }
            tally.groups.make_contiguous().sort_by_key(|group| group.at);
        }
    }

    /// Is it time to ask the store for more?
    pub fn wants(&self, now: Timestamp) -> bool {
        if !self.shared {
            return false;
        }
        let low = |limit: &Limit| {
            let tally = self.tallies.iter().find(|(name, _)| name == limit.name());
            limit.refill().is_quota() && tally.is_none_or(|(_, tally)| tally.lease.wants(now))
        };
        !self.gone.is_empty() || self.limits.iter().any(low)
    }

    /// What there is to ask and to tell about every quota, at the moment that it is asked.
    pub fn asks(&mut self, now: Timestamp) -> Vec<Ask> {
        let mut asks = Vec::new();
        for limit in self.quotas() {
            let tally = self.tally(limit.name());
            let lease = tally.lease;
            let needed = if lease.wants(now) { lease.lacking.saturating_sub(lease.left).max(1) } else { 0 };
            let held = lease.left.saturating_add(tally.unwritten());
            asks.push(Ask { name: limit.name().clone(), most: limit.most().into(), since: limit.refill().since(now), held, needed });
        }
        let over = |name: LimitName| Ask { name, most: 0, since: now, held: 0, needed: 0 };
        asks.extend(self.gone.iter().cloned().map(over));
        asks
    }

    /// The store has given so much, and knows of so much that is neither spent nor held here.
    pub fn granted(&mut self, name: &LimitName, units: u64, elsewhere: u64, now: Timestamp) {
        self.gone.retain(|gone| gone != name);
        if !self.shared || !self.limits.iter().any(|limit| limit.name() == name) {
            return;
        }
        let lease = &mut self.tally(name).lease;
        let left = lease.left.saturating_add(units);
        let ask_at = (units == 0).then(|| now.plus_ms(ASK_AGAIN_MS));
        *lease = Lease { left, full: left, elsewhere, lacking: 0, known: true, ask_at };
    }

    /// The store knows of this holding, and that others hold or could take so much.
    pub fn told(&mut self, name: &LimitName, elsewhere: u64) {
        self.gone.retain(|gone| gone != name);
        if let Some((_, tally)) = self.tallies.iter_mut().find(|(other, _)| other == name) {
            tally.lease.elsewhere = elsewhere;
        }
    }

    /// Lets go of half of what may be spent, rounded up, for others who have nothing.
    pub fn let_go(&mut self, name: &LimitName) {
        if let Some((_, tally)) = self.tallies.iter_mut().find(|(other, _)| other == name).filter(|_| self.shared) {
            tally.lease.left /= 2;
            tally.lease.full = tally.lease.left;
        }
    }

    /// What this server holds of each quota: what it may spend, and what it has spent without the store's knowledge.
    pub fn holdings(&self) -> Vec<(LimitName, u64)> {
        let of = |(name, tally): &(LimitName, Tally)| (name.clone(), tally.lease.left.saturating_add(tally.unwritten()));
        let all = self.tallies.iter().filter(|(_, tally)| tally.kept || tally.lease.known).map(of);
        if self.shared { all.collect() } else { Vec::new() }
    }

    /// Leases of limits that are lowered or refill otherwise are given up: the store says what is left of the new ones.
    pub(super) fn change_leases(&mut self, limits: &[Limit]) {
        if !self.shared {
            return;
        }
        for before in self.quotas() {
            match limits.iter().find(|limit| limit.name() == before.name()).filter(|limit| limit.refill().is_quota()) {
                Some(after) if after.covers(&before) => {
                    // More than before: there may be something where nothing was left.
                    self.tally(before.name()).lease.ask_at = None;
                }
                Some(_) => self.tally(before.name()).lease = Lease::default(),
                None => {
                    self.tally(before.name()).lease = Lease::default();
                    self.gone.push(before.name().clone());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Cost, weigh};
    use super::*;
    use crate::limits::LimitParts;
    use crate::time::DAY_MS;
    use crate::verdict::Allowance;
    use proptest::prelude::*;

    /// A midnight, the first of a month.
    const START: Timestamp = Timestamp::from_millis(20_758 * DAY_MS);

    fn quota(most: u64, rolling: bool) -> Limit {
        let quota = if rolling { "rolling" } else { "day" };
        LimitParts { name: "q".into(), limit: most, window: rolling.then_some(3_600), quota: Some(quota.into()) }.try_into().unwrap()
    }

    fn call(limit: &Limit, book: &mut Book, units: u64, among: Among, now: Timestamp) -> bool {
        let weighed = weigh(&mut [(std::slice::from_ref(limit), book)], Cost::new(units).unwrap(), false, among, now);
        weighed.allowance == Allowance::Free
    }

    /// The plainest store there can be.
    #[derive(Default)]
    struct Store {
        spent: Vec<(Timestamp, u64)>,
        leases: std::collections::BTreeMap<usize, u64>,
    }

    impl Store {
        fn ask(&mut self, node: usize, book: &mut Book, servers: u32, now: Timestamp) {
            for ask in book.asks(now) {
                let spent: u64 = self.spent.iter().filter(|(at, _)| *at >= ask.since).map(|(_, units)| units).sum();
                let others: u64 = self.leases.iter().filter(|(other, _)| **other != node).map(|(_, units)| units).sum();
                let free = ask.most.saturating_sub(spent + others + ask.held);
                let units = if ask.needed == 0 { 0 } else { part(free, servers, ask.needed) };
                self.leases.insert(node, ask.held + units);
                book.granted(&ask.name, units, free - units + others, now);
            }
        }

        fn flush(&mut self, node: usize, book: &mut Book) {
            self.spent.extend(book.take_unwritten().into_iter().map(|row| (row.at, row.units)));
            self.leases.insert(node, book.holdings().iter().map(|(_, units)| units).sum());
        }

        fn write_off(&mut self, node: usize, now: Timestamp) {
            self.spent.extend(self.leases.remove(&node).map(|units| (now, units)));
        }
    }

    #[test]
    fn a_part_shrinks_with_what_is_free_and_is_never_more() {
        assert_eq!([1_000_000, 10_000, 600, 60, 5, 1, 0].map(|free| part(free, 3, 0)), [83_333, 833, 64, 20, 1, 1, 0]);
        assert_eq!((part(100, 3, 50), part(100, 3, 101), part(7, 1, 0)), (50, 100, 7));
    }

    #[test]
    fn rate_limits_are_divided_and_rounded_up() {
        let limit: Limit = LimitParts { name: "r".into(), limit: 10, window: Some(60), quota: None }.try_into().unwrap();
        for (servers, passed) in [(1, 10), (2, 5), (3, 4), (20, 1)] {
            let mut book = Book::default();
            let among = Among { servers, in_touch: false };
            assert_eq!((0..20).filter(|_| call(&limit, &mut book, 1, among, START)).count(), passed, "{servers}");
        }
    }

    #[test]
    fn what_was_counted_alone_is_shared_and_regained_exactly() {
        let (limit, mut book) = (quota(100, false), Book::default());
        book.keep_only(std::slice::from_ref(&limit));
        assert!((0..10).all(|_| call(&limit, &mut book, 1, Among::ALONE, START)));
        let written: u64 = book.take_unwritten().iter().map(|row| row.units).sum();
        book.share(2, START);
        assert_eq!(book.holdings().iter().map(|(_, units)| units).sum::<u64>(), 45);
        let passed = (0..100).filter(|_| call(&limit, &mut book, 1, Among { servers: 2, in_touch: true }, START)).count();
        assert_eq!(passed, 45, "without the store's word no more");
        assert!(!call(&limit, &mut book, 1, Among { servers: 2, in_touch: false }, START));
        book.regain([("q".parse().unwrap(), START, written + 20)]);
        let passed = (0..100).filter(|_| call(&limit, &mut book, 1, Among::ALONE, START)).count();
        assert_eq!(passed, 100 - 10 - 20 - 45);
        assert_eq!(book.take_unwritten().iter().map(|row| row.units).sum::<u64>(), 45 + 25);
    }

    #[test]
    fn nothing_is_spent_out_of_touch() {
        let (limit, mut book) = (quota(10, false), Book::default());
        book.keep_only(std::slice::from_ref(&limit));
        assert!(!call(&limit, &mut book, 1, Among { servers: 1, in_touch: false }, START));
        assert!(call(&limit, &mut book, 1, Among::ALONE, START));
    }

    proptest! {
        /// Three servers and one store, under any order of events. What was let through in any window, whoever did it, is
        /// never more than the quota.
        #[test]
        fn servers_together_never_spend_more_than_the_quota(
            most in 1u64..300,
            rolling: bool,
            events in proptest::collection::vec((0usize..3, 0u8..16, 1u64..4, 0i64..4_000_000), 1..300),
        ) {
            let limit = quota(most, rolling);
            let (mut store, mut log, mut now) = (Store::default(), Vec::<(Timestamp, u64)>::new(), START);
            let fresh = || {
                let mut book = Book::default();
                book.keep_only(std::slice::from_ref(&limit));
                book.lose();
                book
            };
            let mut books = [fresh(), fresh(), fresh()];
            let among = Among { servers: 3, in_touch: true };
            for (node, event, units, wait) in events {
                let book = &mut books[node];
                match event {
                    0..=8 => {
                        if call(&limit, book, units, among, now) {
                            log.push((now, units));
                        }
                    }
                    9 | 10 => store.ask(node, book, 3, now),
                    11 => store.flush(node, book),
                    12 => {
                        // What could not be written is written twice if only the answer was lost.
                        let rows = book.take_unwritten();
                        if units == 1 {
                            store.spent.extend(rows.iter().map(|row| (row.at, row.units)));
                        }
                        book.give_back(rows);
                    }
                    13 => book.let_go(limit.name()),
                    14 => {
                        store.write_off(node, now);
                        *book = fresh();
                    }
                    _ => now = now.plus_ms(wait),
                }
                let since = if rolling { now.plus_ms(1 - 3_600_000) } else { now.day_around().0 };
                let spent: u64 = log.iter().filter(|(at, _)| *at >= since).map(|(_, units)| units).sum();
                prop_assert!(spent <= most, "{spent} of {most}");
            }
            // The last unit can be had: what is left reaches whoever needs it.
            let since = if rolling { now.plus_ms(1 - 3_600_000) } else { now.day_around().0 };
            for _ in 0..40 {
                for (node, book) in books.iter_mut().enumerate() {
                    if node > 0 {
                        book.let_go(limit.name());
                    }
                    store.flush(node, book);
                }
                store.ask(0, &mut books[0], 3, now);
                now = now.plus_ms(300);
                while call(&limit, &mut books[0], 1, among, now) {}
            }
            store.flush(0, &mut books[0]);
            let counted: u64 = store.spent.iter().filter(|(at, _)| *at >= since).map(|(_, units)| units).sum();
            prop_assert!(counted >= most, "{counted} of {most} were used or written off");
        }
    }
}
