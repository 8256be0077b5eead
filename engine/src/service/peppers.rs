//! Replacing the pepper. For a while two are live: what is made from now on uses the new one, what was made before is found
//! under the old one and stored under the new one when it is next presented, which is the only moment the secret is there.
//! What was not presented by the time the old pepper is retired stops.

use std::sync::Arc;

use keyfold_domain::ids::{KeyId, WorkspaceId};
use keyfold_domain::policy::{Action, Actor, Object};
use keyfold_domain::time::Timestamp;
use keyfold_engine_macros::compiled_here;
use serde_json::json;

use super::Core;
use super::audit::Event;
use super::keys_write::{name_of, settings, stop};
use crate::error::Error;
use crate::keyset::Move;
use crate::mac::{Macs, Pepper, check_value};
use crate::pepper_check::{CHECK, ID, OLD_CHECK, OLD_ID, ROTATED_AT};
use crate::store;
use crate::store::changes::Change;
use crate::store::db::Conn;
use crate::store::meta;
use crate::store::secrets::UnderRow;

/// Secrets stored anew in one transaction.
const CHUNK: usize = 200;
/// Keys stopped in one transaction.
const BATCH: i64 = 100;
/// Keys that a refusal, or a look, names.
const NAMED: i64 = 20;
/// A key that was used within so many days is in use.
const LATELY_DAYS: i64 = 30;

/// Which peppers are live, and what still depends on the one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PepperStatus {
    /// The fingerprint of the present one.
    pub current: String,
    /// The one before, while there is one.
    pub old: Option<OldPepper>,
}

/// A pepper that was replaced and not retired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldPepper {
    /// Its fingerprint.
    pub fingerprint: String,
    /// When it was replaced.
    pub rotated_at: Option<Timestamp>,
    /// How many secrets that may still work are stored under it.
    pub secrets: u64,
    /// When one of these was last used.
    pub last_used_at: Option<Timestamp>,
    /// Keys among them that were used in the last 30 days; at most 20.
    pub in_use: Vec<KeyUnderOld>,
}

/// A key with a secret that is stored under the pepper before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyUnderOld {
    /// The key.
    pub id: KeyId,
    /// The slug of its workspace.
    pub workspace: String,
    /// What people call it.
    pub name: String,
    /// When it was last used.
    pub last_used_at: Option<Timestamp>,
}

/// What retiring a pepper ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retired {
    /// So many keys were deactivated, because nobody can tell their secret any more.
    pub keys: u64,
    /// So many older secrets that still worked were ended.
    pub secrets: u64,
}

/// The peppers as a use case.
#[derive(Clone)]
pub struct Peppers {
    pub(crate) core: Arc<Core>,
}

#[compiled_here]
impl Peppers {
    /// What depends on which pepper. Uses of the last seconds may not be in it.
    pub async fn status(&self, actor: &Actor) -> Result<PepperStatus, Error> {
        let core = &self.core;
        core.authorize(actor, Action::ManageAllKeys, &Object::Instance).await?;
        let current = core.macs.pepper_id().to_owned();
        let Some((_, old)) = core.macs.old() else { return Ok(PepperStatus { current, old: None }) };
        let now = core.now();
        let mut reader = core.db.reader().await?;
        let mut conn = reader.conn();
        let (secrets, last_used_at) = store::secrets::count_under(&mut conn, old, now).await?;
        let rotated_at = meta::find(&mut conn, ROTATED_AT).await?.and_then(|text| text.parse().ok()).map(Timestamp::from_millis);
        let in_use = store::secrets::keys_under(&mut conn, old, "", (lately(now), now), NAMED).await?;
        Ok(PepperStatus {
            current,
            old: Some(OldPepper {
                fingerprint: old.to_owned(),
                rotated_at,
                secrets: u64::try_from(secrets).unwrap_or_default(),
                last_used_at: last_used_at.map(Timestamp::from_millis),
                in_use: in_use.into_iter().map(under_old).collect::<Result<_, _>>()?,
            }),
        })
    }

