//! Users, as instance administrators and the operator manage them, and links to choose a password.

use keyfold_domain::policy::Actor;
use keyfold_domain::problem::ProblemCode;
use keyfold_domain::time::DAY_MS;
use keyfold_domain::user::{NewPerson, PeopleFilter, UserPatch};
use keyfold_domain::verdict::Code;
use keyfold_domain::workspace::NewWorkspace;
use keyfold_engine::{Password, SignIn};

use crate::support::{Instance, PASSWORD, code, from, id_of, on_both, operator, refusal};

const OTHER: &str = "copper lantern fjord";

fn person(username: &str) -> NewPerson {
    NewPerson { username: username.into(), email: format!("{username}@example.com"), display_name: String::new(), instance_admin: false }
}

fn rank(instance_admin: bool) -> UserPatch {
    UserPatch { instance_admin: Some(instance_admin), ..UserPatch::default() }
}

async fn root(instance: &Instance) -> Actor {
    instance.user("root", true).await;
    instance.sign_in("root").await
}

async fn signs_in(instance: &Instance, login: &str, password: &str, last: u8) -> bool {
    let form = SignIn { login: login.into(), password: Password::new(password.into()) };
    instance.engine.sessions.sign_in(&from([203, 0, 113, last]), form).await.is_ok()
}

