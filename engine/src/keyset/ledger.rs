//! Who else spends of the limits that are counted here. Where there are other servers, meters ask for leases through here, in
//! the background: no call waits for one.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak, mpsc};

use keyfold_domain::limits::Among;
use keyfold_domain::time::Timestamp;
use tokio::sync::Notify;

use super::meter::Meter;
use crate::clock::Clock;

/// All meters, and how they count.
pub(crate) struct Ledger {
    /// Tells for how long what is held may be spent. Of servers among others alone.
    clock: OnceLock<Arc<dyn Clock>>,
    servers: AtomicU32,
    /// Until when nobody else may count what is held here as spent.
    held_until: AtomicU64,
    enrolled: Mutex<Enrolled>,
    asks: mpsc::Sender<Arc<Meter>>,
    asked: Mutex<mpsc::Receiver<Arc<Meter>>>,
    /// Something was asked for.
    pub(crate) wake: Notify,
}

#[derive(Default)]
struct Enrolled {
    shared: bool,
    meters: Vec<Weak<Meter>>,
}

impl Ledger {
    pub(super) fn new() -> Self {
        let (asks, asked) = mpsc::channel();
        Self {
            clock: OnceLock::new(),
            servers: AtomicU32::new(1),
            held_until: AtomicU64::new(u64::MAX),
            enrolled: Mutex::default(),
            asks,
            asked: Mutex::new(asked),
            wake: Notify::new(),
        }
    }

    fn enrolled(&self) -> std::sync::MutexGuard<'_, Enrolled> {
        self.enrolled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// There may be others from now on: nothing of quotas may be spent until it is known who counts how.
    pub(crate) fn join(&self, clock: &Arc<dyn Clock>) {
        if self.clock.set(Arc::clone(clock)).is_ok() {
            self.held_until.store(0, Ordering::Release);
        }
    }

    /// What is held may be spent up to that moment of [`Clock::uptime_ms`].
    pub(crate) fn hold_until(&self, uptime_ms: u64) {
        self.held_until.store(uptime_ms, Ordering::Release);
    }

    /// There are so many servers.
    pub(crate) fn count_servers(&self, servers: usize) {
        self.servers.store(u32::try_from(servers).unwrap_or(u32::MAX).max(1), Ordering::Release);
    }

    /// How many servers there are.
    pub(crate) fn servers(&self) -> u32 {
        self.servers.load(Ordering::Acquire)
    }

    /// Among whom limits are divided at this moment.
    pub(super) fn among(&self) -> Among {
        let in_touch = self.clock.get().is_none_or(|clock| clock.uptime_ms() < self.held_until.load(Ordering::Acquire));
        Among { servers: self.servers(), in_touch }
    }

    /// The clock that tells for how long things hold, where there can be other servers.
    pub(super) fn uptime_ms(&self) -> Option<u64> {
        self.clock.get().map(|clock| clock.uptime_ms())
    }

    /// Takes a new meter in. It counts like the others.
    pub(super) fn enroll(&self, meter: Arc<Meter>) -> Arc<Meter> {
        let mut enrolled = self.enrolled();
        if enrolled.shared {
            meter.lose();
        }
        enrolled.meters.push(Arc::downgrade(&meter));
        meter
    }

    /// How every new meter counts from now on, and all that are there.
    pub(crate) fn turn(&self, shared: bool) -> Vec<Arc<Meter>> {
        let mut enrolled = self.enrolled();
        enrolled.shared = shared;
        enrolled.meters.retain(|meter| meter.strong_count() > 0);
        enrolled.meters.iter().filter_map(Weak::upgrade).collect()
    }

    /// Do its meters spend leases?
    pub(crate) fn is_shared(&self) -> bool {
        self.enrolled().shared
    }

    /// Forgets meters that are gone.
    pub(super) fn tidy(&self) {
        self.enrolled().meters.retain(|meter| meter.strong_count() > 0);
    }

    /// The meters of these subjects.
    pub(crate) fn find(&self, wanted: impl Fn(&str) -> bool) -> Vec<Arc<Meter>> {
        self.enrolled().meters.iter().filter_map(Weak::upgrade).filter(|meter| wanted(meter.subject())).collect()
    }

    /// Asks for leases for a meter. Never waits.
    pub(crate) fn ask(&self, meter: &Arc<Meter>) {
        if meter.begins_to_ask() {
            // The receiving end lives as long as this struct: sending cannot fail.
            drop(self.asks.send(Arc::clone(meter)));
            self.wake.notify_one();
        }
    }

    /// Takes out up to `most` meters that ask.
    pub(crate) fn take_asking(&self, most: usize) -> Vec<Arc<Meter>> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.try_iter().take(most).inspect(|meter| meter.has_asked()).collect()
    }

    /// Lets every meter ask that wants something.
    pub(crate) fn ask_for(&self, meters: &[Arc<Meter>], now: Timestamp) {
        for meter in meters.iter().filter(|meter| meter.wants(now)) {
            self.ask(meter);
        }
    }
}
