//! Searches beside a plain filter over all names, whatever stands in them and wherever the database keeps them.

use std::collections::BTreeSet;

use keyfold_domain::ids::{UserId, WorkspaceId};
use keyfold_domain::key::{KeyFilter, KeyPatch, KeySort, KeySummary, StateFilter};
use keyfold_domain::name::fold;
use keyfold_domain::policy::Actor;
use keyfold_domain::scope::KeyKind;
use keyfold_engine::testing::{fresh_schema, open};
use keyfold_engine::{DatabaseUrl, DemoKey, Engine, MoveOptions, Pepper, RestoreOptions, Revived, backup, move_instance, restore};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::support::{Instance, NOW, id_of, on_both, operator, postgres_url};

/// What names are made of: what databases, their patterns and their search languages have signs of their own for, letters with and
/// without a composed form, and what takes several bytes.
const PARTS: [&str; 34] = [
    "a",
    "ab",
    "abc",
    "Worker",
    "billing",
    " ",
    "  ",
    "-",
    "_",
    "%",
    "!",
    "\\",
    "'",
    "\"",
    "*",
    "^",
    "(",
    ")",
    " AND ",
    " OR ",
    " NOT ",
    "NEAR(",
    "folded_name:",
    "{",
    "é",
    "e\u{301}",
    "\u{301}",
    "ß",
    "İ",
    "Ångström",
    "密钥",
    "🔑",
    "👩\u{200d}🔬",
    "0",
];

fn name() -> impl Strategy<Value = String> {
    prop::collection::vec(select(&PARTS[..]), 0..6).prop_map(|parts| parts.concat())
}

/// What is searched for: pieces of names, and texts that are in none or in few.
fn term(names: Vec<String>) -> impl Strategy<Value = String> {
    let piece =
        (select(names), 0usize..12, 1usize..7).prop_map(|(name, start, length)| name.chars().skip(start).take(length).collect::<String>());
    prop_oneof![6 => piece, 2 => name(), 1 => select(&["zzz", "\"", "\"\"", "* *", "x AND y", "abc*", "-abc", "\u{10ffff}", "%%%"][..]).prop_map(str::to_owned)]
}

fn drawn<S: Strategy>(runner: &mut TestRunner, strategy: &S) -> S::Value {
    strategy.new_tree(runner).unwrap().current()
}

async fn everything(engine: &Engine, workspace: Option<&WorkspaceId>, filter: &KeyFilter) -> Vec<KeySummary> {
    let (mut filter, mut all) = (filter.clone(), Vec::new());
    loop {
        let (items, next) = if let Some(workspace) = workspace {
            let page = engine.keys.list(&operator(), workspace, &filter).await.unwrap();
            (page.items, page.next)
        } else {
            let page = engine.keys.list_all(&operator(), &filter).await.unwrap();
            (page.items.into_iter().map(|placed| placed.key).collect(), page.next)
        };
        all.extend(items);
        match next {
            Some(next) => filter.cursor = Some(next),
            None => return all,
        }
    }
}

/// Is it what somebody looks for who types that? By the key alone.
fn wanted(key: &KeySummary, typed: &str) -> bool {
    let end = key.hint.rsplit('…').next();
    fold(&key.name).contains(&fold(typed.trim())) || key.id.as_str() == typed.trim() || end == Some(typed.trim())
}

