//! Lists of keys: every filter beside a plain reading of the same keys, and the lists across workspaces.

use std::collections::BTreeSet;

use keyfold_domain::key::{KeyFilter, KeySort, KeyState, KeySummary, MAX_PAGE, PlacedKey, StateFilter};
use keyfold_domain::problem::ProblemCode;
use keyfold_domain::scope::KeyKind;
use keyfold_domain::time::DAY_MS;
use keyfold_domain::workspace::Role;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::support::{Instance, NOW, code, new_key, on_both, operator, refusal};
use keyfold_domain::ids::WorkspaceId;
use keyfold_domain::policy::Actor;

/// Days from now, for a moment that may be missing.
fn day() -> impl Strategy<Value = Option<i64>> {
    prop_oneof![1 => Just(None), 3 => (-40i64..40).prop_map(Some)]
}

/// The columns that decide about a key, as days from now, and whose it is.
#[derive(Debug, Clone)]
struct Columns {
    made: i64,
    ends: Option<i64>,
    interval: Option<i64>,
    used: Option<i64>,
    activated: Option<i64>,
    deactivated: bool,
    deleted: bool,
    name: &'static str,
    owner: usize,
    kind: KeyKind,
}

fn columns() -> impl Strategy<Value = Columns> {
    let names = prop_oneof![Just("CI"), Just("ci nightly"), Just("Äpfel"), Just(""), Just("report_1")];
    let kinds = prop_oneof![4 => Just(KeyKind::Secret), 1 => Just(KeyKind::Publishable), 1 => Just(KeyKind::Management)];
    let interval = prop_oneof![Just(None), (1i64..40).prop_map(Some)];
    let past = || prop_oneof![Just(None), (-40i64..=0).prop_map(Some)];
    let rare = || prop::bool::weighted(0.15);
    (-60i64..0, day(), interval, past(), past(), rare(), rare(), names, 0usize..4, kinds).prop_map(
        |(made, ends, interval, used, activated, deactivated, deleted, name, owner, kind)| Columns {
            made,
            ends,
            interval,
            used,
            activated,
            deactivated,
            deleted,
            name,
            owner,
            kind,
        },
    )
}

async fn everything(instance: &Instance, actor: &Actor, workspace: &WorkspaceId, filter: KeyFilter) -> Vec<KeySummary> {
    let mut filter = filter;
    let mut all = Vec::new();
    loop {
        let page = instance.engine.keys.list(actor, workspace, &filter).await.unwrap();
        all.extend(page.items);
        match page.next {
            Some(next) => filter.cursor = Some(next),
            None => return all,
        }
    }
}

/// Does the filter want this key? Read off the key itself, with no help of a database.
fn wanted(filter: &KeyFilter, key: &KeySummary) -> bool {
    let state = match filter.state {
        StateFilter::All => true,
        StateFilter::Live => key.state != KeyState::Deleted,
        StateFilter::Active => key.state == KeyState::Active,
        StateFilter::Inactive => matches!(key.state, KeyState::Inactive(_)),
        StateFilter::Deleted => key.state == KeyState::Deleted,
    };
    let days = |days: u32| i64::from(days) * DAY_MS;
    let last = key.last_used_at.unwrap_or(key.created_at);
    state
        && filter.owner.as_ref().is_none_or(|owner| *owner == key.owner.id)
        && filter.kind.is_none_or(|kind| kind == key.kind)
        && filter.scope.as_ref().is_none_or(|scope| key.scopes.iter().any(|held| held == scope))
        && (!filter.never_used || key.last_used_at.is_none())
        && filter.idle.is_none_or(|back| last <= NOW.plus_ms(-days(back)))
        && filter.expiring.is_none_or(|ahead| key.expires_at.is_some_and(|end| end > NOW && end <= NOW.plus_ms(days(ahead))))
        && keyfold_domain::name::fold(&key.name).contains(&keyfold_domain::name::fold(&filter.search))
}

fn filters(owner: &keyfold_domain::ids::UserId) -> Vec<KeyFilter> {
    let usual = KeyFilter::default();
    let mut all = Vec::new();
    for state in StateFilter::ALL {
        let of = KeyFilter { state, ..usual.clone() };
        all.extend([
            of.clone(),
            KeyFilter { owner: Some(owner.clone()), ..of.clone() },
            KeyFilter { kind: Some(KeyKind::Management), ..of.clone() },
            KeyFilter { scope: Some("project".parse().unwrap()), ..of.clone() },
            KeyFilter { never_used: true, ..of.clone() },
            KeyFilter { idle: Some(20), ..of.clone() },
            KeyFilter { expiring: Some(14), ..of.clone() },
            KeyFilter { search: "CI".into(), ..of.clone() },
            KeyFilter { search: "_1".into(), never_used: true, ..of },
        ]);
    }
    all
}

