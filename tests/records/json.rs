//! JSON as a text of members in an order, for what a map by name cannot say.

use serde_json::Value;

/// The same value, with the members of each object in the order of their names or the other way
/// round.
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

/// The place of every object within, itself first, as JSON pointers.
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
