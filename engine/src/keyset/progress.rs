//! How far the database is behind the memory. For whoever watches; decides nothing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Moments and counts of the way from memory to database.
#[derive(Debug)]
pub(crate) struct Progress {
    /// What the moments are counted from.
    begun: Instant,
    /// Milliseconds from there to the last flush that left nothing behind.
    flushed: AtomicU64,
    waiting: AtomicU64,
    flush_failures: AtomicU64,
    dropped: AtomicU64,
}

impl Progress {
    pub(super) fn new() -> Self {
        let zero = || AtomicU64::new(0);
        Self { begun: Instant::now(), flushed: zero(), waiting: zero(), flush_failures: zero(), dropped: zero() }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Everything that was counted is written.
    pub(crate) fn flushed(&self) {
        self.flushed.store(self.now(), Ordering::Relaxed);
    }

    /// Counts could not be written.
    pub(crate) fn flush_failed(&self) {
        self.flush_failures.fetch_add(1, Ordering::Relaxed);
    }

    /// So many secrets more have counts that wait.
    pub(super) fn wait_more(&self, secrets: u64) {
        self.waiting.fetch_add(secrets, Ordering::Relaxed);
    }

    /// So many fewer.
    pub(super) fn wait_less(&self, secrets: u64) {
        self.waiting.fetch_sub(secrets, Ordering::Relaxed);
    }

    /// So many sightings were not kept.
    pub(super) fn drop_sightings(&self, sightings: u64) {
        if sightings > 0 {
            self.dropped.fetch_add(sightings, Ordering::Relaxed);
        }
    }

    pub(crate) fn since_flush(&self) -> Duration {
        Duration::from_millis(self.now().saturating_sub(self.flushed.load(Ordering::Relaxed)))
    }

    pub(crate) fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    pub(crate) fn flush_failures(&self) -> u64 {
        self.flush_failures.load(Ordering::Relaxed)
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}
