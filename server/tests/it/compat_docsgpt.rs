//! What DocsGPT's settings page finds here. There is no client to run for it, so these are the requests of its front end, one
//! by one.

use keyfold_domain::key::NewKey;
use keyfold_domain::resource::NewResource;
use keyfold_domain::scope::KeyKind;
use keyfold_domain::workspace::Role;
use serde_json::{Value, json};

use crate::support::{Actor, Answer, App, COOKIE, Call, PASSWORD, new_key, operator};

const LIST: &str = "/api/get_api_keys";
const CREATE: &str = "/api/create_api_key";
const DELETE: &str = "/api/delete_api_key";
const TOKEN: &str = "/api/generate_token";

/// The token of a person, as they get it before they paste it into DocsGPT's page.
async fn token(app: &App, actor: Actor, username: &str) -> String {
    actor.user(app).await;
    let body = json!({"username": username, "password": PASSWORD});
    app.send(Call::post(TOKEN).json(&body)).await.expect(200).json()["token"].as_str().unwrap().to_owned()
}

async fn source(app: &App, actor: Actor, id: &str, name: &str) {
    let owner = Some(actor.user(app).await);
    let new = NewResource { kind: "source".into(), external_id: id.into(), name: name.into(), owner };
    app.engine.resources.create(&operator(), &app.acme, new).await.unwrap();
}

async fn create(app: &App, token: &str, body: Value) -> Answer {
    app.send(Call::post(CREATE).bearer(token).json(&body)).await
}

async fn made(app: &App, token: &str, body: Value) -> Value {
    create(app, token, body).await.expect(201).json()
}

async fn list(app: &App, token: &str) -> Vec<Value> {
    app.send(Call::get(LIST).bearer(token)).await.expect(200).json().as_array().unwrap().clone()
}

#[track_caller]
fn refused(answer: &Answer) -> u16 {
    assert_eq!(answer.header("content-type"), Some("application/json"), "{}", answer.text());
    assert_eq!(answer.json()["success"], false, "{}", answer.text());
    answer.code()
}

#[tokio::test]
async fn a_key_is_created_listed_masked_and_deleted() {
    for app in App::on_each().await {
        let token = token(&app, Actor::KeyOwner, "keyowner").await;
        source(&app, Actor::KeyOwner, "65f0c2", "handbook.pdf").await;
        assert_eq!(list(&app, &token).await, Vec::<Value>::new());
        // As the dialog sends it.
        let body = json!({"name": "Widget", "source": "65f0c2", "prompt_id": "default", "chunks": "2"});
        let issued = made(&app, &token, body).await;
        let (id, key) = (issued["id"].as_str().unwrap(), issued["key"].as_str().unwrap());
        assert_eq!(issued.as_object().unwrap().len(), 2);
        let masked = format!("{}...{}", &key[..4], &key[key.len() - 4..]);
        let expected = json!({"id": id, "name": "Widget", "key": masked, "source": "handbook.pdf", "prompt_id": "default", "chunks": "2"});
        assert_eq!(list(&app, &token).await, [expected]);
        // Its source is preset: whoever asks about it is told.
        let verdict = app.verify(key, Some("chat")).await;
        assert_eq!((&verdict["code"], &verdict["resources"]), (&json!("valid"), &json!(["source:65f0c2"])));
        let gone = app.send(Call::post(DELETE).bearer(&token).json(&json!({"id": id}))).await.expect(200);
        assert_eq!(gone.json(), json!({"success": true}));
        assert_eq!((list(&app, &token).await.len(), app.verdict(key, None).await.as_str()), (0, "not_found"));
        let again = app.send(Call::post(DELETE).bearer(&token).json(&json!({"id": id}))).await;
        assert_eq!((again.code(), again.json()), (404, json!({"success": false, "message": "API Key not found"})));
    }
}

#[tokio::test]
async fn chunks_come_back_as_they_were_sent_and_a_key_needs_no_source() {
    let app = App::new().await;
    let token = token(&app, Actor::KeyOwner, "keyowner").await;
    for (chunks, more, source) in [
        (json!(2), json!({}), ""),
        (json!("10"), json!({"retriever": "classic"}), "classic"),
        (json!(0), json!({"source": "", "retriever": "duckduck_search"}), "duckduck_search"),
        (json!("0"), json!({"source": "default", "description": "not known to it"}), ""),
        (json!("4"), json!({"source": null, "retriever": null}), ""),
    ] {
        let mut body = json!({"name": "n", "prompt_id": "creative", "chunks": chunks});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let id = made(&app, &token, body).await["id"].clone();
        let listed = list(&app, &token).await.into_iter().find(|key| key["id"] == id).unwrap();
        assert_eq!((&listed["chunks"], &listed["source"], &listed["prompt_id"]), (&chunks, &json!(source), &json!("creative")));
    }
}

