//! A key in the verifier's memory, in few bytes: what many keys have in common is there once, what few keys have is apart,
//! and what was never used has no counters.

use std::fmt;
use std::sync::{Arc, OnceLock};

use ipnet::IpNet;
use keyfold_domain::ids::{IdDigits, KeyId, WorkspaceId};
use keyfold_domain::limits::Limits;
use keyfold_domain::scope::{KeyKind, ScopeSet};
use keyfold_domain::time::Timestamp;
use keyfold_domain::user::UserRef;
use keyfold_domain::verdict::{Facts, Key, ResourceRef};
use keyfold_domain::workspace::Role;

use super::meter::Meters;
use super::shared::Shared;
use super::tally::Usage;
use crate::mac::{MAC_LEN, MacBytes};

/// A moment that never comes.
const NEVER: Timestamp = Timestamp::from_millis(i64::MAX);
/// The longest text that needs no memory of its own.
const SHORT: usize = 22;

/// Whose keys, and where: what all keys of a person in a workspace have in common.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Holder {
    workspace_id: WorkspaceId,
    workspace: Box<str>,
    owner: UserRef,
    role: Option<Role>,
    active: bool,
}

/// What keys of one sort may do.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Grant {
    kind: KeyKind,
    scopes: ScopeSet,
    effective: ScopeSet,
}

/// What keys have in common that a person made for one purpose.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Profile {
    pub(super) holder: Arc<Holder>,
    pub(super) grant: Arc<Grant>,
}

/// What few keys have.
#[derive(Debug, Default)]
struct Rare {
    resources: Option<Box<[ResourceRef]>>,
    ip_allow: Box<[IpNet]>,
    limits: Option<Box<Limits>>,
    meters: Option<Arc<Meters>>,
    deactivated_at: Option<Timestamp>,
    stopped_for_good: bool,
    deleted_at: Option<Timestamp>,
    /// When this secret ends, if it was replaced.
    ends_at: Option<Timestamp>,
    /// All secrets of the key, if it has several.
    family: Option<Arc<[Sibling]>>,
}

impl Rare {
    fn is_empty(&self) -> bool {
        let Self { resources, ip_allow, limits, meters, deactivated_at, stopped_for_good, deleted_at, ends_at, family } = self;
        let plain = resources.is_none() && ip_allow.is_empty() && limits.is_none() && meters.is_none() && !stopped_for_good;
        plain && deactivated_at.is_none() && deleted_at.is_none() && ends_at.is_none() && family.is_none()
    }
}

/// One of several secrets of a key.
#[derive(Debug, Clone)]
pub(super) struct Sibling {
    /// Its keyed hash, as it was when this was noted.
    pub(super) mac: MacBytes,
    /// When it ends; `None` for the current one.
    pub(super) ends_at: Option<Timestamp>,
    /// What was counted of it.
    pub(super) usage: Arc<Usage>,
}

impl Sibling {
    /// Its keyed hash, as it is stored now.
    pub(super) fn mac(&self) -> &MacBytes {
        self.usage.moved_to().unwrap_or(&self.mac)
    }
}

/// A text that is mostly short.
enum Text {
    Short(u8, [u8; SHORT]),
    Long(Box<str>),
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        let mut bytes = [0; SHORT];
        match (u8::try_from(text.len()), bytes.get_mut(..text.len())) {
            (Ok(len), Some(place)) => {
                place.copy_from_slice(text.as_bytes());
                Self::Short(len, bytes)
            }
            _ => Self::Long(text.into()),
        }
    }
}

impl Text {
    fn as_str(&self) -> &str {
        match self {
            Self::Short(len, bytes) => bytes.get(..usize::from(*len)).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default(),
            Self::Long(text) => text,
        }
    }
}

/// What the verifier knows of a key, as it is found by one of its secrets. It never changes: a change of the key is another
/// record in its place. What was counted of the secret goes over from one to the next.
pub struct KeyRecord {
    /// The keyed hash of the secret, as it was when the record was made.
    mac: MacBytes,
    id: IdDigits,
    /// 0 for none.
    inactivity_days: u16,
    name: Text,
    profile: Arc<Profile>,
    rare: Option<Box<Rare>>,
    idle_from: Timestamp,
    /// [`NEVER`] for none.
    expires_at: Timestamp,
    /// The last use of the key that the database knows of, or that a secret saw that is in memory no more; 0 for none.
    stored_use: i64,
    usage: OnceLock<Arc<Usage>>,
}

impl fmt::Debug for KeyRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRecord").field("id", &self.id).field("name", &self.name()).finish_non_exhaustive()
    }
}

/// A key that has nothing that few keys have, on its way into the memory.
pub(crate) struct PlainKey<'a> {
    /// The key.
    pub(crate) id: IdDigits,
    /// What people call it.
    pub(crate) name: &'a str,
    /// What it has in common with others.
    pub(crate) profile: Arc<Profile>,
    /// From when on it is expired.
    pub(crate) expires_at: Option<Timestamp>,
    /// It goes dormant when unused for that many days; 0 for never.
    pub(crate) inactivity_days: u16,
    /// Unused time counts from here at the earliest.
    pub(crate) idle_from: Timestamp,
    /// Its last use that the database knows of.
    pub(crate) last_used_at: Option<Timestamp>,
}

