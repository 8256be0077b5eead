//! Invitations over HTTP: the link is in one answer, and nowhere else.

use serde_json::json;

use crate::support::{Actor, App, Call};

const INVITATIONS: &str = "/v1/workspaces/acme/invitations";

#[tokio::test]
async fn the_link_is_shown_once_and_names_this_server() {
    for app in App::on_each().await {
        let made = app.as_(Actor::Admin, Call::post(INVITATIONS).json(&json!({"role": "member", "label": " new@example.com "}))).await;
        let made = made.expect(201).json();
        let token = made["link"].as_str().unwrap().split_once("/invite?token=").unwrap().1.to_owned();
        assert_eq!(token.len(), 44);
        assert_eq!((&made["label"], &made["created_by"], &made["role"]), (&json!("new@example.com"), &json!("admin"), &json!("member")));
        let listed = app.as_(Actor::Admin, Call::get(INVITATIONS)).await.expect(200);
        assert_eq!(listed.json()["data"][0]["id"], made["id"]);
        assert!(!listed.text().contains(&token));
        let path = format!("{INVITATIONS}/{}", made["id"].as_str().unwrap());
        app.as_(Actor::Admin, Call::delete(&path)).await.expect(204);
        app.as_(Actor::Admin, Call::delete(&path)).await.expect(404);
        assert_eq!(app.as_(Actor::Admin, Call::get(INVITATIONS)).await.expect(200).json(), json!({"data": [], "next": null}));
    }
}

#[tokio::test]
async fn what_is_wrong_with_an_invitation_is_named() {
    let app = App::new().await;
    for (body, field) in [
        (json!({"role": "root"}), "role"),
        (json!({"label": "x"}), "role"),
        (json!({"role": "member", "label": "x".repeat(101)}), "label"),
        (json!({"role": "member", "label": "\u{202e}"}), "label"),
        (json!({"role": "member", "expires_at": "2099-01-01T00:00:00Z"}), "expires_at"),
    ] {
        let answer = app.as_(Actor::Admin, Call::post(INVITATIONS).json(&body)).await.expect(400);
        assert_eq!(answer.field().as_deref(), Some(field), "{body}");
    }
    app.as_(Actor::Admin, Call::post(INVITATIONS).json(&json!({"role": "owner"}))).await.expect(403);
}
