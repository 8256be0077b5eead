//! Rotation: a key gets a new secret, and the one before goes on working for as long as was asked for. Everything else of
//! the key stays as it is.

use std::sync::Arc;

use keyfold_domain::ids::{KeyId, SecretId, WorkspaceId};
use keyfold_domain::key::{InactiveReason, IssuedKey, KeyState};
use keyfold_domain::policy::{Action, Actor};
use keyfold_domain::scope::KeyKind;
use keyfold_domain::secret::{Grace, MAX_CLIENTS, MAX_RETIRING, RotatedKey, Rotation, SecretClient, SecretState, SecretSummary};
use keyfold_domain::time::Timestamp;
use keyfold_domain::token;
use keyfold_domain::verdict::{Moment, state};
use keyfold_engine_macros::compiled_here;
use serde_json::{Value, json};

use super::audit::Event;
use super::idempotency::Idempotency;
use super::key_limits::bounds_within;
use super::keys::{Keys, present};
use super::keys_write::{changed_meanwhile, scopes_within};
use super::resources::ties_within;
use super::sessions::require_proof;
use super::verify::GRACE_MS;
use crate::error::Error;
use crate::keyset::Seen;
use crate::store;
use crate::store::changes::Change;
use crate::store::db::Conn;
use crate::store::keys::KeyRow;
use crate::store::resources::read_ties;
use crate::store::secrets::{ClientRow, SecretInsert, SecretRow};

/// All that a rotation was found to need, before its transaction.
struct Plan {
    actor: Actor,
    workspace: WorkspaceId,
    id: KeyId,
    rotation: Rotation,
    idempotency: Option<Idempotency>,
    secret: SecretInsert,
    event: Event,
    /// As far as memory knows; dormancy depends on it.
    last_used_at: Option<Timestamp>,
    now: Timestamp,
}

/// What a rotation left behind.
struct Done {
    row: KeyRow,
    secrets: Vec<SecretRow>,
    expiry_lowered: bool,
    seq: i64,
}

#[compiled_here]
impl Keys {
    /// Gives a key a new secret and returns it, for this one time. Id, limits, counters and scopes stay; its end stays or
    /// is brought down to what the workspace's rules allow now.
    ///
    /// The present secret works until the end of the grace, older ones until the end they had; with [`Grace::Now`] none of
    /// them works any more. With an `idempotency` value a second try of the same request changes nothing and is told so.
    pub async fn rotate(
        &self,
        actor: &Actor,
        workspace: &WorkspaceId,
        id: &KeyId,
        rotation: Rotation,
        idempotency: Option<&str>,
    ) -> Result<RotatedKey, Error> {
        let core = &self.core;
        let row = self.find_for(actor, workspace, id, Action::RotateKey).await?;
        let record = row.settings()?;
        let request = ("rotate", workspace, id, rotation);
        let idempotency = idempotency.map(|value| Idempotency::of(actor, value, &request)).transpose()?;
        if record.kind == KeyKind::Management {
            // Whoever has the secret acts as the owner.
            if actor.role_in(workspace) < record.owner_role {
                return Err(Error::forbidden("You cannot rotate a management key of somebody whose role is above yours."));
            }
            require_proof(core, actor)?;
        }
        let now = core.now();
        let secret = token::generate(&core.prefix, record.kind, &mut core.rng());
        let plan = Plan {
            actor: actor.clone(),
            workspace: workspace.clone(),
            id: id.clone(),
            rotation,
            idempotency,
            secret: SecretInsert {
                id: SecretId::generate(now, &mut core.rng()),
                mac: core.macs.key(secret.expose()),
                pepper_id: core.macs.pepper_id().to_owned(),
                hint: token::hint(&secret),
                now,
            },
            event: Event::done(now, actor, Some(workspace.as_str()), "key.rotate", id.as_str()),
            last_used_at: core.keyset.last_used_at(id),
            now,
        };
        let (plan, macs) = (Arc::new(plan), Arc::clone(&core.macs));
        let done = core
            .db
            .write(move |mut conn| {
                let (plan, macs) = (Arc::clone(&plan), Arc::clone(&macs));
                Box::pin(async move { plan.carry_out(&mut conn, &macs).await })
            })
            .await?;
        core.reach(done.seq).await?;
        let secrets = self.summaries(id, record.kind, &done.secrets, Vec::new())?;
        Ok(RotatedKey { issued: IssuedKey { key: present(core, &done.row)?, secret }, secrets, expiry_lowered: done.expiry_lowered })
    }