#[tokio::test]
async fn a_key_whose_source_was_deleted_is_still_listed() {
    let app = App::new().await;
    let token = token(&app, Actor::KeyOwner, "keyowner").await;
    source(&app, Actor::KeyOwner, "s1", "gone.pdf").await;
    let issued = made(&app, &token, json!({"name": "n", "source": "s1", "prompt_id": "default", "chunks": 2})).await;
    let source = app.engine.keys.get(&operator(), &app.acme, &issued["id"].as_str().unwrap().parse().unwrap()).await.unwrap();
    app.engine.resources.delete(&operator(), &app.acme, &source.resources[0].id, true).await.unwrap();
    assert_eq!(list(&app, &token).await[0]["source"], "gone.pdf");
    assert_eq!(app.verdict(issued["key"].as_str().unwrap(), None).await, "wrong_resource");
}

#[tokio::test]
async fn what_is_wrong_is_said_as_the_page_reads_it() {
    let app = App::new().await;
    let token = token(&app, Actor::KeyOwner, "keyowner").await;
    source(&app, Actor::Admin, "hers", "hers.pdf").await;
    for (body, message) in [
        (json!({}), "Missing fields: name, prompt_id, chunks"),
        (json!({"prompt_id": "default"}), "Missing fields: name, chunks"),
        (json!({"name": "n", "prompt_id": null, "chunks": 2}), "Missing fields: prompt_id"),
    ] {
        let answer = create(&app, &token, body).await;
        assert_eq!((refused(&answer), answer.json()["message"].as_str()), (400, Some(message)));
    }
    let with = |field: &str, value: Value| {
        let mut body = json!({"name": "n", "prompt_id": "default", "chunks": 2});
        body[field] = value;
        body
    };
    for body in [
        with("source", json!("nowhere")),
        with("source", json!("hers")),
        with("source", json!("a b")),
        with("source", json!(5)),
        with("chunks", json!("two")),
        with("chunks", json!(-1)),
        with("chunks", json!(1.5)),
        with("chunks", json!("")),
        with("chunks", json!([2])),
        with("chunks", json!(1001)),
        with("prompt_id", json!({"$ne": 1})),
        with("prompt_id", json!("x".repeat(201))),
        with("retriever", json!("a\u{0}b")),
        with("name", json!("x".repeat(101))),
        with("name", json!("\u{202e}")),
    ] {
        assert_eq!(refused(&create(&app, &token, body.clone()).await), 400, "{body}");
    }
    // Somebody else's source is refused in the words for one that is not there.
    let texts = [create(&app, &token, with("source", json!("hers"))).await, create(&app, &token, with("source", json!("hern"))).await];
    assert_eq!(texts[0].text().replace("hers", "hern"), texts[1].text());
    for (body, status) in [("{", 400), ("[]", 400), ("\"x\"", 400), ("", 400)] {
        for path in [CREATE, DELETE] {
            assert_eq!(refused(&app.send(Call::post(path).bearer(&token).body("application/json", body)).await), status, "{body}");
        }
    }
    for (body, status) in
        [(json!({}), 400), (json!({"id": "x"}), 400), (json!({"id": 5}), 400), (json!({"id": "key_0000000000000000000000"}), 404)]
    {
        let answer = app.send(Call::post(DELETE).bearer(&token).json(&body)).await;
        assert_eq!(refused(&answer), status, "{body}");
    }
    assert_eq!(list(&app, &token).await.len(), 0);
    assert_eq!(refused(&app.send(Call::get(CREATE).bearer(&token)).await), 405);
    assert_eq!(refused(&app.send(Call::get("/api/nothing").bearer(&token)).await), 404);
    // What made keys on the side in the real one, and told of other people's, is not here.
    for path in ["/api/share?isPromptable=true", "/api/get_user_logs", "/api/create_agent", "/api"] {
        assert_eq!(refused(&app.send(Call::post(path).bearer(&token).json(&json!({"api_key_id": "x"}))).await), 404, "{path}");
    }
    let large = app.send(Call::post(CREATE).bearer(&token).body("application/json", " ".repeat(70_000))).await;
    assert_eq!(refused(&large), 413);
}

