//! What is sent and answered about keys. The shapes of the API are its own, so that a change inside the product cannot
//! change a script's answers by accident.

use keyfold_domain::addresses::AddressRange;
use keyfold_domain::ids::{KeyId, UserId, WorkspaceId};
use keyfold_domain::key::{Expiry, InactiveReason, Inactivity, IssuedKey, KeyPatch, KeyState, KeySummary, NewKey, Page, PlacedKey};
use keyfold_domain::problem::Problem;
use keyfold_domain::resource::ResourceName;
use keyfold_domain::scope::{KeyKind, ScopeSet};
use keyfold_domain::token::Secret;
use keyfold_domain::user::UserRef;
use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

use super::limits::{self, LimitBody};
use crate::rest::moments::Moment;
use crate::rest::resources::KeyResourceBody;
use crate::rest::schemas;

/// Reads a field that is there, `null` included where `T` takes it, so that an absent field stays apart as `None`.
pub(crate) fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Reads a kind from a text. (A derived reader takes a `null` for broken JSON.)
pub(crate) fn kind<'de, D: Deserializer<'de>>(deserializer: D) -> Result<KeyKind, D::Error> {
    let name = String::deserialize(deserializer)?;
    KeyKind::from_name(&name).ok_or_else(|| D::Error::invalid_value(Unexpected::Str(&name), &"secret, publishable or management"))
}

/// What a field says that may be left out or be `null`, which are two things.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Given<T> {
    #[default]
    Nothing,
    Null,
    Value(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Given<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Null, Self::Value))
    }
}

impl<T> Given<T> {
    /// Nothing if nothing was said, else none or the value.
    #[expect(clippy::option_option, reason = "the shape of the domain's patch")]
    fn said(self) -> Option<Option<T>> {
        match self {
            Self::Nothing => None,
            Self::Null => Some(None),
            Self::Value(value) => Some(Some(value)),
        }
    }
}

impl From<Given<Moment>> for Expiry {
    fn from(given: Given<Moment>) -> Self {
        match given {
            Given::Nothing => Self::Default,
            Given::Null => Self::Never,
            Given::Value(moment) => Self::At(moment.0),
        }
    }
}

impl From<Given<u32>> for Inactivity {
    fn from(given: Given<u32>) -> Self {
        match given {
            Given::Nothing => Self::Default,
            Given::Null => Self::Off,
            Given::Value(days) => Self::Days(days),
        }
    }
}

/// A key to be created. Fields that are not listed here are refused.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewKey, example = json!({"name": "Nightly report", "kind": "secret", "scopes": ["inference"], "expires_at": "2027-01-31T12:00:00Z"}))]
pub(crate) struct NewKeyBody {
    /// What people call it: 0 to 100 characters, trimmed.
    #[serde(default)]
    #[schema(default = "", max_length = 100, example = "Nightly report")]
    name: String,
    /// Fixed for the key's life; it bounds what scopes the key may ever hold.
    #[serde(deserialize_with = "kind")]
    #[schema(schema_with = schemas::kind)]
    kind: KeyKind,
    /// What the key may be used for; at least one.
    #[schema(value_type = Vec<String>, min_items = 1, max_items = 100, example = json!(["inference"]))]
    scopes: ScopeSet,
    /// From when on it is expired. Left out: the workspace's default. `null`: never, where the workspace allows it.
    #[serde(default)]
    #[schema(schema_with = schemas::new_expiry, required = false)]
    expires_at: Given<Moment>,
    /// The key goes dormant when unused for that many days. Left out: the workspace's default. `null`: never.
    #[serde(default)]
    #[schema(schema_with = schemas::new_interval, required = false)]
    inactivity_days: Given<u32>,
    /// A note for people: up to 1,000 characters, may have several lines.
    #[serde(default)]
    #[schema(default = "", max_length = 1000)]
    note: String,
    /// The id of the user whose key it is. Left out: the caller's own. Only administrators may name somebody else.
    #[serde(default, deserialize_with = "given")]
    #[schema(schema_with = schemas::user_id_given, required = false)]
    owner: Option<UserId>,
    /// What the key is tied to, each by id or as `kind:id`. Left out or empty: it may be used on everything.
    #[serde(default)]
    #[schema(schema_with = schemas::resources_given, required = false)]
    resources: Vec<ResourceName>,
    /// Shall the key be tied also to what is not its owner's? For administrators.
    #[serde(default)]
    #[schema(default = false)]
    override_owner: bool,
    /// From where the key may be used: addresses and ranges in CIDR notation. Left out or empty: from anywhere. For
    /// administrators.
    #[serde(default)]
    #[schema(schema_with = schemas::ip_allow_given, required = false)]
    ip_allow: Vec<AddressRange>,
    /// How often the key may be used: up to 8 rate limits and quotas. Left out or empty: as often as wanted. For
    /// administrators.
    #[serde(default)]
    #[schema(max_items = 8)]
    limits: Vec<LimitBody>,
}

