//! Finding pages, workspaces and keys by a part of their name, wherever one is.

use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::codec::Json;
use super::fault::Fault;
#[cfg(feature = "ssr")]
use {
    super::context,
    super::sessions::{Viewer, get_viewer},
    crate::pages::offered_places,
    keyfold_domain::key::{KeyFilter, KeySummary, StateFilter},
    keyfold_domain::problem::Problem,
};

/// Something with an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    pub title: String,
    /// What tells it from others of the same name.
    pub note: String,
    pub href: String,
}

/// What was found, by sort; of each no more than a few.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindView {
    pub keys: Vec<Found>,
    pub workspaces: Vec<Found>,
    pub pages: Vec<Found>,
}

/// The most that is shown of one sort.
#[cfg(feature = "ssr")]
const MOST: usize = 8;

/// The most workspaces whose keys are looked through.
#[cfg(feature = "ssr")]
const WORKSPACES: usize = 10;

/// What has the text in its name, for the person at the screen. `here` is the workspace that they are in, if any: it comes
/// first, and its pages are offered.
#[server(endpoint = "find", prefix = "/_app", input = Json, output = Json)]
pub async fn find(text: String, here: String) -> Result<FindView, Fault> {
    let (request, _) = context::actor()?;
    let viewer = get_viewer().await?;
    let viewer =
        context::reply(viewer.ok_or_else(|| Problem::new(keyfold_domain::problem::ProblemCode::Unauthenticated, "Sign in first.")))?;
    // As long as a search of the list may be.
    let text: String = text.trim().chars().take(100).collect();
    let keys = if text.is_empty() { Vec::new() } else { keys(&request, &viewer, &text, &here).await? };
    let wanted = text.to_lowercase();
    let has = |name: &str| name.to_lowercase().contains(&wanted);
    let workspaces = viewer.workspaces.iter().filter(|place| has(&place.name) || has(&place.slug)).take(MOST).map(|place| Found {
        title: place.name.clone(),
        note: place.slug.clone(),
        href: format!("/w/{}/keys", place.slug),
    });
    let pages = pages(&viewer, &here).into_iter().filter(|page| has(&page.title) || has(&page.note)).take(MOST);
    Ok(FindView { keys, workspaces: workspaces.collect(), pages: pages.collect() })
}

/// The keys that the viewer sees whose name, id or last characters have the text.
#[cfg(feature = "ssr")]
async fn keys(request: &context::RequestContext, viewer: &Viewer, text: &str, here: &str) -> Result<Vec<Found>, Fault> {
    let actor = &request.actor;
    let limit = u32::try_from(MOST).unwrap_or_default();
    let filter = KeyFilter { search: text.to_owned(), state: StateFilter::All, limit, ..KeyFilter::default() };
    let found = |key: &KeySummary, slug: &str, place: &str| Found {
        title: if key.name.is_empty() { "Unnamed key".to_owned() } else { key.name.clone() },
        note: format!("{} · {place}", key.hint),
        href: format!("/w/{slug}/keys/{}", key.id),
    };
    if viewer.instance_admin {
        let page = context::reply(request.engine.keys.list_all(actor, &filter).await)?;
        return Ok(page.items.iter().map(|placed| found(&placed.key, &placed.workspace.slug, &placed.workspace.name)).collect());
    }
    let mut all = Vec::new();
    let (near, far): (Vec<_>, Vec<_>) = viewer.workspaces.iter().partition(|place| place.slug == here);
    for place in near.into_iter().chain(far).take(WORKSPACES) {
        let workspace = context::reply(request.engine.workspaces.get(actor, &place.slug).await)?;
        let page = context::reply(request.engine.keys.list(actor, &workspace.id, &filter).await)?;
        all.extend(page.items.iter().map(|key| found(key, &place.slug, &place.name)));
        if all.len() >= MOST {
            break;
        }
    }
    all.truncate(MOST);
    Ok(all)
}

/// The pages that the viewer is offered: those of the workspace they are in, or of the only one they have, then the others.
#[cfg(feature = "ssr")]
fn pages(viewer: &Viewer, here: &str) -> Vec<Found> {
    let page = |title: &str, note: &str, href: String| Found { title: title.to_owned(), note: note.to_owned(), href };
    let only = || viewer.workspaces.first().filter(|_| viewer.workspaces.len() == 1);
    let place = viewer.workspaces.iter().find(|place| place.slug == here).or_else(only);
    let of_place = place.into_iter().flat_map(|place| {
        let places = offered_places(place.role, viewer.instance_admin);
        places.map(|(name, title)| page(title, &place.name, format!("/w/{}/{name}", place.slug))).collect::<Vec<_>>()
    });
    let system = crate::pages::SYSTEM.iter().filter(|_| viewer.instance_admin);
    let system = system.map(|(name, title)| page(title, "System dashboard", format!("/system/{name}")));
    let own = [("Account", "Profile, password, sessions, theme", "/account"), ("Keyboard shortcuts", "Help", "/account/keyboard")];
    of_place.chain(system).chain(own.map(|(title, note, href)| page(title, note, href.to_owned()))).collect()
}
