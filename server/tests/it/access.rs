//! Who may do what, through every door: each REST operation and each server function for every actor. The rows are checked
//! against what the server really offers, so a new endpoint without a row fails.

mod functions;
mod operations;
mod strangers;

use std::collections::BTreeSet;

use keyfold_domain::scope::KeyKind;
use keyfold_server::rest::openapi_document;
use leptos::server_fn::axum::server_fn_paths;

use crate::support::{Actor, App, Call, operator};

/// The statuses for the actors, in the order of [`Actor::ALL`].
type Statuses = [u16; Actor::ALL.len()];

/// What a row acts on, made afresh for every cell.
struct Target {
    /// A key of [`Actor::KeyOwner`]'s in acme.
    key: String,
    /// The secret of it.
    secret: String,
    /// The id of [`Actor::KeyOwner`].
    owner: String,
    /// The id of the key's current secret.
    secret_id: String,
}

/// One act and what it answers to whom.
struct Row {
    /// The id of the operation, or the path of the server function.
    act: &'static str,
    call: fn(&Target) -> Call,
    expected: Statuses,
}

async fn target(app: &App) -> Target {
    let issued = app.key(Actor::KeyOwner, KeyKind::Secret, &["inference"]).await;
    let secrets = app.engine.keys.secrets(&operator(), &app.acme, &issued.key.id).await.unwrap();
    Target {
        key: issued.key.id.to_string(),
        secret: issued.secret.expose().to_owned(),
        owner: Actor::KeyOwner.user(app).await.to_string(),
        secret_id: secrets[0].id.to_string(),
    }
}

async fn check(app: &App, rows: &[Row]) {
    let mut wrong = Vec::new();
    for row in rows {
        for (actor, expected) in Actor::ALL.into_iter().zip(row.expected) {
            let call = (row.call)(&target(app).await);
            let answer = app.as_(actor, call.clone()).await;
            if answer.code() != expected {
                wrong.push(format!("{} by {actor:?}: {} and not {expected}: {}", row.act, answer.code(), answer.text()));
            }
            if row.act.ends_with("sign_out") || row.act.ends_with("step_up") {
                // The session shown is no more.
                app.forget(actor).await;
            }
        }
    }
    assert!(wrong.is_empty(), "{} cells differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn every_operation_answers_every_actor_as_the_table_says() {
    for app in App::on_each().await {
        check(&app, &operations::rows()).await;
    }
}

#[tokio::test]
async fn every_server_function_answers_every_actor_as_the_table_says() {
    let app = App::new().await;
    check(&app, &functions::rows()).await;
}

#[test]
fn every_operation_has_a_row() {
    let document = serde_json::to_value(openapi_document()).unwrap();
    let offered: BTreeSet<String> = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|item| item.as_object().unwrap().values())
        .map(|operation| operation["operationId"].as_str().unwrap().to_owned())
        .collect();
    let listed: BTreeSet<String> = operations::rows().iter().map(|row| row.act.to_owned()).collect();
    assert_eq!(offered, listed);
}

#[tokio::test]
async fn every_server_function_has_a_row_and_is_post_only() {
    // Registration is done when the program starts; the router only reads it.
    let app = App::new().await;
    let offered: Vec<_> = server_fn_paths().collect();
    let listed: BTreeSet<String> = functions::rows().iter().map(|row| row.act.to_owned()).collect();
    assert_eq!(offered.iter().map(|(path, _)| (*path).to_owned()).collect::<BTreeSet<_>>(), listed);
    for (path, method) in offered {
        assert_eq!(method, "POST", "{path}");
        for other in ["GET", "PUT", "DELETE"] {
            let answer = app.as_(Actor::Admin, Call::new(other.parse().unwrap(), path)).await;
            assert!([404, 405].contains(&answer.code()), "{other} {path}: {}", answer.code());
        }
    }
}

