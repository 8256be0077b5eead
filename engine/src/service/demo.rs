//! Very many keys at once, for a look at how the product behaves with them. Only `keyfold demo` uses it: these keys are
//! written as they would be after months of use, their secrets are known to nobody, and each batch has one audit event.

use std::sync::Arc;

use keyfold_domain::ids::{KeyId, SecretId, UserId, WorkspaceId};
use keyfold_domain::key::{Expiry, Inactivity, NewKey};
use keyfold_domain::policy::{Action, Actor, Object};
use keyfold_domain::resource::ResourceSummary;
use keyfold_domain::scope::{KeyKind, ScopeSet};
use keyfold_domain::time::Timestamp;
use keyfold_domain::token;
use keyfold_engine_macros::compiled_here;
use serde_json::json;

use super::Core;
use super::audit::Event;
use super::keys_write::name_of;
use crate::error::Error;
use crate::store;
use crate::store::keys::KeyInsert;
use crate::store::secrets::SecretInsert;

/// A key with a past.
#[derive(Debug, Clone)]
pub struct DemoKey {
    /// What people call it.
    pub name: String,
    /// Whose it is.
    pub owner: UserId,
    /// Its kind.
    pub kind: KeyKind,
    /// What it may be used for.
    pub scopes: ScopeSet,
    /// What it is tied to; empty for everything. Resources of the workspace.
    pub resources: Vec<ResourceSummary>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// It goes dormant when unused for that many days.
    pub inactivity_days: Option<u32>,
    /// When it was last used.
    pub last_used_at: Option<Timestamp>,
    /// How often it was used.
    pub total_calls: i64,
    /// When it was deactivated.
    pub deactivated_at: Option<Timestamp>,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
}

/// Keys for a look around, as a use case.
#[derive(Clone)]
pub struct Demo {
    pub(crate) core: Arc<Core>,
}

#[compiled_here]
impl Demo {
    /// Writes so many keys in one transaction. For the operator and administrators of the instance. Whoever holds keys in
    /// memory reads them all again.
    pub async fn add_keys(&self, actor: &Actor, workspace: &WorkspaceId, keys: Vec<DemoKey>) -> Result<(), Error> {
        let core = &self.core;
        core.authorize(actor, Action::ManageAllKeys, &Object::Instance).await?;
        let (now, by) = (core.now(), name_of(actor));
        let event = Event::done(now, actor, Some(workspace.as_str()), "key.create_many", workspace.as_str())
            .change(None, Some(json!({"keys": keys.len()})));
        let rows: Vec<_> = keys.into_iter().map(|key| (self.insert(workspace, &by, &key), key)).collect();
        let (input, macs) = (Arc::new((rows, event)), Arc::clone(&core.macs));
        core.db
            .write(move |mut conn| {
                let (input, macs) = (Arc::clone(&input), Arc::clone(&macs));
                Box::pin(async move {
                    let (rows, event) = &*input;
                    event.append(&mut conn, &macs).await?;
                    for (insert, key) in rows {
                        store::keys::insert(&mut conn, insert).await?;
                        if !key.resources.is_empty() {
                            store::resources::tie(&mut conn, &insert.id, &key.resources).await?;
                        }
                        let deactivated = key.deactivated_at.map(Timestamp::as_millis);
                        let (last_used, deleted) = (key.last_used_at.map(Timestamp::as_millis), key.deleted_at.map(Timestamp::as_millis));
                        store::keys::set_past(&mut conn, &insert.id, (last_used, key.total_calls), deactivated, deleted).await?;
                    }
                    Ok(store::changes::skip(&mut conn).await?)
                })
            })
            .await
    }

    fn insert(&self, workspace: &WorkspaceId, by: &str, key: &DemoKey) -> KeyInsert {
        let core = &self.core;
        let secret = token::generate(&core.prefix, key.kind, &mut core.rng());
        KeyInsert {
            id: KeyId::generate(key.created_at, &mut core.rng()),
            workspace: workspace.clone(),
            owner: key.owner.clone(),
            created_by: by.to_owned(),
            expires_at: key.expires_at,
            now: key.created_at,
            settings: None,
            inactivity_days: key.inactivity_days,
            secret: SecretInsert {
                id: SecretId::generate(key.created_at, &mut core.rng()),
                mac: core.macs.key(secret.expose()),
                pepper_id: core.macs.pepper_id().to_owned(),
                hint: token::hint(&secret),
                now: key.created_at,
            },
            new: NewKey {
                name: key.name.clone(),
                kind: key.kind,
                scopes: key.scopes.clone(),
                expires_at: Expiry::Never,
                inactivity_days: Inactivity::Off,
                note: String::new(),
                owner: Some(key.owner.clone()),
                resources: Vec::new(),
                override_owner: false,
                ip_allow: Vec::new(),
                limits: Vec::new(),
            },
        }
    }
}
