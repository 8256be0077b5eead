//! The texts of the lists of keys. They are put together out of the pieces in this file, so that a condition that nobody asked
//! for does not stand in them: every database looks at a bare order much faster than at an order with constants around it, and
//! PostgreSQL knows what the conditions that do stand there will find.
//!
//! All take the same values: `$1` the workspace, `$2` the owner, `$3` a pattern for the name, `$4` the search as it was typed,
//! `$5` now, `$6` now less the grace, `$7` the most rows, `$8` a pattern for the scopes, `$9` a kind, `$10` the end of
//! "expiring", `$11` the moment since when it was idle, `$12` made until, `$13` the id or name of a resource, `$14` to `$16`
//! where the page starts, `$17` how far [`near_ids`] looks.

use keyfold_domain::key::{KeyFilter, KeySort, StateFilter};

use super::Whose;
use crate::store::keys::select_keys;

/// A text that only pieces of the program can get into.
#[derive(Default)]
pub(super) struct Text(String);

impl Text {
    fn put(&mut self, pieces: &[&'static str]) {
        for piece in pieces {
            self.0.push_str(piece);
        }
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn append(&mut self, other: &Self) {
        self.0.push_str(&other.0);
    }

    /// The finished text.
    pub(super) fn finish(self) -> String {
        self.0
    }
}

/// What a list is asked for, as far as it decides the text.
pub(super) struct Asked {
    within: &'static str,
    halves: &'static [&'static str],
    conditions: Text,
    order: Order,
    later: bool,
}

/// The order of a list.
struct Order {
    column: &'static str,
    /// Where the page starts in that column.
    value: &'static str,
    /// Do indexes hold a value that is worked out and not a column?
    worked_out: bool,
    direction: &'static str,
    beyond: &'static str,
}

const LIVE: &str = "k.deleted_at IS NULL";
const GONE: &str = "k.deleted_at IS NOT NULL";
/// What conditions look at.
const LOOKED_AT: &str = "k.id, k.workspace_id, k.owner_id, k.folded_name, k.scopes, k.kind, k.deactivated_at, k.expires_at, \
    k.inactivity_days, k.created_at, k.activated_at, k.last_used_at";

impl Asked {
    /// `made_until` says whether only keys made until a moment are wanted.
    pub(super) fn new(whose: Whose<'_>, filter: &KeyFilter, made_until: bool, later: bool) -> Self {
        let (within, members) = match (whose.workspace, whose.owner) {
            (None, None) => ("", "TRUE"),
            (Some(_), None) => ("k.workspace_id = $1 AND ", "m.workspace_id = $1"),
            (None, Some(_)) => ("k.owner_id = $2 AND ", "m.user_id = $2"),
            (Some(_), Some(_)) => ("k.owner_id = $2 AND k.workspace_id = $1 AND ", "m.user_id = $2 AND m.workspace_id = $1"),
        };
        let halves: &[_] = match filter.state {
            StateFilter::Live | StateFilter::Active | StateFilter::Inactive => &[LIVE],
            StateFilter::Deleted => &[GONE],
            StateFilter::All => &[LIVE, GONE],
        };
        Self { within, halves, conditions: conditions(filter, made_until, members), order: Order::of(filter), later }
    }

