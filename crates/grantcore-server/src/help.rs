//! The troubleshooting page of the library, taken apart for the page of this server: chapters by
//! symptom, each with what a client sees and the entries of the reasons.
//!
//! The library's page is Markdown that is compiled in. Nothing of a request is in it, so that its
//! HTML needs no escaping beyond that of the Markdown renderer.

use std::sync::LazyLock;

use pulldown_cmark::{Parser, html};
use url::form_urlencoded;

/// The longest word that is not searched for in causes, in bytes.
const SHORT_WORD: usize = 3;

/// The page, taken apart once.
pub(crate) static MANUAL: LazyLock<Manual> =
    LazyLock::new(|| Manual::of(&grantcore::reason::troubleshooting()));

/// All chapters.
#[derive(Debug)]
pub(crate) struct Manual {
    pub(crate) chapters: Vec<Chapter>,
}

/// A symptom, with the reasons that lead to it.
#[derive(Debug)]
pub(crate) struct Chapter {
    pub(crate) anchor: String,
    pub(crate) title: String,
    /// The introduction, as HTML.
    pub(crate) text: String,
    /// What a client sees with this symptom.
    pub(crate) seen: Vec<Seen>,
    pub(crate) entries: Vec<Entry>,
}

/// What a client sees, and the reasons that it may be.
#[derive(Debug)]
pub(crate) struct Seen {
    /// The public error code, or the words for none.
    pub(crate) error: String,
    pub(crate) description: String,
    pub(crate) reasons: Vec<String>,
}

/// One reason.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The name of the reason, which is also its anchor.
    pub(crate) name: String,
    /// The description that the client receives; empty if there is none.
    pub(crate) description: String,
    /// Each fact with its text, as HTML.
    pub(crate) facts: Vec<(String, String)>,
    /// The words of what a client receives, in lower case.
    received: Vec<String>,
    /// The words of the cause, in lower case.
    cause: Vec<String>,
}

impl Manual {
    fn of(page: &str) -> Self {
        let mut chapters: Vec<Chapter> = Vec::new();
        for part in page.split("\n<a id=\"").skip(1) {
            let Some((anchor, text)) = part.split_once("\"></a>\n") else { continue };
            let text = text.split("\n## Still stuck?").next().unwrap_or_default().trim();
            let (heading, body) = text.split_once('\n').unwrap_or((text, ""));
            if let Some(title) = heading.strip_prefix("## ") {
                chapters.push(Chapter::of(anchor, title, body));
            } else if let Some(chapter) = chapters.last_mut() {
                chapter.entries.push(Entry::of(anchor, body));
            }
        }
        Self { chapters }
    }

    /// Returns the entries that fit what was typed or pasted: every word of it, a description that
    /// an error repeats, or the address or header that a client received.
    pub(crate) fn search(&self, typed: &str) -> Vec<&Entry> {
        let pasted = spoken(typed).to_lowercase();
        let words: Vec<_> = words(&pasted).collect();
        let all = || self.chapters.iter().flat_map(|chapter| &chapter.entries);
        let repeats = |entry: &&Entry| {
            let description = entry.description.to_lowercase();
            !description.is_empty() && pasted.contains(&description)
        };
        let repeated: Vec<_> = all().filter(repeats).collect();
        if !repeated.is_empty() {
            return repeated;
        }
        let mut found: Vec<_> =
            all().filter(|entry| words.iter().all(|word| entry.has(word))).collect();
        // The reason of this name comes first.
        found.sort_by_key(|entry| entry.name != pasted);
        found
    }
}

/// Returns the description that an address of a redirect contains, or the text as it is.
fn spoken(typed: &str) -> String {
    let query = typed.split_once('?').map_or(typed, |(_, query)| query);
    let described = form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == "error_description")
        .map(|(_, value)| value.into_owned());
    described.unwrap_or_else(|| typed.to_owned())
}

impl Chapter {
    fn of(anchor: &str, title: &str, body: &str) -> Self {
        let (text, table) = body.split_once("\n| `error` |").unwrap_or((body, ""));
        Self {
            anchor: anchor.to_owned(),
            title: title.to_owned(),
            text: rendered(text),
            seen: table.lines().skip(2).filter_map(Seen::of).collect(),
            entries: Vec::new(),
        }
    }
}

impl Seen {
    /// Reads a row: the error, the description, and links to the reasons.
    fn of(row: &str) -> Option<Self> {
        let mut cells = row.strip_prefix("| ")?.strip_suffix(" |")?.splitn(3, " | ");
        let error = cells.next()?.trim_matches('`').to_owned();
        let description = cells.next()?.to_owned();
        let links = cells.next()?.split("](#").skip(1);
        let reasons = links.filter_map(|link| Some(link.split_once(')')?.0.to_owned())).collect();
        Some(Self { error, description, reasons })
    }
}

