//! API keys: listing and reading them. Changing them is in `keys_write`.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyfold_domain::ids::{KeyId, UserId, WorkspaceId};
use keyfold_domain::key::{KeyFilter, KeySort, KeySummary, MAX_PAGE, Page};
use keyfold_domain::policy::{Action, Actor, Object};
use keyfold_domain::problem::Problem;
use keyfold_domain::resource::ResourceName;
use keyfold_domain::time::Timestamp;
use keyfold_domain::verdict::Moment;
use serde::{Deserialize, Serialize};

use super::Core;
use super::verify::GRACE_MS;
use crate::error::Error;
use crate::store;
use crate::store::keys::KeyRow;
use crate::store::listing::Position;

/// The most characters of a search.
const MAX_SEARCH: usize = 200;

/// API keys as a use case.
#[derive(Clone)]
pub struct Keys {
    pub(crate) core: Arc<Core>,
}

/// What a page's cursor holds. It is only good for the order it came from.
#[derive(Serialize, Deserialize)]
struct Cursor {
    s: KeySort,
    d: bool,
    p: Position,
}

impl Cursor {
    fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    fn decode(text: &str, filter: &KeyFilter) -> Result<Position, Problem> {
        let wrong = || Problem::invalid("cursor", "This cursor does not belong to this list. Start again without it.");
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| wrong())?;
        let cursor: Self = serde_json::from_slice(&bytes).map_err(|_| wrong())?;
        // PostgreSQL refuses texts with this character; no cursor of ours holds one.
        let forged = cursor.p.text.contains('\0') || cursor.p.id.contains('\0');
        if cursor.s == filter.sort && cursor.d == filter.descending && !forged { Ok(cursor.p) } else { Err(wrong()) }
    }
}

impl Keys {
    /// One page of the workspace's keys: everybody's for its admins, their own for everybody else.
    pub async fn list(&self, actor: &Actor, workspace: &WorkspaceId, filter: &KeyFilter) -> Result<Page<KeySummary>, Error> {
        let core = &self.core;
        core.authorize(actor, Action::ReadWorkspace, &Object::Workspace(workspace)).await?;
        if !(1..=MAX_PAGE).contains(&filter.limit) {
            return Err(Problem::invalid("limit", format!("Choose 1 to {MAX_PAGE} rows.")).into());
        }
        check_search("search", &filter.search)?;
        if !filter.resource.is_empty() && filter.resource.parse::<ResourceName>().is_err() {
            return Err(Problem::invalid("resource", "Send a resource's id, res_…, or kind:id, like collection:contracts.").into());
        }
        let after = filter.cursor.as_deref().map(|text| Cursor::decode(text, filter)).transpose()?;
        let only = if actor.sees_all_keys(workspace) { None } else { actor.user().map(|user| user.id.clone()) };
        if only.is_some() && filter.owner.is_some() && only != filter.owner {
            return Ok(Page { items: Vec::new(), next: None });
        }
        let now = core.now();
        let limit = i64::from(filter.limit);
        let mut reader = core.db.reader().await?;
        let moments = (now, now.plus_ms(-GRACE_MS));
        let mut rows =
            store::listing::page(&mut reader.conn(), workspace, only.as_ref(), filter, after.as_ref(), moments, limit + 1).await?;
        drop(reader);
        // One row more than asked for tells whether there is a next page.
        let more = i64::try_from(rows.len()).unwrap_or(i64::MAX) > limit;
        if more {
            rows.pop();
        }
        let next = rows
            .last()
            .filter(|_| more)
            .map(|row| Cursor { s: filter.sort, d: filter.descending, p: Position::of(row, filter.sort) }.encode());
        let items = rows.iter().map(|row| present(core, row)).collect::<Result<_, _>>()?;
        Ok(Page { items, next })
    }

    /// One key's settings. A deleted key's record stays readable.
    pub async fn get(&self, actor: &Actor, workspace: &WorkspaceId, id: &KeyId) -> Result<KeySummary, Error> {
        let row = self.find_for(actor, workspace, id, Action::ReadKey).await?;
        present(&self.core, &row)
    }

    /// The key of that workspace, if the actor may do that to it.
    pub(super) async fn find_for(&self, actor: &Actor, workspace: &WorkspaceId, id: &KeyId, action: Action) -> Result<KeyRow, Error> {
        let core = &self.core;
        core.authorize(actor, Action::ReadWorkspace, &Object::Workspace(workspace)).await?;
        let mut reader = core.db.reader().await?;
        let row = store::keys::find(&mut reader.conn(), workspace, id).await?.ok_or_else(Error::not_found)?;
        drop(reader);
        let owner: UserId = store::users::parse_id(&row.owner_id)?;
        core.authorize(actor, action, &Object::Key { workspace, owner: &owner, id: Some(id) }).await?;
        Ok(row)
    }
}

/// May that text be searched for?
pub(super) fn check_search(field: &str, text: &str) -> Result<(), Problem> {
    if text.chars().count() > MAX_SEARCH {
        return Err(Problem::invalid(field, format!("Search for at most {MAX_SEARCH} characters.")));
    }
    if text.chars().any(char::is_control) {
        return Err(Problem::invalid(field, "Leave out control characters."));
    }
    Ok(())
}

/// A key as lists show it, with the uses that are not written yet.
pub(crate) fn present(core: &Core, row: &KeyRow) -> Result<KeySummary, Error> {
    let id: KeyId = store::users::parse_id(&row.id)?;
    let stored = row.last_used_at.map(Timestamp::from_millis);
    let last_used_at = stored.max(core.keyset.last_used_at(&id));
    let moment = Moment { last_used_at, grace_ms: GRACE_MS, ..Moment::at(core.now()) };
    let mut summary = row.summary(&core.prefix, &moment)?;
    let pending: u64 = core.keyset.usages(&id).iter().map(|(_, usage)| usage.pending()).sum();
    summary.total_calls = summary.total_calls.saturating_add(i64::try_from(pending).unwrap_or(i64::MAX));
    Ok(summary)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_cursor_is_only_good_for_its_own_order() {
        let position = Position { number: 7, text: "Ä".into(), id: "key_1".into() };
        let cursor = Cursor { s: KeySort::Name, d: false, p: position.clone() }.encode();
        let filter = KeyFilter { sort: KeySort::Name, descending: false, ..KeyFilter::default() };
        assert_eq!(Cursor::decode(&cursor, &filter).unwrap(), position);
        assert!(Cursor::decode(&cursor, &KeyFilter::default()).is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_the_cursor_decoder_stumble(text in "\\PC{0,80}") {
            prop_assert!(Cursor::decode(&text, &KeyFilter::default()).is_err());
        }
    }
}
