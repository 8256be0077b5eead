//! Making, listing, changing and ending keys.

use std::collections::HashSet;

use keyfold_domain::key::{Expiry, InactiveReason, Inactivity, KeyFilter, KeyPatch, KeySort, KeyState, NewKey, StateFilter};
use keyfold_domain::problem::ProblemCode;
use keyfold_domain::scope::KeyKind;
use keyfold_domain::workspace::Role;

use crate::support::{Instance, NOW, code, from, new_key, on_both, operator, refusal, scopes};
use keyfold_domain::ids::WorkspaceId;
use keyfold_domain::policy::Actor;

async fn names(instance: &Instance, actor: &Actor, workspace: &WorkspaceId, filter: KeyFilter) -> Vec<String> {
    let page = instance.engine.keys.list(actor, workspace, &filter).await.unwrap();
    page.items.into_iter().map(|key| key.name).collect()
}

/// Every page of a list, one after the other.
async fn walk(instance: &Instance, actor: &Actor, workspace: &WorkspaceId, filter: &KeyFilter) -> Vec<String> {
    let mut all = Vec::new();
    let mut filter = filter.clone();
    loop {
        let page = instance.engine.keys.list(actor, workspace, &filter).await.unwrap();
        all.extend(page.items.into_iter().map(|key| key.id.to_string()));
        match page.next {
            Some(next) => filter.cursor = Some(next),
            None => return all,
        }
    }
}

