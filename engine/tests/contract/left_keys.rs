//! The queue of keys whose owner left: reassigned, kept, or deleted, and never gone with their creator.

use keyfold_domain::key::{IssuedKey, KeyState, StateFilter};
use keyfold_domain::member::{LeftKeyDecision, LeftKeys};
use keyfold_domain::policy::Actor;
use keyfold_domain::problem::ProblemCode;
use keyfold_domain::verdict::Code;
use keyfold_domain::workspace::{Role, WorkspaceSummary};

use crate::support::{Instance, code, id_of, on_both, operator, refusal};

/// A workspace of `ada`'s, and somebody who made that many keys and left.
async fn after_a_departure(instance: &Instance, keys: usize) -> (WorkspaceSummary, Actor, Actor, Vec<IssuedKey>) {
    let (acme, ada) = instance.workspace("acme", "ada").await;
    let linus = instance.member(&acme.id, "linus", Role::Member).await;
    let mut made = Vec::new();
    for at in 0..keys {
        made.push(instance.key(&linus, &acme.id, &format!("key {at}")).await);
    }
    instance.engine.members.remove(&ada, &acme.id, &id_of(&linus)).await.unwrap();
    (acme, ada, linus, made)
}

fn these(keys: &[&IssuedKey]) -> LeftKeys {
    LeftKeys::These(keys.iter().map(|issued| issued.key.id.clone()).collect())
}

async fn waiting(instance: &Instance, workspace: &WorkspaceSummary) -> Vec<String> {
    let page = instance.engine.left_keys.list(&operator(), &workspace.id, None, 200).await.unwrap();
    let mut names: Vec<_> = page.items.into_iter().map(|left| left.key.name).collect();
    names.sort_unstable();
    names
}

