//! The verdict: may this key do this? The one place that decides. Total, pure, and it names its reason.

mod explain;

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::ids::{KeyId, WorkspaceId};
use crate::key::{InactiveReason, KeyState};
use crate::limits::Limits;
use crate::problem::Problem;
use crate::scope::{KeyKind, ScopeSet};
use crate::time::{DAY_MS, Timestamp};
use crate::user::UserRef;
use crate::workspace::Role;

pub use explain::{Check, Explanation, RouteHit, explain};

/// The answer to "may this key do this?", with the reason. Checked in this order; the first failure is the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// Not a secret of this installation: wrong shape or checksum.
    Malformed,
    /// No such key, or one the caller may not know of.
    NotFound,
    /// Deleted. Strangers, and the key itself, are told `not_found`.
    Deleted,
    /// Somebody stopped it.
    Deactivated,
    /// Its owner was disabled or left the workspace.
    OwnerDisabled,
    /// Its time is over.
    Expired,
    /// It was not used for its inactivity interval.
    Dormant,
    /// The end client's address is not on its list.
    IpDenied,
    /// It does not hold the scope asked for.
    MissingScope,
    /// It is tied to other resources.
    WrongResource,
    /// Too many calls in too short a time.
    RateLimited,
    /// Its quota is used up.
    QuotaExceeded,
    /// It may.
    Valid,
}

impl Code {
    /// Every code in the order of the checks.
    pub const ALL: [Self; 13] = [
        Self::Malformed,
        Self::NotFound,
        Self::Deleted,
        Self::Deactivated,
        Self::OwnerDisabled,
        Self::Expired,
        Self::Dormant,
        Self::IpDenied,
        Self::MissingScope,
        Self::WrongResource,
        Self::RateLimited,
        Self::QuotaExceeded,
        Self::Valid,
    ];

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::NotFound => "not_found",
            Self::Deleted => "deleted",
            Self::Deactivated => "deactivated",
            Self::OwnerDisabled => "owner_disabled",
            Self::Expired => "expired",
            Self::Dormant => "dormant",
            Self::IpDenied => "ip_denied",
            Self::MissingScope => "missing_scope",
            Self::WrongResource => "wrong_resource",
            Self::RateLimited => "rate_limited",
            Self::QuotaExceeded => "quota_exceeded",
            Self::Valid => "valid",
        }
    }

    /// What to tell a person who holds the key and what they can do.
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::Malformed => "This is not an API key of this service. Check that all of it was copied.",
            Self::NotFound | Self::Deleted => "There is no such API key. It may have been deleted.",
            Self::Deactivated => "This API key was deactivated. Ask its owner or an administrator.",
            Self::OwnerDisabled => "The owner of this API key may no longer use this workspace. Ask an administrator.",
            Self::Expired => "This API key has expired. Create a new one or extend it.",
            Self::Dormant => "This API key was not used for too long. Ask an administrator to activate it.",
            Self::IpDenied => "This API key may not be used from this address.",
            Self::MissingScope => "This API key does not hold the scope that this needs.",
            Self::WrongResource => "This API key is tied to other resources, or to ones that were deleted.",
            Self::RateLimited => "Too many calls with this API key. Wait and try again.",
            Self::QuotaExceeded => "The quota of this API key is used up.",
            Self::Valid => "This API key is valid.",
        }
    }
}

/// A thing a key can be tied to, by kind and by its id in the service that has it: `collection:contracts`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ResourceRef {
    kind: Box<str>,
    external_id: Box<str>,
}

impl ResourceRef {
    /// A kind is 1 to 40 lower-case letters, digits, `_` or `-`, starting with a letter; an id 1 to 200 visible characters.
    pub fn new(kind: &str, external_id: &str) -> Result<Self, Problem> {
        let kind_fits = (1..=40).contains(&kind.len())
            && kind.starts_with(|first: char| first.is_ascii_lowercase())
            && kind.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-');
        if !kind_fits {
            let rule = "Use one lower-case word of up to 40 letters, digits, _ and -, like collection.";
            return Err(Problem::invalid("kind", rule));
        }
        let id_fits = (1..=200).contains(&external_id.chars().count()) && !external_id.chars().any(|c| c.is_control() || c.is_whitespace());
        if !id_fits {
            return Err(Problem::invalid("external_id", "Use 1 to 200 visible characters without spaces."));
        }
        Ok(Self { kind: kind.into(), external_id: external_id.into() })
    }

