//! Replacing the pepper: every key goes on working, secrets move as they are used, and what is left is told before it stops.

use std::sync::Arc;

use keyfold_domain::key::{IssuedKey, NewKey};
use keyfold_domain::problem::ProblemCode;
use keyfold_domain::secret::{Grace, Rotation};
use keyfold_domain::time::DAY_MS;
use keyfold_domain::verdict::Code;
use keyfold_engine::testing::SeededEntropy;
use keyfold_engine::{Engine, EngineOptions, OpenError, OpenRole, Pepper};

use crate::support::{Instance, id_of, new_key, on_both, operator, refusal};

fn first() -> Pepper {
    Pepper::from_bytes([7; 32])
}

/// The same every time.
fn second() -> Pepper {
    first().rotated(&SeededEntropy::new(4))
}

async fn open_with(instance: &Instance, pepper: Pepper) -> Result<Engine, OpenError> {
    Engine::open(EngineOptions {
        database: instance.database.clone(),
        pepper,
        prefix: keyfold_domain::token::Prefix::default(),
        clock: instance.clock.clone(),
        entropy: Arc::new(SeededEntropy::new(5)),
        role: OpenRole::Beside,
    })
    .await
}

/// The new one without the one before it, as it is read when that file is not there.
fn second_alone() -> Pepper {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pepper.key");
    second().save(&path).unwrap();
    Pepper::load_or_create(&path, None).unwrap()
}

/// The instance after its pepper was replaced and it was started again.
async fn rotated(instance: &Instance) -> Engine {
    instance.engine.flush_usage().await.unwrap();
    instance.engine.peppers.rotate(&operator(), &second()).await.unwrap();
    instance.engine.close().await;
    open_with(instance, second()).await.unwrap()
}

fn verdict(engine: &Engine, key: &IssuedKey) -> Code {
    engine.verifier.whoami(key.secret.expose(), None).unwrap().code
}

