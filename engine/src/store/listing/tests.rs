//! What a page costs on SQLite, in steps of its machine: they do not depend on who else is busy.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use keyfold_domain::key::StateFilter;
use keyfold_domain::scope::KeyKind;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection as _, Executor as _};

use super::*;

const KEYS: usize = 4000;
const PAGE: i64 = 21;
/// What no page may take. Looking at every key would take several times as many.
const FEW_STEPS: usize = 6000;

/// A workspace of so many keys: one in four is deleted, one in three was never used, one in six has no end.
async fn filled() -> (SqliteConnection, WorkspaceId) {
    let mut raw = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    super::super::migrate::run(&mut Conn::Sqlite(&mut raw)).await.unwrap();
    let workspace = WorkspaceId::generate(Timestamp::from_millis(0), &mut <rand::rngs::StdRng as rand::SeedableRng>::seed_from_u64(1));
    let sql = format!(
        "INSERT INTO users (id, username, email, display_name, password_hash, instance_admin, active, created_at)
            VALUES ('usr_a', 'ada', 'a@example.com', '', '', FALSE, TRUE, 0);
        INSERT INTO workspaces (id, slug, name, never_allowed, members_may_create, max_live_per_user, max_live_per_workspace, created_at)
            VALUES ('{workspace}', 'acme', 'Acme', TRUE, TRUE, 9, 9, 0);
        INSERT INTO memberships (workspace_id, user_id, role, created_at) VALUES ('{workspace}', 'usr_a', 'member', 0);
        WITH RECURSIVE n (at) AS (SELECT 1 UNION ALL SELECT at + 1 FROM n WHERE at < {KEYS})
        INSERT INTO keys (id, workspace_id, owner_id, created_by, name, folded_name, kind, scopes, expires_at, inactivity_days, note,
            created_at, last_used_at, deleted_at, total_calls, version)
            SELECT printf('key_%05d', at * 7919 % {KEYS}), '{workspace}', 'usr_a', 'ada', '', 'worker ' || (at % 997), 'secret', 'inference',
                CASE WHEN at % 6 > 0 THEN 1000 + at * 31 % 4001 END, NULL, '', at,
                CASE WHEN at % 3 > 0 THEN 1000 + at * 17 % 4001 END, CASE WHEN at % 4 = 0 THEN 5000 END, 0, 1 FROM n;
        INSERT INTO secrets (id, key_id, mac, pepper_id, hint, created_at) SELECT 'sec_' || id, id, randomblob(32), 'p', 'abcd', 0 FROM keys;"
    );
    raw.execute(AssertSqlSafe(sql)).await.unwrap();
    (raw, workspace)
}

/// The rows of a page and the steps they took, counted in tens.
async fn counted(raw: &mut SqliteConnection, whose: Whose<'_>, filter: &KeyFilter, after: Option<&Position>) -> (Vec<KeyRow>, usize) {
    let (steps, now) = (Arc::new(AtomicUsize::new(0)), Timestamp::from_millis(10_000));
    let counter = Arc::clone(&steps);
    raw.lock_handle().await.unwrap().set_progress_handler(10, move || {
        counter.fetch_add(10, Ordering::Relaxed);
        true
    });
    let moments = Moments { now, graced: now, made_until: None };
    let rows = page(&mut Conn::Sqlite(raw), whose, filter, after, moments, PAGE).await.unwrap();
    raw.lock_handle().await.unwrap().remove_progress_handler();
    (rows, steps.load(Ordering::Relaxed))
}

#[tokio::test]
async fn a_page_deep_in_a_list_takes_no_more_steps_than_the_first_in_any_order() {
    let (mut raw, workspace) = filled().await;
    for place in [Some(&workspace), None] {
        let whose = Whose { workspace: place, owner: None };
        for sort in KeySort::ALL {
            for (state, descending) in StateFilter::ALL.into_iter().flat_map(|state| [(state, false), (state, true)]) {
                if matches!(state, StateFilter::Active | StateFilter::Inactive) {
                    continue;
                }
                let filter = KeyFilter { sort, state, descending, ..KeyFilter::default() };
                let mut after = None;
                for pages in 0..40 {
                    let (rows, steps) = counted(&mut raw, whose, &filter, after.as_ref()).await;
                    assert!(steps < FEW_STEPS, "page {pages} took {steps} steps: {filter:?}");
                    after = Some(Position::of(rows.last().unwrap(), sort));
                }
            }
        }
    }
}

