//! Making, changing, stopping and ending keys. Each act is one transaction with its audit event and its line in the
//! change log, and is in force in this process when the method returns.

use std::future::ready;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use keyfold_domain::catalogue::ScopeCatalogue;
use keyfold_domain::ids::{KeyId, SecretId, UserId, WorkspaceId};
use keyfold_domain::key::{Expiry, IssuedKey, KeyPatch, KeySummary, NewKey};
use keyfold_domain::name;
use keyfold_domain::policy::{Action, Actor, Object, Principal};
use keyfold_domain::policy_limits::KeyPolicy;
use keyfold_domain::problem::Problem;
use keyfold_domain::scope::{self, KeyKind, ScopeSet};
use keyfold_domain::time::Timestamp;
use keyfold_domain::token;
use keyfold_domain::verdict::Key;
use keyfold_domain::workspace::Role;
use keyfold_engine_macros::compiled_here;
use serde_json::{Value, json};

use super::audit::Event;
use super::idempotency::Idempotency;
use super::key_limits::{bounds_within, patch_bounds, spoken};
use super::keys::{Keys, present};
use super::resources::{Wish, ties_within, widens};
use super::sessions::require_proof;
use crate::error::Error;
use crate::store;
use crate::store::changes::Change;
use crate::store::client_settings::ClientSettings;
use crate::store::db::Conn;
use crate::store::keys::{KeyInsert, KeyRow};
use crate::store::resources::{read_ties, write_ties};
use crate::store::secrets::SecretInsert;

#[compiled_here]
impl Keys {
    /// Makes a key and returns its secret, for this one time.
    ///
    /// With an `idempotency` value a second try of the same request makes nothing and is told which key the first made;
    /// the secret is not recoverable.
    pub async fn create(&self, actor: &Actor, workspace: &WorkspaceId, new: NewKey, idempotency: Option<&str>) -> Result<IssuedKey, Error> {
        self.create_with(actor, workspace, new, idempotency, None).await
    }

    /// Makes a key for a client of another product, and keeps with it what that client says of it.
    pub async fn create_for_client(
        &self,
        actor: &Actor,
        workspace: &WorkspaceId,
        new: NewKey,
        settings: ClientSettings,
    ) -> Result<IssuedKey, Error> {
        self.create_with(actor, workspace, new, None, Some(settings)).await
    }

    async fn create_with(
        &self,
        actor: &Actor,
        workspace: &WorkspaceId,
        new: NewKey,
        idempotency: Option<&str>,
        settings: Option<ClientSettings>,
    ) -> Result<IssuedKey, Error> {
        let core = &self.core;
        let owner = match (&new.owner, actor.user()) {
            (Some(owner), _) => owner.clone(),
            (None, Some(user)) => user.id.clone(),
            (None, None) => {
                core.authorize(actor, Action::CreateKey, &Object::Workspace(workspace)).await?;
                return Err(Problem::invalid("owner", "Say whose key it is.").into());
            }
        };
        core.authorize(actor, Action::CreateKey, &Object::Key { workspace, owner: &owner, id: None }).await?;
        if !new.ip_allow.is_empty() || !new.limits.is_empty() {
            core.authorize(actor, Action::LimitKey, &Object::Key { workspace, owner: &owner, id: None }).await?;
        }
        let idempotency = idempotency.map(|value| Idempotency::of(actor, value, &(workspace, &new))).transpose()?;
        let new = new.checked(&self.scopes_of(workspace).await?)?;
        let policy = self.rules(actor, workspace, &owner, new.kind).await?;
        let now = core.now();
        let mut expires_at = policy.resolve(new.expires_at, now)?;
        if new.expires_at == Expiry::Default
            && let Principal::Key(key) = &actor.principal
        {
            // Nobody wished for that end: a key's own is soon enough.
            expires_at = [expires_at, key.expires_at].into_iter().flatten().min();
        }
        scopes_within(actor, &new.scopes)?;
        end_within(actor, expires_at)?;
        bounds_within(actor, &new.ip_allow, &new.limits)?;
        if new.kind == KeyKind::Management {
            require_proof(core, actor)?;
        }
        let secret = token::generate(&core.prefix, new.kind, &mut core.rng());
        let created_by = name_of(actor);
        let insert = KeyInsert {
            id: KeyId::generate(now, &mut core.rng()),
            workspace: workspace.clone(),
            owner,
            created_by,
            expires_at,
            inactivity_days: policy.interval(new.inactivity_days),
            now,
            secret: SecretInsert {
                id: SecretId::generate(now, &mut core.rng()),
                mac: core.macs.key(secret.expose()),
                pepper_id: core.macs.pepper_id().to_owned(),
                hint: token::hint(&secret),
                now,
            },
            settings,
            new,
        };
        let key = self.insert(actor, insert, idempotency).await?;
        Ok(IssuedKey { key, secret })
    }

