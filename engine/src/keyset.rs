//! The verifier's memory: every key that is not deleted, by the keyed hash of each secret that has not ended, kept exact by
//! the change log.
//!
//! A lookup that finds nothing is an answer ("no such key"), never a reason to ask the database. Readers take no lock that
//! a writer can hold. What is not here: deciding (the domain does) and reading the database (`changes` does).

mod ledger;
mod lenience;
mod meter;
mod progress;
mod shared;
mod tally;

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use keyfold_domain::ids::{KeyId, WorkspaceId};
use keyfold_domain::limits::{Book, Cost, Limit, LimitName, Unwritten, Weighed};
use keyfold_domain::route::RouteMap;
use keyfold_domain::time::Timestamp;
use keyfold_domain::verdict::{Allowance, Code, Key};
use subtle::ConstantTimeEq;

use crate::mac::MacBytes;
use crate::store::limits::{SpentRow, member};
pub(crate) use ledger::Ledger;
use lenience::Lenience;
pub(crate) use meter::Meter;
use meter::Meters;
pub(crate) use progress::Progress;
use shared::Shared;
pub use tally::Client;
pub(crate) use tally::{Counts, Seen, Usage};

/// The end of a current secret.
const NEVER: Timestamp = Timestamp::from_millis(i64::MAX);

/// A key as the verifier finds it by one of its secrets.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) record: Arc<Key>,
    pub(crate) usage: Arc<Usage>,
    /// For keys that are limited.
    meters: Option<Arc<Meters>>,
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

/// What one flush writes of one meter.
pub(crate) struct FlushedMeter {
    pub(crate) meter: Arc<Meter>,
    pub(crate) unwritten: Vec<Unwritten>,
    /// What is held beyond that, where several servers spend of the quotas.
    pub(crate) holdings: Vec<(LimitName, u64)>,
}

/// What the store knows of the quotas of a key and of its owner, for meters that are not there yet.
#[derive(Default)]
pub(crate) struct Stored {
    pub(crate) own: Vec<SpentRow>,
    pub(crate) owners: Vec<SpentRow>,
}

