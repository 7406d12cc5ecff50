//! Tests of damaged records. A truncated record is refused. Decoding never panics, and a record
//! that is decoded encodes and decodes to itself.

use crate::records;

#[test]
fn i31_a_truncated_record_is_refused() {
    for (name, record) in records() {
        let text = record.write();
        for (end, _) in text.char_indices() {
            assert!(record.read(&text[..end]).is_err(), "{name}: {}", &text[..end]);
        }
        let bytes = record.write_binary();
        for end in 0..bytes.len() {
            assert!(
                record.read_binary(&bytes[..end]).is_err(),
                "{name}: {end} of {} bytes",
                bytes.len()
            );
        }
        for after in ["x", "{}", "\0", ","] {
            assert!(record.read(&format!("{text}{after}")).is_err(), "{name} and {after}");
        }
    }
}

/// Flips bits of each byte.
#[test]
fn i31_one_damaged_byte_of_text_never_panics() {
    for (name, record) in records() {
        let whole = record.write();
        let mut bytes = whole.clone().into_bytes();
        // Two of the eight bits in turn: all of them take 20 seconds.
        for (at, bit) in (0..bytes.len()).flat_map(|at| [(at, at % 8), (at, (at + 3) % 8)]) {
            bytes[at] ^= 1 << bit;
            if let Ok(text) = str::from_utf8(&bytes) {
                if let Ok(read) = record.read(text) {
                    assert_eq!(record.read(&read.write()).unwrap(), read, "{name}: {text}");
                }
            }
            bytes[at] ^= 1 << bit;
        }
        assert_eq!(bytes, whole.as_bytes());
    }
}

#[test]
fn i31_one_damaged_byte_in_binary_never_panics() {
    for (name, record) in records() {
        let whole = record.write_binary();
        let mut bytes = whole.clone();
        for (at, bit) in (0..bytes.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
            bytes[at] ^= 1 << bit;
            if let Ok(read) = record.read_binary(&bytes) {
                assert_eq!(
                    record.read_binary(&read.write_binary()).unwrap(),
                    read,
                    "{name}: bit {bit} at {at}"
                );
            }
            bytes[at] ^= 1 << bit;
        }
        assert_eq!(bytes, whole);
    }
}