/// Compares searches with a plain filter over what the list without a search says, and says how many keys were found in all.
async fn compare(engine: &Engine, places: &[Option<&WorkspaceId>], runner: &mut TestRunner, rounds: usize) -> usize {
    let mut found = 0;
    for place in places {
        let all = KeyFilter { state: StateFilter::All, limit: 200, ..KeyFilter::default() };
        let keys = everything(engine, *place, &all).await;
        let terms = term(keys.iter().map(|key| key.name.clone()).collect());
        for _ in 0..rounds {
            let search = drawn(runner, &terms);
            let sort = drawn(runner, &select(&KeySort::ALL[..]));
            let state = drawn(runner, &select(&[StateFilter::All, StateFilter::Live, StateFilter::Deleted][..]));
            let filter = KeyFilter { search, sort, state, descending: drawn(runner, &any::<bool>()), limit: 7, ..KeyFilter::default() };
            // The same order without a search: what is found keeps it.
            let order = KeyFilter { search: String::new(), limit: 200, ..filter.clone() };
            let expected: Vec<_> = everything(engine, *place, &order).await.into_iter().filter(|key| wanted(key, &filter.search)).collect();
            let got = everything(engine, *place, &filter).await;
            let ids = |keys: &[KeySummary]| keys.iter().map(|key| (key.id.to_string(), key.name.clone())).collect::<Vec<_>>();
            assert_eq!(ids(&got), ids(&expected), "{filter:?}");
            found += got.len();
        }
    }
    found
}

/// Keys of which many were made in the same millisecond; one in seven is deleted.
fn keys(runner: &mut TestRunner, owner: &UserId, count: i64) -> Vec<DemoKey> {
    let mut made = |at: i64| DemoKey {
        name: keyfold_domain::name::optional_name("name", &drawn(runner, &name())).unwrap(),
        owner: owner.clone(),
        kind: KeyKind::Secret,
        scopes: std::iter::once("inference".parse().unwrap()).collect(),
        resources: Vec::new(),
        created_at: NOW.plus_days(-(at % 11) - 1),
        expires_at: (at % 3 == 0).then(|| NOW.plus_days(at)),
        inactivity_days: None,
        last_used_at: (at % 2 == 0).then(|| NOW.plus_ms(-at)),
        total_calls: 0,
        deactivated_at: None,
        deleted_at: (at % 7 == 0).then(|| NOW.plus_days(-1)),
    };
    (1..=count).map(&mut made).collect()
}

/// Two workspaces with keys.
async fn filled(instance: &Instance, runner: &mut TestRunner) -> [(WorkspaceId, Actor); 2] {
    let mut places = Vec::new();
    for (slug, owner) in [("acme", "ada"), ("other", "eve")] {
        let (workspace, actor) = instance.workspace(slug, owner).await;
        instance.engine.demo.add_keys(&operator(), &workspace.id, keys(runner, &id_of(&actor), 70)).await.unwrap();
        places.push((workspace.id, actor));
    }
    places.try_into().unwrap_or_else(|_| panic!("two workspaces"))
}

/// Gives some keys of each workspace other names, makes some and deletes some.
async fn changed(engine: &Engine, places: &[(WorkspaceId, Actor)], runner: &mut TestRunner) {
    let valid = name().prop_filter_map("a name", |name| keyfold_domain::name::optional_name("name", &name).ok());
    for (workspace, actor) in places {
        let live = everything(engine, Some(workspace), &KeyFilter { limit: 200, ..KeyFilter::default() }).await;
        for (at, key) in live.iter().enumerate().filter(|(at, _)| at % 5 == 0) {
            if at % 2 == 0 {
                let patch = KeyPatch { name: Some(drawn(runner, &valid)), ..KeyPatch::default() };
                engine.keys.update(actor, workspace, &key.id, patch).await.unwrap();
            } else {
                engine.keys.delete(actor, workspace, &key.id).await.unwrap();
            }
        }
        for _ in 0..4 {
            let new = crate::support::new_key(&drawn(runner, &valid), &["project"]);
            engine.keys.create(actor, workspace, new, None).await.unwrap();
        }
    }
}

