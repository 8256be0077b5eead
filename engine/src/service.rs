//! The use cases, one file per noun: policy, then validation, then one transaction with its audit event.

pub(crate) mod account;
pub(crate) mod audit;
pub(crate) mod audit_chain;
pub(crate) mod audit_log;
pub(crate) mod demo;
mod explain;
pub(crate) mod figures;
mod idempotency;
pub(crate) mod invitations;
mod key_limits;
mod key_usage;
pub(crate) mod keys;
mod keys_administered;
mod keys_bulk;
pub(crate) mod keys_write;
pub(crate) mod left_keys;
pub(crate) mod members;
pub(crate) mod nodes;
pub(crate) mod outages;
mod pages;
pub(crate) mod password_links;
pub(crate) mod peppers;
pub(crate) mod policies;
pub(crate) mod resources;
mod rotation;
pub(crate) mod routes;
pub(crate) mod scopes;
pub(crate) mod sessions;
pub(crate) mod setup;
pub(crate) mod sweep;
mod usage;
pub(crate) mod users;
pub(crate) mod verify;
pub(crate) mod workspaces;

use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::sync::{Arc, OnceLock};

use keyfold_domain::policy::{Action, Actor, Decision, Object, Principal, can, scope_for};
use keyfold_domain::time::Timestamp;
use keyfold_domain::token::Prefix;

use crate::changes::Follower;
use crate::clock::{Clock, Entropy, EntropyRng};
use crate::error::Error;
use crate::keyset::Keyset;
use crate::limits::SignInLimits;
use crate::mac::Macs;
use crate::password::Hasher;
use crate::presence::{Presence, Signals};
use crate::store::db::Db;
use audit::Event;

pub(crate) use keys_bulk::BulkJobs;
pub(crate) use usage::{FLUSH_EVERY, flush, flush_spent, housekeep, index_names, json};

/// What every service stands on.
pub(crate) struct Core {
    pub(crate) db: Db,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) macs: Arc<Macs>,
    pub(crate) hasher: Hasher,
    pub(crate) keyset: Keyset,
    pub(crate) follower: Follower,
    pub(crate) prefix: Prefix,
    pub(crate) limits: SignInLimits,
    pub(crate) bulk: BulkJobs,
    /// Held while counts are written.
    pub(crate) flushing: tokio::sync::Mutex<()>,
    pub(crate) signals: Signals,
    /// For a command: is it certain that no server is running on the database?
    pub(crate) unserved: bool,
    /// What this server is called among those on the database. Not of a command.
    pub(crate) presence: OnceLock<Presence>,
}

impl Core {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// May the verifier's memory be asked at this moment?
    pub(crate) fn is_exact(&self) -> bool {
        self.keyset.is_exact(self.clock.uptime_ms())
    }

    pub(crate) fn rng(&self) -> EntropyRng {
        EntropyRng(Arc::clone(&self.entropy))
    }

    /// Returns once change number `seq` is in force here. If the database cannot be read for it, nothing is verified until
    /// it can: an acknowledged revoke must never be followed by a yes.
    pub(crate) async fn reach(&self, seq: i64) -> Result<(), Error> {
        // Other servers need not wait for this one.
        self.signals.committed.notify_one();
        let reached = self.follower.reach(&self.db, &self.keyset, seq).await;
        if reached.is_err() {
            self.keyset.trust_no_longer_than(0);
        }
        reached
    }

    /// Asks the policy. A known caller's attempt at what they may not do is put into the audit log.
    pub(crate) async fn authorize(&self, actor: &Actor, action: Action, object: &Object<'_>) -> Result<(), Error> {
        let decision = can(actor, action, object);
        if decision == Decision::Forbid {
            let event = Event::refused(self.now(), actor, action, object);
            audit::record(self, event).await?;
        }
        if let (Decision::Allow, Principal::Key(key), Some(scope)) = (decision, &actor.principal, scope_for(action)) {
            let request = BuildHasherDefault::<DefaultHasher>::default().hash_one(&actor.request.id);
            self.keyset.count_act(&key.id, scope, request, self.now());
        }
        Error::unless_allowed(decision)
    }
}
