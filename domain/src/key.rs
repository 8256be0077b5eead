//! Keys as they are asked for, changed and shown. What decides whether one passes is in `verdict`.

use serde::{Deserialize, Serialize, Serializer};

use crate::addresses::{AddressRange, checked_ranges};
use crate::catalogue::ScopeCatalogue;
use crate::ids::{KeyId, UserId, WorkspaceId};
use crate::limits::{Limit, Whose, check_limits};
use crate::name;
use crate::problem::Problem;
use crate::resource::{MAX_KEY_RESOURCES, ResourceName, ResourceSummary};
use crate::scope::{KeyKind, ScopeName, ScopeSet};
use crate::time::Timestamp;
use crate::token::Secret;
use crate::user::UserRef;
use crate::workspace::WorkspaceRef;

/// The longest inactivity interval, in days.
pub const MAX_INACTIVITY_DAYS: u32 = 3650;
/// The most rows of one page.
pub const MAX_PAGE: u32 = 200;
/// The rows of a page when nobody says otherwise.
pub const DEFAULT_PAGE: u32 = 50;
/// The most days that a filter looks back or ahead.
pub const MAX_FILTER_DAYS: u32 = 3650;

/// When a key shall end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expiry {
    /// As the workspace's rules say.
    #[default]
    Default,
    /// Never, where the rules allow it.
    Never,
    /// That many days after it was asked for. Unlike a moment it says the same when the request is sent again.
    InDays(u32),
    /// At that moment: from it on the key is expired.
    At(Timestamp),
}

/// After how long without a use a new key shall go dormant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Inactivity {
    /// As the workspace's rules say.
    #[default]
    Default,
    /// Never.
    Off,
    /// After that many days.
    Days(u32),
}

impl Inactivity {
    /// The days that are asked for by number.
    pub const fn days(self) -> Option<u32> {
        match self {
            Self::Days(days) => Some(days),
            Self::Default | Self::Off => None,
        }
    }
}

/// A key to be created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// What people call it; may be empty.
    #[serde(default)]
    pub name: String,
    /// Fixed for its life.
    pub kind: KeyKind,
    /// What it may be used for.
    pub scopes: ScopeSet,
    /// When it ends.
    #[serde(default)]
    pub expires_at: Expiry,
    /// After how many days without a use it goes dormant.
    #[serde(default)]
    pub inactivity_days: Inactivity,
    /// A note for people.
    #[serde(default)]
    pub note: String,
    /// Whose key it is; `None` for the creator's own.
    #[serde(default)]
    pub owner: Option<UserId>,
    /// What it is tied to; empty for everything.
    #[serde(default)]
    pub resources: Vec<ResourceName>,
    /// Shall it be tied also to what is not its owner's? For administrators.
    #[serde(default)]
    pub override_owner: bool,
    /// From where it may be used; empty for anywhere. For administrators.
    #[serde(default)]
    pub ip_allow: Vec<AddressRange>,
    /// How often it may be used; empty for as often as wanted. For administrators.
    #[serde(default)]
    pub limits: Vec<Limit>,
}

impl NewKey {
    /// A new key with text fields in their accepted form, or the first input at fault. Expiry and whose the resources are is
    /// for the workspace to say.
    pub fn checked(self, catalogue: &ScopeCatalogue) -> Result<Self, Problem> {
        self.scopes.check(self.kind, catalogue).map_err(|refusal| Problem::invalid("scopes", sentence(&refusal)))?;
        check_inactivity(self.inactivity_days.days())?;
        check_resources(&self.resources)?;
        check_limits(&self.limits)?;
        Ok(Self {
            name: name::optional_name("name", &self.name)?,
            note: name::note("note", &self.note)?,
            ip_allow: checked_ranges(self.ip_allow)?,
            ..self
        })
    }
}

/// A partial change of a key: what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyPatch {
    /// A new name.
    #[serde(default)]
    pub name: Option<String>,
    /// The new scopes, all of them.
    #[serde(default)]
    pub scopes: Option<ScopeSet>,
    /// A new end.
    #[serde(default)]
    pub expires_at: Option<Expiry>,
    /// A new inactivity interval in days; `Some(None)` removes it.
    #[serde(default)]
    pub inactivity_days: Option<Option<u32>>,
    /// A new note.
    #[serde(default)]
    pub note: Option<String>,
    /// What it shall be tied to, all of it; empty for everything.
    #[serde(default)]
    pub resources: Option<Vec<ResourceName>>,
    /// Shall it be tied also to what is not its owner's? For administrators.
    #[serde(default)]
    pub override_owner: bool,
    /// From where it may be used from now on, all of it; empty for anywhere. For administrators.
    #[serde(default)]
    pub ip_allow: Option<Vec<AddressRange>>,
    /// How often it may be used from now on, all of it; empty for as often as wanted. For administrators.
    #[serde(default)]
    pub limits: Option<Vec<Limit>>,
    /// The version the change was made from; a key of another version is left alone. `None` changes whatever is there.
    #[serde(default)]
    pub version: Option<i64>,
}

