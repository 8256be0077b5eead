//! Rotation: one current secret at any time, older ones to the millisecond of their end, and nothing else changes.

use keyfold_domain::ids::{KeyId, SecretId, WorkspaceId};
use keyfold_domain::key::{Expiry, Inactivity, IssuedKey, KeyPatch, NewKey};
use keyfold_domain::policy::Actor;
use keyfold_domain::problem::ProblemCode;
use keyfold_domain::secret::{Grace, RotatedKey, Rotation, SecretState, SecretSummary};
use keyfold_domain::verdict::Code;
use keyfold_domain::workspace::Role;
use keyfold_engine::{Client, Engine, VerifyRequest};

use crate::support::{Instance, NOW, code, from, new_key, on_both, operator, refusal, scopes};

fn with(grace: Grace) -> Rotation {
    Rotation { grace, version: None }
}

async fn rotate(instance: &Instance, actor: &Actor, workspace: &WorkspaceId, id: &KeyId, grace: Grace) -> RotatedKey {
    instance.engine.keys.rotate(actor, workspace, id, with(grace), None).await.unwrap()
}

fn verdict(engine: &Engine, issued: &IssuedKey) -> Code {
    engine.verifier.whoami(issued.secret.expose(), None).unwrap().code
}

fn states(secrets: &[SecretSummary]) -> Vec<SecretState> {
    secrets.iter().map(|secret| secret.state).collect()
}

async fn retiring(instance: &Instance, actor: &Actor, workspace: &WorkspaceId, id: &KeyId) -> Vec<SecretSummary> {
    let all = instance.engine.keys.secrets(actor, workspace, id).await.unwrap();
    all.into_iter().filter(|secret| secret.state == SecretState::Retiring).collect()
}

