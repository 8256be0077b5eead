//! From where and how often a key may be used, and how often all keys of a member together. Deciding is in the domain, and
//! what was spent in the verifier's memory.

use std::sync::Arc;

use keyfold_domain::addresses::AddressRange;
use keyfold_domain::ids::{KeyId, UserId, WorkspaceId};
use keyfold_domain::key::{KeyLimits, LimitState};
use keyfold_domain::limits::{Limit, Limits, check_limits};
use keyfold_domain::member::MemberSummary;
use keyfold_domain::policy::{Action, Actor, Object, Principal};
use keyfold_engine_macros::compiled_here;
use serde_json::json;

use super::audit::Event;
use super::keys::Keys;
use super::members::{Members, within_own_role};
use crate::error::Error;
use crate::store;
use crate::store::changes::Change;
use crate::store::db::Conn;
use crate::store::keys::KeyRow;

#[compiled_here]
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
                let all = record.limits().into_iter().flat_map(Limits::iter);
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

#[compiled_here]
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

/// Changes from where and how often a key may be used. A limit that keeps its name keeps what was spent of it.
pub(super) async fn patch_bounds(
    conn: &mut Conn<'_>,
    row: &mut KeyRow,
    ip_allow: Option<Vec<AddressRange>>,
    limits: Option<Vec<Limit>>,
    maker: &Actor,
) -> Result<(), Error> {
    if ip_allow.is_none() && limits.is_none() {
        return Ok(());
    }
    let before = row.bounds()?;
    let ip_allow = ip_allow.unwrap_or(before.ip_allow);
    let limits = limits.unwrap_or_else(|| before.limits.clone());
    bounds_within(maker, &ip_allow, &limits)?;
    store::limits::forget(conn, &row.id, &before.limits, &limits).await?;
    row.ip_allow = store::keys::write_ranges(&ip_allow);
    row.limits = store::limits::write(&limits)?;
    Ok(())
}

/// A key that makes or changes another one, or gives it a new secret, cannot let it be used from more addresses than itself,
/// nor more often.
pub(super) fn bounds_within(maker: &Actor, ip_allow: &[AddressRange], limits: &[Limit]) -> Result<(), Error> {
    let Principal::Key(key) = &maker.principal else { return Ok(()) };
    let inside = |range: &AddressRange| key.ip_allow.iter().any(|own| own.contains(&range.net()));
    if !key.ip_allow.is_empty() && (ip_allow.is_empty() || !ip_allow.iter().all(inside)) {
        return Err(Error::forbidden("A key cannot let another one be used from more addresses than itself."));
    }
    if !key.limits.iter().all(|own| limits.iter().any(|limit| own.covers(limit))) {
        return Err(Error::forbidden(
            "A key cannot let another one be used more often than itself: give it the same limits or stricter ones.",
        ));
    }
    Ok(())
}

/// Limits as the audit log says them.
pub(super) fn spoken(limits: &[Limit]) -> Vec<String> {
    limits.iter().map(ToString::to_string).collect()
}
