//! What the records of many keys have in common, in memory once: people in their workspaces, and what keys may do.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use keyfold_domain::verdict::Key;

use super::record::{Grant, Holder, Profile};

/// Parts of records. Only whoever changes the memory looks here.
#[derive(Default)]
pub(super) struct Shared {
    holders: Mutex<HashSet<Arc<Holder>>>,
    grants: Mutex<HashSet<Arc<Grant>>>,
    profiles: Mutex<HashSet<Arc<Profile>>>,
}

impl Shared {
    /// What the key has in common with others: what is there already, if it is.
    pub(super) fn profile(&self, key: &Key) -> Arc<Profile> {
        let (holder, grant) = (share(&self.holders, Holder::of(key)), share(&self.grants, Grant::of(key)));
        share(&self.profiles, Profile { holder, grant })
    }

    /// Forgets what no record has any more.
    pub(super) fn tidy(&self) {
        tidy(&self.profiles);
        tidy(&self.holders);
        tidy(&self.grants);
    }
}

fn share<T: Eq + Hash>(all: &Mutex<HashSet<Arc<T>>>, part: T) -> Arc<T> {
    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(there) = all.get(&part) {
        return Arc::clone(there);
    }
    let part = Arc::new(part);
    all.insert(Arc::clone(&part));
    part
}

fn tidy<T: Eq + Hash>(all: &Mutex<HashSet<Arc<T>>>) {
    // Whoever gets hold of a part does so under the same lock, so that one nobody else has stays so.
    all.lock().unwrap_or_else(PoisonError::into_inner).retain(|part| Arc::strong_count(part) > 1);
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use keyfold_domain::scope::{KeyKind, ScopeSet};
    use keyfold_domain::time::Timestamp;
    use keyfold_domain::user::UserRef;

    pub(in super::super) fn key(scope: &str, owner: &str) -> Key {
        let scopes: Arc<ScopeSet> = Arc::new([scope.parse().unwrap()].into_iter().collect());
        Key {
            id: "key_0123456789012345678901".parse().unwrap(),
            workspace_id: "wsp_0123456789012345678901".parse().unwrap(),
            workspace: "acme".into(),
            owner: Arc::new(UserRef {
                id: "usr_0123456789012345678901".parse().unwrap(),
                username: owner.into(),
                display_name: String::new(),
            }),
            owner_role: None,
            owner_active: true,
            name: String::new(),
            kind: KeyKind::Secret,
            effective: Arc::new(ScopeSet::clone(&scopes)),
            scopes,
            resources: None,
            ip_allow: Vec::new(),
            limits: None,
            created_at: Timestamp::from_millis(0),
            expires_at: None,
            inactivity_days: None,
            activated_at: None,
            deactivated_at: None,
            stopped_for_good: false,
            deleted_at: None,
        }
    }

    #[test]
    fn equal_parts_are_one_and_others_are_not() {
        let shared = Shared::default();
        let [one, two, three, four] = [("chat", "ada"), ("chat", "ada"), ("inference", "grace"), ("chat", "grace")]
            .map(|(scope, owner)| shared.profile(&key(scope, owner)));
        assert!(Arc::ptr_eq(&one, &two));
        assert!(Arc::ptr_eq(&three.holder, &four.holder) && Arc::ptr_eq(&one.grant, &four.grant));
        assert!(!Arc::ptr_eq(&one.holder, &four.holder) && !Arc::ptr_eq(&three.grant, &four.grant));
        let counts = || (shared.profiles.lock().unwrap().len(), shared.holders.lock().unwrap().len(), shared.grants.lock().unwrap().len());
        drop((one, two, four));
        assert_eq!(counts(), (3, 2, 2));
        shared.tidy();
        assert_eq!(counts(), (1, 1, 1), "what the third has stays");
    }

    /// Prints what a key costs beyond its neighbours. Run alone: `cargo test --release -p keyfold-engine --lib -- --ignored --exact
    /// keyset::shared::tests::what_a_key_weighs --nocapture`.
    #[test]
    #[ignore = "measures the memory of the process"]
    fn what_a_key_weighs() {
        const KEYS: u32 = 100_000;
        let resident = || {
            let text = std::fs::read_to_string("/proc/self/statm").unwrap();
            text.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
        };
        let mac = |number: u32| {
            let mut mac = [0; crate::mac::MAC_LEN];
            // Spread as keyed hashes are.
            mac[..8].copy_from_slice(&((u64::from(number) << 32) | u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
            mac
        };
        let fill = |keys: u32| {
            let keyset = super::super::Keyset::new();
            // As a start does it.
            keyset.reserve(usize::try_from(keys).unwrap());
            for number in 0..keys {
                let id = format!("key_{number:022}").parse().unwrap();
                let record = Key { id, name: format!("key {number}"), ..key("project", "ada") };
                keyset.put(&record, mac(number), &[], None, &super::super::Stored::default());
            }
            keyset
        };
        let count = |keyset: &super::super::Keyset, keys: u32| {
            for number in 0..keys {
                let (now, entry) = (Timestamp::from_millis(1_800_000_000_000), keyset.find(&mac(number)).unwrap());
                keyset.count(&entry, None, &super::super::Client::default(), now);
                keyset.take_counts(1);
            }
        };
        // The program's own pages come in when they are first used; they are no key's.
        count(&fill(100), 100);
        let before = resident();
        let keyset = fill(KEYS);
        println!("{} bytes a key", (resident() - before) / u64::from(KEYS));
        count(&keyset, KEYS);
        println!("{} bytes a key that was used", (resident() - before) / u64::from(KEYS));
        assert_eq!(keyset.len(), usize::try_from(KEYS).unwrap());
    }
}