on_both! {
    async fn keys_of_all_states_are_judged_as_before_and_move_when_they_are_used(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let keys = &instance.engine.keys;
        let live = instance.key(&ada, &acme.id, "live").await;
        let idle = instance.key(&ada, &acme.id, "idle").await;
        let stopped = instance.key(&ada, &acme.id, "stopped").await;
        let deleted = instance.key(&ada, &acme.id, "deleted").await;
        let before = instance.key(&ada, &acme.id, "rotated").await;
        let after = keys.rotate(&ada, &acme.id, &before.key.id, Rotation { grace: Grace::Week, version: None }, None).await.unwrap().issued;
        keys.deactivate(&ada, &acme.id, &stopped.key.id, "").await.unwrap();
        keys.delete(&ada, &acme.id, &deleted.key.id).await.unwrap();
        assert_eq!(verdict(&instance.engine, &live), Code::Valid);
        let engine = rotated(&instance).await;

        let expected = |key: &IssuedKey, code: Code| assert_eq!(verdict(&engine, key), code, "{}", key.key.name);
        let status = engine.peppers.status(&operator()).await.unwrap();
        let old = status.old.unwrap();
        assert_eq!((status.current, old.fingerprint.as_str()), (second().fingerprint(), first().fingerprint().as_str()));
        assert_eq!((old.secrets, old.in_use.len()), (5, 1), "the deleted key's secret needs nothing");
        for round in 0..3 {
            expected(&live, Code::Valid);
            expected(&stopped, Code::Deactivated);
            expected(&deleted, Code::NotFound);
            expected(&before, Code::Valid);
            expected(&after, Code::Valid);
            if round == 0 {
                engine.flush_usage().await.unwrap();
            }
        }
        engine.flush_usage().await.unwrap();
        // No count was lost on the way, of the key or of its secrets.
        let shown = engine.keys.get(&operator(), &acme.id, &live.key.id).await.unwrap();
        assert_eq!(shown.total_calls, 4);
        assert_eq!(engine.keys.secrets(&operator(), &acme.id, &live.key.id).await.unwrap()[0].total_calls, 4);
        let secrets = engine.keys.secrets(&operator(), &acme.id, &before.key.id).await.unwrap();
        assert_eq!(secrets.iter().map(|secret| secret.total_calls).collect::<Vec<_>>(), [3, 3]);
        assert_eq!(secrets[1].clients[0].calls, 3);
        let old = engine.peppers.status(&operator()).await.unwrap().old.unwrap();
        assert_eq!((old.secrets, old.last_used_at), (1, None), "only the idle one is left");
        // Changing a key that moved keeps it where it is.
        engine.keys.deactivate(&operator(), &acme.id, &live.key.id, "").await.unwrap();
        expected(&live, Code::Deactivated);
        engine.keys.activate(&operator(), &acme.id, &live.key.id).await.unwrap();
        expected(&live, Code::Valid);
        // A new key never needs the old pepper.
        let new = NewKey { owner: Some(id_of(&ada)), ..new_key("fresh", &["chat"]) };
        let fresh = engine.keys.create(&operator(), &acme.id, new, None).await.unwrap();
        expected(&fresh, Code::Valid);
        assert_eq!(engine.peppers.status(&operator()).await.unwrap().old.unwrap().secrets, 1);
        assert_eq!(engine.audit.verify_chains(&operator()).await.unwrap().broken, None, "one chain, one key");

        let retired = engine.peppers.retire(&operator(), false).await.unwrap();
        assert_eq!((retired.keys, retired.secrets), (1, 0));
        engine.close().await;
        // From here on the new pepper is enough, and what is given of the old one is not used.
        for pepper in [second_alone(), second()] {
            let engine = open_with(&instance, pepper).await.unwrap();
            assert_eq!(engine.peppers.status(&operator()).await.unwrap().old, None);
            for key in [&live, &before, &after, &fresh] {
                assert_eq!(verdict(&engine, key), Code::Valid, "{}", key.key.name);
            }
            assert_eq!(verdict(&engine, &idle), Code::NotFound);
            let shown = engine.keys.get(&operator(), &acme.id, &idle.key.id).await.unwrap();
            assert!(shown.stopped_reason.unwrap().contains("rotate it"));
            engine.close().await;
        }
    }

    async fn a_pepper_is_not_retired_while_keys_in_use_need_it_unless_that_is_said(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let busy = instance.key(&ada, &acme.id, "busy bee").await;
        let rotating = instance.key(&ada, &acme.id, "rotating").await;
        assert_eq!(verdict(&instance.engine, &busy), Code::Valid);
        let engine = rotated(&instance).await;
        let refused = refusal(engine.peppers.retire(&operator(), false).await);
        assert_eq!(refused.code, ProblemCode::Conflict);
        assert!(refused.message.contains("busy bee") && !refused.message.contains("\"rotating\""), "{}", refused.message);
        assert_eq!(verdict(&engine, &busy), Code::Valid);
        // A key whose current secret is new, and whose old one is of the old pepper.
        let week = Rotation { grace: Grace::Week, version: None };
        let renewed = engine.keys.rotate(&operator(), &acme.id, &rotating.key.id, week, None).await.unwrap().issued;
        let retired = engine.peppers.retire(&operator(), true).await.unwrap();
        assert_eq!((retired.keys, retired.secrets), (1, 1));
        assert_eq!(verdict(&engine, &busy), Code::Deactivated);
        assert_eq!(verdict(&engine, &renewed), Code::Valid);
        engine.sync().await.unwrap();
        assert_eq!(verdict(&engine, &rotating), Code::NotFound);
        assert_eq!(engine.audit.verify_chains(&operator()).await.unwrap().broken, None);
        engine.close().await;
        assert!(open_with(&instance, second()).await.is_ok());
    }

    async fn a_key_unused_for_long_does_not_hold_the_pepper(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let old = instance.key(&ada, &acme.id, "old").await;
        assert_eq!(verdict(&instance.engine, &old), Code::Valid);
        let engine = rotated(&instance).await;
        instance.clock.advance_ms(31 * DAY_MS);
        assert_eq!(engine.peppers.retire(&operator(), false).await.unwrap().keys, 1);
    }

    async fn while_two_peppers_are_live_both_are_asked_for(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let key = instance.key(&ada, &acme.id, "CI").await;
        let engine = rotated(&instance).await;
        // Twice is too much.
        let third = second().rotated(&SeededEntropy::new(9));
        assert_eq!(refusal(engine.peppers.rotate(&operator(), &third).await).code, ProblemCode::Conflict);
        // One that was not made from the present one is none of ours.
        assert!(engine.peppers.rotate(&operator(), &second()).await.is_err());
        engine.close().await;
        let interrupted = open_with(&instance, first()).await.err().unwrap();
        assert!(matches!(interrupted, OpenError::RotationInterrupted), "{interrupted}");
        assert!(matches!(open_with(&instance, Pepper::from_bytes([8; 32])).await, Err(OpenError::WrongPepper(_))));
        // The new one without the one before it: what a lost file looks like.
        let alone = open_with(&instance, second_alone()).await.err().unwrap().to_string();
        assert!(alone.contains(&first().fingerprint()), "{alone}");
        assert_eq!(verdict(&open_with(&instance, second()).await.unwrap(), &key), Code::Valid);
    }

    async fn a_rotation_ends_sessions_and_open_links(instance) {
        let (_, ada) = instance.workspace("acme", "ada").await;
        assert_eq!(instance.count("SELECT COUNT(*) FROM sessions").await, 1);
        assert_eq!(refusal(instance.engine.peppers.status(&ada).await).code, ProblemCode::Forbidden);
        assert_eq!(refusal(instance.engine.peppers.rotate(&ada, &second()).await).code, ProblemCode::Forbidden);
        rotated(&instance).await;
        assert_eq!(instance.count("SELECT COUNT(*) FROM sessions").await, 0);
    }
}
