//! The verifier's memory: every key that is not deleted, by the keyed hash of each secret that has not ended, kept exact by
//! the change log.
//!
//! A lookup that finds nothing is an answer ("no such key"), never a reason to ask the database. Readers take no lock that
//! a writer can hold. What is not here: deciding (the domain does) and reading the database (`changes` does).

mod ledger;
mod lenience;
mod meter;
mod progress;
#[cfg(test)]
mod races;
mod record;
mod roster;
mod shared;
mod table;
mod tally;

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use keyfold_domain::ids::{IdDigits, KeyId, WorkspaceId};
use keyfold_domain::limits::{Book, Cost, Limit, LimitName, Unwritten, Weighed};
use keyfold_domain::route::RouteMap;
use keyfold_domain::time::Timestamp;
use keyfold_domain::verdict::{Allowance, Code, Key};

use crate::mac::MacBytes;
use crate::store::limits::{SpentRow, member};
pub(crate) use ledger::Ledger;
use lenience::Lenience;
pub(crate) use meter::Meter;
use meter::Meters;
pub(crate) use progress::Progress;
pub use record::KeyRecord;
use record::{Kept, OfSecret, Sibling};
pub(crate) use record::{PlainKey, Profile};
use roster::Roster;
use shared::Shared;
use table::Table;
pub use tally::Client;
pub(crate) use tally::{Counts, Seen, Usage};

/// What one flush writes for one secret.
pub(crate) struct Flushed {
    pub(crate) id: KeyId,
    pub(crate) mac: MacBytes,
    pub(crate) counts: Counts,
    record: Arc<KeyRecord>,
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
    by_mac: Table,
    by_id: Roster,
    /// Keys with older secrets. Only whoever changes the memory looks here.
    rotating: Mutex<HashSet<IdDigits>>,
    /// By the workspace's id and by its short name, which no other id or name can be.
    routes: papaya::HashMap<String, Arc<WorkspaceRoutes>>,
    /// The meters of members with limits, by subject.
    members: papaya::HashMap<String, Arc<Meter>>,
    queue: mpsc::Sender<Arc<KeyRecord>>,
    queued: Mutex<mpsc::Receiver<Arc<KeyRecord>>>,
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
            by_mac: Table::default(),
            by_id: Roster::new(),
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
    pub(crate) fn find(&self, mac: &MacBytes) -> Option<Arc<KeyRecord>> {
        self.by_mac.get(mac)
    }

