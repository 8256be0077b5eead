//! API keys: listing and reading them. Changing them is in `keys_write`.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyfold_domain::ids::{KeyId, UserId, WorkspaceId};
use keyfold_domain::key::{KeyFilter, KeySort, KeySummary, Page, PlacedKey};
use keyfold_domain::policy::{Action, Actor, Object};
use keyfold_domain::problem::Problem;
use keyfold_domain::time::Timestamp;
use keyfold_domain::verdict::Moment;
use keyfold_domain::workspace::WorkspaceRef;
use keyfold_engine_macros::compiled_here;
use serde::{Deserialize, Serialize};

use super::Core;
use super::verify::GRACE_MS;
use crate::error::Error;
use crate::store;
use crate::store::keys::KeyRow;
use crate::store::listing::{Moments, Position, Whose};

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

/// A cursor for lists in that order, read and written again; `None` if it is none.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn reread_cursor(text: &str, sort: KeySort, descending: bool) -> Option<String> {
    let position = Cursor::decode(text, &KeyFilter { sort, descending, ..KeyFilter::default() }).ok()?;
    Some(Cursor { s: sort, d: descending, p: position }.encode())
}

#[compiled_here]
impl Keys {
    /// One page of the workspace's keys: everybody's for its admins, their own for everybody else.
    pub async fn list(&self, actor: &Actor, workspace: &WorkspaceId, filter: &KeyFilter) -> Result<Page<KeySummary>, Error> {
        self.core.authorize(actor, Action::ReadWorkspace, &Object::Workspace(workspace)).await?;
        filter.check()?;
        let owner = match seen(actor, workspace, filter) {
            Seen::All => None,
            Seen::Of(owner) => Some(owner),
            Seen::None => return Ok(Page { items: Vec::new(), next: None }),
        };
        let page = self.page(Whose { workspace: Some(workspace), owner: owner.as_ref() }, filter).await?;
        let items = page.items.iter().map(|row| present(&self.core, row)).collect::<Result<_, _>>()?;
        Ok(Page { items, next: page.next })
    }

    /// One page of the keys of every workspace. For administrators of the instance.
    pub async fn list_all(&self, actor: &Actor, filter: &KeyFilter) -> Result<Page<PlacedKey>, Error> {
        self.core.authorize(actor, Action::ManageAllKeys, &Object::Instance).await?;
        filter.check()?;
        let page = self.page(Whose { workspace: None, owner: filter.owner.as_ref() }, filter).await?;
        let placed = |row: &KeyRow| {
            let key = present(&self.core, row)?;
            let workspace = WorkspaceRef { id: key.workspace_id.clone(), slug: row.slug.clone(), name: row.workspace_name.clone() };
            Ok(PlacedKey { key, workspace })
        };
        Ok(Page { items: page.items.iter().map(placed).collect::<Result<_, Error>>()?, next: page.next })
    }

    async fn page(&self, whose: Whose<'_>, filter: &KeyFilter) -> Result<Page<KeyRow>, Error> {
        let core = &self.core;
        let after = filter.cursor.as_deref().map(|text| Cursor::decode(text, filter)).transpose()?;
        let limit = i64::from(filter.limit);
        let mut reader = core.db.reader().await?;
        let mut items = store::listing::page(&mut reader.conn(), whose, filter, after.as_ref(), moments(core.now()), limit + 1).await?;
        drop(reader);
        // One row more than asked for tells whether there is a next page.
        let more = i64::try_from(items.len()).unwrap_or(i64::MAX) > limit;
        if more {
            items.pop();
        }
        let next = items
            .last()
            .filter(|_| more)
            .map(|row| Cursor { s: filter.sort, d: filter.descending, p: Position::of(row, filter.sort) }.encode());
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

/// Whose keys a filter shows to somebody.
pub(crate) enum Seen {
    /// Everybody's.
    All,
    /// This person's.
    Of(UserId),
    /// Nobody's: it asks for somebody else's, and the asker sees only their own.
    None,
}

/// Whose keys of the workspace the filter shows to the actor.
pub(crate) fn seen(actor: &Actor, workspace: &WorkspaceId, filter: &KeyFilter) -> Seen {
    let wanted = filter.owner.clone();
    if actor.sees_all_keys(workspace) {
        return wanted.map_or(Seen::All, Seen::Of);
    }
    match actor.user() {
        Some(own) if wanted.is_none_or(|wanted| wanted == own.id) => Seen::Of(own.id.clone()),
        _ => Seen::None,
    }
}

/// The moments by which lists are told now.
pub(crate) const fn moments(now: Timestamp) -> Moments {
    Moments { now, graced: now.plus_ms(-GRACE_MS), made_until: None }
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
        fn a_cursor_is_read_as_it_was_written_and_for_no_other_order(
            number: i64, text in "[^\0]{0,20}", id in "[a-zA-Z0-9_]{0,26}", sort in 0usize..4, other in 0usize..4, d: bool, e: bool,
        ) {
            let (sort, other) = (KeySort::ALL[sort], KeySort::ALL[other]);
            let position = Position { number, text, id };
            let cursor = Cursor { s: sort, d, p: position.clone() }.encode();
            let read = Cursor::decode(&cursor, &KeyFilter { sort: other, descending: e, ..KeyFilter::default() });
            prop_assert_eq!(read.ok(), (sort == other && d == e).then_some(position));
        }

        #[test]
        fn bytes_in_the_place_of_a_cursor_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..60), json in "(\\{|\\}|\"s\"|\"d\"|\"p\"|:|,|\"name\"|true|1|\"\"|\"number\"|\"text\"|\"id\"){0,16}") {
            for bytes in [bytes.as_slice(), json.as_bytes()] {
                if let Ok(position) = Cursor::decode(&URL_SAFE_NO_PAD.encode(bytes), &KeyFilter::default()) {
                    prop_assert!(!position.text.contains('\0') && !position.id.contains('\0'));
                }
            }
        }

        #[test]
        fn no_text_makes_the_cursor_decoder_stumble(text in "\\PC{0,80}") {
            prop_assert!(Cursor::decode(&text, &KeyFilter::default()).is_err());
        }
    }
}
