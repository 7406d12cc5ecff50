//! Tests that the pages in `docs/` and the code agree: every requirement has a test, every test
//! name and citation refers to a rule that exists, the rooms import each other as the picture
//! shows, and links lead somewhere.
//!
//! The packaged crate has only a part of the repository. Checks of missing parts are skipped.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The folders of the repository with hand-written files.
const FOLDERS: [&str; 8] =
    ["src", "tests", "benches", "docs", "stores", "examples", "crates", "testing"];
/// Folders below them that are generated or downloaded.
const SKIPPED: [&str; 2] = ["target", "node_modules"];
/// Words of other standards with the form of a requirement.
const OTHERS: [&str; 2] = ["UTF-16", "UTF-32"];
const LEVELS: [&str; 4] = ["MUST", "SHOULD", "MAY", "PRODUCT"];

fn root() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}

fn page(name: &str) -> String {
    fs::read_to_string(root().join("docs").join(name)).unwrap()
}

/// Returns every file with these extensions below the folders, with its path from the root.
fn files(extensions: &[&str]) -> Vec<(String, String)> {
    fn walk(folder: &Path, extensions: &[&str], found: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let extension = path.extension().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && !SKIPPED.contains(&&*name) && !name.starts_with('.') {
                walk(&path, extensions, found);
            } else if extensions.contains(&&*extension) {
                let text = fs::read_to_string(&path).unwrap();
                let place = path.strip_prefix(root()).unwrap();
                found.push((place.display().to_string().replace('\\', "/"), text));
            }
        }
    }
    let mut found = Vec::new();
    for folder in FOLDERS.map(|folder| root().join(folder)) {
        if folder.is_dir() {
            walk(&folder, extensions, &mut found);
        }
    }
    found
}

/// Returns whether this is the repository, and not the packaged crate, which lacks the tests of
/// other crates.
fn is_whole() -> bool {
    ["stores", "crates"].iter().any(|folder| root().join(folder).is_dir())
}

/// Returns the cells of a row of a table.
fn cells(line: &str) -> Vec<&str> {
    let row = line.trim().strip_prefix('|').and_then(|row| row.strip_suffix('|'));
    row.map(|row| row.split('|').map(str::trim).collect()).unwrap_or_default()
}

/// Returns whether the word is an invariant such as I17 or L2.
fn is_invariant(word: &str) -> bool {
    let number = word.strip_prefix(['I', 'L']).unwrap_or_default();
    !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
}

/// Returns whether the word is a requirement or an ambiguity, such as AUTHZ-05.
fn is_row(word: &str) -> bool {
    let Some((area, number)) = word.split_once('-') else { return false };
    area.len() > 1
        && area.bytes().all(|b| b.is_ascii_uppercase())
        && number.len() == 2
        && number.bytes().all(|b| b.is_ascii_digit())
        && !OTHERS.contains(&word)
}

/// Returns the requirements: rows with a level.
fn requirements() -> BTreeSet<String> {
    let page = page("requirements.md");
    let rows = page.lines().map(cells).filter(|row| row.len() > 1 && LEVELS.contains(&row[1]));
    let ids: Vec<_> = rows.map(|row| row[0].to_owned()).collect();
    for id in &ids {
        assert!(is_row(id), "{id} is no identifier of a requirement");
    }
    distinct(ids)
}

/// Returns every rule that the pages define.
fn definitions() -> BTreeSet<String> {
    let first = |name: &str, is_id: fn(&str) -> bool| {
        let page = page(name);
        let ids = page.lines().filter_map(|line| cells(line).first().map(|id| (*id).to_owned()));
        ids.filter(|id| is_id(id)).collect::<Vec<_>>()
    };
    let design = page("design.md");
    let laws = design.lines().filter_map(|line| line.strip_prefix("- **LAW ")?.split_once("**"));
    let mut ids = first("requirements.md", is_row);
    ids.extend(first("invariants.md", is_invariant));
    ids.extend(laws.map(|(number, _)| format!("LAW {number}")));
    distinct(ids)
}

fn distinct(ids: Vec<String>) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    for id in ids {
        assert!(seen.insert(id.clone()), "{id} is defined twice");
    }
    seen
}

