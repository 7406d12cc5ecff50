//! The error table as a page in Markdown. Each reason stands in the chapter of its symptom, with
//! what the client sees, the cause and the fix.

mod chapters;
mod places;

use self::chapters::{Chapter, INTRODUCTION, STUCK};
use super::{Endpoint, ErrorCode, Reason};

/// Returns the page about every [`Reason`], in Markdown: `docs/troubleshooting.md`. The anchor of
/// each entry is the [name](Reason::name) of its reason.
pub fn troubleshooting() -> String {
    let mut page = String::from(INTRODUCTION);
    page.push_str("\nChapters:\n\n");
    for chapter in Chapter::ALL {
        page.extend(["- [", chapter.title(), "](#", chapter.anchor(), ")\n"]);
    }
    for chapter in Chapter::ALL {
        page.extend([
            "\n<a id=\"",
            chapter.anchor(),
            "\"></a>\n\n## ",
            chapter.title(),
            "\n\n",
            chapter.text(),
        ]);
        write_index(chapter, &mut page);
        for reason in Reason::ALL.iter().filter(|reason| reason.chapter() == chapter) {
            write_entry(*reason, &mut page);
        }
    }
    page.push('\n');
    page.push_str(STUCK);
    page
}

/// The endpoints where a client authenticates and sends a form.
const FORM_ENDPOINTS: [Endpoint; 3] =
    [Endpoint::Token, Endpoint::Revocation, Endpoint::Introspection];

impl Reason {
    fn is_at(self, endpoint: Endpoint) -> bool {
        self.endpoints().contains(&endpoint)
    }

    /// Returns the chapter with the reason's entry: the first symptom that leads to the reason. A
    /// reason that any endpoint can have stands in the last chapter.
    fn chapter(self) -> Chapter {
        match self.row().code {
            Some(ErrorCode::TooManyRequests) => Chapter::RateLimit,
            Some(ErrorCode::InsufficientBalance) => Chapter::Balance,
            _ if self.endpoints() == [Endpoint::Operator] => Chapter::Disappearing,
            Some(ErrorCode::InvalidRequest | ErrorCode::TemporarilyUnavailable)
                if self.is_at(Endpoint::Authorization) && self.is_at(Endpoint::Token) =>
            {
                Chapter::Everywhere
            }
            _ if self.is_at(Endpoint::Authorization) => Chapter::Authorization,
            Some(ErrorCode::InvalidGrant) if self.is_at(Endpoint::Token) => Chapter::InvalidGrant,
            _ if FORM_ENDPOINTS.into_iter().any(|endpoint| self.is_at(endpoint)) => Chapter::Token,
            _ if self.is_at(Endpoint::Resource) => Chapter::InvalidToken,
            _ => Chapter::Registration,
        }
    }

    /// Returns the endpoint of this chapter where the reason occurs with the chapter's symptom, or
    /// `None` if it does not. Its entry may stand in another chapter.
    fn seen_in(self, chapter: Chapter) -> Option<Endpoint> {
        let is_seen = |endpoint: &Endpoint| {
            let code = self.code(*endpoint);
            match chapter {
                Chapter::Authorization => *endpoint == Endpoint::Authorization,
                Chapter::InvalidGrant => {
                    *endpoint == Endpoint::Token && code == Some(ErrorCode::InvalidGrant)
                }
                Chapter::InvalidToken => *endpoint == Endpoint::Resource,
                Chapter::Token => {
                    let is_own_chapter = code == Some(ErrorCode::TooManyRequests)
                        || *endpoint == Endpoint::Token && code == Some(ErrorCode::InvalidGrant);
                    FORM_ENDPOINTS.contains(endpoint) && !is_own_chapter
                }
                Chapter::Registration => {
                    matches!(endpoint, Endpoint::Registration | Endpoint::Management)
                        && code != Some(ErrorCode::TooManyRequests)
                }
                Chapter::RateLimit
                | Chapter::Balance
                | Chapter::Disappearing
                | Chapter::Everywhere => self.chapter() == chapter,
            }
        };
        self.endpoints().iter().copied().find(is_seen)
    }
}

/// Writes the table of what a client can see in this chapter, with links to the entries. Reasons
/// with an entry in this chapter come first. Reasons that look the same share a line.
fn write_index(chapter: Chapter, page: &mut String) {
    type Seen = (Option<ErrorCode>, &'static str);
    let mut lines: Vec<(Seen, Vec<Reason>)> = Vec::new();
    let mut reasons: Vec<_> = Reason::ALL.to_vec();
    reasons.sort_by_key(|reason| reason.chapter() != chapter);
    for reason in reasons {
        let Some(endpoint) = reason.seen_in(chapter) else { continue };
        let seen = (reason.code(endpoint), reason.description());
        match lines.iter_mut().find(|(own, _)| *own == seen) {
            Some((_, reasons)) => reasons.push(reason),
            None => lines.push((seen, vec![reason])),
        }
    }
    if lines.is_empty() {
        return;
    }
    page.push_str("\n| `error` | `error_description` | Entry |\n| --- | --- | --- |\n");
    for ((code, description), reasons) in lines {
        let description = if description.is_empty() { "(none)" } else { description };
        page.extend(["| ", &quoted(code), " | ", description, " | "]);
        page.push_str(&reasons.into_iter().map(link).collect::<Vec<_>>().join(", "));
        page.push_str(" |\n");
    }
}

fn write_entry(reason: Reason, page: &mut String) {
    page.extend(["\n<a id=\"", reason.name(), "\"></a>\n\n### `", reason.name(), "`\n\n"]);
    if !reason.description().is_empty() {
        page.extend(["> ", reason.description(), "\n\n"]);
    }
    page.extend(["- Seen: ", &places::seen(reason), "\n"]);
    let alike: Vec<_> =
        Reason::ALL.iter().copied().filter(|other| looks_like(reason, *other)).map(link).collect();
    if !alike.is_empty() {
        page.extend([
            "- Same description: ",
            &alike.join(", "),
            ". The `reason` of the event distinguishes them.\n",
        ]);
    }
    page.extend([
        "- Cause: ",
        reason.cause(),
        "\n- Fix: ",
        reason.fix(),
        "\n- Rule: ",
        reason.section(),
        "\n",
    ]);
}

/// Returns whether a client cannot distinguish the two reasons at some endpoint.
fn looks_like(one: Reason, other: Reason) -> bool {
    let seen = |reason: Reason, endpoint| {
        (reason.code(endpoint), reason.status(endpoint), reason.description())
    };
    let mut shared = one.endpoints().iter().filter(|endpoint| other.is_at(**endpoint));
    one != other && shared.any(|endpoint| seen(one, *endpoint) == seen(other, *endpoint))
}

fn quoted(code: Option<ErrorCode>) -> String {
    code.map_or_else(|| "no error".to_owned(), |code| format!("`{code}`"))
}

fn link(reason: Reason) -> String {
    let name = reason.name();
    format!("[`{name}`](#{name})")
}
