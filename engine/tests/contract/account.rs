//! One's own account: profile, password, sessions.

use keyfold_domain::policy::Principal;
use keyfold_domain::problem::ProblemCode;
use keyfold_engine::{IssuedSession, NewPassword, Password, SignIn};

use crate::support::{Instance, PASSWORD, code, from, on_both, operator, refusal};

const OTHER: &str = "copper lantern fjord";

fn change(present: &str, wanted: &str, end_others: bool) -> NewPassword {
    NewPassword { present: Password::new(present.into()), wanted: Password::new(wanted.into()), end_others }
}

async fn begin(instance: &Instance, login: &str, last: u8) -> IssuedSession {
    let form = SignIn { login: login.into(), password: Password::new(PASSWORD.into()) };
    instance.engine.sessions.sign_in(&from([203, 0, 113, last]), form).await.unwrap()
}

async fn alive(instance: &Instance, session: &IssuedSession) -> bool {
    instance.engine.sessions.authenticate(session.token.expose(), &from([203, 0, 113, 1])).await.unwrap().is_some()
}

on_both! {
    async fn a_changed_password_ends_this_session_and_by_choice_all_others(instance) {
        instance.user("ada", false).await;
        instance.user("eve", false).await;
        let (here, there, eves) = (begin(&instance, "ada", 1).await, begin(&instance, "ada", 2).await, begin(&instance, "eve", 3).await);
        let account = &instance.engine.account;
        let wrong = refusal(account.change_password(&here.actor, change("not the password", OTHER, true)).await);
        assert_eq!((wrong.code, wrong.field.as_deref()), (ProblemCode::Forbidden, Some("present")));
        assert_eq!(refusal(account.change_password(&here.actor, change(PASSWORD, "short", true)).await).field.as_deref(), Some("password"));
        assert!(alive(&instance, &here).await);
        let fresh = account.change_password(&here.actor, change(PASSWORD, OTHER, false)).await.unwrap();
        assert_eq!([alive(&instance, &here).await, alive(&instance, &there).await, alive(&instance, &fresh).await], [false, true, true]);
        let last = account.change_password(&fresh.actor, change(OTHER, PASSWORD, true)).await.unwrap();
        assert_eq!([alive(&instance, &fresh).await, alive(&instance, &there).await, alive(&instance, &last).await], [false, false, true]);
        assert!(alive(&instance, &eves).await, "nobody else's");
        assert_eq!(code(account.change_password(&operator(), change(PASSWORD, OTHER, true)).await), ProblemCode::Unauthenticated);
    }

    async fn a_reset_link_is_not_good_after_the_password_was_changed(instance) {
        let ada = instance.user("ada", false).await;
        let session = begin(&instance, "ada", 1).await;
        let link = instance.engine.password_links.create(&operator(), &ada.id).await.unwrap();
        instance.engine.account.change_password(&session.actor, change(PASSWORD, OTHER, true)).await.unwrap();
        assert!(instance.engine.password_links.look(&from([203, 0, 113, 9]), link.token.expose()).await.is_err());
    }

    async fn tries_of_the_present_password_are_limited(instance) {
        instance.user("ada", false).await;
        let session = begin(&instance, "ada", 1).await;
        let mut last = None;
        for _ in 0..11 {
            last = Some(code(instance.engine.account.change_password(&session.actor, change("wrong", OTHER, true)).await));
        }
        assert_eq!(last, Some(ProblemCode::RateLimited));
    }

    async fn a_name_changes_at_once_and_an_address_wants_a_fresh_password(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let key = instance.key(&ada, &acme.id, "k").await;
        let account = &instance.engine.account;
        instance.clock.advance_ms(600_000);
        let named = account.update(&ada, " Ada Lovelace ", "ada@example.com").await.unwrap();
        assert_eq!(named.display_name, "Ada Lovelace");
        let seen = instance.engine.verifier.whoami(key.secret.expose(), None).unwrap();
        assert_eq!(seen.key.unwrap().owner().display_name, "Ada Lovelace");
        assert_eq!(code(account.update(&ada, "Ada", "other@example.com").await), ProblemCode::StepUpRequired);
        let fresh = instance.engine.sessions.step_up(&ada, Password::new(PASSWORD.into())).await.unwrap();
        assert_eq!(account.update(&fresh.actor, "", "other@example.com").await.unwrap().display_name, "ada");
        assert_eq!(account.get(&fresh.actor).await.unwrap().email, "other@example.com");
        assert_eq!(refusal(account.update(&fresh.actor, "x\u{202e}", "a@b").await).field.as_deref(), Some("display_name"));
        assert_eq!(refusal(account.update(&fresh.actor, "x", "nowhere").await).field.as_deref(), Some("email"));
    }

    async fn a_person_sees_and_ends_their_own_sessions_only(instance) {
        instance.user("ada", false).await;
        instance.user("eve", false).await;
        let (here, there, third, eves) =
            (begin(&instance, "ada", 1).await, begin(&instance, "ada", 2).await, begin(&instance, "ada", 3).await, begin(&instance, "eve", 4).await);
        let sessions = &instance.engine.sessions;
        let seen = sessions.list(&here.actor).await.unwrap();
        assert_eq!((seen.len(), seen.iter().filter(|session| session.current).count()), (3, 1));
        assert!(seen.iter().any(|session| session.ip.as_deref() == Some("203.0.113.2")));
        let id = |session: &IssuedSession| match &session.actor.principal {
            Principal::User(person) => person.session.clone(),
            _ => panic!("no person"),
        };
        assert_eq!(code(sessions.end(&here.actor, &id(&eves)).await), ProblemCode::NotFound);
        sessions.end(&here.actor, &id(&there)).await.unwrap();
        assert_eq!([alive(&instance, &here).await, alive(&instance, &there).await, alive(&instance, &eves).await], [true, false, true]);
        assert_eq!(code(sessions.end(&here.actor, &id(&there)).await), ProblemCode::NotFound);
        assert_eq!(sessions.end_others(&here.actor).await.unwrap(), 1);
        assert_eq!([alive(&instance, &here).await, alive(&instance, &third).await, alive(&instance, &eves).await], [true, false, true]);
        assert_eq!(code(sessions.list(&operator()).await), ProblemCode::Unauthenticated);
    }
}
