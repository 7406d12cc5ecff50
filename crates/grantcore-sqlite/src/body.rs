//! The form of a grant or client in a row: JSON, compressed with LZ4 and a dictionary of the text
//! that the JSON of most records has in common. A grant takes half of its JSON, so that twice as
//! many are in a page.
//!
//! A body begins with its form: 1 for LZ4 with the first dictionary, and then the length of the
//! JSON in four bytes, the lowest first. A body that begins with `{` is plain JSON, and is read as
//! well.

use std::borrow::Cow;

use lz4_flex::block::{compress_with_dict, decompress_with_dict};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Result, SqliteError};

/// Must never change once databases exist, because it is needed to read their bodies. The most
/// frequent text is last.
const DICTIONARY: &[u8] = include_bytes!("dictionary_1.txt");
const LZ4: u8 = 1;
/// The largest number of bytes that one byte of LZ4 expands to.
const RATIO: usize = 255;

pub(crate) fn encode(record: &impl Serialize) -> Result<Vec<u8>> {
    let json = serde_json::to_vec(record)?;
    let Ok(length) = u32::try_from(json.len()) else { return Ok(json) };
    let compressed = compress_with_dict(&json, DICTIONARY);
    let mut body = Vec::with_capacity(1 + size_of::<u32>() + compressed.len());
    body.push(LZ4);
    body.extend(length.to_le_bytes());
    body.extend(compressed);
    Ok(body)
}

pub(crate) fn decode<R: DeserializeOwned>(body: &[u8]) -> Result<R> {
    let json = json(body).ok_or(SqliteError::Compression)?;
    Ok(serde_json::from_slice(&json)?)
}

/// Returns the JSON of a body, or `None` if it is damaged.
fn json(body: &[u8]) -> Option<Cow<'_, [u8]>> {
    let Some(rest) = body.strip_prefix(&[LZ4]) else { return Some(body.into()) };
    let (length, compressed) = rest.split_first_chunk()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    // A damaged length must not allocate more than such a body can contain.
    let limit = compressed.len().saturating_mul(RATIO).saturating_add(DICTIONARY.len());
    let json = decompress_with_dict(compressed, length.min(limit), DICTIONARY).ok()?;
    (json.len() == length).then(|| json.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail loudly")]

    use super::*;

    #[test]
    fn a_body_is_read_back_and_damage_to_any_byte_is_no_panic() {
        let record: Vec<String> =
            (0..40).map(|number| format!("\"access_tokens\":[{number}")).collect();
        let body = encode(&record).unwrap();
        assert!(body.len() < serde_json::to_vec(&record).unwrap().len() / 2);
        assert_eq!(decode::<Vec<String>>(&body).unwrap(), record);
        for end in 0..body.len() {
            assert!(decode::<Vec<String>>(&body[..end]).is_err(), "{end}");
        }
        for at in 0..body.len() {
            let mut damaged = body.clone();
            damaged[at] ^= 0xff;
            let _ = decode::<Vec<String>>(&damaged);
        }
    }

    #[test]
    fn json_itself_is_read() {
        assert_eq!(decode::<serde_json::Value>(b"{}").unwrap(), serde_json::json!({}));
    }
}
