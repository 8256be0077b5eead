//! The verifier's memory: every key that is not deleted, by the keyed hash of each secret that has not ended, kept exact by
//! the change log.
//!
//! A lookup that finds nothing is an answer ("no such key"), never a reason to ask the database. Readers take no lock that
//! a writer can hold. What is not here: deciding (the domain does) and reading the database (`changes` does).

mod tally;

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use keyfold_domain::ids::{KeyId, WorkspaceId};
use keyfold_domain::time::Timestamp;
use keyfold_domain::verdict::{Code, Key};
use subtle::ConstantTimeEq;

use crate::mac::MacBytes;
pub use tally::Client;
pub(crate) use tally::{Counts, Seen, Usage};

/// The end of a current secret.
const NEVER: Timestamp = Timestamp::from_millis(i64::MAX);

/// A key as the verifier finds it by one of its secrets.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) record: Arc<Key>,
    pub(crate) usage: Arc<Usage>,
    ends_at: Timestamp,
}

impl Entry {
    /// Is the time of this secret over? Then it is answered like one that never was.
    pub(crate) fn has_ended(&self, now: Timestamp) -> bool {
        now >= self.ends_at
    }
}

/// The secrets of a key that are in memory.
#[derive(Clone)]
struct Known {
    current: Arc<Usage>,
    older: Option<Box<[Older]>>,
    /// The last use that the database knows of, or that a secret saw that is in memory no more; 0 for none.
    stored_use: i64,
}

/// A secret that was replaced and has not ended.
#[derive(Clone)]
struct Older {
    ends_at: Timestamp,
    usage: Arc<Usage>,
}

impl Known {
    fn older(&self) -> &[Older] {
        self.older.as_deref().unwrap_or_default()
    }

    fn all(&self) -> impl Iterator<Item = &Arc<Usage>> {
        std::iter::once(&self.current).chain(self.older().iter().map(|older| &older.usage))
    }

    fn last_used(&self) -> i64 {
        let seen = self.all().filter_map(|usage| usage.last_used_at()).map(Timestamp::as_millis).max();
        seen.unwrap_or_default().max(self.stored_use)
    }
}

/// What one flush writes for one secret.
pub(crate) struct Flushed {
    pub(crate) id: KeyId,
    pub(crate) counts: Counts,
    pub(crate) usage: Arc<Usage>,
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
    by_id: papaya::HashMap<KeyId, Known>,
    /// Keys with older secrets. Only whoever changes the memory looks here.
    rotating: Mutex<HashSet<KeyId>>,
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
            rotating: Mutex::default(),
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

    /// The key that has a secret with that hash. Whether the secret has ended is for the caller to look at.
    pub(crate) fn find(&self, mac: &MacBytes) -> Option<Entry> {
        let by_mac = self.by_mac.pin();
        let (found, entry) = by_mac.get_key_value(mac)?;
        bool::from(found.ct_eq(mac)).then(|| entry.clone())
    }

    /// When a key was last used with any of its secrets.
    pub(crate) fn last_used_at(&self, id: &KeyId) -> Option<Timestamp> {
        let last = self.by_id.pin().get(id).map(Known::last_used);
        last.filter(|at| *at > 0).map(Timestamp::from_millis)
    }

    /// The counters of each secret of a key.
    pub(crate) fn usages(&self, id: &KeyId) -> Vec<Arc<Usage>> {
        self.by_id.pin().get(id).map(|known| known.all().map(Arc::clone).collect()).unwrap_or_default()
    }

    /// How many keys there are.
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// How many secrets there are.
    pub(crate) fn secrets(&self) -> usize {
        self.by_mac.len()
    }

    /// Puts a key's present record and secrets in the place of those before. `older` are its secrets with an end.
    pub(crate) fn put(&self, record: Key, current: MacBytes, older: &[(MacBytes, Timestamp)], last_used_at: Option<Timestamp>) {
        let (by_id, by_mac) = (self.by_id.pin(), self.by_mac.pin());
        let known = by_id.get(&record.id).cloned();
        let (id, record) = (record.id.clone(), Arc::new(record));
        let insert = |mac: MacBytes, ends_at: Timestamp| {
            let found = known.as_ref().and_then(|known| known.all().find(|usage| *usage.mac() == mac).cloned());
            let usage = found.unwrap_or_else(|| Arc::new(Usage::of(mac)));
            by_mac.insert(mac, Entry { record: Arc::clone(&record), usage: Arc::clone(&usage), ends_at });
            usage
        };
        let current = insert(current, NEVER);
        let older: Box<[Older]> = older.iter().map(|(mac, end)| Older { ends_at: *end, usage: insert(*mac, *end) }).collect();
        let mut fresh = Known { current, older: None, stored_use: last_used_at.map_or(0, Timestamp::as_millis) };
        if !older.is_empty() {
            fresh.older = Some(older);
        }
        if let Some(known) = &known {
            fresh.stored_use = fresh.stored_use.max(known.last_used());
            for gone in known.all().filter(|usage| fresh.all().all(|other| other.mac() != usage.mac())) {
                by_mac.remove(gone.mac());
            }
        }
        let mut rotating = self.rotating.lock().unwrap_or_else(PoisonError::into_inner);
        if fresh.older.is_some() {
            rotating.insert(id.clone());
        } else {
            rotating.remove(&id);
        }
        by_id.insert(id, fresh);
    }