fn ids(keys: &[KeySummary]) -> Vec<String> {
    keys.iter().map(|key| key.id.to_string()).collect()
}

on_both! {
    async fn every_filter_agrees_with_a_plain_reading_of_every_key(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let (other, _) = instance.workspace("other", "eve").await;
        let mut owners = vec![ada.clone()];
        for (name, role) in [("linus", Role::Member), ("gone", Role::Member), ("off", Role::Member)] {
            owners.push(instance.member(&acme.id, name, role).await);
        }
        let mut runner = TestRunner::deterministic();
        let made = prop::collection::vec(columns(), 60).new_tree(&mut runner).unwrap().current();
        for (at, column) in made.iter().enumerate() {
            let scope = if at % 3 == 0 { "project" } else { "inference" };
            let scope = if column.kind == KeyKind::Publishable { "inference" } else { scope };
            let new = keyfold_domain::key::NewKey {
                kind: column.kind,
                owner: owners[column.owner].user().map(|user| user.id.clone()),
                ..new_key(column.name, &[scope])
            };
            let key = instance.engine.keys.create(&operator(), &acme.id, new, None).await.unwrap().key;
            let moment = |days: Option<i64>| days.map_or("NULL".to_owned(), |days| NOW.plus_days(days).as_millis().to_string());
            let number = |days: Option<i64>| days.map_or("NULL".to_owned(), |days| days.to_string());
            let flag = |on: bool| moment(on.then_some(-1));
            instance.sql(format!(
                "UPDATE keys SET created_at = {}, expires_at = {}, inactivity_days = {}, last_used_at = {}, activated_at = {}, \
                 deactivated_at = {}, deleted_at = {} WHERE id = '{}'",
                moment(Some(column.made)), moment(column.ends), number(column.interval), moment(column.used), moment(column.activated),
                flag(column.deactivated), flag(column.deleted), key.id
            )).await;
        }
        instance.sql(format!("DELETE FROM memberships WHERE user_id = '{}'", owners[2].user().unwrap().id)).await;
        instance.sql(format!("UPDATE users SET active = FALSE WHERE id = '{}'", owners[3].user().unwrap().id)).await;
        instance.key(&instance.sign_in("eve").await, &other.id, "CI").await;
        // What the services hold in memory of these keys is from before.
        instance.engine.close().await;
        let Instance { database, clock, folder, engine } = instance;
        drop(engine);
        let engine = keyfold_engine::testing::open(database.clone(), &clock, 2).await.unwrap();
        let instance = Instance { engine, clock, database, folder };
        let all = everything(&instance, &ada, &acme.id, KeyFilter { state: StateFilter::All, limit: MAX_PAGE, ..KeyFilter::default() }).await;
        assert_eq!(all.len(), 60);
        for filter in filters(&owners[1].user().unwrap().id) {
            let expected: BTreeSet<String> = all.iter().filter(|key| wanted(&filter, key)).map(|key| key.id.to_string()).collect();
            for sort in KeySort::ALL {
                for descending in [false, true] {
                    let filter = KeyFilter { sort, descending, limit: MAX_PAGE, ..filter.clone() };
                    let whole = ids(&everything(&instance, &ada, &acme.id, filter.clone()).await);
                    assert_eq!(whole.iter().cloned().collect::<BTreeSet<_>>(), expected, "{filter:?}");
                    let paged = ids(&everything(&instance, &ada, &acme.id, KeyFilter { limit: 7, ..filter }).await);
                    assert_eq!(paged, whole);
                }
            }
        }
    }

    async fn what_is_rare_is_found_far_down_the_list(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let owner = ada.user().unwrap().id.clone();
        // More than a page of one looks at on its way.
        let many = (0..200i64).map(|at| keyfold_engine::DemoKey {
            name: if at % 90 == 7 { format!("Rare {at:03}") } else { format!("Usual {at:03}") },
            owner: owner.clone(),
            kind: if at % 90 == 7 { KeyKind::Management } else { KeyKind::Secret },
            scopes: std::iter::once("verify".parse().unwrap()).collect(),
            resources: Vec::new(),
            created_at: NOW.plus_days(-at),
            expires_at: (at % 90 == 7).then(|| NOW.plus_days(5)),
            inactivity_days: None,
            last_used_at: None,
            total_calls: 0,
            deactivated_at: (at % 90 == 7).then(|| NOW.plus_days(-1)),
            deleted_at: (at == 97).then(|| NOW.plus_days(-1)),
        });
        instance.engine.demo.add_keys(&operator(), &acme.id, many.collect()).await.unwrap();
        let usual = KeyFilter { limit: 1, ..KeyFilter::default() };
        let live = ["Rare 007", "Rare 187"];
        for (names, filter) in [
            (live.to_vec(), KeyFilter { search: "rare".into(), ..usual.clone() }),
            (live.to_vec(), KeyFilter { kind: Some(KeyKind::Management), ..usual.clone() }),
            (live.to_vec(), KeyFilter { expiring: Some(14), ..usual.clone() }),
            (live.to_vec(), KeyFilter { state: StateFilter::Inactive, ..usual.clone() }),
            (vec!["Rare 097"], KeyFilter { state: StateFilter::Deleted, search: "rare".into(), ..usual.clone() }),
            (vec!["Rare 007", "Rare 097", "Rare 187"], KeyFilter { state: StateFilter::All, search: "rare".into(), ..usual.clone() }),
        ] {
            for sort in KeySort::ALL {
                for descending in [false, true] {
                    let filter = KeyFilter { sort, descending, ..filter.clone() };
                    let found = everything(&instance, &ada, &acme.id, filter.clone()).await;
                    let found: BTreeSet<String> = found.into_iter().map(|key| key.name).collect();
                    assert_eq!(found, names.iter().map(ToString::to_string).collect(), "{filter:?}");
                    let of_all = instance.engine.keys.list_all(&operator(), &KeyFilter { limit: MAX_PAGE, ..filter }).await.unwrap();
                    assert_eq!(of_all.items.len(), names.len());
                }
            }
        }
    }

    async fn days_out_of_range_are_refused_by_name(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        for (field, filter) in [
            ("idle", KeyFilter { idle: Some(0), ..KeyFilter::default() }),
            ("expiring", KeyFilter { expiring: Some(3651), ..KeyFilter::default() }),
        ] {
            assert_eq!(refusal(instance.engine.keys.list(&ada, &acme.id, &filter).await).field.as_deref(), Some(field));
        }
    }

    async fn an_administrator_of_the_instance_lists_the_keys_of_all_workspaces(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let (other, eve) = instance.workspace("other", "eve").await;
        instance.user("root", true).await;
        let root = instance.sign_in("root").await;
        instance.key(&ada, &acme.id, "one").await;
        let two = instance.key(&eve, &other.id, "two").await.key;
        instance.engine.members.add(&operator(), &acme.id, &two.owner.id, Role::Member).await.unwrap();
        instance.key(&instance.sign_in("eve").await, &acme.id, "three").await;
        let keys = &instance.engine.keys;
        let shown = |page: keyfold_domain::key::Page<PlacedKey>| {
            page.items.iter().map(|placed| format!("{} in {}", placed.key.name, placed.workspace.slug)).collect::<Vec<_>>()
        };
        let by_name = KeyFilter { sort: KeySort::Name, descending: false, ..KeyFilter::default() };
        assert_eq!(shown(keys.list_all(&root, &by_name).await.unwrap()), ["one in acme", "three in acme", "two in other"]);
        let of_eve = KeyFilter { owner: Some(two.owner.id.clone()), ..by_name.clone() };
        assert_eq!(shown(keys.list_all(&root, &of_eve).await.unwrap()), ["three in acme", "two in other"]);
        let first = keys.list_all(&root, &KeyFilter { limit: 2, ..by_name.clone() }).await.unwrap();
        let second = keys.list_all(&root, &KeyFilter { limit: 2, cursor: first.next.clone(), ..by_name.clone() }).await.unwrap();
        assert_eq!((shown(second.clone()), second.next), (vec!["two in other".to_owned()], None));
        for nobody in [&ada, &eve] {
            assert_eq!(code(keys.list_all(nobody, &by_name).await), ProblemCode::Forbidden);
        }
    }

    async fn the_end_of_a_masked_secret_is_searched_for_as_people_paste_it(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let key = instance.key(&ada, &acme.id, "wanted").await.key;
        instance.key(&ada, &acme.id, "other").await;
        let filter = KeyFilter { search: key.hint.clone(), ..KeyFilter::default() };
        let found = everything(&instance, &ada, &acme.id, filter).await;
        assert_eq!(ids(&found), [key.id.to_string()]);
    }
}
