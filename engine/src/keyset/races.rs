//! What happens when verdicts, changes and flushes meet: their steps in thousands of orders, chosen by shuttle. A step is an
//! operation on the table; each of those is atomic by itself, which is the table's promise and not tried out here.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use keyfold_domain::time::Timestamp;
use keyfold_domain::verdict::Key;

use super::shared::tests::key;
use super::{Client, Keyset, Move, Stored};
use crate::mac::{MAC_LEN, MacBytes};

/// Orders tried of each meeting.
const ORDERS: usize = 1_000;
const LATER: Timestamp = Timestamp::from_millis(i64::MAX - 1);
const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const FIRST: MacBytes = [1; MAC_LEN];
const SECOND: MacBytes = [2; MAC_LEN];
const THIRD: MacBytes = [3; MAC_LEN];

thread_local! {
    static TRIED: Cell<bool> = const { Cell::new(false) };
}

/// Another thread may go on here. Does nothing outside of these tests.
pub(super) fn between() {
    if TRIED.get() {
        shuttle::thread::yield_now();
    }
}

/// Runs `meeting` in many orders.
fn in_many_orders(meeting: impl Fn() + Send + Sync + 'static) {
    shuttle::check_random(
        move || {
            TRIED.set(true);
            meeting();
            TRIED.set(false);
        },
        ORDERS,
    );
}

/// A memory with one key in it, by the first secret.
fn filled() -> (Arc<Keyset>, Key) {
    let (keyset, key) = (Arc::new(Keyset::new()), key("chat", "ada"));
    put(&keyset, &key, FIRST, &[]);
    (keyset, key)
}

fn put(keyset: &Keyset, key: &Key, current: MacBytes, older: &[MacBytes]) {
    let older: Vec<_> = older.iter().map(|mac| (*mac, LATER)).collect();
    keyset.put(key, current, &older, None, &Stored::default());
}

#[test]
fn a_secret_that_lives_is_found_at_every_moment_of_a_rotation() {
    in_many_orders(|| {
        let (keyset, key) = filled();
        let rotated = Arc::new(AtomicBool::new(false));
        let reader = {
            let (keyset, rotated) = (Arc::clone(&keyset), Arc::clone(&rotated));
            shuttle::thread::spawn(move || {
                for _ in 0..3 {
                    let over = rotated.load(Ordering::SeqCst);
                    assert!(keyset.find(&FIRST).is_some(), "the replaced secret has not ended");
                    assert!(!over || keyset.find(&SECOND).is_some(), "the new secret was handed out");
                }
            })
        };
        put(&keyset, &key, SECOND, &[FIRST]);
        rotated.store(true, Ordering::SeqCst);
        put(&keyset, &key, THIRD, &[SECOND, FIRST]);
        reader.join().unwrap();
        assert_eq!((keyset.len(), keyset.secrets()), (1, 3));
    });
}

#[test]
fn what_was_ended_is_unknown_to_whoever_asks_afterwards_and_stays_so() {
    for revoke in [true, false] {
        in_many_orders(move || {
            let (keyset, key) = filled();
            let over = Arc::new(AtomicBool::new(false));
            let reader = {
                let (keyset, over) = (Arc::clone(&keyset), Arc::clone(&over));
                shuttle::thread::spawn(move || {
                    for _ in 0..3 {
                        let over = over.load(Ordering::SeqCst);
                        let found = keyset.find(&FIRST);
                        assert!(!over || found.is_none());
                        if let Some(found) = found {
                            between();
                            keyset.count(&found, None, &Client::default(), NOW);
                            keyset.take_counts(9);
                        }
                    }
                })
            };
            if revoke {
                keyset.remove(&key.id);
            } else {
                put(&keyset, &key, SECOND, &[]);
            }
            over.store(true, Ordering::SeqCst);
            reader.join().unwrap();
            assert!(keyset.find(&FIRST).is_none());
            assert_eq!((keyset.len(), keyset.secrets()), if revoke { (0, 0) } else { (1, 1) });
        });
    }
}

#[test]
fn a_secret_is_found_at_every_moment_of_its_move_to_another_hash() {
    in_many_orders(|| {
        let (keyset, key) = filled();
        let reader = {
            let keyset = Arc::clone(&keyset);
            shuttle::thread::spawn(move || {
                for _ in 0..3 {
                    let found = keyset.find(&SECOND).or_else(|| keyset.find_under_old(FIRST, SECOND));
                    let found = found.expect("it lives throughout");
                    between();
                    keyset.count(&found, None, &Client::default(), NOW);
                }
            })
        };
        keyset.moved(&[Move { from: FIRST, to: SECOND }]);
        reader.join().unwrap();
        assert!(keyset.find(&FIRST).is_none() && keyset.find(&SECOND).is_some());
        let counts = keyset.take_counts(9);
        assert!(counts.iter().all(|flushed| flushed.mac == SECOND), "counts go to the hash that is stored");
        assert_eq!(counts.iter().map(|flushed| flushed.counts.total()).sum::<u64>(), 3);
        assert_eq!(keyset.last_used_at(&key.id), Some(NOW));
    });
}

#[test]
fn no_use_is_lost_while_records_are_replaced_and_counts_are_taken() {
    in_many_orders(|| {
        let (keyset, key) = filled();
        let users: Vec<_> = (0..2)
            .map(|_| {
                let keyset = Arc::clone(&keyset);
                shuttle::thread::spawn(move || {
                    let found = keyset.find(&FIRST).expect("it lives throughout");
                    between();
                    keyset.count(&found, Some("chat"), &Client::default(), NOW);
                })
            })
            .collect();
        let flush = {
            let keyset = Arc::clone(&keyset);
            shuttle::thread::spawn(move || keyset.take_counts(9).iter().map(|flushed| flushed.counts.total()).sum::<u64>())
        };
        put(&keyset, &Key { name: "another name".into(), ..key.clone() }, FIRST, &[]);
        put(&keyset, &key, SECOND, &[FIRST]);
        for user in users {
            user.join().unwrap();
        }
        let flushed = flush.join().unwrap() + keyset.take_counts(9).iter().map(|flushed| flushed.counts.total()).sum::<u64>();
        assert_eq!(flushed, 2);
        assert_eq!(keyset.last_used_at(&key.id), Some(NOW), "who waits for it to go dormant knows of the use");
    });
}
