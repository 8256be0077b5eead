//! A clock that is set by hand, to do today what shall have been done weeks ago.

use std::sync::atomic::{AtomicI64, Ordering};

use keyfold_domain::time::Timestamp;
use keyfold_engine::Clock;

/// Shows what it was set to.
pub(super) struct TravelClock(AtomicI64);

impl TravelClock {
    pub(super) fn new(start: Timestamp) -> Self {
        Self(AtomicI64::new(start.as_millis()))
    }

    /// Sets it to a moment that is not before the present one.
    pub(super) fn go_to(&self, at: Timestamp) {
        self.0.fetch_max(at.as_millis(), Ordering::SeqCst);
    }
}

impl Clock for TravelClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }

    /// Nothing waits by this clock.
    fn uptime_ms(&self) -> u64 {
        0
    }
}
