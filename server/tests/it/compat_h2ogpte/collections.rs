//! Collections: the resources of that kind.

use keyfold_domain::resource::NewResource;
use serde_json::json;

use super::{admin, create, listed, owner, refused};
use crate::support::{App, Call, operator};

#[tokio::test]
async fn collections_are_the_resources_of_that_kind() {
    for app in App::on_each().await {
        let collections = "/api/v1/collections";
        let new = json!({"name": "Contracts", "description": "All of them", "embedding_model": "m", "chat_settings": {}});
        let made = admin(&app, Call::post(collections).json(&new)).await.expect(201).json();
        let id = made["id"].as_str().unwrap();
        assert_eq!((id.len(), &id[14..15]), (36, "4"), "a UUID: {id}");
        let expected = json!({
            "id": id, "name": "Contracts", "description": "All of them", "embedding_model": "", "document_count": 0, "document_size": 0,
            "created_at": "2026-06-01T12:00:00.000Z", "updated_at": "2026-06-01T12:00:00.000Z", "user_count": 1, "is_public": false,
            "username": "admin", "sessions_count": 0, "status": "",
        });
        assert_eq!(made, expected);
        assert_eq!(admin(&app, Call::get(format!("{collections}/{id}"))).await.expect(200).json(), expected);
        app.clock.advance_ms(1000);
        let user = owner(&app).await;
        let source =
            NewResource { kind: "source".into(), external_id: "s1".into(), name: String::new(), owner: Some(user.parse().unwrap()) };
        app.engine.resources.create(&operator(), &app.acme, source).await.unwrap();
        let ids = async |query: &str| {
            let found = admin(&app, Call::get(format!("{collections}{query}"))).await.expect(200).json();
            found.as_array().unwrap().iter().map(|found| found["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(ids("").await, "c1 Contracts", "the newest first");
        assert_eq!(ids("?offset=1&limit=5").await, "Contracts");
        assert_eq!(ids("?sort_column=name").await, "c1 Contracts");
        assert_eq!(ids("?sort_column=name&ascending=False").await, "Contracts c1");
        assert_eq!(ids("?sort_column=updated_at&ascending=true").await, "Contracts c1");
        assert_eq!((ids("?name_filter=contr").await.as_str(), ids("?current_user_only=True").await.as_str()), ("Contracts", "Contracts"));
        for query in ["?sort_column=size", "?ascending=up", "?metadata_filter=%7B%7D", "?limit=-1"] {
            assert_eq!(refused(&admin(&app, Call::get(format!("{collections}{query}"))).await), 400, "{query}");
        }
        for wrong in [json!({}), json!({"name": 1}), json!({"name": "x".repeat(101)}), json!({"name": "n", "description": 5})] {
            assert_eq!(refused(&admin(&app, Call::post(collections).json(&wrong)).await), 400, "{wrong}");
        }
        // A key that is bound to it does not stand in the way, and works for nothing afterwards.
        let bound = create(&app, json!({"user_id": user, "collection_id": "c1"})).await.expect(201).json();
        admin(&app, Call::delete(format!("{collections}/c1"))).await.expect(204);
        assert_eq!(app.verdict(bound["secret_key"].as_str().unwrap(), None).await, "wrong_resource");
        let key = listed(&app, &bound["api_key"]["id"]).await;
        assert_eq!((&key["is_global_key"], &key["collection_id"]), (&json!(false), &json!("c1")));
        assert_eq!(refused(&admin(&app, Call::delete(format!("{collections}/c1"))).await), 404);
        assert_eq!(ids("").await, "Contracts");
    }
}
