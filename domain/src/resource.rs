//! Resources: things of other services, a collection or a project for instance, that a key can be tied to.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ids::{KeyId, ResourceId, UserId};
use crate::key::DEFAULT_PAGE;
use crate::name;
use crate::problem::Problem;
use crate::time::Timestamp;
use crate::user::UserRef;
use crate::verdict::ResourceRef;

/// The most resources one key may be tied to.
pub const MAX_KEY_RESOURCES: usize = 100;
/// The kinds that are offered where one is chosen. Any other lower-case word will do as well.
pub const USUAL_KINDS: [&str; 4] = ["collection", "source", "project", "model"];

/// Names a resource by its own id or by kind and external id: `res_…` or `collection:contracts`. The two cannot be
/// confused: an id has no colon.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ResourceName {
    /// By its id.
    Id(ResourceId),
    /// By what the service that has it calls it.
    Ref(ResourceRef),
}

impl FromStr for ResourceName {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        let wrong = |_| Problem::invalid("resources", "Name a resource by its id, res_…, or as kind:id, like collection:contracts.");
        text.parse().map(Self::Ref).map_err(wrong)
    }
}

impl TryFrom<String> for ResourceName {
    type Error = Problem;

    fn try_from(text: String) -> Result<Self, Problem> {
        text.parse()
    }
}

impl From<ResourceName> for String {
    fn from(name: ResourceName) -> Self {
        name.to_string()
    }
}

impl From<ResourceId> for ResourceName {
    fn from(id: ResourceId) -> Self {
        Self::Id(id)
    }
}

impl fmt::Display for ResourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Ref(resource) => resource.fmt(f),
        }
    }
}

/// A resource as it stands beside a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceSummary {
    /// The resource.
    pub id: ResourceId,
    /// What sort of thing it is.
    pub kind: String,
    /// What the service that has it calls it.
    pub external_id: String,
    /// What people call it.
    pub name: String,
    /// Was it deleted? A key stays tied to it, and can do nothing there.
    pub deleted: bool,
}

/// A resource as it stands in the list of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceDetail {
    /// The resource.
    pub id: ResourceId,
    /// What sort of thing it is.
    pub kind: String,
    /// What the service that has it calls it.
    pub external_id: String,
    /// What people call it.
    pub name: String,
    /// Whose it is: only this person's keys are tied to it, unless an administrator decides otherwise.
    pub owner: UserRef,
    /// When it was made.
    pub created_at: Timestamp,
    /// How many keys, not deleted, are tied to it; counted up to a thousand.
    pub keys: i64,
}

/// A resource to be added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewResource {
    /// What sort of thing it is: 1 to 40 lower-case letters, digits, `_` or `-`.
    pub kind: String,
    /// What the service that has it calls it: 1 to 200 visible characters.
    pub external_id: String,
    /// What people call it; empty for the external id.
    #[serde(default)]
    pub name: String,
    /// Whose it is; `None` for the maker's own.
    #[serde(default)]
    pub owner: Option<UserId>,
}

impl NewResource {
    /// The new resource with fields in their accepted form, or the first input at fault.
    pub fn checked(self) -> Result<Self, Problem> {
        let (kind, external_id) = (self.kind.trim().to_owned(), self.external_id.trim().to_owned());
        ResourceRef::new(&kind, &external_id)?;
        if name::clean("external_id", &external_id, usize::MAX, false)? != external_id {
            return Err(Problem::invalid("external_id", "Write its accents as single characters (Unicode form NFC)."));
        }
        let name = name_or(&self.name, &external_id)?;
        Ok(Self { kind, external_id, name, owner: self.owner })
    }
}

/// The name in its accepted form; where there is none, what can be shown of the external id.
fn name_or(given: &str, external_id: &str) -> Result<String, Problem> {
    let given = name::optional_name("name", given)?;
    Ok(if given.is_empty() { external_id.chars().take(name::MAX_NAME).collect() } else { given })
}

/// A partial change of a resource: what is `None` stays. Kind and external id are fixed, because keys and services rely on
/// them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResourcePatch {
    /// A new name.
    #[serde(default)]
    pub name: Option<String>,
    /// A new owner. Keys that are tied to it stay so.
    #[serde(default)]
    pub owner: Option<UserId>,
}

impl ResourcePatch {
    /// The change with its text in the accepted form, or the first input at fault.
    pub fn checked(self) -> Result<Self, Problem> {
        Ok(Self { name: self.name.map(|text| name::required_name("name", &text)).transpose()?, owner: self.owner })
    }
}

