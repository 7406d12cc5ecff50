//! The error table as a page for people: by symptom, each reason with what the client sees, the
//! cause and the fix.

mod chapters;

use self::chapters::{Chapter, INTRODUCTION, STUCK};
use super::{Endpoint, ErrorCode, Reason};

/// The page about every [`Reason`], in Markdown: `docs/troubleshooting.md`. Each has an anchor of
/// its [name](Reason::name).
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
        index(chapter, &mut page);
        for reason in Reason::ALL.iter().filter(|reason| reason.chapter() == chapter) {
            entry(*reason, &mut page);
        }
    }
    page.push('\n');
    page.push_str(STUCK);
    page
}

impl Reason {
    /// Where its entry stands: the first symptom that leads to it, and the last chapter if it has
    /// little to do with any endpoint.
    fn chapter(self) -> Chapter {
        let is_at = |endpoint| self.endpoints().contains(&endpoint);
        match self.row().code {
            ErrorCode::TooManyRequests => Chapter::RateLimit,
            ErrorCode::InsufficientBalance => Chapter::Balance,
            _ if self.endpoints() == [Endpoint::Operator] => Chapter::Disappearing,
            ErrorCode::InvalidRequest | ErrorCode::TemporarilyUnavailable
                if is_at(Endpoint::Authorization) && is_at(Endpoint::Token) =>
            {
                Chapter::Everywhere
            }
            _ if is_at(Endpoint::Authorization) => Chapter::Authorization,
            ErrorCode::InvalidGrant => Chapter::InvalidGrant,
            _ if is_at(Endpoint::Token) => Chapter::Token,
            _ if is_at(Endpoint::Resource) => Chapter::InvalidToken,
            _ => Chapter::Registration,
        }
    }

    /// Whether it may be what is the matter when this is what one sees, wherever its entry stands.
    fn is_in(self, chapter: Chapter) -> bool {
        let has = |endpoint, fits: fn(ErrorCode) -> bool| {
            self.endpoints().contains(&endpoint) && fits(self.code(endpoint))
        };
        match chapter {
            Chapter::Authorization => has(Endpoint::Authorization, |_| true),
            Chapter::InvalidGrant => has(Endpoint::Token, |code| code == ErrorCode::InvalidGrant),
            Chapter::InvalidToken => has(Endpoint::Resource, |_| true),
            Chapter::Token => has(Endpoint::Token, |code| {
                !matches!(code, ErrorCode::InvalidGrant | ErrorCode::TooManyRequests)
            }),
            Chapter::Registration => [Endpoint::Registration, Endpoint::Management]
                .into_iter()
                .any(|endpoint| has(endpoint, |code| code != ErrorCode::TooManyRequests)),
            Chapter::RateLimit | Chapter::Balance | Chapter::Disappearing | Chapter::Everywhere => {
                self.chapter() == chapter
            }
        }
    }

    /// The face of this chapter where it is seen.
    fn seen_in(self, chapter: Chapter) -> Option<Endpoint> {
        let is_wanted = |endpoint: &Endpoint| match chapter {
            Chapter::InvalidGrant | Chapter::Token => *endpoint == Endpoint::Token,
            Chapter::InvalidToken => *endpoint == Endpoint::Resource,
            Chapter::Registration => {
                matches!(endpoint, Endpoint::Registration | Endpoint::Management)
            }
            _ => true,
        };
        self.endpoints().iter().copied().find(is_wanted)
    }
}

