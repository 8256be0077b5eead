//! Pages of keys: any offered filter and order, by keyset, so that a deep page costs what the first does.
//!
//! A page is found in two steps: ids first, then the rows of those ids. The ids come out of an index that holds the order and
//! every column a filter looks at (see migration 6). On PostgreSQL, when a filter is set, only the next keys in the order are
//! looked at, some tens for each row of the page; if what is wanted is rarer than that, all that match are looked for and sorted.
//! A search on SQLite does so too, with an index of the pieces of names ([`search`]).

mod search;
mod text;

use keyfold_domain::ids::{UserId, WorkspaceId};
use keyfold_domain::key::{KeyFilter, KeySort};
use keyfold_domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::AssertSqlSafe;

use super::db::{Conn, on};
use super::keys::{KeyRow, select_keys};
use super::like::containing;
use search::Search;
use text::{Asked, Text};

/// How many keys are looked at for each row of a page, before those that match are looked for in another way.
const LOOKED_AT: i64 = 40;
/// The same for a search on PostgreSQL, which visits the row of each key whose name holds what is searched for.
const LOOKED_AT_FOR_NAMES: i64 = 100;
/// And at most.
const MOST_LOOKED_AT: i64 = 10_000;

/// Where a page starts: after the row with this sort value and id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// The value of a numeric order.
    pub(crate) number: i64,
    /// The value of the order by name.
    pub(crate) text: String,
    /// The id that breaks ties.
    pub(crate) id: String,
}

impl Position {
    /// The position of a row in that order.
    pub(crate) fn of(row: &KeyRow, sort: KeySort) -> Self {
        let number = match sort {
            KeySort::Created => row.created_at,
            KeySort::LastUsed => row.last_used_at.unwrap_or(0),
            KeySort::Expires => row.expires_at.unwrap_or(i64::MAX),
            KeySort::Name => 0,
        };
        let text = if sort == KeySort::Name { row.folded_name.clone() } else { String::new() };
        Self { number, text, id: row.id.clone() }
    }
}

/// Whose keys: one workspace's, one person's (in one workspace or in all), or everybody's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Whose<'a> {
    /// Of this workspace; `None` of all, which only an administrator of the instance may see.
    pub(crate) workspace: Option<&'a WorkspaceId>,
    /// Of this person; `None` of everybody.
    pub(crate) owner: Option<&'a UserId>,
}

/// A workspace's keys that are not deleted, the oldest first, of people whose username holds that text: `limit` of them after
/// the first `offset`. For clients that know no other way to turn pages; what is passed over is read from an index alone.
pub(crate) async fn counted_off(
    conn: &mut Conn<'_>,
    workspace: &WorkspaceId,
    username: &str,
    offset: u32,
    limit: u32,
) -> Result<Vec<KeyRow>, sqlx::Error> {
    const SQL: &str = select_keys!(
        "WHERE k.id IN (SELECT c.id FROM (SELECT n.id FROM keys n WHERE n.workspace_id = $1 AND n.deleted_at IS NULL \
         AND ($2 = '' OR n.owner_id IN (SELECT o.id FROM users o WHERE o.username LIKE $2 ESCAPE '!')) \
         ORDER BY n.created_at, n.id LIMIT $3 OFFSET $4) c) ORDER BY k.created_at, k.id LIMIT $3"
    );
    let pattern = if username.is_empty() { String::new() } else { containing(&username.to_lowercase()) };
    on!(conn, raw => sqlx::query_as(SQL)
        .bind(workspace.as_str())
        .bind(pattern)
        .bind(i64::from(limit))
        .bind(i64::from(offset))
        .fetch_all(&mut **raw)
        .await)
}

/// The values that every text takes, worked out of a filter once.
struct Values<'a> {
    whose: Whose<'a>,
    pattern: String,
    search: &'a str,
    now: Timestamp,
    graced: Timestamp,
    scope: String,
    kind: &'static str,
    expiring: i64,
    idle: i64,
    made_until: i64,
    resource: &'a str,
    names: String,
}

impl<'a> Values<'a> {
    fn new(whose: Whose<'a>, filter: &'a KeyFilter, moments: Moments) -> Self {
        let typed = filter.search.trim();
        // The masked form of a secret is searched for as well: what counts of it is its end.
        let search = typed.rsplit_once('…').map_or(typed, |(_, end)| end);
        let days = |days: u32| i64::from(days) * keyfold_domain::time::DAY_MS;
        Self {
            whose,
            pattern: if typed.is_empty() { String::new() } else { containing(&keyfold_domain::name::fold(typed)) },
            search,
            now: moments.now,
            graced: moments.graced,
            scope: filter.scope.as_ref().map(|name| containing(&format!(" {} ", name.as_str()))).unwrap_or_default(),
            kind: filter.kind.map_or("", keyfold_domain::scope::KeyKind::as_str),
            expiring: filter.expiring.map_or(0, |ahead| moments.now.plus_ms(days(ahead)).as_millis()),
            idle: filter.idle.map_or(0, |back| moments.now.plus_ms(-days(back)).as_millis()),
            made_until: moments.made_until.map_or(0, Timestamp::as_millis),
            resource: &filter.resource,
            names: String::new(),
        }
    }
}

/// By what moments a list is told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moments {
    /// Now.
    pub(crate) now: Timestamp,
    /// Now, less the time that a use may take to be written.
    pub(crate) graced: Timestamp,
    /// Only keys made until then; `None` for all.
    pub(crate) made_until: Option<Timestamp>,
}