#[tokio::test]
async fn the_page_form_of_a_new_key_is_guarded_as_the_api_is() {
    let app = App::new().await;
    let form = || {
        let fields = [("name", "by form"), ("kind", "secret"), ("scopes", "inference"), ("expiry", "30"), ("idempotency_key", "a-1")];
        Call::post("/w/acme/keys/new").header("accept", "text/html").form(&fields)
    };
    for (actor, made) in [
        (Actor::Anonymous, false),
        (Actor::EndedSession, false),
        (Actor::Viewer, false),
        (Actor::DemotedAdmin, false),
        (Actor::ForeignAdmin, false),
        (Actor::ManagementKey, false),
        (Actor::DataKey, false),
        (Actor::Member, true),
        (Actor::Admin, true),
    ] {
        let answer = app.as_(actor, form()).await;
        assert!(answer.code() < 500, "{actor:?}: {}", answer.text());
        assert_eq!(answer.code() == 200 && answer.text().contains("kf_sec_"), made, "{actor:?}: {}", answer.code());
    }
}

#[tokio::test]
async fn the_page_form_of_a_rotation_is_guarded_as_the_api_is() {
    let app = App::new().await;
    for (actor, rotated) in [
        (Actor::Anonymous, false),
        (Actor::EndedSession, false),
        (Actor::Viewer, false),
        (Actor::Member, false),
        (Actor::DemotedAdmin, false),
        (Actor::ForeignAdmin, false),
        (Actor::ManagementKey, false),
        (Actor::DataKey, false),
        (Actor::KeyOwner, true),
        (Actor::Admin, true),
        (Actor::InstanceAdmin, true),
    ] {
        let target = target(&app).await;
        let path = format!("/w/acme/keys/{}/rotate", target.key);
        let fields = [("grace", "now"), ("version", "1"), ("idempotency_key", target.key.as_str())];
        let answer = app.as_(actor, Call::post(&path).header("accept", "text/html").form(&fields)).await;
        assert!(answer.code() < 500, "{actor:?}: {}", answer.text());
        assert_eq!(answer.code() == 200 && answer.text().contains("kf_sec_"), rotated, "{actor:?}: {}", answer.code());
        assert_eq!(app.verdict(&target.secret, None).await, if rotated { "not_found" } else { "valid" }, "{actor:?}");
        // Somebody who only looks is led to the form.
        let look = app.as_(actor, Call::get(&path).header("accept", "text/html")).await.expect(303);
        assert_eq!(look.header("location"), Some(format!("/w/acme/keys/{}/edit/rotate", target.key).as_str()));
    }
    for nowhere in ["/w/acme/keys/x/rotate", "/w/%0a/keys/key_0000000000000000000000/rotate"] {
        app.as_(Actor::Admin, Call::get(nowhere).header("accept", "text/html")).await.expect(404);
    }
}

#[tokio::test]
async fn a_form_of_a_rotation_that_is_refused_comes_back_and_takes_the_password() {
    let app = App::new().await;
    let issued = app.key(Actor::KeyOwner, KeyKind::Management, &["keys:read"]).await;
    let path = format!("/w/acme/keys/{}/rotate", issued.key.id);
    let form = |more: &[(&str, &str)]| {
        let fields: Vec<_> = [("grace", "7d"), ("idempotency_key", "once")].into_iter().chain(more.iter().copied()).collect();
        Call::post(&path).header("accept", "text/html").form(&fields)
    };
    app.as_(Actor::KeyOwner, Call::get("/account")).await.expect(200);
    app.clock.advance_ms(600_000);
    let refused = app.as_(Actor::KeyOwner, form(&[])).await.expect(403);
    assert!(refused.text().contains("name=\"password\"") && refused.text().contains("Rotate this key?"));
    let wrong = app.as_(Actor::KeyOwner, form(&[("password", "not it, not it")])).await.expect(403);
    assert!(wrong.text().contains("This is not your password"));
    let right = app.as_(Actor::KeyOwner, form(&[("password", crate::support::PASSWORD)])).await.expect(200);
    assert!(right.text().contains("kf_adm_"));
    assert_eq!(right.cookies().len(), 1, "the session with the fresh proof takes the place of the old one");
}