impl TryFrom<NewKeyBody> for NewKey {
    type Error = Problem;

    fn try_from(body: NewKeyBody) -> Result<Self, Problem> {
        Ok(Self {
            name: body.name,
            kind: body.kind,
            scopes: body.scopes,
            expires_at: body.expires_at.into(),
            inactivity_days: body.inactivity_days.into(),
            note: body.note,
            owner: body.owner,
            resources: body.resources,
            override_owner: body.override_owner,
            ip_allow: body.ip_allow,
            limits: limits::sent(body.limits)?,
        })
    }
}

/// A partial change: a field that is left out stays as it is. Fields that are not listed here are refused.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = KeyPatch, example = json!({"scopes": ["chat", "inference"]}))]
pub(crate) struct KeyPatchBody {
    /// A new name: 0 to 100 characters, trimmed.
    #[serde(default, deserialize_with = "given")]
    #[schema(schema_with = schemas::name_given, required = false)]
    name: Option<String>,
    /// The new scopes, all of them; at least one.
    #[serde(default, deserialize_with = "given")]
    #[schema(schema_with = schemas::scopes_given, required = false)]
    scopes: Option<ScopeSet>,
    /// A new end: a moment, or `null` for never.
    #[serde(default)]
    #[schema(schema_with = schemas::patched_expiry, required = false)]
    expires_at: Given<Moment>,
    /// A new inactivity interval in days, or `null` for none.
    #[serde(default)]
    #[schema(schema_with = schemas::inactivity_given, required = false)]
    inactivity_days: Given<u32>,
    /// A new note: up to 1,000 characters, may have several lines.
    #[serde(default, deserialize_with = "given")]
    #[schema(schema_with = schemas::note_given, required = false)]
    note: Option<String>,
    /// What the key shall be tied to, all of it. Empty: everything.
    #[serde(default, deserialize_with = "given")]
    #[schema(schema_with = schemas::resources_given, required = false)]
    resources: Option<Vec<ResourceName>>,
    /// Shall the key be tied also to what is not its owner's? For administrators.
    #[serde(default)]
    #[schema(default = false)]
    override_owner: bool,
    /// From where the key may be used, all of it. Empty: from anywhere. For administrators.
    #[serde(default, deserialize_with = "given")]
    #[schema(schema_with = schemas::ip_allow_given, required = false)]
    ip_allow: Option<Vec<AddressRange>>,
    /// How often the key may be used, all of it. Empty: as often as wanted. A limit that keeps its name keeps what was spent
    /// of it. For administrators.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, max_items = 8)]
    limits: Option<Vec<LimitBody>>,
}

impl KeyPatchBody {
    /// The change, to be made only to a key of that version if one is named.
    pub(crate) fn into_patch(self, version: Option<i64>) -> Result<KeyPatch, Problem> {
        Ok(KeyPatch {
            name: self.name,
            scopes: self.scopes,
            expires_at: Some(self.expires_at).filter(|given| *given != Given::Nothing).map(Expiry::from),
            inactivity_days: self.inactivity_days.said(),
            note: self.note,
            resources: self.resources,
            override_owner: self.override_owner,
            ip_allow: self.ip_allow,
            limits: self.limits.map(limits::sent).transpose()?,
            version,
        })
    }
}

