//! Resources, and keys that are tied to them.

use keyfold_domain::ids::{ResourceId, UserId, WorkspaceId};
use keyfold_domain::key::{KeyFilter, KeyPatch, KeyState, NewKey};
use keyfold_domain::policy::{Actor, Principal};
use keyfold_domain::problem::ProblemCode;
use keyfold_domain::resource::{NewResource, ResourceDetail, ResourceFilter, ResourceName, ResourcePatch};
use keyfold_domain::scope::KeyKind;
use keyfold_domain::verdict::{Code, ResourceRef};
use keyfold_domain::workspace::Role;
use keyfold_engine::VerifyRequest;

use crate::support::{Instance, code, from, new_key, on_both, operator, refusal, scopes};

fn id_of(actor: &Actor) -> UserId {
    actor.user().unwrap().id.clone()
}

fn collection(external_id: &str, owner: &Actor) -> NewResource {
    NewResource { kind: "collection".into(), external_id: external_id.into(), name: String::new(), owner: Some(id_of(owner)) }
}

async fn resource(instance: &Instance, workspace: &WorkspaceId, external_id: &str, owner: &Actor) -> ResourceDetail {
    instance.engine.resources.create(&operator(), workspace, collection(external_id, owner)).await.unwrap()
}

fn named(names: &[&str]) -> Vec<ResourceName> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

/// A key that is tied to those.
fn tied(name: &str, resources: &[&str]) -> NewKey {
    NewKey { resources: named(resources), ..new_key(name, &["chat"]) }
}

fn retied(resources: &[&str]) -> KeyPatch {
    KeyPatch { resources: Some(named(resources)), ..KeyPatch::default() }
}

/// What verify answers to a question with the scope `chat`, on that resource if one is named.
async fn verdict(instance: &Instance, asking: &str, secret: &str, resource: Option<&str>) -> Code {
    let resource: Option<ResourceRef> = resource.map(|text| text.parse().unwrap());
    let request = VerifyRequest { key: secret, scope: Some("chat"), resource: resource.as_ref(), ..VerifyRequest::default() };
    instance.engine.verifier.verify(asking, &request).unwrap().code
}

async fn verifier(instance: &Instance, actor: &Actor, workspace: &WorkspaceId) -> String {
    instance.management(actor, workspace, &["verify"]).await.secret.expose().to_owned()
}

async fn list(instance: &Instance, actor: &Actor, workspace: &WorkspaceId, filter: ResourceFilter) -> Vec<String> {
    let page = instance.engine.resources.list(actor, workspace, &filter).await.unwrap();
    page.items.into_iter().map(|resource| resource.external_id).collect()
}

