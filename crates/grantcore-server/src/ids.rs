//! The texts of ids, as their `Display` writes them. Each request writes several of them, in the log
//! and in the audit log, and `core::fmt` takes most of the time of each.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantcore::moment::CorrelationId;
use grantcore::value::GrantId;

/// The text of the id of a request: 32 lowercase hexadecimal digits.
pub(crate) struct CorrelationText([u8; 32]);

impl CorrelationText {
    pub(crate) fn of(id: CorrelationId) -> Self {
        let digit = |half: u8| if half < 10 { b'0' + half } else { b'a' + half - 10 };
        let mut text = [0; 32];
        for ([high, low], byte) in text.as_chunks_mut().0.iter_mut().zip(id.as_bytes()) {
            (*high, *low) = (digit(byte >> 4), digit(byte & 15));
        }
        Self(text)
    }
}

/// The text of a flow: 22 characters of base64url.
pub(crate) struct FlowText([u8; 22]);

impl FlowText {
    pub(crate) fn of(flow: GrantId) -> Self {
        let mut text = [0; 22];
        // 16 bytes are 22 characters.
        let _ = URL_SAFE_NO_PAD.encode_slice(flow.as_bytes(), &mut text);
        Self(text)
    }
}

fn write(text: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str(str::from_utf8(text).unwrap_or_default())
}

impl fmt::Display for CorrelationText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(&self.0, f)
    }
}

impl fmt::Display for FlowText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_are_those_of_the_ids() {
        let mut bytes = [0_u8; 16];
        for round in 0_u8..=255 {
            for (index, byte) in (0_u8..).zip(&mut bytes) {
                *byte = round.wrapping_mul(7).wrapping_add(index.wrapping_mul(round | 1));
            }
            let id = CorrelationId::from_bytes(bytes);
            assert_eq!(CorrelationText::of(id).to_string(), id.to_string());
            let flow = GrantId::from_bytes(bytes);
            assert_eq!(FlowText::of(flow).to_string(), flow.to_string());
        }
    }
}
