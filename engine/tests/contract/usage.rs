//! What is counted of the use of keys: exactly, in memory first, by hour and by scope.

use keyfold_domain::ids::{KeyId, WorkspaceId};
use keyfold_domain::key::{IssuedKey, KeyPatch};
use keyfold_domain::policy::Actor;
use keyfold_domain::problem::ProblemCode;
use keyfold_domain::secret::{Grace, Rotation};
use keyfold_domain::time::DAY_MS;
use keyfold_domain::usage::{HOUR_MS, ScopeEvidence};
use keyfold_domain::verdict::Code;
use keyfold_engine::VerifyRequest;

use crate::support::{Instance, NOW, code, from, new_key, on_both, refusal, scopes};

/// Asks for a scope of a key, or for none.
fn ask(instance: &Instance, caller: &IssuedKey, key: &IssuedKey, scope: Option<&str>) -> Code {
    let request = VerifyRequest { key: key.secret.expose(), scope, ..VerifyRequest::default() };
    instance.engine.verifier.verify(caller.secret.expose(), &request).unwrap().code
}

async fn evidence(instance: &Instance, actor: &Actor, workspace: &WorkspaceId, id: &KeyId) -> ScopeEvidence {
    instance.engine.keys.evidence(actor, workspace, id).await.unwrap()
}

/// Everything that a flush may write, as one number each.
async fn written(instance: &Instance) -> [i64; 5] {
    [
        instance.count("SELECT CAST(COALESCE(SUM(total_calls), 0) AS BIGINT) FROM keys").await,
        instance.count("SELECT CAST(COALESCE(SUM(total_calls), 0) AS BIGINT) FROM secrets").await,
        instance.count("SELECT CAST(COALESCE(SUM(count), 0) AS BIGINT) FROM key_usage").await,
        instance.count("SELECT CAST(COALESCE(SUM(count), 0) AS BIGINT) FROM scope_usage").await,
        instance.count("SELECT COUNT(*) FROM keys WHERE last_used_at IS NOT NULL").await,
    ]
}

