//! What a client did, and what does not hold.

/// A condition that does not hold, as a message for the report.
#[derive(Debug)]
pub struct Violation(pub String);

pub type Checked<T> = Result<T, Violation>;

/// The steps of a client and their responses, to explain a violation.
#[derive(Default)]
pub struct Story(Vec<(String, usize)>);

impl Story {
    pub fn note(&mut self, what: impl Into<String>) {
        let what = what.into();
        match self.0.last_mut() {
            Some((last, times)) if *last == what => *times += 1,
            _ => self.0.push((what, 1)),
        }
    }

    /// Returns the latest steps.
    pub fn latest(&self) -> String {
        let latest = &self.0[self.0.len().saturating_sub(40)..];
        let words = latest.iter().map(|(what, times)| match times {
            1 => what.clone(),
            _ => format!("{what} ({times} times)"),
        });
        words.collect::<Vec<_>>().join("; ")
    }
}

pub fn must(holds: bool, else_what: impl FnOnce() -> String) -> Checked<()> {
    if holds { Ok(()) } else { Err(Violation(else_what())) }
}
