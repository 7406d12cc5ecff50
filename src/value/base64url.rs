//! base64url without padding (RFC 4648 §5), strict and canonical, for bytes and texts of a length
//! that is known.
//!
//! By arithmetic, several characters at once: no table is read at a place that a secret decides.
//! The crate `base64`, which the rest of this crate uses, takes 6.7 instructions for a character
//! that it encodes and 10.5 for one that it decodes; these take about 5.

use super::secret::Wiped;

/// The most characters: those of 80 bytes, in whole blocks of eight.
const MAX: usize = 112;

/// Returns the number of characters of so many bytes.
pub(crate) const fn length(bytes: usize) -> usize {
    (bytes * 8).div_ceil(6)
}

/// Returns the number of characters of so many bytes, in whole blocks of sixteen: a processor
/// translates so many at once, and any rest one by one.
const fn rounded(bytes: usize) -> usize {
    length(bytes).next_multiple_of(16)
}

/// The text of up to 80 bytes.
pub(crate) struct Text {
    characters: Wiped<MAX>,
    length: usize,
}

impl Text {
    /// Encodes these bytes.
    pub(crate) fn of<const N: usize>(bytes: &[u8; N]) -> Self {
        const { assert!(length(N) <= MAX) };
        let mut characters = Wiped([0; MAX]);
        write(bytes, characters.0.split_at_mut(const { rounded(N) }).0);
        Self { characters, length: length(N) }
    }

    /// Returns the characters, which are ASCII.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.characters.0.get(..self.length).unwrap_or_default()
    }
}

/// Appends the text of these bytes. Nothing of it is left anywhere else.
pub(crate) fn push<const N: usize>(bytes: &[u8; N], to: &mut Vec<u8>) {
    let start = to.len();
    // The last block may be longer than the text, which is then cut.
    to.resize(start + const { rounded(N) }, 0);
    if let Some(characters) = to.get_mut(start..start + const { rounded(N) }) {
        write(bytes, characters);
    }
    to.truncate(start + const { length(N) });
}

/// Writes the text of these bytes into whole blocks of characters.
fn write<const N: usize>(bytes: &[u8; N], characters: &mut [u8]) {
    for (block, bytes) in characters.chunks_exact_mut(8).zip(bytes.chunks(6)) {
        block.copy_from_slice(&split(bytes));
    }
    for character in characters {
        *character = encode(*character);
    }
}

/// Decodes a text of `N` bytes, of which there are at most 80. Returns `None` if it has another
/// length, a character outside the alphabet, or bits that encode nothing.
pub(crate) fn decode<const N: usize>(text: &[u8]) -> Option<Wiped<N>> {
    const { assert!(length(N) <= MAX) };
    if text.len() != length(N) {
        return None;
    }
    let mut values = Wiped([b'A'; MAX]);
    values.0.get_mut(..text.len())?.copy_from_slice(text);
    let mut wrong = 0;
    for value in values.0.iter_mut().take(const { rounded(N) }) {
        let (decoded, is_wrong) = decode_one(*value);
        *value = decoded;
        wrong |= is_wrong;
    }
    let mut bytes = Wiped([0; N]);
    let mut blocks = values.0.chunks_exact(8).map(join);
    let mut whole = bytes.0.chunks_exact_mut(6);
    for (six, joined) in whole.by_ref().zip(blocks.by_ref()) {
        six.copy_from_slice(&joined);
    }
    let rest = whole.into_remainder();
    if let (false, Some(joined)) = (rest.is_empty(), blocks.next()) {
        let (own, beyond) = joined.split_at_checked(rest.len())?;
        rest.copy_from_slice(own);
        // The bits after the last byte: of every text but one, they would be another spelling.
        wrong |= beyond.iter().fold(0, |bits, byte| bits | byte);
    }
    (wrong == 0).then_some(bytes)
}

/// Splits six bytes, or the last ones of a text, into eight numbers of six bits.
fn split(bytes: &[u8]) -> [u8; 8] {
    let mut block = [0; 8];
    let (_, low) = block.split_at_mut(2);
    match bytes.first_chunk::<6>() {
        Some(six) => low.copy_from_slice(six),
        None => low.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from),
    }
    let bits = u64::from_be_bytes(block);
    let bits = (bits << 8 & 0x00FF_FFFF_0000_0000) | (bits & 0x0000_0000_00FF_FFFF);
    let bits = (bits << 4 & 0x0FFF_0000_0FFF_0000) | (bits & 0x0000_0FFF_0000_0FFF);
    let bits = (bits << 2 & 0x3F00_3F00_3F00_3F00) | (bits & 0x003F_003F_003F_003F);
    bits.to_be_bytes()
}

