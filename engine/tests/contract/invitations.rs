//! Invitations: a link works once, for a week, and never gives more than its maker has.

use keyfold_domain::member::NewInvitation;
use keyfold_domain::policy::Principal;
use keyfold_domain::problem::{Problem, ProblemCode};
use keyfold_domain::time::DAY_MS;
use keyfold_domain::workspace::Role;
use keyfold_engine::{Joining, Password};

use crate::support::{PASSWORD, code, from, id_of, on_both, operator, refusal};

fn wanted(role: Role) -> NewInvitation {
    NewInvitation { role, label: "new@example.com".into() }
}

fn joining(token: &str, username: &str) -> Joining {
    Joining {
        token: token.into(),
        username: username.into(),
        email: format!("{username}@example.com"),
        display_name: String::new(),
        password: Password::new(PASSWORD.into()),
    }
}

on_both! {
    async fn somebody_new_joins_with_the_link_and_is_signed_in(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let invitations = &instance.engine.invitations;
        let issued = invitations.create(&ada, &acme.id, wanted(Role::Member)).await.unwrap();
        let open = invitations.list(&ada, &acme.id).await.unwrap();
        assert_eq!((open.len(), open[0].label.as_str(), open[0].created_by.as_str()), (1, "new@example.com", "ada"));
        assert_eq!(open[0], issued.invitation);
        let offer = invitations.look(&from([192, 0, 2, 50]), issued.token.expose()).await.unwrap();
        assert_eq!((offer.workspace.as_str(), offer.role, offer.invited_by.as_str()), ("ACME", Role::Member, "ada"));
        let (session, _) = invitations.join(&from([192, 0, 2, 50]), joining(issued.token.expose(), "newcomer")).await.unwrap();
        let Principal::User(person) = &session.actor.principal else { panic!("no person") };
        assert_eq!((person.user.username.as_str(), person.instance_admin), ("newcomer", false));
        assert_eq!(session.actor.role_in(&acme.id), Some(Role::Member));
        assert!(invitations.list(&ada, &acme.id).await.unwrap().is_empty());
        assert!(instance.engine.audit.verify_chains(&operator()).await.unwrap().broken.is_none());
    }

    async fn somebody_with_an_account_joins_and_a_member_does_not_use_the_link_up(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let (_, eve) = instance.workspace("other", "eve").await;
        let invitations = &instance.engine.invitations;
        let issued = invitations.create(&ada, &acme.id, wanted(Role::Viewer)).await.unwrap();
        assert_eq!(code(invitations.accept(&ada, issued.token.expose()).await), ProblemCode::Conflict);
        assert_eq!(invitations.accept(&eve, issued.token.expose()).await.unwrap().slug, "acme");
        assert_eq!(instance.sign_in("eve").await.role_in(&acme.id), Some(Role::Viewer));
        assert_eq!(code(invitations.accept(&operator(), issued.token.expose()).await), ProblemCode::Unauthenticated);
    }

    async fn used_expired_withdrawn_and_invented_links_are_refused_in_the_same_words(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let (_, eve) = instance.workspace("other", "eve").await;
        let invitations = &instance.engine.invitations;
        let make = || async { invitations.create(&ada, &acme.id, wanted(Role::Member)).await.unwrap() };
        let (used, withdrawn, expired) = (make().await, make().await, make().await);
        invitations.join(&from([192, 0, 2, 51]), joining(used.token.expose(), "first")).await.unwrap();
        invitations.delete(&ada, &acme.id, &withdrawn.invitation.id).await.unwrap();
        instance.clock.advance_ms(7 * DAY_MS - 1);
        assert!(invitations.look(&from([192, 0, 2, 52]), expired.token.expose()).await.is_ok());
        instance.clock.advance_ms(1);
        let mut words: Vec<Problem> = Vec::new();
        let tokens = [used.token.expose(), withdrawn.token.expose(), expired.token.expose(), "", "\0", &"x".repeat(44)];
        for (at, token) in (60u8..).zip(tokens) {
            words.push(refusal(invitations.look(&from([192, 0, 2, at]), token).await));
            words.push(refusal(invitations.join(&from([192, 0, 2, at]), joining(token, "late")).await));
            words.push(refusal(invitations.accept(&keyfold_domain::policy::Actor { request: from([192, 0, 2, at]), ..eve.clone() }, token).await));
        }
        assert!(words.iter().all(|problem| *problem == words[0]));
        assert_eq!(words[0].field.as_deref(), Some("token"));
    }

    async fn of_fifty_who_join_at_once_one_wins(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let issued = instance.engine.invitations.create(&ada, &acme.id, wanted(Role::Member)).await.unwrap();
        let racers = (0..50u8).map(|at| {
            let (engine, token) = (instance.engine.clone(), issued.token.expose().to_owned());
            tokio::spawn(async move {
                // Hashing lets only a queue of 32 wait; whoever is turned away there has lost too.
                engine.invitations.join(&from([198, 51, 100, at]), joining(&token, &format!("racer{at}"))).await.is_ok()
            })
        });
        let mut winners = 0;
        for racer in racers.collect::<Vec<_>>() {
            winners += u32::from(racer.await.unwrap());
        }
        assert_eq!(winners, 1);
    }

    async fn a_slip_in_the_form_leaves_the_link_good(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let invitations = &instance.engine.invitations;
        let issued = invitations.create(&ada, &acme.id, wanted(Role::Member)).await.unwrap();
        let good = || joining(issued.token.expose(), "fresh");
        for (field, form) in [
            ("username", Joining { username: "a b".into(), ..good() }),
            ("username", Joining { username: "ADA".into(), ..good() }),
            ("email", Joining { email: "x".into(), ..good() }),
            ("password", Joining { password: Password::new("short".into()), ..good() }),
        ] {
            assert_eq!(refusal(invitations.join(&from([192, 0, 2, 70]), form).await).field.as_deref(), Some(field));
        }
        assert!(invitations.join(&from([192, 0, 2, 70]), good()).await.is_ok());
    }

    async fn nobody_invites_above_themselves_and_strangers_do_not_invite_at_all(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let (other, eve) = instance.workspace("other", "eve").await;
        let grace = instance.member(&acme.id, "grace", Role::Admin).await;
        let linus = instance.member(&acme.id, "linus", Role::Member).await;
        let invitations = &instance.engine.invitations;
        assert_eq!(code(invitations.create(&grace, &acme.id, wanted(Role::Owner)).await), ProblemCode::Forbidden);
        assert_eq!(code(invitations.create(&linus, &acme.id, wanted(Role::Viewer)).await), ProblemCode::Forbidden);
        assert_eq!(code(invitations.create(&eve, &acme.id, wanted(Role::Viewer)).await), ProblemCode::NotFound);
        let owners = invitations.create(&ada, &acme.id, wanted(Role::Owner)).await.unwrap();
        for (actor, workspace, expected) in [
            (&eve, &acme.id, ProblemCode::NotFound),
            (&eve, &other.id, ProblemCode::NotFound),
            (&linus, &acme.id, ProblemCode::Forbidden),
            (&grace, &acme.id, ProblemCode::Forbidden),
        ] {
            assert_eq!(code(invitations.delete(actor, workspace, &owners.invitation.id).await), expected);
        }
        assert_eq!(code(invitations.list(&eve, &acme.id).await), ProblemCode::NotFound);
        assert_eq!(code(invitations.list(&linus, &acme.id).await), ProblemCode::Forbidden);
        instance.clock.advance_ms(600_000);
        assert_eq!(code(invitations.create(&ada, &acme.id, wanted(Role::Admin)).await), ProblemCode::StepUpRequired);
        assert!(invitations.create(&ada, &acme.id, wanted(Role::Member)).await.is_ok());
        assert!(invitations.delete(&ada, &acme.id, &owners.invitation.id).await.is_ok());
    }

    async fn an_invitation_ends_with_its_makers_right_to_make_it(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let invitations = &instance.engine.invitations;
        let grace = instance.member(&acme.id, "grace", Role::Admin).await;
        let issued = invitations.create(&grace, &acme.id, wanted(Role::Admin)).await.unwrap();
        instance.engine.members.update(&ada, &acme.id, &id_of(&grace), Role::Member).await.unwrap();
        assert_eq!(code(invitations.look(&from([192, 0, 2, 80]), issued.token.expose()).await), ProblemCode::Forbidden);

        let bob = instance.member(&acme.id, "bob", Role::Owner).await;
        let (high, low) = (
            invitations.create(&bob, &acme.id, wanted(Role::Owner)).await.unwrap(),
            invitations.create(&bob, &acme.id, wanted(Role::Admin)).await.unwrap(),
        );
        instance.engine.members.update(&ada, &acme.id, &id_of(&bob), Role::Admin).await.unwrap();
        assert!(invitations.look(&from([192, 0, 2, 80]), high.token.expose()).await.is_err());
        assert!(invitations.look(&from([192, 0, 2, 80]), low.token.expose()).await.is_ok());
        instance.engine.users.disable(&operator(), &id_of(&bob)).await.unwrap();
        assert!(invitations.look(&from([192, 0, 2, 80]), low.token.expose()).await.is_err());
    }

    async fn tries_are_limited_as_those_to_sign_in_are(instance) {
        let mut last = None;
        for _ in 0..11 {
            last = Some(refusal(instance.engine.invitations.look(&from([192, 0, 2, 90]), "guess").await));
        }
        let last = last.unwrap();
        assert_eq!(last.code, ProblemCode::RateLimited);
        assert!(last.retry_after.is_some());
        assert_eq!(code(instance.engine.password_links.look(&from([192, 0, 2, 90]), "guess").await), ProblemCode::RateLimited);
    }
}