    /// What sort of thing it is.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// What the service that has it calls it.
    pub fn external_id(&self) -> &str {
        &self.external_id
    }
}

impl FromStr for ResourceRef {
    type Err = Problem;

    /// Reads `kind:id`; see [`Self::new`].
    fn from_str(text: &str) -> Result<Self, Problem> {
        let wrong = || Problem::invalid("resource", "Write a resource as kind:id, for instance collection:contracts.");
        let (kind, external_id) = text.split_once(':').ok_or_else(wrong)?;
        Self::new(kind, external_id).map_err(|_| wrong())
    }
}

impl TryFrom<String> for ResourceRef {
    type Error = Problem;

    fn try_from(text: String) -> Result<Self, Problem> {
        text.parse()
    }
}

impl From<ResourceRef> for String {
    fn from(resource: ResourceRef) -> Self {
        resource.to_string()
    }
}

impl fmt::Display for ResourceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.external_id)
    }
}

/// All that decides about a key, and what a verified caller is told of it. What many keys have in common can be shared.
#[derive(Debug, Clone)]
pub struct Key {
    /// The key.
    pub id: KeyId,
    /// Where it belongs.
    pub workspace_id: WorkspaceId,
    /// The workspace's short name.
    pub workspace: Arc<str>,
    /// Whose it is.
    pub owner: Arc<UserRef>,
    /// What the owner is in the workspace; `None` once they left it.
    pub owner_role: Option<Role>,
    /// May the owner sign in?
    pub owner_active: bool,
    /// What people call it.
    pub name: String,
    /// Its sort.
    pub kind: KeyKind,
    /// The scopes it was given.
    pub scopes: Arc<ScopeSet>,
    /// Those and what they imply; see `ScopeSet::effective`.
    pub effective: Arc<ScopeSet>,
    /// What it is tied to, sorted; `None` for everything. Resources that were deleted are not in it, so that a key none of
    /// whose resources is left is tied to nothing.
    pub resources: Option<Vec<ResourceRef>>,
    /// From where it may be used; empty for anywhere.
    pub ip_allow: Vec<IpNet>,
    /// How often it may be used; `None` for as often as wanted.
    pub limits: Option<Box<Limits>>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is expired.
    pub expires_at: Option<Timestamp>,
    /// It goes dormant when unused for that many days.
    pub inactivity_days: Option<u32>,
    /// When it was last switched on again; unused time counts from here at the earliest.
    pub activated_at: Option<Timestamp>,
    /// When it was deactivated.
    pub deactivated_at: Option<Timestamp>,
    /// Nobody can activate it again: whoever deactivated it was told so. It is no other state than deactivated.
    pub stopped_for_good: bool,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
}

/// What decides about a key, borrowed from wherever its record is kept.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Whose it is.
    pub owner: &'a UserRef,
    /// What the owner is in the workspace; `None` once they left it.
    pub owner_role: Option<Role>,
    /// May the owner sign in?
    pub owner_active: bool,
    /// The scopes it was given.
    pub scopes: &'a ScopeSet,
    /// Those and what they imply.
    pub effective: &'a ScopeSet,
    /// What it is tied to, sorted; `None` for everything.
    pub resources: Option<&'a [ResourceRef]>,
    /// From where it may be used; empty for anywhere.
    pub ip_allow: &'a [IpNet],
    /// From when on it is expired.
    pub expires_at: Option<Timestamp>,
    /// It goes dormant when unused for that many days.
    pub inactivity_days: Option<u32>,
    /// Unused time counts from here at the earliest: when it was made, or last switched on again.
    pub idle_from: Timestamp,
    /// When it was deactivated.
    pub deactivated_at: Option<Timestamp>,
    /// Nobody can activate it again.
    pub stopped_for_good: bool,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
}

impl<'a> From<&'a Key> for Facts<'a> {
    fn from(key: &'a Key) -> Self {
        Self {
            owner: &key.owner,
            owner_role: key.owner_role,
            owner_active: key.owner_active,
            scopes: &key.scopes,
            effective: &key.effective,
            resources: key.resources.as_deref(),
            ip_allow: &key.ip_allow,
            expires_at: key.expires_at,
            inactivity_days: key.inactivity_days,
            idle_from: key.idle_from(),
            deactivated_at: key.deactivated_at,
            stopped_for_good: key.stopped_for_good,
            deleted_at: key.deleted_at,
        }
    }
}

impl Key {
    /// Unused time counts from here at the earliest: when it was made, or last switched on again.
    pub fn idle_from(&self) -> Timestamp {
        self.activated_at.map_or(self.created_at, |at| at.max(self.created_at))
    }
}