#[tokio::test]
async fn nobody_deletes_or_sees_what_is_not_their_own() {
    for app in App::on_each().await {
        let (ours, theirs) = (token(&app, Actor::KeyOwner, "keyowner").await, token(&app, Actor::Member, "member").await);
        // Not even an administrator, who could do so in the console.
        let admin = token(&app, Actor::Admin, "admin").await;
        let issued = made(&app, &ours, json!({"name": "ours", "prompt_id": "default", "chunks": 2})).await;
        let absent = json!({"id": "key_0000000000000000000000"});
        for other in [&theirs, &admin] {
            assert_eq!(list(&app, other).await.len(), 0);
            let call = |body: &Value| Call::post(DELETE).bearer(other).json(body);
            let (foreign, absent) = (app.send(call(&json!({"id": issued["id"]}))).await, app.send(call(&absent)).await);
            assert_eq!((foreign.code(), foreign.text()), (404, absent.text()));
        }
        assert_eq!(app.verdict(issued["key"].as_str().unwrap(), None).await, "valid");
    }
}

#[tokio::test]
async fn the_page_reaches_keys_for_talking_and_no_others() {
    let app = App::new().await;
    let token = token(&app, Actor::KeyOwner, "keyowner").await;
    let elsewhere = app.key(Actor::KeyOwner, KeyKind::Secret, &["chat"]).await.key.id.to_string();
    let management = app.key(Actor::KeyOwner, KeyKind::Management, &["chat", "keys:write"]).await.key.id.to_string();
    let other = app.key(Actor::KeyOwner, KeyKind::Secret, &["project"]).await.key.id.to_string();
    // One that was made in the console is shown with what the dialog begins with.
    let listed = list(&app, &token).await;
    assert_eq!(listed.len(), 1);
    assert_eq!((&listed[0]["id"], &listed[0]["prompt_id"], &listed[0]["chunks"]), (&json!(elsewhere), &json!("default"), &json!("2")));
    for (id, status) in [(management, 404), (other, 404), (elsewhere, 200)] {
        assert_eq!(app.send(Call::post(DELETE).bearer(&token).json(&json!({"id": id}))).await.code(), status);
    }
}

#[tokio::test]
async fn only_a_token_of_this_page_opens_its_routes() {
    let app = App::new().await;
    let token = token(&app, Actor::KeyOwner, "keyowner").await;
    let body = json!({"name": "n", "prompt_id": "default", "chunks": 2});
    let calls = || {
        [
            Call::get(LIST),
            Call::post(CREATE).json(&body),
            Call::post(DELETE).json(&json!({"id": "key_0000000000000000000000"})),
            Call::get("/api/sources"),
            Call::get("/api/get_prompts"),
        ]
    };
    for actor in Actor::ALL {
        for call in calls() {
            let answer = app.as_(actor, call.clone()).await;
            assert_eq!(answer.code(), 401, "{} by {actor:?}", call.path);
            let said = answer.json();
            // An API key is no session, and no cookie is looked at.
            if app.shows_a_key(actor).await {
                assert_eq!(said["error"], "invalid_token", "{said}");
            } else {
                assert_eq!(said, json!({"success": false}));
            }
        }
    }
    for authorization in ["Bearer", "Bearer x", "Basic YTpi", &format!("Bearer {}", "x".repeat(5_000)), &format!("Token {token}")] {
        for call in calls() {
            let answer = app.send(call.header("authorization", authorization)).await.expect(401);
            let said = answer.json();
            assert!(said["message"].as_str().unwrap().starts_with("Authentication error: ") && said["error"] == "invalid_token", "{said}");
        }
    }
    // And it opens nothing else: not as a cookie, not as a key.
    for path in ["/v1/workspaces/acme", "/api/v1/users", "/v1/whoami"] {
        app.send(Call::get(path).header("cookie", &format!("{COOKIE}={token}"))).await.expect(401);
        app.send(Call::get(path).bearer(&token)).await.expect(401);
    }
    let page = Call::get("/account").header("accept", "text/html").header("cookie", &format!("{COOKIE}={token}"));
    assert!(!app.send(page).await.text().contains("keyowner"));
    // How to sign in is told to everybody.
    let config = app.send(Call::get("/api/config")).await.expect(200).json();
    assert_eq!(config, json!({"auth_type": "simple_jwt", "requires_auth": true}));
}