/// Of which secret of a key a record is.
pub(super) struct OfSecret {
    /// Its keyed hash.
    pub(super) mac: MacBytes,
    /// When it ends; `None` for the current one.
    pub(super) ends_at: Option<Timestamp>,
    /// What was counted of it, if anything was.
    pub(super) usage: Option<Arc<Usage>>,
}

/// What the memory adds to what the database says of a key.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) meters: Option<Arc<Meters>>,
    pub(super) family: Option<Arc<[Sibling]>>,
    pub(super) stored_use: i64,
}

impl KeyRecord {
    /// A record that is in no memory, and was never used.
    pub fn of(key: &Key) -> Self {
        let of = OfSecret { mac: [0; MAC_LEN], ends_at: None, usage: None };
        Self::new(key, of, Kept { meters: None, family: None, stored_use: 0 }, &Shared::default())
    }

    pub(super) fn new(key: &Key, of: OfSecret, kept: Kept, shared: &Shared) -> Self {
        let rare = Rare {
            resources: key.resources.clone().map(Vec::into_boxed_slice),
            ip_allow: key.ip_allow.clone().into_boxed_slice(),
            limits: key.limits.clone(),
            meters: kept.meters,
            deactivated_at: key.deactivated_at,
            stopped_for_good: key.stopped_for_good,
            deleted_at: key.deleted_at,
            ends_at: of.ends_at,
            family: kept.family,
        };
        Self {
            mac: of.mac,
            id: key.id.digits(),
            // Nobody could have stored more days than fit.
            inactivity_days: key.inactivity_days.map_or(0, |days| u16::try_from(days).unwrap_or(u16::MAX)),
            name: key.name.as_str().into(),
            profile: shared.profile(key),
            rare: (!rare.is_empty()).then(|| Box::new(rare)),
            idle_from: key.idle_from(),
            expires_at: key.expires_at.unwrap_or(NEVER),
            stored_use: kept.stored_use,
            usage: of.usage.map_or_else(OnceLock::new, OnceLock::from),
        }
    }

    pub(super) fn plain(key: PlainKey<'_>, mac: MacBytes) -> Self {
        Self {
            mac,
            id: key.id,
            inactivity_days: key.inactivity_days,
            name: key.name.into(),
            profile: key.profile,
            rare: None,
            idle_from: key.idle_from,
            expires_at: key.expires_at.unwrap_or(NEVER),
            stored_use: key.last_used_at.map_or(0, Timestamp::as_millis),
            usage: OnceLock::new(),
        }
    }

    /// The same key by the same secret, which has moved to another keyed hash.
    pub(super) fn moved(&self, mac: MacBytes) -> Self {
        let family = self.rare.as_deref().and_then(|rare| rare.family.clone());
        Self { mac, ..self.with_family(family) }
    }

    /// The same key by the same secret, with other secrets beside it.
    pub(super) fn with_family(&self, family: Option<Arc<[Sibling]>>) -> Self {
        let rare = self.rare.as_deref().map(|rare| Rare {
            resources: rare.resources.clone(),
            ip_allow: rare.ip_allow.clone(),
            limits: rare.limits.clone(),
            meters: rare.meters.clone(),
            family,
            ..*rare
        });
        Self {
            rare: rare.filter(|rare| !rare.is_empty()).map(Box::new),
            name: self.name().into(),
            profile: Arc::clone(&self.profile),
            stored_use: self.last_used_at().map_or(0, Timestamp::as_millis),
            usage: OnceLock::from(Arc::clone(self.usage())),
            ..*self
        }
    }

    /// The key.
    pub fn id(&self) -> KeyId {
        KeyId::of_digits(&self.id)
    }

    /// What follows [`KeyId::PREFIX`] in the key's id.
    pub const fn id_digits(&self) -> &IdDigits {
        &self.id
    }

    /// Where it belongs.
    pub fn workspace_id(&self) -> &WorkspaceId {
        &self.profile.holder.workspace_id
    }

    /// The workspace's short name.
    pub fn workspace(&self) -> &str {
        &self.profile.holder.workspace
    }

    /// Whose it is.
    pub fn owner(&self) -> &UserRef {
        &self.profile.holder.owner
    }

    /// What the owner is in the workspace; `None` once they left it.
    pub fn owner_role(&self) -> Option<Role> {
        self.profile.holder.role
    }

    /// What people call it.
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// Its sort.
    pub fn kind(&self) -> KeyKind {
        self.profile.grant.kind
    }

    /// Its scopes and what they imply.
    pub fn effective(&self) -> &ScopeSet {
        &self.profile.grant.effective
    }

    /// What it is tied to, sorted; `None` for everything.
    pub fn resources(&self) -> Option<&[ResourceRef]> {
        self.rare.as_deref()?.resources.as_deref()
    }

    /// From where it may be used; empty for anywhere.
    pub fn ip_allow(&self) -> &[IpNet] {
        self.rare.as_deref().map(|rare| &*rare.ip_allow).unwrap_or_default()
    }

