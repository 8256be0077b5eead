//! Acts that are done once though they are asked for twice, by the name that the caller gave them.
//!
//! What is remembered is who asked for what and on which key. Never a secret: a replay is told that the act was done.

use keyfold_domain::ids::KeyId;
use keyfold_domain::policy::{Actor, Principal};
use keyfold_domain::problem::Problem;
use keyfold_domain::time::Timestamp;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::mac::hex;
use crate::store;
use crate::store::db::Conn;

/// How long an Idempotency-Key is remembered, in milliseconds: 24 hours.
const IDEMPOTENCY_MS: i64 = 86_400_000;

/// The Idempotency-Key of an act: whose it is, its value, and what was asked for.
pub(super) struct Idempotency {
    actor: String,
    value: String,
    request_hash: String,
}

impl Idempotency {
    /// The name `value` for what `request` asks for.
    pub(super) fn of(actor: &Actor, value: &str, request: &impl Serialize) -> Result<Self, Error> {
        if !(1..=255).contains(&value.len()) || !value.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Problem::invalid("idempotency_key", "Use 1 to 255 visible ASCII characters.").into());
        }
        let request = serde_json::to_vec(request).map_err(|error| Error::Internal(error.to_string()))?;
        let actor = match &actor.principal {
            Principal::Key(key) => key.id.to_string(),
            _ => actor.user().map(|user| user.id.to_string()).unwrap_or_default(),
        };
        Ok(Self { actor, value: value.to_owned(), request_hash: hex(&Sha256::digest(request)) })
    }

    /// Refuses if the act was done before, in the words of `done`, which is given the key it was done to.
    pub(super) async fn refuse_replay(&self, conn: &mut Conn<'_>, done: impl Fn(&str) -> String) -> Result<(), Error> {
        match store::keys::find_idempotent(conn, &self.actor, &self.value).await? {
            None => Ok(()),
            Some((hash, key)) if hash == self.request_hash => Err(Error::conflict(Some("idempotency_key"), done(&key))),
            Some((_, key)) => Err(Error::conflict(
                Some("idempotency_key"),
                format!("This Idempotency-Key was used for another request, on {key}. Choose a new one."),
            )),
        }
    }

    /// Remembers that the act was done to that key.
    pub(super) async fn insert(&self, conn: &mut Conn<'_>, key: &KeyId, now: Timestamp) -> Result<(), Error> {
        let forget = now.plus_ms(-IDEMPOTENCY_MS);
        Ok(store::keys::insert_idempotent(conn, &self.actor, &self.value, &self.request_hash, key, now, forget).await?)
    }
}
