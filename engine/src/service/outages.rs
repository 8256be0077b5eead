//! What a workspace wants of a server that has lost touch with the database: to say nothing, or to go on from what it knew last.

use std::sync::Arc;

use keyfold_domain::ids::WorkspaceId;
use keyfold_domain::policy::{Action, Actor, Object};
use keyfold_engine_macros::compiled_here;
use serde_json::json;

use super::audit::Event;
use super::policies::Policies;
use super::sessions::require_proof;
use crate::error::Error;
use crate::store;
use crate::store::changes::Change;

/// The most workspaces that are listed.
const MOST: i64 = 1000;

#[compiled_here]
impl Policies {
    /// Does a server go on answering about this workspace's keys when it has lost touch with the database?
    pub async fn keeps_answering(&self, actor: &Actor, workspace: &WorkspaceId) -> Result<bool, Error> {
        self.core.authorize(actor, Action::ReadWorkspace, &Object::Workspace(workspace)).await?;
        let mut reader = self.core.db.reader().await?;
        store::outages::find(&mut reader.conn(), workspace.as_str()).await?.ok_or_else(Error::not_found)
    }

    /// Changes that. For owners with a fresh password: a key that was revoked meanwhile goes on working on a server that is cut off.
    pub async fn keep_answering(&self, actor: &Actor, workspace: &WorkspaceId, keep: bool) -> Result<bool, Error> {
        let core = &self.core;
        core.authorize(actor, Action::ChangeOutageRule, &Object::Workspace(workspace)).await?;
        require_proof(core, actor)?;
        let now = core.now();
        let event = Event::done(now, actor, Some(workspace.as_str()), "outage_rule.change", workspace.as_str());
        let input = Arc::new((workspace.clone(), event));
        let macs = Arc::clone(&core.macs);
        let seq = core
            .db
            .write(move |mut conn| {
                let (input, macs) = (Arc::clone(&input), Arc::clone(&macs));
                Box::pin(async move {
                    let (workspace, event) = &*input;
                    store::audit::lock(&mut conn, workspace.as_str()).await?;
                    let before = store::outages::find(&mut conn, workspace.as_str()).await?.ok_or_else(Error::not_found)?;
                    let shown = |keep: bool| Some(json!({ "keep_answering": keep }));
                    event.clone().change(shown(before), shown(keep)).append(&mut conn, &macs).await?;
                    if !store::outages::set(&mut conn, workspace, keep).await? {
                        return Err(Error::not_found());
                    }
                    // Read along with the scopes: servers of the version before know that kind of change, and no other.
                    Ok(store::changes::append(&mut conn, &Change::Scopes(workspace), now).await?)
                })
            })
            .await?;
        core.reach(seq).await?;
        Ok(keep)
    }

    /// The short names of the workspaces that want it, for who looks after the instance.
    pub async fn keeping_answering(&self, actor: &Actor) -> Result<Vec<String>, Error> {
        self.core.authorize(actor, Action::ManageWorkspaces, &Object::Instance).await?;
        let mut reader = self.core.db.reader().await?;
        let rows = store::outages::all_after(&mut reader.conn(), "", MOST).await?;
        Ok(rows.into_iter().map(|(_, slug)| slug).collect())
    }
}