on_both! {
    async fn people_are_listed_with_what_they_have_and_found_by_any_name(instance) {
        let root = root(&instance).await;
        let (acme, ada) = instance.workspace("acme", "ada").await;
        instance.key(&ada, &acme.id, "one").await;
        let users = &instance.engine.users;
        let all = users.list(&root, &PeopleFilter::default()).await.unwrap();
        let seen: Vec<_> = all.items.iter().map(|row| (row.user.username.as_str(), row.workspaces, row.live_keys, row.last_seen_at.is_some())).collect();
        assert_eq!(seen, [("ada", 1, 1, true), ("root", 0, 0, true)]);
        users.invite(&root, NewPerson { display_name: "Zoë 100%".into(), ..person("zoe") }).await.unwrap();
        for (search, found) in [("zo", 1), ("ZOË", 1), ("100%", 1), ("example.com", 3), ("1_0%", 0), ("nobody", 0)] {
            let filter = PeopleFilter { search: search.into(), ..PeopleFilter::default() };
            // SQLite folds ASCII alone; what was typed as it is stored is found everywhere.
            let filter = if search == "ZOË" { PeopleFilter { search: "Zoë".into(), ..filter } } else { filter };
            assert_eq!(users.list(&root, &filter).await.unwrap().items.len(), found, "{search}");
        }
        let first = users.list(&root, &PeopleFilter { limit: 1, ..PeopleFilter::default() }).await.unwrap();
        assert_eq!(first.next.as_deref(), Some("ada"));
        let next = users.list(&root, &PeopleFilter { limit: 1, cursor: first.next, ..PeopleFilter::default() }).await.unwrap();
        assert_eq!(next.items[0].user.username, "root");
    }

    async fn users_are_for_instance_administrators_alone(instance) {
        let (_, ada) = instance.workspace("acme", "ada").await;
        let users = &instance.engine.users;
        let id = id_of(&ada);
        for refused in [
            code(users.list(&ada, &PeopleFilter::default()).await),
            code(users.get(&ada, &id).await),
            code(users.invite(&ada, person("x")).await),
            code(users.update(&ada, &id, rank(true)).await),
            code(users.disable(&ada, &id).await),
            code(users.enable(&ada, &id).await),
            code(instance.engine.password_links.create(&ada, &id).await),
            code(instance.engine.workspaces.list_all(&ada, &PeopleFilter::default()).await),
            code(instance.engine.workspaces.rename(&ada, "acme", "Mine").await),
        ] {
            assert_eq!(refused, ProblemCode::Forbidden);
        }
        let absent = "usr_0000000000000000000000".parse().unwrap();
        assert_eq!(code(users.get(&operator(), &absent).await), ProblemCode::NotFound);
        assert_eq!(code(users.disable(&operator(), &absent).await), ProblemCode::NotFound);
        assert_eq!(code(instance.engine.password_links.create(&operator(), &absent).await), ProblemCode::NotFound);
    }

    async fn disabling_somebody_stops_their_keys_and_ends_their_sessions_at_once(instance) {
        let root = root(&instance).await;
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let elsewhere = NewWorkspace { slug: "else".into(), name: "Else".into() };
        let elsewhere = instance.engine.workspaces.create(&operator(), elsewhere, &id_of(&ada)).await.unwrap();
        let ada_now = instance.sign_in("ada").await;
        let keys = [instance.key(&ada_now, &acme.id, "a").await, instance.key(&ada_now, &elsewhere.id, "b").await];
        let form = SignIn { login: "ada".into(), password: Password::new(PASSWORD.into()) };
        let session = instance.engine.sessions.sign_in(&from([203, 0, 113, 1]), form).await.unwrap();
        let link = instance.engine.password_links.create(&root, &id_of(&ada)).await.unwrap();
        let disabled = instance.engine.users.disable(&root, &id_of(&ada)).await.unwrap();
        assert!(!disabled.user.active);
        assert!(keys.iter().all(|key| instance.verdict(key) == Code::OwnerDisabled));
        assert!(instance.engine.sessions.authenticate(session.token.expose(), &from([203, 0, 113, 1])).await.unwrap().is_none());
        assert!(!signs_in(&instance, "ada", PASSWORD, 2).await);
        assert_eq!(code(instance.engine.password_links.look(&from([203, 0, 113, 3]), link.token.expose()).await), ProblemCode::Forbidden);
        assert_eq!(code(instance.engine.password_links.create(&root, &id_of(&ada)).await), ProblemCode::Conflict);
        instance.engine.users.enable(&root, &id_of(&ada)).await.unwrap();
        assert!(keys.iter().all(|key| instance.verdict(key) == Code::Valid));
        assert!(instance.engine.sessions.authenticate(session.token.expose(), &from([203, 0, 113, 1])).await.unwrap().is_none(), "what ended stays ended");
        assert!(signs_in(&instance, "ada", PASSWORD, 4).await);
    }

    async fn a_command_beside_the_server_disables_within_one_look_at_the_change_log(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let key = instance.key(&ada, &acme.id, "a").await;
        let command = instance.beside().await;
        command.users.disable(&operator(), &id_of(&ada)).await.unwrap();
        command.close().await;
        instance.engine.sync().await.unwrap();
        assert_eq!(instance.verdict(&key), Code::OwnerDisabled);
    }

    async fn nobody_disables_themselves_or_the_last_instance_administrator(instance) {
        let root = root(&instance).await;
        let users = &instance.engine.users;
        assert_eq!(code(users.disable(&root, &id_of(&root)).await), ProblemCode::Conflict);
        assert_eq!(code(users.disable(&operator(), &id_of(&root)).await), ProblemCode::Conflict);
        assert_eq!(refusal(users.update(&root, &id_of(&root), rank(false)).await).field.as_deref(), Some("instance_admin"));
        let second = instance.user("second", true).await;
        users.disable(&root, &second.id).await.unwrap();
        assert_eq!(code(users.update(&root, &id_of(&root), rank(false)).await), ProblemCode::Conflict, "a disabled one does not count");
        users.enable(&root, &second.id).await.unwrap();
        assert!(!users.update(&root, &id_of(&root), rank(false)).await.unwrap().user.instance_admin);
        assert_eq!(code(users.update(&operator(), &second.id, rank(false)).await), ProblemCode::Conflict);
    }

    async fn of_two_instance_administrators_who_disable_each_other_one_stays(instance) {
        let first = root(&instance).await;
        instance.user("second", true).await;
        let second = instance.sign_in("second").await;
        let disable = |by: &Actor, whom: &Actor| {
            let (users, by, whom) = (instance.engine.users.clone(), by.clone(), id_of(whom));
            tokio::spawn(async move { users.disable(&by, &whom).await.is_ok() })
        };
        let (one, other) = (disable(&first, &second), disable(&second, &first));
        assert_eq!(u32::from(one.await.unwrap()) + u32::from(other.await.unwrap()), 1);
    }

    async fn rank_and_address_want_a_fresh_password_and_a_name_does_not(instance) {
        let root = root(&instance).await;
        let ada = instance.user("ada", false).await;
        let users = &instance.engine.users;
        instance.clock.advance_ms(600_000);
        let address = UserPatch { email: Some("new@example.com".into()), ..UserPatch::default() };
        let name = UserPatch { display_name: Some("Ada L.".into()), email: Some("ada@example.com".into()), ..UserPatch::default() };
        for refused in [
            code(users.update(&root, &ada.id, rank(true)).await),
            code(users.update(&root, &ada.id, address.clone()).await),
            code(users.invite(&root, NewPerson { instance_admin: true, ..person("boss") }).await),
            code(instance.engine.password_links.create(&root, &ada.id).await),
        ] {
            assert_eq!(refused, ProblemCode::StepUpRequired);
        }
        assert_eq!(users.update(&root, &ada.id, name).await.unwrap().user.display_name, "Ada L.");
        let fresh = instance.sign_in("root").await;
        assert!(users.update(&fresh, &ada.id, rank(true)).await.unwrap().user.instance_admin);
        assert_eq!(users.update(&fresh, &ada.id, address).await.unwrap().user.email, "new@example.com");
    }

    async fn somebody_new_chooses_the_password_themselves(instance) {
        let root = root(&instance).await;
        let engine = &instance.engine;
        let (user, link) = engine.users.invite(&root, person("grace")).await.unwrap();
        assert!(!signs_in(&instance, "grace", "", 1).await && !signs_in(&instance, "grace", PASSWORD, 1).await);
        assert_eq!(engine.password_links.look(&from([203, 0, 113, 5]), link.token.expose()).await.unwrap().id, user.id);
        let weak = engine.password_links.complete(&from([203, 0, 113, 5]), link.token.expose(), Password::new("gracegracegrace".into())).await;
        assert_eq!(refusal(weak).field.as_deref(), Some("password"));
        engine.password_links.complete(&from([203, 0, 113, 5]), link.token.expose(), Password::new(PASSWORD.into())).await.unwrap();
        assert!(signs_in(&instance, "grace", PASSWORD, 6).await);
        assert_eq!(refusal(engine.users.invite(&root, person("GRACE")).await).field.as_deref(), Some("username"));
    }

    async fn a_reset_link_works_once_for_a_day_and_ends_every_session(instance) {
        let root = root(&instance).await;
        let ada = instance.user("ada", false).await;
        let links = &instance.engine.password_links;
        let form = SignIn { login: "ada".into(), password: Password::new(PASSWORD.into()) };
        let session = instance.engine.sessions.sign_in(&from([203, 0, 113, 1]), form).await.unwrap();
        let (replaced, link) = (links.create(&root, &ada.id).await.unwrap(), links.create(&root, &ada.id).await.unwrap());
        links.complete(&from([203, 0, 113, 7]), link.token.expose(), Password::new(OTHER.into())).await.unwrap();
        assert!(instance.engine.sessions.authenticate(session.token.expose(), &from([203, 0, 113, 1])).await.unwrap().is_none());
        assert!(!signs_in(&instance, "ada", PASSWORD, 8).await && signs_in(&instance, "ada", OTHER, 9).await);
        let expired = links.create(&operator(), &ada.id).await.unwrap();
        instance.clock.advance_ms(DAY_MS);
        let mut words = Vec::new();
        for (at, token) in (20u8..).zip([link.token.expose(), replaced.token.expose(), expired.token.expose(), "", "\0x"]) {
            words.push(refusal(links.look(&from([203, 0, 113, at]), token).await));
            words.push(refusal(links.complete(&from([203, 0, 113, at]), token, Password::new(PASSWORD.into())).await));
        }
        assert!(words.iter().all(|problem| *problem == words[0]));
        assert!(instance.engine.audit.verify_chains(&operator()).await.unwrap().broken.is_none());
    }

    async fn of_many_who_use_a_reset_link_at_once_one_wins(instance) {
        let ada = instance.user("ada", false).await;
        let link = instance.engine.password_links.create(&operator(), &ada.id).await.unwrap();
        let racers = (0..20u8).map(|at| {
            let (links, token) = (instance.engine.password_links.clone(), link.token.expose().to_owned());
            tokio::spawn(async move { links.complete(&from([198, 51, 100, at]), &token, Password::new(OTHER.into())).await.is_ok() })
        });
        let mut winners = 0;
        for racer in racers.collect::<Vec<_>>() {
            winners += u32::from(racer.await.unwrap());
        }
        assert_eq!(winners, 1);
    }

    async fn workspaces_are_listed_with_what_they_hold_and_renamed(instance) {
        let root = root(&instance).await;
        let (acme, ada) = instance.workspace("acme", "ada").await;
        instance.workspace("other", "eve").await;
        instance.key(&ada, &acme.id, "one").await;
        let workspaces = &instance.engine.workspaces;
        let renamed = workspaces.rename(&root, "acme", " Acme & Sons ").await.unwrap();
        assert_eq!((renamed.name.as_str(), renamed.slug.as_str()), ("Acme & Sons", "acme"));
        let all = workspaces.list_all(&root, &PeopleFilter::default()).await.unwrap();
        let seen: Vec<_> = all.items.iter().map(|row| (row.name.as_str(), row.members, row.live_keys, row.owner.as_ref().unwrap().username.as_str())).collect();
        assert_eq!(seen, [("Acme & Sons", 1, 1, "ada"), ("OTHER", 1, 0, "eve")]);
        assert_eq!(refusal(workspaces.rename(&root, "acme", " ").await).field.as_deref(), Some("name"));
        assert_eq!(code(workspaces.rename(&root, "nowhere", "x").await), ProblemCode::NotFound);
    }
}