    /// Puts `next`, which was made from the present pepper, in its place. From here on the database asks for both.
    ///
    /// Sessions, invitations and links to choose a password end: only of keys the one before is remembered. This process
    /// goes on with the one before, so it should end; no other one may be running on the database.
    pub async fn rotate(&self, actor: &Actor, next: &Pepper) -> Result<(), Error> {
        let core = &self.core;
        core.authorize(actor, Action::ManageAllKeys, &Object::Instance).await?;
        let successor = next.old().is_some_and(|old| check_value(old) == core.macs.check_value());
        if !successor {
            return Err(Error::Internal("the new pepper was not made from the present one".into()));
        }
        let (from, to) = (core.macs.pepper_id().to_owned(), next.fingerprint());
        let now = core.now();
        let event = Event::done(now, actor, None, "pepper.rotate", "")
            .change(Some(json!({"pepper": from})), Some(json!({"pepper": to, "pepper_before": from})));
        let values = [
            (CHECK, check_value(next)),
            (OLD_CHECK, core.macs.check_value().to_owned()),
            (ID, to),
            (OLD_ID, from),
            (ROTATED_AT, now.as_millis().to_string()),
        ];
        let (input, macs) = (Arc::new((event, values)), Arc::clone(&core.macs));
        core.db
            .write(move |mut conn| {
                let (input, macs) = (Arc::clone(&input), Arc::clone(&macs));
                Box::pin(async move {
                    let (event, values) = &*input;
                    // First: on every engine the chain puts two who rotate at once in a row.
                    event.append(&mut conn, &macs).await?;
                    if meta::find(&mut conn, OLD_CHECK).await?.is_some() {
                        let text = "Two peppers are live already. Retire the old one first: keyfold pepper retire.";
                        return Err(Error::conflict(None, text));
                    }
                    if meta::find(&mut conn, CHECK).await?.as_deref() != Some(macs.check_value()) {
                        return Err(Error::conflict(None, "Somebody replaced the pepper at this moment."));
                    }
                    for (name, value) in values {
                        meta::replace(&mut conn, name, value).await?;
                    }
                    meta::shut_doors(&mut conn).await?;
                    Ok(())
                })
            })
            .await
    }

    /// Ends the need for the pepper before. Keys whose secret is still stored under it can never be told again and are
    /// deactivated. Refused while some of these were used in the last 30 days, unless it is `forced`; the refusal names them.
    pub async fn retire(&self, actor: &Actor, forced: bool) -> Result<Retired, Error> {
        let core = &self.core;
        core.authorize(actor, Action::ManageAllKeys, &Object::Instance).await?;
        let Some((_, old)) = core.macs.old().map(|(check, id)| (check, id.to_owned())) else {
            return Err(Error::conflict(None, "There is one pepper only: nothing to retire."));
        };
        let now = core.now();
        if !forced {
            let mut reader = core.db.reader().await?;
            let in_use = store::secrets::keys_under(&mut reader.conn(), &old, "", (lately(now), now), NAMED).await?;
            if !in_use.is_empty() {
                return Err(Error::conflict(None, refusal(&in_use)));
            }
        }
        let mut keys = 0;
        let mut after = String::new();
        loop {
            let mut reader = core.db.reader().await?;
            let ever = Timestamp::from_millis(0);
            let rows = store::secrets::keys_under(&mut reader.conn(), &old, &after, (ever, now), BATCH).await?;
            drop(reader);
            let Some(last) = rows.last() else { break };
            after.clone_from(&last.id);
            keys += self.stop_all(actor, &old, rows).await?;
        }
        let secrets = self.forget(actor, &old, keys).await?;
        Ok(Retired { keys, secrets })
    }

    /// Ends the older secrets under that pepper, and forgets the pepper. Says how many secrets those were.
    async fn forget(&self, actor: &Actor, old: &str, keys: u64) -> Result<u64, Error> {
        let core = &self.core;
        let now = core.now();
        let mut reader = core.db.reader().await?;
        let retiring = store::secrets::count_retiring_under(&mut reader.conn(), old, now).await?;
        drop(reader);
        let ended = u64::try_from(retiring).unwrap_or_default();
        let event = Event::done(now, actor, None, "pepper.retire", "")
            .change(Some(json!({"pepper_before": old})), Some(json!({"keys_deactivated": keys, "secrets_ended": ended})));
        let (input, macs) = (Arc::new((old.to_owned(), event)), Arc::clone(&core.macs));
        core.db
            .write(move |mut conn| {
                let (input, macs) = (Arc::clone(&input), Arc::clone(&macs));
                Box::pin(async move {
                    let (old, event) = &*input;
                    event.append(&mut conn, &macs).await?;
                    store::secrets::end_under(&mut conn, old, now).await?;
                    for name in [OLD_CHECK, OLD_ID, ROTATED_AT] {
                        meta::delete(&mut conn, name).await?;
                    }
                    // Whoever follows the log reads every secret again.
                    Ok(store::changes::skip(&mut conn).await?)
                })
            })
            .await?;
        Ok(ended)
    }

