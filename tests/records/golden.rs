//! Tests of the golden files: a record is encoded today as in its file, byte for byte, and its file
//! is decoded to it.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::records;

const BLESS: &str = "The format of records is fixed. Unless the steps that make this record have \
     changed, this is a new schema and needs a new number. Only then write the files anew \
     with\n\n    \
     GRANTCORE_BLESS=1 cargo test -p grantcore --test records\n\nand review the change.";

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1")
}

/// Returns the text of a golden file.
pub(crate) fn stored(name: &str) -> String {
    let path = folder().join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the records are files, and whether to write them is asked in the environment"
)]
fn bless(name: &str, text: &str) {
    if std::env::var("GRANTCORE_BLESS").is_ok_and(|bless| bless == "1") {
        fs::write(folder().join(name), text).unwrap();
    }
}

#[test]
fn i31_records_are_encoded_as_in_the_golden_files() {
    for (name, record) in records() {
        let file = format!("{name}.json");
        let text = record.write();
        bless(&file, &text);
        assert_eq!(stored(&file), text, "{file}. {BLESS}");
    }
}

/// A binary format without names pins the order of fields and variants.
#[test]
fn i31_records_are_encoded_the_same_in_binary() {
    let text = records().iter().fold(String::new(), |mut text, (name, record)| {
        writeln!(text, "{name} {}", STANDARD.encode(record.write_binary())).unwrap();
        text
    });
    bless("postcard.txt", &text);
    let stored = stored("postcard.txt");
    for (stored, line) in stored.lines().zip(text.lines()) {
        assert_eq!(stored, line, "{BLESS}");
    }
    assert_eq!(stored, text, "{BLESS}");
}

#[test]
fn i31_golden_files_are_decoded_and_encoded_unchanged() {
    for (name, record) in records() {
        let text = stored(&format!("{name}.json"));
        let read = record.read(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((&read, read.write()), (&record, text), "{name}");
        let binary = read.write_binary();
        let read = record.read_binary(&binary).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((&read, read.write_binary()), (&record, binary), "{name}");
    }
}

#[test]
fn i31_each_golden_file_belongs_to_a_tested_record() {
    let mut known: Vec<_> = records().iter().map(|(name, _)| format!("{name}.json")).collect();
    known.push("postcard.txt".to_owned());
    known.sort();
    let mut files: Vec<_> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(files, known);
}
