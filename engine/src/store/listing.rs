//! Pages of keys: any offered filter and order, by keyset, so that a deep page costs what the first does.
//!
//! A page is found in two steps: ids first, out of one index that holds every column a filter looks at (see migration 6),
//! then the rows of those ids. Which index serves is decided by the text: whose keys (one workspace's, one person's,
//! everybody's), whether deleted or not, and the order. All other filters are conditions that leave this choice alone, and
//! one that is not asked for is a constant.

use keyfold_domain::ids::{UserId, WorkspaceId};
use keyfold_domain::key::{KeyFilter, KeySort, StateFilter};
use keyfold_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::db::{Conn, on};
use super::keys::{KeyRow, select_keys};

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

/// Does the key work, as `verdict::state` says? `$6` is now, `$7` now less the grace.
macro_rules! works {
    ($members:literal) => {
        concat!(
            "(k.deactivated_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > $6) \
              AND (k.inactivity_days IS NULL OR $7 - k.inactivity_days * 86400000 < k.created_at \
                OR $7 - k.inactivity_days * 86400000 < COALESCE(k.activated_at, 0) \
                OR $7 - k.inactivity_days * 86400000 < COALESCE(k.last_used_at, 0)) \
              AND (k.workspace_id, k.owner_id) IN (SELECT m.workspace_id, m.user_id FROM memberships m \
                JOIN users u ON u.id = m.user_id WHERE u.active AND ",
            $members,
            "))"
        )
    };
}

/// What is asked of each key beyond whose it is and whether it is deleted. `$3` is a pattern for the name, `$4` the search as
/// it was typed, `$5` the name of the state, `$8` the most rows, `$9` a pattern for the scopes, `$10` a kind, `$11` the end
/// of "expiring", `$12` the moment since when it was idle, `$13` never used, `$14` made until, `$15` the id
/// or name of a resource; an empty text or 0 asks nothing.
macro_rules! asked {
    ($members:literal) => {
        concat!(
            " AND ($3 = '' OR k.folded_name LIKE $3 ESCAPE '!' OR k.id = $4 \
                OR k.id IN (SELECT s.key_id FROM secrets s WHERE s.hint = $4)) \
              AND ($9 = '' OR ' ' || k.scopes || ' ' LIKE $9 ESCAPE '!') \
              AND ($10 = '' OR k.kind = $10) \
              AND ($11 = 0 OR (k.expires_at > $6 AND k.expires_at <= $11)) \
              AND ($12 = 0 OR COALESCE(k.last_used_at, k.created_at) <= $12) \
              AND (NOT $13 OR k.last_used_at IS NULL) \
              AND ($14 = 0 OR k.created_at <= $14) \
              AND ($15 = '' OR k.id IN (SELECT t.key_id FROM key_resources t JOIN resources r ON r.id = t.resource_id \
                WHERE r.id = $15 OR (r.kind || ':' || r.external_id = $15 AND r.deleted_at IS NULL))) \
              AND CASE $5 WHEN 'active' THEN ",
            works!($members),
            " WHEN 'inactive' THEN NOT ",
            works!($members),
            " ELSE TRUE END "
        )
    };
}

/// The condition that an index is found by. Both parameters are named in each, because PostgreSQL wants to hear of all.
macro_rules! within {
    (workspace) => {
        "k.workspace_id = $1 AND $2 = ''"
    };
    (owner) => {
        "k.owner_id = $2 AND ($1 = '' OR k.workspace_id = $1)"
    };
    (all) => {
        "$1 = '' AND $2 = ''"
    };
}

/// Who is looked at to tell whether a key's owner may have keys.
macro_rules! ids {
    (workspace, $there:literal, $rest:expr) => {
        concat!("SELECT k.id FROM keys k WHERE ", within!(workspace), $there, asked!("m.workspace_id = $1"), $rest)
    };
    (owner, $there:literal, $rest:expr) => {
        concat!("SELECT k.id FROM keys k WHERE ", within!(owner), $there, asked!("m.user_id = $2"), $rest)
    };
    (all, $there:literal, $rest:expr) => {
        concat!("SELECT k.id FROM keys k WHERE ", within!(all), $there, asked!("TRUE"), $rest)
    };
}