#[tokio::test]
async fn no_page_is_found_by_sorting_keys() {
    let (mut raw, workspace) = filled().await;
    let usual = KeyFilter::default();
    let filters = [
        usual.clone(),
        KeyFilter { state: StateFilter::Active, ..usual.clone() },
        KeyFilter { state: StateFilter::Inactive, ..usual.clone() },
        KeyFilter { search: "nothing".into(), ..usual.clone() },
        KeyFilter { scope: "nothing".parse().ok(), ..usual.clone() },
        KeyFilter { kind: Some(KeyKind::Management), ..usual.clone() },
        KeyFilter { never_used: true, ..usual.clone() },
        KeyFilter { idle: Some(90), ..usual.clone() },
        KeyFilter { expiring: Some(14), ..usual },
    ];
    for place in [Some(&workspace), None] {
        let whose = Whose { workspace: place, owner: None };
        for sort in KeySort::ALL {
            for filter in &filters {
                let filter = KeyFilter { sort, ..filter.clone() };
                let sql = format!("EXPLAIN QUERY PLAN {}", text::ordered_ids(&Asked::new(whose, &filter, false, false)).finish());
                let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(AssertSqlSafe(sql)).fetch_all(&mut raw).await.unwrap();
                let lines: Vec<_> = plan.iter().map(|line| line.3.as_str()).collect();
                let of_keys: Vec<_> = lines.iter().filter(|line| line.split(' ').nth(1) == Some("k")).collect();
                let found = of_keys.len() == 1 && of_keys[0].contains("INDEX keys_");
                assert!(found && !lines.iter().any(|line| line.contains("TEMP B-TREE")), "{filter:?}: {lines:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_search_in_any_order_and_at_any_depth_takes_few_steps() {
    let (mut raw, workspace) = filled().await;
    super::super::names::take_in_all(&mut raw).await.unwrap();
    // In every name, in many, in a few, in one, in none; and shorter than a piece of a name.
    for search in ["worker", "worker 9", "worker 99", "worker 123", "nothing", "zz", "99"] {
        for place in [Some(&workspace), None] {
            let whose = Whose { workspace: place, owner: None };
            for sort in KeySort::ALL {
                for (state, descending) in [StateFilter::Live, StateFilter::Deleted, StateFilter::All]
                    .map(|state| [(state, false), (state, true)])
                    .into_iter()
                    .flatten()
                {
                    let filter = KeyFilter { sort, state, descending, search: search.into(), ..KeyFilter::default() };
                    let mut after = None;
                    for pages in 0..8 {
                        let (rows, steps) = counted(&mut raw, whose, &filter, after.as_ref()).await;
                        // Read out of the middle of the index of names, or out of the next keys and what is sorted of them.
                        let few = if sort == KeySort::Created && search.len() > 2 { 10 * FEW_STEPS } else { KEYS * 40 };
                        assert!(steps < few, "page {pages} took {steps} steps: {filter:?}");
                        let Some(last) = rows.last() else { break };
                        after = Some(Position::of(last, sort));
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn a_search_that_finds_very_many_names_finds_each_of_them_once_and_in_order() {
    let (mut raw, workspace) = filled().await;
    // Several keys of each millisecond; and in the middle of the list some that wait for the index.
    raw.execute("UPDATE keys SET created_at = created_at / 7").await.unwrap();
    super::super::names::take_in_all(&mut raw).await.unwrap();
    raw.execute("UPDATE keys SET folded_name = folded_name || '!' WHERE created_at BETWEEN 300 AND 303").await.unwrap();
    for (place, state, directions) in [(Some(&workspace), StateFilter::Live, &[true][..]), (None, StateFilter::All, &[false, true])] {
        let whose = Whose { workspace: place, owner: None };
        for descending in directions.iter().copied() {
            let mut lists = [Vec::new(), Vec::new()];
            for (search, list) in ["", "worker"].into_iter().zip(&mut lists) {
                let filter = KeyFilter { state, descending, search: search.into(), ..KeyFilter::default() };
                let mut after = None;
                loop {
                    let (rows, _) = counted(&mut raw, whose, &filter, after.as_ref()).await;
                    let Some(last) = rows.last() else { break };
                    after = Some(Position::of(last, KeySort::Created));
                    list.extend(rows.into_iter().map(|row| row.id));
                }
            }
            let [all, found] = lists;
            assert!(all.len() >= KEYS * 3 / 4, "{}", all.len());
            assert_eq!(found, all, "{state:?}, descending {descending}");
        }
    }
}

#[tokio::test]
async fn a_search_in_a_small_workspace_does_not_look_at_what_all_others_hold() {
    let (mut raw, _) = filled().await;
    let small = WorkspaceId::generate(Timestamp::from_millis(1), &mut <rand::rngs::StdRng as rand::SeedableRng>::seed_from_u64(2));
    // The oldest keys of all, so that whoever reads from the newest comes to them last.
    let sql = format!(
        "INSERT INTO workspaces (id, slug, name, never_allowed, members_may_create, max_live_per_user, max_live_per_workspace, created_at)
            VALUES ('{small}', 'small', 'Small', TRUE, TRUE, 9, 9, 0);
        UPDATE keys SET workspace_id = '{small}', deleted_at = NULL WHERE created_at <= 30;"
    );
    raw.execute(AssertSqlSafe(sql)).await.unwrap();
    super::super::names::take_in_all(&mut raw).await.unwrap();
    let whose = Whose { workspace: Some(&small), owner: None };
    for sort in KeySort::ALL {
        for descending in [false, true] {
            let filter = KeyFilter { sort, descending, search: "worker".into(), ..KeyFilter::default() };
            let (rows, steps) = counted(&mut raw, whose, &filter, None).await;
            assert_eq!(rows.len(), usize::try_from(PAGE).unwrap());
            let (rest, more) = counted(&mut raw, whose, &filter, rows.last().map(|row| Position::of(row, sort)).as_ref()).await;
            assert_eq!(rest.len(), 30 - usize::try_from(PAGE).unwrap());
            assert!(steps.max(more) < KEYS * 28, "{steps} and {more} steps: {filter:?}");
        }
    }
}

#[tokio::test]
async fn a_search_reads_the_index_of_names_in_its_order_and_sorts_what_little_it_found() {
    let (mut raw, workspace) = filled().await;
    let whose = Whose { workspace: Some(&workspace), owner: None };
    for (descending, later) in [(false, false), (true, false), (false, true), (true, true)] {
        let filter = KeyFilter { search: "worker".into(), descending, ..KeyFilter::default() };
        for streamed in [true, false] {
            let asked = Asked::new(whose, &filter, false, later);
            let ids = if streamed { text::streamed_ids(&asked) } else { text::numbered_ids(&asked) };
            let sql = format!("EXPLAIN QUERY PLAN {}", ids.finish());
            let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(AssertSqlSafe(sql)).fetch_all(&mut raw).await.unwrap();
            let lines: Vec<_> = plan.iter().map(|line| line.3.as_str()).collect();
            let keys: Vec<_> = lines.iter().filter(|line| line.split(' ').nth(1) == Some("k")).collect();
            let found = |line: &str| {
                ["keys_by_search_number", "keys_unnumbered", "sqlite_autoindex_keys_1"].iter().any(|index| line.contains(index))
            };
            assert!(keys.len() >= 4 && keys.iter().all(|line| found(line)), "{lines:?}");
            let names: Vec<_> = lines.iter().filter(|line| line.contains(" f VIRTUAL TABLE INDEX")).collect();
            assert_eq!(names.len(), if streamed { 3 } else { 0 }, "{lines:?}");
            // One sorting for what the union found, one for the page; none within what is read in order.
            assert!(lines.iter().filter(|line| line.contains("TEMP B-TREE FOR ORDER BY")).count() <= 1, "{lines:?}");
        }
    }
}

#[tokio::test]
async fn names_that_change_or_go_leave_the_index_in_the_same_moment() {
    let (mut raw, _) = filled().await;
    super::super::names::take_in_all(&mut raw).await.unwrap();
    let numbers = async |raw: &mut SqliteConnection, typed: &str| Search::of(typed).numbers(raw).await.unwrap();
    assert_eq!(numbers(&mut raw, "renamed").await.unwrap(), "[]");
    let before: (i64, i64) = sqlx::query_as("SELECT COUNT(*), COUNT(DISTINCT search_number) FROM keys").fetch_one(&mut raw).await.unwrap();
    assert_eq!(before.0, before.1);
    assert_ne!(numbers(&mut raw, "worker 123").await.unwrap(), "[]");
    raw.execute("UPDATE keys SET folded_name = 'renamed' WHERE folded_name = 'worker 123'").await.unwrap();
    assert_eq!(numbers(&mut raw, "worker 123").await.unwrap(), "[]");
    assert_eq!(numbers(&mut raw, "renamed").await.unwrap(), "[]", "it waits");
    super::super::names::take_in_all(&mut raw).await.unwrap();
    assert_ne!(numbers(&mut raw, "renamed").await.unwrap(), "[]");
    raw.execute("DELETE FROM secrets; DELETE FROM keys").await.unwrap();
    assert_eq!(numbers(&mut raw, "renamed").await.unwrap(), "[]");
    let pieces: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM key_name_pieces").fetch_one(&mut raw).await.unwrap();
    assert_eq!(pieces, 0);
    let fault: String = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut raw).await.unwrap();
    assert_eq!(fault, "ok");
}

#[tokio::test]
async fn a_filter_that_finds_nothing_looks_at_each_key_once() {
    let (mut raw, workspace) = filled().await;
    let whose = Whose { workspace: Some(&workspace), owner: None };
    for state in [StateFilter::Live, StateFilter::Active, StateFilter::Inactive] {
        let filter = KeyFilter { search: "nothing".into(), state, ..KeyFilter::default() };
        let (rows, steps) = counted(&mut raw, whose, &filter, None).await;
        assert!(rows.is_empty() && steps < KEYS * 20, "{state:?} took {steps} steps");
    }
}