    /// The secrets of a key, the current one first, with who still uses the older ones.
    pub async fn secrets(&self, actor: &Actor, workspace: &WorkspaceId, id: &KeyId) -> Result<Vec<SecretSummary>, Error> {
        let row = self.find_for(actor, workspace, id, Action::ReadKey).await?;
        let mut reader = self.core.db.reader().await?;
        let mut conn = reader.conn();
        let secrets = store::secrets::list(&mut conn, workspace, id).await?;
        let clients = store::secrets::clients(&mut conn, workspace, id).await?;
        drop(reader);
        self.summaries(id, row.settings()?.kind, &secrets, clients)
    }

    /// Ends an older secret now. One that has ended already is left as it is; the current one cannot be ended.
    pub async fn end_secret(&self, actor: &Actor, workspace: &WorkspaceId, id: &KeyId, secret: &SecretId) -> Result<(), Error> {
        let core = &self.core;
        self.find_for(actor, workspace, id, Action::RotateKey).await?;
        let now = core.now();
        let event = Event::done(now, actor, Some(workspace.as_str()), "key.end_secret", id.as_str());
        let input = Arc::new((workspace.clone(), id.clone(), secret.clone(), event));
        let macs = Arc::clone(&core.macs);
        let seq = core
            .db
            .write(move |mut conn| {
                let (input, macs) = (Arc::clone(&input), Arc::clone(&macs));
                Box::pin(async move {
                    let (workspace, id, secret, event) = &*input;
                    store::audit::lock(&mut conn, workspace.as_str()).await?;
                    let row = store::keys::find(&mut conn, workspace, id).await?.ok_or_else(Error::not_found)?;
                    let secrets = store::secrets::list(&mut conn, workspace, id).await?;
                    let found = secrets.iter().find(|row| row.id == secret.as_str()).ok_or_else(Error::not_found)?;
                    if row.deleted_at.is_some() {
                        return Err(Error::conflict(None, "This key was deleted, and with it all its secrets."));
                    }
                    match found.state(now) {
                        SecretState::Current => return Err(Error::conflict(None, CURRENT)),
                        SecretState::Ended => return Ok(None),
                        SecretState::Retiring => {}
                    }
                    let before = json!({"secret": secret, "ends_at": found.ends_at});
                    let after = json!({"secret": secret, "ends_at": now});
                    event.clone().change(Some(before), Some(after)).append(&mut conn, &macs).await?;
                    store::secrets::end(&mut conn, id, secret, now).await?;
                    Ok(Some(store::changes::append(&mut conn, &Change::Key(id), now).await?))
                })
            })
            .await?;
        match seq {
            Some(seq) => core.reach(seq).await,
            None => Ok(()),
        }
    }

    /// Secrets as they are shown, with what is not written yet.
    fn summaries(&self, id: &KeyId, kind: KeyKind, secrets: &[SecretRow], clients: Vec<ClientRow>) -> Result<Vec<SecretSummary>, Error> {
        let (core, now) = (&self.core, self.core.now());
        let usages = core.keyset.usages(id);
        let mut shown = secrets.iter().map(|row| row.summary(&core.prefix, kind, now)).collect::<Result<Vec<_>, _>>()?;
        for row in clients {
            if let Some(secret) = shown.iter_mut().find(|secret| secret.id.as_str() == row.secret_id) {
                secret.clients.push(row.into());
            }
        }
        for (secret, row) in shown.iter_mut().zip(secrets) {
            if let Some((_, usage)) = usages.iter().find(|(mac, _)| mac[..] == row.mac[..]) {
                let waiting = usage.waiting();
                secret.total_calls = secret.total_calls.saturating_add(i64::try_from(waiting.total()).unwrap_or(i64::MAX));
                secret.last_used_at = secret.last_used_at.max(waiting.last_used_at);
                waiting.clients.into_iter().for_each(|seen| merge(&mut secret.clients, seen));
            }
            secret.clients.sort_by_key(|client| std::cmp::Reverse(client.last_seen_at));
            secret.clients.truncate(MAX_CLIENTS);
        }
        Ok(shown)
    }
}

const CURRENT: &str = "This is the key's current secret. Rotate the key to replace it, or deactivate the key.";

fn merge(clients: &mut Vec<SecretClient>, seen: Seen) {
    let (ip, calls) = (seen.ip.map(|ip| ip.to_string()), i64::try_from(seen.calls).unwrap_or(i64::MAX));
    match clients.iter_mut().find(|client| client.ip == ip && client.user_agent == seen.user_agent) {
        Some(client) => {
            client.calls = client.calls.saturating_add(calls);
            client.last_seen_at = client.last_seen_at.max(seen.last_seen_at);
        }
        None => clients.push(SecretClient { ip, user_agent: seen.user_agent, last_seen_at: seen.last_seen_at, calls }),
    }
}