impl KeyPatch {
    /// A patch for a key of that kind with text fields in their accepted form, or the first input at fault.
    pub fn checked(self, kind: KeyKind, catalogue: &ScopeCatalogue) -> Result<Self, Problem> {
        if let Some(scopes) = &self.scopes {
            scopes.check(kind, catalogue).map_err(|refusal| Problem::invalid("scopes", sentence(&refusal)))?;
        }
        check_inactivity(self.inactivity_days.flatten())?;
        check_resources(self.resources.as_deref().unwrap_or_default())?;
        check_limits(self.limits.as_deref().unwrap_or_default())?;
        Ok(Self {
            ip_allow: self.ip_allow.map(checked_ranges).transpose()?,
            name: self.name.map(|text| name::optional_name("name", &text)).transpose()?,
            note: self.note.map(|text| name::note("note", &text)).transpose()?,
            ..self
        })
    }
}

fn sentence(refusal: &crate::scope::ScopeRefusal) -> String {
    let text = refusal.to_string();
    let mut chars = text.chars();
    chars.next().map(|first| format!("{}{}.", first.to_uppercase(), chars.as_str())).unwrap_or_default()
}

fn check_inactivity(days: Option<u32>) -> Result<(), Problem> {
    match days {
        Some(days) if !(1..=MAX_INACTIVITY_DAYS).contains(&days) => {
            Err(Problem::invalid("inactivity_days", format!("Choose 1 to {MAX_INACTIVITY_DAYS} days, or none.")))
        }
        _ => Ok(()),
    }
}

fn check_resources(resources: &[ResourceName]) -> Result<(), Problem> {
    if resources.len() > MAX_KEY_RESOURCES {
        return Err(Problem::invalid("resources", format!("A key may be tied to at most {MAX_KEY_RESOURCES} resources.")));
    }
    Ok(())
}

/// Why a key does not work though it was not deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InactiveReason {
    /// Somebody stopped it.
    Deactivated,
    /// Its time is over.
    Expired,
    /// It was not used for its inactivity interval.
    Dormant,
    /// Its owner was disabled or left the workspace.
    OwnerDisabled,
}

/// Whether a key works, derived from its record and the time. Serialised as one word: the browser's reader of anything more
/// would weigh kibibytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
pub enum KeyState {
    /// It works.
    Active,
    /// It does not work, and why.
    Inactive(InactiveReason),
    /// It is gone for good; the record stays.
    Deleted,
}

impl KeyState {
    /// Every state.
    pub const ALL: [Self; 6] = [
        Self::Active,
        Self::Inactive(InactiveReason::Deactivated),
        Self::Inactive(InactiveReason::Expired),
        Self::Inactive(InactiveReason::Dormant),
        Self::Inactive(InactiveReason::OwnerDisabled),
        Self::Deleted,
    ];

    /// The word it is serialised as.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive(InactiveReason::Deactivated) => "deactivated",
            Self::Inactive(InactiveReason::Expired) => "expired",
            Self::Inactive(InactiveReason::Dormant) => "dormant",
            Self::Inactive(InactiveReason::OwnerDisabled) => "owner_disabled",
            Self::Deleted => "deleted",
        }
    }
}

impl From<KeyState> for &'static str {
    fn from(state: KeyState) -> Self {
        state.as_str()
    }
}

/// The word names no state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a state of a key")]
pub struct InvalidKeyState;

impl TryFrom<String> for KeyState {
    type Error = InvalidKeyState;

    fn try_from(word: String) -> Result<Self, InvalidKeyState> {
        Self::ALL.into_iter().find(|state| state.as_str() == word).ok_or(InvalidKeyState)
    }
}

/// From where and how often a key may be used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyBounds {
    /// From where; empty for anywhere.
    pub ip_allow: Vec<AddressRange>,
    /// How often; empty for as often as wanted.
    pub limits: Vec<Limit>,
}

/// How one of the limits that hold for a key stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitState {
    /// The limit.
    pub limit: Limit,
    /// Whose it is.
    pub whose: Whose,
    /// How many units are left.
    pub remaining: u32,
    /// When all of them will be there again if nobody spends any meanwhile.
    pub resets_at: Timestamp,
}

