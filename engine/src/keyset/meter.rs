//! What was spent of limits, in memory. A lock is held for the arithmetic of one call, by nobody who waits for anything.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keyfold_domain::limits::{Among, Ask, Book, Cost, Limit, LimitName, Limits, Part, Unwritten, Weighed, weigh};
use keyfold_domain::time::Timestamp;

/// What one key, or one member, has spent.
#[derive(Debug)]
pub(crate) struct Meter {
    subject: Box<str>,
    book: Mutex<Book>,
    /// Waits in the queue of the next flush.
    queued: AtomicBool,
    /// Needs a lease, as the last call saw it.
    hungry: AtomicBool,
    /// Waits for a lease.
    asking: AtomicBool,
}

impl Meter {
    pub(super) fn new(subject: &str, book: Book) -> Arc<Self> {
        Arc::new(Self {
            subject: subject.into(),
            book: Mutex::new(book),
            queued: AtomicBool::new(false),
            hungry: AtomicBool::new(false),
            asking: AtomicBool::new(false),
        })
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whose it is, as the store calls them.
    pub(crate) fn subject(&self) -> &str {
        &self.subject
    }

    /// These are the limits now: forgets what was spent of others.
    pub(super) fn keep_only(&self, limits: &[Limit]) {
        let mut book = self.book();
        book.keep_only(limits);
        // Without a look at the clock: whether it is time to ask is seen when it is asked.
        self.hungry.store(book.is_shared(), Ordering::Relaxed);
    }

    /// Must it be put into the queue of the next flush? Says yes to one caller until it is taken out.
    pub(super) fn wants_flush(&self) -> bool {
        !self.queued.swap(true, Ordering::SeqCst)
    }

    /// Takes out what was spent of quotas, and tells what is held beyond that where several servers spend of them.
    pub(super) fn take(&self) -> (Vec<Unwritten>, Vec<(LimitName, u64)>) {
        // What is spent from here on queues the meter again, and goes with this flush or the next.
        self.queued.store(false, Ordering::SeqCst);
        let mut book = self.book();
        (book.take_unwritten(), book.holdings())
    }

    /// Puts back what could not be written.
    pub(super) fn give_back(&self, unwritten: Vec<Unwritten>) {
        self.book().give_back(unwritten);
    }
}

/// Where several servers spend of the same quotas.
impl Meter {
    /// Only leases may be spent from now on: at first a part of what is left.
    pub(crate) fn share(&self, servers: u32, now: Timestamp) {
        self.book().share(servers, now);
    }

    /// Only leases may be spent from now on, and there is none.
    pub(crate) fn lose(&self) {
        self.book().lose();
    }

    /// Everything that is left may be spent from now on. The rows are what all servers have spent.
    pub(crate) fn regain(&self, rows: impl IntoIterator<Item = (LimitName, Timestamp, u64)>) {
        self.book().regain(rows);
    }

    pub(crate) fn has_quotas(&self) -> bool {
        self.book().has_quotas()
    }

    pub(crate) fn holdings(&self) -> Vec<(LimitName, u64)> {
        self.book().holdings()
    }

    pub(crate) fn wants(&self, now: Timestamp) -> bool {
        self.book().wants(now)
    }

    pub(crate) fn asks(&self, now: Timestamp) -> Vec<Ask> {
        self.book().asks(now)
    }

    pub(crate) fn granted(&self, name: &LimitName, units: u64, elsewhere: u64, now: Timestamp) {
        self.book().granted(name, units, elsewhere, now);
    }

    pub(crate) fn told(&self, name: &LimitName, elsewhere: u64) {
        self.book().told(name, elsewhere);
    }

    pub(crate) fn let_go(&self, name: &LimitName) {
        self.book().let_go(name);
    }

    /// Did a call find too little, and is nothing asked for yet?
    pub(super) fn is_hungry(&self) -> bool {
        self.hungry.load(Ordering::Relaxed)
    }

    /// Must it be put into the queue of those who ask? Says yes to one caller until it has asked.
    pub(super) fn begins_to_ask(&self) -> bool {
        !self.asking.swap(true, Ordering::SeqCst)
    }

    pub(super) fn has_asked(&self) {
        self.hungry.store(false, Ordering::SeqCst);
        self.asking.store(false, Ordering::SeqCst);
    }
}

/// The meters that a key's calls run through.
#[derive(Debug, Default, Clone)]
pub(super) struct Meters {
    /// Of its own limits, if it has any.
    pub(super) own: Option<Arc<Meter>>,
    /// Of its owner's limits, if there are any: shared by all of their keys in the workspace.
    pub(super) owners: Option<Arc<Meter>>,
}

impl Meters {
    /// Spends a call's cost from all limits or from none. Keys come before members, so that no two calls wait for each other.
    pub(super) fn weigh(&self, limits: &Limits, cost: Cost, dry: bool, among: Among, now: Timestamp) -> Weighed {
        let (mut none, mut neither) = (Book::default(), Book::default());
        let mut own = self.own.as_ref().map(|meter| meter.book());
        let mut owners = self.owners.as_ref().map(|meter| meter.book());
        let mut parts: [Part<'_>; 2] =
            [(limits.own(), own.as_deref_mut().unwrap_or(&mut none)), (limits.owners(), owners.as_deref_mut().unwrap_or(&mut neither))];
        let weighed = weigh(&mut parts, cost, dry, among, now);
        for (meter, book) in [(&self.own, &own), (&self.owners, &owners)] {
            if let (Some(meter), Some(book)) = (meter, book)
                && book.is_shared()
            {
                meter.hungry.store(book.wants(now), Ordering::Relaxed);
            }
        }
        weighed
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Meter>> {
        self.own.iter().chain(&self.owners)
    }
}
