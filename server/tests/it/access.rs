//! Who may do what, through every door: each REST operation and each server function for every actor. The rows are checked
//! against what the server really offers, so a new endpoint without a row fails.

mod functions;
mod operations;
mod strangers;

use std::collections::BTreeSet;

use keyfold_domain::key::NewKey;
use keyfold_domain::member::NewInvitation;
use keyfold_domain::scope::KeyKind;
use keyfold_domain::user::NewPerson;
use keyfold_domain::workspace::Role;
use keyfold_server::rest::openapi_document;
use leptos::server_fn::axum::server_fn_paths;

use crate::support::{Actor, App, Call, new_key, operator};

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
    /// A member of acme whom nobody else needs.
    person: String,
    /// An open invitation to acme.
    invitation: String,
    /// The token of its link.
    invitation_token: String,
    /// A key in acme whose owner left.
    left_key: String,
    /// A resource of theirs.
    resource: String,
    /// The version of acme's route map.
    routes: String,
    /// A name that no scope and no resource has.
    fresh: String,
}

impl Target {
    /// A name that nothing else has: lower-case letters and digits.
    fn unused(&self) -> String {
        self.key.trim_start_matches("key_").to_lowercase()
    }
}

/// One act and what it answers to whom.
struct Row {
    /// The id of the operation, or the path of the server function.
    act: &'static str,
    call: fn(&Target) -> Call,
    expected: Statuses,
}

async fn target(app: &App, act: &str) -> Target {
    let issued = app.key(Actor::KeyOwner, KeyKind::Secret, &["inference"]).await;
    let secrets = app.engine.keys.secrets(&operator(), &app.acme, &issued.key.id).await.unwrap();
    let resource =
        if act.contains("resource") { app.resource(Actor::KeyOwner, issued.key.id.as_str()).await.to_string() } else { String::new() };
    if act.contains("scope") {
        // The scope `reports` is there, whoever has deleted it.
        app.scope("reports", &[]).await;
    }
    let routes = if act.contains("route") || act.contains("import") { app.routes("epigos").await.to_string() } else { String::new() };
    let mut target = Target {
        key: issued.key.id.to_string(),
        secret: issued.secret.expose().to_owned(),
        owner: Actor::KeyOwner.user(app).await.to_string(),
        secret_id: secrets[0].id.to_string(),
        resource,
        routes,
        fresh: issued.key.id.as_str().to_lowercase(),
        person: String::new(),
        invitation: String::new(),
        invitation_token: String::new(),
        left_key: String::new(),
    };
    if ["member", "invit", "left", "user", "join"].iter().any(|about| act.contains(about)) {
        people(app, &mut target).await;
    }
    target
}

/// The people around a target: somebody who stays, somebody who left a key behind, and somebody who is invited.
async fn people(app: &App, target: &mut Target) {
    let add = async |prefix: &str| {
        let username = format!("{prefix}{}", target.unused());
        let new = NewPerson { email: format!("{username}@example.com"), username, display_name: String::new(), instance_admin: false };
        let (user, _) = app.engine.users.invite(&operator(), new).await.unwrap();
        app.engine.members.add(&operator(), &app.acme, &user.id, Role::Member).await.unwrap();
        user.id
    };
    let (stays, leaves) = (add("s").await, add("l").await);
    let new = NewKey { owner: Some(leaves.clone()), ..new_key("left behind", KeyKind::Secret, &["chat"]) };
    let left = app.engine.keys.create(&operator(), &app.acme, new, None).await.unwrap();
    app.engine.members.remove(&operator(), &app.acme, &leaves).await.unwrap();
    // The number of open invitations is bounded, and a row needs only its own.
    for open in app.engine.invitations.list(&operator(), &app.acme).await.unwrap() {
        app.engine.invitations.delete(&operator(), &app.acme, &open.id).await.unwrap();
    }
    let wanted = NewInvitation { role: Role::Viewer, label: String::new() };
    let invitation = app.engine.invitations.create(&operator(), &app.acme, wanted).await.unwrap();
    target.person = stays.to_string();
    target.left_key = left.key.id.to_string();
    target.invitation = invitation.invitation.id.to_string();
    invitation.token.expose().clone_into(&mut target.invitation_token);
}

async fn check(app: &App, rows: &[Row]) {
    let mut wrong = Vec::new();
    for row in rows {
        for (actor, expected) in Actor::ALL.into_iter().zip(row.expected) {
            let target = target(app, row.act).await;
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

/// The tables are long: their parts are looked at side by side.
const PARTS: usize = 4;

/// Every fourth row, from that one on, in their order.
fn part(rows: Vec<Row>, first: usize) -> Vec<Row> {
    rows.into_iter().skip(first).step_by(PARTS).collect()
}

macro_rules! parts {
    ($($name:ident $first:literal)*) => {
        mod every_operation_answers_every_actor_as_the_table_says {$(
            #[tokio::test]
            async fn $name() {
                for app in super::App::on_each().await {
                    super::check(&app, &super::part(super::operations::rows(), $first)).await;
                }
            }
        )*}

        mod every_server_function_answers_every_actor_as_the_table_says {$(
            #[tokio::test]
            async fn $name() {
                super::check(&super::App::new().await, &super::part(super::functions::rows(), $first)).await;
            }
        )*}

        #[test]
        fn no_row_is_left_out() {
            assert_eq!([$($first),*], std::array::from_fn::<usize, PARTS, _>(|first| first));
        }
    };
}

parts! {
    in_the_first_part 0
    in_the_second_part 1
    in_the_third_part 2
    in_the_fourth_part 3
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
        let target = target(&app, "rotate_key").await;
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

/// The forms that make a one-time link without script, as the functions do with it.
#[tokio::test]
async fn the_page_forms_of_one_time_links_are_guarded_as_the_api_is() {
    let app = App::new().await;
    let owner = Actor::KeyOwner.user(&app).await;
    let form = |path: String, fields: &[(&str, &str)]| Call::post(path).header("accept", "text/html").form(fields);
    for (number, actor) in Actor::ALL.into_iter().enumerate() {
        let username = format!("by-form-{number}");
        let (admins, instance) = (matches!(actor, Actor::Admin | Actor::InstanceAdmin), actor == Actor::InstanceAdmin);
        for (call, made) in [
            (form("/w/acme/members/invite".to_owned(), &[("role", "member"), ("label", "x")]), admins),
            (form("/system/users/new".to_owned(), &[("username", &username), ("email", "x@example.com")]), instance),
            (form(format!("/system/users/{owner}/reset"), &[]), instance),
        ] {
            let path = call.path.clone();
            let answer = app.as_(actor, call).await;
            assert!(answer.code() < 500, "{actor:?} {path}: {}", answer.text());
            let shown = answer.code() == 200 && answer.text().contains("?token=");
            assert_eq!(shown, made, "{actor:?} {path}: {}", answer.code());
            assert!(!shown || answer.header("cache-control") == Some("no-store"), "{path}");
        }
    }
}
