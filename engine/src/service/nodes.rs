//! The servers on the database: which there are, and whether a change is in force on all of them.

use std::sync::Arc;
use std::time::Duration;

use keyfold_domain::ids::NodeId;
use keyfold_domain::node::{InForce, NodeStanding, NodeState, NodeSummary, Standing};
use keyfold_domain::policy::{Action, Actor, Decision, Object, can};
use keyfold_domain::time::Timestamp;
use keyfold_engine_macros::compiled_here;
use tokio::time::sleep;

use super::Core;
use crate::error::Error;
use crate::presence::silent_after_ms;
use crate::store;
use crate::store::nodes::NodeRow;

/// Longer than the budget that servers have if nobody says otherwise: then every one of them is accounted for.
pub const ACCOUNTED_FOR: Duration = Duration::from_secs(6);
/// How often it is looked whether the others have come as far, while somebody waits.
const LOOK_EVERY: Duration = Duration::from_millis(15);

/// The servers as a use case.
#[derive(Clone)]
pub struct Nodes {
    pub(crate) core: Arc<Core>,
}

#[compiled_here]
impl Nodes {
    /// Every server that runs on the database, by name. For administrators of the instance.
    pub async fn list(&self, actor: &Actor) -> Result<Vec<NodeSummary>, Error> {
        self.core.authorize(actor, Action::ReadNodes, &Object::Instance).await?;
        let mut reader = self.core.db.reader().await?;
        let (newest, _) = store::changes::newest(&mut reader.conn()).await?;
        drop(reader);
        self.rows().await?.into_iter().map(|row| self.summary(row, newest)).collect()
    }

    fn summary(&self, row: NodeRow, newest: i64) -> Result<NodeSummary, Error> {
        let id: NodeId = store::users::parse_id(&row.id)?;
        let answering = self.own_id() == Some(&id);
        let revision = if answering { self.core.follower.applied() } else { row.applied };
        let state = if answering || self.is_heard_of(&row) { NodeState::Live } else { NodeState::Silent };
        Ok(NodeSummary {
            id,
            name: row.name,
            version: row.version,
            started_at: Timestamp::from_millis(row.started_at),
            last_seen_at: Timestamp::from_millis(row.last_seen_at),
            revision,
            behind: newest.saturating_sub(revision).max(0),
            staleness_budget_ms: row.budget_ms,
            state,
            answering,
        })
    }

    /// The number of the newest change that is in force on this server: after an act it is not before that act's own.
    pub fn revision(&self) -> i64 {
        self.core.follower.applied()
    }

    /// Waits until what is in force on this server is in force on all, for so long at most.
    ///
    /// A server that has not said so when its budget has passed is out of touch: its last look at the change log was before the
    /// change, so it says no yes any more. Anybody who did an act may ask; whoever may not list the servers is told numbers
    /// for names.
    pub async fn in_force(&self, actor: &Actor, patience: Duration) -> InForce {
        let (revision, begun) = (self.revision(), self.core.clock.uptime_ms());
        let patience = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
        let named = can(actor, Action::ReadNodes, &Object::Instance) == Decision::Allow;
        let mut known = Vec::new();
        let mut asked = false;
        loop {
            match self.rows().await {
                Ok(rows) => known = rows,
                Err(error) => tracing::debug!(%error, "it cannot be seen how far the other servers are"),
            }
            let after_ms = self.core.clock.uptime_ms().saturating_sub(begun);
            let nodes = known.iter().zip(1..).map(|(row, number): (&NodeRow, u32)| NodeStanding {
                name: if named { row.name.clone() } else { format!("node {number}") },
                standing: self.standing(row, revision, after_ms),
            });
            let found = InForce { revision, nodes: nodes.collect(), after_ms };
            if found.is_complete() || after_ms >= patience {
                return found;
            }
            if !asked {
                asked = self.ask(revision).await;
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// As [`Self::in_force`], for a command that is no server itself: `None` where no server is running.
    pub async fn told(&self, actor: &Actor, patience: Duration) -> Result<Option<InForce>, Error> {
        // What a killed server left of itself is waited for by nobody.
        if self.core.unserved || self.rows().await?.is_empty() {
            return Ok(None);
        }
        Ok(Some(self.in_force(actor, patience).await))
    }

    /// As [`Self::in_force`], for people: `None` where this server alone uses the database, so that there is nothing to tell.
    pub async fn reach(&self, actor: &Actor) -> Option<InForce> {
        if self.core.db.shared_feed().is_none() || self.own_id().is_none() {
            return None;
        }
        let found = self.in_force(actor, ACCOUNTED_FOR).await;
        (found.nodes.len() > 1).then_some(found)
    }

    fn standing(&self, row: &NodeRow, revision: i64, after_ms: u64) -> Standing {
        if row.applied >= revision || self.own_id().is_some_and(|own| own.as_str() == row.id) {
            Standing::InForce
        } else if !self.is_heard_of(row) || i64::try_from(after_ms).is_ok_and(|after| after >= row.budget_ms) {
            Standing::Stopped
        } else {
            Standing::Waiting
        }
    }

    /// On a database that only one server can use, there is nothing to hear.
    fn is_heard_of(&self, row: &NodeRow) -> bool {
        self.core.db.shared_feed().is_none() || row.unseen_ms < silent_after_ms(row.budget_ms)
    }

    fn own_id(&self) -> Option<&NodeId> {
        self.core.presence.get().map(|presence| &presence.node.id)
    }

    async fn rows(&self) -> Result<Vec<NodeRow>, Error> {
        let mut reader = self.core.db.reader().await?;
        let mut conn = reader.conn();
        let now = store::nodes::shared_now(&mut conn, self.core.now()).await?;
        Ok(store::nodes::list(&mut conn, now).await?)
    }

    /// Asks the others to say at once how far they are. If that fails, servers with a shared database say so within a second
    /// anyway.
    async fn ask(&self, revision: i64) -> bool {
        let own = self.own_id().cloned();
        let wrote = self.core.db.note(move |mut conn| {
            let own = own.clone();
            Box::pin(async move { Ok(store::nodes::await_change(&mut conn, own.as_ref(), revision).await?) })
        });
        let told = wrote.await.is_ok();
        self.core.signals.committed.notify_one();
        told
    }
}
