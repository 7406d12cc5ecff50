//! The golden files: what was written once is written today, byte for byte, and read as it was
//! meant.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::records;

const BLESS: &str = "The format of records is fixed: unless what a test does to make this record has changed, this is a new schema and needs a new \
     number. Only then write the files anew with\n\n    GRANTCORE_BLESS=1 cargo test -p grantcore --test records\n\nand look at what has changed.";

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1")
}

/// What is in a golden file.
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
fn i31_todays_code_writes_what_was_written_once() {
    for (name, record) in records() {
        let (file, text) = (format!("{name}.json"), record.write());
        bless(&file, &text);
        assert_eq!(stored(&file), text, "{file}. {BLESS}");
    }
}

/// A format without names: here the order of fields and variants is what is pinned.
#[test]
fn i31_todays_code_writes_the_same_in_binary() {
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
fn i31_what_was_written_once_is_read_today_and_written_back_as_it_was() {
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
fn i31_each_file_is_of_a_record_that_is_proved() {
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