/// Why a key is stopped.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Deactivation, example = json!({"reason": "Found in a public repository"}))]
pub(crate) struct DeactivationBody {
    /// The reason in your words: up to 100 characters. It is shown beside the key.
    #[serde(default)]
    #[schema(default = "", max_length = 100, example = "Found in a public repository")]
    pub(crate) reason: String,
}

/// A person.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = User)]
pub(crate) struct UserBody {
    /// The person's id.
    #[schema(value_type = String, example = "usr_00S1E8TYPmMQMyNxIYvHyv")]
    id: UserId,
    /// Unique, lower case.
    #[schema(example = "ada")]
    username: String,
    /// As the person wants to be called.
    #[schema(example = "Ada Lovelace")]
    display_name: String,
}

impl From<UserRef> for UserBody {
    fn from(user: UserRef) -> Self {
        Self { id: user.id, username: user.username, display_name: user.display_name }
    }
}

/// A key. Its secret is never part of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Key)]
pub(crate) struct KeyBody {
    /// The key's id. It stays the same through all its secrets.
    #[schema(value_type = String, example = "key_00S1E8UZ2m0hmDYpk0bPVq")]
    id: KeyId,
    /// The workspace the key belongs to.
    #[schema(value_type = String, example = "wsp_00S1E8TYPmMQMyNxIYvHyv")]
    workspace_id: WorkspaceId,
    /// Whose key it is.
    owner: UserBody,
    /// Who made it, by name.
    #[schema(required, example = "Ada Lovelace")]
    created_by: Option<String>,
    /// What people call it; may be empty.
    #[schema(example = "Nightly report")]
    name: String,
    /// Fixed for the key's life.
    #[schema(schema_with = schemas::kind)]
    kind: KeyKind,
    /// What the key may be used for. What these imply is not listed.
    #[schema(value_type = Vec<String>, example = json!(["inference"]))]
    scopes: ScopeSet,
    /// What it is tied to; empty for everything.
    resources: Vec<KeyResourceBody>,
    /// The masked secret, for its holder to recognise it.
    #[schema(example = "kf_sec_…rOY1")]
    hint: String,
    /// Whether the key works now.
    #[schema(schema_with = schemas::state)]
    state: &'static str,
    /// Why it does not work; `null` unless the state is `inactive`.
    #[schema(schema_with = schemas::reason, required)]
    reason: Option<InactiveReason>,
    /// When it was made.
    #[schema(schema_with = schemas::created_at)]
    created_at: Moment,
    /// From when on it is expired; `null` for never.
    #[schema(schema_with = schemas::expires_at, required)]
    expires_at: Option<Moment>,
    /// It goes dormant when unused for that many days; `null` for never.
    #[schema(required, minimum = 1, maximum = 3650)]
    inactivity_days: Option<u32>,
    /// When it was last used with success; `null` if never. May be a few seconds behind.
    #[schema(schema_with = schemas::last_used_at, required)]
    last_used_at: Option<Moment>,
    /// How often it was used with success. May be a few seconds behind.
    #[schema(minimum = 0, example = 214)]
    total_calls: i64,
    /// Grows with every change; the `ETag` in quotes.
    #[schema(minimum = 1, example = 1)]
    version: i64,
    /// A note for people.
    note: String,
    /// When it was deactivated or deleted.
    #[schema(schema_with = schemas::stopped_at, required)]
    stopped_at: Option<Moment>,
    /// Why it was deactivated, in the words of who did it.
    #[schema(required)]
    stopped_reason: Option<String>,
    /// Who deactivated or deleted it, by name; `null` if nobody did.
    #[schema(required, example = json!(null))]
    stopped_by: Option<String>,
    /// From where it may be used; empty for anywhere.
    #[schema(value_type = Vec<String>, example = json!(["203.0.113.7", "2001:db8::/32"]))]
    ip_allow: Vec<AddressRange>,
    /// How often it may be used; empty for as often as wanted. How they stand is told by `whoami` and `verify`.
    limits: Vec<LimitBody>,
}

impl KeyBody {
    /// Grows with every change of the key.
    pub(crate) const fn version(&self) -> i64 {
        self.version
    }

