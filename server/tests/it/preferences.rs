//! What a browser remembers for its reader: columns that are left out, and whether single keys act.

use crate::support::{Actor, App, Call};

/// The first tag of a page, as it comes for somebody with that cookie.
async fn document(app: &App, cookie: &str) -> String {
    let page = app.as_(Actor::Anonymous, Call::get("/sign-in").header("accept", "text/html").header("cookie", cookie)).await;
    let page = page.expect(200).text();
    page.split_once("<html").unwrap().1.split_once('>').unwrap().0.to_owned()
}

#[tokio::test]
async fn the_document_names_the_columns_that_are_left_out() {
    let app = App::new().await;
    let call = Call::post("/_app/set_columns").form(&[("shown[0]", "scopes"), ("shown[1]", "expires"), ("back", "/w/acme/keys?q=a")]);
    let answer = app.as_(Actor::Admin, call.header("accept", "text/html")).await;
    assert_eq!((answer.code(), answer.header("location")), (302, Some("/w/acme/keys?q=a")));
    let set = answer.header("set-cookie").unwrap().to_owned();
    assert!(set.starts_with("kf_columns=status.resource.created.last_used.calls; ") && set.contains("SameSite=Lax"), "{set}");
    let cookie = set.split(';').next().unwrap();
    assert!(document(&app, cookie).await.contains("data-hidden=\"status resource created last_used calls\""));
    for other in ["", "kf_columns=", "kf_columns=key", "kf_columns=\"><script>"] {
        assert!(!document(&app, other).await.contains("data-hidden"), "{other}");
    }
}

#[tokio::test]
async fn showing_every_column_forgets_the_choice_and_only_an_address_of_ours_is_followed() {
    let app = App::new().await;
    let all = ["status", "scopes", "resource", "created", "expires", "last_used", "calls"];
    let names: Vec<String> = (0..all.len()).map(|number| format!("shown[{number}]")).collect();
    let mut fields: Vec<(&str, &str)> = names.iter().map(String::as_str).zip(all).collect();
    fields.push(("back", "//evil.example"));
    let call = Call::post("/_app/set_columns").form(&fields).header("accept", "text/html");
    let answer = app.as_(Actor::Admin, call).await;
    assert_eq!(answer.header("location"), Some("/"));
    assert!(
        answer.header("set-cookie").unwrap().starts_with("kf_columns=; ") && answer.header("set-cookie").unwrap().contains("Max-Age=0")
    );
}

#[tokio::test]
async fn single_keys_can_be_switched_off_and_on_again() {
    let app = App::new().await;
    assert!(!document(&app, "").await.contains("data-shortcuts"));
    for (choice, value, quiet) in [("off", "off", true), ("on", "", false), ("nonsense", "", false)] {
        let call = Call::post("/_app/set_shortcuts").form(&[("shortcuts", choice)]).header("accept", "text/html");
        let answer = app.as_(Actor::Admin, call).await;
        assert_eq!(answer.header("location"), Some("/account?done=shortcuts"));
        let cookie = answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        assert_eq!(cookie, format!("kf_shortcuts={value}"));
        assert_eq!(document(&app, &cookie).await.contains("data-shortcuts=\"off\""), quiet, "{choice}");
    }
}
