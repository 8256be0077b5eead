//! Servers that run on one database, and how far each of them has come with the changes there.

use serde::{Deserialize, Serialize};

use crate::ids::NodeId;
use crate::time::Timestamp;

/// Is a server heard of?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// It is.
    Live,
    /// Not for longer than it may go on saying yes without news. It was killed, hangs, or cannot reach the database.
    Silent,
}

impl NodeState {
    /// The name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Silent => "silent",
        }
    }
}

/// A running server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeSummary {
    /// Its id, another one at every start.
    pub id: NodeId,
    /// What its operator calls it.
    pub name: String,
    /// Which Keyfold it is.
    pub version: String,
    /// When it started, by its own clock.
    pub started_at: Timestamp,
    /// When it was last heard of, by the database's clock.
    pub last_seen_at: Timestamp,
    /// The number of the newest change that is in force there, as it last said.
    pub revision: i64,
    /// How many changes there are after that one.
    pub behind: i64,
    /// How long it says yes without news of changes, in milliseconds.
    pub staleness_budget_ms: i64,
    /// Is it heard of?
    pub state: NodeState,
    /// Is it the server that answers?
    pub answering: bool,
}

/// What became of a change on one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It is in force there.
    InForce,
    /// The server is out of touch, and says yes to nobody until it has caught up.
    Stopped,
    /// It is not known to be in force there yet.
    Waiting,
}

impl Standing {
    /// The name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InForce => "in_force",
            Self::Stopped => "stopped",
            Self::Waiting => "waiting",
        }
    }
}

/// A server, and what became of a change there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStanding {
    /// What its operator calls it.
    pub name: String,
    /// What became of the change.
    pub standing: Standing,
}

/// How far a change has come on all servers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InForce {
    /// The number of a change that is not before the one in question.
    pub revision: i64,
    /// Every server that was known of, by name.
    pub nodes: Vec<NodeStanding>,
    /// How long it was waited for them after the change was in force on the server that answers, in milliseconds.
    pub after_ms: u64,
}

impl InForce {
    /// How many servers stand like that?
    pub fn count(&self, standing: Standing) -> usize {
        self.nodes.iter().filter(|node| node.standing == standing).count()
    }

    /// Does no server anywhere act on what was before the change?
    pub fn is_complete(&self) -> bool {
        !self.nodes.is_empty() && self.count(Standing::Waiting) == 0
    }

    /// The same for people: `in force on 3 of 3 nodes after 140 ms`.
    pub fn in_words(&self) -> String {
        let mut words = format!("in force on {} of {} nodes after {} ms", self.count(Standing::InForce), self.nodes.len(), self.after_ms);
        for (standing, what) in [(Standing::Stopped, "out of touch and says no yes"), (Standing::Waiting, "not heard of yet")] {
            let names: Vec<&str> = self.nodes.iter().filter(|node| node.standing == standing).map(|node| node.name.as_str()).collect();
            if !names.is_empty() {
                words = format!("{words}; {what}: {}", names.join(", "));
            }
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(standings: &[(&str, Standing)]) -> InForce {
        let nodes = standings.iter().map(|(name, standing)| NodeStanding { name: (*name).to_owned(), standing: *standing }).collect();
        InForce { revision: 7, nodes, after_ms: 140 }
    }

    #[test]
    fn a_change_is_everywhere_when_nobody_is_waited_for() {
        let everywhere = on(&[("a", Standing::InForce), ("b", Standing::InForce), ("c", Standing::InForce)]);
        assert!(everywhere.is_complete());
        assert_eq!(everywhere.in_words(), "in force on 3 of 3 nodes after 140 ms");
        let paused = on(&[("a", Standing::InForce), ("b", Standing::Stopped)]);
        assert!(paused.is_complete());
        assert_eq!(paused.in_words(), "in force on 1 of 2 nodes after 140 ms; out of touch and says no yes: b");
        let waiting = on(&[("a", Standing::InForce), ("b", Standing::Waiting)]);
        assert!(!waiting.is_complete());
        assert_eq!(waiting.in_words(), "in force on 1 of 2 nodes after 140 ms; not heard of yet: b");
    }

    #[test]
    fn where_no_server_is_known_of_nothing_is_promised() {
        assert!(!on(&[]).is_complete());
    }
}
