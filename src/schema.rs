//! The format of records. Its number is written into every record and read before any other field.
//!
//! # The rule
//!
//! - A record is read whole or not at all. Every field is always written, as `null` if it has no
//!   value, and must be present. An unknown field refuses the record, because a reader that wrote
//!   the record back would lose it. A missing field refuses the record, because its absence could
//!   be taken for permission. An unknown variant, a repeated field and fields that contradict each
//!   other refuse it as well.
//! - A new field or variant, another name and another order are a new schema. The order counts
//!   because binary formats without names count fields and variants.
//! - A reader refuses a schema that it does not know, and its error names the schema, whatever else
//!   the record holds. The schema is the first field. Text with its members in another order is
//!   read as well.
//! - A later version of this crate reads every earlier schema and writes its own. All readers of a
//!   store are therefore updated before the first writer.
//! - Bytes are base64url in text formats and bytes in others. Integers that the crate chooses are
//!   below 2^53, so that a tool that reads them as floating-point numbers does not change them.
//!   Greater values have a name in text (`never`, `all`).
//!
//! Until the first release, schema 1 changes in place.
//!
//! `tests/golden/v1` has records of each kind, byte for byte, and `tests/records` tests the rule on
//! them.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, DeserializeSeed, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// The schema that this crate writes, and the only one that it reads.
const CURRENT: u16 = 1;

/// The name of the first field of a record.
const NAME: &str = "schema";

/// The number of the schema. A record of another schema is not decoded, and the store reports that
/// as its error.
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

/// Reads a record of this name. The schema is checked first, wherever it is in a text.
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
                return Err(de::Error::custom("a record has a field twice"));
            }
            next = map.next_key()?;
        }
        let schema = members.get(NAME).ok_or_else(|| de::Error::missing_field(NAME))?;
        let _known = Schema::deserialize(schema).map_err(de::Error::custom)?;
        R::deserialize(Value::Object(members)).map_err(de::Error::custom)
    }
}

/// A map whose first key was the schema's and has been read. It is returned once more.
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
