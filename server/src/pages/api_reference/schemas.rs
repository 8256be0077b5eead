//! What bodies are made of, in words: types, fields and rules.

use serde_json::Value;

use super::{inline, name_of, prose, resolved};
use crate::pages::refusal::escape;

pub(super) fn write_all(html: &mut String, document: &Value) {
    for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
        html.extend([
            "<article class=\"schema\" aria-labelledby=\"schema-",
            name,
            "\"><h3 id=\"schema-",
            name,
            "\"><code>",
            name,
            "</code></h3>",
        ]);
        html.push_str(&prose(schema["description"].as_str().unwrap_or_default()));
        fields(html, document, schema);
        html.push_str("</article>");
    }
}

/// The fields of an object, each with its type and its rules.
pub(super) fn fields(html: &mut String, document: &Value, schema: &Value) {
    let mut parts: Vec<&Value> = vec![schema];
    // An object that carries all of another's fields.
    parts.extend(schema["allOf"].as_array().into_iter().flatten().map(|part| resolved(document, part)));
    if parts.iter().all(|part| part["properties"].is_null()) {
        return;
    }
    html.push_str("<dl class=\"fields\">");
    for part in parts {
        let required = part["required"].as_array();
        for (name, field) in part["properties"].as_object().into_iter().flatten() {
            let needed = required.is_some_and(|names| names.iter().any(|needed| needed == name));
            html.extend([
                "<div><dt><code>",
                &escape(name),
                "</code> <span class=\"faint\">",
                &kind(document, field),
                if needed { "" } else { ", may be left out" },
                "</span></dt><dd>",
                &inline(field["description"].as_str().unwrap_or_default()),
                &rules(field),
                "</dd></div>",
            ]);
        }
    }
    html.push_str("</dl>");
}

/// A type in words.
pub(super) fn kind(document: &Value, schema: &Value) -> String {
    if let Some(name) = name_of(schema) {
        return format!("<a href=\"#schema-{name}\">{name}</a>");
    }
    for choice in ["oneOf", "anyOf"] {
        if let Some(choices) = schema[choice].as_array() {
            return alternatives(choices.iter().map(|choice| kind(document, choice)));
        }
    }
    match &schema["type"] {
        Value::Array(types) => alternatives(types.iter().filter_map(Value::as_str).map(|name| plain(document, schema, name))),
        Value::String(name) => plain(document, schema, name),
        _ if schema["allOf"].is_array() => "object".to_owned(),
        _ => "anything".to_owned(),
    }
}

/// "this or that", with `null` at the end.
fn alternatives(kinds: impl Iterator<Item = String>) -> String {
    let (null, mut others): (Vec<String>, Vec<String>) = kinds.partition(|kind| kind == "null");
    others.extend(null);
    others.join(" or ")
}

fn plain(document: &Value, schema: &Value, name: &str) -> String {
    match name {
        "array" => format!("list of {}", kind(document, &schema["items"])),
        "integer" => "whole number".to_owned(),
        "boolean" => "true or false".to_owned(),
        "string" if schema["format"] == "date-time" => "date and time".to_owned(),
        "string" => "text".to_owned(),
        other => other.to_owned(),
    }
}

/// What holds for a value beyond its type.
pub(super) fn rules(schema: &Value) -> String {
    let mut rules = Vec::new();
    if let Some(values) = schema["enum"].as_array() {
        let names: Vec<String> = values.iter().map(|value| format!("<code>{}</code>", written(value))).collect();
        rules.push(format!("One of {}.", names.join(", ")));
    }
    let bounds = [
        ("minimum", "At least"),
        ("maximum", "at most"),
        ("minLength", "At least"),
        ("maxLength", "at most"),
        ("minItems", "At least"),
        ("maxItems", "at most"),
    ];
    for pair in bounds.chunks(2) {
        let unit = match pair[0].0 {
            "minLength" => " characters",
            "minItems" => " entries",
            _ => "",
        };
        let said: Vec<String> = pair
            .iter()
            .filter_map(|(name, words)| schema.get(*name).filter(|value| value.is_number()).map(|value| format!("{words} {value}")))
            .collect();
        if !said.is_empty() {
            let mut text = said.join(" and ");
            text.get_mut(0..1).map(str::make_ascii_uppercase).unwrap_or_default();
            rules.push(format!("{text}{unit}."));
        }
    }
    if let Some(pattern) = schema["pattern"].as_str() {
        rules.push(format!("Looks like <code>{}</code>.", escape(pattern)));
    }
    if let Some(default) = schema.get("default").filter(|default| **default != "") {
        rules.push(format!("Left out: <code>{}</code>.", written(default)));
    }
    if rules.is_empty() { String::new() } else { format!(" <span class=\"bounds\">{}</span>", rules.join(" ")) }
}

/// A value as it is written in prose.
fn written(value: &Value) -> String {
    escape(&value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn types_are_told_in_words() {
        let document = json!({});
        let told = |schema: Value| kind(&document, &schema);
        assert_eq!(told(json!({"type": ["null", "integer"]})), "whole number or null");
        assert_eq!(told(json!({"type": "array", "items": {"type": "string", "format": "date-time"}})), "list of date and time");
        assert_eq!(
            told(json!({"oneOf": [{"type": "null"}, {"$ref": "#/components/schemas/Key"}]})),
            "<a href=\"#schema-Key\">Key</a> or null"
        );
    }

    #[test]
    fn rules_name_bounds_choices_and_what_silence_means() {
        assert_eq!(
            rules(&json!({"minimum": 1, "maximum": 200, "default": 50})),
            " <span class=\"bounds\">At least 1 and at most 200. Left out: <code>50</code>.</span>"
        );
        assert_eq!(rules(&json!({"maxLength": 100, "default": ""})), " <span class=\"bounds\">At most 100 characters.</span>");
        assert_eq!(rules(&json!({"type": "string"})), "");
    }
}
