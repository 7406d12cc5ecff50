//! Writes the mutants of a crate into a copy of its source: `grantcore-mutants SRC LEFT_OUT`.
//!
//! Each mutant is a branch on `crate::mutant::on(number)`, so that all mutants are compiled once,
//! and the variable `MUTANT` of the environment chooses one of them. `LEFT_OUT` is a file with the
//! numbers of mutants that do not compile. Prints one line for each mutant: number, file, line,
//! what it does.

mod mutate;
mod values;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use self::mutate::Mutate;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [source, left_out] = &*arguments else {
        panic!("usage: grantcore-mutants SRC LEFT_OUT");
    };
    let left_out = fs::read_to_string(left_out).unwrap_or_default();
    let left_out: BTreeSet<u32> =
        left_out.split_whitespace().filter_map(|n| n.parse().ok()).collect();
    let mut files = Vec::new();
    list(Path::new(source), &mut files);
    files.sort();
    let mut next = 0;
    for path in files {
        let text = fs::read_to_string(&path).expect("a source file");
        let mut file = syn::parse_file(&text).expect("Rust");
        let mut mutate = Mutate::new(next, &left_out);
        mutate.file(&mut file);
        next = mutate.next;
        for mutant in mutate.made {
            println!("{}\t{}\t{}\t{}", mutant.number, path.display(), mutant.line, mutant.what);
        }
        if path.ends_with("lib.rs") {
            file.items.push(syn::parse_quote!(
                mod mutant;
            ));
            file.attrs.push(syn::parse_quote!(#![allow(warnings)]));
        }
        fs::write(&path, prettyplease::unparse(&file)).expect("the copy can be written");
    }
    let switch = include_str!("switch.txt").replace("COUNT", &next.to_string());
    fs::write(Path::new(source).join("mutant.rs"), switch).expect("the copy can be written");
}

/// Lists the source files. The conformance kit is a test, and the tables of reasons are texts.
fn list(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path())
    {
        let name = entry.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if entry.is_dir() {
            list(&entry, files);
        } else if name.ends_with(".rs") && name != "mutant.rs" && name != "tests.rs" {
            files.push(entry);
        }
    }
    files.retain(|path| {
        let path = path.to_string_lossy();
        !path.contains("/conformance") && !path.contains("/reason/")
    });
}