/// One page: `$rest` is its place and order.
macro_rules! text {
    ($whose:tt, live, $rest:expr, $order:expr) => {
        select_keys!("WHERE k.id IN (", ids!($whose, " AND k.deleted_at IS NULL", $rest), ") ", $order)
    };
    ($whose:tt, gone, $rest:expr, $order:expr) => {
        select_keys!("WHERE k.id IN (", ids!($whose, " AND k.deleted_at IS NOT NULL", $rest), ") ", $order)
    };
    // Each half out of its own index, so that neither is sorted.
    ($whose:tt, both, $rest:expr, $order:expr) => {
        select_keys!(
            "WHERE k.id IN (SELECT a.id FROM (",
            ids!($whose, " AND k.deleted_at IS NULL", $rest),
            ") a UNION ALL SELECT b.id FROM (",
            ids!($whose, " AND k.deleted_at IS NOT NULL", $rest),
            ") b) ",
            $order
        )
    };
}

macro_rules! page {
    ($whose:tt, $there:tt, $column:literal, $value:literal, up) => {
        (
            text!(
                $whose,
                $there,
                concat!("ORDER BY ", $column, " ASC, k.id ASC LIMIT $8"),
                concat!("ORDER BY ", $column, " ASC, k.id ASC LIMIT $8")
            ),
            text!(
                $whose,
                $there,
                concat!("AND (", $column, ", k.id) > (", $value, ", $18) ORDER BY ", $column, " ASC, k.id ASC LIMIT $8"),
                concat!("ORDER BY ", $column, " ASC, k.id ASC LIMIT $8")
            ),
        )
    };
    ($whose:tt, $there:tt, $column:literal, $value:literal, down) => {
        (
            text!(
                $whose,
                $there,
                concat!("ORDER BY ", $column, " DESC, k.id DESC LIMIT $8"),
                concat!("ORDER BY ", $column, " DESC, k.id DESC LIMIT $8")
            ),
            text!(
                $whose,
                $there,
                concat!("AND (", $column, ", k.id) < (", $value, ", $18) ORDER BY ", $column, " DESC, k.id DESC LIMIT $8"),
                concat!("ORDER BY ", $column, " DESC, k.id DESC LIMIT $8")
            ),
        )
    };
}

macro_rules! orders {
    ($whose:tt, $there:tt, $sort:expr, $descending:expr) => {
        match ($sort, $descending) {
            (KeySort::Created, false) => page!($whose, $there, "k.created_at", "$16", up),
            (KeySort::Created, true) => page!($whose, $there, "k.created_at", "$16", down),
            (KeySort::Name, false) => page!($whose, $there, "k.folded_name", "$17", up),
            (KeySort::Name, true) => page!($whose, $there, "k.folded_name", "$17", down),
            (KeySort::LastUsed, false) => page!($whose, $there, "COALESCE(k.last_used_at, 0)", "$16", up),
            (KeySort::LastUsed, true) => page!($whose, $there, "COALESCE(k.last_used_at, 0)", "$16", down),
            (KeySort::Expires, false) => page!($whose, $there, "COALESCE(k.expires_at, 9223372036854775807)", "$16", up),
            (KeySort::Expires, true) => page!($whose, $there, "COALESCE(k.expires_at, 9223372036854775807)", "$16", down),
        }
    };
}

macro_rules! states {
    ($whose:tt, $filter:expr) => {
        match $filter.state {
            StateFilter::Live | StateFilter::Active | StateFilter::Inactive => orders!($whose, live, $filter.sort, $filter.descending),
            StateFilter::Deleted => orders!($whose, gone, $filter.sort, $filter.descending),
            StateFilter::All => orders!($whose, both, $filter.sort, $filter.descending),
        }
    };
}

/// The texts of a first and of a later page.
const fn sql(whose: Whose<'_>, filter: &KeyFilter) -> (&'static str, &'static str) {
    match (whose.workspace, whose.owner) {
        (_, Some(_)) => states!(owner, filter),
        (Some(_), None) => states!(workspace, filter),
        (None, None) => states!(all, filter),
    }
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
    let pattern = if username.is_empty() { String::new() } else { contains(&username.to_lowercase()) };
    on!(conn, raw => sqlx::query_as(SQL)
        .bind(workspace.as_str())
        .bind(pattern)
        .bind(i64::from(limit))
        .bind(i64::from(offset))
        .fetch_all(&mut **raw)
        .await)
}

