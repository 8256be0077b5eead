//! One's own account over HTTP, and the gates of one-time links.

use keyfold_domain::workspace::Role;
use serde_json::json;

use crate::support::{Actor, App, Call, PASSWORD, operator, session_of, with_cookie};

const OTHER: &str = "copper-lantern-fjord-17";

async fn status(app: &App, token: &str) -> u16 {
    app.send(with_cookie(Call::get("/v1/workspaces"), token)).await.code()
}

/// S14: what a session's cookie is worth after the acts that end sessions.
#[tokio::test]
async fn a_changed_password_makes_every_other_cookie_worthless_and_begins_a_new_one() {
    for app in App::on_each().await {
        Actor::Member.user(&app).await;
        let (here, there) = (app.sign_in("member").await, app.sign_in("member").await);
        let change = |present: &str, wanted: &str| {
            Call::post("/_app/change_password").form(&[("present", present), ("password", wanted), ("end_others", "true")])
        };
        let wrong = app.send(with_cookie(change("not-the-password-at-all", OTHER), &here)).await.expect(403);
        assert!(wrong.cookies().is_empty());
        let weak = app.send(with_cookie(change(PASSWORD, "member-member-member"), &here)).await.expect(400);
        assert!(weak.text().contains("password"));
        assert_eq!([status(&app, &here).await, status(&app, &there).await], [200, 200]);
        let fresh = session_of(&app.send(with_cookie(change(PASSWORD, OTHER), &here)).await.expect(200));
        assert_ne!(fresh, here);
        assert_eq!([status(&app, &here).await, status(&app, &there).await, status(&app, &fresh).await], [401, 401, 200]);
        let sign_in = |password: &str| {
            Call::post("/_app/sign_in").header("sec-fetch-site", "same-origin").form(&[("login", "member"), ("password", password)])
        };
        app.send(sign_in(PASSWORD)).await.expect(401);
        app.send(sign_in(OTHER)).await.expect(200);
    }
}

#[tokio::test]
async fn the_list_of_sessions_names_the_browser_and_keeps_nothing_that_it_sent() {
    for app in App::on_each().await {
        Actor::Member.user(&app).await;
        let here = app.sign_in("member").await;
        for agent in ["Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0 canary", "canary<script>"] {
            let form = [("login", "member"), ("password", PASSWORD)];
            let sign_in = Call::post("/_app/sign_in").header("sec-fetch-site", "same-origin").header("user-agent", agent).form(&form);
            app.send(sign_in).await.expect(200);
        }
        let page = app.send(with_cookie(Call::get("/account").header("accept", "text/html"), &here)).await.expect(200).text();
        assert!(page.contains("Firefox on Linux") && page.contains("An unknown browser") && !page.contains("canary"));
    }
}

#[tokio::test]
async fn another_address_asks_for_the_password_in_the_same_form_and_another_name_does_not() {
    let app = App::new().await;
    Actor::Member.user(&app).await;
    let token = app.sign_in("member").await;
    app.clock.advance_ms(10 * 60_000);
    let save = |email: &str, again: &str| {
        Call::post("/_app/update_account").form(&[("display_name", "M"), ("email", email), ("password_again", again)])
    };
    app.send(with_cookie(save("member@example.com", ""), &token)).await.expect(200);
    let asked = app.send(with_cookie(save("new@example.com", ""), &token)).await.expect(403);
    assert!(asked.text().contains("step_up_required"));
    let wrong = app.send(with_cookie(save("new@example.com", "not-mine-not-mine"), &token)).await.expect(403);
    assert!(wrong.text().contains("password_again"), "{}", wrong.text());
    let done = app.send(with_cookie(save("new@example.com", PASSWORD), &token)).await.expect(200);
    // The proof began a new session; the old cookie is worthless.
    let fresh = session_of(&done);
    assert_eq!([status(&app, &token).await, status(&app, &fresh).await], [401, 200]);
    app.send(with_cookie(save("third@example.com", ""), &fresh)).await.expect(200);
}