on_both! {
    async fn a_key_is_made_listed_masked_and_ended(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let engine = &instance.engine;
        let issued = engine.keys.create(&ada, &acme.id, new_key(" CI ", &["project"]), None).await.unwrap();
        let secret = issued.secret.expose();
        assert!(secret.starts_with("kf_sec_") && secret.len() == 56);
        assert_eq!(issued.key.hint, format!("kf_sec_…{}", &secret[52..]));
        assert_eq!((issued.key.name.as_str(), issued.key.version, issued.key.state), ("CI", 1, KeyState::Active));
        assert_eq!(issued.key.expires_at, Some(NOW.plus_days(90)));
        assert_eq!(issued.key.created_by.as_deref(), Some("ada"));
        assert_eq!(engine.keys.get(&ada, &acme.id, &issued.key.id).await.unwrap(), issued.key);
        assert_eq!(names(&instance, &ada, &acme.id, KeyFilter::default()).await, ["CI"]);
        let deleted = engine.keys.delete(&ada, &acme.id, &issued.key.id).await.unwrap();
        assert_eq!((deleted.state, deleted.stopped_at), (KeyState::Deleted, Some(NOW)));
        assert!(names(&instance, &ada, &acme.id, KeyFilter::default()).await.is_empty());
        let gone = KeyFilter { state: StateFilter::Deleted, ..KeyFilter::default() };
        assert_eq!(names(&instance, &ada, &acme.id, gone).await, ["CI"]);
        assert_eq!(code(engine.keys.delete(&ada, &acme.id, &issued.key.id).await), ProblemCode::Conflict);
    }

    async fn a_change_keeps_what_it_leaves_out_and_a_stale_one_changes_nothing(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let engine = &instance.engine;
        let key = instance.key(&ada, &acme.id, "CI").await.key;
        let patch = KeyPatch { scopes: Some(scopes(&["inference"])), version: Some(1), ..KeyPatch::default() };
        let changed = engine.keys.update(&ada, &acme.id, &key.id, patch.clone()).await.unwrap();
        assert_eq!((changed.version, changed.name.as_str(), changed.expires_at), (2, "CI", key.expires_at));
        assert_eq!(changed.scopes, scopes(&["inference"]));
        let stale = refusal(engine.keys.update(&ada, &acme.id, &key.id, patch).await);
        assert_eq!((stale.code, stale.field.as_deref()), (ProblemCode::Conflict, Some("version")));
        let patch = KeyPatch {
            name: Some("Build".into()),
            expires_at: Some(Expiry::Never),
            inactivity_days: Some(Some(30)),
            note: Some("why".into()),
            ..KeyPatch::default()
        };
        let changed = engine.keys.update(&ada, &acme.id, &key.id, patch).await.unwrap();
        assert_eq!((changed.name.as_str(), changed.expires_at, changed.inactivity_days), ("Build", None, Some(30)));
        assert_eq!(engine.keys.get(&ada, &acme.id, &key.id).await.unwrap(), changed);
        let bad = KeyPatch { scopes: Some(scopes(&["verify"])), ..KeyPatch::default() };
        assert_eq!(refusal(engine.keys.update(&ada, &acme.id, &key.id, bad).await).field.as_deref(), Some("scopes"));
    }

    async fn of_many_changes_from_one_version_one_wins(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let key = instance.key(&ada, &acme.id, "CI").await.key;
        let tries = (0..20).map(|at| {
            let (engine, ada, ws, id) = (instance.engine.clone(), ada.clone(), acme.id.clone(), key.id.clone());
            tokio::spawn(async move {
                let patch = KeyPatch { name: Some(format!("n{at}")), version: Some(1), ..KeyPatch::default() };
                engine.keys.update(&ada, &ws, &id, patch).await.is_ok()
            })
        });
        let mut won = 0;
        for attempt in tries.collect::<Vec<_>>() {
            won += u32::from(attempt.await.unwrap());
        }
        assert_eq!(won, 1);
        assert_eq!(instance.engine.keys.get(&ada, &acme.id, &key.id).await.unwrap().version, 2);
    }

    async fn members_see_their_own_keys_and_admins_everybodys(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let (_, eve) = instance.workspace("other", "eve").await;
        let linus = instance.member(&acme.id, "linus", Role::Member).await;
        let viewer = instance.member(&acme.id, "vera", Role::Viewer).await;
        let engine = &instance.engine;
        let mine = instance.key(&linus, &acme.id, "mine").await.key;
        let hers = instance.key(&ada, &acme.id, "hers").await.key;
        assert_eq!(names(&instance, &linus, &acme.id, KeyFilter::default()).await, ["mine"]);
        assert_eq!(names(&instance, &ada, &acme.id, KeyFilter::default()).await.len(), 2);
        assert!(names(&instance, &viewer, &acme.id, KeyFilter::default()).await.is_empty());
        let of_linus = KeyFilter { owner: Some(mine.owner.id.clone()), ..KeyFilter::default() };
        assert_eq!(names(&instance, &ada, &acme.id, of_linus.clone()).await, ["mine"]);
        let of_ada = KeyFilter { owner: Some(hers.owner.id.clone()), ..KeyFilter::default() };
        assert!(names(&instance, &linus, &acme.id, of_ada).await.is_empty(), "a member's filter cannot reach further");
        for stranger in [&linus, &eve, &viewer] {
            for problem in [
                refusal(engine.keys.get(stranger, &acme.id, &hers.id).await),
                refusal(engine.keys.delete(stranger, &acme.id, &hers.id).await),
                refusal(engine.keys.update(stranger, &acme.id, &hers.id, KeyPatch::default()).await),
            ] {
                assert_eq!(problem.code, ProblemCode::NotFound);
            }
        }
        assert_eq!(code(engine.keys.list(&eve, &acme.id, &KeyFilter::default()).await), ProblemCode::NotFound);
        assert_eq!(code(engine.keys.create(&viewer, &acme.id, new_key("no", &["chat"]), None).await), ProblemCode::Forbidden);
        assert!(engine.keys.delete(&ada, &acme.id, &mine.id).await.is_ok());
    }

    async fn an_admin_makes_keys_for_members_and_nobody_for_strangers_or_viewers(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let (_, eve) = instance.workspace("other", "eve").await;
        let linus = instance.member(&acme.id, "linus", Role::Member).await;
        let vera = instance.member(&acme.id, "vera", Role::Viewer).await;
        let grace = instance.member(&acme.id, "grace", Role::Admin).await;
        let engine = &instance.engine;
        let of = |who: &Actor| who.user().map(|user| user.id.clone());
        let for_linus = NewKey { owner: of(&linus), ..new_key("given", &["chat"]) };
        assert_eq!(engine.keys.create(&grace, &acme.id, for_linus.clone(), None).await.unwrap().key.owner.username, "linus");
        assert_eq!(code(engine.keys.create(&linus, &acme.id, NewKey { owner: of(&ada), ..for_linus.clone() }, None).await), ProblemCode::Forbidden);
        for nobody in [of(&eve), of(&vera)] {
            let new = NewKey { owner: nobody, ..for_linus.clone() };
            assert_eq!(refusal(engine.keys.create(&ada, &acme.id, new, None).await).field.as_deref(), Some("owner"));
        }
        let mightier = NewKey { owner: of(&ada), kind: KeyKind::Management, scopes: scopes(&["keys:write"]), ..for_linus };
        assert_eq!(code(engine.keys.create(&grace, &acme.id, mightier, None).await), ProblemCode::Forbidden);
    }

    async fn a_management_key_wants_a_fresh_password(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let new = NewKey { kind: KeyKind::Management, ..new_key("ops", &["verify"]) };
        assert!(instance.engine.keys.create(&ada, &acme.id, new.clone(), None).await.is_ok());
        instance.clock.advance_ms(600_000);
        assert_eq!(code(instance.engine.keys.create(&ada, &acme.id, new, None).await), ProblemCode::StepUpRequired);
        assert!(instance.engine.keys.create(&ada, &acme.id, new_key("plain", &["chat"]), None).await.is_ok());
    }

    async fn a_repeated_create_makes_nothing_and_never_shows_the_secret_again(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let engine = &instance.engine;
        let first = engine.keys.create(&ada, &acme.id, new_key("CI", &["chat"]), Some("try-1")).await.unwrap();
        let again = refusal(engine.keys.create(&ada, &acme.id, new_key("CI", &["chat"]), Some("try-1")).await);
        assert_eq!((again.code, again.field.as_deref()), (ProblemCode::Conflict, Some("idempotency_key")));
        assert!(again.message.contains(first.key.id.as_str()) && !again.message.contains(first.secret.expose()));
        let other = refusal(engine.keys.create(&ada, &acme.id, new_key("Other", &["chat"]), Some("try-1")).await);
        assert!(other.message.contains("another request"));
        for bad in ["", "with space", "é", &"x".repeat(256)] {
            assert_eq!(code(engine.keys.create(&ada, &acme.id, new_key("CI", &["chat"]), Some(bad)).await), ProblemCode::Invalid);
        }
        assert_eq!(names(&instance, &ada, &acme.id, KeyFilter::default()).await.len(), 1);
        instance.clock.advance_ms(86_400_001);
        engine.keys.create(&instance.sign_in("ada").await, &acme.id, new_key("x", &["chat"]), Some("try-2")).await.unwrap();
        assert!(engine.keys.create(&instance.sign_in("ada").await, &acme.id, new_key("CI", &["chat"]), Some("try-1")).await.is_ok());
    }

    async fn concurrent_repeats_make_one_key(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let tries = (0..12).map(|_| {
            let (engine, ada, ws) = (instance.engine.clone(), ada.clone(), acme.id.clone());
            tokio::spawn(async move { engine.keys.create(&ada, &ws, new_key("CI", &["chat"]), Some("same")).await.is_ok() })
        });
        let mut made = 0;
        for attempt in tries.collect::<Vec<_>>() {
            made += u32::from(attempt.await.unwrap());
        }
        assert_eq!(made, 1);
    }

    async fn every_order_pages_through_every_key_once_in_both_directions(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        for at in 0..23i64 {
            instance.clock.advance_ms(i64::from(at % 3 == 0));
            let name = ["Zebra", "apple", "Äpfel", "", "apple"][usize::try_from(at % 5).unwrap()];
            let expires_at = if at % 4 == 0 { Expiry::Never } else { Expiry::At(NOW.plus_days(10 + at % 3)) };
            let new = NewKey { expires_at, ..new_key(name, &["chat"]) };
            let issued = instance.engine.keys.create(&ada, &acme.id, new, None).await.unwrap();
            if at % 2 == 0 {
                instance.engine.verifier.whoami(issued.secret.expose(), None).unwrap();
            }
        }
        instance.engine.flush_usage().await.unwrap();
        for sort in KeySort::ALL {
            for descending in [false, true] {
                let filter = KeyFilter { sort, descending, limit: 4, ..KeyFilter::default() };
                let whole = walk(&instance, &ada, &acme.id, &KeyFilter { limit: 200, ..filter.clone() }).await;
                let paged = walk(&instance, &ada, &acme.id, &filter).await;
                assert_eq!(whole, paged, "{sort:?} {descending}");
                assert_eq!(paged.iter().collect::<HashSet<_>>().len(), 23);
            }
        }
        let by_name = names(&instance, &ada, &acme.id, KeyFilter { sort: KeySort::Name, descending: false, ..KeyFilter::default() }).await;
        assert_eq!((by_name[0].as_str(), by_name[5].as_str()), ("", "apple"));
    }

    async fn a_search_is_literal_ignores_case_and_finds_hints_and_ids(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let percent = instance.key(&ada, &acme.id, "50% off").await;
        instance.key(&ada, &acme.id, "Ärger_1").await;
        instance.key(&ada, &acme.id, "5000 off").await;
        let find = |text: &str| {
            let filter = KeyFilter { search: text.into(), ..KeyFilter::default() };
            names(&instance, &ada, &acme.id, filter)
        };
        assert_eq!(find("50%").await, ["50% off"]);
        assert_eq!(find("ärger_").await, ["Ärger_1"]);
        assert_eq!(find("OFF").await.len(), 2);
        assert_eq!(find(percent.key.id.as_str()).await, ["50% off"]);
        let hint = percent.secret.expose()[52..].to_owned();
        assert!(find(&hint).await.contains(&"50% off".to_owned()));
        assert!(find("'; DROP TABLE keys; --").await.is_empty());
        let long = KeyFilter { search: "x".repeat(201), ..KeyFilter::default() };
        assert_eq!(refusal(instance.engine.keys.list(&ada, &acme.id, &long).await).field.as_deref(), Some("search"));
        let none = KeyFilter { limit: 0, ..KeyFilter::default() };
        assert_eq!(refusal(instance.engine.keys.list(&ada, &acme.id, &none).await).field.as_deref(), Some("limit"));
    }

    async fn a_list_by_state_agrees_with_every_keys_own_state(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let linus = instance.member(&acme.id, "linus", Role::Member).await;
        let engine = &instance.engine;
        let make = |name: &'static str, expires_at: Expiry, inactivity_days: Option<u32>| {
            let inactivity_days = inactivity_days.map_or(Inactivity::Off, Inactivity::Days);
            let new = NewKey { expires_at, inactivity_days, ..new_key(name, &["chat"]) };
            async { engine.keys.create(&linus, &acme.id, new, None).await.unwrap() }
        };
        make("fresh", Expiry::Never, None).await;
        make("expires", Expiry::At(NOW.plus_days(5)), None).await;
        make("sleeps", Expiry::Never, Some(5)).await;
        let woken = make("woken", Expiry::Never, Some(5)).await;
        let used = make("used", Expiry::Never, Some(5)).await;
        let stopped = make("stopped", Expiry::Never, None).await;
        let deleted = make("deleted", Expiry::Never, None).await;
        engine.keys.deactivate(&linus, &acme.id, &stopped.key.id, "leak?").await.unwrap();
        engine.keys.delete(&linus, &acme.id, &deleted.key.id).await.unwrap();
        instance.clock.advance_ms(5 * 86_400_000 + 10_000 - 1);
        let list = |state| {
            let filter = KeyFilter { state, sort: KeySort::Name, descending: false, ..KeyFilter::default() };
            names(&instance, &ada, &acme.id, filter)
        };
        engine.verifier.whoami(used.secret.expose(), None).unwrap();
        engine.flush_usage().await.unwrap();
        engine.keys.activate(&ada, &acme.id, &woken.key.id).await.unwrap();
        instance.clock.advance_ms(1);
        assert_eq!(list(StateFilter::Active).await, ["fresh", "used", "woken"]);
        assert_eq!(list(StateFilter::Inactive).await, ["expires", "sleeps", "stopped"]);
        assert_eq!(list(StateFilter::Live).await.len(), 6);
        assert_eq!(list(StateFilter::Deleted).await, ["deleted"]);
        assert_eq!(list(StateFilter::All).await.len(), 7);
        let all = engine.keys.list(&ada, &acme.id, &KeyFilter { state: StateFilter::All, ..KeyFilter::default() }).await.unwrap();
        let state = |name: &str| all.items.iter().find(|key| key.name == name).unwrap().state;
        assert_eq!(state("sleeps"), KeyState::Inactive(InactiveReason::Dormant));
        assert_eq!(state("expires"), KeyState::Inactive(InactiveReason::Expired));
        assert_eq!(state("stopped"), KeyState::Inactive(InactiveReason::Deactivated));
        let reason = all.items.iter().find(|key| key.name == "stopped").unwrap().stopped_reason.clone();
        assert_eq!(reason.as_deref(), Some("leak?"));
        assert_eq!(code(engine.keys.activate(&linus, &acme.id, &stopped.key.id).await), ProblemCode::Forbidden);
    }

    async fn a_management_key_acts_within_its_scopes_and_its_own_end(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let engine = &instance.engine;
        let writer = instance.management(&ada, &acme.id, &["keys:write", "inference"]).await;
        let reader = instance.management(&ada, &acme.id, &["keys:read"]).await;
        let acting = |issued: &keyfold_domain::key::IssuedKey| engine.verifier.authenticate(issued.secret.expose(), &from([192, 0, 2, 1])).unwrap();
        let (writing, reading) = (acting(&writer), acting(&reader));
        let made = engine.keys.create(&writing, &acme.id, new_key("made", &["inference"]), None).await.unwrap();
        assert_eq!(made.key.owner.username, "ada");
        assert_eq!(code(engine.keys.create(&writing, &acme.id, new_key("wide", &["project"]), None).await), ProblemCode::Forbidden);
        let forever = NewKey { expires_at: Expiry::Never, ..new_key("long", &["inference"]) };
        assert_eq!(code(engine.keys.create(&writing, &acme.id, forever, None).await), ProblemCode::Forbidden);
        let widen = KeyPatch { scopes: Some(scopes(&["project"])), ..KeyPatch::default() };
        assert_eq!(code(engine.keys.update(&writing, &acme.id, &made.key.id, widen).await), ProblemCode::Forbidden);
        assert_eq!(code(engine.keys.delete(&writing, &acme.id, &writer.key.id).await), ProblemCode::Forbidden);
        assert_eq!(engine.keys.list(&reading, &acme.id, &KeyFilter::default()).await.unwrap().items.len(), 3);
        assert_eq!(code(engine.keys.delete(&reading, &acme.id, &made.key.id).await), ProblemCode::Forbidden);
        let data = instance.key(&ada, &acme.id, "data").await;
        assert_eq!(code(engine.verifier.authenticate(data.secret.expose(), &from([192, 0, 2, 1]))), ProblemCode::Forbidden);
    }

    async fn the_number_of_keys_is_bounded_exactly_under_concurrency(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        instance.lower_limits(&acme.id, 5).await;
        let tries = (0..20).map(|at| {
            let (engine, ada, ws) = (instance.engine.clone(), ada.clone(), acme.id.clone());
            tokio::spawn(async move { engine.keys.create(&ada, &ws, new_key(&format!("k{at}"), &["chat"]), None).await })
        });
        let mut made = Vec::new();
        for attempt in tries.collect::<Vec<_>>() {
            match attempt.await.unwrap() {
                Ok(issued) => made.push(issued),
                Err(error) => assert!(error.is(ProblemCode::Conflict), "{error:?}"),
            }
        }
        assert_eq!(made.len(), 5);
        instance.engine.keys.delete(&ada, &acme.id, &made[0].key.id).await.unwrap();
        assert!(instance.engine.keys.create(&operator(), &acme.id, NewKey { owner: ada.user().map(|u| u.id.clone()), ..new_key("again", &["chat"]) }, None).await.is_ok());
    }
}
