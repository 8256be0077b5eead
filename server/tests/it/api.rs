//! What holds for the whole of `/v1`: how often one may ask, with which methods, from which version, and the page that
//! describes it.

use axum::http::Method;
use keyfold_domain::scope::KeyKind;
use keyfold_server::rest::openapi_document;
use serde_json::json;

use crate::support::{Actor, Answer, App, Call};

const WORKSPACES: &str = "/v1/workspaces";

/// The two headers that tell what is left.
fn told(answer: &Answer) -> (Option<&str>, Option<&str>) {
    (answer.header("ratelimit-policy"), answer.header("ratelimit"))
}

#[tokio::test]
async fn an_actor_is_told_what_is_left_and_then_when_to_come_back() {
    let app = App::new().await.with_request_limit(3);
    let policy = Some("\"requests\";q=3;w=60");
    for (left, whole_in) in [(2, 20), (1, 40), (0, 60)] {
        let answer = app.as_(Actor::Admin, Call::get(WORKSPACES)).await.expect(200);
        assert_eq!(told(&answer), (policy, Some(format!("\"requests\";r={left};t={whole_in}").as_str())));
    }
    let refused = app.as_(Actor::Admin, Call::get(WORKSPACES)).await.expect(429);
    assert_eq!((refused.problem().as_str(), refused.header("retry-after")), ("rate_limited", Some("20")));
    assert_eq!(told(&refused), (policy, Some("\"requests\";r=0;t=60")));
    // Each key and each person has their own.
    app.as_(Actor::Member, Call::get(WORKSPACES)).await.expect(200);
    app.as_(Actor::ManagementKey, Call::get(WORKSPACES)).await.expect(200);
    app.clock.advance_ms(20_000);
    app.as_(Actor::Admin, Call::get(WORKSPACES)).await.expect(200);
    app.as_(Actor::Admin, Call::get(WORKSPACES)).await.expect(429);
}

#[tokio::test]
async fn a_request_beyond_the_limit_changes_nothing() {
    let app = App::new().await;
    let key = app.key(Actor::KeyOwner, KeyKind::Secret, &["chat"]).await;
    let app = app.with_request_limit(1);
    app.as_(Actor::Admin, Call::get(WORKSPACES)).await.expect(200);
    let path = format!("/v1/workspaces/acme/keys/{}", key.key.id);
    app.as_(Actor::Admin, Call::delete(path)).await.expect(429);
    assert_eq!(app.verdict(key.secret.expose(), None).await, "valid");
}

#[tokio::test]
async fn refusals_count_too_and_so_do_strangers() {
    let app = App::new().await.with_request_limit(1);
    let from = [192, 0, 2, 1].into();
    let first = app.send_from(from, Call::get(WORKSPACES)).await.expect(401);
    assert_eq!(first.header("ratelimit"), Some("\"requests\";r=0;t=60"));
    assert_eq!(app.send_from(from, Call::get("/v1/nothing")).await.expect(429).problem(), "rate_limited");
    app.send_from([192, 0, 2, 2].into(), Call::get(WORKSPACES)).await.expect(401);
}

#[tokio::test]
async fn verifying_and_pages_are_not_counted() {
    let app = App::new().await.with_request_limit(1);
    let key = app.key(Actor::KeyOwner, KeyKind::Secret, &["chat"]).await;
    for _ in 0..3 {
        assert_eq!(app.verdict(key.secret.expose(), None).await, "valid");
        let page = app.as_(Actor::Admin, Call::get("/w/acme/keys").header("accept", "text/html")).await.expect(200);
        assert_eq!(told(&page), (None, None));
    }
}

#[tokio::test]
async fn without_a_limit_nothing_is_told() {
    let answer = App::new().await.as_(Actor::Admin, Call::get(WORKSPACES)).await.expect(200);
    assert_eq!(told(&answer), (None, None));
}

