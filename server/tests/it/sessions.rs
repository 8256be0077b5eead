//! Sessions over HTTP: what signs in, what a cookie is worth, and when it is worth nothing any more.

use keyfold_domain::workspace::Role;
use serde_json::json;

use crate::support::{Actor, App, COOKIE, Call, PASSWORD, session_of, with_cookie};

const LIST: &str = "/v1/workspaces/acme/keys";

fn sign_in(login: &str, password: &str) -> Call {
    Call::post("/_app/sign_in").header("sec-fetch-site", "same-origin").form(&[("login", login), ("password", password)])
}

async fn status(app: &App, token: &str) -> u16 {
    app.send(with_cookie(Call::get(LIST), token)).await.code()
}

#[tokio::test]
async fn signing_in_sets_a_guarded_cookie_and_signing_out_makes_it_worthless() {
    for app in App::on_each().await {
        Actor::Member.user(&app).await;
        let answer = app.send(sign_in("Member", PASSWORD)).await.expect(200);
        let line = answer.header("set-cookie").unwrap();
        for part in ["__Host-kf_session=", "Path=/", "HttpOnly", "Secure", "SameSite=Lax"] {
            assert!(line.contains(part), "{part}: {line}");
        }
        assert!(!line.contains("Domain"));
        let token = session_of(&answer);
        assert_eq!(status(&app, &token).await, 200);

        let out = app.send(with_cookie(Call::post("/_app/sign_out"), &token)).await.expect(200);
        assert_eq!(session_of(&out), "");
        assert_eq!(status(&app, &token).await, 401);
        // Signing out once more is no fault.
        app.send(with_cookie(Call::post("/_app/sign_out"), &token)).await.expect(200);
    }
}

#[tokio::test]
async fn a_planted_session_is_not_adopted() {
    let app = App::new().await;
    Actor::Member.user(&app).await;
    let planted = "0".repeat(44);
    let answer = app.send(sign_in("member", PASSWORD).header("cookie", &format!("{COOKIE}={planted}"))).await.expect(200);
    let token = session_of(&answer);
    assert_ne!(token, planted);
    assert_eq!(status(&app, &planted).await, 401);
    // Another sign-in is another session; both live.
    let second = session_of(&app.send(sign_in("member", PASSWORD)).await.expect(200));
    assert_ne!(second, token);
    assert_eq!([status(&app, &token).await, status(&app, &second).await], [200, 200]);
}

#[tokio::test]
async fn unknown_people_and_wrong_passwords_get_the_same_answer() {
    let app = App::new().await;
    Actor::Member.user(&app).await;
    let refused = async |login: &str, password: &str| {
        let answer = app.send(sign_in(login, password)).await.expect(401);
        assert!(answer.cookies().is_empty());
        answer.text()
    };
    let wrong = refused("member", "not-the-password-at-all").await;
    assert_eq!(refused("nobody", "not-the-password-at-all").await, wrong);
    assert_eq!(refused("nobody", PASSWORD).await, wrong);
    assert_eq!(refused("", "").await, wrong);
    assert_eq!(refused("member", "").await, wrong);
    assert_eq!(refused("\u{0}", "\u{0}").await, wrong);
    assert_eq!(refused("member", &"x".repeat(10_000)).await, wrong);
}

#[tokio::test]
async fn too_many_tries_from_one_network_have_to_wait() {
    let app = App::new().await;
    Actor::Member.user(&app).await;
    let from = [192, 0, 2, 1].into();
    for _ in 0..10 {
        let code = app.send_from(from, sign_in("nobody", "wrong-wrong-wrong-wrong")).await.code();
        assert!([401, 429].contains(&code), "{code}");
    }
    let answer = app.send_from(from, sign_in("member", PASSWORD)).await.expect(429);
    assert!(answer.header("retry-after").unwrap().parse::<u32>().unwrap() > 0);
    // A stranger's failures keep nobody else out.
    app.send_from([192, 0, 2, 2].into(), sign_in("member", PASSWORD)).await.expect(200);
}

#[tokio::test]
async fn a_session_ends_after_eight_idle_hours_and_after_a_day() {
    let app = App::new().await;
    Actor::Member.user(&app).await;
    let hour = 3_600_000;
    let idle = app.sign_in("member").await;
    app.clock.advance_ms(8 * hour - 1);
    assert_eq!(status(&app, &idle).await, 200);
    app.clock.advance_ms(8 * hour + 1);
    assert_eq!(status(&app, &idle).await, 401);

    let busy = app.sign_in("member").await;
    for _ in 0..23 {
        app.clock.advance_ms(hour);
        assert_eq!(status(&app, &busy).await, 200);
    }
    app.clock.advance_ms(hour);
    assert_eq!(status(&app, &busy).await, 401);
}

#[tokio::test]
async fn a_changed_role_holds_at_the_next_request() {
    let app = App::new().await;
    let admin = Actor::Admin.user(&app).await;
    let token = app.sign_in("admin").await;
    let key = app.key(Actor::KeyOwner, keyfold_domain::scope::KeyKind::Secret, &["chat"]).await;
    let read = |token: &str| with_cookie(Call::get(format!("{LIST}/{}", key.key.id)), token);
    app.send(read(&token)).await.expect(200);
    app.member(&admin, Role::Viewer).await;
    app.send(read(&token)).await.expect(404);
    let create = with_cookie(Call::post(LIST), &token).json(&json!({"kind": "secret", "scopes": ["chat"]}));
    app.send(create).await.expect(403);
}

#[tokio::test]
async fn a_management_key_asks_for_a_fresh_password() {
    let app = App::new().await;
    Actor::Admin.user(&app).await;
    let token = app.sign_in("admin").await;
    let create = |kind: &str, scope: &str| with_cookie(Call::post(LIST), &token).json(&json!({"kind": kind, "scopes": [scope]}));
    app.send(create("management", "verify")).await.expect(201);
    app.clock.advance_ms(10 * 60_000);
    assert_eq!(app.send(create("management", "verify")).await.expect(403).problem(), "step_up_required");
    app.send(create("secret", "chat")).await.expect(201);
}

#[tokio::test]
async fn a_cookie_that_cannot_be_ours_is_nobody() {
    let app = App::new().await;
    Actor::Member.user(&app).await;
    let token = app.sign_in("member").await;
    let lines = [
        format!("{COOKIE}="),
        format!("{COOKIE}={}", "x".repeat(5000)),
        format!("{COOKIE}=' OR 1=1 --"),
        format!("kf_session={token}"),
        format!("{COOKIE}={token}; {COOKIE}={token}x"),
        format!("{COOKIE}={}", token.to_uppercase()),
    ];
    for line in lines {
        app.send(Call::get(LIST).header("cookie", &line)).await.expect(401);
    }
    app.send(Call::get(LIST).header("cookie", &format!("other=1; {COOKIE}={token}; more=2"))).await.expect(200);
    // A session's token is no key, and a key is no session.
    app.send(Call::get(LIST).bearer(&token)).await.expect(401);
}
