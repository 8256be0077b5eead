//! How often somebody may try to sign in: per network, and per account and network with a growing pause.
//!
//! A stranger's failures never keep the account's owner out: the pause belongs to the account *and* the network the
//! failures came from.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::Clock as GovernorClock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use keyfold_domain::problem::{Problem, ProblemCode};
use keyfold_domain::time::Timestamp;

use crate::clock::Clock;
use crate::error::Error;

/// Tries of one network in a row, and a minute after that.
const PER_NETWORK: NonZeroU32 = NonZeroU32::MIN.saturating_add(9);
/// Failures before the pause begins.
const FREE_FAILURES: u32 = 5;
/// The longest pause, in seconds.
const LONGEST_PAUSE: u32 = 300;
/// Failures are forgotten after this time without another, in milliseconds.
const FORGET_MS: i64 = 3_600_000;
/// Accounts and networks remembered at most; beyond it the oldest failures are dropped first.
const REMEMBERED: usize = 20_000;

/// An address as far as one customer of a provider holds it: an IPv4 address, or the /64 of an IPv6 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Network([u8; 8], bool);

impl Network {
    pub(crate) fn of(ip: Option<IpAddr>) -> Self {
        let mut bytes = [0; 8];
        match ip.map(|ip| ip.to_canonical()) {
            Some(IpAddr::V4(v4)) => bytes[..4].copy_from_slice(&v4.octets()),
            Some(IpAddr::V6(v6)) => {
                bytes.copy_from_slice(&v6.octets()[..8]);
                return Self(bytes, true);
            }
            None => {}
        }
        Self(bytes, false)
    }
}

/// Our clock in the shape that `governor` asks for.
#[derive(Clone)]
pub(crate) struct Ticks(pub(crate) Arc<dyn Clock>);

impl GovernorClock for Ticks {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::from(Duration::from_millis(u64::try_from(self.0.now().as_millis()).unwrap_or_default()))
    }
}

struct Failures {
    count: u32,
    last: Timestamp,
}

type Limiter = RateLimiter<Network, DashMapStateStore<Network>, Ticks, NoOpMiddleware<Nanos>>;

/// The limits on signing in, in memory.
pub(crate) struct SignInLimits {
    clock: Arc<dyn Clock>,
    networks: Limiter,
    accounts: Mutex<HashMap<(String, Network), Failures>>,
}

impl SignInLimits {
    pub(crate) fn new(clock: &Arc<dyn Clock>) -> Self {
        let quota = Quota::per_minute(PER_NETWORK).allow_burst(PER_NETWORK);
        Self {
            clock: Arc::clone(clock),
            networks: RateLimiter::new(quota, DashMapStateStore::default(), Ticks(Arc::clone(clock))),
            accounts: Mutex::new(HashMap::new()),
        }
    }

    /// Counts a try from a network, or says how long to wait.
    pub(crate) fn try_network(&self, network: Network) -> Result<(), Error> {
        match self.networks.check_key(&network) {
            Ok(()) => Ok(()),
            Err(until) => {
                let now = Ticks(Arc::clone(&self.clock)).now();
                let wait = until.wait_time_from(now).max(Duration::from_secs(1));
                let whole = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                Err(too_many(u32::try_from(whole).unwrap_or(u32::MAX)))
            }
        }
    }

    /// May that network try that account now?
    pub(crate) fn try_account(&self, account: &str, network: Network) -> Result<(), Error> {
        let accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(failures) = accounts.get(&(account.to_owned(), network)) else { return Ok(()) };
        let until = failures.last.plus_ms(i64::from(pause(failures.count)) * 1000);
        let left = until.millis_since(self.clock.now());
        if left > 0 { Err(too_many(u32::try_from((left + 999) / 1000).unwrap_or(LONGEST_PAUSE))) } else { Ok(()) }
    }

    pub(crate) fn failed(&self, account: &str, network: Network) {
        let now = self.clock.now();
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if accounts.len() >= REMEMBERED {
            accounts.retain(|_, failures| now.millis_since(failures.last) < FORGET_MS);
        }
        if accounts.len() >= REMEMBERED
            && let Some(oldest) = accounts.iter().min_by_key(|(_, failures)| failures.last).map(|(key, _)| key.clone())
        {
            accounts.remove(&oldest);
        }
        let failures = accounts.entry((account.to_owned(), network)).or_insert(Failures { count: 0, last: now });
        let forgotten = now.millis_since(failures.last) >= FORGET_MS;
        failures.count = if forgotten { 1 } else { failures.count.saturating_add(1) };
        failures.last = now;
    }

    pub(crate) fn succeeded(&self, account: &str, network: Network) {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner).remove(&(account.to_owned(), network));
    }

    /// Forgets networks that are within their limit again.
    pub(crate) fn tidy(&self) {
        self.networks.retain_recent();
    }
}

/// Seconds to wait after so many failures: none, then 1, 2, 4… up to five minutes.
fn pause(failures: u32) -> u32 {
    match failures.checked_sub(FREE_FAILURES) {
        None => 0,
        Some(beyond) => 1u32.checked_shl(beyond).map_or(LONGEST_PAUSE, |seconds| seconds.min(LONGEST_PAUSE)),
    }
}

fn too_many(seconds: u32) -> Error {
    let wait = if seconds == 1 { "1 second".to_owned() } else { format!("{seconds} seconds") };
    let problem = Problem::new(ProblemCode::RateLimited, format!("Too many tries. Wait {wait} and try again."));
    Error::Refused(Problem { retry_after: Some(seconds), ..problem })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::MockClock;

    fn limits() -> (Arc<MockClock>, SignInLimits) {
        let clock = Arc::new(MockClock::new(Timestamp::from_millis(1_800_000_000_000)));
        let shared: Arc<dyn Clock> = clock.clone();
        (clock, SignInLimits::new(&shared))
    }

    #[test]
    fn a_network_has_ten_tries_and_then_one_every_six_seconds() {
        let (clock, limits) = limits();
        let network = Network::of("2001:db8::1".parse().ok());
        let neighbour = Network::of("2001:db8::ffff".parse().ok());
        let other = Network::of("192.0.2.1".parse().ok());
        for _ in 0..10 {
            assert!(limits.try_network(network).is_ok());
        }
        assert_eq!(limits.try_network(neighbour).unwrap_err().problem().retry_after, Some(6));
        assert!(limits.try_network(other).is_ok());
        clock.advance_ms(6000);
        assert!(limits.try_network(network).is_ok());
        assert!(limits.try_network(network).is_err());
    }

    #[test]
    fn the_pause_grows_from_the_fifth_failure_and_ends_at_five_minutes() {
        assert_eq!([4, 5, 6, 7, 13, 14, 90].map(pause), [0, 1, 2, 4, 256, 300, 300]);
    }

    #[test]
    fn a_strangers_failures_do_not_keep_the_owner_out() {
        let (clock, limits) = limits();
        let (stranger, owner) = (Network::of("192.0.2.1".parse().ok()), Network::of("192.0.2.2".parse().ok()));
        for _ in 0..20 {
            limits.failed("ada", stranger);
        }
        assert_eq!(limits.try_account("ada", stranger).unwrap_err().problem().retry_after, Some(300));
        assert!(limits.try_account("ada", owner).is_ok());
        clock.advance_ms(300_000);
        assert!(limits.try_account("ada", stranger).is_ok());
        limits.succeeded("ada", stranger);
        limits.failed("ada", stranger);
        assert!(limits.try_account("ada", stranger).is_ok());
    }
}
