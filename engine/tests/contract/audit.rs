//! The audit chains: every act has its event, and no tampering goes unseen.

use keyfold_domain::key::KeyPatch;
use keyfold_domain::problem::ProblemCode;

use crate::support::{Instance, code, new_key, on_both, operator, scopes};

/// A workspace with a handful of events in its chain.
async fn chain(instance: &Instance) -> String {
    let (acme, ada) = instance.workspace("acme", "ada").await;
    for at in 0..4 {
        let key = instance.key(&ada, &acme.id, &format!("k{at}")).await.key;
        let patch = KeyPatch { scopes: Some(scopes(&["inference"])), ..KeyPatch::default() };
        instance.engine.keys.update(&ada, &acme.id, &key.id, patch).await.unwrap();
    }
    acme.id.to_string()
}

async fn why(instance: &Instance) -> Option<(i64, String)> {
    let report = instance.engine.audit.verify_chains(&operator()).await.unwrap();
    report.broken.map(|broken| (broken.seq, broken.why))
}

on_both! {
    async fn an_untouched_log_holds_and_only_the_instances_people_may_check_it(instance) {
        let (_, ada) = instance.workspace("acme", "ada").await;
        let report = instance.engine.audit.verify_chains(&operator()).await.unwrap();
        assert_eq!(report.broken, None);
        assert_eq!(report.chains, 2);
        assert!(report.events >= 3);
        assert_eq!(code(instance.engine.audit.verify_chains(&ada).await), ProblemCode::Forbidden);
    }

    async fn a_changed_event_is_named(instance) {
        let ws = chain(&instance).await;
        instance.sql(format!("UPDATE audit_events SET body = replace(body, 'ada', 'eve') WHERE chain = '{ws}' AND seq = 3")).await;
        assert_eq!(why(&instance).await.unwrap().0, 3);
    }

    async fn a_changed_column_beside_the_event_is_named(instance) {
        let ws = chain(&instance).await;
        instance.sql(format!("UPDATE audit_events SET action = 'key.read' WHERE chain = '{ws}' AND seq = 4")).await;
        assert_eq!(why(&instance).await.unwrap().0, 4);
    }

    async fn a_removed_event_is_named(instance) {
        let ws = chain(&instance).await;
        instance.sql(format!("DELETE FROM audit_events WHERE chain = '{ws}' AND seq = 5")).await;
        assert_eq!(why(&instance).await.unwrap().0, 5);
    }

    async fn a_cut_tail_is_named(instance) {
        let ws = chain(&instance).await;
        instance.sql(format!("DELETE FROM audit_events WHERE chain = '{ws}' AND seq >= 8")).await;
        assert_eq!(why(&instance).await.unwrap().0, 8);
    }

    async fn swapped_events_are_named(instance) {
        let ws = chain(&instance).await;
        for (from, to) in [(2, 1002), (3, 2), (1002, 3)] {
            instance.sql(format!("UPDATE audit_events SET seq = {to} WHERE chain = '{ws}' AND seq = {from}")).await;
        }
        assert_eq!(why(&instance).await.unwrap().0, 2);
    }

    async fn an_inserted_event_is_named(instance) {
        let ws = chain(&instance).await;
        instance.sql(format!(
            "INSERT INTO audit_events (chain, seq, body, mac, at, action, actor, object)
             SELECT chain, 10, body, mac, at, action, actor, object FROM audit_events WHERE chain = '{ws}' AND seq = 9"
        )).await;
        instance.sql(format!("UPDATE audit_chains SET seq = 10 WHERE chain = '{ws}'")).await;
        assert_eq!(why(&instance).await.unwrap().0, 10);
    }

    async fn a_removed_head_is_seen(instance) {
        let ws = chain(&instance).await;
        instance.sql(format!("DELETE FROM audit_chains WHERE chain = '{ws}'")).await;
        assert!(why(&instance).await.unwrap().1.contains("head"));
    }

    async fn without_its_audit_event_nothing_is_done(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let key = instance.key(&ada, &acme.id, "CI").await;
        instance.sql("ALTER TABLE audit_events RENAME TO gone".into()).await;
        assert!(instance.engine.keys.create(&ada, &acme.id, new_key("no", &["chat"]), None).await.is_err());
        assert!(instance.engine.keys.delete(&ada, &acme.id, &key.key.id).await.is_err());
        instance.sql("ALTER TABLE gone RENAME TO audit_events".into()).await;
        assert_eq!(instance.engine.keys.list(&ada, &acme.id, &keyfold_domain::key::KeyFilter::default()).await.unwrap().items.len(), 1);
        assert!(instance.engine.verifier.whoami(key.secret.expose(), None).unwrap().key.is_some());
        assert_eq!(why(&instance).await, None);
    }

    async fn what_was_refused_is_in_the_log(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let reader = instance.management(&ada, &acme.id, &["keys:read"]).await;
        let reader = instance.engine.verifier.authenticate(reader.secret.expose(), &crate::support::from([192, 0, 2, 1])).unwrap();
        let before = instance.engine.audit.verify_chains(&operator()).await.unwrap().events;
        assert_eq!(code(instance.engine.keys.create(&reader, &acme.id, new_key("no", &["chat"]), None).await), ProblemCode::Forbidden);
        let report = instance.engine.audit.verify_chains(&operator()).await.unwrap();
        assert_eq!((report.events, report.broken), (before + 1, None));
    }
}
