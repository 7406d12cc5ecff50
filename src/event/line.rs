//! An event as one line of a log for people.

use std::fmt;

use super::Event;
use crate::value::text::LogWord;

/// One line: the kind, the reason, the client or the id that the request claimed, the user, the
/// flow, the correlation id, and `unknown` if the durability of the step's write is not known. The
/// level of detail is that of a first look: the whole event is its serialized form.
///
/// ```text
/// refused reason=refresh_reused client=notes-app subject=alice flow=pVd3LZk0TgGBO9C5hUy2dw correlation=0e29a7d4c0a64b1d8b3f8f0f5c3a9e11
/// ```
///
/// It contains no secret. A value that is no plain ASCII word stands in double quotes: escaped, cut
/// at 256 characters and where a credential of this server begins. No request and no name of a user
/// can therefore forge a line or a field.
///
/// ```
/// # use grantcore::{MemoryStore, FromStore, Policy, Server};
/// # fn server(policy: Policy) -> Server<MemoryStore> {
/// Server::new(policy, MemoryStore::new(), FromStore).with_observer(|event| println!("{event}"))
/// # }
/// ```
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.name())?;
        if let Some(reason) = self.reason {
            write!(f, " reason={}", reason.name())?;
        }
        if let Some(client) = &self.client {
            write!(f, " client={}", LogWord(client.as_str()))?;
        }
        if let Some(claimed) = &self.claimed {
            write!(f, " claimed={}", LogWord(claimed))?;
        }
        if let Some(subject) = &self.subject {
            write!(f, " subject={}", LogWord(subject.as_str()))?;
        }
        if let Some(flow) = self.flow {
            write!(f, " flow={flow}")?;
        }
        write!(f, " correlation={}", self.correlation)?;
        if self.is_unknown() { f.write_str(" unknown") } else { Ok(()) }
    }
}
