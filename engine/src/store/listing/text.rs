//! The texts of the lists of keys. They are put together out of the pieces in this file, so that a condition that nobody asked
//! for does not stand in them: every database looks at a bare order much faster than at an order with constants around it, and
//! PostgreSQL knows what the conditions that do stand there will find.
//!
//! All take the same values: `$1` the workspace, `$2` the owner, `$3` a pattern for the name, `$4` the search as it was typed,
//! `$5` now, `$6` now less the grace, `$7` the most rows, `$8` a pattern for the scopes, `$9` a kind, `$10` the end of
//! "expiring", `$11` the moment since when it was idle, `$12` made until, `$13` the id or name of a resource, `$14` to `$16`
//! where the page starts, `$17` how far [`near_ids`] looks, `$18` what SQLite's index of names is asked for.

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
    /// The conditions but for the search.
    others: Text,
    /// Is something searched for?
    searched: bool,
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
        let others = others(filter, made_until, members);
        let mut conditions = Text::default();
        let searched = !filter.search.trim().is_empty();
        if searched {
            conditions.put(&[" AND (", NAMED, " OR k.id = $4 OR k.id IN (SELECT s.key_id FROM secrets s WHERE s.hint = $4))"]);
        }
        conditions.append(&others);
        Self { within, halves, conditions, others, searched, order: Order::of(filter), later }
    }

    /// Is something searched for?
    pub(super) const fn searches(&self) -> bool {
        self.searched
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

/// Does the name hold what is searched for?
const NAMED: &str = "k.folded_name LIKE $3 ESCAPE '!'";

/// What is asked of each key beyond whose it is, whether it is deleted and what is searched for. `members` says who is looked at to
/// tell whether a key's owner may have keys.
fn others(filter: &KeyFilter, made_until: bool, members: &'static str) -> Text {
    let mut text = Text::default();
    let mut ask = |wanted: bool, pieces: &[&'static str]| {
        if wanted {
            text.put(&[" AND "]);
            text.put(pieces);
        }
    };
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

/// Those among `from` that are wanted, whichever half they are in: their ids, `more` and their place in the order. `from` says how
/// they are found, and ends where further conditions can follow.
fn among(text: &mut Text, asked: &Asked, more: &'static str, from: &[&'static str], conditions: &Text) {
    let Order { column, value, beyond, .. } = asked.order;
    text.put(&["SELECT k.id, ", more, column, " AS place FROM "]);
    text.put(from);
    text.put(&[" AND ", asked.within]);
    match asked.halves {
        [half] => text.put(&[half]),
        _ => text.put(&["TRUE"]),
    }
    if asked.later {
        text.put(&[" AND (", column, ", k.id)", beyond, "(", value, ", $16)"]);
    }
    text.append(conditions);
}

/// The ids of those in `from`, in the order.
fn sorted(text: &mut Text, asked: &Asked, from: &[&'static str]) {
    let direction = asked.order.direction;
    text.put(&["SELECT f.id FROM "]);
    text.put(from);
    text.put(&[" f ORDER BY f.place", direction, ", f.id", direction, " LIMIT $7"]);
}

/// The ids of a page when what is wanted is rare there: all that match are found by whatever finds them best, and sorted.
pub(super) fn far_ids(asked: &Asked) -> Text {
    let mut text = Text::default();
    text.put(&["WITH found AS MATERIALIZED ("]);
    found(&mut text, asked, "");
    text.put(&[") "]);
    sorted(&mut text, asked, &["found"]);
    text
}

/// PostgreSQL: all that match. A search is three questions, because as one it would be put to every key.
fn found(text: &mut Text, asked: &Asked, more: &'static str) {
    if !asked.searched {
        return among(text, asked, more, &["keys k WHERE TRUE"], &asked.others);
    }
    among(text, asked, more, &["keys k WHERE ", NAMED], &asked.others);
    for told in ["keys k WHERE k.id = $4", "secrets s JOIN keys k ON k.id = s.key_id WHERE s.hint = $4"] {
        text.put(&[" UNION "]);
        among(text, asked, more, &[told], &asked.others);
    }
}

/// SQLite: keys by the numbers under which their names are in the index.
const NUMBERED: &str = "CROSS JOIN keys k INDEXED BY keys_by_search_number ON k.search_number = ";
/// SQLite: what a search finds beside the names in the index: names that wait for it, an id, the end of a secret.
const BESIDE: [&str; 3] = [
    "keys k INDEXED BY keys_unnumbered WHERE k.search_number IS NULL AND k.folded_name LIKE $3 ESCAPE '!'",
    "keys k WHERE k.id = $4",
    "secrets s CROSS JOIN keys k ON k.id = s.key_id WHERE s.hint = $4",
];

fn beside(text: &mut Text, asked: &Asked, more: &'static str) {
    for from in BESIDE {
        text.put(&[" UNION "]);
        among(text, asked, more, &[from], &asked.others);
    }
}

/// SQLite: the ids of a page of a search in the order of creation, which is the order of the index of names as well. Nothing if the
/// next 2,500 names in that index do not fill the page and are not the last: they may be mostly of other workspaces.
///
/// Keys of one millisecond are in another order there. So all are looked at that share it with the last one found.
pub(super) fn streamed_ids(asked: &Asked) -> Text {
    let (start, until, same) = if asked.order.direction == " DESC" {
        (
            " AND f.rowid < ($14 + 1) << 20",
            " AND f.rowid >= (SELECT MIN(number) FROM hits)",
            " AND f.rowid >= (SELECT MIN(place) << 20 FROM found) AND f.rowid < (SELECT MIN(number) FROM found)",
        )
    } else {
        (
            " AND f.rowid >= $14 << 20",
            " AND f.rowid <= (SELECT MAX(number) FROM hits)",
            " AND f.rowid < (SELECT MAX(place) + 1 << 20 FROM found) AND f.rowid > (SELECT MAX(number) FROM found)",
        )
    };
    let start = if asked.later { start } else { "" };
    let in_order = [" ORDER BY f.rowid", asked.order.direction];
    let names = |text: &mut Text, more, range: [&'static str; 2]| {
        let mut from = vec!["key_names f ", NUMBERED, "f.rowid WHERE f.key_names MATCH $18"];
        from.extend(range);
        from.extend([" AND ", NAMED]);
        among(text, asked, more, &from, &asked.others);
    };
    let mut text = Text::default();
    text.put(&["WITH hits AS MATERIALIZED (SELECT f.rowid AS number FROM key_names f WHERE f.key_names MATCH $18", start]);
    text.put(&in_order);
    text.put(&[" LIMIT 2500), found AS MATERIALIZED ("]);
    names(&mut text, "f.rowid AS number, ", [start, until]);
    text.put(&in_order);
    text.put(&[" LIMIT $7), every AS (SELECT id, place FROM found UNION "]);
    names(&mut text, "", [same, ""]);
    beside(&mut text, asked, "");
    let whole = "(SELECT * FROM every WHERE (SELECT COUNT(*) FROM found) = $7 OR (SELECT COUNT(*) FROM hits) < 2500)";
    text.put(&[") "]);
    sorted(&mut text, asked, &[whole]);
    text
}

/// SQLite: the ids of a page of a search that finds few names; their numbers are in `$18`, as a JSON list.
pub(super) fn numbered_ids(asked: &Asked) -> Text {
    let mut text = Text::default();
    text.put(&["WITH every AS ("]);
    among(&mut text, asked, "", &["json_each($18) j ", NUMBERED, "j.value WHERE ", NAMED], &asked.others);
    beside(&mut text, asked, "");
    text.put(&[") "]);
    sorted(&mut text, asked, &["every"]);
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
pub(super) fn count(asked: &Asked, engine: Engine) -> Text {
    const USED: &str = "k.last_used_at, ";
    let mut text = Text::default();
    text.put(&["SELECT COUNT(*), COUNT(CASE WHEN c.last_used_at >= $14 THEN 1 END) FROM (SELECT * FROM ("]);
    match engine {
        Engine::Sqlite { indexed: true } => {
            let from = ["key_names f ", NUMBERED, "f.rowid WHERE f.key_names MATCH $18 AND ", NAMED];
            among(&mut text, asked, USED, &from, &asked.others);
            beside(&mut text, asked, USED);
        }
        Engine::Sqlite { indexed: false } => among(&mut text, asked, USED, &["keys k WHERE TRUE"], &asked.conditions),
        Engine::Postgres => found(&mut text, asked, USED),
    }
    text.put(&[") a LIMIT $7) c"]);
    text
}

/// What finds the keys that are counted.
#[derive(Clone, Copy)]
pub(super) enum Engine {
    Postgres,
    /// Is `$18` a question to the index of names?
    Sqlite {
        indexed: bool,
    },
}
