//! What is counted of one secret between two flushes. Counting takes no lock that it would wait for.
//!
//! Counts are kept apart by hour with two counters each, for even and for odd hours: the moment of the last event says
//! which hour its own counter is of, and the other one is of the hour before. A flush every few seconds never leaves more
//! than these two.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use keyfold_domain::scope::ScopeName;
use keyfold_domain::secret::{MAX_CLIENTS, user_agent};
use keyfold_domain::time::Timestamp;
use keyfold_domain::usage::hour_of;
use keyfold_domain::verdict::Code;

use crate::mac::MacBytes;

/// The verdicts that can be given on a known key, besides `valid`.
const DENIALS: [Code; 9] = [
    Code::Deactivated,
    Code::OwnerDisabled,
    Code::Expired,
    Code::Dormant,
    Code::IpDenied,
    Code::MissingScope,
    Code::WrongResource,
    Code::RateLimited,
    Code::QuotaExceeded,
];

/// Who presents a secret: the end client as far as it is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Client<'a> {
    /// The address.
    pub ip: Option<IpAddr>,
    /// How the program calls itself.
    pub user_agent: Option<&'a str>,
}

/// A client seen with an older secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) ip: Option<IpAddr>,
    pub(crate) user_agent: Option<String>,
    pub(crate) last_seen_at: Timestamp,
    pub(crate) calls: u64,
}

/// What was counted, on its way to the database or to a screen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Uses by hour.
    pub(crate) calls: Vec<(i64, u64)>,
    /// When the last use was that this process saw.
    pub(crate) last_used_at: Option<Timestamp>,
    /// Denials by hour.
    pub(crate) denials: Vec<(i64, Code, u64)>,
    /// Scopes asked for with success, and when last.
    pub(crate) scopes: Vec<(ScopeName, u64, Timestamp)>,
    /// Who used it after it was replaced.
    pub(crate) clients: Vec<Seen>,
}

impl Counts {
    /// Uses in all.
    pub(crate) fn total(&self) -> u64 {
        self.calls.iter().map(|(_, calls)| calls).sum()
    }

    fn is_empty(&self) -> bool {
        self.calls.is_empty() && self.denials.is_empty() && self.scopes.is_empty() && self.clients.is_empty()
    }
}

/// Counters of one secret. They outlive changes of its key's record.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    pending: [AtomicU64; 2],
    /// Milliseconds of the last use that this process saw; 0 for none.
    last_used: AtomicI64,
    /// Waits in the queue of the next flush.
    queued: AtomicBool,
    scopes: OnceLock<Box<ScopeTally>>,
    rare: OnceLock<Box<Rare>>,
}

/// How often a scope was asked for: a link of a chain that only grows, by a link for each scope ever asked for with success.
#[derive(Debug)]
struct ScopeTally {
    scope: ScopeName,
    pending: AtomicU64,
    last_asked: AtomicI64,
    /// Which request of a management key was counted last.
    request: AtomicU64,
    next: OnceLock<Box<ScopeTally>>,
}

/// What most keys never need.
#[derive(Debug, Default)]
struct Rare {
    denials: [[AtomicU64; DENIALS.len()]; 2],
    last_denied: AtomicI64,
    clients: Mutex<Vec<Seen>>,
    /// Is to be stored under another keyed hash.
    moving: AtomicBool,
    /// The keyed hash that it is stored under since.
    moved: OnceLock<MacBytes>,
}

/// The counter of an hour.
fn slot(hour: i64) -> usize {
    usize::from(hour.rem_euclid(2) == 1)
}

/// The hours that the two counters are of, going by the last event.
fn hours(last: i64) -> [(usize, i64); 2] {
    let hour = hour_of(Timestamp::from_millis(last));
    [(slot(hour - 1), hour - 1), (slot(hour), hour)]
}

fn raise(moment: &AtomicI64, now: Timestamp) {
    // Under load most events are of a millisecond that is there already.
    if moment.load(Ordering::Relaxed) < now.as_millis() {
        moment.fetch_max(now.as_millis(), Ordering::SeqCst);
    }
}

