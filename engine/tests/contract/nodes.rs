//! Servers on one database: how long they say yes without news, and how far a change has come on all of them.

use std::sync::Arc;
use std::time::Duration;

use keyfold_domain::node::{NodeState, Standing};
use keyfold_domain::problem::ProblemCode;
use keyfold_domain::verdict::Code;
use keyfold_engine::testing::open;
use keyfold_engine::{Engine, Error, NewNode};
use tokio::time::timeout;

use crate::support::{Instance, On, code, on_both, operator};

const BUDGET: Duration = Duration::from_secs(5);
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

fn called(name: &str) -> NewNode {
    NewNode { name: name.to_owned(), staleness_budget: BUDGET }
}

/// A second server on the same database, with its jobs not started.
async fn second(instance: &Instance) -> Engine {
    let engine = open(instance.database.clone(), &instance.clock, 2).await.unwrap();
    engine.join(called("two")).await.unwrap();
    engine
}

fn says(engine: &Engine, secret: &str) -> Option<Code> {
    match engine.verifier.whoami(secret, None) {
        Ok(answer) => Some(answer.code),
        Err(Error::Unavailable(_)) => None,
        Err(other) => panic!("{other}"),
    }
}

on_both! {
    async fn a_server_without_news_says_no_yes_after_its_budget_whatever_its_clock_shows(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let key = instance.key(&ada, &acme.id, "CI").await;
        let secret = key.secret.expose();
        instance.engine.join(called("one")).await.unwrap();
        // No job runs: this is a server that was paused, or whose jobs hang.
        instance.clock.pass_ms(4_999);
        assert_eq!(says(&instance.engine, secret), Some(Code::Valid));
        assert!(instance.engine.readiness().await.ready);
        instance.clock.advance_ms(-3_600_000);
        instance.clock.pass_ms(1);
        assert_eq!(says(&instance.engine, secret), None);
        assert!(instance.engine.verifier.routes("acme").is_err());
        let readiness = instance.engine.readiness().await;
        assert!(!readiness.ready && readiness.why.iter().any(|why| why.contains("5000 ms")), "{readiness:?}");
        instance.engine.sync().await.unwrap();
        assert_eq!(says(&instance.engine, secret), Some(Code::Valid));
        assert!(instance.engine.readiness().await.ready);
    }

    async fn a_command_follows_nothing_and_never_goes_stale(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let key = instance.key(&ada, &acme.id, "CI").await;
        let beside = instance.beside().await;
        instance.clock.pass_ms(3_600_000);
        assert_eq!(says(&beside, key.secret.expose()), Some(Code::Valid));
    }

    async fn a_server_is_listed_from_its_start_to_its_orderly_end(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let engine = &instance.engine;
        assert!(engine.nodes.list(&operator()).await.unwrap().is_empty());
        engine.join(called("keys-1")).await.unwrap();
        instance.key(&ada, &acme.id, "CI").await;
        let listed = engine.nodes.list(&operator()).await.unwrap();
        let [node] = listed.as_slice() else { panic!("{listed:?}") };
        assert_eq!((node.name.as_str(), node.state, node.answering, node.behind), ("keys-1", NodeState::Live, true, 0));
        assert_eq!((node.revision, node.staleness_budget_ms, node.version.is_empty()), (engine.nodes.revision(), 5_000, false));
        // Others see what it said last, which was before the key.
        let beside = instance.beside().await;
        let seen = beside.nodes.list(&operator()).await.unwrap();
        assert_eq!((seen[0].id.clone(), seen[0].answering, seen[0].behind > 0), (node.id.clone(), false, true));
        assert_eq!(code(engine.nodes.list(&ada).await), ProblemCode::Forbidden);
        engine.start_jobs();
        engine.close().await;
        assert!(beside.nodes.list(&operator()).await.unwrap().is_empty());
    }

    async fn where_there_is_one_server_what_is_in_force_there_is_in_force_everywhere(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        instance.engine.join(called("keys-1")).await.unwrap();
        instance.key(&ada, &acme.id, "CI").await;
        let found = timeout(PATIENCE, instance.engine.nodes.in_force(&operator(), BUDGET)).await.unwrap();
        assert!(found.is_complete());
        assert_eq!((found.nodes.len(), found.nodes[0].name.as_str(), found.revision), (1, "keys-1", instance.engine.nodes.revision()));
        // Whoever may not list the servers is not told how they are called.
        let found = instance.engine.nodes.in_force(&ada, BUDGET).await;
        assert_eq!(found.nodes[0].name, "node 1");
    }
}

