//! Traps that other products fell into and that no other file is about. `docs/traps.md` lists them all.

use serde_json::json;

use crate::support::{Actor, App, Call};

#[tokio::test]
async fn an_expired_key_stays_where_it_was_and_says_when_it_ended() {
    for app in App::on_each().await {
        let key = app.expired_key(Actor::Admin, &["keys:read"]).await.key;
        for swept in [false, true] {
            if swept {
                app.engine.sweep().await.unwrap();
                app.clock.advance_ms(90 * 86_400_000);
                app.engine.sweep().await.unwrap();
                app.forget(Actor::Admin).await;
            }
            let path = format!("/v1/workspaces/acme/keys/{}", key.id);
            let read = app.as_(Actor::Admin, Call::get(&path)).await.expect(200).json();
            assert_eq!((&read["state"], &read["reason"]), (&json!("inactive"), &json!("expired")), "swept: {swept}");
            assert!(read["expires_at"].is_string(), "swept: {swept}");
            for list in ["", "?state=inactive", "?state=all"] {
                let list = app.as_(Actor::Admin, Call::get(format!("/v1/workspaces/acme/keys{list}"))).await.expect(200).json();
                assert!(list["data"].as_array().unwrap().iter().any(|listed| listed["id"] == read["id"]), "swept: {swept}");
            }
        }
    }
}