/// Returns the functions of a file, and the names that a macro of tests lists: `name "argument"`.
fn functions(code: &str) -> impl Iterator<Item = &str> {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    code.lines().filter_map(move |line| {
        let line = line.trim_start();
        let listed = line.split_once(" \"").map(|(name, _)| name);
        let listed = listed.filter(|name| name.contains('_') && name.chars().all(is_name));
        let defined = line.split_once("fn ").filter(|(before, _)| {
            before.split(' ').all(|word| ["", "pub", "pub(crate)", "async"].contains(&word))
        });
        let defined = defined.and_then(|(_, name)| name.split(|c| !is_name(c)).next());
        defined.or(listed).filter(|name| !name.is_empty())
    })
}

/// Returns the rules that a test is named after: one requirement (`authz_07_…`) or invariants
/// (`i6_…`, `i06_i11_…`).
fn named_after(test: &str) -> Vec<String> {
    let mut rest = test;
    let mut rules = Vec::new();
    while let Some((word, tail)) = rest.split_once('_') {
        let number = word.trim_start_matches(['i', 'l']);
        if word.len() != number.len() + 1 || !number.bytes().all(|b| b.is_ascii_digit()) {
            break;
        }
        let Ok(number) = number.parse::<u32>() else { break };
        rules.push(format!("{}{number}", word[..1].to_ascii_uppercase()));
        rest = tail;
    }
    let mut words = test.splitn(3, '_');
    if let (Some(area), Some(number), Some(_)) = (words.next(), words.next(), words.next()) {
        let row = format!("{}-{number}", area.to_ascii_uppercase());
        rules.extend(Some(row).filter(|row| is_row(row)));
    }
    rules
}

/// Returns every function of the repository by name, with its file.
fn all_functions() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (file, code) in files(&["rs"]) {
        found.extend(functions(&code).map(|name| (name.to_owned(), file.clone())));
    }
    found
}

#[test]
fn every_requirement_has_a_test_named_after_it() {
    let named: BTreeSet<_> = all_functions().keys().flat_map(|test| named_after(test)).collect();
    let rows = requirements();
    assert!(rows.len() > 200, "the page has {} requirements only", rows.len());
    let untested: Vec<_> = rows.iter().filter(|row| !named.contains(*row)).collect();
    assert!(untested.is_empty() || !is_whole(), "no test is named after {untested:?}");
}

#[test]
fn every_test_is_named_after_a_rule_that_exists() {
    let defined = definitions();
    let mut checked = 0;
    let mut strange = Vec::new();
    for (test, file) in all_functions() {
        let rules = named_after(&test);
        checked += rules.len();
        if !rules.iter().all(|rule| defined.contains(rule)) {
            strange.push(format!("{file}: {test}"));
        }
    }
    assert!(checked > 200, "only {checked} tests are named after a rule");
    assert!(strange.is_empty(), "named after rules that docs/ does not define: {strange:#?}");
}

/// Returns the identifiers of rules in a text. A part of a longer word, such as base64, does not
/// count.
fn cited(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_-+/=".contains(c);
    let mut found = BTreeSet::new();
    for word in text.split(|c| !is_part(c)).map(|word| word.trim_matches(['-', '/', '='])) {
        found.extend(Some(word).filter(|word| is_row(word) || is_invariant(word)));
    }
    let mut found: BTreeSet<_> = found.into_iter().map(str::to_owned).collect();
    for (_, rest) in text.match_indices("LAW ").map(|(at, law)| text.split_at(at + law.len())) {
        let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
        found.extend(Some(number).filter(|n| !n.is_empty()).map(|n| format!("LAW {n}")));
    }
    found
}

#[test]
fn every_rule_that_is_cited_is_defined() {
    let defined = definitions();
    let mut cited_at_all = BTreeSet::new();
    let mut undefined = Vec::new();
    for (file, text) in files(&["rs", "md", "toml", "html", "sql", "lua", "txt"]) {
        if file == "tests/docs.rs" {
            continue;
        }
        let rules = cited(&text);
        undefined.extend(rules.difference(&defined).map(|rule| format!("{file}: {rule}")));
        cited_at_all.extend(rules);
    }
    assert!(cited_at_all.len() > 250, "only {} rules are cited", cited_at_all.len());
    assert!(undefined.is_empty(), "cited, and not defined in docs/: {undefined:#?}");
}

/// The last column of the tables has prefixes of test names.
#[test]
fn the_tests_that_hold_an_invariant_exist() {
    let functions = all_functions();
    let page = page("invariants.md");
    let mut named = 0;
    let mut missing = Vec::new();
    for row in page.lines().map(cells).filter(|row| row.len() > 1) {
        let quoted = row[row.len() - 1].split('`').skip(1).step_by(2);
        for name in quoted.map(|name| name.trim_end_matches('…')).filter(|name| !name.is_empty())
        {
            named += 1;
            if !functions.keys().any(|function| function.starts_with(name)) {
                missing.push(format!("{}: {name}", row[0]));
            }
        }
    }
    assert!(missing.is_empty() || !is_whole(), "no test has these prefixes: {missing:#?}");
    assert!(named > 60, "the page names only {named} tests");
}