/// From where and how often a key may be used, as its own page shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyLimits {
    /// From where; empty for anywhere.
    pub ip_allow: Vec<AddressRange>,
    /// Its own limits and its owner's.
    pub limits: Vec<LimitState>,
    /// The version of the key.
    pub version: i64,
}

/// A key as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeySummary {
    /// The key.
    pub id: KeyId,
    /// The workspace it belongs to.
    pub workspace_id: WorkspaceId,
    /// Whose key it is.
    pub owner: UserRef,
    /// Who made it, as a name; `None` if that is not known any more.
    pub created_by: Option<String>,
    /// What people call it; may be empty.
    pub name: String,
    /// Fixed for its life.
    pub kind: KeyKind,
    /// What it may be used for.
    pub scopes: ScopeSet,
    /// What it is tied to, by kind and external id; empty for everything. Deleted ones stay here.
    pub resources: Vec<ResourceSummary>,
    /// The masked secret, `kf_sec_…rOY1`.
    pub hint: String,
    /// Whether it works now.
    pub state: KeyState,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is expired; `None` for never.
    pub expires_at: Option<Timestamp>,
    /// It goes dormant when unused for that many days.
    pub inactivity_days: Option<u32>,
    /// When it was last used with success.
    pub last_used_at: Option<Timestamp>,
    /// How often it was used with success.
    pub total_calls: i64,
    /// Grows with every change; see `KeyPatch::version`.
    pub version: i64,
    /// A note for people.
    pub note: String,
    /// When it was deactivated or deleted.
    pub stopped_at: Option<Timestamp>,
    /// Why it was deactivated, in the words of who did it.
    pub stopped_reason: Option<String>,
    /// Who deactivated or deleted it, as a name; `None` if it was not, or before this was kept.
    pub stopped_by: Option<String>,
    /// From where and how often it may be used. Not serialised: a browser's list has no use for it, and a key's own page
    /// asks for [`KeyLimits`].
    #[serde(skip)]
    pub bounds: KeyBounds,
    /// Nobody can activate it again: whoever deactivated it was told so.
    #[serde(default)]
    pub stopped_for_good: bool,
}

/// A key and where it belongs, for lists across workspaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacedKey {
    /// The key.
    pub key: KeySummary,
    /// The workspace it belongs to.
    pub workspace: WorkspaceRef,
}

/// A key with its secret: the answer to creation, and the only carrier of a secret that can be serialised.
#[derive(Debug, Serialize, Deserialize)]
pub struct IssuedKey {
    /// The key.
    pub key: KeySummary,
    /// The secret in the clear, for this one time.
    #[serde(serialize_with = "expose", deserialize_with = "take")]
    pub secret: Secret,
}

fn expose<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

fn take<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    String::deserialize(deserializer).map(Secret::from_text)
}

/// Which keys a list shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StateFilter {
    /// All but the deleted ones.
    #[default]
    Live,
    /// Those that work.
    Active,
    /// Those that do not work and are not deleted.
    Inactive,
    /// The deleted ones.
    Deleted,
    /// Every one.
    All,
}

impl StateFilter {
    /// Every filter, in the order they are offered.
    pub const ALL: [Self; 5] = [Self::Live, Self::Active, Self::Inactive, Self::Deleted, Self::All];

    /// The name used in addresses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Deleted => "deleted",
            Self::All => "all",
        }
    }

    /// The filter with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|filter| filter.as_str() == name)
    }
}

/// By what a list is ordered. Ties are broken by id.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeySort {
    /// When it was made.
    #[default]
    Created,
    /// Its name, ignoring case.
    Name,
    /// When it was last used; never comes before any use.
    LastUsed,
    /// When it ends; never comes after any date.
    Expires,
}

impl KeySort {
    /// Every order.
    pub const ALL: [Self; 4] = [Self::Created, Self::Name, Self::LastUsed, Self::Expires];

    /// The name used in addresses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Name => "name",
            Self::LastUsed => "last_used",
            Self::Expires => "expires",
        }
    }

    /// The order with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|sort| sort.as_str() == name)
    }
}

/// Which page of which keys.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeyFilter {
    /// Part of a name, a hint's end or an id; empty for all.
    pub search: String,
    /// Which states.
    pub state: StateFilter,
    /// Whose keys; `None` for everybody's that the asker may see.
    pub owner: Option<UserId>,
    /// Only keys that hold this scope itself; what others imply does not count.
    pub scope: Option<ScopeName>,
    /// Only keys of this kind.
    pub kind: Option<KeyKind>,
    /// Only keys that end within so many days and have not ended yet.
    pub expiring: Option<u32>,
    /// Only keys that nobody ever used.
    pub never_used: bool,
    /// Only keys not used for so many days; one that was never used counts from its creation.
    pub idle: Option<u32>,
    /// Only keys tied to this resource, by its id or as `kind:id`; empty for all.
    pub resource: String,
    /// In what order.
    pub sort: KeySort,
    /// Largest first.
    pub descending: bool,
    /// Where the page starts: the `next` of the page before.
    pub cursor: Option<String>,
    /// The most rows, 1 to [`MAX_PAGE`].
    pub limit: u32,
}