/// What was spent, from the rows that the store kept. Nobody could have stored a limit of another name.
fn book(rows: &[SpentRow]) -> Book {
    let mut book = Book::default();
    for row in rows {
        if let (Ok(name), Ok(units)) = (row.name.parse(), u64::try_from(row.units)) {
            book.restore(&name, Timestamp::from_millis(row.at), units);
        }
    }
    book
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

/// A workspace's route map in force.
#[derive(Debug)]
pub struct WorkspaceRoutes {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// Its short name.
    pub slug: String,
    /// Which version of the map it is.
    pub version: i64,
    /// The rules.
    pub map: RouteMap,
}

/// A secret that is to be stored under the present pepper: its keyed hash until now, and the one to come.
#[derive(Clone, Copy)]
pub(crate) struct Move {
    pub(crate) from: MacBytes,
    pub(crate) to: MacBytes,
}

/// Every live key of the instance, and every route map.
pub(crate) struct Keyset {
    by_mac: papaya::HashMap<MacBytes, Entry, BuildHasherDefault<Spread>>,
    by_id: papaya::HashMap<KeyId, Known>,
    /// Keys with older secrets. Only whoever changes the memory looks here.
    rotating: Mutex<HashSet<KeyId>>,
    /// By the workspace's id and by its short name, which no other id or name can be.
    routes: papaya::HashMap<String, Arc<WorkspaceRoutes>>,
    /// The meters of members with limits, by subject.
    members: papaya::HashMap<String, Arc<Meter>>,
    queue: mpsc::Sender<Queued>,
    queued: Mutex<mpsc::Receiver<Queued>>,
    spent: mpsc::Sender<Arc<Meter>>,
    spendings: Mutex<mpsc::Receiver<Arc<Meter>>>,
    /// Who else spends of the limits.
    pub(crate) ledger: Ledger,
    /// Secrets that were presented under the pepper before.
    moves: Mutex<Vec<Move>>,
    /// Until when what is here may be relied on, by [`crate::Clock::uptime_ms`].
    trusted_until: AtomicU64,
    /// Who wants answers all the same.
    pub(crate) lenience: Lenience,
    /// What many records have in common.
    shared: Shared,
    /// For whoever watches.
    pub(crate) progress: Progress,
}

impl Keyset {
    pub(crate) fn new() -> Self {
        let (queue, queued) = mpsc::channel();
        let (spent, spendings) = mpsc::channel();
        Self {
            by_mac: papaya::HashMap::default(),
            by_id: papaya::HashMap::new(),
            rotating: Mutex::default(),
            routes: papaya::HashMap::new(),
            members: papaya::HashMap::new(),
            queue,
            queued: Mutex::new(queued),
            spent,
            spendings: Mutex::new(spendings),
            ledger: Ledger::new(),
            moves: Mutex::default(),
            trusted_until: AtomicU64::new(0),
            lenience: Lenience::default(),
            shared: Shared::default(),
            progress: Progress::new(),
        }
    }

    /// May it be asked at that moment? Not before it is loaded, nor when it may have missed a change for too long. Judged at
    /// each question, so that a process that was paused, or whose jobs hang, finds out before it says yes.
    pub(crate) fn is_exact(&self, uptime_ms: u64) -> bool {
        uptime_ms < self.trusted_until.load(Ordering::Acquire)
    }

    /// It is loaded, and may be asked up to that moment. Not to be called while somebody else changes the memory.
    pub(crate) fn trust_until(&self, uptime_ms: u64) {
        self.trusted_until.store(uptime_ms, Ordering::Release);
    }

    /// It may not be asked after that moment, if it may be asked that long.
    pub(crate) fn trust_no_longer_than(&self, uptime_ms: u64) {
        self.trusted_until.fetch_min(uptime_ms, Ordering::AcqRel);
    }

    /// The key that has a secret with that hash. Whether the secret has ended is for the caller to look at.
    pub(crate) fn find(&self, mac: &MacBytes) -> Option<Entry> {
        let by_mac = self.by_mac.pin();
        let (found, entry) = by_mac.get_key_value(mac)?;
        bool::from(found.ct_eq(mac)).then(|| entry.clone())
    }

    /// The key that has a secret which is stored under the pepper before, with that hash. Notes that it is to be stored under
    /// the present one, where its hash is `mac`.
    #[cold]
    pub(crate) fn find_under_old(&self, old: MacBytes, mac: MacBytes) -> Option<Entry> {
        let Some(entry) = self.find(&old) else {
            // Moved between the two looks.
            return self.find(&mac);
        };
        if entry.usage.wants_move() {
            self.moves.lock().unwrap_or_else(PoisonError::into_inner).push(Move { from: old, to: mac });
        }
        Some(entry)
    }

    /// Takes out up to `most` secrets that are to be stored under the present pepper.
    pub(crate) fn take_moves(&self, most: usize) -> Vec<Move> {
        let mut moves = self.moves.lock().unwrap_or_else(PoisonError::into_inner);
        let left = moves.len().saturating_sub(most);
        moves.split_off(left)
    }

    /// Puts back what could not be stored.
    pub(crate) fn give_back_moves(&self, back: Vec<Move>) {
        self.moves.lock().unwrap_or_else(PoisonError::into_inner).extend(back);
    }

    /// The secrets are stored under the present pepper now. What was counted of them stays with them. Not to be called while
    /// the memory is changed otherwise.
    pub(crate) fn moved(&self, moves: &[Move]) {
        let by_mac = self.by_mac.pin();
        for Move { from, to } in moves {
            if let Some(entry) = by_mac.get(from).cloned() {
                entry.usage.move_to(*to);
                // Never at neither place.
                by_mac.insert(*to, entry);
                by_mac.remove(from);
            }
        }
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

    /// Puts a key's present record and secrets in the place of those before. `older` are its secrets with an end; `stored` is
    /// needed where [`Self::lacks_meter`] or [`Self::lacks_member`] says so.
    pub(crate) fn put(
        &self,
        mut record: Key,
        current: MacBytes,
        older: &[(MacBytes, Timestamp)],
        last_used_at: Option<Timestamp>,
        stored: &Stored,
    ) {
        self.shared.share(&mut record);
        let (by_id, by_mac) = (self.by_id.pin(), self.by_mac.pin());
        let known = by_id.get(&record.id).cloned();
        let meters = self.meters(&record, known.as_ref(), stored);
        let (id, record) = (record.id.clone(), Arc::new(record));
        let insert = |mac: MacBytes, ends_at: Timestamp| {
            let found = known.as_ref().and_then(|known| known.all().find(|usage| *usage.mac() == mac).cloned());
            let usage = found.unwrap_or_else(|| Arc::new(Usage::of(mac)));
            by_mac.insert(mac, Entry { record: Arc::clone(&record), usage: Arc::clone(&usage), meters: meters.clone(), ends_at });
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

    /// The meters of a key as it is now. Those that are there go on counting, through changes and rotations of the key.
    fn meters(&self, record: &Key, known: Option<&Known>, stored: &Stored) -> Option<Arc<Meters>> {
        let before = known.and_then(|known| self.by_mac.pin().get(known.current.mac())?.meters.clone());
        let (own, owners) = record.limits.as_deref().map_or((&[][..], &[][..]), |limits| (limits.own(), limits.owners()));
        let mut meters = Meters::default();
        if !own.is_empty() {
            let there = before.as_ref().and_then(|before| before.own.clone());
            let meter = there.unwrap_or_else(|| self.ledger.enroll(Meter::new(record.id.as_str(), book(&stored.own))));
            self.keep_only(&meter, own);
            meters.own = Some(meter);
        }
        let members = self.members.pin();
        if !owners.is_empty() || !members.is_empty() {
            let subject = member(&record.workspace_id, &record.owner.id);
            if owners.is_empty() {
                members.remove(&subject);
                return record.limits.as_ref().map(|_| Arc::new(meters));
            }
            let meter = members.get_or_insert_with(subject.clone(), || self.ledger.enroll(Meter::new(&subject, book(&stored.owners))));
            self.keep_only(meter, owners);
            meters.owners = Some(Arc::clone(meter));
        }
        record.limits.as_ref().map(|_| Arc::new(meters))
    }

    /// These are the limits of a meter now. What changed is asked for.
    fn keep_only(&self, meter: &Arc<Meter>, limits: &[Limit]) {
        meter.keep_only(limits);
        if meter.is_hungry() {
            self.ledger.ask(meter);
        }
    }

    /// Has that key limits of its own and no meter for them yet?
    pub(crate) fn lacks_meter(&self, record: &Key) -> bool {
        let limited = record.limits.as_deref().is_some_and(|limits| !limits.own().is_empty());
        limited && self.entry(&record.id).and_then(|entry| entry.meters).is_none_or(|meters| meters.own.is_none())
    }

    /// Has the key's owner limits and no meter for them yet?
    pub(crate) fn lacks_member(&self, record: &Key) -> bool {
        let limited = record.limits.as_deref().is_some_and(|limits| !limits.owners().is_empty());
        limited && !self.members.pin().contains_key(&member(&record.workspace_id, &record.owner.id))
    }

    /// A key by its current secret.
    fn entry(&self, id: &KeyId) -> Option<Entry> {
        let mac = *self.by_id.pin().get(id)?.current.mac();
        self.by_mac.pin().get(&mac).cloned()
    }

    /// Spends a call's cost from every limit of a key or, where it does not fit, from none; with `dry` it only looks.
    /// `None` for a key that is not limited.
    pub(crate) fn weigh(&self, entry: &Entry, cost: Cost, dry: bool, now: Timestamp) -> Option<Weighed> {
        let (meters, limits) = (entry.meters.as_deref()?, entry.record.limits.as_deref()?);
        let mut among = self.ledger.among();
        // Cut off, and told to go on: then with what is leased, although others may have counted it as spent.
        among.in_touch = among.in_touch || self.is_lenient(&entry.record);
        let weighed = meters.weigh(limits, cost, dry, among, now);
        for meter in meters.iter().filter(|meter| meter.is_hungry()) {
            self.ledger.ask(meter);
        }
        let spent = !dry && cost != Cost::CHECK && weighed.allowance == Allowance::Free;
        if spent && limits.iter().any(|(_, limit)| limit.refill().is_quota()) {
            for meter in meters.iter().filter(|meter| meter.wants_flush()) {
                // The receiving end lives as long as this struct: sending cannot fail.
                drop(self.spent.send(Arc::clone(meter)));
            }
        }
        Some(weighed)
    }

    /// Is it out of touch, and to go on with the keys of that workspace?
    #[cold]
    fn is_lenient(&self, record: &Key) -> bool {
        self.lenience.includes(record.workspace_id.as_str()) && self.ledger.uptime_ms().is_some_and(|now| !self.is_exact(now))
    }

    /// How the limits of a key stand, with its record as they are told by it; `None` if it is unknown or not limited.
    pub(crate) fn standings(&self, id: &KeyId, now: Timestamp) -> Option<(Arc<Key>, Weighed)> {
        let entry = self.entry(id)?;
        self.weigh(&entry, Cost::CHECK, true, now).map(|weighed| (entry.record, weighed))
    }

    /// Takes what was spent by up to `most` keys and members out for a flush.
    pub(crate) fn take_spent(&self, most: usize) -> Vec<FlushedMeter> {
        let spendings = self.spendings.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = spendings.try_iter().map(|meter| {
            let (unwritten, holdings) = meter.take();
            FlushedMeter { meter, unwritten, holdings }
        });
        taken.filter(|flushed| !flushed.unwritten.is_empty()).take(most).collect()
    }

    /// Puts back what could not be written.
    pub(crate) fn give_back_spent(&self, flushed: Vec<FlushedMeter>) {
        for FlushedMeter { meter, unwritten, .. } in flushed {
            meter.give_back(unwritten);
            if meter.wants_flush() {
                drop(self.spent.send(meter));
            }
        }
    }

    /// Forgets the secrets that have ended, and what no record has any more. Not to be called while the memory is changed otherwise.
    pub(crate) fn drop_ended(&self, now: Timestamp) {
        self.shared.tidy();
        self.ledger.tidy();
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

    /// The route map of the workspace with that id or short name; `None` if it has none, or there is no such workspace.
    pub(crate) fn routes(&self, slug_or_id: &str) -> Option<Arc<WorkspaceRoutes>> {
        self.routes.pin().get(slug_or_id).map(Arc::clone)
    }

    /// Puts a workspace's route map in the place of the one before.
    pub(crate) fn put_routes(&self, routes: WorkspaceRoutes) {
        let (all, routes) = (self.routes.pin(), Arc::new(routes));
        all.insert(routes.slug.clone(), Arc::clone(&routes));
        all.insert(routes.workspace.to_string(), routes);
    }

    /// Forgets the route map of the workspace with that id.
    pub(crate) fn remove_routes(&self, workspace: &str) {
        let all = self.routes.pin();
        if let Some(routes) = all.remove(workspace) {
            all.remove(&routes.slug);
        }
    }

    /// Forgets every route map that is not under one of these names.
    pub(crate) fn retain_routes(&self, names: &HashSet<String>) {
        self.routes.pin().retain(|name, _| names.contains(name));
    }

    /// Counts a use by a client, and that the scope was asked for if one was. Never waits.
    pub(crate) fn count(&self, entry: &Entry, scope: Option<&str>, client: &Client<'_>, now: Timestamp) {
        entry.usage.call(now);
        if let Some(scope) = scope {
            entry.usage.ask(scope, now);
        }
        if entry.ends_at != NEVER {
            self.progress.drop_sightings(entry.usage.see(client, now));
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
            self.progress.wait_more(1);
            // The receiving end lives as long as this struct: sending cannot fail.
            drop(self.queue.send((id.clone(), Arc::clone(usage))));
        }
    }

    /// Takes the counts of up to `most` secrets out for a flush.
    pub(crate) fn take_counts(&self, most: usize) -> Vec<Flushed> {
        let queued = self.queued.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = queued.try_iter().take(most).inspect(|_| self.progress.wait_less(1));
        waiting.filter_map(|(id, usage)| usage.take().map(|counts| Flushed { id, counts, usage })).collect()
    }

    /// Puts counts back whose flush failed.
    pub(crate) fn give_back(&self, counts: Vec<Flushed>) {
        for Flushed { id, counts, usage } in counts {
            self.progress.drop_sightings(usage.give_back(counts));
            self.enqueue(&id, &usage);
        }
    }
}