on_both! {
    async fn a_resource_is_added_listed_renamed_and_deleted_and_its_name_is_free_again(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let engine = &instance.engine;
        let new = NewResource { name: " Contracts ".into(), ..collection(" contracts ", &ada) };
        let made = engine.resources.create(&ada, &acme.id, new.clone()).await.unwrap();
        assert_eq!((made.kind.as_str(), made.external_id.as_str(), made.name.as_str(), made.keys), ("collection", "contracts", "Contracts", 0));
        assert_eq!(made.owner.id, id_of(&ada));
        assert_eq!(engine.resources.get(&ada, &acme.id, &made.id).await.unwrap(), made);
        let taken = refusal(engine.resources.create(&ada, &acme.id, new.clone()).await);
        assert_eq!((taken.code, taken.field.as_deref()), (ProblemCode::Conflict, Some("external_id")));
        let patch = ResourcePatch { name: Some("Deeds".into()), owner: None };
        let renamed = engine.resources.update(&ada, &acme.id, &made.id, patch).await.unwrap();
        assert_eq!((renamed.name.as_str(), &renamed.owner), ("Deeds", &made.owner));
        let empty = ResourcePatch { name: Some(" ".into()), owner: None };
        assert_eq!(refusal(engine.resources.update(&ada, &acme.id, &made.id, empty).await).field.as_deref(), Some("name"));
        engine.resources.delete(&ada, &acme.id, &made.id, false).await.unwrap();
        assert_eq!(code(engine.resources.get(&ada, &acme.id, &made.id).await), ProblemCode::NotFound);
        assert_eq!(code(engine.resources.delete(&ada, &acme.id, &made.id, true).await), ProblemCode::NotFound);
        assert!(list(&instance, &ada, &acme.id, ResourceFilter::default()).await.is_empty());
        assert_ne!(engine.resources.create(&ada, &acme.id, new).await.unwrap().id, made.id);
        let report = engine.audit.verify_chains(&operator()).await.unwrap();
        assert_eq!(report.broken, None);
    }

    async fn resources_are_paged_searched_and_filtered(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let linus = instance.member(&acme.id, "linus", Role::Member).await;
        for (external_id, owner) in [("delta", &ada), ("Alpha_1", &linus), ("charlie", &ada), ("bravo", &linus), ("50%", &ada)] {
            resource(&instance, &acme.id, external_id, owner).await;
        }
        let project = NewResource { kind: "project".into(), name: "Ärger".into(), ..collection("p1", &ada) };
        instance.engine.resources.create(&operator(), &acme.id, project).await.unwrap();
        let all = ["50%", "Alpha_1", "bravo", "charlie", "delta", "p1"];
        assert_eq!(list(&instance, &ada, &acme.id, ResourceFilter::default()).await, all);
        for limit in 1..=6 {
            let mut filter = ResourceFilter { limit, ..ResourceFilter::default() };
            let mut seen = Vec::new();
            loop {
                let page = instance.engine.resources.list(&ada, &acme.id, &filter).await.unwrap();
                assert!(page.items.len() <= usize::try_from(limit).unwrap());
                seen.extend(page.items.into_iter().map(|resource| resource.external_id));
                let Some(next) = page.next else { break };
                filter.cursor = Some(next);
            }
            assert_eq!(seen, all, "{limit}");
        }
        for (search, found) in [("ALPHA", vec!["Alpha_1"]), ("_", vec!["Alpha_1"]), ("%", vec!["50%"]), ("ärg", vec!["p1"]), ("zz", vec![])] {
            let filter = ResourceFilter { search: search.into(), ..ResourceFilter::default() };
            assert_eq!(list(&instance, &ada, &acme.id, filter).await, found, "{search}");
        }
        let projects = ResourceFilter { kind: "project".into(), ..ResourceFilter::default() };
        assert_eq!(list(&instance, &ada, &acme.id, projects).await, ["p1"]);
        let of_linus = ResourceFilter { owner: Some(id_of(&linus)), ..ResourceFilter::default() };
        assert_eq!(list(&instance, &ada, &acme.id, of_linus).await, ["Alpha_1", "bravo"]);
        assert_eq!(instance.engine.resources.kinds(&ada, &acme.id).await.unwrap(), ["collection", "project"]);
        for wrong in [
            ResourceFilter { limit: 0, ..ResourceFilter::default() },
            ResourceFilter { search: "\u{0}".into(), ..ResourceFilter::default() },
            ResourceFilter { kind: "\u{0}".into(), ..ResourceFilter::default() },
            ResourceFilter { cursor: Some("x".into()), ..ResourceFilter::default() },
        ] {
            assert_eq!(code(instance.engine.resources.list(&ada, &acme.id, &wrong).await), ProblemCode::Invalid);
        }
    }

    async fn members_see_their_own_resources_and_only_admins_manage_them(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let (other, eve) = instance.workspace("other", "eve").await;
        let linus = instance.member(&acme.id, "linus", Role::Member).await;
        let hers = resource(&instance, &acme.id, "hers", &ada).await;
        let his = resource(&instance, &acme.id, "his", &linus).await;
        let theirs = resource(&instance, &other.id, "theirs", &eve).await;
        let resources = &instance.engine.resources;
        assert_eq!(list(&instance, &linus, &acme.id, ResourceFilter::default()).await, ["his"]);
        let of_ada = ResourceFilter { owner: Some(id_of(&ada)), ..ResourceFilter::default() };
        assert!(list(&instance, &linus, &acme.id, of_ada).await.is_empty());
        assert_eq!(resources.get(&linus, &acme.id, &his.id).await.unwrap(), his);
        let absent: ResourceId = "res_0000000000000000000000".parse().unwrap();
        let missing = refusal(resources.get(&linus, &acme.id, &absent).await);
        assert_eq!(refusal(resources.get(&linus, &acme.id, &hers.id).await), missing);
        assert_eq!(refusal(resources.get(&ada, &acme.id, &theirs.id).await), missing);
        assert_eq!(refusal(resources.delete(&ada, &acme.id, &theirs.id, true).await), missing);
        assert_eq!(refusal(resources.list(&eve, &acme.id, &ResourceFilter::default()).await), missing);
        for refused in [
            code(resources.create(&linus, &acme.id, collection("mine", &linus)).await),
            code(resources.update(&linus, &acme.id, &his.id, ResourcePatch::default()).await),
            code(resources.delete(&linus, &acme.id, &his.id, true).await),
            code(resources.keys_tied(&linus, &acme.id, &his.id).await),
        ] {
            assert_eq!(refused, ProblemCode::Forbidden);
        }
        let stranger = collection("x", &eve);
        assert_eq!(refusal(resources.create(&ada, &acme.id, stranger).await).field.as_deref(), Some("owner"));
        let give = ResourcePatch { owner: Some(id_of(&eve)), name: None };
        assert_eq!(refusal(resources.update(&ada, &acme.id, &hers.id, give).await).field.as_deref(), Some("owner"));
        assert_eq!(resources.get(&ada, &acme.id, &hers.id).await.unwrap(), hers);
    }

    async fn a_tied_key_works_on_its_resources_alone_from_the_next_question_on(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let asking = verifier(&instance, &ada, &acme.id).await;
        let contracts = resource(&instance, &acme.id, "contracts", &ada).await;
        resource(&instance, &acme.id, "invoices", &ada).await;
        let keys = &instance.engine.keys;
        let new = tied("CI", &["collection:invoices", contracts.id.as_str(), "collection:contracts"]);
        let issued = keys.create(&ada, &acme.id, new, None).await.unwrap();
        let refs: Vec<String> = issued.key.resources.iter().map(|tie| format!("{}:{}", tie.kind, tie.external_id)).collect();
        assert_eq!(refs, ["collection:contracts", "collection:invoices"], "sorted, and each once");
        assert_eq!(keys.get(&ada, &acme.id, &issued.key.id).await.unwrap(), issued.key);
        assert_eq!(instance.engine.resources.get(&ada, &acme.id, &contracts.id).await.unwrap().keys, 1);
        let secret = issued.secret.expose();
        let ask = async |resource| verdict(&instance, &asking, secret, resource).await;
        assert_eq!(ask(Some("collection:contracts")).await, Code::Valid);
        assert_eq!(ask(Some("collection:invoices")).await, Code::Valid);
        assert_eq!(ask(Some("collection:other")).await, Code::WrongResource);
        assert_eq!(ask(Some("project:contracts")).await, Code::WrongResource);
        let told = instance.engine.verifier.whoami(secret, None).unwrap().key.unwrap();
        assert_eq!(told.resources().unwrap().iter().map(ToString::to_string).collect::<Vec<_>>(), refs);

        let changed = keys.update(&ada, &acme.id, &issued.key.id, retied(&["collection:invoices"])).await.unwrap();
        assert_eq!((changed.resources.len(), changed.version), (1, 2));
        assert_eq!(ask(Some("collection:contracts")).await, Code::WrongResource);
        // Absent leaves it alone, empty makes it global.
        let named = KeyPatch { name: Some("CI 2".into()), ..KeyPatch::default() };
        assert_eq!(keys.update(&ada, &acme.id, &issued.key.id, named).await.unwrap().resources.len(), 1);
        assert_eq!(ask(Some("collection:contracts")).await, Code::WrongResource);
        assert!(keys.update(&ada, &acme.id, &issued.key.id, retied(&[])).await.unwrap().resources.is_empty());
        assert_eq!(ask(Some("collection:contracts")).await, Code::Valid);
        assert_eq!(ask(Some("anything:else")).await, Code::Valid);
    }

    async fn a_stale_or_refused_change_of_ties_changes_none(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        resource(&instance, &acme.id, "a", &ada).await;
        resource(&instance, &acme.id, "b", &ada).await;
        let keys = &instance.engine.keys;
        let key = keys.create(&ada, &acme.id, tied("CI", &["collection:a"]), None).await.unwrap().key;
        let stale = KeyPatch { version: Some(7), ..retied(&["collection:b"]) };
        assert_eq!(code(keys.update(&ada, &acme.id, &key.id, stale).await), ProblemCode::Conflict);
        let half = KeyPatch { name: Some("\u{202e}".into()), ..retied(&["collection:b"]) };
        assert_eq!(refusal(keys.update(&ada, &acme.id, &key.id, half).await).field.as_deref(), Some("name"));
        let unknown = refusal(keys.update(&ada, &acme.id, &key.id, retied(&["collection:b", "collection:none"])).await);
        assert_eq!((unknown.code, unknown.field.as_deref()), (ProblemCode::Invalid, Some("resources")));
        assert_eq!(keys.get(&ada, &acme.id, &key.id).await.unwrap(), key);
    }

    async fn a_key_that_is_tied_only_to_deleted_resources_is_never_global(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let asking = verifier(&instance, &ada, &acme.id).await;
        let (a, b) = (resource(&instance, &acme.id, "a", &ada).await, resource(&instance, &acme.id, "b", &ada).await);
        let engine = &instance.engine;
        let both = engine.keys.create(&ada, &acme.id, tied("both", &["collection:a", "collection:b"]), None).await.unwrap();
        let only = engine.keys.create(&ada, &acme.id, tied("only", &["collection:a"]), None).await.unwrap();
        let gone = engine.keys.create(&ada, &acme.id, tied("gone", &["collection:a"]), None).await.unwrap();
        engine.keys.delete(&ada, &acme.id, &gone.key.id).await.unwrap();

        let concerned = engine.resources.keys_tied(&ada, &acme.id, &a.id).await.unwrap();
        assert_eq!((concerned.count, concerned.stopped, concerned.to_string().as_str()), (2, 1, "only and both"));
        let refused = refusal(engine.resources.delete(&ada, &acme.id, &a.id, false).await);
        assert_eq!((refused.code, refused.field.as_deref()), (ProblemCode::Conflict, Some("confirm")));
        assert!(refused.message.contains("only and both") && refused.message.contains("1 of them"), "{}", refused.message);
        assert_eq!(verdict(&instance, &asking, only.secret.expose(), Some("collection:a")).await, Code::Valid);

        assert_eq!(engine.resources.delete(&ada, &acme.id, &a.id, true).await.unwrap(), concerned);
        for asked in [Some("collection:a"), Some("collection:b"), Some("collection:c"), None] {
            assert_eq!(verdict(&instance, &asking, only.secret.expose(), asked).await, Code::WrongResource, "{asked:?}");
        }
        assert_eq!(verdict(&instance, &asking, both.secret.expose(), Some("collection:a")).await, Code::WrongResource);
        assert_eq!(verdict(&instance, &asking, both.secret.expose(), Some("collection:b")).await, Code::Valid);
        let shown = engine.keys.get(&ada, &acme.id, &only.key.id).await.unwrap();
        assert!(shown.resources.len() == 1 && shown.resources[0].deleted && shown.state == KeyState::Active);

        // One of the same name is another one: the key does not come back to life through it.
        resource(&instance, &acme.id, "a", &ada).await;
        assert_eq!(verdict(&instance, &asking, only.secret.expose(), Some("collection:a")).await, Code::WrongResource);
        // A change of something else keeps the tie; only somebody who says so unties it.
        let patch = KeyPatch { name: Some("still".into()), scopes: Some(scopes(&["chat", "inference"])), ..KeyPatch::default() };
        assert_eq!(engine.keys.update(&ada, &acme.id, &only.key.id, patch).await.unwrap().resources, shown.resources);
        let kept = KeyPatch { resources: Some(vec![shown.resources[0].id.clone().into()]), ..KeyPatch::default() };
        assert_eq!(engine.keys.update(&ada, &acme.id, &only.key.id, kept).await.unwrap().resources, shown.resources);
        assert_eq!(verdict(&instance, &asking, only.secret.expose(), None).await, Code::WrongResource);
        engine.resources.delete(&ada, &acme.id, &b.id, true).await.unwrap();
        assert_eq!(verdict(&instance, &asking, both.secret.expose(), None).await, Code::WrongResource);
        // So does a restart, which reads everything anew.
        let beside = instance.beside().await;
        let request = VerifyRequest { key: only.secret.expose(), ..VerifyRequest::default() };
        assert_eq!(beside.verifier.verify(&asking, &request).unwrap().code, Code::WrongResource);
        beside.close().await;
        engine.keys.update(&ada, &acme.id, &only.key.id, retied(&["collection:a"])).await.unwrap();
        assert_eq!(verdict(&instance, &asking, only.secret.expose(), Some("collection:a")).await, Code::Valid);
    }

    async fn foreign_absent_and_somebody_elses_resources_are_refused_in_the_same_words(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let (other, eve) = instance.workspace("other", "eve").await;
        let linus = instance.member(&acme.id, "linus", Role::Member).await;
        let hers = resource(&instance, &acme.id, "hers", &ada).await;
        resource(&instance, &acme.id, "his", &linus).await;
        let foreign = resource(&instance, &other.id, "foreign", &eve).await;
        let keys = &instance.engine.keys;
        let key = keys.create(&linus, &acme.id, tied("his", &["collection:his"]), None).await.unwrap().key;
        let absent = "res_0000000000000000000000";
        let words = |text: &str, name: &str| text.replace(name, "NAME");
        let expected = refusal(keys.create(&linus, &acme.id, tied("x", &[absent]), None).await);
        assert_eq!((expected.code, expected.field.as_deref()), (ProblemCode::Invalid, Some("resources")));
        for name in [hers.id.as_str(), foreign.id.as_str(), "collection:hers", "collection:foreign", "collection:none"] {
            for override_owner in [false, true] {
                let new = NewKey { override_owner, ..tied("x", &[name]) };
                let patch = KeyPatch { override_owner, ..retied(&["collection:his", name]) };
                for problem in [
                    refusal(keys.create(&linus, &acme.id, new, None).await),
                    refusal(keys.update(&linus, &acme.id, &key.id, patch).await),
                ] {
                    assert_eq!(words(&problem.message, name), words(&expected.message, absent), "{name}");
                    assert_eq!((problem.code, problem.field), (expected.code, expected.field.clone()));
                }
            }
        }
        let foreign_to_admin = refusal(keys.create(&ada, &acme.id, tied("x", &[foreign.id.as_str()]), None).await);
        let absent_to_admin = refusal(keys.create(&ada, &acme.id, tied("x", &[absent]), None).await);
        assert_eq!(words(&foreign_to_admin.message, foreign.id.as_str()), words(&absent_to_admin.message, absent));
    }

    async fn an_admin_may_tie_a_key_to_what_is_not_its_owners_and_has_to_say_so(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let linus = instance.member(&acme.id, "linus", Role::Member).await;
        let hers = resource(&instance, &acme.id, "hers", &ada).await;
        let keys = &instance.engine.keys;
        let new = NewKey { owner: Some(id_of(&linus)), ..tied("for linus", &["collection:hers"]) };
        let refused = refusal(keys.create(&ada, &acme.id, new.clone(), None).await);
        assert_eq!(refused.field.as_deref(), Some("resources"));
        let made = keys.create(&ada, &acme.id, NewKey { override_owner: true, ..new }, None).await.unwrap().key;
        assert_eq!(made.resources.len(), 1);
        // What it is tied to may stay when its owner changes something else about its ties.
        let kept = keys.update(&linus, &acme.id, &made.id, retied(&[hers.id.as_str()])).await.unwrap();
        assert_eq!(kept.resources, made.resources);
        // Once given up it is out of the owner's reach.
        keys.update(&linus, &acme.id, &made.id, retied(&[])).await.unwrap();
        assert_eq!(refusal(keys.update(&linus, &acme.id, &made.id, retied(&["collection:hers"])).await).field.as_deref(), Some("resources"));
        // A resource that changes hands leaves the keys alone that have it.
        let tied_again = KeyPatch { override_owner: true, ..retied(&["collection:hers"]) };
        keys.update(&ada, &acme.id, &made.id, tied_again).await.unwrap();
        let give = ResourcePatch { owner: Some(id_of(&linus)), name: None };
        instance.engine.resources.update(&ada, &acme.id, &hers.id, give).await.unwrap();
        assert_eq!(keys.get(&linus, &acme.id, &made.id).await.unwrap().resources.len(), 1);
        assert!(keys.create(&linus, &acme.id, tied("own now", &["collection:hers"]), None).await.is_ok());
    }

    async fn a_tied_management_key_gives_no_more_than_it_is_tied_to_and_makes_nothing_global(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        resource(&instance, &acme.id, "a", &ada).await;
        let b = resource(&instance, &acme.id, "b", &ada).await;
        let engine = &instance.engine;
        let new = NewKey { kind: KeyKind::Management, scopes: scopes(&["keys:write", "chat"]), ..tied("manager", &["collection:a"]) };
        let manager = engine.keys.create(&ada, &acme.id, new, None).await.unwrap();
        let acting = engine.verifier.authenticate(manager.secret.expose(), &from([192, 0, 2, 1])).unwrap();
        let Principal::Key(key) = &acting.principal else { panic!("a key acts as a key") };
        assert_eq!(key.resources.as_ref().unwrap().len(), 1);
        let keys = &engine.keys;
        let made = keys.create(&acting, &acme.id, tied("made", &["collection:a"]), None).await.unwrap().key;
        for beyond in [&[][..], &["collection:b"], &["collection:a", "collection:b"]] {
            assert_eq!(code(keys.create(&acting, &acme.id, tied("beyond", beyond), None).await), ProblemCode::Forbidden, "{beyond:?}");
            assert_eq!(code(keys.update(&acting, &acme.id, &made.id, retied(beyond)).await), ProblemCode::Forbidden, "{beyond:?}");
        }
        // More scopes on a key that reaches further than itself would be more than it has, too.
        let global = keys.create(&ada, &acme.id, new_key("global", &["inference"]), None).await.unwrap().key;
        let widen = KeyPatch { scopes: Some(scopes(&["chat"])), ..KeyPatch::default() };
        assert_eq!(code(keys.update(&acting, &acme.id, &global.id, widen.clone()).await), ProblemCode::Forbidden);
        assert!(keys.update(&acting, &acme.id, &made.id, widen).await.is_ok());
        assert_eq!(code(engine.resources.delete(&acting, &acme.id, &b.id, true).await), ProblemCode::Forbidden);
        assert_eq!(keys.get(&ada, &acme.id, &global.id).await.unwrap(), global);
    }

    async fn making_a_tied_key_global_is_a_widening_that_takes_its_scopes(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        resource(&instance, &acme.id, "a", &ada).await;
        resource(&instance, &acme.id, "b", &ada).await;
        let engine = &instance.engine;
        let made = engine.keys.create(&ada, &acme.id, tied("tied", &["collection:a", "collection:b"]), None).await.unwrap().key;
        // It may write keys and reaches everything, but cannot chat: what it hands out must not chat further than before.
        let manager = instance.management(&ada, &acme.id, &["keys:write"]).await;
        let acting = engine.verifier.authenticate(manager.secret.expose(), &from([192, 0, 2, 1])).unwrap();
        assert_eq!(code(engine.keys.update(&acting, &acme.id, &made.id, retied(&[])).await), ProblemCode::Forbidden);
        let narrowed = engine.keys.update(&acting, &acme.id, &made.id, retied(&["collection:a"])).await.unwrap();
        assert_eq!(narrowed.resources.len(), 1);
        assert_eq!(code(engine.keys.update(&acting, &acme.id, &made.id, retied(&["collection:b"])).await), ProblemCode::Forbidden);
        let wider = instance.management(&ada, &acme.id, &["keys:write", "chat"]).await;
        let acting = engine.verifier.authenticate(wider.secret.expose(), &from([192, 0, 2, 1])).unwrap();
        assert!(engine.keys.update(&acting, &acme.id, &made.id, retied(&[])).await.unwrap().resources.is_empty());
    }

    async fn keys_are_listed_by_what_they_are_tied_to(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let a = resource(&instance, &acme.id, "a", &ada).await;
        resource(&instance, &acme.id, "b", &ada).await;
        for (name, ties) in [("one", &["collection:a"][..]), ("two", &["collection:a", "collection:b"]), ("all", &[])] {
            instance.engine.keys.create(&ada, &acme.id, tied(name, ties), None).await.unwrap();
        }
        let names = async |resource: &str| {
            let filter = KeyFilter { resource: resource.into(), descending: false, limit: 1, ..KeyFilter::default() };
            let first = instance.engine.keys.list(&ada, &acme.id, &filter).await.unwrap();
            let mut names: Vec<String> = first.items.into_iter().map(|key| key.name).collect();
            if let Some(cursor) = first.next {
                let rest = KeyFilter { cursor: Some(cursor), limit: 50, ..filter };
                let rest = instance.engine.keys.list(&ada, &acme.id, &rest).await.unwrap();
                names.extend(rest.items.into_iter().map(|key| key.name));
            }
            names.sort();
            names
        };
        assert_eq!(names("collection:a").await, ["one", "two"]);
        assert_eq!(names(a.id.as_str()).await, ["one", "two"]);
        assert_eq!(names("collection:b").await, ["two"]);
        assert!(names("collection:none").await.is_empty());
        instance.engine.resources.delete(&ada, &acme.id, &a.id, true).await.unwrap();
        assert!(names("collection:a").await.is_empty(), "a name means what exists");
        assert_eq!(names(a.id.as_str()).await, ["one", "two"]);
    }

    async fn a_running_server_follows_what_the_command_line_ties_and_deletes(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let asking = verifier(&instance, &ada, &acme.id).await;
        let a = resource(&instance, &acme.id, "a", &ada).await;
        let beside = instance.beside().await;
        let owner = Some(id_of(&ada));
        let made = beside.keys.create(&operator(), &acme.id, NewKey { owner, ..tied("cli", &["collection:a"]) }, None).await.unwrap();
        instance.engine.sync().await.unwrap();
        assert_eq!(verdict(&instance, &asking, made.secret.expose(), Some("collection:a")).await, Code::Valid);
        assert_eq!(verdict(&instance, &asking, made.secret.expose(), Some("collection:b")).await, Code::WrongResource);
        beside.resources.delete(&operator(), &acme.id, &a.id, true).await.unwrap();
        instance.engine.sync().await.unwrap();
        assert_eq!(verdict(&instance, &asking, made.secret.expose(), None).await, Code::WrongResource);
        beside.close().await;
    }
}
