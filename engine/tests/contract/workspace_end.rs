//! The end of a workspace: its keys, its people, and what stays of it.

use keyfold_domain::audit::AuditFilter;
use keyfold_domain::key::{KeyFilter, StateFilter};
use keyfold_domain::member::NewInvitation;
use keyfold_domain::problem::ProblemCode;
use keyfold_domain::user::PeopleFilter;
use keyfold_domain::verdict::Code;
use keyfold_domain::workspace::{NewWorkspace, Role, WorkspaceEnd};

use crate::support::{code, from, id_of, on_both, operator, refusal, scopes};

on_both! {
    async fn the_keys_of_a_deleted_workspace_stop_at_once_and_its_record_stays(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let (zeta, eve) = instance.workspace("zeta", "eve").await;
        let linus = instance.member(&acme.id, "linus", Role::Member).await;
        let root = instance.user("root", true).await;
        let root = instance.sign_in(&root.username).await;
        let engine = &instance.engine;
        let (first, second) = (instance.key(&ada, &acme.id, "first").await, instance.key(&linus, &acme.id, "second").await);
        let gone = instance.key(&ada, &acme.id, "gone").await;
        engine.keys.delete(&ada, &acme.id, &gone.key.id).await.unwrap();
        let elsewhere = instance.key(&eve, &zeta.id, "elsewhere").await;
        let invited = engine.invitations.create(&ada, &acme.id, NewInvitation { role: Role::Member, label: String::new() }).await.unwrap();
        assert_eq!([&first, &second, &elsewhere].map(|key| instance.verdict(key)), [Code::Valid; 3]);

        let ended = engine.workspaces.delete(&root, "acme", " acme ").await.unwrap();
        assert_eq!(ended, WorkspaceEnd { id: acme.id.clone(), slug: "acme".into(), stopped_keys: 2, members: 2 });
        assert_eq!([&first, &second, &elsewhere].map(|key| instance.verdict(key)), [Code::NotFound, Code::NotFound, Code::Valid]);
        assert_eq!(engine.keys_in_memory(), 1);

        // Nobody finds it any more, by whatever name and whoever they are.
        for name in ["acme", acme.id.as_str()] {
            for actor in [&ada, &linus, &root, &operator()] {
                assert_eq!(code(engine.workspaces.get(actor, name).await), ProblemCode::NotFound);
            }
            assert_eq!(code(engine.workspaces.delete(&root, name, "acme").await), ProblemCode::NotFound);
        }
        assert_eq!(code(engine.members.add(&root, &acme.id, &id_of(&ada), Role::Owner).await), ProblemCode::NotFound);
        assert!(engine.invitations.look(&from([192, 0, 2, 9]), invited.token.expose()).await.is_err());
        let listed = engine.workspaces.list_all(&root, &PeopleFilter::default()).await.unwrap().items;
        assert_eq!(listed.iter().map(|workspace| workspace.slug.as_str()).collect::<Vec<_>>(), ["zeta"]);
        assert_eq!(engine.workspaces.list(&root).await.unwrap().len(), 1);
        let again = NewWorkspace { slug: "acme".into(), name: "Another".into() };
        assert_eq!(refusal(engine.workspaces.create(&root, again, &id_of(&ada)).await).field.as_deref(), Some("slug"));

        // Its keys stay on record, and so does its log, which begins nowhere else and holds.
        let filter = KeyFilter { state: StateFilter::Deleted, ..KeyFilter::default() };
        let kept = engine.keys.list_all(&root, &filter).await.unwrap().items;
        assert_eq!(kept.len(), 3);
        assert_eq!(kept.iter().filter(|placed| placed.key.stopped_by.as_deref() == Some("root")).count(), 2);
        let log = engine.workspaces.find_log(&root, "acme").await.unwrap();
        assert_eq!(log.id, acme.id);
        assert_eq!(code(engine.workspaces.find_log(&ada, "acme").await), ProblemCode::NotFound);
        let events = engine.audit.list(&root, Some(&acme.id), &AuditFilter::default()).await.unwrap().items;
        assert_eq!((events[0].action.as_str(), events[0].actor.name.as_str()), ("workspace.delete", "root"));
        let on_instance = AuditFilter { action: "workspace.delete".into(), ..AuditFilter::default() };
        assert_eq!(engine.audit.list(&root, None, &on_instance).await.unwrap().items[0].object, acme.id.as_str());
        assert_eq!(engine.audit.verify_chains(&operator()).await.unwrap().broken, None);
    }

    async fn a_deleted_workspace_stays_deleted_for_whoever_reads_the_change_log_later(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let key = instance.key(&ada, &acme.id, "CI").await;
        let beside = instance.beside().await;
        beside.workspaces.delete(&operator(), "acme", "acme").await.unwrap();
        instance.engine.sync().await.unwrap();
        assert_eq!(instance.verdict(&key), Code::NotFound);
        instance.sql("DELETE FROM changes".into()).await;
        instance.engine.sync().await.unwrap();
        assert_eq!((instance.verdict(&key), instance.engine.keys_in_memory()), (Code::NotFound, 0));
        beside.close().await;
    }

    async fn deleting_a_workspace_wants_an_administrator_the_short_name_and_a_fresh_password(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let root = instance.user("root", true).await;
        let root = instance.sign_in(&root.username).await;
        let key = instance.key(&ada, &acme.id, "CI").await;
        let workspaces = &instance.engine.workspaces;
        assert_eq!(code(workspaces.delete(&ada, "acme", "acme").await), ProblemCode::Forbidden);
        for wrong in ["", "ACME", "acm", "CI"] {
            let refused = refusal(workspaces.delete(&root, "acme", wrong).await);
            assert_eq!(refused.field.as_deref(), Some("confirmation"));
            assert!(refused.message.contains("1 key at once"), "{}", refused.message);
        }
        instance.clock.advance_ms(600_000);
        assert_eq!(code(workspaces.delete(&root, "acme", "acme").await), ProblemCode::StepUpRequired);
        let patch = keyfold_domain::key::KeyPatch { scopes: Some(scopes(&["chat"])), ..Default::default() };
        assert!(instance.engine.keys.update(&ada, &acme.id, &key.key.id, patch).await.is_ok());
        assert_eq!(instance.verdict(&key), Code::Valid);
    }
}
