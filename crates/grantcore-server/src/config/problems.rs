//! What is wrong with the settings: every problem that was found, each with its place.

use std::error::Error;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A line and a column of a file, each from 1. Columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    line: usize,
    column: usize,
}

/// One problem of the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    file: Option<PathBuf>,
    place: Option<Place>,
    text: String,
}

impl Problem {
    /// Returns a problem that is at no single place of a file.
    pub(crate) fn new(text: impl fmt::Display) -> Self {
        Self { file: None, place: None, text: text.to_string() }
    }

    /// Returns a problem with a file, or with a place in it.
    pub(crate) fn of(file: &Path, place: Option<Place>, text: impl fmt::Display) -> Self {
        Self { file: Some(file.to_owned()), place, text: text.to_string() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}:", file.display())?;
            if let Some(Place { line, column }) = self.place {
                write!(f, "{line}:{column}:")?;
            }
            f.write_str(" ")?;
        }
        f.write_str(&self.text)
    }
}

/// The problems of the settings: one line, or a line for each after a heading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Invalid(pub(crate) Vec<Problem>);

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [problem] = &self.0[..] {
            return problem.fmt(f);
        }
        write!(f, "the settings have {} problems", self.0.len())?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl Error for Invalid {}

/// The problems that are found while a file is read.
pub(super) struct Problems<'a> {
    file: &'a Path,
    text: &'a str,
    found: Vec<Problem>,
    has_tables: bool,
}

impl<'a> Problems<'a> {
    pub(super) fn new(file: &'a Path, text: &'a str) -> Self {
        Self { file, text, found: Vec::new(), has_tables: false }
    }

    /// Returns the place of this byte of the file.
    pub(super) fn place(&self, offset: usize) -> Place {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
        Place { line, column }
    }

    /// Adds a problem with the file as a whole.
    pub(super) fn whole(&mut self, text: String) {
        self.found.push(Problem { file: None, place: None, text });
    }

    /// Adds a problem at a place.
    pub(super) fn at(&mut self, place: Place, text: String) {
        self.found.push(Problem { file: Some(self.file.to_owned()), place: Some(place), text });
    }

    /// Adds a problem with these bytes of the file.
    pub(super) fn over(&mut self, span: Range<usize>, text: String) {
        self.at(self.place(span.start), text);
    }

    /// Adds a problem with these bytes of a table that declares something.
    pub(super) fn in_table(&mut self, span: Range<usize>, text: String) {
        self.has_tables = true;
        self.over(span, text);
    }

    /// Returns whether a table that declares something has a problem.
    pub(super) fn has_tables(&self) -> bool {
        self.has_tables
    }

    /// Returns the problems in the order of their places.
    pub(super) fn into_found(mut self) -> Vec<Problem> {
        self.found.sort_by_key(|problem| problem.place);
        self.found
    }
}

/// Returns a hint like ``; did you mean `issuer`?`` if one of the names is similar, and nothing
/// otherwise.
pub(crate) fn similar<'n>(name: &str, names: impl IntoIterator<Item = &'n str>) -> String {
    let rated = names.into_iter().map(|other| (strsim::jaro_winkler(name, other), other));
    let best = rated.max_by(|(a, _), (b, _)| a.total_cmp(b));
    match best {
        Some((rating, best)) if rating > 0.8 => format!("; did you mean `{best}`?"),
        _ => String::new(),
    }
}