#[tokio::test]
async fn a_viewer_makes_no_keys_and_one_who_left_is_nobody() {
    let app = App::new().await;
    let (viewer, member) = (token(&app, Actor::Viewer, "viewer").await, token(&app, Actor::Member, "member").await);
    let body = json!({"name": "n", "prompt_id": "default", "chunks": 2});
    assert_eq!(refused(&create(&app, &viewer, body.clone()).await), 403);
    made(&app, &member, body.clone()).await;
    app.engine.members.remove(&operator(), &app.acme, &Actor::Member.user(&app).await).await.unwrap();
    assert_eq!(create(&app, &member, body).await.code(), 401);
}

#[tokio::test]
async fn a_token_is_given_for_a_password_and_one_workspace() {
    let app = App::new().await;
    let user = Actor::KeyOwner.user(&app).await;
    let ask = async |body: Value| app.send(Call::post(TOKEN).json(&body)).await;
    let with = |more: Value| {
        let mut body = json!({"username": "keyowner", "password": PASSWORD});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    ask(with(json!({"username": " KeyOwner "}))).await.expect(200);
    ask(with(json!({"workspace": "acme"}))).await.expect(200);
    assert_eq!(refused(&ask(with(json!({"workspace": "zeta"}))).await), 400);
    assert_eq!(refused(&ask(with(json!({"workspace": "nowhere"}))).await), 400);
    assert_eq!(refused(&ask(with(json!({"more": 1}))).await), 400);
    assert_eq!(refused(&ask(json!({"username": "keyowner"})).await), 400);
    let (wrong, unknown) = (ask(with(json!({"password": "not it, not it"}))).await, ask(with(json!({"username": "nobody"}))).await);
    assert_eq!((refused(&wrong), wrong.text()), (401, unknown.text()));
    let form = format!("username=keyowner&password={PASSWORD}");
    assert_eq!(refused(&app.send(Call::post(TOKEN).body("application/x-www-form-urlencoded", form)).await), 400);
    // Whoever belongs to two names one.
    app.engine.members.add(&operator(), &app.zeta, &user, Role::Member).await.unwrap();
    assert_eq!(refused(&ask(with(json!({}))).await), 400);
    let token = ask(with(json!({"workspace": "zeta"}))).await.expect(200).json()["token"].as_str().unwrap().to_owned();
    made(&app, &token, json!({"name": "in zeta", "prompt_id": "default", "chunks": 2})).await;
    assert!(app.engine.keys.list(&operator(), &app.acme, &keyfold_domain::key::KeyFilter::default()).await.unwrap().items.is_empty());
    // DocsGPT would hand one to everybody who asks.
    let handed = app.send(Call::get(TOKEN)).await;
    assert_eq!(refused(&handed), 400);
    // Tries are limited.
    let peer = "203.0.113.9".parse().unwrap();
    let mut last = 401;
    for _ in 0..20 {
        last = app.send_from(peer, Call::post(TOKEN).json(&with(json!({"password": "not it, not it"})))).await.code();
    }
    assert_eq!(last, 429);
}

#[tokio::test]
async fn pages_of_any_origin_may_ask_but_none_may_sign_in() {
    let app = App::new().await;
    let token = token(&app, Actor::KeyOwner, "keyowner").await;
    let from_elsewhere = |call: Call| call.header("origin", "https://docs.example").header("sec-fetch-site", "cross-site");
    for (method, path) in [("GET", LIST), ("POST", CREATE), ("POST", DELETE), ("GET", "/api/sources"), ("GET", "/api/config")] {
        let asked = app.send(from_elsewhere(Call::new("OPTIONS".parse().unwrap(), path))).await.expect(200);
        assert!(asked.body.is_empty());
        let call = Call::new(method.parse().unwrap(), path).bearer(&token).json(&json!({"name": "n", "prompt_id": "p", "chunks": 2}));
        let answered = app.send(from_elsewhere(call.clone())).await;
        assert_ne!(answered.code(), 403, "{path}: {}", answered.text());
        let mut without = call;
        without.headers.remove("authorization");
        for answer in [asked, answered, app.send(from_elsewhere(without)).await] {
            assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{path}");
            assert_eq!(answer.header("access-control-allow-headers"), Some("Content-Type, Authorization"));
            assert_eq!(answer.header("access-control-allow-credentials"), None);
        }
    }
    assert_eq!(list(&app, &token).await.len(), 1);
    let sign_in = Call::post(TOKEN).json(&json!({"username": "keyowner", "password": PASSWORD}));
    let answer = app.send(from_elsewhere(sign_in)).await.expect(403);
    assert_eq!(answer.header("access-control-allow-origin"), None);
    // No other part of the server says so.
    for path in ["/v1/workspaces", "/api/v1/users", "/", "/_app/sign_in"] {
        for call in [Call::get(path), Call::new("OPTIONS".parse().unwrap(), path)] {
            assert_eq!(app.send(from_elsewhere(call)).await.header("access-control-allow-origin"), None, "{path}");
        }
    }
}

#[tokio::test]
async fn requests_are_limited_and_pages_of_any_origin_can_read_that() {
    let app = App::new().await;
    let token = token(&app, Actor::KeyOwner, "keyowner").await;
    let app = app.with_request_limit(2);
    for left in [1, 0] {
        let answer = app.send(Call::get(LIST).bearer(&token)).await.expect(200);
        assert_eq!(answer.header("ratelimit"), Some(format!("\"requests\";r={left};t={}", (2 - left) * 30).as_str()));
    }
    let body = json!({"name": "n", "prompt_id": "default", "chunks": 2});
    for call in [Call::get(LIST), Call::get("/api/config"), Call::post(CREATE).json(&body)] {
        let refusal = app.send(call.bearer(&token)).await;
        assert_eq!((refused(&refusal), refusal.header("retry-after")), (429, Some("30")));
        assert!(refusal.json()["message"].as_str().is_some_and(|text| !text.is_empty()));
        assert_eq!(refusal.header("access-control-allow-origin"), Some("*"));
    }
    // A browser that asks whether it may is nobody's request; a stranger is counted by where they are.
    let from = [192, 0, 2, 1].into();
    for _ in 0..4 {
        app.send_from(from, Call::new("OPTIONS".parse().unwrap(), LIST)).await.expect(200);
    }
    for status in [401, 401, 429] {
        assert_eq!(refused(&app.send_from(from, Call::get(LIST)).await), status);
    }
    let sign_in = app.send_from(from, Call::post(TOKEN).json(&json!({"username": "keyowner", "password": PASSWORD}))).await;
    assert_eq!((refused(&sign_in), sign_in.header("access-control-allow-origin")), (429, None));
}

#[tokio::test]
async fn the_dialog_is_offered_sources_and_prompts() {
    let app = App::new().await;
    let token = token(&app, Actor::KeyOwner, "keyowner").await;
    source(&app, Actor::KeyOwner, "65f0c2", "handbook.pdf").await;
    source(&app, Actor::Admin, "hers", "hers.pdf").await;
    app.resource(Actor::KeyOwner, "a-collection").await;
    let offered = app.send(Call::get("/api/sources").bearer(&token)).await.expect(200).json();
    let offered = offered.as_array().unwrap();
    assert_eq!(offered.len(), 2);
    assert!(offered[0].get("id").is_none() && offered[0]["name"] == "Default");
    assert_eq!((&offered[1]["id"], &offered[1]["name"]), (&json!("65f0c2"), &json!("handbook.pdf")));
    for source in offered {
        for field in ["name", "date", "model", "location", "tokens", "retriever"] {
            assert!(source[field].is_string(), "{field}: {source}");
        }
    }
    let prompts = app.send(Call::get("/api/get_prompts").bearer(&token)).await.expect(200).json();
    assert_eq!(prompts[0], json!({"id": "default", "name": "default", "type": "public"}));
}

#[tokio::test]
async fn more_keys_than_fit_a_page_are_all_listed() {
    let app = App::new().await;
    let token = token(&app, Actor::KeyOwner, "keyowner").await;
    let owner = Some(Actor::KeyOwner.user(&app).await);
    for number in 0..205 {
        let new = NewKey { owner: owner.clone(), ..new_key(&number.to_string(), KeyKind::Secret, &["chat"]) };
        app.engine.keys.create(&operator(), &app.acme, new, None).await.unwrap();
    }
    assert_eq!(list(&app, &token).await.len(), 205);
}