on_both! {
    async fn a_search_finds_what_a_plain_filter_over_all_names_finds(instance) {
        let mut runner = TestRunner::deterministic();
        let places = filled(&instance, &mut runner).await;
        let whose = [Some(&places[0].0), Some(&places[1].0), None];
        let engine = &instance.engine;
        // While every name waits for the index, when all are in it, when some have changed, and when those are in it as well.
        let mut found = compare(engine, &whose, &mut runner, 25).await;
        engine.housekeep().await.unwrap();
        found += compare(engine, &whose, &mut runner, 60).await;
        changed(engine, &places, &mut runner).await;
        found += compare(engine, &whose, &mut runner, 40).await;
        engine.housekeep().await.unwrap();
        changed(engine, &places, &mut runner).await;
        found += compare(engine, &whose, &mut runner, 40).await;
        assert!(found > 1000, "so few were found ({found}) that nothing was compared");
    }

    async fn an_id_and_the_end_of_a_secret_are_found_beside_names(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let (_, eve) = instance.workspace("other", "eve").await;
        let key = instance.key(&ada, &acme.id, "CI").await.key;
        instance.key(&ada, &acme.id, "Other").await;
        let end = key.hint.rsplit('…').next().unwrap().to_owned();
        for indexed in [false, true] {
            if indexed {
                instance.engine.housekeep().await.unwrap();
            }
            for search in [key.id.to_string(), key.hint.clone(), end.clone()] {
                for sort in KeySort::ALL {
                    let filter = KeyFilter { search: search.clone(), sort, ..KeyFilter::default() };
                    let found = instance.engine.keys.list(&ada, &acme.id, &filter).await.unwrap().items;
                    assert_eq!(found.iter().map(|key| key.name.as_str()).collect::<Vec<_>>(), ["CI"], "{filter:?}");
                    let other = instance.engine.workspaces.get(&operator(), "other").await.unwrap();
                    assert!(instance.engine.keys.list(&eve, &other.id, &filter).await.unwrap().items.is_empty());
                }
            }
        }
    }

    async fn what_a_search_finds_is_counted_as_it_is_listed(instance) {
        use keyfold_domain::bulk::{BulkAct, BulkChoice};
        let mut runner = TestRunner::deterministic();
        let places = filled(&instance, &mut runner).await;
        let (acme, ada) = &places[0];
        for indexed in [false, true] {
            if indexed {
                instance.engine.housekeep().await.unwrap();
                changed(&instance.engine, &places, &mut runner).await;
            }
            for search in ["ab", "abc", "Worker", "\"", "zzz"] {
                let filter = KeyFilter { search: search.into(), ..KeyFilter::default() };
                let listed = everything(&instance.engine, Some(acme), &filter).await.len();
                let choice = BulkChoice::Matching(Box::new(filter));
                let preview = instance.engine.keys.preview_bulk(ada, Some(acme), BulkAct::Delete, choice).await.unwrap();
                assert_eq!(usize::try_from(preview.chosen).unwrap(), listed, "{search}");
            }
        }
    }
}

/// Every name in an index of SQLite's.
async fn indexed(instance: &Instance) -> i64 {
    instance.count("SELECT COUNT(*) FROM keys WHERE search_number IS NOT NULL").await
}

#[tokio::test]
async fn a_restored_backup_finds_what_its_instance_found() {
    let instance = Instance::open(crate::support::On::Sqlite).await.unwrap();
    let mut runner = TestRunner::deterministic();
    let places = filled(&instance, &mut runner).await;
    instance.engine.housekeep().await.unwrap();
    assert_eq!(indexed(&instance).await, 140);
    changed(&instance.engine, &places, &mut runner).await;
    let copy = instance.folder.path().join("copy.db");
    backup(&instance.database, &Pepper::from_bytes([7; 32]), instance.clock.as_ref(), &copy, false).await.unwrap();
    let to = DatabaseUrl::Sqlite(instance.folder.path().join("restored.db"));
    let options = RestoreOptions {
        from: copy,
        to: to.clone(),
        pepper: Pepper::from_bytes([7; 32]),
        clock: instance.clock.clone(),
        entropy: std::sync::Arc::new(keyfold_engine::testing::SeededEntropy::new(77)),
        revived: Revived::Accept,
        heads: Vec::new(),
    };
    restore(&operator(), &options).await.unwrap();
    let engine = open(to, &instance.clock, 5).await.unwrap();
    assert!(compare(&engine, &[Some(&places[0].0), None], &mut runner, 40).await > 100);
    changed_by_operator(&engine, &places, &mut runner).await;
    assert!(compare(&engine, &[Some(&places[0].0), None], &mut runner, 40).await > 100);
    engine.close().await;
}