on_both! {
    async fn a_rotation_changes_the_secret_and_nothing_else(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let new = NewKey { inactivity_days: Inactivity::Days(30), note: "keep".into(), ..new_key("CI", &["project"]) };
        let first = instance.engine.keys.create(&ada, &acme.id, new, None).await.unwrap();
        verdict(&instance.engine, &first);
        instance.engine.flush_usage().await.unwrap();
        instance.clock.advance_ms(1000);
        verdict(&instance.engine, &first);
        let before = instance.engine.keys.get(&ada, &acme.id, &first.key.id).await.unwrap();
        let second = rotate(&instance, &ada, &acme.id, &first.key.id, Grace::Day).await;
        assert!(!second.issued.secret.same_as(&first.secret) && second.issued.secret.expose().starts_with("kf_sec_"));
        assert!(!second.expiry_lowered);
        let after = second.issued.key.clone();
        let same = keyfold_domain::key::KeySummary { hint: before.hint.clone(), version: before.version, ..after.clone() };
        assert_eq!(same, before, "id, scopes, end, interval, note and counters stay");
        assert_eq!((after.version, after.total_calls, after.hint == before.hint), (2, 2, false));
        assert_eq!(states(&second.secrets), [SecretState::Current, SecretState::Retiring]);
        let old = &second.secrets[1];
        assert_eq!((old.ends_at, old.total_calls, old.last_used_at), (Some(NOW.plus_ms(1000).plus_days(1)), 2, Some(NOW.plus_ms(1000))));
        assert_eq!((second.secrets[0].total_calls, second.secrets[0].last_used_at, second.secrets[0].ends_at), (0, None, None));
        assert_eq!(second.secrets[0].hint, after.hint);
        assert_eq!(instance.engine.keys.secrets(&ada, &acme.id, &first.key.id).await.unwrap(), second.secrets);
        assert_eq!([verdict(&instance.engine, &first), verdict(&instance.engine, &second.issued)], [Code::Valid; 2]);
    }

    async fn an_old_secret_works_exactly_to_the_end_of_its_grace_without_any_job(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        for grace in Grace::ALL {
            instance.clock.set(NOW);
            let first = instance.key(&ada, &acme.id, "CI").await;
            let second = rotate(&instance, &ada, &acme.id, &first.key.id, grace).await.issued;
            if grace != Grace::Now {
                instance.clock.set(NOW.plus_ms(grace.millis() - 1));
                assert_eq!(verdict(&instance.engine, &first), Code::Valid, "{grace:?}");
            }
            instance.clock.set(NOW.plus_ms(grace.millis()));
            let over = instance.engine.verifier.whoami(first.secret.expose(), None).unwrap();
            assert_eq!((over.code, over.key.is_none()), (Code::NotFound, true), "{grace:?}: like a secret that never was");
            assert_eq!(verdict(&instance.engine, &second), Code::Valid);
        }
    }

    async fn three_rotations_in_a_row_keep_every_grace_and_one_current_secret(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let first = instance.key(&ada, &acme.id, "CI").await;
        let id = &first.key.id;
        instance.clock.advance_ms(1);
        let second = rotate(&instance, &ada, &acme.id, id, Grace::Week).await;
        instance.clock.advance_ms(1);
        let third = rotate(&instance, &ada, &acme.id, id, Grace::Hour).await;
        instance.clock.advance_ms(1);
        let fourth = rotate(&instance, &ada, &acme.id, id, Grace::Day).await;
        assert_eq!(states(&fourth.secrets), [SecretState::Current, SecretState::Retiring, SecretState::Retiring, SecretState::Retiring]);
        let ends: Vec<_> = fourth.secrets.iter().map(|secret| secret.ends_at).collect();
        assert_eq!(ends, [None, Some(NOW.plus_ms(3).plus_days(1)), Some(NOW.plus_ms(2 + 3_600_000)), Some(NOW.plus_ms(1).plus_days(7))]);
        assert_eq!([&first, &second.issued, &third.issued, &fourth.issued].map(|issued| verdict(&instance.engine, issued)), [Code::Valid; 4]);
        instance.clock.set(NOW.plus_days(2));
        let codes = [&first, &second.issued, &third.issued, &fourth.issued].map(|issued| verdict(&instance.engine, issued));
        assert_eq!(codes, [Code::Valid, Code::NotFound, Code::NotFound, Code::Valid]);
        let fifth = rotate(&instance, &instance.sign_in("ada").await, &acme.id, id, Grace::Now).await;
        let codes = [&first, &second.issued, &fourth.issued, &fifth.issued].map(|issued| verdict(&instance.engine, issued));
        assert_eq!(codes, [Code::NotFound, Code::NotFound, Code::NotFound, Code::Valid], "now means every old one");
        assert_eq!(instance.count("SELECT COUNT(*) FROM secrets WHERE ends_at IS NULL").await, 1);
    }

    async fn of_fifty_rotations_at_once_from_the_same_version_one_wins(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let first = instance.key(&ada, &acme.id, "CI").await;
        let tries = (0..50).map(|_| {
            let (engine, ada, ws, id) = (instance.engine.clone(), ada.clone(), acme.id.clone(), first.key.id.clone());
            let rotation = Rotation { grace: Grace::Hour, version: Some(1) };
            tokio::spawn(async move { engine.keys.rotate(&ada, &ws, &id, rotation, None).await })
        });
        let mut won = Vec::new();
        for attempt in tries.collect::<Vec<_>>() {
            match attempt.await.unwrap() {
                Ok(rotated) => won.push(rotated),
                Err(error) => assert!(error.is(ProblemCode::Conflict), "{error:?}"),
            }
        }
        assert_eq!(won.len(), 1);
        assert_eq!([verdict(&instance.engine, &first), verdict(&instance.engine, &won[0].issued)], [Code::Valid; 2]);
        assert_eq!(instance.count("SELECT COUNT(*) FROM secrets WHERE ends_at IS NULL").await, 1);
        assert_eq!(instance.count("SELECT COUNT(*) FROM secrets").await, 2);
    }

    async fn fifty_rotations_at_once_from_no_version_follow_on_each_other(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let first = instance.key(&ada, &acme.id, "CI").await;
        let tries = (0..50).map(|_| {
            let (engine, ada, ws, id) = (instance.engine.clone(), ada.clone(), acme.id.clone(), first.key.id.clone());
            tokio::spawn(async move { engine.keys.rotate(&ada, &ws, &id, with(Grace::Hour), None).await.unwrap() })
        });
        let mut all = vec![first.secret];
        for attempt in tries.collect::<Vec<_>>() {
            all.push(attempt.await.unwrap().issued.secret);
        }
        assert_eq!(instance.count("SELECT COUNT(*) FROM secrets WHERE ends_at IS NULL").await, 1);
        assert_eq!(instance.engine.keys.get(&ada, &acme.id, &first.key.id).await.unwrap().version, 51);
        let valid = |engine: &Engine| all.iter().filter(|secret| engine.verifier.whoami(secret.expose(), None).unwrap().code == Code::Valid).count();
        assert_eq!(valid(&instance.engine), 51);
        instance.clock.advance_ms(3_600_000);
        assert_eq!(valid(&instance.engine), 1, "never none and never two");
        let report = instance.engine.audit.verify_chains(&operator()).await.unwrap();
        assert_eq!(report.broken, None);
    }

    async fn a_retried_rotation_does_not_kill_the_new_secret_and_a_lost_reply_is_made_good_by_another(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let engine = &instance.engine;
        let first = instance.key(&ada, &acme.id, "CI").await;
        let id = &first.key.id;
        let wish = Rotation { grace: Grace::Now, version: Some(1) };
        let second = engine.keys.rotate(&ada, &acme.id, id, wish, Some("try-1")).await.unwrap();
        let again = refusal(engine.keys.rotate(&ada, &acme.id, id, wish, Some("try-1")).await);
        assert_eq!((again.code, again.field.as_deref()), (ProblemCode::Conflict, Some("idempotency_key")));
        assert!(again.message.contains("already rotated") && again.message.contains("rotate the key once more"), "{again}");
        assert!(again.message.contains(id.as_str()) && !again.message.contains(second.issued.secret.expose()));
        assert_eq!(verdict(engine, &second.issued), Code::Valid);
        let other = refusal(engine.keys.rotate(&ada, &acme.id, id, with(Grace::Week), Some("try-1")).await);
        assert!(other.message.contains("another request"));
        let create = refusal(engine.keys.create(&ada, &acme.id, new_key("x", &["chat"]), Some("try-1")).await);
        assert!(create.message.contains("another request"));
        // The answer got lost: nobody has the second secret. Rotating once more gives one that somebody has.
        let third = engine.keys.rotate(&ada, &acme.id, id, with(Grace::Now), Some("try-2")).await.unwrap();
        assert_eq!([verdict(engine, &second.issued), verdict(engine, &third.issued)], [Code::NotFound, Code::Valid]);
    }

    async fn concurrent_repeats_rotate_once(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let first = instance.key(&ada, &acme.id, "CI").await;
        let tries = (0..12).map(|_| {
            let (engine, ada, ws, id) = (instance.engine.clone(), ada.clone(), acme.id.clone(), first.key.id.clone());
            tokio::spawn(async move { engine.keys.rotate(&ada, &ws, &id, with(Grace::Day), Some("same")).await.is_ok() })
        });
        let mut made = 0;
        for attempt in tries.collect::<Vec<_>>() {
            made += u32::from(attempt.await.unwrap());
        }
        assert_eq!((made, instance.count("SELECT COUNT(*) FROM secrets").await), (1, 2));
    }

    async fn a_rotation_never_extends_life_and_is_brought_down_to_a_new_cap(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let engine = &instance.engine;
        let make = |expires_at| engine.keys.create(&ada, &acme.id, NewKey { expires_at, ..new_key("CI", &["chat"]) }, None);
        let (never, late, soon) =
            (make(Expiry::Never).await.unwrap(), make(Expiry::At(NOW.plus_days(300))).await.unwrap(), make(Expiry::At(NOW.plus_days(3))).await.unwrap());
        let kept = rotate(&instance, &ada, &acme.id, &never.key.id, Grace::Day).await;
        assert_eq!((kept.issued.key.expires_at, kept.expiry_lowered), (None, false));
        instance.sql(format!("UPDATE workspaces SET max_expiry_days = 30 WHERE id = '{}'", acme.id)).await;
        for (key, end, lowered) in [(&never, 30, true), (&late, 30, true), (&soon, 3, false)] {
            let rotated = rotate(&instance, &ada, &acme.id, &key.key.id, Grace::Day).await;
            assert_eq!((rotated.issued.key.expires_at, rotated.expiry_lowered), (Some(NOW.plus_days(end)), lowered));
        }
        instance.clock.set(NOW.plus_days(3));
        assert_eq!(verdict(engine, &soon), Code::NotFound, "the old secret ended before");
    }

    async fn what_does_not_work_is_not_rotated_and_the_reason_is_told(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let engine = &instance.engine;
        let new = |name: &'static str, expires_at, inactivity_days| NewKey { expires_at, inactivity_days, ..new_key(name, &["chat"]) };
        let make = |wanted| engine.keys.create(&ada, &acme.id, wanted, None);
        let expired = make(new("expired", Expiry::At(NOW.plus_days(1)), Inactivity::Off)).await.unwrap().key.id;
        let dormant = make(new("dormant", Expiry::Never, Inactivity::Days(1))).await.unwrap();
        let used = make(new("used", Expiry::Never, Inactivity::Days(1))).await.unwrap();
        let stopped = make(new("stopped", Expiry::Never, Inactivity::Off)).await.unwrap().key.id;
        let deleted = make(new("deleted", Expiry::Never, Inactivity::Off)).await.unwrap().key.id;
        engine.keys.deactivate(&ada, &acme.id, &stopped, "").await.unwrap();
        engine.keys.delete(&ada, &acme.id, &deleted).await.unwrap();
        instance.clock.set(NOW.plus_ms(86_400_000 - 1));
        verdict(engine, &used);
        instance.clock.set(NOW.plus_days(1).plus_ms(10_000));
        let ada = instance.sign_in("ada").await;
        for (id, words) in [(&expired, "expired"), (&dormant.key.id, "unused"), (&stopped, "deactivated"), (&deleted, "deleted")] {
            let problem = refusal(engine.keys.rotate(&ada, &acme.id, id, with(Grace::Day), None).await);
            assert_eq!(problem.code, ProblemCode::Conflict);
            assert!(problem.message.contains(words), "{problem}");
        }
        assert!(engine.keys.rotate(&ada, &acme.id, &used.key.id, with(Grace::Day), None).await.is_ok());
        assert_eq!(instance.count("SELECT COUNT(*) FROM secrets").await, 6);
    }

    async fn a_stale_version_changes_nothing(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let first = instance.key(&ada, &acme.id, "CI").await;
        let patch = KeyPatch { name: Some("renamed".into()), ..KeyPatch::default() };
        instance.engine.keys.update(&ada, &acme.id, &first.key.id, patch).await.unwrap();
        let stale = Rotation { grace: Grace::Now, version: Some(1) };
        let problem = refusal(instance.engine.keys.rotate(&ada, &acme.id, &first.key.id, stale, None).await);
        assert_eq!((problem.code, problem.field.as_deref()), (ProblemCode::Conflict, Some("version")));
        assert_eq!(verdict(&instance.engine, &first), Code::Valid);
    }

    async fn one_old_secret_can_be_ended_before_its_time(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let engine = &instance.engine;
        let first = instance.key(&ada, &acme.id, "CI").await;
        let id = &first.key.id;
        let second = rotate(&instance, &ada, &acme.id, id, Grace::Week).await;
        let third = rotate(&instance, &ada, &acme.id, id, Grace::Week).await;
        let all = engine.keys.secrets(&ada, &acme.id, id).await.unwrap();
        let [current, others @ ..] = &all[..] else { panic!("none") };
        let oldest = others.iter().find(|secret| secret.hint == first.key.hint).unwrap();
        engine.keys.end_secret(&ada, &acme.id, id, &oldest.id).await.unwrap();
        let codes = [&first, &second.issued, &third.issued].map(|issued| verdict(engine, issued));
        assert_eq!(codes, [Code::NotFound, Code::Valid, Code::Valid]);
        engine.keys.end_secret(&ada, &acme.id, id, &oldest.id).await.unwrap();
        assert_eq!(retiring(&instance, &ada, &acme.id, id).await.len(), 1);
        assert_eq!(code(engine.keys.end_secret(&ada, &acme.id, id, &current.id).await), ProblemCode::Conflict);
        let other = instance.key(&ada, &acme.id, "other").await;
        let absent: SecretId = "sec_0000000000000000000000".parse().unwrap();
        for nowhere in [refusal(engine.keys.end_secret(&ada, &acme.id, &other.key.id, &oldest.id).await), refusal(engine.keys.end_secret(&ada, &acme.id, id, &absent).await)] {
            assert_eq!(nowhere.code, ProblemCode::NotFound);
        }
        // Ended by a person: no step of a clock and no restart brings it back.
        instance.clock.advance_ms(-3_600_000);
        let beside = instance.beside().await;
        assert_eq!([verdict(engine, &first), verdict(&beside, &first), verdict(&beside, &second.issued)], [Code::NotFound, Code::NotFound, Code::Valid]);
        beside.close().await;
    }

    async fn every_process_follows_a_rotation_and_a_restart_keeps_it(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let first = instance.key(&ada, &acme.id, "CI").await;
        let beside = instance.beside().await;
        let second = beside.keys.rotate(&operator(), &acme.id, &first.key.id, with(Grace::Hour), None).await.unwrap();
        instance.engine.sync().await.unwrap();
        let again = instance.beside().await;
        for engine in [&instance.engine, &beside, &again] {
            assert_eq!([verdict(engine, &first), verdict(engine, &second.issued)], [Code::Valid; 2]);
        }
        let third = instance.engine.keys.rotate(&ada, &acme.id, &first.key.id, with(Grace::Now), None).await.unwrap();
        beside.sync().await.unwrap();
        again.sync().await.unwrap();
        for engine in [&instance.engine, &beside, &again] {
            let codes = [&first, &second.issued, &third.issued].map(|issued| verdict(engine, issued));
            assert_eq!(codes, [Code::NotFound, Code::NotFound, Code::Valid]);
            assert_eq!(engine.keys_in_memory(), 1);
        }
        instance.engine.keys.delete(&ada, &acme.id, &first.key.id).await.unwrap();
        assert_eq!(verdict(&instance.engine, &third.issued), Code::NotFound);
        beside.close().await;
        again.close().await;
    }

    async fn a_change_of_the_key_holds_for_its_old_secrets_too(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let caller = instance.management(&ada, &acme.id, &["verify"]).await;
        let engine = &instance.engine;
        let first = instance.key(&ada, &acme.id, "CI").await;
        let second = rotate(&instance, &ada, &acme.id, &first.key.id, Grace::Week).await.issued;
        let ask = |issued: &IssuedKey, scope| {
            let request = VerifyRequest { key: issued.secret.expose(), scope: Some(scope), ..VerifyRequest::default() };
            engine.verifier.verify(caller.secret.expose(), &request).unwrap().code
        };
        let narrow = KeyPatch { scopes: Some(scopes(&["inference"])), ..KeyPatch::default() };
        engine.keys.update(&ada, &acme.id, &first.key.id, narrow).await.unwrap();
        assert_eq!([ask(&first, "project"), ask(&second, "project")], [Code::MissingScope; 2]);
        assert_eq!([ask(&first, "inference"), ask(&second, "inference")], [Code::Valid; 2]);
        engine.keys.deactivate(&ada, &acme.id, &first.key.id, "").await.unwrap();
        assert_eq!([ask(&first, "inference"), ask(&second, "inference")], [Code::Deactivated; 2]);
    }

    async fn a_use_of_any_secret_keeps_the_key_awake(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let new = NewKey { expires_at: Expiry::Never, inactivity_days: Inactivity::Days(2), ..new_key("sleepy", &["chat"]) };
        let first = instance.engine.keys.create(&ada, &acme.id, new, None).await.unwrap();
        let second = rotate(&instance, &ada, &acme.id, &first.key.id, Grace::Week).await.issued;
        for day in 1..7 {
            instance.clock.set(NOW.plus_days(day));
            assert_eq!(verdict(&instance.engine, &first), Code::Valid);
        }
        assert_eq!(verdict(&instance.engine, &second), Code::Valid, "unused itself, but its key is not");
        instance.clock.set(NOW.plus_days(9).plus_ms(10_000));
        assert_eq!(verdict(&instance.engine, &second), Code::Dormant);
    }

    async fn who_still_uses_an_old_secret_is_remembered_and_of_the_current_one_nobody(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let caller = instance.management(&ada, &acme.id, &["verify"]).await;
        let engine = &instance.engine;
        let first = instance.key(&ada, &acme.id, "CI").await;
        let id = &first.key.id;
        engine.verifier.whoami_from(first.secret.expose(), &Client { ip: "192.0.2.9".parse().ok(), user_agent: Some("early") }).unwrap();
        let second = rotate(&instance, &ada, &acme.id, id, Grace::Week).await.issued;
        let request = VerifyRequest { key: first.secret.expose(), client_ip: "::ffff:192.0.2.7".parse().ok(), user_agent: Some("cron\u{202e}\n/1"), ..VerifyRequest::default() };
        for _ in 0..3 {
            instance.clock.advance_ms(1);
            engine.verifier.verify(caller.secret.expose(), &request).unwrap();
        }
        engine.verifier.whoami_from(second.secret.expose(), &Client { ip: "192.0.2.8".parse().ok(), user_agent: Some("new") }).unwrap();
        let seen = |secrets: Vec<SecretSummary>| secrets[0].clients.iter().map(|client| (client.ip.clone(), client.user_agent.clone(), client.calls)).collect::<Vec<_>>();
        let expected = [(Some("192.0.2.7".to_owned()), Some("cron/1".to_owned()), 3)];
        assert_eq!(seen(retiring(&instance, &ada, &acme.id, id).await), expected);
        engine.flush_usage().await.unwrap();
        assert_eq!(seen(retiring(&instance, &ada, &acme.id, id).await), expected);
        engine.verifier.verify(caller.secret.expose(), &request).unwrap();
        engine.flush_usage().await.unwrap();
        engine.verifier.verify(caller.secret.expose(), &request).unwrap();
        assert_eq!(seen(retiring(&instance, &ada, &acme.id, id).await)[0].2, 5);
        let all = engine.keys.secrets(&ada, &acme.id, id).await.unwrap();
        assert!(all[0].clients.is_empty(), "nobody is watched for using the current secret");
        assert_eq!((all[0].total_calls, all[1].total_calls), (1, 6));
    }

    async fn the_last_twenty_clients_of_an_old_secret_are_kept(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let first = instance.key(&ada, &acme.id, "CI").await;
        rotate(&instance, &ada, &acme.id, &first.key.id, Grace::Week).await;
        for at in 0..45 {
            instance.clock.advance_ms(1);
            let agent = format!("agent {at}");
            instance.engine.verifier.whoami_from(first.secret.expose(), &Client { ip: None, user_agent: Some(&agent) }).unwrap();
            if at % 10 == 0 {
                instance.engine.flush_usage().await.unwrap();
            }
        }
        instance.engine.flush_usage().await.unwrap();
        assert_eq!(instance.count("SELECT COUNT(*) FROM secret_clients").await, 20);
        let clients = retiring(&instance, &ada, &acme.id, &first.key.id).await.remove(0).clients;
        let agents: Vec<_> = clients.iter().map(|client| client.user_agent.clone().unwrap()).collect();
        assert_eq!((agents.len(), agents[0].as_str(), agents[19].as_str()), (20, "agent 44", "agent 25"));
    }

    async fn only_who_may_change_a_key_rotates_it(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let (_, eve) = instance.workspace("other", "eve").await;
        let linus = instance.member(&acme.id, "linus", Role::Member).await;
        let vera = instance.member(&acme.id, "vera", Role::Viewer).await;
        let engine = &instance.engine;
        let hers = instance.key(&ada, &acme.id, "hers").await;
        let secret = engine.keys.secrets(&ada, &acme.id, &hers.key.id).await.unwrap().remove(0).id;
        for stranger in [&linus, &vera, &eve] {
            assert_eq!(code(engine.keys.rotate(stranger, &acme.id, &hers.key.id, with(Grace::Day), None).await), ProblemCode::NotFound);
            assert_eq!(code(engine.keys.secrets(stranger, &acme.id, &hers.key.id).await), ProblemCode::NotFound);
            assert_eq!(code(engine.keys.end_secret(stranger, &acme.id, &hers.key.id, &secret).await), ProblemCode::NotFound);
            assert_eq!(code(engine.keys.usage(stranger, &acme.id, &hers.key.id, 30).await), ProblemCode::NotFound);
            assert_eq!(code(engine.keys.evidence(stranger, &acme.id, &hers.key.id).await), ProblemCode::NotFound);
        }
        let his = instance.key(&linus, &acme.id, "his").await;
        assert!(engine.keys.rotate(&linus, &acme.id, &his.key.id, with(Grace::Day), None).await.is_ok());
        assert!(engine.keys.rotate(&ada, &acme.id, &his.key.id, with(Grace::Day), None).await.is_ok());
        // A role that was lost is lost for one's own keys as well.
        engine.members.add(&operator(), &acme.id, &linus.user().unwrap().id, Role::Viewer).await.unwrap();
        let linus = instance.sign_in("linus").await;
        assert_eq!(code(engine.keys.rotate(&linus, &acme.id, &his.key.id, with(Grace::Day), None).await), ProblemCode::Forbidden);
    }

    async fn a_management_key_is_rotated_with_a_fresh_password_by_nobody_below_its_owner(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let grace = instance.member(&acme.id, "grace", Role::Admin).await;
        let engine = &instance.engine;
        let hers = instance.management(&ada, &acme.id, &["keys:write"]).await;
        assert_eq!(code(engine.keys.rotate(&grace, &acme.id, &hers.key.id, with(Grace::Day), None).await), ProblemCode::Forbidden);
        instance.clock.advance_ms(600_000);
        assert_eq!(code(engine.keys.rotate(&ada, &acme.id, &hers.key.id, with(Grace::Day), None).await), ProblemCode::StepUpRequired);
        let ada = instance.sign_in("ada").await;
        assert!(engine.keys.rotate(&ada, &acme.id, &hers.key.id, with(Grace::Day), None).await.is_ok());
    }

    async fn a_key_rotates_neither_itself_nor_one_that_can_do_more(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let engine = &instance.engine;
        let writer = instance.management(&ada, &acme.id, &["keys:write", "inference"]).await;
        let acting = engine.verifier.authenticate(writer.secret.expose(), &from([192, 0, 2, 1])).unwrap();
        let attempt = |id: KeyId| {
            let (acting, workspace) = (acting.clone(), acme.id.clone());
            async move { engine.keys.rotate(&acting, &workspace, &id, with(Grace::Day), None).await }
        };
        assert_eq!(code(attempt(writer.key.id.clone()).await), ProblemCode::Forbidden);
        let wide = instance.key(&ada, &acme.id, "wide").await;
        assert_eq!(code(attempt(wide.key.id).await), ProblemCode::Forbidden);
        // It does not make keys, so one that lasts longer is rotated as well: else a script could rotate none of its age.
        let forever = NewKey { expires_at: Expiry::Never, ..new_key("long", &["inference"]) };
        let forever = engine.keys.create(&ada, &acme.id, forever, None).await.unwrap();
        assert_eq!(attempt(forever.key.id).await.unwrap().issued.key.expires_at, None);
        let narrow = engine.keys.create(&ada, &acme.id, new_key("narrow", &["inference"]), None).await.unwrap();
        assert_eq!(verdict(engine, &attempt(narrow.key.id).await.unwrap().issued), Code::Valid);
    }

    async fn the_audit_log_tells_of_rotations_and_holds_no_secret(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let first = instance.key(&ada, &acme.id, "CI").await;
        let second = rotate(&instance, &ada, &acme.id, &first.key.id, Grace::Week).await;
        instance.engine.keys.end_secret(&ada, &acme.id, &first.key.id, &second.secrets[1].id).await.unwrap();
        for action in ["key.rotate", "key.end_secret"] {
            let sql = format!("SELECT COUNT(*) FROM audit_events WHERE action = '{action}' AND object = '{}'", first.key.id);
            assert_eq!(instance.count(&sql).await, 1, "{action}");
        }
        for secret in [&first.secret, &second.issued.secret] {
            let sql = format!("SELECT COUNT(*) FROM audit_events WHERE body LIKE '%{}%'", &secret.expose()[7..30]);
            assert_eq!(instance.count(&sql).await, 0);
        }
        assert_eq!(instance.engine.audit.verify_chains(&operator()).await.unwrap().broken, None);
    }
}
