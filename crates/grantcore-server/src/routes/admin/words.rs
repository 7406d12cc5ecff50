//! The state of a client, of a grant and of a reason, in words for administrators.

use grantcore::client::{ClientStatus, Registration};
use grantcore::grant::{Grant, GrantState, RevocationCause};
use grantcore::response::ConnectionState;
use grantcore::{Client, Policy, Timestamp};

use crate::pages::{AppName, Standing};

/// Returns the name of a client for people.
pub(super) fn name(client: &Client) -> AppName {
    let is_verified = client.registration() == Registration::Operator;
    AppName::of(&client.display_name(), client.id().as_str(), is_verified)
}

/// Returns how the server came to know a client.
pub(super) fn origin(client: &Client, is_declared: bool) -> &'static str {
    match client.registration() {
        Registration::Operator if is_declared => "Declared in the file of settings",
        Registration::Operator => "Added by the operator",
        Registration::Dynamic => "Registered itself",
        _ => "Known by its metadata document",
    }
}

/// Returns whether a client is served. `now` is the time of the server's clock.
pub(super) fn standing(client: &Client, now: Timestamp) -> Standing {
    if client.is_expired(now) {
        return Standing::Over;
    }
    match client.status() {
        ClientStatus::Active => Standing::Active,
        ClientStatus::Deactivated => Standing::Suspended,
    }
}

/// Describes a connection that has tokens or can get new ones.
pub(super) fn connected(state: ConnectionState) -> &'static str {
    match state {
        ConnectionState::Active => "Active: an access token works now.",
        _ => {
            "Dormant: no access token works now. It becomes active when the application refreshes, \
             unless the application or the account is suspended."
        }
    }
}

/// Describes a grant that is no connection, and returns whether it still leads to one.
pub(super) fn phase(grant: &Grant, policy: &Policy, now: Timestamp) -> (&'static str, bool) {
    let lifetimes = policy.lifetimes();
    match grant.state() {
        GrantState::ConsentPending if now < grant.expires() => {
            ("The consent page waits for the user's decision.", false)
        }
        GrantState::ConsentPending => ("Over: the user did not decide in time.", false),
        GrantState::CodeIssued => {
            let end = grant.created().after(lifetimes.consent()).after(lifetimes.code());
            if now < end {
                ("Approved: the application has not fetched its tokens yet.", true)
            } else {
                ("Over: the application did not fetch its tokens in time.", false)
            }
        }
        GrantState::Active if now >= grant.expires() => {
            ("Over: it reached the longest lifetime.", false)
        }
        GrantState::Active if grant.subject().is_none() => (
            "Active: the application got an access token on its own behalf. It works unless the \
             application or its owner is suspended, or all its connections were ended.",
            true,
        ),
        GrantState::Active => (
            "Over: it was not used for too long, or it was disconnected together with all others \
             of its application or its account.",
            false,
        ),
        GrantState::Revoked(cause) => (ended(cause), false),
        _ => ("Unknown.", false),
    }
}

fn ended(cause: RevocationCause) -> &'static str {
    match cause {
        RevocationCause::Denied => "Over: the user denied the request.",
        RevocationCause::Replay => "Over: a code or a refresh token was used twice.",
        RevocationCause::Client => "Over: disconnected by the application.",
        RevocationCause::User => "Over: disconnected by the user.",
        RevocationCause::Administrator => "Over: disconnected by an administrator.",
        RevocationCause::SecurityEvent => "Over: disconnected after a security event.",
        RevocationCause::Host => "Over: ended by the server when the application refreshed.",
        RevocationCause::Superseded => "Over: a newer connection of the same user took its place.",
        _ => "Over.",
    }
}

/// Returns a note of the library with the characters that it escaped, such as `\u{e9}`. Invisible
/// ones stay escaped.
pub(super) fn unescaped(note: &str) -> String {
    let mut parts = note.split("\\u{");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let escaped = part.split_once('}').and_then(|(digits, rest)| {
            let c = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32)?;
            let is_visible = !grantcore::value::display_text(&format!("a{c}a")).eq("aa");
            (is_visible && !c.is_control()).then_some((c, rest))
        });
        if let Some((c, rest)) = escaped {
            text.push(c);
            text.push_str(rest);
        } else {
            text.push_str("\\u{");
            text.push_str(part);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_read_as_it_was_typed_and_hides_nothing() {
        for (note, text) in [
            ("lost laptop", "lost laptop"),
            ("\\u{5de}\\u{5d7}\\u{5e9}\\u{5d1} lost", "מחשב lost"),
            ("\\u{e9} \\u{20ac}", "é €"),
            ("a\\u{202e}b", "a\\u{202e}b"),
            ("\\u{} \\u{zz} \\u{110000} \\u{41", "\\u{} \\u{zz} \\u{110000} \\u{41"),
        ] {
            assert_eq!(unescaped(note), text);
        }
    }
}
