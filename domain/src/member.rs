//! Who belongs to a workspace, who is invited, and what becomes of the keys of those who left.

use serde::{Deserialize, Serialize};

use crate::ids::{InvitationId, KeyId, UserId};
use crate::key::KeySummary;
use crate::limits::Limit;
use crate::time::Timestamp;
use crate::user::UserRef;
use crate::workspace::Role;

/// The most keys that one act on the queue can name.
pub const MAX_LEFT_KEYS: usize = 200;

/// A person in a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberSummary {
    /// The person.
    pub user: UserRef,
    /// Where to reach them.
    pub email: String,
    /// What they are in the workspace.
    pub role: Role,
    /// May sign in, and their keys work.
    pub active: bool,
    /// Since when they belong to it.
    pub since: Timestamp,
    /// How many keys, not deleted, they own in it.
    pub live_keys: i64,
    /// How often all of their keys in it together may be used; empty for as often as wanted.
    #[serde(default)]
    pub limits: Vec<Limit>,
}

/// An invitation that nobody has used yet. Its link was shown when it was made and cannot be shown again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitationSummary {
    /// The invitation.
    pub id: InvitationId,
    /// What whoever uses it becomes.
    pub role: Role,
    /// For whom it is meant, an e-mail address for instance; may be empty. Nobody is held to it.
    pub label: String,
    /// Who made it, by name.
    pub created_by: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is not good any more.
    pub expires_at: Timestamp,
}

/// An invitation to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewInvitation {
    /// What whoever uses it becomes.
    pub role: Role,
    /// For whom it is meant; may be empty.
    #[serde(default)]
    pub label: String,
}

/// What somebody with the link of an invitation is told before they use it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitationOffer {
    /// The workspace's short name in addresses.
    pub slug: String,
    /// The workspace's name.
    pub workspace: String,
    /// What they become there.
    pub role: Role,
    /// Who invited them, by name.
    pub invited_by: String,
    /// From when on it is not good any more.
    pub expires_at: Timestamp,
}

/// A key whose owner left the workspace. It is stopped until somebody gives it a new owner or the owner comes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftKey {
    /// The key.
    pub key: KeySummary,
    /// When its owner left.
    pub left_at: Timestamp,
}

/// Which keys of the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeftKeys {
    /// These, at most [`MAX_LEFT_KEYS`]. If one of them is not in the queue, nothing is done.
    These(Vec<KeyId>),
    /// All of a person who left.
    Of(UserId),
}

/// What shall become of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeftKeyDecision {
    /// Another member owns them from now on; their secrets stay.
    Reassign(UserId),
    /// They stay as they are, stopped, and leave the queue.
    Keep,
    /// They are deleted.
    Revoke,
}

/// What a person's going does, told before it is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Departure {
    /// Who goes.
    pub member: MemberSummary,
    /// How many of their keys, not deleted, were used in the last 24 hours.
    pub used_lately: i64,
}
