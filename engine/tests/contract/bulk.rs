//! Acts on many keys: all or nothing by id, in parts by filter, with a result for each key.

use keyfold_domain::bulk::{BulkAct, BulkChoice, BulkOutcome, BulkReport, BulkState, MAX_IDS};
use keyfold_domain::ids::{BulkId, KeyId, WorkspaceId};
use keyfold_domain::key::{KeyFilter, KeyState, StateFilter};
use keyfold_domain::policy::Actor;
use keyfold_domain::problem::ProblemCode;
use keyfold_domain::scope::KeyKind;
use keyfold_domain::workspace::Role;

use crate::support::{Instance, code, from, new_key, on_both, operator, refusal};

async fn keys(instance: &Instance, actor: &Actor, workspace: &WorkspaceId, count: usize) -> Vec<KeyId> {
    let mut ids = Vec::new();
    for at in 0..count {
        ids.push(instance.key(actor, workspace, &format!("k{at}")).await.key.id);
    }
    ids
}

fn all() -> BulkChoice {
    BulkChoice::Matching(Box::default())
}

async fn live(instance: &Instance, workspace: &WorkspaceId) -> usize {
    let filter = KeyFilter { limit: 200, ..KeyFilter::default() };
    instance.engine.keys.list(&operator(), workspace, &filter).await.unwrap().items.len()
}

/// Waits for an act that goes on in the background.
async fn finished(instance: &Instance, actor: &Actor, workspace: &WorkspaceId, id: &BulkId) -> BulkReport {
    loop {
        let report = instance.engine.keys.find_bulk(actor, Some(workspace), id, 0).await.unwrap();
        if report.state != BulkState::Running {
            return report;
        }
        tokio::task::yield_now().await;
    }
}

async fn fill(instance: &Instance, workspace: &WorkspaceId, count: usize) {
    let engine = &instance.engine;
    let linus = engine.users.find_by_username(&operator(), "linus").await.unwrap().id;
    let ada = engine.users.find_by_username(&operator(), "ada").await.unwrap().id;
    let make = |at: usize| {
        let owner = Some(if at.is_multiple_of(2) { linus.clone() } else { ada.clone() });
        let new = keyfold_domain::key::NewKey { owner, ..new_key(&format!("k{at}"), &["project"]) };
        async move { engine.keys.create(&operator(), workspace, new, None).await.unwrap() }
    };
    // A few at a time: on a busy machine more would wait too long for a connection.
    for first in (0..count).step_by(8) {
        futures_util::future::join_all((first..count.min(first + 8)).map(make)).await;
    }
}