    /// The key's id.
    pub(crate) const fn id(&self) -> &KeyId {
        &self.id
    }
}

impl From<KeySummary> for KeyBody {
    fn from(key: KeySummary) -> Self {
        let (state, reason) = match key.state {
            KeyState::Active => ("active", None),
            KeyState::Inactive(reason) => ("inactive", Some(reason)),
            KeyState::Deleted => ("deleted", None),
        };
        Self {
            id: key.id,
            workspace_id: key.workspace_id,
            owner: key.owner.into(),
            created_by: key.created_by,
            name: key.name,
            kind: key.kind,
            scopes: key.scopes,
            resources: key.resources.into_iter().map(KeyResourceBody::from).collect(),
            hint: key.hint,
            state,
            reason,
            created_at: Moment(key.created_at),
            expires_at: key.expires_at.map(Moment),
            inactivity_days: key.inactivity_days,
            last_used_at: key.last_used_at.map(Moment),
            total_calls: key.total_calls,
            version: key.version,
            note: key.note,
            stopped_at: key.stopped_at.map(Moment),
            stopped_reason: key.stopped_reason,
            stopped_by: key.stopped_by,
            ip_allow: key.bounds.ip_allow,
            limits: limits::shown(key.bounds.limits),
        }
    }
}

/// A new key with its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = IssuedKey)]
pub(crate) struct IssuedKeyBody {
    /// The secret in full. This is the only answer that ever carries it: store it now.
    #[serde(serialize_with = "expose")]
    #[schema(value_type = String, example = "kf_sec_0000000000000000000000000000000000000000000…")]
    secret: Secret,
    /// The key itself.
    #[serde(flatten)]
    pub(crate) key: KeyBody,
}

fn expose<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

impl IssuedKeyBody {
    /// The secret in the clear.
    pub(crate) fn secret(&self) -> &str {
        self.secret.expose()
    }
}

impl From<IssuedKey> for IssuedKeyBody {
    fn from(issued: IssuedKey) -> Self {
        Self { secret: issued.secret, key: issued.key.into() }
    }
}

/// One page of keys.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KeyPage)]
pub(crate) struct KeyPageBody {
    /// The keys, in the order asked for.
    data: Vec<KeyBody>,
    /// The `cursor` of the next page; `null` at the end.
    #[schema(required)]
    next: Option<String>,
}

impl From<Page<KeySummary>> for KeyPageBody {
    fn from(page: Page<KeySummary>) -> Self {
        Self { data: page.items.into_iter().map(KeyBody::from).collect(), next: page.next }
    }
}

/// A key and the workspace it belongs to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PlacedKey)]
pub(crate) struct PlacedKeyBody {
    /// The workspace.
    workspace: WorkspaceRefBody,
    /// The key itself.
    #[serde(flatten)]
    key: KeyBody,
}

/// A workspace, by name.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WorkspaceRef)]
pub(crate) struct WorkspaceRefBody {
    /// The workspace's id.
    #[schema(value_type = String, example = "wsp_00S1E8TYPmMQMyNxIYvHyv")]
    id: WorkspaceId,
    /// Its short name in addresses.
    #[schema(example = "acme")]
    slug: String,
    /// Its name.
    #[schema(example = "Acme")]
    name: String,
}

impl From<PlacedKey> for PlacedKeyBody {
    fn from(PlacedKey { key, workspace }: PlacedKey) -> Self {
        Self { key: key.into(), workspace: WorkspaceRefBody { id: workspace.id, slug: workspace.slug, name: workspace.name } }
    }
}

/// One page of keys of all workspaces.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PlacedKeyPage)]
pub(crate) struct PlacedKeyPageBody {
    /// The keys, in the order asked for.
    data: Vec<PlacedKeyBody>,
    /// The `cursor` of the next page; `null` at the end.
    #[schema(required)]
    next: Option<String>,
}

impl From<Page<PlacedKey>> for PlacedKeyPageBody {
    fn from(page: Page<PlacedKey>) -> Self {
        Self { data: page.items.into_iter().map(PlacedKeyBody::from).collect(), next: page.next }
    }
}

#[cfg(test)]
mod tests {
    use keyfold_domain::time::Timestamp;

