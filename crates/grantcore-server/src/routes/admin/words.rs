//! The state of a client, of a grant and of a reason, in words for administrators.

use grantcore::client::{ClientStatus, Registration};
use grantcore::grant::{Grant, GrantState, RevocationCause};
use grantcore::response::{Connection, ConnectionState};
use grantcore::{Client, Reason, Timestamp};

use crate::pages::Standing;

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

/// Describes a connection that has tokens or can get new ones. `is_suspended` is of its account.
pub(super) fn connected(own: &Connection, is_suspended: bool) -> &'static str {
    match own.state() {
        _ if is_suspended => {
            "Suspended: no access token works while the account is suspended. After that it works \
             again."
        }
        _ if own.client().status() == ClientStatus::Deactivated => {
            "Suspended: no access token works while the client is suspended. After that it works \
             again."
        }
        ConnectionState::Active => "Active: an access token works now.",
        _ => {
            "Dormant: no access token works now. It becomes active when the application refreshes, \
             unless the owner of the application is suspended."
        }
    }
}

/// Describes a grant that is no connection, and returns whether it still leads to one.
pub(super) fn phase(grant: &Grant, now: Timestamp) -> (&'static str, bool) {
    match grant.state() {
        GrantState::ConsentPending if now < grant.expires() => {
            ("The consent page waits for the user's decision.", false)
        }
        GrantState::ConsentPending => ("Ended: the user did not decide in time.", false),
        GrantState::CodeIssued if grant.code_expires().is_some_and(|end| now < end) => {
            ("Approved: the application has not fetched its tokens yet.", true)
        }
        GrantState::CodeIssued => {
            ("Ended: the application did not fetch its tokens in time.", false)
        }
        GrantState::Active if now >= grant.expires() => {
            ("Ended: it reached the longest lifetime.", false)
        }
        GrantState::Active if grant.subject().is_none() => (
            "Active: the application got an access token on its own behalf. It works unless the \
             application or its owner is suspended, or all its connections were ended.",
            true,
        ),
        GrantState::Active => (
            "Ended: it was not used for too long, or it was disconnected together with all others \
             of its application or its account.",
            false,
        ),
        GrantState::Revoked(cause) => (ended(cause), false),
        _ => ("Unknown.", false),
    }
}

fn ended(cause: RevocationCause) -> &'static str {
    match cause {
        RevocationCause::Denied => "Ended: the user denied the request.",
        RevocationCause::Replay => "Ended: a code or a refresh token was used twice.",
        RevocationCause::Client => "Ended: disconnected by the application.",
        RevocationCause::User => "Ended: disconnected by the user.",
        RevocationCause::Administrator => "Ended: disconnected by an administrator.",
        RevocationCause::SecurityEvent => "Ended: disconnected after a security event.",
        RevocationCause::Host => "Ended: ended by the server when the application refreshed.",
        RevocationCause::Superseded => "Ended: a newer connection of the same user took its place.",
        _ => "Ended.",
    }
}

/// Returns what happened in a step of this kind. A denial is refused to the client, and done by the
/// user.
pub(super) fn happened(kind: &str, reason: Option<&str>) -> Option<&'static str> {
    Some(match kind {
        "refused" if reason == Some(Reason::AccessDenied.name()) => "The user denied",
        "login_needed" => "The user had to sign in",
        "consent_shown" => "The consent page was shown",
        "consent_approved" => "The user allowed access",
        "consent_remembered" => "Access was given without a page: the user allowed it before",
        "consent_skipped" => "Access was given without a page: the operator trusts the client",
        "code_redeemed" => "The client got its first tokens",
        "machine_issued" => "The client got a token without a user",
        "assertion_accepted" => "The client got a token for an assertion",
        "tokens_refreshed" => "The client got new tokens",
        "refresh_replayed_in_window" => "The client repeated a refresh and got the same tokens",
        "grant_revoked" => "The connection was ended",
        "grant_narrowed" => "Some of the access was taken away",
        "nothing_narrowed" => "There was no access to take away",
        "token_revoked" => "The client gave a token back",
        "nothing_revoked" => "The client gave back a token that is not valid, or not its own",
        "connections_listed" => "The connections of a user were listed",
        "access_allowed" => "A token was accepted",
        "token_introspected" => "A resource asked about a token, and it is active",
        "inactive_introspected" => "A resource asked about a token, and it is not active",
        "client_registered" => "The client registered itself",
        "client_read" => "The client read its registration",
        "client_updated" => "The client changed its registration",
        "client_deleted" => "The client deleted its registration",
        "client_deactivated" => "The client was suspended",
        "client_reactivated" => "The suspension of the client was lifted",
        "client_grants_ended" => "All connections of the client were ended",
        "client_added" => "The client was added",
        "secret_rotated" | "client_secret_rotated" => "The client has a new secret",
        "account_grants_ended" => "All connections of the account were ended",
        "account_suspended" => "The account was suspended",
        "account_suspension_lifted" => "The suspension of the account was lifted",
        "account_topped_up" => "The account was topped up",
        "document_needed" => "The client's document had to be fetched",
        "signed_in" => "The user signed in with the provider",
        "sign_in_refused" => "The user was not allowed to sign in",
        "refused" => "The request was refused",
        _ => return None,
    })
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
    use grantcore::event::EventKind;

    use super::*;

    #[test]
    fn every_step_of_the_library_has_words() {
        for kind in EventKind::ALL {
            assert!(happened(kind.name(), None).is_some(), "{kind:?}");
        }
        assert_eq!(happened("refused", Some("access_denied")), Some("The user denied"));
        assert_eq!(happened("refused", Some("pkce_missing")), happened("refused", None));
    }

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