on_both! {
    async fn keys_do_not_vanish_with_their_creator(instance) {
        let (acme, ada, linus, keys) = after_a_departure(&instance, 3).await;
        let grace = instance.member(&acme.id, "grace", Role::Member).await;
        let queue = &instance.engine.left_keys;
        assert_eq!(waiting(&instance, &acme).await, ["key 0", "key 1", "key 2"]);
        assert!(keys.iter().all(|key| instance.verdict(key) == Code::OwnerDisabled));
        // The records are all there, for whoever manages the workspace.
        let all = keyfold_domain::key::KeyFilter { state: StateFilter::All, ..keyfold_domain::key::KeyFilter::default() };
        assert_eq!(instance.engine.keys.list(&ada, &acme.id, &all).await.unwrap().items.len(), 3);

        let reassign = LeftKeyDecision::Reassign(id_of(&grace));
        assert_eq!(queue.decide(&ada, &acme.id, these(&[&keys[0]]), reassign).await.unwrap(), 1);
        assert_eq!(instance.verdict(&keys[0]), Code::Valid, "the same secret works for the new owner");
        let reassigned = instance.engine.keys.get(&ada, &acme.id, &keys[0].key.id).await.unwrap();
        assert_eq!((reassigned.owner.username.as_str(), reassigned.created_by.as_deref()), ("grace", Some("linus")));
        assert_eq!((reassigned.version, reassigned.hint.as_str()), (2, keys[0].key.hint.as_str()));

        assert_eq!(queue.decide(&ada, &acme.id, these(&[&keys[1]]), LeftKeyDecision::Keep).await.unwrap(), 1);
        assert_eq!(instance.verdict(&keys[1]), Code::OwnerDisabled);
        assert_eq!(queue.decide(&ada, &acme.id, LeftKeys::Of(id_of(&linus)), LeftKeyDecision::Revoke).await.unwrap(), 1);
        assert_eq!(instance.verdict(&keys[2]), Code::NotFound);
        assert_eq!(instance.engine.keys.get(&ada, &acme.id, &keys[2].key.id).await.unwrap().state, KeyState::Deleted);
        assert!(waiting(&instance, &acme).await.is_empty());

        // Who comes back finds what was kept, not what was given away or deleted.
        instance.engine.members.add(&ada, &acme.id, &id_of(&linus), Role::Member).await.unwrap();
        assert_eq!(keys.iter().map(|key| instance.verdict(key)).collect::<Vec<_>>(), [Code::Valid, Code::Valid, Code::NotFound]);
        assert_eq!(instance.engine.keys.get(&ada, &acme.id, &keys[0].key.id).await.unwrap().owner.username, "grace");
        assert!(instance.engine.audit.verify_chains(&operator()).await.unwrap().broken.is_none());
    }

    async fn the_queue_is_paged_and_all_of_a_person_are_decided_at_once(instance) {
        let (acme, ada, linus, keys) = after_a_departure(&instance, 5).await;
        let queue = &instance.engine.left_keys;
        let mut cursor = None;
        let mut seen = Vec::new();
        loop {
            let page = queue.list(&ada, &acme.id, cursor.as_deref(), 2).await.unwrap();
            seen.extend(page.items.into_iter().map(|left| left.key.id));
            match page.next {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
        let mut made: Vec<_> = keys.iter().map(|issued| issued.key.id.clone()).collect();
        made.sort_unstable();
        seen.sort_unstable();
        assert_eq!(seen, made);
        for bad in ["", "x", "1", "1.x", "x.key_0000000000000000000000"] {
            assert_eq!(refusal(queue.list(&ada, &acme.id, Some(bad), 2).await).field.as_deref(), Some("cursor"), "{bad}");
        }
        let to_ada = LeftKeyDecision::Reassign(id_of(&ada));
        assert_eq!(queue.decide(&ada, &acme.id, LeftKeys::Of(id_of(&linus)), to_ada.clone()).await.unwrap(), 5);
        assert!(keys.iter().all(|key| instance.verdict(key) == Code::Valid));
        assert_eq!(code(queue.decide(&ada, &acme.id, LeftKeys::Of(id_of(&linus)), to_ada).await), ProblemCode::NotFound);
    }

    async fn strangers_members_and_mixed_lists_change_nothing(instance) {
        let (acme, ada, linus, keys) = after_a_departure(&instance, 2).await;
        let (other, eve) = instance.workspace("other", "eve").await;
        let grace = instance.member(&acme.id, "grace", Role::Member).await;
        let queue = &instance.engine.left_keys;
        let mine = instance.key(&ada, &acme.id, "mine").await;
        for decision in [LeftKeyDecision::Keep, LeftKeyDecision::Revoke, LeftKeyDecision::Reassign(id_of(&eve))] {
            assert_eq!(code(queue.decide(&eve, &acme.id, these(&[&keys[0]]), decision.clone()).await), ProblemCode::NotFound);
            assert_eq!(code(queue.decide(&eve, &other.id, these(&[&keys[0]]), decision.clone()).await), ProblemCode::NotFound);
            assert_eq!(code(queue.decide(&eve, &other.id, LeftKeys::Of(id_of(&linus)), decision.clone()).await), ProblemCode::NotFound);
            assert_eq!(code(queue.decide(&grace, &acme.id, these(&[&keys[0]]), decision.clone()).await), ProblemCode::Forbidden);
            // A key that does not wait makes the whole act fail.
            assert_eq!(code(queue.decide(&ada, &acme.id, these(&[&keys[0], &mine]), decision).await), ProblemCode::NotFound);
        }
        assert_eq!(code(queue.list(&eve, &acme.id, None, 50).await), ProblemCode::NotFound);
        assert_eq!(code(queue.list(&grace, &acme.id, None, 50).await), ProblemCode::Forbidden);
        for nobody in [id_of(&eve), id_of(&linus)] {
            let refused = queue.decide(&ada, &acme.id, these(&[&keys[0]]), LeftKeyDecision::Reassign(nobody)).await;
            assert_eq!(refusal(refused).field.as_deref(), Some("to"));
        }
        assert_eq!(code(queue.decide(&ada, &acme.id, LeftKeys::These(Vec::new()), LeftKeyDecision::Keep).await), ProblemCode::Invalid);
        assert_eq!(waiting(&instance, &acme).await.len(), 2);
        assert_eq!(instance.verdict(&mine), Code::Valid);
    }

    async fn a_management_key_goes_to_nobody_mightier_and_only_with_a_fresh_password(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let grace = instance.member(&acme.id, "grace", Role::Admin).await;
        let bob = instance.member(&acme.id, "bob", Role::Admin).await;
        let issued = instance.management(&bob, &acme.id, &["keys:read"]).await;
        instance.engine.members.remove(&ada, &acme.id, &id_of(&bob)).await.unwrap();
        let queue = &instance.engine.left_keys;
        let to = |who: &Actor| LeftKeyDecision::Reassign(id_of(who));
        assert_eq!(code(queue.decide(&grace, &acme.id, these(&[&issued]), to(&ada)).await), ProblemCode::Forbidden);
        instance.clock.advance_ms(600_000);
        assert_eq!(code(queue.decide(&grace, &acme.id, these(&[&issued]), to(&grace)).await), ProblemCode::StepUpRequired);
        let fresh = instance.sign_in("grace").await;
        assert_eq!(queue.decide(&fresh, &acme.id, these(&[&issued]), to(&grace)).await.unwrap(), 1);
        assert_eq!(instance.verdict(&issued), Code::Valid);
    }

    async fn nobody_gets_more_keys_than_allowed_by_inheriting_them(instance) {
        let (acme, ada, linus, _keys) = after_a_departure(&instance, 3).await;
        instance.key(&ada, &acme.id, "own").await;
        instance.lower_limits(&acme.id, 3).await;
        let to_ada = LeftKeyDecision::Reassign(id_of(&ada));
        let refused = instance.engine.left_keys.decide(&ada, &acme.id, LeftKeys::Of(id_of(&linus)), to_ada).await;
        assert_eq!(refusal(refused).field.as_deref(), Some("to"));
        assert_eq!(waiting(&instance, &acme).await.len(), 3);
    }
}
