//! Set-up, signing in, workspaces and members.

use keyfold_domain::policy::{Principal, RequestInfo};
use keyfold_domain::problem::ProblemCode;
use keyfold_domain::workspace::{NewWorkspace, Role};
use keyfold_engine::{NewUser, Password, SetUp, SignIn};

use crate::support::{PASSWORD, code, from, on_both, operator, refusal};

fn form(token: &str) -> SetUp {
    SetUp {
        token: token.into(),
        username: "Ada".into(),
        email: "ada@example.com".into(),
        display_name: "Ada Lovelace".into(),
        password: Password::new(PASSWORD.into()),
        workspace_name: "Analytical Engines".into(),
        workspace_slug: "engines".into(),
    }
}

fn sign_in(login: &str, password: &str) -> SignIn {
    SignIn { login: login.into(), password: Password::new(password.into()) }
}

on_both! {
    async fn set_up_makes_one_administrator_with_a_workspace_and_a_session(instance) {
        let engine = &instance.engine;
        assert!(engine.setup.is_needed().await.unwrap());
        let token = engine.setup.issue_token().await.unwrap();
        let (session, workspace) = engine.setup.complete(&from([192, 0, 2, 1]), form(token.expose())).await.unwrap();
        assert_eq!((workspace.slug.as_str(), workspace.role), ("engines", Some(Role::Owner)));
        let actor = engine.sessions.authenticate(session.token.expose(), &from([192, 0, 2, 1])).await.unwrap().unwrap();
        let Principal::User(person) = &actor.principal else { panic!("no person") };
        assert!(person.instance_admin);
        assert_eq!(person.user.username, "ada");
        assert!(!engine.setup.is_needed().await.unwrap());
        assert_eq!(code(engine.setup.issue_token().await), ProblemCode::NotFound);
        assert_eq!(code(engine.setup.complete(&from([192, 0, 2, 2]), form(token.expose())).await), ProblemCode::NotFound);
    }

    async fn set_up_refuses_a_wrong_an_old_and_a_replaced_token(instance) {
        let engine = &instance.engine;
        let first = engine.setup.issue_token().await.unwrap();
        let second = engine.setup.issue_token().await.unwrap();
        for bad in ["", "x", first.expose()] {
            assert_eq!(refusal(engine.setup.complete(&from([192, 0, 2, 1]), form(bad)).await).field.as_deref(), Some("token"));
        }
        instance.clock.advance_ms(86_400_000);
        assert!(engine.setup.complete(&from([192, 0, 2, 1]), form(second.expose())).await.is_err());
        assert!(engine.setup.is_needed().await.unwrap());
    }

    async fn of_fifty_who_set_up_at_once_one_wins(instance) {
        let engine = &instance.engine;
        let token = engine.setup.issue_token().await.unwrap();
        let racers = (0..50u8).map(|at| {
            let (engine, token) = (engine.clone(), token.expose().to_owned());
            tokio::spawn(async move {
                let form = SetUp { username: format!("racer{at}"), ..form(&token) };
                // Hashing lets only a queue of 32 wait; whoever is turned away there has lost too.
                engine.setup.complete(&from([198, 51, 100, at]), form).await.is_ok()
            })
        });
        let mut winners = 0;
        for racer in racers.collect::<Vec<_>>() {
            winners += u32::from(racer.await.unwrap());
        }
        assert_eq!(winners, 1);
    }

    async fn a_weak_field_in_set_up_is_named_and_nothing_is_made(instance) {
        let engine = &instance.engine;
        let token = engine.setup.issue_token().await.unwrap();
        let good = || form(token.expose());
        let cases = [
            ("username", SetUp { username: "a b".into(), ..good() }),
            ("email", SetUp { email: "ada".into(), ..good() }),
            ("password", SetUp { password: Password::new("short".into()), ..good() }),
            ("workspace_name", SetUp { workspace_name: " ".into(), ..good() }),
            ("workspace_slug", SetUp { workspace_slug: "A B".into(), ..good() }),
        ];
        for (field, form) in cases {
            assert_eq!(refusal(engine.setup.complete(&from([192, 0, 2, 9]), form).await).field.as_deref(), Some(field));
        }
        assert!(engine.setup.is_needed().await.unwrap());
        assert!(engine.setup.complete(&from([192, 0, 2, 9]), good()).await.is_ok(), "the token is still good");
    }

    async fn unknown_wrong_and_disabled_look_the_same(instance) {
        instance.user("ada", false).await;
        let engine = &instance.engine;
        let unknown = refusal(engine.sessions.sign_in(&from([192, 0, 2, 1]), sign_in("nobody", PASSWORD)).await);
        let wrong = refusal(engine.sessions.sign_in(&from([192, 0, 2, 1]), sign_in("ada", "violet anchor kiosK")).await);
        assert_eq!(unknown, wrong);
        assert_eq!(unknown.code, ProblemCode::Unauthenticated);
        assert!(engine.sessions.sign_in(&from([192, 0, 2, 1]), sign_in(" ADA ", PASSWORD)).await.is_ok());
    }

    async fn a_network_that_tries_too_often_waits_and_others_do_not(instance) {
        instance.user("ada", false).await;
        let engine = &instance.engine;
        let mut seen = Vec::new();
        for _ in 0..11 {
            seen.push(refusal(engine.sessions.sign_in(&from([192, 0, 2, 1]), sign_in("ada", "not the password")).await));
        }
        assert!(seen.last().unwrap().retry_after.is_some());
        assert!(engine.sessions.sign_in(&from([192, 0, 2, 2]), sign_in("ada", PASSWORD)).await.is_ok());
    }

    async fn a_session_ends_by_sign_out_idleness_and_age(instance) {
        instance.user("ada", false).await;
        let engine = &instance.engine;
        let info = from([192, 0, 2, 1]);
        let known = |token: String| {
            let (engine, info) = (engine.clone(), info.clone());
            async move { engine.sessions.authenticate(&token, &info).await.unwrap().is_some() }
        };
        let begin = || async { engine.sessions.sign_in(&info, sign_in("ada", PASSWORD)).await.unwrap() };
        let left = begin().await;
        engine.sessions.sign_out(&left.actor).await.unwrap();
        assert!(!known(left.token.expose().into()).await);
        let idle = begin().await;
        instance.clock.advance_ms(8 * 3_600_000 + 1);
        assert!(!known(idle.token.expose().into()).await);
        let old = begin().await;
        for _ in 0..4 {
            instance.clock.advance_ms(6 * 3_600_000 - 1);
            assert!(known(old.token.expose().into()).await);
        }
        instance.clock.advance_ms(4);
        assert!(!known(old.token.expose().into()).await);
        assert!(!known("x".repeat(44)).await);
        assert!(!known(String::new()).await);
    }

    async fn a_person_has_at_most_twenty_sessions(instance) {
        instance.user("ada", false).await;
        let mut tokens = Vec::new();
        for at in 0..21u8 {
            instance.clock.advance_ms(1);
            let info = from([198, 51, 100, at]);
            tokens.push(instance.engine.sessions.sign_in(&info, sign_in("ada", PASSWORD)).await.unwrap().token);
        }
        let nowhere = RequestInfo::default();
        let alive = |at: usize| instance.engine.sessions.authenticate(tokens[at].expose(), &nowhere);
        assert!(alive(0).await.unwrap().is_none());
        assert!(alive(1).await.unwrap().is_some());
        assert!(alive(20).await.unwrap().is_some());
    }

    async fn step_up_replaces_the_session(instance) {
        instance.user("ada", false).await;
        let engine = &instance.engine;
        let info = from([192, 0, 2, 1]);
        let first = engine.sessions.sign_in(&info, sign_in("ada", PASSWORD)).await.unwrap();
        assert_eq!(refusal(engine.sessions.step_up(&first.actor, Password::new("wrong".into())).await).field.as_deref(), Some("password"));
        let second = engine.sessions.step_up(&first.actor, Password::new(PASSWORD.into())).await.unwrap();
        assert!(engine.sessions.authenticate(first.token.expose(), &info).await.unwrap().is_none());
        assert!(engine.sessions.authenticate(second.token.expose(), &info).await.unwrap().is_some());
    }

    async fn a_taken_name_is_a_conflict_that_names_its_field(instance) {
        let (_, _) = instance.workspace("acme", "ada").await;
        let again = NewUser {
            username: "ADA".into(),
            email: "a@example.com".into(),
            display_name: String::new(),
            password: Password::new(PASSWORD.into()),
            instance_admin: false,
        };
        assert_eq!(refusal(instance.engine.users.create(&operator(), again).await).field.as_deref(), Some("username"));
        let owner = instance.engine.users.find_by_username(&operator(), "Ada").await.unwrap().id;
        let taken = NewWorkspace { slug: "acme".into(), name: "Other".into() };
        assert_eq!(refusal(instance.engine.workspaces.create(&operator(), taken, &owner).await).field.as_deref(), Some("slug"));
    }

    async fn a_workspace_is_hidden_from_strangers_and_its_roles_bound_who_brings_people_in(instance) {
        let (acme, owner) = instance.workspace("acme", "ada").await;
        let (other, stranger) = instance.workspace("other", "eve").await;
        let engine = &instance.engine;
        assert_eq!(refusal(engine.workspaces.get(&stranger, "acme").await), refusal(engine.workspaces.get(&stranger, "absent").await));
        assert_eq!(engine.workspaces.get(&owner, acme.id.as_str()).await.unwrap().role, Some(Role::Owner));
        let seen = engine.workspaces.list(&stranger).await.unwrap();
        assert_eq!(seen.iter().map(|workspace| &workspace.id).collect::<Vec<_>>(), [&other.id]);
        let admin = instance.member(&acme.id, "grace", Role::Admin).await;
        let user = instance.user("linus", false).await;
        assert_eq!(code(engine.members.add(&stranger, &acme.id, &user.id, Role::Member).await), ProblemCode::NotFound);
        assert_eq!(code(engine.members.add(&admin, &acme.id, &user.id, Role::Owner).await), ProblemCode::Forbidden);
        engine.members.add(&operator(), &acme.id, &user.id, Role::Member).await.unwrap();
        let member = instance.sign_in("linus").await;
        assert_eq!(engine.workspaces.get(&member, "acme").await.unwrap().role, Some(Role::Member));
        assert_eq!(code(engine.members.add(&member, &acme.id, &user.id, Role::Viewer).await), ProblemCode::Forbidden);
    }
}
