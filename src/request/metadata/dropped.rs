//! Details for the event of a registration or a metadata document: the values that the server left
//! out of the client's record, and the sender.

use crate::refusal::listed;

/// The most bytes of a claimed name in the note of an event.
const LONGEST_NAME: usize = 64;

/// The members, values and scope tokens that were left out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dropped {
    parts: Vec<String>,
    scope: Option<String>,
}

impl Dropped {
    /// Records a whole member.
    pub(super) fn member(&mut self, member: &'static str) {
        self.parts.push(member.to_owned());
    }

    /// Records some values of a list.
    pub(super) fn values<'a>(
        &mut self,
        member: &'static str,
        values: impl IntoIterator<Item = &'a str>,
    ) {
        let mut values = values.into_iter().peekable();
        if values.peek().is_some() {
            self.parts.push(format!("{member} {}", listed(values)));
        }
    }

    /// Records scope tokens that are not open to the client.
    pub(super) fn scope(&mut self, tokens: &[&str]) {
        self.scope = Some(format!("scope_dropped: {}.", listed(tokens.iter().copied())));
    }

    /// Returns the detail of the event, if scope tokens were left out (CLIENTPOLICY-13).
    pub(crate) fn detail(&self) -> Option<String> {
        self.scope.clone()
    }

    /// Returns the members that were left out, each with its values if others of it were kept.
    pub(crate) fn members(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().map(String::as_str)
    }
}

/// The sender of a registration: the name that the client claims, and the source of the request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sender {
    name: Option<String>,
    source: String,
}

impl Sender {
    pub(crate) fn new(name: Option<&str>, source: &str) -> Self {
        let name = name.filter(|name| !name.is_empty());
        let name = name.map(|name| {
            let ends = name.char_indices().map(|(at, c)| at + c.len_utf8());
            let end = ends.take_while(|end| *end <= LONGEST_NAME).last().unwrap_or_default();
            let mark = if end < name.len() { "..." } else { "" };
            format!("client_name '{}{mark}'", name.get(..end).unwrap_or_default())
        });
        Self { name, source: source.to_owned() }
    }

    /// Returns the note of the event: the claimed name, which the event escapes.
    pub(crate) fn note(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Returns the source of the request, empty if the host named none.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }
}
