//! Serde of redirect URIs for the fields of records. The public types do not implement it: no text
//! becomes a registered or a verified URI by deserialization.

use serde::{Deserialize, Deserializer, Serializer};

use super::{RegisteredRedirectUri, VerifiedRedirectUri};

pub(crate) mod list {
    use super::{Deserialize, Deserializer, RegisteredRedirectUri, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        uris: &[RegisteredRedirectUri],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(uris.iter().map(RegisteredRedirectUri::as_str))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<RegisteredRedirectUri>, D::Error> {
        Ok(Vec::<Box<str>>::deserialize(deserializer)?
            .into_iter()
            .map(RegisteredRedirectUri::recorded)
            .collect())
    }
}

pub(crate) fn serialize<S: Serializer>(
    uri: &VerifiedRedirectUri,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&uri.0)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<VerifiedRedirectUri, D::Error> {
    Ok(VerifiedRedirectUri(Box::<str>::deserialize(deserializer)?.into()))
}
