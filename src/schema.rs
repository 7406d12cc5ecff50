//! The record's format: its number, written into every record and checked before anything else is
//! believed.
//!
//! # The rule
//!
//! - A record is read whole or not at all. Each of its fields is always written, as `null` if there
//!   is nothing to say, and must be there. A field that is unknown refuses the record: a reader
//!   that rewrote it would lose what it did not understand. One that is missing refuses it too:
//!   what is not there would be taken for permission. So do a variant that is unknown and a field
//!   that is there twice.
//! - Whatever else would be read or written in another way is a new schema: a new field or variant,
//!   another name, another order. The order counts because binary formats without names count
//!   fields and variants.
//! - A reader refuses a schema that it does not know, and says that this is why, whatever else is
//!   in the record. The schema is the first field; text that was written with its members in
//!   another order is read all the same.
//! - A later version of this crate reads every schema before its own, and writes its own. So the
//!   readers of a store are brought up to a new schema before the first writer.
//! - Bytes are base64url in text formats, and bytes in others. Integers that the crate chooses are
//!   below 2^53, so that no tool between that counts in floating point can change them; what would
//!   be greater has a name in text (`never`, `all`).
//!
//! `tests/golden/v1` has one record of each kind, byte for byte, and `tests/records` proves the
//! rule on them.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, DeserializeSeed, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// The format this crate writes, and the oldest that it reads.
const CURRENT: u16 = 1;

/// The name of the field, which is a record's first.
const NAME: &str = "schema";

/// Stands for the one version that is read: a record of another does not decode, which the store
/// reports as its error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Schema;

impl Serialize for Schema {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u16(CURRENT)
    }
}

impl<'de> Deserialize<'de> for Schema {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u16::deserialize(deserializer)? {
            CURRENT => Ok(Self),
            other => Err(de::Error::custom(format_args!(
                "a record of schema {other}, this version reads {CURRENT}"
            ))),
        }
    }
}

/// Reads a record of this name, its schema before all else, wherever in a text it stands.
pub(crate) fn read<'de, R: Deserialize<'de>, D: Deserializer<'de>>(
    name: &'static str,
    deserializer: D,
) -> Result<R, D::Error> {
    if deserializer.is_human_readable() {
        deserializer.deserialize_struct(name, &[NAME], SchemaFirst(PhantomData))
    } else {
        R::deserialize(deserializer)
    }
}

struct SchemaFirst<R>(PhantomData<R>);

impl<'de, R: Deserialize<'de>> Visitor<'de> for SchemaFirst<R> {
    type Value = R;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<R, A::Error> {
        let mut next = map.next_key::<String>()?;
        if next.as_deref() == Some(NAME) {
            return R::deserialize(MapAccessDeserializer::new(AfterName { ahead: true, map }));
        }
        let mut members = Map::new();
        while let Some(name) = next {
            if members.insert(name, map.next_value()?).is_some() {
                return Err(de::Error::custom("a field of a record is there twice"));
            }
            next = map.next_key()?;
        }
        let schema = members.get(NAME).ok_or_else(|| de::Error::missing_field(NAME))?;
        let _known = Schema::deserialize(schema).map_err(de::Error::custom)?;
        R::deserialize(Value::Object(members)).map_err(de::Error::custom)
    }
}

/// A map whose first key, the schema's, was read already: it is said once more.
struct AfterName<A> {
    ahead: bool,
    map: A,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for AfterName<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        if std::mem::take(&mut self.ahead) {
            return seed.deserialize(NAME.into_deserializer()).map(Some);
        }
        self.map.next_key_seed(seed)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}