    use super::*;
    use crate::problem::read_json;

    fn patch(json: &str) -> Result<KeyPatch, Problem> {
        read_json::<KeyPatchBody>(json.as_bytes())?.into_patch(None)
    }

    fn new_key(rest: &str) -> Result<NewKey, Problem> {
        read_json::<NewKeyBody>(format!(r#"{{"kind":"secret","scopes":["chat"]{rest}}}"#).as_bytes())?.try_into()
    }

    #[test]
    fn an_absent_expiry_a_null_and_a_moment_mean_three_things() {
        assert_eq!(new_key("").unwrap().expires_at, Expiry::Default);
        assert_eq!(new_key(r#","expires_at":null"#).unwrap().expires_at, Expiry::Never);
        let at = Expiry::At(Timestamp::from_millis(1000));
        assert_eq!(new_key(r#","expires_at":"1970-01-01T00:00:01Z""#).unwrap().expires_at, at);

        assert_eq!(patch("{}").unwrap(), KeyPatch::default());
        assert_eq!(patch(r#"{"expires_at":null}"#).unwrap().expires_at, Some(Expiry::Never));
        assert_eq!(patch(r#"{"expires_at":"1970-01-01T00:00:01Z"}"#).unwrap().expires_at, Some(at));
    }

    #[test]
    fn an_absent_interval_a_null_and_a_number_mean_three_things_and_zero_is_none_of_them() {
        assert_eq!(new_key("").unwrap().inactivity_days, Inactivity::Default);
        assert_eq!(new_key(r#","inactivity_days":null"#).unwrap().inactivity_days, Inactivity::Off);
        assert_eq!(new_key(r#","inactivity_days":30"#).unwrap().inactivity_days, Inactivity::Days(30));
        let zero = new_key(r#","inactivity_days":0"#).unwrap().checked(&keyfold_domain::catalogue::ScopeCatalogue::default()).unwrap_err();
        assert_eq!(zero.field.as_deref(), Some("inactivity_days"));
    }

    #[test]
    fn an_interval_is_left_alone_when_absent_and_removed_when_null() {
        assert_eq!(patch("{}").unwrap().inactivity_days, None);
        assert_eq!(patch(r#"{"inactivity_days":null}"#).unwrap().inactivity_days, Some(None));
        assert_eq!(patch(r#"{"inactivity_days":30}"#).unwrap().inactivity_days, Some(Some(30)));
    }

    #[test]
    fn a_null_where_a_value_is_needed_is_refused() {
        for field in ["name", "scopes", "note", "resources", "override_owner", "ip_allow", "limits"] {
            assert!(patch(&format!(r#"{{"{field}":null}}"#)).is_err(), "{field}");
        }
        for field in ["name", "note", "owner", "resources", "override_owner", "ip_allow", "limits"] {
            assert!(new_key(&format!(r#","{field}":null"#)).is_err(), "{field}");
        }
    }

    #[test]
    fn resources_are_left_alone_when_absent_and_taken_away_when_there_are_none() {
        assert_eq!(patch("{}").unwrap().resources, None);
        assert_eq!(patch(r#"{"resources":[]}"#).unwrap().resources, Some(vec![]));
        assert_eq!(patch(r#"{"resources":["collection:a"]}"#).unwrap().resources.unwrap().len(), 1);
        assert!(new_key("").unwrap().resources.is_empty() && new_key(r#","resources":[]"#).unwrap().resources.is_empty());
        for wrong in ["0", "\"collection:a\"", "[null]", "[0]", "[\"\"]", "[\"key_0\"]", "{}"] {
            assert!(patch(&format!(r#"{{"resources":{wrong}}}"#)).is_err(), "{wrong}");
            assert!(new_key(&format!(r#","resources":{wrong}"#)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn unknown_and_repeated_fields_are_refused() {
        assert!(patch(r#"{"version":1}"#).is_err());
        assert!(patch(r#"{"name":"a","name":"b"}"#).is_err());
        assert!(new_key(r#","workspace_id":"wsp_0""#).is_err());
        assert!(new_key(r#","kind":"secret""#).is_err());
    }
}