/// Which page of which resources.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ResourceFilter {
    /// Part of a name or of an external id; empty for all.
    pub search: String,
    /// Only this kind; empty for all.
    pub kind: String,
    /// Whose; `None` for everybody's that the asker may see.
    pub owner: Option<UserId>,
    /// Where the page starts: the `next` of the page before.
    pub cursor: Option<String>,
    /// The most rows, 1 to [`crate::key::MAX_PAGE`].
    pub limit: u32,
}

impl Default for ResourceFilter {
    fn default() -> Self {
        Self { search: String::new(), kind: String::new(), owner: None, cursor: None, limit: DEFAULT_PAGE }
    }
}

/// A key as it is named in passing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyMention {
    /// The key.
    pub id: KeyId,
    /// What people call it; may be empty.
    pub name: String,
}

/// The keys that a change would touch: how many, and the first of them by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeysConcerned {
    /// How many there are.
    pub count: i64,
    /// How many of them would be left with nothing, and no longer work.
    pub stopped: i64,
    /// A few of them, those that would stop first.
    pub first: Vec<KeyMention>,
}

impl fmt::Display for KeysConcerned {
    /// `CI, Nightly and 3 more`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.first.iter().map(|key| if key.name.is_empty() { key.id.as_str() } else { &key.name }).collect();
        let rest = self.count.saturating_sub(i64::try_from(names.len()).unwrap_or(i64::MAX));
        match (names.split_last(), rest) {
            (None, _) => write!(f, "{} keys", self.count),
            (Some((last, [])), 0) => f.write_str(last),
            (Some((last, others)), 0) => write!(f, "{} and {last}", others.join(", ")),
            (Some(_), rest) => write!(f, "{} and {rest} more", names.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(kind: &str, external_id: &str, name: &str) -> Result<NewResource, Problem> {
        NewResource { kind: kind.into(), external_id: external_id.into(), name: name.into(), owner: None }.checked()
    }

    #[test]
    fn a_resource_is_named_by_id_or_by_kind_and_external_id() {
        let id: ResourceName = "res_0123456789012345678901".parse().unwrap();
        assert!(matches!(id, ResourceName::Id(_)));
        let other: ResourceName = "collection:contracts".parse().unwrap();
        assert!(matches!(&other, ResourceName::Ref(resource) if resource.kind() == "collection"));
        assert_eq!(serde_json::to_string(&[id, other]).unwrap(), r#"["res_0123456789012345678901","collection:contracts"]"#);
        for bad in ["", "res_", "key_0123456789012345678901", "collection:", ":x", "Collection:x"] {
            assert_eq!(bad.parse::<ResourceName>().unwrap_err().field.as_deref(), Some("resources"), "{bad}");
        }
    }

    #[test]
    fn a_new_resource_without_a_name_is_called_by_its_external_id() {
        assert_eq!(new("collection", " contracts ", " ").unwrap().name, "contracts");
        assert_eq!(new("collection", &"x".repeat(200), "").unwrap().name.len(), 100);
        assert_eq!(new("project", "1", " Atlas ").unwrap().name, "Atlas");
    }

    #[test]
    fn the_field_at_fault_is_named() {
        let field = |kind: &str, external_id: &str, name: &str| new(kind, external_id, name).unwrap_err().field.unwrap();
        for kind in ["", "Collection", "1x", "a b", &"a".repeat(41)] {
            assert_eq!(field(kind, "x", ""), "kind", "{kind}");
        }
        for external_id in ["", "a b", "a\u{202e}b", "a\u{200b}b", "e\u{301}", &"x".repeat(201)] {
            assert_eq!(field("collection", external_id, ""), "external_id", "{external_id:?}");
        }
        assert_eq!(field("collection", "x", &"x".repeat(101)), "name");
    }

    #[test]
    fn keys_are_named_and_the_rest_is_counted() {
        let mention = |name: &str| KeyMention { id: "key_0123456789012345678901".parse().unwrap(), name: name.into() };
        let keys = |count, names: &[&str]| KeysConcerned { count, stopped: 0, first: names.iter().map(|name| mention(name)).collect() };
        assert_eq!(keys(1, &["CI"]).to_string(), "CI");
        assert_eq!(keys(2, &["CI", "Nightly"]).to_string(), "CI and Nightly");
        assert_eq!(keys(5, &["CI", "Nightly"]).to_string(), "CI, Nightly and 3 more");
        assert_eq!(keys(1, &[""]).to_string(), "key_0123456789012345678901");
    }
}
