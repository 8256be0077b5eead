//! What the records of many keys have in common, in memory once: sets of scopes, people, names of workspaces.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use keyfold_domain::scope::ScopeSet;
use keyfold_domain::user::UserRef;
use keyfold_domain::verdict::Key;

/// Parts of records. Only whoever changes the memory looks here.
#[derive(Default)]
pub(super) struct Shared {
    scopes: Mutex<HashSet<Arc<ScopeSet>>>,
    people: Mutex<HashSet<Arc<UserRef>>>,
    names: Mutex<HashSet<Arc<str>>>,
}

impl Shared {
    /// Puts what is there already in the place of equal parts of a record.
    pub(super) fn share(&self, key: &mut Key) {
        share(&self.scopes, &mut key.scopes);
        share(&self.scopes, &mut key.effective);
        share(&self.people, &mut key.owner);
        share(&self.names, &mut key.workspace);
    }

    /// Forgets what no record has any more.
    pub(super) fn tidy(&self) {
        tidy(&self.scopes);
        tidy(&self.people);
        tidy(&self.names);
    }
}

fn share<T: Eq + Hash + ?Sized>(all: &Mutex<HashSet<Arc<T>>>, part: &mut Arc<T>) {
    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(there) = all.get(&**part) {
        *part = Arc::clone(there);
    } else {
        all.insert(Arc::clone(part));
    }
}

fn tidy<T: Eq + Hash + ?Sized>(all: &Mutex<HashSet<Arc<T>>>) {
    // Whoever gets hold of a part does so under the same lock, so that one nobody else has stays so.
    all.lock().unwrap_or_else(PoisonError::into_inner).retain(|part| Arc::strong_count(part) > 1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyfold_domain::scope::KeyKind;
    use keyfold_domain::time::Timestamp;

    fn key(scope: &str, owner: &str) -> Key {
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
        let (mut one, mut two, mut three) = (key("chat", "ada"), key("chat", "ada"), key("inference", "grace"));
        for key in [&mut one, &mut two, &mut three] {
            shared.share(key);
        }
        assert!(Arc::ptr_eq(&one.scopes, &two.scopes) && Arc::ptr_eq(&one.scopes, &one.effective));
        assert!(Arc::ptr_eq(&one.owner, &two.owner) && Arc::ptr_eq(&one.workspace, &three.workspace));
        assert!(!Arc::ptr_eq(&one.scopes, &three.scopes) && !Arc::ptr_eq(&one.owner, &three.owner));
        assert_eq!((three.owner.username.as_str(), three.scopes.contains("inference")), ("grace", true));
        let counts = || (shared.scopes.lock().unwrap().len(), shared.people.lock().unwrap().len(), shared.names.lock().unwrap().len());
        drop((one, two));
        assert_eq!(counts(), (2, 2, 1));
        shared.tidy();
        assert_eq!(counts(), (1, 1, 1), "what the third has stays");
    }

    #[test]
    fn a_record_stays_small() {
        assert!(size_of::<Key>() <= 240, "{}", size_of::<Key>());
        assert!(size_of::<super::super::Entry>() <= 32, "{}", size_of::<super::super::Entry>());
        assert!(size_of::<super::super::Usage>() <= 96, "{}", size_of::<super::super::Usage>());
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
        let (keyset, before) = (super::super::Keyset::new(), resident());
        for number in 0..KEYS {
            let id = format!("key_{number:022}").parse().unwrap();
            let mut mac = [0; crate::mac::MAC_LEN];
            // Spread as keyed hashes are.
            mac[..8].copy_from_slice(&((u64::from(number) << 32) | u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
            let record = Key { id, name: format!("key {number}"), ..key("project", "ada") };
            keyset.put(record, mac, &[], None, &super::super::Stored::default());
        }
        println!("{} bytes a key", (resident() - before) / u64::from(KEYS));
        assert_eq!(keyset.len(), usize::try_from(KEYS).unwrap());
    }
}
