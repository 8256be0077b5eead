//! What clients of other products rely on: keys that are stopped for good, lists that are counted off, settings of their own,
//! sessions that open one workspace alone.

use keyfold_domain::key::InactiveReason::Deactivated;
use keyfold_domain::key::{KeyFilter, KeyState, NewKey, StateFilter};
use keyfold_domain::policy::{Principal, RequestInfo};
use keyfold_domain::problem::ProblemCode;
use keyfold_domain::resource::{NewResource, ResourceFilter, ResourceName};
use keyfold_domain::verdict::Code;
use keyfold_domain::workspace::Role;
use keyfold_engine::{ClientSettings, IssuedSession, Password, SignIn};
use serde_json::json;

use crate::support::{Instance, PASSWORD, code, from, id_of, new_key, on_both, operator, refusal, scopes};

async fn sign_in_to(instance: &Instance, name: &str, workspace: Option<&str>) -> Result<IssuedSession, keyfold_engine::Error> {
    let form = SignIn { login: name.into(), password: Password::new(PASSWORD.into()) };
    instance.engine.sessions.sign_in_to(&from([198, 51, 100, 7]), form, workspace).await
}

on_both! {
    async fn a_key_that_was_stopped_for_good_is_never_activated_again(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let keys = &instance.engine.keys;
        let issued = instance.key(&ada, &acme.id, "a key").await;
        let id = &issued.key.id;
        let stopped = keys.deactivate_for_good(&ada, &acme.id, id, "for good").await.unwrap();
        assert_eq!((stopped.state, stopped.stopped_reason.as_deref()), (KeyState::Inactive(Deactivated), Some("for good")));
        assert!(stopped.stopped_for_good);
        assert_eq!(instance.verdict(&issued), Code::Deactivated);
        // Twice is as good as once.
        let again = keys.deactivate_for_good(&ada, &acme.id, id, "again").await.unwrap();
        assert_eq!((again.stopped_at, again.stopped_reason.as_deref()), (stopped.stopped_at, Some("for good")));
        assert_eq!(code(keys.activate(&ada, &acme.id, id).await), ProblemCode::Conflict);
        assert_eq!(code(keys.activate(&operator(), &acme.id, id).await), ProblemCode::Conflict);
        assert_eq!(instance.verdict(&issued), Code::Deactivated);
        // Another end brings it back no more than stopping it for now does.
        let patch = keyfold_domain::key::KeyPatch { expires_at: Some(keyfold_domain::key::Expiry::InDays(30)), ..Default::default() };
        assert_eq!(keys.update(&ada, &acme.id, id, patch).await.unwrap().state, KeyState::Inactive(Deactivated));
        keys.deactivate(&ada, &acme.id, id, "for now").await.unwrap();
        assert_eq!(code(keys.activate(&ada, &acme.id, id).await), ProblemCode::Conflict);
        assert_eq!(instance.engine.audit.verify_chains(&operator()).await.unwrap().broken, None);
    }

    async fn a_key_that_was_stopped_for_now_can_still_be_stopped_for_good(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let keys = &instance.engine.keys;
        let issued = instance.key(&ada, &acme.id, "a key").await;
        keys.deactivate(&ada, &acme.id, &issued.key.id, "for now").await.unwrap();
        let stopped = keys.deactivate_for_good(&ada, &acme.id, &issued.key.id, "for good").await.unwrap();
        assert_eq!(stopped.stopped_reason.as_deref(), Some("for good"));
        assert_eq!(code(keys.activate(&ada, &acme.id, &issued.key.id).await), ProblemCode::Conflict);
        // One that was only stopped for now can be activated.
        let other = instance.key(&ada, &acme.id, "another").await;
        keys.deactivate(&ada, &acme.id, &other.key.id, "for now").await.unwrap();
        assert_eq!(keys.activate(&ada, &acme.id, &other.key.id).await.unwrap().state, KeyState::Active);
    }

    async fn keys_are_counted_off_from_the_oldest_and_narrowed_by_username(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let (zeta, zoe) = instance.workspace("zeta", "zoe").await;
        let (linus, lin_100) = (
            instance.member(&acme.id, "linus", Role::Member).await,
            instance.member(&acme.id, "lin_100", Role::Member).await,
        );
        for (number, owner) in [&ada, &linus, &lin_100, &linus, &ada].into_iter().enumerate() {
            instance.clock.advance_ms(1);
            instance.key(owner, &acme.id, &format!("k{number}")).await;
        }
        instance.key(&zoe, &zeta.id, "foreign").await;
        let gone = instance.key(&ada, &acme.id, "gone").await;
        instance.engine.keys.delete(&ada, &acme.id, &gone.key.id).await.unwrap();
        let names = async |filter: &str, offset, limit| {
            let keys = instance.engine.keys.list_administered(&ada, &acme.id, filter, offset, limit).await.unwrap();
            keys.into_iter().map(|key| key.name).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names("", 0, 100).await, "k0 k1 k2 k3 k4");
        assert_eq!(names("", 1, 2).await, "k1 k2");
        assert_eq!(names("", 4, 2).await, "k4");
        assert_eq!((names("", 5, 2).await, names("", u32::MAX, 2).await, names("", 0, 0).await), Default::default());
        assert_eq!(names("lin", 0, 9).await, "k1 k2 k3");
        assert_eq!(names("LIN", 1, 1).await, "k2");
        // Taken literally, not as a pattern.
        assert_eq!((names("_", 0, 9).await, names("%", 0, 9).await), ("k2".into(), String::new()));
        assert_eq!(names("zoe", 0, 9).await, "");
        assert_eq!(code(instance.engine.keys.list_administered(&linus, &acme.id, "", 0, 9).await), ProblemCode::Forbidden);
        assert_eq!(code(instance.engine.keys.list_administered(&zoe, &acme.id, "", 0, 9).await), ProblemCode::NotFound);
        assert_eq!(code(instance.engine.keys.owner_role(&ada, &acme.id, &id_of(&zoe)).await), ProblemCode::NotFound);
        assert_eq!(instance.engine.keys.owner_role(&ada, &acme.id, &id_of(&linus)).await.unwrap(), Role::Member);
    }

    async fn a_client_keeps_settings_with_its_keys_and_sees_only_its_own(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let linus = instance.member(&acme.id, "linus", Role::Member).await;
        let keys = &instance.engine.keys;
        let kept = |chunks| ClientSettings { client: "docsgpt", settings: json!({ "chunks": chunks, "prompt_id": "ä'" }) };
        let one = keys.create_for_client(&linus, &acme.id, new_key("one", &["chat"]), kept("2")).await.unwrap();
        let two = keys.create_for_client(&linus, &acme.id, new_key("two", &["chat"]), kept("0")).await.unwrap();
        keys.create_for_client(&ada, &acme.id, new_key("hers", &["chat"]), kept("1")).await.unwrap();
        instance.key(&linus, &acme.id, "without").await;
        let mut settings = keys.client_settings(&linus, &acme.id, "docsgpt").await.unwrap();
        settings.sort_by_key(|(key, _)| *key != one.key.id);
        assert_eq!(settings, [(one.key.id, kept("2").settings), (two.key.id.clone(), kept("0").settings)]);
        assert_eq!(keys.client_settings(&linus, &acme.id, "another").await.unwrap(), []);
        keys.delete(&linus, &acme.id, &two.key.id).await.unwrap();
        assert_eq!(keys.client_settings(&linus, &acme.id, "docsgpt").await.unwrap().len(), 1);
        // A key that is refused leaves nothing behind.
        let none = NewKey { scopes: scopes(&[]), ..new_key("none", &["chat"]) };
        assert_eq!(code(keys.create_for_client(&linus, &acme.id, none, kept("3")).await), ProblemCode::Invalid);
        assert_eq!(instance.count("SELECT COUNT(*) FROM client_settings").await, 3);
    }

    async fn a_description_stays_with_its_resource(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let resources = &instance.engine.resources;
        let new = |id: &str| NewResource { kind: "collection".into(), external_id: id.into(), name: String::new(), owner: Some(id_of(&ada)) };
        let made = resources.create_described(&ada, &acme.id, new("c1"), " All\r\ncontracts ").await.unwrap();
        assert_eq!(made.description, "All\ncontracts");
        let plain = resources.create(&ada, &acme.id, new("c2")).await.unwrap();
        let name: ResourceName = "collection:c1".parse().unwrap();
        assert_eq!(resources.get_named(&ada, &acme.id, &name).await.unwrap(), made);
        let page = resources.list_described(&ada, &acme.id, &ResourceFilter::default()).await.unwrap();
        assert_eq!(page.items.iter().map(|found| found.description.as_str()).collect::<Vec<_>>(), ["All\ncontracts", ""]);
        assert_eq!(resources.get(&ada, &acme.id, &plain.id).await.unwrap(), plain);
        let bad = refusal(resources.create_described(&ada, &acme.id, new("c3"), "\u{202e}").await);
        assert_eq!(bad.field.as_deref(), Some("description"));
    }

    async fn a_session_of_another_page_opens_one_workspace_and_nothing_else(instance) {
        let (acme, _) = instance.workspace("acme", "ada").await;
        let (zeta, _) = instance.workspace("zeta", "zoe").await;
        let root = instance.user("root", true).await;
        let sessions = &instance.engine.sessions;
        let nowhere = refusal(sign_in_to(&instance, "root", None).await);
        assert_eq!((nowhere.code, nowhere.field.as_deref()), (ProblemCode::Invalid, Some("workspace")));
        instance.engine.members.add(&operator(), &acme.id, &root.id, Role::Member).await.unwrap();
        let issued = sign_in_to(&instance, "root", None).await.unwrap();
        let (actor, workspace) = sessions.authenticate_bound(issued.token.expose(), &RequestInfo::default()).await.unwrap().unwrap();
        assert_eq!(workspace, acme.id);
        // Not even an administrator of the instance is more there than a member.
        assert_eq!((actor.role_in(&acme.id), actor.role_in(&zeta.id)), (Some(Role::Member), None));
        let Principal::User(person) = &actor.principal else { panic!("{actor:?}") };
        assert!(!person.instance_admin);
        // It is no cookie of ours, and a cookie of ours is no token.
        assert_eq!(sessions.authenticate(issued.token.expose(), &RequestInfo::default()).await.unwrap(), None);
        let form = SignIn { login: "root".into(), password: Password::new(PASSWORD.into()) };
        let cookie = sessions.sign_in(&from([198, 51, 100, 8]), form).await.unwrap();
        assert_eq!(sessions.authenticate_bound(cookie.token.expose(), &RequestInfo::default()).await.unwrap(), None);
        // It is among the person's sessions, and is ended there.
        let listed = sessions.list(&cookie.actor).await.unwrap();
        let bound = listed.iter().find(|session| !session.current).unwrap();
        sessions.end(&cookie.actor, &bound.id).await.unwrap();
        assert_eq!(sessions.authenticate_bound(issued.token.expose(), &RequestInfo::default()).await.unwrap(), None);
    }

    async fn a_session_of_another_page_ends_with_the_place_and_with_the_day(instance) {
        let (acme, _) = instance.workspace("acme", "ada").await;
        let (zeta, _) = instance.workspace("zeta", "zoe").await;
        let linus = instance.member(&acme.id, "linus", Role::Member).await;
        instance.engine.members.add(&operator(), &zeta.id, &id_of(&linus), Role::Viewer).await.unwrap();
        let alive = async |issued: &IssuedSession| {
            instance.engine.sessions.authenticate_bound(issued.token.expose(), &RequestInfo::default()).await.unwrap().is_some()
        };
        for (workspace, field) in [(None, "workspace"), (Some("nowhere"), "workspace")] {
            assert_eq!(refusal(sign_in_to(&instance, "linus", workspace).await).field.as_deref(), Some(field));
        }
        let form = SignIn { login: "linus".into(), password: Password::new("not it, not it".into()) };
        assert_eq!(code(instance.engine.sessions.sign_in_to(&from([198, 51, 100, 9]), form, None).await), ProblemCode::Unauthenticated);
        let (in_acme, in_zeta) =
            (sign_in_to(&instance, "linus", Some("acme")).await.unwrap(), sign_in_to(&instance, "linus", Some(zeta.id.as_str())).await.unwrap());
        assert!(alive(&in_acme).await && alive(&in_zeta).await);
        instance.engine.members.remove(&operator(), &acme.id, &id_of(&linus)).await.unwrap();
        assert!(!alive(&in_acme).await && alive(&in_zeta).await);
        instance.clock.advance_ms(9 * 3_600_000);
        assert!(!alive(&in_zeta).await);
    }

    async fn what_is_stopped_for_good_is_still_listed_and_told(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let issued = instance.key(&ada, &acme.id, "a key").await;
        instance.engine.keys.deactivate_for_good(&ada, &acme.id, &issued.key.id, "for good").await.unwrap();
        let inactive = KeyFilter { state: StateFilter::Inactive, ..KeyFilter::default() };
        let listed = instance.engine.keys.list(&ada, &acme.id, &inactive).await.unwrap();
        assert_eq!((listed.items.len(), listed.items[0].stopped_by.as_deref()), (1, Some("ada")));
    }
}
