//! Sessions of signed-in people, as they are listed. The cookie is a secret and never comes here.

use serde::{Deserialize, Serialize};

use crate::ids::SessionId;
use crate::time::Timestamp;

/// A session that has not ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionSummary {
    /// The session.
    pub id: SessionId,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last used, to the minute.
    pub last_seen_at: Timestamp,
    /// From which address it began, if that is known.
    pub ip: Option<String>,
    /// With what it began, in a few words like `Firefox on Linux`, if that is known.
    pub client: Option<String>,
    /// It is the one that asks.
    pub current: bool,
}
