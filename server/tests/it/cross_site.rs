//! Requests forged by other sites: every write, from everywhere, through the real router, with a signed-in browser's cookie.

use keyfold_domain::key::{KeyFilter, NewKey, StateFilter};
use keyfold_domain::scope::KeyKind;
use keyfold_server::rest::openapi_document;
use leptos::server_fn::axum::server_fn_paths;

use crate::support::{Actor, App, COOKIE, Call, new_key, operator};

/// The server's own origin in these tests.
const OWN: &str = "http://127.0.0.1:3000";

const SITES: [Option<&str>; 5] = [Some("cross-site"), Some("same-site"), Some("none"), Some("same-origin"), None];
const ORIGINS: [Option<&str>; 4] = [Some(OWN), Some("https://evil.example"), Some("null"), None];

/// A browser that tells where a request comes from is believed; of one that does not, the origin must be exactly ours.
fn passes(site: Option<&str>, origin: Option<&str>) -> bool {
    match (site, origin) {
        (Some(site), _) => matches!(site, "none" | "same-origin"),
        (None, origin) => origin == Some(OWN),
    }
}

/// Every write there is, with a body that would be accepted.
async fn writes(app: &App) -> Vec<Call> {
    let key = app.key(Actor::Admin, KeyKind::Secret, &["chat"]).await.key.id.to_string();
    let document = serde_json::to_value(openapi_document()).unwrap();
    let mut writes = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        // The data plane knows no cookies: nobody's browser can be made to speak for them there.
        if path.starts_with("/v1/verify") {
            continue;
        }
        for method in item.as_object().unwrap().keys().filter(|method| *method != "get") {
            let path = path.replace("{workspace}", "acme").replace("{key}", &key);
            writes.push(Call::new(method.to_uppercase().parse().unwrap(), path));
        }
    }
    writes.extend(server_fn_paths().map(|(path, _)| Call::post(path)));
    writes.push(Call::post("/w/acme/keys/new"));
    writes
}

#[tokio::test]
async fn a_write_passes_only_from_our_own_pages() {
    let app = App::new().await;
    Actor::Admin.user(&app).await;
    let token = app.sign_in("admin").await;
    let json = r#"{"kind":"secret","scopes":["chat"],"name":"forged","workspace":"acme","form":{"kind":"secret","scopes":["chat"],"name":"forged"}}"#;
    let form = "kind=secret&scopes=chat&name=forged&workspace=acme&theme=dark&idempotency_key=1&expiry=30";
    let multipart = "--x\r\ncontent-disposition: form-data; name=\"name\"\r\n\r\nforged\r\n--x--\r\n";
    let bodies = [
        ("application/json", json),
        ("text/plain", json),
        ("application/x-www-form-urlencoded", form),
        ("multipart/form-data; boundary=x", multipart),
    ];
    let writes = writes(&app).await;
    let listed = async || app.engine.keys.list(&operator(), &app.acme, &KeyFilter::default()).await.unwrap();
    let before = listed().await;
    let mut refused = 0;
    for write in &writes {
        for (content_type, body) in bodies {
            for site in SITES {
                for origin in ORIGINS.into_iter().filter(|origin| !passes(site, *origin)) {
                    let mut call = write.clone().header("cookie", &format!("{COOKIE}={token}")).body(content_type, body);
                    if let Some(site) = site {
                        call = call.header("sec-fetch-site", site);
                    }
                    if let Some(origin) = origin {
                        call = call.header("origin", origin);
                    }
                    let answer = app.send(call).await;
                    assert_eq!(answer.code(), 403, "{} from {site:?} {origin:?}", write.path);
                    assert!(answer.cookies().is_empty());
                    refused += 1;
                }
            }
        }
    }
    // Of 20 combinations of the two headers 9 are our own.
    assert_eq!(refused, writes.len() * bodies.len() * 11);
    assert!(writes.len() > 20);
    assert_eq!(listed().await, before);
    // Not even the session was ended.
    app.send(Call::get("/v1/workspaces/acme").header("cookie", &format!("{COOKIE}={token}"))).await.expect(200);
}

#[tokio::test]
async fn our_own_pages_and_programs_pass() {
    let app = App::new().await;
    Actor::Admin.user(&app).await;
    let token = app.sign_in("admin").await;
    let create = || Call::post("/v1/workspaces/acme/keys").body("application/json", r#"{"kind":"secret","scopes":["chat"]}"#);
    for site in SITES {
        for origin in ORIGINS.into_iter().filter(|origin| passes(site, *origin)) {
            let mut call = create().header("cookie", &format!("{COOKIE}={token}"));
            if let Some(site) = site {
                call = call.header("sec-fetch-site", site);
            }
            if let Some(origin) = origin {
                call = call.header("origin", origin);
            }
            app.send(call).await.expect(201);
        }
    }
    // A script with a key has neither a cookie nor an origin.
    app.as_(Actor::ManagementKey, create()).await.expect(201);
    // A page of another site that somehow got hold of a key is still a page of another site.
    app.as_(Actor::ManagementKey, create().header("sec-fetch-site", "cross-site")).await.expect(403);
}

#[tokio::test]
async fn looking_changes_nothing() {
    let app = App::new().await;
    let key = app.key(Actor::KeyOwner, KeyKind::Secret, &["chat"]).await;
    let new = NewKey { owner: Some(Actor::Admin.user(&app).await), ..new_key("another", KeyKind::Secret, &["chat"]) };
    app.engine.keys.create(&operator(), &app.acme, new, None).await.unwrap();
    let document = serde_json::to_value(openapi_document()).unwrap();
    let mut looks: Vec<String> =
        document["paths"].as_object().unwrap().iter().filter(|(_, item)| item.get("get").is_some()).map(|(path, _)| path.clone()).collect();
    looks.extend(["/", "/sign-in", "/setup", "/account", "/w/acme/keys", "/w/acme/keys/new", "/healthz", "/readyz"].map(str::to_owned));
    looks.extend(["scopes", "delete"].map(|page| format!("/w/acme/keys/{{key}}/{page}")));
    let state = async || {
        let all = KeyFilter { state: StateFilter::All, ..KeyFilter::default() };
        let keys = app.engine.keys.list(&operator(), &app.acme, &all).await.unwrap();
        (keys, app.engine.audit.verify_chains(&operator()).await.unwrap().events)
    };
    // Made before the first look, as making people is a change.
    for actor in [Actor::Anonymous, Actor::Admin, Actor::KeyOwner] {
        actor.credential(&app).await;
    }
    let before = state().await;
    // That somebody asked for what they may not see is kept, and that somebody took the log away, and is all that is. What
    // forward-auth refuses is no act of anybody on Keyfold.
    let mut kept = 0;
    for method in ["GET", "HEAD"] {
        for path in &looks {
            let path = path.replace("{workspace}", "acme").replace("{key}", key.key.id.as_str());
            for actor in [Actor::Anonymous, Actor::Admin, Actor::KeyOwner] {
                let answer = app.as_(actor, Call::new(method.parse().unwrap(), &path)).await;
                assert!(answer.code() < 500, "{method} {path}: {}", answer.text());
                let refused = answer.code() == 403 && !path.ends_with("/forward-auth");
                kept += u64::from(refused || (answer.code() == 200 && path.ends_with("/audit/export")));
            }
        }
    }
    assert_eq!(state().await, (before.0, before.1 + kept));
}