on_both! {
    async fn chosen_keys_are_deleted_together_and_each_has_its_result_and_its_event(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let issued = instance.key(&ada, &acme.id, "used").await;
        let mut ids = keys(&instance, &ada, &acme.id, 3).await;
        ids.push(issued.key.id.clone());
        let engine = &instance.engine;
        engine.verifier.whoami(issued.secret.expose(), None).unwrap();
        engine.flush_usage().await.unwrap();
        engine.keys.delete(&ada, &acme.id, &ids[0]).await.unwrap();
        let preview = engine.keys.preview_bulk(&ada, Some(&acme.id), BulkAct::Delete, BulkChoice::Ids(ids.clone())).await.unwrap();
        assert_eq!((preview.chosen, preview.in_use, preview.untouched, preview.names.len()), (4, 1, 1, 4));
        let report = engine.keys.run_bulk(&ada, Some(&acme.id), BulkAct::Delete, BulkChoice::Ids(ids.clone()), None).await.unwrap();
        assert_eq!((report.state, report.done, report.skipped, report.expected), (BulkState::Finished, 3, 1, 4));
        let skipped: Vec<_> = report.results.iter().filter(|result| result.outcome == BulkOutcome::Skipped).collect();
        assert_eq!((skipped.len(), &skipped[0].key, skipped[0].why.as_deref()), (1, &ids[0], Some("It was deleted already.")));
        assert_eq!(live(&instance, &acme.id).await, 0);
        assert_eq!(engine.verifier.whoami(issued.secret.expose(), None).unwrap().code, keyfold_domain::verdict::Code::NotFound);
        assert!(engine.audit.verify_chains(&operator()).await.unwrap().broken.is_none());
        let deleted = KeyFilter { state: StateFilter::Deleted, ..KeyFilter::default() };
        let records = engine.keys.list(&ada, &acme.id, &deleted).await.unwrap().items;
        assert!(records.iter().all(|key| key.stopped_by.as_deref() == Some("ada")) && records.len() == 4);
        assert_eq!(engine.keys.find_bulk(&ada, Some(&acme.id), &report.id, 2).await.unwrap().results.len(), 2);
    }

    async fn one_foreign_key_among_the_chosen_stops_the_whole_act(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let (other, eve) = instance.workspace("other", "eve").await;
        let linus = instance.member(&acme.id, "linus", Role::Member).await;
        let own = keys(&instance, &linus, &acme.id, 2).await;
        let foreign = instance.key(&eve, &other.id, "foreign").await.key.id;
        let adas = instance.key(&ada, &acme.id, "hers").await.key.id;
        let absent: KeyId = "key_0000000000000000000000".parse().unwrap();
        let engine = &instance.engine;
        for (actor, stranger) in [(&ada, &foreign), (&ada, &absent), (&linus, &adas), (&linus, &foreign)] {
            for act in BulkAct::ALL {
                let choice = BulkChoice::Ids([own.clone(), vec![stranger.clone()]].concat());
                assert_eq!(code(engine.keys.preview_bulk(actor, Some(&acme.id), act, choice.clone()).await), ProblemCode::NotFound);
                assert_eq!(code(engine.keys.run_bulk(actor, Some(&acme.id), act, choice, None).await), ProblemCode::NotFound);
            }
        }
        assert_eq!(live(&instance, &acme.id).await, 3);
        for id in &own {
            assert_eq!(engine.keys.get(&linus, &acme.id, id).await.unwrap().state, KeyState::Active);
        }
        assert_eq!(code(engine.keys.run_bulk(&eve, Some(&acme.id), BulkAct::Delete, all(), Some(3)).await), ProblemCode::NotFound);
    }

    async fn a_filter_needs_the_right_count_and_reaches_only_what_the_actor_sees(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let linus = instance.member(&acme.id, "linus", Role::Member).await;
        let vera = instance.member(&acme.id, "vera", Role::Viewer).await;
        keys(&instance, &linus, &acme.id, 3).await;
        keys(&instance, &ada, &acme.id, 2).await;
        let engine = &instance.engine;
        let run = |actor: &Actor, act, expected| {
            let (actor, place) = (actor.clone(), acme.id.clone());
            async move { engine.keys.run_bulk(&actor, Some(&place), act, all(), expected).await }
        };
        let wrong = refusal(run(&linus, BulkAct::Deactivate, Some(5)).await);
        assert_eq!((wrong.code, wrong.field.as_deref()), (ProblemCode::Conflict, Some("expected")));
        assert!(wrong.message.contains("3 keys"));
        assert_eq!(refusal(run(&linus, BulkAct::Deactivate, None).await).field.as_deref(), Some("expected"));
        assert_eq!(code(run(&vera, BulkAct::Deactivate, Some(0)).await), ProblemCode::Forbidden);
        let report = run(&linus, BulkAct::Deactivate, Some(3)).await.unwrap();
        assert_eq!((report.state, report.done), (BulkState::Finished, 3));
        assert_eq!(code(engine.keys.find_bulk(&vera, Some(&acme.id), &report.id, 0).await), ProblemCode::NotFound);
        assert!(engine.keys.find_bulk(&ada, Some(&acme.id), &report.id, 0).await.is_ok());
        let again = run(&ada, BulkAct::Deactivate, Some(5)).await.unwrap();
        assert_eq!((again.done, again.skipped), (2, 3));
    }

    async fn a_key_that_does_the_asking_is_left_alone(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let manager = instance.management(&ada, &acme.id, &["keys:write", "keys:read", "project"]).await;
        keys(&instance, &ada, &acme.id, 2).await;
        let engine = &instance.engine;
        let acting = engine.verifier.authenticate(manager.secret.expose(), &from([192, 0, 2, 1])).unwrap();
        let itself = BulkChoice::Ids(vec![manager.key.id.clone()]);
        assert_eq!(code(engine.keys.run_bulk(&acting, Some(&acme.id), BulkAct::Delete, itself, None).await), ProblemCode::Forbidden);
        let report = engine.keys.run_bulk(&acting, Some(&acme.id), BulkAct::Delete, all(), Some(3)).await.unwrap();
        assert_eq!((report.done, report.skipped), (2, 1));
        assert_eq!(engine.keys.get(&ada, &acme.id, &manager.key.id).await.unwrap().state, KeyState::Active);
    }

    async fn a_long_act_goes_on_in_parts_and_leaves_later_keys_alone(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        instance.member(&acme.id, "linus", Role::Member).await;
        fill(&instance, &acme.id, MAX_IDS + 30).await;
        let engine = &instance.engine;
        let expected = i64::try_from(MAX_IDS + 30).unwrap();
        instance.clock.advance_ms(1);
        let report = engine.keys.run_bulk(&ada, Some(&acme.id), BulkAct::Delete, all(), Some(expected)).await.unwrap();
        instance.clock.advance_ms(1);
        let later = instance.key(&ada, &acme.id, "later").await.key;
        let done = finished(&instance, &ada, &acme.id, &report.id).await;
        assert_eq!((done.state, done.done, done.skipped, done.failed), (BulkState::Finished, expected, 0, 0));
        assert_eq!(engine.keys.get(&ada, &acme.id, &later.id).await.unwrap().state, KeyState::Active);
        assert_eq!(live(&instance, &acme.id).await, 1);
        let rest = engine.keys.find_bulk(&ada, Some(&acme.id), &report.id, done.next.unwrap()).await.unwrap();
        assert_eq!((rest.results.len(), rest.next), (30, None));
        assert!(engine.audit.verify_chains(&operator()).await.unwrap().broken.is_none());
    }

    async fn a_long_act_ends_when_its_actor_loses_the_right_to_it(instance) {
        let (acme, _) = instance.workspace("acme", "ada").await;
        instance.member(&acme.id, "linus", Role::Member).await;
        let grace = instance.member(&acme.id, "grace", Role::Admin).await;
        fill(&instance, &acme.id, MAX_IDS + 1).await;
        let engine = &instance.engine;
        // The rights are asked for again by every part, as they are then.
        engine.members.add(&operator(), &acme.id, &grace.user().unwrap().id, Role::Viewer).await.unwrap();
        let expected = i64::try_from(MAX_IDS + 1).unwrap();
        let report = engine.keys.run_bulk(&grace, Some(&acme.id), BulkAct::Delete, all(), Some(expected)).await.unwrap();
        let ended = finished(&instance, &operator(), &acme.id, &report.id).await;
        assert_eq!((ended.state, ended.done), (BulkState::Stopped, 0));
        assert!(ended.why.unwrap().contains("may not do this"));
    }

    async fn an_act_cut_short_by_the_end_of_the_server_says_how_far_it_came(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let report = {
            instance.member(&acme.id, "linus", Role::Member).await;
            fill(&instance, &acme.id, 3 * MAX_IDS).await;
            let expected = i64::try_from(3 * MAX_IDS).unwrap();
            instance.engine.keys.run_bulk(&ada, Some(&acme.id), BulkAct::Deactivate, all(), Some(expected)).await.unwrap()
        };
        instance.engine.close().await;
        let Instance { database, clock, folder, engine } = instance;
        drop(engine);
        let engine = keyfold_engine::testing::open(database.clone(), &clock, 2).await.unwrap();
        let instance = Instance { engine, clock, database, folder };
        let ended = instance.engine.keys.find_bulk(&ada, Some(&acme.id), &report.id, 0).await.unwrap();
        let inactive = KeyFilter { state: StateFilter::Inactive, ..KeyFilter::default() };
        let choice = BulkChoice::Matching(Box::new(inactive));
        let stopped = instance.engine.keys.preview_bulk(&ada, Some(&acme.id), BulkAct::Delete, choice).await.unwrap().chosen;
        assert_eq!(ended.done, stopped, "what it says is what was done");
        assert!(ended.state != BulkState::Running && (ended.state == BulkState::Finished) == (stopped == ended.expected));
    }

    async fn an_act_that_nobody_goes_on_with_is_told_as_stopped(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let ids = keys(&instance, &ada, &acme.id, 1).await;
        let report = instance.engine.keys.run_bulk(&ada, Some(&acme.id), BulkAct::Delete, BulkChoice::Ids(ids), None).await.unwrap();
        instance.sql(format!("UPDATE bulk_acts SET state = 'running' WHERE id = '{}'", report.id)).await;
        let now = || instance.engine.keys.find_bulk(&ada, Some(&acme.id), &report.id, 0);
        assert_eq!(now().await.unwrap().state, BulkState::Running);
        instance.clock.advance_ms(60_001);
        let told = now().await.unwrap();
        assert_eq!((told.state, told.done), (BulkState::Stopped, 1));
        instance.clock.advance_ms(91 * 86_400_000);
        instance.engine.housekeep().await.unwrap();
        assert_eq!(code(now().await), ProblemCode::NotFound);
    }

    async fn an_administrator_of_the_instance_acts_across_workspaces(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let (other, eve) = instance.workspace("other", "eve").await;
        instance.user("root", true).await;
        let root = instance.sign_in("root").await;
        let ids = vec![instance.key(&ada, &acme.id, "one").await.key.id, instance.key(&eve, &other.id, "two").await.key.id];
        let engine = &instance.engine;
        let choice = BulkChoice::Ids(ids.clone());
        assert_eq!(code(engine.keys.run_bulk(&ada, None, BulkAct::Delete, choice.clone(), None).await), ProblemCode::Forbidden);
        let report = engine.keys.run_bulk(&root, None, BulkAct::Deactivate, choice, None).await.unwrap();
        assert_eq!((report.done, report.results.len()), (2, 2));
        assert_eq!(code(engine.keys.find_bulk(&root, Some(&acme.id), &report.id, 0).await), ProblemCode::NotFound);
        assert!(engine.keys.find_bulk(&root, None, &report.id, 0).await.is_ok());
        let publishable = KeyFilter { kind: Some(KeyKind::Publishable), ..KeyFilter::default() };
        let none = BulkChoice::Matching(Box::new(publishable));
        assert_eq!(engine.keys.run_bulk(&root, None, BulkAct::Delete, none, Some(0)).await.unwrap().expected, 0);
        assert!(engine.audit.verify_chains(&operator()).await.unwrap().broken.is_none());
    }
}