    /// The workspace's rules, if they let `actor` make a key of that kind for `owner`.
    async fn rules(&self, actor: &Actor, workspace: &WorkspaceId, owner: &UserId, kind: KeyKind) -> Result<KeyPolicy, Error> {
        let mut reader = self.core.db.reader().await?;
        let mut conn = reader.conn();
        let row = store::workspaces::find(&mut conn, workspace.as_str()).await?.ok_or_else(Error::not_found)?;
        let policy = row.summary(None)?.key_policy;
        let Some(role) = store::workspaces::find_role(&mut conn, workspace, owner).await? else {
            let own = actor.user().is_some_and(|user| user.id == *owner);
            let text = if own {
                "You are not a member of this workspace. Join it to have keys here."
            } else {
                "This person is not a member of the workspace."
            };
            return Err(Problem::invalid("owner", text).into());
        };
        if role < Role::Member {
            return Err(Problem::invalid("owner", "A viewer cannot have keys. Give this person another role first.").into());
        }
        if !policy.members_may_create && actor.role_in(workspace) < Some(Role::Admin) {
            return Err(Error::forbidden("Only administrators create keys in this workspace."));
        }
        // A management key acts as its owner: nobody may mint one for somebody mightier.
        if kind == KeyKind::Management && actor.role_in(workspace) < Some(role) {
            return Err(Error::forbidden("You cannot make a management key for somebody whose role is above yours."));
        }
        Ok(policy)
    }

    async fn scopes_of(&self, workspace: &WorkspaceId) -> Result<ScopeCatalogue, Error> {
        let mut reader = self.core.db.reader().await?;
        store::scopes::catalogue(&mut reader.conn(), workspace.as_str()).await
    }

    async fn insert(&self, actor: &Actor, insert: KeyInsert, idempotency: Option<Idempotency>) -> Result<KeySummary, Error> {
        let core = &self.core;
        let after = json!({
            "owner": insert.owner, "name": insert.new.name, "kind": insert.new.kind, "scopes": insert.new.scopes,
            "expires_at": insert.expires_at, "inactivity_days": insert.inactivity_days, "note": insert.new.note,
            "resources": insert.new.resources, "ip_allow": insert.new.ip_allow, "limits": spoken(&insert.new.limits),
        });
        let event = Event::done(insert.now, actor, Some(insert.workspace.as_str()), "key.create", insert.id.as_str());
        let input = Arc::new((actor.clone(), insert, idempotency, event.change(None, Some(after))));
        let macs = Arc::clone(&core.macs);
        let (row, seq) = core
            .db
            .write(move |mut conn| {
                let (input, macs) = (Arc::clone(&input), Arc::clone(&macs));
                Box::pin(async move {
                    let (maker, key, idempotency, event) = &*input;
                    // First: the chain's row lock makes what is counted and read below exact on every engine.
                    event.append(&mut conn, &macs).await?;
                    if let Some(idempotency) = idempotency {
                        idempotency.refuse_replay(&mut conn, already_created).await?;
                    }
                    // The rules may have become stricter since the end was worked out.
                    let policy = store::policies::held(&mut conn, &key.workspace).await?;
                    policy.permit(key.expires_at, key.now)?;
                    room_for_one_more(&mut conn, key, &policy).await?;
                    still_there(&mut conn, key).await?;
                    store::keys::insert(&mut conn, key).await?;
                    tie_new(&mut conn, maker, key).await?;
                    if let Some(idempotency) = idempotency {
                        idempotency.insert(&mut conn, &key.id, key.now).await?;
                    }
                    let row = store::keys::find(&mut conn, &key.workspace, &key.id).await?.ok_or_else(Error::not_found)?;
                    Ok((row, store::changes::append(&mut conn, &Change::Key(&key.id), key.now).await?))
                })
            })
            .await?;
        core.reach(seq).await?;
        present(core, &row)
    }