    /// The key that has a secret which is stored under the pepper before, with that hash. Notes that it is to be stored under
    /// the present one, where its hash is `mac`.
    #[cold]
    pub(crate) fn find_under_old(&self, old: MacBytes, mac: MacBytes) -> Option<Arc<KeyRecord>> {
        let Some(entry) = self.find(&old) else {
            // Moved between the two looks.
            return self.find(&mac);
        };
        if entry.usage().wants_move() {
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
        for Move { from, to } in moves {
            if let Some(record) = self.find(from) {
                let current = record.ends_at().is_none();
                record.usage().move_to(*to);
                let record = Arc::new(record.moved(*to));
                // Never at neither place.
                self.by_mac.put(Arc::clone(&record));
                self.by_mac.remove(from);
                if current {
                    self.by_id.put(record);
                }
            }
        }
    }

    /// When a key was last used with any of its secrets.
    pub(crate) fn last_used_at(&self, id: &KeyId) -> Option<Timestamp> {
        self.by_id.get(&id.digits())?.last_used_at()
    }

    /// The counters of each secret of a key that was ever counted, with its keyed hash.
    pub(crate) fn usages(&self, id: &KeyId) -> Vec<(MacBytes, Arc<Usage>)> {
        let Some(record) = self.by_id.get(&id.digits()) else { return Vec::new() };
        record.macs().filter_map(|mac| Some((*mac, record.counted_of(mac)?))).collect()
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
        key: &Key,
        current: MacBytes,
        older: &[(MacBytes, Timestamp)],
        last_used_at: Option<Timestamp>,
        stored: &Stored,
    ) {
        let before = self.by_id.get(&key.id.digits());
        let meters = self.meters(key, before.as_deref(), stored);
        let counted = |mac: &MacBytes| before.as_ref().and_then(|before| before.counted_of(mac));
        let last_used_at = last_used_at.max(before.as_ref().and_then(|before| before.last_used_at()));
        let secrets = || std::iter::once((current, None)).chain(older.iter().map(|(mac, end)| (*mac, Some(*end))));
        let family = (!older.is_empty()).then(|| {
            secrets().map(|(mac, ends_at)| Sibling { mac, ends_at, usage: counted(&mac).unwrap_or_default() }).collect::<Arc<[_]>>()
        });
        let kept = Kept { meters, family, stored_use: last_used_at.map_or(0, Timestamp::as_millis) };
        let insert = |mac: MacBytes, ends_at: Option<Timestamp>| {
            let sibling = kept.family.iter().flat_map(|all| all.iter()).find(|sibling| sibling.mac == mac);
            let usage = sibling.map(|sibling| Arc::clone(&sibling.usage)).or_else(|| counted(&mac));
            let record = Arc::new(KeyRecord::new(key, OfSecret { mac, ends_at, usage }, kept.clone(), &self.shared));
            self.by_mac.put(Arc::clone(&record));
            record
        };
        let record = insert(current, None);
        for (mac, end) in older {
            insert(*mac, Some(*end));
        }
        if let Some(before) = &before {
            for gone in before.macs().filter(|gone| secrets().all(|(mac, _)| mac != **gone)) {
                self.by_mac.remove(gone);
            }
        }
        // Whoever used a secret for the first time meanwhile counted in the old record, and a flush may have looked at that one.
        for (mac, _) in secrets() {
            if let (Some(used), Some(present)) = (counted(&mac).and_then(|usage| usage.last_used_at()), self.find(&mac)) {
                present.saw(used);
            }
        }
        let mut rotating = self.rotating.lock().unwrap_or_else(PoisonError::into_inner);
        if older.is_empty() {
            rotating.remove(record.id_digits());
        } else {
            rotating.insert(*record.id_digits());
        }
        self.by_id.put(record);
    }

    /// Makes room for so many keys at once.
    pub(crate) fn reserve(&self, keys: usize) {
        self.by_mac.reserve(keys);
        self.by_id.reserve(keys);
    }

    /// Puts a key that is not there yet, has one secret and nothing that few keys have.
    pub(crate) fn put_plain(&self, key: PlainKey<'_>, mac: MacBytes) {
        let record = Arc::new(KeyRecord::plain(key, mac));
        self.by_mac.put(Arc::clone(&record));
        self.by_id.put(record);
    }

    /// What a key has in common with others.
    pub(crate) fn profile(&self, id: &IdDigits) -> Option<Arc<Profile>> {
        self.by_id.get(id).map(|record| Arc::clone(record.profile()))
    }

    /// The meters of a key as it is now. Those that are there go on counting, through changes and rotations of the key.
    fn meters(&self, record: &Key, before: Option<&KeyRecord>, stored: &Stored) -> Option<Arc<Meters>> {
        let before = before.and_then(KeyRecord::meters);
        let (own, owners) = record.limits.as_deref().map_or((&[][..], &[][..]), |limits| (limits.own(), limits.owners()));
        let mut meters = Meters::default();
        if !own.is_empty() {
            let there = before.and_then(|before| before.own.clone());
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
        limited && self.by_id.get(&record.id.digits()).is_none_or(|record| record.meters().is_none_or(|meters| meters.own.is_none()))
    }

    /// Has the key's owner limits and no meter for them yet?
    pub(crate) fn lacks_member(&self, record: &Key) -> bool {
        let limited = record.limits.as_deref().is_some_and(|limits| !limits.owners().is_empty());
        limited && !self.members.pin().contains_key(&member(&record.workspace_id, &record.owner.id))
    }

    /// Spends a call's cost from every limit of a key or, where it does not fit, from none; with `dry` it only looks.
    /// `None` for a key that is not limited.
    pub(crate) fn weigh(&self, entry: &KeyRecord, cost: Cost, dry: bool, now: Timestamp) -> Option<Weighed> {
        let (meters, limits) = (entry.meters()?, entry.limits()?);
        let mut among = self.ledger.among();
        // Cut off, and told to go on: then with what is leased, although others may have counted it as spent.
        among.in_touch = among.in_touch || self.is_lenient(entry);
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
    fn is_lenient(&self, record: &KeyRecord) -> bool {
        self.lenience.includes(record.workspace_id().as_str()) && self.ledger.uptime_ms().is_some_and(|now| !self.is_exact(now))
    }

    /// How the limits of a key stand, with its record as they are told by it; `None` if it is unknown or not limited.
    pub(crate) fn standings(&self, id: &KeyId, now: Timestamp) -> Option<(Arc<KeyRecord>, Weighed)> {
        let entry = self.by_id.get(&id.digits())?;
        self.weigh(&entry, Cost::CHECK, true, now).map(|weighed| (entry, weighed))
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
        self.rotating.lock().unwrap_or_else(PoisonError::into_inner).retain(|id| {
            let Some(record) = self.by_id.get(id) else { return false };
            let ended = |sibling: &&Sibling| sibling.ends_at.is_some_and(|end| now >= end);
            if !record.family().iter().any(|sibling| ended(&sibling)) {
                return true;
            }
            for gone in record.family().iter().filter(ended) {
                self.by_mac.remove(gone.mac());
            }
            let live: Arc<[Sibling]> = record.family().iter().filter(|sibling| !ended(sibling)).cloned().collect();
            let stays = live.len() > 1;
            let record = Arc::new(record.with_family(stays.then_some(live)));
            self.by_mac.put(Arc::clone(&record));
            self.by_id.put(record);
            stays
        });
    }

    /// Forgets a key.
    pub(crate) fn remove(&self, id: &KeyId) {
        self.forget(&id.digits());
    }

    fn forget(&self, id: &IdDigits) {
        if let Some(record) = self.by_id.remove(id) {
            for mac in record.macs() {
                self.by_mac.remove(mac);
            }
        }
    }

    /// Forgets every key of a workspace.
    pub(crate) fn remove_of(&self, workspace: &WorkspaceId) {
        for id in self.by_id.ids(|record| record.workspace_id() == workspace) {
            self.forget(&id);
        }
    }

    /// Forgets every key that is not in `seen`.
    pub(crate) fn retain(&self, seen: &HashSet<IdDigits>) {
        for id in self.by_id.ids(|record| !seen.contains(record.id_digits())) {
            self.forget(&id);
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
    pub(crate) fn count(&self, entry: &Arc<KeyRecord>, scope: Option<&str>, client: &Client<'_>, now: Timestamp) {
        let usage = entry.usage();
        usage.call(now);
        if let Some(scope) = scope {
            usage.ask(scope, now);
        }
        if entry.ends_at().is_some() {
            self.progress.drop_sightings(usage.see(client, now));
        }
        self.enqueue(entry);
    }

    /// Counts a denial. Never waits.
    pub(crate) fn count_denial(&self, entry: &Arc<KeyRecord>, code: Code, now: Timestamp) {
        entry.usage().deny(code, now);
        self.enqueue(entry);
    }

    /// Counts that a management key was used for an act that needs this scope, once for each request.
    pub(crate) fn count_act(&self, id: &KeyId, scope: &str, request: u64, now: Timestamp) {
        if let Some(record) = self.by_id.get(&id.digits()) {
            record.usage().ask_once(scope, request, now);
            self.enqueue(&record);
        }
    }

    fn enqueue(&self, record: &Arc<KeyRecord>) {
        if record.usage().wants_flush() {
            self.progress.wait_more(1);
            // The receiving end lives as long as this struct: sending cannot fail.
            drop(self.queue.send(Arc::clone(record)));
        }
    }

    /// Takes the counts of up to `most` secrets out for a flush.
    pub(crate) fn take_counts(&self, most: usize) -> Vec<Flushed> {
        let queued = self.queued.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = queued.try_iter().take(most).inspect(|_| self.progress.wait_less(1));
        waiting.filter_map(|record| self.taken(record)).collect()
    }

    fn taken(&self, record: Arc<KeyRecord>) -> Option<Flushed> {
        let counts = record.usage().take()?;
        let mac = *record.mac();
        // Whoever used the secret for the first time while its record was replaced counted in the old one alone.
        let mut told = record.clone();
        while let Some(used) = counts.last_used_at
            && let Some(present) = self.find(&mac)
            && !Arc::ptr_eq(&present, &told)
        {
            present.saw(used);
            told = present;
        }
        Some(Flushed { id: record.id(), mac, counts, record })
    }

    /// Puts counts back whose flush failed.
    pub(crate) fn give_back(&self, counts: Vec<Flushed>) {
        for Flushed { counts, record, .. } in counts {
            self.progress.drop_sightings(record.usage().give_back(counts));
            self.enqueue(&record);
        }
    }
}
