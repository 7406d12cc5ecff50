//! The single-use mark: the record that makes a signed assertion usable once. It is created and
//! never changed.
//!
//! It has no `jti`, no client and no user: its key is a digest of them.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::moment::{CorrelationId, Timestamp};
use crate::schema::{self, Schema};
use crate::value::seen_key::SeenKey;

/// How long a mark is kept after the end of its assertion, for nodes whose clocks differ or are
/// set back (SEEN-11).
const MARGIN: Duration = Duration::from_secs(600);

/// The latest end of a mark. With the margin it is below 2^53, as schema.rs promises of numbers.
const LATEST_END: Timestamp = Timestamp::from_unix_seconds((1 << 53) - 1_000);

/// The mark of an assertion that was used.
///
/// It is a record of its own, beside grants and clients. It has no version, because nothing
/// replaces it: a store creates it if no mark of its key exists, and answers
/// [`Commit::Conflict`](crate::store::Commit::Conflict) otherwise.
///
/// Losing a mark before [`drop_after`](Self::drop_after) makes its assertion usable again. The
/// removal of any other record never makes a credential valid.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Seen {
    schema: Schema,
    key: SeenKey,
    #[serde(with = "correlation")]
    by: CorrelationId,
    end: Timestamp,
}

impl Seen {
    /// Makes the mark of an assertion that is refused as expired from `end` on, its leeway
    /// included.
    pub(crate) fn new(key: SeenKey, by: CorrelationId, end: Timestamp) -> Self {
        Self { schema: Schema, key, by, end: end.min(LATEST_END) }
    }

    /// Returns the key of the mark.
    pub fn key(&self) -> &SeenKey {
        &self.key
    }

    /// Returns the id of the request that used the assertion.
    pub fn by(&self) -> CorrelationId {
        self.by
    }

    /// Returns the time from which the assertion is refused as expired, with or without the mark.
    pub fn end(&self) -> Timestamp {
        self.end
    }

    /// Returns the time after which the mark may be dropped: 600 seconds after its
    /// [`end`](Self::end). Unlike other records, a mark must not be dropped before.
    pub fn drop_after(&self) -> Timestamp {
        self.end.after(MARGIN)
    }
}

impl<'de> Deserialize<'de> for Seen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields, rename = "Seen")]
        struct Fields {
            schema: Schema,
            key: SeenKey,
            #[serde(with = "correlation")]
            by: CorrelationId,
            end: Timestamp,
        }

        let Fields { schema, key, by, end } = schema::read("Seen", deserializer)?;
        if end > LATEST_END {
            return Err(de::Error::custom("a mark without an end"));
        }
        Ok(Self { schema, key, by, end })
    }
}

/// The id of a request in a record: its text in formats for people, its bytes in others.
mod correlation {
    use serde::{Deserialize, Deserializer, Serialize as _, Serializer, de};

    use crate::moment::CorrelationId;
    use crate::value::secret::{deserialize_bytes, serialize_bytes};

    pub(super) fn serialize<S: Serializer>(
        id: &CorrelationId,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            id.serialize(serializer)
        } else {
            serialize_bytes(id.as_bytes(), serializer)
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<CorrelationId, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
        } else {
            deserialize_bytes(deserializer).map(CorrelationId::from_bytes)
        }
    }
}