    /// Changes a key's name, scopes, expiry, interval, note, resources, addresses or limits. What the patch leaves out stays.
    pub async fn update(&self, actor: &Actor, workspace: &WorkspaceId, id: &KeyId, patch: KeyPatch) -> Result<KeySummary, Error> {
        if patch.ip_allow.is_some() || patch.limits.is_some() {
            self.find_for(actor, workspace, id, Action::LimitKey).await?;
        }
        let mut reader = self.core.db.reader().await?;
        let rules = store::workspaces::find(&mut reader.conn(), workspace.as_str()).await?;
        drop(reader);
        // Whether the workspace exists is for the policy to tell; without one there is no key in it either.
        let policy = rules.map(|row| row.summary(None)).transpose()?.map(|summary| summary.key_policy).unwrap_or_default();
        let (maker, now) = (actor.clone(), self.core.now());
        let input = Arc::new((maker, patch, policy));
        self.change_within(actor, workspace, id, (Action::UpdateKey, "key.update"), move |conn, row| {
            let input = Arc::clone(&input);
            Box::pin(async move {
                let (maker, patch, policy) = &*input;
                if patch.version.is_some_and(|version| version != row.version) {
                    return Err(changed_meanwhile(row));
                }
                patch_row(conn, row, patch.clone(), policy, maker, now).await
            })
        })
        .await
    }

    /// Stops a key until it is activated again. Stopping a stopped key changes nothing.
    pub async fn deactivate(&self, actor: &Actor, workspace: &WorkspaceId, id: &KeyId, reason: &str) -> Result<KeySummary, Error> {
        let reason = name::optional_name("reason", reason)?;
        let (now, by) = (self.core.now(), name_of(actor));
        self.change(actor, workspace, id, (Action::DeactivateKey, "key.deactivate"), move |row| {
            stop(row, now, &reason, &by);
            Ok(())
        })
        .await
    }

    /// Lets a deactivated or dormant key work again; its idle time counts from now. Not one that was stopped for good.
    pub async fn activate(&self, actor: &Actor, workspace: &WorkspaceId, id: &KeyId) -> Result<KeySummary, Error> {
        let now = self.core.now();
        self.change(actor, workspace, id, (Action::ActivateKey, "key.activate"), move |row| {
            if row.stopped_for_good {
                return Err(Error::conflict(None, "This key was deactivated for good, as its client was told. Make a new one instead."));
            }
            row.deactivated_at = None;
            row.deactivated_reason = None;
            row.stopped_by = None;
            row.activated_at = Some(now.as_millis());
            Ok(())
        })
        .await
    }

    /// Ends a key for good: its secret never works again. The record stays.
    pub async fn delete(&self, actor: &Actor, workspace: &WorkspaceId, id: &KeyId) -> Result<KeySummary, Error> {
        let (now, by) = (self.core.now(), name_of(actor));
        self.change(actor, workspace, id, (Action::DeleteKey, "key.delete"), move |row| {
            end(row, now, &by);
            Ok(())
        })
        .await
    }

    /// As [`Self::change_within`], for what needs nothing but the key.
    pub(super) async fn change<F>(
        &self,
        actor: &Actor,
        workspace: &WorkspaceId,
        id: &KeyId,
        act: (Action, &str),
        alter: F,
    ) -> Result<KeySummary, Error>
    where
        F: Fn(&mut KeyRow) -> Result<(), Error> + Send + Sync + 'static,
    {
        self.change_within(actor, workspace, id, act, move |_, row| Box::pin(ready(alter(row)))).await
    }

