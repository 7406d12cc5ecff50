//! The troubleshooting page.

use askama::Template;

use super::{Nav, Screen, filters};
use crate::help::{Entry, Manual};

/// The page of all refusals, by symptom, or of those that a search found.
#[derive(Debug, Template)]
#[template(path = "troubleshooting.html", whitespace = "minimize")]
pub(crate) struct Troubleshooting {
    pub(crate) nav: Nav,
    pub(crate) manual: &'static Manual,
    /// What is searched for; empty without a search.
    pub(crate) typed: String,
    /// What the search found. `None` without a search.
    pub(crate) found: Option<Vec<&'static Entry>>,
}

impl Screen for Troubleshooting {}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::help::MANUAL;

    pub(crate) fn troubleshooting(text: &str) -> Troubleshooting {
        let found = Some(MANUAL.search("pkce_missing"));
        Troubleshooting { nav: Nav::of(Some(text)), manual: &MANUAL, typed: text.into(), found }
    }

    #[test]
    fn the_page_has_contents_and_an_anchor_for_each_reason() -> askama::Result<()> {
        let all = Troubleshooting { typed: String::new(), found: None, ..troubleshooting("alice") };
        let page = all.render()?;
        for chapter in &MANUAL.chapters {
            assert!(page.contains(&format!("href=\"#{}\"", chapter.anchor)), "{}", chapter.title);
        }
        for reason in grantcore::Reason::ALL {
            assert_eq!(
                page.matches(&format!(" id=\"{}\"", reason.name())).count(),
                1,
                "{reason:?}"
            );
        }
        assert!(!page.contains("](#") && !page.contains("**"), "no Markdown is left");
        let nothing = Troubleshooting { found: Some(Vec::new()), ..troubleshooting("alice") };
        let page = nothing.render()?;
        assert!(page.contains("Nothing fits") && page.contains("Show every"), "{page}");
        Ok(())
    }
}
