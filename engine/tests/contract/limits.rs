//! Addresses and limits of keys: who may set them, what they let through, and what outlives a change, a rotation, a restart.

use std::sync::atomic::{AtomicU32, Ordering};

use keyfold_domain::key::{KeyPatch, NewKey};
use keyfold_domain::limits::{Cost, Limit, Whose};
use keyfold_domain::problem::ProblemCode;
use keyfold_domain::secret::{Grace, Rotation};
use keyfold_domain::time::DAY_MS;
use keyfold_domain::verdict::Code;
use keyfold_domain::workspace::Role;
use keyfold_engine::testing::{execute, open};
use keyfold_engine::{Answer, VerifyRequest};

use crate::support::*;

fn limits(json: &str) -> Vec<Limit> {
    serde_json::from_str(json).unwrap()
}

fn limited(json: &str) -> KeyPatch {
    KeyPatch { limits: Some(limits(json)), ..KeyPatch::default() }
}

fn from_ranges(ranges: &[&str]) -> KeyPatch {
    KeyPatch { ip_allow: Some(ranges.iter().map(|range| range.parse().unwrap()).collect()), ..KeyPatch::default() }
}

/// What is left of each limit.
fn left(answer: &Answer) -> Vec<u32> {
    answer.limits().map(|(_, _, standing)| standing.remaining).collect()
}

const DAILY: &str = r#"[{"name":"daily","limit":10,"quota":"day"}]"#;