    /// Reads a key, asks the policy, lets `alter` change it, and writes it back with its audit event. `alter` may read what
    /// else it needs in the same transaction.
    async fn change_within<F>(
        &self,
        actor: &Actor,
        workspace: &WorkspaceId,
        id: &KeyId,
        act: (Action, &str),
        alter: F,
    ) -> Result<KeySummary, Error>
    where
        F: for<'a> Fn(&'a mut Conn<'_>, &'a mut KeyRow) -> BoxFuture<'a, Result<(), Error>> + Send + Sync + 'static,
    {
        let core = &self.core;
        self.find_for(actor, workspace, id, act.0).await?;
        let event = Event::done(core.now(), actor, Some(workspace.as_str()), act.1, id.as_str());
        let input = Arc::new((workspace.clone(), id.clone(), event, alter));
        let (macs, now) = (Arc::clone(&core.macs), core.now());
        let (row, seq) = core
            .db
            .write(move |mut conn| {
                let (input, macs) = (Arc::clone(&input), Arc::clone(&macs));
                Box::pin(async move {
                    let (workspace, id, event, alter) = &*input;
                    let mut row = store::keys::find(&mut conn, workspace, id).await?.ok_or_else(Error::not_found)?;
                    if row.deleted_at.is_some() {
                        return Err(Error::conflict(None, "This key was deleted. It cannot be changed any more."));
                    }
                    let (before, end, ties) = (settings(&row), row.expires_at, row.ties.clone());
                    alter(&mut conn, &mut row).await?;
                    if row.expires_at != end {
                        // Whatever the act is: no end is given that the rules of this moment do not allow.
                        store::policies::held(&mut conn, workspace).await?.permit(row.expires_at.map(Timestamp::from_millis), now)?;
                    }
                    event.clone().change(Some(before), Some(settings(&row))).append(&mut conn, &macs).await?;
                    if !store::keys::update(&mut conn, &row).await? {
                        return Err(changed_meanwhile(&row));
                    }
                    if ties != row.ties {
                        store::resources::tie(&mut conn, id, &read_ties(row.ties.as_deref())?).await?;
                    }
                    row.version += 1;
                    Ok((row, store::changes::append(&mut conn, &Change::Key(id), now).await?))
                })
            })
            .await?;
        core.reach(seq).await?;
        present(core, &row)
    }
}

/// Deactivates a key that is not deactivated yet.
pub(crate) fn stop(row: &mut KeyRow, now: Timestamp, reason: &str, by: &str) {
    if row.deactivated_at.is_none() {
        row.deactivated_at = Some(now.as_millis());
        row.deactivated_reason = Some(reason.to_owned());
        row.stopped_by = Some(by.to_owned());
    }
}

/// Deletes a key.
pub(crate) fn end(row: &mut KeyRow, now: Timestamp, by: &str) {
    row.deleted_at = Some(now.as_millis());
    row.stopped_by = Some(by.to_owned());
}

/// What an actor is called in a record that outlives them.
pub(crate) fn name_of(actor: &Actor) -> String {
    match &actor.principal {
        Principal::Operator => "command line".to_owned(),
        _ => actor.user().map(|user| user.username.clone()).unwrap_or_default(),
    }
}

async fn patch_row(
    conn: &mut Conn<'_>,
    row: &mut KeyRow,
    patch: KeyPatch,
    policy: &KeyPolicy,
    maker: &Actor,
    now: Timestamp,
) -> Result<(), Error> {
    let current = row.settings()?;
    if patch.scopes.is_some() || patch.resources.is_some() {
        store::audit::lock(conn, &row.workspace_id).await?;
    }
    let catalogue = match &patch.scopes {
        Some(_) => store::scopes::catalogue(conn, &row.workspace_id).await?,
        None => ScopeCatalogue::default(),
    };
    let patch = patch.checked(current.kind, &catalogue)?;
    patch_reach(conn, row, &current, &patch, maker).await?;
    if patch.scopes.as_ref().is_some_and(|scopes| !current.scopes.covers(scopes, &catalogue)) {
        row.scopes_at = Some(now.as_millis());
    }
    if let Some(name) = patch.name {
        row.folded_name = name::fold(&name);
        row.name = name;
    }
    if let Some(wish) = patch.expires_at {
        let end = policy.resolve(wish, now)?;
        end_within(maker, end)?;
        row.expires_at = end.map(Timestamp::as_millis);
    }
    if let Some(days) = patch.inactivity_days {
        row.inactivity_days = days.map(i64::from);
    }
    if let Some(note) = patch.note {
        row.note = note;
    }
    patch_bounds(conn, row, patch.ip_allow, patch.limits, maker).await
}

/// Changes what a key may be used for and on what. A key that makes the change can lead to nothing that it could not do
/// itself.
async fn patch_reach(conn: &mut Conn<'_>, row: &mut KeyRow, current: &Key, patch: &KeyPatch, maker: &Actor) -> Result<(), Error> {
    if patch.scopes.is_none() && patch.resources.is_none() {
        return Ok(());
    }
    let before = read_ties(row.ties.as_deref())?;
    let scopes = patch.scopes.as_ref().unwrap_or(&current.scopes);
    let mut ties = before.clone();
    if let Some(names) = &patch.resources {
        let (workspace, owner, override_owner) = (&current.workspace_id, &current.owner.id, patch.override_owner);
        ties = Wish { maker, workspace, owner, names, tied: &before, override_owner }.resolve(conn).await?;
    }
    ties_within(maker, &ties)?;
    if patch.scopes.is_some() || widens(&before, &ties) {
        scopes_within(maker, scopes)?;
    }
    row.scopes = scopes.to_string();
    row.ties = write_ties(&ties);
    Ok(())
}

