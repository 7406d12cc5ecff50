//! Base64url without padding, in its one spelling (RFC 7515 §2).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Decodes a text that is not empty. Padding, other characters and bits that are left over and not
/// zero are refused: two spellings of one signature would be two assertions.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    if text.is_empty() { None } else { URL_SAFE_NO_PAD.decode(text).ok() }
}

/// Decodes a text of exactly this many bytes.
pub(super) fn decode_exact<const N: usize>(text: &str) -> Option<[u8; N]> {
    decode(text)?.try_into().ok()
}
