//! The keys in memory by their id: for whoever changes the memory, for screens and for acts of management keys. No verdict
//! looks here, so that short locks do.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keyfold_domain::ids::IdDigits;

use super::record::KeyRecord;

/// Parts with a lock of their own, so that a part that grows holds up few.
const PARTS: usize = 64;

/// A record, told from others by its key's id.
struct ById(Arc<KeyRecord>);

impl PartialEq for ById {
    fn eq(&self, other: &Self) -> bool {
        self.0.id_digits() == other.0.id_digits()
    }
}

impl Eq for ById {}

impl Hash for ById {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.id_digits().hash(state);
    }
}

impl Borrow<IdDigits> for ById {
    fn borrow(&self) -> &IdDigits {
        self.0.id_digits()
    }
}

/// Every key, by the record of its current secret.
pub(super) struct Roster {
    parts: Box<[Mutex<HashSet<ById>>]>,
}

impl Roster {
    pub(super) fn new() -> Self {
        Self { parts: (0..PARTS).map(|_| Mutex::default()).collect() }
    }

    fn part(&self, id: &IdDigits) -> Option<MutexGuard<'_, HashSet<ById>>> {
        let sum = id.as_str().bytes().fold(0u64, |sum, digit| sum.wrapping_mul(31).wrapping_add(digit.into()));
        // The upper half of a product depends on all of the lower.
        let place = usize::try_from(sum.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32).unwrap_or_default();
        self.parts.get(place % PARTS).map(|part| part.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn get(&self, id: &IdDigits) -> Option<Arc<KeyRecord>> {
        self.part(id)?.get(id).map(|found| Arc::clone(&found.0))
    }

    /// Puts a record in the place of the one before.
    pub(super) fn put(&self, record: Arc<KeyRecord>) {
        if let Some(mut part) = self.part(record.id_digits()) {
            part.replace(ById(record));
        }
    }

    pub(super) fn remove(&self, id: &IdDigits) -> Option<Arc<KeyRecord>> {
        self.part(id)?.take(id).map(|taken| taken.0)
    }

    pub(super) fn len(&self) -> usize {
        self.parts.iter().map(|part| part.lock().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }

    /// Makes room for so many keys.
    pub(super) fn reserve(&self, keys: usize) {
        for part in &self.parts {
            // Parts are never filled alike; a sixteenth more is enough for nearly all of them.
            part.lock().unwrap_or_else(PoisonError::into_inner).reserve(keys / PARTS + keys / PARTS / 16);
        }
    }

    /// The ids of the records for which that is true.
    pub(super) fn ids(&self, mut of: impl FnMut(&KeyRecord) -> bool) -> Vec<IdDigits> {
        let mut ids = Vec::new();
        for part in &self.parts {
            let part = part.lock().unwrap_or_else(PoisonError::into_inner);
            ids.extend(part.iter().filter(|record| of(&record.0)).map(|record| *record.0.id_digits()));
        }
        ids
    }
}
