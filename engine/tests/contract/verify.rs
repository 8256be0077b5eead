//! Verdicts, and how soon a change is in force.

use keyfold_domain::key::{Expiry, KeyPatch, NewKey};
use keyfold_domain::problem::ProblemCode;
use keyfold_domain::verdict::Code;
use keyfold_domain::workspace::Role;
use keyfold_engine::{Client, Engine, MAX_BATCH, VerifyRequest};

use crate::support::{NOW, code, new_key, on_both, operator, refusal, scopes};

fn ask<'a>(key: &'a str, scope: &'a str) -> VerifyRequest<'a> {
    VerifyRequest { key, scope: Some(scope), ..VerifyRequest::default() }
}

fn verdict(engine: &Engine, caller: &str, key: &str, scope: &str) -> Code {
    engine.verifier.verify(caller, &ask(key, scope)).unwrap().code
}

on_both! {
    async fn a_change_is_in_force_when_its_answer_is_there(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let engine = &instance.engine;
        let caller = instance.management(&ada, &acme.id, &["verify"]).await;
        let caller = caller.secret.expose();
        let key = instance.key(&ada, &acme.id, "CI").await;
        let secret = key.secret.expose();
        assert_eq!(verdict(engine, caller, secret, "project"), Code::Valid);
        assert_eq!(verdict(engine, caller, secret, "inference"), Code::Valid);
        let narrow = KeyPatch { scopes: Some(scopes(&["inference"])), ..KeyPatch::default() };
        engine.keys.update(&ada, &acme.id, &key.key.id, narrow).await.unwrap();
        assert_eq!(verdict(engine, caller, secret, "project"), Code::MissingScope);
        assert_eq!(verdict(engine, caller, secret, "inference"), Code::Valid);
        engine.keys.deactivate(&ada, &acme.id, &key.key.id, "").await.unwrap();
        assert_eq!(verdict(engine, caller, secret, "inference"), Code::Deactivated);
        engine.keys.activate(&ada, &acme.id, &key.key.id).await.unwrap();
        assert_eq!(verdict(engine, caller, secret, "inference"), Code::Valid);
        engine.keys.delete(&ada, &acme.id, &key.key.id).await.unwrap();
        assert_eq!(verdict(engine, caller, secret, "inference"), Code::NotFound);
        assert!(engine.verifier.verify(caller, &ask(secret, "inference")).unwrap().key.is_none());
        assert_eq!(engine.verifier.whoami(secret, None).unwrap().code, Code::NotFound);
    }

    async fn a_batch_is_judged_and_counted_like_its_questions_one_by_one(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let (zeta, eve) = instance.workspace("zeta", "eve").await;
        let engine = &instance.engine;
        let issued = instance.management(&ada, &acme.id, &["verify"]).await;
        let caller = issued.secret.expose();
        let key = instance.key(&ada, &acme.id, "CI").await;
        let foreign = instance.key(&eve, &zeta.id, "CI").await;
        let burst = KeyPatch { limits: Some(vec![serde_json::from_str(r#"{"name":"burst","limit":2,"window":60}"#).unwrap()]), ..KeyPatch::default() };
        engine.keys.update(&operator(), &acme.id, &key.key.id, burst).await.unwrap();
        let (own, other) = (key.secret.expose(), foreign.secret.expose());
        let asked = [ask(own, "project"), ask("junk", "project"), ask(own, "chat"), ask(other, "project"), ask(own, "inference"), ask(own, "project")];
        let answers = engine.verifier.verify_batch(caller, &Client::default(), &asked).unwrap();
        let codes: Vec<Code> = answers.iter().map(|answer| answer.code).collect();
        assert_eq!(codes, [Code::Valid, Code::Malformed, Code::MissingScope, Code::NotFound, Code::Valid, Code::RateLimited]);
        assert!(answers[3].key.is_none(), "nothing is told of other workspaces' keys");
        let calls = async |id| engine.keys.get(&operator(), &acme.id, id).await.unwrap().total_calls;
        assert_eq!((calls(&key.key.id).await, calls(&issued.key.id).await), (2, 1), "the caller is used once");

        let too_many = vec![ask(own, "project"); MAX_BATCH + 1];
        for wrong in [&[][..], &too_many] {
            let refused = refusal(engine.verifier.verify_batch(caller, &Client::default(), wrong));
            assert_eq!((refused.code, refused.field.as_deref()), (ProblemCode::Invalid, Some("checks")));
        }
        assert_eq!(engine.verifier.verify_batch(caller, &Client::default(), &too_many[1..]).unwrap().len(), MAX_BATCH);
        assert_eq!(code(engine.verifier.verify_batch(own, &Client::default(), &asked)), ProblemCode::Forbidden);
        assert_eq!(code(engine.verifier.verify_batch("junk", &Client::default(), &asked)), ProblemCode::Unauthenticated);

        // A batch is no way around the caller's own limits.
        let few = KeyPatch { limits: Some(vec![serde_json::from_str(r#"{"name":"few","limit":7,"window":60}"#).unwrap()]), ..KeyPatch::default() };
        engine.keys.update(&operator(), &acme.id, &issued.key.id, few).await.unwrap();
        assert_eq!(engine.verifier.verify_batch(caller, &Client::default(), &asked).unwrap().len(), 6);
        assert_eq!(code(engine.verifier.verify_batch(caller, &Client::default(), &asked[..2])), ProblemCode::RateLimited);
        assert_eq!(engine.verifier.verify_batch(caller, &Client::default(), &asked[..1]).unwrap().len(), 1);
    }

    async fn figures_tell_how_far_memory_and_database_are_apart(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let engine = &instance.engine;
        let before = engine.verifier.figures();
        let key = instance.key(&ada, &acme.id, "CI").await;
        let after = engine.verifier.figures();
        assert_eq!((after.keys, after.secrets, after.exact, after.waiting), (before.keys + 1, before.secrets + 1, true, 0));
        assert!(after.revision > before.revision);
        for _ in 0..3 {
            assert_eq!(engine.verifier.whoami(key.secret.expose(), None).unwrap().code, Code::Valid);
        }
        assert_eq!(engine.verifier.figures().waiting, 1, "one secret, however often it was used");
        engine.flush_usage().await.unwrap();
        let flushed = engine.verifier.figures();
        assert_eq!((flushed.waiting, flushed.flush_failures, flushed.dropped), (0, 0, 0));
        assert!(flushed.flush_age < std::time::Duration::from_mins(1));
        engine.close().await;
        engine.verifier.whoami(key.secret.expose(), None).unwrap();
        assert!(engine.flush_usage().await.is_err(), "the database is closed");
        let failed = engine.verifier.figures();
        assert_eq!((failed.waiting, failed.flush_failures), (1, 1), "what could not be written waits");
    }

    async fn what_is_changed_beside_a_running_server_holds_in_it_after_a_look_at_the_log(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let engine = &instance.engine;
        let key = instance.key(&ada, &acme.id, "CI").await;
        let beside = instance.beside().await;
        let owner = ada.user().map(|user| user.id.clone());
        let made = beside.keys.create(&operator(), &acme.id, NewKey { owner, ..new_key("cli", &["chat"]) }, None).await.unwrap();
        beside.keys.delete(&operator(), &acme.id, &key.key.id).await.unwrap();
        engine.sync().await.unwrap();
        assert_eq!(engine.verifier.whoami(made.secret.expose(), None).unwrap().code, Code::Valid);
        assert_eq!(engine.verifier.whoami(key.secret.expose(), None).unwrap().code, Code::NotFound);
        beside.close().await;
    }

    async fn a_trimmed_change_log_makes_the_follower_reload_everything(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let engine = &instance.engine;
        let kept = instance.key(&ada, &acme.id, "kept").await;
        let ended = instance.key(&ada, &acme.id, "ended").await;
        let beside = instance.beside().await;
        let owner = ada.user().map(|user| user.id.clone());
        let made = beside.keys.create(&operator(), &acme.id, NewKey { owner, ..new_key("cli", &["chat"]) }, None).await.unwrap();
        beside.keys.delete(&operator(), &acme.id, &ended.key.id).await.unwrap();
        instance.sql("DELETE FROM changes".into()).await;
        engine.sync().await.unwrap();
        let codes = [&kept, &ended, &made].map(|key| engine.verifier.whoami(key.secret.expose(), None).unwrap().code);
        assert_eq!(codes, [Code::Valid, Code::NotFound, Code::Valid]);
        assert_eq!(engine.keys_in_memory(), 2);
        beside.close().await;
    }

    async fn a_caller_sees_only_its_own_workspace_and_needs_the_scope(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let (other, eve) = instance.workspace("other", "eve").await;
        let engine = &instance.engine;
        let foreign = instance.key(&eve, &other.id, "foreign").await;
        let deleted = instance.key(&ada, &acme.id, "deleted").await;
        engine.keys.delete(&ada, &acme.id, &deleted.key.id).await.unwrap();
        let caller = instance.management(&ada, &acme.id, &["verify"]).await;
        let unknown = format!("{}{}", "kf_sec_00000000000000000000000000000000000000000001", "GU1LX");
        for secret in [foreign.secret.expose(), deleted.secret.expose(), &unknown] {
            let answer = engine.verifier.verify(caller.secret.expose(), &ask(secret, "project")).unwrap();
            assert_eq!((answer.code, answer.key.is_none()), (Code::NotFound, true));
        }
        for junk in ["", "kf_sec_", "nonsense", &unknown[1..]] {
            assert_eq!(verdict(engine, caller.secret.expose(), junk, "project"), Code::Malformed);
        }
        let writer = instance.management(&ada, &acme.id, &["keys:write"]).await;
        let data = instance.key(&ada, &acme.id, "data").await;
        for (bad, wanted) in [
            (writer.secret.expose(), ProblemCode::Forbidden),
            (data.secret.expose(), ProblemCode::Forbidden),
            (unknown.as_str(), ProblemCode::Unauthenticated),
            ("", ProblemCode::Unauthenticated),
        ] {
            assert_eq!(code(engine.verifier.verify(bad, &ask(data.secret.expose(), "project"))), wanted);
        }
        for refused in [&writer, &data] {
            let shown = engine.keys.get(&ada, &acme.id, &refused.key.id).await.unwrap();
            assert_eq!((shown.total_calls, shown.last_used_at), (0, None), "a caller who was refused made no call");
        }
        assert_eq!(engine.keys.get(&ada, &acme.id, &caller.key.id).await.unwrap().total_calls, 7);
    }

    async fn a_key_expires_and_sleeps_to_the_millisecond_without_any_job(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let engine = &instance.engine;
        let new = NewKey { expires_at: Expiry::At(NOW.plus_days(3)), inactivity_days: keyfold_domain::key::Inactivity::Days(1), ..new_key("short", &["chat"]) };
        let key = engine.keys.create(&ada, &acme.id, new, None).await.unwrap();
        let now = |ms: i64| {
            instance.clock.set(NOW.plus_ms(ms));
            engine.verifier.whoami(key.secret.expose(), None).unwrap().code
        };
        let (day, grace) = (86_400_000, 10_000);
        assert_eq!(now(day + grace - 1), Code::Valid);
        assert_eq!(now(2 * day + 2 * grace - 2), Code::Valid, "the use before counts");
        assert_eq!(now(3 * day - 1), Code::Valid);
        assert_eq!(now(3 * day), Code::Expired);
        assert_eq!(now(3 * day - 1), Code::Valid, "derived from time, not recorded");
    }

    async fn uses_are_counted_in_memory_shown_at_once_and_written_by_a_flush(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let engine = &instance.engine;
        let key = instance.key(&ada, &acme.id, "CI").await;
        instance.clock.advance_ms(5);
        let many = (0..8).map(|_| {
            let (engine, secret) = (engine.clone(), key.secret.expose().to_owned());
            tokio::spawn(async move {
                for _ in 0..250 {
                    assert_eq!(engine.verifier.whoami(&secret, None).unwrap().code, Code::Valid);
                }
            })
        });
        for one in many.collect::<Vec<_>>() {
            one.await.unwrap();
        }
        let shown = engine.keys.get(&ada, &acme.id, &key.key.id).await.unwrap();
        assert_eq!((shown.total_calls, shown.last_used_at), (2000, Some(NOW.plus_ms(5))));
        engine.flush_usage().await.unwrap();
        engine.flush_usage().await.unwrap();
        let beside = instance.beside().await;
        let written = beside.keys.get(&operator(), &acme.id, &key.key.id).await.unwrap();
        assert_eq!((written.total_calls, written.last_used_at), (2000, Some(NOW.plus_ms(5))));
        beside.close().await;
        engine.keys.delete(&ada, &acme.id, &key.key.id).await.unwrap();
        engine.verifier.whoami(key.secret.expose(), None).unwrap();
        assert_eq!(engine.keys.get(&ada, &acme.id, &key.key.id).await.unwrap().total_calls, 2000, "a refused use is no use");
    }

    async fn a_demoted_owner_narrows_a_management_key_at_once(instance) {
        let (acme, _) = instance.workspace("acme", "ada").await;
        let engine = &instance.engine;
        let grace = instance.member(&acme.id, "grace", Role::Admin).await;
        let key = instance.management(&grace, &acme.id, &["verify", "keys:write"]).await;
        let target = instance.key(&grace, &acme.id, "CI").await;
        assert_eq!(verdict(engine, key.secret.expose(), target.secret.expose(), "project"), Code::Valid);
        let id = grace.user().unwrap().id.clone();
        engine.members.add(&operator(), &acme.id, &id, Role::Viewer).await.unwrap();
        assert_eq!(code(engine.verifier.verify(key.secret.expose(), &ask(target.secret.expose(), "project"))), ProblemCode::Forbidden);
        let acting = engine.verifier.authenticate(key.secret.expose(), &crate::support::from([192, 0, 2, 1])).unwrap();
        assert_eq!(code(engine.keys.create(&acting, &acme.id, new_key("more", &["verify"]), None).await), ProblemCode::Forbidden);
        assert_eq!(code(engine.keys.delete(&acting, &acme.id, &target.key.id).await), ProblemCode::Forbidden);
    }
}