    /// Forgets the secrets that have ended. Not to be called while the memory is changed otherwise.
    pub(crate) fn drop_ended(&self, now: Timestamp) {
        let (by_id, by_mac) = (self.by_id.pin(), self.by_mac.pin());
        self.rotating.lock().unwrap_or_else(PoisonError::into_inner).retain(|id| {
            let Some(known) = by_id.get(id) else { return false };
            let (live, ended): (Vec<Older>, Vec<Older>) = known.older().iter().cloned().partition(|older| now < older.ends_at);
            if ended.is_empty() {
                return true;
            }
            for older in ended {
                by_mac.remove(older.usage.mac());
            }
            let stays = !live.is_empty();
            let older = stays.then(|| live.into_boxed_slice());
            by_id.insert(id.clone(), Known { older, stored_use: known.last_used(), ..known.clone() });
            stays
        });
    }

    /// Forgets a key.
    pub(crate) fn remove(&self, id: &KeyId) {
        if let Some(known) = self.by_id.pin().remove(id) {
            let by_mac = self.by_mac.pin();
            for usage in known.all() {
                by_mac.remove(usage.mac());
            }
        }
    }

    /// Forgets every key of a workspace.
    pub(crate) fn remove_of(&self, workspace: &WorkspaceId) {
        let of_it = |entry: &&Entry| entry.record.workspace_id == *workspace;
        let gone: HashSet<KeyId> = self.by_mac.pin().values().filter(of_it).map(|entry| entry.record.id.clone()).collect();
        for id in gone {
            self.remove(&id);
        }
    }

    /// Forgets every key that is not in `seen`.
    pub(crate) fn retain(&self, seen: &HashSet<KeyId>) {
        let gone: Vec<KeyId> = self.by_id.pin().keys().filter(|id| !seen.contains(*id)).cloned().collect();
        for id in gone {
            self.remove(&id);
        }
    }

    /// Counts a use by a client, and that the scope was asked for if one was. Never waits.
    pub(crate) fn count(&self, entry: &Entry, scope: Option<&str>, client: &Client<'_>, now: Timestamp) {
        entry.usage.call(now);
        if let Some(scope) = scope {
            entry.usage.ask(scope, now);
        }
        if entry.ends_at != NEVER {
            entry.usage.see(client, now);
        }
        self.enqueue(&entry.record.id, &entry.usage);
    }

    /// Counts a denial. Never waits.
    pub(crate) fn count_denial(&self, entry: &Entry, code: Code, now: Timestamp) {
        entry.usage.deny(code, now);
        self.enqueue(&entry.record.id, &entry.usage);
    }

    /// Counts that a management key was used for an act that needs this scope, once for each request.
    pub(crate) fn count_act(&self, id: &KeyId, scope: &str, request: u64, now: Timestamp) {
        if let Some(known) = self.by_id.pin().get(id) {
            known.current.ask_once(scope, request, now);
            self.enqueue(id, &known.current);
        }
    }

    fn enqueue(&self, id: &KeyId, usage: &Arc<Usage>) {
        if usage.wants_flush() {
            // The receiving end lives as long as this struct: sending cannot fail.
            drop(self.queue.send((id.clone(), Arc::clone(usage))));
        }
    }

    /// Takes the counts of up to `most` secrets out for a flush.
    pub(crate) fn take_counts(&self, most: usize) -> Vec<Flushed> {
        let queued = self.queued.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = queued.try_iter().take(most);
        waiting.filter_map(|(id, usage)| usage.take().map(|counts| Flushed { id, counts, usage })).collect()
    }

    /// Puts counts back whose flush failed.
    pub(crate) fn give_back(&self, counts: Vec<Flushed>) {
        for Flushed { id, counts, usage } in counts {
            usage.give_back(counts);
            self.enqueue(&id, &usage);
        }
    }
}
