//! Acts on many keys at once: what is asked for, what it would touch, and what became of each key.

use serde::{Deserialize, Serialize};

use crate::ids::{BulkId, KeyId, WorkspaceId};
use crate::key::{KeyFilter, StateFilter};
use crate::problem::Problem;
use crate::time::Timestamp;

/// The most keys that one transaction changes, and so the most ids of one act.
pub const MAX_IDS: usize = 200;
/// The most results of one page.
pub const MAX_RESULTS: u32 = 200;

/// What shall be done with each key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BulkAct {
    /// Stop it for now.
    Deactivate,
    /// End it for good.
    Delete,
}

impl BulkAct {
    /// Every act.
    pub const ALL: [Self; 2] = [Self::Deactivate, Self::Delete];

    /// The name in addresses and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deactivate => "deactivate",
            Self::Delete => "delete",
        }
    }

    /// The act with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|act| act.as_str() == name)
    }
}

/// Which keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BulkChoice {
    /// These, at most [`MAX_IDS`].
    Ids(Vec<KeyId>),
    /// Every key that matches and is there when the act starts. Order, cursor and limit play no part.
    Matching(Box<KeyFilter>),
}

impl BulkChoice {
    /// The choice in its accepted form: ids once each, a filter on keys that are not deleted.
    pub fn checked(self) -> Result<Self, Problem> {
        match self {
            Self::Ids(mut ids) => {
                ids.sort_unstable();
                ids.dedup();
                if ids.is_empty() {
                    return Err(Problem::invalid("ids", "Choose at least one key."));
                }
                if ids.len() > MAX_IDS {
                    return Err(Problem::invalid("ids", format!("Choose at most {MAX_IDS} keys, or all that match a filter.")));
                }
                Ok(Self::Ids(ids))
            }
            Self::Matching(filter) => {
                let state = match filter.state {
                    StateFilter::Deleted => {
                        return Err(Problem::invalid("filter", "Deleted keys stay as they are. Choose another state."));
                    }
                    StateFilter::All => StateFilter::Live,
                    state => state,
                };
                let usual = KeyFilter::default();
                let (sort, descending, limit) = (usual.sort, false, usual.limit);
                let filter = KeyFilter { state, sort, descending, limit, cursor: None, ..*filter };
                filter.check()?;
                Ok(Self::Matching(Box::new(filter)))
            }
        }
    }
}

/// What an act would touch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BulkPreview {
    /// What would be done.
    pub act: BulkAct,
    /// How many keys are chosen.
    pub chosen: i64,
    /// The names of the first of them.
    pub names: Vec<String>,
    /// How many of them were used in the last 7 days.
    pub in_use: i64,
    /// How many of them would stay as they are: they are that already, or the asker may not change them.
    pub untouched: i64,
}

/// How an act stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BulkState {
    /// It goes on.
    Running,
    /// Every key was looked at.
    Finished,
    /// It ended before every key was looked at; what was done until then stays done.
    Stopped,
}

impl BulkState {
    /// The name in the API and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Stopped => "stopped",
        }
    }

    /// The state with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Running, Self::Finished, Self::Stopped].into_iter().find(|state| state.as_str() == name)
    }
}

/// What became of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BulkOutcome {
    /// The act was done.
    Done,
    /// It stayed as it was, for a reason.
    Skipped,
    /// It could not be done.
    Failed,
}

impl BulkOutcome {
    /// The name in the API and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
        }
    }

    /// The outcome with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Done, Self::Skipped, Self::Failed].into_iter().find(|outcome| outcome.as_str() == name)
    }
}

/// One key of an act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BulkResult {
    /// Its place in the act, from 1 on.
    pub seq: i64,
    /// The key.
    pub key: KeyId,
    /// The workspace it belongs to.
    pub workspace_id: WorkspaceId,
    /// Its name then.
    pub name: String,
    /// What became of it.
    pub outcome: BulkOutcome,
    /// Why it was not done.
    pub why: Option<String>,
}

/// An act and how far it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BulkReport {
    /// Under what it can be asked for.
    pub id: BulkId,
    /// What is done.
    pub act: BulkAct,
    /// How it stands.
    pub state: BulkState,
    /// Who asked for it, by name.
    pub started_by: String,
    /// How many keys there were to look at when it started.
    pub expected: i64,
    /// How many were changed.
    pub done: i64,
    /// How many stayed as they were.
    pub skipped: i64,
    /// How many could not be changed.
    pub failed: i64,
    /// Why it stopped, if it did.
    pub why: Option<String>,
    /// When it started.
    pub started_at: Timestamp,
    /// When something was last done.
    pub updated_at: Timestamp,
    /// One page of what became of each key, in the order they were looked at.
    pub results: Vec<BulkResult>,
    /// The `after` of the next page; `None` at the end of what there is.
    pub next: Option<i64>,
}

impl BulkReport {
    /// How many keys were looked at.
    pub const fn looked_at(&self) -> i64 {
        self.done.saturating_add(self.skipped).saturating_add(self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(last: char) -> KeyId {
        format!("key_{}{last}", "0".repeat(21)).parse().unwrap()
    }

    #[test]
    fn ids_count_once_and_are_bounded() {
        let twice = BulkChoice::Ids(vec![key('2'), key('1'), key('2')]).checked().unwrap();
        assert_eq!(twice, BulkChoice::Ids(vec![key('1'), key('2')]));
        assert_eq!(BulkChoice::Ids(vec![]).checked().unwrap_err().field.as_deref(), Some("ids"));
        let digits = |at: usize| format!("key_{at:022}").parse().unwrap();
        assert!(BulkChoice::Ids((0..MAX_IDS).map(digits).collect()).checked().is_ok());
        assert!(BulkChoice::Ids((0..=MAX_IDS).map(digits).collect()).checked().is_err());
    }

    #[test]
    fn a_filter_never_reaches_deleted_keys() {
        let matching = |state| BulkChoice::Matching(Box::new(KeyFilter { state, ..KeyFilter::default() })).checked();
        assert_eq!(matching(StateFilter::Deleted).unwrap_err().field.as_deref(), Some("filter"));
        let BulkChoice::Matching(filter) = matching(StateFilter::All).unwrap() else { unreachable!() };
        assert_eq!((filter.state, filter.descending, filter.cursor), (StateFilter::Live, false, None));
    }
}
