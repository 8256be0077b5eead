//! Pages of keys: any offered filter and order, by keyset, so that a deep page costs what the first does.

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

/// Workspace, owner, search and state. `$4` is the pattern, `$5` the state's name, `$6` now, `$7` now less the grace,
/// `$8` the id or name of a resource.
macro_rules! filter {
    () => {
        "WHERE k.workspace_id = $1 AND ($2 = '' OR k.owner_id = $2) \
         AND ($3 = '' OR k.folded_name LIKE $4 ESCAPE '!' OR k.id = $3 OR s.hint = $3) \
         AND ($8 = '' OR EXISTS (SELECT 1 FROM key_resources t JOIN resources r ON r.id = t.resource_id WHERE t.key_id = k.id \
            AND (r.id = $8 OR (r.kind || ':' || r.external_id = $8 AND r.deleted_at IS NULL)))) \
         AND CASE $5 WHEN 'all' THEN TRUE \
            WHEN 'deleted' THEN k.deleted_at IS NOT NULL \
            WHEN 'live' THEN k.deleted_at IS NULL \
            WHEN 'active' THEN k.deleted_at IS NULL AND (k.deactivated_at IS NULL AND u.active AND m.role IS NOT NULL \
                AND (k.expires_at IS NULL OR k.expires_at > $6) \
                AND (k.inactivity_days IS NULL OR $7 - k.inactivity_days * 86400000 < k.created_at \
                    OR $7 - k.inactivity_days * 86400000 < COALESCE(k.activated_at, 0) \
                    OR $7 - k.inactivity_days * 86400000 < COALESCE(k.last_used_at, 0))) \
            ELSE k.deleted_at IS NULL AND NOT (k.deactivated_at IS NULL AND u.active AND m.role IS NOT NULL \
                AND (k.expires_at IS NULL OR k.expires_at > $6) \
                AND (k.inactivity_days IS NULL OR $7 - k.inactivity_days * 86400000 < k.created_at \
                    OR $7 - k.inactivity_days * 86400000 < COALESCE(k.activated_at, 0) \
                    OR $7 - k.inactivity_days * 86400000 < COALESCE(k.last_used_at, 0))) \
            END "
    };
}

macro_rules! page {
    ($column:literal, $value:literal, up) => {
        (
            select_keys!(filter!(), "ORDER BY ", $column, " ASC, k.id ASC LIMIT $9"),
            select_keys!(filter!(), "AND (", $column, ", k.id) > (", $value, ", $12) ORDER BY ", $column, " ASC, k.id ASC LIMIT $9"),
        )
    };
    ($column:literal, $value:literal, down) => {
        (
            select_keys!(filter!(), "ORDER BY ", $column, " DESC, k.id DESC LIMIT $9"),
            select_keys!(filter!(), "AND (", $column, ", k.id) < (", $value, ", $12) ORDER BY ", $column, " DESC, k.id DESC LIMIT $9"),
        )
    };
}

/// The texts of a first and of a later page.
const fn sql(sort: KeySort, descending: bool) -> (&'static str, &'static str) {
    match (sort, descending) {
        (KeySort::Created, false) => page!("k.created_at", "$10", up),
        (KeySort::Created, true) => page!("k.created_at", "$10", down),
        (KeySort::Name, false) => page!("k.folded_name", "$11", up),
        (KeySort::Name, true) => page!("k.folded_name", "$11", down),
        (KeySort::LastUsed, false) => page!("COALESCE(k.last_used_at, 0)", "$10", up),
        (KeySort::LastUsed, true) => page!("COALESCE(k.last_used_at, 0)", "$10", down),
        (KeySort::Expires, false) => page!("COALESCE(k.expires_at, 9223372036854775807)", "$10", up),
        (KeySort::Expires, true) => page!("COALESCE(k.expires_at, 9223372036854775807)", "$10", down),
    }
}

/// The rows of a page, at most `limit`. `owner` overrides the filter's for somebody who sees only their own.
pub(crate) async fn page(
    conn: &mut Conn<'_>,
    workspace: &WorkspaceId,
    owner: Option<&UserId>,
    filter: &KeyFilter,
    after: Option<&Position>,
    moments: (Timestamp, Timestamp),
    limit: i64,
) -> Result<Vec<KeyRow>, sqlx::Error> {
    let (first, later) = sql(filter.sort, filter.descending);
    let text = if after.is_some() { later } else { first };
    let search = filter.search.trim();
    let pattern = like_pattern(search);
    let state = filter.state.as_str();
    debug_assert!(StateFilter::from_name(state).is_some());
    on!(conn, raw => {
        let query = sqlx::query_as(text)
            .bind(workspace.as_str())
            .bind(owner.or(filter.owner.as_ref()).map_or("", |id| id.as_str()))
            .bind(search)
            .bind(&pattern)
            .bind(state)
            .bind(moments.0.as_millis())
            .bind(moments.1.as_millis())
            .bind(&filter.resource)
            .bind(limit);
        match after {
            None => query.fetch_all(&mut **raw).await,
            Some(at) => query.bind(at.number).bind(&at.text).bind(&at.id).fetch_all(&mut **raw).await,
        }
    })
}

/// "Contains" for LIKE, with the search text taken literally.
pub(crate) fn like_pattern(search: &str) -> String {
    let mut pattern = String::from("%");
    for found in keyfold_domain::name::fold(search).chars() {
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
        assert_eq!(like_pattern("50%_Ä!"), "%50!%!_ä!!%");
    }
}
