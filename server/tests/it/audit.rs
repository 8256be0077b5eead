//! The audit log over HTTP: pages, the file, the check, and what happens while it cannot be written.

use keyfold_domain::scope::KeyKind;
use serde_json::{Value, json};

use crate::support::{Actor, App, Call};

const AUDIT: &str = "/v1/workspaces/acme/audit";
const KEYS: &str = "/v1/workspaces/acme/keys";

async fn page(app: &App, actor: Actor, query: &str) -> Value {
    app.as_(actor, Call::get(format!("{AUDIT}{query}"))).await.expect(200).json()
}

fn actions(page: &Value) -> Vec<&str> {
    page["data"].as_array().unwrap().iter().map(|event| event["action"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn what_a_person_does_is_told_with_what_it_changed() {
    for app in App::on_each().await {
        let created = app.as_(Actor::Admin, Call::post(KEYS).json(&json!({"kind": "secret", "scopes": ["chat"], "name": "CI"}))).await;
        let id = created.expect(201).json()["id"].as_str().unwrap().to_owned();
        let edit = Call::patch(format!("{KEYS}/{id}")).json(&json!({"scopes": ["inference"], "expires_at": "2026-06-30T00:00:00Z"}));
        let edited = app.as_(Actor::Admin, edit).await.expect(200);
        let found = page(&app, Actor::Admin, &format!("?object={id}&action=key.")).await;
        assert_eq!(actions(&found), ["key.update", "key.create"]);
        let event = &found["data"][0];
        assert_eq!((&event["object_name"], &event["result"], &event["actor"]["name"]), (&json!("CI"), &json!("done"), &json!("admin")));
        assert_eq!(event["request_id"].as_str(), edited.header("x-request-id"));
        assert_eq!(
            event["changes"],
            json!([
                {"field": "expires_at", "before": "2026-08-30T12:00:00.000Z", "after": "2026-06-30T00:00:00.000Z"},
                {"field": "scopes", "before": "chat", "after": "inference"},
            ])
        );
        let first = page(&app, Actor::Admin, "?limit=1").await;
        assert_eq!(first["data"].as_array().unwrap().len(), 1);
        let second = page(&app, Actor::Admin, &format!("?limit=1&cursor={}", first["next"].as_str().unwrap())).await;
        assert_eq!(second["data"][0]["seq"].as_i64().unwrap() + 1, first["data"][0]["seq"].as_i64().unwrap());
        // A member's page does not have it.
        assert!(!actions(&page(&app, Actor::Member, "").await).contains(&"key.update"));
    }
}

#[tokio::test]
async fn a_query_that_makes_no_sense_is_refused_by_name() {
    let app = App::new().await;
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("cursor=x", "cursor"),
        ("result=maybe", "result"),
        ("from=yesterday", "from"),
        ("until=2026-13-01T00:00:00Z", "until"),
        ("from=2026-06-02T00:00:00Z&until=2026-06-01T00:00:00Z", "until"),
        ("search=%00", "search"),
        ("actor=%0a", "actor"),
        ("chain=instance", "chain"),
        ("action=a&action=b", "action"),
    ] {
        let answer = app.as_(Actor::Admin, Call::get(format!("{AUDIT}?{query}"))).await.expect(400);
        assert_eq!(answer.field().as_deref(), Some(field), "{query}: {}", answer.text());
    }
    app.as_(Actor::Admin, Call::get(format!("{AUDIT}/export?limit=1"))).await.expect(400);
}

#[tokio::test]
async fn the_file_is_json_lines_asks_for_the_password_and_is_told_of() {
    for app in App::on_each().await {
        app.key(Actor::Member, KeyKind::Secret, &["chat"]).await;
        let file = app.as_(Actor::Admin, Call::get(format!("{AUDIT}/export"))).await.expect(200);
        assert_eq!(file.header("content-type"), Some("application/x-ndjson"));
        assert_eq!(file.header("cache-control"), Some("no-store"));
        assert!(file.header("content-disposition").unwrap().starts_with("attachment; filename=\"keyfold-audit-acme"));
        let lines: Vec<Value> = file.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let seqs: Vec<i64> = lines.iter().map(|line| line["seq"].as_i64().unwrap()).collect();
        assert_eq!(seqs, (1..=seqs[0]).rev().collect::<Vec<_>>());
        assert!(lines.iter().all(|line| line["link"].as_str().is_some_and(|link| link.len() == 64)));
        assert_eq!(lines[0]["action"], "audit.export");

        app.clock.advance_ms(10 * 60_000);
        let stale = app.as_(Actor::Admin, Call::get(format!("{AUDIT}/export"))).await.expect(403);
        assert_eq!(stale.problem(), "step_up_required");
        app.as_(Actor::ManagementKey, Call::get(format!("{AUDIT}/export"))).await.expect(200);
        assert_eq!(actions(&page(&app, Actor::Admin, "?action=audit.export").await).len(), 2);
    }
}

#[tokio::test]
async fn a_damaged_event_is_named_to_the_admins_of_its_workspace_and_of_the_instance() {
    for app in App::on_each().await {
        app.key(Actor::Member, KeyKind::Secret, &["chat"]).await;
        for (actor, path) in [(Actor::Admin, format!("{AUDIT}/verify")), (Actor::InstanceAdmin, "/v1/admin/audit/verify".to_owned())] {
            let whole = app.as_(actor, Call::post(&path)).await.expect(200).json();
            assert_eq!((&whole["whole"], &whole["broken"]), (&json!(true), &Value::Null));
            assert!(whole["events"].as_u64().unwrap() >= 2);
        }
        app.sql(&format!("UPDATE audit_events SET body = replace(body, 'done', 'gone') WHERE chain = '{}' AND seq = 2", app.acme)).await;
        for (actor, path) in [(Actor::Admin, format!("{AUDIT}/verify")), (Actor::InstanceAdmin, "/v1/admin/audit/verify".to_owned())] {
            let found = app.as_(actor, Call::post(&path)).await.expect(200).json();
            assert_eq!((&found["whole"], &found["broken"]["seq"]), (&json!(false), &json!(2)));
            assert_eq!(found["broken"]["chain"].as_str(), Some(app.acme.as_str()));
        }
        // What is damaged can still be looked at.
        page(&app, Actor::Admin, "").await;
    }
}

#[tokio::test]
async fn while_the_log_cannot_be_written_an_act_is_undone_and_answered_with_503() {
    for app in App::on_each().await {
        let key = app.key(Actor::Admin, KeyKind::Secret, &["chat"]).await;
        let path = format!("{KEYS}/{}", key.key.id);
        let before = app.as_(Actor::Admin, Call::get(&path)).await.expect(200).json();
        if app.is_on_sqlite() {
            app.sql("CREATE TRIGGER deaf BEFORE INSERT ON audit_events BEGIN SELECT RAISE(ABORT, 'deaf'); END").await;
        } else {
            app.sql("CREATE FUNCTION deaf() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'deaf'; END $$").await;
            app.sql("CREATE TRIGGER deaf BEFORE INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION deaf()").await;
        }
        for act in [
            Call::post(KEYS).json(&json!({"kind": "secret", "scopes": ["chat"]})),
            Call::patch(&path).json(&json!({"name": "renamed"})),
            Call::post(format!("{path}/deactivate")),
            Call::delete(&path),
            Call::get(format!("{AUDIT}/export")),
        ] {
            let answer = app.as_(Actor::Admin, act.clone()).await.expect(503);
            assert_eq!(answer.problem(), "unavailable", "{} {}", act.method, act.path);
            assert!(answer.header("retry-after").is_some() && !answer.text().contains("deaf"));
        }
        app.sql(if app.is_on_sqlite() { "DROP TRIGGER deaf" } else { "DROP TRIGGER deaf ON audit_events" }).await;
        assert_eq!(app.as_(Actor::Admin, Call::get(&path)).await.expect(200).json(), before);
        assert_eq!(app.as_(Actor::Admin, Call::get(KEYS)).await.json()["data"].as_array().unwrap().len(), 1);
        assert_eq!(app.verdict(key.secret.expose(), Some("chat")).await, "valid");
    }
}
