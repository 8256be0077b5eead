//! What a list of keys can be narrowed to, and how that is said in words.

use keyfold_domain::catalogue::ScopeCatalogue;
use keyfold_domain::resource::ResourceDetail;
use keyfold_domain::user::UserRef;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::codec::Json;
use super::fault::Fault;
use super::workspaces::Place;
#[cfg(feature = "ssr")]
use {
    super::context, super::resources::ResourceChoice, keyfold_domain::ids::WorkspaceId, keyfold_domain::key::KeyFilter,
    keyfold_domain::policy::Actor, keyfold_domain::resource::ResourceFilter,
};

/// What there is to choose from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyFilterView {
    pub workspace: Place,
    pub catalogue: ScopeCatalogue,
    /// Whose keys there can be; empty for viewers who see their own alone.
    pub owners: Vec<UserRef>,
    /// The first of what keys can be tied to.
    pub resources: Vec<ResourceDetail>,
}

/// What the keys of a workspace that the viewer sees can be narrowed to.
#[server(endpoint = "get_key_filters", prefix = "/_app", input = Json, output = Json)]
pub async fn get_key_filters(workspace: String) -> Result<KeyFilterView, Fault> {
    let (request, actor) = context::actor()?;
    let workspace = context::reply(request.engine.workspaces.get(&actor, &workspace).await)?;
    let catalogue = context::reply(request.engine.scopes.catalogue(&actor, &workspace.id).await)?;
    let owners = if actor.sees_all_keys(&workspace.id) {
        context::reply(request.engine.resources.owners(&actor, &workspace.id).await)?
    } else {
        Vec::new()
    };
    let offered = context::reply(ResourceChoice::offered(&request.engine, &actor, &workspace.id, None).await)?;
    Ok(KeyFilterView { workspace: workspace.into(), catalogue, owners, resources: offered.resources })
}

/// What the list is narrowed to beside its search and its states, in words; `None` if to nothing.
#[cfg(feature = "ssr")]
pub(crate) async fn in_words(
    request: &context::RequestContext,
    actor: &Actor,
    workspace: &WorkspaceId,
    filter: &KeyFilter,
) -> Result<Option<String>, Fault> {
    let mut words = Vec::new();
    if let Some(kind) = filter.kind {
        words.push(format!("of the kind {}", kind.as_str()));
    }
    if let Some(scope) = &filter.scope {
        words.push(format!("that hold the scope {scope}"));
    }
    if let Some(owner) = &filter.owner {
        let named =
            if actor.sees_all_keys(workspace) { if_found(request.engine.users.get_name(actor, workspace, owner).await)? } else { None };
        words.push(match named {
            Some(user) => format!("of {}", user.display_name),
            None if actor.user().is_some_and(|me| me.id == *owner) => "of your own".to_owned(),
            None => "of somebody who is no member".to_owned(),
        });
    }
    if filter.never_used {
        words.push("that were never used".to_owned());
    }
    if let Some(days) = filter.idle {
        words.push(format!("not used for {}", crate::format::counted(days.into(), "day")));
    }
    if let Some(days) = filter.expiring {
        words.push(format!("that expire within {}", crate::format::counted(days.into(), "day")));
    }
    if !filter.resource.is_empty() {
        words.push(format!("tied to {}", resource_name(request, actor, workspace, &filter.resource).await?));
    }
    Ok((!words.is_empty()).then(|| format!("Only keys {}.", words.join(", "))))
}

/// What a resource is called; the text itself if there is none of that id.
#[cfg(feature = "ssr")]
async fn resource_name(request: &context::RequestContext, actor: &Actor, workspace: &WorkspaceId, text: &str) -> Result<String, Fault> {
    let engine = &request.engine.resources;
    let found = match (text.parse(), text.split_once(':')) {
        (Ok(id), _) => if_found(engine.get(actor, workspace, &id).await)?,
        (_, Some((kind, external_id))) => {
            let filter = ResourceFilter { search: external_id.to_owned(), kind: kind.to_owned(), ..ResourceFilter::default() };
            let page = if_found(engine.list(actor, workspace, &filter).await)?;
            page.and_then(|page| page.items.into_iter().find(|resource| resource.external_id == external_id))
        }
        _ => None,
    };
    Ok(found.map_or_else(|| text.to_owned(), |resource| resource.name))
}

/// Nothing for what is not there, or not for the actor to see: a list that is narrowed to it is empty, and no fault.
#[cfg(feature = "ssr")]
fn if_found<T>(found: Result<T, keyfold_engine::Error>) -> Result<Option<T>, Fault> {
    use keyfold_domain::problem::{Problem, ProblemCode};
    match found.map_err(Problem::from) {
        Ok(found) => Ok(Some(found)),
        Err(problem) if matches!(problem.code, ProblemCode::NotFound | ProblemCode::Forbidden) => Ok(None),
        Err(problem) => context::reply(Err(problem)),
    }
}
