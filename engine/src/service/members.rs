//! Who belongs to a workspace, and as what.

use std::sync::Arc;

use keyfold_domain::ids::{UserId, WorkspaceId};
use keyfold_domain::policy::{Action, Actor, Object};
use keyfold_domain::problem::Problem;
use keyfold_domain::workspace::Role;
use serde_json::json;

use super::Core;
use super::audit::Event;
use crate::error::Error;
use crate::store;
use crate::store::changes::Change;

/// Members as a use case.
#[derive(Clone)]
pub struct Members {
    pub(crate) core: Arc<Core>,
}

impl Members {
    /// Puts a person into a workspace, or gives a member another role. Nobody hands out more than they are.
    pub async fn add(&self, actor: &Actor, workspace: &WorkspaceId, user: &UserId, role: Role) -> Result<(), Error> {
        self.core.authorize(actor, Action::AddMember, &Object::Workspace(workspace)).await?;
        if actor.role_in(workspace) < Some(role) {
            return Err(Error::forbidden("You cannot give a role above your own."));
        }
        let mut reader = self.core.db.reader().await?;
        let mut conn = reader.conn();
        if store::workspaces::find(&mut conn, workspace.as_str()).await?.is_none() {
            return Err(Error::not_found());
        }
        if store::users::find(&mut conn, user).await?.is_none() {
            return Err(Problem::invalid("user", "There is no such user.").into());
        }
        drop(reader);
        let now = self.core.now();
        let event = Event::done(now, actor, Some(workspace.as_str()), "member.add", user.as_str());
        let input = Arc::new((workspace.clone(), user.clone(), event));
        let macs = Arc::clone(&self.core.macs);
        let seq = self
            .core
            .db
            .write(move |mut conn| {
                let (input, macs) = (Arc::clone(&input), Arc::clone(&macs));
                Box::pin(async move {
                    let (workspace, user, event) = &*input;
                    let before = store::workspaces::find_role(&mut conn, workspace, user).await?;
                    let change = (before.map(|role| json!({"role": role})), Some(json!({"role": role})));
                    event.clone().change(change.0, change.1).append(&mut conn, &macs).await?;
                    store::workspaces::set_membership(&mut conn, workspace, user, role, now).await?;
                    Ok(store::changes::append(&mut conn, &Change::Membership(workspace, user), now).await?)
                })
            })
            .await?;
        self.core.reach(seq).await
    }
}