/// An address of the document, with names that may exist.
fn filled_in(path: &str) -> String {
    let nobody = "0000000000000000000000";
    [
        ("{workspace}", "acme".to_owned()),
        ("{key}", format!("key_{nobody}")),
        ("{secret}", format!("sec_{nobody}")),
        ("{user}", format!("usr_{nobody}")),
        ("{invitation}", format!("inv_{nobody}")),
        ("{resource}", format!("res_{nobody}")),
        ("{batch}", format!("blk_{nobody}")),
        ("{scope}", "chat".to_owned()),
        ("{version}", "1".to_owned()),
    ]
    .iter()
    .fold(path.to_owned(), |path, (part, name)| path.replace(part, name))
}

#[tokio::test]
async fn every_address_says_which_methods_it_has_and_answers_head_as_get() {
    let app = App::new().await;
    let document = serde_json::to_value(openapi_document()).unwrap();
    // With every method a proxy asks about that method.
    let paths = document["paths"].as_object().unwrap().iter().filter(|(path, _)| !path.contains("/forward-auth"));
    for (path, item) in paths {
        let address = filled_in(path);
        let options = app.as_(Actor::Admin, Call::new(Method::OPTIONS, &address)).await.expect(204);
        assert!(options.body.is_empty(), "{path}");
        let allowed = options.header("allow").unwrap_or_else(|| panic!("{path} names no methods")).to_lowercase();
        for method in item.as_object().unwrap().keys() {
            assert!(allowed.split(',').any(|name| name.trim() == method), "{path}: {method} is not in {allowed}");
        }
        if item.get("get").is_some() {
            let get = app.as_(Actor::Admin, Call::get(&address)).await;
            let head = app.as_(Actor::Admin, Call::new(Method::HEAD, &address)).await;
            assert_eq!((head.code(), head.header("content-type")), (get.code(), get.header("content-type")), "{path}");
        }
    }
}

#[tokio::test]
async fn a_version_that_cannot_be_compared_is_not_passed_over() {
    let app = App::new().await;
    let resource = app.resource(Actor::Admin, "contracts").await;
    let paths = [
        (Method::PATCH, format!("/v1/workspaces/acme/resources/{resource}")),
        (Method::DELETE, format!("/v1/workspaces/acme/resources/{resource}")),
        (Method::PATCH, "/v1/workspaces/acme/scopes/reports".to_owned()),
        (Method::DELETE, "/v1/workspaces/acme/scopes/reports".to_owned()),
        (Method::PATCH, "/v1/workspaces/acme/members/usr_0000000000000000000000".to_owned()),
        (Method::DELETE, "/v1/workspaces/acme/members/usr_0000000000000000000000".to_owned()),
        (Method::DELETE, "/v1/workspaces/acme/invitations/inv_0000000000000000000000".to_owned()),
        (Method::POST, "/v1/workspaces/acme/keys:batch".to_owned()),
        (Method::PATCH, "/v1/admin/users/usr_0000000000000000000000".to_owned()),
        (Method::PATCH, "/v1/admin/workspaces/acme".to_owned()),
    ];
    for (method, path) in paths {
        let call = Call::new(method.clone(), &path).header("if-match", "\"1\"").json(&json!({ "name": "other" }));
        let answer = app.as_(Actor::InstanceAdmin, call).await;
        assert_eq!((answer.code(), answer.field().as_deref()), (400, Some("If-Match")), "{method} {path}: {}", answer.text());
    }
    assert_eq!(app.engine.resources.get(&crate::support::operator(), &app.acme, &resource).await.unwrap().name, "contracts");
}

#[tokio::test]
async fn the_reference_is_a_page_of_ours_alone() {
    let app = App::new().await;
    let page = app.send(Call::get("/docs/api").header("cookie", "kf_theme=dark")).await.expect(200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'self'; img-src 'self';") && !policy.contains("script"), "{policy}");
    let text = page.text();
    assert!(text.contains("data-theme=\"dark\"") && text.contains("<h1>API reference</h1>"));
    let loaded = text.split("href=\"").chain(text.split("src=\"")).skip(1).filter_map(|rest| rest.split('"').next());
    for address in loaded.filter(|address| std::path::Path::new(address).extension().is_some_and(|kind| kind == "css" || kind == "svg")) {
        assert!(address.starts_with('/'), "{address}");
    }
    let style = app.send(Call::get("/docs/api.css")).await.expect(200);
    assert_eq!(style.header("content-type"), Some("text/css; charset=utf-8"));
}
