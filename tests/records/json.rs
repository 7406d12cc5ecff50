//! JSON as a text with the members in a given order, which a map by name cannot express.

use serde_json::Value;

/// Returns the text of a value, with the members of each object in ascending or descending order.
pub(crate) fn ordered(value: &Value, backwards: bool) -> String {
    let inner = |value: &Value| ordered(value, backwards);
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            if backwards {
                members.reverse();
            }
            let members: Vec<_> = members
                .iter()
                .map(|(name, value)| format!("{}:{}", quoted(name), inner(value)))
                .collect();
            format!("{{{}}}", members.join(","))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(inner).collect::<Vec<_>>().join(","))
        }
        plain => plain.to_string(),
    }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// Returns the JSON pointers of all objects in a value, the value itself first.
pub(crate) fn objects(value: &Value) -> Vec<String> {
    fn walk(value: &Value, at: &str, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                found.push(at.to_owned());
                members
                    .iter()
                    .for_each(|(name, value)| walk(value, &format!("{at}/{name}"), found));
            }
            Value::Array(items) => {
                items
                    .iter()
                    .enumerate()
                    .for_each(|(position, value)| walk(value, &format!("{at}/{position}"), found));
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(value, "", &mut found);
    found
}