impl Values<'_> {
    /// Reads all rows. PostgreSQL plans every text for the values at hand: how many keys hold a scope or a name decides how they
    /// are best found, and a plan for any values would take the worst of ways for most.
    async fn fetch_all<R>(&self, conn: &mut Conn<'_>, text: Text, at: &Position, limit: i64) -> Result<Vec<R>, sqlx::Error>
    where
        R: for<'r> sqlx::FromRow<'r, sqlx::sqlite::SqliteRow> + for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow> + Send + Unpin,
    {
        let kept = matches!(conn, Conn::Sqlite(_));
        let looked_at = if kept || self.pattern.is_empty() { LOOKED_AT } else { LOOKED_AT_FOR_NAMES };
        // Nothing gets into a `Text` that does not stand in the program.
        let sql = AssertSqlSafe(text.finish());
        on!(conn, raw => sqlx::query_as(sql)
            .persistent(kept)
            .bind(self.whose.workspace.map_or("", WorkspaceId::as_str))
            .bind(self.whose.owner.map_or("", UserId::as_str))
            .bind(&self.pattern)
            .bind(self.search)
            .bind(self.now.as_millis())
            .bind(self.graced.as_millis())
            .bind(limit)
            .bind(&self.scope)
            .bind(self.kind)
            .bind(self.expiring)
            .bind(self.idle)
            .bind(self.made_until)
            .bind(self.resource)
            .bind(at.number)
            .bind(&at.text)
            .bind(&at.id)
            .bind((limit * looked_at).min(MOST_LOOKED_AT))
            .bind(&self.names)
            .fetch_all(&mut **raw)
            .await)
    }
}

/// The rows of a page, at most `limit`. Whose they are overrides the filter's owner.
pub(crate) async fn page(
    conn: &mut Conn<'_>,
    whose: Whose<'_>,
    filter: &KeyFilter,
    after: Option<&Position>,
    moments: Moments,
    limit: i64,
) -> Result<Vec<KeyRow>, sqlx::Error> {
    let asked = Asked::new(whose, filter, moments.made_until.is_some(), after.is_some());
    let mut values = Values::new(whose, filter, moments);
    let start = Position { number: 0, text: String::new(), id: String::new() };
    let at = after.unwrap_or(&start);
    let sqlite = match conn {
        Conn::Sqlite(_) => true,
        Conn::Postgres(_) => false,
    };
    // SQLite reads every column that a filter looks at out of the index. PostgreSQL also visits the row of each key that was
    // changed since the last vacuum: in the order of an index that is dear, and as the keys lie it is not.
    if asked.is_plain() || sqlite && !asked.searches() {
        return values.fetch_all(conn, text::rows(&asked, &text::ordered_ids(&asked)), at, limit).await;
    }
    let search = Search::of(&filter.search);
    let streamed = match &search {
        Search::Pieces(pieces) if sqlite && filter.sort == KeySort::Created => Some(pieces),
        _ => None,
    };
    if streamed.is_none() {
        let near = values.fetch_all(conn, text::rows(&asked, &text::near_ids(&asked)), at, limit).await?;
        if i64::try_from(near.len()).is_ok_and(|found| found == limit) {
            return Ok(near);
        }
    }
    let numbers = match conn {
        Conn::Sqlite(raw) => search.numbers(raw).await?,
        Conn::Postgres(_) => return values.fetch_all(conn, text::rows(&asked, &text::far_ids(&asked)), at, limit).await,
    };
    if let Some(numbers) = numbers {
        values.names = numbers;
        return values.fetch_all(conn, text::rows(&asked, &text::numbered_ids(&asked)), at, limit).await;
    }
    if let Some(pieces) = streamed {
        values.names.clone_from(pieces);
        let found = values.fetch_all(conn, text::rows(&asked, &text::streamed_ids(&asked)), at, limit).await?;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    // So many hold it that the next ones in the order are not far, or there are few keys in the order.
    let ids = text::ordered_ids(&asked);
    values.fetch_all(conn, text::rows(&asked, &ids), at, limit).await
}

/// How many keys match that are not deleted, counted up to `limit`, and how many of those were used since `used_since`.
pub(crate) async fn count(
    conn: &mut Conn<'_>,
    whose: Whose<'_>,
    filter: &KeyFilter,
    moments: Moments,
    used_since: Timestamp,
    limit: i64,
) -> Result<(i64, i64), sqlx::Error> {
    let asked = Asked::new(whose, filter, moments.made_until.is_some(), false);
    let since = Position { number: used_since.as_millis(), text: String::new(), id: String::new() };
    let mut values = Values::new(whose, filter, moments);
    let engine = match (&*conn, Search::of(&filter.search)) {
        (Conn::Postgres(_), _) => text::Engine::Postgres,
        (Conn::Sqlite(_), Search::Pieces(pieces)) => {
            values.names = pieces;
            text::Engine::Sqlite { indexed: true }
        }
        (Conn::Sqlite(_), _) => text::Engine::Sqlite { indexed: false },
    };
    let counted = values.fetch_all(conn, text::count(&asked, engine), &since, limit).await?;
    counted.into_iter().next().ok_or(sqlx::Error::RowNotFound)
}

#[cfg(test)]
mod tests;
