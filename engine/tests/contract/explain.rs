//! Verdicts taken apart by the services: the same answer by secret and by key, and nothing counted.

use keyfold_domain::ids::KeyId;
use keyfold_domain::key::{Expiry, Inactivity, NewKey};
use keyfold_domain::policy::Actor;
use keyfold_domain::problem::ProblemCode;
use keyfold_domain::verdict::{Code, Question};
use keyfold_domain::workspace::Role;
use keyfold_engine::{Answer, Engine, VerifyRequest};

use crate::support::{NOW, code, new_key, on_both};

fn by_secret(engine: &Engine, caller: &str, key: &str, scope: &str) -> Answer {
    engine.verifier.verify(caller, &VerifyRequest { key, scope: Some(scope), explain: true, ..VerifyRequest::default() }).unwrap()
}

async fn by_key(engine: &Engine, actor: &Actor, workspace: &keyfold_domain::ids::WorkspaceId, key: &KeyId, scope: &str) -> Code {
    let question = Question { scope: Some(scope), ..Question::default() };
    engine.keys.explain(actor, workspace, key, &question, None).await.unwrap().code
}

on_both! {
    async fn both_ways_to_ask_tell_the_verdict_and_neither_is_a_use(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let engine = &instance.engine;
        let caller = instance.management(&ada, &acme.id, &["verify"]).await;
        let caller = caller.secret.expose();
        let new = NewKey { expires_at: Expiry::At(NOW.plus_days(5)), inactivity_days: Inactivity::Days(1), ..new_key("CI", &["chat"]) };
        let key = engine.keys.create(&ada, &acme.id, new, None).await.unwrap();
        let (secret, id) = (key.secret.expose(), &key.key.id);
        for (after_ms, scope, expected) in [
            (0, "chat", Code::Valid),
            (1, "project", Code::MissingScope),
            (86_400_000 + 10_000, "chat", Code::Dormant),
            (5 * 86_400_000, "chat", Code::Expired),
        ] {
            instance.clock.set(NOW.plus_ms(after_ms));
            let answer = by_secret(engine, caller, secret, scope);
            let (checks, record) = (answer.checks.unwrap(), answer.key.unwrap());
            assert_eq!((answer.code, &record.id()), (expected, id));
            assert_eq!(checks.iter().find(|check| !check.passed).map(|check| check.code), Some(expected).filter(|code| *code != Code::Valid));
            let plain = VerifyRequest { key: secret, scope: Some(scope), ..VerifyRequest::default() };
            if expected != Code::Valid {
                assert_eq!(engine.verifier.verify(caller, &plain).unwrap().code, expected);
            }
            assert_eq!(by_key(engine, &ada, &acme.id, id, scope).await, expected);
            let again = engine.keys.explain(&ada, &acme.id, id, &Question { scope: Some(scope), ..Question::default() }, None).await.unwrap();
            assert_eq!(again.checks, checks);
        }
        let shown = engine.keys.get(&ada, &acme.id, id).await.unwrap();
        assert_eq!((shown.total_calls, shown.last_used_at), (0, None));
    }

    async fn a_use_that_is_not_written_yet_keeps_a_key_awake_in_both_answers(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let engine = &instance.engine;
        let caller = instance.management(&ada, &acme.id, &["verify"]).await;
        let new = NewKey { inactivity_days: Inactivity::Days(1), ..new_key("CI", &["chat"]) };
        let key = engine.keys.create(&ada, &acme.id, new, None).await.unwrap();
        instance.clock.advance_ms(86_000_000);
        assert_eq!(engine.verifier.whoami(key.secret.expose(), None).unwrap().code, Code::Valid);
        instance.clock.advance_ms(86_000_000);
        assert_eq!(by_secret(engine, caller.secret.expose(), key.secret.expose(), "chat").code, Code::Valid);
        assert_eq!(by_key(engine, &ada, &acme.id, &key.key.id, "chat").await, Code::Valid);
        let far = Some(NOW.plus_days(30));
        let explained = engine.keys.explain(&ada, &acme.id, &key.key.id, &Question::default(), far).await.unwrap();
        assert_eq!(explained.code, Code::Dormant);
    }

    async fn who_may_not_see_a_key_learns_nothing_by_testing_it(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let (other, eve) = instance.workspace("other", "eve").await;
        let linus = instance.member(&acme.id, "linus", Role::Member).await;
        let engine = &instance.engine;
        let (own, foreign) = (instance.key(&ada, &acme.id, "own").await, instance.key(&eve, &other.id, "foreign").await);
        let none = Question::default();
        let absent: KeyId = "key_0000000000000000000000".parse().unwrap();
        for (actor, workspace, id) in [
            (&linus, &acme.id, &own.key.id),
            (&ada, &acme.id, &foreign.key.id),
            (&ada, &other.id, &foreign.key.id),
            (&ada, &acme.id, &absent),
        ] {
            assert_eq!(code(engine.keys.explain(actor, workspace, id, &none, None).await), ProblemCode::NotFound);
        }
        let caller = instance.management(&ada, &acme.id, &["verify"]).await;
        let unknown = "kf_sec_00000000000000000000000000000000000000000001GU1LX";
        for (secret, expected) in [(foreign.secret.expose(), Code::NotFound), (unknown, Code::NotFound), ("junk", Code::Malformed)] {
            let answer = by_secret(engine, caller.secret.expose(), secret, "chat");
            assert_eq!((answer.code, answer.key.is_none(), answer.checks), (expected, true, None));
        }
    }
}