on_both! {
    async fn a_call_spends_all_its_limits_or_none_and_a_refused_one_nothing(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let new = NewKey { limits: limits(r#"[{"name":"burst","limit":3,"window":10},{"name":"daily","limit":4,"quota":"day"}]"#), ..new_key("CI", &["chat"]) };
        let key = instance.engine.keys.create(&ada, &acme.id, new, None).await.unwrap();
        let caller = instance.management(&ada, &acme.id, &["verify"]).await;
        let ask = |scope: &'static str, units: u64| {
            let request = VerifyRequest { key: key.secret.expose(), scope: Some(scope), cost: Cost::new(units).unwrap(), ..VerifyRequest::default() };
            instance.engine.verifier.verify(caller.secret.expose(), &request).unwrap()
        };
        let other = ask("project", 1);
        assert_eq!((other.code, other.standings.len()), (Code::MissingScope, 0));
        let first = ask("chat", 2);
        assert_eq!((first.code, left(&first), first.retry_after), (Code::Valid, vec![1, 2], None));
        let twice = ask("chat", 2);
        assert_eq!((twice.code, left(&twice), twice.retry_after), (Code::RateLimited, vec![1, 2], Some(10)));
        let never = ask("chat", 4);
        assert_eq!((never.code, never.retry_after), (Code::RateLimited, None), "it will never fit");
        let check = ask("chat", 0);
        assert_eq!((check.code, left(&check)), (Code::Valid, vec![1, 2]));
        let whoami = instance.engine.verifier.whoami(key.secret.expose(), None).unwrap();
        assert_eq!((whoami.code, left(&whoami)), (Code::Valid, vec![0, 1]), "one path, one count");
        instance.clock.advance_ms(10_000);
        assert_eq!(ask("chat", 1).code, Code::Valid);
        let over = ask("chat", 0);
        let names: Vec<_> = over.limits().map(|(whose, limit, standing)| (whose, limit.name().to_string(), standing.remaining)).collect();
        assert_eq!(names, [(Whose::Key, "burst".to_owned(), 2), (Whose::Key, "daily".to_owned(), 0)]);
        let midnight = u32::try_from((DAY_MS - instance.engine.now().as_millis().rem_euclid(DAY_MS)) / 1000).unwrap();
        assert_eq!((over.code, over.retry_after), (Code::QuotaExceeded, Some(midnight)));
        instance.clock.advance_ms(i64::from(midnight) * 1000);
        assert_eq!(left(&ask("chat", 1)), [2, 3]);
        let usage = instance.engine.keys.usage(&ada, &acme.id, &key.key.id, 7).await.unwrap();
        let denied = |code| usage.codes.iter().find(|count| count.code == code).map_or(0, |count| count.count);
        assert_eq!((denied(Code::RateLimited), denied(Code::QuotaExceeded), denied(Code::MissingScope)), (2, 1, 1));
        assert_eq!(usage.calls, 5, "a check is a use of the key too");
    }

    async fn fifty_threads_spend_exactly_what_there_is(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let new = NewKey { limits: limits(r#"[{"name":"burst","limit":1000,"window":60},{"name":"daily","limit":777,"quota":"day"}]"#), ..new_key("CI", &["chat"]) };
        let key = instance.engine.keys.create(&ada, &acme.id, new, None).await.unwrap();
        let passed = AtomicU32::new(0);
        std::thread::scope(|threads| {
            for _ in 0..50 {
                threads.spawn(|| {
                    for _ in 0..40 {
                        if instance.verdict(&key) == Code::Valid {
                            passed.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                });
            }
        });
        assert_eq!(passed.into_inner(), 777);
        let shown = instance.engine.keys.limits(&ada, &acme.id, &key.key.id).await.unwrap().limits;
        assert_eq!(shown.iter().map(|state| state.remaining).collect::<Vec<_>>(), [223, 0]);
    }

    async fn rotation_and_changes_keep_what_was_spent(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let keys = &instance.engine.keys;
        let key = keys.create(&ada, &acme.id, NewKey { limits: limits(DAILY), ..new_key("CI", &["chat"]) }, None).await.unwrap();
        let id = &key.key.id.clone();
        for _ in 0..4 {
            instance.verdict(&key);
        }
        let mut last = key;
        for round in 0..3 {
            let rotated = keys.rotate(&ada, &acme.id, id, Rotation { grace: Grace::Day, version: None }, None).await.unwrap();
            last = rotated.issued;
            let answer = instance.engine.verifier.whoami(last.secret.expose(), None).unwrap();
            assert_eq!(left(&answer), [5 - round], "rotation {round}");
        }
        let spent = async |patch: KeyPatch| {
            keys.update(&ada, &acme.id, id, patch).await.unwrap();
            keys.limits(&ada, &acme.id, id).await.unwrap().limits.into_iter().map(|state| state.remaining).collect::<Vec<_>>()
        };
        assert_eq!(spent(KeyPatch { name: Some("renamed".into()), ..KeyPatch::default() }).await, [3]);
        assert_eq!(spent(limited(r#"[{"name":"burst","limit":5,"window":1},{"name":"daily","limit":100,"quota":"day"}]"#)).await, [5, 93]);
        assert_eq!(spent(limited(r#"[{"name":"daily","limit":2,"quota":"day"}]"#)).await, [0]);
        assert_eq!(instance.verdict(&last), Code::QuotaExceeded);
        assert_eq!(spent(limited("[]")).await, [0; 0]);
        assert_eq!(instance.verdict(&last), Code::Valid);
        assert_eq!(spent(limited(DAILY)).await, [10], "a limit that was taken away begins anew");
    }

    async fn what_was_spent_of_quotas_outlives_a_clean_stop_exactly(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let json = r#"[{"name":"burst","limit":10,"window":60},{"name":"daily","limit":10,"quota":"day"},{"name":"rolling","limit":10,"window":86400,"quota":"rolling"}]"#;
        let key = instance.engine.keys.create(&ada, &acme.id, NewKey { limits: limits(json), ..new_key("CI", &["chat"]) }, None).await.unwrap();
        instance.engine.members.limit(&ada, &acme.id, &id_of(&ada), limits(r#"[{"name":"all","limit":20,"quota":"month"}]"#)).await.unwrap();
        let whoami = |engine: &keyfold_engine::Engine| engine.verifier.whoami(key.secret.expose(), None).unwrap();
        for _ in 0..3 {
            whoami(&instance.engine);
        }
        instance.engine.flush_usage().await.unwrap();
        instance.clock.advance_ms(1);
        assert_eq!(left(&whoami(&instance.engine)), [6, 6, 6, 16]);
        let Instance { engine, clock, database, folder } = instance;
        engine.close().await;
        drop(engine);
        let again = open(database.clone(), &clock, 2).await.unwrap();
        assert_eq!(left(&whoami(&again)), [9, 5, 5, 15], "rate limits begin anew, quotas do not");
        again.close().await;
        drop(again);
        let instance = Instance { engine: open(database.clone(), &clock, 3).await.unwrap(), clock, database, folder };
        assert_eq!(left(&whoami(&instance.engine)), [9, 4, 4, 14]);
        instance.engine.flush_usage().await.unwrap();
        assert!(instance.count("SELECT COUNT(*) FROM limit_usage").await > 0);
        instance.clock.advance_ms(401 * DAY_MS);
        instance.engine.housekeep().await.unwrap();
        assert_eq!(instance.count("SELECT COUNT(*) FROM limit_usage").await, 0);
    }

    async fn counts_that_could_not_be_written_are_written_later(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let key = instance.engine.keys.create(&ada, &acme.id, NewKey { limits: limits(DAILY), ..new_key("CI", &["chat"]) }, None).await.unwrap();
        instance.verdict(&key);
        execute(&instance.database, "ALTER TABLE limit_usage RENAME TO elsewhere").await.unwrap();
        assert!(instance.engine.flush_usage().await.is_err());
        instance.verdict(&key);
        execute(&instance.database, "ALTER TABLE elsewhere RENAME TO limit_usage").await.unwrap();
        instance.engine.flush_usage().await.unwrap();
        assert_eq!(instance.count("SELECT CAST(SUM(units) AS BIGINT) FROM limit_usage").await, 2);
        instance.engine.flush_usage().await.unwrap();
        assert_eq!(instance.count("SELECT CAST(SUM(units) AS BIGINT) FROM limit_usage").await, 2);
    }

    async fn a_members_limits_hold_for_all_of_their_keys_together(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let linus = instance.member(&acme.id, "linus", Role::Member).await;
        let (one, other) = (instance.key(&linus, &acme.id, "one").await, instance.key(&linus, &acme.id, "other").await);
        let hers = instance.key(&ada, &acme.id, "hers").await;
        let members = &instance.engine.members;
        let two = limits(r#"[{"name":"all","limit":2,"quota":"day"}]"#);
        let member = members.limit(&ada, &acme.id, &id_of(&linus), two.clone()).await.unwrap();
        assert_eq!(member.limits, two);
        assert_eq!([&one, &other, &one, &other].map(|key| instance.verdict(key)), [Code::Valid, Code::Valid, Code::QuotaExceeded, Code::QuotaExceeded]);
        assert_eq!(instance.verdict(&hers), Code::Valid);
        let third = instance.key(&linus, &acme.id, "third").await;
        assert_eq!(instance.verdict(&third), Code::QuotaExceeded, "another key is no way around");
        let shown = instance.engine.keys.limits(&linus, &acme.id, &one.key.id).await.unwrap().limits;
        assert_eq!((shown.len(), shown[0].whose, shown[0].remaining), (1, Whose::Owner, 0));
        // A change that another process makes is followed.
        let beside = instance.beside().await;
        beside.members.limit(&operator(), &acme.id, &id_of(&linus), limits(r#"[{"name":"all","limit":3,"quota":"day"}]"#)).await.unwrap();
        instance.engine.sync().await.unwrap();
        assert_eq!([&one, &other].map(|key| instance.verdict(key)), [Code::Valid, Code::QuotaExceeded]);
        members.limit(&ada, &acme.id, &id_of(&linus), vec![]).await.unwrap();
        assert_eq!(instance.verdict(&one), Code::Valid);

        assert_eq!(code(members.limit(&linus, &acme.id, &id_of(&linus), vec![]).await), ProblemCode::Forbidden);
        assert_eq!(code(members.limit(&ada, &acme.id, &"usr_0123456789012345678901".parse().unwrap(), vec![]).await), ProblemCode::NotFound);
        let boss = instance.member(&acme.id, "grace", Role::Admin).await;
        assert_eq!(code(members.limit(&boss, &acme.id, &id_of(&ada), two.clone()).await), ProblemCode::Forbidden, "above their own role");
        let (_, zoe) = instance.workspace("zeta", "zoe").await;
        assert_eq!(code(members.limit(&zoe, &acme.id, &id_of(&linus), two).await), ProblemCode::NotFound);
    }

    async fn only_administrators_say_from_where_and_how_often(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let linus = instance.member(&acme.id, "linus", Role::Member).await;
        let keys = &instance.engine.keys;
        let key = instance.key(&linus, &acme.id, "his").await;
        let id = &key.key.id;
        for new in [NewKey { limits: limits(DAILY), ..new_key("CI", &["chat"]) }, NewKey { ip_allow: vec!["10.0.0.0/8".parse().unwrap()], ..new_key("CI", &["chat"]) }] {
            assert_eq!(code(keys.create(&linus, &acme.id, new, None).await), ProblemCode::Forbidden);
        }
        for patch in [limited(DAILY), limited("[]"), from_ranges(&["10.0.0.0/8"]), from_ranges(&[])] {
            assert_eq!(code(keys.update(&linus, &acme.id, id, patch).await), ProblemCode::Forbidden);
        }
        let both = KeyPatch { ip_allow: from_ranges(&["10.0.0.0/8", "2001:db8::/32"]).ip_allow, ..limited(DAILY) };
        let changed = keys.update(&ada, &acme.id, id, both).await.unwrap();
        assert_eq!((changed.bounds.ip_allow.len(), changed.bounds.limits.clone(), changed.version), (2, limits(DAILY), 2));
        assert_eq!(keys.get(&linus, &acme.id, id).await.unwrap().bounds, changed.bounds, "the owner sees them");
        assert_eq!(keys.limits(&linus, &acme.id, id).await.unwrap().ip_allow, changed.bounds.ip_allow);
        let stranger = instance.member(&acme.id, "eve", Role::Member).await;
        assert_eq!(code(keys.limits(&stranger, &acme.id, id).await), ProblemCode::NotFound);
        assert_eq!(code(keys.update(&stranger, &acme.id, id, limited("[]")).await), ProblemCode::NotFound);
    }

    async fn addresses_are_compared_as_addresses(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let key = instance.key(&ada, &acme.id, "CI").await;
        instance.engine.keys.update(&ada, &acme.id, &key.key.id, from_ranges(&["10.0.0.0/9", "::ffff:192.0.2.0/120", "2001:db8::/48"])).await.unwrap();
        let code = |ip: Option<&str>| instance.engine.verifier.whoami(key.secret.expose(), ip.map(|ip| ip.parse().unwrap())).unwrap().code;
        for ip in ["10.0.0.0", "10.127.255.255", "::ffff:10.1.2.3", "192.0.2.255", "2001:db8:0:ffff::1"] {
            assert_eq!(code(Some(ip)), Code::Valid, "{ip}");
        }
        for ip in ["9.255.255.255", "10.128.0.0", "110.0.0.1", "192.0.3.0", "2001:db8:1::", "::10.0.0.1", "::1"] {
            assert_eq!(code(Some(ip)), Code::IpDenied, "{ip}");
        }
        assert_eq!(code(None), Code::IpDenied);
        instance.engine.keys.update(&ada, &acme.id, &key.key.id, from_ranges(&[])).await.unwrap();
        assert_eq!(code(None), Code::Valid);
    }

    async fn a_key_cannot_make_or_change_one_that_reaches_further_than_itself(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let keys = &instance.engine.keys;
        let manager = instance.management(&ada, &acme.id, &["keys:write", "chat"]).await;
        let bounds = KeyPatch { ip_allow: from_ranges(&["192.0.2.0/24"]).ip_allow, ..limited(r#"[{"name":"m","limit":1000,"quota":"day"}]"#) };
        keys.update(&ada, &acme.id, &manager.key.id, bounds).await.unwrap();
        let actor = instance.engine.verifier.authenticate(manager.secret.expose(), &from([192, 0, 2, 9])).unwrap();
        let elsewhere = instance.engine.verifier.authenticate(manager.secret.expose(), &from([198, 51, 100, 1]));
        assert_eq!(code(elsewhere), ProblemCode::Forbidden);
        let make = async |ranges: &[&str], json: &str| {
            let new = NewKey { ip_allow: from_ranges(ranges).ip_allow.unwrap(), limits: limits(json), ..new_key("made", &["chat"]) };
            keys.create(&actor, &acme.id, new, None).await
        };
        let (tight, loose) = (r#"[{"name":"x","limit":999,"quota":"day"}]"#, r#"[{"name":"x","limit":1001,"quota":"day"}]"#);
        for (ranges, json) in [(&[][..], tight), (&["192.0.0.0/16"], tight), (&["192.0.2.1", "10.0.0.1"], tight), (&["192.0.2.1"], "[]"), (&["192.0.2.1"], loose)] {
            assert_eq!(code(make(ranges, json).await), ProblemCode::Forbidden, "{ranges:?} {json}");
        }
        let made = make(&["192.0.2.128/25"], tight).await.unwrap().key;
        assert_eq!(code(keys.update(&actor, &acme.id, &made.id, from_ranges(&[])).await), ProblemCode::Forbidden);
        assert!(keys.update(&actor, &acme.id, &made.id, from_ranges(&["192.0.2.1"])).await.is_ok());
        let wide = instance.engine.keys.create(&ada, &acme.id, new_key("wide", &["chat"]), None).await.unwrap().key;
        let rotation = || Rotation { grace: Grace::Now, version: None };
        assert_eq!(code(keys.rotate(&actor, &acme.id, &wide.id, rotation(), None).await), ProblemCode::Forbidden);
        assert!(keys.rotate(&actor, &acme.id, &made.id, rotation(), None).await.is_ok());
    }

    async fn a_management_keys_limits_hold_for_what_it_asks_for(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let (key, caller) = (instance.key(&ada, &acme.id, "CI").await, instance.management(&ada, &acme.id, &["verify"]).await);
        instance.engine.keys.update(&ada, &acme.id, &caller.key.id, limited(r#"[{"name":"m","limit":2,"window":10}]"#)).await.unwrap();
        let request = VerifyRequest { key: key.secret.expose(), ..VerifyRequest::default() };
        let ask = || instance.engine.verifier.verify(caller.secret.expose(), &request);
        assert_eq!(ask().unwrap().code, Code::Valid);
        assert!(instance.engine.verifier.authenticate(caller.secret.expose(), &from([192, 0, 2, 1])).is_ok());
        let refused = refusal(ask());
        assert_eq!((refused.code, refused.retry_after), (ProblemCode::RateLimited, Some(10)));
        assert_eq!(code(instance.engine.verifier.authenticate(caller.secret.expose(), &from([192, 0, 2, 1]))), ProblemCode::RateLimited);
        instance.clock.advance_ms(10_000);
        assert!(ask().is_ok());
    }

    async fn the_audit_log_says_what_was_set_in_words(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let key = instance.key(&ada, &acme.id, "CI").await;
        let patch = KeyPatch { ip_allow: from_ranges(&["10.0.0.0/8"]).ip_allow, ..limited(DAILY) };
        instance.engine.keys.update(&ada, &acme.id, &key.key.id, patch).await.unwrap();
        instance.engine.members.limit(&ada, &acme.id, &id_of(&ada), limits(DAILY)).await.unwrap();
        let said = |action: &str, words: &str| format!("SELECT COUNT(*) FROM audit_events WHERE action = '{action}' AND body LIKE '%{words}%'");
        assert_eq!(instance.count(&said("key.update", "daily: 10 a day")).await, 1);
        assert_eq!(instance.count(&said("key.update", "10.0.0.0/8")).await, 1);
        assert_eq!(instance.count(&said("member.limit", "daily: 10 a day")).await, 1);
    }
}
