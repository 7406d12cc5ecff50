//! The error table as a page for people: by symptom, each reason with what the client sees, the
//! cause and the fix.

mod chapters;

use self::chapters::{Chapter, INTRODUCTION, STUCK};
use super::{Code, Reason, Surface};

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
        let is_at = |surface| self.surfaces().contains(&surface);
        match self.row().code {
            Code::TooManyRequests => Chapter::RateLimit,
            Code::InsufficientBalance => Chapter::Balance,
            _ if self.surfaces() == [Surface::Operator] => Chapter::Disappearing,
            Code::InvalidRequest | Code::TemporarilyUnavailable
                if is_at(Surface::Authorization) && is_at(Surface::Token) =>
            {
                Chapter::Everywhere
            }
            _ if is_at(Surface::Authorization) => Chapter::Authorization,
            Code::InvalidGrant => Chapter::InvalidGrant,
            _ if is_at(Surface::Token) => Chapter::Token,
            _ if is_at(Surface::Resource) => Chapter::InvalidToken,
            _ => Chapter::Registration,
        }
    }

    /// Whether it may be what is the matter when this is what one sees, wherever its entry stands.
    fn is_in(self, chapter: Chapter) -> bool {
        let has = |surface, fits: fn(Code) -> bool| {
            self.surfaces().contains(&surface) && fits(self.code(surface))
        };
        match chapter {
            Chapter::Authorization => has(Surface::Authorization, |_| true),
            Chapter::InvalidGrant => has(Surface::Token, |code| code == Code::InvalidGrant),
            Chapter::InvalidToken => has(Surface::Resource, |_| true),
            Chapter::Token => has(Surface::Token, |code| {
                !matches!(code, Code::InvalidGrant | Code::TooManyRequests)
            }),
            Chapter::Registration => [Surface::Registration, Surface::Management]
                .into_iter()
                .any(|surface| has(surface, |code| code != Code::TooManyRequests)),
            Chapter::RateLimit | Chapter::Balance | Chapter::Disappearing | Chapter::Everywhere => {
                self.chapter() == chapter
            }
        }
    }

    /// The face of this chapter where it is seen.
    fn seen_in(self, chapter: Chapter) -> Option<Surface> {
        let is_wanted = |surface: &Surface| match chapter {
            Chapter::InvalidGrant | Chapter::Token => *surface == Surface::Token,
            Chapter::InvalidToken => *surface == Surface::Resource,
            Chapter::Registration => matches!(surface, Surface::Registration | Surface::Management),
            _ => true,
        };
        self.surfaces().iter().copied().find(is_wanted)
    }
}

/// What one may see in this chapter, each with its entry: its own first. What looks the same is in
/// one line.
fn index(chapter: Chapter, page: &mut String) {
    let mut lines: Vec<((Code, &str), Vec<Reason>)> = Vec::new();
    let mut reasons: Vec<_> = Reason::ALL.iter().filter(|reason| reason.is_in(chapter)).collect();
    reasons.sort_by_key(|reason| reason.chapter() != chapter);
    for reason in reasons {
        let Some(surface) = reason.seen_in(chapter) else { continue };
        let seen = (reason.code(surface), reason.description());
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
    let told = |reason: Reason, surface| {
        (reason.code(surface), reason.status(surface), reason.description())
    };
    let mut both = one.surfaces().iter().filter(|surface| other.surfaces().contains(surface));
    one != other && both.any(|surface| told(one, *surface) == told(other, *surface))
}

/// Code and status at each face, those that are equal together.
fn seen(reason: Reason) -> String {
    let mut told: Vec<((Code, u16), Vec<&str>)> = Vec::new();
    for surface in reason.surfaces() {
        let (seen, place) =
            ((reason.code(*surface), reason.status(*surface)), place(reason, *surface));
        match told.iter_mut().find(|(own, _)| *own == seen) {
            Some((_, places)) => places.push(place),
            None => told.push((seen, vec![place])),
        }
    }
    let told = told.into_iter().map(|((code, status), places)| {
        let header = match (code, status) {
            (Code::TooManyRequests | Code::TemporarilyUnavailable, _) => " with `Retry-After`",
            (_, 405) => " with `Allow`",
            _ => "",
        };
        format!("{}, {status}{header}, {}", quoted(code), places.join(", "))
    });
    told.collect::<Vec<_>>().join("; ")
}

/// Where a client, a user or the operator sees it.
fn place(reason: Reason, surface: Surface) -> &'static str {
    let is_bare = reason.code(surface) == Code::None;
    match surface {
        Surface::Authorization if reason.is_redirectable() => {
            "on the authorization page or in the redirect to the client"
        }
        Surface::Authorization => "on the authorization page",
        Surface::Token => match reason {
            Reason::RevocationOff
            | Reason::RevocationTokenMissing
            | Reason::RevocationClientMismatch => "in the JSON of the revocation endpoint",
            _ => "in the JSON of the token endpoint",
        },
        Surface::Registration if is_bare => "in the challenge of the registration endpoint",
        Surface::Registration => "in the JSON of the registration endpoint",
        Surface::Management if is_bare => "in the challenge of the endpoint of a registration",
        Surface::Management => "in the JSON of the endpoint of a registration",
        Surface::Resource if reason.status(surface) >= 500 => "in the JSON of a protected resource",
        Surface::Resource => "in the challenge of a protected resource",
        Surface::Operator => "in the refusal of the operator's own call",
    }
}

fn quoted(code: Code) -> String {
    if code == Code::None { "no error".to_owned() } else { format!("`{}`", code.as_str()) }
}

fn link(reason: Reason) -> String {
    let name = reason.name();
    format!("[`{name}`](#{name})")
}
