//! The table that verdicts look into: from a keyed hash to the key. Each operation happens at once, at one moment, for whoever
//! looks meanwhile; nobody waits for anybody.

use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use subtle::ConstantTimeEq;

use super::record::KeyRecord;
use crate::mac::MacBytes;

/// How much of a keyed hash finds its place. That two hashes of one instance begin with the same 16 bytes is not to be expected
/// before the end of the world; if they did, the key that was stored first would be unknown, and never taken for the other.
const HEAD: usize = 16;

/// Spreads keyed hashes over the table by their own first bytes: nobody can choose those, so hashing them again would only
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

fn head(mac: &MacBytes) -> [u8; HEAD] {
    mac.first_chunk().copied().unwrap_or_default()
}

/// Between two operations anything may happen. A test that tries the orders out is told here.
#[cfg(test)]
fn between() {
    super::races::between();
}

#[cfg(not(test))]
const fn between() {}

/// Every secret in memory.
#[derive(Default)]
pub(super) struct Table(papaya::HashMap<[u8; HEAD], Arc<KeyRecord>, BuildHasherDefault<Spread>>);

impl Table {
    pub(super) fn get(&self, mac: &MacBytes) -> Option<Arc<KeyRecord>> {
        between();
        let all = self.0.pin();
        let found = all.get(&head(mac))?;
        bool::from(found.made_of().ct_eq(mac)).then(|| Arc::clone(found))
    }

    /// Puts a record under the hash that it was made of, in the place of the one before.
    pub(super) fn put(&self, record: Arc<KeyRecord>) {
        between();
        self.0.pin().insert(head(record.made_of()), record);
    }

    pub(super) fn remove(&self, mac: &MacBytes) {
        between();
        self.0.pin().remove(&head(mac));
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Makes room for so many secrets more.
    pub(super) fn reserve(&self, secrets: usize) {
        self.0.pin().reserve(secrets);
    }
}
