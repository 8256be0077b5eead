//! Lists with filters, and acts on many keys, through the REST API.

use keyfold_domain::scope::KeyKind;
use serde_json::{Value, json};

use crate::support::{Actor, App, Call, operator, redactions};

const KEYS: &str = "/v1/workspaces/acme/keys";
const BATCH: &str = "/v1/workspaces/acme/keys:batch";

async fn keys(app: &App, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(app.key(Actor::KeyOwner, KeyKind::Secret, &["inference"]).await.key.id.to_string());
    }
    ids
}

async fn found(app: &App, query: &str) -> usize {
    let page = app.as_(Actor::Admin, Call::get(format!("{KEYS}?{query}"))).await.expect(200).json();
    page["data"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_list_is_narrowed_by_each_filter() {
    for app in App::on_each().await {
        let used = app.key(Actor::KeyOwner, KeyKind::Secret, &["inference"]).await;
        app.key(Actor::KeyOwner, KeyKind::Publishable, &["inference"]).await;
        app.key(Actor::KeyOwner, KeyKind::Secret, &["project", "chat"]).await;
        app.engine.verifier.whoami(used.secret.expose(), None).unwrap();
        app.engine.flush_usage().await.unwrap();
        for (query, expected) in [
            ("", 3),
            ("kind=publishable", 1),
            ("scope=inference", 2),
            ("scope=chat&kind=secret", 1),
            ("scope=infer", 0),
            ("never_used=true", 2),
            ("never_used=false", 3),
            ("idle=1", 0),
            ("expiring=90", 3),
            ("expiring=89", 0),
        ] {
            assert_eq!(found(&app, query).await, expected, "{query}");
        }
        app.clock.advance_ms(86_400_000);
        app.forget(Actor::Admin).await;
        assert_eq!(found(&app, "idle=1").await, 3);
        for (query, field) in
            [("idle=0", "idle"), ("expiring=x", "expiring"), ("never_used=1", "never_used"), ("scope=A", "scope"), ("kind=x", "kind")]
        {
            let refused = app.as_(Actor::Admin, Call::get(format!("{KEYS}?{query}"))).await.expect(400).json();
            assert_eq!(refused["field"], field, "{query}");
        }
    }
}

#[tokio::test]
async fn chosen_keys_are_stopped_together_and_each_is_accounted_for() {
    for app in App::on_each().await {
        let ids = keys(&app, 3).await;
        let preview = app.as_(Actor::Admin, Call::post(format!("{KEYS}:preview")).json(&json!({"act": "deactivate", "ids": ids}))).await;
        let preview = preview.expect(200).json();
        assert_eq!((&preview["chosen"], &preview["in_use"], &preview["untouched"]), (&json!(3), &json!(0), &json!(0)));
        let done = app.as_(Actor::Admin, Call::post(BATCH).json(&json!({"act": "deactivate", "ids": ids}))).await.expect(200).json();
        insta::assert_json_snapshot!("batch", done, {
            ".id" => "[batch]", ".data[].key_id" => redactions::key_id(), ".data[].workspace_id" => redactions::workspace_id(),
        });
        let path = format!("/v1/workspaces/acme/batches/{}", done["id"].as_str().unwrap());
        assert_eq!(app.as_(Actor::Admin, Call::get(&path)).await.expect(200).json(), done);
        assert_eq!(app.as_(Actor::Member, Call::get(&path)).await.expect(404).problem(), "not_found");
        let rest = app.as_(Actor::Admin, Call::get(format!("{path}?cursor=2"))).await.expect(200).json();
        assert_eq!(rest["data"].as_array().unwrap().len(), 1);
        assert_eq!(app.as_(Actor::Admin, Call::get(format!("{path}?cursor=-1"))).await.expect(400).json()["field"], "cursor");
        assert_eq!(found(&app, "state=inactive").await, 3);
    }
}

#[tokio::test]
async fn a_foreign_key_among_many_leaves_all_of_them_alone() {
    for app in App::on_each().await {
        let ids = keys(&app, 2).await;
        let foreign = app.foreign_key(KeyKind::Secret, &["chat"]).await;
        let mixed: Vec<_> = ids.iter().map(String::as_str).chain([foreign.key.id.as_str()]).collect();
        for actor in [Actor::Admin, Actor::KeyOwner, Actor::ManagementKey] {
            for act in ["deactivate", "delete"] {
                app.as_(actor, Call::post(BATCH).json(&json!({"act": act, "ids": mixed}))).await.expect(404);
            }
        }
        assert_eq!(found(&app, "state=active").await, 2 + 1);
        let untouched = app.engine.keys.get(&operator(), &app.zeta, &foreign.key.id).await.unwrap();
        assert_eq!(untouched.version, 1);
    }
}

#[tokio::test]
async fn what_is_asked_for_unclearly_is_refused_by_name() {
    let app = App::new().await;
    let ids = keys(&app, 1).await;
    let many: Vec<String> = (0..201).map(|at| format!("key_{at:022}")).collect();
    for (body, field) in [
        (json!({"act": "delete"}), "ids"),
        (json!({"act": "delete", "ids": []}), "ids"),
        (json!({"act": "delete", "ids": many}), "ids"),
        (json!({"act": "delete", "ids": ids, "filter": {}}), "ids"),
        (json!({"act": "delete", "filter": {}}), "expected"),
        (json!({"act": "delete", "filter": {"state": "deleted"}, "expected": 0}), "filter"),
        (json!({"act": "delete", "filter": {"idle": 0}, "expected": 0}), "idle"),
    ] {
        let refused = app.as_(Actor::Admin, Call::post(BATCH).json(&body)).await.expect(400).json();
        assert_eq!(refused["field"], field, "{body}");
    }
    for body in [
        json!({"act": "activate", "ids": ids}),
        json!({"act": "delete", "ids": ["x"]}),
        json!({"act": "delete", "ids": null}),
        json!({"act": "delete", "filter": {"limit": 5}, "expected": 1}),
        json!({"act": "delete", "ids": ids, "workspace_id": "wsp_0"}),
    ] {
        app.as_(Actor::Admin, Call::post(BATCH).json(&body)).await.expect(400);
    }
    let wrong = json!({"act": "delete", "filter": {}, "expected": 5});
    assert_eq!(app.as_(Actor::Admin, Call::post(BATCH).json(&wrong)).await.expect(409).json()["field"], "expected");
    assert_eq!(found(&app, "state=active").await, 1);
}

#[tokio::test]
async fn many_keys_go_on_in_the_background_and_can_be_asked_for() {
    let app = App::new().await;
    keys(&app, 205).await;
    let body = json!({"act": "delete", "filter": {"kind": "secret"}, "expected": 205});
    let answer = app.as_(Actor::Admin, Call::post(BATCH).json(&body)).await.expect(202);
    let path = answer.header("location").unwrap().to_owned();
    let done: Value = loop {
        let now = app.as_(Actor::Admin, Call::get(&path)).await.expect(200).json();
        if now["state"] != "running" {
            break now;
        }
    };
    assert_eq!((&done["state"], &done["done"], &done["next"]), (&json!("finished"), &json!(205), &json!("200")));
    assert_eq!(found(&app, "").await, 0);
}

#[tokio::test]
async fn an_administrator_of_the_instance_sees_and_ends_keys_of_every_workspace() {
    for app in App::on_each().await {
        let ids = keys(&app, 1).await;
        let foreign = app.foreign_key(KeyKind::Secret, &["chat"]).await;
        let all = app.as_(Actor::InstanceAdmin, Call::get("/v1/admin/keys?sort=created&order=asc")).await.expect(200).json();
        let places: Vec<_> = all["data"].as_array().unwrap().iter().map(|key| key["workspace"]["slug"].as_str().unwrap()).collect();
        assert_eq!(places, ["acme", "zeta"]);
        assert_eq!(all["data"][0]["id"], ids[0].as_str());
        let of_one = format!("/v1/admin/keys?owner={}", foreign.key.owner.id);
        let of_one = app.as_(Actor::InstanceAdmin, Call::get(of_one)).await.expect(200).json();
        assert_eq!(of_one["data"].as_array().unwrap().len(), 1);
        let body = json!({"act": "delete", "ids": [ids[0], foreign.key.id]});
        let done = app.as_(Actor::InstanceAdmin, Call::post("/v1/admin/keys:batch").json(&body)).await.expect(200).json();
        assert_eq!(done["done"], 2);
        assert_eq!(app.verdict(foreign.secret.expose(), None).await, "not_found");
        let path = format!("/v1/admin/batches/{}", done["id"].as_str().unwrap());
        assert_eq!(app.as_(Actor::InstanceAdmin, Call::get(path)).await.expect(200).json(), done);
    }
}