/// As [`changed`], where nobody is signed in.
async fn changed_by_operator(engine: &Engine, places: &[(WorkspaceId, Actor)], runner: &mut TestRunner) {
    for (workspace, _) in places {
        let live = everything(engine, Some(workspace), &KeyFilter { limit: 200, ..KeyFilter::default() }).await;
        for key in live.iter().step_by(4) {
            let name = keyfold_domain::name::optional_name("name", &drawn(runner, &name())).unwrap_or_default();
            engine.keys.update(&operator(), workspace, &key.id, KeyPatch { name: Some(name), ..KeyPatch::default() }).await.unwrap();
        }
    }
}

#[tokio::test]
async fn an_instance_that_was_moved_and_moved_back_finds_what_it_found() {
    let Some(url) = postgres_url() else { return };
    let instance = Instance::open(crate::support::On::Sqlite).await.unwrap();
    let mut runner = TestRunner::deterministic();
    let places = filled(&instance, &mut runner).await;
    instance.engine.housekeep().await.unwrap();
    instance.engine.close().await;
    let Instance { engine, clock, database, folder } = instance;
    drop(engine);
    let (there, back) = (fresh_schema(&url).await.unwrap(), DatabaseUrl::Sqlite(folder.path().join("back.db")));
    for (from, to) in [(&database, &there), (&there, &back)] {
        let options = MoveOptions { from: from.clone(), to: to.clone(), pepper: Pepper::from_bytes([7; 32]), clock: clock.as_ref() };
        let report = move_instance(&operator(), &options, &mut |_| ()).await.unwrap();
        assert!(report.left_out.is_empty(), "{:?}", report.left_out);
        let engine = open(to.clone(), &clock, 6).await.unwrap();
        assert!(compare(&engine, &[Some(&places[0].0), None], &mut runner, 30).await > 100);
        changed_by_operator(&engine, &places, &mut runner).await;
        assert!(compare(&engine, &[Some(&places[0].0), None], &mut runner, 30).await > 100);
        engine.close().await;
        drop(engine);
    }
    let instance = Instance { engine: open(back.clone(), &clock, 7).await.unwrap(), clock, database: back, folder };
    instance.engine.housekeep().await.unwrap();
    assert_eq!(indexed(&instance).await, 140);
}

#[tokio::test]
async fn a_search_finds_the_same_where_postgresql_has_no_trigrams() {
    let Some(instance) = Instance::open(crate::support::On::Postgres).await else { return };
    assert_eq!(instance.engine.search_advice().await.unwrap(), None);
    instance.sql("DROP INDEX keys_by_part_of_name".to_owned()).await;
    let advice = instance.engine.search_advice().await.unwrap().unwrap();
    let mut runner = TestRunner::deterministic();
    let places = filled(&instance, &mut runner).await;
    assert!(compare(&instance.engine, &[Some(&places[0].0), None], &mut runner, 40).await > 100);
    // What is advised is done as it stands there.
    for statement in advice.split("; ").map(|text| &text[text.find("CREATE").unwrap()..]) {
        instance.sql(statement.to_owned()).await;
    }
    assert_eq!(instance.engine.search_advice().await.unwrap(), None);
    assert!(compare(&instance.engine, &[Some(&places[0].0), None], &mut runner, 40).await > 100);
}

#[test]
fn what_names_are_made_of_is_told_apart() {
    assert_eq!(PARTS.iter().collect::<BTreeSet<_>>().len(), PARTS.len());
}