impl Usage {
    /// The keyed hash that the secret was moved to, if it was.
    pub(crate) fn moved_to(&self) -> Option<&MacBytes> {
        self.rare.get()?.moved.get()
    }

    /// Must it be noted to be stored under another keyed hash? Says yes to one caller.
    pub(crate) fn wants_move(&self) -> bool {
        !self.rare.get_or_init(Box::default).moving.swap(true, Ordering::Relaxed)
    }

    /// It is stored under another keyed hash now. That happens once: a third pepper takes a restart.
    pub(crate) fn move_to(&self, mac: MacBytes) {
        self.rare.get_or_init(Box::default).moved.get_or_init(|| mac);
    }

    /// The secret was used at that moment, which is counted elsewhere.
    pub(crate) fn saw(&self, at: Timestamp) {
        raise(&self.last_used, at);
    }

    /// When the secret was last used, as far as this process saw.
    pub(crate) fn last_used_at(&self) -> Option<Timestamp> {
        Some(self.last_used.load(Ordering::Relaxed)).filter(|at| *at > 0).map(Timestamp::from_millis)
    }

    /// Uses that are not written yet.
    pub(crate) fn pending(&self) -> u64 {
        self.pending.iter().map(|counter| counter.load(Ordering::Relaxed)).sum()
    }

