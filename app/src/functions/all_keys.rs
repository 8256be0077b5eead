//! The keys of every workspace, for administrators of the instance.

use keyfold_domain::ids::KeyId;
use keyfold_domain::key::{KeyFilter, Page, PlacedKey};
use keyfold_domain::time::Timestamp;
use keyfold_domain::user::UserRef;
use keyfold_domain::workspace::WorkspaceRef;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::codec::Json;
use super::fault::Fault;
use super::keys::KeyView;
#[cfg(feature = "ssr")]
use {super::context, keyfold_domain::key::StateFilter, keyfold_domain::problem::Problem, keyfold_domain::problem::ProblemCode};

/// One page of everybody's keys, or of one user's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllKeys {
    pub keys: Page<PlacedKey>,
    /// The users that can be chosen, by username.
    pub users: Vec<UserRef>,
    /// The user whose keys these are.
    pub chosen: Option<UserRef>,
    pub public_url: String,
    pub now: Timestamp,
}

/// Where a user may have keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyPlaces {
    pub user: UserRef,
    pub places: Vec<WorkspaceRef>,
}

#[cfg(feature = "ssr")]
async fn named(request: &context::RequestContext, actor: &keyfold_domain::policy::Actor, user: &str) -> Result<UserRef, Fault> {
    let found = request.engine.users.find_by_username(actor, user).await;
    let found = found.map_err(|error| {
        let problem = Problem::from(error);
        match problem.code {
            ProblemCode::NotFound => Problem::invalid("user", format!("There is no user {user}. Choose one of the list.")),
            _ => problem,
        }
    });
    let user = context::reply(found)?;
    Ok(UserRef { id: user.id, username: user.username, display_name: user.display_name })
}

/// The keys of everybody, or of the user with that username.
#[server(endpoint = "list_all_keys", prefix = "/_app", input = Json, output = Json)]
pub async fn list_all_keys(#[server(default)] user: String, filter: KeyFilter) -> Result<AllKeys, Fault> {
    let (request, actor) = context::actor()?;
    let users = context::reply(request.engine.users.list_names(&actor).await)?;
    let chosen = if user.is_empty() { None } else { Some(named(&request, &actor, &user).await?) };
    let owner = chosen.as_ref().map(|user| user.id.clone()).or_else(|| filter.owner.clone());
    let filter = KeyFilter { owner, ..filter };
    let keys = context::reply(request.engine.keys.list_all(&actor, &filter).await)?;
    Ok(AllKeys { keys, users, chosen, public_url: request.public_url.clone(), now: request.now() })
}

/// One key of any workspace.
#[server(endpoint = "get_any_key", prefix = "/_app", input = Json, output = Json)]
pub async fn get_any_key(id: KeyId) -> Result<KeyView, Fault> {
    let (request, actor) = context::actor()?;
    let filter = KeyFilter { search: id.to_string(), state: StateFilter::All, limit: 1, ..KeyFilter::default() };
    let found = context::reply(request.engine.keys.list_all(&actor, &filter).await)?.items.into_iter().find(|placed| placed.key.id == id);
    let placed = context::reply(found.ok_or_else(Problem::not_found))?;
    super::keys::get_key(placed.workspace.slug, id).await
}

/// Where the user with that username may have keys.
#[server(endpoint = "get_key_places", prefix = "/_app", input = Json, output = Json)]
pub async fn get_key_places(user: String) -> Result<KeyPlaces, Fault> {
    let (request, actor) = context::actor()?;
    let user = named(&request, &actor, &user).await?;
    let places = context::reply(request.engine.users.list_places(&actor, &user.id).await)?;
    Ok(KeyPlaces { user, places })
}
