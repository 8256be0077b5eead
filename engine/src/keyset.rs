//! The verifier's memory: every key that is not deleted, by its secret's keyed hash, kept exact by the change log.
//!
//! A lookup that finds nothing is an answer ("no such key"), never a reason to ask the database. Readers take no lock that
//! a writer can hold. What is not here: deciding (the domain does) and reading the database (`changes` does).

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use keyfold_domain::ids::KeyId;
use keyfold_domain::time::Timestamp;
use keyfold_domain::verdict::Key;
use subtle::ConstantTimeEq;

use crate::mac::MacBytes;

/// Counters of one key. They outlive changes of its record.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    /// Uses not yet written to the database.
    pending: AtomicU64,
    /// Milliseconds of the last use; 0 for never.
    last_used: AtomicI64,
    /// Waits in the queue of the next flush.
    queued: AtomicBool,
}

impl Usage {
    pub(crate) fn last_used_at(&self) -> Option<Timestamp> {
        Some(self.last_used.load(Ordering::Relaxed)).filter(|at| *at > 0).map(Timestamp::from_millis)
    }

    pub(crate) fn pending(&self) -> u64 {
        self.pending.load(Ordering::Relaxed)
    }
}

/// A key as the verifier finds it.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) record: Arc<Key>,
    pub(crate) usage: Arc<Usage>,
    mac: MacBytes,
}

/// What one flush writes for one key.
pub(crate) struct Flushed {
    pub(crate) id: KeyId,
    pub(crate) calls: u64,
    pub(crate) last_used_at: Timestamp,
    usage: Arc<Usage>,
}

type Queued = (KeyId, Arc<Usage>);

/// Spreads keyed hashes over a table by their own first bytes: nobody can choose those, so hashing them again would only
/// cost time.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_le_bytes(*first);
        }
    }

    // The length of an array, which all of them share.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Every live key of the instance.
pub(crate) struct Keyset {
    by_mac: papaya::HashMap<MacBytes, Entry, BuildHasherDefault<Spread>>,
    by_id: papaya::HashMap<KeyId, (MacBytes, Arc<Usage>)>,
    queue: mpsc::Sender<Queued>,
    queued: Mutex<mpsc::Receiver<Queued>>,
    loaded: AtomicBool,
    stale: AtomicBool,
}

impl Keyset {
    pub(crate) fn new() -> Self {
        let (queue, queued) = mpsc::channel();
        Self {
            by_mac: papaya::HashMap::default(),
            by_id: papaya::HashMap::new(),
            queue,
            queued: Mutex::new(queued),
            loaded: AtomicBool::new(false),
            stale: AtomicBool::new(false),
        }
    }

    /// May it be asked? Not before it is loaded, nor while it may have missed a change.
    pub(crate) fn is_exact(&self) -> bool {
        self.loaded.load(Ordering::Acquire) && !self.stale.load(Ordering::Acquire)
    }

    pub(crate) fn set_loaded(&self) {
        self.loaded.store(true, Ordering::Release);
    }

    pub(crate) fn set_stale(&self, stale: bool) {
        self.stale.store(stale, Ordering::Release);
    }

    /// The key whose secret has that hash.
    pub(crate) fn find(&self, mac: &MacBytes) -> Option<Entry> {
        let entry = self.by_mac.pin().get(mac).cloned()?;
        bool::from(entry.mac.ct_eq(mac)).then_some(entry)
    }

    /// The counters of a key.
    pub(crate) fn usage(&self, id: &KeyId) -> Option<Arc<Usage>> {
        self.by_id.pin().get(id).map(|(_, usage)| Arc::clone(usage))
    }

    /// How many keys there are.
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Puts a key's present record in the place of the one before.
    pub(crate) fn put(&self, record: Key, mac: MacBytes, last_used_at: Option<Timestamp>) {
        let by_id = self.by_id.pin();
        let known = by_id.get(&record.id).cloned();
        let usage = known.as_ref().map(|(_, usage)| Arc::clone(usage)).unwrap_or_default();
        usage.last_used.fetch_max(last_used_at.map_or(0, Timestamp::as_millis), Ordering::Relaxed);
        let id = record.id.clone();
        self.by_mac.pin().insert(mac, Entry { record: Arc::new(record), usage: Arc::clone(&usage), mac });
        if let Some((old, _)) = known
            && old != mac
        {
            self.by_mac.pin().remove(&old);
        }
        by_id.insert(id, (mac, usage));
    }

    /// Forgets a key.
    pub(crate) fn remove(&self, id: &KeyId) {
        if let Some((mac, _)) = self.by_id.pin().remove(id) {
            self.by_mac.pin().remove(mac);
        }
    }

    /// Forgets every key that is not in `seen`.
    pub(crate) fn retain(&self, seen: &HashSet<KeyId>) {
        let gone: Vec<KeyId> = self.by_id.pin().keys().filter(|id| !seen.contains(*id)).cloned().collect();
        for id in gone {
            self.remove(&id);
        }
    }

    /// Counts a use. Never waits.
    pub(crate) fn count(&self, entry: &Entry, now: Timestamp) {
        entry.usage.pending.fetch_add(1, Ordering::Relaxed);
        entry.usage.last_used.fetch_max(now.as_millis(), Ordering::Relaxed);
        self.enqueue(&entry.record.id, &entry.usage);
    }

    fn enqueue(&self, id: &KeyId, usage: &Arc<Usage>) {
        if !usage.queued.load(Ordering::Relaxed) && !usage.queued.swap(true, Ordering::AcqRel) {
            // The receiving end lives as long as this struct: sending cannot fail.
            drop(self.queue.send((id.clone(), Arc::clone(usage))));
        }
    }

    /// Takes up to `most` keys' counts out for a flush.
    pub(crate) fn take_counts(&self, most: usize) -> Vec<Flushed> {
        let queued = self.queued.lock().unwrap_or_else(PoisonError::into_inner);
        queued
            .try_iter()
            .take(most)
            .filter_map(|(id, usage)| {
                // A use between these two lines queues the key again; its count goes with this flush or the next.
                usage.queued.store(false, Ordering::Release);
                let calls = usage.pending.swap(0, Ordering::AcqRel);
                let last_used_at = usage.last_used_at()?;
                (calls > 0).then_some(Flushed { id, calls, last_used_at, usage })
            })
            .collect()
    }

    /// Puts counts back whose flush failed.
    pub(crate) fn give_back(&self, counts: Vec<Flushed>) {
        for flushed in counts {
            flushed.usage.pending.fetch_add(flushed.calls, Ordering::AcqRel);
            self.enqueue(&flushed.id, &flushed.usage);
        }
    }
}
