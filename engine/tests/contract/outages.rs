//! Workspaces that want answers from a server which has lost touch with the database, beside those that do not.

use std::time::Duration;

use keyfold_domain::key::NewKey;
use keyfold_domain::problem::ProblemCode;
use keyfold_domain::verdict::Code;
use keyfold_domain::workspace::Role;
use keyfold_engine::{Client, Error, NewNode, VerifyRequest};

use crate::support::*;

on_both! {
    async fn only_the_workspace_that_asked_for_it_is_answered_from_what_was_known_last(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let (zeta, zoe) = instance.workspace("zeta", "zoe").await;
        let limits = serde_json::from_str(r#"[{"name":"daily","limit":3,"quota":"day"}]"#).unwrap();
        let lenient = instance.engine.keys.create(&ada, &acme.id, NewKey { limits, ..new_key("CI", &["chat"]) }, None).await.unwrap();
        let manager = instance.management(&ada, &acme.id, &["verify", "keys:read"]).await;
        let strict = instance.key(&zoe, &zeta.id, "strict").await;
        let policies = &instance.engine.policies;
        assert!(!policies.keeps_answering(&ada, &acme.id).await.unwrap());
        assert!(policies.keep_answering(&ada, &acme.id, true).await.unwrap());
        assert!(policies.keeps_answering(&ada, &acme.id).await.unwrap());
        assert_eq!(policies.keeping_answering(&operator()).await.unwrap(), ["acme"]);
        instance.engine.join(NewNode { name: "one".into(), staleness_budget: Duration::from_secs(5) }).await.unwrap();
        let whoami = |secret: &str| instance.engine.verifier.whoami(secret, None);
        assert_eq!(whoami(lenient.secret.expose()).unwrap().stale, None, "in touch, nothing is said");

        instance.clock.pass_ms(12_000);
        let answer = whoami(lenient.secret.expose()).unwrap();
        assert_eq!((answer.code, answer.stale), (Code::Valid, Some(12)));
        assert_eq!(whoami(lenient.secret.expose()).unwrap().code, Code::Valid);
        assert_eq!(whoami(lenient.secret.expose()).unwrap().code, Code::QuotaExceeded, "what is known still holds");
        let unavailable = |result: Result<_, Error>| matches!(result, Err(Error::Unavailable(_)));
        assert!(unavailable(whoami(strict.secret.expose())));
        for unknown in ["kf_sec_", "kf_sec_0000000000000000000000000000000000000000000000"] {
            assert!(unavailable(whoami(unknown)), "that a key is not known says nothing now");
        }
        let verify = |key: &str| {
            let request = VerifyRequest { key, ..VerifyRequest::default() };
            instance.engine.verifier.verify_batch(manager.secret.expose(), &Client::default(), &[request])
        };
        assert_eq!(verify(manager.secret.expose()).unwrap()[0].stale, Some(12));
        assert!(matches!(verify(strict.secret.expose()), Err(Error::Unavailable(_))));
        assert!(instance.engine.verifier.authenticate(manager.secret.expose(), &from([192, 0, 2, 1])).is_err(), "acts need what is so");
        let figures = instance.engine.verifier.figures();
        assert_eq!((figures.lenient_workspaces, figures.exact), (1, false));
        assert!(figures.stale_answers >= 4, "{}", figures.stale_answers);

        // Another process takes it back, and this one hears of it.
        let beside = instance.beside().await;
        beside.policies.keep_answering(&operator(), &acme.id, false).await.unwrap();
        instance.engine.sync().await.unwrap();
        assert_eq!(whoami(strict.secret.expose()).unwrap().code, Code::Valid);
        instance.clock.pass_ms(12_000);
        assert!(unavailable(whoami(lenient.secret.expose())));
        let again = keyfold_engine::testing::open(instance.database.clone(), &instance.clock, 5).await;
        if let Ok(again) = again {
            assert_eq!(again.verifier.figures().lenient_workspaces, 0);
        }
    }

    async fn only_an_owner_with_a_fresh_password_asks_for_it_and_it_is_recorded(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let boss = instance.member(&acme.id, "grace", Role::Admin).await;
        let (_, zoe) = instance.workspace("zeta", "zoe").await;
        let policies = &instance.engine.policies;
        assert_eq!(code(policies.keep_answering(&boss, &acme.id, true).await), ProblemCode::Forbidden);
        assert_eq!(code(policies.keep_answering(&zoe, &acme.id, true).await), ProblemCode::NotFound);
        assert_eq!(code(policies.keeps_answering(&zoe, &acme.id).await), ProblemCode::NotFound);
        assert_eq!(code(policies.keeping_answering(&ada).await), ProblemCode::Forbidden);
        instance.clock.advance_ms(11 * 60_000);
        assert_eq!(code(policies.keep_answering(&ada, &acme.id, true).await), ProblemCode::StepUpRequired);
        let ada = instance.sign_in("ada").await;
        assert!(policies.keep_answering(&ada, &acme.id, true).await.unwrap());
        let last = "SELECT COUNT(*) FROM audit_events WHERE action = 'outage_rule.change' AND body LIKE '%\"keep_answering\":true%'";
        assert_eq!(instance.count(last).await, 1);
    }
}
