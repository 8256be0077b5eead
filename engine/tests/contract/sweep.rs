//! What time brings about is put into the audit log once, by one of several nodes.

use keyfold_domain::audit::{AuditEvent, AuditFilter, Shown};
use keyfold_domain::ids::WorkspaceId;
use keyfold_domain::key::{Expiry, Inactivity, KeyPatch, NewKey};
use keyfold_engine::Swept;

use crate::support::{Instance, NOW, new_key, on_both, operator};

const DAY: i64 = 86_400_000;
/// Uses may be on their way to the database for so long.
const GRACE: i64 = 10_000;

async fn events(instance: &Instance, workspace: &WorkspaceId, action: &str) -> Vec<AuditEvent> {
    let filter = AuditFilter { action: action.into(), limit: 200, ..AuditFilter::default() };
    instance.engine.audit.list(&operator(), Some(workspace), &filter).await.unwrap().items
}

fn swept(expired: usize, dormant: usize) -> Swept {
    Swept { expired, dormant, expiring: 0 }
}

fn told(expiring: usize) -> Swept {
    Swept { expiring, ..swept(0, 0) }
}

/// How many days before the end the events tell of it, the newest first.
async fn marks(instance: &Instance, workspace: &WorkspaceId) -> Vec<String> {
    let days = |event: AuditEvent| match event.changes.into_iter().find(|change| change.field == "days_before")?.after {
        Some(Shown::Text(days)) => Some(days),
        _ => None,
    };
    events(instance, workspace, "key.expiring").await.into_iter().filter_map(days).collect()
}

