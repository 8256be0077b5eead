//! The scopes there are in a workspace: the built-in ones, and its own.

use std::sync::Arc;

use keyfold_domain::catalogue::{NewScope, Scope, ScopeCatalogue, ScopePatch};
use keyfold_domain::ids::WorkspaceId;
use keyfold_domain::policy::{Action, Actor, Object};
use keyfold_domain::resource::KeysConcerned;
use keyfold_domain::scope::KeyKind;
use keyfold_engine_macros::compiled_here;
use serde_json::{Value, json};

use super::Core;
use super::audit::Event;
use super::resources::NAMED;
use crate::error::Error;
use crate::store;
use crate::store::changes::Change;
use crate::store::db::Conn;

/// Scopes as a use case.
#[derive(Clone)]
pub struct Scopes {
    pub(crate) core: Arc<Core>,
}

#[compiled_here]
impl Scopes {
    /// The scopes there are in a workspace.
    pub async fn catalogue(&self, actor: &Actor, workspace: &WorkspaceId) -> Result<ScopeCatalogue, Error> {
        self.core.authorize(actor, Action::ReadScopes, &Object::Workspace(workspace)).await?;
        let mut reader = self.core.db.reader().await?;
        store::scopes::catalogue(&mut reader.conn(), workspace.as_str()).await
    }

    /// One scope, built in or not.
    pub async fn get(&self, actor: &Actor, workspace: &WorkspaceId, name: &str) -> Result<Scope, Error> {
        find(&self.catalogue(actor, workspace).await?, name)
    }

    /// Adds a scope of the workspace's own.
    pub async fn create(&self, actor: &Actor, workspace: &WorkspaceId, new: NewScope) -> Result<Scope, Error> {
        let core = &self.core;
        core.authorize(actor, Action::ManageScopes, &Object::Workspace(workspace)).await?;
        let now = core.now();
        let scope = new.checked(now)?;
        let event = Event::done(now, actor, Some(workspace.as_str()), "scope.create", scope.name.as_str());
        let input = Arc::new((workspace.clone(), scope, event));
        let macs = Arc::clone(&core.macs);
        core.db
            .write(move |mut conn| {
                let (input, macs) = (Arc::clone(&input), Arc::clone(&macs));
                Box::pin(async move {
                    let (workspace, scope, event) = &*input;
                    let catalogue = held(&mut conn, workspace).await?;
                    if catalogue.own().any(|other| other.name == scope.name) {
                        return Err(Error::conflict(Some("name"), "The workspace has a scope of this name already. Choose another."));
                    }
                    catalogue.with(scope)?;
                    event.clone().change(None, Some(settings(scope))).append(&mut conn, &macs).await?;
                    store::scopes::put(&mut conn, workspace, scope).await?;
                    Ok(scope.clone())
                })
            })
            .await
    }

    /// Changes what one of the workspace's own scopes is, implies, and whether it is public. Every key that holds it obeys
    /// from the next call on. It stays public while publishable keys hold it; the refusal names them.
    pub async fn update(&self, actor: &Actor, workspace: &WorkspaceId, name: &str, patch: ScopePatch) -> Result<Scope, Error> {
        let core = &self.core;
        core.authorize(actor, Action::ManageScopes, &Object::Workspace(workspace)).await?;
        let now = core.now();
        let event = Event::done(now, actor, Some(workspace.as_str()), "scope.update", name);
        let input = Arc::new((workspace.clone(), name.to_owned(), patch, event));
        let macs = Arc::clone(&core.macs);
        let (scope, seq) = core
            .db
            .write(move |mut conn| {
                let (input, macs) = (Arc::clone(&input), Arc::clone(&macs));
                Box::pin(async move {
                    let (workspace, name, patch, event) = &*input;
                    let catalogue = held(&mut conn, workspace).await?;
                    let before = own(&catalogue, name)?;
                    let after = patch.apply(&before)?;
                    catalogue.with(&after)?;
                    if before.public && !after.public {
                        stays_public(&mut conn, workspace, name).await?;
                    }
                    event.clone().change(Some(settings(&before)), Some(settings(&after))).append(&mut conn, &macs).await?;
                    store::scopes::put(&mut conn, workspace, &after).await?;
                    // Only what it implies can alter a verdict.
                    let seq = if before.implies == after.implies {
                        None
                    } else {
                        Some(store::changes::append(&mut conn, &Change::Scopes(workspace), now).await?)
                    };
                    Ok((after, seq))
                })
            })
            .await?;
        if let Some(seq) = seq {
            core.reach(seq).await?;
        }
        Ok(scope)
    }