#[tokio::test]
async fn a_person_ends_sessions_of_their_own_and_of_nobody_else() {
    for app in App::on_each().await {
        Actor::Member.user(&app).await;
        Actor::Viewer.user(&app).await;
        let (here, there, foreign) = (app.sign_in("member").await, app.sign_in("member").await, app.sign_in("viewer").await);
        let list = async |token: &str| app.send(with_cookie(Call::post("/_app/get_account").json(&json!({})), token)).await.expect(200);
        let mine = list(&here).await.json();
        assert_eq!(mine["sessions"].as_array().unwrap().len(), 2);
        assert!(!mine.to_string().contains(&there));
        let others = list(&foreign).await.json()["sessions"][0]["id"].as_str().unwrap().to_owned();
        let end = |id: &str| with_cookie(Call::post("/_app/end_session").form(&[("session", id)]), &here);
        app.send(end(&others)).await.expect(404);
        let other = mine["sessions"].as_array().unwrap().iter().find(|session| session["current"] == false).unwrap();
        app.send(end(other["id"].as_str().unwrap())).await.expect(200);
        assert_eq!([status(&app, &here).await, status(&app, &there).await, status(&app, &foreign).await], [200, 401, 200]);
        let third = app.sign_in("member").await;
        app.send(with_cookie(Call::post("/_app/end_other_sessions"), &here)).await.expect(200);
        assert_eq!([status(&app, &here).await, status(&app, &third).await, status(&app, &foreign).await], [200, 401, 200]);
    }
}

#[tokio::test]
async fn a_reset_link_sets_the_password_once_and_ends_every_session() {
    for app in App::on_each().await {
        let member = Actor::Member.user(&app).await;
        let session = app.sign_in("member").await;
        let link = app.engine.password_links.create(&operator(), &member).await.unwrap();
        let token = link.token.expose();
        let page = app.send(Call::get(format!("/reset?token={token}"))).await.expect(200);
        assert!(page.text().contains("Choose a password") && page.header("cache-control") == Some("no-store"));
        let reset = |password: &str| {
            Call::post("/_app/reset_password").header("sec-fetch-site", "same-origin").form(&[("token", token), ("password", password)])
        };
        app.send(reset("short")).await.expect(400);
        app.send(reset(OTHER)).await.expect(200);
        assert_eq!(status(&app, &session).await, 401);
        let again = app.send(reset(PASSWORD)).await.expect(403).text();
        let invented =
            Call::post("/_app/reset_password").header("sec-fetch-site", "same-origin").form(&[("token", "x"), ("password", PASSWORD)]);
        assert_eq!(app.send(invented).await.expect(403).text(), again);
        assert!(app.send(Call::get(format!("/reset?token={token}"))).await.text().contains("This link does not work"));
    }
}

#[tokio::test]
async fn an_invitation_makes_an_account_and_signs_in_or_lets_somebody_in() {
    for app in App::on_each().await {
        let make = async || {
            let wanted = keyfold_domain::member::NewInvitation { role: Role::Member, label: String::new() };
            let issued = app.engine.invitations.create(&operator(), &app.acme, wanted).await.unwrap();
            issued.token.expose().to_owned()
        };
        let token = make().await;
        let page = app.send(Call::get(format!("/invite?token={token}"))).await.expect(200).text();
        assert!(page.contains("Join ACME") && page.contains("Create account and join"));
        let join = |token: &str| {
            let fields = [("token", token), ("username", "newcomer"), ("email", "n@example.com"), ("password", OTHER)];
            Call::post("/_app/join_workspace").header("sec-fetch-site", "same-origin").form(&fields)
        };
        let joined = app.send(join(&token)).await.expect(200);
        let session = session_of(&joined);
        app.send(with_cookie(Call::get("/v1/workspaces/acme"), &session)).await.expect(200);
        app.send(join(&token)).await.expect(403);

        let second = make().await;
        let page = app.as_(Actor::ForeignAdmin, Call::get(format!("/invite?token={second}"))).await.expect(200).text();
        assert!(page.contains("Join the workspace") && !page.contains("Create account and join"));
        let accept = || Call::post("/_app/accept_invitation").form(&[("token", &second)]);
        app.as_(Actor::ForeignAdmin, Call::get("/v1/workspaces/acme")).await.expect(404);
        app.as_(Actor::ForeignAdmin, accept()).await.expect(200);
        app.as_(Actor::ForeignAdmin, Call::get("/v1/workspaces/acme")).await.expect(200);
        app.as_(Actor::Viewer, accept()).await.expect(403);
    }
}
