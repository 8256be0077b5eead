//! Examples of bodies, put together from those of their fields.

use serde_json::{Map, Value, json};

use super::resolved;

/// No body of ours is nested deeper; a schema that contained itself would end here.
const DEEPEST: usize = 6;

/// A value that the schema describes.
pub(super) fn example(document: &Value, schema: &Value) -> Value {
    at_depth(document, schema, 0)
}

fn at_depth(document: &Value, schema: &Value, depth: usize) -> Value {
    let schema = resolved(document, schema);
    if depth > DEEPEST {
        return Value::Null;
    }
    if let Some(given) = schema.get("example").or_else(|| schema["examples"].get(0)).or_else(|| schema.get("default")) {
        return given.clone();
    }
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    for choice in ["oneOf", "anyOf"] {
        if let Some(real) = schema[choice].as_array().and_then(|choices| choices.iter().find(|choice| choice["type"] != "null")) {
            return at_depth(document, real, depth + 1);
        }
    }
    if schema["allOf"].is_array() || !schema["properties"].is_null() {
        return object(document, schema, depth);
    }
    match schema["type"].as_str().or_else(|| schema["type"].get(0)?.as_str()) {
        Some("array") => json!([at_depth(document, &schema["items"], depth + 1)]),
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or_else(|| json!(0)),
        Some("boolean") => json!(true),
        Some("string") => json!("…"),
        Some("object") => json!({}),
        _ => Value::Null,
    }
}

fn object(document: &Value, schema: &Value, depth: usize) -> Value {
    let mut whole = Map::new();
    for part in schema["allOf"].as_array().into_iter().flatten() {
        if let Value::Object(fields) = at_depth(document, part, depth + 1) {
            whole.extend(fields);
        }
    }
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        whole.insert(name.clone(), at_depth(document, field, depth + 1));
    }
    Value::Object(whole)
}

/// On one line, as in a shell's quotes.
pub(super) fn compact(value: &Value) -> String {
    value.to_string().replace('\'', "'\\''")
}