impl Default for KeyFilter {
    /// The newest live keys first.
    fn default() -> Self {
        Self {
            search: String::new(),
            state: StateFilter::Live,
            owner: None,
            scope: None,
            kind: None,
            expiring: None,
            never_used: false,
            idle: None,
            resource: String::new(),
            sort: KeySort::Created,
            descending: true,
            cursor: None,
            limit: DEFAULT_PAGE,
        }
    }
}

impl KeyFilter {
    /// The first input at fault, if one is.
    pub fn check(&self) -> Result<(), Problem> {
        if !(1..=MAX_PAGE).contains(&self.limit) {
            return Err(Problem::invalid("limit", format!("Choose 1 to {MAX_PAGE} rows.")));
        }
        name::check_search("search", &self.search)?;
        if !self.resource.is_empty() && self.resource.parse::<ResourceName>().is_err() {
            return Err(Problem::invalid("resource", "Send a resource's id, res_…, or kind:id, like collection:contracts."));
        }
        for (field, days) in [("expiring", self.expiring), ("idle", self.idle)] {
            if days.is_some_and(|days| !(1..=MAX_FILTER_DAYS).contains(&days)) {
                return Err(Problem::invalid(field, format!("Choose 1 to {MAX_FILTER_DAYS} days.")));
            }
        }
        Ok(())
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Where the next page starts; `None` at the end.
    pub next: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_says_which_input_is_at_fault() {
        let scopes: ScopeSet = ["chat".parse().unwrap()].into_iter().collect();
        let good = NewKey {
            name: " CI ".into(),
            kind: KeyKind::Secret,
            scopes: scopes.clone(),
            expires_at: Expiry::Default,
            inactivity_days: Inactivity::Days(30),
            note: "a\r\nb".into(),
            owner: None,
            resources: vec![],
            override_owner: false,
            ip_allow: vec![],
            limits: vec![],
        };
        let built_in = ScopeCatalogue::default();
        let checked = good.clone().checked(&built_in).unwrap();
        assert_eq!((checked.name.as_str(), checked.note.as_str()), ("CI", "a\nb"));
        let field = |key: NewKey| key.checked(&built_in).unwrap_err().field.unwrap();
        assert_eq!(field(NewKey { name: "\u{202e}".into(), ..good.clone() }), "name");
        assert_eq!(field(NewKey { scopes: ScopeSet::default(), ..good.clone() }), "scopes");
        assert_eq!(field(NewKey { kind: KeyKind::Publishable, ..good.clone() }), "scopes");
        assert_eq!(field(NewKey { inactivity_days: Inactivity::Days(0), ..good.clone() }), "inactivity_days");
        let many = vec!["collection:x".parse().unwrap(); MAX_KEY_RESOURCES + 1];
        assert_eq!(field(NewKey { resources: many, ..good.clone() }), "resources");
        let limit: Limit = serde_json::from_str(r#"{"name":"a","limit":1,"quota":"day"}"#).unwrap();
        assert_eq!(field(NewKey { limits: vec![limit.clone(), limit], ..good.clone() }), "limits[1].name");
        let ranges = (0..=100).map(|at| format!("10.0.0.{at}").parse().unwrap()).collect();
        assert_eq!(field(NewKey { ip_allow: ranges, ..good.clone() }), "ip_allow");
        let twice = vec!["10.0.0.0/8".parse().unwrap(); 2];
        assert_eq!(NewKey { ip_allow: twice, ..good }.checked(&built_in).unwrap().ip_allow.len(), 1);
    }

    #[test]
    fn every_state_is_one_word_and_comes_back() {
        for state in KeyState::ALL {
            let written = serde_json::to_string(&state).unwrap();
            assert_eq!(written, format!("\"{}\"", state.as_str()));
            assert_eq!(serde_json::from_str::<KeyState>(&written).unwrap(), state);
        }
        assert!(serde_json::from_str::<KeyState>("\"inactive\"").is_err());
    }

    #[test]
    fn unknown_fields_are_refused() {
        assert!(serde_json::from_str::<NewKey>(r#"{"kind":"secret","scopes":["chat"],"role":"owner"}"#).is_err());
        assert!(serde_json::from_str::<KeyPatch>(r#"{"mac":"00"}"#).is_err());
    }
}
