//! `/docs/api`: the OpenAPI document as a page for people. Written here from the same document that programs are given, so
//! it cannot say anything else; without script, and without a file of anybody else's.

mod examples;
mod operations;
mod schemas;

use std::sync::LazyLock;

use axum::body::Body;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Response};
use axum::response::IntoResponse;
use keyfold_app::functions::context::{THEME_COOKIE, Theme};
use serde_json::Value;

use super::refusal::{HTML, STYLE_ONLY, escape};
use crate::auth::cookie;
use crate::rest::openapi_document;
use crate::site;

/// Where the page is.
pub(crate) const API_REFERENCE: &str = "/docs/api";
/// Where its own style sheet is. The console's is loaded too; this is only what no other page needs.
pub(crate) const API_REFERENCE_STYLE: &str = "/docs/api.css";

const STYLE: &str = include_str!("../../../style/api_reference.css");

/// The page between its head and its end: the same for everybody, so it is written once.
static CONTENT: LazyLock<String> = LazyLock::new(|| content(&serde_json::to_value(openapi_document()).unwrap_or_default()));

/// The page, in the reader's theme.
pub(crate) async fn api_reference(headers: HeaderMap) -> Response<Body> {
    let theme = cookie(&headers, THEME_COOKIE).map_or(Theme::System, Theme::from_cookie);
    let theme = theme.attribute().map(|name| format!(" data-theme=\"{name}\"")).unwrap_or_default();
    let console = site::CSS.map(|css| format!("<link rel=\"stylesheet\" href=\"{css}\">")).unwrap_or_default();
    let page = format!(
        "<!DOCTYPE html><html lang=\"en\"{theme}><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\">\
         <meta name=\"robots\" content=\"noindex\"><title>API reference · Keyfold</title>\
         <link rel=\"icon\" href=\"/favicon.svg\" type=\"image/svg+xml\">{console}\
         <link rel=\"stylesheet\" href=\"{API_REFERENCE_STYLE}\"></head><body>{}</body></html>",
        *CONTENT
    );
    ([(CONTENT_TYPE, HTML), (CONTENT_SECURITY_POLICY, STYLE_ONLY)], page).into_response()
}

/// The page's own style sheet.
pub(crate) async fn api_reference_style() -> Response<Body> {
    ([(CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8"))], STYLE).into_response()
}

/// One operation, and where it is.
struct Entry<'a> {
    path: &'a str,
    method: &'a str,
    operation: &'a Value,
}

impl<'a> Entry<'a> {
    fn text(&self, name: &str) -> &'a str {
        self.operation[name].as_str().unwrap_or_default()
    }
}

/// Every operation under that tag: in the order of the paths, what only administrators of the instance may ask at the end.
fn entries<'a>(document: &'a Value, tag: &str) -> Vec<Entry<'a>> {
    let paths = document["paths"].as_object().into_iter().flatten();
    let all = paths.flat_map(|(path, item)| {
        let methods = item.as_object().into_iter().flatten();
        methods.map(move |(method, operation)| Entry { path, method, operation })
    });
    let mut found: Vec<Entry<'a>> = all.filter(|entry| entry.operation["tags"][0] == tag).collect();
    let rank = |method: &str| ["get", "post", "put", "patch", "delete"].iter().position(|known| *known == method);
    found.sort_by_key(|entry| (entry.path.starts_with("/v1/admin"), entry.path, rank(entry.method)));
    found
}

