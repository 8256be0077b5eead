//! Users over HTTP, as instance administrators manage them.

use keyfold_domain::scope::KeyKind;
use serde_json::json;

use crate::support::{Actor, App, COOKIE, Call};

const USERS: &str = "/v1/admin/users";

#[tokio::test]
async fn a_disabled_users_keys_and_sessions_stop_with_the_answer() {
    for app in App::on_each().await {
        let owner = Actor::KeyOwner.user(&app).await;
        let key = app.key(Actor::KeyOwner, KeyKind::Secret, &["chat"]).await;
        let token = app.sign_in("keyowner").await;
        let look = || Call::get("/v1/workspaces").header("cookie", &format!("{COOKIE}={token}")).header("sec-fetch-site", "same-origin");
        app.send(look()).await.expect(200);
        let disabled = app.as_(Actor::InstanceAdmin, Call::post(format!("{USERS}/{owner}/disable"))).await.expect(200).json();
        assert_eq!((&disabled["active"], &disabled["live_keys"]), (&json!(false), &json!(1)));
        assert_eq!(app.verdict(key.secret.expose(), Some("chat")).await, "owner_disabled");
        app.send(look()).await.expect(401);
        app.as_(Actor::InstanceAdmin, Call::post(format!("{USERS}/{owner}/enable"))).await.expect(200);
        assert_eq!(app.verdict(key.secret.expose(), Some("chat")).await, "valid");
        app.send(look()).await.expect(401);
    }
}

#[tokio::test]
async fn somebody_is_added_with_a_link_and_never_with_a_password() {
    for app in App::on_each().await {
        let body = json!({"username": "Grace", "email": "grace@example.com", "display_name": "Grace Hopper"});
        let made = app.as_(Actor::InstanceAdmin, Call::post(USERS).json(&body)).await.expect(201).json();
        assert_eq!((&made["username"], &made["instance_admin"]), (&json!("grace"), &json!(false)));
        let token = made["link"].as_str().unwrap().split_once("/reset?token=").unwrap().1.to_owned();
        let listed = app.as_(Actor::InstanceAdmin, Call::get(format!("{USERS}?search=hopper"))).await.expect(200);
        assert_eq!(listed.json()["data"].as_array().unwrap().len(), 1);
        assert!(!listed.text().contains(&token) && !listed.text().contains("argon2"));
        app.as_(Actor::InstanceAdmin, Call::post(USERS).json(&body)).await.expect(409);
        for (field, value) in
            [("username", json!("a b")), ("email", json!("x")), ("password", json!("violet-ladder-93-quartz")), ("active", json!(false))]
        {
            let mut wrong = json!({"username": "other", "email": "o@example.com"});
            wrong[field] = value;
            let answer = app.as_(Actor::InstanceAdmin, Call::post(USERS).json(&wrong)).await.expect(400);
            assert_eq!(answer.field().as_deref(), Some(field));
        }
    }
}

#[tokio::test]
async fn an_administrator_cannot_shut_out_themselves_or_leave_nobody_in_charge() {
    let app = App::new().await;
    let root = Actor::InstanceAdmin.user(&app).await;
    app.as_(Actor::InstanceAdmin, Call::post(format!("{USERS}/{root}/disable"))).await.expect(409);
    let unmade = app.as_(Actor::InstanceAdmin, Call::patch(format!("{USERS}/{root}")).json(&json!({"instance_admin": false}))).await;
    assert_eq!(unmade.expect(409).field().as_deref(), Some("instance_admin"));
    for wrong in ["x", "usr_", "usr_0000000000000000000000", "%00", "wsp_0000000000000000000000"] {
        app.as_(Actor::InstanceAdmin, Call::get(format!("{USERS}/{wrong}"))).await.expect(404);
        app.as_(Actor::InstanceAdmin, Call::post(format!("{USERS}/{wrong}/disable"))).await.expect(404);
        app.as_(Actor::InstanceAdmin, Call::post(format!("{USERS}/{wrong}/reset-link"))).await.expect(404);
    }
}

#[tokio::test]
async fn workspaces_are_made_listed_and_renamed() {
    for app in App::on_each().await {
        let owner = Actor::Member.user(&app).await;
        let path = "/v1/admin/workspaces";
        let body = json!({"slug": "labs", "name": "Labs", "owner": owner});
        app.as_(Actor::InstanceAdmin, Call::post(path).json(&body)).await.expect(201);
        assert_eq!(app.as_(Actor::InstanceAdmin, Call::post(path).json(&body)).await.expect(409).field().as_deref(), Some("slug"));
        let renamed =
            app.as_(Actor::InstanceAdmin, Call::patch(format!("{path}/labs")).json(&json!({"name": "The Labs"}))).await.expect(200);
        assert_eq!(renamed.json()["name"], "The Labs");
        let listed = app.as_(Actor::InstanceAdmin, Call::get(format!("{path}?search=labs"))).await.expect(200).json();
        assert_eq!((&listed["data"][0]["owner"]["username"], &listed["data"][0]["members"]), (&json!("member"), &json!(1)));
        app.as_(Actor::InstanceAdmin, Call::patch(format!("{path}/nowhere")).json(&json!({"name": "x"}))).await.expect(404);
        app.as_(Actor::Member, Call::get("/v1/workspaces/labs")).await.expect(200);
    }
}