/// What is asked of a key besides being a live one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Question<'a> {
    /// The scope the act needs.
    pub scope: Option<&'a str>,
    /// The resource the act touches.
    pub resource: Option<&'a ResourceRef>,
    /// The end client's address.
    pub client_ip: Option<IpAddr>,
}

/// What counters outside the key's record say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Allowance {
    /// Nothing is used up, or nothing is limited.
    #[default]
    Free,
    /// A rate limit is reached.
    RateLimited,
    /// A quota is used up.
    QuotaExceeded,
}

impl Allowance {
    /// The code that it gives to a key that passes all other checks.
    pub const fn code(self) -> Code {
        match self {
            Self::Free => Code::Valid,
            Self::RateLimited => Code::RateLimited,
            Self::QuotaExceeded => Code::QuotaExceeded,
        }
    }
}

/// The moment of the question: what changes without the key's record changing.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// Now.
    pub now: Timestamp,
    /// When the key was last used with success.
    pub last_used_at: Option<Timestamp>,
    /// Time a crash may have taken from `last_used_at`, in milliseconds: dormancy waits that much longer.
    pub grace_ms: i64,
    /// What counters say.
    pub allowance: Allowance,
}

impl Moment {
    /// A moment without use, grace or limits.
    pub const fn at(now: Timestamp) -> Self {
        Self { now, last_used_at: None, grace_ms: 0, allowance: Allowance::Free }
    }
}

/// Does a key pass one check?
type Passes = fn(&Facts<'_>, &Question<'_>, &Moment) -> bool;

/// The checks on a record in their fixed order: each with the code its failure gives.
const CHECKS: [(Code, Passes); 10] = [
    (Code::Deleted, |key, _, _| key.deleted_at.is_none()),
    (Code::Deactivated, |key, _, _| key.deactivated_at.is_none()),
    (Code::OwnerDisabled, |key, _, _| key.owner_active && key.owner_role.is_some()),
    (Code::Expired, |key, _, moment| key.expires_at.is_none_or(|end| moment.now < end)),
    (Code::Dormant, |key, _, moment| !is_dormant(key, moment)),
    (Code::IpDenied, |key, question, _| {
        key.ip_allow.is_empty() || question.client_ip.is_some_and(|ip| key.ip_allow.iter().any(|net| net.contains(&ip.to_canonical())))
    }),
    (Code::MissingScope, |key, question, _| question.scope.is_none_or(|scope| key.effective.contains(scope))),
    (Code::WrongResource, |key, question, _| {
        // Tied to nothing any more is not tied to nothing: such a key is of no use, whatever is asked.
        key.resources.is_none_or(|tied| !tied.is_empty() && question.resource.is_none_or(|asked| tied.binary_search(asked).is_ok()))
    }),
    (Code::RateLimited, |_, _, moment| moment.allowance != Allowance::RateLimited),
    (Code::QuotaExceeded, |_, _, moment| moment.allowance != Allowance::QuotaExceeded),
];

fn is_dormant(key: &Facts<'_>, moment: &Moment) -> bool {
    dormant_from(key, moment).is_some_and(|from| moment.now.millis_since(from) >= moment.grace_ms)
}

/// From when on the key is dormant if nobody uses it, without the grace; `None` if it never is.
fn dormant_from(key: &Facts<'_>, moment: &Moment) -> Option<Timestamp> {
    let days = key.inactivity_days?;
    let since = moment.last_used_at.map_or(key.idle_from, |at| at.max(key.idle_from));
    Some(since.plus_ms(i64::from(days).saturating_mul(DAY_MS)))
}

/// May `key` do what `question` asks at that `moment`? The code of the first check that fails, or [`Code::Valid`].
///
/// `Malformed` and `NotFound` never come from here: they are said when there is no record to judge.
pub fn judge<'a>(key: impl Into<Facts<'a>>, question: &Question<'_>, moment: &Moment) -> Code {
    let key = key.into();
    CHECKS.iter().find(|(_, passes)| !passes(&key, question, moment)).map_or(Code::Valid, |(code, _)| *code)
}