/// Returns the rooms of the picture, each with the number of its line from the top.
fn picture() -> BTreeMap<String, usize> {
    let page = page("design.md");
    let (_, rest) = page.split_once("## The rooms").unwrap();
    let block = rest.split("```").nth(1).unwrap();
    let lines = block.lines().filter_map(|line| line.split_once('│'));
    let mut rooms = BTreeMap::new();
    for (line, (names, _)) in lines.enumerate() {
        for name in names.split_whitespace() {
            assert!(rooms.insert(name.to_owned(), line).is_none(), "{name} is there twice");
        }
    }
    rooms
}

/// Returns the other rooms that a file of the crate imports.
fn imports(code: &str) -> BTreeSet<String> {
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let paths = lines.flat_map(|line| line.split("crate::").skip(1));
    let rooms = paths.map(|path| path.split(|c: char| !c.is_ascii_lowercase() && c != '_'));
    rooms.filter_map(|mut words| words.next().map(str::to_owned)).collect()
}

#[test]
fn rooms_import_lower_rooms_only() {
    let rooms = picture();
    let mut found = BTreeSet::new();
    for (file, code) in files(&["rs"]) {
        let Some(place) = file.strip_prefix("src/").filter(|place| *place != "lib.rs") else {
            continue;
        };
        let room = place.split(['/', '.']).next().unwrap();
        let own = rooms.get(room).unwrap_or_else(|| panic!("{room} is not in the picture"));
        assert!(!code.contains("use crate::{"), "{file}: one room to a `use`");
        for import in imports(&code).iter().filter(|import| *import != room) {
            if let Some(line) = rooms.get(import) {
                assert!(line > own, "{file} imports {import}, which is not below {room}");
            }
        }
        assert!(
            !matches!(room, "request" | "response")
                || ["request", "response"]
                    .iter()
                    .all(|o| *o == room || !imports(&code).contains(*o)),
            "{file}: request and response do not know each other"
        );
        found.insert(room.to_owned());
    }
    let drawn: BTreeSet<_> = rooms.into_keys().collect();
    assert_eq!(drawn, found, "the rooms of the picture are the modules of the crate");
}

/// Returns the targets of the links of a page: of `[text](target)`, and of `[label]: target`.
fn links(page: &str) -> (Vec<&str>, Vec<(&str, &str)>) {
    let mut inline = Vec::new();
    let mut defined = Vec::new();
    let mut is_code = false;
    for line in page.lines() {
        is_code ^= line.trim_start().starts_with("```");
        if is_code {
            continue;
        }
        let prose: Vec<_> = line.split('`').step_by(2).collect();
        inline.extend(
            prose.iter().flat_map(|prose| {
                prose.split("](").skip(1).filter_map(|rest| rest.split(')').next())
            }),
        );
        let definition = line.strip_prefix('[').and_then(|rest| rest.split_once("]: "));
        defined.extend(definition);
    }
    (inline, defined)
}

/// A relative link works on a page of the repository. In the rendered documentation it works only
/// as a definition that `src/guide/links.md` replaces.
#[test]
fn links_between_pages_work_in_both_places() {
    let replaced = fs::read_to_string(root().join("src/guide/links.md")).unwrap();
    let (_, replaced) = links(&replaced);
    let guide = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let mut checked = 0;
    for entry in fs::read_dir(root().join("docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let included = format!("include_str!(\"../docs/{name}\")");
        assert!(guide.contains(&included), "docs/{name} is not a page of the guide");
        let text = page(&name);
        let (inline, defined) = links(&text);
        for target in inline.into_iter().filter(|target| !target.starts_with("http")) {
            assert!(target.starts_with('#'), "docs/{name}: ({target}) is no definition");
            checked += 1;
        }
        for (label, target) in defined.into_iter().filter(|(_, to)| !to.starts_with("http")) {
            let file = target.split('#').next().unwrap();
            assert!(root().join("docs").join(file).is_file(), "docs/{name}: no file {target}");
            assert!(
                replaced.iter().any(|(own, _)| *own == label),
                "docs/{name}: src/guide/links.md does not define [{label}]"
            );
            checked += 1;
        }
    }
    assert!(checked > 20, "only {checked} links were found");
}
