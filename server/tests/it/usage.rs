//! What a key was used for, through the REST API.

use keyfold_domain::scope::KeyKind;
use serde_json::json;

use crate::support::{Actor, App, Call};

#[tokio::test]
async fn use_is_told_by_day_hour_verdict_and_scope_and_as_csv() {
    for app in App::on_each().await {
        let issued = app.key(Actor::KeyOwner, KeyKind::Secret, &["project", "chat"]).await;
        let (secret, path) = (issued.secret.expose(), format!("/v1/workspaces/acme/keys/{}", issued.key.id));
        // Monday, 1 June 2026, noon; then Tuesday of the week after, eleven in the evening.
        app.verdict(secret, Some("inference")).await;
        app.verdict(secret, Some("keys:write")).await;
        app.clock.advance_ms(8 * 86_400_000 + 11 * 3_600_000);
        app.engine.flush_usage().await.unwrap();
        app.verdict(secret, None).await;
        app.verdict(secret, Some("inference")).await;
        app.forget(Actor::KeyOwner).await;
        let usage = app.as_(Actor::KeyOwner, Call::get(format!("{path}/usage"))).await.expect(200).json();
        let days = usage["days"].as_array().unwrap();
        assert_eq!((days.len(), &days[29]), (30, &json!({"day": "2026-06-09", "calls": 2, "denials": 0})));
        assert_eq!(days[21], json!({"day": "2026-06-01", "calls": 1, "denials": 1}));
        assert_eq!((&usage["week"][0][12], &usage["week"][1][23], &usage["calls"]), (&json!(1), &json!(2), &json!(3)));
        assert_eq!(usage["codes"], json!([{"code": "missing_scope", "count": 1}, {"code": "valid", "count": 3}]));
        assert_eq!(usage["suggested_scopes"], json!(["inference"]));
        let scopes: Vec<_> =
            usage["scopes"].as_array().unwrap().iter().map(|scope| (&scope["scope"], &scope["held"], &scope["count"])).collect();
        let [chat, project, inference] = &scopes[..] else { panic!("{scopes:?}") };
        assert_eq!([chat, project], [&(&json!("chat"), &json!(true), &json!(0)), &(&json!("project"), &json!(true), &json!(0))]);
        assert_eq!(inference, &(&json!("inference"), &json!(false), &json!(2)));

        let csv = app.as_(Actor::KeyOwner, Call::get(format!("{path}/usage.csv?days=400"))).await.expect(200);
        assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
        assert!(csv.header("content-disposition").unwrap().starts_with("attachment; filename=\"key_"));
        let lines = [
            "hour,code,count",
            "2026-06-01T12:00:00.000Z,missing_scope,1",
            "2026-06-01T12:00:00.000Z,valid,1",
            "2026-06-09T23:00:00.000Z,valid,2",
        ];
        assert_eq!(csv.text(), lines.join("\r\n") + "\r\n");
        let short = app.as_(Actor::KeyOwner, Call::get(format!("{path}/usage?days=1"))).await.expect(200).json();
        assert_eq!((&short["calls"], short["days"].as_array().unwrap().len()), (&json!(2), 1));
        for wrong in ["days=0", "days=401", "days=x", "days=", "days=1&days=2", "from=1"] {
            for path in [format!("{path}/usage?{wrong}"), format!("{path}/usage.csv?{wrong}")] {
                app.as_(Actor::KeyOwner, Call::get(path)).await.expect(400);
            }
        }
    }
}

#[tokio::test]
async fn the_page_of_a_key_offers_the_narrowing_and_its_form_does_it() {
    let app = App::new().await;
    let issued = app.key(Actor::KeyOwner, KeyKind::Secret, &["project", "chat"]).await;
    let (secret, address) = (issued.secret.expose(), format!("/w/acme/keys/{}", issued.key.id));
    app.verdict(secret, Some("inference")).await;
    let page = async || app.as_(Actor::KeyOwner, Call::get(&address).header("accept", "text/html")).await.expect(200).text();
    let young = page().await;
    assert!(young.contains("Holds 2 scopes, used 1 in the last 90 days.") && !young.contains("Narrow to this"));
    app.clock.advance_ms(7 * 86_400_000);
    app.forget(Actor::KeyOwner).await;
    let old = page().await;
    assert!(old.contains("Narrow to this") && old.contains(r#"name="scopes[]" value="inference""#), "{old}");
    let fields = [("workspace", "acme"), ("id", issued.key.id.as_str()), ("version", "1"), ("scopes[]", "inference")];
    app.as_(Actor::KeyOwner, Call::post("/_app/update_key").header("accept", "text/html").form(&fields)).await.expect(302);
    assert_eq!([app.verdict(secret, Some("inference")).await, app.verdict(secret, Some("chat")).await], ["valid", "missing_scope"]);
    assert!(!page().await.contains("Narrow to this"));
}