    /// How often it may be used; `None` for as often as wanted.
    pub fn limits(&self) -> Option<&Limits> {
        self.rare.as_deref()?.limits.as_deref()
    }

    /// From when on it is expired.
    pub fn expires_at(&self) -> Option<Timestamp> {
        (self.expires_at != NEVER).then_some(self.expires_at)
    }

    /// Is the time of this secret over? Then it is answered like one that never was.
    pub(crate) fn has_ended(&self, now: Timestamp) -> bool {
        self.ends_at().is_some_and(|end| now >= end)
    }

    /// When this secret ends, if it was replaced.
    pub(super) fn ends_at(&self) -> Option<Timestamp> {
        self.rare.as_deref()?.ends_at
    }

    /// The keyed hash of the secret, as it was when the record was made.
    pub(super) const fn made_of(&self) -> &MacBytes {
        &self.mac
    }

    /// The keyed hash of the secret, as it is stored now.
    pub(super) fn mac(&self) -> &MacBytes {
        self.usage.get().and_then(|usage| usage.moved_to()).unwrap_or(&self.mac)
    }

    pub(super) const fn profile(&self) -> &Arc<Profile> {
        &self.profile
    }

    pub(super) fn meters(&self) -> Option<&Arc<Meters>> {
        self.rare.as_deref()?.meters.as_ref()
    }

    /// The counters of the secret.
    pub(super) fn usage(&self) -> &Arc<Usage> {
        self.usage.get_or_init(Arc::default)
    }

    /// The keyed hashes of all secrets of the key.
    pub(super) fn macs(&self) -> impl Iterator<Item = &MacBytes> {
        let alone = self.family().is_empty().then(|| self.mac());
        alone.into_iter().chain(self.family().iter().map(Sibling::mac))
    }

    /// What was counted of the key's secret with that keyed hash, if anything was.
    pub(super) fn counted_of(&self, mac: &MacBytes) -> Option<Arc<Usage>> {
        let sibling = self.family().iter().find(|sibling| sibling.mac() == mac);
        sibling.map(|sibling| &sibling.usage).or_else(|| self.usage.get().filter(|_| self.mac() == mac)).map(Arc::clone)
    }

    /// All secrets of the key, if it has several.
    pub(super) fn family(&self) -> &[Sibling] {
        self.rare.as_deref().and_then(|rare| rare.family.as_deref()).unwrap_or_default()
    }

    /// The secret was used at that moment, which is counted elsewhere.
    pub(super) fn saw(&self, used: Timestamp) {
        if self.seen_at() < Some(used) {
            self.usage().saw(used);
        }
    }

    /// When this secret was last used, as far as this process saw.
    pub(crate) fn seen_at(&self) -> Option<Timestamp> {
        self.usage.get()?.last_used_at()
    }

    /// When the key was last used with any of its secrets.
    pub(crate) fn last_used_at(&self) -> Option<Timestamp> {
        let others = self.family().iter().filter_map(|sibling| sibling.usage.last_used_at()).max();
        let stored = Some(self.stored_use).filter(|at| *at > 0).map(Timestamp::from_millis);
        others.max(stored).max(self.seen_at())
    }
}

impl<'a> From<&'a KeyRecord> for Facts<'a> {
    fn from(key: &'a KeyRecord) -> Self {
        let (holder, grant, rare) = (&*key.profile.holder, &*key.profile.grant, key.rare.as_deref());
        Self {
            owner: &holder.owner,
            owner_role: holder.role,
            owner_active: holder.active,
            scopes: &grant.scopes,
            effective: &grant.effective,
            resources: rare.and_then(|rare| rare.resources.as_deref()),
            ip_allow: key.ip_allow(),
            expires_at: key.expires_at(),
            inactivity_days: (key.inactivity_days > 0).then(|| key.inactivity_days.into()),
            idle_from: key.idle_from,
            deactivated_at: rare.and_then(|rare| rare.deactivated_at),
            stopped_for_good: rare.is_some_and(|rare| rare.stopped_for_good),
            deleted_at: rare.and_then(|rare| rare.deleted_at),
        }
    }
}

impl Holder {
    pub(super) fn of(key: &Key) -> Self {
        Self {
            workspace_id: key.workspace_id.clone(),
            workspace: (*key.workspace).into(),
            owner: UserRef::clone(&key.owner),
            role: key.owner_role,
            active: key.owner_active,
        }
    }
}

impl Grant {
    pub(super) fn of(key: &Key) -> Self {
        Self { kind: key.kind, scopes: ScopeSet::clone(&key.scopes), effective: ScopeSet::clone(&key.effective) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_what_it_was_however_long() {
        for text in ["", "CI", "Zürich 界 🦀", "exactly twenty-two byt", "one byte more than that", &"ü".repeat(100)] {
            assert_eq!(Text::from(text).as_str(), text);
        }
    }

    #[test]
    fn a_record_stays_small() {
        assert!(size_of::<KeyRecord>() <= 136, "{}", size_of::<KeyRecord>());
        assert!(size_of::<Usage>() <= 64, "{}", size_of::<Usage>());
    }
}
