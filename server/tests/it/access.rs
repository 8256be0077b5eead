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
    /// A resource of theirs.
    resource: String,
    /// A name that no scope and no resource has.
    fresh: String,
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
    let resource = app.resource(Actor::KeyOwner, issued.key.id.as_str()).await;
    // The scope `reports` is there, whoever has deleted it.
    app.scope("reports", &[]).await;
    Target {
        key: issued.key.id.to_string(),
        secret: issued.secret.expose().to_owned(),
        owner: Actor::KeyOwner.user(app).await.to_string(),
        secret_id: secrets[0].id.to_string(),
        resource: resource.to_string(),
        fresh: issued.key.id.as_str().to_lowercase(),
    }
}

async fn check(app: &App, rows: &[Row]) {
    let mut wrong = Vec::new();
    for row in rows {
        for (actor, expected) in Actor::ALL.into_iter().zip(row.expected) {
            let target = target(app).await;
            let call = (row.call)(&target);
            let answer = app.as_(actor, call.clone()).await;
            if answer.code() != expected {
                wrong.push(format!("{} by {actor:?}: {} and not {expected}: {}", row.act, answer.code(), answer.text()));
            }
            // So that its owner stays within the limit of keys. Some acts have ended it already.
            drop(app.engine.keys.delete(&operator(), &app.acme, &target.key.parse().unwrap()).await);
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