/// How many of the keys that are not deleted match, and how many of them were used since `$16`.
macro_rules! count {
    ($whose:tt) => {
        concat!(
            "SELECT COUNT(*), COUNT(CASE WHEN c.last_used_at >= $16 THEN 1 END) FROM (SELECT k.last_used_at FROM keys k WHERE k.id IN (",
            ids!($whose, " AND k.deleted_at IS NULL", " LIMIT $8"),
            ")) c"
        )
    };
}

/// The values that every text takes, worked out of a filter once.
struct Asked<'a> {
    whose: Whose<'a>,
    pattern: String,
    search: &'a str,
    state: &'static str,
    now: Timestamp,
    graced: Timestamp,
    scope: String,
    kind: &'static str,
    expiring: i64,
    idle: i64,
    never_used: bool,
    made_until: i64,
    resource: &'a str,
}

impl<'a> Asked<'a> {
    fn new(whose: Whose<'a>, filter: &'a KeyFilter, moments: Moments) -> Self {
        let typed = filter.search.trim();
        // The masked form of a secret is searched for as well: what counts of it is its end.
        let search = typed.rsplit_once('…').map_or(typed, |(_, end)| end);
        let days = |days: u32| i64::from(days) * keyfold_domain::time::DAY_MS;
        Self {
            whose,
            pattern: if typed.is_empty() { String::new() } else { contains(&keyfold_domain::name::fold(typed)) },
            search,
            state: filter.state.as_str(),
            now: moments.now,
            graced: moments.graced,
            scope: filter.scope.as_ref().map(|name| contains(&format!(" {} ", name.as_str()))).unwrap_or_default(),
            kind: filter.kind.map_or("", keyfold_domain::scope::KeyKind::as_str),
            expiring: filter.expiring.map_or(0, |ahead| moments.now.plus_ms(days(ahead)).as_millis()),
            idle: filter.idle.map_or(0, |back| moments.now.plus_ms(-days(back)).as_millis()),
            never_used: filter.never_used,
            made_until: moments.made_until.map_or(0, Timestamp::as_millis),
            resource: &filter.resource,
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

/// Binds `$1` to `$15`.
macro_rules! bound {
    ($query:expr, $asked:expr, $limit:expr) => {
        $query
            .bind($asked.whose.workspace.map_or("", WorkspaceId::as_str))
            .bind($asked.whose.owner.map_or("", UserId::as_str))
            .bind(&$asked.pattern)
            .bind($asked.search)
            .bind($asked.state)
            .bind($asked.now.as_millis())
            .bind($asked.graced.as_millis())
            .bind($limit)
            .bind(&$asked.scope)
            .bind($asked.kind)
            .bind($asked.expiring)
            .bind($asked.idle)
            .bind($asked.never_used)
            .bind($asked.made_until)
            .bind($asked.resource)
    };
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
    let (first, later) = sql(whose, filter);
    let asked = Asked::new(whose, filter, moments);
    on!(conn, raw => match after {
        None => bound!(sqlx::query_as(first), asked, limit).fetch_all(&mut **raw).await,
        Some(at) => {
            bound!(sqlx::query_as(later), asked, limit).bind(at.number).bind(&at.text).bind(&at.id).fetch_all(&mut **raw).await
        }
    })
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
    const OF_WORKSPACE: &str = count!(workspace);
    const OF_OWNER: &str = count!(owner);
    const OF_ALL: &str = count!(all);
    let text = match (whose.workspace, whose.owner) {
        (_, Some(_)) => OF_OWNER,
        (Some(_), None) => OF_WORKSPACE,
        (None, None) => OF_ALL,
    };
    let asked = Asked::new(whose, filter, moments);
    on!(conn, raw => bound!(sqlx::query_as(text), asked, limit).bind(used_since.as_millis()).fetch_one(&mut **raw).await)
}

/// "Contains" for LIKE, with the search text taken literally and without regard to case.
pub(crate) fn like_pattern(search: &str) -> String {
    contains(&keyfold_domain::name::fold(search))
}

/// "Contains" for LIKE, with the text taken literally.
fn contains(search: &str) -> String {
    let mut pattern = String::from("%");
    for found in search.chars() {
        if matches!(found, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(found);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_in_a_search_are_taken_literally() {
        assert_eq!(contains(&keyfold_domain::name::fold("50%_Ä!")), "%50!%!_ä!!%");
    }
}