    /// The keys that hold that very scope; those that hold nothing else are counted as stopped.
    pub async fn holders(&self, actor: &Actor, workspace: &WorkspaceId, name: &str) -> Result<KeysConcerned, Error> {
        self.core.authorize(actor, Action::ManageScopes, &Object::Workspace(workspace)).await?;
        let mut reader = self.core.db.reader().await?;
        let mut conn = reader.conn();
        find(&store::scopes::catalogue(&mut conn, workspace.as_str()).await?, name)?;
        store::scopes::holders(&mut conn, workspace, name, None, NAMED).await
    }

    /// Deletes one of the workspace's own scopes. If keys hold it, it has to be said that they shall lose it; the refusal
    /// names them. A key that would be left without a scope blocks it. Returns the keys that lost it.
    pub async fn delete(&self, actor: &Actor, workspace: &WorkspaceId, name: &str, remove_from_keys: bool) -> Result<KeysConcerned, Error> {
        let core = &self.core;
        core.authorize(actor, Action::ManageScopes, &Object::Workspace(workspace)).await?;
        let now = core.now();
        let event = Event::done(now, actor, Some(workspace.as_str()), "scope.delete", name);
        let input = Arc::new((workspace.clone(), name.to_owned(), event));
        let macs = Arc::clone(&core.macs);
        let (keys, seq) = core
            .db
            .write(move |mut conn| {
                let (input, macs) = (Arc::clone(&input), Arc::clone(&macs));
                Box::pin(async move {
                    let (workspace, name, event) = &*input;
                    let catalogue = held(&mut conn, workspace).await?;
                    let scope = find(&catalogue, name)?;
                    catalogue.check_removal(name)?;
                    let keys = store::scopes::holders(&mut conn, workspace, name, None, NAMED).await?;
                    may_lose(&keys, remove_from_keys)?;
                    let after = json!({"keys_without_it": keys.count});
                    event.clone().change(Some(settings(&scope)), Some(after)).append(&mut conn, &macs).await?;
                    if keys.count > 0 {
                        store::scopes::remove_from_keys(&mut conn, workspace, name).await?;
                    }
                    store::scopes::delete(&mut conn, workspace, name).await?;
                    Ok((keys, store::changes::append(&mut conn, &Change::Scopes(workspace), now).await?))
                })
            })
            .await?;
        core.reach(seq).await?;
        Ok(keys)
    }
}

/// The scopes as they are now and stay until the transaction ends.
async fn held(conn: &mut Conn<'_>, workspace: &WorkspaceId) -> Result<ScopeCatalogue, Error> {
    store::audit::lock(conn, workspace.as_str()).await?;
    store::scopes::catalogue(conn, workspace.as_str()).await
}

fn find(catalogue: &ScopeCatalogue, name: &str) -> Result<Scope, Error> {
    catalogue.find(name).cloned().ok_or_else(Error::not_found)
}

fn own(catalogue: &ScopeCatalogue, name: &str) -> Result<Scope, Error> {
    let scope = find(catalogue, name)?;
    if scope.is_built_in() {
        return Err(Error::conflict(None, "Every workspace has this scope. It cannot be changed."));
    }
    Ok(scope)
}

async fn stays_public(conn: &mut Conn<'_>, workspace: &WorkspaceId, name: &str) -> Result<(), Error> {
    let keys = store::scopes::holders(conn, workspace, name, Some(KeyKind::Publishable), NAMED).await?;
    if keys.count == 0 {
        return Ok(());
    }
    let text = format!("Publishable keys hold it, and they may hold only public scopes: {keys}. Take it from them first.");
    Err(Error::conflict(Some("public"), text))
}

fn may_lose(keys: &KeysConcerned, confirmed: bool) -> Result<(), Error> {
    const FIELD: Option<&str> = Some("remove_from_keys");
    let hold = if keys.count == 1 { "The key" } else { "Keys" };
    if keys.stopped > 0 {
        let text =
            format!("Keys hold nothing but this scope and would be left without any: {keys}. Give them another, or delete them first.");
        return Err(Error::conflict(FIELD, text));
    }
    if keys.count > 0 && !confirmed {
        let verb = if keys.count == 1 { "holds" } else { "hold" };
        let text = format!("{hold} {keys} {verb} this scope. Confirm that it shall be taken out of them.");
        return Err(Error::conflict(FIELD, text));
    }
    Ok(())
}

fn settings(scope: &Scope) -> Value {
    json!({"description": scope.description, "implies": scope.implies, "public": scope.public})
}