    /// Is nothing asked for but an order? Then every key in it belongs to the page.
    pub(super) fn is_plain(&self) -> bool {
        self.conditions.is_empty()
    }
}

impl Order {
    const fn of(filter: &KeyFilter) -> Self {
        let (column, value, worked_out) = match filter.sort {
            KeySort::Created => ("k.created_at", "$14", false),
            KeySort::Name => ("k.folded_name", "$15", false),
            KeySort::LastUsed => ("COALESCE(k.last_used_at, 0)", "$14", true),
            KeySort::Expires => ("COALESCE(k.expires_at, 9223372036854775807)", "$14", true),
        };
        let (direction, beyond) = if filter.descending { (" DESC", " < ") } else { (" ASC", " > ") };
        Self { column, value, worked_out, direction, beyond }
    }
}

/// What is asked of each key beyond whose it is and whether it is deleted. `members` says who is looked at to tell whether a
/// key's owner may have keys.
fn conditions(filter: &KeyFilter, made_until: bool, members: &'static str) -> Text {
    let mut text = Text::default();
    let mut ask = |wanted: bool, pieces: &[&'static str]| {
        if wanted {
            text.put(&[" AND "]);
            text.put(pieces);
        }
    };
    ask(
        !filter.search.trim().is_empty(),
        &["(k.folded_name LIKE $3 ESCAPE '!' OR k.id = $4 OR k.id IN (SELECT s.key_id FROM secrets s WHERE s.hint = $4))"],
    );
    ask(filter.scope.is_some(), &["' ' || k.scopes || ' ' LIKE $8 ESCAPE '!'"]);
    ask(filter.kind.is_some(), &["k.kind = $9"]);
    ask(filter.expiring.is_some(), &["k.expires_at > $5 AND k.expires_at <= $10"]);
    ask(filter.idle.is_some(), &["COALESCE(k.last_used_at, k.created_at) <= $11"]);
    ask(filter.never_used, &["k.last_used_at IS NULL"]);
    ask(made_until, &["k.created_at <= $12"]);
    ask(
        !filter.resource.is_empty(),
        &["k.id IN (SELECT t.key_id FROM key_resources t JOIN resources r ON r.id = t.resource_id \
           WHERE r.id = $13 OR (r.kind || ':' || r.external_id = $13 AND r.deleted_at IS NULL))"],
    );
    // Does the key work, as `verdict::state` says? `IS TRUE` keeps it one question: taken apart, the owners would be looked at
    // first and their keys one by one, out of order.
    let works = [
        "(k.deactivated_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > $5) \
          AND (k.inactivity_days IS NULL OR $6 - k.inactivity_days * 86400000 < k.created_at \
            OR $6 - k.inactivity_days * 86400000 < COALESCE(k.activated_at, 0) \
            OR $6 - k.inactivity_days * 86400000 < COALESCE(k.last_used_at, 0)) \
          AND (k.workspace_id, k.owner_id) IN (SELECT m.workspace_id, m.user_id FROM memberships m \
            JOIN users u ON u.id = m.user_id WHERE u.active AND ",
        members,
        "))",
    ];
    match filter.state {
        StateFilter::Active => ask(true, &[works[0], works[1], works[2], " IS TRUE"]),
        StateFilter::Inactive => ask(true, &["NOT ", works[0], works[1], works[2]]),
        StateFilter::Live | StateFilter::Deleted | StateFilter::All => {}
    }
    text
}

/// The first keys in the order that meet the conditions, `most` of them, out of the indexes that hold the order: the columns that
/// `columns` names, and `place`.
///
/// Deleted keys have indexes of their own. And a value that is worked out gets a look of its own for the keys that share it with
/// the last row of the page before: SQLite finds the start of a page by two columns, but not by a worked-out value and a column,
/// and would walk there from the start of the list.
fn walk(text: &mut Text, asked: &Asked, columns: &'static str, conditions: &Text, most: &'static str) {
    let Order { column, value, worked_out, direction, beyond } = asked.order;
    let starts: &[&[&'static str]] = match (asked.later, worked_out) {
        (false, _) => &[&[]],
        (true, false) => &[&[" AND (", column, ", k.id)", beyond, "(", value, ", $16)"]],
        (true, true) => &[&[" AND ", column, " = ", value, " AND k.id", beyond, "$16"], &[" AND ", column, beyond, value]],
    };
    let legs: Vec<_> = asked.halves.iter().flat_map(|half| starts.iter().map(move |start| (half, start))).collect();
    let leg = |text: &mut Text, half: &'static str, start: &[&'static str]| {
        text.put(&["SELECT ", columns, ", ", column, " AS place FROM keys k WHERE ", asked.within, half]);
        text.put(start);
        text.append(conditions);
        text.put(&[" ORDER BY "]);
        // Those that share the value are ordered by id alone, and SQLite does not see that it comes to the same.
        if !start.contains(&" = ") {
            text.put(&[column, direction, ", "]);
        }
        text.put(&["k.id", direction, " LIMIT ", most]);
    };
    if let [(half, start)] = legs.as_slice() {
        return leg(text, half, start);
    }
    for (at, (half, start)) in legs.iter().enumerate() {
        text.put(&[if at == 0 { "SELECT * FROM (" } else { " UNION ALL SELECT * FROM (" }]);
        leg(text, half, start);
        text.put(&[") l"]);
    }
    text.put(&[" ORDER BY place", direction, ", id", direction, " LIMIT ", most]);
}

/// The ids of a page, out of the indexes that hold the order, as far along them as it takes to fill it.
pub(super) fn ordered_ids(asked: &Asked) -> Text {
    let mut text = Text::default();
    text.put(&["SELECT p.id FROM ("]);
    walk(&mut text, asked, "k.id", &asked.conditions, "$7");
    text.put(&[") p"]);
    text
}

/// The ids of those that are wanted among the next `$17` keys in the order. If they fill a page, they are it.
pub(super) fn near_ids(asked: &Asked) -> Text {
    let mut text = Text::default();
    text.put(&["SELECT k.id FROM ("]);
    walk(&mut text, asked, LOOKED_AT, &Text::default(), "$17");
    text.put(&[") k WHERE TRUE"]);
    text.append(&asked.conditions);
    text.put(&[" ORDER BY k.place", asked.order.direction, ", k.id", asked.order.direction, " LIMIT $7"]);
    text
}

/// The ids of a page when what is wanted is rare there: all that match are found by whatever finds them best, and sorted.
pub(super) fn far_ids(asked: &Asked) -> Text {
    let Order { column, value, direction, beyond, .. } = asked.order;
    let mut text = Text::default();
    text.put(&["WITH found AS MATERIALIZED (SELECT k.id, ", column, " AS place FROM keys k WHERE ", asked.within]);
    match asked.halves {
        [half] => text.put(&[half]),
        _ => text.put(&["TRUE"]),
    }
    if asked.later {
        text.put(&[" AND (", column, ", k.id)", beyond, "(", value, ", $16)"]);
    }
    text.append(&asked.conditions);
    text.put(&[") SELECT f.id FROM found f ORDER BY f.place", direction, ", f.id", direction, " LIMIT $7"]);
    text
}

/// The rows of the keys with those ids, in the order.
pub(super) fn rows(asked: &Asked, ids: &Text) -> Text {
    const ROWS: &str = select_keys!("WHERE k.id IN (");
    let mut text = Text::default();
    text.put(&[ROWS]);
    text.append(ids);
    text.put(&[") ORDER BY ", asked.order.column, asked.order.direction, ", k.id", asked.order.direction, " LIMIT $7"]);
    text
}

/// How many of the keys match, up to `$7`, and how many of those were used since `$14`.
pub(super) fn count(asked: &Asked) -> Text {
    let mut text = Text::default();
    text.put(&["SELECT COUNT(*), COUNT(CASE WHEN c.last_used_at >= $14 THEN 1 END) FROM (SELECT k.last_used_at FROM keys k WHERE "]);
    text.put(&[asked.within, LIVE]);
    text.append(&asked.conditions);
    text.put(&[" LIMIT $7) c"]);
    text
}
