//! What a client named and this server leaves out of its record, for the event: nothing is dropped
//! in silence.

use crate::refusal::{listed, quoted};

/// The members, values and scope tokens that were left out, in a form for the event.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dropped {
    parts: Vec<String>,
    scope: Option<String>,
}

impl Dropped {
    /// A whole member.
    pub(super) fn member(&mut self, member: &'static str) {
        self.parts.push(member.to_owned());
    }

    /// Some values of a list.
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

    /// Scope tokens that are not open to the client.
    pub(super) fn scope(&mut self, tokens: &[&str]) {
        self.scope = Some(format!("scope_dropped: {}.", listed(tokens.iter().copied())));
    }

    /// The detail of the event of a registration that was narrowed in its scope (CLIENTPOLICY-13).
    pub(crate) fn detail(&self) -> Option<String> {
        self.scope.clone()
    }

    /// The note of the event, or `None` if nothing was left out.
    pub(crate) fn note(&self) -> Option<String> {
        (!self.parts.is_empty()).then(|| format!("dropped: {}", self.parts.join("; ")))
    }
}

/// Who asked: the name that a client claims and where it came from, for the event of its
/// registration.
pub(crate) fn sender(name: Option<&str>, source: &str) -> Option<String> {
    let name =
        name.filter(|name| !name.is_empty()).map(|name| format!("client_name {}", quoted(name)));
    let source = (!source.is_empty()).then(|| format!("source {}", quoted(source)));
    let parts: Vec<_> = [name, source].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}
