//! JSON objects, read strictly.
//!
//! `serde_json` alone takes the last of two equal members. Another parser takes the first one, and
//! would then verify another assertion than this server (RFC 8725 §2.4).
//!
//! The text is read twice, because the members of an object and the value of a number cannot be
//! seen by one visitor if another crate turns on the feature `arbitrary_precision`.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// The most objects and arrays inside each other, the outer object counted (KEYS-45).
const MAX_DEPTH: usize = 8;

pub(super) type Object = Map<String, Value>;

/// Reads one JSON object in UTF-8. Returns `None` for any other text, if an object in it has a
/// member twice, or if it is nested too deep.
pub(super) fn read_object(text: &[u8]) -> Option<Object> {
    let _: Distinct = serde_json::from_slice(text).ok()?;
    let object: Object = serde_json::from_slice(text).ok()?;
    object.values().all(|value| is_within(value, MAX_DEPTH - 1)).then_some(object)
}

/// Returns whether the value has at most this many levels of objects and arrays.
fn is_within(value: &Value, levels: usize) -> bool {
    // `serde_json` has refused more than 128 levels, so that the recursion is bounded.
    match value {
        Value::Array(values) => {
            levels > 0 && values.iter().all(|value| is_within(value, levels - 1))
        }
        Value::Object(members) => {
            levels > 0 && members.values().all(|value| is_within(value, levels - 1))
        }
        _ => true,
    }
}

/// Any JSON value whose objects have no member twice. Nothing is kept.
struct Distinct;

impl<'de> Deserialize<'de> for Distinct {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DistinctVisitor)
    }
}

struct DistinctVisitor;

impl<'de> Visitor<'de> for DistinctVisitor {
    type Value = Distinct;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Distinct, A::Error> {
        let mut names = BTreeSet::new();
        // Names are compared after their escapes are resolved.
        while let Some(name) = map.next_key::<String>()? {
            if !names.insert(name) {
                return Err(de::Error::custom("an object has a member twice"));
            }
            let _: Distinct = map.next_value()?;
        }
        Ok(Distinct)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Distinct, A::Error> {
        while list.next_element::<Distinct>()?.is_some() {}
        Ok(Distinct)
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Distinct, E> {
        Ok(Distinct)
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Distinct, E> {
        Ok(Distinct)
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Distinct, E> {
        Ok(Distinct)
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Distinct, E> {
        Ok(Distinct)
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<Distinct, E> {
        Ok(Distinct)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Distinct, E> {
        Ok(Distinct)
    }
}
