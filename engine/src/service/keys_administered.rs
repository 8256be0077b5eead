//! Keys as the administrators' clients of other products ask for them: everybody's in the order they were made, counted off
//! from the start, stopped for good, and with what those clients keep with them.

use keyfold_domain::ids::{KeyId, UserId, WorkspaceId};
use keyfold_domain::key::KeySummary;
use keyfold_domain::name::{check_search, optional_name};
use keyfold_domain::policy::{Action, Actor, Object};
use keyfold_domain::workspace::Role;
use keyfold_engine_macros::compiled_here;
use serde_json::Value;

use super::keys::{Keys, present};
use super::keys_write::{name_of, stop};
use crate::error::Error;
use crate::store;

/// The most keys that are listed or looked through at once.
const MOST: u32 = 10_000;

#[compiled_here]
impl Keys {
    /// Is the actor somebody who administers the keys of the workspace? To be asked before anything else is looked at.
    pub async fn may_administer(&self, actor: &Actor, workspace: &WorkspaceId) -> Result<(), Error> {
        self.core.authorize(actor, Action::AdministerKeys, &Object::Workspace(workspace)).await
    }

    /// The keys that are not deleted, the oldest first, of everybody whose username holds that text: `limit` of them, at
    /// most 10,000, after the first `offset`.
    pub async fn list_administered(
        &self,
        actor: &Actor,
        workspace: &WorkspaceId,
        username: &str,
        offset: u32,
        limit: u32,
    ) -> Result<Vec<KeySummary>, Error> {
        self.may_administer(actor, workspace).await?;
        check_search("filter", username)?;
        let mut reader = self.core.db.reader().await?;
        let rows = store::listing::counted_off(&mut reader.conn(), workspace, username, offset, limit.min(MOST)).await?;
        drop(reader);
        rows.iter().map(|row| present(&self.core, row)).collect()
    }

    /// What that person is in the workspace, for who is about to make them a key; not found if they do not belong there.
    pub async fn owner_role(&self, actor: &Actor, workspace: &WorkspaceId, owner: &UserId) -> Result<Role, Error> {
        self.may_administer(actor, workspace).await?;
        let mut reader = self.core.db.reader().await?;
        store::workspaces::find_role(&mut reader.conn(), workspace, owner).await?.ok_or_else(Error::not_found)
    }

    /// Stops a key for good, for those who were told that it is: nobody can activate it again. Also one that was stopped
    /// for now; stopping it twice changes nothing.
    pub async fn deactivate_for_good(&self, actor: &Actor, workspace: &WorkspaceId, id: &KeyId, reason: &str) -> Result<KeySummary, Error> {
        let reason = optional_name("reason", reason)?;
        let (now, by) = (self.core.now(), name_of(actor));
        self.change(actor, workspace, id, (Action::DeactivateKey, "key.deactivate"), move |row| {
            if !row.stopped_for_good {
                row.deactivated_at = None;
                stop(row, now, &reason, &by);
                row.stopped_for_good = true;
            }
            Ok(())
        })
        .await
    }

    /// What that product's client keeps with the actor's own keys that are not deleted.
    pub async fn client_settings(&self, actor: &Actor, workspace: &WorkspaceId, client: &str) -> Result<Vec<(KeyId, Value)>, Error> {
        self.core.authorize(actor, Action::ReadWorkspace, &Object::Workspace(workspace)).await?;
        let Some(user) = actor.user() else { return Ok(Vec::new()) };
        let mut reader = self.core.db.reader().await?;
        store::client_settings::of_owner(&mut reader.conn(), workspace, &user.id, client, i64::from(MOST)).await
    }
}
