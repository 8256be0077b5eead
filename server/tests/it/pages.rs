//! Pages as a browser without script gets them, and as anything else gets them.

use std::thread;

use axum::http::Method;
use keyfold_domain::scope::KeyKind;
use serde_json::json;

use crate::support::{Actor, App, COOKIE, Call, Cli, PASSWORD, Server, send};

#[tokio::test]
async fn the_front_door_leads_on_whatever_the_client_accepts() {
    let app = App::new().await;
    for (actor, target) in [(Actor::Anonymous, "/sign-in"), (Actor::Admin, "/w/acme/keys")] {
        for method in [Method::GET, Method::HEAD] {
            for accept in [None, Some("*/*"), Some("text/html,application/xhtml+xml"), Some("application/json"), Some("image/png")] {
                let call = Call::new(method.clone(), "/");
                let call = accept.into_iter().fold(call, |call, accept| call.header("accept", accept));
                let answer = app.as_(actor, call).await;
                assert!([302, 303, 307].contains(&answer.code()), "{actor:?} {method} {accept:?}: {}", answer.code());
                assert_eq!(answer.header("location"), Some(target), "{actor:?} {method} {accept:?}");
            }
        }
    }
}

#[tokio::test]
async fn every_page_has_a_title() {
    let app = App::new().await;
    let key = app.key(Actor::KeyOwner, KeyKind::Secret, &["chat"]).await.key.id;
    let pages = [
        (Actor::Anonymous, "/sign-in".to_owned()),
        (Actor::Admin, "/w/acme/keys".to_owned()),
        (Actor::Admin, "/w/acme/keys/new".to_owned()),
        (Actor::Admin, format!("/w/acme/keys/{key}/scopes")),
        (Actor::Admin, format!("/w/acme/keys/{key}/delete")),
        (Actor::Admin, format!("/w/acme/keys/{key}")),
        (Actor::Admin, format!("/w/acme/keys/{key}/edit/expiry")),
        (Actor::Admin, "/account".to_owned()),
        (Actor::Admin, "/account/find?q=a".to_owned()),
        (Actor::Admin, "/account/keyboard".to_owned()),
        (Actor::Admin, "/w/acme/keys/filter".to_owned()),
        (Actor::Admin, "/w/acme/keys/filter/columns".to_owned()),
        (Actor::Admin, "/nowhere".to_owned()),
        (Actor::Admin, "/w/nowhere/keys".to_owned()),
        (Actor::Admin, "/w/acme/keys/x/scopes".to_owned()),
        (Actor::Anonymous, "/".to_owned()),
    ];
    for (actor, path) in pages {
        for accept in ["*/*", "text/html"] {
            let answer = app.as_(actor, Call::get(&path).header("accept", accept)).await;
            let text = answer.text();
            if text.is_empty() {
                assert!(answer.status.is_redirection(), "{path}");
                continue;
            }
            let title = text.split("<title>").nth(1).and_then(|rest| rest.split("</title>").next());
            assert!(title.is_some_and(|title| !title.trim().is_empty()), "{path} {accept}: {title:?}");
        }
    }
}

#[tokio::test]
async fn a_dialog_about_a_key_that_is_not_there_is_not_found() {
    let app = App::new().await;
    for id in ["x", "key_", "key_0000000000000000000000", "kf_sec_0", "%00"] {
        for dialog in ["", "/scopes", "/delete", "/edit/name", "/edit/expiry"] {
            let answer = app.as_(Actor::Admin, Call::get(format!("/w/acme/keys/{id}{dialog}")).header("accept", "text/html")).await;
            assert_eq!(answer.code(), 404, "{id} {dialog}");
        }
    }
    let key = app.key(Actor::KeyOwner, KeyKind::Secret, &["chat"]).await.key.id;
    for act in ["name", "scopes", "expiry", "interval", "deactivate", "activate", "delete"] {
        app.as_(Actor::Admin, Call::get(format!("/w/acme/keys/{key}/edit/{act}")).header("accept", "text/html")).await.expect(200);
    }
    for nowhere in ["edit/nothing", "other", "other/name"] {
        app.as_(Actor::Admin, Call::get(format!("/w/acme/keys/{key}/{nowhere}")).header("accept", "text/html")).await.expect(404);
    }
}

#[tokio::test]
async fn two_hundred_readers_at_once_leave_the_server_alive() {
    let (_folder, cli) = Cli::founded();
    cli.key(&["--scope", "chat"]);
    let id = cli.json(&["key", "list", "--workspace", "acme"])["data"][0]["id"].as_str().unwrap().to_owned();
    let server = Server::start(&cli, &[]).await;
    let port = server.port();
    let sign_in = Call::post("/_app/sign_in").header("sec-fetch-site", "same-origin").form(&[("login", "ada"), ("password", PASSWORD)]);
    let cookies = server.send(&sign_in).cookies();
    let (_, session) = cookies.iter().find(|(name, _)| name == COOKIE).unwrap();
    let cookie = format!("{COOKIE}={session}");
    for path in
        ["/w/acme/keys".to_owned(), "/w/acme/keys/new".to_owned(), format!("/w/acme/keys/{id}/scopes"), format!("/w/acme/keys/{id}/delete")]
    {
        let call = Call::get(&path).header("cookie", &cookie).header("accept", "text/html");
        thread::scope(|scope| {
            let readers: Vec<_> = (0..200).map(|_| scope.spawn(|| send(port, &call).map(|answer| answer.code()))).collect();
            for reader in readers {
                assert_eq!(reader.join().unwrap(), Some(200), "{path}");
            }
        });
    }
    assert_eq!(server.send(&Call::get("/healthz")).json(), json!({"status": "ok"}));
    let said = server.said();
    assert!(!said.contains("panic"), "{said}");
}
