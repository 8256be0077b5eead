//! The workspace's own scopes, and management keys bounded by their owner.

use keyfold_domain::catalogue::{NewScope, Scope, ScopePatch};
use keyfold_domain::ids::{KeyId, WorkspaceId};
use keyfold_domain::key::{KeyFilter, KeyPatch, NewKey};
use keyfold_domain::policy::Actor;
use keyfold_domain::problem::ProblemCode;
use keyfold_domain::resource::ResourceFilter;
use keyfold_domain::scope::KeyKind;
use keyfold_domain::verdict::Code;
use keyfold_domain::workspace::Role;
use keyfold_engine::VerifyRequest;

use crate::support::{Instance, code, from, new_key, on_both, operator, refusal, scopes};

fn new_scope(name: &str, implies: &[&str], public: bool) -> NewScope {
    NewScope { name: name.into(), description: format!("About {name}."), implies: scopes(implies), public }
}

async fn scope(instance: &Instance, workspace: &WorkspaceId, name: &str, implies: &[&str], public: bool) -> Scope {
    instance.engine.scopes.create(&operator(), workspace, new_scope(name, implies, public)).await.unwrap()
}

fn implying(names: &[&str]) -> ScopePatch {
    ScopePatch { implies: Some(scopes(names)), ..ScopePatch::default() }
}

async fn verdict(instance: &Instance, asking: &str, secret: &str, scope: &str) -> Code {
    let request = VerifyRequest { key: secret, scope: Some(scope), ..VerifyRequest::default() };
    instance.engine.verifier.verify(asking, &request).unwrap().code
}

async fn verifier(instance: &Instance, actor: &Actor, workspace: &WorkspaceId) -> String {
    instance.management(actor, workspace, &["verify"]).await.secret.expose().to_owned()
}

