//! Which servers there are, and answers that wait for all of them.

use std::time::Duration;

use keyfold_domain::scope::KeyKind;
use keyfold_engine::NewNode;
use serde_json::json;

use crate::support::{Actor, App, Call};

const KEYS: &str = "/v1/workspaces/acme/keys";

async fn join(app: &App) {
    app.engine.join(NewNode { name: "keys-1".to_owned(), staleness_budget: Duration::from_secs(5) }).await.unwrap();
}

#[tokio::test]
async fn the_servers_are_listed_for_administrators_of_the_instance() {
    for app in App::on_each().await {
        join(&app).await;
        // A change, so that there is a revision to tell.
        app.key(Actor::KeyOwner, KeyKind::Secret, &["chat"]).await;
        let listed = app.as_(Actor::InstanceAdmin, Call::get("/v1/admin/nodes")).await.expect(200).json();
        assert_eq!(listed["next"], json!(null));
        let node = &listed["data"][0];
        assert_eq!((&node["name"], &node["state"], &node["answering"]), (&json!("keys-1"), &json!("live"), &json!(true)));
        assert_eq!((&node["behind"], &node["staleness_budget_ms"]), (&json!(0), &json!(5000)));
        assert!(node["id"].as_str().unwrap().starts_with("node_") && node["revision"].as_i64().unwrap() > 0, "{node}");
        app.as_(Actor::Admin, Call::get("/v1/admin/nodes")).await.expect(403);
        app.as_(Actor::InstanceAdmin, Call::get("/v1/admin/nodes?limit=1")).await.expect(400);
    }
}

#[tokio::test]
async fn an_act_says_its_revision_and_waits_for_all_servers_if_asked() {
    for app in App::on_each().await {
        join(&app).await;
        let key = app.key(Actor::KeyOwner, KeyKind::Secret, &["chat"]).await;
        let path = format!("{KEYS}/{}", key.key.id);
        let rename = |name: &str| Call::patch(&path).json(&json!({ "name": name }));
        let plain = app.as_(Actor::Admin, rename("x")).await.expect(200);
        let revision = |answer: &crate::support::Answer| answer.header("keyfold-revision").unwrap().parse::<i64>().unwrap();
        assert!(plain.json().get("in_force").is_none() && plain.json()["name"] == "x");
        let with = |path: String, query: &str| format!("{path}?{query}");

        let waited = Call::patch(with(path.clone(), "wait=all")).json(&json!({"name": "y"}));
        let waited = app.as_(Actor::InstanceAdmin, waited).await.expect(200);
        let body = waited.json();
        assert!(revision(&waited) > revision(&plain));
        assert_eq!((&body["name"], waited.header("etag")), (&json!("y"), Some("\"3\"")));
        let found = &body["in_force"];
        assert_eq!((&found["complete"], &found["on"], &found["of"]), (&json!(true), &json!(1), &json!(1)));
        assert_eq!(found["nodes"], json!([{"name": "keys-1", "state": "in_force"}]));
        assert_eq!(found["text"], json!(format!("in force on 1 of 1 nodes after {} ms", found["after_ms"])));

        let rotate = Call::post(with(format!("{path}/rotate"), "wait=all&wait_seconds=1"));
        let rotated = app.as_(Actor::KeyOwner, rotate).await.expect(200).json();
        // How the servers are called is for administrators of the instance.
        assert_eq!(rotated["in_force"]["nodes"][0]["name"], json!("node 1"));
        let old = rotated["secrets"][1]["id"].as_str().unwrap();
        let end = Call::delete(with(format!("{path}/secrets/{old}"), "wait=all"));
        assert_eq!(app.as_(Actor::Admin, end).await.expect(200).json()["in_force"]["complete"], json!(true));
        let stop = Call::post(with(format!("{path}/deactivate"), "wait=all"));
        let stopped = app.as_(Actor::Admin, stop).await.expect(200).json();
        assert_eq!((&stopped["state"], &stopped["in_force"]["on"]), (&json!("inactive"), &json!(1)));
        let delete = Call::delete(with(path.clone(), "wait=all"));
        let deleted = app.as_(Actor::Admin, delete).await.expect(200);
        assert_eq!(deleted.json()["in_force"]["complete"], json!(true));
        assert!(revision(&deleted) > revision(&waited));
    }
}

#[tokio::test]
async fn a_wait_that_is_not_understood_is_refused_before_anything_is_done() {
    let app = App::new().await;
    join(&app).await;
    let key = app.key(Actor::KeyOwner, KeyKind::Secret, &["chat"]).await;
    let path = format!("{KEYS}/{}", key.key.id);
    for (query, field) in [
        ("wait=some", "wait"),
        ("wait=", "wait"),
        ("wait=all&wait_seconds=0", "wait_seconds"),
        ("wait=all&wait_seconds=21", "wait_seconds"),
        ("wait=all&wait_seconds=x", "wait_seconds"),
        ("wait_seconds=3", "wait_seconds"),
        ("wait=all&wait=all", "wait"),
        ("for=all", "for"),
    ] {
        let refused = app.as_(Actor::Admin, Call::delete(format!("{path}?{query}"))).await.expect(400);
        assert_eq!(refused.field().as_deref(), Some(field), "{query}");
    }
    assert_eq!(app.verdict(key.secret.expose(), Some("chat")).await, "valid");
    app.as_(Actor::Admin, Call::delete(&path)).await.expect(204);
}

#[tokio::test]
async fn the_console_says_on_how_many_servers_a_change_is_in_force() {
    for app in App::on_each().await {
        join(&app).await;
        // One that has come further than anybody, and one that was last heard of in 1970.
        for (number, applied) in [(2, 1_i64 << 40), (3, 0)] {
            let row = format!("('node_{number:022}', 'keys-{number}', '0.1.0', 0, 0, {applied}, 0, 5000)");
            app.sql(&format!("INSERT INTO nodes (id, name, version, started_at, last_seen_at, applied, awaited, budget_ms) VALUES {row}"))
                .await;
        }
        let key = app.key(Actor::KeyOwner, KeyKind::Secret, &["chat"]).await;
        let id = key.key.id.to_string();
        let of_the_key = [("workspace", "acme"), ("id", id.as_str())];
        let stop = Call::post("/_app/deactivate_key").form(&of_the_key);
        let answer = app.as_(Actor::Admin, stop).await.expect(200).json();
        let plain = Call::post("/_app/activate_key").header("accept", "text/html").form(&of_the_key);
        let plain = app.as_(Actor::Admin, plain).await.expect(302);
        let to = plain.header("location").unwrap();
        if app.is_on_sqlite() {
            // Nobody else can use the database: there is nothing to tell.
            assert_eq!((answer, to), (json!(null), format!("/w/acme/keys/{id}?done=activated").as_str()));
            continue;
        }
        let words = answer.as_str().unwrap();
        assert!(
            words.starts_with("In force on 2 of 3 nodes after ") && words.ends_with(" 1: out of touch, and lets nobody through."),
            "{words}"
        );
        assert!(to.starts_with(&format!("/w/acme/keys/{id}?done=activated&reach=2-3-0-")), "{to}");
        let page = app.as_(Actor::Admin, Call::get(to).header("accept", "text/html")).await.expect(200).text();
        assert!(page.contains("In force on 2 of 3 nodes after "), "{page}");
        let nodes = app.as_(Actor::InstanceAdmin, Call::get("/system/nodes").header("accept", "text/html")).await.expect(200).text();
        assert!(nodes.contains("keys-2") && nodes.contains("Answers this page") && nodes.contains("“keys-3”"), "{nodes}");
    }
}
