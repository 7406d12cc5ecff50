//! Tests of the format's rule with every golden record: newer schemas, unknown, missing and
//! repeated fields, and another order.

use serde_json::{Map, Value, json};

use crate::json::{objects, ordered};
use crate::{Record, records};

/// Returns each record with its parsed text.
fn parsed() -> impl Iterator<Item = (&'static str, Record, Value)> {
    records().into_iter().map(|(name, record)| {
        let value = serde_json::from_str(&record.write()).unwrap();
        (name, record, value)
    })
}

fn members<'a>(value: &'a mut Value, at: &str) -> &'a mut Map<String, Value> {
    value.pointer_mut(at).unwrap().as_object_mut().unwrap()
}

#[test]
fn i31_a_newer_record_is_refused_for_its_schema_whatever_else_is_in_it() {
    for (name, record, mut value) in parsed() {
        let newer = record.write().replace(r#"{"schema":1,"#, r#"{"schema":2,"#);
        let with_more = newer.replace(r#"{"schema":2,"#, r#"{"schema":2,"new":[{}],"#);
        members(&mut value, "").insert("schema".to_owned(), 2.into());
        members(&mut value, "").insert("a_new_field".to_owned(), json!({ "of": [1, "kind"] }));
        members(&mut value, "").insert("created".to_owned(), json!(["otherwise"]));
        for text in [
            &newer,
            &with_more,
            &ordered(&value, false),
            &ordered(&value, true),
            r#"{"schema":2}"#,
            r#"{"new":0,"schema":2}"#,
        ] {
            let error = record.read(text).expect_err(name).to_string();
            assert!(
                error.contains("a record of schema 2, this version reads 1"),
                "{name}: {error} of {text}"
            );
        }
    }
}

/// The schema is another number, not a number, or missing.
#[test]
fn i31_a_record_without_its_schema_is_refused() {
    for (name, record, _) in parsed() {
        let text = record.write();
        for schema in
            ["0", "3", "65535", "65536", "-1", "1.0", "null", r#""1""#, "true", "[1]", r#"{"1":1}"#]
        {
            for text in [
                text.replacen(":1,", &format!(":{schema},"), 1),
                format!(r#"{{"id":"x","schema":{schema}}}"#),
            ] {
                assert!(record.read(&text).is_err(), "{name}: {text}");
            }
        }
        let without = text.replacen(r#""schema":1,"#, "", 1);
        for text in [&*without, "{}"] {
            let error = record.read(text).expect_err(name).to_string();
            assert!(error.contains("missing field `schema`"), "{name}: {error} of {text}");
        }
    }
}

#[test]
fn i31_a_newer_record_is_refused_in_binary() {
    for (name, record, _) in parsed() {
        let mut bytes = record.write_binary();
        assert_eq!(bytes[0], 1, "the schema comes first");
        bytes[0] = 2;
        assert!(record.read_binary(&bytes).is_err(), "{name}");
    }
}

#[test]
fn i31_an_unknown_field_is_refused_at_any_depth() {
    for (name, record, value) in parsed() {
        for at in objects(&value) {
            for unknown in [Value::Null, json!(1)] {
                let mut more = value.clone();
                members(&mut more, &at).insert("unheard_of".to_owned(), unknown);
                for text in [ordered(&more, false), ordered(&more, true), more.to_string()] {
                    assert!(record.read(&text).is_err(), "{name} at {at}: {text}");
                }
            }
        }
        let more = record.write().replacen(r#""schema":1,"#, r#""schema":1,"unheard_of":1,"#, 1);
        let error = record.read(&more).expect_err(name).to_string();
        assert!(error.contains("unknown field `unheard_of`"), "{name}: {error}");
    }
}

/// Fields that may be `null` are required too, so that a lost field is not taken for `null`.
#[test]
fn i31_a_record_without_one_of_its_fields_is_refused() {
    for (name, record, value) in parsed() {
        for at in objects(&value) {
            let names: Vec<_> =
                value.pointer(&at).unwrap().as_object().unwrap().keys().cloned().collect();
            for field in names {
                let mut less = value.clone();
                members(&mut less, &at).remove(&field);
                assert!(record.read(&less.to_string()).is_err(), "{name} without {at}/{field}");
            }
        }
    }
}

/// Only the fields of this list may be `null`.
#[test]
fn i31_only_optional_fields_may_be_null() {
    let may_be = [
        "state",
        "properties",
        "remaining",
        "replay_window",
        "salt",
        "scope",
        "loopback_ports",
        "owner",
        "login",
        "acr",
        "code",
        "machine",
        "registration_access_token_digest",
        "retiring",
        "lifetimes",
    ];
    for (name, record, value) in parsed() {
        for at in objects(&value) {
            for (field, old) in value.pointer(&at).unwrap().as_object().unwrap() {
                let mut emptied = value.clone();
                members(&mut emptied, &at).insert(field.clone(), Value::Null);
                let is_description = at == "/description" && field != "contacts";
                // The scope of a token or a grant is never `null`. Only the limit of a client may
                // be.
                let is_of_right = at.ends_with("/machine") || at.ends_with("/federated");
                let is_limit =
                    field != "scope" || matches!(record, Record::Client(_)) && !is_of_right;
                // What the operator decides for a client. A grant says how its consent came about.
                let is_restriction = at == "/restrictions"
                    || at == "/lifetimes"
                    || at.is_empty() && field == "consent";
                // A grant has an issuer. A client may be bound to one.
                let is_binding = at.starts_with("/origin/") && field == "issuer";
                // A client can have no code flow. Tokens were issued from a code or from none.
                let is_right = field != "code" || at.ends_with("/may");
                let allowed = old.is_null()
                    || is_description
                    || is_restriction
                    || is_binding
                    || may_be.contains(&&**field) && is_limit && is_right;
                assert_eq!(
                    record.read(&emptied.to_string()).is_ok(),
                    allowed,
                    "{name} with nothing at {at}/{field}"
                );
            }
        }
    }
}

#[test]
fn i31_an_unknown_variant_is_refused() {
    let choices =
        ["status", "cause", "method", "loopback_ports", "application_type", "auth_method"];
    let mut seen = Vec::new();
    for (name, record, value) in parsed() {
        for at in objects(&value) {
            let object = value.pointer(&at).unwrap().as_object().unwrap();
            for choice in
                choices.iter().filter(|choice| object.get(**choice).is_some_and(Value::is_string))
            {
                let mut other = value.clone();
                members(&mut other, &at).insert((*choice).to_owned(), "unheard_of".into());
                assert!(record.read(&other.to_string()).is_err(), "{name}: {other}");
                seen.push(*choice);
            }
            // A variant with content is an object of one member.
            if object.len() == 1 {
                let (_, content) = object.iter().next().unwrap();
                let mut other = value.clone();
                *members(&mut other, &at) =
                    Map::from_iter([("unheard_of".to_owned(), content.clone())]);
                assert!(record.read(&other.to_string()).is_err(), "{name}: {other}");
            }
        }
    }
    assert!(choices.iter().all(|choice| seen.contains(choice)), "{seen:?}");
}

#[test]
fn i31_a_repeated_field_is_refused() {
    for (name, record, value) in parsed() {
        for field in value.as_object().unwrap().keys() {
            let member = format!("{}:{},", Value::from(field.as_str()), value[field]);
            let text = record.write();
            for text in [
                text.replacen('{', &format!("{{{member}"), 1),
                text.replacen(":1,", &format!(":1,{member}"), 1),
            ] {
                assert!(record.read(&text).is_err(), "{name}: {field} twice in {text}");
            }
        }
    }
}

/// A database that stores JSON may return the members in another order, and with spaces.
#[test]
fn i31_the_order_of_members_is_ignored() {
    for (name, record, value) in parsed() {
        for text in [ordered(&value, false), ordered(&value, true), format!("{value:#}")] {
            assert_eq!(
                record.read(&text).unwrap_or_else(|error| panic!("{name}: {error} of {text}")),
                record
            );
        }
    }
}

/// No number is one that a parser of floating-point numbers would change.
#[test]
fn i31_numbers_are_safe_in_any_json() {
    fn numbers(value: &Value) -> Vec<u64> {
        match value {
            Value::Number(number) => vec![number.as_u64().unwrap()],
            Value::Array(items) => items.iter().flat_map(numbers).collect(),
            Value::Object(members) => members.values().flat_map(numbers).collect(),
            _ => Vec::new(),
        }
    }
    for (name, _, value) in parsed() {
        assert!(numbers(&value).iter().all(|number| *number < 1 << 53), "{name}: {value}");
    }
}
