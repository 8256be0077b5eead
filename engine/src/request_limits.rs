//! How many requests one actor may make of the management API in a minute.
//!
//! A bucket for each key, each person and each network of strangers, in the memory of this process: it keeps one script in
//! a loop from taking the database for itself. What a *verified* key may do is judged elsewhere.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use governor::clock::Clock as _;
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use keyfold_domain::ids::{KeyId, UserId};
use keyfold_domain::policy::{Actor, Principal};

use crate::clock::Clock;
use crate::limits::{Network, Ticks};

/// After so many requests, buckets that are full again are forgotten.
const TIDY_EVERY: u32 = 4096;

/// Whose requests are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Counted {
    Key(KeyId),
    User(UserId),
    Strangers(Network),
}

impl Counted {
    /// The operator acts on the machine itself and is not counted.
    fn of(actor: &Actor) -> Option<Self> {
        match &actor.principal {
            Principal::Operator => None,
            Principal::Anonymous => Some(Self::Strangers(Network::of(actor.request.ip))),
            Principal::User(person) => Some(Self::User(person.user.id.clone())),
            Principal::Key(key) => Some(Self::Key(key.id.clone())),
        }
    }
}

/// What is left of an actor's requests after one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// The requests in a row, and in a minute.
    pub limit: u32,
    /// How many more may follow at once.
    pub remaining: u32,
    /// Seconds until all of them are there again, if none follows.
    pub whole_in: u32,
    /// Seconds to wait, of a request that is refused; `None` of one that may go on.
    pub retry_after: Option<u32>,
}

type Limiter = RateLimiter<Counted, DashMapStateStore<Counted>, Ticks, StateInformationMiddleware>;

/// The limit on requests of the management API.
pub struct RequestLimits {
    clock: Ticks,
    per_minute: NonZeroU32,
    buckets: Limiter,
    until_tidy: AtomicU32,
}

impl RequestLimits {
    pub(crate) fn new(clock: &Arc<dyn Clock>, per_minute: NonZeroU32) -> Self {
        let quota = Quota::per_minute(per_minute).allow_burst(per_minute);
        let clock = Ticks(Arc::clone(clock));
        let buckets = Limiter::new(quota, DashMapStateStore::default(), clock.clone());
        Self { clock, per_minute, buckets, until_tidy: AtomicU32::new(TIDY_EVERY) }
    }

    /// Counts a request of the actor's; `None` if theirs are not counted. A refused one costs nothing.
    pub fn count(&self, actor: &Actor) -> Option<Allowance> {
        let counted = Counted::of(actor)?;
        self.tidy();
        let limit = self.per_minute.get();
        Some(match self.buckets.check_key(&counted) {
            Ok(state) => {
                let remaining = state.remaining_burst_capacity();
                Allowance { limit, remaining, whole_in: self.refill(limit.saturating_sub(remaining)), retry_after: None }
            }
            Err(until) => {
                let wait = seconds(until.wait_time_from(self.clock.now())).max(1);
                Allowance { limit, remaining: 0, whole_in: self.refill(limit), retry_after: Some(wait) }
            }
        })
    }

    /// Seconds until so many requests are there again, rounded up.
    fn refill(&self, requests: u32) -> u32 {
        let seconds = (u64::from(requests) * 60).div_ceil(u64::from(self.per_minute.get()));
        u32::try_from(seconds).unwrap_or(u32::MAX)
    }

    /// Now and then, forgets whose bucket is full again.
    fn tidy(&self) {
        let before = self.until_tidy.fetch_sub(1, Ordering::Relaxed);
        if before == 1 {
            self.until_tidy.store(TIDY_EVERY, Ordering::Relaxed);
            self.buckets.retain_recent();
            self.buckets.shrink_to_fit();
        }
    }
}

fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs() + u64::from(time.subsec_nanos() > 0)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::MockClock;
    use keyfold_domain::policy::RequestInfo;
    use keyfold_domain::time::Timestamp;

    fn stranger(ip: &str) -> Actor {
        Actor::anonymous(RequestInfo { ip: ip.parse().ok(), id: "req_test".to_owned(), client: None })
    }

    fn limits(per_minute: u32) -> (Arc<MockClock>, RequestLimits) {
        let clock = Arc::new(MockClock::new(Timestamp::from_millis(1_800_000_000_000)));
        let shared: Arc<dyn Clock> = clock.clone();
        (clock, RequestLimits::new(&shared, NonZeroU32::new(per_minute).unwrap()))
    }

    #[test]
    fn a_minute_holds_so_many_requests_and_they_come_back_evenly() {
        let (clock, limits) = limits(60);
        let (one, other) = (stranger("192.0.2.1"), stranger("192.0.2.2"));
        for used in 1..=60 {
            let allowance = limits.count(&one).unwrap();
            assert_eq!(allowance, Allowance { limit: 60, remaining: 60 - used, whole_in: used, retry_after: None });
        }
        let refused = Allowance { limit: 60, remaining: 0, whole_in: 60, retry_after: Some(1) };
        assert_eq!(limits.count(&one), Some(refused));
        assert_eq!(limits.count(&one), Some(refused), "being refused costs nothing");
        assert_eq!(limits.count(&other).unwrap().remaining, 59);
        clock.advance_ms(2000);
        assert_eq!(limits.count(&one).unwrap().remaining, 1);
        clock.advance_ms(60_000);
        assert_eq!(limits.count(&one).unwrap().remaining, 59);
    }

    #[test]
    fn the_operator_is_not_counted() {
        let (_, limits) = limits(1);
        let operator = Actor { principal: Principal::Operator, request: RequestInfo::default() };
        for _ in 0..3 {
            assert_eq!(limits.count(&operator), None);
        }
    }

    #[test]
    fn whoever_was_quiet_is_forgotten() {
        let (clock, limits) = limits(60);
        for last in 0..=255 {
            limits.count(&stranger(&format!("192.0.2.{last}")));
        }
        assert_eq!(limits.buckets.len(), 256);
        clock.advance_ms(120_000);
        for _ in 0..TIDY_EVERY {
            limits.count(&stranger("198.51.100.1"));
        }
        assert_eq!(limits.buckets.len(), 1);
    }
}
