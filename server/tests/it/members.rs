//! Members and the keys of those who left, over HTTP.

use keyfold_domain::scope::KeyKind;
use keyfold_domain::workspace::Role;
use serde_json::{Value, json};

use crate::support::{Actor, App, Call, PASSWORD, with_cookie};

const MEMBERS: &str = "/v1/workspaces/acme/members";
const LEFT_KEYS: &str = "/v1/workspaces/acme/left-keys";

#[tokio::test]
async fn keys_of_somebody_who_is_removed_wait_and_work_again_with_the_same_secret() {
    for app in App::on_each().await {
        let owner = Actor::KeyOwner.user(&app).await;
        let heir = Actor::Member.user(&app).await;
        let first = app.key(Actor::KeyOwner, KeyKind::Secret, &["chat"]).await;
        let second = app.key(Actor::KeyOwner, KeyKind::Secret, &["chat"]).await;
        app.as_(Actor::Admin, Call::delete(format!("{MEMBERS}/{owner}"))).await.expect(204);
        assert_eq!(app.verdict(first.secret.expose(), None).await, "owner_disabled");
        let queue = app.as_(Actor::Admin, Call::get(LEFT_KEYS)).await.expect(200);
        assert_eq!(queue.json()["data"].as_array().unwrap().len(), 2);
        assert_eq!(queue.json()["data"][0]["key"]["reason"], "owner_disabled");
        assert!(!queue.text().contains(first.secret.expose()));

        let decide = |body: Value| Call::post(LEFT_KEYS).json(&body);
        let given = app.as_(Actor::Admin, decide(json!({"decision": "reassign", "keys": [first.key.id], "to": heir}))).await.expect(200);
        assert_eq!(given.json(), json!({"keys": 1}));
        assert_eq!(app.verdict(first.secret.expose(), None).await, "valid");
        app.as_(Actor::Admin, decide(json!({"decision": "revoke", "person": owner}))).await.expect(200);
        assert_eq!(app.verdict(second.secret.expose(), None).await, "not_found");
        let empty = app.as_(Actor::Admin, Call::get(LEFT_KEYS)).await.expect(200).json();
        assert_eq!(empty, json!({"data": [], "next": null}));
    }
}

#[tokio::test]
async fn a_decision_that_says_too_little_or_too_much_names_its_field() {
    let app = App::new().await;
    let key = "key_0000000000000000000000";
    let user = "usr_0000000000000000000000";
    for (body, field) in [
        (json!({"decision": "keep"}), "keys"),
        (json!({"decision": "keep", "keys": [key], "person": user}), "keys"),
        (json!({"decision": "keep", "keys": []}), "keys"),
        (json!({"decision": "keep", "keys": null}), "keys"),
        (json!({"decision": "reassign", "keys": [key]}), "to"),
        (json!({"decision": "keep", "keys": [key], "to": user}), "to"),
        (json!({"decision": "burn", "keys": [key]}), "decision"),
        (json!({"decision": "keep", "keys": [key], "role": "owner"}), "role"),
    ] {
        let answer = app.as_(Actor::Admin, Call::post(LEFT_KEYS).json(&body)).await.expect(400);
        assert_eq!(answer.field().as_deref(), Some(field), "{body}");
    }
}