    /// Counts a use.
    pub(crate) fn call(&self, now: Timestamp) {
        // The moment first: whoever finds the count finds its hour.
        raise(&self.last_used, now);
        if let Some(counter) = self.pending.get(slot(hour_of(now))) {
            counter.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Counts that a scope was asked for with success.
    pub(crate) fn ask(&self, scope: &str, now: Timestamp) {
        if let Some(tally) = self.scope(scope) {
            raise(&tally.last_asked, now);
            tally.pending.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// The same for an act of a management key, of which one request may be asked about several times.
    pub(crate) fn ask_once(&self, scope: &str, request: u64, now: Timestamp) {
        if let Some(tally) = self.scope(scope)
            && tally.request.swap(request, Ordering::Relaxed) != request
        {
            raise(&tally.last_asked, now);
            tally.pending.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Counts a denial.
    pub(crate) fn deny(&self, code: Code, now: Timestamp) {
        let Some(kind) = DENIALS.iter().position(|denial| *denial == code) else { return };
        let rare = self.rare.get_or_init(Box::default);
        raise(&rare.last_denied, now);
        if let Some(counter) = rare.denials.get(slot(hour_of(now))).and_then(|counters| counters.get(kind)) {
            counter.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Remembers who used the secret. Where somebody else is at it at this very moment, this one is left out. How many uses
    /// are not told of any more?
    pub(crate) fn see(&self, client: &Client<'_>, now: Timestamp) -> u64 {
        let rare = self.rare.get_or_init(Box::default);
        let Ok(mut clients) = rare.clients.try_lock() else { return 1 };
        let agent = client.user_agent.and_then(user_agent);
        let ip = client.ip.map(|ip| ip.to_canonical());
        if let Some(known) = clients.iter_mut().find(|seen| seen.ip == ip && seen.user_agent == agent) {
            known.calls += 1;
            known.last_seen_at = known.last_seen_at.max(now);
            return 0;
        }
        let mut lost = 0;
        if clients.len() >= MAX_CLIENTS
            && let Some(oldest) = clients.iter().enumerate().min_by_key(|(_, seen)| seen.last_seen_at).map(|(at, _)| at)
        {
            lost = clients.swap_remove(oldest).calls;
        }
        clients.push(Seen { ip, user_agent: agent, last_seen_at: now, calls: 1 });
        lost
    }

    fn scope(&self, scope: &str) -> Option<&ScopeTally> {
        let mut link = &self.scopes;
        loop {
            let tally = if let Some(tally) = link.get() {
                tally
            } else {
                let fresh = ScopeTally::of(scope.parse().ok()?);
                // Another thread may be first; then its link is looked at like any other.
                link.get_or_init(|| Box::new(fresh))
            };
            if tally.scope.as_str() == scope {
                return Some(tally);
            }
            link = &tally.next;
        }
    }

    /// Must it be put into the queue of the next flush? Says yes to one caller until it is taken out.
    pub(crate) fn wants_flush(&self) -> bool {
        !self.queued.load(Ordering::SeqCst) && !self.queued.swap(true, Ordering::SeqCst)
    }

    /// Takes out what was counted; `None` if that is nothing.
    pub(crate) fn take(&self) -> Option<Counts> {
        // What is counted from here on queues the secret again, and goes with this flush or the next.
        self.queued.store(false, Ordering::SeqCst);
        let mut counts = self.read(|counter| counter.swap(0, Ordering::SeqCst));
        if let Some(rare) = self.rare.get() {
            counts.clients = std::mem::take(&mut *rare.clients.lock().unwrap_or_else(PoisonError::into_inner));
        }
        (!counts.is_empty()).then_some(counts)
    }

    /// What was counted and is not written yet.
    pub(crate) fn waiting(&self) -> Counts {
        let mut counts = self.read(|counter| counter.load(Ordering::SeqCst));
        if let Some(rare) = self.rare.get() {
            counts.clients.clone_from(&rare.clients.lock().unwrap_or_else(PoisonError::into_inner));
        }
        counts
    }

    fn read(&self, counted: impl Fn(&AtomicU64) -> u64) -> Counts {
        let mut counts = Counts::default();
        let calls = self.pending.each_ref().map(&counted);
        counts.last_used_at = self.last_used_at();
        let of_hours = hours(self.last_used.load(Ordering::SeqCst)).map(|(slot, hour)| (hour, calls.get(slot).copied().unwrap_or(0)));
        counts.calls = of_hours.into_iter().filter(|(_, calls)| *calls > 0).collect();
        if let Some(rare) = self.rare.get() {
            let denied = rare.denials.each_ref().map(|counters| counters.each_ref().map(&counted));
            for (slot, hour) in hours(rare.last_denied.load(Ordering::SeqCst)) {
                let of_hour = denied.get(slot).into_iter().flatten().zip(DENIALS);
                counts.denials.extend(of_hour.filter(|(count, _)| **count > 0).map(|(count, code)| (hour, code, *count)));
            }
        }
        let mut link = &self.scopes;
        while let Some(tally) = link.get() {
            let count = counted(&tally.pending);
            if count > 0 {
                let last = Timestamp::from_millis(tally.last_asked.load(Ordering::SeqCst));
                counts.scopes.push((tally.scope.clone(), count, last));
            }
            link = &tally.next;
        }
        counts
    }

    /// Puts back what could not be written. How many sightings of clients found no place any more?
    pub(crate) fn give_back(&self, counts: Counts) -> u64 {
        let mut lost = 0;
        for (hour, calls) in counts.calls {
            if let Some(counter) = self.pending.get(slot(hour)) {
                counter.fetch_add(calls, Ordering::SeqCst);
            }
        }
        if !counts.denials.is_empty() || !counts.clients.is_empty() {
            let rare = self.rare.get_or_init(Box::default);
            for (hour, code, count) in counts.denials {
                let kind = DENIALS.iter().position(|denial| *denial == code);
                if let Some(counter) = kind.and_then(|kind| rare.denials.get(slot(hour))?.get(kind)) {
                    counter.fetch_add(count, Ordering::SeqCst);
                }
            }
            lost = rare.take_back(counts.clients);
        }
        for (scope, count, _) in counts.scopes {
            if let Some(tally) = self.scope(scope.as_str()) {
                tally.pending.fetch_add(count, Ordering::SeqCst);
            }
        }
        lost
    }
}

impl ScopeTally {
    fn of(scope: ScopeName) -> Self {
        Self { scope, pending: AtomicU64::new(0), last_asked: AtomicI64::new(0), request: AtomicU64::new(0), next: OnceLock::new() }
    }
}

impl Rare {
    fn take_back(&self, clients: Vec<Seen>) -> u64 {
        let mut lost = 0;
        let mut there = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        for seen in clients {
            if let Some(known) = there.iter_mut().find(|known| known.ip == seen.ip && known.user_agent == seen.user_agent) {
                known.calls += seen.calls;
            } else if there.len() < MAX_CLIENTS {
                there.push(seen);
            } else {
                // Newer ones have its place.
                lost += seen.calls;
            }
        }
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyfold_domain::usage::HOUR_MS;

    /// The beginning of an hour.
    const START: Timestamp = Timestamp::from_millis(500_000 * HOUR_MS);

    #[test]
    fn counts_belong_to_the_hour_they_were_made_in() {
        let usage = Usage::default();
        usage.call(START.plus_ms(-1));
        usage.call(START);
        usage.call(START.plus_ms(1));
        usage.deny(Code::Expired, START.plus_ms(-1));
        let counts = usage.take().unwrap();
        assert_eq!(counts.calls, [(499_999, 1), (500_000, 2)]);
        assert_eq!(counts.denials, [(499_999, Code::Expired, 1)]);
        assert_eq!(counts.last_used_at, Some(START.plus_ms(1)));
        assert_eq!(usage.take(), None);
        usage.call(START.plus_ms(HOUR_MS * 7));
        assert_eq!(usage.take().unwrap().calls, [(500_007, 1)], "an old moment does not matter");
    }

    #[test]
    fn what_is_given_back_is_there_again_in_its_hour() {
        let usage = Usage::default();
        usage.call(START.plus_ms(-1));
        usage.call(START);
        usage.ask("chat", START);
        usage.deny(Code::MissingScope, START);
        usage.see(&Client { ip: "192.0.2.1".parse().ok(), user_agent: Some("curl") }, START);
        let counts = usage.take().unwrap();
        assert_eq!(usage.give_back(counts.clone()), 0);
        assert_eq!(usage.waiting(), counts);
        assert_eq!(usage.take().unwrap(), counts);
    }

    #[test]
    fn scopes_are_told_apart_and_one_request_counts_once() {
        let usage = Usage::default();
        for scope in ["chat", "project", "chat"] {
            usage.ask(scope, START);
        }
        usage.ask("No Scope", START);
        for request in [7, 7, 8] {
            usage.ask_once("keys:read", request, START);
        }
        let counts: Vec<_> = usage.take().unwrap().scopes.into_iter().map(|(scope, count, _)| (scope.to_string(), count)).collect();
        assert_eq!(counts, [("chat".to_owned(), 2), ("project".to_owned(), 1), ("keys:read".to_owned(), 2)]);
    }

    #[test]
    fn of_many_clients_the_latest_are_kept() {
        let usage = Usage::default();
        for at in 0..50i64 {
            let agent = format!("agent {at}");
            let lost = usage.see(&Client { ip: None, user_agent: Some(&agent) }, START.plus_ms(at));
            assert_eq!(lost, u64::from(at >= 20), "what is not kept is told");
        }
        usage.see(&Client { ip: None, user_agent: Some("agent 49\n") }, START.plus_ms(99));
        let mut clients = usage.take().unwrap().clients;
        clients.sort_by_key(|seen| seen.last_seen_at);
        assert_eq!(clients.len(), MAX_CLIENTS);
        assert_eq!(clients[0].user_agent.as_deref(), Some("agent 30"));
        assert_eq!((clients[19].calls, clients[19].last_seen_at), (2, START.plus_ms(99)));
    }

    #[test]
    fn every_denial_of_a_known_key_has_a_counter() {
        let beside = [Code::Malformed, Code::NotFound, Code::Deleted, Code::Valid];
        assert!(Code::ALL.into_iter().all(|code| DENIALS.contains(&code) != beside.contains(&code)));
    }
}