on_both! {
    async fn that_an_end_comes_near_is_told_once_at_each_mark(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let engine = &instance.engine;
        let make = async |name: &str, days: u32| {
            let new = NewKey { expires_at: Expiry::InDays(days), ..new_key(name, &["chat"]) };
            engine.keys.create(&ada, &acme.id, new, None).await.unwrap().key
        };
        let key = make("long", 30).await;
        let (_short, stopped, gone) = (make("short", 3).await, make("stopped", 30).await, make("gone", 30).await);
        engine.keys.deactivate(&ada, &acme.id, &stopped.id, "").await.unwrap();
        engine.keys.delete(&ada, &acme.id, &gone.id).await.unwrap();
        instance.clock.advance_ms(2 * DAY - 1);
        assert_eq!(engine.sweep().await.unwrap(), told(0), "a key made for three days is not told of fourteen days before its end");
        instance.clock.advance_ms(1);
        assert_eq!(engine.sweep().await.unwrap(), told(1));
        instance.clock.advance_ms(14 * DAY - 1);
        assert_eq!(engine.sweep().await.unwrap(), swept(1, 0));
        instance.clock.advance_ms(1);
        assert_eq!(engine.sweep().await.unwrap(), told(1));
        assert_eq!(engine.sweep().await.unwrap(), told(0));
        let told_of = events(&instance, &acme.id, "key.expiring").await;
        assert_eq!(told_of[0].object, key.id.as_str());
        assert_eq!(told_of[0].changes[1].after, Some(Shown::Moment(NOW.plus_days(30))));
        // Nobody looked for ten days: only the nearest mark is told.
        instance.clock.advance_ms(13 * DAY);
        assert_eq!(engine.sweep().await.unwrap(), told(1));
        assert_eq!(marks(&instance, &acme.id).await, ["1", "14", "1"]);
        // Another end is another coming end.
        let longer = KeyPatch { expires_at: Some(Expiry::InDays(6)), ..KeyPatch::default() };
        engine.keys.update(&ada, &acme.id, &key.id, longer).await.unwrap();
        assert_eq!(engine.sweep().await.unwrap(), told(1));
        assert_eq!(engine.sweep().await.unwrap(), told(0));
        assert_eq!(marks(&instance, &acme.id).await, ["7", "1", "14", "1"]);
        // Somebody who starts a stopped key again is told as well.
        engine.keys.activate(&ada, &acme.id, &stopped.id).await.unwrap();
        assert_eq!(engine.sweep().await.unwrap(), told(1));
        assert_eq!(engine.audit.verify_chains(&operator()).await.unwrap().broken, None);
    }

    async fn an_end_is_recorded_once_and_again_after_the_key_was_extended(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let engine = &instance.engine;
        let new = NewKey { expires_at: Expiry::InDays(1), ..new_key("short", &["chat"]) };
        let key = engine.keys.create(&ada, &acme.id, new, None).await.unwrap().key;
        instance.key(&ada, &acme.id, "long").await;
        instance.clock.advance_ms(DAY - 1);
        assert_eq!(engine.sweep().await.unwrap(), swept(0, 0));
        instance.clock.advance_ms(1);
        assert_eq!(engine.sweep().await.unwrap(), swept(1, 0));
        assert_eq!(engine.sweep().await.unwrap(), swept(0, 0));
        let found = events(&instance, &acme.id, "key.expired").await;
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].object.as_str(), found[0].object_name.as_deref()), (key.id.as_str(), Some("short")));
        assert_eq!((found[0].actor.kind.as_str(), found[0].actor.name.as_str()), ("system", "Keyfold"));
        assert_eq!(found[0].changes[0].after, Some(Shown::Moment(NOW.plus_days(1))));

        let longer = KeyPatch { expires_at: Some(Expiry::InDays(1)), ..KeyPatch::default() };
        engine.keys.update(&ada, &acme.id, &key.id, longer).await.unwrap();
        assert_eq!(engine.sweep().await.unwrap(), told(1));
        instance.clock.advance_ms(DAY);
        assert_eq!(engine.sweep().await.unwrap(), swept(1, 0));
        assert_eq!(events(&instance, &acme.id, "key.expired").await.len(), 2);
        assert_eq!(engine.audit.verify_chains(&operator()).await.unwrap().broken, None);
    }

    async fn a_key_that_falls_dormant_is_recorded_once_for_each_time_it_does(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let engine = &instance.engine;
        let make = async |name: &str| {
            let new = NewKey { expires_at: Expiry::Never, inactivity_days: Inactivity::Days(2), ..new_key(name, &["chat"]) };
            engine.keys.create(&ada, &acme.id, new, None).await.unwrap()
        };
        let (idle, used, stopped) = (make("idle").await, make("used").await, make("stopped").await);
        engine.keys.deactivate(&ada, &acme.id, &stopped.key.id, "").await.unwrap();
        instance.clock.advance_ms(DAY);
        engine.verifier.whoami(used.secret.expose(), None).unwrap();
        engine.flush_usage().await.unwrap();
        instance.clock.advance_ms(DAY + GRACE - 1);
        assert_eq!(engine.sweep().await.unwrap(), swept(0, 0));
        instance.clock.advance_ms(1);
        assert_eq!(engine.sweep().await.unwrap(), swept(0, 1));
        assert_eq!(engine.sweep().await.unwrap(), swept(0, 0));
        assert_eq!(events(&instance, &acme.id, "key.dormant").await[0].object, idle.key.id.as_str());
        // An administrator wakes it; two days later it sleeps again, as the other one does by then.
        engine.keys.activate(&ada, &acme.id, &idle.key.id).await.unwrap();
        instance.clock.advance_ms(2 * DAY + GRACE);
        assert_eq!(engine.sweep().await.unwrap(), swept(0, 2));
        assert_eq!(events(&instance, &acme.id, "key.dormant").await.len(), 3);
    }

    async fn several_nodes_record_each_key_once(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let (zeta, zoe) = instance.workspace("zeta", "zoe").await;
        for at in 0..30 {
            let new = || NewKey { expires_at: Expiry::InDays(1), ..new_key(&format!("k{at}"), &["chat"]) };
            instance.engine.keys.create(&ada, &acme.id, new(), None).await.unwrap();
            instance.engine.keys.create(&zoe, &zeta.id, new(), None).await.unwrap();
        }
        let beside = instance.beside().await;
        instance.clock.advance_ms(DAY);
        let (one, other, third) = tokio::join!(instance.engine.sweep(), beside.sweep(), instance.engine.sweep());
        assert_eq!(one.unwrap().expired + other.unwrap().expired + third.unwrap().expired, 60);
        for workspace in [&acme.id, &zeta.id] {
            let mut objects: Vec<_> = events(&instance, workspace, "key.expired").await.into_iter().map(|event| event.object).collect();
            assert_eq!(objects.len(), 30);
            objects.sort();
            objects.dedup();
            assert_eq!(objects.len(), 30);
        }
        beside.close().await;
    }

    async fn more_than_one_batch_is_recorded_in_one_sweep(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let inactivity_days = Inactivity::Days(1);
        for at in 0..130 {
            let new = NewKey { expires_at: Expiry::InDays(2), inactivity_days, ..new_key(&format!("k{at}"), &["chat"]) };
            instance.engine.keys.create(&ada, &acme.id, new, None).await.unwrap();
        }
        instance.clock.advance_ms(DAY + GRACE);
        assert_eq!(instance.engine.sweep().await.unwrap(), Swept { expiring: 130, ..swept(0, 130) });
        instance.clock.advance_ms(DAY);
        assert_eq!(instance.engine.sweep().await.unwrap(), swept(130, 0));
    }
}
