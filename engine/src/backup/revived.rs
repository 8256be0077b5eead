//! What a restored backup must not bring back to life. A backup knows nothing of what came after it: every key that was
//! deleted, stopped, narrowed or rotated since is in it as it was. What can be done about that depends on what the operator
//! still has: the audit log that went on, or nothing.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use keyfold_domain::ids::{KeyId, ResourceId, SecretId, UserId, WorkspaceId};
use keyfold_domain::policy::Actor;
use keyfold_domain::time::Timestamp;
use serde_json::{Value, json};

use super::later::{Fate, Later};
use super::restoring::taken;
use crate::clock::{Entropy, EntropyRng};
use crate::error::Error;
use crate::mac::{MAC_LEN, Macs};
use crate::service::audit::Event;
use crate::service::keys_write::{end, name_of, settings, stop};
use crate::store;
use crate::store::db::Conn;
use crate::store::keys::KeyRow;
use crate::store::secrets::SecretInsert;

/// What is shown as the end of a secret that nobody knows.
const LOST: &str = "lost";
/// Why keys are stopped of which nothing is known.
const RESTORED: &str = "Restored from a backup";
/// Why a key is stopped that could do more in the backup.
const NARROWED: &str = "Narrowed or given away after the backup it was restored from";

/// What becomes of keys that were stopped after the backup was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revived {
    /// What the audit log says of the time since is done again, as far as it takes something away.
    Follow {
        /// Files of events, as `keyfold audit export` writes them.
        events: Vec<PathBuf>,
        /// Deactivate every key that is left as well.
        and_deactivate: bool,
    },
    /// Every key starts deactivated.
    DeactivateAll,
    /// They work again, and whoever restores has said that they know.
    Accept,
}

impl Revived {
    const fn as_str(&self) -> &'static str {
        match self {
            Self::Follow { and_deactivate: false, .. } => "events",
            Self::Follow { and_deactivate: true, .. } => "events, and all deactivated",
            Self::DeactivateAll => "all deactivated",
            Self::Accept => "accepted",
        }
    }
}

/// What does not work any more although the backup holds it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stopped {
    /// So many later events were read.
    pub events: u64,
    /// So many keys were deleted.
    pub deleted: u64,
    /// So many were deactivated.
    pub deactivated: u64,
    /// Of so many the secret ends, because they were rotated since; their newer secret is not in the backup.
    pub rotated: u64,
    /// So many people were shut out, or lost the rank of an instance administrator.
    pub people: u64,
    /// So many places in workspaces were ended or lowered.
    pub places: u64,
    /// So many resources were deleted.
    pub resources: u64,
    /// So many sessions were ended.
    pub sessions: u64,
    /// So many invitations were withdrawn.
    pub invitations: u64,
    /// What was done since and not done again, by action.
    pub left: BTreeMap<String, u64>,
}

/// Does what has to be done, in one transaction of the copy.
pub(super) struct Stopping<'a> {
    pub(super) actor: &'a Actor,
    pub(super) macs: &'a Macs,
    pub(super) entropy: &'a Arc<dyn Entropy>,
    pub(super) now: Timestamp,
    pub(super) revived: &'a Revived,
}