on_both! {
    async fn a_use_is_written_by_a_flush_and_not_before(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let caller = instance.management(&ada, &acme.id, &["verify"]).await;
        let key = instance.key(&ada, &acme.id, "CI").await;
        for _ in 0..10 {
            ask(&instance, &caller, &key, Some("inference"));
            ask(&instance, &caller, &key, Some("chat"));
        }
        assert_eq!(written(&instance).await, [0; 5]);
        instance.engine.flush_usage().await.unwrap();
        // Ten uses of the key, twenty of the caller's with its scope, ten denials.
        assert_eq!(written(&instance).await, [30, 30, 40, 30, 2]);
        instance.engine.flush_usage().await.unwrap();
        assert_eq!(written(&instance).await, [30, 30, 40, 30, 2]);
    }

    async fn counts_are_exact_under_64_threads_through_rotations_and_flushes(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let first = instance.key(&ada, &acme.id, "CI").await;
        let id = first.key.id.clone();
        let threads: Vec<_> = (0..64).map(|_| {
            let (engine, secret) = (instance.engine.clone(), first.secret.expose().to_owned());
            std::thread::spawn(move || {
                for _ in 0..500 {
                    assert_eq!(engine.verifier.whoami(&secret, None).unwrap().code, Code::Valid);
                }
            })
        }).collect();
        let mut issued = Vec::new();
        for _ in 0..3 {
            let rotation = Rotation { grace: Grace::Week, version: None };
            let rotated = instance.engine.keys.rotate(&ada, &acme.id, &id, rotation, None).await.unwrap().issued;
            for _ in 0..10 {
                instance.engine.verifier.whoami(rotated.secret.expose(), None).unwrap();
            }
            issued.push(rotated);
            instance.engine.flush_usage().await.unwrap();
        }
        tokio::task::spawn_blocking(move || threads.into_iter().for_each(|thread| thread.join().unwrap())).await.unwrap();
        let shown = instance.engine.keys.get(&ada, &acme.id, &id).await.unwrap();
        assert_eq!(shown.total_calls, 32_030);
        instance.engine.flush_usage().await.unwrap();
        assert_eq!(written(&instance).await, [32_030, 32_030, 32_030, 0, 1]);
        let secrets = instance.engine.keys.secrets(&ada, &acme.id, &id).await.unwrap();
        let calls = |hint: &str| secrets.iter().find(|secret| secret.hint == hint).unwrap().total_calls;
        assert_eq!(calls(&first.key.hint), 32_000, "each secret has its own");
        assert_eq!(issued.iter().map(|issued| calls(&issued.key.hint)).sum::<i64>(), 30);
    }

    async fn what_a_flush_could_not_write_is_shown_and_written_later(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let caller = instance.management(&ada, &acme.id, &["verify"]).await;
        let key = instance.key(&ada, &acme.id, "CI").await;
        instance.sql("ALTER TABLE key_usage RENAME TO away".into()).await;
        for _ in 0..7 {
            ask(&instance, &caller, &key, Some("project"));
            ask(&instance, &caller, &key, Some("chat"));
            assert!(instance.engine.flush_usage().await.is_err());
        }
        assert_eq!(instance.engine.keys.get(&ada, &acme.id, &key.key.id).await.unwrap().total_calls, 7);
        instance.sql("ALTER TABLE away RENAME TO key_usage".into()).await;
        assert_eq!(written(&instance).await, [0; 5], "not half of it");
        instance.engine.flush_usage().await.unwrap();
        assert_eq!(written(&instance).await, [21, 21, 28, 21, 2]);
    }

    async fn calls_and_denials_are_kept_by_hour_and_summed_by_day(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let engine = &instance.engine;
        let start = NOW.plus_ms(-(NOW.as_millis() % DAY_MS));
        instance.clock.set(start);
        let caller = instance.management(&instance.sign_in("ada").await, &acme.id, &["verify"]).await;
        let key = instance.key(&ada, &acme.id, "CI").await;
        let id = &key.key.id;
        instance.clock.set(start.plus_ms(HOUR_MS - 1));
        ask(&instance, &caller, &key, None);
        instance.clock.set(start.plus_ms(HOUR_MS));
        ask(&instance, &caller, &key, None);
        ask(&instance, &caller, &key, Some("chat"));
        engine.flush_usage().await.unwrap();
        instance.clock.set(start.plus_days(2));
        ask(&instance, &caller, &key, None);
        for flushed in [false, true] {
            if flushed {
                engine.flush_usage().await.unwrap();
            }
            let hours = engine.keys.usage_by_hour(&ada, &acme.id, id, 30).await.unwrap();
            let hours: Vec<_> = hours.iter().map(|found| (found.hour.millis_since(start) / HOUR_MS, found.code, found.count)).collect();
            assert_eq!(hours, [(0, Code::Valid, 1), (1, Code::MissingScope, 1), (1, Code::Valid, 1), (48, Code::Valid, 1)]);
            let usage = engine.keys.usage(&ada, &acme.id, id, 3).await.unwrap();
            let days: Vec<_> = usage.days.iter().map(|day| (day.calls, day.denials)).collect();
            assert_eq!((days, usage.calls, usage.denials), (vec![(2, 1), (0, 0), (1, 0)], 3, 1));
            assert_eq!(engine.keys.usage(&ada, &acme.id, id, 1).await.unwrap().calls, 1);
        }
        for days in [0, 401] {
            assert_eq!(refusal(engine.keys.usage(&ada, &acme.id, id, days).await).field.as_deref(), Some("days"));
        }
    }

    async fn what_strangers_try_is_not_counted_for_a_key_they_may_not_know_of(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let (other, eve) = instance.workspace("other", "eve").await;
        let stranger = instance.management(&eve, &other.id, &["verify"]).await;
        let key = instance.key(&ada, &acme.id, "CI").await;
        assert_eq!(ask(&instance, &stranger, &key, Some("chat")), Code::NotFound);
        instance.engine.keys.deactivate(&ada, &acme.id, &key.key.id, "").await.unwrap();
        assert_eq!(ask(&instance, &stranger, &key, None), Code::NotFound);
        let usage = instance.engine.keys.usage(&ada, &acme.id, &key.key.id, 30).await.unwrap();
        assert_eq!((usage.calls, usage.denials), (0, 0));
        assert_eq!(instance.engine.verifier.whoami(key.secret.expose(), None).unwrap().code, Code::Deactivated);
        assert_eq!(instance.engine.keys.usage(&ada, &acme.id, &key.key.id, 30).await.unwrap().denials, 1, "its holder's try is");
    }

    async fn scopes_are_judged_by_what_was_asked_for_with_success(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let engine = &instance.engine;
        let caller = instance.management(&ada, &acme.id, &["verify", "members:read"]).await;
        let wide = engine.keys.create(&ada, &acme.id, new_key("wide", &["project", "chat"]), None).await.unwrap();
        let id = &wide.key.id;
        ask(&instance, &caller, &wide, None);
        instance.clock.set(NOW.plus_days(8));
        assert_eq!(evidence(&instance, &ada, &acme.id, id).await.suggestion, None, "used, but nobody asked for a scope");
        ask(&instance, &caller, &wide, Some("inference"));
        ask(&instance, &caller, &wide, Some("keys:read"));
        for flushed in [false, true] {
            if flushed {
                engine.flush_usage().await.unwrap();
            }
            let found = evidence(&instance, &ada, &acme.id, id).await;
            let listed: Vec<_> = found.scopes.iter().map(|scope| (scope.scope.as_str(), scope.held, scope.count)).collect();
            assert_eq!(listed, [("chat", true, 0), ("project", true, 0), ("inference", false, 1)]);
            assert_eq!(found.scopes[2].last_asked_at, Some(NOW.plus_days(8)));
            assert_eq!(found.suggestion, Some(scopes(&["inference"])), "what comes with project is enough");
        }
        let callers = evidence(&instance, &ada, &acme.id, &caller.key.id).await;
        assert_eq!(callers.suggestion, Some(scopes(&["verify"])));
        // Narrowed as suggested there is nothing left to suggest; widened it is too early to tell.
        let scopes_to = |names: &[&str]| KeyPatch { scopes: Some(scopes(names)), ..KeyPatch::default() };
        engine.keys.update(&ada, &acme.id, id, scopes_to(&["inference"])).await.unwrap();
        assert_eq!(evidence(&instance, &ada, &acme.id, id).await.suggestion, None);
        engine.keys.update(&ada, &acme.id, id, scopes_to(&["inference", "chat"])).await.unwrap();
        assert_eq!(evidence(&instance, &ada, &acme.id, id).await.suggestion, None);
        instance.clock.set(NOW.plus_days(15));
        assert!(evidence(&instance, &ada, &acme.id, id).await.suggestion.is_some());
        instance.clock.set(NOW.plus_days(8 + 91));
        assert_eq!(evidence(&instance, &ada, &acme.id, id).await.used(), 0, "ninety days and not for ever");
    }

    async fn the_scopes_of_a_management_key_are_those_its_acts_needed(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let engine = &instance.engine;
        let manager = instance.management(&ada, &acme.id, &["keys:write", "verify", "audit:read"]).await;
        instance.clock.set(NOW.plus_days(8));
        let acting = engine.verifier.authenticate(manager.secret.expose(), &from([192, 0, 2, 1])).unwrap();
        engine.keys.list(&acting, &acme.id, &keyfold_domain::key::KeyFilter::default()).await.unwrap();
        engine.keys.get(&acting, &acme.id, &manager.key.id).await.unwrap();
        let found = evidence(&instance, &ada, &acme.id, &manager.key.id).await;
        let asked: Vec<_> = found.scopes.iter().filter(|scope| scope.count > 0).map(|scope| (scope.scope.as_str(), scope.count)).collect();
        assert_eq!(asked, [("keys:read", 1)], "one request counts once");
        assert_eq!(found.suggestion, Some(scopes(&["keys:read"])));
        assert_eq!(code(engine.keys.create(&acting, &acme.id, new_key("wide", &["chat"]), None).await), ProblemCode::Forbidden);
    }
}