    /// Deactivates keys whose current secret is stored under that pepper; says how many.
    async fn stop_all(&self, actor: &Actor, old: &str, rows: Vec<UnderRow>) -> Result<u64, Error> {
        let core = &self.core;
        let (input, macs) = (Arc::new((actor.clone(), old.to_owned(), rows, core.now())), Arc::clone(&core.macs));
        let stopped = core
            .db
            .write(move |mut conn| {
                let (input, macs) = (Arc::clone(&input), Arc::clone(&macs));
                Box::pin(async move {
                    let (actor, old, rows, now) = &*input;
                    let mut stopped = Vec::new();
                    for row in rows {
                        if let Some(id) = stop_one(&mut conn, &macs, actor, old, row, *now).await? {
                            stopped.push(id);
                        }
                    }
                    let mut seq = None;
                    for id in &stopped {
                        seq = Some(store::changes::append(&mut conn, &Change::Key(id), *now).await?);
                    }
                    Ok((u64::try_from(stopped.len()).unwrap_or(u64::MAX), seq))
                })
            })
            .await?;
        if let (_, Some(seq)) = stopped {
            core.reach(seq).await?;
        }
        Ok(stopped.0)
    }
}

/// Deactivates a key if its current secret is still stored under that pepper.
async fn stop_one(
    conn: &mut Conn<'_>,
    macs: &Macs,
    actor: &Actor,
    old: &str,
    row: &UnderRow,
    now: Timestamp,
) -> Result<Option<KeyId>, Error> {
    const WHY: &str = "The pepper its secret was stored with was retired: rotate it";
    let (workspace, id): (WorkspaceId, KeyId) = (store::users::parse_id(&row.workspace_id)?, store::users::parse_id(&row.id)?);
    store::audit::lock(conn, workspace.as_str()).await?;
    if !store::secrets::current_is_under(conn, id.as_str(), old).await? {
        return Ok(None);
    }
    let Some(mut key) = store::keys::find(conn, &workspace, &id).await? else { return Ok(None) };
    if key.deleted_at.is_some() || key.deactivated_at.is_some() {
        return Ok(None);
    }
    let before = settings(&key);
    stop(&mut key, now, WHY, &name_of(actor));
    let event = Event::done(now, actor, Some(workspace.as_str()), "key.deactivate", id.as_str());
    event.change(Some(before), Some(settings(&key))).append(conn, macs).await?;
    if !store::keys::update(conn, &key).await? {
        return Err(Error::Interrupted("a key was changed meanwhile".into()));
    }
    Ok(Some(id))
}

/// Since when a use counts as lately.
fn lately(now: Timestamp) -> Timestamp {
    now.plus_days(-LATELY_DAYS)
}

fn under_old(row: UnderRow) -> Result<KeyUnderOld, Error> {
    Ok(KeyUnderOld {
        id: store::users::parse_id(&row.id)?,
        workspace: row.slug,
        name: row.name,
        last_used_at: row.last_used_at.map(Timestamp::from_millis),
    })
}

fn refusal(in_use: &[UnderRow]) -> String {
    let named: Vec<String> = in_use
        .iter()
        .map(|key| {
            let name = if key.name.is_empty() { "no name".to_owned() } else { format!("\"{}\"", key.name) };
            format!("{} ({name}, {})", key.id, key.slug)
        })
        .collect();
    let more = if i64::try_from(in_use.len()).unwrap_or(i64::MAX) >= NAMED { " and perhaps more" } else { "" };
    format!(
        "These keys were used in the last {LATELY_DAYS} days and are still stored under the old pepper: {}{more}. They would stop. Wait until they are used again, rotate them, or say --force.",
        named.join(", ")
    )
}

/// Stores secrets that were presented under the pepper before under the present one. Called by whoever writes the counts,
/// and not beside that.
pub(super) async fn move_secrets(core: &Core) -> Result<(), Error> {
    loop {
        let moves = core.keyset.take_moves(CHUNK);
        if moves.is_empty() {
            return Ok(());
        }
        // A key that is read again between the two would be taken for one with another secret.
        let stored = core.follower.meanwhile(async {
            let stored = store_moves(core, &moves).await;
            if stored.is_ok() {
                core.keyset.moved(&moves);
            }
            stored
        });
        if let Err(error) = stored.await {
            core.keyset.give_back_moves(moves);
            return Err(error);
        }
    }
}

async fn store_moves(core: &Core, moves: &[Move]) -> Result<(), Error> {
    let (moves, pepper) = (moves.to_vec(), core.macs.pepper_id().to_owned());
    core.db
        .write(move |mut conn| {
            let (moves, pepper) = (moves.clone(), pepper.clone());
            Box::pin(async move {
                for Move { from, to } in &moves {
                    // One that is not there was stored by another node, or deleted: nothing is missing.
                    store::secrets::rehash(&mut conn, from, to, &pepper).await?;
                }
                Ok(())
            })
        })
        .await
}