fn content(document: &Value) -> String {
    let mut nav = String::new();
    let mut main = String::new();
    for tag in document["tags"].as_array().into_iter().flatten() {
        let (name, about) = (tag["name"].as_str().unwrap_or_default(), tag["description"].as_str().unwrap_or_default());
        let entries = entries(document, name);
        let title = capitalised(name);
        nav.extend(["<li><a class=\"ref-tag\" href=\"#", name, "\">", &title, "</a><ul>"]);
        main.extend(["<section class=\"ref-group\" aria-labelledby=\"", name, "\"><h2 id=\"", name, "\">", &title, "</h2>", &prose(about)]);
        for entry in entries {
            let id = entry.text("operationId");
            nav.extend(["<li><a href=\"#", id, "\">", &escape(entry.text("summary").trim_end_matches('.')), "</a></li>"]);
            operations::write(&mut main, document, &entry);
        }
        nav.push_str("</ul></li>");
        main.push_str("</section>");
    }
    nav.push_str("<li><a class=\"ref-tag\" href=\"#schemas\">Schemas</a></li>");
    main.push_str("<section class=\"ref-group\" aria-labelledby=\"schemas\"><h2 id=\"schemas\">Schemas</h2><p>What bodies and answers are made of.</p>");
    schemas::write_all(&mut main, document);
    main.push_str("</section>");
    let (about, version) = (prose(document["info"]["description"].as_str().unwrap_or_default()), &document["info"]["version"]);
    format!(
        "<a class=\"skip visually-hidden\" href=\"#main\">Skip to the content</a><header class=\"topbar\"><div class=\"topbar-inner\">\
         <a class=\"brand\" href=\"/\"><img src=\"/favicon.svg\" alt=\"\" width=\"20\" height=\"20\">Keyfold</a>\
         <span class=\"slash\" aria-hidden=\"true\">/</span><span class=\"ref-here\">API reference</span></div></header>\
         <div class=\"ref\"><nav class=\"ref-nav\" aria-label=\"Operations\"><ul>{nav}</ul></nav>\
         <main class=\"ref-main\" id=\"main\" tabindex=\"-1\"><h1>API reference</h1>{about}\
         <p class=\"small faint\">Version {}. The same for programs: <a href=\"/v1/openapi.json\">openapi.json</a> (OpenAPI 3.1).</p>\
         {main}</main></div>",
        escape(version.as_str().unwrap_or_default())
    )
}

fn capitalised(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// A text of the document: paragraphs, and code between backticks.
fn prose(text: &str) -> String {
    text.split("\n\n").filter(|part| !part.trim().is_empty()).flat_map(|part| ["<p>".to_owned(), inline(part), "</p>".to_owned()]).collect()
}

/// One paragraph of it.
fn inline(text: &str) -> String {
    let mut html = String::new();
    for (at, part) in text.split('`').enumerate() {
        let part = escape(part);
        if at % 2 == 1 {
            html.extend(["<code>", &part, "</code>"]);
        } else {
            html.push_str(&part);
        }
    }
    html
}

/// What a reference inside the document points at; anything else is itself.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match name_of(value) {
        Some(name) => &document["components"]["schemas"][name],
        None => value,
    }
}

/// The name of the schema that a reference points at.
fn name_of(value: &Value) -> Option<&str> {
    value["$ref"].as_str()?.strip_prefix("#/components/schemas/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_and_every_schema_is_on_the_page_once() {
        let document = serde_json::to_value(openapi_document()).unwrap();
        let page = content(&document);
        let mut expected = 0;
        for item in document["paths"].as_object().unwrap().values() {
            for operation in item.as_object().unwrap().values() {
                let id = operation["operationId"].as_str().unwrap();
                assert_eq!(page.matches(&format!("id=\"{id}\"")).count(), 1, "{id}");
                expected += 1;
            }
        }
        assert_eq!(page.matches("<article class=\"op\"").count(), expected);
        for name in document["components"]["schemas"].as_object().unwrap().keys() {
            assert_eq!(page.matches(&format!("id=\"schema-{name}\"")).count(), 1, "{name}");
        }
    }

    #[test]
    fn every_link_on_the_page_leads_somewhere() {
        let page = content(&serde_json::to_value(openapi_document()).unwrap());
        for target in page.split("href=\"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            assert!(page.contains(&format!("id=\"{target}\"")), "{target}");
        }
    }

    #[test]
    fn words_of_the_document_stay_words() {
        assert_eq!(prose("a `<b>` & c\n\nd"), "<p>a <code>&lt;b&gt;</code> &amp; c</p><p>d</p>");
        let page = content(&serde_json::to_value(openapi_document()).unwrap());
        assert!(!page.contains("<script") && !page.contains(" style=\""));
        assert!(!page.contains("href=\"http") && !page.contains("src=\"http"));
    }
}
