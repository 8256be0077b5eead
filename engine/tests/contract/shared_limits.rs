//! Limits that several servers count together: never more is let through than a quota allows, whoever comes and goes.

use std::sync::Arc;
use std::time::Duration;

use keyfold_domain::key::{KeyPatch, NewKey};
use keyfold_domain::limits::{Cost, Limit};
use keyfold_domain::time::DAY_MS;
use keyfold_domain::verdict::Code;
use keyfold_engine::testing::{MockClock, SeededEntropy, open};
use keyfold_engine::{Engine, Entropy as _, NewNode, VerifyRequest};

use crate::support::*;

fn limits(json: &str) -> Vec<Limit> {
    serde_json::from_str(json).unwrap()
}

fn daily(most: u32) -> Vec<Limit> {
    limits(&format!(r#"[{{"name":"daily","limit":{most},"quota":"day"}}]"#))
}

/// A server with a clock of its own; its jobs do not run.
struct Node {
    engine: Engine,
    clock: Arc<MockClock>,
    name: String,
}

impl Node {
    async fn join(instance: &Instance, name: &str, beside: &[&Node]) -> Self {
        let clock = Arc::new(MockClock::new(instance.engine.now()));
        let seed = name.bytes().fold(7u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        let engine = open(instance.database.clone(), &clock, seed).await.unwrap();
        let node = Self { engine, clock, name: name.to_owned() };
        let new = NewNode { name: name.to_owned(), staleness_budget: Duration::from_secs(5) };
        let others = async {
            loop {
                for other in beside {
                    other.round().await;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::select! {
            joined = node.engine.join(new) => joined.unwrap(),
            () = others => {}
        }
        node
    }

    async fn round(&self) {
        self.engine.share_limits().await.unwrap();
    }

    fn spends(&self, secret: &str, caller: &str, units: u64) -> bool {
        let request = VerifyRequest { key: secret, cost: Cost::new(units).unwrap(), ..VerifyRequest::default() };
        self.engine.verifier.verify(caller, &request).unwrap().code == Code::Valid
    }

    /// Spends as long as there is something, and asks for more in between.
    async fn spend_all(&self, secret: &str, caller: &str) -> u32 {
        let mut passed = 0;
        for _ in 0..40 {
            while self.spends(secret, caller, 1) {
                passed += 1;
            }
            self.round().await;
            self.clock.advance_ms(300);
        }
        passed
    }
}

/// Nothing was heard of that server for long, as the others see it.
async fn silence(instance: &Instance, name: &str) {
    instance.sql(format!("UPDATE nodes SET last_seen_at = last_seen_at - 20000 WHERE name = '{name}'")).await;
}

async fn key_and_caller(instance: &Instance, own: Vec<Limit>) -> (String, String) {
    let (acme, ada) = instance.workspace("acme", "ada").await;
    let key = instance.engine.keys.create(&ada, &acme.id, NewKey { limits: own, ..new_key("CI", &["chat"]) }, None).await.unwrap();
    let caller = instance.management(&ada, &acme.id, &["verify"]).await;
    (key.secret.expose().to_owned(), caller.secret.expose().to_owned())
}

on_both! {
    async fn a_server_alone_counts_exactly_as_if_there_could_be_no_others(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let both = limits(r#"[{"name":"burst","limit":30,"window":60},{"name":"daily","limit":10,"quota":"day"}]"#);
        let key = instance.engine.keys.create(&ada, &acme.id, NewKey { limits: both, ..new_key("CI", &["chat"]) }, None).await.unwrap();
        assert_eq!(instance.verdict(&key), Code::Valid);
        instance.engine.join(NewNode { name: "one".into(), staleness_budget: Duration::from_secs(5) }).await.unwrap();
        let later = instance.key(&ada, &acme.id, "later").await;
        instance.engine.keys.update(&ada, &acme.id, &later.key.id, KeyPatch { limits: Some(daily(3)), ..KeyPatch::default() }).await.unwrap();
        assert_eq!((0..20).filter(|_| instance.verdict(&key) == Code::Valid).count(), 9);
        assert_eq!((0..20).filter(|_| instance.verdict(&later) == Code::Valid).count(), 3);
        instance.engine.share_limits().await.unwrap();
        assert_eq!(instance.count("SELECT COUNT(*) FROM limit_leases").await, 0);
        instance.engine.flush_usage().await.unwrap();
        instance.clock.advance_ms(DAY_MS);
        assert_eq!((0..20).filter(|_| instance.verdict(&key) == Code::Valid).count(), 10, "at midnight, without a word from anybody");
        instance.engine.flush_usage().await.unwrap();
        assert_eq!(instance.count("SELECT CAST(SUM(units) AS BIGINT) FROM limit_usage").await, 23);
    }
}

#[tokio::test]
async fn servers_share_a_quota_to_its_last_unit_and_never_beyond() {
    let Some(instance) = Instance::open(On::Postgres).await else { return };
    let (key, caller) = key_and_caller(&instance, daily(100)).await;
    let one = Node::join(&instance, "one", &[]).await;
    assert!((0..10).all(|_| one.spends(&key, &caller, 1)));
    let two = Node::join(&instance, "two", &[&one]).await;
    let three = Node::join(&instance, "three", &[&one, &two]).await;
    // Each has something before anybody asks it.
    let mut passed = 10;
    for node in [&one, &two, &three] {
        let here = (0..100).take_while(|_| node.spends(&key, &caller, 1)).count();
        assert!((1..=60).contains(&here), "{}: {here}", node.name);
        passed += u32::try_from(here).unwrap();
    }
    assert!(passed <= 100);
    for node in [&two, &one, &three] {
        passed += node.spend_all(&key, &caller).await;
    }
    assert_eq!(passed, 100);
    for node in [&one, &two, &three] {
        node.engine.flush_usage().await.unwrap();
    }
    // As soon as everybody knows what was spent, nobody is told to come back before the next day.
    for node in [&one, &two, &three] {
        node.clock.advance_ms(300);
        assert!(!node.spends(&key, &caller, 1));
        node.round().await;
        let refused = node.engine.verifier.whoami(&key, None).unwrap();
        assert_eq!(refused.code, Code::QuotaExceeded);
        assert!(refused.retry_after.is_some_and(|seconds| seconds > 60), "{}: {:?}", node.name, refused.retry_after);
    }
    assert_eq!(instance.count("SELECT CAST(SUM(units) AS BIGINT) FROM limit_usage").await, 100);
    // A new day.
    for node in [&one, &two, &three] {
        node.clock.advance_ms(DAY_MS);
    }
    let mut passed = 0;
    for node in [&three, &one, &two] {
        passed += node.spend_all(&key, &caller).await;
    }
    assert_eq!(passed, 100);
}

#[tokio::test]
async fn units_that_an_idle_server_holds_reach_the_one_that_needs_them() {
    let Some(instance) = Instance::open(On::Postgres).await else { return };
    let (key, caller) = key_and_caller(&instance, daily(60)).await;
    let one = Node::join(&instance, "one", &[]).await;
    let two = Node::join(&instance, "two", &[&one]).await;
    let mut passed = 0;
    for _ in 0..20 {
        passed += one.spend_all(&key, &caller).await;
        two.round().await;
        if passed == 60 {
            break;
        }
    }
    assert_eq!(passed, 60);
    assert!(!two.spends(&key, &caller, 1));
}

#[tokio::test]
async fn what_a_dead_server_held_counts_as_spent_and_it_spends_nothing_when_it_comes_back() {
    let Some(instance) = Instance::open(On::Postgres).await else { return };
    let (key, caller) = key_and_caller(&instance, daily(100)).await;
    let one = Node::join(&instance, "one", &[]).await;
    let two = Node::join(&instance, "two", &[&one]).await;
    let first = (0..5).filter(|_| two.spends(&key, &caller, 1)).count();
    assert_eq!(first, 5);
    // It hangs, and its own clock tells it so.
    silence(&instance, "two").await;
    two.clock.pass_ms(5_000);
    two.engine.sync().await.unwrap();
    assert!(!two.spends(&key, &caller, 1), "what it held is not its own any more");
    let passed = one.spend_all(&key, &caller).await;
    assert!((30..=95).contains(&passed), "{passed}");
    assert_eq!(instance.count("SELECT COUNT(*) FROM limit_leases").await, 0, "one is alone again");
    // It comes back and begins anew. The one that was alone makes room.
    assert!(!two.spends(&key, &caller, 1));
    for _ in 0..3 {
        two.engine.share_limits().await.unwrap();
        one.round().await;
    }
    assert!(!two.spends(&key, &caller, 1) && !one.spends(&key, &caller, 1), "all of the day is spent or written off");
    for node in [&one, &two] {
        node.clock.advance_ms(DAY_MS);
    }
    let mut passed = 0;
    for _ in 0..4 {
        passed += two.spend_all(&key, &caller).await + one.spend_all(&key, &caller).await;
    }
    assert_eq!(passed, 100, "the next day nothing is missing");
}

#[tokio::test]
async fn a_server_that_ends_in_order_gives_back_what_it_did_not_spend() {
    let Some(instance) = Instance::open(On::Postgres).await else { return };
    let (key, caller) = key_and_caller(&instance, daily(100)).await;
    let one = Node::join(&instance, "one", &[]).await;
    let two = Node::join(&instance, "two", &[&one]).await;
    assert!((0..7).all(|_| two.spends(&key, &caller, 1)));
    two.engine.close().await;
    assert_eq!(one.spend_all(&key, &caller).await, 93);
}

#[tokio::test]
async fn rate_limits_are_divided_by_the_number_of_servers() {
    let Some(instance) = Instance::open(On::Postgres).await else { return };
    let (key, caller) = key_and_caller(&instance, limits(r#"[{"name":"burst","limit":10,"window":60}]"#)).await;
    let one = Node::join(&instance, "one", &[]).await;
    let two = Node::join(&instance, "two", &[&one]).await;
    let three = Node::join(&instance, "three", &[&one, &two]).await;
    one.round().await;
    two.round().await;
    let passed: usize = [&one, &two, &three].iter().map(|node| (0..20).filter(|_| node.spends(&key, &caller, 1)).count()).sum();
    assert_eq!(passed, 12, "four each: never more than the limit and one less than the servers");
    three.engine.close().await;
    two.engine.close().await;
    one.round().await;
    assert_eq!((0..20).filter(|_| one.spends(&key, &caller, 1)).count(), 6, "alone again");
}

#[tokio::test]
async fn a_lower_limit_holds_for_what_is_leased() {
    let Some(instance) = Instance::open(On::Postgres).await else { return };
    let (acme, ada) = instance.workspace("acme", "ada").await;
    let key = instance.engine.keys.create(&ada, &acme.id, NewKey { limits: daily(1000), ..new_key("CI", &["chat"]) }, None).await.unwrap();
    let caller = instance.management(&ada, &acme.id, &["verify"]).await;
    let (secret, caller) = (key.secret.expose(), caller.secret.expose());
    let one = Node::join(&instance, "one", &[]).await;
    let two = Node::join(&instance, "two", &[&one]).await;
    assert!((0..20).all(|_| one.spends(secret, caller, 1) && two.spends(secret, caller, 1)));
    let lower = KeyPatch { limits: Some(daily(50)), ..KeyPatch::default() };
    instance.engine.keys.update(&ada, &acme.id, &key.key.id, lower).await.unwrap();
    for node in [&one, &two] {
        node.engine.sync().await.unwrap();
    }
    let mut passed = 40;
    for _ in 0..4 {
        passed += one.spend_all(secret, caller).await + two.spend_all(secret, caller).await;
    }
    assert_eq!(passed, 50);
}

/// Any order of calls, rounds, writes, deaths and returns.
#[tokio::test]
async fn under_random_schedules_no_day_has_more_than_its_quota() {
    for seed in 0..4 {
        let Some(instance) = Instance::open(On::Postgres).await else { return };
        let dice = SeededEntropy::new(seed);
        let below = |bound: u64| {
            let mut bytes = [0; 8];
            dice.fill(&mut bytes);
            u64::from_le_bytes(bytes) % bound
        };
        let most = 20 + u32::try_from(below(200)).unwrap();
        let (key, caller) = key_and_caller(&instance, daily(most)).await;
        let mut nodes = vec![Node::join(&instance, "n0", &[]).await];
        let (mut passed, mut days, mut born) = (0, 0, 1);
        for step in 0..120 {
            let at = usize::try_from(below(3)).unwrap() % nodes.len().max(1);
            match below(12) {
                0..=5 => {
                    for _ in 0..below(15) {
                        let units = 1 + below(3);
                        if nodes[at].spends(&key, &caller, units) {
                            passed += units;
                        }
                    }
                }
                6 | 7 => nodes[at].round().await,
                8 => nodes[at].engine.flush_usage().await.unwrap(),
                9 if nodes.len() < 3 => {
                    let name = format!("n{born}");
                    born += 1;
                    // Others do not hear of it at once.
                    let quick: Vec<&Node> = nodes.iter().collect();
                    let mut new = Node::join(&instance, &name, &quick).await;
                    new.clock.set(nodes[0].engine.now());
                    std::mem::swap(&mut new, &mut nodes[0]);
                    nodes.push(new);
                }
                10 if nodes.len() > 1 && below(2) == 0 => {
                    let gone = nodes.swap_remove(at);
                    if below(2) == 0 {
                        gone.engine.close().await;
                    } else {
                        // Killed. What it held is written off at somebody's next look.
                        silence(&instance, &gone.name).await;
                        drop(gone);
                    }
                }
                11 if below(4) == 0 => {
                    for node in &nodes {
                        node.clock.advance_ms(DAY_MS);
                    }
                    (passed, days) = (0, days + 1);
                }
                _ => {}
            }
            assert!(passed <= u64::from(most), "seed {seed}, step {step}: {passed} of {most} on day {days}");
        }
    }
}