impl Plan {
    async fn carry_out(&self, conn: &mut Conn<'_>, macs: &crate::mac::Macs) -> Result<Done, Error> {
        let Rotation { grace, version } = self.rotation;
        // First: from here on nobody else changes a key of this workspace, so that each rotation follows on another.
        store::audit::lock(conn, self.workspace.as_str()).await?;
        if let Some(idempotency) = &self.idempotency {
            idempotency.refuse_replay(conn, already_rotated).await?;
        }
        let mut row = store::keys::find(conn, &self.workspace, &self.id).await?.ok_or_else(Error::not_found)?;
        if row.deleted_at.is_some() {
            return Err(Error::conflict(None, "This key was deleted. It cannot be rotated any more; create a new one."));
        }
        if version.is_some_and(|version| version != row.version) {
            return Err(changed_meanwhile(&row));
        }
        self.check(&row)?;
        if grace != Grace::Now && store::secrets::count_retiring(conn, &self.id, self.now).await? >= most_retiring() {
            let text = format!("This key has {MAX_RETIRING} older secrets that still work. End some of them first.");
            return Err(Error::conflict(None, text));
        }
        let before = json!({"expires_at": row.expires_at, "version": row.version});
        let end = row.expires_at.map(Timestamp::from_millis);
        let allowed = store::policies::held(conn, &self.workspace).await?.bring_down(end, self.now);
        let ends_at = self.now.plus_ms(grace.millis());
        row.expires_at = allowed.map(Timestamp::as_millis);
        row.rotating_until = if grace == Grace::Now { None } else { row.rotating_until.max(Some(ends_at.as_millis())) };
        let after = self.settings(&row, ends_at);
        self.event.clone().change(Some(before), Some(after)).append(conn, macs).await?;
        if grace == Grace::Now {
            store::secrets::end_retiring(conn, &self.id, self.now).await?;
        }
        store::secrets::retire(conn, &self.id, ends_at, grace == Grace::Now).await?;
        store::secrets::insert(conn, self.id.as_str(), &self.secret).await?;
        if !store::keys::update(conn, &row).await? {
            return Err(changed_meanwhile(&row));
        }
        if let Some(idempotency) = &self.idempotency {
            idempotency.insert(conn, &self.id, self.now).await?;
        }
        let secrets = store::secrets::list(conn, &self.workspace, &self.id).await?;
        let row = store::keys::find(conn, &self.workspace, &self.id).await?.ok_or_else(Error::not_found)?;
        let seq = store::changes::append(conn, &Change::Key(&self.id), self.now).await?;
        Ok(Done { row, secrets, expiry_lowered: allowed != end, seq })
    }

    /// Refuses to rotate a key that does not work, or that is mightier than the key that asks.
    fn check(&self, row: &KeyRow) -> Result<(), Error> {
        let record = row.settings()?;
        scopes_within(&self.actor, &record.scopes)?;
        ties_within(&self.actor, &read_ties(row.ties.as_deref())?)?;
        let bounds = row.bounds()?;
        bounds_within(&self.actor, &bounds.ip_allow, &bounds.limits)?;
        let stored = row.last_used_at.map(Timestamp::from_millis);
        let moment = Moment { last_used_at: stored.max(self.last_used_at), grace_ms: GRACE_MS, ..Moment::at(self.now) };
        let why = match state(&record, &moment) {
            KeyState::Active => return Ok(()),
            KeyState::Deleted => "This key was deleted. It cannot be rotated any more; create a new one.",
            KeyState::Inactive(InactiveReason::Deactivated) => "This key is deactivated. Activate it first, then rotate it.",
            KeyState::Inactive(InactiveReason::Expired) => "This key has expired. Give it a new end first, then rotate it.",
            KeyState::Inactive(InactiveReason::Dormant) => "This key was unused for too long. Activate it first, then rotate it.",
            KeyState::Inactive(InactiveReason::OwnerDisabled) => {
                "The owner of this key may no longer use this workspace. Give it another owner or delete it."
            }
        };
        Err(Error::conflict(None, why))
    }

    /// What the audit log says of the rotation.
    fn settings(&self, row: &KeyRow, old_ends_at: Timestamp) -> Value {
        json!({
            "expires_at": row.expires_at, "version": row.version + 1, "secret": self.secret.id,
            "grace": self.rotation.grace, "old_secret_ends_at": old_ends_at,
        })
    }
}

fn most_retiring() -> i64 {
    i64::try_from(MAX_RETIRING).unwrap_or(i64::MAX)
}

fn already_rotated(key: &str) -> String {
    format!(
        "This request already rotated {key}. Its new secret was shown then, works, and cannot be shown again; if it is lost, rotate the key once more under a new Idempotency-Key."
    )
}