#[tokio::test]
async fn a_member_is_added_by_id_or_username_and_a_role_is_one_of_four() {
    let app = App::new().await;
    let user = app.user("Newcomer", false).await;
    let add = || Call::post(MEMBERS).json(&json!({"user": "newcomer", "role": "viewer"}));
    // A workspace's own administrators do not find out by trying who has an account.
    let hidden = app.as_(Actor::Admin, add()).await.expect(400).json();
    let absent = app.as_(Actor::Admin, Call::post(MEMBERS).json(&json!({"user": "nobody", "role": "viewer"}))).await.expect(400).json();
    assert_eq!((&hidden["detail"], &hidden["field"]), (&absent["detail"], &absent["field"]));
    let added = app.as_(Actor::InstanceAdmin, add()).await.expect(201).json();
    assert_eq!((&added["user"]["id"], &added["role"], &added["live_keys"]), (&json!(user), &json!("viewer"), &json!(0)));
    let again = app.as_(Actor::Admin, Call::post(MEMBERS).json(&json!({"user": user, "role": "member"}))).await.expect(201).json();
    assert_eq!(again["role"], "member");
    for (body, field) in [
        (json!({"user": "nobody", "role": "member"}), "user"),
        (json!({"user": "", "role": "member"}), "user"),
        (json!({"user": "\u{0}", "role": "member"}), "user"),
        (json!({"user": user, "role": "root"}), "role"),
        (json!({"user": user, "role": null}), "role"),
        (json!({"user": user, "role": "member", "instance_admin": true}), "instance_admin"),
    ] {
        let answer = app.as_(Actor::Admin, Call::post(MEMBERS).json(&body)).await.expect(400);
        assert_eq!(answer.field().as_deref(), Some(field), "{body}");
    }
    for query in ["limit=0", "limit=201", "cursor=%00", "search=%00", "other=1"] {
        app.as_(Actor::Admin, Call::get(format!("{MEMBERS}?{query}"))).await.expect(400);
    }
    let found = app.as_(Actor::Admin, Call::get(format!("{MEMBERS}?search=NEWC&limit=1"))).await.expect(200).json();
    assert_eq!(found["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_last_owner_stays_and_everybody_else_may_leave() {
    let app = App::new().await;
    let founder = app.engine.users.find_by_username(&crate::support::operator(), "founder").await.unwrap().id;
    let token = app.sign_in("founder").await;
    let own = format!("{MEMBERS}/{founder}");
    app.send(with_cookie(Call::delete(&own), &token)).await.expect(409);
    app.send(with_cookie(Call::patch(&own).json(&json!({"role": "admin"})), &token)).await.expect(409);
    let viewer = Actor::Viewer.user(&app).await;
    app.as_(Actor::Viewer, Call::delete(format!("{MEMBERS}/{viewer}"))).await.expect(204);
    // Gone is gone, at the next request.
    app.as_(Actor::Viewer, Call::get("/v1/workspaces/acme")).await.expect(404);
    assert_eq!(app.as_(Actor::Admin, Call::delete(&own)).await.expect(403).problem(), "forbidden");
}

/// S15 for the acts on people: without a proof, with a stale one, and with the proof of another session.
#[tokio::test]
async fn acts_that_give_power_ask_for_a_fresh_password() {
    for app in App::on_each().await {
        Actor::InstanceAdmin.user(&app).await;
        let member = Actor::Member.user(&app).await;
        let acts = || {
            let user = format!("/v1/admin/users/{member}");
            vec![
                Call::patch(format!("{MEMBERS}/{member}")).json(&json!({"role": "admin"})),
                Call::post(MEMBERS).json(&json!({"user": member, "role": "owner"})),
                Call::post("/v1/workspaces/acme/invitations").json(&json!({"role": "admin"})),
                Call::patch(&user).json(&json!({"instance_admin": true})),
                Call::patch(&user).json(&json!({"email": "elsewhere@example.com"})),
                Call::post(format!("{user}/reset-link")),
                Call::post("/v1/admin/users").json(&json!({"username": "boss", "email": "b@example.com", "instance_admin": true})),
            ]
        };
        let (stale, other) = (app.sign_in("root").await, app.sign_in("root").await);
        app.clock.advance_ms(10 * 60_000);
        // Another session of the same person proves itself: that is no proof for this one.
        let proven = app.send(with_cookie(Call::post("/_app/step_up").form(&[("password", PASSWORD)]), &other)).await.expect(200);
        let fresh = proven.cookies().into_iter().find(|(name, _)| name == crate::support::COOKIE).unwrap().1;
        for act in acts() {
            let path = act.path.clone();
            assert_eq!(app.send(with_cookie(act.clone(), &stale)).await.expect(403).problem(), "step_up_required", "{path}");
            app.send(act).await.expect(401);
        }
        for act in acts() {
            let path = act.path.clone();
            let answer = app.send(with_cookie(act, &fresh)).await;
            assert!(answer.code() < 300, "{path}: {}", answer.text());
        }
        // A lesser role asks for nothing.
        let lesser = Call::patch(format!("{MEMBERS}/{member}")).json(&json!({"role": "viewer"}));
        app.send(with_cookie(lesser, &stale)).await.expect(200);
    }
}

#[tokio::test]
async fn a_removed_member_and_a_demoted_admin_lose_their_rights_at_the_next_request() {
    let app = App::new().await;
    let admin = Actor::Admin.user(&app).await;
    app.as_(Actor::Admin, Call::get(MEMBERS)).await.expect(200);
    app.member(&admin, Role::Member).await;
    app.as_(Actor::Admin, Call::get(MEMBERS)).await.expect(403);
    app.engine.members.remove(&crate::support::operator(), &app.acme, &admin).await.unwrap();
    app.as_(Actor::Admin, Call::get(MEMBERS)).await.expect(404);
}
