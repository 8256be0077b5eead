//! Workspaces and who belongs to them. Everything but users belongs to exactly one workspace.

use serde::{Deserialize, Serialize};

use crate::ids::WorkspaceId;
use crate::policy_limits::KeyPolicy;
use crate::time::Timestamp;
use crate::user::UserRef;

/// What a member is in a workspace, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
pub enum Role {
    /// Looks at what is theirs.
    Viewer,
    /// Has keys of their own.
    Member,
    /// Manages everybody's keys, the members and the rules.
    Admin,
    /// An admin who cannot be removed by other admins.
    Owner,
}

/// The word names no role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a role")]
pub struct InvalidRole;

impl From<Role> for &'static str {
    fn from(role: Role) -> Self {
        role.as_str()
    }
}

impl TryFrom<String> for Role {
    type Error = InvalidRole;

    fn try_from(word: String) -> Result<Self, InvalidRole> {
        Self::from_name(&word).ok_or(InvalidRole)
    }
}

impl Role {
    /// Every role, weakest first.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Member, Self::Admin, Self::Owner];

    /// The name used in the API and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    /// The role with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }
}

/// One person's place in one workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// What they are there.
    pub role: Role,
}

/// A workspace as shown beside a thing in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkspaceRef {
    /// The workspace.
    pub id: WorkspaceId,
    /// Its short name in addresses.
    pub slug: String,
    /// Its name.
    pub name: String,
}

/// A workspace as its members see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkspaceSummary {
    /// The workspace.
    pub id: WorkspaceId,
    /// Its short name in addresses.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// What the asker is there; `None` for an instance administrator who is no member.
    pub role: Option<Role>,
    /// The rules for its keys.
    pub key_policy: KeyPolicy,
}

/// A workspace as instance administrators see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkspaceDetail {
    /// The workspace.
    pub id: WorkspaceId,
    /// Its short name in addresses.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// One of its owners; `None` if it has none.
    pub owner: Option<UserRef>,
    /// How many people belong to it.
    pub members: i64,
    /// How many keys, not deleted, it has.
    pub live_keys: i64,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What the end of a workspace did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkspaceEnd {
    /// The workspace.
    pub id: WorkspaceId,
    /// Its short name, which stays taken.
    pub slug: String,
    /// How many keys it stopped.
    pub stopped_keys: i64,
    /// How many people lost their place in it.
    pub members: i64,
}

/// A workspace to be created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewWorkspace {
    /// Its short name in addresses; unique.
    pub slug: String,
    /// Its name.
    pub name: String,
}