/// Joins eight numbers of six bits to six bytes.
fn join(block: &[u8]) -> [u8; 6] {
    let bits = u64::from_be_bytes(block.first_chunk().copied().unwrap_or_default());
    let bits = (bits & 0x3F00_3F00_3F00_3F00) >> 2 | (bits & 0x003F_003F_003F_003F);
    let bits = (bits & 0x0FFF_0000_0FFF_0000) >> 4 | (bits & 0x0000_0FFF_0000_0FFF);
    let bits = (bits & 0x00FF_FFFF_0000_0000) >> 8 | (bits & 0x0000_0000_00FF_FFFF);
    let [_, _, bytes @ ..] = bits.to_be_bytes();
    bytes
}

// Both directions compare signed bytes: for these, x86 has an instruction that compares sixteen at
// once, and for unsigned bytes it takes two.

/// Returns the character of a number below 64.
fn encode(value: u8) -> u8 {
    let signed = i8::from_ne_bytes([value]);
    let above = |last: i8, offset: u8| if signed > last { offset } else { 0 };
    // From each part of the alphabet to the next: A to Z, a to z, 0 to 9, - and _.
    value
        .wrapping_add(b'A')
        .wrapping_add(above(25, b'a' - b'A' - 26))
        .wrapping_sub(above(51, b'a' - b'0' + 26))
        .wrapping_sub(above(61, b'0' - b'-' + 10))
        .wrapping_add(above(62, b'_' - b'-' - 1))
}

/// Returns the number that a character stands for, and a byte that is 0 only if the character is
/// one of the alphabet. A byte that is not ASCII is negative, and so in no part of the alphabet.
#[expect(clippy::needless_bitwise_bool, reason = "without a branch")]
fn decode_one(character: u8) -> (u8, u8) {
    let signed = i8::from_ne_bytes([character]);
    let part = |first: i8, last: i8, offset: u8| {
        if (signed >= first) & (signed <= last) { offset } else { 0 }
    };
    // What is added to a character. No part has an offset of 0.
    let offset = part(65, 90, 0u8.wrapping_sub(b'A'))
        | part(97, 122, 26u8.wrapping_sub(b'a'))
        | part(48, 57, 52 - b'0')
        | part(45, 45, 62 - b'-')
        | part(95, 95, 63u8.wrapping_sub(b'_'));
    (character.wrapping_add(offset), if offset == 0 { u8::MAX } else { 0 })
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::{Text, decode, push};

    /// Bytes in no order.
    fn bytes<const N: usize>(seed: u8) -> [u8; N] {
        std::array::from_fn(|place| {
            let place = u8::try_from(place).unwrap_or(u8::MAX);
            place.wrapping_mul(167).wrapping_add(seed).wrapping_mul(seed | 1) ^ seed.rotate_left(3)
        })
    }

    /// Asserts that texts and bytes are those of the crate `base64`: for bytes of every seed, and
    /// for one text with every byte in every place.
    fn assert_agreement<const N: usize>() {
        for seed in 0..=u8::MAX {
            let bytes = bytes::<N>(seed);
            let text = Text::of(&bytes);
            assert_eq!(text.as_bytes(), URL_SAFE_NO_PAD.encode(bytes).as_bytes());
            let mut pushed = b"code=".to_vec();
            push(&bytes, &mut pushed);
            assert_eq!(pushed, [b"code=", text.as_bytes()].concat());
            assert_eq!(decode::<N>(text.as_bytes()).map(|read| read.0), Some(bytes));
        }
        let text = Text::of(&bytes::<N>(7)).as_bytes().to_vec();
        for place in 0..text.len() {
            for byte in 0..=u8::MAX {
                let mut other = text.clone();
                other[place] = byte;
                let expected = URL_SAFE_NO_PAD.decode(&other).ok();
                assert_eq!(decode::<N>(&other).map(|read| read.0.to_vec()), expected);
            }
        }
        let longer = [&text[..], b"A"].concat();
        assert!(decode::<N>(&longer).is_none() && decode::<N>(&text[..text.len() - 1]).is_none());
    }

    #[test]
    fn i22_base64url_is_that_of_the_crate_in_both_directions() {
        assert_agreement::<1>();
        assert_agreement::<2>();
        assert_agreement::<3>();
        assert_agreement::<16>();
        assert_agreement::<32>();
        assert_agreement::<48>();
        assert_agreement::<80>();
    }
}
