//! Members: who may change whose place, and what a change does to keys.

use keyfold_domain::policy::Actor;
use keyfold_domain::problem::ProblemCode;
use keyfold_domain::user::PeopleFilter;
use keyfold_domain::verdict::Code;
use keyfold_domain::workspace::{NewWorkspace, Role};

use crate::support::{Instance, NOW, code, id_of, on_both, operator, refusal};
use keyfold_domain::ids::WorkspaceId;

async fn roles(instance: &Instance, workspace: &WorkspaceId) -> Vec<(String, Role)> {
    let page = instance.engine.members.list(&operator(), workspace, &PeopleFilter::default()).await.unwrap();
    page.items.into_iter().map(|member| (member.user.username, member.role)).collect()
}

/// The actor as they are now, after their places changed.
async fn again(instance: &Instance, actor: &Actor) -> Actor {
    instance.sign_in(&actor.user().unwrap().username).await
}

on_both! {
    async fn members_are_listed_with_role_and_number_of_keys_by_page_and_search(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        instance.workspace("other", "eve").await;
        let linus = instance.member(&acme.id, "linus", Role::Member).await;
        instance.member(&acme.id, "vera", Role::Viewer).await;
        instance.key(&linus, &acme.id, "one").await;
        let gone = instance.key(&linus, &acme.id, "two").await;
        instance.engine.keys.delete(&linus, &acme.id, &gone.key.id).await.unwrap();
        let list = |filter: PeopleFilter| {
            let (members, acme, ada) = (instance.engine.members.clone(), acme.id.clone(), ada.clone());
            async move { members.list(&ada, &acme, &filter).await.unwrap() }
        };
        let all = list(PeopleFilter::default()).await;
        let seen: Vec<_> = all.items.iter().map(|member| (member.user.username.as_str(), member.role, member.live_keys)).collect();
        assert_eq!(seen, [("ada", Role::Owner, 0), ("linus", Role::Member, 1), ("vera", Role::Viewer, 0)]);
        assert_eq!((all.items[1].since, all.items[1].active, all.next), (NOW, true, None));
        let first = list(PeopleFilter { limit: 2, ..PeopleFilter::default() }).await;
        assert_eq!((first.items.len(), first.next.as_deref()), (2, Some("linus")));
        let rest = list(PeopleFilter { limit: 2, cursor: first.next, ..PeopleFilter::default() }).await;
        assert_eq!((rest.items.len(), rest.next), (1, None));
        assert_eq!(list(PeopleFilter { search: "LIN".into(), ..PeopleFilter::default() }).await.items.len(), 1);
        assert_eq!(list(PeopleFilter { search: "%".into(), ..PeopleFilter::default() }).await.items.len(), 0);
        for (field, filter) in [
            ("limit", PeopleFilter { limit: 0, ..PeopleFilter::default() }),
            ("search", PeopleFilter { search: "\0".into(), ..PeopleFilter::default() }),
            ("cursor", PeopleFilter { cursor: Some("\0".into()), ..PeopleFilter::default() }),
        ] {
            assert_eq!(refusal(instance.engine.members.list(&ada, &acme.id, &filter).await).field.as_deref(), Some(field));
        }
    }

    async fn only_those_who_manage_a_workspace_see_and_change_its_members(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let (_, eve) = instance.workspace("other", "eve").await;
        let linus = instance.member(&acme.id, "linus", Role::Member).await;
        let vera = instance.member(&acme.id, "vera", Role::Viewer).await;
        let members = &instance.engine.members;
        for (actor, expected) in [(&eve, ProblemCode::NotFound), (&linus, ProblemCode::Forbidden), (&vera, ProblemCode::Forbidden)] {
            assert_eq!(code(members.list(actor, &acme.id, &PeopleFilter::default()).await), expected);
            assert_eq!(code(members.update(actor, &acme.id, &id_of(&ada), Role::Viewer).await), expected);
            assert_eq!(code(members.remove(actor, &acme.id, &id_of(&ada)).await), expected);
            assert_eq!(code(members.departure(actor, &acme.id, &id_of(&ada)).await), expected);
        }
        // Somebody of another workspace is nobody here.
        for outsider in [id_of(&eve), "usr_0000000000000000000000".parse().unwrap()] {
            assert_eq!(code(members.update(&ada, &acme.id, &outsider, Role::Member).await), ProblemCode::NotFound);
            assert_eq!(code(members.remove(&ada, &acme.id, &outsider).await), ProblemCode::NotFound);
            assert_eq!(code(members.departure(&ada, &acme.id, &outsider).await), ProblemCode::NotFound);
        }
        assert_eq!(roles(&instance, &acme.id).await.len(), 3);
    }

    async fn nobody_hands_out_or_takes_away_more_than_they_are(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let grace = instance.member(&acme.id, "grace", Role::Admin).await;
        let linus = instance.member(&acme.id, "linus", Role::Member).await;
        let members = &instance.engine.members;
        assert_eq!(code(members.update(&grace, &acme.id, &id_of(&ada), Role::Admin).await), ProblemCode::Forbidden);
        assert_eq!(code(members.add(&grace, &acme.id, &id_of(&ada), Role::Viewer).await), ProblemCode::Forbidden, "not by adding them anew");
        assert_eq!(code(members.remove(&grace, &acme.id, &id_of(&ada)).await), ProblemCode::Forbidden);
        assert_eq!(code(members.update(&grace, &acme.id, &id_of(&linus), Role::Owner).await), ProblemCode::Forbidden);
        assert_eq!(code(members.update(&grace, &acme.id, &id_of(&grace), Role::Owner).await), ProblemCode::Forbidden);
        assert_eq!(members.update(&grace, &acme.id, &id_of(&linus), Role::Admin).await.unwrap().role, Role::Admin);
        assert_eq!(members.update(&ada, &acme.id, &id_of(&linus), Role::Owner).await.unwrap().role, Role::Owner);
    }

    async fn the_last_owner_stays_unless_an_instance_administrator_says_otherwise(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        instance.user("root", true).await;
        let root = instance.sign_in("root").await;
        let members = &instance.engine.members;
        assert_eq!(refusal(members.update(&ada, &acme.id, &id_of(&ada), Role::Admin).await).field.as_deref(), Some("role"));
        assert_eq!(code(members.remove(&ada, &acme.id, &id_of(&ada)).await), ProblemCode::Conflict);
        let bob = instance.member(&acme.id, "bob", Role::Owner).await;
        members.update(&ada, &acme.id, &id_of(&ada), Role::Admin).await.unwrap();
        assert_eq!(code(members.remove(&bob, &acme.id, &id_of(&bob)).await), ProblemCode::Conflict);
        members.update(&root, &acme.id, &id_of(&bob), Role::Member).await.unwrap();
        members.remove(&operator(), &acme.id, &id_of(&ada)).await.unwrap();
        assert_eq!(roles(&instance, &acme.id).await, [("bob".to_owned(), Role::Member)]);
    }

    async fn of_two_owners_who_leave_at_once_one_stays(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let bob = instance.member(&acme.id, "bob", Role::Owner).await;
        let leave = |who: Actor| {
            let (members, acme) = (instance.engine.members.clone(), acme.id.clone());
            tokio::spawn(async move { members.remove(&who, &acme, &id_of(&who)).await.is_ok() })
        };
        let (first, second) = (leave(ada), leave(bob));
        assert_eq!(u32::from(first.await.unwrap()) + u32::from(second.await.unwrap()), 1);
        assert_eq!(roles(&instance, &acme.id).await.len(), 1);
    }

    async fn a_viewer_may_leave_and_a_key_may_change_nobody(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let vera = instance.member(&acme.id, "vera", Role::Viewer).await;
        let members = &instance.engine.members;
        let issued = instance.management(&ada, &acme.id, &["members:read", "keys:write"]).await;
        let key = instance.engine.verifier.authenticate(issued.secret.expose(), &crate::support::from([192, 0, 2, 1])).unwrap();
        assert_eq!(members.list(&key, &acme.id, &PeopleFilter::default()).await.unwrap().items.len(), 2);
        for refused in [
            code(members.remove(&key, &acme.id, &id_of(&vera)).await),
            code(members.remove(&key, &acme.id, &id_of(&ada)).await),
            code(members.update(&key, &acme.id, &id_of(&vera), Role::Member).await),
            code(members.add(&key, &acme.id, &id_of(&vera), Role::Member).await),
        ] {
            assert_eq!(refused, ProblemCode::Forbidden);
        }
        let found = instance.engine.workspaces.find(&key, "acme", keyfold_domain::policy::Action::ReadMembers).await.unwrap();
        assert_eq!(found.id, acme.id);
        members.remove(&vera, &acme.id, &id_of(&vera)).await.unwrap();
        assert_eq!(code(members.departure(&again(&instance, &vera).await, &acme.id, &id_of(&vera)).await), ProblemCode::NotFound);
        assert_eq!(roles(&instance, &acme.id).await.len(), 1);
    }

    async fn who_has_an_account_is_not_found_out_by_adding_people(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let (zeta, eve) = instance.workspace("zeta", "eve").await;
        let root = instance.user("root", true).await;
        let root = instance.sign_in(&root.username).await;
        let (alone, linus) = (instance.user("alone", false).await.id, instance.member(&zeta.id, "linus", Role::Member).await);
        let members = &instance.engine.members;
        let absent = refusal(members.find_user(&ada, &acme.id, "nobody").await);
        for name in ["alone", "linus", "eve", "root"] {
            assert_eq!(refusal(members.find_user(&ada, &acme.id, name).await), absent, "{name}");
        }
        let unknown = "usr_0000000000000000000000".parse().unwrap();
        for user in [&alone, &id_of(&linus), &id_of(&eve), &unknown] {
            assert_eq!(refusal(members.add(&ada, &acme.id, user, Role::Member).await), absent);
        }
        assert_eq!(roles(&instance, &acme.id).await.len(), 1);
        // Whom they share a workspace with they know already.
        members.add(&operator(), &zeta.id, &id_of(&ada), Role::Admin).await.unwrap();
        let ada = again(&instance, &ada).await;
        assert_eq!(members.find_user(&ada, &acme.id, " Linus ").await.unwrap(), id_of(&linus));
        members.add(&ada, &acme.id, &id_of(&linus), Role::Member).await.unwrap();
        // And whoever left a key behind comes back by name.
        instance.key(&again(&instance, &linus).await, &acme.id, "left").await;
        members.remove(&operator(), &zeta.id, &id_of(&linus)).await.unwrap();
        members.remove(&ada, &acme.id, &id_of(&linus)).await.unwrap();
        members.add(&ada, &acme.id, &id_of(&linus), Role::Member).await.unwrap();
        assert_eq!(members.find_user(&root, &acme.id, "alone").await.unwrap(), alone);
        members.add(&root, &acme.id, &alone, Role::Viewer).await.unwrap();
        assert_eq!(roles(&instance, &acme.id).await.len(), 3);
    }

    async fn making_an_administrator_wants_a_fresh_password(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let linus = instance.member(&acme.id, "linus", Role::Member).await;
        let members = &instance.engine.members;
        let stale = ada.clone();
        instance.clock.advance_ms(600_000);
        for role in [Role::Admin, Role::Owner] {
            assert_eq!(code(members.update(&stale, &acme.id, &id_of(&linus), role).await), ProblemCode::StepUpRequired);
            assert_eq!(code(members.add(&stale, &acme.id, &id_of(&linus), role).await), ProblemCode::StepUpRequired);
        }
        assert!(members.update(&stale, &acme.id, &id_of(&linus), Role::Viewer).await.is_ok());
        assert!(members.update(&again(&instance, &ada).await, &acme.id, &id_of(&linus), Role::Admin).await.is_ok());
    }

    async fn a_members_key_stops_when_they_go_and_works_again_when_they_come_back(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let linus = instance.member(&acme.id, "linus", Role::Member).await;
        let elsewhere = NewWorkspace { slug: "else".into(), name: "Else".into() };
        let elsewhere = instance.engine.workspaces.create(&operator(), elsewhere, &id_of(&linus)).await.unwrap();
        let here = instance.key(&linus, &acme.id, "here").await;
        let there = instance.key(&again(&instance, &linus).await, &elsewhere.id, "there").await;
        assert_eq!((instance.verdict(&here), instance.verdict(&there)), (Code::Valid, Code::Valid));
        instance.engine.flush_usage().await.unwrap();
        let told = instance.engine.members.departure(&ada, &acme.id, &id_of(&linus)).await.unwrap();
        assert_eq!((told.member.live_keys, told.used_lately), (1, 1));
        assert_eq!(instance.engine.members.remove(&ada, &acme.id, &id_of(&linus)).await.unwrap(), 1);
        assert_eq!((instance.verdict(&here), instance.verdict(&there)), (Code::OwnerDisabled, Code::Valid));
        instance.engine.members.add(&ada, &acme.id, &id_of(&linus), Role::Member).await.unwrap();
        assert_eq!(instance.verdict(&here), Code::Valid);
        assert!(instance.engine.left_keys.list(&ada, &acme.id, None, 50).await.unwrap().items.is_empty(), "nothing waits any more");
    }
}