#[tokio::test]
async fn what_is_older_than_400_days_is_forgotten_in_steps() {
    let instance = Instance::open(crate::support::On::Sqlite).await.unwrap();
    let (acme, ada) = instance.workspace("acme", "ada").await;
    let key = instance.key(&ada, &acme.id, "CI").await;
    let hour = NOW.as_millis() / HOUR_MS;
    let fill = |table: &str, columns: &str, values: String| {
        format!(
            "WITH RECURSIVE n(x) AS (SELECT 0 UNION ALL SELECT x + 1 FROM n WHERE x < 4999) INSERT INTO {table} ({columns}) SELECT {values} FROM n"
        )
    };
    let hours = format!("'{}', {hour} - 400 * 24 - 5000 + x, 'valid', 1", key.key.id);
    instance.sql(fill("key_usage", "key_id, hour, code, count", hours)).await;
    let kept = format!("INSERT INTO key_usage (key_id, hour, code, count) VALUES ('{}', {hour} - 400 * 24, 'valid', 1)", key.key.id);
    instance.sql(kept).await;
    instance.engine.housekeep().await.unwrap();
    assert_eq!(instance.count("SELECT COUNT(*) FROM key_usage").await, 1);
}

#[tokio::test]
async fn ended_secrets_leave_the_memory_and_their_clients_are_forgotten_after_a_month() {
    let instance = Instance::open(crate::support::On::Sqlite).await.unwrap();
    let (acme, ada) = instance.workspace("acme", "ada").await;
    let first = instance.key(&ada, &acme.id, "CI").await;
    let rotation = Rotation { grace: Grace::Hour, version: None };
    let second = instance.engine.keys.rotate(&ada, &acme.id, &first.key.id, rotation, None).await.unwrap().issued;
    instance.engine.verifier.whoami(first.secret.expose(), None).unwrap();
    instance.engine.flush_usage().await.unwrap();
    assert_eq!(instance.engine.secrets_in_memory(), 2);
    instance.clock.advance_ms(HOUR_MS);
    instance.engine.housekeep().await.unwrap();
    assert_eq!(instance.engine.secrets_in_memory(), 1);
    // Once it has left, a clock that goes back does not bring it in again.
    instance.clock.advance_ms(-1);
    assert_eq!(instance.engine.verifier.whoami(first.secret.expose(), None).unwrap().code, Code::NotFound);
    assert_eq!(instance.engine.verifier.whoami(second.secret.expose(), None).unwrap().code, Code::Valid);
    assert_eq!(instance.engine.keys.get(&ada, &acme.id, &first.key.id).await.unwrap().total_calls, 2);
    instance.clock.advance_ms(31 * DAY_MS);
    instance.engine.housekeep().await.unwrap();
    assert_eq!(instance.count("SELECT COUNT(*) FROM secret_clients").await, 0);
    assert_eq!(instance.count("SELECT COUNT(*) FROM secrets WHERE ended").await, 1);
}