impl Stopping<'_> {
    pub(super) async fn carry_out(&self, conn: &mut Conn<'_>, later: Later, taken_at: Option<Timestamp>) -> Result<Stopped, Error> {
        let (sessions, invitations) = store::meta::shut_doors(conn).await?;
        let mut stopped = Stopped { events: later.events, sessions, invitations, ..Stopped::default() };
        for ((workspace, key), fate) in &later.keys {
            self.key(conn, (workspace, key), fate, &mut stopped).await?;
        }
        for (id, fate) in &later.people {
            stopped.people += u64::from(self.person(conn, id, fate.disabled, fate.demoted).await?);
        }
        for ((workspace, user), role) in &later.places {
            stopped.places += u64::from(self.place(conn, workspace, user, *role).await?);
        }
        for (workspace, resource) in &later.resources {
            stopped.resources += u64::from(self.resource(conn, workspace, resource).await?);
        }
        if matches!(self.revived, Revived::DeactivateAll | Revived::Follow { and_deactivate: true, .. }) {
            stopped.deactivated += self.everything(conn).await?;
        }
        stopped.left = later.left;
        let done = json!({
            "backup_taken_at": taken(taken_at), "revived_keys": self.revived.as_str(), "events": stopped.events,
            "keys_deleted": stopped.deleted, "keys_deactivated": stopped.deactivated, "secrets_ended": stopped.rotated,
            "people": stopped.people, "places": stopped.places, "resources": stopped.resources,
            "sessions_ended": stopped.sessions, "invitations_ended": stopped.invitations,
        });
        Event::done(self.now, self.actor, None, "instance.restore", "").change(None, Some(done)).append(conn, self.macs).await?;
        store::changes::skip(conn).await?;
        Ok(stopped)
    }

    async fn note(
        &self,
        conn: &mut Conn<'_>,
        workspace: Option<&str>,
        (action, object): (&str, &str),
        (before, after): (Value, Value),
    ) -> Result<(), Error> {
        let event = Event::done(self.now, self.actor, workspace, action, object).change(Some(before), Some(after));
        event.append(conn, self.macs).await
    }

    async fn key(&self, conn: &mut Conn<'_>, (workspace, key): (&str, &str), fate: &Fate, stopped: &mut Stopped) -> Result<(), Error> {
        let (Ok(place), Ok(id)) = (workspace.parse::<WorkspaceId>(), key.parse::<KeyId>()) else { return Ok(()) };
        // One that was made after the backup is not in it.
        let Some(row) = store::keys::find(conn, &place, &id).await? else { return Ok(()) };
        if row.deleted_at.is_some() {
            return Ok(());
        }
        let mut row = row;
        if fate.deleted {
            stopped.deleted += 1;
            return self.change(conn, &mut row, "key.delete", |row| end(row, self.now, &name_of(self.actor))).await;
        }
        if self.secrets(conn, &id, &mut row, fate).await? {
            stopped.rotated += 1;
        }
        let for_good = fate.deactivated.as_ref().is_some_and(|deactivation| deactivation.for_good);
        // Whoever activates it has to know that it is wide again.
        let why = if fate.narrowed { Some(NARROWED) } else { fate.deactivated.as_ref().map(|deactivation| deactivation.why.as_str()) };
        let more = row.deactivated_at.is_none() || (for_good && !row.stopped_for_good);
        if let Some(why) = why.filter(|_| more) {
            stopped.deactivated += 1;
            let alter = |row: &mut KeyRow| {
                stop(row, self.now, why, &name_of(self.actor));
                row.stopped_for_good |= for_good;
            };
            self.change(conn, &mut row, "key.deactivate", alter).await?;
        }
        Ok(())
    }

    /// Changes a key's row, with its event.
    async fn change(&self, conn: &mut Conn<'_>, row: &mut KeyRow, action: &str, alter: impl FnOnce(&mut KeyRow)) -> Result<(), Error> {
        let before = settings(row);
        alter(row);
        let (workspace, id) = (row.workspace_id.clone(), row.id.clone());
        self.note(conn, Some(&workspace), (action, &id), (before, settings(row))).await?;
        if !store::keys::update(conn, row).await? {
            return Err(Error::Internal("a key changed while its backup was restored".into()));
        }
        row.version += 1;
        Ok(())
    }

    /// Ends the secrets of a key that ended since. Says whether its current one is among them.
    async fn secrets(&self, conn: &mut Conn<'_>, id: &KeyId, row: &mut KeyRow, fate: &Fate) -> Result<bool, Error> {
        if fate.older_ended {
            store::secrets::end_retiring(conn, id, self.now).await?;
        }
        if let Some(ends_at) = fate.rotated {
            let ended = ends_at <= self.now.as_millis();
            let fresh = self.unknown_secret();
            let (old, new) =
                (json!({"secret_known": true}), json!({"secret_known": false, "secret": fresh.id, "old_secret_ends_at": ends_at}));
            self.note(conn, Some(&row.workspace_id), ("key.rotate", id.as_str()), (old, new)).await?;
            store::secrets::retire(conn, id, Timestamp::from_millis(ends_at), ended).await?;
            store::secrets::insert(conn, id.as_str(), &fresh).await?;
            row.rotating_until = if ended { row.rotating_until } else { row.rotating_until.max(Some(ends_at)) };
            if !store::keys::update(conn, row).await? {
                return Err(Error::Internal("a key changed while its backup was restored".into()));
            }
            row.version += 1;
        }
        for secret in &fate.ended {
            if let Ok(secret) = secret.parse::<SecretId>() {
                store::secrets::end(conn, id, &secret, self.now).await?;
            }
        }
        Ok(fate.rotated.is_some())
    }

    /// A current secret that nobody has: the one that a key got after the backup cannot be told from it.
    fn unknown_secret(&self) -> SecretInsert {
        let mut mac = [0; MAC_LEN];
        self.entropy.fill(&mut mac);
        SecretInsert {
            id: SecretId::generate(self.now, &mut EntropyRng(Arc::clone(self.entropy))),
            mac,
            pepper_id: self.macs.pepper_id().to_owned(),
            hint: LOST.to_owned(),
            now: self.now,
        }
    }

    async fn person(&self, conn: &mut Conn<'_>, id: &str, disabled: bool, demoted: bool) -> Result<bool, Error> {
        let Ok(user) = id.parse::<UserId>() else { return Ok(false) };
        let Some(row) = store::users::find(conn, &user).await? else { return Ok(false) };
        let mut changed = row.clone();
        changed.active &= !disabled;
        changed.instance_admin &= !demoted;
        if changed.active == row.active && changed.instance_admin == row.instance_admin {
            return Ok(false);
        }
        let action = if disabled { "user.disable" } else { "user.update" };
        let told = |row: &store::users::UserRow| crate::service::users::settings(row);
        self.note(conn, None, (action, id), (told(&row), told(&changed))).await?;
        store::users::update(conn, &changed).await?;
        Ok(true)
    }

    async fn place(
        &self,
        conn: &mut Conn<'_>,
        workspace: &str,
        user: &str,
        role: Option<keyfold_domain::workspace::Role>,
    ) -> Result<bool, Error> {
        let (Ok(place), Ok(person)) = (workspace.parse::<WorkspaceId>(), user.parse::<UserId>()) else { return Ok(false) };
        let Some(before) = store::workspaces::find_role(conn, &place, &person).await? else { return Ok(false) };
        if role.is_some_and(|role| role >= before) {
            return Ok(false);
        }
        let action = if role.is_some() { "member.update" } else { "member.remove" };
        self.note(conn, Some(workspace), (action, user), (json!({"role": before}), json!({"role": role}))).await?;
        if let Some(role) = role {
            store::workspaces::set_membership(conn, &place, &person, role, self.now).await?;
        } else {
            store::left_keys::enqueue(conn, &place, &person, self.now).await?;
            store::members::delete(conn, &place, &person).await?;
        }
        Ok(true)
    }

    async fn resource(&self, conn: &mut Conn<'_>, workspace: &str, resource: &str) -> Result<bool, Error> {
        let (Ok(place), Ok(id)) = (workspace.parse::<WorkspaceId>(), resource.parse::<ResourceId>()) else { return Ok(false) };
        if !store::resources::exists(conn, &place, &id).await? {
            return Ok(false);
        }
        let after = json!({"deleted_at": self.now});
        self.note(conn, Some(workspace), ("resource.delete", resource), (json!({"deleted_at": null}), after)).await?;
        store::resources::delete(conn, &place, &id, self.now).await?;
        Ok(true)
    }

    /// Deactivates every key that is not. One event for each workspace: an event for each key would say the same.
    async fn everything(&self, conn: &mut Conn<'_>) -> Result<u64, Error> {
        let mut all = 0;
        for (workspace, keys) in store::keys::count_working(conn).await? {
            let after = json!({"keys": keys, "deactivated_reason": RESTORED});
            self.note(conn, Some(&workspace), ("workspace.deactivate_keys", &workspace), (Value::Null, after)).await?;
            all += u64::try_from(keys).unwrap_or_default();
        }
        store::keys::stop_working(conn, self.now, RESTORED, &name_of(self.actor)).await?;
        Ok(all)
    }
}
