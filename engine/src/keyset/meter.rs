//! What was spent of limits, in memory. A lock is held for the arithmetic of one call, by nobody who waits for anything.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keyfold_domain::limits::{Book, Cost, Limit, Limits, Part, Unwritten, Weighed, weigh};
use keyfold_domain::time::Timestamp;

/// What one key, or one member, has spent.
#[derive(Debug)]
pub(crate) struct Meter {
    subject: Box<str>,
    book: Mutex<Book>,
    /// Waits in the queue of the next flush.
    queued: AtomicBool,
}

impl Meter {
    pub(super) fn new(subject: &str, book: Book) -> Arc<Self> {
        Arc::new(Self { subject: subject.into(), book: Mutex::new(book), queued: AtomicBool::new(false) })
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whose it is, as the store calls them.
    pub(crate) fn subject(&self) -> &str {
        &self.subject
    }

    /// Forgets what was spent of other limits than these.
    pub(super) fn keep_only(&self, limits: &[Limit]) {
        self.book().keep_only(limits);
    }

    /// Must it be put into the queue of the next flush? Says yes to one caller until it is taken out.
    pub(super) fn wants_flush(&self) -> bool {
        !self.queued.swap(true, Ordering::SeqCst)
    }

    /// Takes out what was spent of quotas.
    pub(super) fn take(&self) -> Vec<Unwritten> {
        // What is spent from here on queues the meter again, and goes with this flush or the next.
        self.queued.store(false, Ordering::SeqCst);
        self.book().take_unwritten()
    }

    /// Puts back what could not be written.
    pub(super) fn give_back(&self, unwritten: Vec<Unwritten>) {
        self.book().give_back(unwritten);
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
    pub(super) fn weigh(&self, limits: &Limits, cost: Cost, dry: bool, now: Timestamp) -> Weighed {
        let (mut none, mut neither) = (Book::default(), Book::default());
        let mut own = self.own.as_ref().map(|meter| meter.book());
        let mut owners = self.owners.as_ref().map(|meter| meter.book());
        let mut parts: [Part<'_>; 2] =
            [(limits.own(), own.as_deref_mut().unwrap_or(&mut none)), (limits.owners(), owners.as_deref_mut().unwrap_or(&mut neither))];
        weigh(&mut parts, cost, dry, now)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Meter>> {
        self.own.iter().chain(&self.owners)
    }
}