/// Whether the key works now, as lists show it: the verdict on a question that asks for nothing.
pub fn state<'a>(key: impl Into<Facts<'a>>, moment: &Moment) -> KeyState {
    let key = key.into();
    let alive = Moment { allowance: Allowance::Free, ..*moment };
    match CHECKS[..5].iter().find(|(_, passes)| !passes(&key, &Question::default(), &alive)).map(|(code, _)| *code) {
        Some(Code::Deleted) => KeyState::Deleted,
        Some(Code::Deactivated) => KeyState::Inactive(InactiveReason::Deactivated),
        Some(Code::OwnerDisabled) => KeyState::Inactive(InactiveReason::OwnerDisabled),
        Some(Code::Expired) => KeyState::Inactive(InactiveReason::Expired),
        Some(Code::Dormant) => KeyState::Inactive(InactiveReason::Dormant),
        _ => KeyState::Active,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::catalogue::ScopeCatalogue;
    use proptest::prelude::*;

    pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    /// A key that works, for a millisecond more.
    pub(crate) fn key() -> Key {
        let scopes: ScopeSet = ["project".parse().unwrap()].into_iter().collect();
        Key {
            id: "key_0123456789012345678901".parse().unwrap(),
            workspace_id: "wsp_0123456789012345678901".parse().unwrap(),
            workspace: "acme".into(),
            owner: UserRef { id: "usr_0123456789012345678901".parse().unwrap(), username: "ada".into(), display_name: "Ada".into() }.into(),
            owner_role: Some(Role::Member),
            owner_active: true,
            name: "CI".into(),
            kind: KeyKind::Secret,
            effective: scopes.effective(&ScopeCatalogue::default()).into(),
            scopes: scopes.into(),
            resources: None,
            ip_allow: vec![],
            limits: None,
            created_at: NOW.plus_days(-10),
            expires_at: Some(NOW.plus_ms(1)),
            inactivity_days: Some(5),
            activated_at: None,
            deactivated_at: None,
            stopped_for_good: false,
            deleted_at: None,
        }
    }

    fn moment() -> Moment {
        Moment { last_used_at: Some(NOW.plus_days(-1)), ..Moment::at(NOW) }
    }

    fn ask(scope: &str) -> Question<'_> {
        Question { scope: Some(scope), ..Question::default() }
    }

    /// Breaks one check at a time, last check first; each time the verdict moves to the earlier code.
    #[test]
    fn the_first_failure_in_the_fixed_order_names_the_code() {
        let contracts: ResourceRef = "collection:contracts".parse().unwrap();
        let question = Question { scope: Some("chat"), resource: Some(&contracts), client_ip: "192.0.2.1".parse().ok() };
        let mut key = key();
        let mut now = moment();
        Arc::make_mut(&mut key.effective).insert("chat".parse().unwrap());
        assert_eq!(judge(&key, &question, &now), Code::Valid);
        now.allowance = Allowance::QuotaExceeded;
        assert_eq!(judge(&key, &question, &now), Code::QuotaExceeded);
        now.allowance = Allowance::RateLimited;
        assert_eq!(judge(&key, &question, &now), Code::RateLimited);
        key.resources = Some(vec!["collection:other".parse().unwrap()]);
        assert_eq!(judge(&key, &question, &now), Code::WrongResource);
        Arc::make_mut(&mut key.effective).remove("chat");
        assert_eq!(judge(&key, &question, &now), Code::MissingScope);
        key.ip_allow = vec!["10.0.0.0/8".parse().unwrap()];
        assert_eq!(judge(&key, &question, &now), Code::IpDenied);
        now.last_used_at = Some(NOW.plus_days(-5));
        assert_eq!(judge(&key, &question, &now), Code::Dormant);
        key.expires_at = Some(NOW);
        assert_eq!(judge(&key, &question, &now), Code::Expired);
        key.owner_active = false;
        assert_eq!(judge(&key, &question, &now), Code::OwnerDisabled);
        key.deactivated_at = Some(NOW);
        assert_eq!(judge(&key, &question, &now), Code::Deactivated);
        key.deleted_at = Some(NOW);
        assert_eq!(judge(&key, &question, &now), Code::Deleted);
    }

    #[test]
    fn a_key_expires_at_its_very_millisecond() {
        let key = key();
        assert_eq!(judge(&key, &ask("project"), &moment()), Code::Valid);
        assert_eq!(judge(&key, &ask("project"), &Moment { now: NOW.plus_ms(1), ..moment() }), Code::Expired);
    }

    #[test]
    fn dormancy_counts_from_the_last_use_the_last_activation_or_the_creation_and_waits_for_the_grace() {
        let five_days = |from: Timestamp| Moment { now: from.plus_days(5), ..Moment::at(NOW) };
        let mut key = Key { expires_at: None, ..key() };
        assert_eq!(judge(&key, &Question::default(), &five_days(key.created_at)), Code::Dormant);
        assert_eq!(judge(&key, &Question::default(), &Moment { grace_ms: 1, ..five_days(key.created_at) }), Code::Valid);
        key.activated_at = Some(NOW);
        assert_eq!(judge(&key, &Question::default(), &five_days(NOW.plus_ms(-1))), Code::Valid);
        assert_eq!(judge(&key, &Question::default(), &five_days(NOW)), Code::Dormant);
    }

    #[test]
    fn an_implied_scope_is_held_and_an_address_list_wants_an_address() {
        let mut key = key();
        assert_eq!(judge(&key, &ask("inference"), &moment()), Code::Valid);
        assert_eq!(judge(&key, &ask("proj"), &moment()), Code::MissingScope);
        key.ip_allow = vec!["192.0.2.0/24".parse().unwrap()];
        assert_eq!(judge(&key, &ask("project"), &moment()), Code::IpDenied);
        let mapped = Question { client_ip: "::ffff:192.0.2.9".parse().ok(), ..ask("project") };
        assert_eq!(judge(&key, &mapped, &moment()), Code::Valid);
    }

    #[test]
    fn an_owner_who_left_stops_the_key() {
        let key = Key { owner_role: None, ..key() };
        assert_eq!(judge(&key, &Question::default(), &moment()), Code::OwnerDisabled);
        assert_eq!(state(&key, &moment()), KeyState::Inactive(InactiveReason::OwnerDisabled));
    }

    #[test]
    fn a_tied_key_passes_for_its_resources_and_one_tied_to_nothing_any_more_for_none() {
        let (contracts, other): (ResourceRef, ResourceRef) = ("collection:contracts".parse().unwrap(), "collection:other".parse().unwrap());
        let on = |resource| Question { scope: Some("project"), resource, ..Question::default() };
        let mut key = Key { resources: Some(vec![contracts.clone()]), ..key() };
        assert_eq!(judge(&key, &on(Some(&contracts)), &moment()), Code::Valid);
        assert_eq!(judge(&key, &on(Some(&other)), &moment()), Code::WrongResource);
        assert_eq!(judge(&key, &on(None), &moment()), Code::Valid);
        key.resources = Some(vec![]);
        for asked in [Some(&contracts), Some(&other), None] {
            assert_eq!(judge(&key, &on(asked), &moment()), Code::WrongResource);
        }
        assert_eq!(judge(&key, &Question::default(), &moment()), Code::WrongResource);
        key.resources = None;
        assert_eq!(judge(&key, &on(Some(&other)), &moment()), Code::Valid);
    }

    #[test]
    fn a_resource_is_a_kind_and_an_id() {
        assert_eq!("collection:a:b".parse::<ResourceRef>().unwrap().to_string(), "collection:a:b");
        for bad in ["", "collection", ":x", "collection:", "Coll:x", "collection:a b"] {
            assert!(bad.parse::<ResourceRef>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_stopped_key_never_passes_whatever_is_asked(scope in "[a-z]{1,8}", at in any::<i64>(), deleted: bool, used in proptest::option::of(any::<i64>())) {
            let mut key = key();
            if deleted { key.deleted_at = Some(NOW) } else { key.deactivated_at = Some(NOW) }
            let moment = Moment { last_used_at: used.map(Timestamp::from_millis), ..Moment::at(Timestamp::from_millis(at)) };
            prop_assert!(matches!(judge(&key, &ask(&scope), &moment), Code::Deleted | Code::Deactivated));
        }

        #[test]
        fn fewer_scopes_never_allow_more(keep in any::<bool>(), scope in prop::sample::select(vec!["project", "inference", "chat"])) {
            let wide = key();
            let mut narrow = key();
            narrow.effective = Arc::new(if keep { ["inference".parse().unwrap()].into_iter().collect() } else { ScopeSet::default() });
            if judge(&narrow, &ask(scope), &moment()) == Code::Valid {
                prop_assert_eq!(judge(&wide, &ask(scope), &moment()), Code::Valid);
            }
        }

        #[test]
        fn an_active_state_is_a_valid_verdict_on_an_open_question(expires in -3i64..3, used in -12i64..1) {
            let key = Key { expires_at: Some(NOW.plus_ms(expires)), ..key() };
            let moment = Moment { last_used_at: Some(NOW.plus_days(used)), ..Moment::at(NOW) };
            prop_assert_eq!(state(&key, &moment) == KeyState::Active, judge(&key, &Question::default(), &moment) == Code::Valid);
        }
    }
}