#[tokio::test]
async fn a_change_is_in_force_everywhere_when_every_server_has_said_so() {
    let Some(instance) = Instance::open(On::Postgres).await else { return };
    let (acme, ada) = instance.workspace("acme", "ada").await;
    let key = instance.key(&ada, &acme.id, "CI").await;
    instance.engine.join(called("one")).await.unwrap();
    let two = second(&instance).await;
    instance.engine.start_jobs();
    two.start_jobs();
    assert_eq!(says(&two, key.secret.expose()), Some(Code::Valid));
    instance.engine.keys.deactivate(&ada, &acme.id, &key.key.id, "").await.unwrap();
    let found = timeout(PATIENCE, instance.engine.nodes.in_force(&operator(), BUDGET)).await.unwrap();
    assert_eq!((found.count(Standing::InForce), found.nodes.len()), (2, 2), "{found:?}");
    assert_eq!(says(&two, key.secret.expose()), Some(Code::Deactivated));
    two.close().await;
    let left = instance.engine.nodes.list(&operator()).await.unwrap();
    assert_eq!(left.iter().map(|node| node.name.as_str()).collect::<Vec<_>>(), ["one"]);
    instance.engine.close().await;
}

#[tokio::test]
async fn a_server_that_hangs_is_waited_for_until_it_says_no_yes_any_more() {
    let Some(instance) = Instance::open(On::Postgres).await else { return };
    let (acme, ada) = instance.workspace("acme", "ada").await;
    let key = instance.key(&ada, &acme.id, "CI").await;
    instance.engine.join(called("one")).await.unwrap();
    let two = second(&instance).await;
    instance.engine.keys.deactivate(&ada, &acme.id, &key.key.id, "").await.unwrap();
    // It still says yes: nobody may be told that it does not.
    assert_eq!(says(&two, key.secret.expose()), Some(Code::Valid));
    let short = instance.engine.nodes.in_force(&operator(), Duration::ZERO).await;
    assert!(!short.is_complete(), "{short:?}");
    let engine = instance.engine.clone();
    let waiting = tokio::spawn(async move { engine.nodes.in_force(&operator(), 2 * BUDGET).await });
    let clock = Arc::clone(&instance.clock);
    let found = timeout(PATIENCE, async {
        while !waiting.is_finished() {
            assert!(says(&two, key.secret.expose()).is_none() || !waiting.is_finished());
            clock.pass_ms(100);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        waiting.await.unwrap()
    });
    let found = found.await.unwrap();
    assert!(found.is_complete() && found.after_ms >= 5_000, "{found:?}");
    assert_eq!((found.count(Standing::InForce), found.count(Standing::Stopped)), (1, 1));
    assert_eq!(says(&two, key.secret.expose()), None);
}

#[tokio::test]
async fn a_server_of_which_nothing_is_heard_is_silent_and_then_forgotten() {
    let Some(instance) = Instance::open(On::Postgres).await else { return };
    let (acme, ada) = instance.workspace("acme", "ada").await;
    instance.engine.join(called("one")).await.unwrap();
    let _two = second(&instance).await;
    instance.sql("UPDATE nodes SET last_seen_at = last_seen_at - 7100 WHERE name = 'two'".to_owned()).await;
    instance.key(&ada, &acme.id, "CI").await;
    let listed = instance.engine.nodes.list(&operator()).await.unwrap();
    assert_eq!(listed.iter().map(|node| node.state).collect::<Vec<_>>(), [NodeState::Live, NodeState::Silent]);
    let found = instance.engine.nodes.in_force(&operator(), BUDGET).await;
    assert!(found.is_complete(), "{found:?}");
    assert_eq!(found.nodes[1].standing, Standing::Stopped);
    instance.sql("UPDATE nodes SET last_seen_at = last_seen_at - 60000 WHERE name = 'two'".to_owned()).await;
    instance.engine.start_jobs();
    timeout(PATIENCE, async {
        while instance.engine.nodes.list(&operator()).await.unwrap().len() > 1 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .unwrap();
    instance.engine.close().await;
}