/// What one may see in this chapter, each with its entry: its own first. What looks the same is in
/// one line.
fn index(chapter: Chapter, page: &mut String) {
    let mut lines: Vec<((ErrorCode, &str), Vec<Reason>)> = Vec::new();
    let mut reasons: Vec<_> = Reason::ALL.iter().filter(|reason| reason.is_in(chapter)).collect();
    reasons.sort_by_key(|reason| reason.chapter() != chapter);
    for reason in reasons {
        let Some(endpoint) = reason.seen_in(chapter) else { continue };
        let seen = (reason.code(endpoint), reason.description());
        match lines.iter_mut().find(|(own, _)| *own == seen) {
            Some((_, reasons)) => reasons.push(*reason),
            None => lines.push((seen, vec![*reason])),
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

fn entry(reason: Reason, page: &mut String) {
    page.extend(["\n<a id=\"", reason.name(), "\"></a>\n\n### `", reason.name(), "`\n\n"]);
    if !reason.description().is_empty() {
        page.extend(["> ", reason.description(), "\n\n"]);
    }
    page.extend(["- Seen: ", &seen(reason), "\n"]);
    let alike: Vec<_> =
        Reason::ALL.iter().copied().filter(|other| looks_like(reason, *other)).map(link).collect();
    if !alike.is_empty() {
        page.extend([
            "- Looks the same: ",
            &alike.join(", "),
            ". The event's reason tells them apart.\n",
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

/// Whether a client cannot tell the two apart at some face.
fn looks_like(one: Reason, other: Reason) -> bool {
    let told = |reason: Reason, endpoint| {
        (reason.code(endpoint), reason.status(endpoint), reason.description())
    };
    let mut both = one.endpoints().iter().filter(|endpoint| other.endpoints().contains(endpoint));
    one != other && both.any(|endpoint| told(one, *endpoint) == told(other, *endpoint))
}

/// Code and status at each face, those that are equal together.
fn seen(reason: Reason) -> String {
    let mut told: Vec<((ErrorCode, u16), Vec<&str>)> = Vec::new();
    for endpoint in reason.endpoints() {
        let (seen, place) =
            ((reason.code(*endpoint), reason.status(*endpoint)), place(reason, *endpoint));
        match told.iter_mut().find(|(own, _)| *own == seen) {
            Some((_, places)) => places.push(place),
            None => told.push((seen, vec![place])),
        }
    }
    let told = told.into_iter().map(|((code, status), places)| {
        let header = match (code, status) {
            (ErrorCode::TooManyRequests | ErrorCode::TemporarilyUnavailable, _) => {
                " with `Retry-After`"
            }
            (_, 405) => " with `Allow`",
            _ => "",
        };
        format!("{}, {status}{header}, {}", quoted(code), places.join(", "))
    });
    told.collect::<Vec<_>>().join("; ")
}

/// Where a client, a user or the operator sees it.
fn place(reason: Reason, endpoint: Endpoint) -> &'static str {
    let is_bare = reason.code(endpoint) == ErrorCode::None;
    match endpoint {
        Endpoint::Authorization if reason.is_redirectable() => {
            "on the authorization page or in the redirect to the client"
        }
        Endpoint::Authorization => "on the authorization page",
        Endpoint::Token => match reason {
            Reason::RevocationOff
            | Reason::RevocationTokenMissing
            | Reason::RevocationClientMismatch => "in the JSON of the revocation endpoint",
            _ => "in the JSON of the token endpoint",
        },
        Endpoint::Registration if is_bare => "in the challenge of the registration endpoint",
        Endpoint::Registration => "in the JSON of the registration endpoint",
        Endpoint::Management if is_bare => "in the challenge of the endpoint of a registration",
        Endpoint::Management => "in the JSON of the endpoint of a registration",
        Endpoint::Resource if reason.status(endpoint) >= 500 => {
            "in the JSON of a protected resource"
        }
        Endpoint::Resource => "in the challenge of a protected resource",
        Endpoint::Operator => "in the refusal of the operator's own call",
    }
}

fn quoted(code: ErrorCode) -> String {
    if code == ErrorCode::None { "no error".to_owned() } else { format!("`{}`", code.as_str()) }
}

fn link(reason: Reason) -> String {
    let name = reason.name();
    format!("[`{name}`](#{name})")
}
