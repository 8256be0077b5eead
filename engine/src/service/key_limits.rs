//! From where and how often a key may be used, and how often all keys of a member together. Setting a key's own is in
//! `keys_write`, deciding in the domain, and what was spent is in the verifier's memory.

use std::sync::Arc;

use keyfold_domain::ids::{KeyId, UserId, WorkspaceId};
use keyfold_domain::key::{KeyLimits, LimitState};
use keyfold_domain::limits::{Limit, check_limits};
use keyfold_domain::member::MemberSummary;
use keyfold_domain::policy::{Action, Actor, Object};
use serde_json::json;

use super::audit::Event;
use super::keys::Keys;
use super::keys_write::spoken;
use super::members::{Members, within_own_role};
use crate::error::Error;
use crate::store;
use crate::store::changes::Change;

impl Keys {
    /// From where and how often a key may be used, and what is left of its limits in this process.
    pub async fn limits(&self, actor: &Actor, workspace: &WorkspaceId, id: &KeyId) -> Result<KeyLimits, Error> {
        let row = self.find_for(actor, workspace, id, Action::ReadKey).await?;
        let now = self.core.now();
        let state = |(whose, limit): (_, &Limit), left| {
            let (remaining, resets_at) = left;
            LimitState { limit: limit.clone(), whose, remaining, resets_at }
        };
        let limits = match self.core.keyset.standings(id, now) {
            Some((record, weighed)) => {
                let all = record.limits.iter().flat_map(|limits| limits.iter());
                all.zip(weighed.standings).map(|(limit, standing)| state(limit, (standing.remaining, standing.resets_at))).collect()
            }
            // A deleted key spends nothing any more.
            None => {
                row.settings()?.limits.iter().flat_map(|limits| limits.iter()).map(|limit| state(limit, (limit.1.most(), now))).collect()
            }
        };
        Ok(KeyLimits { ip_allow: row.ranges()?, limits, version: row.version })
    }
}

impl Members {
    /// Limits all keys of a member in the workspace together; an empty list for no limit. What was spent of a limit that
    /// keeps its name stays spent.
    pub async fn limit(&self, actor: &Actor, workspace: &WorkspaceId, user: &UserId, limits: Vec<Limit>) -> Result<MemberSummary, Error> {
        let core = &self.core;
        core.authorize(actor, Action::ManageMembers, &Object::Workspace(workspace)).await?;
        check_limits(&limits)?;
        let now = core.now();
        let event = Event::done(now, actor, Some(workspace.as_str()), "member.limit", user.as_str());
        let input = Arc::new((actor.clone(), workspace.clone(), user.clone(), limits, event));
        let macs = Arc::clone(&core.macs);
        let (member, seq) = core
            .db
            .write(move |mut conn| {
                let (input, macs) = (Arc::clone(&input), Arc::clone(&macs));
                Box::pin(async move {
                    let (actor, workspace, user, limits, event) = &*input;
                    store::audit::lock(&mut conn, workspace.as_str()).await?;
                    let role = store::workspaces::find_role(&mut conn, workspace, user).await?.ok_or_else(Error::not_found)?;
                    within_own_role(actor, workspace, Some(role), None)?;
                    let before = store::members::limits(&mut conn, workspace, user).await?;
                    let shown = |limits: &[Limit]| Some(json!({ "limits": spoken(limits) }));
                    event.clone().change(shown(&before), shown(limits)).append(&mut conn, &macs).await?;
                    store::limits::forget(&mut conn, &store::limits::member(workspace, user), &before, limits).await?;
                    store::members::set_limits(&mut conn, workspace, user, limits).await?;
                    let member = store::members::find(&mut conn, workspace, user).await?.ok_or_else(Error::not_found)?.summary()?;
                    Ok((member, store::changes::append(&mut conn, &Change::Membership(workspace, user), now).await?))
                })
            })
            .await?;
        core.reach(seq).await?;
        Ok(member)
    }
}