on_both! {
    async fn an_own_scope_is_added_listed_changed_and_deleted(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let engine = &instance.engine.scopes;
        let made = engine.create(&ada, &acme.id, new_scope("reports:read", &["chat"], false)).await.unwrap();
        assert_eq!((made.name.as_str(), made.description.as_str(), made.is_built_in()), ("reports:read", "About reports:read.", false));
        assert_eq!(engine.get(&ada, &acme.id, "reports:read").await.unwrap(), made);
        let all = engine.catalogue(&ada, &acme.id).await.unwrap();
        let names: Vec<&str> = all.iter().map(|scope| scope.name.as_str()).collect();
        assert_eq!((names.len(), names[0], names[8]), (9, "project", "reports:read"));
        let again = refusal(engine.create(&ada, &acme.id, new_scope("reports:read", &[], false)).await);
        assert_eq!((again.code, again.field.as_deref()), (ProblemCode::Conflict, Some("name")));
        let patch = ScopePatch { description: Some(" Read reports. ".into()), public: None, implies: Some(scopes(&["inference"])) };
        let changed = engine.update(&ada, &acme.id, "reports:read", patch).await.unwrap();
        assert_eq!((changed.description.as_str(), changed.implies.to_string().as_str(), changed.public), ("Read reports.", "inference", false));
        assert_eq!(changed.created_at, made.created_at);
        assert_eq!(engine.get(&ada, &acme.id, "reports:read").await.unwrap(), changed);
        engine.delete(&ada, &acme.id, "reports:read", false).await.unwrap();
        for gone in [
            code(engine.get(&ada, &acme.id, "reports:read").await),
            code(engine.update(&ada, &acme.id, "reports:read", ScopePatch::default()).await),
            code(engine.delete(&ada, &acme.id, "reports:read", true).await),
        ] {
            assert_eq!(gone, ProblemCode::NotFound);
        }
        assert_eq!(instance.engine.audit.verify_chains(&operator()).await.unwrap().broken, None);
    }

    async fn a_built_in_scope_stays_as_it_is(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let engine = &instance.engine.scopes;
        for name in ["project", "chat", "keys:write", "verify"] {
            assert_eq!(refusal(engine.create(&ada, &acme.id, new_scope(name, &[], true)).await).field.as_deref(), Some("name"));
            assert_eq!(code(engine.update(&ada, &acme.id, name, implying(&["chat"])).await), ProblemCode::Conflict);
            assert_eq!(code(engine.delete(&ada, &acme.id, name, true).await), ProblemCode::Conflict);
            assert!(engine.get(&ada, &acme.id, name).await.unwrap().is_built_in());
        }
    }

    async fn what_a_scope_may_imply_is_bounded(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let engine = &instance.engine.scopes;
        scope(&instance, &acme.id, "a", &[], false).await;
        scope(&instance, &acme.id, "b", &["a"], false).await;
        for (name, implies, public) in [
            ("c", &["keys:write"][..], false), ("c", &["verify"], false), ("c", &["none"], false), ("c", &["c"], false),
            ("c", &["chat"], true), ("c", &["a"], true),
        ] {
            let refused = refusal(engine.create(&ada, &acme.id, new_scope(name, implies, public)).await);
            assert_eq!((refused.code, refused.field.as_deref()), (ProblemCode::Invalid, Some("implies")), "{implies:?}");
        }
        for name in ["", "A", "1a", "a b", "é"] {
            assert_eq!(refusal(engine.create(&ada, &acme.id, new_scope(name, &[], false)).await).field.as_deref(), Some("name"));
        }
        let long = NewScope { description: "x".repeat(201), ..new_scope("d", &[], false) };
        assert_eq!(refusal(engine.create(&ada, &acme.id, long).await).field.as_deref(), Some("description"));
        for circle in [implying(&["b"]), implying(&["a"])] {
            assert_eq!(refusal(engine.update(&ada, &acme.id, "a", circle).await).field.as_deref(), Some("implies"));
        }
        // Another workspace's scope is none of ours.
        let (other, eve) = instance.workspace("other", "eve").await;
        assert_eq!(refusal(engine.create(&eve, &other.id, new_scope("c", &["a"], false)).await).field.as_deref(), Some("implies"));
        assert_eq!(code(engine.get(&eve, &other.id, "a").await), ProblemCode::NotFound);
        assert_eq!(code(engine.catalogue(&eve, &acme.id).await), ProblemCode::NotFound);
    }

    async fn members_read_scopes_and_only_admins_change_them_and_no_key_does(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let linus = instance.member(&acme.id, "linus", Role::Member).await;
        scope(&instance, &acme.id, "a", &[], false).await;
        let manager = instance.management(&ada, &acme.id, &["keys:write", "project", "a"]).await;
        let acting = instance.engine.verifier.authenticate(manager.secret.expose(), &from([192, 0, 2, 1])).unwrap();
        let engine = &instance.engine.scopes;
        for actor in [&linus, &acting] {
            assert_eq!(engine.catalogue(actor, &acme.id).await.unwrap().own().count(), 1);
            for refused in [
                code(engine.create(actor, &acme.id, new_scope("b", &[], false)).await),
                // It would give itself the scope chat.
                code(engine.update(actor, &acme.id, "a", implying(&["chat"])).await),
                code(engine.delete(actor, &acme.id, "a", true).await),
                code(engine.holders(actor, &acme.id, "a").await),
            ] {
                assert_eq!(refused, ProblemCode::Forbidden);
            }
        }
        assert!(engine.get(&ada, &acme.id, "a").await.unwrap().implies.is_empty());
    }

    async fn what_an_own_scope_implies_is_in_force_at_the_next_question(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let asking = verifier(&instance, &ada, &acme.id).await;
        scope(&instance, &acme.id, "train", &["project"], false).await;
        scope(&instance, &acme.id, "lab", &["train"], false).await;
        let engine = &instance.engine;
        let key = engine.keys.create(&ada, &acme.id, new_key("CI", &["lab"]), None).await.unwrap();
        let secret = key.secret.expose();
        let all = async |expected: &[(&str, Code)]| {
            for (scope, code) in expected {
                assert_eq!(verdict(&instance, &asking, secret, scope).await, *code, "{scope}");
            }
        };
        let (yes, no) = (Code::Valid, Code::MissingScope);
        all(&[("lab", yes), ("train", yes), ("project", yes), ("inference", yes), ("chat", no)]).await;
        engine.scopes.update(&ada, &acme.id, "train", implying(&["chat"])).await.unwrap();
        all(&[("lab", yes), ("train", yes), ("project", no), ("inference", no), ("chat", yes)]).await;
        // Beside the server, and in one that starts.
        let beside = instance.beside().await;
        beside.scopes.update(&operator(), &acme.id, "lab", implying(&[])).await.unwrap();
        engine.sync().await.unwrap();
        all(&[("lab", yes), ("train", no), ("chat", no)]).await;
        beside.scopes.update(&operator(), &acme.id, "lab", implying(&["inference"])).await.unwrap();
        let third = instance.beside().await;
        assert!(third.verifier.whoami(secret, None).unwrap().key.unwrap().effective().contains("inference"));
        third.close().await;
        beside.close().await;
    }

    async fn a_scope_in_use_is_deleted_only_with_its_keys_named(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let asking = verifier(&instance, &ada, &acme.id).await;
        scope(&instance, &acme.id, "re_ports", &[], false).await;
        scope(&instance, &acme.id, "rexports", &[], false).await;
        let engine = &instance.engine;
        let keep = engine.keys.create(&ada, &acme.id, new_key("keep", &["chat", "re_ports", "rexports"]), None).await.unwrap();
        let other = engine.keys.create(&ada, &acme.id, new_key("other", &["rexports"]), None).await.unwrap();
        let only = engine.keys.create(&ada, &acme.id, new_key("only", &["re_ports"]), None).await.unwrap();
        let gone = engine.keys.create(&ada, &acme.id, new_key("gone", &["re_ports"]), None).await.unwrap();
        engine.keys.delete(&ada, &acme.id, &gone.key.id).await.unwrap();
        let holders = engine.scopes.holders(&ada, &acme.id, "re_ports").await.unwrap();
        assert_eq!((holders.count, holders.stopped, holders.to_string().as_str()), (2, 1, "only and keep"));
        // Not even with a confirmation while a key would be left without any.
        for confirmed in [false, true] {
            let refused = refusal(engine.scopes.delete(&ada, &acme.id, "re_ports", confirmed).await);
            assert_eq!((refused.code, refused.field.as_deref()), (ProblemCode::Conflict, Some("remove_from_keys")));
            assert!(refused.message.contains("only"), "{}", refused.message);
        }
        engine.keys.update(&ada, &acme.id, &only.key.id, KeyPatch { scopes: Some(scopes(&["chat", "re_ports"])), ..KeyPatch::default() }).await.unwrap();
        let refused = refusal(engine.scopes.delete(&ada, &acme.id, "re_ports", false).await);
        assert!(refused.message.contains("keep and only"), "{}", refused.message);
        assert_eq!(verdict(&instance, &asking, keep.secret.expose(), "re_ports").await, Code::Valid);

        assert_eq!(engine.scopes.delete(&ada, &acme.id, "re_ports", true).await.unwrap().count, 2);
        let now = async |id: &KeyId| engine.keys.get(&ada, &acme.id, id).await.unwrap();
        assert_eq!((now(&keep.key.id).await.scopes, now(&keep.key.id).await.version), (scopes(&["chat", "rexports"]), 2));
        assert_eq!(now(&only.key.id).await.scopes, scopes(&["chat"]));
        assert_eq!(now(&other.key.id).await, other.key, "a name that only looks alike is another scope");
        assert_eq!(verdict(&instance, &asking, keep.secret.expose(), "re_ports").await, Code::MissingScope);
        assert_eq!(verdict(&instance, &asking, keep.secret.expose(), "rexports").await, Code::Valid);
        let unknown = refusal(engine.keys.create(&ada, &acme.id, new_key("x", &["re_ports"]), None).await);
        assert_eq!((unknown.code, unknown.field.as_deref()), (ProblemCode::Invalid, Some("scopes")));
    }

    async fn a_scope_that_another_one_includes_is_not_deleted(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        scope(&instance, &acme.id, "a", &[], false).await;
        scope(&instance, &acme.id, "b", &["a"], false).await;
        let engine = &instance.engine.scopes;
        let refused = refusal(engine.delete(&ada, &acme.id, "a", true).await);
        assert!(refused.code == ProblemCode::Conflict && refused.message.contains("scope b"), "{}", refused.message);
        engine.delete(&ada, &acme.id, "b", false).await.unwrap();
        engine.delete(&ada, &acme.id, "a", false).await.unwrap();
    }

    async fn a_publishable_key_only_ever_holds_public_scopes(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let asking = verifier(&instance, &ada, &acme.id).await;
        scope(&instance, &acme.id, "shop", &["inference"], true).await;
        scope(&instance, &acme.id, "secret.thing", &[], false).await;
        let engine = &instance.engine;
        let publishable = |names: &[&str]| NewKey { kind: KeyKind::Publishable, ..new_key("Web", names) };
        for wrong in [&["secret.thing"][..], &["shop", "secret.thing"], &["chat"]] {
            assert_eq!(refusal(engine.keys.create(&ada, &acme.id, publishable(wrong), None).await).field.as_deref(), Some("scopes"));
        }
        let key = engine.keys.create(&ada, &acme.id, publishable(&["shop"]), None).await.unwrap();
        let widen = KeyPatch { scopes: Some(scopes(&["shop", "secret.thing"])), ..KeyPatch::default() };
        assert_eq!(refusal(engine.keys.update(&ada, &acme.id, &key.key.id, widen).await).field.as_deref(), Some("scopes"));
        let hide = ScopePatch { public: Some(false), ..ScopePatch::default() };
        let refused = refusal(engine.scopes.update(&ada, &acme.id, "shop", hide.clone()).await);
        assert_eq!((refused.code, refused.field.as_deref()), (ProblemCode::Conflict, Some("public")));
        assert!(refused.message.contains("Web"), "{}", refused.message);
        // Nor does it come to one by what its scope implies.
        for implied in ["secret.thing", "chat"] {
            let refused = refusal(engine.scopes.update(&ada, &acme.id, "shop", implying(&["inference", implied])).await);
            assert_eq!(refused.field.as_deref(), Some("implies"));
            assert_eq!(verdict(&instance, &asking, key.secret.expose(), implied).await, Code::MissingScope);
        }
        // A scope that others hold may become private once no publishable key has it.
        engine.keys.create(&ada, &acme.id, new_key("server", &["shop"]), None).await.unwrap();
        engine.keys.delete(&ada, &acme.id, &key.key.id).await.unwrap();
        assert!(!engine.scopes.update(&ada, &acme.id, "shop", hide).await.unwrap().public);
    }

    async fn a_management_key_gives_own_scopes_that_it_holds_and_no_others(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        scope(&instance, &acme.id, "a", &[], false).await;
        scope(&instance, &acme.id, "b", &["a", "chat"], false).await;
        scope(&instance, &acme.id, "c", &[], false).await;
        let manager = instance.management(&ada, &acme.id, &["keys:write", "b"]).await;
        let engine = &instance.engine;
        let acting = engine.verifier.authenticate(manager.secret.expose(), &from([192, 0, 2, 1])).unwrap();
        assert!(engine.keys.create(&acting, &acme.id, new_key("x", &["a", "b", "chat"]), None).await.is_ok());
        assert_eq!(code(engine.keys.create(&acting, &acme.id, new_key("x", &["c"]), None).await), ProblemCode::Forbidden);
        // What is lost by a change of the catalogue is lost for giving, too.
        engine.scopes.update(&ada, &acme.id, "b", implying(&["a"])).await.unwrap();
        let acting = engine.verifier.authenticate(manager.secret.expose(), &from([192, 0, 2, 1])).unwrap();
        assert_eq!(code(engine.keys.create(&acting, &acme.id, new_key("x", &["chat"]), None).await), ProblemCode::Forbidden);
    }

    // PRODUCT 3, S11: at every call `min(scopes, owner's role)`.
    async fn a_management_key_is_bounded_by_its_scopes_and_its_owners_present_role(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let grace = instance.member(&acme.id, "grace", Role::Admin).await;
        let grace_id = grace.user().unwrap().id.clone();
        let adas = instance.key(&ada, &acme.id, "ada's").await.key.id;
        let graces = instance.key(&grace, &acme.id, "grace's").await.key.id;
        let reader = instance.management(&grace, &acme.id, &["keys:read"]).await;
        let writer = instance.management(&grace, &acme.id, &["keys:write", "chat"]).await;
        let asker = instance.management(&grace, &acme.id, &["verify"]).await;
        let engine = &instance.engine;
        let rename = || KeyPatch { name: Some("renamed".into()), ..KeyPatch::default() };
        let outcome = |result: Result<(), keyfold_engine::Error>| result.err().map(|error| error.problem().code);
        let (forbidden, hidden) = (Some(ProblemCode::Forbidden), Some(ProblemCode::NotFound));
        // For each role: reads ada's key, reads grace's, lists resources, changes ada's, changes grace's, makes one, activates
        // grace's, asks for a verdict.
        for (role, expected) in [
            (Role::Admin, [None; 8]),
            (Role::Member, [hidden, None, None, hidden, None, None, forbidden, None]),
            (Role::Viewer, [hidden, None, None, hidden, forbidden, forbidden, forbidden, forbidden]),
        ] {
            engine.members.add(&operator(), &acme.id, &grace_id, role).await.unwrap();
            let acting = |secret: &str| engine.verifier.authenticate(secret, &from([192, 0, 2, 1])).unwrap();
            let (read, write) = (acting(reader.secret.expose()), acting(writer.secret.expose()));
            let request = VerifyRequest { key: reader.secret.expose(), ..VerifyRequest::default() };
            let found = [
                outcome(engine.keys.get(&read, &acme.id, &adas).await.map(drop)),
                outcome(engine.keys.get(&read, &acme.id, &graces).await.map(drop)),
                outcome(engine.resources.list(&read, &acme.id, &ResourceFilter::default()).await.map(drop)),
                outcome(engine.keys.update(&write, &acme.id, &adas, rename()).await.map(drop)),
                outcome(engine.keys.update(&write, &acme.id, &graces, rename()).await.map(drop)),
                outcome(engine.keys.create(&write, &acme.id, new_key("made", &["chat"]), None).await.map(drop)),
                outcome(engine.keys.activate(&write, &acme.id, &graces).await.map(drop)),
                outcome(engine.verifier.verify(asker.secret.expose(), &request).map(drop)),
            ];
            assert_eq!(found, expected, "{role:?}");
            let seen = engine.keys.list(&read, &acme.id, &KeyFilter::default()).await.unwrap().items;
            assert_eq!(seen.iter().any(|key| key.id == adas), role == Role::Admin, "{role:?}");
            // The scope alone: the reader changes nothing, the asker reads nothing, whatever the role is.
            assert_eq!(outcome(engine.keys.update(&read, &acme.id, &graces, rename()).await.map(drop)), forbidden);
            let ask = acting(asker.secret.expose());
            assert_eq!(outcome(engine.keys.list(&ask, &acme.id, &KeyFilter::default()).await.map(drop)), forbidden);
            assert!(engine.verifier.verify(writer.secret.expose(), &request).is_err());
        }
    }
}