/// Are the workspace's own scopes that the new key shall hold still there, and of the sort it may hold?
async fn still_there(conn: &mut Conn<'_>, key: &KeyInsert) -> Result<(), Error> {
    if key.new.scopes.iter().all(|name| scope::find(name.as_str()).is_some()) {
        return Ok(());
    }
    let catalogue = store::scopes::catalogue(conn, key.workspace.as_str()).await?;
    key.new.clone().checked(&catalogue).map(|_| ()).map_err(Error::from)
}

/// Ties a new key to its resources.
async fn tie_new(conn: &mut Conn<'_>, maker: &Actor, key: &KeyInsert) -> Result<(), Error> {
    let (workspace, owner, names, override_owner) = (&key.workspace, &key.owner, &key.new.resources, key.new.override_owner);
    let ties = Wish { maker, workspace, owner, names, tied: &[], override_owner }.resolve(conn).await?;
    ties_within(maker, &ties)?;
    if ties.is_empty() { Ok(()) } else { Ok(store::resources::tie(conn, &key.id, &ties).await?) }
}

/// A key that makes or changes another one cannot give more than it has itself.
pub(super) fn scopes_within(maker: &Actor, scopes: &ScopeSet) -> Result<(), Error> {
    match &maker.principal {
        Principal::Key(key) if !scopes.is_subset(&key.scopes) => Err(Error::forbidden("A key cannot give scopes that it does not hold.")),
        _ => Ok(()),
    }
}

/// A key that makes or changes another one cannot let it live longer than itself.
fn end_within(maker: &Actor, end: Option<Timestamp>) -> Result<(), Error> {
    let Principal::Key(key) = &maker.principal else { return Ok(()) };
    match key.expires_at {
        Some(own) if end.is_none_or(|end| end > own) => Err(Error::forbidden("A key cannot make one that outlives it.")),
        _ => Ok(()),
    }
}

pub(super) fn changed_meanwhile(row: &KeyRow) -> Error {
    let text = format!("Somebody changed this key meanwhile (it is at version {} now). Load it again and repeat your change.", row.version);
    Error::conflict(Some("version"), text)
}

/// What the audit log says of a key.
pub(crate) fn settings(row: &KeyRow) -> Value {
    let resources: Vec<&str> = row.ties.iter().flat_map(|ties| ties.lines()).filter_map(|tie| tie.split('\t').next()).collect();
    // What cannot be read any more is kept as it stands there.
    let unread = |_| row.limits.iter().cloned().collect();
    let limits = store::limits::read(row.limits.as_deref()).map_or_else(unread, |limits| spoken(&limits));
    let mut said = json!({
        "resources": resources,
        "name": row.name, "scopes": row.scopes, "expires_at": row.expires_at, "inactivity_days": row.inactivity_days,
        "note": row.note, "deactivated_at": row.deactivated_at, "deactivated_reason": row.deactivated_reason,
        "deleted_at": row.deleted_at, "stopped_by": row.stopped_by, "version": row.version,
        "ip_allow": row.ip_allow.as_deref().unwrap_or_default().split_ascii_whitespace().collect::<Vec<_>>(),
        "limits": limits,
    });
    if row.stopped_for_good {
        said["stopped_for_good"] = true.into();
    }
    said
}

async fn room_for_one_more(conn: &mut Conn<'_>, key: &KeyInsert, policy: &KeyPolicy) -> Result<(), Error> {
    let (of_owner, of_all) = (i64::from(policy.max_live_per_user), i64::from(policy.max_live_per_workspace));
    let (owners, all) = store::keys::count_live(conn, &key.workspace, &key.owner, of_owner.max(of_all)).await?;
    if owners >= of_owner {
        return Err(Error::conflict(None, format!("This person has {of_owner} keys already, as many as allowed. Delete some first.")));
    }
    if all >= of_all {
        return Err(Error::conflict(None, format!("This workspace has {of_all} keys already, as many as allowed. Delete some first.")));
    }
    Ok(())
}

fn already_created(key: &str) -> String {
    format!(
        "This request already created {key}. Its secret was shown then and cannot be shown again; if it is lost, rotate the key to get another."
    )
}