impl Entry {
    fn of(name: &str, body: &str) -> Self {
        let description = body.lines().find_map(|line| line.strip_prefix("> "));
        let facts = body.lines().filter_map(|line| line.strip_prefix("- ")?.split_once(": "));
        let facts: Vec<(&str, &str)> = facts.collect();
        let fact = |name: &str| facts.iter().find(|(what, _)| *what == name).map(|(_, text)| *text);
        let described = description.unwrap_or_default();
        let received = [name, described, fact("Seen").unwrap_or_default()];
        let cause = words(fact("Cause").unwrap_or_default()).collect();
        Self {
            name: name.to_owned(),
            description: description.unwrap_or_default().to_owned(),
            facts: facts.iter().map(|(what, text)| ((*what).to_owned(), inline(text))).collect(),
            received: received.into_iter().flat_map(words).collect(),
            cause,
        }
    }

    /// Returns whether a word of the entry begins with this word. Short words are in too many
    /// causes to tell one from another.
    fn has(&self, word: &str) -> bool {
        let begins = |own: &String| own.starts_with(word);
        self.received.iter().any(begins) || word.len() > SHORT_WORD && self.cause.iter().any(begins)
    }
}

/// Returns the words of a text in lower case. A name such as `pkce_missing` is one word.
fn words(text: &str) -> impl Iterator<Item = String> {
    let text = text.to_lowercase();
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let words: Vec<String> =
        text.split(|c| !is_part(c)).filter(|word| !word.is_empty()).map(Into::into).collect();
    words.into_iter()
}

fn rendered(markdown: &str) -> String {
    let mut page = String::new();
    html::push_html(&mut page, Parser::new(markdown));
    page
}

/// Returns one line of Markdown as HTML without a paragraph.
fn inline(markdown: &str) -> String {
    let page = rendered(markdown);
    let page = page.trim();
    page.strip_prefix("<p>").and_then(|own| own.strip_suffix("</p>")).unwrap_or(page).to_owned()
}

#[cfg(test)]
mod tests {
    use grantcore::Reason;

    use super::*;

    fn names(typed: &str) -> Vec<&'static str> {
        MANUAL.search(typed).into_iter().map(|entry| &*entry.name).collect()
    }

    #[test]
    fn every_reason_has_one_entry_and_is_seen_in_a_chapter() {
        let entries: Vec<_> = MANUAL.chapters.iter().flat_map(|own| &own.entries).collect();
        assert_eq!(entries.len(), Reason::ALL.len());
        for reason in Reason::ALL {
            let own: Vec<_> = entries.iter().filter(|own| own.name == reason.name()).collect();
            let [own] = own[..] else { panic!("{reason:?}: {own:?}") };
            assert_eq!(own.description, reason.description());
            let facts: Vec<_> = own.facts.iter().map(|(what, _)| &**what).collect();
            for what in ["Seen", "Cause", "Fix", "Rule"] {
                assert!(facts.contains(&what), "{reason:?}: {facts:?}");
            }
            let is_seen = |chapter: &Chapter| {
                chapter.seen.iter().any(|seen| seen.reasons.iter().any(|own| own == reason.name()))
            };
            assert!(MANUAL.chapters.iter().any(is_seen), "{reason:?}");
        }
        for chapter in &MANUAL.chapters {
            assert!(chapter.text.starts_with("<p>Symptom: "), "{}", chapter.text);
            assert!(!chapter.text.contains('|') && !chapter.seen.is_empty(), "{}", chapter.title);
        }
    }

    #[test]
    fn an_entry_is_found_by_all_that_a_client_shows() {
        assert_eq!(names("pkce_missing").first(), Some(&"pkce_missing"));
        let reused = Reason::RefreshReused;
        let description = reused.description();
        for pasted in [
            description.to_owned(),
            format!("invalid_grant: {description}"),
            format!(
                "Bearer error=\"invalid_token\", error_description=\"{description} Received x\""
            ),
            format!("https://a.example/cb?error=x&error_description={}&state=1", {
                form_urlencoded::byte_serialize(description.as_bytes()).collect::<String>()
            }),
            description.to_uppercase(),
        ] {
            assert_eq!(names(&pasted), [reused.name()], "{pasted}");
        }
        let both = names("redirect_uri wildcard");
        assert!(both.contains(&"registered_uri_wildcard"), "{both:?}");
        for nothing in ["no such words here", "nothing at all"] {
            assert_eq!(names(nothing), [""; 0]);
        }
    }
}
