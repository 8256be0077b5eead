//! One operation: what it is asked with, what it answers, and how to try it.

use keyfold_domain::problem::ProblemCode;
use serde_json::Value;

use super::examples::{self, example};
use super::schemas::{fields, kind, rules};
use super::{Entry, inline, name_of, prose, resolved};
use crate::pages::refusal::escape;

pub(super) fn write(html: &mut String, document: &Value, entry: &Entry<'_>) {
    let id = entry.text("operationId");
    let verb = entry.method.to_uppercase();
    html.extend([
        "<article class=\"op\" aria-labelledby=\"",
        id,
        "\"><h3 id=\"",
        id,
        "\"><span class=\"verb verb-",
        entry.method,
        "\">",
        &verb,
        "</span> <a href=\"#",
        id,
        "\"><code>",
        &breakable(entry.path),
        "</code></a></h3><div class=\"op-body\"><div class=\"op-words\"><p class=\"op-summary\">",
        &inline(entry.text("summary")),
        "</p>",
        &prose(entry.text("description")),
        "<p class=\"small faint\">",
        who(document, entry.operation),
        "</p>",
    ]);
    parameters(html, document, entry.operation);
    body(html, document, entry.operation);
    answers(html, document, entry.operation);
    html.push_str("</div><div class=\"op-example\">");
    shown(html, "Request", &request(document, entry));
    if let Some(answer) = first_answer(document, entry.operation) {
        shown(html, "Answer", &answer);
    }
    html.push_str("</div></div></article>");
}

/// A path that may be wrapped after its slashes.
fn breakable(path: &str) -> String {
    escape(path).replace('/', "/<wbr>").replacen("/<wbr>", "/", 1)
}

/// Who may ask at all.
fn who(document: &Value, operation: &Value) -> &'static str {
    let schemes = operation["security"].as_array().or_else(|| document["security"].as_array());
    let has = |name: &str| schemes.into_iter().flatten().any(|scheme| scheme.get(name).is_some());
    match (has("management_key"), has("session"), has("api_key")) {
        (true, true, _) => "With a management key, or in a session from the same origin.",
        (true, false, _) => "With a management key.",
        (false, _, true) => "With any key.",
        _ => "For everybody, without a key.",
    }
}

fn parameters(html: &mut String, document: &Value, operation: &Value) {
    let Some(parameters) = operation["parameters"].as_array().filter(|list| !list.is_empty()) else { return };
    html.push_str("<h4>Parameters</h4><dl class=\"fields\">");
    for parameter in parameters {
        let schema = &parameter["schema"];
        let place = match parameter["in"].as_str() {
            Some("path") => "in the path",
            Some("header") => "a header",
            _ => "in the query",
        };
        let needed = if parameter["required"] == true && parameter["in"] != "path" { ", required" } else { "" };
        html.extend([
            "<div><dt><code>",
            &escape(parameter["name"].as_str().unwrap_or_default()),
            "</code> <span class=\"faint\">",
            place,
            ", ",
            &kind(document, schema),
            needed,
            "</span></dt><dd>",
            &inline(parameter["description"].as_str().unwrap_or_default()),
            &rules(schema),
            "</dd></div>",
        ]);
    }
    html.push_str("</dl>");
}

/// The schema of a JSON body.
fn json_body(content: &Value) -> &Value {
    let any = content.as_object().and_then(|types| types.values().next());
    let schema = content.get("application/json").or(any).map_or(&Value::Null, |found| &found["schema"]);
    // A body that may be left out is written as "this or null".
    schema["oneOf"].as_array().and_then(|choices| choices.iter().find(|choice| name_of(choice).is_some())).unwrap_or(schema)
}

fn body(html: &mut String, document: &Value, operation: &Value) {
    let Some(body) = operation.get("requestBody") else { return };
    let schema = json_body(&body["content"]);
    let optional = if body["required"] == true { "" } else { " <span class=\"faint\">may be left out</span>" };
    html.extend(["<h4>Body ", &kind(document, schema), optional, "</h4>"]);
    fields(html, document, resolved(document, schema));
}

fn answers(html: &mut String, document: &Value, operation: &Value) {
    html.push_str("<h4>Answers</h4><dl class=\"fields\">");
    let mut refusals = Vec::new();
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        if !status.starts_with('2') {
            refusals.push(status.as_str());
            continue;
        }
        let schema = json_body(&response["content"]);
        let made_of = if schema.is_null() { String::new() } else { format!(" {}", kind(document, schema)) };
        let about = inline(response["description"].as_str().unwrap_or_default());
        html.extend(["<div><dt><code>", status, "</code>", &made_of, "</dt><dd>", &about, "</dd></div>"]);
    }
    html.push_str("</dl><p class=\"small\">Refusals, each a <a href=\"#schema-Problem\">Problem</a>: ");
    let named: Vec<String> = refusals.into_iter().map(refusal).collect();
    html.extend([named.join(", ").as_str(), ".</p>"]);
}

/// A status with the codes that come with it.
fn refusal(status: &str) -> String {
    let codes = ProblemCode::ALL.into_iter().filter(|code| code.status().to_string() == status);
    let names: Vec<String> = codes.map(|code| format!("<code>{}</code>", code.as_str())).collect();
    format!("<span class=\"refusal\">{status} {}</span>", names.join(" or "))
}

fn shown(html: &mut String, title: &str, text: &str) {
    html.extend(["<p class=\"op-label\">", title, "</p><pre><code>", &escape(text), "</code></pre>"]);
}

/// A call that can be tried in a shell.
fn request(document: &Value, entry: &Entry<'_>) -> String {
    let mut path = entry.path.to_owned();
    let parameters = entry.operation["parameters"].as_array().into_iter().flatten();
    for parameter in parameters.filter(|parameter| parameter["in"] == "path") {
        let name = parameter["name"].as_str().unwrap_or_default();
        path = path.replace(&format!("{{{name}}}"), parameter["example"].as_str().unwrap_or("…"));
    }
    let mut lines = vec![match entry.method {
        "get" => format!("curl \"$KEYFOLD{path}\""),
        method => format!("curl -X {} \"$KEYFOLD{path}\"", method.to_uppercase()),
    }];
    match who(document, entry.operation) {
        "With any key." => lines.push("-H \"Authorization: Bearer $KEY\"".to_owned()),
        "For everybody, without a key." => {}
        _ => lines.push("-H \"Authorization: Bearer $MANAGER\"".to_owned()),
    }
    let schema = json_body(&entry.operation["requestBody"]["content"]);
    if !schema.is_null() {
        lines.push("-H 'Content-Type: application/json'".to_owned());
        lines.push(format!("-d '{}'", examples::compact(&example(document, schema))));
    }
    lines.join(" \\\n  ")
}

/// The body of the first answer, as it may look.
fn first_answer(document: &Value, operation: &Value) -> Option<String> {
    let responses = operation["responses"].as_object()?;
    let (_, response) = responses.iter().find(|(status, _)| status.starts_with('2'))?;
    let schema = json_body(response["content"].get("application/json").map(|_| &response["content"])?);
    let value = example(document, schema);
    if value.is_null() { None } else { serde_json::to_string_pretty(&value).ok() }
}
